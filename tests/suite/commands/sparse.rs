//! `sparse-checkout`: the content of some directories only, now and through everything that Git does
//! later.

use std::fs;

use serde_json::json;

use crate::world::{MANIFEST, Place, World, oid, pointer};

/// `art/a.bin`, `art/deep/b.bin`, `docs/c.bin` and `top.bin` on the remote, by another clone.
fn four() -> World {
    let world = World::ready();
    let work = world.at("work");
    for path in ["art/a.bin", "art/deep/b.bin", "docs/c.bin", "top.bin"] {
        work.write(path, path);
    }
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-qm", "four"]).ok();
    work.git(&["push", "-q"]).ok();
    world
}

/// A plain clone, set up, in which nothing was fetched yet.
fn bare_of_content<'a>(world: &'a World, dir: &str) -> Place<'a> {
    world.at("").env("S3LFS_SKIP_SMUDGE", "1").git(&["clone", "-q", "remote.git", dir]).ok();
    let place = world.at(dir);
    place.s3lfs(&["git-setup"]).ok();
    place
}

fn is_pointer(place: &Place<'_>, path: &str) -> bool {
    place.text(path).starts_with("version s3lfs/1\n")
}

#[test]
fn only_the_files_of_the_set_are_fetched() {
    let world = four();
    let sparse = bare_of_content(&world, "sparse");
    let ran = sparse.sub("art").s3lfs(&["sparse-checkout", "deep", "--json"]).ok();
    let expected = json!([{ "path": "art/deep/b.bin", "oid": oid(b"art/deep/b.bin") }]);
    assert_eq!(ran.json("sparse-checkout")["items"], expected, "from a subdirectory, what was written");
    assert_eq!(sparse.text("art/deep/b.bin"), "art/deep/b.bin");
    for path in ["art/a.bin", "docs/c.bin", "top.bin"] {
        assert_eq!(sparse.text(path), pointer(path.as_bytes()), "{path} stays a pointer");
    }
    sparse.is_clean();
    assert_eq!(sparse.s3lfs(&["sparse-checkout", "--list"]).ok().stdout, "art/deep\n");
    sparse.s3lfs(&["sparse-checkout", "docs/", "art"]).ok();
    assert_eq!(sparse.s3lfs(&["sparse-checkout", "--list"]).ok().stdout, "art\ndocs\n", "a new set takes its place");
    let list = sparse.s3lfs(&["sparse-checkout", "--list", "--json"]).ok().json("sparse-checkout");
    assert_eq!(list["items"], json!([{ "path": "art" }, { "path": "docs" }]));
    assert_eq!((sparse.text("art/a.bin"), sparse.text("docs/c.bin")), ("art/a.bin".into(), "docs/c.bin".into()));
    assert!(is_pointer(&sparse, "top.bin"));

    sparse.s3lfs(&["sparse-checkout", "--disable"]).ok();
    assert_eq!(sparse.text("top.bin"), "top.bin", "without a set everything is fetched");
    assert_eq!(sparse.s3lfs(&["sparse-checkout", "--list"]).ok().says(&["no sparse set"]).stdout, "");
    sparse.is_clean();
}

#[test]
fn switch_pull_and_stash_leave_pointers_outside_the_set() {
    let world = four();
    let sparse = bare_of_content(&world, "sparse");
    sparse.s3lfs(&["sparse-checkout", "art"]).ok();

    let work = world.at("work");
    for path in ["art/a.bin", "docs/c.bin", "docs/new.bin"] {
        work.write(path, format!("second {path}"));
    }
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-qm", "second"]).ok();
    work.git(&["push", "-q"]).ok();
    sparse.git(&["pull", "-q"]).ok();
    assert_eq!(sparse.text("art/a.bin"), "second art/a.bin", "a pull fetches what is in the set");
    assert!(is_pointer(&sparse, "docs/c.bin") && is_pointer(&sparse, "docs/new.bin"), "and leaves the rest");
    sparse.is_clean();

    sparse.git(&["switch", "-q", "--detach", "HEAD~1"]).ok();
    assert_eq!((sparse.text("art/a.bin"), sparse.text("docs/c.bin")), ("art/a.bin".into(), pointer(b"docs/c.bin")));
    sparse.is_clean();
    sparse.git(&["switch", "-q", "main"]).ok();
    sparse.is_clean();

    sparse.write("art/a.bin", "mine");
    sparse.git(&["stash", "-q"]).ok();
    assert!(is_pointer(&sparse, "docs/c.bin"));
    sparse.is_clean();
    sparse.git(&["stash", "pop", "-q"]).ok();
    assert_eq!(sparse.text("art/a.bin"), "mine");
    assert!(is_pointer(&sparse, "docs/c.bin"), "a stash changes nothing outside the set");

    let sides = world.object(b"second docs/c.bin");
    fs::remove_file(sides).unwrap();
    sparse.git(&["checkout", "-q", "--force", "HEAD~1"]).ok();
    sparse.git(&["checkout", "-q", "main"]).ok();
    sparse.is_clean();
}

