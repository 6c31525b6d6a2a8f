//! Large files: several parts up, ranges of one version down, and an upload that goes on in another
//! process.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::bench::{Bench, compressible, random};
use super::fault::Fault;
use super::server::{Op, Seen};
use crate::scratch::run;
use crate::world::oid;

const MIB: usize = 1 << 20;

/// The numbers of the parts that arrived.
fn parts(seen: &[Seen]) -> Vec<u32> {
    let mut numbers: Vec<u32> = seen.iter().map(|part| part.query("partNumber").unwrap().parse().unwrap()).collect();
    numbers.sort_unstable();
    numbers
}

fn there_and_back(content: &[u8], least_parts: usize) -> Bench {
    let bench = Bench::ready();
    let work = bench.work();
    work.write("large.bin", content);
    work.s3lfs(&["upload", "large.bin"]).ok();
    let numbers = parts(&bench.server.seen(Op::UploadPart));
    assert!(numbers.len() >= least_parts, "in several parts: {numbers:?}");
    assert_eq!(numbers, (1..=numbers.len() as u32).collect::<Vec<_>>(), "each part once, numbered from 1");
    assert_eq!((bench.server.count(Op::Begin), bench.server.count(Op::Complete)), (1, 1));
    assert_eq!((bench.server.count(Op::Put), bench.server.count(Op::Abort)), (0, 0));
    assert_eq!(std::fs::read_dir(work.join(".git/s3lfs/uploads")).unwrap().count(), 0, "nothing is left unfinished");
    work.git(&["commit", "-qm", "large"]).ok();
    work.leave_pointer("large.bin");
    bench.server.take();
    work.s3lfs(&["download", "large.bin"]).ok();
    assert!(work.read("large.bin") == content, "every byte is right");
    work.is_clean();
    bench
}

#[test]
fn what_does_not_compress_goes_in_parts_and_comes_in_ranges_of_one_version() {
    let content = random(40 * MIB, 40);
    let bench = there_and_back(&content, 5);
    let gets = bench.server.seen(Op::Get);
    assert!(gets.len() >= 5, "in several ranges");
    let ranges: BTreeSet<&str> = gets.iter().map(|get| get.header("range").expect("a range")).collect();
    assert_eq!(ranges.len(), gets.len(), "each once");
    let versions: BTreeSet<_> = gets[1..].iter().map(|get| get.header("if-match").expect("a version")).collect();
    assert_eq!(versions.len(), 1, "all of the version that the first range was of");
    assert!(bench.server.most_in_flight() > 1, "several at once");
}

#[test]
fn what_compresses_goes_in_parts_of_whole_gzip_members() {
    let content = compressible(70 * MIB);
    let bench = there_and_back(&content, 3);
    let object = bench.stored(&content).unwrap();
    assert_eq!(object[..2], [0x1f, 0x8b]);
    assert!(object.len() < content.len() / 2, "it is compressed: {} bytes", object.len());
    let gzip = run(std::process::Command::new("gzip").arg("-dc"), &object);
    assert!(gzip.stdout == content, "gzip alone gives it back");
}

#[test]
fn an_object_written_anew_meanwhile_is_read_again() {
    let content = random(20 * MIB, 41);
    let bench = Bench::with(&content);
    // The first range is answered, the second finds another version.
    bench.server.fault(Op::Get, 1, Fault::Nothing);
    bench.server.fault(Op::Get, 1, Fault::Refuse(412, "PreconditionFailed"));
    bench.work().s3lfs(&["download", "a.bin"]).ok();
    assert!(bench.work().read("a.bin") == content);
}

/// A repository in which the upload of `content` was broken off: two parts were confirmed.
fn broken_off(content: &[u8]) -> Bench {
    let bench = Bench::ready();
    bench.work().write("large.bin", content);
    bench.server.fault(Op::UploadPart, 2, Fault::Nothing);
    bench.server.fault(Op::UploadPart, 1000, Fault::Refuse(403, "AccessDenied"));
    bench.work().s3lfs(&["upload", "large.bin"]).fails(1);
    assert_eq!(bench.server.count(Op::Complete), 0, "an object without all its parts is none");
    assert!(!bench.has(content));
    bench.server.mend();
    bench
}

