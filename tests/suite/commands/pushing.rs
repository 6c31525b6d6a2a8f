//! The push gate: nothing is published that names content which is not in the store.

use std::fs;

use crate::world::{MANIFEST, Place, Ran, World, oid, pointer};

/// A commit whose content is nowhere: committed offline, then the file and the cache lost.
fn dangling(work: &Place<'_>, path: &str, content: &[u8]) -> String {
    work.world.unplug();
    work.write(path, content);
    work.git(&["add", "--", path]).ok();
    work.git(&["commit", "-qm", path]).ok();
    work.remove(path);
    work.drop_cache();
    work.world.plug();
    work.head()
}

#[track_caller]
fn refused(ran: Ran) -> Ran {
    assert_ne!(ran.code, 0, "the push must be refused: {ran:#?}");
    assert!(ran.stderr.contains("s3lfs: push refused"), "by s3lfs: {ran:#?}");
    ran
}

#[test]
fn missing_content_is_refused_with_path_oid_and_commit() {
    let world = World::with_a();
    let work = world.at("work");
    let commit = dangling(&work, "art dir/lost.bin", b"lost");
    work.commit("later.bin", b"later");
    let on_remote = world.remote_head("main");
    refused(work.git(&["push"])).says(&["art dir/lost.bin", &oid(b"lost"), &commit[..12], "hint:"]);
    assert_eq!(world.remote_head("main"), on_remote, "the remote is as it was");
    let key = format!("proj/assets/{}/{}", &oid(b"lost")[..2], oid(b"lost"));
    refused(work.git(&["push", "origin", "main"])).says(&[&key]);

    work.git(&["rm", "-q", "art dir/lost.bin"]).ok();
    work.git(&["commit", "-qm", "removed"]).ok();
    refused(work.git(&["push"])).says(&["lost.bin"]);
    assert_eq!(world.remote_head("main"), on_remote, "it is in the history that would be pushed");

    fs::create_dir_all(world.object(b"lost").parent().unwrap()).unwrap();
    fs::write(world.object(b"lost"), "lost").unwrap();
    work.git(&["push", "-q"]).ok();
    assert_eq!(world.remote_head("main"), work.head(), "somebody brought it: the push goes");
}

#[test]
fn pointers_under_no_pattern_are_told_as_they_are_pushed() {
    let world = World::with_a();
    let work = world.at("work");
    work.commit("docs/one.bun", pointer(b"nobody has this").as_bytes());
    work.commit("two.bun", pointer(b"nor this").as_bytes());
    let said = "two.bun and 1 more (commit";
    work.git(&["push"]).ok().says(&[said, "a pointer is pushed, and no pattern turns it into content"]);
    work.commit("three.txt", b"text");
    work.git(&["push"]).ok().never_says(&["no pattern"]);
    // What somebody decided, what is gone again, and what another tool's pointer is.
    work.write("docs/.gitattributes", "*.bun -filter\n");
    work.write("docs/four.bun", pointer(b"meant as it is"));
    work.write("gone.bun", pointer(b"gone again"));
    work.write("lfs.bun", format!("version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 1\n", oid(b"l")));
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-qm", "more"]).ok();
    work.git(&["rm", "-q", "gone.bun"]).ok();
    work.git(&["commit", "-qm", "less"]).ok();
    work.git(&["push"]).ok().never_says(&["no pattern"]);
}

