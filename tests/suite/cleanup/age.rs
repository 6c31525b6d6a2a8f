//! Age: garbage is marked first, and deleted when it has been garbage for long enough.

use std::fs;
use std::time::Duration;

use super::bench::{GARBAGE, cleanup, commit_of, forget_reflogs, name, put, ready};
use super::time::{days_pass, files, store_ages};
use crate::world::{World, snapshot};

#[test]
fn the_first_run_marks_and_one_fourteen_days_later_deletes() {
    let world = World::with_a();
    let work = world.at("work");
    put(&world, GARBAGE);
    days_pass(&world, 100);
    let objects = snapshot(&world.path("store/proj/assets"));
    work.s3lfs(&["cleanup"]).ok();
    assert!(snapshot(&world.path("store/proj/assets")) == objects, "however old it is: nobody looked before");
    days_pass(&world, 13);
    cleanup(&work).ok();
    assert!(world.object(GARBAGE).exists(), "thirteen days are not enough");
    days_pass(&world, 1);
    cleanup(&work).ok().says(&["Deleted 1 object"]);
    assert!(!world.object(GARBAGE).exists() && world.object(b"content of a\n").exists());
    cleanup(&work).ok();
}

#[test]
fn what_was_written_anew_counts_from_then() {
    let world = ready();
    let work = world.at("work");
    put(&world, GARBAGE);
    cleanup(&work).ok();
    assert!(world.object(GARBAGE).exists(), "somebody has uploaded it just now, and is about to push");
    days_pass(&world, 13);
    cleanup(&work).ok();
    assert!(world.object(GARBAGE).exists());
    days_pass(&world, 2);
    cleanup(&work).ok();
    assert!(!world.object(GARBAGE).exists());
}

#[test]
fn a_mark_goes_when_the_object_is_reachable_and_is_made_anew_after() {
    let world = World::ready();
    let work = world.at("work");
    let commit = commit_of(&work, b"now and then");
    days_pass(&world, 100);
    cleanup(&work).ok();
    days_pass(&world, 10);
    name(&work, "refs/heads/needs-it", &commit);
    cleanup(&work).ok();
    days_pass(&world, 10);
    work.git(&["update-ref", "-d", "refs/heads/needs-it"]).ok();
    forget_reflogs(&work);
    cleanup(&work).ok();
    assert!(world.object(b"now and then").exists(), "it was needed in between: this is the first day without");
    days_pass(&world, 13);
    cleanup(&work).ok();
    assert!(world.object(b"now and then").exists());
    days_pass(&world, 2);
    cleanup(&work).ok();
    assert!(!world.object(b"now and then").exists());
}

/// An object as young as its mark is old: the younger time counts, however close they are.
#[test]
fn of_both_times_the_later_counts() {
    let world = World::ready();
    let work = world.at("work");
    let path = files(&world.path("store/proj/repositories")).pop().unwrap();
    fs::write(&path, fs::read_to_string(&path).unwrap().replace("\"14d\"", "\"10m\"")).unwrap();
    let six = Duration::from_secs(6 * 60);
    for content in [b"marked first", b"written last"] {
        put(&world, content);
    }
    store_ages(&world.path("store"), 10 * six);
    cleanup(&work).ok();
    store_ages(&world.path("store"), six);
    put(&world, b"written last");
    store_ages(&world.path("store"), six);
    cleanup(&work).ok();
    assert!(!world.object(b"marked first").exists(), "twelve minutes are enough");
    assert!(world.object(b"written last").exists(), "six are not");
}

/// A mark that nobody took back while the object was needed says nothing about today.
#[test]
fn a_mark_from_before_the_object_was_uploaded_again_does_not_count() {
    let world = ready();
    let work = world.at("work");
    cleanup(&work).ok();
    assert!(!world.object(GARBAGE).exists());
    // It comes back, is needed for long, and no cleanup runs meanwhile.
    put(&world, GARBAGE);
    days_pass(&world, 30);
    cleanup(&work).ok();
    assert!(world.object(GARBAGE).exists(), "this is the first cleanup that sees this upload unreachable");
    days_pass(&world, 15);
    cleanup(&work).ok();
    assert!(!world.object(GARBAGE).exists());
}

