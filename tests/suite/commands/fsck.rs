//! `fsck`: what is here against its names; `--pointers` for where there is nothing but Git.

use std::fs;

use crate::world::{World, oid, pointer};

/// Where the cache of `work` has content.
fn cached(world: &World, content: &[u8]) -> std::path::PathBuf {
    let oid = oid(content);
    world.path("work/.git/s3lfs/objects").join(&oid[..2]).join(oid)
}

/// `git add` without our filter.
fn commit_raw(world: &World, path: &str, content: &[u8]) {
    let work = world.at("work");
    work.write(path, content);
    let plain = ["-c", "filter.s3lfs.process=", "-c", "filter.s3lfs.clean=cat", "-c", "filter.s3lfs.required=false"];
    work.git(&[&plain[..], &["add", path]].concat()).ok();
    work.git(&["-c", "core.hooksPath=/dev/null", "commit", "-qm", path]).ok();
}

#[test]
fn a_sound_repository_has_no_findings() {
    let world = World::with_a();
    let work = world.at("work");
    let json = work.sub("deep").s3lfs(&["fsck", "--json"]).ok().json("fsck");
    assert_eq!(json["items"], serde_json::json!([]));
    work.s3lfs(&["fsck", "--pointers"]).ok();
    work.s3lfs(&["fsck", "--pointers", "HEAD~1..HEAD"]).ok();
    work.write("a.bin", "changed");
    work.remove(".gitattributes");
    work.git(&["checkout", "-q", ".gitattributes"]).ok();
    work.s3lfs(&["fsck"]).ok();
    work.remove("a.bin");
    work.s3lfs(&["fsck"]).ok();
    World::new().at("work").s3lfs(&["fsck", "--pointers"]).ok();
}

