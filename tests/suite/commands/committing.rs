//! What happens on `git commit`: uploads, the manifest, and no network.

use crate::world::{MANIFEST, World, oid, pointer};

#[test]
fn a_commit_uploads_and_records() {
    let world = World::ready();
    let work = world.at("work");
    work.write("deep/a.bin", "a");
    work.sub("deep").git(&["add", "a.bin"]).ok();
    assert!(!world.object(b"a").exists(), "git add touches no network");
    work.sub("deep").git(&["commit", "-qm", "a"]).ok();
    assert!(world.object(b"a").exists(), "the commit does");
    assert_eq!(work.blob("HEAD:deep/a.bin"), pointer(b"a"));
    assert_eq!(work.manifest()["files"]["deep/a.bin"], oid(b"a"));
    assert_eq!(work.blob(&format!("HEAD:{MANIFEST}")), work.text(MANIFEST), "the manifest is part of the commit");
    work.is_clean();
}

#[test]
fn offline_the_commit_goes_with_a_warning_and_a_later_push_uploads() {
    let world = World::ready();
    let work = world.at("work");
    world.unplug();
    work.write("a.bin", "a");
    work.git(&["add", "a.bin"]).ok();
    let ran = work.git(&["commit", "-qm", "offline"]).ok();
    ran.says(&["warning", "not uploaded", "git push"]);
    assert_eq!(work.manifest()["files"]["a.bin"], oid(b"a"), "it is recorded all the same");
    work.is_clean();
    let refused = work.git(&["push", "-q"]);
    assert_ne!(refused.code, 0, "offline it can't be published: {refused:#?}");
    world.plug();
    work.git(&["push", "-q"]).ok();
    assert!(world.object(b"a").exists(), "the push uploads it");
    assert_eq!(world.cloned("other").read("a.bin"), b"a");
}

#[test]
fn what_an_earlier_commit_could_not_upload_goes_with_the_next() {
    let world = World::ready();
    let work = world.at("work");
    world.unplug();
    work.write("a.bin", "a");
    work.git(&["add", "a.bin"]).ok();
    work.git(&["commit", "-qm", "offline"]).ok();
    world.plug();
    work.commit("b.bin", b"b");
    assert!(world.object(b"a").exists() && world.object(b"b").exists(), "both are there now");
}

#[test]
fn offlinecommit_fail_refuses_and_leaves_everything_as_it_was() {
    let world = World::with_a();
    let work = world.at("work");
    work.git(&["config", "s3lfs.offlinecommit", "fail"]).ok();
    world.unplug();
    work.write("a.bin", "second a");
    for args in [&["commit", "-qam", "x"][..], &["commit", "-qm", "x", "a.bin"], &["commit", "-qm", "x"]] {
        if args.len() == 3 && args[1] == "-qm" {
            work.git(&["add", "a.bin"]).ok();
        }
        let before = (work.index(), work.head(), work.read(MANIFEST));
        let ran = work.git(args);
        assert_ne!(ran.code, 0, "{args:?} is refused: {ran:#?}");
        ran.says(&["store"]);
        assert_eq!((work.index(), work.head(), work.read(MANIFEST)), before, "{args:?} leaves all as it was");
        assert_eq!(work.read("a.bin"), b"second a", "and the content above all");
    }
    world.plug();
    work.git(&["commit", "-qam", "x"]).ok();
    assert!(world.object(b"second a").exists());
}

#[test]
fn uploadon_push_leaves_it_to_the_push() {
    let world = World::ready();
    let work = world.at("work");
    work.git(&["config", "s3lfs.uploadon", "push"]).ok();
    let ran = work.commit("a.bin", b"a");
    assert!(!world.object(b"a").exists(), "the commit uploads nothing");
    assert!(!ran.stderr.contains("warning"), "and that is no cause for a warning: {}", ran.stderr);
    assert_eq!(work.manifest()["files"]["a.bin"], oid(b"a"), "but it records");
    work.git(&["push", "-q"]).ok();
    assert!(world.object(b"a").exists(), "the push uploads");
}

