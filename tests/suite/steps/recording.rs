//! What is written for others to find: uploads, the manifest, attributes.

use super::adding::large;
use super::bench::{Scenario, survives};
use crate::world::{World, pointer};

fn files() -> World {
    let world = World::with_a();
    let work = world.at("work");
    work.write("one.dat", "content of one");
    work.write("two.dat", "content of two");
    work.write("large.dat", large());
    world
}

fn staged() -> World {
    let world = World::with_a();
    let work = world.at("work");
    work.write("one.bin", "content of one");
    work.write("large.bin", large());
    work.git(&["add", "."]).ok();
    world
}

fn is_recorded(world: &World, name: &str, content: &[u8]) {
    let work = world.at("work");
    assert!(world.object(content).exists(), "{name} is in the store");
    assert_eq!(work.blob(&format!(":{name}")), pointer(content));
    assert!(work.read(name) == content, "the file is as it was");
    assert_eq!(work.manifest()["files"][name], crate::world::oid(content));
}

const ONE: Scenario = Scenario {
    name: "upload of one file",
    prepare: files,
    line: "s3lfs upload one.dat",
    right: |world| is_recorded(world, "one.dat", b"content of one"),
};

const SEVERAL: Scenario = Scenario {
    name: "upload of three files",
    prepare: || {
        let world = files();
        world.at("work").s3lfs(&["track", "*.dat"]).ok();
        world
    },
    line: "s3lfs upload one.dat two.dat large.dat",
    right: |world| {
        is_recorded(world, "one.dat", b"content of one");
        is_recorded(world, "two.dat", b"content of two");
        is_recorded(world, "large.dat", &large());
    },
};

/// By hand, and by the hooks.
const COMMIT: Scenario = Scenario {
    name: "track-modified and commit",
    prepare: staged,
    line: "git commit -q --allow-empty -m more && s3lfs track-modified --staged && git commit -q --allow-empty -m more",
    right: |world| {
        is_recorded(world, "one.bin", b"content of one");
        is_recorded(world, "large.bin", &large());
        world.at("work").is_clean();
    },
};

/// By hand, for what was changed in the worktree: it also stages.
const MODIFIED: Scenario = Scenario {
    name: "track-modified by hand",
    prepare: || {
        let world = World::with_a();
        let work = world.at("work");
        work.commit("large.bin", b"not yet");
        work.write("a.bin", "changed");
        work.write("large.bin", large());
        world
    },
    line: "s3lfs track-modified",
    right: |world| {
        is_recorded(world, "a.bin", b"changed");
        is_recorded(world, "large.bin", &large());
    },
};

const PUSH: Scenario = Scenario {
    name: "push",
    prepare: || {
        let world = staged();
        let work = world.at("work");
        work.git(&["config", "s3lfs.uploadon", "push"]).ok();
        work.git(&["commit", "-qm", "more"]).ok();
        world
    },
    line: "git push -q",
    right: |world| {
        is_recorded(world, "large.bin", &large());
        assert_eq!(world.remote_head("main"), world.at("work").head());
    },
};

const TRACK: Scenario = Scenario {
    name: "track",
    prepare: || {
        let world = files();
        let work = world.at("work");
        let ours = work.text(".gitattributes");
        work.write(".gitattributes", format!("*.txt text # mine\n{ours}"));
        world
    },
    line: "s3lfs track '*.dat'",
    right: |world| assert!(world.at("work").text(".gitattributes").contains("*.txt text # mine\n")),
};

#[test]
fn an_upload_survives() {
    survives(&ONE);
}

#[test]
fn an_upload_of_several_files_survives() {
    survives(&SEVERAL);
}

#[test]
fn a_commit_survives() {
    survives(&COMMIT);
}

#[test]
fn track_modified_survives() {
    survives(&MODIFIED);
}

#[test]
fn a_push_survives() {
    survives(&PUSH);
}

#[test]
fn track_survives() {
    survives(&TRACK);
}
