//! What a killed upload leaves in a directory: `<name>#<number>`, beside the place where it was to be.

use std::fs;
use std::path::PathBuf;

use super::bench::{cleanup, forget_reflogs};
use super::time::days_pass;
use crate::world::{World, oid};

fn write(world: &World, key: &str) -> PathBuf {
    let path = world.path("store").join(key);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, "half of it").unwrap();
    path
}

#[test]
fn what_a_killed_upload_leaves_is_seen_by_nobody_and_goes_when_it_is_old() {
    let world = World::with_a();
    let work = world.at("work");
    // 4 MiB that do not compress.
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 56) as u8
    };
    let content: Vec<u8> = (0..4 << 20).map(|_| next()).collect();
    work.write("big.bin", &content);
    work.git(&["add", "big.bin"]).ok();
    // Git would clean it anew, and be killed at that.
    work.remove("big.bin");
    // The first write beyond 1 MiB kills it (SIGXFSZ).
    let killed = work.sh("ulimit -c 0; ulimit -f 2048; exec s3lfs track-modified");
    assert_eq!(killed.code, -1, "the upload was killed: {killed:#?}");
    let object = world.object(&content);
    let leftover = PathBuf::from(format!("{}#1", object.display()));
    assert!(leftover.exists() && !object.exists(), "it was killed while it wrote to the store");
    work.s3lfs(&["verify"]).fails(3).says(&["missing: big.bin"]);
    work.git(&["commit", "-qm", "big"]).ok();
    work.git(&["push", "-q"]).ok();
    assert!(object.exists(), "the leftover is in nobody's way");

    days_pass(&world, 13);
    assert!(!cleanup(&work).ok().stderr.contains("unfinished"));
    assert!(leftover.exists(), "13 days are less than 14: somebody may still be writing");
    days_pass(&world, 1);
    let dry = work.s3lfs(&["cleanup", "--dry-run"]).ok();
    assert!(dry.stdout.contains("Would be aborted: 1 unfinished upload"), "{dry:#?}");
    assert!(leftover.exists(), "a dry run deletes nothing");
    cleanup(&work).ok().says(&["aborted 1 unfinished upload"]);
    assert!(!leftover.exists() && object.exists(), "the leftover goes, the object stays");
    work.s3lfs(&["verify", "--all", "--deep"]).ok();
}

#[test]
fn leftovers_go_by_their_exact_shape() {
    let world = World::with_a();
    let work = world.at("work");
    let (a, none) = (oid(b"content of a\n"), oid(b"nothing has this"));
    let two = |oid: &str| oid[..2].to_owned();
    let id = work.manifest()["repository_id"].as_str().unwrap().to_owned();
    let ours: Vec<PathBuf> = [
        format!("proj/assets/{}/{a}#1", two(&a)),
        format!("proj/assets/{}/{none}#12", two(&none)),
        "proj/cleanup/0a.json#1".to_owned(),
        format!("proj/repositories/{id}.json#3"),
    ]
    .map(|key| write(&world, &key))
    .into();
    let other = if two(&a) == "00" { "01" } else { "00" };
    let foreign: Vec<PathBuf> = [
        format!("proj/assets/{}/{a}#", two(&a)),
        format!("proj/assets/{}/{a}#x", two(&a)),
        format!("proj/assets/{}/{a}.gz#1", two(&a)),
        format!("proj/assets/{}/{a}#1#1", two(&a)),
        format!("proj/assets/{other}/{a}#1"),
        format!("proj/assets/{}/deep/{a}#1", two(&a)),
        format!("proj/assets/{}#1", two(&a)),
        "proj/assets/notes#1".to_owned(),
        format!("proj/assets/{none}/big.bin#1"),
        "proj/cleanup/notes.json#1".to_owned(),
        "proj/cleanup/deep/0a.json#1".to_owned(),
        "proj/repositories/a b.json#1".to_owned(),
        format!("proj/{a}#1"),
        format!("assets/{}/{a}#1", two(&a)),
    ]
    .map(|key| write(&world, &key))
    .into();
    std::os::unix::fs::symlink("/etc/passwd", world.path(&format!("store/proj/assets/{}/{a}#2", two(&a)))).unwrap();
    // Other commands pass them over.
    forget_reflogs(&work);
    work.s3lfs(&["verify", "--deep"]).ok();
    world.cloned("other").is_clean();
    days_pass(&world, 15);
    cleanup(&work).ok().says(&["aborted 4 unfinished uploads"]);
    for path in ours {
        assert!(!path.exists(), "{} was left by a killed write of ours", path.display());
    }
    for path in foreign {
        assert!(path.exists(), "{} has no shape of ours", path.display());
    }
    assert!(world.object(b"content of a\n").exists());
}