#[test]
fn raw_content_and_malformed_pointers_are_found_in_commits() {
    let world = World::with_a();
    let work = world.at("work");
    let base = work.head();
    commit_raw(&world, "raw.bin", b"raw content");
    let raw = work.head();
    commit_raw(&world, "bad.bin", pointer(b"x").replace("size 1", "size 01").as_bytes());
    let bad = work.head();
    commit_raw(&world, "crlf.bin", pointer(b"x").replace('\n', "\r\n").as_bytes());
    commit_raw(&world, "plain.txt", b"no filter here");
    commit_raw(&world, "empty.bin", b"");
    // What CI has: no store, no cache, no accepted store.
    world.unplug();
    work.sh("rm -rf .git/s3lfs").ok();
    work.git(&["config", "--unset", "s3lfs.store"]).ok();
    let range = format!("{base}..HEAD");
    let ran = work.s3lfs(&["fsck", "--pointers", &range, "--json"]).fails(3);
    let json = ran.json("fsck");
    let found: Vec<_> = json["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|i| (i["path"].as_str().unwrap(), i["kind"].as_str().unwrap()))
        .collect();
    assert_eq!(found, [("bad.bin", "malformed"), ("crlf.bin", "malformed"), ("raw.bin", "raw")]);
    work.s3lfs(&["fsck", "--pointers", &range]).fails(3).says(&["raw.bin", &raw, "bad.bin", &bad, "--renormalize"]);
    work.s3lfs(&["fsck", "--pointers"]).fails(3).says(&["raw.bin", "crlf.bin", &work.head()]);
    work.s3lfs(&["fsck", "--pointers", &raw]).fails(3).says(&["raw.bin"]).never_says(&["bad.bin"]);
    work.s3lfs(&["fsck", "--pointers", &base]).ok();
    work.s3lfs(&["fsck", "--pointers", &format!("{bad}~1..{bad}")]).fails(3).never_says(&["raw.bin"]);
    work.s3lfs(&["fsck"]).fails(3).says(&["raw.bin"]);

    // From below, of all the worktree, with paths from the top.
    let deep = work.sub("deep/er");
    deep.s3lfs(&["fsck", "--pointers", &range]).fails(3).says(&["s3lfs: raw.bin", "s3lfs: bad.bin"]);
    deep.s3lfs(&["fsck", "--pointers"]).fails(3).says(&["s3lfs: raw.bin", "s3lfs: crlf.bin"]);
    let below = deep.s3lfs(&["fsck", "--pointers", &range, "--json"]).fails(3).json("fsck");
    assert_eq!(below["items"], json["items"]);

    world.at("").git(&["clone", "-q", "--bare", "work", "bare.git"]).ok();
    world.at("bare.git").s3lfs(&["fsck", "--pointers", "main"]).fails(3).says(&["raw.bin"]);
}

#[test]
fn a_damaged_cached_copy_is_replaced_by_what_is_added_and_named() {
    let world = World::with_a();
    let work = world.at("work");
    for damaged in ["Content of a\n", "half"] {
        fs::write(cached(&world, b"content of a\n"), damaged).unwrap();
        work.remove("a.bin");
        work.write("a.bin", "content of a\n");
        work.git(&["add", "a.bin"]).ok().says(&[&oid(b"content of a\n"), "damaged", "replaced"]);
        work.s3lfs(&["fsck"]).ok();
    }
}

#[test]
fn a_damaged_cached_copy_is_set_aside_and_fetched_by_fix() {
    let world = World::with_a();
    let work = world.at("work");
    work.commit("a.bin", b"second");
    let old = cached(&world, b"content of a\n");
    fs::write(&old, b"content of A\n").unwrap();
    for _ in 0..2 {
        work.s3lfs(&["fsck"]).fails(3).says(&[&oid(b"content of a\n"), "damaged", "--fix"]);
        assert!(old.exists(), "looking changes nothing, and says the same again");
    }
    let json = work.s3lfs(&["fsck", "--fix", "--json"]).ok().json("fsck");
    assert_eq!((&json["items"][0]["kind"], &json["items"][0]["fixed"]), (&"cache".into(), &true.into()));
    assert_eq!(fs::read(&old).unwrap(), b"content of a\n", "the store gave it back");

    fs::write(&old, b"content of A\n").unwrap();
    fs::write(cached(&world, b"second"), b"secOnd").unwrap();
    world.unplug();
    work.s3lfs(&["fsck", "--fix"]).fails(1).says(&["store"]);
    assert_eq!(fs::read(cached(&world, b"second")).unwrap(), b"second", "the worktree gave it back, without a store");
}

#[test]
fn a_file_that_rotted_under_git_is_found_kept_aside_and_mended() {
    let world = World::with_a();
    let work = world.at("work");
    // As a disk does it: other bytes, the same times, and Git takes it for unchanged.
    work.sh("sleep 1; git update-index --really-refresh; git status >/dev/null").ok();
    work.sh("touch -r a.bin stamp && printf 'CONTENT of a\\n' | dd of=a.bin conv=notrunc status=none && touch -r stamp a.bin && rm stamp")
        .ok();
    work.git(&["config", "core.trustctime", "false"]).ok();
    work.is_clean();
    work.s3lfs(&["fsck"]).fails(3).says(&["a.bin", "not what the index names"]);
    assert_eq!(work.text("a.bin"), "CONTENT of a\n", "looking changes nothing");
    work.s3lfs(&["fsck", "--fix"]).ok().says(&["a.bin", "kept in"]);
    assert_eq!(work.text("a.bin"), "content of a\n");
    let aside = fs::read_dir(work.join(".git/s3lfs/bad")).unwrap().next().unwrap().unwrap().path();
    assert_eq!(fs::read(aside).unwrap(), b"CONTENT of a\n", "it could have been somebody's work");
    work.is_clean();
    work.s3lfs(&["fsck"]).ok();
}

#[test]
fn a_pointer_with_a_false_size_is_found() {
    let world = World::with_a();
    let work = world.at("work");
    let lie = pointer(b"content of a\n").replace("size 13", "size 14");
    commit_raw(&world, "lie.bin", lie.as_bytes());
    work.s3lfs(&["fsck"]).fails(3).says(&["lie.bin", "14 bytes", "13"]);
}

#[test]
fn bad_input_is_refused() {
    let world = World::with_a();
    let work = world.at("work");
    for revision in ["nonsense", "nonsense..HEAD", "HEAD..nonsense"] {
        work.s3lfs(&["fsck", "--pointers", revision]).fails(1).says(&["unknown revision", revision]);
    }
    assert_eq!(work.s3lfs(&["fsck", "--pointers", "--fix"]).code, 2);
}

#[test]
fn a_file_that_git_was_told_not_to_look_at_keeps_the_users_edits() {
    for bit in ["assume-unchanged", "skip-worktree"] {
        let world = World::with_a();
        let work = world.at("work");
        work.git(&["update-index", &format!("--{bit}"), "a.bin"]).ok();
        work.write("a.bin", "edited here");
        for args in [&["fsck"][..], &["fsck", "--fix"]] {
            work.s3lfs(args).ok().says(&["a.bin", bit, "left alone"]);
        }
        let json = work.s3lfs(&["fsck", "--fix", "--json"]).ok().json("fsck");
        assert_eq!((&json["items"][0]["kind"], &json["errors"]), (&"unwatched".into(), &serde_json::json!([])));
        assert_eq!(work.read("a.bin"), b"edited here", "{bit}: it may be the user's work");
        assert!(!work.exists(".git/s3lfs/bad"), "nothing was moved");
        work.git(&["update-index", &format!("--no-{bit}"), "a.bin"]).ok();
        work.is_clean_but(&[" M a.bin"]);
    }
}

#[test]
fn content_that_is_nowhere_is_named_and_what_was_looked_at_is_said() {
    let world = World::with_a();
    let work = world.at("work");
    work.commit(".gitignore", b"out/\n");
    work.write("out/x", "only the manifest names it");
    work.s3lfs(&["upload", "out/x"]).ok();
    work.git(&["commit", "-qm", "out"]).ok();
    let ran = work.s3lfs(&["fsck"]).ok();
    ran.says(&[
        "No fault was found in what was looked at.",
        "Looked at: the index, the cache and the worktree.",
        "'s3lfs verify'",
    ]);
    work.s3lfs(&["fsck", "--pointers"]).ok().says(&["Not looked at: any content"]);

    work.leave_pointer("a.bin");
    work.remove("out/x");
    let ran = work.s3lfs(&["fsck"]).ok().says(&["whether the store has the 2 objects that are not here"]);
    ran.never_says(&["Everything"]);
    fs::remove_file(world.object(b"content of a\n")).unwrap();
    let ran = work.s3lfs(&["fsck"]).fails(3).says(&["a.bin: its content is nowhere", "1 fault", "s3lfs upload"]);
    let ran = ran.never_says(&["No fault", "out/x"]);
    assert_eq!(ran.stdout, "");
    fs::remove_file(world.object(b"only the manifest names it")).unwrap();
    let json = work.s3lfs(&["fsck", "--json"]).fails(3).json("fsck");
    let found: Vec<_> = json["errors"].as_array().unwrap().iter().map(|e| (&e["kind"], &e["path"])).collect();
    assert_eq!(found, [(&"nowhere".into(), &"a.bin".into()), (&"nowhere".into(), &"out/x".into())]);

    // Of what can't be asked nothing is known, and nothing is claimed.
    world.unplug();
    let ran = work.s3lfs(&["fsck"]).fails(3).never_says(&["No fault"]);
    let ran = ran.says(&[
        "2 objects not here, and the store could not be asked",
        "no fault found, but not everything could be judged",
    ]);
    ran.says(&["Not looked at: the store", "fsck --pointers"]);
    let json = work.s3lfs(&["fsck", "--json"]).fails(3).json("fsck");
    assert_eq!(json["errors"].as_array().unwrap().len(), 1, "one entry says it of all: {json}");
    assert_eq!((&json["errors"][0]["kind"], &json["errors"][0]["path"]), (&"unknown".into(), &().into()));
    work.s3lfs(&["fsck", "--pointers"]).ok();

    // A reading store is as good.
    let content = world.object_in("elsewhere", b"content of a\n");
    fs::create_dir_all(content.parent().unwrap()).unwrap();
    fs::write(content, "content of a\n").unwrap();
    work.git(&["config", "s3lfs.readstore", &format!("{}/proj", world.url("elsewhere"))]).ok();
    // Also while the store can't be asked: what it can't tell, the reading store may.
    work.s3lfs(&["fsck"]).fails(3).says(&["1 object not here, and the store could not be asked"]);
    world.plug();
    work.s3lfs(&["fsck"]).fails(3).says(&["out/x"]).never_says(&["a.bin: its"]);
    work.write("out/x", "only the manifest names it");
    work.s3lfs(&["fsck"]).ok();
}
