//! A store with garbage in it, and repositories that name content in odd places.
//!
//! Apart because every rule is tried in the same way: something old that nobody needs is in the store
//! together with what the rule is about, so that a cleanup that deletes nothing at all passes no test.

use std::fs;

use super::time::days_pass;
use crate::world::{Place, Ran, World, pointer, snapshot};

/// What nothing names.
pub const GARBAGE: &[u8] = b"nobody needs this";

/// Somebody once uploaded this content, without pushing anything.
pub fn put(world: &World, content: &[u8]) {
    let object = world.object(content);
    fs::create_dir_all(object.parent().unwrap()).unwrap();
    fs::write(object, content).unwrap();
}

/// The pointer to `content` as a blob.
pub fn blob(place: &Place<'_>, content: &[u8]) -> String {
    text_blob(place, pointer(content))
}

/// Any blob, as it is.
pub fn text_blob(place: &Place<'_>, text: impl AsRef<[u8]>) -> String {
    id(place.git_with_input(&["hash-object", "-w", "--stdin", "--no-filters"], text.as_ref()))
}

/// A tree of such blobs.
pub fn tree(place: &Place<'_>, files: &[(&str, &str)]) -> String {
    let lines: String = files.iter().map(|(name, blob)| format!("100644 blob {blob}\t{name}\n")).collect();
    id(place.git_with_input(&["mktree"], lines.as_bytes()))
}

/// A commit of a tree, which no ref names.
pub fn commit_tree(place: &Place<'_>, tree: &str, parents: &[&str]) -> String {
    let parents = parents.iter().flat_map(|parent| ["-p", parent]);
    let args: Vec<&str> = ["commit-tree", "-m", "by hand", tree].into_iter().chain(parents).collect();
    id(place.git(&args))
}

/// A commit of nothing but a pointer to `content`, whose object is put into the store.
pub fn commit_of(place: &Place<'_>, content: &[u8]) -> String {
    put(place.world, content);
    commit_tree(place, &tree(place, &[("x.bin", &blob(place, content))]), &[])
}

/// A ref without a reflog.
pub fn name(place: &Place<'_>, name: &str, id: &str) {
    place.git(&["-c", "core.logAllRefUpdates=false", "update-ref", name, id]).ok();
}

/// Everything that the reflogs keep is kept no more.
pub fn forget_reflogs(place: &Place<'_>) {
    place.git(&["reflog", "expire", "--expire=all", "--expire-unreachable=all", "--all"]).ok();
}

pub fn id(ran: Ran) -> String {
    ran.ok().stdout.trim().to_owned()
}

pub fn cleanup(place: &Place<'_>) -> Ran {
    place.s3lfs(&["cleanup", "--force"])
}

/// The garbage is as old as it must be, and marked: the next cleanup deletes it.
pub fn ripe(world: &World) {
    put(world, GARBAGE);
    days_pass(world, 15);
    cleanup(&world.at("work")).ok();
    assert!(world.object(GARBAGE).exists(), "the first run only marks");
    days_pass(world, 15);
}

/// A world that is set up, with ripe garbage.
pub fn ready() -> World {
    let world = World::ready();
    ripe(&world);
    world
}

/// Garbage goes, in two runs, and these contents stay.
#[track_caller]
pub fn spares(place: &Place<'_>, kept: &[(&str, &[u8])]) {
    let world = place.world;
    put(world, GARBAGE);
    for (what, content) in kept {
        assert!(world.object(content).exists(), "{what}: it is there before");
    }
    for _ in 0..2 {
        days_pass(world, 15);
        cleanup(place).ok();
    }
    assert!(!world.object(GARBAGE).exists(), "what nobody needs is deleted");
    let lost: Vec<&str> = kept.iter().filter(|(_, c)| !world.object(c).exists()).map(|(what, _)| *what).collect();
    assert!(lost.is_empty(), "these still name content, which was deleted: {lost:?}");
}

/// It says why, deletes nothing, writes nothing.
#[track_caller]
pub fn refuses(place: &Place<'_>, says: &[&str]) {
    refuses_with(place, &["cleanup", "--force"], says);
}

#[track_caller]
pub fn refuses_with(place: &Place<'_>, args: &[&str], says: &[&str]) {
    let before = snapshot(&place.world.path("store"));
    let ran = place.s3lfs(args);
    assert!(snapshot(&place.world.path("store")) == before, "nothing is deleted, nothing is written: {ran:#?}");
    let ran = ran.fails(1).says(says);
    match args.contains(&"--json") {
        true => drop(ran.refused_in_json(args[0])),
        false => assert_eq!(ran.stdout, "", "nothing is listed"),
    }
}

/// The garbage goes after all: what made it refuse was that one thing.
#[track_caller]
pub fn works_again(place: &Place<'_>) {
    cleanup(place).ok();
    assert!(!place.world.object(GARBAGE).exists(), "what nobody needs is deleted");
}