#[test]
fn every_way_to_publish_is_guarded() {
    let world = World::with_a();
    let work = world.at("work");
    work.git(&["checkout", "-qb", "side"]).ok();
    dangling(&work, "lost.bin", b"lost");
    work.git(&["tag", "-a", "-m", "annotated", "annotated"]).ok();
    work.git(&["tag", "light"]).ok();
    work.git(&["remote", "add", "second", &world.url("second.git")]).ok();
    world.at("").git(&["init", "-q", "--bare", "second.git"]).ok();
    let before = world.at("remote.git").git(&["for-each-ref"]).stdout;
    for args in [
        &["push", "origin", "side"][..],
        &["push", "origin", "side:new/name"],
        &["push", "--force", "origin", "side:main"],
        &["push", "origin", "annotated"],
        &["push", "origin", "light"],
        &["push", "--tags"],
        &["push", "--all"],
        &["push", "--mirror", "origin"],
        &["push", "origin", "main", "side", "main:other"],
        &["push", "origin", "HEAD~0:refs/for/review"],
        &["push", &world.url("remote.git"), "side"],
    ] {
        refused(work.git(args)).says(&["lost.bin"]);
        assert_eq!(world.at("remote.git").git(&["for-each-ref"]).stdout, before, "git {args:?} publishes nothing");
    }
    refused(work.git(&["push", "second", "side"]));
    refused(work.git(&["push", "--atomic", "second", "main", "side"]));
    assert_eq!(world.at("second.git").git(&["for-each-ref"]).stdout, "", "to another remote neither");
}

#[test]
fn what_names_only_stored_content_is_pushed() {
    let world = World::with_a();
    let work = world.at("work");
    let has = |name: &str| !world.remote_head(name).is_empty();
    work.git(&["checkout", "-qb", "side"]).ok();
    work.commit("b.bin", b"b");
    work.git(&["tag", "-a", "-m", "annotated", "annotated"]).ok();
    work.git(&["push", "-q", "origin", "side", "annotated", "side:refs/heads/second"]).ok();
    assert!(has("side") && has("annotated") && has("second"), "a new branch, a tag, several refs at once");
    work.git(&["push", "-q", "origin", ":second"]).ok();
    assert!(!has("second"), "a deletion publishes nothing");
    work.git(&["commit", "-q", "--amend", "-m", "other words"]).ok();
    work.git(&["push", "-q", "--force", "origin", "side"]).ok();
    assert_eq!(world.remote_head("side"), work.head(), "force");
    work.git(&["push", "-q", "origin", "side"]).ok();
    let tree = work.git(&["rev-parse", "HEAD^{tree}"]).ok().stdout;
    work.git(&["tag", "tree", tree.trim()]).ok();
    work.git(&["tag", "blob", "HEAD:b.bin"]).ok();
    work.git(&["push", "-q", "origin", "tree", "blob"]).ok();
    assert!(has("tree") && has("blob"), "tags may name anything");
}

#[test]
fn a_push_with_nothing_new_needs_no_store() {
    let world = World::with_a();
    let work = world.at("work");
    work.commit("b.bin", b"b");
    world.unplug();
    work.git(&["push", "-q"]).ok().never_says(&["s3lfs"]);
    assert_eq!(world.remote_head("main"), work.head(), "the record of the commit's upload is fresh");
    work.git(&["push"]).ok();
    work.commit("plain", b"plain");
    work.git(&["push", "-q"]).ok().never_says(&["s3lfs"]);
    work.git(&["push", "-q", "origin", "main:copy"]).ok();
    work.git(&["push", "-q", "origin", ":copy"]).ok().never_says(&["s3lfs"]);
}

#[test]
fn a_push_uploads_what_no_commit_did() {
    let world = World::with_a();
    let work = world.at("work");
    work.write("b.bin", "b");
    work.git(&["add", "b.bin"]).ok();
    work.git(&["commit", "-q", "--no-verify", "-m", "no hooks"]).ok();
    fs::remove_dir_all(work.join(".git/s3lfs/uploaded")).unwrap();
    let _ = fs::remove_file(world.object(b"b"));
    work.git(&["push", "-q"]).ok();
    assert!(world.object(b"b").exists(), "the gate is the authority");
    assert_eq!(world.remote_head("main"), work.head());
}