#[test]
fn an_upload_that_failed_goes_on_in_another_process() {
    let content = random(40 * MIB, 42);
    let bench = broken_off(&content);
    bench.server.take();
    bench.work().s3lfs(&["upload", "large.bin"]).ok();
    assert_eq!(bench.server.count(Op::UploadPart), 3, "two of five parts were confirmed before");
    assert_eq!(bench.server.count(Op::Begin), 0, "it is the same upload");
    assert_eq!(bench.server.count(Op::Complete), 1);
    assert!(bench.stored(&content).unwrap() == content);
}

#[test]
fn compressed_parts_are_the_same_in_another_process() {
    // Two fifths of it are left: its parts are as long as a sample says.
    let content: Vec<u8> = random(40 * MIB, 47).chunks(1024).flat_map(|piece| [piece, &[0; 1536]].concat()).collect();
    let whole = Bench::ready();
    whole.work().write("large.bin", &content);
    whole.work().s3lfs(&["upload", "large.bin"]).ok();
    let (parts, object) = (whole.server.count(Op::UploadPart), whole.stored(&content).unwrap());
    assert!(parts > 3, "there is something left after two: {parts} parts");
    let bench = broken_off(&content);
    bench.server.take();
    bench.work().s3lfs(&["upload", "large.bin"]).ok();
    assert_eq!(bench.server.count(Op::UploadPart), parts - 2, "two of {parts} parts were confirmed before");
    assert_eq!(bench.server.count(Op::Begin), 0, "it is the same upload");
    assert!(bench.stored(&content).unwrap() == object, "and the same object as of one that was not broken off");
}

#[test]
fn an_upload_whose_process_was_killed_goes_on_in_another() {
    let content = random(40 * MIB, 43);
    let bench = Bench::ready();
    let work = bench.work();
    work.write("large.bin", &content);
    bench.server.fault(Op::UploadPart, 3, Fault::Nothing);
    bench.server.fault(Op::UploadPart, 1000, Fault::Hang);
    let mut command = work.command("s3lfs");
    let mut child = command.args(["upload", "large.bin"]).stderr(Stdio::null()).spawn().unwrap();
    let uploads = work.join(".git/s3lfs/uploads");
    let noted = || {
        let logs = std::fs::read_dir(&uploads).into_iter().flatten().flatten();
        logs.map(|log| std::fs::read_to_string(log.path()).unwrap().lines().count().saturating_sub(1)).sum::<usize>()
    };
    let begun = Instant::now();
    while noted() < 3 {
        assert!(begun.elapsed() < Duration::from_secs(60), "three parts are confirmed in time: {}", noted());
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!bench.has(&content), "nothing half-written is visible");
    bench.server.mend();
    bench.server.take();
    work.s3lfs(&["upload", "large.bin"]).ok();
    assert_eq!(bench.server.count(Op::UploadPart), 2, "three of five parts were confirmed before");
    assert_eq!(bench.server.count(Op::Begin), 0);
    assert!(bench.stored(&content).unwrap() == content);
    work.git(&["commit", "-qm", "large"]).ok();
    work.is_clean();
}

#[test]
fn an_upload_that_was_thrown_away_there_begins_anew() {
    let content = random(40 * MIB, 44);
    let bench = broken_off(&content);
    bench.server.take();
    bench.server.fault(Op::UploadPart, 1, Fault::ForgetUpload);
    bench.work().s3lfs(&["upload", "large.bin"]).ok();
    assert_eq!(bench.server.count(Op::Begin), 1, "a lifecycle rule may abort what is unfinished");
    assert!(bench.stored(&content).unwrap() == content);
}

#[test]
fn an_upload_whose_parts_are_gone_when_it_is_completed_begins_anew() {
    let content = random(20 * MIB, 45);
    let bench = Bench::ready();
    bench.work().write("large.bin", &content);
    bench.server.fault(Op::Complete, 1, Fault::ForgetUpload);
    bench.work().s3lfs(&["upload", "large.bin"]).ok();
    // (Ceph RGW says so only after some tries.)
    assert!(bench.server.count(Op::Complete) >= 2);
    assert_eq!(bench.server.count(Op::Begin), 2);
    assert!(bench.stored(&content).unwrap() == content);
}

