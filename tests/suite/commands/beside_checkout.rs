//! `download-all` beside a `git switch` of the same worktree: what the other branch does not have stays away.
//!
//! Apart from `at_once` because nothing is left to chance here: the test holds Git's `index.lock` as a checkout does, and
//! lets go of it when it has changed the index and the files.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Stdio};

use crate::world::{Place, World};

/// Branch `main` has `a.bin`, `gone.bin` and `same.bin`; `two` has another `a.bin`, and no `gone.bin`. Of `main`, only
/// the pointers are here.
fn two_branches() -> World {
    let world = World::ready();
    let work = world.at("work");
    for name in ["a.bin", "gone.bin", "same.bin"] {
        work.commit(name, format!("{name} of main").as_bytes());
    }
    work.git(&["switch", "-qc", "two"]).ok();
    work.commit("a.bin", b"a.bin of two");
    work.git(&["rm", "-q", "gone.bin"]).ok();
    work.git(&["commit", "-qm", "gone"]).ok();
    work.git(&["switch", "-q", "main"]).ok();
    for name in ["a.bin", "gone.bin", "same.bin"] {
        work.remove(name);
    }
    work.env("S3LFS_SKIP_SMUDGE", "1").git(&["checkout", "-q", "--", "."]).ok();
    world
}

/// A command that waits for the lock, and says so.
fn started(work: &Place<'_>, args: &[&str]) -> (Child, String) {
    let mut command = work.command("s3lfs");
    let mut child = command.args(args).stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    while !said.contains("Waiting for the Git command") {
        assert_ne!(stderr.read_line(&mut said).unwrap(), 0, "it must wait: {said}");
    }
    child.stderr = Some(stderr.into_inner());
    (child, said)
}

/// Its exit code, and all that it said.
fn ended((mut child, mut said): (Child, String)) -> (i32, String) {
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    (child.wait().unwrap().code().unwrap(), said)
}

fn lock(work: &Place<'_>) {
    fs::File::create_new(work.join(".git/index.lock")).unwrap();
}

/// What `git switch two` does under the lock, which is held already.
fn switch(work: &Place<'_>) {
    fs::copy(work.join(".git/index"), work.join(".git/next")).unwrap();
    let next = work.env("GIT_INDEX_FILE", work.join(".git/next").to_str().unwrap());
    next.git(&["read-tree", "--reset", "-u", "two"]).ok();
    fs::rename(work.join(".git/next"), work.join(".git/index.lock")).unwrap();
    fs::rename(work.join(".git/index.lock"), work.join(".git/index")).unwrap();
    work.git(&["symbolic-ref", "HEAD", "refs/heads/two"]).ok();
}

#[test]
fn what_the_other_branch_does_not_have_stays_away() {
    for args in [&["download-all"][..], &["download-all", "--force"], &["download", "a.bin", "gone.bin", "same.bin"]] {
        let world = two_branches();
        let work = world.at("work");
        lock(&work);
        let waits = started(&work, args);
        assert!(work.text("a.bin").starts_with("version s3lfs/1"), "nothing is written while another has the lock");
        switch(&work);
        let (code, said) = ended(waits);
        assert_eq!(work.text("a.bin"), "a.bin of two", "{args:?}: {said}");
        assert!(!work.exists("gone.bin"), "{args:?}: it does not come back: {said}");
        assert_eq!(work.text("same.bin"), "same.bin of main", "{args:?}: what both have is written: {said}");
        assert_eq!(code, 3, "{args:?}: what it left out is no success: {said}");
        for name in ["a.bin", "gone.bin"] {
            assert!(said.contains(&format!("{name}: Git has other content for it by now")), "{said}");
        }
        assert!(!work.exists(".git/index.lock"), "nothing is left behind");
        work.is_clean();
        work.s3lfs(&["download-all"]).ok();
        work.is_clean();
    }
}

#[test]
fn what_a_sparse_checkout_leaves_out_stays_away() {
    let world = World::ready();
    let work = world.at("work");
    for name in ["in/a.bin", "out/b.bin"] {
        work.commit(name, format!("content of {name}").as_bytes());
        work.remove(name);
    }
    work.env("S3LFS_SKIP_SMUDGE", "1").git(&["checkout", "-q", "--", "."]).ok();
    lock(&work);
    let waits = started(&work, &["download-all"]);
    // What `git sparse-checkout set in` does under the lock.
    fs::copy(work.join(".git/index"), work.join(".git/next")).unwrap();
    let next = work.env("GIT_INDEX_FILE", work.join(".git/next").to_str().unwrap());
    next.git(&["sparse-checkout", "set", "in"]).ok();
    assert!(!work.exists("out/b.bin"), "Git has taken it away");
    fs::rename(work.join(".git/next"), work.join(".git/index.lock")).unwrap();
    fs::rename(work.join(".git/index.lock"), work.join(".git/index")).unwrap();
    let (code, said) = ended(waits);
    assert!(!work.exists("out/b.bin"), "it does not come back: {said}");
    assert!(code == 3 && said.contains("out/b.bin: Git has other content for it by now, or none"), "{said}");
    assert_eq!(work.text("in/a.bin"), "content of in/a.bin");
    work.is_clean();
    work.s3lfs(&["download", "out/b.bin"]).ok();
    assert_eq!(work.text("out/b.bin"), "content of out/b.bin", "who names it gets it");
    work.git(&["sparse-checkout", "disable"]).ok();
    work.is_clean();
}

