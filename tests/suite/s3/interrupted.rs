//! Downloads that are broken off: they go on where they stopped, in this process and in the next one.
//! And what ends in the middle of a transfer: a bucket, a token, a part.

use std::collections::BTreeSet;
use std::fs;
use std::ops::Range;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::bench::{Bench, random};
use super::fault::Fault;
use super::server::Op;
use crate::world::{Place, pointer};

const MIB: usize = 1 << 20;

/// Bytes that compress to about half.
fn half(len: usize, seed: u64) -> Vec<u8> {
    random(len / 2, seed).iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect()
}

/// What is kept of downloads: the path of each, and which MiB are here, by the log beside it.
fn kept(work: &Place<'_>) -> Vec<(PathBuf, BTreeSet<usize>)> {
    let entries = fs::read_dir(work.join(".git/s3lfs/downloads")).into_iter().flatten().flatten();
    let parts = entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|ext| ext == "part"));
    let blocks = |log: String| -> BTreeSet<usize> {
        let number = |line: &str| line.strip_prefix("{\"block\":")?.strip_suffix('}')?.parse().ok();
        log.lines().filter_map(number).collect()
    };
    parts.map(|part| (part.clone(), blocks(fs::read_to_string(part.with_extension("")).unwrap_or_default()))).collect()
}

#[track_caller]
fn nothing_is_kept(work: &Place<'_>) {
    for dir in ["downloads", "tmp"] {
        let left = fs::read_dir(work.join(".git/s3lfs").join(dir)).map_or(0, |entries| entries.count());
        assert_eq!(left, 0, "{dir} is empty in the end");
    }
}

/// The ranges that were asked for.
fn ranges(bench: &Bench) -> Vec<Range<usize>> {
    let range = |range: &str| {
        let (start, last) = range.trim_start_matches("bytes=").split_once('-').unwrap();
        start.parse().unwrap()..last.parse::<usize>().unwrap() + 1
    };
    bench.server.seen(Op::Get).iter().map(|get| range(get.header("range").expect("a range"))).collect()
}

/// Where they begin.
fn starts(bench: &Bench) -> Vec<usize> {
    ranges(bench).iter().map(|range| range.start).collect()
}

/// A download of which the beginning and one of several streams came before it failed.
fn broken_off(content: &[u8]) -> Bench {
    let bench = Bench::with(content);
    bench.server.fault(Op::Get, 2, Fault::Nothing);
    bench.server.fault(Op::Get, 1000, Fault::Refuse(403, "AccessDenied"));
    bench.work().s3lfs(&["download", "a.bin"]).fails(1);
    assert_eq!(bench.work().text("a.bin"), pointer(content));
    let kept = kept(&bench.work());
    // Which of the streams that was, the scheduler decides; the last one is short.
    assert!(matches!(&kept[..], [(_, blocks)] if !blocks.is_empty()), "what came stays: {kept:?}");
    bench.server.mend();
    bench.server.take();
    bench
}

#[test]
fn a_download_that_failed_goes_on_in_another_process() {
    for content in [random(40 * MIB, 100), half(60 * MIB, 101)] {
        let bench = broken_off(&content);
        let work = bench.work();
        let [(_, before)] = &kept(&work)[..] else { panic!("one is kept") };
        work.s3lfs(&["download", "a.bin"]).ok();
        assert!(work.read("a.bin") == content, "every byte is right");
        let gets = bench.server.seen(Op::Get);
        assert!(gets.iter().all(|get| get.header("if-match").is_some()), "all of the version that was begun with");
        let again = |range: &Range<usize>| before.iter().any(|block| range.contains(&(block * MIB)));
        assert!(!ranges(&bench).iter().any(again), "what is here is not fetched again: {before:?}");
        nothing_is_kept(&work);
        work.is_clean();
    }
}

