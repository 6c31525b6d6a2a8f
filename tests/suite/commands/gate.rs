//! The push gate where stores and attributes differ between branches: the pushed tip's own count.

use std::fs;

use crate::world::{MANIFEST, Place, Ran, World, oid};

#[track_caller]
fn refused(ran: Ran) -> Ran {
    assert_ne!(ran.code, 0, "the push must be refused: {ran:#?}");
    assert!(ran.stderr.contains("s3lfs: push refused"), "by s3lfs: {ran:#?}");
    ran
}

/// Branch `move` names the store `moved`, which has everything that it names; HEAD is on `main`.
fn with_a_moved_branch(world: &World) -> Place<'_> {
    let work = world.at("work");
    work.git(&["switch", "-qc", "move"]).ok();
    work.s3lfs(&["init", "--force", &world.url("moved"), "proj"]).ok();
    work.git(&["add", MANIFEST]).ok();
    work.git(&["commit", "-qm", "move"]).ok();
    work.git(&["push", "-q", "origin", "move"]).ok();
    work.git(&["switch", "-q", "main"]).ok();
    work.s3lfs(&["trust"]).ok();
    work
}

#[test]
fn a_branch_that_is_not_checked_out_is_proved_in_its_own_store() {
    let world = World::with_a();
    let work = with_a_moved_branch(&world);
    work.git(&["switch", "-q", "move"]).ok();
    work.s3lfs(&["trust"]).ok();
    work.git(&["config", "s3lfs.uploadon", "push"]).ok();
    work.commit("later.bin", b"later");
    work.git(&["switch", "-q", "main"]).ok();
    work.git(&["push", "-q", "origin", "move"]).ok();
    assert!(world.object_in("moved", b"later").exists(), "its content went to the store that it names");
    assert!(!world.object(b"later").exists(), "and not to the one of the worktree");
}

#[test]
fn a_merge_brings_what_the_other_side_kept_in_another_store() {
    let world = World::with_a();
    let work = with_a_moved_branch(&world);
    work.commit("later.bin", b"later");
    work.git(&["push", "-q", "origin", "main"]).ok();
    work.git(&["switch", "-q", "move"]).ok();
    work.s3lfs(&["trust"]).ok();
    work.git(&["config", "s3lfs.uploadon", "push"]).ok();
    work.git(&["merge", "-q", "-m", "merge", "main"]).ok();
    work.leave_pointer("later.bin");
    refused(work.git(&["push", "origin", "move"])).says(&["later.bin", &oid(b"later")]);
    let object = world.object_in("moved", b"later");
    fs::create_dir_all(object.parent().unwrap()).unwrap();
    fs::copy(world.object(b"later"), object).unwrap();
    work.git(&["push", "-q", "origin", "move"]).ok();
}

#[test]
fn a_ref_without_attributes_does_not_hide_the_content_of_another() {
    let world = World::new();
    let work = world.at("work");
    work.s3lfs(&["init", "--no-project", &world.url("store"), "proj"]).ok();
    work.s3lfs(&["git-setup", "--track", "*.bin"]).ok();
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-qm", "set up"]).ok();
    work.git(&["push", "-q", "origin", "main"]).ok();
    work.git(&["switch", "-qc", "b-with"]).ok();
    world.unplug();
    work.commit("lost.bin", b"lost");
    work.remove("lost.bin");
    work.git(&["switch", "-qfc", "a-without"]).ok();
    work.git(&["rm", "-q", ".gitattributes"]).ok();
    work.git(&["commit", "-qm", "no attributes"]).ok();
    work.drop_cache();
    world.plug();
    refused(work.git(&["push", "origin", "a-without", "b-with"])).says(&["lost.bin"]);
}

#[test]
fn a_conflict_is_left_to_the_user_by_download() {
    let world = World::with_a();
    let work = world.at("work");
    work.git(&["switch", "-qc", "side"]).ok();
    work.commit("a.bin", b"theirs");
    work.git(&["switch", "-q", "main"]).ok();
    work.commit("a.bin", b"ours");
    work.commit("other.bin", b"other");
    assert_ne!(work.git(&["merge", "-q", "side"]).code, 0, "both changed a.bin");
    let before = work.git(&["ls-files", "-u"]).ok().stdout;
    work.remove("a.bin");
    work.remove("other.bin");
    work.s3lfs(&["download", "a.bin", "other.bin"]).ok();
    assert_eq!((work.text("a.bin"), work.text("other.bin")), ("ours".into(), "other".into()));
    assert_eq!(work.git(&["ls-files", "-u"]).ok().stdout, before, "the conflict is as it was");
}

#[test]
fn what_was_untracked_since_is_sent_along_from_the_cache() {
    let world = World::with_a();
    let work = world.at("work");
    work.git(&["config", "s3lfs.uploadon", "push"]).ok();
    work.commit("v.bin", b"first version");
    work.git(&["rm", "-q", "v.bin", "a.bin"]).ok();
    work.s3lfs(&["untrack", "*.bin"]).ok();
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-qm", "drop"]).ok();
    work.git(&["push", "-q"]).ok();
    assert!(world.object(b"first version").exists(), "the older commit can be checked out elsewhere");
}

#[test]
fn an_unmounted_store_is_not_taken_for_an_empty_one() {
    let world = World::with_a();
    let work = world.at("work");
    // A clone that has never written there.
    let other = world.cloned("other");
    world.unplug();
    fs::create_dir(world.path("store")).unwrap();
    work.commit("b.bin", b"b").says(&["not mounted"]);
    refused(work.git(&["push"])).says(&["b.bin", "not mounted"]);
    assert_eq!(fs::read_dir(world.path("store")).unwrap().count(), 0, "nothing is written into the empty place");
    for (args, code) in [
        (&["verify"][..], 3),
        (&["verify", "--all"], 3),
        (&["verify", "--fix"], 3),
        (&["cleanup"], 1),
        (&["cleanup", "--dry-run"], 1),
        (&["cleanup", "--force"], 1),
    ] {
        work.s3lfs(args).fails(code).says(&["not mounted", "mount the disk"]).never_says(&["nothing to delete"]);
        other.s3lfs(args).fails(code).says(&["not mounted", "mount the disk"]);
    }
    assert_eq!(fs::read_dir(world.path("store")).unwrap().count(), 0, "nothing is written into the empty place");
    fs::remove_dir(world.path("store")).unwrap();
    world.plug();
    work.git(&["push", "-q"]).ok();
    assert!(world.object(b"b").exists());
    work.s3lfs(&["verify", "--all"]).ok();
}

#[test]
fn a_pointer_with_a_wrong_size_is_refused_where_the_content_is_known() {
    let world = World::with_a();
    let work = world.at("work");
    let lie = work.blob(":a.bin").replace("size 13", "size 99");
    assert!(lie.contains("size 99"), "the size was changed: {lie}");
    work.write("lie.bin", &lie);
    work.git(&["add", "lie.bin"]).ok();
    work.git(&["commit", "-qm", "lie"]).ok();
    refused(work.git(&["push"])).says(&["lie.bin", "wrong size"]);
}
