//! Commands that delete, killed at each request, or in want of space: the same command completes, and
//! everything that is published can still be checked out.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use super::bench::Bench;
use super::fault::Fault;
use super::server::Op;
use crate::cleanup::time::{clones_age, store_ages};
use crate::world::oid;

const GARBAGE: &[u8] = b"nobody needs this";
const FIRST: &[u8] = b"the first content";

impl Bench {
    /// Garbage that the next cleanup deletes, and garbage that is not marked yet.
    fn ripens(&self, round: usize) -> Vec<u8> {
        let young = format!("young {round}").into_bytes();
        let put = |content: &[u8]| {
            let path = self.object(content);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        };
        put(GARBAGE);
        self.work().s3lfs(&["cleanup", "--force"]).ok();
        let days = Duration::from_secs(15 * 24 * 3600);
        store_ages(&self.server.file("proj"), days);
        clones_age(&self.world, days);
        put(&young);
        young
    }

    /// Kill the command at its `number`th request of this kind, before that is answered; `false`: it sends
    /// fewer.
    pub fn killed_at(&self, args: &[&str], op: Op, number: usize) -> bool {
        self.server.take();
        self.server.fault(op, number, Fault::Nothing);
        self.server.fault(op, 1, Fault::Hang);
        let mut command = self.work().command("s3lfs");
        let mut child =
            command.args(args).stdin(Stdio::null()).stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        let killed = loop {
            if self.server.count(op) > number {
                child.kill().unwrap();
                break true;
            }
            if child.try_wait().unwrap().is_some() {
                break false;
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        child.wait().unwrap();
        self.server.mend();
        killed
    }

    /// Every commit on the remote can be checked out by who has nothing.
    #[track_caller]
    fn all_is_there(&self, clone: &str) {
        let place = self.cloned(clone);
        let commits = place.git(&["rev-list", "origin/main"]).ok().stdout;
        for commit in commits.lines() {
            place.drop_cache();
            place.git(&["checkout", "-q", "--force", commit]).ok();
        }
        place.s3lfs(&["verify", "--all", "--deep"]).ok();
    }

    fn published() -> Self {
        let bench = Bench::with(FIRST);
        bench.work().s3lfs(&["download-all"]).ok();
        bench.work().commit("a.bin", b"the second content");
        bench.work().git(&["push", "-q"]).ok();
        bench
    }
}

#[test]
fn a_killed_cleanup_is_completed_by_the_next() {
    let bench = Bench::published();
    let mut points = 0;
    let mut round = 0;
    for op in [Op::Registration, Op::List, Op::ListUploads, Op::Get, Op::Put, Op::DeleteMany] {
        for number in 0..2 {
            let young = bench.ripens(round);
            round += 1;
            if !bench.killed_at(&["cleanup", "--force"], op, number) {
                break;
            }
            points += 1;
            assert!(bench.has(&young) && bench.has(FIRST), "killed at {op:?} {number}");
            bench.work().s3lfs(&["cleanup", "--force"]).ok();
            assert!(!bench.has(GARBAGE), "the next one deletes what is old, after a kill at {op:?} {number}");
            assert!(bench.has(&young), "and no more, after a kill at {op:?} {number}");
        }
    }
    assert!(points >= 8, "it was killed in {points} places");
    bench.all_is_there("clone");
}

#[test]
fn a_killed_purge_is_completed_by_the_same_command() {
    let bench = Bench::published();
    let work = bench.work();
    let mut points = 0;
    let args = ["remove", "--purge-from-s3", "--force", "gone.bin"];
    for op in [Op::Registration, Op::List, Op::DeleteMany] {
        for number in 0.. {
            let content = format!("to be purged {op:?} {number}");
            work.commit("gone.bin", content.as_bytes());
            let killed = bench.killed_at(&args, op, number);
            if killed {
                points += 1;
                work.s3lfs(&args).ok();
            }
            assert!(!bench.has(content.as_bytes()), "it is gone, after a kill at {op:?} {number}");
            assert!(work.exists("gone.bin"), "the file stays on disk");
            assert_eq!(work.git(&["ls-files", "gone.bin"]).ok().stdout, "", "Git tracks it no more");
            work.remove("gone.bin");
            work.git(&["commit", "-qam", "gone"]).ok();
            work.git(&["reset", "-q", "--hard", "origin/main"]).ok();
            if !killed {
                break;
            }
        }
    }
    assert!(points > 4, "it was killed in {points} places");
    bench.all_is_there("clone");
}

#[test]
fn a_killed_prune_leaves_whole_objects_or_none() {
    let bench = Bench::published();
    let work = bench.work();
    work.git(&["config", "s3lfs.uploadon", "push"]).ok();
    work.commit("here.bin", b"only this disk has it");
    let cached = |content: &[u8]| work.join(&format!(".git/s3lfs/objects/{}/{}", &oid(content)[..2], oid(content)));
    for args in [&["prune"][..], &["prune", "--verify"]] {
        for op in [Op::Head, Op::List, Op::Get] {
            for number in 0.. {
                if !bench.killed_at(args, op, number) {
                    break;
                }
                assert!(cached(b"only this disk has it").exists(), "killed at {op:?} {number}");
                work.s3lfs(args).ok();
                assert!(!cached(FIRST).exists(), "the next one drops it, after a kill at {op:?} {number}");
                work.git(&["checkout", "-q", "HEAD~2"]).ok();
                assert_eq!(work.read("a.bin"), FIRST);
                work.git(&["checkout", "-q", "main"]).ok();
                work.is_clean();
            }
        }
    }
    work.git(&["push", "-q"]).ok();
    bench.all_is_there("clone");
}

#[test]
fn a_full_store_does_not_keep_cleanup_from_making_room() {
    let bench = Bench::published();
    let young = bench.ripens(0);
    bench.server.fault(Op::Put, 1000, Fault::Refuse(507, "InsufficientStorage"));
    let ran = bench.work().s3lfs(&["cleanup", "--force"]).fails(3);
    ran.says(&["Deleted 1 object", "marks", "InsufficientStorage", "run cleanup again"]);
    assert!(!bench.has(GARBAGE), "what was marked before goes");
    assert!(bench.has(&young), "what could not be marked stays");
    // What no mark in the store tells to be garbage is not deleted, however it is asked for.
    let ran = bench.work().s3lfs(&["cleanup", "--force", "--keep-newer", "0s"]).fails(3);
    ran.says(&["Deleted 0 objects", "left 1 that could not be marked"]).never_says(&["changed meanwhile"]);
    assert!(bench.has(&young));
    bench.server.mend();
    bench.work().s3lfs(&["cleanup", "--force", "--keep-newer", "0s"]).ok();
    assert!(!bench.has(&young));
    bench.all_is_there("clone");
}

#[test]
fn a_full_disk_loses_nothing() {
    let bench = Bench::published();
    let work = bench.work();
    bench.ripens(0);
    // No file can be written: an error (EFBIG), since the signal is ignored.
    let full = |line: &str| work.sh(&format!("trap '' XFSZ; ulimit -f 0; {line}"));
    full("s3lfs cleanup --force").ok();
    assert!(!bench.has(GARBAGE), "deleting in the store wants no room here");
    full("s3lfs prune").ok();
    work.commit("gone.bin", b"to be purged");
    full("s3lfs remove --purge-from-s3 --force gone.bin").fails(1);
    assert!(bench.has(b"to be purged"), "nothing is deleted that this clone can't forget");
    work.s3lfs(&["remove", "--purge-from-s3", "--force", "gone.bin"]).ok();
    assert!(!bench.has(b"to be purged"));
    work.git(&["reset", "-q", "--hard", "origin/main"]).ok();
    bench.all_is_there("clone");
}