#[test]
fn manifest_only_entries_are_guarded_too() {
    let world = World::with_a();
    let work = world.at("work");
    work.commit(".gitignore", b"out/\n");
    work.write("out/x", "out");
    work.s3lfs(&["upload", "out/x"]).ok();
    work.git(&["commit", "-qm", "out"]).ok();
    fs::remove_file(world.object(b"out")).unwrap();
    work.drop_cache();
    fs::remove_dir_all(work.join(".git/s3lfs/uploaded")).unwrap();
    refused(work.git(&["push"])).says(&["out/x", &oid(b"out")]);
}

#[test]
fn raw_content_under_a_filtered_path_is_refused_unless_allowed() {
    let world = World::with_a();
    let work = world.at("work");
    let id = work.git_with_input(&["hash-object", "-w", "--stdin", "--no-filters"], b"raw content").ok().stdout;
    let raw = format!("100644,{},raw.bin", id.trim());
    work.git(&["update-index", "--add", "--cacheinfo", &raw]).ok();
    work.git(&["commit", "-qm", "raw"]).ok();
    let commit = work.head();
    let on_remote = world.remote_head("main");
    refused(work.git(&["push"])).says(&["raw.bin", &commit, "s3lfs.allowraw", "git add --renormalize"]);
    assert_eq!(world.remote_head("main"), on_remote);
    work.git(&["-c", "s3lfs.allowraw=true", "push", "-q"]).ok();
    assert_eq!(world.remote_head("main"), commit, "allowed, it goes");
    work.commit("c.bin", b"c");
    work.git(&["push", "-q"]).ok();
    assert_eq!(world.remote_head("main"), work.head(), "what is published is not counted again");
    let side = world.cloned("side");
    side.git(&["checkout", "-qfb", "side", "HEAD~2"]).ok();
    side.commit("d.bin", b"d");
    side.git(&["merge", "-q", "--no-edit", "origin/main"]).ok();
    side.git(&["push", "-q", "origin", "side"]).ok();
    assert_eq!(world.remote_head("side"), side.head(), "nor when a merge brings it to another branch");
}

#[test]
fn empty_files_under_a_filtered_path_are_fine() {
    let world = World::with_a();
    let work = world.at("work");
    work.commit("empty.bin", b"");
    work.git(&["push", "-q"]).ok();
    assert_eq!(world.remote_head("main"), work.head());
}

#[test]
fn allowmissing_exempts_what_its_glob_covers() {
    let world = World::with_a();
    let work = world.at("work");
    dangling(&work, "old/lost.bin", b"lost");
    refused(work.git(&["-c", "s3lfs.allowmissing=new/**", "push"]));
    work.git(&["-c", "s3lfs.allowmissing=old/**", "push", "-q"]).ok().says(&["old/lost.bin", "s3lfs.allowmissing"]);
    assert_eq!(world.remote_head("main"), work.head());
}

#[test]
fn the_attributes_of_the_pushed_tip_count_not_those_of_the_worktree() {
    let world = World::with_a();
    let work = world.at("work");
    dangling(&work, "lost.bin", b"lost");
    work.git(&["branch", "side"]).ok();
    work.git(&["reset", "-q", "--hard", "HEAD^"]).ok();
    work.write(".gitattributes", "");
    refused(work.git(&["push", "origin", "side"])).says(&["lost.bin"]);
    assert!(world.remote_head("side").is_empty());
}

#[test]
fn the_first_push_to_a_url_registers_it_without_its_password() {
    let world = World::with_a();
    let work = world.at("work");
    world.at("").git(&["init", "-q", "--bare", "second.git"]).ok();
    work.git(&["push", "-q", &world.url("second.git"), "main"]).ok();
    let id = work.manifest()["repository_id"].as_str().unwrap().to_owned();
    let path = world.path("store/proj/repositories").join(format!("{id}.json"));
    let text = fs::read_to_string(path).unwrap();
    for url in ["remote.git", "second.git"] {
        assert!(text.contains(&world.url(url)), "{url} is registered: {text}");
    }
    assert!(work.exists(MANIFEST));
}

