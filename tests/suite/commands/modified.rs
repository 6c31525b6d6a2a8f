//! `track-modified` by hand and as the pre-commit hook calls it.

use crate::world::{MANIFEST, World, oid, pointer};

#[test]
fn by_hand_it_stages_uploads_and_records_what_changed() {
    let world = World::with_a();
    let work = world.at("work");
    work.commit("b.bin", b"b");
    work.commit("plain.txt", b"plain");
    work.write("a.bin", "second a");
    work.remove("b.bin");
    work.write("plain.txt", "changed");
    work.write("new.bin", "untracked");
    let ran = work.sub("deep").s3lfs(&["track-modified"]).ok();
    assert_eq!(ran.stdout, "", "nothing was asked for on stdout");
    assert_eq!(work.blob(":a.bin"), pointer(b"second a"), "a tracked file that changed is staged");
    assert!(world.object(b"second a").exists(), "and uploaded");
    assert_eq!(work.manifest()["files"]["a.bin"], oid(b"second a"), "and recorded");
    assert_eq!(work.blob(&format!(":{MANIFEST}")), work.text(MANIFEST), "the manifest is staged");
    assert_eq!(work.blob(":b.bin"), pointer(b"b"), "a deletion is the user's to stage");
    let status = work.git(&["status", "--porcelain"]).ok().stdout;
    assert_eq!(
        status,
        format!("M  {MANIFEST}\nM  a.bin\n D b.bin\n M plain.txt\n?? new.bin\n"),
        "what it does not track is left alone"
    );
    let index = work.index();
    work.s3lfs(&["track-modified"]).ok();
    assert_eq!(work.index(), index, "again: nothing changes");
}

#[test]
fn by_hand_a_store_that_is_down_is_an_error_and_again_completes() {
    let world = World::with_a();
    let work = world.at("work");
    work.write("a.bin", "second a");
    world.unplug();
    let manifest = work.read(MANIFEST);
    work.s3lfs(&["track-modified"]).fails(1).says(&["store", "hint:"]);
    assert_eq!(work.read("a.bin"), b"second a", "the content stays");
    assert_eq!(work.read(MANIFEST), manifest, "the manifest does not run ahead of the store");
    world.plug();
    work.s3lfs(&["track-modified"]).ok();
    assert!(world.object(b"second a").exists());
    assert_eq!(work.manifest()["files"]["a.bin"], oid(b"second a"));
}

#[test]
fn manifest_only_files_that_changed_are_recorded_and_missing_ones_kept() {
    let world = World::ready();
    let work = world.at("work");
    work.commit(".gitignore", b"out/\n");
    for name in ["changed", "gone", "same"] {
        work.write(&format!("out/{name}"), name);
    }
    work.s3lfs(&["upload", "out/changed", "out/gone", "out/same"]).ok();
    work.git(&["commit", "-qm", "out"]).ok();
    work.write("out/changed", "changed again");
    work.remove("out/gone");
    work.s3lfs(&["track-modified"]).ok();
    let manifest = work.manifest();
    assert_eq!(manifest["files"]["out/changed"], oid(b"changed again"), "its new content is recorded");
    assert_eq!(manifest["files"]["out/gone"], oid(b"gone"), "one that is not here was not removed");
    assert_eq!(manifest["manifest_only"], serde_json::json!(["out/changed", "out/gone", "out/same"]));
    assert!(world.object(b"changed again").exists(), "and it is in the store");
    assert_eq!(work.git(&["diff", "--cached", "--name-only"]).stdout, format!("{MANIFEST}\n"), "and staged");
    world.unplug();
    work.write("out/same", "changed offline");
    let before = (work.read(MANIFEST), work.index());
    work.s3lfs(&["track-modified"]).fails(1);
    assert_eq!((work.read(MANIFEST), work.index()), before, "what is not in the store is not recorded");
}

#[test]
fn staged_takes_the_index_as_it_is() {
    let world = World::with_a();
    let work = world.at("work");
    work.write("a.bin", "staged");
    work.git(&["add", "a.bin"]).ok();
    work.write("a.bin", "not staged");
    work.write("b.bin", "b");
    work.git(&["add", "b.bin"]).ok();
    work.git(&["rm", "-q", "--cached", "b.bin"]).ok();
    work.s3lfs(&["track-modified", "--staged"]).ok();
    assert_eq!(work.blob(":a.bin"), pointer(b"staged"), "nothing is added");
    assert_eq!(work.manifest()["files"], serde_json::json!({ "a.bin": oid(b"staged") }), "it follows the index");
    assert!(world.object(b"staged").exists() && !world.object(b"not staged").exists());
}

#[test]
fn the_users_own_unstaged_changes_of_the_manifest_stay_unstaged() {
    let world = World::with_a();
    let work = world.at("work");
    work.write(
        MANIFEST,
        work.text(MANIFEST).replace("\"format\": 1,", "\"compression\": \"none\",\n    \"format\": 1,"),
    );
    work.commit("b.bin", b"b");
    assert!(!work.blob(&format!("HEAD:{MANIFEST}")).contains("compression"), "the commit has the index's manifest");
    assert_eq!(work.manifest()["compression"], "none", "the worktree keeps the user's change");
    assert_eq!(work.manifest()["files"]["b.bin"], oid(b"b"), "and follows the projection");
    assert_eq!(work.git(&["status", "--porcelain"]).stdout, format!(" M {MANIFEST}\n"));
}

