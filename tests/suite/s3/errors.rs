//! Refusals told apart: one clear message each, a non-zero exit, and nothing lost.

use super::bench::{Bench, random};
use super::fault::Fault;
use super::server::{BUCKET, Op};
use crate::world::{MANIFEST, Place, Ran, oid, pointer, snapshot};

/// What a refused download, upload and init have in common.
fn refused(bench: &Bench, place: &Place<'_>, says: &[&str]) {
    let index = place.index();
    let held = |ran: Ran| {
        let ran = ran.fails(1).says(says).never_says(&["The secret body", "<Error", "<html", "Generic", "wJalr"]);
        let lines: Vec<&str> = ran.stderr.lines().filter(|line| line.contains("s3lfs: ")).collect();
        assert_eq!(lines.len(), 1, "one message: {ran:#?}");
        ran
    };
    held(place.s3lfs(&["download", "a.bin"]));
    assert_eq!(place.text("a.bin"), pointer(b"content"), "the pointer stays");
    place.write("new.bin", "new");
    held(place.s3lfs(&["upload", "new.bin"]));
    let large = random(9 << 20, 60);
    place.write("large.bin", &large);
    held(place.s3lfs(&["upload", "large.bin"]));
    assert_eq!(place.index(), index, "nothing is staged that is not in the store");
    assert_eq!(
        (place.read("new.bin"), place.read("large.bin")),
        (b"new".to_vec(), large),
        "the files are as they were"
    );
    let elsewhere = bench.world.at("").sub("fresh");
    elsewhere.git(&["init", "-q", "."]).ok();
    let init = place.in_dir(&elsewhere).s3lfs(&["init", "--endpoint-url", &bench.server.url(), BUCKET, "other"]);
    held(init);
    assert!(!elsewhere.exists(MANIFEST), "init leaves no manifest behind");
}

fn every(bench: &Bench, fault: Fault) {
    for op in [Op::Get, Op::Head, Op::Put, Op::Begin, Op::List, Op::Registration] {
        bench.server.fault(op, 1000, fault.clone());
    }
}

#[test]
fn a_missing_bucket() {
    let bench = Bench::with(b"content");
    std::fs::rename(bench.server.file(""), bench.server.file("../elsewhere")).unwrap();
    refused(&bench, &bench.work(), &["NoSuchBucket", BUCKET]);
}

#[test]
fn an_unknown_access_key() {
    let bench = Bench::with(b"content");
    refused(&bench, &bench.work().env("AWS_ACCESS_KEY_ID", "AKIAWRONG"), &["credentials", "AWS_ACCESS_KEY_ID"]);
}

#[test]
fn credentials_that_the_service_does_not_take() {
    for code in ["InvalidAccessKeyId", "ExpiredToken"] {
        let bench = Bench::with(b"content");
        every(&bench, Fault::Refuse(403, code));
        refused(&bench, &bench.work(), &["credentials", code]);
    }
}

#[test]
fn a_wrong_secret() {
    let bench = Bench::with(b"content");
    refused(&bench, &bench.work().env("AWS_SECRET_ACCESS_KEY", "wrong"), &["credentials", "AWS_SECRET_ACCESS_KEY"]);
}

#[test]
fn no_credentials() {
    let bench = Bench::with(b"content");
    let connections = bench.server.connections();
    let place = bench.work().env("AWS_ACCESS_KEY_ID", "").env("AWS_SECRET_ACCESS_KEY", "");
    let place = place.env("AWS_EC2_METADATA_DISABLED", "true");
    refused(&bench, &place, &["credentials", "AWS_ACCESS_KEY_ID"]);
    assert_eq!(bench.server.connections(), connections, "nothing can be sent without");
}

#[test]
fn no_permission() {
    let bench = Bench::with(b"content");
    every(&bench, Fault::Refuse(403, "AccessDenied"));
    refused(&bench, &bench.work(), &["permission", "403", "user/me is not authorized to perform: s3:Some\"Action"]);
}

#[test]
fn a_clock_that_is_off() {
    let bench = Bench::with(b"content");
    every(&bench, Fault::Skewed);
    refused(&bench, &bench.work(), &["clock"]);
    // The gate asks by HEAD for what is not in the cache, and no code comes with the answer to that.
    let work = bench.work();
    work.sh("rm -rf .git/s3lfs/uploaded && git commit -q --allow-empty -m again && git update-ref -d refs/remotes/origin/main")
        .ok();
    let pushed = work.git(&["push", "-q", "origin", "main:other"]);
    assert_ne!(pushed.code, 0);
    pushed.says(&["push refused", "clock"]).never_says(&["permission"]);
}

#[test]
fn another_region() {
    let bench = Bench::with(b"content");
    every(&bench, Fault::Refuse(400, "AuthorizationHeaderMalformed"));
    refused(&bench, &bench.work(), &["region", "--region"]);
}

#[test]
fn another_region_that_the_service_names() {
    for (status, code) in
        [(400, "AuthorizationHeaderMalformed"), (301, "PermanentRedirect"), (307, "TemporaryRedirect")]
    {
        let bench = Bench::with(b"content");
        every(&bench, Fault::Elsewhere(status, code, "eu-west-3"));
        refused(&bench, &bench.work(), &["git config s3lfs.region eu-west-3 # or --region eu-west-3"]);
        bench.server.take();
        refused(&bench, &bench.work().env("AWS_REGION", "us-east-1"), &["export AWS_REGION=eu-west-3"]);
    }
}

