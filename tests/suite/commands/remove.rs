//! `remove` and `remove-subtree`: no longer tracked, still on disk.

use std::fs;

use serde_json::json;

use crate::world::{World, oid, pointer};

/// `a.dat` and `art/b.dat` uploaded by name, `art/c.bin` by pattern, all committed.
fn three() -> World {
    let world = World::ready();
    let work = world.at("work");
    for path in ["a.dat", "art/b.dat", "art/c.bin"] {
        work.write(path, path);
    }
    work.s3lfs(&["upload", "a.dat", "art/b.dat", "art/c.bin"]).ok();
    work.git(&["commit", "-qm", "three"]).ok();
    work.git(&["push", "-q"]).ok();
    world
}

#[test]
fn a_removed_file_is_out_of_index_manifest_and_attributes_and_on_disk() {
    let world = three();
    let work = world.at("work");
    assert!(work.text(".gitattributes").contains("/a.dat "), "upload wrote a line for it");
    let json = work.sub("art").s3lfs(&["remove", "../a.dat", "--json"]).ok().json("remove");
    let expected = json!([{ "path": "a.dat", "oid": oid(b"a.dat"), "still_covered": false }]);
    assert_eq!(json["items"], expected);
    assert_eq!(work.text("a.dat"), "a.dat", "its content stays");
    assert!(!work.text(".gitattributes").contains("a.dat"), "its own line is gone");
    assert!(work.text(".gitattributes").contains("/art/b.dat "), "the other's is not");
    assert!(work.manifest()["files"].get("a.dat").is_none());
    let staged = work.git(&["status", "--porcelain"]).ok().stdout;
    assert_eq!(staged, "M  .gitattributes\nM  .s3_manifest.json\nD  a.dat\n?? a.dat\n", "all of it is staged");
    assert!(world.object(b"a.dat").exists(), "the store keeps its object");
    work.git(&["commit", "-qm", "removed"]).ok();
    work.git(&["add", "a.dat"]).ok();
    assert_eq!(work.blob(":a.dat"), "a.dat", "now it is an ordinary file");
}

#[test]
fn a_wider_pattern_is_said() {
    let world = three();
    let work = world.at("work");
    work.s3lfs(&["remove", "art/c.bin"]).ok().says(&["art/c.bin", "wider pattern", "track it again"]);
    assert!(work.text(".gitattributes").contains("*.bin "), "the pattern is the team's");
    work.s3lfs(&["remove", "a.dat"]).ok().never_says(&["wider pattern"]);
}

#[test]
fn a_file_that_is_only_a_pointer_is_fetched_first() {
    let world = three();
    let work = world.at("work");
    work.leave_pointer("a.dat");
    world.unplug();
    work.s3lfs(&["remove", "a.dat"]).fails(1);
    assert_eq!(work.text("a.dat"), pointer(b"a.dat"));
    work.is_clean();
    world.plug();
    work.s3lfs(&["remove", "a.dat"]).ok();
    assert_eq!(work.text("a.dat"), "a.dat", "the user keeps the file, not its name");

    work.leave_pointer("art/b.dat");
    work.leave_pointer("art/c.bin");
    fs::remove_file(world.object(b"art/b.dat")).unwrap();
    work.s3lfs(&["remove-subtree", "art"]).fails(3).says(&["art/b.dat"]);
    assert_eq!(work.git(&["ls-files", "art"]).ok().stdout, "art/b.dat\n", "what can't be had stays tracked");
    assert!(work.text(".gitattributes").contains("/art/b.dat "), "with its line");
    assert_eq!(work.text("art/c.bin"), "art/c.bin");
}

#[test]
fn a_directory_is_removed_with_its_lines() {
    let world = three();
    let work = world.at("work");
    work.write("dir/x", "x");
    work.write("dir/deep/y", "y");
    work.s3lfs(&["track-subtree", "dir"]).ok();
    work.write("dir/.gitignore", "z\n");
    work.git(&["add", "dir/.gitignore"]).ok();
    work.write("dir/z", "z");
    work.s3lfs(&["upload", "dir/z"]).ok();
    work.git(&["commit", "-qm", "dir"]).ok();
    let ran = work.sub("dir/deep").s3lfs(&["remove-subtree", "..", "--json"]).ok();
    let json = ran.json("remove-subtree");
    let paths: Vec<&str> = json["items"].as_array().unwrap().iter().map(|i| i["path"].as_str().unwrap()).collect();
    assert_eq!(paths, ["dir/deep/y", "dir/x", "dir/z"], "the manifest-only file too");
    assert_eq!(work.git(&["ls-files", "dir"]).ok().stdout, "dir/.gitignore\n", "Git's own files are not ours");
    assert!(!work.text(".gitattributes").contains("dir/**"));
    let files = work.manifest()["files"].as_object().unwrap().clone();
    assert!(files.keys().all(|path| !path.starts_with("dir/")), "{files:?}");
    assert_eq!(work.manifest()["manifest_only"], json!([]));
    for (path, content) in [("dir/x", "x"), ("dir/deep/y", "y"), ("dir/z", "z")] {
        assert_eq!(work.text(path), content, "{path} stays on disk");
    }
    assert!(work.manifest()["files"].get("a.dat").is_some(), "other entries stay");
    work.git(&["commit", "-qm", "removed"]).ok();
    work.git(&["push", "-q"]).ok();
}

