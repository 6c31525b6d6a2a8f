//! `upload`: nothing is staged that is not in the store.

use std::fs;

use crate::world::{MANIFEST, World, oid, pointer, worktree_files};

#[test]
fn a_new_file_is_uploaded_tracked_and_staged() {
    let world = World::ready();
    let work = world.at("work");
    let sub = work.sub("art dir");
    sub.write("hero [1].psd", "hero");
    let ran = sub.s3lfs(&["upload", "hero [1].psd"]).ok();
    assert_eq!(ran.stdout, "", "nothing was asked for on stdout");
    assert!(world.object(b"hero").exists(), "it is in the store");
    assert_eq!(work.blob(":art dir/hero [1].psd"), pointer(b"hero"), "its pointer is staged");
    assert_eq!(work.manifest()["files"]["art dir/hero [1].psd"], oid(b"hero"));
    assert_eq!(work.blob(&format!(":{MANIFEST}")), work.text(MANIFEST), "and so is the manifest");
    let staged = work.git(&["diff", "--cached", "--name-only", "-z"]).ok().stdout;
    assert_eq!(staged, format!(".gitattributes\0{MANIFEST}\0art dir/hero [1].psd\0"));
    let other = work.git(&["check-attr", "filter", "--", "art dir/hero 1.psd"]).ok().stdout;
    assert!(other.contains("unspecified"), "one file's line covers that file only, whatever its name: {other}");
    assert_eq!(sub.read("hero [1].psd"), b"hero", "the file itself stays");
    work.git(&["commit", "-qm", "hero"]).ok();
    work.is_clean();
    work.git(&["push", "-q"]).ok();
    let other = world.cloned("other");
    assert_eq!(other.read("art dir/hero [1].psd"), b"hero", "whoever clones has it");
}

#[test]
fn the_first_upload_stages_all_that_a_commit_needs() {
    let world = World::new();
    let work = world.at("work");
    work.s3lfs(&["init", &world.url("store"), "proj"]).ok();
    work.s3lfs(&["git-setup", "--track", "*.bin"]).ok();
    work.write("a.bin", "a");
    work.s3lfs(&["upload", "a.bin"]).ok();
    work.git(&["commit", "-qm", "first"]).ok();
    let tree = work.git(&["ls-tree", "-r", "--name-only", "HEAD"]).ok().stdout;
    assert_eq!(tree, format!(".gitattributes\n{MANIFEST}\na.bin\n"), "without its attributes a pointer means nothing");
    work.is_clean();
}

#[test]
fn a_tracked_file_that_changed_and_several_at_once() {
    let world = World::with_a();
    let work = world.at("work");
    work.write("a.bin", "second a");
    work.write("b.bin", "b");
    work.write("deep/c.bin", "b");
    let attributes = work.read(".gitattributes");
    let ran = work.sub("deep").s3lfs(&["upload", "--json", "../a.bin", "../b.bin", "c.bin"]).ok();
    let json = ran.json("upload");
    let items = json["items"].as_array().unwrap();
    let paths: Vec<_> = items.iter().map(|item| item["path"].as_str().unwrap()).collect();
    assert_eq!(paths, ["a.bin", "b.bin", "deep/c.bin"], "paths are from the top");
    assert_eq!((&items[1]["oid"], &items[1]["size"]), (&oid(b"b").into(), &1.into()));
    assert_eq!(work.read(".gitattributes"), attributes, "a pattern covers them already");
    for (path, content) in [("a.bin", "second a"), ("b.bin", "b"), ("deep/c.bin", "b")] {
        assert_eq!(work.blob(&format!(":{path}")), pointer(content.as_bytes()));
        assert_eq!(work.manifest()["files"][path], oid(content.as_bytes()));
    }
    let index = work.index();
    work.s3lfs(&["upload", "a.bin"]).ok();
    assert_eq!(work.index(), index, "again: nothing changes");
}

#[test]
fn a_file_that_git_has_raw_becomes_a_pointer() {
    let world = World::ready();
    let work = world.at("work");
    work.commit("raw.dat", b"raw");
    work.s3lfs(&["upload", "raw.dat"]).ok();
    assert_eq!(work.blob(":raw.dat"), pointer(b"raw"), "although the file itself did not change");
    work.git(&["commit", "-qm", "converted"]).ok();
    work.is_clean();
}

