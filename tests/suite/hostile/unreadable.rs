//! A commit of which Git does not read all: what was not looked at is never called fine.
//!
//! Apart because such trees are made object by object, past all that Git would say of them.

use crate::world::{Place, World};

/// A commit on top of HEAD, with raw content at a tracked path and this entry of a tree besides.
fn commit_with(work: &Place<'_>, entry: &str) -> String {
    let raw = work.git_with_input(&["hash-object", "-w", "--stdin", "--no-filters"], b"raw content").ok().stdout;
    let standing = work.git(&["ls-tree", "HEAD"]).ok().stdout;
    let entries = format!("{standing}100644 blob {}\traw.bin\n{entry}", raw.trim());
    let tree = work.git_with_input(&["mktree", "--missing"], entries.as_bytes()).ok().stdout;
    let commit = work.git(&["commit-tree", "-p", "HEAD", "-m", "raw", tree.trim()]).ok().stdout;
    commit.trim().to_owned()
}

#[test]
fn a_tree_that_git_does_not_read_is_an_error() {
    let world = World::with_a();
    let work = world.at("work");
    let sane = commit_with(&work, "");
    work.s3lfs(&["fsck", "--pointers", &sane]).fails(3).says(&["raw.bin"]);
    let blob = work.git(&["rev-parse", "HEAD:.gitattributes"]).ok().stdout;
    // Git takes the one for another name of its own directory, and has nothing of the other.
    for entry in [format!("100644 blob {}\tgit~1\n", blob.trim()), format!("040000 tree {}\tlost\n", "1".repeat(40))] {
        let commit = commit_with(&work, &entry);
        let judged = work.s3lfs(&["fsck", "--pointers", &commit]);
        assert_eq!(judged.code, 1, "{entry:?}: raw content stands in a commit of which not all was read: {judged:?}");
        let pushed = work.git(&["push", "-q", "origin", &format!("{commit}:refs/heads/other")]);
        assert_ne!(pushed.code, 0, "{entry:?}: and is not published unseen: {pushed:?}");
        let there = work.git(&["ls-remote", "origin", "refs/heads/other"]).ok().stdout;
        assert_eq!(there, "", "{entry:?}: nothing of it was pushed");
    }
}

#[test]
fn a_tag_of_a_blob_has_no_tree_and_is_pushed() {
    let world = World::with_a();
    let work = world.at("work");
    let blob = work.git(&["rev-parse", "HEAD:.gitattributes"]).ok().stdout;
    work.git(&["tag", "-a", "-m", "a key", "key", blob.trim()]).ok();
    work.git(&["push", "-q", "origin", "refs/tags/key"]).ok();
}
