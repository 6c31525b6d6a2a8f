//! `git add`: clean, of content that has room in memory and of content that has not; and `s3lfs add`.

use super::bench::{Scenario, survives};
use crate::world::{World, pointer};

const SMALL: &[u8] = b"small content";

/// 3 MiB, of which each piece differs.
pub fn large() -> Vec<u8> {
    (0..3u32 << 18).flat_map(|n| n.wrapping_mul(0x9e37_79b9).to_le_bytes()).collect()
}

fn small_file() -> World {
    let world = World::with_a();
    world.at("work").write("new.bin", SMALL);
    world
}

fn large_file() -> World {
    let world = World::with_a();
    world.at("work").write("new.bin", large());
    world
}

fn is(world: &World, content: &[u8]) {
    let work = world.at("work");
    assert_eq!(work.blob(":new.bin"), pointer(content));
    assert!(work.read("new.bin") == content, "the file is as it was");
}

const SMALL_ADD: Scenario =
    Scenario { name: "add of 13 bytes", prepare: small_file, line: "git add new.bin", right: |world| is(world, SMALL) };

const LARGE_ADD: Scenario =
    Scenario { name: "add of 3 MiB", prepare: large_file, line: "git add new.bin", right: |world| is(world, &large()) };

#[test]
fn a_small_add_survives() {
    survives(&SMALL_ADD);
}

#[test]
fn a_large_add_survives() {
    survives(&LARGE_ADD);
}

/// Old enough for their times to be believed.
fn several_files() -> World {
    let world = World::with_a();
    let work = world.at("work");
    work.write("new.bin", SMALL);
    work.write("d/large.bin", large());
    work.write("a.bin", "changed");
    work.write("raw.txt", "raw");
    work.sh("touch -d '1 hour ago' new.bin d/large.bin a.bin raw.txt; sleep 0.1").ok();
    world
}

fn are_staged(world: &World) {
    is(world, SMALL);
    let work = world.at("work");
    assert_eq!(work.blob(":d/large.bin"), pointer(&large()));
    assert_eq!(work.blob(":a.bin"), pointer(b"changed"));
    work.is_clean_but(&["M  a.bin", "A  d/large.bin", "A  new.bin", "A  raw.txt"]);
}

const OUR_ADD: Scenario =
    Scenario { name: "s3lfs add", prepare: several_files, line: "s3lfs add .", right: are_staged };

#[test]
fn our_add_survives() {
    survives(&OUR_ADD);
}
