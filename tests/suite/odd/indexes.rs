//! Forms of the index: what s3lfs records in it by itself is what Git would have recorded, and where the form is not
//! known to it, Git does it.

use std::fs;
use std::os::unix::fs::MetadataExt;

use super::seeded;
use crate::world::{Place, Ran, World};

/// What `git ls-files --debug` says of a path, and what stands on the disk.
#[track_caller]
fn is_recorded(work: &Place<'_>, path: &str) {
    let said = work.git(&["ls-files", "--debug", "--", path]).ok().stdout;
    let file = fs::symlink_metadata(work.join(path)).unwrap();
    for field in [
        format!("ctime: {}:{}\n", file.ctime(), file.ctime_nsec()),
        format!("mtime: {}:{}\n", file.mtime(), file.mtime_nsec()),
        format!("dev: {}\tino: {}\n", file.dev() as u32, file.ino() as u32),
        format!("uid: {}\tgid: {}\n", file.uid(), file.gid()),
        format!("size: {}\t", file.len()),
    ] {
        assert!(said.contains(&field), "{path}: {field:?} must be recorded: {said}");
    }
}

/// `a.bin` and `d/b.bin` are pointers; then they are filled.
fn filled(work: &Place<'_>) -> Ran {
    for path in ["a.bin", "d/b.bin"] {
        if work.exists(path) {
            work.leave_pointer(path);
        }
    }
    work.env("S3LFS_LOG", "debug").s3lfs(&["download-all"]).ok()
}

/// Git's own refresh, which reads all of a file.
const ASKED: &str = "update-index -q --unmerged --refresh";

#[track_caller]
fn is_told_without_asking(work: &Place<'_>, what: &str) {
    let before = work.git(&["ls-files", "-s", "-v"]).ok().stdout;
    let ran = filled(work);
    assert!(!ran.stderr.contains(ASKED), "{what}: Git need not read the files: {ran:#?}");
    for path in ["a.bin", "d/b.bin"] {
        is_recorded(work, path);
    }
    assert_eq!(work.git(&["ls-files", "-s", "-v"]).ok().stdout, before, "{what}: nothing else changes");
    work.git(&["fsck"]).ok();
    assert!(!work.sh("ls \"$(git rev-parse --git-path index).lock\"").stdout.contains("lock"), "{what}: no lock stays");
    work.is_clean();
}

#[test]
fn what_was_written_is_recorded_in_every_form_of_index() {
    for (what, line) in [
        ("as it is", ":"),
        ("version 4", "git update-index --index-version 4"),
        ("version 4 in blocks", "git config index.threads 2 && git update-index --index-version 4"),
        ("no checksum", "git config index.skipHash true && git update-index --force-write-index"),
        ("an untracked cache", "git update-index --untracked-cache && git status"),
        (
            "a path of 5,000 bytes",
            "f=$(printf 'n%.0s' $(seq 200)); for i in $(seq 20); do mkdir $f; cd $f; done; echo >x; git add x",
        ),
        ("extended flags", "echo >ita && git add -N ita && git update-index --skip-worktree .gitattributes"),
    ] {
        let world = seeded(&[]);
        let work = world.at("work");
        work.sh(line).ok();
        if what == "extended flags" || what.starts_with("a path") {
            filled(&work);
            is_recorded(&work, "a.bin");
            is_recorded(&work, "d/b.bin");
            work.git(&["fsck"]).ok();
            continue;
        }
        is_told_without_asking(&work, what);
    }
}

#[test]
fn in_a_sha256_repository_and_a_linked_worktree_too() {
    let world = seeded(&["--object-format=sha256"]);
    is_told_without_asking(&world.at("work"), "SHA-256");
    let world = seeded(&[]);
    world.at("work").git(&["worktree", "add", "-q", "--detach", "../linked"]).ok();
    is_told_without_asking(&world.at("linked"), "a linked worktree");
    world.at("work").is_clean();
}

#[test]
fn a_sparse_index_is_not_expanded() {
    let world = seeded(&[]);
    let work = world.at("work");
    work.write("other/c.bin", "content of c");
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-qm", "c"]).ok();
    work.git(&["sparse-checkout", "set", "--cone", "--sparse-index", "other"]).ok();
    work.leave_pointer("other/c.bin");
    let ran = filled(&work);
    assert!(!ran.stderr.contains(ASKED), "{ran:#?}");
    is_recorded(&work, "other/c.bin");
    assert!(work.git(&["ls-files", "--sparse"]).ok().stdout.contains("d/\n"), "the directory is still one entry");
    work.is_clean();
}

#[test]
fn a_split_index_is_left_to_git() {
    let world = seeded(&[]);
    let work = world.at("work");
    work.git(&["update-index", "--split-index"]).ok();
    let ran = filled(&work);
    assert!(ran.stderr.contains(ASKED), "its entries stand in another file: {ran:#?}");
    work.is_clean();
}

#[test]
fn a_link_in_place_of_the_index_stays_one() {
    let world = seeded(&[]);
    let work = world.at("work");
    for path in ["a.bin", "d/b.bin"] {
        work.leave_pointer(path);
    }
    work.sh("mv .git/index .git/elsewhere && ln -s elsewhere .git/index").ok();
    work.s3lfs(&["download-all"]).ok();
    assert!(fs::symlink_metadata(work.join(".git/index")).unwrap().is_symlink(), "somebody wanted it so");
    work.is_clean();
}

/// Git looks again at what changed in the second in which it wrote the index (racy-git.txt): a later index must
/// not hide that.
#[test]
fn a_change_in_the_very_second_of_the_old_index_is_still_seen() {
    let world = seeded(&[]);
    let work = world.at("work");
    work.git(&["config", "core.trustctime", "false"]).ok();
    work.write("raw.txt", "aaaa");
    work.sh("touch -d @1700000000 raw.txt && git add raw.txt && git commit -qm raw").ok();
    for path in ["a.bin", "d/b.bin"] {
        work.leave_pointer(path);
    }
    work.sh("printf bbbb >raw.txt && touch -d @1700000000 raw.txt .git/index").ok();
    work.is_clean_but_for_locks(&[" M raw.txt"]);
    let ran = work.env("S3LFS_LOG", "debug").s3lfs(&["download-all"]).ok();
    assert!(!ran.stderr.contains(ASKED), "the index is ours: {ran:#?}");
    work.is_clean_but_for_locks(&[" M raw.txt"]);
}

impl Place<'_> {
    /// As `is_clean_but`, by a `git status` that leaves the index as it is.
    #[track_caller]
    fn is_clean_but_for_locks(&self, lines: &[&str]) {
        let status = self.git(&["--no-optional-locks", "status", "--porcelain"]).ok().stdout;
        assert_eq!(status.lines().collect::<Vec<_>>(), lines, "git status must say no more than this");
    }
}

#[test]
fn who_holds_the_lock_is_waited_for() {
    let world = World::with_a();
    let work = world.at("work");
    work.leave_pointer("a.bin");
    work.write(".git/index.lock", "");
    let mut download = work.command("s3lfs").arg("download-all").spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert!(download.try_wait().unwrap().is_none(), "it waits");
    assert_eq!(work.text(".git/index.lock"), "", "somebody else's lock is not touched");
    work.remove(".git/index.lock");
    assert!(download.wait().unwrap().success());
    is_recorded(&work, "a.bin");
    work.is_clean();
}
