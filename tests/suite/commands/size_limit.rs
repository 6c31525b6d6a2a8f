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

/// Both contents are in the cache, and the limit is 10 KiB.
fn cached(world: &World) -> Place<'_> {
    let work = limited(world);
    for branch in ["main", "side"] {
        work.git(&["switch", "-q", branch]).ok();
    }
    work
}

/// What s3lfs asks when it tells Git of a file that it wrote itself.
const TOLD: &str = "--show-object-format";

#[test]
fn large_cached_content_is_written_beside_git_whether_a_hook_runs_or_not() {
    let world = World::ready();
    let work = cached(&world);
    let loud = work.env("S3LFS_LOG", "debug");
    for (line, content) in [
        ("git switch -q main", LARGE),
        ("git reset -q --hard side", OTHER),
        ("git -c core.hooksPath=/dev/null checkout -q -B main origin/main", LARGE),
        ("git worktree add -q ../linked side && cp ../linked/a.bin . && git -C ../linked status --porcelain", OTHER),
    ] {
        let ran = loud.sh(line).ok().says(&[TOLD]).never_says(&["too large to pass through Git"]);
        assert!(work.read("a.bin") == content, "{line}: the content is there when Git is done");
        assert!(!ran.stdout.contains("a.bin"), "{line}: and no change to Git");
        work.git(&["checkout", "-q", "--", "a.bin"]).ok();
        work.is_clean();
        assert!(!work.exists(".git/s3lfs/deferred"), "{line}: nothing is left to do");
    }
}

#[test]
fn where_git_goes_on_with_the_files_their_content_passes_through_it() {
    let world = World::ready();
    let work = cached(&world);
    let loud = work.env("S3LFS_LOG", "debug");
    work.remove("a.bin");
    loud.git(&["restore", "a.bin"]).ok().never_says(&[TOLD]);
    assert!(work.read("a.bin") == OTHER);
    work.git(&["switch", "-qc", "topic", "main"]).ok();
    work.commit("b.bin", b"on topic");
    work.git(&["switch", "-q", "side"]).ok();
    // What is tested between the picks has to be whole.
    let rebase = "git rebase -q --exec 'test $(wc -c <a.bin) = 30000' side topic";
    work.git(&["rebase", "-q", "--exec", "test $(wc -c <a.bin) = 30000", "side", "topic"]).ok();
    assert!(work.read("a.bin") == OTHER, "{rebase}");
    work.is_clean();
    // Who wants no limit wants Git to do all of it.
    work.git(&["config", "s3lfs.smudgelimit", "0"]).ok();
    loud.git(&["switch", "-q", "main"]).ok().never_says(&[TOLD]);
    assert!(work.read("a.bin") == LARGE);
}

#[test]
fn after_a_git_that_left_its_lock_nothing_is_written_until_the_next_one() {
    let world = World::ready();
    let work = cached(&world);
    // As if Git had been killed: with its lock, and without our hook.
    work.sh("rm .git/hooks/post-checkout").ok();
    work.script(".git/hooks/post-checkout", "#!/bin/sh\n: >.git/index.lock\n");
    work.git(&["switch", "-q", "main"]).ok();
    assert_eq!(work.text("a.bin"), pointer(LARGE), "nobody knows what Git was about");
    work.sh("rm .git/index.lock .git/hooks/post-checkout").ok();
    assert!(states(&work).contains("deferred"), "status names it");
    work.s3lfs(&["git-setup"]).ok();
    work.git(&["switch", "-qc", "next"]).ok();
    assert!(work.read("a.bin") == LARGE, "the next hook fills it");
    work.is_clean();
}

#[test]
fn what_is_gone_from_the_cache_meanwhile_stays_a_pointer_that_is_named() {
    let world = World::ready();
    let work = cached(&world);
    world.unplug();
    work.sh("rm .git/hooks/post-checkout").ok();
    work.script(".git/hooks/post-checkout", "#!/bin/sh\nrm -r .git/s3lfs/objects\n");
    work.git(&["switch", "-q", "main"]).ok().says(&["a.bin"]);
    assert_eq!(work.text("a.bin"), pointer(LARGE));
    work.is_clean();
    world.plug();
    work.s3lfs(&["download-all"]).ok();
    assert!(work.read("a.bin") == LARGE);
    work.is_clean();
}
