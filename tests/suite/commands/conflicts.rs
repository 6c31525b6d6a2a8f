//! Files in conflict: Git has several versions of them, and nobody has decided yet.

use serde_json::json;

use crate::world::{MANIFEST, Place, World, oid};

/// `a.bin` in conflict, and `b.bin` beside it; theirs is neither cached here nor uploaded, ours is.
fn in_conflict(world: &World) -> Place<'_> {
    let work = world.at("work");
    work.commit("b.bin", b"content of b\n");
    work.git(&["push", "-q"]).ok();
    work.git(&["switch", "-qc", "side"]).ok();
    work.commit("a.bin", b"theirs");
    work.git(&["switch", "-q", "main"]).ok();
    work.commit("a.bin", b"ours");
    let merge = work.git(&["merge", "-q", "side"]);
    assert_eq!(merge.code, 1, "a conflict: {merge:#?}");
    work
}

#[test]
fn status_and_ls_name_them_with_both_versions() {
    let world = World::with_a();
    let work = in_conflict(&world);
    let status = work.s3lfs(&["status"]).ok().stdout;
    let (ours, theirs) = (&oid(b"ours")[..8], &oid(b"theirs")[..8]);
    let versions = format!("  in conflict                 a.bin\n    ours {ours} (here), theirs {theirs} (here)\n");
    assert!(status.contains(&versions), "{status}");
    assert!(status.starts_with("2 tracked files"), "{status}");
    assert_eq!(work.s3lfs(&["status", "-z"]).ok().stdout, "a.bin\0");
    work.drop_cache();
    let status = work.s3lfs(&["status"]).ok().stdout;
    assert!(status.contains(&format!("ours {ours} (in the store), theirs {theirs} (in the store)")), "{status}");
    std::fs::remove_dir_all(work.join(".git/s3lfs/uploaded")).unwrap();
    let status = work.s3lfs(&["status"]).ok().stdout;
    assert!(status.contains(&format!("theirs {theirs} (not here)")), "{status}");
    let answer = work.s3lfs(&["status", "--json"]).ok().json("status");
    let found = answer["items"].as_array().unwrap().iter().find(|item| item["path"] == "a.bin").expect("it is listed");
    assert_eq!((&found["oid"], &found["states"]), (&json!(oid(b"ours")), &json!(["in conflict"])));
    let versions: Vec<_> = found["in_conflict"].as_array().unwrap().iter().map(|one| &one["version"]).collect();
    assert_eq!(versions, ["base", "ours", "theirs"]);
    assert_eq!(
        found["in_conflict"][2],
        json!({ "version": "theirs", "oid": oid(b"theirs"), "size": 6, "here": false, "uploaded": false })
    );

    let listed = work.s3lfs(&["ls"]).ok().stdout;
    assert!(listed.contains(&format!("{ours}        4 B  a.bin (in conflict)\n")), "{listed}");
    assert_eq!(work.s3lfs(&["ls", "-z"]).ok().stdout, "b.bin\0a.bin\0");
    assert_eq!(work.s3lfs(&["ls", "a.bin"]).ok().stdout.lines().count(), 1);
    let answer = work.s3lfs(&["ls", "--json", "a.bin"]).ok().json("ls");
    assert_eq!(answer["items"][0]["in_conflict"].as_array().unwrap().len(), 3);
}

#[test]
fn a_name_that_neither_side_has_shows_the_base() {
    let world = World::with_a();
    let work = world.at("work");
    work.git(&["switch", "-qc", "side"]).ok();
    work.git(&["mv", "a.bin", "theirs.bin"]).ok();
    work.git(&["commit", "-qm", "side"]).ok();
    work.git(&["switch", "-q", "main"]).ok();
    work.git(&["mv", "a.bin", "ours.bin"]).ok();
    work.git(&["commit", "-qm", "main"]).ok();
    assert_eq!(work.git(&["merge", "-q", "side"]).code, 1, "renamed on both sides");
    let stages = work.git(&["ls-files", "-u"]).ok().stdout;
    assert!(stages.contains(" 1\ta.bin\n") && !stages.contains(" 2\ta.bin"), "{stages}");
    let status = work.s3lfs(&["status"]).ok().stdout;
    let base = work.git(&["cat-file", "blob", "HEAD~1:a.bin"]).ok().stdout;
    let short = &base.split("sha256:").nth(1).unwrap()[..8];
    assert!(status.contains(&format!("  a.bin\n    base {short}, which neither side has")), "{status}");
    assert!(status.lines().all(|line| !line.trim().is_empty()), "no line is blank: {status}");
}

#[test]
fn a_download_says_what_it_makes_of_them() {
    let world = World::with_a();
    let work = in_conflict(&world);
    let all = work.s3lfs(&["download-all"]).ok();
    all.says(&["1 file in conflict left as they are (the first: a.bin)"]);
    work.s3lfs(&["download", "a.bin"]).ok().says(&["a.bin is in conflict: what is fetched is your side"]);
    work.s3lfs(&["download", "b.bin"]).ok().never_says(&["conflict"]);
    work.git(&["checkout", "-q", "--ours", "a.bin"]).ok();
    work.git(&["add", "a.bin"]).ok();
    work.s3lfs(&["download-all"]).ok().never_says(&["conflict"]);
}

#[test]
fn track_modified_says_that_they_are_left() {
    let world = World::with_a();
    let work = in_conflict(&world);
    work.write("b.bin", "changed");
    let before = work.git(&["ls-files", "-u"]).ok().stdout;
    let ran = work.s3lfs(&["track-modified"]).ok().says(&["a.bin: in conflict, and left as it is"]);
    ran.never_says(&["b.bin"]);
    assert_eq!(work.git(&["ls-files", "-u"]).ok().stdout, before, "the conflict stays one");
    assert_eq!(work.manifest()["files"]["b.bin"], json!(oid(b"changed")), "the others go on");
    let answer = work.s3lfs(&["track-modified", "--json"]).ok().json("track-modified");
    assert_eq!(answer["errors"][0]["path"], "a.bin");
    work.git(&["checkout", "-q", "--theirs", "a.bin"]).ok();
    work.git(&["add", "a.bin"]).ok();
    work.s3lfs(&["track-modified"]).ok().never_says(&["in conflict"]);
    work.git(&["commit", "-qm", "merged"]).ok().never_says(&["in conflict"]);
    assert_eq!(work.manifest()["files"]["a.bin"], json!(oid(b"theirs")), "{MANIFEST} has what was chosen");
    work.is_clean();
}
