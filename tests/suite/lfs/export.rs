//! `migrate export`: files go back to Git, or to the real git-lfs.

use std::fs;

use super::{content, is_here, lfs_pointer, without_git_lfs};
use crate::world::{MANIFEST, Place, World, oid, pointer};

/// Some files, pushed: `*.bin` and `art/**` are tracked.
fn ready() -> World {
    let world = World::ready();
    let work = world.at("work");
    work.s3lfs(&["track", "art/**"]).ok();
    for (path, name) in [("a.bin", "a"), ("b.bin", "b"), ("art/c d.psd", "c"), ("art/twice.psd", "a")] {
        work.write(path, content(name, 1));
    }
    work.write("art/empty.psd", "");
    work.sh("chmod 755 b.bin").ok();
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-qm", "files"]).ok();
    work.git(&["push", "-q"]).ok();
    world
}

const FILES: [(&str, &str); 4] = [("a.bin", "a"), ("b.bin", "b"), ("art/c d.psd", "c"), ("art/twice.psd", "a")];

#[track_caller]
fn has_all(place: &Place<'_>) {
    for (path, name) in FILES {
        assert_eq!(place.read(path), content(name, 1), "{path} has its content");
    }
}

/// The content of `path` as a blob.
fn raw(place: &Place<'_>, path: &str) -> Vec<u8> {
    place.blob(&format!(":{path}")).into_bytes()
}

#[test]
fn everything_goes_back_into_git_as_it_was() {
    let world = ready();
    let work = world.at("work");
    // One is here as a pointer only, one is in the cache alone.
    work.leave_pointer("art/c d.psd");
    let store = crate::world::snapshot(&world.path("store"));
    let dry = work.s3lfs(&["migrate", "export", "--dry-run"]).ok();
    dry.says(&["Would be given back: art/c d.psd", "Would be changed: .gitattributes", "4 files"]);
    work.is_clean();
    work.s3lfs(&["migrate", "export"]).ok().says(&["4 files", "with their content", "git commit"]);
    for (path, name) in FILES {
        assert_eq!(raw(&work, path), content(name, 1), "{path} is in Git");
    }
    has_all(&work);
    assert!(!work.blob(":.gitattributes").contains("filter=s3lfs"), "no line is left");
    assert!(work.index().contains("100755"), "modes stay");
    work.git(&["commit", "-qm", "back"]).ok();
    work.is_clean();
    assert_eq!(work.manifest()["files"], serde_json::json!({}), "the manifest follows");
    assert_eq!(crate::world::snapshot(&world.path("store")), store, "nothing is deleted in the store");
    work.git(&["push", "-q"]).ok();
    world.at("").git(&["clone", "-q", "remote.git", "plain"]).ok();
    has_all(&world.at("plain"));
    // And the commit before is still ours.
    work.git(&["checkout", "-q", "HEAD~1"]).ok();
    has_all(&work);
    work.is_clean();
    work.git(&["checkout", "-q", "main"]).ok();
    work.s3lfs(&["migrate", "export"]).ok().says(&["Nothing is tracked"]);
}

#[test]
fn one_pattern_goes_and_the_others_stay() {
    let world = ready();
    let work = world.at("work");
    work.write("b.bin", "my own work");
    work.s3lfs(&["migrate", "export", "art/**"]).ok().says(&["2 files"]);
    assert_eq!(raw(&work, "art/c d.psd"), content("c", 1));
    assert!(work.blob(":a.bin").starts_with("version s3lfs/1\n"), "*.bin was not asked for");
    work.s3lfs(&["migrate", "export", "/a.bin"]).ok().says(&["1 file"]);
    assert_eq!(raw(&work, "a.bin"), content("a", 1));
    assert!(work.blob(":b.bin").starts_with("version s3lfs/1\n"), "the wider pattern keeps the rest");
    let status = work.git(&["status", "--porcelain"]).ok().stdout;
    assert!(status.contains(" M b.bin"), "a change of one's own is neither staged nor lost: {status}");
    assert_eq!(work.text("b.bin"), "my own work");
    work.git(&["commit", "-qm", "some"]).ok();
    work.is_clean_but(&[" M b.bin"]);
    assert_eq!(work.manifest()["files"].as_object().unwrap().keys().collect::<Vec<_>>(), ["b.bin"]);
    work.commit("new.bin", &content("new", 1));
    assert!(work.blob(":new.bin").starts_with("version s3lfs/1\n"));
    work.git(&["push", "-q"]).ok();
}

