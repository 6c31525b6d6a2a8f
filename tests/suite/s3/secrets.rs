//! Secrets stay where they are: never in configuration, manifest, bucket, logs, answers, errors or
//! command lines, however much is logged and whatever fails.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::bench::{Bench, random};
use super::fault::Fault;
use super::server::{BUCKET, Op};
use crate::world::{Place, snapshot};

const TOKEN: &str = "FwoGZXIvYXdzEDoaDSecretSessionToken";

/// What must not be anywhere.
fn secrets(bench: &Bench) -> [String; 5] {
    let secret = bench.server.credentials().1.to_owned();
    [secret, TOKEN.to_owned(), "Signature=".to_owned(), "authorization".to_owned(), "gitpassword".to_owned()]
}

#[track_caller]
fn holds_none(secrets: &[String], text: &str, place: &str) {
    for secret in secrets {
        assert!(!text.to_lowercase().contains(&secret.to_lowercase()), "{place} holds {secret}: {text}");
    }
}

/// All that can be logged.
fn talkative<'a>(place: &Place<'a>) -> Place<'a> {
    place.env("S3LFS_LOG", "trace").env("RUST_LOG", "trace").env("RUST_BACKTRACE", "1")
}

/// What a command said. (`Ran` itself refuses what only a log may hold.)
#[derive(Debug)]
struct Said {
    line: String,
    code: i32,
    text: String,
}

fn said(place: &Place<'_>, program: &str, args: &[&str]) -> Said {
    let output = place.command(program).args(args).stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    Said { line: format!("{program} {}", args.join(" ")), code: output.status.code().unwrap_or(-1), text }
}

fn everything(bench: &Bench, work: &Place<'_>) -> Vec<Said> {
    let large = random(9 << 20, 120);
    work.write("a.bin", "content");
    work.write("large.bin", &large);
    let mut ran = vec![
        said(work, "s3lfs", &["upload", "a.bin", "large.bin"]),
        said(work, "git", &["commit", "-qm", "both"]),
        said(work, "git", &["push", "-q"]),
    ];
    work.sh(
        "rm -f large.bin; S3LFS_LOG=off S3LFS_SKIP_SMUDGE=1 git checkout -q -- large.bin; rm -rf .git/s3lfs/objects",
    );
    ran.extend([
        said(work, "s3lfs", &["-v", "download-all"]),
        said(work, "s3lfs", &["--json", "status"]),
        said(work, "s3lfs", &["--json", "ls"]),
        said(work, "s3lfs", &["--json", "verify", "--deep"]),
        said(work, "s3lfs", &["--json", "cleanup", "--force"]),
        said(work, "s3lfs", &["trust"]),
        said(work, "s3lfs", &["init", "--force", "--endpoint-url", &bench.server.url(), BUCKET, "proj"]),
    ]);
    ran
}

#[test]
fn no_secret_is_logged_answered_or_written() {
    let bench = Bench::ready();
    let work = talkative(&bench.work().env("AWS_SESSION_TOKEN", TOKEN));
    let secrets = secrets(&bench);
    for ran in everything(&bench, &work) {
        assert!(ran.code == 0 || ran.line.contains("init") || ran.line.contains("cleanup"), "{ran:#?}");
        holds_none(&secrets, &ran.text, &ran.line);
    }
    let faults = [
        Fault::Drop,
        Fault::Refuse(403, "SignatureDoesNotMatch"),
        Fault::Refuse(400, "ExpiredToken"),
        Fault::Html(200),
        Fault::Answer("<a>".repeat(1000)),
    ];
    for fault in faults {
        let ops = [Op::Get, Op::Put, Op::Head, Op::Begin, Op::List, Op::ListUploads, Op::Registration, Op::DeleteMany];
        ops.iter().for_each(|op| bench.server.fault(*op, 3, fault.clone()));
        work.sh("rm -rf .git/s3lfs/registered .git/s3lfs/uploaded").ok();
        work.sh("rm -rf .git/s3lfs/objects").ok();
        for ran in everything(&bench, &work) {
            holds_none(&secrets, &ran.text, &format!("{fault:?}: {}", ran.line));
        }
        bench.server.mend();
    }
    for (path, bytes) in snapshot(&work.dir).into_iter().chain(snapshot(&bench.server.file(""))) {
        if bytes.len() < 1 << 20 && !path.components().any(|part| part.as_os_str() == "hooks") {
            holds_none(&secrets[..2], &String::from_utf8_lossy(&bytes), &path.display().to_string());
        }
    }
}

