//! A commit from before s3lfs came, whose files are git-lfs's: what doctor and `git-setup --lfs` do there.

use super::{content, lfs_pointer, without_git_lfs};
use crate::doctor::{about, finds};
use crate::world::{MANIFEST, Place, World};

/// A history that begins under git-lfs and goes on under s3lfs, in whose store all content is; at its first commit,
/// where git-lfs is not installed.
fn at_the_old_commit(world: &World) -> Place<'_> {
    let work = without_git_lfs(&world.at("work"));
    let (old, new) = (content("a", 1), content("a", 2));
    work.write(".gitattributes", "*.psd filter=lfs diff=lfs merge=lfs -text\n");
    work.write("a.psd", lfs_pointer(&old));
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-qm", "under git-lfs"]).ok();
    work.remove(".gitattributes");
    work.s3lfs(&["init", &world.url("store"), "proj"]).ok();
    work.s3lfs(&["git-setup", "--track", "*.psd"]).ok();
    for version in [&old, &new] {
        work.write("a.psd", version);
        work.git(&["add", "-A"]).ok();
        work.git(&["commit", "-qm", "under s3lfs"]).ok();
    }
    work.git(&["push", "-qu", "origin", "main"]).ok();
    work.git(&["checkout", "-q", "main~2"]).ok();
    work.drop_cache();
    assert_eq!(work.text("a.psd"), lfs_pointer(&old), "nobody turns it into content there");
    assert!(!work.exists(MANIFEST));
    work
}

#[test]
fn the_command_that_fills_its_files_is_named_and_does() {
    let world = World::new();
    let work = at_the_old_commit(&world);
    let answer = work.s3lfs(&["doctor", "--json"]).ok().json("doctor");
    let mend = finds(&answer, "git-lfs", "warning", &["1 file", "a.psd", "filter=lfs", "nothing turns"]);
    assert_eq!(mend[0], "s3lfs git-setup --lfs");
    let before = work.text(".gitattributes");
    let ran = work.s3lfs(&["git-setup", "--lfs"]).ok();
    let ran = ran.never_says(&["No store yet", "Changed .gitattributes"]);
    ran.says(&["no .s3_manifest.json", &world.url("store"), "s3lfs download-all"]);
    assert_eq!(work.text(".gitattributes"), before, "a commit that is over is not edited");
    crate::doctor::run_all(&work, &mend[1..]);
    assert_eq!(work.read("a.psd"), content("a", 1), "the commands fill it");
    work.is_clean();
    let answer = work.s3lfs(&["doctor", "--json"]).ok().json("doctor");
    assert_eq!(about(&answer, "git-lfs"), [], "s3lfs answers for it now");
    work.git(&["checkout", "-q", "main"]).ok();
    work.git(&["checkout", "-q", "main~2"]).ok();
    assert_eq!(work.read("a.psd"), content("a", 1));
}

#[test]
fn where_git_lfs_is_set_up_its_files_are_left_to_it() {
    let world = World::new();
    let work = at_the_old_commit(&world);
    work.git(&["config", "filter.lfs.process", "git-lfs filter-process"]).ok();
    let answer = work.s3lfs(&["doctor", "--json"]).ok().json("doctor");
    let mend = finds(&answer, "git-lfs", "warning", &["1 file", "git-lfs is set up", "not there"]);
    assert_eq!(mend, ["s3lfs git-setup --lfs", "s3lfs download-all"]);
    world.at("").script("no-lfs/git-lfs", "#!/bin/sh\necho git-lfs/3\n");
    let answer = work.s3lfs(&["doctor", "--json"]).ok().json("doctor");
    finds(&answer, "git-lfs", "note", &["1 file", "left to git-lfs"]);
}

#[test]
fn a_clone_that_accepted_no_store_is_told_where_one_is_named() {
    let world = World::new();
    at_the_old_commit(&world);
    let away = without_git_lfs(&world.at(""));
    away.git(&["clone", "-q", &world.url("remote.git"), "plain"]).ok();
    let plain = away.in_dir(&world.at("plain"));
    plain.git(&["checkout", "-q", "main~2"]).ok();
    let ran = plain.s3lfs(&["git-setup", "--lfs"]).ok().never_says(&["No store yet", "Changed"]);
    ran.says(&["no .s3_manifest.json", "one that has", "git-setup"]);
    plain.is_clean();
}
