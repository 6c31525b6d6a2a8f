//! Several commands of Git and s3lfs at once, over and over, as fast as they come: whatever the order, each ends right.

use std::thread::scope;

use super::setup::{initialised, set_up_files};
use crate::world::{MANIFEST, Place, World, oid, pointer, snapshot};

const ROUNDS: usize = 4;

/// Over [`s3lfs::cache::IN_MEMORY`], so that it is written while it comes.
fn large(seed: usize) -> Vec<u8> {
    (0..400_000_u32).flat_map(|n| n.wrapping_mul(0x9e37_79b9).wrapping_add(seed as u32).to_le_bytes()).collect()
}

fn both<A: Send, B: Send>(one: impl FnOnce() -> A + Send, two: impl FnOnce() -> B + Send) -> (A, B) {
    scope(|scope| {
        let one = scope.spawn(one);
        let two = two();
        (one.join().unwrap(), two)
    })
}

/// Every cached object is what its name says, and no temporary file is left.
#[track_caller]
fn caches_are_whole(state: &std::path::Path) {
    for (path, bytes) in snapshot(state) {
        let text = path.strip_prefix(state).unwrap().to_string_lossy().into_owned();
        assert!(!text.starts_with("tmp/"), "nothing is left over: {text}");
        assert!(!text.starts_with("bad/"), "nothing was damaged: {text}");
        if text.starts_with("objects/") {
            assert_eq!(oid(&bytes), path.file_name().unwrap().to_str().unwrap(), "{text} is whole");
        }
    }
}

/// Adds of the same and of other content in both places.
fn add_in_both(one: &Place<'_>, two: &Place<'_>) {
    for round in 0..ROUNDS {
        for place in [one, two] {
            let own = if place.dir == one.dir { 1 } else { 2 };
            place.write("same.bin", large(round));
            place.write("small.bin", format!("small {round}"));
            place.write("own.bin", large(1000 * own + round));
            place.write("small own.bin", format!("own {own} {round}"));
        }
        let add = |place: &Place<'_>| place.git(&["add", "."]).ok();
        both(|| add(one), || add(two));
        for place in [one, two] {
            for name in ["same.bin", "small.bin", "own.bin", "small own.bin"] {
                assert_eq!(place.blob(&format!(":{name}")), pointer(&place.read(name)), "{name} in round {round}");
            }
        }
        let commit = |place: &Place<'_>| place.git(&["commit", "-qm", "round"]).ok();
        both(|| commit(one), || commit(two));
        for place in [one, two] {
            place.is_clean();
            assert!(place.world.object(&place.read("own.bin")).exists(), "each uploads its own");
            assert!(place.world.object(&place.read("same.bin")).exists());
        }
    }
}

#[test]
fn two_adds_in_two_worktrees() {
    let world = World::ready();
    let work = world.at("work");
    work.git(&["worktree", "add", "-q", "-b", "side", "../linked"]).ok();
    let linked = world.at("linked");
    add_in_both(&work, &linked);
    caches_are_whole(&work.join(".git/s3lfs"));
    both(|| work.git(&["push", "-q", "origin", "main"]).ok(), || linked.git(&["push", "-q", "origin", "side"]).ok());
    world.cloned("clone").s3lfs(&["verify", "--all", "--deep"]).ok();
}

#[test]
fn two_adds_in_two_clones_with_one_cache_directory() {
    let world = World::ready();
    world.at("").git(&["config", "--global", "s3lfs.cachedir", world.path("cache").to_str().unwrap()]).ok();
    let (work, other) = (world.at("work"), world.cloned("other"));
    add_in_both(&work, &other);
    for state in [work.join(".git/s3lfs"), other.join(".git/s3lfs"), world.path("cache")] {
        caches_are_whole(&state);
    }
    for place in [&work, &other] {
        for name in ["same.bin", "own.bin"] {
            place.remove(name);
        }
    }
    let checkout = |place: &Place<'_>| place.git(&["checkout", "-q", "--", "."]).ok();
    both(|| checkout(&work), || checkout(&other));
    for place in [&work, &other] {
        assert!(place.read("same.bin") == large(ROUNDS - 1), "from the shared cache");
        place.is_clean();
    }
}