#[test]
fn what_is_cached_stays_a_pointer_outside_the_set_too() {
    let world = four();
    let work = world.at("work");
    work.commit("docs/c.bin", b"second");
    work.git(&["push", "-q"]).ok();
    work.s3lfs(&["sparse-checkout", "art"]).ok();
    assert_eq!(work.text("docs/c.bin"), "second", "content that is here stays: the set deletes nothing");
    work.is_clean();
    work.git(&["switch", "-q", "--detach", "HEAD~1"]).ok();
    assert!(is_pointer(&work, "docs/c.bin"), "although the cache has it");
    work.is_clean();
    work.s3lfs(&["download", "docs/c.bin"]).ok();
    assert_eq!(work.text("docs/c.bin"), "docs/c.bin", "asked for by name it comes");
    work.is_clean();
}

#[test]
fn own_work_outside_the_set_comes_back_from_a_stash_as_content() {
    let world = four();
    let work = world.at("work");
    work.s3lfs(&["sparse-checkout", "art"]).ok();
    work.write("docs/c.bin", "my own work, uploaded nowhere");
    work.git(&["stash", "-q"]).ok();
    assert!(is_pointer(&work, "docs/c.bin"), "HEAD's file is outside the set");
    work.git(&["stash", "pop", "-q"]).ok();
    assert_eq!(work.text("docs/c.bin"), "my own work, uploaded nowhere");
}

#[test]
fn gits_own_sparse_checkout_counts_as_well() {
    let world = four();
    let sparse = bare_of_content(&world, "sparse");
    sparse.env("S3LFS_SKIP_SMUDGE", "1").git(&["sparse-checkout", "set", "art/deep", "docs"]).ok();
    fs::remove_file(world.object(b"docs/c.bin")).unwrap();
    let ran = sparse.s3lfs(&["sparse-checkout", "art", "--json"]).ok().json("sparse-checkout");
    let paths: Vec<&str> = ran["items"].as_array().unwrap().iter().map(|i| i["path"].as_str().unwrap()).collect();
    assert_eq!(paths, ["art/a.bin", "art/deep/b.bin"], "cone mode keeps the files of parent directories");
    assert!(!is_pointer(&sparse, "art/deep/b.bin") && is_pointer(&sparse, "docs/c.bin"));
    sparse.is_clean();
    sparse.git(&["sparse-checkout", "set", "docs"]).ok();
    sparse.drop_cache();
    fs::remove_file(world.object(b"art/deep/b.bin")).unwrap();
    sparse.s3lfs(&["sparse-checkout", "art"]).ok();
    assert!(!sparse.exists("art/deep/b.bin"), "what Git leaves out is not fetched, so that nothing can fail");
    sparse.is_clean();
}

#[test]
fn each_worktree_has_its_own_set() {
    let world = four();
    let sparse = bare_of_content(&world, "sparse");
    sparse.s3lfs(&["sparse-checkout", "art"]).ok();
    sparse.git(&["worktree", "add", "-q", "../other", "HEAD"]).ok();
    let other = world.at("other");
    assert_eq!(other.text("docs/c.bin"), "docs/c.bin", "a new worktree has no set");
    other.s3lfs(&["sparse-checkout", "docs"]).ok();
    assert_eq!(sparse.s3lfs(&["sparse-checkout", "--list"]).ok().stdout, "art\n");
    assert_eq!(other.s3lfs(&["sparse-checkout", "--list"]).ok().stdout, "docs\n");
}

