//! Services that fail for a moment, and services that are odd for good.

use std::time::Duration;

use super::bench::{Bench, compressible, random};
use super::fault::Fault;
use super::server::Op;
use crate::world::{oid, pointer};

#[test]
fn a_moments_failure_is_tried_again_whatever_the_operation() {
    let large = random(20 << 20, 50);
    for fault in [Fault::Refuse(500, "InternalError"), Fault::Refuse(503, "ServiceUnavailable"), Fault::Drop] {
        let bench = Bench::ready();
        let work = bench.work();
        work.write("small.bin", "small");
        work.write("large.bin", &large);
        let ops = [Op::Put, Op::Head, Op::Begin, Op::UploadPart, Op::Complete];
        for op in ops {
            bench.server.fault(op, 2, fault.clone());
        }
        work.s3lfs(&["upload", "small.bin", "large.bin"]).ok();
        let counts = ops.map(|op| bench.server.count(op));
        assert_eq!(counts, [3, 4, 3, 5, 3], "{fault:?}: each twice more than needed, and no request more");
        assert!(bench.has(b"small") && bench.stored(&large).unwrap() == large);
        work.git(&["commit", "-qm", "both"]).ok();
        for path in ["small.bin", "large.bin"] {
            work.leave_pointer(path);
        }
        bench.server.fault(Op::Get, 3, fault.clone());
        work.s3lfs(&["download-all"]).ok();
        assert!(work.read("large.bin") == large && work.read("small.bin") == b"small", "{fault:?}");
        work.is_clean();
    }
}

#[test]
fn a_moments_failure_while_registering_is_tried_again() {
    for fault in [Fault::Refuse(503, "ServiceUnavailable"), Fault::Drop] {
        let bench = Bench::new();
        bench.server.fault(Op::List, 1, fault.clone());
        bench.server.fault(Op::Registration, 1, fault.clone());
        let url = bench.server.url();
        bench.work().s3lfs(&["init", "--endpoint-url", &url, bench.server.bucket(), "proj"]).ok();
    }
    let bench = Bench::ready();
    let work = bench.work();
    work.sh("rm -rf .git/s3lfs/registered").ok();
    work.commit("a.bin", b"content");
    work.sh("rm -rf .git/s3lfs/registered .git/s3lfs/uploaded").ok();
    bench.server.fault(Op::Registration, 2, Fault::Refuse(500, "InternalError"));
    work.git(&["push", "-q"]).ok();
}

#[test]
fn a_service_that_asks_to_wait_is_obeyed() {
    let bench = Bench::with(b"content");
    bench.server.fault(Op::Get, 1, Fault::SlowDown(2));
    let begun = std::time::Instant::now();
    bench.work().s3lfs(&["download", "a.bin"]).ok();
    assert_eq!(bench.server.count(Op::Get), 2, "one attempt, and one after the wait");
    assert!(begun.elapsed() >= Duration::from_secs(2), "which is not shorter than asked");
}

#[test]
fn a_commit_does_not_wait_as_long_as_a_service_may_ask() {
    let bench = Bench::ready();
    bench.server.fault(Op::Put, 1, Fault::SlowDown(100));
    let begun = std::time::Instant::now();
    bench.work().commit("a.bin", b"content").says(&["warning", "git push"]);
    assert!(begun.elapsed() < Duration::from_secs(50), "the commit goes without the upload");
    bench.work().git(&["push", "-q"]).ok();
    assert!(bench.has(b"content"), "which the push makes up for");
}

/// 30 seconds each (`STALL` and the deadline of small writes in src/store), so they wait together.
#[test]
fn a_service_that_falls_silent_is_asked_again() {
    let read = || {
        let bench = Bench::with(b"content");
        bench.server.fault(Op::Get, 1, Fault::Hang);
        bench.work().s3lfs(&["download", "a.bin"]).ok();
        assert_eq!(bench.work().read("a.bin"), b"content");
        assert_eq!(bench.server.count(Op::Get), 2, "once more after a read without an answer");
    };
    let write = || {
        let bench = Bench::ready();
        bench.server.fault(Op::Put, 1, Fault::Hang);
        bench.work().write("a.bin", "content");
        bench.work().s3lfs(&["upload", "a.bin"]).ok();
        assert_eq!(bench.server.count(Op::Put), 2, "once more after a write without an answer");
        assert!(bench.has(b"content"));
    };
    std::thread::scope(|scope| {
        scope.spawn(read);
        scope.spawn(write);
    });
}

#[test]
fn a_body_that_ends_early_is_asked_for_again() {
    for content in [random(300_000, 51), compressible(3 << 20), random(20 << 20, 52)] {
        let bench = Bench::with(&content);
        bench.server.fault(Op::Get, 2, Fault::Truncate);
        bench.work().s3lfs(&["download", "a.bin"]).ok();
        assert!(bench.work().read("a.bin") == content, "nothing short is taken for the whole");
    }
}

