//! `migrate lfs`: a repository of the real git-lfs becomes one of s3lfs, and its whole history still checks out.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::{checkouts, content, is_here, lfs_pointer, made_by_git_lfs, with_store, without_git_lfs};
use crate::world::{Place, World, oid, pointer, snapshot, worktree_files};

/// With a store, and set up; not migrated yet.
fn ready() -> Option<World> {
    if !is_here() {
        return None;
    }
    Some(with_store())
}

/// All content of that history.
fn contents() -> Vec<Vec<u8>> {
    [("a", 1), ("a", 2), ("b", 1), ("gone", 1), ("side", 1), ("alone", 1)].map(|(name, n)| content(name, n)).into()
}

/// The files that a commit checks out to, but for what a migration changes.
fn of_users(files: &[(PathBuf, Vec<u8>)]) -> BTreeMap<PathBuf, Vec<u8>> {
    let ours = [".gitattributes", ".s3_manifest.json"];
    let users = |path: &PathBuf| !ours.iter().any(|name| path.ends_with(name));
    files.iter().filter(|(path, _)| users(path)).cloned().collect()
}

/// The object of git-lfs.
fn object_of_lfs(place: &Place<'_>, content: &[u8]) -> PathBuf {
    let oid = oid(content);
    place.join(".git/lfs/objects").join(&oid[..2]).join(&oid[2..4]).join(oid)
}

#[test]
fn the_whole_history_checks_out_in_a_clone_that_never_had_git_lfs() {
    let Some(world) = ready() else { return };
    let work = world.at("work");
    let theirs = checkouts(&work);
    assert!(theirs.len() >= 6, "the history has {} commits", theirs.len());
    work.git(&["checkout", "-q", "main"]).ok();
    let before = work.head();

    let dry = work.s3lfs(&["migrate", "lfs", "--dry-run"]).ok();
    let bytes: usize = contents().iter().map(Vec::len).sum();
    dry.says(&["Would be sent to the store: 6 objects", "4 files", "Would be changed: sub/.gitattributes"]);
    let dry = work.s3lfs(&["migrate", "lfs", "--dry-run", "--json"]).ok().json("migrate");
    let sum: u64 = dry["items"].as_array().unwrap().iter().map(|item| item["size"].as_u64().unwrap()).sum();
    assert_eq!(sum, bytes as u64, "all bytes that would be sent are told");
    work.is_clean();
    assert!(contents().iter().all(|content| !world.object(content).exists()), "nothing was sent");

    work.s3lfs(&["migrate", "lfs"]).ok().says(&["6 objects", "6 sent now", "git commit", "git-setup --lfs"]);
    assert_eq!(work.head(), before, "no history is rewritten");
    for content in contents() {
        assert!(world.object(&content).exists(), "all of history is in the store");
        assert!(object_of_lfs(&work, &content).exists(), "what git-lfs has stays");
    }
    let status = work.git(&["status", "--porcelain"]).ok().stdout;
    assert!(status.lines().all(|line| line.starts_with("M  ")), "one commit has it all: {status}");
    assert_eq!(work.blob(":a.psd"), pointer(&content("a", 2)));
    assert_eq!(work.blob(":sub/c.bin"), pointer(&content("b", 1)));
    assert_eq!(work.text("sub/.gitattributes"), "*.bin filter=s3lfs diff=s3lfs merge=binary -text lockable\n");
    assert!(work.index().contains("100755"), "modes stay");
    work.git(&["commit", "-qm", "migrated"]).ok();
    work.is_clean();
    let mut files: Vec<String> = work.manifest()["files"].as_object().unwrap().keys().cloned().collect();
    files.sort();
    assert_eq!(files, ["a.psd", "copy.psd", "side.psd", "sub/c.bin"]);
    // The hook of git-lfs would ask its server.
    std::fs::remove_file(work.join(".git/hooks/pre-push")).unwrap();
    work.s3lfs(&["git-setup"]).ok();
    work.git(&["push", "-q", "origin", "main"]).ok();

    let clone = without_git_lfs(&world.at("")).in_dir(&world.at(""));
    clone.s3lfs(&["clone", "-q", "remote.git", "fresh"]).ok();
    let fresh = clone.in_dir(&world.at("fresh"));
    let present = |place: &Place<'_>| -> BTreeMap<String, Vec<u8>> {
        let name = |path: PathBuf| path.strip_prefix(&place.dir).unwrap().to_str().unwrap().to_owned();
        worktree_files(place).into_iter().map(|(path, bytes)| (name(path), bytes)).collect()
    };
    assert_eq!(present(&fresh), present(&work), "the new commit has the same files");
    fresh.is_clean();
    fresh.s3lfs(&["git-setup", "--lfs"]).ok();
    fresh.drop_cache();
    std::fs::remove_dir_all(world.path("remote.git/lfs")).unwrap();
    // A clone that never had the old objects, and git-lfs has nobody to ask: the store has them.
    fresh.s3lfs(&["migrate", "lfs"]).ok().says(&["6 objects", "0 sent now", "Staged: 0 files"]);
    let ours = checkouts(&fresh);
    for (commit, files) in &theirs {
        // The commit that set s3lfs up was never pushed by itself, and is part of main.
        assert_eq!(of_users(&ours[commit]), of_users(files), "commit {commit} checks out as with git-lfs");
    }
    assert!(ours.values().any(|files| files.iter().any(|(path, _)| path.ends_with("gone.psd"))));
    fresh.git(&["fsck", "--strict"]).ok();
}