#[test]
fn ages_on_the_command_line() {
    let world = ready();
    let work = world.at("work");
    let before = snapshot(&world.path("store"));
    for age in ["", "14", "d", "-1d", "1.5d", "14days", "9999999999999999999w"] {
        let ran = work.s3lfs(&["cleanup", "--force", &format!("--keep-newer={age}")]);
        assert_eq!(ran.code, 2, "an age that does not parse is a usage error: {ran:#?}");
    }
    work.s3lfs(&["cleanup", "--keep-newer", "13d"]).fails(1).says(&["13d", "14d", "--force"]);
    work.s3lfs(&["cleanup", "--dry-run", "--keep-newer", "13d"]).fails(1).says(&["--force"]);
    let ran = work.s3lfs(&["cleanup", "--keep-newer", "3w"]).ok();
    assert!(ran.stdout.contains("younger than 21d"), "raising it needs no force: {ran:#?}");
    assert!(snapshot(&world.path("store")) == before, "none of these deletes or marks");
    work.s3lfs(&["cleanup", "--force", "--keep-newer", "2w"]).ok();
    assert!(!world.object(GARBAGE).exists());
}

#[test]
fn no_age_at_all_marks_and_deletes_at_once() {
    let world = World::with_a();
    let work = world.at("work");
    put(&world, GARBAGE);
    work.s3lfs(&["cleanup", "--keep-newer", "0s"]).fails(1).says(&["--force"]);
    work.s3lfs(&["cleanup", "--keep-newer", "0s", "--force"]).ok();
    assert!(!world.object(GARBAGE).exists());
    assert!(world.object(b"content of a\n").exists(), "but nothing that is needed");
}

/// The mark that was made with the deletion is not one of what comes back a moment later.
#[test]
fn what_comes_back_right_after_its_deletion_is_garbage_since_it_is_seen_again() {
    let world = World::with_a();
    let work = world.at("work");
    put(&world, GARBAGE);
    put(&world, b"other garbage");
    work.s3lfs(&["cleanup", "--keep-newer", "0s", "--force"]).ok().says(&["Deleted 2 objects"]);
    put(&world, GARBAGE);
    days_pass(&world, 30);
    cleanup(&work).ok();
    assert!(world.object(GARBAGE).exists(), "no cleanup has seen it before");
    days_pass(&world, 14);
    cleanup(&work).ok();
    assert!(!world.object(GARBAGE).exists());
}

#[test]
fn the_registration_says_how_old() {
    let world = ready();
    let work = world.at("work");
    let dir = world.path("store/proj/repositories");
    let path = fs::read_dir(dir).unwrap().next().unwrap().unwrap().path();
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("\"14d\"", "\"30d\"")).unwrap();
    cleanup(&work).ok();
    assert!(world.object(GARBAGE).exists(), "fifteen days are not thirty");
    work.s3lfs(&["cleanup", "--keep-newer", "14d"]).fails(1).says(&["30d"]);
    fs::write(&path, text.replace("\"14d\"", "\"1h\"")).unwrap();
    work.s3lfs(&["cleanup", "--keep-newer", "2h", "--dry-run"]).ok();
    cleanup(&work).ok();
    assert!(!world.object(GARBAGE).exists());
}

/// Reading an old object makes it no younger: its mark may have reached the age.
#[test]
fn what_was_only_downloaded_is_not_published_by_that() {
    let world = World::with_a();
    let other = world.cloned("other");
    other.git(&["switch", "-qc", "old"]).ok();
    other.commit("b.bin", b"old branch");
    days_pass(&world, 10);
    cleanup(&world.at("work")).ok();
    days_pass(&world, 15);
    other.leave_pointer("b.bin");
    other.s3lfs(&["download", "b.bin"]).ok();
    cleanup(&world.at("work")).ok();
    assert!(!world.object(b"old branch").exists(), "nothing that work can see names it");
    other.git(&["push", "-q", "origin", "old"]).ok();
    assert!(world.object(b"old branch").exists(), "what is published is there");
}
