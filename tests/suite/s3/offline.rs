//! Without the network, and with a store that nobody accepted.

use std::process::Stdio;
use std::time::{Duration, Instant};

use super::bench::{Bench, random};
use super::fault::Fault;
use super::server::{BUCKET, Op, Server};
use crate::world::{MANIFEST, pointer};

#[test]
fn a_commit_goes_without_the_network_and_the_push_does_not() {
    let mut bench = Bench::ready();
    bench.server.stop();
    let work = bench.work();
    let ran = work.commit("a.bin", b"content");
    ran.says(&["warning", "can't be reached", "git push"]);
    assert_eq!(work.blob("HEAD:a.bin"), pointer(b"content"));
    work.is_clean();
    let published = bench.world.remote_head("main");
    let refused = work.git(&["push", "-q"]);
    assert_ne!(refused.code, 0, "a push would publish a pointer to nothing");
    refused.says(&["push refused", "can't be reached"]);
    assert_eq!(bench.world.remote_head("main"), published);

    bench.server.resume();
    let work = bench.work();
    work.git(&["push", "-q"]).ok();
    assert_eq!(bench.server.count(Op::Put), 1, "the push uploads what the commit could not");
    assert!(bench.has(b"content"));
    assert_ne!(bench.world.remote_head("main"), published);
    assert_eq!(bench.cloned("other").read("a.bin"), b"content");
}

#[test]
fn a_commit_can_be_made_to_fail_instead() {
    let mut bench = Bench::ready();
    bench.server.stop();
    let work = bench.work();
    work.git(&["config", "s3lfs.offlinecommit", "fail"]).ok();
    work.write("a.bin", "content");
    work.git(&["add", "a.bin"]).ok();
    let (index, head) = (work.index(), work.head());
    assert_ne!(work.git(&["commit", "-qm", "a"]).code, 0);
    assert_eq!((work.index(), work.head()), (index, head), "everything is as it was");
}

#[test]
fn a_checkout_without_the_network_fails_or_leaves_pointers_as_asked() {
    let mut bench = Bench::with(b"content");
    bench.server.stop();
    let work = bench.work();
    work.remove("a.bin");
    let skipping = work.env("S3LFS_SKIP_DOWNLOAD_ERRORS", "1");
    skipping.git(&["checkout", "--", "a.bin"]).ok().says(&["a.bin"]);
    assert_eq!(work.text("a.bin"), pointer(b"content"));
    work.remove("a.bin");
    let failed = work.git(&["checkout", "--", "a.bin"]);
    assert_ne!(failed.code, 0);
    failed.says(&["a.bin", "can't be reached"]);
    bench.server.resume();
    let work = bench.work();
    work.git(&["checkout", "--", "a.bin"]).ok();
    assert_eq!(work.read("a.bin"), b"content");
}

/// How long nobody answers: with `S3LFS_TEST_FULL=1` a minute, as the README promises; each such test waits idly.
fn outage() -> Duration {
    let full = std::env::var_os("S3LFS_TEST_FULL").is_some_and(|value| value == "1");
    Duration::from_secs(if full { 60 } else { 4 })
}

/// The service goes away when it has answered one request of this kind, and refuses every connection until it is back.
fn goes_away_in_the_middle(bench: &mut Bench, op: Op, arguments: &[&str]) {
    bench.server.fault(op, 1, Fault::Nothing);
    bench.server.fault(op, 1000, Fault::Drop);
    let mut child = bench.work().command("s3lfs").args(arguments).stderr(Stdio::null()).spawn().unwrap();
    let begun = Instant::now();
    while bench.server.count(op) < 2 {
        assert!(begun.elapsed() < Duration::from_secs(60), "the transfer begins");
        std::thread::sleep(Duration::from_millis(10));
    }
    bench.server.stop();
    std::thread::sleep(outage());
    assert!(child.try_wait().unwrap().is_none(), "a service that answered before is waited for");
    // Connections that were open before fail until now.
    bench.server.mend();
    bench.server.resume();
    assert!(child.wait().unwrap().success(), "and gone on with");
}

#[test]
fn an_outage_in_the_middle_of_a_download_is_sat_out() {
    let content = random(20 << 20, 80);
    let mut bench = Bench::with(&content);
    goes_away_in_the_middle(&mut bench, Op::Get, &["download", "a.bin"]);
    assert!(bench.work().read("a.bin") == content);
}

