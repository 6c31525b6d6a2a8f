//! A million objects: 128 MiB at the most, whatever is in the bucket (design.md, section 7).
//!
//! Apart because the store is filled by hand: files of which only the length is real, since cleanup reads
//! none. `S3LFS_TEST_FULL=1` makes 300,000 of them, which takes about a minute; without it, 20,000.
//! `S3LFS_TEST_OBJECTS=1000000` makes as many as it says, and `S3LFS_TEST_BLOBS=100000` as many versions of files.

use std::fmt::Write as _;
use std::fs::{self, File};

use super::bench::{blob, put, tree};
use crate::s3::memory::high_water;
use crate::world::{World, oid, pointer};

/// Of ten objects, these are named.
const NAMED: usize = 7;

/// How many of them one manifest names. None of these parses: it names every hash in it.
const IN_A_MANIFEST: usize = 50_000;

/// What the program takes by itself (a debug build has 30 MiB of code; deleting from a directory takes
/// threads), and what each object may add; 128 MiB is the end. Of 300,000 the bound is tight enough to
/// notice a list of all keys as text (90 MiB where 74 are allowed); of 20,000 it notices only what takes
/// a kilobyte for each.
const LOOKING: u64 = 56 << 20;
const DELETING: u64 = 72 << 20;
const EACH: u64 = 64;

/// How many files one commit of a long history changes.
const IN_A_COMMIT: usize = 10;

/// Objects of which only the length is real.
fn fill(world: &World, count: usize) {
    let assets = world.path("store/proj/assets");
    for byte in 0..=255 {
        fs::create_dir_all(assets.join(format!("{byte:02x}"))).unwrap();
    }
    for n in 0..count {
        let oid = oid(&content(n));
        File::create(assets.join(&oid[..2]).join(&oid)).unwrap().set_len(1000).unwrap();
    }
}

/// A number of the environment, or another one for each way of running the tests.
fn told(variable: &str, full: usize, short: usize) -> usize {
    let is_full = std::env::var_os("S3LFS_TEST_FULL").is_some_and(|value| value == "1");
    let told = std::env::var(variable).ok().and_then(|text| text.parse().ok());
    told.unwrap_or(if is_full { full } else { short })
}

fn content(n: usize) -> Vec<u8> {
    format!("object {n}").into_bytes()
}

#[test]
#[cfg(target_os = "linux")]
fn many_objects_take_little_memory() {
    let count = told("S3LFS_TEST_OBJECTS", 300_000, 20_000);
    let world = World::with_a();
    let work = world.at("work");
    put(&world, b"the first");
    let assets = world.path("store/proj/assets");
    fill(&world, count);
    let named = (0..count).filter(|n| n % 10 < NAMED);
    let names: Vec<String> = named.map(|n| format!("sha256:{}\n", oid(&content(n)))).collect();
    let first = blob(&work, b"the first");
    for (number, some) in names.chunks(IN_A_MANIFEST).enumerate() {
        let manifest = super::bench::text_blob(&work, some.concat());
        let tree = tree(&work, &[(".s3_manifest.json", &manifest), ("x.bin", &first)]);
        let commit = super::bench::commit_tree(&work, &tree, &[]);
        super::bench::name(&work, &format!("refs/heads/many-{number}"), &commit);
    }
    for (args, base) in
        [(&["cleanup", "--dry-run", "--json"][..], LOOKING), (&["cleanup", "--force", "--keep-newer", "0s"], DELETING)]
    {
        let bound = ((base + EACH * count as u64) >> 20).min(128);
        let most = high_water(&work, args) >> 10;
        eprintln!("{count} objects: {most} of {bound} MiB");
        assert!(most < bound, "{args:?} with {count} objects: {most} MiB");
    }
    for n in [0, 6, count - 4, 7, 9, count - 1] {
        assert_eq!(world.object(&content(n)).exists(), n % 10 < NAMED, "object {n} goes if nothing names it");
    }
    let left: usize =
        fs::read_dir(&assets).unwrap().map(|dir| fs::read_dir(dir.unwrap().path()).unwrap().count()).sum();
    assert_eq!(left, count / 10 * NAMED + 2, "all that is named is there, and nothing else");
}

/// A history in which each commit brings new versions of the same few files.
fn import(world: &World, versions: usize) {
    let named: Vec<usize> = (0..versions).filter(|n| n % 10 < NAMED).collect();
    let mut text = String::new();
    for (at, n) in named.iter().enumerate() {
        // Of the right length for the object that stands for it.
        let pointer = pointer(&content(*n));
        write!(text, "blob\nmark :{}\ndata {}\n{pointer}\n", at + 1, pointer.len()).unwrap();
    }
    for (number, some) in named.chunks(IN_A_COMMIT).enumerate() {
        text.push_str("commit refs/heads/long\ncommitter a <a@example.com> 1700000000 +0000\ndata 1\nx\n");
        if number == 0 {
            text.push_str("from main\n");
        }
        for file in 0..some.len() {
            writeln!(text, "M 100644 :{} d/f{file}.bin", number * IN_A_COMMIT + file + 1).unwrap();
        }
    }
    text.push_str("\ndone\n");
    world.at("work").git_with_input(&["fast-import", "--quiet", "--done"], text.as_bytes()).ok();
}

#[test]
#[cfg(target_os = "linux")]
fn a_long_history_takes_little_memory() {
    let versions = told("S3LFS_TEST_BLOBS", 30_000, 10_000);
    let world = World::with_a();
    let work = world.at("work");
    fill(&world, versions);
    import(&world, versions);
    work.git(&["push", "-q", "--no-verify", "origin", "long"]).ok();
    for (args, base) in [
        (&["prune", "--dry-run"][..], LOOKING),
        (&["cleanup", "--dry-run", "--json"], LOOKING),
        (&["cleanup", "--force", "--keep-newer", "0s"], DELETING),
    ] {
        let bound = ((base + EACH * versions as u64) >> 20).min(128);
        let most = high_water(&work, args) >> 10;
        eprintln!("{versions} versions of files: {args:?} took {most} of {bound} MiB");
        assert!(most < bound, "{args:?} with {versions} versions: {most} MiB");
    }
    for n in [0, 6, 10, versions - 4, 7, 9, versions - 1] {
        assert_eq!(world.object(&content(n)).exists(), n % 10 < NAMED, "version {n} goes if no commit names it");
    }
}
