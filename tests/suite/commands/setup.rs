//! `git-setup`: done twice it changes nothing, taken back it leaves what was there.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::world::{MANIFEST, Place, World, snapshot};

const CONFIG: [(&str, &str); 5] = [
    ("filter.s3lfs.process", "s3lfs filter-process"),
    ("filter.s3lfs.clean", "s3lfs clean -- %f"),
    ("filter.s3lfs.smudge", "s3lfs smudge -- %f"),
    ("filter.s3lfs.required", "true"),
    ("merge.s3lfs-manifest.driver", "s3lfs merge-manifest %O %A %B %P"),
];

const ATTRIBUTES: &str = "*.bin filter=s3lfs diff=s3lfs merge=binary -text\n.gitattributes -filter\n.gitignore -filter\n.gitmodules -filter\n.s3_manifest.json -filter -text merge=s3lfs-manifest\n";

const HOOKS: [&str; 6] = ["pre-commit", "pre-merge-commit", "post-commit", "pre-push", "post-checkout", "post-merge"];

pub fn initialised() -> World {
    let world = World::new();
    world.at("work").s3lfs(&["init", &world.url("store"), "proj"]).ok();
    world
}

/// Config, hooks and attributes as bytes.
pub fn set_up_files(place: &Place<'_>) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut files = snapshot(&place.join(".git/hooks"));
    for file in [".git/config", ".gitattributes"] {
        if place.exists(file) {
            files.push((place.join(file), place.read(file)));
        }
    }
    files
}