#[test]
fn a_download_whose_process_was_killed_goes_on_in_another() {
    let content = random(40 * MIB, 102);
    let bench = Bench::with(&content);
    let work = bench.work();
    bench.server.fault(Op::Get, 3, Fault::Nothing);
    bench.server.fault(Op::Get, 1000, Fault::Hang);
    // The beginning, and two streams of seven MiB: one request at a time, so that they come in order.
    let mut child = work.command("s3lfs").args(["-j", "1", "download", "a.bin"]).stderr(Stdio::null()).spawn().unwrap();
    let begun = Instant::now();
    let two = (0..14).collect();
    while kept(&work).first().is_none_or(|(_, blocks)| *blocks != two) {
        assert!(begun.elapsed() < Duration::from_secs(60), "two streams come in time: {:?}", kept(&work));
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(work.text("a.bin"), pointer(&content), "nothing half-written is visible");
    bench.server.mend();
    bench.server.take();
    // Git itself goes on with it, too.
    work.remove("a.bin");
    work.git(&["checkout", "--", "a.bin"]).ok();
    assert!(work.read("a.bin") == content);
    assert_eq!(starts(&bench).iter().min(), Some(&(14 * MIB)));
}

#[test]
fn a_download_of_another_version_begins_anew() {
    let content = random(40 * MIB, 103);
    let bench = broken_off(&content);
    // One: which of several ranges are under way when the first is refused is the scheduler's affair.
    bench.server.fault(Op::Get, 1, Fault::Refuse(412, "PreconditionFailed"));
    bench.work().s3lfs(&["download", "a.bin"]).ok();
    assert!(bench.work().read("a.bin") == content);
    assert!(starts(&bench).contains(&0));
    nothing_is_kept(&bench.work());
}

#[test]
fn kept_bytes_that_are_damaged_are_fetched_again() {
    for content in [random(40 * MIB, 104), half(60 * MIB, 105)] {
        let bench = broken_off(&content);
        let work = bench.work();
        let (part, blocks) = kept(&work).remove(0);
        let mut bytes = fs::read(&part).unwrap();
        bytes[blocks.first().unwrap() * MIB + 77] ^= 1;
        fs::write(&part, bytes).unwrap();
        work.s3lfs(&["download", "a.bin"]).ok();
        assert!(work.read("a.bin") == content, "the hash tells");
        nothing_is_kept(&work);
    }
}

#[test]
fn two_processes_at_once_do_not_share_what_is_kept() {
    let content = random(40 * MIB, 106);
    let bench = broken_off(&content);
    let work = bench.work();
    bench.server.fault(Op::Get, 1000, Fault::Delay(Duration::from_millis(300)));
    let run = || work.command("s3lfs").args(["download", "a.bin"]).stderr(Stdio::null()).spawn().unwrap();
    for mut child in [run(), run(), run()] {
        assert!(child.wait().unwrap().success());
    }
    assert!(work.read("a.bin") == content);
    nothing_is_kept(&work);
}

#[test]
fn a_range_that_breaks_off_goes_on_where_it_stopped() {
    let content = random(20 * MIB, 107);
    let bench = Bench::with(&content);
    bench.server.fault(Op::Get, 1, Fault::Nothing);
    bench.server.fault(Op::Get, 2, Fault::Truncate);
    bench.work().s3lfs(&["download", "a.bin"]).ok();
    assert!(bench.work().read("a.bin") == content);
    let starts = starts(&bench);
    assert!(starts.iter().any(|start| start % (4 * MIB) != 0), "in the middle of a stream: {starts:?}");
    assert_eq!(starts.len(), 8, "the beginning, and five streams, two of them in two pieces");
}

#[test]
fn a_range_that_breaks_off_at_once_is_asked_for_again() {
    let content = random(20 * MIB, 110);
    let bench = Bench::with(&content);
    bench.server.fault(Op::Get, 1, Fault::Nothing);
    bench.server.fault(Op::Get, 5, Fault::BreakOff(10_000));
    bench.work().s3lfs(&["download", "a.bin"]).ok();
    assert!(bench.work().read("a.bin") == content);
    assert_eq!(starts(&bench).len(), 11, "the beginning, five streams, and each of these once more");
}

/// All of an object that must be decoded came, and was not decoded yet.
#[test]
fn what_came_whole_is_not_fetched_again() {
    let content = half(60 * MIB, 111);
    let bench = broken_off(&content);
    let work = bench.work();
    let (part, _) = kept(&work).remove(0);
    let object = bench.stored(&content).unwrap();
    fs::write(&part, &object).unwrap();
    let log = part.with_extension("");
    let blocks: String = (0..object.len().div_ceil(MIB)).map(|block| format!("{{\"block\":{block}}}\n")).collect();
    fs::write(&log, format!("{}{blocks}", fs::read_to_string(&log).unwrap())).unwrap();
    work.s3lfs(&["download", "a.bin"]).ok();
    assert!(work.read("a.bin") == content);
    assert!(starts(&bench).is_empty(), "nothing was asked for");
    nothing_is_kept(&work);

    let bench = broken_off(&content);
    let work = bench.work();
    let (part, _) = kept(&work).remove(0);
    let mut damaged = object.to_vec();
    damaged[object.len() / 2] ^= 1;
    fs::write(&part, &damaged).unwrap();
    let log = part.with_extension("");
    fs::write(&log, format!("{}{blocks}", fs::read_to_string(&log).unwrap())).unwrap();
    work.s3lfs(&["download", "a.bin"]).ok();
    assert!(work.read("a.bin") == content, "what is no good is thrown away, and fetched");
    nothing_is_kept(&work);
}

/// 30 seconds each (`STALL` in src/store/connect.rs), so they wait together.
#[test]
fn a_body_that_stalls_is_gone_on_with() {
    let content = || {
        let content = random(20 * MIB, 108);
        let bench = Bench::with(&content);
        bench.server.fault(Op::Get, 1, Fault::Nothing);
        bench.server.fault(Op::Get, 1, Fault::Stall(3 * MIB));
        bench.work().s3lfs(&["download", "a.bin"]).ok();
        assert!(bench.work().read("a.bin") == content);
        let goes_on = |start: &usize| start % (4 * MIB) == 3 * MIB;
        assert!(starts(&bench).iter().any(goes_on), "a stream begins where it stopped: {:?}", starts(&bench));
    };
    let refusal = || {
        let bench = Bench::with(b"content");
        bench.server.fault(Op::Registration, 1, Fault::Stall(10));
        bench.server.fault(Op::List, 1, Fault::Stall(10));
        let work = bench.work();
        std::fs::remove_file(bench.object(b"content")).unwrap();
        work.s3lfs(&["download", "a.bin"]).fails(1).says(&["there is no such object"]);
        assert_eq!(bench.server.count(Op::List), 2, "a listing is asked for again");
        work.sh("rm -rf .git/s3lfs/registered").ok();
        work.commit("new.bin", b"new");
        work.git(&["push", "-q"]).ok();
        assert!(bench.has(b"new"), "and so is a registration");
    };
    std::thread::scope(|scope| {
        scope.spawn(content);
        scope.spawn(refusal);
    });
}

/// A minute each (`deadline` in src/store/line.rs), so they wait together.
#[test]
fn an_upload_that_is_never_begun_or_thrown_away_does_not_hang() {
    let content = random(20 * MIB, 109);
    let begin = || {
        let bench = Bench::ready();
        bench.work().write("large.bin", &content);
        bench.server.fault(Op::Begin, 1, Fault::Hang);
        bench.work().s3lfs(&["upload", "large.bin"]).ok();
        assert_eq!(bench.server.count(Op::Begin), 2);
        assert!(bench.has(&content));
    };
    let head = || {
        let bench = Bench::ready();
        bench.work().write("large.bin", &content);
        bench.server.fault(Op::Head, 1, Fault::Hang);
        bench.work().s3lfs(&["upload", "large.bin"]).ok();
        assert!(bench.has(&content));
    };
    std::thread::scope(|scope| {
        scope.spawn(begin);
        scope.spawn(head);
    });
}

#[test]
fn a_bucket_that_vanishes_in_the_middle_is_one_error_and_the_upload_goes_on_when_it_is_back() {
    let content = random(40 * MIB, 110);
    let bench = Bench::ready();
    let work = bench.work();
    work.write("large.bin", &content);
    bench.server.fault(Op::UploadPart, 2, Fault::Nothing);
    bench.server.fault(Op::UploadPart, 1000, Fault::Refuse(404, "NoSuchBucket"));
    work.s3lfs(&["upload", "large.bin"]).fails(1).says(&["NoSuchBucket"]);
    assert_eq!(work.git(&["ls-files", "large.bin"]).stdout, "");
    bench.server.mend();
    bench.server.take();
    work.s3lfs(&["upload", "large.bin"]).ok();
    assert_eq!((bench.server.count(Op::Begin), bench.server.count(Op::UploadPart)), (0, 3));
    work.git(&["commit", "-qm", "large"]).ok();
    work.leave_pointer("large.bin");
    bench.server.fault(Op::Get, 2, Fault::Nothing);
    bench.server.fault(Op::Get, 1000, Fault::Refuse(404, "NoSuchBucket"));
    work.s3lfs(&["download", "large.bin"]).fails(1).says(&["NoSuchBucket"]);
    bench.server.mend();
    work.s3lfs(&["download", "large.bin"]).ok();
    assert!(work.read("large.bin") == content);
}

#[test]
fn a_token_that_ends_in_the_middle_is_renewed_where_that_can_be() {
    let content = random(40 * MIB, 111);
    let bench = Bench::ready();
    let (id, secret) = bench.server.credentials();
    let (script, calls) = (bench.world.path("give"), bench.world.path("calls"));
    // The service takes any token with this key; each call gives another one.
    let text = format!(
        "#!/bin/sh\necho called >>'{0}'\nprintf '{{\"Version\": 1, \"AccessKeyId\": \"{id}\", \"SecretAccessKey\": \"{secret}\", \
         \"SessionToken\": \"token%s\", \"Expiration\": \"2099-01-01T00:00:00Z\"}}' \"$(wc -l <'{0}' | tr -d ' ')\"\n",
        calls.display()
    );
    bench.world.at("").script("give", &text);
    fs::create_dir_all(bench.world.path(".aws")).unwrap();
    fs::write(bench.world.path(".aws/config"), format!("[default]\ncredential_process = {}\n", script.display()))
        .unwrap();
    let work = bench.world.at("work").env("NO_PROXY", "127.0.0.1").env("AWS_EC2_METADATA_DISABLED", "true");
    work.write("large.bin", &content);
    bench.server.fault(Op::UploadPart, 2, Fault::Nothing);
    bench.server.fault(Op::UploadPart, 2, Fault::Refuse(400, "ExpiredToken"));
    work.s3lfs(&["upload", "large.bin"]).ok();
    assert!(bench.stored(&content).unwrap() == content);
    assert_eq!(bench.server.count(Op::Begin), 1, "it is the same upload");
    let called = || fs::read_to_string(&calls).unwrap().lines().count();
    assert!((2..=3).contains(&called()), "asked again when the service said so, {} times", called());
    // The same one again is no new one.
    bench.world.at("").script("give", &text.replace("token%s", "token"));
    work.write("other.bin", "other");
    bench.server.fault(Op::Put, 1000, Fault::Refuse(400, "ExpiredToken"));
    work.s3lfs(&["upload", "other.bin"]).fails(1).says(&["credentials", "ExpiredToken"]);
    assert!(bench.server.count(Op::Put) <= 3, "and is not tried for ever");
}

#[test]
fn a_token_that_cannot_be_renewed_is_one_error_and_the_upload_goes_on_with_another() {
    let content = random(40 * MIB, 112);
    let bench = Bench::ready();
    let work = bench.work();
    work.write("large.bin", &content);
    bench.server.fault(Op::UploadPart, 2, Fault::Nothing);
    bench.server.fault(Op::UploadPart, 1000, Fault::Refuse(400, "ExpiredToken"));
    let ran = work.s3lfs(&["upload", "large.bin"]).fails(1).says(&["credentials", "ExpiredToken", "AWS_SESSION_TOKEN"]);
    assert_eq!(ran.stderr.lines().filter(|line| line.contains("s3lfs: ")).count(), 1);
    bench.server.mend();
    bench.server.take();
    work.s3lfs(&["upload", "large.bin"]).ok();
    assert_eq!((bench.server.count(Op::Begin), bench.server.count(Op::UploadPart)), (0, 3));
}

#[test]
fn a_part_that_is_lost_is_sent_again() {
    let content = random(20 * MIB, 113);
    let bench = Bench::ready();
    bench.work().write("large.bin", &content);
    bench.server.fault(Op::Complete, 1, Fault::Refuse(400, "InvalidPart"));
    bench.work().s3lfs(&["upload", "large.bin"]).ok().says(&["lost a part"]);
    assert!(bench.stored(&content).unwrap() == content);
    // In the log of a process that failed, too.
    let bench = Bench::ready();
    let work = bench.work();
    work.write("large.bin", &content);
    bench.server.fault(Op::Complete, 1000, Fault::Refuse(400, "InvalidPart"));
    work.s3lfs(&["upload", "large.bin"]).fails(1).says(&["lost a part"]);
    bench.server.mend();
    work.s3lfs(&["upload", "large.bin"]).ok();
    assert!(bench.stored(&content).unwrap() == content);
}

#[test]
fn of_many_parts_only_the_lost_one_is_sent_again() {
    let content = random(40 * MIB, 117);
    let bench = Bench::ready();
    let work = bench.work();
    work.write("large.bin", &content);
    bench.server.fault(Op::Complete, 1, Fault::LosePart(3));
    bench.server.fault(Op::Complete, 1, Fault::LosePart(1));
    // Of the second loss, the service says nothing.
    bench.server.fault(Op::ListParts, 1, Fault::Nothing);
    bench.server.fault(Op::ListParts, 1, Fault::Refuse(403, "AccessDenied"));
    work.s3lfs(&["upload", "large.bin"]).ok().says(&["lost a part", "1 of its parts sent again", "all parts"]);
    assert_eq!(bench.server.count(Op::UploadPart), 5 + 1 + 5, "the one that is gone, and then all of another upload");
    assert_eq!(bench.server.count(Op::Begin), 2);
    assert!(bench.stored(&content).unwrap() == content);

    // By a process that goes on: the log has all five.
    let bench = Bench::ready();
    let work = bench.work();
    work.write("large.bin", &content);
    bench.server.fault(Op::Complete, 1000, Fault::Refuse(403, "AccessDenied"));
    work.s3lfs(&["upload", "large.bin"]).fails(1);
    bench.server.mend();
    bench.server.take();
    bench.server.fault(Op::Complete, 1, Fault::LosePart(5));
    work.s3lfs(&["upload", "large.bin"]).ok().says(&["1 of its parts sent again"]);
    assert_eq!((bench.server.count(Op::UploadPart), bench.server.count(Op::Begin)), (1, 0), "no more than that");
    assert!(bench.stored(&content).unwrap() == content);
    assert_eq!(fs::read_dir(work.join(".git/s3lfs/uploads")).unwrap().count(), 0, "the log is gone");
}

#[test]
fn an_object_that_was_put_together_without_a_part_is_not_believed() {
    let content = random(20 * MIB, 114);
    let bench = Bench::ready();
    let work = bench.work();
    work.write("large.bin", &content);
    // The first look is before the upload, the second one after it.
    bench.server.fault(Op::Head, 1, Fault::Nothing);
    bench.server.fault(Op::Head, 1, Fault::Header("content-length", Some("12582912")));
    work.s3lfs(&["upload", "large.bin"]).ok().says(&["12582912"]);
    assert_eq!(bench.server.count(Op::Begin), 2, "all is sent again");
    assert!(bench.stored(&content).unwrap() == content);
}

#[test]
fn an_operation_that_conflicts_with_another_is_tried_again() {
    let content = random(20 * MIB, 115);
    let bench = Bench::ready();
    let work = bench.work();
    work.write("large.bin", &content);
    work.write("small.bin", "small");
    bench.server.fault(Op::Put, 2, Fault::Refuse(409, "ConditionalRequestConflict"));
    bench.server.fault(Op::Begin, 1, Fault::Refuse(409, "OperationAborted"));
    bench.server.fault(Op::Complete, 2, Fault::Refuse(409, "ConditionalRequestConflict"));
    work.s3lfs(&["upload", "large.bin", "small.bin"]).ok();
    assert_eq!(bench.server.count(Op::Put), 3, "a 409 is no proof that it is there");
    assert!(bench.has(b"small") && bench.stored(&content).unwrap() == content);
}

#[test]
fn a_complete_that_is_answered_twice_is_right() {
    let content = random(20 * MIB, 116);
    let bench = Bench::ready();
    let work = bench.work();
    work.write("large.bin", &content);
    // Done, its answer lost; done again, since the service remembers; or not known any more.
    bench.server.fault(Op::Complete, 2, Fault::LoseAnswer);
    work.s3lfs(&["upload", "large.bin"]).ok();
    assert!(bench.stored(&content).unwrap() == content);
    assert!(bench.server.count(Op::UploadPart) <= 4, "at the most one part is sent to see whether it is known");
    work.git(&["commit", "-qm", "large"]).ok();
    work.git(&["push", "-q"]).ok();
    assert_eq!(bench.cloned("other").read("large.bin"), content);
}
