//! Whatever can't be seen whole or understood ends cleanup before the first deletion.

use std::fs;

use super::bench::{
    GARBAGE, cleanup, commit_of, commit_tree, forget_reflogs, name, ready, refuses, text_blob, tree, works_again,
};
use crate::world::{MANIFEST, Place, oid, pointer};

/// The file of a loose object.
fn loose(place: &Place<'_>, id: &str) -> std::path::PathBuf {
    place.join(&format!(".git/objects/{}/{}", &id[..2], &id[2..]))
}

/// The store is the accepted one, and nothing here says by which name this repository stands in it.
#[test]
fn a_commit_without_a_manifest() {
    let world = ready();
    let work = world.at("work");
    let empty = commit_tree(&work, &tree(&work, &[]), &[]);
    for switch in [&["switch", "-q", "main"][..], &["checkout", "-q", "--detach", "main"]] {
        work.git(switch).ok();
        if work.git(&["branch", "--show-current"]).ok().stdout.is_empty() {
            work.git(&["branch", "-qD", "main"]).ok();
        }
        let at = work.head();
        work.git(&["checkout", "-q", "--detach", &empty]).ok();
        let refused = work.s3lfs(&["cleanup", "--force"]).fails(1);
        refused.says(&["does not say", "nothing was deleted", "git switch "]).never_says(&["another repo"]);
        assert!(world.object(GARBAGE).exists());
        work.git(&["checkout", "-q", "--detach", &at]).ok();
    }
    works_again(&work);
    // Nobody here ever had that name.
    work.git(&["checkout", "-q", "--detach", &empty]).ok();
    let dir = world.path("store/proj/repositories");
    let ours = fs::read_dir(&dir).unwrap().next().unwrap().unwrap().path();
    fs::rename(ours, dir.join("0b54e1ae-6a7d-4d3f-8f0c-5b8a3f8f0c5b.json")).unwrap();
    work.s3lfs(&["cleanup", "--force"]).fails(1).says(&["another repository (0b54e1ae"]);
}

#[test]
fn a_shallow_clone() {
    let world = ready();
    world.at("work").commit("a.bin", b"later");
    world.at("work").git(&["push", "-q"]).ok();
    world.at("").git(&["clone", "-q", "--depth", "1", &world.url("remote.git"), "shallow"]).ok();
    let shallow = world.at("shallow");
    shallow.s3lfs(&["git-setup"]).ok();
    refuses(&shallow, &["shallow", "git fetch --unshallow"]);
    shallow.git(&["fetch", "-q", "--unshallow"]).ok();
    works_again(&shallow);
}

#[test]
fn a_partial_clone_with_missing_objects() {
    let world = ready();
    let work = world.at("work");
    work.commit("a.bin", b"one");
    work.commit("a.bin", b"two");
    work.git(&["push", "-q"]).ok();
    world.at("remote.git").git(&["config", "uploadpack.allowFilter", "true"]).ok();
    for filter in ["blob:none", "tree:0"] {
        world.at("").git(&["clone", "-q", &format!("--filter={filter}"), &world.url("remote.git"), filter]).ok();
        let partial = world.at(filter);
        partial.s3lfs(&["git-setup"]).ok();
        refuses(&partial, &["can't be walked whole", "nothing was deleted"]);
    }
    let partial = world.at("blob:none");
    partial.git(&["config", "--unset", "remote.origin.partialclonefilter"]).ok();
    partial.git(&["fetch", "-q", "--refetch"]).ok();
    works_again(&partial);
}

#[test]
fn objects_that_are_missing_or_damaged() {
    let world = ready();
    let work = world.at("work");
    let blob = text_blob(&work, "a small blob");
    let large = text_blob(&work, "large ".repeat(1000));
    let below = tree(&work, &[("small", &blob), ("large", &large)]);
    let parent = commit_tree(&work, &below, &[]);
    let tip = commit_tree(&work, &tree(&work, &[]), &[&parent]);
    name(&work, "refs/heads/odd", &tip);
    for (what, id) in [("blob", &blob), ("large blob", &large), ("tree", &below), ("commit", &parent), ("tip", &tip)] {
        let path = loose(&work, id);
        let bytes = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        eprintln!("a missing {what}");
        refuses(&work, &["nothing was deleted", "git fsck"]);
        // What is damaged beyond its head is content only of small blobs.
        let damaged = [&bytes[..bytes.len() / 2], &[0; 8]].concat();
        fs::write(&path, damaged).unwrap();
        eprintln!("a damaged {what}");
        if what != "large blob" {
            refuses(&work, &["nothing was deleted", "git fsck"]);
        }
        fs::write(&path, "").unwrap();
        eprintln!("an empty {what}");
        refuses(&work, &["nothing was deleted", "git fsck"]);
        fs::remove_file(&path).unwrap();
        fs::write(&path, bytes).unwrap();
    }
    works_again(&work);
}