#[test]
fn a_second_time_is_nothing_and_what_was_sent_is_not_sent_again() {
    let Some(world) = ready() else { return };
    let work = world.at("work");
    // Stopped when all was sent: the staged files are as they were.
    let damaged = object_of_lfs(&work, &content("gone", 1));
    let good = std::fs::read(&damaged).unwrap();
    std::fs::remove_file(&damaged).unwrap();
    std::fs::write(&damaged, vec![b'x'; good.len()]).unwrap();
    let failed = work.s3lfs(&["migrate", "lfs"]).fails(3);
    failed.says(&["gone.psd", "is damaged", "no file was changed"]);
    work.is_clean();
    let times = || -> Vec<_> {
        let files = snapshot(&world.path("store/proj/assets")).into_iter();
        files.map(|(path, _)| (std::fs::metadata(&path).unwrap().modified().unwrap(), path)).collect()
    };
    let before = times();
    assert_eq!(before.len(), 5, "all others were sent");
    std::fs::write(&damaged, good).unwrap();
    work.s3lfs(&["migrate", "lfs"]).ok().says(&["6 objects", "1 sent now"]);
    assert!(before.iter().all(|object| times().contains(object)), "nothing was sent twice");
    let (index, store) = (work.index(), times());
    work.s3lfs(&["migrate", "lfs"]).ok().says(&["0 sent now", "Staged: 0 files", "git commit"]);
    assert_eq!((work.index(), times()), (index, store), "a second time is nothing");
    let cached = work.join(".git/s3lfs/objects");
    let held: Vec<_> = snapshot(&cached).into_iter().filter(|(_, bytes)| *bytes == content("gone", 1)).collect();
    assert!(held.is_empty(), "what only went through the cache does not stay there");
}

#[test]
fn what_a_migration_takes_is_told_before_there_is_a_store() {
    if !is_here() {
        return;
    }
    let world = made_by_git_lfs();
    let work = world.at("work");
    let state = (work.index(), worktree_files(&work));
    let dry = work.s3lfs(&["migrate", "lfs", "--dry-run"]).ok();
    dry.says(&["No store is chosen yet", "Would be sent to the store: 6 objects", "Would be changed: .gitattributes"]);
    assert_eq!((work.index(), worktree_files(&work)), state, "nothing is changed");
    work.s3lfs(&["migrate", "lfs"]).fails(1).says(&["there is no .s3_manifest.json", "s3lfs init"]);
}

#[test]
fn what_is_missing_is_asked_of_git_lfs_else_nothing_is_changed() {
    let Some(world) = ready() else { return };
    let work = world.at("work");
    std::fs::remove_file(object_of_lfs(&work, &content("gone", 1))).unwrap();
    let cut = object_of_lfs(&work, &content("a", 2));
    std::fs::remove_file(&cut).unwrap();
    std::fs::write(&cut, b"cut short").unwrap();
    let alone = without_git_lfs(&work);
    // Its filter, too, is not there.
    let alone = alone.env("GIT_CONFIG_COUNT", "1").env("GIT_CONFIG_KEY_0", "filter.lfs.process");
    let alone = alone.env("GIT_CONFIG_VALUE_0", "s3lfs filter-process --lfs");
    let index = work.index();
    let refused = alone.s3lfs(&["migrate", "lfs"]).fails(1);
    let refused = refused.says(&["not here: gone.psd", "2 objects", "nothing was changed", "--allow-missing"]);
    refused.says(&["not here: a.psd", &format!("{} is damaged, it has 9 B of these", cut.display())]);
    assert_eq!(work.index(), index, "nothing is staged");
    assert!(!world.object(&content("a", 1)).exists(), "nothing is sent");
    alone.s3lfs(&["migrate", "lfs", "--allow-missing"]).ok().says(&["a.psd keeps its Git LFS pointer"]);
    assert_eq!(work.blob(":a.psd"), lfs_pointer(&content("a", 2)));
    assert_eq!(work.blob(":side.psd"), pointer(&content("side", 1)), "what is here is taken over");
    // Git LFS is back, with its server: the same command again completes.
    work.s3lfs(&["migrate", "lfs"]).ok().says(&["git lfs fetch --all", "2 sent now"]);
    assert_eq!(work.blob(":a.psd"), pointer(&content("a", 2)));
    assert!(world.object(&content("gone", 1)).exists());
    work.git(&["commit", "-qm", "migrated"]).ok();
    work.is_clean();
}

