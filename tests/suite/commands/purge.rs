//! `remove --purge-from-s3`: everything is asked before anything is changed.

use std::fs;

use crate::cleanup::time::days_pass;
use crate::world::{MANIFEST, Place, World, snapshot, worktree_files};

/// `once.bin` committed and pushed.
fn pushed() -> World {
    let world = World::with_a();
    world.at("work").commit("once.bin", b"only once");
    world.at("work").git(&["push", "-q"]).ok();
    world
}

/// The command refuses, and neither store, index, manifest nor files change.
#[track_caller]
fn refused(world: &World, work: &Place<'_>, args: &[&str], says: &[&str]) {
    let before = (snapshot(&world.path("store")), work.index(), worktree_files(work));
    work.s3lfs(args).fails(1).says(says);
    assert_eq!(before, (snapshot(&world.path("store")), work.index(), worktree_files(work)), "nothing was changed");
}

#[test]
fn content_of_commits_goes_only_by_force_and_they_are_listed() {
    let world = pushed();
    let work = world.at("work");
    let commit = work.head();
    refused(&world, &work, &["remove", "once.bin", "--purge-from-s3"], &[&commit, "still named", "--force"]);
    work.s3lfs(&["remove", "once.bin", "--purge-from-s3", "--force"]).ok().says(&[&commit, "Deleted 1 object"]);
    assert!(!world.object(b"only once").exists(), "the object is gone");
    assert!(world.object(b"content of a\n").exists(), "and no other");
    assert_eq!(work.read("once.bin"), b"only once", "the file stays");
    assert!(work.git(&["ls-files", "once.bin"]).ok().stdout.is_empty());
}

#[test]
fn content_that_no_commit_names_goes_at_once() {
    let world = World::with_a();
    let work = world.at("work");
    work.write("new.bin", "never committed");
    work.s3lfs(&["upload", "new.bin"]).ok();
    assert!(world.object(b"never committed").exists());
    work.s3lfs(&["remove", "new.bin", "--purge-from-s3"]).ok();
    assert!(!world.object(b"never committed").exists());
    work.git(&["add", "new.bin"]).ok();
    work.git(&["commit", "-qm", "after all"]).ok();
    work.git(&["push", "-q"]).ok();
    assert!(world.object(b"never committed").exists(), "nobody believes that it is there any more");
}

/// A push opens no connection where a fresh record knows everything; so whoever purges is told who may go by one.
#[test]
fn what_another_clone_has_not_pushed_can_be_sent_again_from_there() {
    let world = World::with_a();
    let (work, other) = (world.at("work"), world.cloned("other"));
    other.commit("new.bin", b"not pushed");
    work.write("mine.bin", "not pushed");
    work.s3lfs(&["upload", "mine.bin"]).ok();
    work.s3lfs(&["remove", "mine.bin", "--purge-from-s3"]).ok().says(&["has not pushed yet", "s3lfs upload"]);
    assert!(!world.object(b"not pushed").exists());
    other.s3lfs(&["upload", "new.bin"]).ok();
    other.git(&["push", "-q"]).ok();
    assert!(world.object(b"not pushed").exists(), "what is published is there");

    // By now, no record of it is believed.
    work.write("mine.bin", "of long ago");
    work.s3lfs(&["upload", "mine.bin"]).ok();
    days_pass(&world, 8);
    work.s3lfs(&["remove", "mine.bin", "--purge-from-s3", "--fetch"]).ok().never_says(&["warning"]);
}

#[test]
fn content_of_another_path_is_never_purged() {
    let world = pushed();
    let work = world.at("work");
    work.commit("twin.bin", b"only once");
    let args = ["remove", "once.bin", "--purge-from-s3", "--force"];
    refused(&world, &work, &args, &["twin.bin", "same content"]);
    let attributes = work.read(".gitattributes");
    work.write(".gitattributes", "once.bin filter=s3lfs -text\n");
    refused(&world, &work, &args, &["twin.bin", "same content"]);
    work.write(".gitattributes", attributes);
    work.s3lfs(&["remove", "once.bin", "twin.bin", "--purge-from-s3", "--force"]).ok();
    assert!(!world.object(b"only once").exists(), "both went");
}

#[test]
fn what_others_have_counts() {
    let world = World::with_a();
    let work = world.at("work");
    let other = world.cloned("other");
    other.git(&["switch", "-qc", "theirs"]).ok();
    other.commit("new.bin", b"shared");
    other.git(&["push", "-q", "origin", "theirs"]).ok();
    work.write("new.bin", "shared");
    work.s3lfs(&["upload", "new.bin"]).ok();
    let args = ["remove", "new.bin", "--purge-from-s3"];
    refused(&world, &work, &args, &["theirs", "not here", "--fetch"]);
    let args = ["remove", "new.bin", "--purge-from-s3", "--fetch"];
    refused(&world, &work, &args, &["named in commit", "--force"]);
    fs::rename(world.path("remote.git"), world.path("away.git")).unwrap();
    refused(&world, &work, &["remove", "new.bin", "--purge-from-s3"], &["does not answer"]);
    assert!(world.object(b"shared").exists());
}

#[test]
fn another_repository_in_the_prefix_stops_it() {
    let world = pushed();
    let work = world.at("work");
    fs::write(
        world.path("store/proj/repositories/other.json"),
        r#"{"format": 1, "created": "x", "keep_newer": "14d"}"#,
    )
    .unwrap();
    let args = ["remove", "once.bin", "--purge-from-s3", "--force"];
    refused(&world, &work, &args, &["2 repositories", "other"]);
}

