//! The other commands in a repository of the Python tool, as it is.

use std::fs;

use super::old::{self, FILES, known_oid};
use crate::world::{oid, snapshot};

#[test]
fn verify_finds_what_is_there_and_what_is_not() {
    for version in ["seed", "0.6.3"] {
        let world = old::repository(version);
        let work = world.at("work");
        work.s3lfs(&["git-setup"]).ok();
        work.s3lfs(&["verify"]).ok();
        work.s3lfs(&["verify", "--deep"]).ok();
        let lost = known_oid("assets/big.bin");
        fs::remove_dir_all(world.path("store/proj/assets").join(&lost)).unwrap();
        let ran = work.s3lfs(&["verify"]).fails(3);
        assert!(format!("{}{}", ran.stdout, ran.stderr).contains("assets/big.bin"), "{version}: it is named: {ran:#?}");
    }
}

#[test]
fn sparse_checkout_fetches_a_directory_of_it() {
    let world = old::repository("seed");
    let work = world.at("work");
    work.s3lfs(&["git-setup"]).ok();
    work.s3lfs(&["sparse-checkout", "assets/my dir"]).ok();
    assert_eq!(work.read("assets/my dir/one byte.dat").len(), 1);
    assert!(!work.exists("assets/big.bin"), "the rest is not fetched");
    work.s3lfs(&["sparse-checkout", "--disable"]).ok();
    work.s3lfs(&["download-all"]).ok();
    old::has_all(&work);
}

#[test]
fn cleanup_spares_all_that_a_manifest_names() {
    let world = old::repository("seed");
    let work = world.at("work");
    work.s3lfs(&["git-setup"]).ok();
    let garbage = world.path("store/proj/assets").join(oid(b"garbage"));
    fs::create_dir_all(garbage.join("old")).unwrap();
    fs::write(garbage.join("old/gone.bin"), "garbage").unwrap();
    let ran = work.s3lfs(&["cleanup", "--keep-newer", "0s", "--force"]).ok().says(&["no repository is registered"]);
    assert!(!garbage.join("old/gone.bin").exists(), "what nothing names goes: {ran:#?}");
    let before = snapshot(&world.path("store"));
    let ran = work.s3lfs(&["cleanup", "--keep-newer", "0s", "--force"]).ok();
    let assets = |files: &[(std::path::PathBuf, Vec<u8>)]| {
        files.iter().filter(|(path, _)| path.to_string_lossy().contains("/assets/")).cloned().collect::<Vec<_>>()
    };
    assert_eq!(assets(&snapshot(&world.path("store"))), assets(&before), "nothing of it goes: {ran:#?}");
    work.s3lfs(&["migrate"]).ok();
    work.git(&["commit", "-qm", "migrated"]).ok();
    work.git(&["push", "-q"]).ok();
    let migrated = snapshot(&world.path("store/proj/assets"));
    let ran = work.s3lfs(&["cleanup", "--keep-newer", "0s", "--force"]).ok();
    assert_eq!(snapshot(&world.path("store/proj/assets")), migrated, "both layouts are named by history: {ran:#?}");
    for path in FILES {
        assert!(world.path("store/proj/assets").join(known_oid(path)).is_dir(), "{path}: old commits keep working");
    }
}

#[test]
fn verify_reads_what_was_cut_in_chunks() {
    let world = old::repository("seed");
    let work = world.at("work");
    work.s3lfs(&["git-setup"]).ok();
    work.s3lfs(&["verify"]).ok();
    let big = world.path("store/proj/assets").join(known_oid("assets/big.bin")).join("assets");
    fs::remove_file(big.join("big.bin.gz.chunk2")).unwrap();
    work.s3lfs(&["verify"]).fails(3).says(&["assets/big.bin", "damaged"]);
}

/// Where the old tool's caches are hidden when its lines go from `.gitignore`.
#[test]
fn an_exclude_file_that_is_a_link_stays_one() {
    let world = old::repository("0.6.3");
    let work = world.at("work");
    work.write(".gitignore", fs::read(old::fixture("0.6.3/gitignore")).unwrap());
    work.git(&["commit", "-qam", "ignored"]).ok();
    work.s3lfs(&["git-setup"]).ok();
    work.s3lfs(&["download-all"]).ok();
    work.write(".s3lfs_temp/part", "left");
    work.write("../shared-exclude", "*.mine\n");
    let _ = fs::remove_file(work.join(".git/info/exclude"));
    work.sh("ln -s ../../../shared-exclude .git/info/exclude").ok();
    work.s3lfs(&["migrate"]).ok();
    assert!(work.join(".git/info/exclude").is_symlink(), "the link stays");
    assert_eq!(work.text("../shared-exclude"), "*.mine\n/.s3lfs_temp/\n", "and what it leads to has the line");
}

/// An untracked file would stand in the way of the commit in which somebody else migrates the repository.
#[test]
fn setting_it_up_leaves_no_file_that_git_does_not_have() {
    let world = old::repository("seed");
    let work = world.at("work");
    let before = work.git(&["status", "--porcelain"]).ok().stdout;
    work.s3lfs(&["git-setup"]).ok().says(&["'s3lfs migrate' writes what is needed there"]);
    assert_eq!(work.git(&["status", "--porcelain"]).ok().stdout, before, "nothing new stands there");
    let doctor = work.s3lfs(&["doctor"]);
    assert!(!doctor.stdout.contains("lacks the lines"), "and the doctor asks for nothing: {doctor:?}");
    work.s3lfs(&["git-setup", "--track", "*.bin"]).ok();
    assert!(work.text(".gitattributes").contains("*.bin filter=s3lfs"), "unless it is asked for");
}