#[test]
fn commit_with_a_path_leaves_a_clean_status() {
    let world = World::with_a();
    let work = world.at("work");
    work.write("a.bin", "second a");
    work.git(&["commit", "-qm", "by path", "a.bin"]).ok();
    work.is_clean();
    assert_eq!(work.blob(":a.bin"), pointer(b"second a"));
    assert_eq!(work.blob(&format!("HEAD:{MANIFEST}")), work.text(MANIFEST), "the commit has the projected manifest");
    assert_eq!(work.manifest()["files"]["a.bin"], oid(b"second a"));
    assert!(world.object(b"second a").exists(), "post-commit uploads it");

    work.write("a.bin", "third a");
    work.write("b.bin", "staged b");
    work.git(&["add", "b.bin"]).ok();
    work.git(&["commit", "-qm", "only a", "--", "a.bin"]).ok();
    let head = work.blob(&format!("HEAD:{MANIFEST}"));
    assert!(head.contains(&oid(b"third a")) && !head.contains(&oid(b"staged b")), "only what is committed: {head}");
    work.git(&["commit", "-qm", "then b"]).ok();
    assert!(work.blob(&format!("HEAD:{MANIFEST}")).contains(&oid(b"staged b")), "and the rest with the next commit");
    assert!(work.blob(&format!("HEAD:{MANIFEST}")).contains(&oid(b"third a")), "which reverts nothing");
    work.is_clean();
}

#[test]
fn commit_all_and_amend_leave_a_clean_status() {
    let world = World::with_a();
    let work = world.at("work");
    work.write("a.bin", "second a");
    work.git(&["commit", "-qam", "all"]).ok();
    work.is_clean();
    assert!(world.object(b"second a").exists(), "post-commit uploads what -a committed");
    assert_eq!(work.manifest()["files"]["a.bin"], oid(b"second a"));
    work.write("a.bin", "third a");
    work.git(&["commit", "-qa", "--amend", "--no-edit"]).ok();
    work.is_clean();
    assert_eq!(work.blob(&format!("HEAD:{MANIFEST}")), work.text(MANIFEST));
    work.write("a.bin", "fourth a");
    work.git(&["commit", "-q", "--amend", "--no-edit", "a.bin"]).ok();
    work.is_clean();
    assert!(work.blob(&format!("HEAD:{MANIFEST}")).contains(&oid(b"fourth a")));
    work.git(&["push", "-q"]).ok();
}

#[test]
fn the_first_commit_of_a_repository_by_path_and_with_all() {
    for args in [&["commit", "-qm", "x", "a.bin", ".gitattributes"][..], &["commit", "-qam", "x"]] {
        let world = World::new();
        let work = world.at("work");
        work.s3lfs(&["init", &world.url("store"), "proj"]).ok();
        work.s3lfs(&["git-setup", "--track", "*.bin"]).ok();
        work.write("a.bin", "a");
        work.git(&["add", "a.bin", ".gitattributes"]).ok();
        work.git(args).ok();
        work.is_clean();
        assert_eq!(work.blob(&format!("HEAD:{MANIFEST}")), work.text(MANIFEST), "{args:?} takes the manifest along");
        assert_eq!(work.manifest()["files"]["a.bin"], oid(b"a"));
    }
}

#[test]
fn a_manifest_that_was_only_announced_is_part_of_the_commit() {
    for with_commit in [false, true] {
        let world = World::new();
        let work = world.at("work");
        if with_commit {
            work.git(&["commit", "-q", "--allow-empty", "-m", "before"]).ok();
        }
        work.s3lfs(&["init", &world.url("store"), "proj"]).ok();
        work.s3lfs(&["git-setup", "--track", "*.bin"]).ok();
        work.write("a.bin", "a");
        work.git(&["add", "a.bin", ".gitattributes"]).ok();
        work.git(&["reset", "-q", "--", MANIFEST]).ok();
        work.git(&["add", "--intent-to-add", MANIFEST]).ok();
        work.git(&["commit", "-qm", "x"]).ok();
        work.is_clean();
        assert_eq!(work.blob(&format!("HEAD:{MANIFEST}")), work.text(MANIFEST), "{with_commit}");
        assert_eq!(work.manifest()["files"]["a.bin"], oid(b"a"));
    }
}