#[test]
fn a_web_server_that_is_no_s3() {
    for status in [200, 403, 404, 405] {
        let bench = Bench::with(b"content");
        every(&bench, Fault::Html(status));
        refused(&bench, &bench.work(), &["no S3 service", "endpoint"]);
    }
}

#[test]
fn nobody_listens() {
    let mut bench = Bench::with(b"content");
    bench.server.stop();
    refused(&bench, &bench.work(), &["can't be reached"]);
}

#[test]
fn a_service_without_the_encryption() {
    let bench = Bench::with(b"content");
    bench.server.fault(Op::Put, 1000, Fault::Refuse(501, "NotImplemented"));
    bench.server.fault(Op::Begin, 1000, Fault::Refuse(501, "NotImplemented"));
    let work = bench.work();
    work.write("new.bin", "new");
    work.s3lfs(&["upload", "new.bin"]).fails(1).says(&["encryption", "--sse none"]);
    work.write("large.bin", random(9 << 20, 61));
    work.s3lfs(&["upload", "large.bin"]).fails(1).says(&["encryption", "--sse none"]);
}

#[test]
fn a_service_without_conditions_is_written_to_all_the_same() {
    let bench = Bench::ready();
    bench.server.fault(Op::Put, 1, Fault::Refuse(501, "NotImplemented"));
    bench.work().write("a.bin", "content");
    bench.work().s3lfs(&["upload", "a.bin"]).ok();
    let puts = bench.server.seen(Op::Put);
    assert_eq!(puts.iter().map(|put| put.header("if-none-match")).collect::<Vec<_>>(), [Some("*"), None]);
}

#[test]
fn a_key_that_may_write_but_not_look_can_upload() {
    let bench = Bench::ready();
    let work = bench.work();
    bench.server.fault(Op::Head, 1000, Fault::Refuse(403, "AccessDenied"));
    bench.server.fault(Op::Get, 1000, Fault::Refuse(403, "AccessDenied"));
    let large = random(9 << 20, 62);
    work.write("large.bin", &large);
    work.write("small.bin", "small");
    work.s3lfs(&["upload", "large.bin", "small.bin"]).ok();
    assert!(bench.has(&large), "a 403 for HEAD is no answer to whether it is there");
    work.sh("rm -rf .git/s3lfs/uploaded").ok();
    bench.server.take();
    work.git(&["commit", "-qm", "both"]).ok();
    work.git(&["push", "-q"]).ok();
    assert_eq!(bench.server.count(Op::Put), 2, "what is there may be old: it is written again");
}

#[test]
fn encryption_is_asked_for_as_chosen() {
    let (sse, kms) = ("x-amz-server-side-encryption", "x-amz-server-side-encryption-aws-kms-key-id");
    for (options, expected) in [
        (&[][..], (Some("AES256"), None)),
        (&["--sse", "AES256"], (Some("AES256"), None)),
        (&["--sse", "aws:kms"], (Some("aws:kms"), None)),
        (&["--sse", "aws:kms", "--kms-key-id", "alias/team"], (Some("aws:kms"), Some("alias/team"))),
        (&["--sse", "none"], (None, None)),
    ] {
        let bench = Bench::ready_with(options);
        let work = bench.work();
        work.write("small.bin", "small");
        work.write("large.bin", random(9 << 20, 63));
        work.s3lfs(&["upload", "small.bin", "large.bin"]).ok();
        let written = [bench.server.seen(Op::Put), bench.server.seen(Op::Begin)].concat();
        assert_eq!(written.len(), 2);
        for request in written {
            assert_eq!(request.header("content-type"), Some("application/octet-stream"), "{:?}", request.op);
            assert_eq!((request.header(sse), request.header(kms)), expected, "{options:?}: {:?}", request.op);
        }
        for request in [bench.server.seen(Op::UploadPart), bench.server.seen(Op::Complete)].concat() {
            assert_eq!(request.header(sse), None, "S3 takes it where an upload begins, and only there");
        }
    }
}

#[test]
fn requests_without_a_signature() {
    let bench = Bench::with(b"content");
    let work = bench.work();
    let bare = work.env("AWS_ACCESS_KEY_ID", "").env("AWS_SECRET_ACCESS_KEY", "");
    bare.s3lfs(&["--no-sign-request", "download", "a.bin"]).fails(1).says(&["permission"]);
    bench.server.make_public();
    bare.s3lfs(&["--no-sign-request", "download", "a.bin"]).ok();
    assert_eq!(work.read("a.bin"), b"content");
    work.s3lfs(&["--no-sign-request", "upload", "a.bin"]).ok();
    for request in bench.server.take() {
        assert_eq!(request.header("authorization"), None, "not even where there are credentials");
    }
}

#[test]
fn an_object_that_is_not_there() {
    let bench = Bench::with(b"content");
    std::fs::remove_file(bench.object(b"content")).unwrap();
    let ran = bench.work().s3lfs(&["download", "a.bin"]).fails(1);
    ran.says(&["a.bin", &oid(b"content"), "there is no such object"]);
    assert_eq!(bench.server.count(Op::Get), 1, "which is not asked for again");
}

#[test]
fn a_list_that_is_refused_names_what_was_listed() {
    let bench = Bench::new();
    bench.server.fault(Op::List, 1000, Fault::Refuse(403, "AccessDenied"));
    let url = bench.server.url();
    let before = snapshot(&bench.server.file(""));
    let ran = bench.work().s3lfs(&["init", "--endpoint-url", &url, BUCKET, "proj"]).fails(1);
    ran.says(&["list", "proj/repositories", "permission denied"]);
    assert_eq!(snapshot(&bench.server.file("")), before);
    assert!(!bench.work().exists(MANIFEST));
}
