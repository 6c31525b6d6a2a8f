//! `prune`: cached content that the store has and nothing here needs goes, and nothing else.

use std::fs;
use std::process::Stdio;

use crate::world::{Place, World, oid};

fn path(place: &Place<'_>, content: &[u8]) -> std::path::PathBuf {
    let oid = oid(content);
    place.join(".git/s3lfs/objects").join(&oid[..2]).join(oid)
}

fn is_cached(place: &Place<'_>, content: &[u8]) -> bool {
    path(place, content).exists()
}

/// `a.bin` in three versions, pushed; only `third` is in the index.
fn versions() -> World {
    let world = World::ready();
    let work = world.at("work");
    for content in ["first", "second", "third"] {
        work.commit("a.bin", content.as_bytes());
    }
    work.git(&["push", "-q"]).ok();
    world
}

#[test]
fn what_only_published_commits_name_is_dropped() {
    let world = versions();
    let work = world.at("work");
    let json = work.sub("deep").s3lfs(&["prune", "--dry-run", "--json"]).ok().json("prune");
    assert_eq!(json["items"].as_array().unwrap().len(), 2);
    assert!(is_cached(&work, b"first") && is_cached(&work, b"second"), "a dry run drops nothing");
    work.s3lfs(&["prune"]).ok().says(&["2 cached objects", "1 kept"]);
    assert!(!is_cached(&work, b"first") && !is_cached(&work, b"second"));
    assert!(is_cached(&work, b"third"), "the index names it");
    work.git(&["checkout", "-q", "HEAD~1"]).ok();
    assert_eq!(work.text("a.bin"), "second", "it comes back from the store");
    work.s3lfs(&["prune"]).ok();
    work.s3lfs(&["prune"]).ok().says(&["0 cached objects"]);
}

#[test]
fn what_is_not_in_the_store_is_kept_whoever_names_it() {
    let world = versions();
    let work = world.at("work");
    work.git(&["config", "s3lfs.uploadon", "push"]).ok();
    work.write("b.bin", "only here");
    work.git(&["add", "b.bin"]).ok();
    work.git(&["rm", "-qf", "--cached", "b.bin"]).ok();
    work.remove("b.bin");
    fs::remove_file(world.object(b"first")).unwrap();
    work.s3lfs(&["prune"]).ok().says(&["2 of them not in the store"]);
    assert!(is_cached(&work, b"only here") && is_cached(&work, b"first"), "the last copies");
    assert!(!is_cached(&work, b"second"));
}

#[test]
fn unpushed_commits_stashes_reflogs_and_other_worktrees_keep_theirs() {
    let world = versions();
    let work = world.at("work");
    work.git(&["switch", "-qc", "side", "HEAD~2"]).ok();
    work.commit("side.bin", b"side");
    work.git(&["switch", "-q", "main"]).ok();
    work.write("a.bin", "stashed");
    work.git(&["stash", "-q"]).ok();
    work.commit("gone.bin", b"dropped commit");
    work.git(&["reset", "-q", "--hard", "HEAD~1"]).ok();
    work.git(&["worktree", "add", "-q", "--detach", "../other", "HEAD~1"]).ok();
    let other = world.at("other");
    other.write("w.bin", "staged elsewhere");
    other.git(&["add", "w.bin"]).ok();
    other.git(&["commit", "-qm", "w"]).ok();
    other.git(&["reset", "-q", "--soft", "HEAD~1"]).ok();
    work.s3lfs(&["prune"]).ok();
    for kept in ["side", "stashed", "dropped commit", "staged elsewhere", "third", "second"] {
        assert!(is_cached(&work, kept.as_bytes()), "{kept} is needed here");
    }
    assert!(
        is_cached(&work, b"first"),
        "the unpushed commit on 'side' has it in its tree, although it is published too"
    );
    work.git(&["branch", "-qD", "side"]).ok();
    work.git(&["push", "-q", "origin", "HEAD~2:refs/heads/old"]).ok();
    work.git(&["worktree", "remove", "--force", "../other"]).ok();
    work.git(&["stash", "drop", "-q"]).ok();
    work.git(&["reflog", "expire", "--expire=now", "--all"]).ok();
    work.git(&["update-ref", "-d", "ORIG_HEAD"]).ok();
    work.s3lfs(&["prune"]).ok();
    for gone in ["side", "dropped commit", "staged elsewhere", "first", "second"] {
        assert!(!is_cached(&work, gone.as_bytes()), "nothing here needs {gone}, and the store has it");
    }
    assert!(is_cached(&work, b"third") && is_cached(&work, b"stashed"), "what was never uploaded stays");
}