#[test]
fn a_commit_that_brings_nothing_large_needs_no_store() {
    let world = World::with_a();
    let work = world.at("work");
    world.unplug();
    work.commit("plain.txt", b"plain").never_says(&["warning"]);
    work.git(&["commit", "-q", "--allow-empty", "-m", "empty"]).ok().never_says(&["warning"]);
    work.is_clean();
}

#[test]
fn a_linked_worktree_commits_like_the_first() {
    let world = World::with_a();
    world.at("work").git(&["worktree", "add", "-q", "../linked", "-b", "linked"]).ok();
    let linked = world.at("linked");
    assert_eq!(linked.read("a.bin"), b"content of a\n", "the cache is shared");
    linked.commit("b.bin", b"b");
    linked.write("a.bin", "second a");
    linked.git(&["commit", "-qam", "all"]).ok();
    linked.is_clean();
    assert!(world.object(b"b").exists() && world.object(b"second a").exists());
    linked.git(&["push", "-q", "origin", "linked"]).ok();
    assert_eq!(world.at("work").read("a.bin"), b"content of a\n", "the other worktree is left alone");
    world.at("work").is_clean();
}

#[test]
fn odd_names_go_all_the_way_and_one_that_is_not_utf8_is_carried_by_git_alone() {
    use std::os::unix::ffi::OsStrExt;
    let world = World::ready();
    let work = world.at("work");
    let names =
        ["sp ace.bin", "quo\"te's.bin", "new\nline.bin", "-dash.bin", "ünï.bin", "*glob?[x].bin", "back\\slash.bin"];
    for name in names {
        work.write(name, name);
    }
    let raw = std::path::Path::new(std::ffi::OsStr::from_bytes(b"not-\xff-utf8.bin")).to_owned();
    std::fs::write(work.dir.join(&raw), "raw name").unwrap();
    work.git(&["add", "--all"]).ok();
    work.git(&["commit", "-qm", "odd"]).ok().says(&["warning", "not UTF-8"]);
    let manifest = work.manifest();
    assert_eq!(manifest["files"].as_object().unwrap().len(), names.len(), "each that can be a key is one");
    for name in names {
        assert_eq!(manifest["files"][name], oid(name.as_bytes()), "{name:?}");
    }
    work.git(&["push", "-q"]).ok();
    let other = world.cloned("other");
    for name in names {
        assert_eq!(other.text(name), name, "{name:?} arrives");
    }
    assert_eq!(std::fs::read(other.dir.join(&raw)).unwrap(), b"raw name", "and so does the one that is not UTF-8");
    other.is_clean();
    let json = other.s3lfs(&["status", "--json"]).ok().json("status");
    assert_eq!(json["items"].as_array().unwrap().len(), names.len() + 1, "all of them are listed");
    other.remove("new\nline.bin");
    other.s3lfs(&["download", "new\nline.bin"]).ok();
    assert_eq!(other.text("new\nline.bin"), "new\nline.bin");
    for name in names {
        work.write(name, format!("second {name}"));
        work.s3lfs(&["upload", "--", name]).ok();
    }
    work.git(&["commit", "-qm", "second"]).ok();
    work.is_clean();
}

