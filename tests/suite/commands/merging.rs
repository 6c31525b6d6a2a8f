//! The merge driver of the manifest, in merges that people make.

use crate::world::{MANIFEST, Place, World, oid};

/// `side` and `main` have each a commit of their own.
fn diverged(on_side: impl Fn(&Place<'_>), on_main: impl Fn(&Place<'_>)) -> World {
    let world = World::with_a();
    let work = world.at("work");
    work.git(&["checkout", "-qb", "side"]).ok();
    on_side(&work);
    work.git(&["checkout", "-q", "main"]).ok();
    on_main(&work);
    world
}

#[test]
fn two_branches_that_add_different_files_merge_without_a_conflict() {
    let world = diverged(|work| drop(work.commit("b.bin", b"b")), |work| drop(work.commit("c.bin", b"c")));
    let work = world.at("work");
    work.git(&["merge", "-q", "--no-edit", "side"]).ok();
    let files = serde_json::json!({ "a.bin": oid(b"content of a\n"), "b.bin": oid(b"b"), "c.bin": oid(b"c") });
    assert_eq!(work.manifest()["files"], files, "the manifest names the files of both");
    assert_eq!(work.blob(&format!("HEAD:{MANIFEST}")), work.text(MANIFEST), "and so does the merge commit");
    work.is_clean();
    work.git(&["push", "-q"]).ok();
    let other = world.cloned("other");
    assert_eq!((other.read("b.bin"), other.read("c.bin")), (b"b".to_vec(), b"c".to_vec()));
}

#[test]
fn a_rebase_and_a_cherry_pick_do_too() {
    let world = diverged(|work| drop(work.commit("b.bin", b"b")), |work| drop(work.commit("c.bin", b"c")));
    let work = world.at("work");
    work.git(&["cherry-pick", "side"]).ok();
    assert_eq!(work.manifest()["files"].as_object().unwrap().len(), 3, "a pick brings its file");
    work.git(&["reset", "-q", "--hard", "HEAD^"]).ok();
    work.git(&["checkout", "-q", "side"]).ok();
    work.git(&["rebase", "-q", "main"]).ok();
    assert_eq!(work.manifest()["files"].as_object().unwrap().len(), 3, "a rebase keeps both");
    work.is_clean();
}

#[test]
fn one_file_changed_on_both_sides_conflicts_once_and_keeps_real_content() {
    let world = diverged(|work| drop(work.commit("a.bin", b"theirs")), |work| drop(work.commit("a.bin", b"ours")));
    let work = world.at("work");
    let ran = work.git(&["merge", "--no-edit", "side"]);
    assert_eq!(ran.code, 1, "there is a decision to make: {ran:#?}");
    let unmerged = work.git(&["diff", "--name-only", "--diff-filter=U"]).ok().stdout;
    assert_eq!(unmerged, "a.bin\n", "the pointer's conflict decides, the manifest has none of its own");
    assert_eq!(work.read("a.bin"), b"ours", "real content, and no markers in a pointer");
    work.git(&["checkout", "-q", "--theirs", "a.bin"]).ok();
    assert_eq!(work.read("a.bin"), b"theirs");
    work.git(&["add", "a.bin"]).ok();
    work.git(&["commit", "-qm", "merged"]).ok();
    assert_eq!(work.manifest()["files"]["a.bin"], oid(b"theirs"), "the projection follows the decision");
    work.is_clean();
}

#[test]
fn manifest_only_files_and_settings_that_differ_are_a_conflict_that_names_them() {
    let upload = |work: &Place<'_>, content: &str| {
        work.write(".gitignore", "out/\n");
        work.write("out/x", content);
        work.git(&["add", ".gitignore"]).ok();
        work.s3lfs(&["upload", "out/x"]).ok();
        work.git(&["commit", "-qm", content]).ok();
        work.remove("out/x");
    };
    let world = diverged(|work| upload(work, "theirs"), |work| upload(work, "ours"));
    let work = world.at("work");
    let ran = work.git(&["merge", "--no-edit", "side"]);
    assert_eq!(ran.code, 1, "nobody else can decide: {ran:#?}");
    let said = format!("{}{}", ran.stdout, ran.stderr);
    assert!(said.contains("out/x") && said.contains("git add"), "the key is named: {said}");
    assert_eq!(work.manifest()["files"]["out/x"], oid(b"ours"), "ours stands there, whole and readable");
    work.s3lfs(&["status"]).ok();
    work.s3lfs(&["download", "a.bin"]).ok();
    let commit = work.git(&["commit", "-qm", "too early"]);
    assert_ne!(commit.code, 0, "Git does not commit it unresolved");
    work.git(&["add", MANIFEST]).ok();
    work.git(&["commit", "-qm", "decided"]).ok();
    assert_eq!(work.manifest()["files"]["out/x"], oid(b"ours"));
    work.is_clean();
}

#[test]
fn a_branch_without_the_manifest_of_another_merges() {
    let world = World::new();
    let work = world.at("work");
    work.commit("plain", b"plain");
    work.git(&["checkout", "-qb", "side"]).ok();
    work.commit("more", b"more");
    work.git(&["checkout", "-q", "main"]).ok();
    work.s3lfs(&["init", &world.url("store"), "proj"]).ok();
    work.s3lfs(&["git-setup", "--track", "*.bin"]).ok();
    work.git(&["add", "."]).ok();
    work.commit("a.bin", b"a");
    work.git(&["merge", "-q", "--no-edit", "side"]).ok();
    assert_eq!(work.manifest()["files"]["a.bin"], oid(b"a"));
    work.git(&["checkout", "-q", "side"]).ok();
    work.git(&["merge", "-q", "--no-edit", "main"]).ok();
    assert_eq!(work.read("a.bin"), b"a");
    work.is_clean();
}