#[test]
fn without_all_content_nothing_is_changed() {
    let world = ready();
    let work = world.at("work");
    work.leave_pointer("a.bin");
    work.leave_pointer("art/twice.psd");
    fs::remove_file(world.object(&content("a", 1))).unwrap();
    let (index, attributes) = (work.index(), work.text(".gitattributes"));
    work.s3lfs(&["migrate", "export"]).fails(3).says(&["a.bin", "art/twice.psd", "nothing was staged"]);
    work.is_clean();
    assert_eq!((work.index(), work.text(".gitattributes")), (index, attributes));
    // A damaged copy in the cache is no content: the worktree's is.
    work.git(&["checkout", "-q", "--", "."]);
    let oid = oid(&content("b", 1));
    let cached = work.join(".git/s3lfs/objects").join(&oid[..2]).join(&oid);
    fs::create_dir_all(cached.parent().unwrap()).unwrap();
    fs::write(&cached, vec![b'x'; content("b", 1).len()]).unwrap();
    work.s3lfs(&["migrate", "export", "/b.bin"]).ok();
    assert_eq!(raw(&work, "b.bin"), content("b", 1));
}

#[test]
fn what_was_stopped_before_the_attributes_goes_on() {
    let world = ready();
    let work = world.at("work");
    // As a kill right after the index leaves it.
    for (path, name) in FILES {
        work.write("blob", content(name, 1));
        let id = work.git(&["hash-object", "-w", "--no-filters", "blob"]).ok().stdout;
        let mode = if path == "b.bin" { "100755" } else { "100644" };
        work.git(&["update-index", "--cacheinfo", &format!("{mode},{},{path}", id.trim())]).ok();
    }
    work.remove("blob");
    work.s3lfs(&["migrate", "export"]).ok();
    assert!(!work.blob(":.gitattributes").contains("filter=s3lfs"));
    // Or right before the manifest.
    work.git(&["restore", "--staged", "--worktree", MANIFEST]).ok();
    work.s3lfs(&["migrate", "export"]).ok();
    assert!(!work.blob(&format!(":{MANIFEST}")).contains("a.bin"), "the manifest follows without a hook");
    work.git(&["commit", "-qm", "back"]).ok();
    work.is_clean();
    has_all(&work);
    assert_eq!(work.manifest()["files"], serde_json::json!({}));
}

#[test]
fn what_was_stopped_goes_on_with_patterns_too() {
    let world = ready();
    let work = world.at("work");
    for (path, name) in [("art/c d.psd", "c"), ("art/twice.psd", "a")] {
        work.write("blob", content(name, 1));
        let id = work.git(&["hash-object", "-w", "--no-filters", "blob"]).ok().stdout;
        work.git(&["update-index", "--cacheinfo", &format!("100644,{},{path}", id.trim())]).ok();
    }
    work.remove("blob");
    work.s3lfs(&["migrate", "export", "art/**"]).ok();
    let attributes = work.blob(":.gitattributes");
    assert!(!attributes.contains("art/**") && attributes.contains("*.bin"), "what was asked for goes: {attributes}");
    work.git(&["commit", "-qm", "back"]).ok();
    work.is_clean();
    has_all(&work);
    assert_eq!(work.manifest()["files"].as_object().unwrap().len(), 2, "the others stay");
    work.git(&["push", "-q"]).ok();
    work.s3lfs(&["migrate", "export", "art/**"]).ok().says(&["Nothing is tracked"]);
}

