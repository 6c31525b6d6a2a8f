//! Somebody is asked, and answers.

use super::bench::{GARBAGE, blob, commit_tree, name, ready, tree};
use crate::world::{World, snapshot};

const QUESTION: &str = "There is no way back.";

#[test]
fn only_a_yes_on_a_terminal_deletes() {
    let world = ready();
    let work = world.at("work");
    for no in ["n", "\r"] {
        let mut terminal = work.on_terminal(&["cleanup"]);
        terminal.waits_with(QUESTION);
        let before = snapshot(&world.path("store"));
        terminal.hits(no);
        let (code, shown) = terminal.ends();
        assert_eq!(code, 1, "{no:?} is no yes: {shown}");
        assert!(shown.contains("nothing was deleted"), "{shown}");
        assert!(snapshot(&world.path("store")) == before, "nothing is deleted, nothing is written");
    }
    let mut terminal = work.on_terminal(&["cleanup"]);
    terminal.waits_with(QUESTION);
    terminal.hits("y");
    let (code, shown) = terminal.ends();
    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("Delete 1 object (17 B) from file://") && shown.contains("Deleted 1 object"), "{shown}");
    assert!(!world.object(GARBAGE).exists());
}

/// A colleague has the content, and his push goes by what he knows of the store.
fn pushes_garbage(world: &World) {
    let other = world.at("other");
    other.git(&["config", "s3lfs.uploadon", "push"]).ok();
    other.commit("again.bin", GARBAGE);
    other.git(&["push", "-q", "--no-verify"]).ok();
}

#[test]
fn what_is_pushed_while_it_asks_is_spared() {
    let world = ready();
    let work = world.at("work");
    world.cloned("other");
    // What is not here any cleanup refuses to judge; with --fetch it sees.
    for (args, code, says) in
        [(&["cleanup"][..], 1, "is not here"), (&["cleanup", "--fetch"], 0, "spared 1 that changed meanwhile")]
    {
        let mut terminal = work.on_terminal(args);
        terminal.waits_with(QUESTION);
        if code == 1 {
            pushes_garbage(&world);
        } else {
            // The push of before is undone as if it had never been, and comes back while it asks.
            world.at("other").git(&["push", "-q", "--no-verify"]).ok();
        }
        terminal.hits("y");
        let (ended, shown) = terminal.ends();
        assert_eq!(ended, code, "{shown}");
        assert!(shown.contains(says), "{says:?} in {shown}");
        assert!(world.object(GARBAGE).exists(), "a pushed commit names it");
        world.at("other").git(&["push", "-q", "--no-verify", "-f", "origin", "HEAD~1:main"]).ok();
    }
    world.at("other").git(&["push", "-q"]).ok();
    let third = world.cloned("third");
    assert_eq!(third.read("again.bin"), GARBAGE);
}

#[test]
fn what_is_committed_here_while_it_asks_is_spared() {
    let world = ready();
    let work = world.at("work");
    let mut terminal = work.on_terminal(&["cleanup"]);
    terminal.waits_with(QUESTION);
    let commit = commit_tree(&work, &tree(&work, &[("x.bin", &blob(&work, GARBAGE))]), &[]);
    name(&work, "refs/heads/mine", &commit);
    terminal.hits("y");
    let (code, shown) = terminal.ends();
    assert!(world.object(GARBAGE).exists());
    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("Deleted 0 objects") && shown.contains("spared 1"), "{shown}");
}

/// Escape sequences that a terminal obeys: ESC, and CSI as one character (ECMA-48, 5.3 and 8.3.16).
const EVIL: [&str; 2] = ["\x1b]0;owned", "\u{9b}31m"];

#[track_caller]
fn is_harmless(shown: &str) {
    for evil in EVIL {
        assert!(!shown.contains(evil), "{evil:?} must not reach the terminal: {shown:?}");
    }
}

#[test]
fn names_of_others_do_not_speak_to_the_terminal() {
    let world = ready();
    let work = world.at("work");
    // A remote that advertises what Git would never have created, and that nobody here has.
    let id = "0123456789012345678901234567890123456789";
    let listing: String = EVIL.iter().map(|evil| format!("{id}\\trefs/heads/a{evil}b\\n")).collect();
    let git = String::from_utf8(work.sh("command -v git").ok().stdout.into_bytes()).unwrap();
    work.script(
        "bin/git",
        &format!(
            "#!/bin/sh\ncase \" $* \" in *' ls-remote '*) printf '{listing}';; *) exec {} \"$@\";; esac\n",
            git.trim()
        ),
    );
    let path = format!("{}:{}", work.join("bin").display(), std::env::var("PATH").unwrap());
    let s3lfs = std::path::Path::new(env!("CARGO_BIN_EXE_s3lfs")).parent().unwrap();
    let lied_to = work.env("PATH", format!("{}:{path}", s3lfs.display()));
    let (code, shown) = lied_to.on_terminal(&["cleanup"]).ends();
    assert_eq!(code, 1, "{shown}");
    assert!(shown.contains("refs/heads/a\\u{1b}"), "the ref is named all the same: {shown:?}");
    is_harmless(&shown);
    assert!(world.object(GARBAGE).exists());

    // File names, where a purge lists who still needs the content; registered URLs.
    for (number, evil) in EVIL.iter().enumerate() {
        let path = format!("{number}{evil}.bin");
        work.commit(&path, format!("content {number}").as_bytes());
        work.git(&["push", "-q"]).ok();
        for args in
            [&["remove", "--purge-from-s3", &path][..], &["ls"], &["status"], &["verify", "-v"], &["remove", &path]]
        {
            let (_, shown) = work.on_terminal(args).ends();
            is_harmless(&shown);
        }
    }
    let registration = snapshot(&world.path("store/proj/repositories"))[0].clone();
    let text = String::from_utf8(registration.1).unwrap();
    let evil = text.replace("\"git_urls\": [", "\"git_urls\": [\"https://host/\\u001b]0;owned\\u009b31m\",");
    assert_ne!(text, evil, "the registration has URLs");
    std::fs::write(&registration.0, evil).unwrap();
    let (code, shown) = work.on_terminal(&["cleanup"]).ends();
    assert_eq!(code, 1, "{shown}");
    assert!(shown.contains("is also pushed to https://host/"), "{shown:?}");
    is_harmless(&shown);
}
