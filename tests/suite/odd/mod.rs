//! Odd repositories: the main job in each of them, with the real Git.
//!
//! What every Git command does in SHA-256 and reftable repositories and in linked worktrees is in
//! `git_commands`; here a whole working day is done in each kind, by s3lfs's own commands too.

mod disks;
mod forms;
mod full;
mod indexes;
mod nested;
mod partial;
mod paths;
mod shared_cache;
mod shared_register;
mod sharing;

use std::fs;

use crate::world::{MANIFEST, Place, World};

/// A repository in `work`, made with these options, set up as by a user, with `a.bin` and `d/b.bin`
/// committed and pushed.
fn seeded(init: &[&str]) -> World {
    let world = World::new();
    if !init.is_empty() {
        world.at("").sh("rm -rf work remote.git").ok();
        // Where its Git directory is, is the work's own affair.
        let remote: Vec<&str> = init.iter().copied().filter(|option| option.contains("format")).collect();
        world.at("").git(&[&["init", "-q", "--bare", "-b", "main"], &remote[..], &["remote.git"]].concat()).ok();
        world.at("").git(&[&["init", "-q", "-b", "main"], init, &["work"]].concat()).ok();
        world.at("work").git(&["remote", "add", "origin", &world.url("remote.git")]).ok();
    }
    let work = world.at("work");
    set_up(&work);
    work.write("d/b.bin", "content of b");
    work.git(&["add", "."]).ok();
    work.commit("a.bin", b"content of a");
    work.git(&["push", "-qu", "origin", "main"]).ok();
    work.is_clean();
    world
}

fn set_up(work: &Place<'_>) {
    work.s3lfs(&["init", &work.world.url("store"), "proj"]).ok();
    work.s3lfs(&["git-setup", "--track", "*.bin"]).ok();
}

/// Add, commit, push, clone elsewhere; change, by `track-modified` and by `commit -a`; fetch anew. After
/// each, `git status` is empty.
#[track_caller]
fn main_job(work: &Place<'_>) {
    let world = work.world;
    work.commit("new.bin", b"new content");
    work.git(&["push", "-q", "origin", "HEAD:refs/heads/main"]).ok();
    work.is_clean();
    assert!(world.object(b"new content").exists(), "the commit or the push uploaded it");
    elsewhere(work, b"new content");

    work.write("new.bin", "changed content");
    work.s3lfs(&["track-modified"]).ok();
    work.git(&["commit", "-qm", "changed"]).ok();
    work.is_clean();
    assert!(world.object(b"changed content").exists(), "track-modified uploaded it");
    work.write("new.bin", "changed again");
    work.git(&["commit", "-qam", "changed again"]).ok();
    work.git(&["push", "-q", "origin", "HEAD:refs/heads/main"]).ok();
    work.is_clean();
    elsewhere(work, b"changed again");

    work.leave_pointer("new.bin");
    work.s3lfs(&["download-all"]).ok();
    assert_eq!(work.read("new.bin"), b"changed again", "fetched from the store");
    work.is_clean();
    work.git(&["checkout", "-q", "HEAD~1"]).ok();
    assert_eq!(work.read("new.bin"), b"changed content", "filled by the checkout");
    work.is_clean();
    let listed = work.s3lfs(&["ls"]).ok().stdout;
    assert!(listed.contains("new.bin"), "{listed}");
    let status = work.s3lfs(&["status"]).ok().stdout;
    assert!(status.contains("nothing to do"), "{status}");
    let manifest: serde_json::Value = serde_json::from_str(&work.blob(&format!("HEAD:{MANIFEST}"))).unwrap();
    assert_eq!(manifest["files"]["new.bin"], crate::world::oid(b"changed content"), "the manifest is in step");
    work.s3lfs(&["git-setup"]).ok();
    work.is_clean();
}

/// A plain clone of what was pushed has `new.bin`.
#[track_caller]
fn elsewhere(work: &Place<'_>, content: &[u8]) {
    let world = work.world;
    let _ = fs::remove_dir_all(world.path("elsewhere"));
    world.at("").s3lfs(&["clone", "-q", &world.url("remote.git"), "elsewhere"]).ok();
    assert_eq!(world.at("elsewhere").read("new.bin"), content);
    world.at("elsewhere").is_clean();
}
