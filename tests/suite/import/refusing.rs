//! What stands in the way of a rewriting is said before anything is changed.

use super::{large, raw};
use crate::world::{Place, World};

fn with_large() -> World {
    let world = raw();
    world.at("work").commit("a.psd", &large("a", 1));
    world
}

const IMPORT: [&str; 4] = ["migrate", "import", "--above", "1k"];

/// It is refused, with these words, and no ref moves.
#[track_caller]
fn refused(place: &Place<'_>, says: &[&str]) {
    let refs = |place: &Place<'_>| place.git(&["for-each-ref"]).ok().stdout + &place.head();
    let before = refs(place);
    place.s3lfs(&IMPORT).fails(1).says(says);
    assert_eq!(refs(place), before, "no ref moves");
}

#[test]
fn nothing_of_the_users_own_is_touched() {
    let world = with_large();
    let work = world.at("work");
    work.write("README", "changed");
    refused(&work, &["changes that are not committed", "git stash"]);
    work.git(&["checkout", "-q", "--", "README"]).ok();
    work.write(".gitattributes", "*.txt text\n");
    refused(&work, &[".gitattributes is here and not in Git"]);
    work.remove(".gitattributes");
    work.git(&["worktree", "add", "-q", "-b", "other", "../linked"]).ok();
    refused(&work, &["refs/heads/other is checked out in another worktree"]);
    work.git(&["worktree", "remove", "../linked"]).ok();
    work.git(&["checkout", "-q", "--detach"]).ok();
    refused(&work, &["HEAD is at a commit"]);
    work.git(&["checkout", "-q", "main"]).ok();
    work.git(&["replace", "HEAD", "HEAD~1"]).ok();
    refused(&work, &["replaced objects"]);
    work.sh("git replace --delete \"$(git rev-parse HEAD)\"").ok();
    work.write("untracked", "stays");
    work.s3lfs(&IMPORT).ok();
    assert_eq!(work.text("untracked"), "stays");
}

#[test]
fn what_a_remote_has_is_rewritten_only_when_that_is_agreed() {
    let world = with_large();
    let work = world.at("work");
    work.git(&["-c", "s3lfs.allowraw=true", "push", "-q", "origin", "main"]).ok();
    work.commit("b.psd", &large("b", 1));
    refused(&work, &["a remote has 1 commit", "--yes"]);
    work.s3lfs(&[&IMPORT[..], &["--yes"]].concat()).ok();
    work.is_clean();
}

#[test]
fn an_attributes_file_that_would_keep_a_file_from_us_is_named() {
    let world = with_large();
    let work = world.at("work");
    work.write("dir/.gitattributes", "*.psd -filter\n");
    work.write("dir/b.psd", large("b", 1));
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-qm", "exception"]).ok();
    refused(&work, &["keeps dir/b.psd from s3lfs", "--exclude"]);
    work.s3lfs(&[&IMPORT[..], &["--exclude", "dir/**"]].concat()).ok();
    work.is_clean();
}

#[test]
fn a_clone_that_has_not_everything_is_refused_and_so_is_nonsense() {
    let world = with_large();
    let work = world.at("work");
    work.commit("b", b"more");
    world.at("").git(&["clone", "-q", "--depth", "1", &world.url("work"), "shallow"]).ok();
    world.at("shallow").s3lfs(&["git-setup"]).ok();
    world.at("shallow").s3lfs(&IMPORT).fails(1).says(&["shallow"]);
    assert_eq!(work.s3lfs(&["migrate", "import"]).code, 2, "everything is never meant");
    assert_eq!(work.s3lfs(&["migrate", "import", "--above", "much"]).code, 2);
    work.s3lfs(&[&IMPORT[..], &["nowhere"]].concat()).fails(1).says(&["nowhere is no branch or tag"]);
    work.git(&["config", "--remove-section", "filter.s3lfs"]).ok();
    work.s3lfs(&IMPORT).fails(1).says(&["git-setup"]);
}
