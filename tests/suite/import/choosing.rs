//! Which files become pointers, and in which refs.

use super::{large, map, raw};
use crate::world::{
    World, {oid, pointer, snapshot},
};

#[test]
fn patterns_choose_whatever_the_size_and_are_tracked_from_then_on() {
    let world = raw();
    let work = world.at("work");
    for (path, content) in [("a.psd", b"small".to_vec()), ("keep/b.psd", large("b", 1)), ("c.bin", large("c", 1))] {
        work.commit(path, &content);
    }
    work.write("e.psd", "");
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-qm", "empty"]).ok();
    work.s3lfs(&["migrate", "import", "--include", "*.psd", "--exclude", "keep/**"]).ok();
    work.is_clean();
    assert_eq!(work.blob("HEAD:a.psd"), pointer(b"small"));
    assert_eq!(work.blob("HEAD:keep/b.psd").into_bytes(), large("b", 1), "that was left out");
    assert_eq!(work.blob("HEAD:c.bin").into_bytes(), large("c", 1), "and this not named");
    assert_eq!(work.blob("HEAD:e.psd"), "", "what is empty stays empty");
    assert!(work.text(".gitattributes").starts_with("*.psd filter=s3lfs diff=s3lfs merge=binary -text\n"));
    work.commit("new.psd", b"new");
    assert_eq!(work.blob(":new.psd"), pointer(b"new"));
    work.commit("keep/new.psd", b"new");
    assert_eq!(work.blob(":keep/new.psd"), "new", "the exception holds from then on, too");
}

#[test]
fn a_pattern_and_a_size_choose_what_is_both() {
    let world = raw();
    let work = world.at("work");
    work.commit("small.psd", b"small");
    work.commit("grown.psd", b"small at first");
    work.commit("grown.psd", &large("grown", 1));
    work.commit("large.bin", &large("large", 1));
    let ran = work.s3lfs(&["migrate", "import", "--include", "*.psd", "--above", "1KB"]).ok();
    assert_eq!(map(&ran.stdout).len(), 3, "from where it first stood");
    work.is_clean();
    assert_eq!(work.blob("HEAD:small.psd"), "small");
    assert_eq!(work.blob("HEAD~2:grown.psd"), pointer(b"small at first"), "all versions of a file are of one kind");
    assert_eq!(work.blob("HEAD:large.bin").into_bytes(), large("large", 1));
    assert!(work.text(".gitattributes").starts_with("/grown.psd filter=s3lfs"));
}

#[test]
fn only_the_refs_that_are_named_move() {
    let world = raw();
    let work = world.at("work");
    work.commit("a.psd", &large("a", 1));
    work.git(&["tag", "v1"]).ok();
    work.git(&["checkout", "-qb", "side"]).ok();
    work.commit("b.psd", &large("b", 1));
    let id = |name: &str| work.git(&["rev-parse", name]).ok().stdout;
    let (main, tag, side) = (id("main"), id("v1"), id("side"));
    work.s3lfs(&["migrate", "import", "--above", "1k", "main"]).ok().says(&["1 ref moved"]);
    assert!(id("main") != main && id("v1") == tag && id("side") == side);
    work.is_clean();
    assert_eq!(work.blob("main:a.psd"), pointer(&large("a", 1)));
    assert_eq!(work.read("a.psd"), large("a", 1), "another branch is checked out, and stays");
}

#[test]
fn a_dry_run_says_what_there_is_and_changes_nothing() {
    let world = raw();
    let work = world.at("work");
    work.commit("a.psd", &large("a", 1));
    work.commit("a.psd", &large("a", 2));
    work.commit("Makefile", &large("make", 1));
    work.write("mine", "not committed");
    let before = snapshot(&work.dir);
    let ran = work.s3lfs(&["migrate", "import", "--above", "1k", "--dry-run", "--json"]).ok().json("migrate");
    let bytes = large("a", 1).len() + large("a", 2).len();
    let expected = serde_json::json!([
        { "kind": "*.psd", "blobs": 2, "bytes": bytes },
        { "kind": "Makefile", "blobs": 1, "bytes": large("make", 1).len() },
    ]);
    assert_eq!(ran["items"], expected);
    work.s3lfs(&["migrate", "import", "--above", "1k", "--dry-run"]).ok().says(&["*.psd: 2 versions", "2 paths"]);
    work.s3lfs(&["migrate", "import", "--above", "1GB"]).ok().says(&["nothing to rewrite"]);
    let after: Vec<_> = snapshot(&work.dir);
    let git = |path: &std::path::Path| {
        path.starts_with(work.join(".git/objects")) || path.starts_with(work.join(".git/s3lfs"))
    };
    let but = |files: Vec<(std::path::PathBuf, Vec<u8>)>| -> Vec<_> {
        files.into_iter().filter(|(path, _)| !git(path)).collect()
    };
    assert!(but(before) == but(after), "but for objects that nobody names, all is as it was");
}

#[test]
fn the_manifest_of_each_tip_names_the_files_as_the_next_commit_would() {
    let world = raw();
    let work = world.at("work");
    work.commit("a.psd", &large("a", 1));
    work.s3lfs(&["init", &world.url("store"), "proj"]).ok();
    work.git(&["add", ".s3_manifest.json"]).ok();
    work.commit("dir/b.psd", &large("b", 1));
    work.git(&["branch", "side"]).ok();
    work.git(&["rm", "-q", "a.psd"]).ok();
    work.git(&["commit", "-qm", "deleted"]).ok();
    work.s3lfs(&["migrate", "import", "--include", "*.psd"]).ok();
    work.is_clean();
    let named = |tip: &str| {
        let manifest: serde_json::Value =
            serde_json::from_str(&work.blob(&format!("{tip}:.s3_manifest.json"))).expect("JSON");
        manifest["files"].clone()
    };
    let (a, b) = (oid(&large("a", 1)), oid(&large("b", 1)));
    assert_eq!(named("main"), serde_json::json!({ "dir/b.psd": b }), "what is there");
    assert_eq!(named("side"), serde_json::json!({ "a.psd": a, "dir/b.psd": b }), "at each tip");
    assert_eq!(work.manifest()["files"], named("main"), "and in the worktree");
    // The next commit has nothing of its own to add.
    let ran = work.git(&["commit", "-m", "nothing"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    work.is_clean();
    work.git(&["push", "-q", "origin", "main", "side"]).ok();
    work.git(&["switch", "-q", "side"]).ok();
    work.is_clean();
    work.s3lfs(&["fsck"]).ok();
}

#[test]
fn a_dry_run_needs_no_set_up() {
    let world = World::new();
    let work = world.at("work");
    work.commit("a.psd", &large("a", 1));
    work.s3lfs(&["migrate", "import", "--above", "1k"]).fails(1).says(&["s3lfs git-setup"]);
    work.s3lfs(&["migrate", "import", "--above", "1k", "--dry-run"]).ok().says(&["*.psd: 1 version"]);
    assert_eq!(work.git(&["config", "filter.s3lfs.process"]).stdout, "", "and sets nothing up");
}