#[test]
fn two_uploads_at_once() {
    let world = World::ready();
    let work = world.at("work");
    work.commit(".gitignore", b"out/\n");
    for round in 0..ROUNDS {
        let names = |who: &str| [format!("{who}{round}.dat"), format!("out/{who}{round}")];
        for name in names("one").iter().chain(&names("two")) {
            work.write(name, format!("content of {name}"));
        }
        let upload = |who: &str| {
            let [plain, ignored] = names(who);
            work.s3lfs(&["upload", &plain, &ignored]).ok()
        };
        both(|| upload("one"), || upload("two"));
        let staged: serde_json::Value = serde_json::from_str(&work.blob(&format!(":{MANIFEST}"))).unwrap();
        for name in names("one").iter().chain(&names("two")) {
            let oid = oid(&work.read(name));
            assert_eq!(staged["files"][name], oid, "{name} is in the staged manifest");
            assert_eq!(work.manifest()["files"][name], oid, "{name} is in the manifest");
        }
        for name in [format!("one{round}.dat"), format!("two{round}.dat")] {
            assert_eq!(work.blob(&format!(":{name}")), pointer(&work.read(&name)), "{name} is staged");
            assert!(work.text(".gitattributes").contains(&name), "and has its line");
        }
    }
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-qm", "all"]).ok();
    work.is_clean();
}

#[test]
fn two_track_modified_at_once() {
    let world = World::ready();
    let work = world.at("work");
    for name in ["a.bin", "b.bin"] {
        work.write(name, "old");
    }
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-qm", "old"]).ok();
    for round in 0..ROUNDS {
        for name in ["a.bin", "b.bin"] {
            work.write(name, format!("{name} {round}"));
        }
        let run = || work.s3lfs(&["track-modified"]).ok();
        both(run, run);
        for name in ["a.bin", "b.bin"] {
            assert_eq!(work.manifest()["files"][name], oid(&work.read(name)));
            assert_eq!(work.blob(&format!(":{name}")), pointer(&work.read(name)));
        }
    }
    work.git(&["commit", "-qm", "new"]).ok();
    work.is_clean();
}

#[test]
fn status_and_prune_beside_checkouts() {
    let world = World::ready();
    let work = world.at("work");
    for branch in ["one", "two"] {
        work.git(&["switch", "-qc", branch]).ok();
        for n in 0..4 {
            work.write(&format!("{n}.bin"), if n % 2 == 0 { large(branch.len() + n) } else { branch.into() });
        }
        work.write("same.bin", branch);
        work.git(&["add", "."]).ok();
        work.git(&["commit", "-qm", branch]).ok();
    }
    work.git(&["push", "-q", "origin", "one", "two"]).ok();
    for round in 0..ROUNDS {
        let branch = if round % 2 == 0 { "one" } else { "two" };
        let beside = || {
            // Git's own commands refuse each other while one of them writes the index, and status may.
            work.git(&["--no-optional-locks", "status", "--porcelain"]).ok();
            let pruned = work.s3lfs(&["prune"]);
            assert!(pruned.code == 0 || pruned.stderr.contains("uses the cache right now"), "{pruned:#?}");
        };
        both(|| work.git(&["switch", "-q", branch]).ok(), beside);
        assert_eq!(work.text("same.bin"), branch);
        assert_eq!(work.text("1.bin"), branch, "kept, or fetched again");
        work.is_clean();
        work.s3lfs(&["fsck"]).ok();
    }
}

#[test]
fn git_setup_twice_at_once_is_git_setup_once() {
    for own in [None, Some("#!/bin/sh\n# mine\nexit 0\n")] {
        let once = initialised();
        let twice = initialised();
        for world in [&once, &twice] {
            let work = world.at("work");
            work.write(".gitattributes", "*.txt text # mine\n");
            if let Some(own) = own {
                work.script(".git/hooks/pre-push", own);
            }
        }
        let work = twice.at("work");
        once.at("work").s3lfs(&["git-setup", "--track", "*.bin"]).ok();
        let run = || work.s3lfs(&["git-setup", "--track", "*.bin"]).ok();
        both(run, run);
        // The stores lie elsewhere.
        let files = |world: &World| {
            let place = world.at("work");
            let root = world.path("").display().to_string();
            let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().replace(&root, "/");
            let name = |path: std::path::PathBuf| path.strip_prefix(&place.dir).unwrap().to_owned();
            let files = set_up_files(&place).into_iter();
            let mut files: Vec<_> = files.map(|(path, bytes)| (name(path), text(bytes))).collect();
            for (path, text) in &mut files {
                // Sections may come in another order.
                if path.ends_with("config") {
                    let mut lines: Vec<&str> = text.lines().collect();
                    lines.sort_unstable();
                    *text = lines.join("\n");
                }
            }
            files
        };
        assert_eq!(files(&twice), files(&once), "hooks, config and attributes have each line once");
    }
}
