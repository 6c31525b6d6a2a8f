//! A directory that clones share: its register, and what is deleted there.

use super::bench::{Scenario, survives};
use crate::world::{World, oid};

const THEIRS: &[u8] = b"only an unpushed commit of the other clone names it";

fn shared(world: &World, content: &[u8]) -> bool {
    let oid = oid(content);
    world.path("cache/objects").join(&oid[..2]).join(oid).exists()
}

fn share(world: &World) {
    world.at("").git(&["config", "--global", "s3lfs.cachedir", world.path("cache").to_str().unwrap()]).ok();
}

/// How many clones stand in the register, each with all that an entry has.
fn registered(world: &World) -> usize {
    let entries = std::fs::read_dir(world.path("cache/clones")).unwrap();
    let entries: Vec<Vec<u8>> = entries.map(|entry| std::fs::read(entry.unwrap().path()).unwrap()).collect();
    entries.iter().filter(|entry| entry.iter().filter(|byte| **byte == 0).count() == 3).count()
}

/// `work` fetches for the first time what it shares.
const REGISTER: Scenario = Scenario {
    name: "the register of clones",
    prepare: || {
        let world = World::with_a();
        world.at("work").drop_cache();
        world.at("work").remove("a.bin");
        share(&world);
        world
    },
    // Where the shared directory fails, the content is kept here instead.
    line: "rm -rf a.bin .git/s3lfs/objects && s3lfs download a.bin",
    right: |world| {
        assert!(shared(world, b"content of a\n"), "what was fetched goes there");
        assert_eq!(registered(world), 1, "and this clone stands in the register");
        world.at("work").is_clean();
    },
};

/// Of what both clones have there, the other needs one piece.
const PRUNE_SHARED: Scenario = Scenario {
    name: "prune --shared",
    prepare: || {
        let world = World::with_a();
        share(&world);
        let work = world.at("work");
        for content in ["second", "third", "fourth"] {
            work.commit("a.bin", content.as_bytes());
        }
        work.git(&["push", "-q"]).ok();
        world.cloned("other").commit("theirs.bin", THEIRS);
        assert!(shared(&world, b"second") && shared(&world, THEIRS), "the store has them: they moved");
        world
    },
    line: "s3lfs prune --shared",
    right: |world| {
        assert!(!shared(world, b"second") && !shared(world, b"third"), "the store has them, and nobody needs them");
        assert!(shared(world, b"fourth") && shared(world, THEIRS), "they are needed");
        assert_eq!(registered(world), 2, "nobody is forgotten");
    },
};

#[test]
fn entering_the_register_survives() {
    survives(&REGISTER);
}

#[test]
fn prune_shared_survives() {
    survives(&PRUNE_SHARED);
}