#[test]
fn what_a_merge_commit_itself_brings_is_guarded() {
    let world = World::with_a();
    let work = world.at("work");
    work.git(&["checkout", "-qb", "side"]).ok();
    work.commit("a.bin", b"theirs");
    work.git(&["checkout", "-q", "main"]).ok();
    work.commit("a.bin", b"ours");
    work.git(&["merge", "side"]);
    world.unplug();
    work.write("a.bin", "of neither side");
    work.git(&["add", "a.bin"]).ok();
    work.git(&["commit", "-qm", "merged"]).ok();
    work.remove("a.bin");
    work.drop_cache();
    world.plug();
    refused(work.git(&["push"])).says(&["a.bin", &oid(b"of neither side"), &work.head()[..12]]);
    work.git(&["reset", "-q", "--hard", "HEAD^"]).ok();
    work.git(&["push", "-q"]).ok();
}

#[test]
fn a_commit_that_moves_the_store_is_pushed_only_with_all_content_there() {
    let world = World::with_a();
    let work = world.at("work");
    work.s3lfs(&["init", "--force", &world.url("moved"), "proj"]).ok();
    work.leave_pointer("a.bin");
    work.git(&["add", MANIFEST]).ok();
    work.git(&["commit", "-qm", "move"]).ok();
    let on_remote = world.remote_head("main");
    refused(work.git(&["push"])).says(&["a.bin", &oid(b"content of a\n")]);
    assert_eq!(world.remote_head("main"), on_remote, "older files would be missing in the new store");
    let object = world.object_in("moved", b"content of a\n");
    fs::create_dir_all(object.parent().unwrap()).unwrap();
    fs::copy(world.object(b"content of a\n"), &object).unwrap();
    work.git(&["push", "-q"]).ok();
    assert_eq!(world.remote_head("main"), work.head(), "once they are copied, the push goes");
}

#[test]
fn branches_that_move_the_store_together_are_pushed_only_with_the_content_of_each() {
    let world = World::with_a();
    let work = world.at("work");
    let branches = ["main", "side", "third"];
    for branch in &branches[1..] {
        work.git(&["checkout", "-qb", branch, "main"]).ok();
        work.commit(&format!("{branch}.bin"), branch.as_bytes());
        work.git(&["push", "-q", "origin", branch]).ok();
    }
    work.drop_cache();
    let work = work.env("S3LFS_SKIP_SMUDGE", "1");
    for branch in branches {
        work.git(&["checkout", "-qf", branch]).ok();
        work.git(&["rm", "-qr", "--cached", "."]).ok();
        work.git(&["reset", "-q", "--hard"]).ok();
        work.s3lfs(&["init", "--force", &world.url("moved"), "proj"]).ok();
        work.git(&["add", MANIFEST]).ok();
        work.git(&["commit", "-qm", "move"]).ok();
    }
    // Of a tag of a blob there are no files.
    work.git(&["tag", "blob", "HEAD:.gitattributes"]).ok();
    let copy = |content: &[u8]| {
        let object = world.object_in("moved", content);
        fs::create_dir_all(object.parent().unwrap()).unwrap();
        fs::copy(world.object(content), object).unwrap();
    };
    copy(b"content of a\n");
    let push = || work.git(&["push", "origin", "main", "blob", "side", "third"]);
    refused(push()).says(&["side.bin", "third.bin", "2 files"]).never_says(&["a.bin ("]);
    copy(b"side");
    refused(push()).says(&["third.bin"]).never_says(&["side.bin"]);
    copy(b"third");
    push().ok();
}

#[test]
fn with_a_cache_the_commit_that_moves_the_store_brings_the_content_along() {
    let world = World::with_a();
    let work = world.at("work");
    work.s3lfs(&["init", "--force", &world.url("moved"), "proj"]).ok();
    work.git(&["add", MANIFEST]).ok();
    work.git(&["commit", "-qm", "move"]).ok();
    assert!(world.object_in("moved", b"content of a\n").exists(), "what is cached is uploaded to the new store");
    work.git(&["push", "-q"]).ok();
}