#[test]
fn many_files_go_before_the_first_commit_too() {
    let world = World::new();
    let work = world.at("work");
    work.s3lfs(&["init", &world.url("store"), "proj"]).ok();
    work.s3lfs(&["git-setup"]).ok();
    for i in 0..30 {
        work.write(&format!("dir/{i}"), format!("content {i}"));
    }
    work.s3lfs(&["track-subtree", "dir"]).ok();
    assert_eq!(work.manifest()["files"].as_object().unwrap().len(), 30);
    work.s3lfs(&["remove-subtree", "dir"]).ok();
    assert_eq!(work.manifest()["files"], json!({}), "no mistake is suspected where the user asked for it");
    assert_eq!(work.git(&["ls-files", "dir"]).ok().stdout, "");
}

#[test]
fn a_manifest_only_file_is_removed_from_the_manifest() {
    let world = three();
    let work = world.at("work");
    work.commit(".gitignore", b"out/\n");
    work.write("out/x", "x");
    work.write("out/y", "y");
    work.s3lfs(&["upload", "out/x", "out/y"]).ok();
    work.git(&["commit", "-qm", "out"]).ok();
    work.remove("out/y");
    work.s3lfs(&["remove", "out/x", "out/y"]).ok();
    assert_eq!(work.manifest()["manifest_only"], json!([]));
    assert!(work.manifest()["files"].get("out/x").is_none() && work.manifest()["files"].get("out/y").is_none());
    assert_eq!(work.text("out/x"), "x");
    assert!(!work.exists("out/y"), "what was not there is not fetched");
    work.s3lfs(&["track-modified"]).ok();
    assert!(work.manifest()["files"].get("out/x").is_none(), "it does not come back");
}

#[test]
fn staged_content_that_nothing_else_names_is_not_dropped() {
    let world = three();
    let work = world.at("work");
    work.write("a.dat", "staged");
    work.git(&["add", "a.dat"]).ok();
    work.write("a.dat", "changed again");
    let before = work.index();
    work.s3lfs(&["remove", "a.dat"]).fails(1).says(&["a.dat", "staged"]);
    assert_eq!(work.index(), before);
    work.git(&["add", "a.dat"]).ok();
    work.s3lfs(&["remove", "a.dat"]).ok();
    assert_eq!(work.text("a.dat"), "changed again");
}

#[test]
fn a_removal_that_was_killed_is_completed_by_the_same_command() {
    let world = three();
    let work = world.at("work");
    // Killed after the index was written.
    work.git(&["rm", "-q", "--cached", "a.dat"]).ok();
    work.s3lfs(&["remove", "a.dat"]).ok();
    assert!(work.manifest()["files"].get("a.dat").is_none() && !work.text(".gitattributes").contains("a.dat"));
    // And once more after the manifest was.
    let attributes = work.text(".gitattributes");
    work.write(".gitattributes", format!("/a.dat filter=s3lfs diff=s3lfs merge=binary -text\n{attributes}"));
    work.s3lfs(&["remove", "a.dat"]).ok();
    assert_eq!(work.text(".gitattributes"), attributes);
    work.s3lfs(&["remove", "a.dat"]).fails(1).says(&["not tracked"]);
}

#[test]
fn odd_names_and_a_line_without_a_slash_in_front() {
    let world = World::ready();
    let work = world.at("work");
    for path in ["[odd] name*.dat", "d/x y.dat"] {
        work.write(path, path);
        work.s3lfs(&["upload", path]).ok();
        work.s3lfs(&["remove", path]).ok().never_says(&["wider pattern"]);
        assert_eq!(work.git(&["ls-files", "--", path]).ok().stdout, "", "{path}");
    }
    work.write("d/z.dat", "z");
    let attributes = work.text(".gitattributes");
    work.write(".gitattributes", format!("d/z.dat filter=s3lfs -text\n{attributes}"));
    work.git(&["add", "."]).ok();
    work.s3lfs(&["remove", "d/z.dat"]).ok().never_says(&["wider pattern"]);
    assert_eq!(work.text(".gitattributes"), attributes, "the line means that file only");
}

#[test]
fn bad_arguments_are_refused_and_change_nothing() {
    let world = three();
    let work = world.at("work");
    work.commit("plain.txt", b"plain");
    let before = work.index();
    for (args, says) in [
        (&["remove", "nowhere"][..], "not tracked"),
        (&["remove", "plain.txt"], "not tracked"),
        (&["remove", "art"], "remove-subtree"),
        (&["remove", "../x"], "outside"),
        (&["remove-subtree", "a.dat"], "where a directory is wanted"),
        (&["remove-subtree", "plain.txt"], "where a directory is wanted"),
        (&["remove-subtree", "nowhere"], "no tracked file"),
        (&["remove-subtree", "."], "whole worktree"),
        (&["remove-subtree", ".."], "outside"),
    ] {
        work.s3lfs(args).fails(1).says(&[says]);
        assert_eq!(work.index(), before, "{args:?}");
        work.is_clean();
    }
    work.s3lfs(&["remove", "nowhere", "a.dat"]).fails(3).says(&["nowhere"]);
    assert_eq!(work.git(&["ls-files", "a.dat"]).ok().stdout, "", "the others go on");
    work.write(".s3_manifest.json", "{");
    work.s3lfs(&["remove", "art/b.dat"]).fails(1).says(&[".s3_manifest.json"]);
    assert_eq!(work.git(&["ls-files", "art/b.dat"]).ok().stdout, "art/b.dat\n", "nothing is done by halves");
}

#[test]
fn a_file_that_is_not_tracked_is_an_error_of_that_file_in_json() {
    let world = World::with_a();
    let ran = world.at("work").s3lfs(&["remove", "nope", "--json"]).fails(1);
    let json = ran.json("remove");
    assert_eq!((&json["errors"][0]["path"], json["items"].as_array().unwrap().len()), (&"nope".into(), 0), "{ran:?}");
}
