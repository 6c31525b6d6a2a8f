//! Files that get their content: `git checkout` from the cache and from the store, `download-all`.

use super::adding::large;
use super::bench::{Scenario, survives};
use crate::world::{World, worktree_files};

/// Small and large content is committed and pushed, and the files are gone from the worktree.
fn published() -> World {
    let world = World::with_a();
    let work = world.at("work");
    work.write("b.bin", "content of b");
    work.write("large.bin", large());
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-qm", "b and large"]).ok();
    work.git(&["push", "-q"]).ok();
    for name in ["a.bin", "b.bin", "large.bin"] {
        work.remove(name);
    }
    world
}

fn not_cached() -> World {
    let world = published();
    world.at("work").drop_cache();
    world
}

fn pointers_only() -> World {
    let world = published();
    world.at("work").env("S3LFS_SKIP_SMUDGE", "1").git(&["checkout", "-q", "--", "."]).ok();
    world.at("work").drop_cache();
    world
}

fn is_filled(world: &World) {
    let work = world.at("work");
    assert_eq!(work.read("a.bin"), b"content of a\n");
    assert_eq!(work.read("b.bin"), b"content of b");
    assert!(work.read("large.bin") == large(), "every byte of it");
    assert!(worktree_files(&work).iter().all(|(path, _)| !path.to_string_lossy().contains(".s3lfs-")));
    work.is_clean();
}

const FROM_CACHE: Scenario =
    Scenario { name: "checkout from the cache", prepare: published, line: "git checkout -q -- .", right: is_filled };

const FROM_STORE: Scenario =
    Scenario { name: "checkout from the store", prepare: not_cached, line: "git checkout -q -- .", right: is_filled };

const DOWNLOAD: Scenario =
    Scenario { name: "download-all", prepare: pointers_only, line: "s3lfs download-all", right: is_filled };

/// Content that s3lfs writes beside Git.
fn placed() -> World {
    let world = published();
    world.at("work").git(&["config", "s3lfs.smudgelimit", "10"]).ok();
    world
}

const BESIDE_GIT: Scenario =
    Scenario { name: "checkout beside Git", prepare: placed, line: "git checkout -q -f main", right: is_filled };

#[test]
fn a_checkout_beside_git_survives() {
    survives(&BESIDE_GIT);
}

#[test]
fn a_checkout_from_the_cache_survives() {
    survives(&FROM_CACHE);
}

#[test]
fn a_checkout_from_the_store_survives() {
    survives(&FROM_STORE);
}

#[test]
fn a_download_survives() {
    survives(&DOWNLOAD);
}
