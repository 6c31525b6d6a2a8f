//! Manifest-only files of several people: a file that is only older than the manifest is not recorded over the newer
//! one, and nobody's own work is taken for an older one.

use crate::world::{MANIFEST, Place, World, oid};

/// `work` recorded `first` and then `second` for `out/x`; `other`, a clone, has `first`, and pulled the commit of
/// `second`.
fn behind(world: &World) -> Place<'_> {
    let work = world.at("work");
    work.commit(".gitignore", b"out/\n");
    for name in ["out/x", "out/y"] {
        work.write(name, "first");
    }
    work.s3lfs(&["upload", "out/x", "out/y"]).ok();
    work.git(&["commit", "-qm", "first"]).ok();
    work.git(&["push", "-q"]).ok();
    let other = world.cloned("other");
    work.write("out/x", "second");
    work.s3lfs(&["track-modified"]).ok();
    work.git(&["commit", "-qm", "second"]).ok();
    work.git(&["push", "-q"]).ok();
    other.git(&["pull", "-q"]).ok();
    assert_eq!(other.text("out/x"), "first", "Git does not touch what it ignores");
    other
}

#[test]
fn a_file_that_is_out_of_date_is_not_recorded_over_the_newer_one() {
    let world = World::ready();
    let other = behind(&world);
    let status = other.s3lfs(&["status"]).ok().stdout;
    assert!(status.contains("out of date") && !status.contains("modified"), "it is named as what it is: {status}");
    let states = other.s3lfs(&["status", "--json"]).ok().json("status");
    let x = states["items"].as_array().unwrap().iter().find(|item| item["path"] == "out/x").unwrap().clone();
    assert_eq!(x["states"], serde_json::json!(["out of date"]));

    other.write("out/y", "my own");
    let ran = other.sub("out").s3lfs(&["track-modified"]).fails(3);
    ran.says(&["out/x: it is out of date here", "s3lfs download --force ../out/x", "s3lfs upload ../out/x"]);
    let files = other.manifest()["files"].clone();
    assert_eq!(files["out/x"], oid(b"second"), "the colleague's version stays recorded");
    assert_eq!(files["out/y"], oid(b"my own"), "and the others are recorded all the same");
    assert_eq!(other.text("out/x"), "first", "the file is left alone");
    let json = other.s3lfs(&["track-modified", "--json"]);
    assert_eq!(json.code, 3);
    assert_eq!(json.json("track-modified")["errors"][0]["path"], "out/x");

    let ran = other.s3lfs(&["track-subtree", "out"]).fails(3).says(&["out/x: it is out of date here"]);
    assert_eq!(other.manifest()["files"]["out/x"], oid(b"second"), "nor by the directory's name: {ran:?}");

    other.s3lfs(&["download", "--force", "out/x"]).ok();
    assert_eq!(other.text("out/x"), "second", "the first hint takes the new one");
    other.s3lfs(&["track-modified"]).ok();
    other.write("out/x", "first");
    other.s3lfs(&["upload", "out/x"]).ok();
    assert_eq!(other.manifest()["files"]["out/x"], oid(b"first"), "the second hint records the old one on purpose");
}

#[test]
fn ones_own_work_is_never_taken_for_an_older_version() {
    let world = World::ready();
    let other = behind(&world);
    // The content that another path once had is a change of this one.
    other.s3lfs(&["download-all"]).ok();
    other.write("out/y", "second");
    let status = other.s3lfs(&["status"]).ok().stdout;
    assert!(status.contains("modified") && !status.contains("out of date"), "{status}");
    other.s3lfs(&["track-modified"]).ok();
    assert_eq!(other.manifest()["files"]["out/y"], oid(b"second"));
    // What was recorded and never committed is nowhere but here.
    other.write("out/y", "third");
    other.s3lfs(&["track-modified"]).ok();
    other.git(&["checkout", "-q", "HEAD", "--", MANIFEST]).ok();
    other.s3lfs(&["track-modified"]).ok();
    assert_eq!(other.manifest()["files"]["out/y"], oid(b"third"), "no commit has it, so it is the user's change");
}

/// On another branch the newer version is as little a change as the older one is here.
#[test]
fn a_version_of_another_branch_is_out_of_date_too() {
    let world = World::ready();
    let other = behind(&world);
    other.s3lfs(&["download-all"]).ok();
    other.git(&["checkout", "-q", "-b", "old", "HEAD~1"]).ok();
    other.s3lfs(&["track-modified"]).fails(3).says(&["out/x: it is out of date here"]);
    assert_eq!(other.manifest()["files"]["out/x"], oid(b"first"), "the old branch keeps its version");
}

#[test]
fn migrate_leaves_what_is_out_of_date() {
    let world = World::ready();
    let other = behind(&world);
    for args in [&["migrate", "--dry-run"][..], &["migrate"]] {
        other.s3lfs(args).fails(3).says(&["out/x: it is out of date here", "s3lfs download --force out/x"]);
    }
    assert_eq!(other.manifest()["manifest_only"], serde_json::json!(["out/x"]), "only the other one is migrated");
    assert_eq!(other.text("out/x"), "first");
    other.s3lfs(&["download", "--force", "out/x"]).ok();
    other.s3lfs(&["migrate"]).ok();
    assert!(other.blob(":out/x").contains(&oid(b"second")), "the newer one is what Git tracks now");
    assert_eq!(other.text("out/x"), "second");
}

/// Nothing of these can be recorded; the others are, all the same.
#[test]
fn a_name_or_an_empty_file_that_no_manifest_can_name_stops_no_other_file() {
    for subtree in [false, true] {
        let world = World::ready();
        let work = world.at("work");
        work.commit(".gitignore", b"ign/\n");
        work.sub("ign").sh("echo one > one; echo odd > \"$(printf 'b\\377')\"; : > empty; echo three > three").ok();
        let ran = match subtree {
            true => work.s3lfs(&["track-subtree", "ign"]),
            false => work.sh("s3lfs upload ign/one \"$(printf 'ign/b\\377')\" ign/empty ign/three"),
        };
        let ran = ran.fails(3).says(&["not UTF-8"]);
        if !subtree {
            ran.says(&["ign/empty is empty"]);
        }
        let files = work.manifest()["files"].clone();
        assert_eq!((&files["ign/one"], &files["ign/three"]), (&oid(b"one\n").into(), &oid(b"three\n").into()));
        assert!(!world.object(b"odd\n").exists(), "what can't be recorded is not sent, either (subtree: {subtree})");
    }
}
