//! Which keys are touched: objects, the Python tool's files, marks; and what is known of them after.

use std::fs;
use std::path::PathBuf;

use super::bench::{GARBAGE, cleanup, ready, refuses, works_again};
use super::time::days_pass;
use crate::world::{Place, World, oid, snapshot};

fn write(world: &World, key: &str) -> PathBuf {
    let path = world.path("store").join(key);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, "foreign").unwrap();
    path
}

#[test]
fn foreign_keys_are_left() {
    let world = ready();
    let work = world.at("work");
    let oid = oid(b"foreign");
    let (two, upper) = (&oid[..2], oid.to_uppercase());
    let other = if two == "00" { "01" } else { "00" };
    let foreign: Vec<PathBuf> = [
        format!("proj/assets/{two}/{oid}.bak"),
        format!("proj/assets/{two}/{oid}.gz"),
        format!("proj/assets/{two}/deep/{oid}"),
        format!("proj/assets/{other}/{oid}"),
        format!("proj/assets/{two}/{}", &oid[..63]),
        format!("proj/assets/{}/{upper}", &upper[..2]),
        format!("proj/assets/{}/x", &oid[..63]),
        format!("proj/assets/{upper}/x"),
        "proj/assets/README".to_owned(),
        "proj/assets/tmp/x".to_owned(),
        format!("proj/other/{two}/{oid}"),
        format!("proj/cleanup/{oid}"),
        "proj/cleanup/README".to_owned(),
        "proj/repositories/README".to_owned(),
        format!("proj2/assets/{two}/{oid}"),
        format!("assets/{two}/{oid}"),
        format!("other/proj/assets/{two}/{oid}"),
    ]
    .iter()
    .map(|key| write(&world, key))
    .collect();
    let registration = snapshot(&world.path("store/proj/repositories"));
    for _ in 0..2 {
        days_pass(&world, 15);
        cleanup(&work).ok();
    }
    assert!(!world.object(GARBAGE).exists());
    for path in foreign {
        assert!(path.exists(), "{} is nobody's business here", path.display());
    }
    assert!(snapshot(&world.path("store/proj/repositories")) == registration);
}

#[test]
fn files_of_the_python_tool_go_with_their_content() {
    let world = World::with_a();
    let work = world.at("work");
    let needed = oid(b"content of a\n");
    let not = oid(b"not needed");
    let kept: Vec<PathBuf> = ["a.bin", "a.bin.gz", "deep/a b.gz.chunk0"]
        .map(|path| write(&world, &format!("proj/assets/{needed}/{path}")))
        .into();
    let gone: Vec<PathBuf> = ["b.bin", "b.bin.gz", "deep/b b.gz.chunk0", "deep/b b.gz.chunk1"]
        .map(|path| write(&world, &format!("proj/assets/{not}/{path}")))
        .into();
    let empty = write(&world, &format!("proj/assets/{not}/empty"));
    fs::write(&empty, "").unwrap();
    let python = ["cleanup", "--force", "--python-layout"];
    work.s3lfs(&python).ok();
    assert!(gone.iter().all(|path| path.exists()), "these are marked first, too");
    days_pass(&world, 15);
    work.s3lfs(&python).ok().never_says(&["Python"]);
    assert!(kept.iter().all(|path| path.exists()), "content that is needed stays, wherever it lies");
    assert!(!gone.iter().any(|path| path.exists()) && !empty.exists(), "and all of what is not goes");
}

/// The Python tool registers nowhere: two repositories may have shared a prefix, of which one has gone over
/// to this program. What the other one needs is named by nothing here.
#[test]
fn files_of_the_python_tool_may_be_another_repositorys() {
    let world = ready();
    let work = world.at("work");
    let theirs = oid(b"of another repository");
    let files: Vec<PathBuf> = ["a.bin.gz", "deep/big.chunk0", "deep/big.chunk1"]
        .map(|path| write(&world, &format!("proj/assets/{theirs}/{path}")))
        .into();
    let both = write(&world, &format!("proj/assets/{}/both.bin", oid(GARBAGE)));
    let kept = ["4 objects", "Python s3lfs", "kept", "--python-layout"];
    let dry = work.s3lfs(&["cleanup", "--dry-run", "--json"]).ok().says(&kept).json("cleanup");
    let states: Vec<&str> = dry["items"].as_array().unwrap().iter().map(|i| i["state"].as_str().unwrap()).collect();
    assert_eq!(states.iter().filter(|state| **state == "kept").count(), 4, "{states:?}");
    for _ in 0..3 {
        cleanup(&work).ok().says(&kept);
        days_pass(&world, 15);
    }
    assert!(!world.object(GARBAGE).exists(), "what this program wrote goes");
    assert!(files.iter().chain([&both]).all(|path| path.exists()), "what that one wrote stays, whatever is forced");
    work.s3lfs(&["cleanup", "--force", "--python-layout"]).ok();
    assert!(!files.iter().chain([&both]).any(|path| path.exists()), "the user knows that nobody else is there");
}

/// Nothing may be believed to be there that was deleted.
#[test]
fn content_that_comes_back_is_uploaded_again() {
    let world = World::ready();
    let work = world.at("work");
    let add = |place: &Place<'_>| place.commit("back.bin", b"back again");
    add(&work);
    let drop = || {
        work.git(&["reset", "-q", "--hard", "HEAD~1"]).ok();
        work.remove(".git/ORIG_HEAD");
        super::bench::forget_reflogs(&work);
    };
    drop();
    // The records are as fresh as ever: only cleanup knows that they are wrong.
    work.s3lfs(&["cleanup", "--force", "--keep-newer", "0s"]).ok();
    assert!(!world.object(b"back again").exists(), "nothing names it any more");
    add(&work);
    work.git(&["push", "-q"]).ok();
    assert!(world.object(b"back again").exists(), "what is published is there");
}

#[test]
fn marks_do_not_outlive_their_objects() {
    let world = ready();
    let work = world.at("work");
    let mark = world.path(&format!("store/proj/cleanup/{}.json", &oid(GARBAGE)[..2]));
    assert!(fs::read_to_string(&mark).unwrap().contains(&oid(GARBAGE)));
    cleanup(&work).ok();
    cleanup(&work).ok();
    assert!(!mark.exists(), "it would be taken for an old mark later, and an empty file is of no use");
}

#[test]
fn a_prefix_may_be_empty() {
    let world = World::new();
    let work = world.at("work");
    work.s3lfs(&["init", &world.url("store"), ""]).ok();
    work.s3lfs(&["git-setup", "--track", "*.bin"]).ok();
    work.git(&["add", "."]).ok();
    work.commit("a.bin", b"needed");
    work.git(&["push", "-q", "origin", "main"]).ok();
    let object = |content: &[u8]| {
        let oid = oid(content);
        write(&world, &format!("assets/{}/{oid}", &oid[..2]))
    };
    let (garbage, needed) = (object(GARBAGE), object(b"needed"));
    let other = write(&world, &format!("proj/assets/{}/{}", &oid(GARBAGE)[..2], oid(GARBAGE)));
    work.s3lfs(&["cleanup", "--force", "--keep-newer", "0s"]).ok();
    assert!(!garbage.exists() && needed.exists() && other.exists());
}

#[test]
fn a_store_that_is_not_accepted_is_not_touched() {
    let world = ready();
    let work = world.at("work");
    work.git(&["config", "--unset-all", "s3lfs.store"]).ok();
    refuses(&work, &["s3lfs trust"]);
    work.s3lfs(&["trust"]).ok();
    works_again(&work);
}