#[test]
fn a_pointer_without_its_attribute_is_guarded_where_the_manifest_names_it() {
    let world = World::new();
    let work = world.at("work");
    work.s3lfs(&["init", &world.url("store"), "proj"]).ok();
    work.s3lfs(&["git-setup", "--track", "*.bin"]).ok();
    world.unplug();
    work.write("q.bin", "content");
    work.git(&["add", "q.bin"]).ok();
    work.git(&["commit", "-qm", "without .gitattributes"]).ok();
    refused(work.git(&["push", "origin", "main"])).says(&["q.bin"]);
    world.plug();
    work.git(&["push", "-q", "origin", "main"]).ok();
    assert!(world.object(b"content").exists(), "the push brought it");
}

#[test]
fn with_the_store_away_the_refusal_names_the_files() {
    let world = World::with_a();
    let work = world.at("work");
    world.unplug();
    work.write("new.bin", "new");
    work.git(&["add", "."]).ok();
    let commit = work.git(&["commit", "-qm", "offline"]).ok();
    assert_eq!(commit.stderr.matches("not uploaded yet").count(), 1, "one warning for one commit: {commit:#?}");
    refused(work.git(&["push"])).says(&["new.bin", &oid(b"new"), &work.head()[..12]]);
}

#[test]
fn content_that_only_the_file_has_is_named_with_the_command_that_sends_it() {
    let world = World::with_a();
    let work = world.at("work");
    dangling(&work, "gone.bin", b"gone");
    world.unplug();
    work.write("sub/here.bin", "here");
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-qm", "here"]).ok();
    world.plug();
    work.drop_cache();
    let ran = refused(work.git(&["push"])).says(&["sub/here.bin", "'s3lfs upload sub/here.bin'"]);
    assert_eq!(ran.stderr.matches("s3lfs upload").count(), 1, "of the other there is nothing to send: {ran:#?}");
    work.s3lfs(&["upload", "sub/here.bin"]).ok();
    refused(work.git(&["push"])).says(&["gone.bin"]).never_says(&["here.bin"]);
}

#[test]
fn what_a_push_without_hooks_left_is_sent_by_the_command_that_is_said() {
    let world = World::ready();
    let work = world.at("work");
    work.git(&["config", "s3lfs.uploadon", "push"]).ok();
    work.commit("a.bin", b"never sent");
    work.git(&["push", "-q", "--no-verify"]).ok();
    // For Git there is nothing to push any more, and so no hook has anything to do.
    work.git(&["push", "-q"]).ok();
    assert!(!world.object(b"never sent").exists());
    let status = work.s3lfs(&["status"]).ok().stdout;
    assert!(status.contains("not uploaded") && status.contains("'s3lfs verify --deep --fix'"), "{status}");
    let other = world.at("other");
    let cloned = world.at("").s3lfs(&["clone", "-q", "remote.git", "other"]).fails(3);
    cloned.says(&["a.bin", "'s3lfs upload <file>'", "'s3lfs verify --all --deep --fix'"]).never_says(&["'git push'"]);
    work.s3lfs(&["verify", "--all", "--deep", "--fix"]).ok();
    assert!(world.object(b"never sent").exists(), "that sends it");
    other.s3lfs(&["download-all"]).ok();
    assert_eq!(other.read("a.bin"), b"never sent");
    // Records that are lost say nothing of the store, and a look brings them back.
    std::fs::remove_dir_all(work.join(".git/s3lfs")).unwrap();
    let status = work.s3lfs(&["status"]).ok().stdout;
    assert!(status.contains("by the records of this clone: 's3lfs verify' asks the store"), "{status}");
    work.s3lfs(&["verify"]).ok();
    let status = work.s3lfs(&["status"]).ok().stdout;
    assert!(status.ends_with("nothing to do\n"), "{status}");
}