#[test]
fn bodies_that_always_end_early_are_an_error_and_leave_nothing() {
    let content = random(300_000, 53);
    let bench = Bench::with(&content);
    bench.server.fault(Op::Get, 1, Fault::Truncate);
    bench.server.fault(Op::Get, 1000, Fault::Refuse(403, "AccessDenied"));
    bench.work().s3lfs(&["download", "a.bin"]).fails(1).says(&[&oid(&content)]);
    assert_eq!(bench.work().text("a.bin"), pointer(&content));
    assert_nothing_cached(&bench, &content);
}

#[test]
fn a_service_without_ranges_works() {
    for content in [compressible(50_000), random(20 << 20, 54)] {
        let bench = Bench::with(&content);
        bench.server.fault(Op::Get, 1000, Fault::WholeObject);
        bench.work().s3lfs(&["download", "a.bin"]).ok();
        assert!(bench.work().read("a.bin") == content);
        assert_eq!(bench.server.count(Op::Get), 2, "it is asked for a range once, and then for the whole");
        let last = bench.server.seen(Op::Get).pop().unwrap();
        assert_eq!(last.header("range"), None);
    }
}

#[test]
fn without_ranges_a_broken_body_begins_anew() {
    let content = random(9 << 20, 55);
    let bench = Bench::with(&content);
    bench.server.fault(Op::Get, 1, Fault::WholeObject);
    bench.server.fault(Op::Get, 2, Fault::Truncate);
    bench.work().s3lfs(&["download", "a.bin"]).ok();
    assert!(bench.work().read("a.bin") == content);
}

#[test]
fn wrong_bytes_are_an_error_that_names_the_key() {
    for content in [random(50_000, 56), compressible(50_000), random(20 << 20, 57)] {
        let bench = Bench::with(&content);
        let work = bench.work();
        bench.server.fault(Op::Get, 1000, Fault::WrongByte);
        let ran = work.s3lfs(&["download", "a.bin"]).fails(1);
        ran.says(&["a.bin", &super::bench::key(&content), "not what the pointer names"]);
        assert_eq!(work.text("a.bin"), pointer(&content), "the file is as it was");
        assert_nothing_cached(&bench, &content);
        work.remove("a.bin");
        let ran = work.git(&["checkout", "--", "a.bin"]);
        assert_ne!(ran.code, 0, "Git is told, too");
        ran.says(&[&super::bench::key(&content)]);
        assert!(!work.exists("a.bin"), "and writes nothing");
        bench.server.mend();
        work.git(&["checkout", "--", "a.bin"]).ok();
        assert!(work.read("a.bin") == content, "nothing wrong was kept");
    }
}

#[test]
fn what_is_damaged_on_its_way_here_is_read_again() {
    for content in [random(50_000, 59), compressible(50_000), random(20 << 20, 49)] {
        let bench = Bench::with(&content);
        let work = bench.work();
        bench.server.fault(Op::Get, 1, Fault::WrongByte);
        work.remove("a.bin");
        work.git(&["checkout", "--", "a.bin"]).ok();
        assert!(work.read("a.bin") == content, "the second answer is right");
    }
}

#[test]
fn what_is_damaged_on_its_way_there_is_sent_again() {
    let bench = Bench::ready();
    let work = bench.work();
    let large = random(20 << 20, 58);
    work.write("small.bin", "small");
    work.write("large.bin", &large);
    bench.server.fault(Op::Put, 1, Fault::DamagedOnTheWay);
    bench.server.fault(Op::UploadPart, 1, Fault::DamagedOnTheWay);
    work.s3lfs(&["upload", "small.bin", "large.bin"]).ok();
    assert_eq!((bench.server.count(Op::Put), bench.server.count(Op::UploadPart)), (2, 4), "each once more");
    assert!(bench.stored(&large).unwrap() == large, "nothing wrong stays there");
    work.git(&["commit", "-qm", "both"]).ok();
    work.leave_pointer("small.bin");
    work.s3lfs(&["download", "small.bin"]).ok();
    assert_eq!(work.read("small.bin"), b"small");
}

/// Neither the content nor anything half of it.
fn assert_nothing_cached(bench: &Bench, content: &[u8]) {
    let state = bench.work().join(".git/s3lfs");
    let oid = oid(content);
    assert!(!state.join("objects").join(&oid[..2]).join(&oid).exists(), "wrong content never enters the cache");
    let left = std::fs::read_dir(state.join("tmp")).map_or(0, |entries| entries.count());
    assert_eq!(left, 0, "and no temporary file stays behind");
}
