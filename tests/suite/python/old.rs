//! A repository of the Python s3lfs: its manifest committed, its bucket copied from the fixtures.

use std::fs;
use std::path::Path;

use crate::world::{MANIFEST, Place, World, oid};

/// The paths of the sample, with the oids of their content.
pub const FILES: [&str; 7] = [
    "assets/big.bin",
    "assets/empty.bin",
    "assets/fake.zip",
    "assets/my dir/one byte.dat",
    "assets/noise.bin",
    "assets/numbers.csv",
    "assets/é/copie.csv",
];

/// Where the samples are.
pub fn fixture(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/python-s3lfs").join(path)
}

/// The oid of a path of the sample.
pub fn known_oid(path: &str) -> String {
    let sums = fs::read_to_string(fixture("SHA256SUMS")).unwrap();
    let line = sums.lines().find(|line| line.ends_with(&format!("  {path}")));
    line.unwrap_or_else(|| panic!("{path} is in SHA256SUMS"))[..64].to_owned()
}

/// `version` is `seed` or `0.6.3`; the bucket lies in the directory `store`, and `work` has the seed's
/// manifest committed, which names it; `assets/` is ignored.
pub fn repository(version: &str) -> World {
    let world = World::new();
    let work = world.at("work");
    copy(&fixture(version).join("bucket"), &world.path("store"));
    let manifest = fs::read_to_string(fixture("seed/.s3_manifest.json")).unwrap();
    work.write(MANIFEST, manifest.replace("oldb", &world.url("store")));
    work.write(".gitignore", "/assets/\n");
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-qm", "by the Python s3lfs"]).ok();
    work.git(&["push", "-qu", "origin", "main"]).ok();
    world
}

/// A repository of the last version: `.s3_manifest.yaml` and its shards committed, and no JSON.
pub fn with_yaml() -> World {
    let world = repository("0.6.3");
    let work = world.at("work");
    work.git(&["rm", "-q", MANIFEST]).ok();
    copy(&fixture("0.6.3/.s3lfs_manifest"), &work.join(".s3lfs_manifest"));
    let root = fs::read_to_string(fixture("0.6.3/.s3_manifest.yaml")).unwrap();
    work.write(".s3_manifest.yaml", root.replace("newb", &world.url("store")));
    work.write(".gitignore", fs::read(fixture("0.6.3/gitignore")).unwrap());
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-qm", "by the last Python s3lfs"]).ok();
    work.git(&["push", "-q"]).ok();
    world
}

/// All files are there, with their content.
#[track_caller]
pub fn has_all(place: &Place<'_>) {
    for path in FILES {
        assert_eq!(oid(&place.read(path)), known_oid(path), "{path} has its content");
    }
}

/// Copy a directory.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (source, target) = {
            let entry = entry.unwrap();
            (entry.path(), to.join(entry.file_name()))
        };
        if source.is_dir() {
            copy(&source, &target);
        } else {
            fs::copy(source, target).unwrap();
        }
    }
}
