//! `migrate import`: history that holds large files raw is rewritten, and nothing else of it is lost.

mod choosing;
mod history;
mod refusing;
mod stopped;

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::world::{Place, World, worktree_files};

/// What is large here.
pub fn large(name: &str, version: u32) -> Vec<u8> {
    format!("{name}, version {version}\n").repeat(400).into_bytes()
}

/// A repository with the filter and without a store, of which nothing is tracked yet.
pub fn raw() -> World {
    let world = World::new();
    let work = world.at("work");
    work.commit("README", b"a project\n");
    work.s3lfs(&["git-setup"]).ok();
    // Of `git-setup`, which this history is older than.
    work.remove(".gitattributes");
    world
}

/// The map of old to new commits, as it is printed.
pub fn map(stdout: &str) -> BTreeMap<String, String> {
    let pair = |line: &str| line.split_once(' ').map(|(old, new)| (old.to_owned(), new.to_owned()));
    stdout.lines().map(|line| pair(line).unwrap_or_else(|| panic!("{line:?} is a pair of commits"))).collect()
}

/// The files of the worktree as they are checked out, but for the attributes.
pub fn files(place: &Place<'_>) -> BTreeMap<PathBuf, Vec<u8>> {
    let beneath = |(path, bytes): (PathBuf, Vec<u8>)| (path.strip_prefix(&place.dir).unwrap().to_owned(), bytes);
    let files = worktree_files(place).into_iter().map(beneath);
    files.filter(|(path, _)| path.as_os_str() != ".gitattributes" && path.as_os_str() != ".git").collect()
}