#[test]
fn a_file_that_git_ignores_becomes_manifest_only() {
    let world = World::ready();
    let work = world.at("work");
    work.commit(".gitignore", b"build/\n");
    work.write("build/out.dat", "built");
    work.sub("build").s3lfs(&["upload", "out.dat"]).ok().says(&["manifest only"]);
    assert_eq!(work.git(&["ls-files", "build"]).stdout, "", "it is never in Git");
    let manifest = work.manifest();
    assert_eq!(manifest["manifest_only"], serde_json::json!(["build/out.dat"]));
    assert_eq!(manifest["files"]["build/out.dat"], oid(b"built"));
    assert_eq!(work.blob(&format!(":{MANIFEST}")), work.text(MANIFEST), "the manifest is staged");
    assert!(!work.text(".gitattributes").contains("build"), "it needs no attribute");
    work.git(&["commit", "-qm", "out"]).ok();
    work.git(&["push", "-q"]).ok();
    assert_eq!(world.cloned("other").read("build/out.dat"), b"built", "and it is there in a clone");
}

#[test]
fn what_can_not_be_uploaded_is_an_error_and_stages_nothing() {
    let world = World::with_a();
    let work = world.at("work");
    work.write("good.bin", "good");
    work.write("dir/x.bin", "x");
    std::os::unix::fs::symlink("good.bin", work.join("link.bin")).unwrap();
    work.write("attributes/.gitattributes", "");
    let (index, files) = (work.index(), worktree_files(&work));
    for (bad, why) in [
        ("dir", "a directory"),
        ("missing.bin", "missing.bin"),
        ("link.bin", "no regular file"),
        (MANIFEST, "has to stay in Git itself"),
        (".gitattributes", "has to stay in Git itself"),
        ("attributes/.gitattributes", "has to stay in Git itself"),
        (".git/config", ".git"),
        ("../elsewhere", "outside this repository"),
        ("/etc/passwd", "outside this repository"),
        (".", "whole worktree"),
    ] {
        work.s3lfs(&["upload", bad]).fails(1).says(&[why]);
        assert_eq!(work.index(), index, "with {bad} nothing is staged");
        assert_eq!(worktree_files(&work), files, "and nothing is changed");
    }
}

#[test]
fn with_the_store_down_nothing_is_staged() {
    let world = World::with_a();
    let work = world.at("work");
    work.commit(".gitignore", b"ignored\n");
    work.write("a.bin", "changed");
    work.write("new.dat", "new");
    work.write("ignored", "ignored");
    let (index, files) = (work.index(), worktree_files(&work));
    world.unplug();
    for file in ["a.bin", "new.dat", "ignored"] {
        work.s3lfs(&["upload", file]).fails(1).says(&["store", "hint:"]);
        assert_eq!(work.index(), index, "{file} is not in the store, so it is not staged");
        assert_eq!(worktree_files(&work), files, "attributes and manifest are as they were");
    }
    assert!(!world.path("store").exists(), "a store that is not mounted is not made anew");
    world.plug();
    work.s3lfs(&["upload", "a.bin", "new.dat", "ignored"]).ok();
    assert!(world.object(b"new").exists(), "the same command again completes");
}

#[test]
fn a_refusal_leaves_no_attributes_file_where_there_was_none() {
    let world = World::ready();
    let work = world.at("work");
    work.sh("git rm -qf .gitattributes && git commit -qm none").ok();
    work.write("deep/.gitattributes", "*.bin -filter\n");
    work.write("deep/x.bin", "x");
    work.s3lfs(&["upload", "deep/x.bin"]).fails(1);
    assert!(!work.exists(".gitattributes"), "an empty one would be a file of s3lfs's making");
    world.unplug();
    work.write("art/a", "a");
    work.s3lfs(&["track-subtree", "art"]).fails(1);
    assert!(!work.exists(".gitattributes"), "track-subtree took its line back, and the file with it");
}

#[test]
fn an_attribute_that_another_file_takes_away_is_named() {
    let world = World::ready();
    let work = world.at("work");
    work.write("sub/.gitattributes", "*.dat -filter\n");
    work.write("sub/x.dat", "x");
    work.s3lfs(&["upload", "sub/x.dat"]).fails(1).says(&["sub/x.dat", "check-attr"]);
    assert_eq!(work.git(&["ls-files", "sub/x.dat"]).stdout, "", "raw content is not staged");
}