#[test]
fn pointer_files_and_changes_of_ones_own_stay_what_they_are() {
    let Some(world) = ready() else { return };
    let work = world.at("work");
    work.write("side.psd", "my own work");
    work.write("a.psd", lfs_pointer(&content("a", 2)));
    work.git(&["update-index", "-q", "--refresh"]);
    std::fs::remove_file(work.join("copy.psd")).unwrap();
    work.write("notes.txt", "mine");
    work.write("sub/.gitattributes", format!("{}*.own text\n", work.text("sub/.gitattributes")));
    work.s3lfs(&["migrate", "lfs"]).ok();
    assert_eq!(work.text("side.psd"), "my own work");
    assert_eq!(work.text("a.psd"), pointer(&content("a", 2)), "a pointer stays one, of ours");
    assert_eq!(work.blob(":side.psd"), pointer(&content("side", 1)));
    assert!(work.text("sub/.gitattributes").ends_with("lockable\n*.own text\n"), "both versions are changed");
    assert!(!work.blob(":sub/.gitattributes").contains("own"), "and what was not staged is not");
    let status = work.git(&["status", "--porcelain"]).ok().stdout;
    for line in ["MM side.psd", "M  a.psd", "MD copy.psd", "?? notes.txt", "MM sub/.gitattributes"] {
        assert!(status.contains(line), "{line} in {status}");
    }
    work.s3lfs(&["download", "a.psd"]).ok();
    assert_eq!(work.read("a.psd"), content("a", 2));
}

#[test]
fn objects_are_found_where_they_are_kept() {
    let Some(world) = ready() else { return };
    let work = world.at("work");
    // Elsewhere, and seen from a linked worktree.
    std::fs::rename(work.join(".git/lfs"), work.join(".git/elsewhere")).unwrap();
    work.git(&["config", "lfs.storage", "elsewhere"]).ok();
    work.git(&["worktree", "add", "-q", "../linked", "never-merged"]).ok();
    let linked = without_git_lfs(&world.at("linked"));
    world.at("linked").git(&["checkout", "-q", "main", "--", ".s3_manifest.json"]).ok();
    linked.s3lfs(&["migrate", "lfs"]).ok().says(&["6 objects", "6 sent now"]);
    assert_eq!(linked.blob(":alone.psd"), pointer(&content("alone", 1)));
    linked.git(&["commit", "-qm", "migrated"]).ok();
    linked.is_clean();
}

#[test]
fn what_can_not_go_well_is_refused_before_anything_is_sent() {
    let Some(world) = ready() else { return };
    let work = world.at("work");
    world.at("").git(&["clone", "-q", "--depth", "1", &world.url("remote.git"), "shallow"]).ok();
    let shallow = world.at("shallow");
    shallow.s3lfs(&["init", "--join", &world.url("store"), "proj"]).ok();
    shallow.s3lfs(&["git-setup"]).ok();
    shallow.s3lfs(&["migrate", "lfs"]).fails(1).says(&["this clone is shallow"]);
    work.git(&["checkout", "-qb", "other", "HEAD~1"]).ok();
    work.commit("README", b"other\n");
    work.git(&["checkout", "-q", "main"]).ok();
    work.commit("README", b"ours\n");
    assert_ne!(work.git(&["merge", "other"]).code, 0);
    work.s3lfs(&["migrate", "lfs"]).fails(1).says(&["README has a conflict"]);
    assert!(!world.path("store/proj/assets").exists(), "nothing was sent");
}