#[test]
fn an_outage_in_the_middle_of_an_upload_is_sat_out() {
    let content = random(20 << 20, 81);
    let mut bench = Bench::ready();
    bench.work().write("a.bin", &content);
    goes_away_in_the_middle(&mut bench, Op::UploadPart, &["upload", "a.bin"]);
    assert!(std::fs::read(bench.object(&content)).unwrap() == content, "the object is whole");
}

#[test]
fn a_service_that_never_answers_is_not_waited_for_file_after_file() {
    let mut bench = Bench::ready();
    let work = bench.work();
    for i in 0..40 {
        work.write(&format!("f{i}.bin"), format!("content {i}"));
    }
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-qm", "forty"]).ok();
    work.sh("rm -f *.bin").ok();
    work.env("S3LFS_SKIP_SMUDGE", "1").git(&["checkout", "-q", "."]).ok();
    work.drop_cache();
    bench.server.stop();
    let begun = Instant::now();
    let ran = bench.work().s3lfs(&["-j", "2", "download-all"]).fails(3);
    ran.says(&["40 files failed", "can't be reached"]);
    assert!(begun.elapsed() < Duration::from_secs(30), "two seconds in all, not for each: {:?}", begun.elapsed());
}

#[test]
fn nothing_goes_to_an_endpoint_that_a_commit_chose() {
    let bench = Bench::with(b"content");
    let work = bench.work();
    let other = Server::start();
    let text = work.text(MANIFEST).replace(&bench.server.url(), &other.url());
    work.write(MANIFEST, text);
    work.git(&["-c", "core.hooksPath=/nowhere", "commit", "-qam", "the service is elsewhere"]).ok();
    let name = format!("s3://{BUCKET}/proj?endpoint={}", other.url());

    work.s3lfs(&["download", "a.bin"]).fails(1).says(&[&name, "s3lfs trust"]);
    work.remove("a.bin");
    work.git(&["checkout", "--", "a.bin"]).ok().says(&["s3lfs trust"]);
    work.write("new.bin", "new");
    work.s3lfs(&["upload", "new.bin"]).fails(1).says(&[&name, "s3lfs trust"]);
    work.git(&["add", "new.bin"]).ok();
    work.git(&["commit", "-qm", "new"]).ok().says(&["warning", "s3lfs trust"]);
    assert_ne!(work.git(&["push", "-q"]).code, 0);
    work.s3lfs(&["status"]).ok();
    assert_eq!(other.connections(), 0, "no connection, so no signature and no byte");
    assert_eq!(bench.server.take().len(), 0, "nor does anything go to the old one");

    work.s3lfs(&["trust"]).ok();
    work.s3lfs(&["track-modified"]).ok();
    assert_eq!(other.count(Op::Put), 1, "now it is the user's choice");
}

#[test]
fn nothing_goes_to_a_bucket_that_a_commit_chose() {
    let bench = Bench::with(b"content");
    let work = bench.work();
    std::fs::create_dir(bench.server.file("../evil-bucket")).unwrap();
    work.write(MANIFEST, work.text(MANIFEST).replace(BUCKET, "evil-bucket"));
    work.git(&["-c", "core.hooksPath=/nowhere", "commit", "-qam", "another bucket"]).ok();
    let before = bench.server.connections();
    work.s3lfs(&["download", "a.bin"]).fails(1).says(&["evil-bucket", "s3lfs trust"]);
    work.commit("new.bin", b"new").says(&["warning", "evil-bucket"]);
    assert_ne!(work.git(&["push", "-q"]).code, 0);
    assert_eq!(bench.server.connections(), before);
    work.s3lfs(&["trust"]).ok();
    work.s3lfs(&["upload", "new.bin"]).ok();
    let key = format!("../evil-bucket/{}", super::bench::key(b"new"));
    assert!(bench.server.file(&key).exists(), "now it is the user's choice");
}

#[test]
fn an_endpoint_of_the_environment_is_the_users_own_choice() {
    let bench = Bench::with(b"content");
    let work = bench.work();
    // The same objects under another name of the same machine.
    let alias = bench.server.url().replace("127.0.0.1", "localhost");
    work.env("AWS_ENDPOINT_URL", &alias).s3lfs(&["download", "a.bin"]).ok();
    assert_eq!(work.read("a.bin"), b"content");
    let host = bench.server.seen(Op::Get)[0].header("host").map(str::to_owned);
    assert!(host.unwrap().starts_with("localhost:"), "the environment wins over the manifest");
}
