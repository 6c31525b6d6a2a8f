//! `s3lfs.smudgelimit`: what is too large for Git's memory stays a pointer until a hook or command
//! writes it; never a wrong byte, and always named by `status`.

use crate::world::{Place, World, pointer};

const LARGE: &[u8] = &[b'L'; 20_000];
const OTHER: &[u8] = &[b'O'; 30_000];

/// Branch `main` has one large content at `a.bin`, `side` another; nothing is cached, the limit is 10 KiB.
fn limited(world: &World) -> Place<'_> {
    let work = world.at("work");
    work.commit("a.bin", LARGE);
    work.git(&["switch", "-qc", "side"]).ok();
    work.commit("a.bin", OTHER);
    work.git(&["push", "-q", "origin", "main", "side"]).ok();
    work.git(&["config", "s3lfs.smudgelimit", "10k"]).ok();
    work.drop_cache();
    work
}

fn states(work: &Place<'_>) -> String {
    work.s3lfs(&["status"]).ok().stdout
}

#[test]
fn a_switch_is_filled_by_the_hook() {
    let world = World::ready();
    let work = limited(&world);
    work.git(&["switch", "-q", "main"]).ok().says(&["a.bin", "s3lfs.smudgelimit"]);
    assert!(work.read("a.bin") == LARGE, "post-checkout wrote the content");
    work.is_clean();
    assert!(!states(&work).contains("deferred"), "nothing is left to do");
    assert!(!work.exists(".git/s3lfs/deferred"), "and the list is gone");
}

#[test]
fn where_no_hook_runs_status_names_it_and_download_all_fills_it() {
    let world = World::ready();
    let work = limited(&world);
    work.git(&["reset", "-q", "--hard", "main"]).ok();
    assert_eq!(work.text("a.bin"), pointer(LARGE), "reset --hard runs no hook");
    work.is_clean();
    assert!(states(&work).contains("deferred") && states(&work).contains("a.bin"), "status names it");
    work.s3lfs(&["download-all"]).ok();
    assert!(work.read("a.bin") == LARGE && !states(&work).contains("deferred"));
    work.is_clean();
}

#[test]
fn a_stash_and_a_change_of_ones_own_survive_the_hook() {
    let world = World::ready();
    let work = limited(&world);
    work.git(&["reset", "-q", "--hard", "main"]).ok();
    work.write("a.bin", "my own");
    work.git(&["switch", "-qc", "elsewhere"]).ok();
    assert_eq!(work.text("a.bin"), "my own", "a hook never overwrites what is no pointer");
    work.git(&["stash", "-q"]).ok();
    assert_eq!(work.text("a.bin"), pointer(LARGE), "the stash puts the pointer back, over the limit");
    assert!(states(&work).contains("deferred"), "and status names it");
    work.git(&["stash", "pop", "-q"]).ok();
    assert_eq!(work.text("a.bin"), "my own");
}

#[test]
fn under_a_skip_setting_the_hook_writes_nothing() {
    let world = World::ready();
    let work = limited(&world);
    work.git(&["reset", "-q", "--hard", "main"]).ok();
    work.env("S3LFS_SKIP_SMUDGE", "1").git(&["switch", "-qc", "elsewhere"]).ok();
    assert_eq!(work.text("a.bin"), pointer(LARGE), "the pointer stays");
    work.git(&["switch", "-q", "-"]).ok();
    assert!(work.read("a.bin") == LARGE, "without the setting, the next hook fills it");
}

#[test]
fn what_is_cached_or_small_passes_through_git() {
    let world = World::ready();
    let work = limited(&world);
    work.git(&["config", "s3lfs.smudgelimit", "0"]).ok();
    work.git(&["switch", "-q", "main"]).ok();
    assert!(work.read("a.bin") == LARGE, "0 is no limit");
    work.git(&["switch", "-q", "side"]).ok();
    work.git(&["config", "s3lfs.smudgelimit", "10k"]).ok();
    let ran = work.git(&["reset", "-q", "--hard", "main"]).ok();
    assert!(work.read("a.bin") == LARGE && !ran.stderr.contains("smudgelimit"), "cached content is no download");
}