#[test]
fn an_old_version_alone_is_named_with_what_makes_its_pointer_ours() {
    let Some(world) = ready() else { return };
    let work = world.at("work");
    work.s3lfs(&["migrate", "lfs"]).ok();
    work.git(&["commit", "-qm", "migrated"]).ok();
    work.s3lfs(&["git-setup", "--lfs"]).ok();
    let states = || {
        let items = work.s3lfs(&["status", "--json"]).ok().json("status")["items"].clone();
        items.as_array().unwrap().iter().find(|item| item["path"] == "a.psd").unwrap()["states"].clone()
    };
    assert_eq!(states(), serde_json::json!([]));
    work.git(&["checkout", "-q", "v1", "--", "a.psd"]).ok();
    work.git(&["commit", "-qm", "back"]).ok();
    assert_eq!(work.blob("HEAD:a.psd"), lfs_pointer(&content("a", 1)));
    assert_eq!(work.read("a.psd"), content("a", 1));
    work.is_clean_but(&[" M a.psd"]);
    assert_eq!(states(), serde_json::json!(["pointer of git-lfs"]));
    let status = work.s3lfs(&["status"]).ok().stdout;
    assert!(status.contains("git add --renormalize"), "the command is said: {status}");
    let found = work.sub("sub").s3lfs(&["fsck"]).ok().stderr;
    let line = found.lines().find(|line| line.contains("a.psd")).expect("it is named");
    let command = line.rsplit_once("ours: ").expect("with a command").1;
    work.sub("sub").sh(command).ok();
    work.git(&["commit", "-qm", "ours"]).ok();
    assert_eq!(work.blob("HEAD:a.psd"), pointer(&content("a", 1)));
    work.is_clean();
    work.s3lfs(&["fsck"]).ok().never_says(&["a.psd"]);
    // What was changed is changed, whatever the pointer's form.
    work.git(&["checkout", "-q", "v1", "--", "a.psd"]).ok();
    work.write("a.psd", "mine");
    assert_eq!(states(), serde_json::json!(["modified"]));
    work.s3lfs(&["fsck"]).ok().never_says(&["a.psd"]);
}

#[test]
fn where_nothing_is_of_git_lfs_that_is_said() {
    if !is_here() {
        return;
    }
    let world = World::with_a();
    let work = world.at("work");
    work.s3lfs(&["migrate", "lfs"]).ok().says(&["0 objects", "No commit of this repository has a pointer of Git LFS"]);
    work.is_clean();
}

#[test]
fn a_branch_of_git_lfs_merges_where_its_content_is() {
    let Some(world) = ready() else { return };
    let work = world.at("work");
    work.git(&["branch", "feat"]).ok();
    work.s3lfs(&["migrate", "lfs"]).ok();
    work.git(&["commit", "-qm", "migrated"]).ok();
    work.git(&["checkout", "-q", "feat"]).ok();
    for name in ["late", "later"] {
        work.write(&format!("{name}.psd"), content(name, 1));
    }
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-qm", "by git-lfs"]).ok();
    assert!(object_of_lfs(&work, &content("late", 1)).exists(), "git-lfs has it");
    work.git(&["checkout", "-q", "main"]).ok();
    let damaged = object_of_lfs(&work, &content("later", 1));
    let good = std::fs::read(&damaged).unwrap();
    std::fs::remove_file(&damaged).unwrap();
    std::fs::write(&damaged, vec![b'x'; good.len()]).unwrap();
    let failed = work.git(&["merge", "-q", "-m", "merged", "feat"]).fails(128);
    failed.says(&["later.psd", "is damaged", "made with git-lfs: s3lfs migrate lfs"]);
    // What Git had written before.
    work.git(&["clean", "-qfd"]).ok();
    work.git(&["reset", "-q", "--hard"]).ok();
    std::fs::remove_file(&damaged).unwrap();
    std::fs::write(&damaged, &good).unwrap();
    work.git(&["merge", "-q", "-m", "merged", "feat"]).ok();
    for name in ["late", "later"] {
        assert_eq!(work.read(&format!("{name}.psd")), content(name, 1), "{name}");
        assert!(world.object(&content(name, 1)).exists(), "{name}: the merge has sent it");
    }
    // Their pointers are of git-lfs still, until that is typed which help says.
    work.s3lfs(&["migrate", "lfs"]).ok().says(&["0 sent now"]);
    work.git(&["commit", "-qm", "migrated, too"]).ok();
    work.is_clean();
    assert_eq!(work.blob("HEAD:late.psd"), pointer(&content("late", 1)));
}
