//! What decides the bill: the storage class of content, and who pays for requests.
//!
//! Apart because each is a header that a service obeys in silence: only the requests tell.

use super::bench::{Bench, key, random};
use super::fault::Fault;
use super::server::{Op, Seen};

const CLASS: &str = "x-amz-storage-class";

#[test]
fn content_goes_into_the_class_that_was_chosen_and_records_do_not() {
    let bench = Bench::ready();
    let work = bench.work();
    work.git(&["config", "s3lfs.storageclass", "REDUCED_REDUNDANCY"]).ok();
    let (small, large) = (random(3000, 31), random(20 << 20, 32));
    work.write("small.bin", &small);
    work.write("large.bin", &large);
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-qm", "two"]).ok();
    work.git(&["push", "-q"]).ok();
    let seen = bench.server.take();
    let of = |op: Op| seen.iter().filter(move |seen| seen.op == op);
    let puts: Vec<(&str, Option<&str>)> = of(Op::Put).map(|seen| (seen.key(), seen.header(CLASS))).collect();
    assert_eq!(puts, [(key(&small).as_str(), Some("REDUCED_REDUNDANCY"))], "in one request");
    let headers = [CLASS, "x-amz-server-side-encryption", "content-type"];
    let begun: Vec<_> = of(Op::Begin).map(|seen| headers.map(|name| seen.header(name))).collect();
    let wanted = ["REDUCED_REDUNDANCY", "AES256", "application/octet-stream"];
    assert_eq!(begun, [wanted.map(Some)], "in parts, and otherwise as without a class");
    assert!(of(Op::Registration).all(|seen| seen.header(CLASS).is_none()), "a small record stays where it is cheap");
    let other = bench.cloned("other");
    assert!(other.read("small.bin") == small && other.read("large.bin") == large, "there and back");
}

#[test]
fn what_begins_in_a_class_goes_on_after_a_failure() {
    let bench = Bench::ready();
    let work = bench.work();
    work.git(&["config", "s3lfs.storageclass", "INTELLIGENT_TIERING"]).ok();
    let large = random(20 << 20, 33);
    work.write("large.bin", &large);
    bench.server.fault(Op::Complete, 1, Fault::Refuse(403, "AccessDenied"));
    work.s3lfs(&["upload", "large.bin"]).fails(1).says(&["permission denied"]);
    work.s3lfs(&["upload", "large.bin"]).ok();
    assert_eq!(bench.server.count(Op::Begin), 1, "the second run goes on with the first one's parts");
    assert!(bench.has(&large));
}

#[test]
fn a_service_that_refuses_a_class_is_told_of() {
    let bench = Bench::ready();
    let work = bench.work();
    work.git(&["config", "s3lfs.storageclass", "NO_SUCH_CLASS"]).ok();
    work.write("large.bin", random(20 << 20, 34));
    bench.server.fault(Op::Begin, 1, Fault::Refuse(400, "InvalidStorageClass"));
    work.s3lfs(&["upload", "large.bin"]).fails(1).says(&["InvalidStorageClass"]);
    for (class, why) in [("GLACIER", "can be read at once"), ("Standard", "STANDARD_IA")] {
        work.git(&["config", "s3lfs.storageclass", class]).ok();
        work.s3lfs(&["upload", "large.bin"]).fails(1).says(&["s3lfs.storageclass", class, why]);
    }
}

#[test]
fn who_asks_says_that_he_pays() {
    let bench = Bench::new();
    let work = bench.work();
    work.git(&["config", "--global", "s3lfs.requesterpays", "true"]).ok();
    work.s3lfs(&["init", "--endpoint-url", &bench.server.url(), bench.server.bucket(), "proj"]).ok();
    work.s3lfs(&["git-setup", "--track", "*.bin"]).ok();
    work.write("small.bin", "small");
    work.write("large.bin", random(20 << 20, 35));
    bench.server.fault(Op::Complete, 1, Fault::Refuse(403, "AccessDenied"));
    work.s3lfs(&["upload", "small.bin", "large.bin"]).fails(3);
    work.s3lfs(&["upload", "small.bin", "large.bin"]).ok();
    work.git(&["commit", "-qm", "two"]).ok();
    work.git(&["push", "-qu", "origin", "main"]).ok();
    bench.cloned("other");
    work.s3lfs(&["verify", "--deep"]).ok();
    work.s3lfs(&["cleanup", "--dry-run"]).ok();
    let seen = bench.server.take();
    let says_so = |seen: &Seen| {
        let in_url = seen.query("x-amz-request-payer");
        seen.header("x-amz-request-payer").or(in_url) == Some("requester")
    };
    let silent: Vec<&Seen> = seen.iter().filter(|seen| !says_so(seen)).collect();
    assert!(silent.is_empty(), "each of {} requests says it: {silent:#?}", seen.len());
    for op in [Op::List, Op::Get, Op::Put, Op::Begin, Op::UploadPart, Op::Complete, Op::ListUploads] {
        assert!(seen.iter().any(|seen| seen.op == op), "{op:?} is among them");
    }
}

#[test]
fn an_archived_object_is_told_from_one_without_permission() {
    let bench = Bench::with(b"content");
    let work = bench.work();
    bench.server.fault(Op::Get, 10, Fault::Refuse(403, "InvalidObjectState"));
    work.s3lfs(&["download", "a.bin"]).fails(1).says(&["archived", "restore-object"]).never_says(&["denied"]);
    bench.server.mend();
    work.s3lfs(&["download", "a.bin"]).ok();
    assert_eq!(work.read("a.bin"), b"content", "once it was restored");
}
