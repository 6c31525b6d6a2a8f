//! `clone`: one command, and all content is there.

use std::fs;

use crate::world::{World, pointer};

fn with_files() -> World {
    let world = World::with_a();
    let work = world.at("work");
    work.commit("deep/b c.bin", b"b");
    work.git(&["push", "-q"]).ok();
    world
}

#[test]
fn a_clone_is_set_up_accepted_filled_and_clean() {
    let world = with_files();
    let ran = world.at("").s3lfs(&["clone", "remote.git", "copy"]).ok();
    assert_eq!(ran.stdout, "", "nothing was asked for on stdout");
    let store = format!("{}/proj", world.url("store"));
    ran.says(&[&store]);
    let copy = world.at("copy");
    assert_eq!((copy.read("a.bin"), copy.read("deep/b c.bin")), (b"content of a\n".to_vec(), b"b".to_vec()));
    copy.is_clean();
    assert_eq!(copy.git(&["config", "--local", "s3lfs.store"]).stdout.trim(), store, "the store it showed is accepted");
    assert!(copy.exists(".git/hooks/pre-push") && copy.exists(".git/hooks/pre-commit"));
    copy.commit("new.bin", b"new");
    copy.git(&["push", "-q"]).ok();
    assert!(world.object(b"new").exists(), "it works like the first one");
    let work = world.at("work");
    work.git(&["pull", "-q", "--no-edit"]).ok();
    assert_eq!(work.read("new.bin"), b"new");
}

#[test]
fn without_a_directory_it_is_named_as_git_names_it() {
    let world = with_files();
    for url in [world.url("remote.git"), format!("{}/", world.path("remote.git").display())] {
        world.at("elsewhere").sub("").s3lfs(&["clone", "-q", &url]).ok();
        let clone = world.at("elsewhere/remote");
        assert_eq!(clone.read("a.bin"), b"content of a\n", "from {url}");
        fs::remove_dir_all(&clone.dir).unwrap();
    }
    let here = world.path("");
    world.at("work").s3lfs(&["clone", "-q", "-C", here.to_str().unwrap(), "remote.git", "with space"]).ok();
    assert_eq!(world.at("with space").read("a.bin"), b"content of a\n", "-C is as being there");
}

#[test]
fn options_after_two_dashes_are_gits() {
    let world = with_files();
    world.at("work").git(&["checkout", "-qb", "side"]).ok();
    world.at("work").commit("side.bin", b"side");
    world.at("work").git(&["push", "-q", "origin", "side"]).ok();
    world.at("").s3lfs(&["clone", "-q", "remote.git", "side", "--", "--branch", "side", "--quiet"]).ok();
    assert_eq!(world.at("side").read("side.bin"), b"side");
}

#[test]
fn with_the_store_down_the_clone_stays_and_download_all_completes_it() {
    let world = with_files();
    world.unplug();
    let ran = world.at("").s3lfs(&["clone", "remote.git", "copy"]);
    assert!(ran.code == 1 || ran.code == 3, "the files could not be fetched: {ran:#?}");
    ran.says(&["s3lfs: ", "store"]);
    let copy = world.at("copy");
    assert_eq!(copy.text("a.bin"), pointer(b"content of a\n"), "the clone is there, with pointers");
    world.plug();
    copy.s3lfs(&["download-all"]).ok();
    assert_eq!(copy.read("a.bin"), b"content of a\n");
    copy.is_clean();
}

#[test]
fn a_repository_without_a_manifest_is_just_cloned() {
    let world = World::new();
    world.at("work").commit("plain", b"plain");
    world.at("work").git(&["push", "-q", "origin", "main"]).ok();
    world.at("").s3lfs(&["clone", "-q", "remote.git", "copy"]).ok();
    assert_eq!(world.at("copy").read("plain"), b"plain");
}

#[test]
fn what_git_can_not_clone_is_an_error() {
    let world = World::new();
    world.at("").s3lfs(&["clone", "nowhere.git"]).fails(1).says(&["nowhere.git"]);
    fs::create_dir(world.path("full")).unwrap();
    fs::write(world.path("full/x"), "x").unwrap();
    world.at("").s3lfs(&["clone", "remote.git", "full"]).fails(1).says(&["full"]);
    assert_eq!(fs::read(world.path("full/x")).unwrap(), b"x", "what was there stays");
}

#[test]
fn a_broken_manifest_is_not_taken_for_none() {
    let world = World::with_a();
    let work = world.at("work");
    work.write(".s3_manifest.json", "<<<<<<< ours\n{}\n=======\n");
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-qnm", "broken"]).ok();
    work.git(&["push", "-q", "--no-verify"]).ok();
    world.at("").s3lfs(&["clone", "-q", "remote.git", "other"]).fails(1).says(&["conflict markers"]);
}

#[test]
fn a_clone_that_was_killed_says_how_to_go_on() {
    let world = with_files();
    let home = world.at("");
    // Killed after Git's part.
    home.git(&["clone", "-q", "remote.git", "copy"]).ok();
    let ran = home.s3lfs(&["clone", "remote.git", "copy"]).fails(1);
    let ran = ran.says(&["copy is a clone of that already"]);
    let line = ran.stderr.lines().find_map(|line| line.split_once("to go on with it: ")).unwrap().1;
    home.sh(line).ok();
    let copy = world.at("copy");
    assert_eq!(copy.read("deep/b c.bin"), b"b", "the line that it names does it");
    copy.is_clean();
    // Killed in Git's part.
    home.git(&["clone", "-q", "--no-checkout", "remote.git", "half"]).ok();
    home.s3lfs(&["clone", "remote.git", "half"]).fails(1).says(&["never finished", "delete half"]);
    // What is no clone of that is Git's to refuse.
    home.git(&["init", "-q", "other"]).ok();
    home.s3lfs(&["clone", "remote.git", "other"]).fails(1).says(&["git clone failed"]);
}

#[test]
fn a_clone_that_could_not_be_filled_says_how_to_go_on_and_not_to_begin_again() {
    let world = with_files();
    world.unplug();
    let ran = world.at("").s3lfs(&["clone", "-q", "remote.git", "with space"]).fails(1);
    let hint =
        ran.stderr.lines().find_map(|line| line.split_once("to go on with it: ")).expect("a command").1.to_owned();
    ran.never_says(&["command again"]);
    world.plug();
    world.at("").sh(&hint).ok();
    let copy = world.at("with space");
    assert_eq!(copy.read("a.bin"), b"content of a\n");
    copy.is_clean();
}

#[test]
fn its_answer_in_json_is_its_own() {
    let world = with_files();
    let answer = world.at("").s3lfs(&["clone", "--json", "remote.git", "copy"]).ok().json("clone");
    assert_eq!(answer["items"].as_array().unwrap().len(), 2, "each file that was fetched: {answer}");
    world.at("").git(&["init", "-q", "--bare", "empty.git"]).ok();
    let answer = world.at("").s3lfs(&["clone", "--json", "empty.git", "empty"]).ok().json("clone");
    assert_eq!(answer["items"], serde_json::json!([]), "also where there is nothing to fetch");
}
