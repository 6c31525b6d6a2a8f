//! Whoever gives credentials leaves a process behind, as an agent that keeps a login does.
//!
//! Apart from `slow_aws`: the answer came at once, and Git may not wait for what goes on after it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::bench::Bench;
use crate::world::Place;

/// Processes that were left behind; gone with this.
struct Left(PathBuf);

impl Left {
    /// Those of them that still run.
    fn alive(&self) -> Vec<String> {
        let all = fs::read_to_string(&self.0).unwrap_or_default();
        all.lines().filter(|pid| Path::new("/proc").join(pid).exists()).map(str::to_owned).collect()
    }
}

impl Drop for Left {
    fn drop(&mut self) {
        for pid in self.alive() {
            let _ = std::process::Command::new("kill").arg(pid).status();
        }
    }
}

/// What the process has open, but for its standard three: number and file.
fn open_files(process: &str) -> BTreeSet<(u32, PathBuf)> {
    let files = fs::read_dir(format!("/proc/{process}/fd")).unwrap().flatten();
    let file = |entry: fs::DirEntry| {
        let number = entry.file_name().to_str()?.parse().ok().filter(|number| *number > 2)?;
        Some((number, fs::read_link(entry.path()).ok()?))
    };
    files.filter_map(file).collect()
}

/// Git ends while they run. What they have that is Git's.
#[track_caller]
fn inherited(place: &Place<'_>, left: &Left, args: &str) -> Vec<(u32, PathBuf)> {
    let before = left.alive().len();
    // Whoever started the tests may have left them something, which all of their children have.
    let others = open_files("self");
    let ran = place.sh(&format!("timeout 120 git {args}"));
    assert_eq!(ran.code, 0, "Git has not waited for who was left behind: {ran:#?}");
    let alive = left.alive();
    assert!(alive.len() > before, "git {args} asked for credentials, and somebody was left behind");
    alive[before..].iter().flat_map(|pid| open_files(pid)).filter(|file| !others.contains(file)).collect()
}

/// Nor have they anything that is Git's.
#[track_caller]
fn nobody_waits(place: &Place<'_>, left: &Left, args: &str) {
    let inherited = inherited(place, left, args);
    assert_eq!(inherited, [], "git {args}: these are not meant for who was left behind");
}

#[test]
fn git_does_not_wait_for_a_process_that_credentials_leave_behind() {
    let bench = Bench::with(b"content of a");
    let away = bench.world.at("");
    let (id, secret) = bench.server.credentials();
    let keys = format!("{{\"Version\": 1, \"AccessKeyId\": \"{id}\", \"SecretAccessKey\": \"{secret}\"}}");
    let left = Left(away.join("left"));
    let script = format!(
        "#!/bin/sh\nsleep 600 </dev/null >/dev/null 2>&1 &\necho $! >>'{}'\necho '{keys}'\n",
        away.join("left").display()
    );
    away.script("give", &script);
    away.write(".aws/config", format!("[profile team]\ncredential_process = {}\n", away.join("give").display()));
    let work = bench.world.at("work").env("AWS_PROFILE", "team").env("AWS_EC2_METADATA_DISABLED", "true");
    let work = work.env("NO_PROXY", "127.0.0.1");

    work.remove("a.bin");
    nobody_waits(&work, &left, "checkout -q -- a.bin");
    assert_eq!(work.read("a.bin"), b"content of a");
    work.leave_pointer("a.bin");
    work.remove("a.bin");
    work.git(&["config", "--unset", "filter.s3lfs.process"]).ok();
    // Git 2.47 leaves the single command the end of a pipe that it reads itself, which nobody waits for.
    inherited(&work, &left, "checkout -q -- a.bin");
    assert_eq!(work.read("a.bin"), b"content of a");
    work.s3lfs(&["git-setup"]).ok();

    work.write("b.bin", "content of b");
    work.git(&["add", "b.bin"]).ok();
    nobody_waits(&work, &left, "commit -qm b");
    assert!(bench.has(b"content of b"));
    work.write("b.bin", "second content of b");
    nobody_waits(&work, &left, "commit -qam b");
    assert!(bench.has(b"second content of b"), "post-commit sent it");

    work.git(&["config", "s3lfs.uploadon", "push"]).ok();
    work.commit("c.bin", b"content of c");
    nobody_waits(&work, &left, "push -q");
    assert!(bench.has(b"content of c"));
}