#[test]
fn no_secret_of_a_file_or_a_process_is_logged() {
    let bench = Bench::ready();
    let (id, secret) = bench.server.credentials();
    let secrets = secrets(&bench);
    let dir = bench.world.path(".aws");
    fs::create_dir_all(&dir).unwrap();
    let keys = format!("aws_access_key_id = {id}\naws_secret_access_key = {secret}\naws_session_token = {TOKEN}\n");
    let process = format!(
        "#!/bin/sh\nprintf '{{\"Version\": 1, \"AccessKeyId\": \"{id}\", \"SecretAccessKey\": \"{secret}\", \
         \"SessionToken\": \"{TOKEN}\", \"Expiration\": \"2099-01-01T00:00:00Z\"}}'\n"
    );
    bench.world.at("").script("give", &process);
    bench
        .world
        .at("")
        .script("fail", &format!("#!/bin/sh\necho '{secret}' >&2\nprintf '{{\"SecretAccessKey\": \"{secret}\"}}'\n"));
    let profile = |program: &str| format!("credential_process = {}\n", bench.world.path(program).display());
    let files = format!(
        "[default]\n{keys}[profile give]\n{}[profile fail]\n{}[profile broken]\naws_secret_access_key = {secret}\n",
        profile("give"),
        profile("fail")
    );
    fs::write(dir.join("config"), files).unwrap();
    let bare = bench.world.at("work").env("NO_PROXY", "127.0.0.1").env("AWS_EC2_METADATA_DISABLED", "true");
    for name in ["default", "give", "fail", "broken"] {
        let work = talkative(&bare.env("AWS_PROFILE", name));
        work.write("a.bin", format!("by {name}"));
        let ran = said(&work, "s3lfs", &["upload", "a.bin"]);
        assert_eq!(ran.code, if matches!(name, "default" | "give") { 0 } else { 1 }, "{name}: {ran:#?}");
        holds_none(&secrets, &ran.text, name);
    }
}

#[test]
fn no_password_of_a_git_url_gets_out() {
    let bench = Bench::with(b"content");
    let work = talkative(&bench.work());
    bench.work().git(&["remote", "add", "other", "https://me:gitpassword@127.0.0.1:1/x.git"]).ok();
    for args in [
        &["--json", "cleanup", "--force"][..],
        &["cleanup", "--fetch", "--force"],
        &["init", "--force", BUCKET, "proj"],
    ] {
        let ran = said(&work, "s3lfs", args);
        holds_none(&["gitpassword".to_owned()], &ran.text, &ran.line);
    }
    for (path, bytes) in snapshot(&bench.server.file("")) {
        holds_none(&["gitpassword".to_owned()], &String::from_utf8_lossy(&bytes), &path.display().to_string());
    }
    let ran = said(&work, "s3lfs", &["--endpoint-url", "https://me:gitpassword@127.0.0.1:1", "download", "a.bin"]);
    assert_ne!(ran.code, 0);
    holds_none(&["gitpassword".to_owned()], &ran.text, &ran.line);
}

/// A process and all that it started. What else the machine runs may say in its command line what it likes.
#[cfg(target_os = "linux")]
fn descendants(pid: u32) -> Vec<u32> {
    let parent = |pid: u32| -> Option<u32> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()
    };
    let all = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let parents: Vec<(u32, u32)> = all.filter_map(|pid| Some((pid, parent(pid)?))).collect();
    let mut found = vec![pid];
    let mut at = 0;
    while at < found.len() {
        found
            .extend(parents.iter().filter(|(_, parent)| *parent == found[at]).map(|(pid, _)| *pid).collect::<Vec<_>>());
        at += 1;
    }
    found
}

#[test]
#[cfg(target_os = "linux")]
fn no_secret_is_in_a_command_line() {
    let bench = Bench::with(b"content");
    let work = bench.work().env("AWS_SESSION_TOKEN", TOKEN);
    bench.server.fault(Op::Get, 1000, Fault::Hang);
    work.remove("a.bin");
    let mut child = work.command("git").args(["checkout", "--", "a.bin"]).stderr(Stdio::null()).spawn().unwrap();
    let begun = Instant::now();
    while bench.server.count(Op::Get) == 0 {
        assert!(begun.elapsed() < Duration::from_secs(60), "the download begins");
        std::thread::sleep(Duration::from_millis(10));
    }
    let mut seen = 0;
    for pid in descendants(child.id()) {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        seen += usize::from(line.contains("filter-process"));
        holds_none(&secrets(&bench), &line, "a command line");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(seen > 0, "the filter was looked at");
}