#[test]
fn an_empty_file_has_no_object_and_an_executable_keeps_its_bit() {
    let world = World::ready();
    let work = world.at("work");
    work.write("empty.bin", "");
    work.write("tool.bin", "tool");
    work.sh("chmod 755 tool.bin").ok();
    work.s3lfs(&["upload", "empty.bin", "tool.bin"]).ok();
    assert_eq!(work.blob(":empty.bin"), "", "empty content stays empty");
    assert!(!world.object(b"").exists(), "and has no object");
    assert!(work.index().contains("H 100755"), "the mode is Git's");
    work.git(&["commit", "-qm", "both"]).ok();
    work.is_clean();
    assert!(fs::metadata(world.object(b"tool")).is_ok());
}

#[test]
fn an_object_that_was_lost_is_brought_back_by_naming_its_file() {
    let world = World::with_a();
    fs::remove_file(world.object(b"content of a\n")).unwrap();
    world.at("work").s3lfs(&["upload", "a.bin"]).ok();
    assert!(world.object(b"content of a\n").exists(), "a record of an earlier upload is not believed here");
}

#[test]
fn of_several_files_one_that_fails_does_not_stop_the_others() {
    let world = World::ready();
    let work = world.at("work");
    work.write("good.bin", "good");
    work.s3lfs(&["upload", "missing.bin", "good.bin"]).fails(3).says(&["missing.bin", "1 file failed"]);
    assert!(world.object(b"good").exists() && work.blob(":good.bin") == pointer(b"good"), "the other one is done");
}

/// What is staged is what Git reads, and that is later than what was uploaded.
#[test]
fn a_file_that_changes_meanwhile_is_not_called_uploaded() {
    let world = World::with_a();
    let work = world.at("work");
    // Somebody writes to the files whenever Git is about to stage something.
    let git = work.sh("command -v git").ok().stdout;
    let line = "case \"$*\" in *--pathspec-from-file*|*update-index*--stdin*) for f in b.bin art/*; do echo more >>$f; done;; esac";
    work.script("bin/git", &format!("#!/bin/sh\n{line}\nexec {} \"$@\"\n", git.trim()));
    work.sub("art").write("c.bin", "c");
    work.write("b.bin", "b");
    let path = work.sh("echo \"$PATH\"").ok().stdout;
    let writing = work.env("PATH", format!("{}:{}", work.join("bin").display(), path.trim()));
    for (args, file) in [(&["upload", "b.bin"], "b.bin"), (&["track-subtree", "art"], "art/c.bin")] {
        let ran = writing.s3lfs(args);
        assert_ne!(ran.code, 0, "{ran:?}");
        let staged = work.blob(&format!(":{file}"));
        let oids: Vec<&str> =
            ran.stderr.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| w.len() == 64).collect();
        assert!(oids.iter().any(|oid| staged.contains(oid)), "it says what is staged: {ran:?}");
        let ran = ran.says(&[file, "changed meanwhile"]);
        assert!(!ran.stderr.contains(&format!("{file} (")), "and does not call it staged and uploaded: {ran:?}");
        let json = writing.s3lfs(&[args[0], args[1], "--json"]);
        assert_eq!(json.json(args[0])["errors"][0]["path"], file);
    }
    work.git(&["commit", "-qm", "files"]).ok();
    work.git(&["push", "-q"]).ok();
    work.s3lfs(&["verify"]).ok();
}

#[test]
fn a_file_with_a_conflict_is_not_uploaded_over_it() {
    let world = World::with_a();
    let work = world.at("work");
    work.git(&["switch", "-qc", "side"]).ok();
    work.commit("a.bin", b"theirs");
    work.git(&["switch", "-q", "main"]).ok();
    work.commit("a.bin", b"ours");
    work.git(&["merge", "-q", "side"]);
    work.write("a.bin", "both");
    work.s3lfs(&["upload", "a.bin"]).fails(1).says(&["a.bin has a conflict", "git add a.bin"]);
    assert!(!world.object(b"both").exists(), "nothing was sent");
    work.git(&["add", "a.bin"]).ok();
    work.s3lfs(&["upload", "a.bin"]).ok();
    assert!(world.object(b"both").exists());
}