#[test]
fn manifest_only_files_are_fetched_by_the_set_and_local_changes_are_kept() {
    let world = four();
    let work = world.at("work");
    work.commit(".gitignore", b"out/\n");
    work.write("docs/out/x", "x");
    work.write("art/out/y", "y");
    work.s3lfs(&["upload", "docs/out/x", "art/out/y"]).ok();
    work.git(&["commit", "-qm", "out"]).ok();
    work.git(&["push", "-q"]).ok();
    let sparse = bare_of_content(&world, "sparse");
    sparse.write("docs/c.bin", "mine");
    sparse.s3lfs(&["sparse-checkout", "docs"]).fails(3).says(&["docs/c.bin", "local changes"]);
    assert_eq!((sparse.text("docs/c.bin"), sparse.text("docs/out/x")), ("mine".into(), "x".into()));
    assert!(!sparse.exists("art/out/y"), "the other manifest-only file is not fetched");
    sparse.s3lfs(&["sparse-checkout", "--force", "docs"]).ok();
    assert_eq!(sparse.text("docs/c.bin"), "docs/c.bin");
    sparse.is_clean();
}

#[test]
fn one_object_that_is_missing_is_exit_3_and_the_set_is_remembered() {
    let world = four();
    fs::remove_file(world.object(b"art/a.bin")).unwrap();
    let sparse = bare_of_content(&world, "sparse");
    sparse.s3lfs(&["sparse-checkout", "art"]).fails(3).says(&["art/a.bin", &oid(b"art/a.bin")]);
    assert_eq!(sparse.text("art/deep/b.bin"), "art/deep/b.bin", "the others are fetched");
    assert_eq!(sparse.s3lfs(&["sparse-checkout", "--list"]).ok().stdout, "art\n", "so that it can go on");
    sparse.s3lfs(&["sparse-checkout", "--disable"]).fails(3).says(&["art/a.bin"]);
    assert_eq!(sparse.text("top.bin"), "top.bin");
}

#[test]
fn deferred_files_outside_a_later_set_are_not_filled() {
    let world = four();
    let sparse = bare_of_content(&world, "sparse");
    sparse.git(&["config", "s3lfs.smudgelimit", "5"]).ok();
    // Without its hook, the checkout leaves them deferred.
    sparse.git(&["-c", "core.hooksPath=/dev/null", "checkout", "-q", "--orphan", "none"]).ok();
    sparse.git(&["rm", "-rfq", "."]).ok();
    sparse.git(&["-c", "core.hooksPath=/dev/null", "checkout", "-q", "main"]).ok();
    assert!(is_pointer(&sparse, "docs/c.bin") && is_pointer(&sparse, "art/a.bin"), "all are above the limit");
    sparse.write(".git/s3lfs/sparse", b"art\0");
    sparse.git(&["checkout", "-q", "main"]).ok();
    assert!(!is_pointer(&sparse, "art/a.bin"), "the hook fills the set");
    assert!(is_pointer(&sparse, "docs/c.bin"), "and nothing else");
    sparse.is_clean();
}

#[test]
fn status_counts_what_the_set_leaves_out() {
    let world = four();
    let sparse = bare_of_content(&world, "sparse");
    sparse.s3lfs(&["sparse-checkout", "art"]).ok();
    let text = sparse.s3lfs(&["status"]).ok().stdout;
    assert!(text.contains("2 files outside the sparse set"), "{text}");
    assert!(!text.contains("docs/c.bin") && text.contains("nothing to do"), "they are as they should be: {text}");
    let json = sparse.s3lfs(&["status", "--json"]).ok().json("status");
    let top = json["items"].as_array().unwrap().iter().find(|item| item["path"] == "top.bin").unwrap();
    assert_eq!(top["states"], json!(["pointer only"]), "a program is told the fact");
}

#[test]
fn from_a_subdirectory_the_same_set_is_listed_and_forgotten() {
    let world = four();
    let sparse = bare_of_content(&world, "sparse");
    let (deep, docs) = (sparse.sub("art/deep"), sparse.sub("docs"));
    docs.s3lfs(&["sparse-checkout", "--list"]).ok().says(&["There is no sparse set"]);
    deep.s3lfs(&["sparse-checkout", "../../docs"]).ok();
    for place in [&sparse, &deep, &docs] {
        assert_eq!(place.s3lfs(&["sparse-checkout", "--list"]).ok().stdout, "docs\n", "paths are from the top");
    }
    let listed = deep.s3lfs(&["sparse-checkout", "--list", "--json"]).ok().json("sparse-checkout");
    assert_eq!(listed["items"], json!([{ "path": "docs" }]));
    assert!(is_pointer(&sparse, "top.bin") && !is_pointer(&sparse, "docs/c.bin"));
    deep.s3lfs(&["sparse-checkout", "--disable"]).ok();
    assert!(!is_pointer(&sparse, "top.bin"), "everything is fetched, not what lies beneath that directory alone");
    assert_eq!(sparse.s3lfs(&["sparse-checkout", "--list"]).ok().stdout, "");
    sparse.is_clean();
}

