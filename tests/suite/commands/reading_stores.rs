//! Reading stores (design.md, section 4): a fork reads upstream's store and writes its own; a store
//! that was moved keeps its history.

use std::fs;

use crate::world::{Place, World, oid, snapshot};

/// Everything that lies in a store, without registrations.
fn objects(world: &World, store: &str) -> usize {
    let assets = world.path(store).join("proj/assets");
    if assets.is_dir() { snapshot(&assets).len() } else { 0 }
}

/// A clone of upstream, with a store and a remote of its own.
fn fork(world: &World) -> Place<'_> {
    world.at("").git(&["init", "-q", "--bare", "-b", "main", "fork.git"]).ok();
    world.at("").git(&["clone", "-q", "remote.git", "fork"]).ok();
    let fork = world.at("fork");
    fork.git(&["remote", "set-url", "origin", &world.url("fork.git")]).ok();
    fork.git(&["config", "--add", "s3lfs.readstore", &format!("{}/proj", world.url("store"))]).ok();
    fork.s3lfs(&["init", "--force", &world.url("own"), "proj"]).ok();
    fork.s3lfs(&["git-setup"]).ok();
    fork.s3lfs(&["download-all"]).ok();
    fork
}

#[test]
fn a_fork_reads_upstreams_store_and_writes_its_own() {
    let world = World::with_a();
    let upstream = snapshot(&world.path("store"));
    let fork = fork(&world);
    assert_eq!(fork.read("a.bin"), b"content of a\n", "from upstream");
    fork.git(&["add", "."]).ok();
    fork.commit("new.bin", b"new");
    fork.s3lfs(&["track-modified"]).ok();
    // Also where nothing is known by record, and all of it is cached.
    assert!(fork.join(".git/s3lfs/objects").is_dir());
    fork.sh("rm -rf .git/s3lfs/uploaded").ok();
    fork.git(&["push", "-q", "origin", "main"]).ok().says(&["1 object only in file://"]);
    assert!(world.object_in("own", b"new").exists(), "what the fork adds goes to its own store");
    assert_eq!(objects(&world, "own"), 1, "and what upstream has is not copied");
    assert_eq!(snapshot(&world.path("store")), upstream, "upstream's store is only read");
    assert_eq!(fork.s3lfs(&["status"]).ok().stdout.lines().last(), Some("nothing to do"));

    // A colleague in the fork: with the reading store everything comes, without it the reason is said.
    let url = format!("s3lfs.readstore={}/proj", world.url("store"));
    world.at("").s3lfs(&["clone", "-q", "fork.git", "with", "--", "-c", &url]).ok();
    let with = world.at("with");
    assert_eq!((with.read("a.bin"), with.read("new.bin")), (b"content of a\n".to_vec(), b"new".to_vec()));
    with.is_clean();
    world.at("").s3lfs(&["clone", "-q", "fork.git", "without"]).fails(3).says(&["a.bin", "no such object"]);
    assert_eq!(world.at("without").read("new.bin"), b"new");
}

#[test]
fn the_gate_asks_the_reading_stores_and_refuses_what_none_has() {
    let world = World::with_a();
    let fork = fork(&world);
    fork.leave_pointer("a.bin");
    fork.sh("rm -rf .git/s3lfs").ok();
    fork.git(&["add", "."]).ok();
    fork.git(&["commit", "-qm", "own store"]).ok();
    fs::rename(world.path("store"), world.path("away")).unwrap();
    let refused = fork.git(&["push", "origin", "main"]).says(&["a.bin", "a reading store could not be asked"]);
    assert_eq!(refused.code, 1);
    fs::create_dir_all(world.path("store/proj")).unwrap();
    let refused = fork.git(&["push", "origin", "main"]).says(&["a.bin", &oid(b"content of a\n"), "neither in"]);
    assert_eq!(refused.code, 1);
    fs::remove_dir_all(world.path("store")).unwrap();
    fs::rename(world.path("away"), world.path("store")).unwrap();
    fork.git(&["push", "origin", "main"]).ok().says(&["1 object only in file://"]);
    assert_eq!(objects(&world, "own"), 0);
}

#[test]
fn a_moved_store_keeps_its_history() {
    let world = World::with_a();
    let work = world.at("work");
    work.commit("a.bin", b"second");
    work.git(&["push", "-q"]).ok();
    work.leave_pointer("a.bin");
    fs::create_dir_all(world.path("moved")).unwrap();
    work.s3lfs(&["init", "--force", &world.url("moved"), "proj"]).ok();
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-qm", "the store moved"]).ok();
    let refused = work.git(&["push", "-q"]).says(&["a.bin", &oid(b"second")]);
    assert_eq!(refused.code, 1, "the new store has nothing of what the commit names");
    work.git(&["config", "s3lfs.readstore", &format!("{}/proj", world.url("store"))]).ok();
    work.git(&["push", "-q"]).ok();
    work.s3lfs(&["trust"]).ok();
    work.git(&["config", "--add", "s3lfs.trust", "file:///**"]).ok();
    work.git(&["checkout", "-q", "HEAD~2"]).ok();
    assert_eq!(work.read("a.bin"), b"content of a\n", "an old commit checks out");
}

#[test]
fn what_is_no_store_is_said() {
    let world = World::with_a();
    let work = world.at("work");
    work.git(&["config", "s3lfs.readstore", "upstream"]).ok();
    work.leave_pointer("a.bin");
    work.s3lfs(&["download", "a.bin"]).fails(1).says(&["s3lfs.readstore", "upstream", "s3://bucket/prefix"]);
}

#[test]
fn an_old_commit_that_names_a_reading_store_needs_no_trust_to_be_read() {
    let world = World::with_a();
    let work = world.at("work");
    let old = work.head();
    work.s3lfs(&["init", "--force", &world.url("moved"), "proj"]).ok();
    work.git(&["config", "--add", "s3lfs.readstore", &format!("{}/proj", world.url("store"))]).ok();
    work.git(&["add", "."]).ok();
    work.commit("b.bin", b"content of b");
    let before = snapshot(&world.path("store"));
    for filled in [true, false] {
        work.drop_cache();
        let skip = if filled { work.clone() } else { work.env("S3LFS_SKIP_SMUDGE", "1") };
        work.remove("a.bin");
        skip.git(&["checkout", "-q", "--force", &old]).ok();
        if !filled {
            work.s3lfs(&["download-all"]).ok().never_says(&["trust"]);
            work.s3lfs(&["verify", "--deep"]).ok();
        }
        assert_eq!(work.read("a.bin"), b"content of a\n", "the user named this store to be read");
        assert!(work.s3lfs(&["status"]).ok().stdout.contains("(only read: s3lfs.readstore)"));
        work.git(&["checkout", "-q", "--force", "main"]).ok();
    }
    // To be written it still has to be accepted.
    work.git(&["checkout", "-q", "--force", "-b", "side", &old]).ok();
    work.write("new.bin", "new content");
    work.s3lfs(&["upload", "new.bin"]).fails(1).says(&["s3lfs trust"]);
    work.git(&["add", "new.bin"]).ok();
    work.git(&["commit", "-qm", "new"]).ok();
    let push = work.git(&["push", "-q", "origin", "side"]);
    assert!(push.code != 0 && push.stderr.contains("s3lfs trust"), "{push:#?}");
    assert!(snapshot(&world.path("store")) == before, "nothing is written there");
}
