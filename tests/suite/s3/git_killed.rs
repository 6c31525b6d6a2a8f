//! Git itself is killed (SIGKILL) while s3lfs works for it: what works for the filter ends with it, a hook comes to its
//! own end, and the same command succeeds.
//!
//! Apart from `steps`, where s3lfs is killed.

use std::fs;
use std::process::{Child, Stdio};

use super::bench::Bench;
use super::fault::Fault;
use super::server::Op;
use crate::world::Place;

/// Processes of s3lfs that run in this worktree.
fn ours(work: &Place<'_>) -> Vec<u32> {
    let dir = fs::canonicalize(&work.dir).unwrap();
    let program = fs::canonicalize(env!("CARGO_BIN_EXE_s3lfs")).unwrap();
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let is_ours = |process: &fs::DirEntry| {
        let link = |name| fs::read_link(process.path().join(name)).ok();
        link("cwd").as_ref() == Some(&dir) && link("exe").as_ref() == Some(&program)
    };
    processes.filter(is_ours).filter_map(|process| process.file_name().to_str()?.parse().ok()).collect()
}

fn started(work: &Place<'_>, args: &[&str]) -> Child {
    let mut command = work.command("git");
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Git alone is killed; whoever works for it hears nothing of it.
fn kill(work: &Place<'_>, mut git: Child) {
    git.kill().unwrap();
    git.wait().unwrap();
    // "If it still fails, a git process may have crashed in this repository earlier: remove the file manually".
    let _ = fs::remove_file(work.join(".git/index.lock"));
}

#[test]
fn while_a_file_is_cleaned() {
    let bench = Bench::ready();
    let work = bench.work();
    let tmp = work.join(".git/s3lfs/tmp");
    let lengths = || {
        let entries = fs::read_dir(&tmp).into_iter().flatten().flatten();
        entries.filter_map(|entry| Some(entry.metadata().ok()?.len())).collect::<Vec<_>>()
    };
    for filter in ["process", "clean"] {
        fs::File::create(work.join("big.bin")).unwrap().set_len(6000 << 20).unwrap();
        let git = started(&work, &["add", "big.bin"]);
        bench.waits_for("it cleans the file", || lengths().iter().any(|len| *len > 4 << 20));
        kill(&work, git);
        bench.waits_for("the filter ends with Git", || ours(&work).is_empty());
        assert_eq!(lengths(), Vec::<u64>::new(), "{filter}: what was written half is gone");
        work.write("big.bin", format!("shorter by now, for {filter}"));
        work.git(&["add", "big.bin"]).ok();
        work.git(&["commit", "-qm", "big"]).ok();
        work.is_clean();
        // Then once more with the single command.
        work.git(&["config", "--unset-all", "filter.s3lfs.process"]);
    }
}

#[test]
fn while_a_file_is_smudged() {
    let bench = Bench::with(b"content of a");
    let work = bench.work();
    work.remove("a.bin");
    bench.server.take();
    bench.server.fault(Op::Get, 1000, Fault::Hang);
    let git = started(&work, &["checkout", "--", "a.bin"]);
    bench.waits_for("it downloads", || bench.server.count(Op::Get) > 0);
    kill(&work, git);
    bench.waits_for("the filter ends with Git", || ours(&work).is_empty());
    assert_eq!(bench.server.count(Op::Get), 1, "and did not wait for the service");
    bench.server.mend();
    work.git(&["checkout", "-q", "--", "a.bin"]).ok();
    assert_eq!(work.read("a.bin"), b"content of a", "the same command succeeds");
    work.is_clean();
}

#[test]
fn while_a_commit_uploads() {
    let bench = Bench::ready();
    let work = bench.work();
    for (number, args) in [&["commit", "-qm", "b"][..], &["commit", "-qam", "b"]].into_iter().enumerate() {
        let (file, content) = (format!("{number}.bin"), format!("content {number}").into_bytes());
        work.write(&file, &content);
        work.git(&["add", &file]).ok();
        if number == 1 {
            // While Git holds the index, post-commit uploads; but then the commit is there.
            work.git(&["config", "s3lfs.offlinecommit", "fail"]).ok();
        }
        let head = work.head();
        bench.server.take();
        bench.server.fault(Op::Put, 1, Fault::Until("go on"));
        let git = started(&work, args);
        bench.waits_for("pre-commit uploads", || bench.server.count(Op::Put) > 0);
        kill(&work, git);
        assert_eq!(work.head(), head, "nothing was committed");
        assert!(!bench.has(&content));
        // Without waiting for the hook that nobody waits for any more.
        work.git(args).ok();
        bench.release("go on");
        bench.waits_for("the hook comes to its end", || ours(&work).is_empty());
        fs::remove_file(bench.server.file("go on")).unwrap();
        assert!(bench.has(&content));
        assert_ne!(work.head(), head, "the same command succeeds");
        assert_eq!(work.blob("HEAD:.s3_manifest.json").matches(".bin\"").count(), number + 1, "and records the file");
        work.is_clean();
    }
    work.git(&["push", "-q"]).ok();
    work.s3lfs(&["verify", "--all", "--deep"]).ok();
}

#[test]
fn while_a_push_uploads() {
    let bench = Bench::ready();
    let work = bench.work();
    work.git(&["config", "s3lfs.uploadon", "push"]).ok();
    work.commit("b.bin", b"content of b");
    let before = bench.world.remote_head("main");
    bench.server.take();
    bench.server.fault(Op::Put, 1, Fault::Until("go on"));
    let git = started(&work, &["push", "-q"]);
    bench.waits_for("pre-push uploads", || bench.server.count(Op::Put) > 0);
    kill(&work, git);
    assert_eq!(bench.world.remote_head("main"), before, "nothing was published");
    // Without waiting for the hook that nobody waits for any more.
    work.git(&["push", "-q"]).ok();
    assert_eq!(bench.world.remote_head("main"), work.head(), "the same command succeeds");
    bench.release("go on");
    bench.waits_for("the hook comes to its end", || ours(&work).is_empty());
    work.s3lfs(&["verify", "--all", "--deep"]).ok();
    work.is_clean();
}