#[test]
fn bad_directories_are_refused_and_change_nothing() {
    let world = four();
    let sparse = bare_of_content(&world, "sparse");
    sparse.s3lfs(&["sparse-checkout", "docs"]).ok();
    for (dir, says) in [
        ("nowhere", "no tracked file"),
        ("art/a.bin", "where a directory is wanted"),
        ("../outside", "outside"),
        (".", "whole worktree"),
        (".git", ".git"),
    ] {
        sparse.s3lfs(&["sparse-checkout", "art", dir]).fails(1).says(&[dir, says]);
        assert_eq!(sparse.s3lfs(&["sparse-checkout", "--list"]).ok().stdout, "docs\n", "{dir}: the set is as it was");
    }
    assert_eq!(sparse.s3lfs(&["sparse-checkout"]).code, 2, "nothing to do is a matter of usage");
    assert_eq!(sparse.s3lfs(&["sparse-checkout", "--list", "art"]).code, 2);
    assert_eq!(sparse.s3lfs(&["sparse-checkout", "--disable", "art"]).code, 2);
}

#[test]
fn a_manifest_that_git_leaves_out_of_the_worktree_stays_out_and_follows() {
    for patterns in [&["/*", "!/.s3_manifest.json"][..], &["/d/"]] {
        let world = World::with_a();
        let work = world.at("work");
        work.commit("d/x.bin", b"x");
        work.git(&["sparse-checkout", "set", "--no-cone"]).ok();
        // Git goes by times, and leaves in place what it is not sure of.
        work.git(&["update-index", "--really-refresh"]).ok();
        work.git(&[&["sparse-checkout", "set", "--no-cone"], patterns].concat()).ok();
        work.sh("rm -f .s3_manifest.json; git update-index --skip-worktree .s3_manifest.json").ok();
        let left_out = |when: &str| {
            assert!(!work.exists(MANIFEST), "{when}: it stays out");
            let tag = work.git(&["ls-files", "-t", MANIFEST]).ok().stdout;
            assert_eq!(tag, format!("S {MANIFEST}\n"), "{when}: and marked as left out");
        };
        let named = |path: &str| {
            let manifest: serde_json::Value = serde_json::from_str(&work.blob(&format!(":{MANIFEST}"))).unwrap();
            manifest["files"][path].clone()
        };
        work.commit("d/new.bin", b"new");
        left_out("after a commit");
        assert_eq!(named("d/new.bin"), oid(b"new"), "and has the new file");
        work.is_clean();
        work.write("d/more.bin", "more");
        work.s3lfs(&["upload", "d/more.bin"]).ok();
        work.git(&["commit", "-qm", "more"]).ok();
        work.write("d/more.bin", "changed");
        work.git(&["commit", "-qam", "changed"]).ok();
        work.s3lfs(&["track-modified"]).ok();
        left_out("after upload, commit -a and track-modified");
        assert_eq!(named("d/more.bin"), oid(b"changed"));
        work.is_clean();
        work.s3lfs(&["init", &world.url("store"), "proj", "--join"]).ok();
        left_out("after init");
        work.is_clean();
        work.s3lfs(&["init", "--force", &world.url("elsewhere"), "proj"]).ok();
        left_out("after init --force");
        work.is_clean_but(&[&format!("M  {MANIFEST}")]);
    }
}

#[test]
fn attributes_that_git_leaves_out_of_the_worktree_are_not_written_anew() {
    let world = World::with_a();
    let work = world.at("work");
    work.sh("rm .gitattributes && git update-index --skip-worktree .gitattributes").ok();
    work.s3lfs(&["track", "*.bin"]).ok().says(&["Already tracked"]);
    work.s3lfs(&["track", "*.psd"]).fails(1).says(&["git sparse-checkout add /.gitattributes"]);
    assert!(!work.exists(".gitattributes"), "nothing is written beside the lines that are left out");
    work.is_clean();
}
