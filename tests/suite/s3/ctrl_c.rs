//! Ctrl-C during a transfer: 130, a word on how to go on, and nothing in the way of the next command.

use std::os::unix::process::CommandExt;
use std::process::{Child, Stdio};
use std::time::Duration;

use super::bench::Bench;
use super::fault::Fault;
use super::server::Op;
use crate::scratch::run;
use crate::world::Place;

/// The signal that a terminal sends to the command and its children.
fn interrupt(place: &Place<'_>, child: &Child) {
    place.sh(&format!("kill -INT -{}", child.id())).ok();
}

#[test]
fn an_interrupted_upload_ends_with_130_and_goes_on_when_repeated() {
    let bench = Bench::with(b"the first content");
    let work = bench.work();
    for (args, program) in [(&["upload", "b.bin"][..], "s3lfs"), (&["push", "-q"], "git")] {
        let content = format!("sent by {program}").into_bytes();
        work.write("b.bin", &content);
        if program == "git" {
            work.git(&["config", "s3lfs.uploadon", "push"]).ok();
            work.git(&["add", "."]).ok();
            work.git(&["commit", "-qm", "b"]).ok();
        }
        bench.server.take();
        bench.server.fault(Op::Put, 1, Fault::Hang);
        // Whoever runs the tests in the background of a script hands on that it is ignored.
        let mut command = work.command("env");
        command
            .args(["--default-signal=INT", program])
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        let child = command.spawn().unwrap();
        while bench.server.count(Op::Put) == 0 {
            std::thread::sleep(Duration::from_millis(2));
        }
        interrupt(&work, &child);
        let ended = child.wait_with_output().unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        if program == "s3lfs" {
            assert_eq!(ended.status.code(), Some(130), "{said}");
        }
        assert!(said.contains("s3lfs: interrupted") && said.contains("again"), "{program}: {said}");
        assert!(!work.exists(".git/index.lock"), "no lock is left behind");
        assert!(!bench.has(&content), "it was interrupted before it was there");
        bench.server.mend();
        run(work.command(program).args(args), b"");
        assert!(bench.has(&content), "the same command goes on");
    }
}

/// Interrupt it when it has asked the service for this, which never answers. How it ended, and what it said. It ends by
/// the signal alone: it has not asked again, as it does when an answer does not come.
fn stopped(bench: &Bench, op: Op, program: &str, args: &[&str]) -> (Option<i32>, String) {
    let work = bench.work();
    bench.server.take();
    bench.server.fault(op, 1000, Fault::Hang);
    let mut command = work.command("env");
    command.args(["--default-signal=INT", program]).args(args).process_group(0);
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    bench.waits_for("it asks the service", || bench.server.count(op) > 0);
    interrupt(&work, &child);
    // Its children hold the pipe, too: they have ended as well.
    let ended = child.wait_with_output().unwrap();
    assert_eq!(bench.server.count(op), 1, "{program} {args:?} did not wait for an answer");
    bench.server.mend();
    assert!(!work.exists(".git/index.lock"), "{program} {args:?} leaves no lock");
    (ended.status.code(), String::from_utf8(ended.stderr).unwrap())
}

#[track_caller]
fn says_how_to_go_on(said: &str) {
    let words = ["s3lfs: interrupted", "run the same command again"];
    assert!(words.iter().all(|words| said.contains(words)), "it says how to go on: {said}");
}

#[test]
fn what_waits_for_the_service_does_not_wait_after_it() {
    let bench = Bench::with(b"the first content");
    let work = bench.work();
    let is_pointer = || work.text("a.bin").starts_with("version s3lfs/1");

    let (code, said) = stopped(&bench, Op::Get, "s3lfs", &["download-all"]);
    assert_eq!(code, Some(130), "{said}");
    says_how_to_go_on(&said);
    assert!(is_pointer(), "the file is as it was");
    work.is_clean();

    work.remove("a.bin");
    let (code, said) = stopped(&bench, Op::Get, "git", &["checkout", "--", "a.bin"]);
    assert_ne!(code, Some(0), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    work.git(&["checkout", "--", "a.bin"]).ok();
    assert_eq!(work.read("a.bin"), b"the first content", "the same command goes on");
    work.is_clean();

    let (code, said) = stopped(&bench, Op::List, "s3lfs", &["cleanup", "--force"]);
    assert_eq!(code, Some(130), "{said}");
    says_how_to_go_on(&said);
    work.s3lfs(&["cleanup", "--force"]).ok();
    assert!(bench.has(b"the first content"), "what is needed stays");
}

#[test]
fn an_interrupted_commit_commits_nothing_and_goes_on_when_repeated() {
    let bench = Bench::with(b"the first content");
    let work = bench.work();
    let head = work.head();
    work.write("b.bin", "the second content");
    work.git(&["add", "b.bin"]).ok();
    let (code, said) = stopped(&bench, Op::Put, "git", &["commit", "-qm", "b"]);
    assert_ne!(code, Some(0), "{said}");
    says_how_to_go_on(&said);
    assert_eq!(work.head(), head, "nothing was committed");
    let staged = work.git(&["diff", "--cached", "--name-only"]).ok().stdout;
    assert!(staged.contains("b.bin"), "what was staged still is: {staged}");
    assert!(!bench.has(b"the second content"));
    work.git(&["commit", "-qm", "b"]).ok();
    assert!(bench.has(b"the second content"), "the same command goes on");
    work.is_clean();
}

#[test]
#[cfg(target_os = "linux")]
fn who_waits_for_another_command_does_not_wait_after_it() {
    let bench = Bench::ready();
    let work = bench.work();
    work.write("b.bin", "content of b");
    let staging = std::fs::File::create(work.join(".git/s3lfs/staging")).unwrap();
    staging.lock().unwrap();
    let mut command = work.command("env");
    command.args(["--default-signal=INT", "s3lfs", "add", "b.bin"]).process_group(0);
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    // A lock that is waited for (proc_locks(5)).
    let waiting = format!(" {} ", child.id());
    bench.waits_for("it waits for the lock", || {
        let locks = std::fs::read_to_string("/proc/locks").unwrap();
        locks.lines().any(|lock| lock.contains("->") && lock.contains(&waiting))
    });
    interrupt(&work, &child);
    let ended = child.wait_with_output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(130), "the other one goes on, and is not waited for: {said}");
    says_how_to_go_on(&said);
    drop(staging);
    assert_eq!(work.git(&["ls-files", "b.bin"]).ok().stdout, "", "nothing was staged");
    work.s3lfs(&["add", "b.bin"]).ok();
    assert_eq!(work.git(&["ls-files", "b.bin"]).ok().stdout, "b.bin\n", "the same command goes on");
}

#[test]
fn a_command_in_the_background_of_a_script_does_not_hear_it() {
    let bench = Bench::with(b"the first content");
    let work = bench.work();
    work.write("b.bin", "sent all the same");
    bench.server.fault(Op::Put, 1, Fault::Delay(Duration::from_millis(1500)));
    let mut command = work.command("sh");
    // What a script starts with '&' ignores the signal, and so do its children.
    let child =
        command.args(["-c", "trap '' INT; exec s3lfs upload b.bin"]).stdin(Stdio::null()).process_group(0).spawn();
    let mut child = child.unwrap();
    while bench.server.count(Op::Put) == 0 {
        std::thread::sleep(Duration::from_millis(2));
    }
    interrupt(&work, &child);
    assert!(child.wait().unwrap().success(), "it goes on to its end");
    assert!(bench.has(b"sent all the same"));
}