#[test]
fn an_unmerged_path_keeps_its_entry_and_a_deletion_goes() {
    let world = World::with_a();
    let work = world.at("work");
    work.commit("b.bin", b"b");
    work.git(&["rm", "-q", "b.bin"]).ok();
    work.git(&["commit", "-qm", "without b"]).ok();
    assert_eq!(work.manifest()["files"], serde_json::json!({ "a.bin": oid(b"content of a\n") }), "a deletion goes");
    work.git(&["mv", "a.bin", "c d.bin"]).ok();
    work.git(&["commit", "-qm", "renamed"]).ok();
    assert_eq!(work.manifest()["files"], serde_json::json!({ "c d.bin": oid(b"content of a\n") }), "a rename follows");
    work.is_clean();
}

#[test]
fn a_projection_that_would_lose_most_entries_stops_the_commit() {
    let world = World::ready();
    let work = world.at("work");
    for n in 0..20 {
        work.write(&format!("{n}.bin"), format!("content {n}"));
    }
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-qm", "many"]).ok();
    let (head, manifest) = (work.head(), work.read(MANIFEST));
    work.write(".gitattributes", "# nothing\n");
    work.git(&["add", ".gitattributes"]).ok();
    let ran = work.git(&["commit", "-qm", "oops"]);
    assert_ne!(ran.code, 0, "the attributes were lost, not the files: {ran:#?}");
    ran.says(&["20 of the 20", ".gitattributes"]);
    assert_eq!((work.head(), work.read(MANIFEST)), (head, manifest), "nothing is lost");
}

#[test]
fn with_no_project_only_manifest_only_paths_are_recorded() {
    let world = World::new();
    let work = world.at("work");
    work.s3lfs(&["init", &world.url("store"), "proj", "--no-project"]).ok();
    work.s3lfs(&["git-setup", "--track", "*.bin"]).ok();
    work.write(".gitignore", "out\n");
    work.write("out", "out");
    work.git(&["add", "."]).ok();
    work.commit("a.bin", b"a");
    work.s3lfs(&["upload", "out"]).ok();
    assert_eq!(work.manifest()["files"], serde_json::json!({ "out": oid(b"out") }), "pointers alone name the others");
    work.git(&["commit", "-qm", "out"]).ok();
    work.git(&["push", "-q", "origin", "main"]).ok();
    assert_eq!(world.cloned("other").read("a.bin"), b"a", "which is enough");
}

#[test]
fn a_tracked_file_needs_no_force_although_it_is_ignored() {
    let world = World::ready();
    let work = world.at("work");
    work.commit("assets/x.bin", b"x");
    work.commit(".gitignore", b"/assets/\n");
    work.write("assets/x.bin", "second x");
    work.s3lfs(&["track-modified"]).ok();
    assert_eq!(work.blob(":assets/x.bin"), pointer(b"second x"), "it is staged");
    assert!(world.object(b"second x").exists());
}

#[test]
fn a_commit_that_takes_the_manifest_away_is_warned_of() {
    let world = World::with_a();
    let work = world.at("work");
    work.git(&["rm", "-q", MANIFEST]).ok();
    let ran = work.git(&["commit", "-qm", "without a manifest"]).ok();
    ran.says(&[&format!("warning: {MANIFEST} is being removed"), "git restore --staged --worktree"]);
    work.git(&["reset", "-q", "--hard", "HEAD~1"]).ok();
    work.git(&["rm", "-q", MANIFEST, "a.bin"]).ok();
    work.git(&["commit", "-qm", "without files"]).ok().never_says(&["warning"]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_name_that_is_no_text_is_warned_of_once() {
    let world = World::ready();
    let work = world.at("work");
    work.sh(r#"printf x >"$(printf 'n\377.bin')" && git add ."#).ok();
    work.write("a.bin", "a");
    let ran = work.s3lfs(&["upload", "a.bin"]).ok();
    assert_eq!(ran.stderr.matches("not UTF-8").count(), 1, "{}", ran.stderr);
}

#[test]
fn a_file_that_is_renamed_out_of_its_pattern_is_named() {
    let world = World::with_a();
    let work = world.at("work");
    work.git(&["mv", "a.bin", "a.txt"]).ok();
    let ran = work.git(&["commit", "-qm", "renamed"]).ok();
    ran.says(&["a.txt", "no pattern", "s3lfs track"]);
    work.s3lfs(&["track", "*.txt"]).ok();
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-qm", "tracked"]).ok().never_says(&["no pattern"]);
    work.s3lfs(&["download-all"]).ok();
    assert_eq!(work.read("a.txt"), b"content of a\n", "what it says helps");
}
