//! Objects so old that a cleanup may take them: published names keep them, all others are written anew.

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::world::{Place, World};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// The object was written, and the clone proved it to be there, 20 days ago.
fn age(work: &Place<'_>, object: &Path) {
    let then = SystemTime::now() - 20 * DAY;
    File::options().append(true).open(object).unwrap().set_modified(then).unwrap();
    let _ = fs::remove_dir_all(work.join(".git/s3lfs/uploaded"));
}

fn is_old(object: &Path) -> bool {
    fs::metadata(object).unwrap().modified().unwrap() < SystemTime::now() - 19 * DAY
}

#[test]
fn what_the_remote_has_is_not_sent_again() {
    let world = World::with_a();
    let work = world.at("work");
    let object = world.object(b"content of a\n");
    age(&work, &object);
    work.git(&["mv", "a.bin", "b.bin"]).ok();
    work.git(&["commit", "-qm", "renamed"]).ok();
    work.git(&["push", "-q"]).ok();
    assert!(is_old(&object), "the remote's main names it: nobody may delete it");
}

#[test]
fn what_only_a_deleted_branch_named_is_written_anew() {
    let world = World::with_a();
    let work = world.at("work");
    work.git(&["switch", "-qc", "x"]).ok();
    work.commit("x.bin", b"on x only");
    work.git(&["push", "-q", "origin", "x"]).ok();
    work.git(&["push", "-q", "origin", "--delete", "x"]).ok();
    let object = world.object(b"on x only");
    for cached in [true, false] {
        age(&work, &object);
        if !cached {
            work.drop_cache();
        }
        work.git(&["push", "-q", "origin", "x"]).ok();
        assert!(!is_old(&object), "its age starts anew (cached: {cached})");
        work.git(&["push", "-q", "origin", "--delete", "x"]).ok();
    }
}

#[test]
fn reading_an_old_object_is_no_proof_that_it_stays() {
    let world = World::with_a();
    let work = world.at("work");
    work.git(&["switch", "-qc", "x"]).ok();
    work.commit("x.bin", b"on x only");
    work.git(&["push", "-q", "origin", "x"]).ok();
    let other = world.cloned("other");
    work.git(&["push", "-q", "origin", "--delete", "x"]).ok();
    let object = world.object(b"on x only");
    age(&other, &object);
    other.git(&["switch", "-q", "x"]).ok();
    assert_eq!(other.read("x.bin"), b"on x only", "it came from the store");
    // What this clone fetched long ago is not what the remote has today.
    other.git(&["fetch", "-q", "--prune"]).ok();
    other.git(&["push", "-q", "origin", "HEAD:refs/heads/y"]).ok();
    assert!(!is_old(&object), "a cleanup after the branch was deleted might have marked it");
}

#[test]
fn a_new_branch_on_a_quiet_remote_sends_no_history_again() {
    let world = World::with_a();
    let work = world.at("work");
    let object = world.object(b"content of a\n");
    age(&work, &object);
    // Nothing was fetched or moved lately, and the commit leaves all questions to the push.
    work.git(&["config", "s3lfs.uploadon", "push"]).ok();
    let _ = fs::remove_dir_all(work.join(".git/logs/refs/remotes"));
    work.drop_cache();
    work.git(&["switch", "-qc", "feature"]).ok();
    work.write("note.txt", "text");
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-qm", "text"]).ok();
    work.git(&["push", "-qu", "origin", "feature"]).ok();
    assert!(is_old(&object), "the remote itself says that its main names it");
}

#[test]
fn settings_of_a_remote_that_is_none_here_stop_no_push() {
    let world = World::with_a();
    let work = world.at("work");
    work.git(&["remote", "rename", "origin", "up"]).ok();
    work.git(&["config", "--global", "remote.origin.fetch", "+refs/pull/*/head:refs/remotes/origin/pr/*"]).ok();
    age(&work, &world.object(b"content of a\n"));
    work.git(&["mv", "a.bin", "b.bin"]).ok();
    work.git(&["commit", "-qm", "renamed"]).ok();
    work.git(&["push", "-q", "up", "main"]).ok();
    work.s3lfs(&["cleanup", "--dry-run"]).ok();
}

#[test]
fn a_url_that_was_lost_from_the_registration_is_written_again() {
    let world = World::with_a();
    let work = world.at("work");
    let id = work.manifest()["repository_id"].as_str().unwrap().to_owned();
    let path = world.path(&format!("store/proj/repositories/{id}.json"));
    let before = fs::read_to_string(&path).unwrap();
    assert!(before.contains("remote.git"));
    fs::write(&path, r#"{"format": 1, "created": "2026-01-01T00:00:00Z", "keep_newer": "14d", "git_urls": []}"#)
        .unwrap();
    work.commit("c.bin", b"c");
    let _ = fs::remove_dir_all(work.join(".git/s3lfs/uploaded"));
    work.git(&["push", "-q"]).ok();
    assert!(fs::read_to_string(&path).unwrap().contains("remote.git"), "cleanup goes by what stands there");
}