#[test]
fn manifest_only_content_is_kept_as_long_as_the_manifest_names_it() {
    let world = versions();
    let work = world.at("work");
    work.commit(".gitignore", b"out/\n");
    work.write("out/x", "built");
    work.s3lfs(&["upload", "out/x"]).ok();
    work.git(&["commit", "-qm", "out"]).ok();
    work.git(&["push", "-q"]).ok();
    work.s3lfs(&["prune"]).ok();
    assert!(is_cached(&work, b"built"));
    work.write("out/x", "built again");
    work.s3lfs(&["track-modified"]).ok();
    work.git(&["commit", "-qm", "again"]).ok();
    work.git(&["push", "-q"]).ok();
    work.git(&["reflog", "expire", "--expire=now", "--all"]).ok();
    work.s3lfs(&["prune"]).ok();
    assert!(is_cached(&work, b"built again") && !is_cached(&work, b"built"));
}

#[test]
fn without_the_store_or_a_whole_history_nothing_is_dropped() {
    let world = versions();
    let work = world.at("work");
    world.unplug();
    work.s3lfs(&["prune"]).fails(1);
    world.plug();
    work.commit("new.bin", b"new");
    let blob = work.git(&["rev-parse", "HEAD:new.bin"]).ok().stdout.trim().to_owned();
    fs::remove_file(work.join(&format!(".git/objects/{}/{}", &blob[..2], &blob[2..]))).unwrap();
    work.s3lfs(&["prune"]).fails(1).says(&["nothing was dropped"]);
    assert!(is_cached(&work, b"first") && is_cached(&work, b"second"));
}

#[test]
fn a_pointer_of_a_newer_version_stops_it() {
    let world = versions();
    let work = world.at("work");
    work.write("later.txt", "version s3lfs/2\nwho knows\n");
    work.git(&["add", "later.txt"]).ok();
    work.s3lfs(&["prune"]).fails(1).says(&["later version", "update s3lfs"]);
    assert!(is_cached(&work, b"first"));
}

#[test]
fn it_does_not_drop_under_a_running_filter() {
    let world = versions();
    let work = world.at("work");
    // A filter process as Git holds it while it checks out.
    let mut filter = work
        .command("s3lfs")
        .arg("filter-process")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    use std::io::{Read, Write};
    let stdin = filter.stdin.as_mut().unwrap();
    stdin.write_all(b"0016git-filter-client\n000eversion=2\n0000").unwrap();
    stdin.flush().unwrap();
    // Its welcome: from now on it is at work.
    filter.stdout.as_mut().unwrap().read_exact(&mut [0; 4]).unwrap();
    work.s3lfs(&["prune"]).fails(1).says(&["right now", "nothing was dropped"]);
    assert!(is_cached(&work, b"first"));
    work.s3lfs(&["prune", "--dry-run"]).ok();
    drop(filter.stdin.take());
    filter.wait().unwrap();
    work.s3lfs(&["prune"]).ok();
    assert!(!is_cached(&work, b"first"));
}

#[test]
fn damaged_copies_go_when_the_store_has_a_good_one() {
    let world = versions();
    let work = world.at("work");
    for content in [&b"first"[..], b"second"] {
        fs::write(path(&work, content), b"damaged").unwrap();
    }
    fs::remove_file(world.object(b"second")).unwrap();
    work.s3lfs(&["fsck", "--fix"]);
    let _ = fs::remove_file(path(&work, b"first"));
    work.s3lfs(&["prune"]).ok();
    let bad = |content: &[u8]| work.join(&format!(".git/s3lfs/bad/{}", oid(content))).exists();
    assert!(!bad(b"first"), "there is a good one");
    assert!(bad(b"second"), "what may be left of the last copy stays");
}