#[test]
fn a_commit_all_that_is_given_up_leaves_the_worktree_manifest_alone() {
    let world = World::with_a();
    let work = world.at("work");
    work.write("a.bin", "changed");
    assert_ne!(work.env("GIT_EDITOR", "false").git(&["commit", "-qa"]).code, 0, "the editor gives up");
    assert_eq!(work.git(&["status", "--porcelain"]).ok().stdout, " M a.bin\n", "only the user's own change is left");
    work.git(&["commit", "-qam", "changed"]).ok();
    work.is_clean();
    assert_eq!(work.manifest()["files"]["a.bin"], oid(b"changed").as_str());
}

#[test]
fn in_a_large_repository_a_commit_reads_only_the_blobs_that_are_new() {
    let world = World::ready();
    let work = world.at("work");
    work.git(&["config", "s3lfs.uploadon", "push"]).ok();
    for i in 0..1100 {
        work.write(&format!("d{}/f{i}.bin", i % 10), format!("content {i}"));
    }
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-qm", "many"]).ok();
    work.write("d0/new.bin", "new");
    work.git(&["rm", "-q", "--cached", "d1/f1.bin"]).ok();
    work.git(&["add", "d0/new.bin"]).ok();
    let looked = |ran: &crate::world::Ran| {
        let line = ran.stderr.lines().find_map(|line| line.split_once(" blobs to look at")).map(|(before, _)| before);
        line.map_or(0, |before| before.rsplit(' ').next().unwrap().parse::<usize>().unwrap())
    };
    let ran = work.env("S3LFS_LOG", "debug").s3lfs(&["track-modified", "--staged"]).ok();
    assert_eq!(looked(&ran), 1, "the others were read for the commit before: {}", ran.stderr);
    work.git(&["commit", "-qm", "one more, one less"]).ok();
    let files = work.manifest()["files"].as_object().unwrap().clone();
    assert_eq!((files.len(), &files["d0/new.bin"]), (1100, &oid(b"new").into()), "and the manifest is right");
    work.write(".git/s3lfs/pointers", "damaged");
    let ran = work.env("S3LFS_LOG", "debug").s3lfs(&["track-modified", "--staged"]).ok();
    assert_eq!(looked(&ran), 1100, "what is not whole is not believed: {}", ran.stderr);
    work.git(&["diff", "--cached", "--quiet"]).ok();
}

/// Whoever gets a pointer without the line that tracks it has a file of three lines.
#[test]
fn attributes_that_are_left_out_of_the_commit_are_named() {
    let world = World::new();
    let work = world.at("work");
    work.s3lfs(&["init", &world.url("store"), "proj"]).ok();
    work.s3lfs(&["git-setup", "--track", "*.bin"]).ok();
    let word = ["warning", "a.bin", "git add .gitattributes"];
    work.commit("a.bin", b"content").says(&word);
    work.git(&["push", "-qu", "origin", "main"]).ok();
    world.at("").s3lfs(&["clone", "remote.git", "other"]).ok().says(&[
        "no line of .gitattributes",
        "1 pointer",
        "a.bin",
    ]);
    work.git(&["add", ".gitattributes"]).ok();
    work.git(&["commit", "-qm", "attributes"]).ok().never_says(&["warning"]);
    work.commit("b.bin", b"other").never_says(&["warning"]);
    // A directory in the place of a tracked file is tracked as its line says.
    work.remove("b.bin");
    work.write("b.bin/x.bin", "beneath");
    work.git(&["add", "-A"]).ok();
    work.git(&["commit", "-qm", "a directory"]).ok().never_says(&["warning"]);
}

#[test]
fn after_a_commit_git_sees_no_change_without_a_refresh() {
    let world = World::ready();
    let work = world.at("work");
    for (content, arguments) in [
        ("one", &["commit", "-qm", "one"][..]),
        ("two", &["commit", "-qam", "two"]),
        ("three", &["commit", "-qm", "three", "a.bin"]),
    ] {
        work.write("a.bin", content);
        if content == "one" {
            work.git(&["add", "a.bin"]).ok();
        }
        work.git(arguments).ok();
        work.git(&["diff-index", "--quiet", "HEAD"]).ok();
        work.git(&["diff-files", "--quiet"]).ok();
    }
}
