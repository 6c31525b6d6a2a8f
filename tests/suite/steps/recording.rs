//! What is written for others to find: uploads, the manifest, attributes.

use std::path::{Path, PathBuf};

use super::adding::large;
use super::bench::{Scenario, survives, survives_in_the_midst};
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

/// More of them than a process holds: 8.4 MB.
const RECORDS: u64 = 210_000;

fn record(world: &World) -> PathBuf {
    let files = std::fs::read_dir(world.path("work/.git/s3lfs/uploaded")).unwrap();
    files.map(|file| file.unwrap().path()).find(|path| path.extension().is_none()).unwrap()
}

/// As in the record: an oid, and a time.
fn recorded(path: &Path) -> Vec<[u8; 40]> {
    let bytes = std::fs::read(path).unwrap();
    assert!(bytes.len().is_multiple_of(40), "no record is torn");
    bytes.chunks_exact(40).map(|record| record.try_into().unwrap()).collect()
}

/// What is known of a large store is written anew, beside its place, and never held in memory.
const LONG: Scenario = Scenario {
    name: "upload with a long record",
    prepare: || {
        let world = files();
        let path = record(&world);
        let mut records = recorded(&path);
        let time = records[0][32..].to_vec();
        records.extend((0..RECORDS).map(|n| {
            let mut record = [1; 40];
            record[..8].copy_from_slice(&(n * (u64::MAX / RECORDS)).to_be_bytes());
            record[32..].copy_from_slice(&time);
            record
        }));
        records.sort_unstable();
        std::fs::write(path, records.concat()).unwrap();
        world
    },
    line: "s3lfs upload one.dat",
    right: |world| {
        is_recorded(world, "one.dat", b"content of one");
        let records = recorded(&record(world));
        assert!(records.is_sorted_by(|a, b| a[..32] < b[..32]), "each object once, in order");
        assert_eq!(records.len() as u64, RECORDS + 2, "all that was known, and the new one");
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
fn an_upload_with_a_long_record_survives() {
    survives_in_the_midst(&LONG);
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