#[test]
fn a_subtree_goes_and_a_kill_before_the_deletion_is_made_good() {
    let world = World::with_a();
    let work = world.at("work");
    work.commit("art/x.bin", b"x");
    work.commit("art/y.bin", b"y");
    // As after a kill between the two halves.
    work.s3lfs(&["remove-subtree", "art"]).ok();
    work.s3lfs(&["remove-subtree", "art", "--purge-from-s3", "--force"]).ok().says(&["Deleted 2 objects"]);
    assert!(!world.object(b"x").exists() && !world.object(b"y").exists());
    assert!(work.exists("art/x.bin"), "files stay");
}

#[test]
fn force_without_purge_is_no_usage() {
    let world = World::with_a();
    world.at("work").s3lfs(&["remove", "a.bin", "--force"]).says(&["--purge-from-s3"]);
    world.at("work").is_clean();
}

#[test]
fn whatever_names_the_content_counts_though_no_log_shows_it() {
    let world = World::ready();
    let work = world.at("work");
    let args = ["remove", "b.bin", "--purge-from-s3"];
    let upload = || {
        work.write("b.bin", "kept");
        work.s3lfs(&["upload", "b.bin"]).ok();
        work.blob(":b.bin")
    };

    upload();
    let id = work.git(&["rev-parse", ":b.bin"]).ok().stdout;
    work.git(&["update-ref", "refs/tags/blob", id.trim()]).ok();
    refused(&world, &work, &args, &["still named", "a tag"]);
    work.git(&["update-ref", "-d", "refs/tags/blob"]).ok();

    work.git(&["worktree", "add", "-q", "--detach", "../linked"]).ok();
    let linked = world.at("linked");
    linked.write("elsewhere.bin", "kept");
    linked.git(&["add", "elsewhere.bin"]).ok();
    refused(&world, &work, &args, &["the worktree", "linked", "elsewhere.bin"]);
    linked.git(&["rm", "-q", "--cached", "elsewhere.bin"]).ok();

    let tree = work.git(&["write-tree"]).ok().stdout;
    let commit = work.git(&["commit-tree", "-m", "x", tree.trim()]).ok().stdout;
    work.write(".git/FETCH_HEAD", format!("{}\t\tbranch 'x' of elsewhere\n", commit.trim()));
    refused(&world, &work, &args, &["still named"]);
    work.remove(".git/FETCH_HEAD");
    work.s3lfs(&args).ok();
    assert!(!world.object(b"kept").exists(), "now nothing names it");
}

#[test]
fn what_another_worktree_has_is_not_purged_even_by_force() {
    let world = pushed();
    let work = world.at("work");
    work.git(&["worktree", "add", "-q", "-b", "linked", "../linked"]).ok();
    let linked = world.at("linked");
    let args = ["remove", "once.bin", "--purge-from-s3", "--force"];
    refused(&world, &work, &args, &["the worktree", "linked", "once.bin"]);
    // In the index alone, at another path, by a name that no pattern covers.
    linked.git(&["mv", "once.bin", "renamed"]).ok();
    linked.git(&["rm", "-q", "--cached", "-f", MANIFEST]).ok();
    linked.git(&["commit", "-q", "--no-verify", "-m", "renamed"]).ok();
    refused(&world, &work, &args, &["renamed"]);
    linked.git(&["rm", "-q", "--cached", "renamed"]).ok();
    refused(&world, &work, &args, &["renamed"]);
    // Nor in HEAD any more.
    linked.git(&["commit", "-q", "--no-verify", "-m", "gone"]).ok();
    work.s3lfs(&args).ok().says(&["Deleted 1 object"]);
    assert!(!world.object(b"only once").exists(), "now no worktree has it");
}

#[test]
fn the_users_log_settings_hide_no_commit() {
    let world = World::new();
    let work = world.at("work");
    work.s3lfs(&["init", &world.url("store"), "proj"]).ok();
    work.s3lfs(&["git-setup", "--track", "*.bin"]).ok();
    work.write("b.bin", "in the root commit");
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-qm", "root"]).ok();
    work.git(&["config", "log.showRoot", "false"]).ok();
    refused(&world, &work, &["remove", "b.bin", "--purge-from-s3"], &["still named", &work.head()]);
}

/// To fetch what only had a pointer here may take hours: what everybody has is asked again before the deletion.
#[test]
fn whoever_pushes_meanwhile_stops_it() {
    let world = World::with_a();
    let (work, other) = (world.at("work"), world.cloned("other"));
    other.git(&["switch", "-qc", "theirs"]).ok();
    other.commit("new.bin", b"shared");
    work.write("new.bin", "shared");
    work.s3lfs(&["upload", "new.bin"]).ok();
    // The remote is fetched from and asked, and then both again.
    let script = "#!/bin/sh\necho x >> .git/calls\n\
                  [ $(wc -l < .git/calls) != 3 ] || (cd ../other && git push -q origin theirs) >&2 </dev/null\n\
                  exec git-upload-pack \"$@\"\n";
    work.script(".git/upload-pack", script);
    work.git(&["config", "remote.origin.uploadpack", work.join(".git/upload-pack").to_str().unwrap()]).ok();
    let args = ["remove", "new.bin", "--purge-from-s3", "--fetch"];
    let before = work.index();
    work.s3lfs(&args).fails(1).says(&["somebody pushed meanwhile", "nothing was deleted"]);
    assert!(world.object(b"shared").exists(), "somebody needs it now");
    assert_eq!(work.index(), before, "nothing was changed");
    refused(&world, &work, &args, &["named in commit", "--force"]);
    other.git(&["push", "-q", "-d", "origin", "theirs"]).ok();
    work.s3lfs(&args).ok().says(&["Deleted 1 object"]);
}
