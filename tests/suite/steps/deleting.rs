//! What deletes: `prune` here, `cleanup` in the store.

use super::bench::{Scenario, survives};
use crate::cleanup::bench::{GARBAGE, forget_reflogs, put};
use crate::cleanup::time::days_pass;
use crate::world::{World, oid};

const YOUNG: &[u8] = b"nobody needs this yet";

fn cached(world: &World, content: &[u8]) -> bool {
    let oid = oid(content);
    world.at("work").exists(&format!(".git/s3lfs/objects/{}/{oid}", &oid[..2]))
}

fn two_versions() -> World {
    let world = World::with_a();
    let work = world.at("work");
    for content in ["second", "third", "fourth"] {
        work.commit("a.bin", content.as_bytes());
    }
    work.git(&["push", "-q"]).ok();
    work.git(&["config", "s3lfs.uploadon", "push"]).ok();
    work.commit("here.bin", b"only this disk has it");
    world
}

const PRUNE: Scenario = Scenario {
    name: "prune",
    prepare: two_versions,
    line: "s3lfs prune",
    right: |world| {
        assert!(cached(world, b"only this disk has it"), "nobody else has it");
        assert!(!cached(world, b"second") && !cached(world, b"third"), "the store has them");
        world.at("work").s3lfs(&["verify", "--deep", "HEAD~1"]).ok();
    },
};

fn ripe() -> World {
    let world = World::with_a();
    put(&world, GARBAGE);
    forget_reflogs(&world.at("work"));
    world.at("work").s3lfs(&["cleanup", "--force"]).ok();
    days_pass(&world, 15);
    put(&world, YOUNG);
    world
}

const CLEANUP: Scenario = Scenario {
    name: "cleanup",
    prepare: ripe,
    line: "s3lfs cleanup --force",
    right: |world| {
        assert!(!world.object(GARBAGE).exists(), "what is old is gone");
        assert!(world.object(YOUNG).exists(), "what is young stays");
        world.at("work").s3lfs(&["verify", "--all", "--deep"]).ok();
    },
};

#[test]
fn prune_survives() {
    survives(&PRUNE);
}

#[test]
fn cleanup_survives() {
    survives(&CLEANUP);
}
