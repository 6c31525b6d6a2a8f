//! A rewriting that was killed when the refs had moved: the same command goes on, and touches nothing that somebody did
//! since.
//!
//! Apart from `steps` because the kill comes between Git's commands, by the hand of a `git` of our own.

use super::{files, large, raw};
use crate::world::{Place, World, pointer};

const IMPORT: [&str; 4] = ["migrate", "import", "--above", "1k"];

/// A large file, and an attributes file of before.
fn with_large() -> World {
    let world = raw();
    let work = world.at("work");
    work.write(".gitattributes", "*.txt text\n");
    work.write("a.psd", large("a", 1));
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-qm", "large"]).ok();
    world
}

/// s3lfs is killed when it starts this command of Git.
fn killed_at(work: &Place<'_>, command: &str) {
    let place = work.in_dir(&work.world.at(""));
    let git = place.sh("command -v git").ok().stdout;
    let script = format!(
        "#!/bin/sh\ncase \" $* \" in *\" {command} \"*) kill -9 $PPID; exit 1 ;; esac\nexec '{}' \"$@\"\n",
        git.trim()
    );
    place.script("killing/git", &script);
    let path = format!("{}:{}", work.world.path("killing").display(), std::env::var("PATH").unwrap());
    let bin = std::path::Path::new(env!("CARGO_BIN_EXE_s3lfs")).to_str().unwrap();
    let ran = work.env("PATH", path).sh(&format!("'{bin}' {}", IMPORT.join(" ")));
    assert_eq!(ran.code, 137, "it was killed: {ran:#?}");
}

#[test]
fn it_goes_on() {
    for command in
        ["update-ref --create-reflog", "reset --quiet --mixed", "checkout --quiet HEAD", "update-index -q --refresh"]
    {
        let world = with_large();
        let work = world.at("work");
        let before = files(&work);
        killed_at(&work, command);
        let ran = work.s3lfs(&IMPORT).ok();
        if !command.starts_with("update-ref") {
            ran.says(&["An earlier run was stopped", "follow them now", "nothing to rewrite"]);
        }
        work.is_clean();
        assert_eq!(files(&work), before, "{command}: every file is as it was");
        assert_eq!(work.blob("HEAD:a.psd"), pointer(&large("a", 1)));
        assert!(work.text(".gitattributes").contains("filter=s3lfs"), "{command}: the attributes are the new ones");
        assert!(!work.exists(".git/s3lfs/import-following"), "{command}: that is over");
        work.s3lfs(&IMPORT).ok().never_says(&["An earlier run"]);
    }
}

#[test]
fn what_somebody_did_since_is_left_alone() {
    let change: [fn(&Place<'_>); 3] = [
        |work| work.write(".gitattributes", "*.txt -text\n"),
        |work| {
            work.write("README", "staged");
            work.git(&["add", "README"]).ok();
        },
        |work| drop(work.git(&["reset", "-q", "--hard", "refs/original/refs/heads/main"]).ok()),
    ];
    for (number, change) in change.into_iter().enumerate() {
        let world = with_large();
        let work = world.at("work");
        killed_at(&work, "reset --quiet --mixed");
        change(&work);
        let state = |work: &Place<'_>| (files(work), work.text(".gitattributes"), work.index(), work.head());
        let before = state(&work);
        work.s3lfs(&IMPORT).fails(1).never_says(&["follow them now"]);
        assert_eq!(state(&work), before, "change {number} stays");
    }
}