#[test]
fn an_upload_that_the_service_only_fails_on_begins_anew_once_it_says_that_it_is_gone() {
    let content = random(40 * MIB, 44);
    let bench = broken_off(&content);
    bench.server.take();
    // As moto answers: 500 to every part of what it does not know any more.
    bench.server.fault(Op::UploadPart, 1000, Fault::Refuse(500, "InternalError"));
    bench.server.fault(Op::ListParts, 1, Fault::Refuse(404, "NoSuchUpload"));
    // A commit has little patience, and goes without.
    bench.work().git(&["add", "large.bin"]).ok();
    bench.work().git(&["commit", "-qm", "large"]).ok();
    assert_eq!(bench.server.count(Op::Begin), 1, "the old upload is not kept for ever");
    bench.server.mend();
    bench.server.take();
    bench.work().s3lfs(&["upload", "large.bin"]).ok();
    assert_eq!(bench.server.count(Op::UploadPart), 5, "the parts of the old one are not believed");
    assert!(bench.stored(&content).unwrap() == content);
}

#[test]
fn content_that_changed_is_not_put_together_with_old_parts() {
    let content = random(40 * MIB, 46);
    let bench = broken_off(&content);
    let other = [&content[..20 * MIB], &random(20 * MIB, 47)].concat();
    bench.work().write("large.bin", &other);
    bench.server.take();
    bench.work().s3lfs(&["upload", "large.bin"]).ok();
    assert_eq!(bench.server.count(Op::UploadPart), 5, "it is another object");
    assert!(bench.stored(&other).unwrap() == other);
    assert!(!bench.has(&content));
}

#[test]
fn a_damaged_cached_copy_is_never_completed() {
    let content = random(20 * MIB, 81);
    let bench = Bench::ready();
    let work = bench.work();
    work.git(&["config", "s3lfs.uploadon", "push"]).ok();
    work.commit("large.bin", &content);
    let oid = oid(&content);
    let cached = format!(".git/s3lfs/objects/{}/{oid}", &oid[..2]);
    let mut damaged = content.clone();
    damaged[9 * MIB] ^= 1;
    work.sh(&format!("chmod u+w {cached}")).ok();
    work.write(&cached, &damaged);
    let refused = work.git(&["push", "-q"]);
    assert_ne!(refused.code, 0, "a push would publish a pointer to nothing");
    refused.says(&["damaged", "large.bin"]);
    assert_eq!((bench.server.count(Op::Complete), bench.server.count(Op::Abort)), (0, 1), "its parts are thrown away");
    assert!(!bench.has(&content));
    work.sh("touch large.bin && git add --renormalize large.bin").ok();
    work.git(&["push", "-q"]).ok();
    assert!(bench.stored(&content).unwrap() == content, "the worktree still had it");
}

#[test]
fn a_lost_answer_to_complete_is_no_loss() {
    let content = random(20 * MIB, 48);
    let bench = Bench::ready();
    bench.work().write("large.bin", &content);
    bench.server.fault(Op::Complete, 1, Fault::LoseAnswer);
    bench.work().s3lfs(&["upload", "large.bin"]).ok();
    assert_eq!(parts(&bench.server.seen(Op::UploadPart)), [1, 2, 3], "nothing is sent twice");
    assert!(bench.stored(&content).unwrap() == content);
    bench.work().git(&["commit", "-qm", "large"]).ok();
    bench.work().git(&["push", "-q"]).ok();
    assert_eq!(bench.server.count(Op::UploadPart), 3, "and it is known to be there");
}

#[test]
fn an_error_that_comes_with_200_is_an_error() {
    let content = random(20 * MIB, 49);
    let bench = Bench::ready();
    bench.work().write("large.bin", &content);
    bench.server.fault(Op::Complete, 2, Fault::ErrorIn200("InternalError"));
    bench.work().s3lfs(&["upload", "large.bin"]).ok();
    assert_eq!(bench.server.count(Op::Complete), 3, "it is tried again");
    assert_eq!(bench.server.count(Op::UploadPart), 3, "without sending a part again");
    assert!(bench.stored(&content).unwrap() == content);

    let bench = Bench::ready();
    bench.work().write("large.bin", &content);
    bench.server.fault(Op::Complete, 1000, Fault::ErrorIn200("AccessDenied"));
    bench.work().s3lfs(&["upload", "large.bin"]).fails(1).says(&["AccessDenied"]);
    assert_eq!(bench.work().git(&["ls-files", "large.bin"]).stdout, "", "what is not there is not staged");
}
