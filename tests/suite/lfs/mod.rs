//! Git LFS: repositories that the real git-lfs made, taken over, answered for, and given back.
//!
//! Apart because that program is needed for them. Where it is not installed they are left out, with a word; with
//! `S3LFS_TEST_FULL=1`, as in CI, they fail.

mod before;
mod driver;
mod export;
mod gate;
mod migrate;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::world::{Place, World, oid, worktree_files};

/// Whether git-lfs is here, which `.ci/run` installs; where it can't, it says that.
pub fn is_here() -> bool {
    let found = Command::new("git-lfs").arg("version").stdin(Stdio::null()).output().is_ok();
    if !found {
        eprintln!("lfs: git-lfs is not installed, so this test was left out");
    }
    found
}

/// The pointer that git-lfs makes.
pub fn lfs_pointer(content: &[u8]) -> String {
    format!("version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize {}\n", oid(content), content.len())
}

/// In this place, git-lfs is not installed: whoever calls it fails.
pub fn without_git_lfs<'a>(place: &Place<'a>) -> Place<'a> {
    let dir = place.world.path("no-lfs");
    if !dir.exists() {
        place
            .in_dir(&place.world.at(""))
            .script("no-lfs/git-lfs", "#!/bin/sh\necho 'git-lfs was called' >&2\nexit 127\n");
    }
    let bin = std::path::Path::new(env!("CARGO_BIN_EXE_s3lfs")).parent().unwrap();
    place.env("PATH", format!("{}:{}:{}", dir.display(), bin.display(), std::env::var("PATH").unwrap()))
}

/// What is large enough not to be mistaken for a pointer, and not the same twice.
pub fn content(name: &str, version: u32) -> Vec<u8> {
    format!("{name}, version {version}\n").repeat(100).into_bytes()
}

/// A repository with a history that git-lfs made, pushed with its objects to a bare remote.
///
/// Two attributes files, a rename, a merge, a tag, a deleted file, an executable, equal content, and a branch of its
/// own.
pub fn made_by_git_lfs() -> World {
    let world = World::new();
    let work = world.at("work");
    work.git(&["lfs", "install", "--local"]).ok();
    work.git(&["lfs", "track", "*.psd"]).ok();
    work.write("README", "a project\n");
    work.write("a.psd", content("a", 1));
    work.write("sub/.gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text lockable\n");
    work.write("sub/b.bin", content("b", 1));
    work.write("gone.psd", content("gone", 1));
    work.write("empty.psd", "");
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-qm", "one"]).ok();
    work.git(&["tag", "-a", "v1", "-m", "first"]).ok();
    work.write("a.psd", content("a", 2));
    work.write("copy.psd", content("a", 2));
    work.git(&["add", "."]).ok();
    work.git(&["mv", "sub/b.bin", "sub/c.bin"]).ok();
    work.git(&["rm", "-q", "gone.psd"]).ok();
    work.git(&["commit", "-qm", "two"]).ok();
    work.git(&["checkout", "-qb", "side", "v1"]).ok();
    work.write("side.psd", content("side", 1));
    work.sh("chmod 755 side.psd").ok();
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-qm", "side"]).ok();
    work.git(&["checkout", "-q", "main"]).ok();
    work.git(&["merge", "-q", "-m", "merged", "side"]).ok();
    work.git(&["checkout", "-qb", "never-merged"]).ok();
    work.commit("alone.psd", &content("alone", 1));
    work.git(&["checkout", "-q", "main"]).ok();
    work.git(&["push", "-q", "origin", "main", "side", "never-merged", "v1"]).ok();
    world
}

/// What each commit of any ref checks out to, by this clone.
pub fn checkouts(place: &Place<'_>) -> BTreeMap<String, Vec<(PathBuf, Vec<u8>)>> {
    let commits = place.git(&["rev-list", "--all"]).ok().stdout;
    let mut all = BTreeMap::new();
    for commit in commits.lines() {
        place.git(&["checkout", "-q", "--detach", commit]).ok();
        place.is_clean();
        let beneath = |(path, bytes): (PathBuf, Vec<u8>)| (path.strip_prefix(&place.dir).unwrap().to_owned(), bytes);
        all.insert(commit.to_owned(), worktree_files(place).into_iter().map(beneath).collect());
    }
    all
}

/// As [`made_by_git_lfs`], with a store, and set up; not migrated yet.
pub fn with_store() -> World {
    let world = made_by_git_lfs();
    let work = world.at("work");
    work.s3lfs(&["init", &world.url("store"), "proj"]).ok();
    work.s3lfs(&["git-setup"]).ok();
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-qm", "set up"]).ok();
    world
}