#[test]
fn a_reflog_that_names_what_was_pruned() {
    let world = ready();
    let work = world.at("work");
    work.commit("a.bin", b"amended away");
    let gone = work.head();
    work.git(&["commit", "-q", "--amend", "-m", "amended"]).ok();
    fs::remove_file(loose(&work, &gone)).unwrap();
    refuses(&work, &["reflog", "nothing was deleted"]);
    forget_reflogs(&work);
    works_again(&work);
}

#[test]
fn refs_that_are_damaged() {
    let world = ready();
    let work = world.at("work");
    commit_of(&work, b"of the branch");
    for damaged in ["", "garbage\n", "0000000000000000000000000000000000000000\n", &format!("{}\n", "5".repeat(40))] {
        work.write(".git/refs/heads/damaged", damaged);
        eprintln!("{damaged:?}");
        refuses(&work, &["nothing was deleted"]);
        refuses(&work.env("GIT_REF_PARANOIA", "0"), &["nothing was deleted"]);
    }
    work.remove(".git/refs/heads/damaged");
    work.git(&["symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/nothing"]).ok();
    works_again(&work);
}

#[test]
fn what_a_later_version_wrote() {
    let world = ready();
    let work = world.at("work");
    let later = pointer(b"x").replace("s3lfs/1", "s3lfs/2");
    let manifest = work.text(MANIFEST).replace("\"format\": 1", "\"format\": 2");
    let filler = format!("{{\n    \"x-filler\": \"{}\",", "x".repeat(2000));
    for (path, text, why) in [
        ("x.bin", later.as_str(), "s3lfs/2"),
        (MANIFEST, manifest.as_str(), "format 2"),
        (MANIFEST, manifest.replacen('{', &filler, 1).as_str(), "format 2"),
    ] {
        let old = commit_tree(&work, &tree(&work, &[(path, &text_blob(&work, text))]), &[]);
        name(&work, "refs/heads/later", &commit_tree(&work, &tree(&work, &[]), &[&old]));
        refuses(&work, &[why, "update s3lfs", "nothing was deleted"]);
        work.git(&["update-ref", "-d", "refs/heads/later"]).ok();
    }
    work.git(&["worktree", "add", "-q", "--detach", "../linked"]).ok();
    world.at("linked").write(MANIFEST, &manifest);
    refuses(&work, &["format 2", "update s3lfs"]);
    work.git(&["worktree", "remove", "--force", "../linked"]).ok();
    works_again(&work);
}

#[test]
fn marks_of_a_later_version() {
    let world = ready();
    let work = world.at("work");
    let path = world.path(&format!("store/proj/cleanup/{}.json", &oid(GARBAGE)[..2]));
    let marks = fs::read_to_string(&path).expect("the garbage is marked");
    fs::write(&path, marks.replace("\"format\":1", "\"format\":2")).unwrap();
    refuses(&work, &["format 2", "update s3lfs"]);
    fs::write(&path, &marks[..marks.len() - 3]).unwrap();
    cleanup(&work).ok();
    assert!(world.object(GARBAGE).exists(), "a damaged mark proves no age: it is made anew");
    fs::write(&path, marks).unwrap();
    works_again(&work);
}

#[test]
fn a_directory_that_cannot_be_listed() {
    let world = ready();
    let work = world.at("work");
    let dir = world.object(GARBAGE).parent().unwrap().to_owned();
    // Root reads everything; a loop of links is an error for everybody.
    std::os::unix::fs::symlink(&dir, dir.join("loop")).unwrap();
    refuses(&work, &["list"]);
    fs::remove_file(dir.join("loop")).unwrap();
    works_again(&work);
}