#[test]
fn files_go_to_git_lfs_which_pushes_and_checks_them_out() {
    if !is_here() {
        return;
    }
    let world = ready();
    let work = world.at("work");
    work.leave_pointer("art/c d.psd");
    let said = work.s3lfs(&["migrate", "export", "--lfs"]).ok().says(&["4 files", "then git push"]).stderr;
    for (path, name) in FILES {
        assert_eq!(work.blob(&format!(":{path}")), lfs_pointer(&content(name, 1)));
    }
    assert_eq!(work.text("art/c d.psd"), lfs_pointer(&content("c", 1)), "a pointer stays one, of git-lfs");
    assert!(work.text(".gitattributes").starts_with("*.bin filter=lfs diff=lfs merge=lfs -text\n"));
    let command = said.lines().find_map(|line| line.strip_prefix("So that 'git push' sends these objects, run: "));
    work.sh(command.expect("one command is offered")).ok();
    work.git(&["commit", "-qm", "to git-lfs"]).ok();
    work.git(&["lfs", "fsck"]).ok();
    work.git(&["push", "-q"]).ok();
    for (path, name) in FILES {
        let oid = oid(&content(name, 1));
        let there = world.path("remote.git/lfs/objects").join(&oid[..2]).join(&oid[2..4]).join(&oid);
        assert!(there.exists(), "the push has sent the object of {path}");
    }
    work.git(&["lfs", "checkout"]).ok();
    work.is_clean();
    has_all(&work);
    // Both keep what they have: the older commits, and what s3lfs gets from now on.
    work.git(&["checkout", "-q", "HEAD~1"]).ok();
    has_all(&work);
    work.is_clean();
    work.git(&["checkout", "-q", "main"]).ok();
    work.s3lfs(&["track", "*.raw"]).ok();
    work.write("new.raw", content("new", 1));
    work.write("new.psd", content("newer", 1));
    work.write("art/later.psd", content("later", 1));
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-qm", "new"]).ok();
    assert!(work.blob(":new.raw").starts_with("version s3lfs/1\n"));
    assert_eq!(work.blob(":art/later.psd"), lfs_pointer(&content("later", 1)));
    work.git(&["push", "-q"]).ok();
    assert!(world.object(&content("new", 1)).exists(), "our hook is there too");
    work.write("lost.raw", pointer(b"lost"));
    work.git(&["add", "lost.raw"]).ok();
    work.git(&["commit", "-qm", "lost"]).ok();
    let push = work.git(&["push", "-q"]);
    assert_ne!(push.code, 0, "and refuses: {push:#?}");
    push.says(&["lost.raw", "push refused"]);
    work.git(&["reset", "-q", "--hard", "HEAD~1"]).ok();
    // Where git-lfs is set up already, there is nothing to run.
    let again = work.s3lfs(&["migrate", "export", "--lfs", "*.raw"]).ok();
    again.says(&["1 file", "then git push"]).never_says(&["git lfs install"]);
    work.git(&["reset", "-q", "--hard"]).ok();
    work.git(&["reset", "-q", "--hard", "HEAD~1"]).ok();
    work.git(&["push", "-qf"]).ok();
    // Somebody who has git-lfs, and no s3lfs.
    let theirs = world.at("theirs");
    theirs.in_dir(&world.at("")).git(&["clone", "-q", "remote.git", "theirs", "--no-checkout"]).ok();
    theirs.git(&["lfs", "install", "--local"]).ok();
    theirs.git(&["checkout", "-q", "main"]).ok();
    has_all(&theirs);
    theirs.is_clean();

    // And back again: a round trip ends where it began.
    work.s3lfs(&["migrate", "lfs"]).ok();
    work.git(&["commit", "-qm", "ours again"]).ok();
    work.is_clean();
    let diff = work.git(&["diff", "--stat", "HEAD~2", "HEAD", "--", ".", &format!(":!{MANIFEST}")]).ok().stdout;
    assert_eq!(diff, "", "pointers and attributes are what they were");
}

#[test]
fn without_git_lfs_it_says_what_to_do_first() {
    let world = ready();
    let work = without_git_lfs(&world.at("work"));
    work.s3lfs(&["git-setup", "--lfs"]).ok();
    let said = work.s3lfs(&["migrate", "export", "--lfs"]).ok();
    said.says(&["install git-lfs, then run: s3lfs git-setup --uninstall; git lfs install --local; s3lfs git-setup"]);
    work.git(&["commit", "-qm", "to git-lfs"]).ok();
    work.is_clean();
}
