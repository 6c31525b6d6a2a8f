//! Several processes at once, and what somebody else does to the bucket meanwhile.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::bench::{Bench, compressible, random};
use super::fault::Fault;
use super::server::Op;
use crate::world::MANIFEST;

fn spawn(mut command: Command) -> Child {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

#[track_caller]
fn both_succeed(children: [Child; 2]) {
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "both succeed: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// Two clones upload this content at the same time.
fn from_two_clones(bench: &Bench, content: &[u8]) {
    let places = [bench.work(), bench.cloned("other")];
    bench.server.take();
    let children = places.each_ref().map(|place| {
        place.write("same.bin", content);
        let mut command = place.command("s3lfs");
        command.args(["upload", "same.bin"]);
        spawn(command)
    });
    both_succeed(children);
    for place in places {
        place.git(&["commit", "-qm", "the same"]).ok();
        place.is_clean();
    }
}

#[test]
fn the_same_small_content_from_two_clones() {
    let bench = Bench::ready();
    bench.server.fault(Op::Put, 2, Fault::Delay(Duration::from_millis(500)));
    from_two_clones(&bench, b"the same");
    assert!(bench.has(b"the same"));
}

#[test]
fn an_upload_that_is_in_flight_elsewhere_is_no_proof() {
    let bench = Bench::ready();
    // S3 answers so while another conditional write of the same key is going on, which may yet fail.
    bench.server.fault(Op::Put, 1, Fault::Refuse(409, "ConditionalRequestConflict"));
    let work = bench.work();
    work.write("a.bin", "content");
    work.s3lfs(&["upload", "a.bin"]).ok();
    assert_eq!(bench.server.count(Op::Put), 2, "it is offered again");
    assert!(bench.has(b"content"), "until it is there");
}

#[test]
fn the_same_large_content_from_two_clones() {
    let bench = Bench::ready();
    let content = random(20 << 20, 120);
    bench.server.fault(Op::UploadPart, 6, Fault::Delay(Duration::from_millis(300)));
    from_two_clones(&bench, &content);
    assert!(bench.stored(&content).unwrap() == content);
}

#[test]
fn the_same_large_content_from_two_processes_of_one_clone() {
    let bench = Bench::ready();
    let work = bench.work();
    let content = random(20 << 20, 121);
    work.git(&["config", "s3lfs.uploadon", "push"]).ok();
    work.commit("same.bin", &content);
    bench.server.fault(Op::UploadPart, 6, Fault::Delay(Duration::from_millis(300)));
    let push = |branch: &str| {
        let mut command = work.command("git");
        command.args(["push", "-q", "origin", &format!("main:{branch}")]);
        spawn(command)
    };
    both_succeed([push("one"), push("two")]);
    assert!(bench.stored(&content).unwrap() == content);
    assert_eq!(std::fs::read_dir(work.join(".git/s3lfs/uploads")).unwrap().count(), 0, "nothing is left unfinished");
}

#[test]
fn an_unfinished_upload_that_is_begun_differently_is_thrown_away() {
    let bench = Bench::ready();
    let work = bench.work();
    let content = compressible(40 << 20);
    work.write("large.bin", &content);
    bench.server.fault(Op::UploadPart, 1, Fault::Nothing);
    bench.server.fault(Op::UploadPart, 1000, Fault::Refuse(403, "AccessDenied"));
    work.s3lfs(&["upload", "large.bin"]).fails(1);
    bench.server.mend();
    let old = bench.server.seen(Op::UploadPart)[0].query("uploadId").unwrap().to_owned();
    assert_eq!(bench.server.count(Op::Abort), 0, "it is kept, to go on with");
    let text = work.text(MANIFEST).replacen('{', "{\n    \"compression\": \"none\",", 1);
    work.write(MANIFEST, text);
    bench.server.take();
    work.s3lfs(&["upload", "large.bin"]).ok();
    let aborted = bench.server.seen(Op::Abort);
    assert_eq!(aborted.len(), 1, "its parts would be paid for, for ever");
    assert_eq!(aborted[0].query("uploadId"), Some(old.as_str()), "the old one");
    assert!(bench.stored(&content).unwrap() == content, "and the new one is whole");
}

/// As Ceph RGW 16 answers when a lifecycle rule has thrown the upload away.
#[test]
fn a_completion_that_always_fails_is_doubted() {
    let bench = Bench::ready();
    let content = random(20 << 20, 122);
    bench.work().write("large.bin", &content);
    bench.server.fault(Op::Complete, 4, Fault::Refuse(500, "InternalError"));
    bench.server.fault(Op::UploadPart, 3, Fault::Nothing);
    bench.server.fault(Op::UploadPart, 1, Fault::ForgetUpload);
    bench.work().s3lfs(&["upload", "large.bin"]).ok();
    assert_eq!(bench.server.count(Op::UploadPart), 3 + 1 + 3, "one part is sent again, and tells that all must be");
    assert_eq!((bench.server.count(Op::Begin), bench.server.count(Op::Complete)), (2, 5));
    assert!(bench.stored(&content).unwrap() == content);
}

#[test]
fn a_bucket_that_vanishes_and_comes_back() {
    let bench = Bench::with(b"content");
    let work = bench.work();
    let bucket = bench.server.file("x").parent().unwrap().to_owned();
    let elsewhere = bucket.with_file_name("elsewhere");
    std::fs::rename(&bucket, &elsewhere).unwrap();
    work.commit("new.bin", b"new").says(&["warning", "NoSuchBucket", bench.server.bucket(), "git push"]);
    let large = random(9 << 20, 123);
    work.commit("large.bin", &large).says(&["warning", "NoSuchBucket"]);
    let published = bench.world.remote_head("main");
    let refused = work.git(&["push", "-q"]);
    assert_ne!(refused.code, 0);
    refused.says(&["push refused", "NoSuchBucket"]);
    assert_eq!(bench.world.remote_head("main"), published, "nobody gets a pointer to nothing");
    work.remove("a.bin");
    let failed = work.git(&["checkout", "--", "a.bin"]);
    assert_ne!(failed.code, 0);
    failed.says(&["a.bin", "NoSuchBucket"]);
    std::fs::rename(&elsewhere, &bucket).unwrap();
    work.git(&["checkout", "--", "a.bin"]).ok();
    work.git(&["push", "-q"]).ok();
    assert!(bench.has(b"new") && bench.has(&large), "the push makes up for the commits");
    work.is_clean();
}
