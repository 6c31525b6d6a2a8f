//! `git-setup`, `git-setup --uninstall` and `migrate`, among hooks of the user's own.

use super::bench::{Scenario, survives};
use crate::python::old;
use crate::world::{MANIFEST, Place, World};

const PRE_COMMIT: &str = "#!/bin/sh\n# mine\ntrue || exit 1\n";
const PRE_PUSH: &str = "#!/bin/sh\n# mine, too\nif false; then\n\texit 1\nfi\n";

fn own_hooks(work: &Place<'_>) {
    work.script(".git/hooks/pre-commit", PRE_COMMIT);
    work.script(".git/hooks/pre-push", PRE_PUSH);
}

/// A store is chosen, and nothing else is set up.
fn fresh() -> World {
    let world = World::new();
    let work = world.at("work");
    own_hooks(&work);
    work.write(".gitattributes", "*.txt text # mine\n");
    work.s3lfs(&["init", &world.url("store"), "proj"]).ok();
    world
}

fn set_up() -> World {
    let world = fresh();
    world.at("work").s3lfs(&["git-setup", "--track", "*.bin"]).ok();
    world
}

const SETUP: Scenario = Scenario {
    name: "git-setup",
    prepare: fresh,
    line: "s3lfs git-setup --track '*.bin'",
    right: |world| {
        let work = world.at("work");
        for (hook, own) in [("pre-commit", PRE_COMMIT), ("pre-push", PRE_PUSH)] {
            let text = work.text(&format!(".git/hooks/{hook}"));
            let lines = || own.lines().map(|line| text.lines().position(|other| other == line));
            assert!(lines().all(|at| at.is_some()), "each of the user's own lines is in {text}");
        }
        work.sh("test -x .git/hooks/pre-commit && test -x .git/hooks/post-checkout").ok();
        assert!(work.text(".gitattributes").starts_with("*.txt text # mine\n*.bin filter=s3lfs"));
    },
};

const UNINSTALL: Scenario = Scenario {
    name: "git-setup --uninstall",
    prepare: set_up,
    line: "s3lfs git-setup --uninstall",
    right: |world| {
        let work = world.at("work");
        assert_eq!(work.text(".git/hooks/pre-commit"), PRE_COMMIT, "byte for byte what it was");
        assert_eq!(work.text(".git/hooks/pre-push"), PRE_PUSH);
        assert!(!work.exists(".git/hooks/post-checkout"));
        assert!(!work.text(".git/config").contains("s3lfs clean"), "no filter is left");
    },
};

const MIGRATE: Scenario = Scenario {
    name: "migrate",
    prepare: || {
        let world = old::repository("0.6.3");
        let work = world.at("work");
        let id = "{\n    \"repository_id\": \"0b0b0b0b-0000-4000-8000-000000000000\",";
        work.write(MANIFEST, work.text(MANIFEST).replacen('{', id, 1));
        work.write(".gitignore", std::fs::read(old::fixture("0.6.3/gitignore")).unwrap());
        work.git(&["commit", "-qam", "ignored"]).ok();
        work.s3lfs(&["git-setup"]).ok();
        work.s3lfs(&["download-all"]).ok();
        world
    },
    line: "s3lfs migrate",
    right: |world| old::has_all(&world.at("work")),
};

#[test]
fn git_setup_survives() {
    survives(&SETUP);
}

#[test]
fn uninstall_survives() {
    survives(&UNINSTALL);
}

#[test]
fn migrate_survives() {
    survives(&MIGRATE);
}