#[test]
fn it_sets_config_hooks_and_attributes_and_twice_is_once() {
    let world = initialised();
    let work = world.at("work");
    let ran = work.sub("deep").s3lfs(&["git-setup", "--track", "*.bin"]).ok();
    assert_eq!(ran.stdout, "", "nothing was asked for on stdout");
    for (key, value) in CONFIG {
        assert_eq!(work.git(&["config", "--local", key]).stdout.trim(), value, "{key}, by PATH");
    }
    for name in HOOKS {
        let path = work.join(".git/hooks").join(name);
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o111, 0o111, "{name} can be run");
        assert_eq!(fs::read(&path).unwrap(), fs::read(format!("{}/hooks/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap());
    }
    let in_deep = ATTRIBUTES.replace("*.bin", "deep/**/*.bin");
    assert_eq!(work.text(".gitattributes"), in_deep, "a pattern is relative to where it was said");
    assert_eq!(work.git(&["diff", "--cached", "--name-only"]).stdout, "", "it stages nothing");
    let before = set_up_files(&work);
    work.sub("deep").s3lfs(&["git-setup", "--track", "*.bin"]).ok();
    assert_eq!(set_up_files(&work), before, "a second time changes no byte");
    work.s3lfs(&["git-setup"]).ok();
    assert_eq!(set_up_files(&work), before, "nor does a third, from elsewhere");
}

#[test]
fn the_git_add_lines_it_prints_work_where_it_was_run() {
    let world = initialised();
    let sub = world.at("work").sub("deep");
    let ran = sub.s3lfs(&["git-setup", "--track", "*.bin"]).ok();
    let lines: Vec<&str> = ran.stderr.lines().filter_map(|line| line.split_once("git add ")).map(|l| l.1).collect();
    assert_eq!(lines.len(), 2, "the attributes and the manifest are to be added: {}", ran.stderr);
    for line in lines {
        sub.sh(&format!("git add {line}")).ok();
    }
    let staged = world.at("work").git(&["diff", "--cached", "--name-only"]).ok().stdout;
    assert_eq!(staged, format!(".gitattributes\n{MANIFEST}\n"), "pasted, they stage both");
}

#[test]
fn uninstall_gives_back_config_and_hooks_and_leaves_the_attributes() {
    let world = World::new();
    let work = world.at("work");
    work.git(&["config", "merge.other.driver", "x"]).ok();
    let before = set_up_files(&work);
    work.s3lfs(&["init", &world.url("store"), "proj"]).ok();
    work.s3lfs(&["--profile", "team", "git-setup", "--track", "*.bin"]).ok();
    assert_eq!(work.git(&["config", "s3lfs.profile"]).ok().stdout, "team\n", "it was set up with this profile");
    work.commit("a.bin", b"content");
    work.sub("deep").s3lfs(&["git-setup", "--uninstall"]).ok().says(&[".gitattributes"]);
    let mut after = set_up_files(&work);
    let attributes = after.pop().unwrap();
    assert_eq!(attributes.1, ATTRIBUTES.as_bytes(), "the team's file stays");
    assert_eq!(after, before, "everything else is as it was, byte for byte");
    assert_eq!(work.read("a.bin"), b"content", "files in the worktree stay");
    work.s3lfs(&["git-setup", "--uninstall"]).ok();
    assert_eq!(set_up_files(&work).len(), before.len() + 1, "taken back twice is taken back once");
}

#[test]
fn the_users_hooks_keep_working_and_come_back_from_uninstall() {
    let world = initialised();
    let work = world.at("work");
    work.script(".git/hooks/pre-commit", "#!/bin/sh\necho mine >>log\nexit 0\n");
    work.script(".git/hooks/pre-push", "#!/bin/sh\ncat >pushed\nexit 0\n");
    let before = snapshot(&work.join(".git/hooks"));
    work.s3lfs(&["git-setup", "--track", "*.bin"]).ok();
    work.git(&["add", ".gitattributes", MANIFEST]).ok();
    work.commit("a.bin", b"content");
    assert_eq!(work.text("log"), "mine\n", "the user's line still runs");
    assert!(world.object(b"content").exists(), "and ours runs although his ends in exit");
    work.git(&["push", "-q", "origin", "main"]).ok();
    assert!(work.text("pushed").starts_with("refs/heads/main "), "he reads what Git pushes");
    work.s3lfs(&["git-setup", "--uninstall"]).ok();
    assert_eq!(snapshot(&work.join(".git/hooks")), before, "his hooks come back byte for byte");
}

#[test]
fn hooks_that_are_not_ours_to_edit_are_left_alone_and_the_line_is_printed() {
    let world = initialised();
    let work = world.at("work");
    work.script(".git/hooks/pre-push", "#!/usr/bin/env python3\nprint()\n");
    let ran = work.s3lfs(&["git-setup"]).ok();
    ran.says(&["pre-push", "left alone", "s3lfs hook pre-push"]);
    assert_eq!(work.text(".git/hooks/pre-push"), "#!/usr/bin/env python3\nprint()\n");
    assert!(work.exists(".git/hooks/pre-commit"), "the others are installed");

    let world = initialised();
    let work = world.at("work");
    work.write(".husky/pre-commit", "#!/bin/sh\n");
    work.git(&["config", "core.hooksPath", ".husky"]).ok();
    work.git(&["add", ".husky"]).ok();
    let ran = work.s3lfs(&["git-setup"]).ok();
    ran.says(&["committed", "s3lfs track-modified --staged", "s3lfs hook pre-push", "s3lfs hook post-commit"]);
    let files: Vec<_> = snapshot(&work.join(".husky")).into_iter().map(|(_, bytes)| bytes).collect();
    assert_eq!(files, [b"#!/bin/sh\n"], "a committed hooks directory is the team's");

    work.git(&["rm", "-rq", "--cached", ".husky"]).ok();
    work.sub("deep").s3lfs(&["git-setup"]).ok();
    assert!(work.exists(".husky/pre-push"), "one that is not committed is where hooks go");
}

#[test]
fn global_works_outside_a_repository_and_makes_a_plain_clone_fill_its_files() {
    let world = World::with_a();
    let home = world.at("");
    home.s3lfs(&["git-setup", "--global"]).ok();
    for (key, value) in CONFIG {
        assert_eq!(home.git(&["config", "--global", key]).stdout.trim(), value, "{key}");
    }
    let before = home.read(".gitconfig");
    home.s3lfs(&["git-setup", "--global"]).ok();
    assert_eq!(home.read(".gitconfig"), before, "twice is once");
    let trust = format!("{}/*", world.url("store"));
    home.git(&["config", "--global", "s3lfs.trust", &trust]).ok();
    home.git(&["clone", "-q", "remote.git", "plain"]).ok();
    assert_eq!(world.at("plain").read("a.bin"), b"content of a\n", "a trusted store needs no asking");
    world.at("plain").is_clean();
    home.git(&["config", "--global", "--unset-all", "s3lfs.trust"]).ok();
    home.s3lfs(&["git-setup", "--global", "--uninstall"]).ok();
    assert_eq!(home.git(&["config", "--global", "--list"]).stdout, "", "and it is taken back");
}

#[test]
fn global_in_a_plain_repository_installs_no_hooks_there() {
    let world = World::new();
    let before = snapshot(&world.at("work").join(".git"));
    world.at("work").s3lfs(&["git-setup", "--global"]).ok();
    assert_eq!(snapshot(&world.at("work").join(".git")), before, "it has no manifest, so it is not touched");
    assert!(!world.at("work").exists(".gitattributes"));
}

#[test]
fn worktree_writes_the_configuration_of_this_worktree() {
    let world = World::with_a();
    let work = world.at("work");
    work.s3lfs(&["git-setup", "--uninstall"]).ok();
    work.git(&["config", "extensions.worktreeConfig", "true"]).ok();
    work.git(&["worktree", "add", "-q", "../linked", "-b", "linked"]).ok();
    let linked = world.at("linked");
    linked.s3lfs(&["git-setup", "--worktree"]).ok();
    assert_eq!(linked.git(&["config", "filter.s3lfs.required"]).stdout, "true\n");
    assert_eq!(work.git(&["config", "filter.s3lfs.required"]).code, 1, "the other worktree is not set up");
    linked.s3lfs(&["git-setup", "--worktree", "--uninstall"]).ok();
    assert_eq!(linked.git(&["config", "filter.s3lfs.required"]).code, 1);
}

#[test]
fn without_settings_for_one_worktree_there_is_nothing_to_take_back_from_it() {
    let world = World::with_a();
    let work = world.at("work");
    work.git(&["worktree", "add", "-q", "../linked", "-b", "linked"]).ok();
    let before = snapshot(&work.join(".git"));
    let linked = world.at("linked");
    let ran = linked.s3lfs(&["git-setup", "--worktree", "--uninstall"]).fails(1);
    ran.says(&["nothing to take back from this worktree alone", "s3lfs git-setup --uninstall"]).never_says(&["fatal:"]);
    linked.s3lfs(&["git-setup", "--worktree"]).fails(1).says(&["git config extensions.worktreeConfig true"]);
    assert!(snapshot(&work.join(".git")) == before, "nothing was changed");
}

#[test]
fn what_other_worktrees_use_stays_when_one_is_taken_back() {
    let world = World::with_a();
    let work = world.at("work");
    work.git(&["config", "extensions.worktreeConfig", "true"]).ok();
    for name in ["one", "two"] {
        work.git(&["worktree", "add", "-q", &format!("../{name}"), "-b", name]).ok();
        world.at(name).s3lfs(&["git-setup", "--worktree"]).ok();
    }
    let (one, two) = (world.at("one"), world.at("two"));
    let store = work.git(&["config", "s3lfs.store"]).ok().stdout;
    let hooks = snapshot(&work.join(".git/hooks"));
    // The configuration of all worktrees is still there.
    one.s3lfs(&["git-setup", "--worktree", "--uninstall"]).ok().says(&["all worktrees", "git-setup --uninstall"]);
    assert_eq!(one.git(&["config", "--worktree", "filter.s3lfs.process"]).code, 1, "its own configuration is gone");
    assert_eq!(snapshot(&work.join(".git/hooks")), hooks, "the hooks stay");
    assert_eq!(work.git(&["config", "s3lfs.store"]).stdout, store, "and so does the accepted store");

    // Then only what one other worktree has of its own.
    one.s3lfs(&["git-setup", "--worktree"]).ok();
    let top = two.dir.canonicalize().unwrap();
    work.s3lfs(&["git-setup", "--uninstall"]).ok().says(&["still use s3lfs", top.to_str().unwrap()]);
    one.s3lfs(&["git-setup", "--worktree", "--uninstall"]).ok().says(&[top.to_str().unwrap()]);
    assert_eq!(snapshot(&work.join(".git/hooks")), hooks, "the hooks stay");
    two.commit("b.bin", b"committed meanwhile");
    assert!(world.object(b"committed meanwhile").exists(), "the other worktree works as before");

    // The last one takes everything, also when a worktree was deleted by hand.
    std::fs::remove_dir_all(&one.dir).unwrap();
    two.s3lfs(&["git-setup", "--worktree", "--uninstall"]).ok().never_says(&["still use"]);
    assert_eq!(two.git(&["config", "s3lfs.store"]).code, 1, "nobody is left to accept a store");
    let left = snapshot(&work.join(".git/hooks"));
    assert!(left.iter().all(|(path, _)| path.extension().is_some()), "no hook of ours is left: {left:?}");
}

#[test]
fn after_a_plain_clone_it_names_what_fills_the_pointers() {
    let world = World::with_a();
    world.at("").git(&["clone", "-q", "remote.git", "plain"]).ok();
    let plain = world.at("plain");
    assert!(plain.text("a.bin").starts_with("version s3lfs/1\n"), "nothing is set up: pointers");
    plain.s3lfs(&["git-setup"]).ok().says(&["1 file", "s3lfs download-all"]);
    plain.s3lfs(&["download-all"]).ok();
    assert_eq!(plain.read("a.bin"), b"content of a\n");
    plain.is_clean();
}

#[test]
fn without_a_manifest_it_says_how_to_get_one() {
    let world = World::new();
    world.at("work").s3lfs(&["git-setup"]).ok().says(&["s3lfs init"]);
}
