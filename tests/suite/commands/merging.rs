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
    assert!(said.contains(&oid(b"ours")) && said.contains(&oid(b"theirs")), "each side by its whole name: {said}");
    let take = "git checkout --theirs -- .s3_manifest.json && git add .s3_manifest.json";
    assert!(said.contains(take), "and what takes one: {said}");
    let status = work.s3lfs(&["status"]).ok().stdout;
    assert!(status.starts_with(".s3_manifest.json has a conflict\n") && status.contains(take), "first: {status}");
    assert!(!status.contains("nothing to do"), "{status}");
    assert_eq!(work.s3lfs(&["status", "--json"]).ok().json("status")["errors"][0]["path"], MANIFEST);
    work.s3lfs(&["track-modified"]).fails(1).says(&[".s3_manifest.json has a conflict", take]);
    let doctor = work.s3lfs(&["doctor", "--json"]).ok().json("doctor")["items"].clone();
    let found =
        doctor.as_array().unwrap().iter().find(|item| item["check"] == "manifest" && item["state"] == "warning");
    let ours = "git checkout --ours -- .s3_manifest.json && git add .s3_manifest.json";
    assert_eq!(found.unwrap()["mend"], serde_json::json!([ours, take]), "no command takes a side without saying so");
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

/// `other` recorded a new version of the manifest-only `ign/e` and pushed it; `work`, not having pulled it, let Git track
/// the old one by `migrate`. Merged or rebased, that is a conflict of the manifest, which both kept for `ign/e`.
fn migrated_while_another_changed_it(world: &World) {
    let work = world.at("work");
    work.commit(".gitignore", b"ign/\n");
    work.write("ign/e", "old");
    work.s3lfs(&["upload", "ign/e"]).ok();
    work.git(&["commit", "-qm", "e"]).ok();
    work.git(&["push", "-q"]).ok();
    let other = world.cloned("other");
    other.write("ign/e", "new");
    other.s3lfs(&["track-modified"]).ok();
    other.git(&["commit", "-qm", "new e"]).ok();
    other.git(&["push", "-q"]).ok();
    work.s3lfs(&["migrate"]).ok();
    work.git(&["commit", "-qm", "migrate"]).ok();
    work.git(&["fetch", "-q"]).ok();
}

const LISTED: &str = "ign/e: the manifest names another content";

#[test]
fn a_merge_of_migrate_with_a_newer_version_is_decided_by_a_person() {
    for (takes_new, side) in [(true, "--theirs"), (false, "--ours"), (true, "")] {
        let world = World::ready();
        migrated_while_another_changed_it(&world);
        let work = world.at("work");
        assert_ne!(work.git(&["merge", "origin/main"]).code, 0, "the manifest is in conflict");
        if !side.is_empty() {
            work.git(&["checkout", "-q", side, MANIFEST]).ok();
        }
        work.git(&["add", MANIFEST]).ok();
        if side == "--ours" {
            work.git(&["commit", "-qm", "merged"]).ok();
            assert_eq!(work.manifest()["files"]["ign/e"], oid(b"old"), "whoever takes our manifest has decided");
            continue;
        }
        let before = work.index();
        let ran = work.git(&["commit", "-qm", "merged"]);
        assert_ne!(ran.code, 0, "nobody has decided yet: {ran:?}");
        let ran = ran.says(&[LISTED, &oid(b"new"), &oid(b"old"), "s3lfs download --from-manifest ign/e"]);
        assert_eq!(work.index(), before, "nothing is staged by that: {ran:?}");
        assert_ne!(work.s3lfs(&["track-modified"]).says(&[LISTED]).code, 0, "a command does not decide it either");
        let take = if takes_new && side == "--theirs" {
            "s3lfs download --from-manifest ign/e && s3lfs upload ign/e"
        } else {
            "git checkout -- ign/e && s3lfs upload ign/e"
        };
        work.sh(take).ok();
        work.git(&["commit", "-qm", "merged"]).ok();
        let content: &[u8] = if side == "--theirs" { b"new" } else { b"old" };
        assert_eq!(work.read("ign/e"), content, "as the command said");
        assert!(work.blob("HEAD:ign/e").contains(&oid(content)), "so Git has it");
        assert_eq!(work.manifest()["files"]["ign/e"], oid(content), "and so does the manifest");
        assert_eq!(work.manifest()["manifest_only"], serde_json::json!([]));
        work.is_clean();
        work.git(&["push", "-q"]).ok();
        work.s3lfs(&["fsck"]).ok();
    }
}

