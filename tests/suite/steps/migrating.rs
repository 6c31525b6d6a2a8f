//! What takes a repository over from another tool, or gives it back: `migrate lfs`, `migrate export [--lfs]`,
//! `migrate import`, `git-setup --lfs`.
//!
//! Apart from `setting_up` because history and the objects of another program are part of what must not be lost.

use std::fs;
use std::path::PathBuf;

use super::adding::large;
use super::bench::{Scenario, survives};
use crate::lfs::{content, is_here, lfs_pointer, with_store};
use crate::world::{Place, World, oid, pointer};

/// A history of the real git-lfs, with a store; of one file only the pointer is in the worktree.
fn of_git_lfs() -> World {
    let world = with_store();
    let work = world.at("work");
    work.remove("side.psd");
    work.env("GIT_LFS_SKIP_SMUDGE", "1").git(&["checkout", "-q", "--", "side.psd"]).ok();
    assert_eq!(work.text("side.psd"), lfs_pointer(&content("side", 1)));
    world
}

fn object_of_lfs(place: &Place<'_>, content: &[u8]) -> PathBuf {
    let oid = oid(content);
    place.join(".git/lfs/objects").join(&oid[..2]).join(&oid[2..4]).join(oid)
}

const LFS: Scenario = Scenario {
    name: "migrate lfs",
    prepare: of_git_lfs,
    line: "s3lfs migrate lfs",
    right: |world| {
        let work = world.at("work");
        for (name, n) in [("a", 1), ("a", 2), ("b", 1), ("gone", 1), ("side", 1), ("alone", 1)] {
            assert!(world.object(&content(name, n)).exists(), "all of history is in the store");
            assert!(object_of_lfs(&work, &content(name, n)).exists(), "what git-lfs has stays");
        }
        for (path, name, n) in [("a.psd", "a", 2), ("sub/c.bin", "b", 1)] {
            assert_eq!(work.blob(&format!(":{path}")), pointer(&content(name, n)));
            assert_eq!(work.read(path), content(name, n));
        }
        assert_eq!(work.text("side.psd"), pointer(&content("side", 1)), "what was a pointer is ours now");
        work.is_clean_but(&[
            "M  .gitattributes",
            "M  .s3_manifest.json",
            "M  a.psd",
            "M  copy.psd",
            "M  side.psd",
            "M  sub/.gitattributes",
            "M  sub/c.bin",
        ]);
    },
};

/// Content of ours in two directories; one file is a pointer whose content only the store has.
fn ours() -> World {
    let world = World::with_a();
    let work = world.at("work");
    work.s3lfs(&["track", "art/**"]).ok();
    work.write("art/b.psd", content("b", 1));
    work.write("art/large.psd", large());
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-qm", "more"]).ok();
    work.git(&["push", "-q"]).ok();
    work.leave_pointer("art/b.psd");
    world
}

fn are_staged(work: &Place<'_>) {
    work.is_clean_but(&["M  .gitattributes", "M  .s3_manifest.json", "M  a.bin", "M  art/b.psd", "M  art/large.psd"]);
}

const EXPORT: Scenario = Scenario {
    name: "migrate export",
    prepare: ours,
    line: "s3lfs migrate export",
    right: |world| {
        let work = world.at("work");
        assert_eq!(work.blob(":art/b.psd").as_bytes(), content("b", 1), "Git has it");
        assert_eq!(work.read("art/b.psd"), content("b", 1));
        assert!(work.read("art/large.psd") == large() && world.object(&large()).exists());
        assert_eq!(work.git(&["cat-file", "-s", ":art/large.psd"]).ok().stdout.trim(), large().len().to_string());
        assert!(!work.text(".gitattributes").contains("filter=s3lfs"));
        are_staged(&work);
    },
};

const EXPORT_TO_LFS: Scenario = Scenario {
    name: "migrate export --lfs",
    prepare: || {
        let world = ours();
        world.at("work").git(&["lfs", "install", "--local", "--skip-smudge", "--skip-repo"]).ok();
        world
    },
    line: "s3lfs migrate export --lfs",
    right: |world| {
        let work = world.at("work");
        for (path, content) in
            [("a.bin", b"content of a\n".to_vec()), ("art/b.psd", content("b", 1)), ("art/large.psd", large())]
        {
            assert_eq!(work.blob(&format!(":{path}")), lfs_pointer(&content));
            assert!(fs::read(object_of_lfs(&work, &content)).unwrap() == content, "git-lfs has {path}");
        }
        assert!(work.text(".gitattributes").contains("filter=lfs"));
        are_staged(&work);
    },
};

const IMPORT: Scenario = Scenario {
    name: "migrate import",
    prepare: || {
        let world = World::with_a();
        let work = world.at("work");
        work.commit("one.psd", &content("one", 1));
        work.write("dir/large.psd", large());
        work.commit("one.psd", &content("one", 2));
        work.git(&["add", "."]).ok();
        work.git(&["commit", "-qm", "large"]).ok();
        work.git(&["tag", "-a", "v1", "-m", "first"]).ok();
        world
    },
    line: "s3lfs migrate import --above 1k",
    right: |world| {
        let work = world.at("work");
        for (blob, content) in
            [("HEAD:dir/large.psd", large()), ("v1:one.psd", content("one", 2)), ("HEAD~2:one.psd", content("one", 1))]
        {
            assert_eq!(work.blob(blob), pointer(&content));
            let oid = oid(&content);
            assert!(work.read(&format!(".git/s3lfs/objects/{}/{oid}", &oid[..2])) == content, "the cache has {blob}");
        }
        let old = |name: &str| work.git(&["cat-file", "-s", &format!("refs/original/refs/{name}")]).ok().stdout;
        assert_eq!(old("heads/main:dir/large.psd").trim(), large().len().to_string(), "the old history stays");
        old("tags/v1:one.psd");
        assert!(work.read("dir/large.psd") == large());
        work.is_clean();
    },
};

/// With settings of git-lfs in the same file, which are put aside.
const DRIVER: Scenario = Scenario {
    name: "git-setup --lfs",
    prepare: || {
        let world = World::ready();
        let work = world.at("work");
        for (key, value) in [("clean", "git-lfs clean -- %f"), ("process", "git-lfs filter-process")] {
            work.git(&["config", "--local", &format!("filter.lfs.{key}"), value]).ok();
        }
        world
    },
    line: "s3lfs git-setup --lfs",
    right: |world| {
        let work = world.at("work");
        let settings = work.git(&["config", "--local", "--get-regexp", "^filter\\.lfs"]).ok().stdout;
        let mut settings: Vec<&str> = settings.lines().collect();
        settings.sort_unstable();
        assert_eq!(
            settings,
            [
                "filter.lfs-before-s3lfs.clean git-lfs clean -- %f",
                "filter.lfs-before-s3lfs.process git-lfs filter-process",
                "filter.lfs.clean s3lfs clean --lfs -- %f",
                "filter.lfs.process s3lfs filter-process --lfs",
                "filter.lfs.required true",
                "filter.lfs.smudge s3lfs smudge --lfs -- %f",
            ]
        );
    },
};

#[test]
fn migrate_lfs_survives() {
    if is_here() {
        survives(&LFS);
    }
}

#[test]
fn an_export_survives() {
    survives(&EXPORT);
}

#[test]
fn an_export_to_git_lfs_survives() {
    if is_here() {
        survives(&EXPORT_TO_LFS);
    }
}

#[test]
fn an_import_survives() {
    survives(&IMPORT);
}

#[test]
fn answering_for_git_lfs_survives() {
    survives(&DRIVER);
}
