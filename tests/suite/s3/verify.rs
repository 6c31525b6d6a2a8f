//! `verify` and `prune` against a service: a request each for few objects, a listing for many, and no
//! answer is never taken for "not there".

use super::bench::Bench;
use super::fault::Fault;
use super::server::Op;

fn with_files(count: usize) -> Bench {
    let bench = Bench::ready();
    for i in 0..count {
        bench.work().write(&format!("d/{i}.bin"), format!("content {i}"));
    }
    bench.work().git(&["add", "."]).ok();
    bench.work().git(&["commit", "-qm", "files"]).ok();
    bench.work().git(&["push", "-q"]).ok();
    bench.server.take();
    bench
}

#[test]
fn few_objects_are_asked_for_one_by_one() {
    let bench = with_files(5);
    bench.work().s3lfs(&["verify"]).ok().says(&["5 objects", "all in"]);
    assert_eq!((bench.server.count(Op::Head), bench.server.take().len()), (5, 5), "a HEAD each, and nothing else");
    std::fs::remove_file(bench.object(b"content 3")).unwrap();
    bench.work().s3lfs(&["verify"]).fails(3).says(&["d/3.bin", "1 of 5"]);
    bench.server.take();
    bench.work().s3lfs(&["verify", "--deep"]).fails(3).says(&["d/3.bin"]);
    assert_eq!(bench.server.count(Op::Get), 4, "what is there is read");
    assert_eq!(bench.server.count(Op::Put), 0, "and nothing is written");
}

#[test]
fn many_objects_are_listed() {
    let bench = with_files(120);
    std::fs::remove_file(bench.object(b"content 77")).unwrap();
    bench.work().s3lfs(&["verify"]).fails(3).says(&["d/77.bin", "1 of 120"]);
    assert_eq!(bench.server.count(Op::Head), 0, "a page of a listing has 1,000");
    assert!(bench.server.count(Op::List) >= 1 && bench.server.take().len() <= 300);
}

#[test]
fn what_can_not_be_asked_is_not_missing() {
    let bench = with_files(3);
    bench.server.fault(Op::Head, 1, Fault::Refuse(403, "AccessDenied"));
    bench.work().s3lfs(&["verify"]).fails(3).says(&["not looked at", "permission denied", "0 of 3", "1 could not be"]);
    let bench = with_files(120);
    bench.server.fault(Op::List, 1000, Fault::Refuse(403, "AccessDenied"));
    bench.work().s3lfs(&["verify"]).fails(1).says(&["permission denied"]).never_says(&["missing"]);
}

#[test]
fn prune_drops_nothing_that_the_service_did_not_confirm() {
    let bench = Bench::ready();
    let work = bench.work();
    for content in ["first", "second", "third"] {
        work.commit("a.bin", content.as_bytes());
    }
    work.git(&["push", "-q"]).ok();
    bench.server.fault(Op::Head, 1000, Fault::Refuse(403, "AccessDenied"));
    work.s3lfs(&["prune"]).fails(1).says(&["permission denied", "nothing was dropped"]);
    bench.server.mend();
    std::fs::remove_file(bench.object(b"first")).unwrap();
    work.s3lfs(&["prune"]).ok().says(&["1 cached object ", "2 kept"]); // all three were still there
}

#[test]
fn a_wrong_secret_is_told_as_what_it_is_by_every_command() {
    let bench = with_files(2);
    let (id, _) = bench.server.credentials();
    let wrong = bench.work().env("AWS_ACCESS_KEY_ID", id).env("AWS_SECRET_ACCESS_KEY", "wrong");
    let texts = ["SignatureDoesNotMatch", "access key ...", "from the environment", "export AWS_ACCESS_KEY_ID=<id>"];
    let told = |args: &[&str]| {
        let ran = wrong.s3lfs(args);
        assert_ne!(ran.code, 0, "{args:?} needs the store");
        ran.says(&texts).never_says(&["permission denied"]);
    };
    told(&["verify"]);
    told(&["verify", "--deep"]);
    told(&["verify", "--all"]);
    wrong.write("d/0.bin", "another content");
    told(&["upload", "d/0.bin"]);
    told(&["cleanup", "--dry-run"]);
    wrong.git(&["commit", "-qam", "another"]);
    wrong.git(&["push", "-q"]).fails(1).says(&texts);
    wrong.drop_cache();
    wrong.git(&["checkout", "-q", "--", "."]);
    wrong.leave_pointer("d/1.bin");
    told(&["download", "d/1.bin"]);
    told(&["fsck"]);
}
