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

/// Where a `git` stands first that does this before this command of Git.
fn before<'a>(work: &Place<'a>, command: &str, what: &str) -> Place<'a> {
    let place = work.in_dir(&work.world.at(""));
    let git = place.sh("command -v git").ok().stdout;
    let script =
        format!("#!/bin/sh\ncase \" $* \" in *\" {command} \"*) {what} ;; esac\nexec '{}' \"$@\"\n", git.trim());
    place.script("before/git", &script);
    work.env("PATH", format!("{}:{}", work.world.path("before").display(), std::env::var("PATH").unwrap()))
}

/// The command, by the path of this build: `PATH` has another `git` first.
fn import_command() -> String {
    format!("'{}' {}", env!("CARGO_BIN_EXE_s3lfs"), IMPORT.join(" "))
}

/// s3lfs is killed when it starts this command of Git.
fn killed_at(work: &Place<'_>, command: &str) {
    killed_and(work, command, "kill -9 $PPID; exit 1");
}

fn killed_and(work: &Place<'_>, command: &str, what: &str) {
    let ran = before(work, command, what).sh(&import_command());
    assert_eq!(ran.code, 137, "it was killed: {ran:#?}");
}

/// A history of so many objects that Git gets them in a pack.
fn with_many() -> World {
    let world = with_large();
    let commit = "git -c core.hooksPath=/dev/null commit -qam more";
    let more = format!("for n in $(seq 50); do seq $n 400 >a.psd; {commit} || exit 1; done");
    world.at("work").sh(&more).ok();
    world
}

#[test]
fn what_was_killed_while_git_takes_the_new_objects_begins_again() {
    // Git's command is not started, or is in the midst of it, or goes on alone.
    let cut = "kill -9 $PPID; head -c 3000 | exec git.real index-pack --stdin --threads=1; exit 1";
    for what in ["kill -9 $PPID; exit 1", cut, "kill -9 $PPID"] {
        let world = with_many();
        let work = world.at("work");
        let git = work.sh("command -v git").ok().stdout;
        let what = what.replace("git.real", git.trim());
        let (before, head) = (files(&work), work.head());
        killed_and(&work, "index-pack --stdin", &what);
        assert_eq!((files(&work), work.head()), (before.clone(), head.clone()), "nothing has changed: {what}");
        work.git(&["fsck", "--no-progress"]).ok();
        work.s3lfs(&IMPORT).ok();
        assert_eq!(files(&work), before, "every file is as it was");
        assert!(work.blob("HEAD:a.psd").starts_with("version s3lfs/1"), "the new history has pointers");
        assert_eq!(work.git(&["rev-parse", "refs/original/refs/heads/main"]).ok().stdout.trim(), head);
        work.is_clean();
        work.git(&["fsck", "--no-progress"]).ok();
    }
}

#[test]
fn of_two_at_once_one_does_it_and_nothing_is_lost() {
    for command in ["index-pack --stdin", "update-ref --create-reflog", "reset --quiet --mixed"] {
        let world = with_many();
        let work = world.at("work");
        let (before_it, head) = (files(&work), work.head());
        let dir = world.path("").display().to_string();
        let wait = format!("touch '{dir}/reached'; while ! test -e '{dir}/go'; do sleep 0.02; done");
        let first = before(&work, command, &wait);
        let mut first = first.command("sh");
        let first = first.args(["-c", &import_command()]).stdin(std::process::Stdio::null());
        let mut first = first.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap();
        while !world.path("reached").exists() {
            assert!(first.try_wait().unwrap().is_none(), "the first comes to {command}");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        let second = work.s3lfs(&IMPORT);
        std::fs::write(world.path("go"), "").unwrap();
        let first = first.wait().unwrap();
        let codes = [first.code(), Some(second.code)];
        assert!(codes.contains(&Some(0)), "{command}: one of them does it: {codes:?}");
        assert!(codes.iter().all(|code| matches!(code, Some(0 | 1))), "{command}: the other says why not: {codes:?}");
        work.s3lfs(&IMPORT).ok();
        assert_eq!(files(&work), before_it, "{command}: every file is as it was");
        assert!(work.blob("HEAD:a.psd").starts_with("version s3lfs/1"), "{command}: the new history has pointers");
        let old = work.git(&["rev-parse", "refs/original/refs/heads/main"]).ok().stdout;
        assert_eq!(old.trim(), head, "{command}: the old history stays");
        work.is_clean();
        work.git(&["fsck", "--no-progress"]).ok();
    }
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
