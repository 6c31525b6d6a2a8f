//! Worktrees: what lies uncommitted in their folders counts, and a folder that is away stops a cleanup.

use std::fs;

use super::bench::{GARBAGE, blob, cleanup, put, ready, refuses, refuses_with, spares, works_again};
use super::roots::{gone_for_months, manifest_of, stage};
use crate::world::{MANIFEST, Place, World, oid};

/// The manifest of a worktree names content that nothing else does.
fn uncommitted(place: &Place<'_>, content: &[u8]) {
    put(place.world, content);
    let manifest = place.text(MANIFEST);
    let with = format!("\"files\": {{\n        \"by-hand.dat\": \"{}\",", oid(content));
    let manifest = manifest.replace("\"files\": {},", &format!("{},", with.trim_end_matches(',').to_owned() + "}"));
    place.write(MANIFEST, manifest.replace("\"files\": {\n", &format!("{with}\n")));
    assert!(place.text(MANIFEST).contains(&oid(content)), "{}", place.text(MANIFEST));
}

#[test]
fn uncommitted_manifests_count_from_wherever_it_is_asked() {
    for from in ["work", "linked"] {
        let world = World::with_a();
        let work = world.at("work");
        work.git(&["worktree", "add", "-q", "--detach", "../linked"]).ok();
        uncommitted(&work, b"in the main worktree");
        uncommitted(&world.at("linked"), b"in the linked worktree");
        spares(
            &world.at(from),
            &[("main", b"in the main worktree"), ("linked", b"in the linked worktree"), ("a", b"content of a\n")],
        );
    }
}

/// `git worktree list` tells the Git directory, and not the folder, of these.
#[test]
fn a_git_directory_elsewhere() {
    let world = World::with_a();
    let work = world.at("work");
    work.git(&["init", "-q", "--separate-git-dir", "../elsewhere"]).ok();
    uncommitted(&work, b"in the main worktree");
    work.git(&["worktree", "add", "-q", "--detach", "../linked"]).ok();
    let linked = world.at("linked");
    refuses(&linked, &["elsewhere", "can't be told", "run it in that worktree", "nothing was deleted"]);
    spares(&work, &[("main", b"in the main worktree")]);
    linked.git(&["config", "core.worktree", "../work"]).ok();
    put(&world, GARBAGE);
    spares(&linked, &[("main, by core.worktree", b"in the main worktree")]);
}

#[test]
fn a_folder_in_whose_place_another_repository_stands() {
    let world = ready();
    let work = world.at("work");
    work.git(&["worktree", "add", "-q", "--detach", "../linked"]).ok();
    uncommitted(&world.at("linked"), b"in the linked worktree");
    fs::rename(world.path("linked"), world.path("moved")).unwrap();
    world.at("").git(&["clone", "-q", "work", "linked"]).ok();
    refuses(&work, &["worktree", "linked", "nothing was deleted"]);
    fs::remove_dir_all(world.path("linked")).unwrap();
    world.at("moved").git(&["worktree", "repair"]).ok();
    spares(&work, &[("moved", b"in the linked worktree")]);
}

/// `--separate-git-dir=<dir>/.git` looks as if its worktree were `<dir>`.
#[test]
fn a_git_directory_elsewhere_with_the_usual_name() {
    let world = World::with_a();
    let work = world.at("work");
    fs::create_dir(world.path("elsewhere")).unwrap();
    work.git(&["init", "-q", "--separate-git-dir", "../elsewhere/.git"]).ok();
    uncommitted(&work, b"in the main worktree");
    work.git(&["worktree", "add", "-q", "--detach", "../linked"]).ok();
    refuses(&world.at("linked"), &["can't be told", "nothing was deleted"]);
    spares(&work, &[("main", b"in the main worktree")]);
}

#[test]
fn a_folder_that_is_away() {
    let world = ready();
    let work = world.at("work");
    work.git(&["worktree", "add", "-q", "--detach", "../linked"]).ok();
    uncommitted(&world.at("linked"), b"in the linked worktree");
    fs::rename(world.path("linked"), world.path("unplugged")).unwrap();
    let says = ["worktree", "linked is not there", "git worktree prune", "git worktree repair", "nothing was deleted"];
    refuses(&work, &says);
    refuses_with(&work, &["cleanup", "--dry-run"], &says);
    fs::create_dir(world.path("linked")).unwrap();
    refuses(&work, &says);
    work.git(&["worktree", "lock", world.path("linked").to_str().unwrap()]).ok();
    gone_for_months(&work, "linked");
    refuses(&work, &["linked is not there and locked", "git worktree unlock", "nothing was deleted"]);
    fs::remove_dir(world.path("linked")).unwrap();
    fs::rename(world.path("unplugged"), world.path("linked")).unwrap();
    works_again(&work);
    spares(&work, &[("linked", b"in the linked worktree")]);
}

#[test]
fn a_folder_that_is_gone_for_good() {
    let world = ready();
    let work = world.at("work");
    work.git(&["worktree", "add", "-q", "--detach", "../linked"]).ok();
    stage(&world.at("linked"), b"staged");
    fs::remove_dir_all(world.path("linked")).unwrap();
    refuses(&work, &["is not there"]);
    work.git(&["config", "gc.worktreePruneExpire", "now"]).ok();
    works_again(&work);
    assert!(world.object(b"staged").exists(), "its index is here, and counts");
    work.git(&["config", "--unset", "gc.worktreePruneExpire"]).ok();
    refuses(&work, &["is not there"]);
    work.git(&["worktree", "prune"]).ok();
    cleanup(&work).ok();
}

#[test]
fn a_worktree_that_git_does_not_find() {
    let world = ready();
    let work = world.at("work");
    work.git(&["worktree", "add", "-q", "--detach", "../linked"]).ok();
    let gitdir = work.text(".git/worktrees/linked/gitdir");
    for damaged in ["", "\n"] {
        work.write(".git/worktrees/linked/gitdir", damaged);
        refuses(&work, &["can't be told", "git worktree repair", "nothing was deleted"]);
    }
    work.remove(".git/worktrees/linked/gitdir");
    refuses(&work, &["can't be told"]);
    work.write(".git/worktrees/linked/gitdir", gitdir);
    works_again(&work);
}

#[test]
fn a_purge_asks_the_other_worktrees_too() {
    let world = World::ready();
    let work = world.at("work");
    work.git(&["worktree", "add", "-q", "--detach", "../linked"]).ok();
    let linked = world.at("linked");
    work.write("a.bin", "only staged");
    work.s3lfs(&["upload", "a.bin"]).ok();
    linked.write(MANIFEST, manifest_of("hand.dat", b"only staged"));
    let purge = ["remove", "a.bin", "--purge-from-s3"];
    refuses_with(&work, &purge, &["manifest of another worktree", "nothing was changed"]);
    fs::rename(world.path("linked"), world.path("unplugged")).unwrap();
    refuses_with(&work, &purge, &["linked is not there", "nothing was changed"]);
    work.git(&["worktree", "prune"]).ok();
    work.s3lfs(&purge).ok();
    assert!(!world.object(b"only staged").exists(), "{}", blob(&work, b"only staged"));
}
