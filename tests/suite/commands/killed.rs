//! What a killed process leaves of a large file that it writes: the next one removes it, and never what a process that
//! lives still needs.
//!
//! Apart from `steps`, where little is written, and from `s3::at_work`, where a process that is told to end removes its
//! own files.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, SystemTime};

use crate::world::{Place, World, pointer};

const MIB: usize = 1 << 20;

/// Temporary files, with their lengths.
fn temporary(work: &Place<'_>) -> Vec<(PathBuf, u64)> {
    let entries = fs::read_dir(work.join(".git/s3lfs/tmp")).into_iter().flatten().flatten();
    entries.filter_map(|entry| Some((entry.path(), entry.metadata().ok()?.len()))).collect()
}

/// Until a temporary file has so many bytes.
fn writes(work: &Place<'_>, len: usize) {
    waits_for("a temporary file is written", || temporary(work).iter().any(|(_, written)| *written >= len as u64));
}

fn waits_for(what: &str, mut so: impl FnMut() -> bool) {
    let end = SystemTime::now() + Duration::from_secs(60);
    while !so() {
        assert!(SystemTime::now() < end, "it comes to this: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// `s3lfs clean`, which has written this content to a temporary file, but for the last bytes, and waits for more.
fn cleaning(work: &Place<'_>, content: &[u8]) -> Child {
    let mut command = work.command("s3lfs");
    command.args(["clean", "--", "large.bin"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    child.stdin.as_mut().unwrap().write_all(content).unwrap();
    writes(work, content.len() - 2 * MIB);
    child
}

/// A process that was killed while it wrote 4 MiB, and what it left.
fn killed(work: &Place<'_>) {
    let mut child = cleaning(work, &vec![7; 6 * MIB]);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!temporary(work).is_empty(), "a killed process can't remove its file");
}

#[test]
fn what_it_left_goes_with_the_next_that_writes_there() {
    let world = World::ready();
    let work = world.at("work");
    work.write("large.bin", vec![8; 3 * MIB]);
    for line in ["git add large.bin", "git commit -qm large", "s3lfs prune", "rm large.bin; s3lfs download-all"] {
        killed(&work);
        work.sh(line).ok();
        assert_eq!(temporary(&work), [], "{line}: nothing is left, however young it is");
    }
    work.is_clean();
}

#[test]
fn what_was_left_in_a_shared_cache_goes_too() {
    let world = World::with_a();
    let work = world.at("work");
    work.leave_pointer("a.bin");
    work.git(&["config", "s3lfs.cachedir", world.path("cache").to_str().unwrap()]).ok();
    let left = world.path("cache/tmp/.s3lfs-tmp-0123456789abcdef0123456789abcdef");
    fs::create_dir_all(left.parent().unwrap()).unwrap();
    let elsewhere = File::open(left.parent().unwrap()).unwrap();
    elsewhere.lock_shared().unwrap();
    fs::write(&left, "half").unwrap();
    work.s3lfs(&["download", "a.bin"]).ok();
    assert!(left.exists(), "somebody is at work there");
    drop(elsewhere);
    work.leave_pointer("a.bin");
    fs::remove_dir_all(world.path("cache/objects")).unwrap();
    work.s3lfs(&["download", "a.bin"]).ok();
    assert!(!left.exists(), "nobody is");
}

#[test]
fn files_of_a_process_that_lives_stay() {
    let world = World::ready();
    let work = world.at("work");
    let content = vec![9; 6 * MIB];
    let mut child = cleaning(&work, &content);
    let [(path, _)] = &temporary(&work)[..] else { panic!("it has one file: {:?}", temporary(&work)) };
    work.write("b.bin", vec![8; 3 * MIB]);
    for line in ["git add b.bin", "git commit -qm b", "s3lfs prune", "git push -q", "rm b.bin; s3lfs download-all"] {
        work.sh(line).ok();
        assert!(path.exists(), "{line}: another process's file stays");
    }
    child.stdin.take().unwrap().write_all(b"the end").unwrap();
    let cleaned = child.wait_with_output().unwrap();
    let whole = [&content[..], b"the end"].concat();
    assert_eq!(String::from_utf8_lossy(&cleaned.stdout), pointer(&whole), "it comes to its end");
    work.write("large.bin", &whole);
    work.git(&["add", "large.bin"]).ok();
    work.s3lfs(&["upload", "large.bin"]).ok();
    assert!(world.object(&whole).exists(), "and the cache has the content");
    assert_eq!(temporary(&work), []);
}

#[test]
fn a_killed_add_and_a_killed_download_leave_nothing_when_they_ran_again() {
    let world = World::ready();
    let work = world.at("work");
    let len = 400 * MIB as u64;
    File::create(work.join("large.bin")).unwrap().set_len(len).unwrap();
    work.git(&["config", "s3lfs.uploadon", "push"]).ok();
    work.git(&["config", "s3lfs.smudgelimit", "1"]).ok();
    for (line, done) in [("s3lfs add large.bin", "git commit -qm large"), ("s3lfs download-all", "true")] {
        let mut command = work.command("sh");
        // In a group of its own: its children are killed too.
        command.args(["-c", &format!("exec {line}")]).process_group(0);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        writes(&work, 4 * MIB);
        work.sh(&format!("kill -KILL -{}", child.id())).ok();
        assert!(!child.wait().unwrap().success(), "{line}: it did not come to its end");
        waits_for("its children are gone", || work.sh(&format!("kill -0 -{} 2>/dev/null", child.id())).code != 0);
        assert!(!temporary(&work).is_empty(), "{line}: a killed process can't remove its file");
        let _ = fs::remove_file(work.join(".git/index.lock"));
        work.sh(line).ok();
        work.sh(done).ok();
        assert_eq!(temporary(&work), [], "{line}: the same command leaves nothing");
        assert_eq!(fs::metadata(work.join("large.bin")).unwrap().len(), len);
        work.is_clean();
        work.remove("large.bin");
        work.env("S3LFS_SKIP_SMUDGE", "1").git(&["checkout", "-q", "--", "large.bin"]).ok();
    }
}

/// What Git is to read for the push gate lies in a directory, which a kill leaves as well.
#[test]
fn a_killed_push_leaves_nothing_where_nobody_sweeps() {
    let world = World::with_a();
    let work = world.at("work");
    let (outside, bin) = (world.at("").sub("outside"), world.at("").sub("bin"));
    let git = work.sh("command -v git").ok().stdout;
    let git = git.trim();
    // Once the gate has made it, its s3lfs is killed.
    bin.script("git", &format!("#!/bin/sh\ncase $GIT_DIR,$GIT_INDEX_FILE,$* in *s3lfs-tmp-*) kill -9 $PPID; exit 1 ;; esac\nexec '{git}' \"$@\"\n"));
    let path = format!("{}:{}", bin.dir.display(), work.sh("printf %s \"$PATH\"").ok().stdout);
    work.commit("new.bin", b"new");
    let work = work.env("TMPDIR", outside.dir.to_str().unwrap());
    let line = "printf 'refs/heads/main %s refs/heads/main %s\\n' $(git rev-parse HEAD HEAD~1) | s3lfs hook pre-push origin $(git remote get-url origin)";
    assert_eq!(work.env("PATH", &path).sh(line).code, 137, "the hook was killed");
    assert_eq!(fs::read_dir(&outside.dir).unwrap().count(), 0, "nothing of ours is left in TMPDIR");
    assert_eq!(temporary(&work).len(), 1, "it is among our own");
    work.git(&["push", "-q", "origin", "main"]).ok();
    assert_eq!(temporary(&work), [], "where the next command removes it");
}
