//! `track-subtree`: a whole directory uploaded, tracked and staged.

use std::fs;

use serde_json::Value;

use crate::world::{World, oid, pointer};

/// Lines of `.gitattributes` that give files to us.
fn lines(text: &str) -> Vec<&str> {
    text.lines().filter(|line| line.contains("filter=s3lfs")).collect()
}

#[test]
fn a_directory_is_uploaded_staged_and_tracked_by_one_line() {
    let world = World::ready();
    let work = world.at("work");
    for path in ["art/a", "art/b.bin", "art/deep/er/c d", "art/-x", "other/plain"] {
        work.write(path, path);
    }
    work.write("art/empty", "");
    work.write("art/.gitignore", "*.tmp\n");
    std::os::unix::fs::symlink("a", work.join("art/link")).unwrap();
    let ran = work.sub("art/deep").s3lfs(&["track-subtree", "..", "--json"]).ok();
    let json = ran.json("track-subtree");
    let paths: Vec<&str> = json["items"].as_array().unwrap().iter().map(|i| i["path"].as_str().unwrap()).collect();
    assert_eq!(paths, ["art/-x", "art/a", "art/b.bin", "art/deep/er/c d", "art/empty"]);
    for path in ["art/a", "art/b.bin", "art/deep/er/c d", "art/-x"] {
        assert_eq!(work.blob(&format!(":{path}")), pointer(path.as_bytes()), "{path} is staged as a pointer");
        assert!(world.object(path.as_bytes()).exists(), "{path} is in the store");
        assert_eq!(work.manifest()["files"][path], oid(path.as_bytes()).as_str(), "{path} is in the manifest");
    }
    assert_eq!(work.blob(":art/empty"), "", "empty stays empty");
    let attributes = work.text(".gitattributes");
    assert_eq!(
        lines(&attributes).iter().filter(|line| line.starts_with("art/** ")).count(),
        1,
        "one line: {attributes}"
    );
    assert_eq!(work.blob(":.gitattributes"), attributes, "staged too");
    let status = work.git(&["status", "--porcelain", "-uall"]).ok().stdout;
    assert!(status.contains("?? other/plain") && status.contains("?? art/.gitignore"), "the rest is Git's: {status}");
    assert!(status.contains("?? art/link"), "and so are symbolic links");

    work.git(&["commit", "-qm", "art"]).ok();
    work.write("art/later", "later");
    work.git(&["add", "art/later"]).ok();
    assert_eq!(work.blob(":art/later"), pointer(b"later"), "what comes later is tracked");
    work.s3lfs(&["track-subtree", "art"]).ok();
    assert_eq!(work.text(".gitattributes"), attributes, "a second time adds no line");
    assert!(world.object(b"later").exists(), "and uploads what is new");
}

#[test]
fn files_that_git_has_raw_become_pointers() {
    let world = World::ready();
    let work = world.at("work");
    work.commit("art/raw.dat", b"raw content");
    work.commit("art/gone.dat", b"gone");
    work.remove("art/gone.dat");
    work.s3lfs(&["track-subtree", "art"]).ok();
    assert_eq!(work.blob(":art/raw.dat"), pointer(b"raw content"));
    assert_eq!(work.text("art/raw.dat"), "raw content", "the worktree keeps its file");
    work.git(&["commit", "-qm", "converted"]).ok();
    assert_eq!(work.git(&["status", "--porcelain"]).ok().stdout, " D art/gone.dat\n", "a deleted file is left alone");
}

#[test]
fn ignored_files_become_manifest_only() {
    let world = World::ready();
    let work = world.at("work");
    work.commit(".gitignore", b"out/\n*.tmp\n");
    work.write("out/deep/x", "x");
    work.write("out/y", "y");
    let before = work.text(".gitattributes");
    work.s3lfs(&["track-subtree", "out"]).ok();
    assert_eq!(work.manifest()["manifest_only"], serde_json::json!(["out/deep/x", "out/y"]));
    assert!(world.object(b"x").exists() && world.object(b"y").exists());
    assert_eq!(work.text(".gitattributes"), before, "no line is needed for what Git never sees");
    assert_eq!(work.git(&["ls-files", "out"]).ok().stdout, "", "and nothing is staged");
    work.write("mixed/a.tmp", "ignored");
    work.write("mixed/b", "plain");
    work.s3lfs(&["track-subtree", "mixed"]).ok().says(&["1 file", "ignores"]);
    assert_eq!(work.blob(":mixed/b"), pointer(b"plain"));
    let only: Vec<Value> = work.manifest()["manifest_only"].as_array().unwrap().clone();
    assert!(only.contains(&"mixed/a.tmp".into()), "{only:?}");
    work.git(&["commit", "-qm", "both kinds"]).ok();
    work.is_clean();
}

#[test]
fn what_another_attributes_file_keeps_out_is_left_to_git() {
    let world = World::ready();
    let work = world.at("work");
    work.write("art/.gitattributes", "*.txt -filter\n");
    work.write("art/readme.txt", "text");
    work.write("art/a", "a");
    work.s3lfs(&["track-subtree", "art"]).ok().says(&["1 file left to Git"]);
    assert_eq!(work.git(&["ls-files", "art"]).ok().stdout, "art/a\n");
    assert!(!world.object(b"text").exists(), "and not uploaded");
}

#[test]
fn without_the_store_nothing_is_staged_or_left_behind() {
    let world = World::ready();
    let work = world.at("work");
    work.write("art/a", "a");
    let before = (work.index(), work.text(".gitattributes"), work.manifest());
    world.unplug();
    work.s3lfs(&["track-subtree", "art"]).fails(1).says(&["store"]);
    assert_eq!((work.index(), work.text(".gitattributes"), work.manifest()), before);
    world.plug();
    work.s3lfs(&["track-subtree", "art"]).ok();
    assert_eq!(work.blob(":art/a"), pointer(b"a"), "the same command then completes");
}

#[test]
fn bad_directories_are_refused() {
    let world = World::with_a();
    let work = world.at("work");
    fs::create_dir(work.join("empty")).unwrap();
    for (dir, says) in [
        ("nowhere", "nowhere"),
        ("a.bin", "where one is wanted"),
        ("empty", "no file"),
        ("..", "outside"),
        (".", "whole worktree"),
        (".git", ".git"),
    ] {
        work.s3lfs(&["track-subtree", dir]).fails(1).says(&[says]);
        work.is_clean();
    }
}

#[test]
fn a_directory_that_is_not_there_is_said_to_be_so() {
    let world = World::ready();
    let work = world.at("work");
    work.s3lfs(&["track-subtree", "nope"]).fails(1).says(&["there is no directory nope"]).never_says(&["os error"]);
    work.sub("deep").s3lfs(&["track-subtree", "no/pe"]).fails(1).says(&["there is no directory deep/no/pe"]);
}