#[test]
#[cfg(target_os = "linux")]
fn on_another_disk_hardly_anything_waits_in_the_worktree() {
    use std::os::unix::fs::MetadataExt;
    let Ok(elsewhere) = tempfile::tempdir_in("/dev/shm") else { return };
    let world = World::ready();
    let work = world.at("work");
    let device = |path: &std::path::Path| fs::metadata(path).unwrap().dev();
    if device(elsewhere.path()) == device(&work.dir) {
        return;
    }
    for n in 0..40 {
        work.write(&format!("d{}/{n}.bin", n % 3), format!("content of {n}"));
    }
    work.write("large.bin", vec![7; 17 << 20]);
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-qm", "files"]).ok();
    work.git(&["push", "-q"]).ok();
    let dir = elsewhere.path().join("linked");
    let add = ["worktree", "add", "-q", "--detach", dir.to_str().unwrap()];
    work.env("S3LFS_SKIP_SMUDGE", "1").git(&add).ok();
    let linked = world.at(dir.to_str().unwrap());
    let damaged = crate::world::oid(b"content of 7");
    work.write(&format!(".git/s3lfs/objects/{}/{damaged}", &damaged[..2]), "CONTENT OF 7");
    let lock = linked.git(&["rev-parse", "--path-format=absolute", "--git-path", "index.lock"]).ok().stdout;
    fs::File::create_new(lock.trim()).unwrap();
    let waits = started(&linked, &["download-all"]);
    let copies = || -> Vec<_> {
        let files = crate::world::snapshot(&linked.dir).into_iter();
        files
            .filter(|(path, _)| path.to_string_lossy().contains(".s3lfs-"))
            .map(|(path, bytes)| (path, bytes.len()))
            .collect()
    };
    let waiting = copies();
    assert!(waiting.len() == 1 && waiting[0].1 == 17 << 20, "'git add -A' would take these: {waiting:?}");
    fs::remove_file(lock.trim()).unwrap();
    let (code, said) = ended(waits);
    assert_eq!(code, 0, "{said}");
    for n in 0..40 {
        assert_eq!(linked.text(&format!("d{}/{n}.bin", n % 3)), format!("content of {n}"), "{said}");
    }
    assert!(linked.read("large.bin") == vec![7; 17 << 20] && copies().is_empty());
    linked.is_clean();
}

#[test]
fn a_manifest_only_file_follows_the_manifest_of_the_branch() {
    let world = World::ready();
    let work = world.at("work");
    work.commit(".gitignore", b"out/\n");
    work.write("out/m", "m of main");
    work.s3lfs(&["upload", "out/m"]).ok();
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-qm", "m"]).ok();
    work.git(&["switch", "-qc", "two"]).ok();
    work.write("out/m", "m of two");
    work.s3lfs(&["upload", "out/m"]).ok();
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-qm", "m of two"]).ok();
    work.git(&["switch", "-q", "main"]).ok();
    work.remove("out/m");
    lock(&work);
    let waits = started(&work, &["download-all"]);
    switch(&work);
    let (code, said) = ended(waits);
    assert!(code == 3 && said.contains("out/m: Git has other content"), "{said}");
    assert!(!work.exists("out/m"), "the manifest of 'two' names other content");
    work.s3lfs(&["download-all"]).ok();
    assert_eq!(work.text("out/m"), "m of two");
    work.is_clean();
}

#[test]
fn a_lock_that_goes_is_waited_for() {
    let world = two_branches();
    let work = world.at("work");
    lock(&work);
    let waits = started(&work, &["download-all"]);
    fs::remove_file(work.join(".git/index.lock")).unwrap();
    let (code, said) = ended(waits);
    assert_eq!(code, 0, "{said}");
    for name in ["a.bin", "gone.bin", "same.bin"] {
        assert_eq!(work.text(name), format!("{name} of main"));
    }
    work.is_clean();
}

#[test]
fn a_kill_while_it_waits_leaves_the_lock_to_its_owner() {
    let world = two_branches();
    let work = world.at("work");
    lock(&work);
    let (mut child, _) = started(&work, &["download-all"]);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(work.exists(".git/index.lock"), "it is Git's");
    fs::remove_file(work.join(".git/index.lock")).unwrap();
    work.s3lfs(&["download-all"]).ok();
    work.is_clean();
}

#[test]
fn a_lock_that_was_left_behind_is_named() {
    let world = World::with_a();
    let work = world.at("work");
    work.sh("touch -d 2020-01-01 a.bin; touch .git/index.lock").ok();
    work.s3lfs(&["download-all"]).fails(1).says(&["remove index.lock"]);
    work.remove(".git/index.lock");
    work.s3lfs(&["download-all"]).ok();
    work.is_clean();
}
