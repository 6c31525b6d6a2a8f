//! Ctrl-C while s3lfs itself is at work: it hashes, compresses, writes. It ends before that does, and takes along what is
//! written half.
//!
//! Apart from `ctrl_c`, where it waits for somebody.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Stdio;

use super::bench::{Bench, compressible};
use super::fault::Fault;
use super::server::Op;
use crate::world::Place;

const MIB: u64 = 1 << 20;

/// A file of zeros that takes no room, and long to go through.
fn long_file(work: &Place<'_>, path: &str, len: u64) {
    File::create(work.join(path)).unwrap().set_len(len).unwrap();
}

/// Temporary files, with their lengths.
fn temporary(work: &Place<'_>) -> Vec<(PathBuf, u64)> {
    let entries = fs::read_dir(work.join(".git/s3lfs/tmp")).into_iter().flatten().flatten();
    entries.filter_map(|entry| Some((entry.path(), entry.metadata().ok()?.len()))).collect()
}

/// Send the signal to the command and its children once it is `at_work`. How it ended, and what it said.
fn ended_by(
    signal: &str,
    bench: &Bench,
    program: &str,
    args: &[&str],
    at_work: impl FnMut() -> bool,
) -> (Option<i32>, String) {
    let work = bench.work();
    let mut command = work.command("env");
    command.args([&format!("--default-signal={signal}"), program]).args(args).process_group(0);
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    bench.waits_for("it is at work", at_work);
    work.sh(&format!("kill -{signal} -{}", child.id())).ok();
    // Its children hold the pipe, too: they have ended as well.
    let ended = child.wait_with_output().unwrap();
    assert_eq!(temporary(&work), [], "{program} {args:?}: what was written half is gone");
    assert!(!work.exists(".git/index.lock"), "{program} {args:?} leaves no lock");
    (ended.status.code(), String::from_utf8(ended.stderr).unwrap())
}

#[track_caller]
fn says_how_to_go_on((code, said): (Option<i32>, String)) {
    assert_eq!(code, Some(130), "it did not go on to its end: {said}");
    let words = ["s3lfs: interrupted", "run the same command again"];
    assert!(words.iter().all(|words| said.contains(words)) && said.lines().count() == 2, "and no more: {said}");
}

#[test]
fn while_a_large_file_is_added() {
    let bench = Bench::ready();
    let work = bench.work();
    let writes = || temporary(&work).iter().any(|(_, len)| *len > 4 * MIB);
    long_file(&work, "big.bin", 6000 * MIB);
    says_how_to_go_on(ended_by("INT", &bench, "s3lfs", &["add", "big.bin"], writes));
    for signal in ["INT", "TERM", "HUP"] {
        let (code, said) = ended_by(signal, &bench, "git", &["add", "big.bin"], writes);
        assert!(code != Some(0) && !said.contains("panicked"), "{signal}: {said}");
        let (code, said) = ended_by(signal, &bench, "s3lfs", &["upload", "big.bin"], writes);
        assert!(code > Some(128) && !said.contains("panicked"), "{signal}: {said}");
    }
    assert_eq!(work.git(&["ls-files", "big.bin"]).ok().stdout, "", "nothing was staged");
    long_file(&work, "big.bin", 3 * MIB);
    work.git(&["add", "big.bin"]).ok();
    assert!(work.blob(":big.bin").contains("size 3145728\n"), "the same command goes on");
}

#[test]
fn while_parts_are_compressed_and_sent() {
    let bench = Bench::ready();
    let work = bench.work();
    let content = compressible(150 << 20);
    work.write("large.bin", &content);
    work.git(&["add", "large.bin"]).ok();
    // So that it can't come to its end before.
    bench.server.fault(Op::UploadPart, 2, Fault::Nothing);
    bench.server.fault(Op::UploadPart, 1000, Fault::Hang);
    let sends = || bench.server.count(Op::UploadPart) > 2;
    says_how_to_go_on(ended_by("INT", &bench, "s3lfs", &["upload", "large.bin"], sends));
    bench.server.mend();
    bench.server.take();
    work.s3lfs(&["upload", "large.bin"]).ok();
    assert_eq!(bench.server.count(Op::Begin), 0, "the same command goes on with the same upload");
    assert!(bench.has(&content));
}

#[test]
fn while_a_file_of_the_worktree_is_written() {
    let bench = Bench::ready();
    let work = bench.work();
    work.git(&["config", "s3lfs.uploadon", "push"]).ok();
    work.git(&["config", "s3lfs.smudgelimit", "1"]).ok();
    long_file(&work, "big.bin", 1000 * MIB);
    work.s3lfs(&["add", "big.bin"]).ok();
    work.git(&["commit", "-qm", "big"]).ok();
    work.remove("big.bin");
    work.env("S3LFS_SKIP_SMUDGE", "1").git(&["checkout", "-q", "--", "big.bin"]).ok();
    let pointer = work.text("big.bin");
    let writes = || temporary(&work).iter().any(|(_, len)| *len > 4 * MIB);
    says_how_to_go_on(ended_by("INT", &bench, "s3lfs", &["download-all"], writes));
    assert_eq!(work.text("big.bin"), pointer, "the file is as it was");
    work.is_clean();
    work.s3lfs(&["download-all"]).ok();
    assert_eq!(fs::metadata(work.join("big.bin")).unwrap().len(), 1000 * MIB, "the same command goes on");
    work.is_clean();
}