/// `git rebase --continue` runs no pre-commit: the commit has both.
#[test]
fn what_a_rebase_left_at_odds_is_named_and_kept_until_it_is_decided() {
    let world = World::ready();
    migrated_while_another_changed_it(&world);
    let work = world.at("work");
    assert_ne!(work.git(&["rebase", "-q", "origin/main"]).code, 0, "the manifest is in conflict");
    work.git(&["checkout", "-q", "--ours", MANIFEST]).ok();
    work.git(&["add", MANIFEST]).ok();
    work.s3lfs(&["fsck"]).fails(3).says(&[LISTED]);
    work.env("GIT_EDITOR", "true").git(&["rebase", "--continue"]);
    let kept = || {
        assert_eq!(work.manifest()["files"]["ign/e"], oid(b"new"), "the colleague's version stays recorded");
        assert!(work.blob("HEAD:ign/e").contains(&oid(b"old")), "and Git's pointer is as it was");
    };
    kept();
    let status = work.s3lfs(&["status"]).ok().stdout;
    assert!(status.contains("manifest disagrees") && status.contains("ign/e"), "{status}");
    let states = work.s3lfs(&["status", "--json"]).ok().json("status")["items"][0]["states"].clone();
    assert_eq!(states, serde_json::json!(["manifest disagrees"]));
    work.s3lfs(&["fsck"]).fails(3).says(&[LISTED, "--from-manifest"]);
    work.write("b.bin", "b");
    work.git(&["add", "b.bin"]).ok();
    work.git(&["commit", "-qm", "b"]).ok().says(&[LISTED, "s3lfs upload ign/e"]);
    kept();
    assert_eq!(work.manifest()["files"]["b.bin"], oid(b"b"), "the others are recorded all the same");
    work.s3lfs(&["track-modified"]).fails(3).says(&[LISTED]);
    kept();

    work.sh("s3lfs download --from-manifest ign/e && s3lfs upload ign/e").ok();
    work.git(&["commit", "-qm", "decided"]).ok().never_says(&[LISTED]);
    assert!(work.blob("HEAD:ign/e").contains(&oid(b"new")));
    assert_eq!(work.manifest()["manifest_only"], serde_json::json!([]));
    work.s3lfs(&["fsck"]).ok();
    work.is_clean();
}

#[test]
fn what_a_merge_without_a_conflict_leaves_to_be_amended_is_said() {
    let world = World::with_a();
    let work = world.at("work");
    work.git(&["switch", "-qc", "side"]).ok();
    work.git(&["mv", "a.bin", "b.bin"]).ok();
    work.git(&["commit", "-qm", "renamed"]).ok();
    work.git(&["switch", "-q", "main"]).ok();
    work.commit("a.bin", b"second");
    // Git has written the tree of the merge before its hook could follow.
    work.git(&["merge", "-q", "--no-edit", "side"]).ok().says(&["git commit --amend --no-edit"]);
    work.git(&["commit", "-q", "--amend", "--no-edit"]).ok();
    work.is_clean();
    assert_eq!(work.manifest()["files"], serde_json::json!({ "b.bin": oid(b"second") }));
    work.git(&["switch", "-qc", "more"]).ok();
    work.commit("c.bin", b"c");
    work.git(&["switch", "-q", "main"]).ok();
    work.commit("d.bin", b"d");
    work.git(&["merge", "-q", "--no-edit", "more"]).ok().never_says(&["--amend"]);
    work.is_clean();
}