#[test]
fn an_empty_cache_and_a_repository_without_commits_are_no_matter() {
    let world = World::new();
    let work = world.at("work");
    work.s3lfs(&["prune"]).fails(1).says(&["no store"]);
    work.s3lfs(&["init", &world.url("store"), "proj"]).ok();
    work.s3lfs(&["prune"]).ok().says(&["0 cached objects"]);
}

#[test]
fn what_the_store_has_only_damaged_is_kept_when_it_is_read() {
    let world = World::with_a();
    let work = world.at("work");
    work.commit("gone.bin", &[7; 5000]);
    work.git(&["rm", "-q", "gone.bin"]).ok();
    work.git(&["commit", "-qm", "gone"]).ok();
    work.git(&["push", "-q"]).ok();
    let object = world.object(&[7; 5000]);
    let bytes = fs::read(&object).unwrap();
    fs::write(&object, &bytes[..bytes.len() / 2]).unwrap();
    work.s3lfs(&["prune", "--verify"]).ok().says(&["kept", &oid(&[7; 5000])]);
    work.git(&["checkout", "-q", "HEAD~", "--", "gone.bin"]).ok();
    assert_eq!(work.read("gone.bin"), [7; 5000], "the only good copy is still here");
    fs::write(&object, &bytes).unwrap();
    work.git(&["rm", "-qf", "gone.bin"]).ok();
    work.s3lfs(&["prune", "--verify"]).ok().says(&["1 cached object"]);
}

/// So many that what their blobs hold is remembered: what the index names is the same.
#[test]
fn of_many_files_only_what_the_index_names_no_more_is_dropped() {
    let world = World::ready();
    let work = world.at("work");
    let name = |n: usize| format!("d/{n}.bin");
    for n in 0..1100 {
        work.write(&name(n), format!("first {n}"));
    }
    work.write("large.txt", vec![b'x'; 5000]);
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-qm", "first"]).ok();
    for n in 0..3 {
        work.write(&name(n), format!("second {n}"));
    }
    work.git(&["commit", "-qam", "second"]).ok();
    work.git(&["push", "-q"]).ok();
    for round in 0..2 {
        // Staged, and in no commit: the store has it, by a commit that was given up.
        work.write(&name(3), "staged");
        work.git(&["commit", "-qam", "given up"]).ok();
        work.git(&["reset", "-q", "--soft", "HEAD~1"]).ok();
        work.git(&["reflog", "expire", "--expire=now", "--expire-unreachable=now", "--all"]).ok();
        work.git(&["update-ref", "-d", "ORIG_HEAD"]).ok();
        work.s3lfs(&["prune"]).ok();
        assert!(is_cached(&work, b"staged"), "round {round}: the index names it");
        for n in [4, 500, 1099] {
            assert!(is_cached(&work, format!("first {n}").as_bytes()), "round {round}: the index names it");
        }
        for n in 0..3 {
            assert!(is_cached(&work, format!("second {n}").as_bytes()), "round {round}: the index names it");
            assert!(!is_cached(&work, format!("first {n}").as_bytes()), "round {round}: only history names it");
        }
        work.git(&["reset", "-q", "--hard"]).ok();
    }
}

/// Whoever overwrote it in the store did not ask us; what is here is the last good copy.
#[test]
fn an_object_that_is_too_short_to_be_the_content_confirms_nothing() {
    let world = World::ready();
    let work = world.at("work");
    let content: Vec<u8> = (0..400_000_u32).map(|n| (n % 251) as u8).collect();
    work.commit("a.bin", &content);
    work.commit("a.bin", b"second");
    work.git(&["push", "-q"]).ok();
    fs::write(world.object(&content), b"none").unwrap();
    work.s3lfs(&["prune"]).ok().says(&["0 cached objects", "not in the store"]);
    assert!(is_cached(&work, &content), "it is kept");
    work.git(&["checkout", "-q", "HEAD~1"]).ok();
    assert!(work.read("a.bin") == content, "and can be checked out");
}
