//! Manifest-only files of several people: a file that is only older than the manifest is not recorded over the newer
//! one, and nobody's own work is taken for an older one.

use crate::world::{MANIFEST, Place, World, oid};

/// `work` recorded `first` and then `second` for `out/x`; `other`, a clone, has `first`, and pulled the commit of
/// `second`.
fn behind(world: &World) -> Place<'_> {
    let work = world.at("work");
    work.commit(".gitignore", b"out/\n");
    for name in ["out/x", "out/y"] {
        work.write(name, "first");
    }
    work.s3lfs(&["upload", "out/x", "out/y"]).ok();
    work.git(&["commit", "-qm", "first"]).ok();
    work.git(&["push", "-q"]).ok();
    let other = world.cloned("other");
    work.write("out/x", "second");
    work.s3lfs(&["track-modified"]).ok();
    work.git(&["commit", "-qm", "second"]).ok();
    work.git(&["push", "-q"]).ok();
    other.git(&["pull", "-q"]).ok();
    assert_eq!(other.text("out/x"), "first", "Git does not touch what it ignores");
    other
}

#[test]
fn a_file_that_is_out_of_date_is_not_recorded_over_the_newer_one() {
    let world = World::ready();
    let other = behind(&world);
    let status = other.s3lfs(&["status"]).ok().stdout;
    assert!(status.contains("out of date") && !status.contains("modified"), "it is named as what it is: {status}");
    let states = other.s3lfs(&["status", "--json"]).ok().json("status");
    let x = states["items"].as_array().unwrap().iter().find(|item| item["path"] == "out/x").unwrap().clone();
    assert_eq!(x["states"], serde_json::json!(["out of date"]));

    other.write("out/y", "my own");
    let ran = other.sub("out").s3lfs(&["track-modified"]).fails(3);
    ran.says(&["out/x: it is out of date here", "s3lfs download --force ../out/x", "s3lfs upload ../out/x"]);
    let files = other.manifest()["files"].clone();
    assert_eq!(files["out/x"], oid(b"second"), "the colleague's version stays recorded");
    assert_eq!(files["out/y"], oid(b"my own"), "and the others are recorded all the same");
    assert_eq!(other.text("out/x"), "first", "the file is left alone");
    let json = other.s3lfs(&["track-modified", "--json"]);
    assert_eq!(json.code, 3);
    assert_eq!(json.json("track-modified")["errors"][0]["path"], "out/x");

    let ran = other.s3lfs(&["track-subtree", "out"]).fails(3).says(&["out/x: it is out of date here"]);
    assert_eq!(other.manifest()["files"]["out/x"], oid(b"second"), "nor by the directory's name: {ran:?}");

    other.s3lfs(&["download", "--force", "out/x"]).ok();
    assert_eq!(other.text("out/x"), "second", "the first hint takes the new one");
    other.s3lfs(&["track-modified"]).ok();
    other.write("out/x", "first");
    other.s3lfs(&["upload", "out/x"]).ok();
    assert_eq!(other.manifest()["files"]["out/x"], oid(b"first"), "the second hint records the old one on purpose");
}

#[test]
fn of_two_who_changed_a_file_neither_is_recorded_over_the_other_unsaid() {
    let world = World::ready();
    let other = behind(&world);
    other.write("out/x", "mine");
    let status = other.s3lfs(&["status"]).ok().stdout;
    assert!(status.contains("modified, and recorded anew by another"), "{status}");
    let ran = other.s3lfs(&["track-modified"]).fails(3);
    ran.says(&["out/x: it was changed here", "s3lfs upload out/x", "s3lfs download --force out/x"]);
    other.s3lfs(&["migrate"]).fails(3).says(&["out/x: it was changed here"]);
    assert_eq!(other.manifest()["files"]["out/x"], oid(b"second"), "the colleague's version stays recorded");
    assert_eq!(other.text("out/x"), "mine");
    other.s3lfs(&["upload", "out/x"]).ok();
    assert_eq!(other.manifest()["files"]["out/x"], oid(b"mine"), "unless one's own is recorded on purpose");
    other.write("out/x", "mine again");
    other.s3lfs(&["track-modified"]).ok();
    assert_eq!(other.manifest()["files"]["out/x"], oid(b"mine again"), "and from there on it goes by itself");
    other.git(&["reset", "-q", "--hard"]).ok();
    other.s3lfs(&["track-modified"]).ok();
    assert_eq!(other.manifest()["files"]["out/x"], oid(b"mine again"), "also after what was recorded was given up");
}

#[test]
fn ones_own_work_is_never_taken_for_an_older_version() {
    let world = World::ready();
    let other = behind(&world);
    // The content that another path once had is a change of this one.
    other.s3lfs(&["download-all"]).ok();
    other.write("out/y", "second");
    let status = other.s3lfs(&["status"]).ok().stdout;
    assert!(status.contains("modified") && !status.contains("out of date"), "{status}");
    other.s3lfs(&["track-modified"]).ok();
    assert_eq!(other.manifest()["files"]["out/y"], oid(b"second"));
    // What was recorded and never committed is nowhere but here.
    other.write("out/y", "third");
    other.s3lfs(&["track-modified"]).ok();
    other.git(&["checkout", "-q", "HEAD", "--", MANIFEST]).ok();
    other.s3lfs(&["track-modified"]).ok();
    assert_eq!(other.manifest()["files"]["out/y"], oid(b"third"), "no commit has it, so it is the user's change");
}

/// On another branch the newer version is as little a change as the older one is here.
#[test]
fn a_version_of_another_branch_is_out_of_date_too() {
    let world = World::ready();
    let other = behind(&world);
    other.s3lfs(&["download-all"]).ok();
    other.git(&["checkout", "-q", "-b", "old", "HEAD~1"]).ok();
    other.s3lfs(&["track-modified"]).fails(3).says(&["out/x: it is out of date here"]);
    assert_eq!(other.manifest()["files"]["out/x"], oid(b"first"), "the old branch keeps its version");
}

#[test]
fn migrate_leaves_what_is_out_of_date() {
    let world = World::ready();
    let other = behind(&world);
    for args in [&["migrate", "--dry-run"][..], &["migrate"]] {
        other.s3lfs(args).fails(3).says(&["out/x: it is out of date here", "s3lfs download --force out/x"]);
    }
    assert_eq!(other.manifest()["manifest_only"], serde_json::json!(["out/x"]), "only the other one is migrated");
    assert_eq!(other.text("out/x"), "first");
    other.s3lfs(&["download", "--force", "out/x"]).ok();
    other.s3lfs(&["migrate"]).ok();
    assert!(other.blob(":out/x").contains(&oid(b"second")), "the newer one is what Git tracks now");
    assert_eq!(other.text("out/x"), "second");
}

/// Nothing of these can be recorded; the others are, all the same.
#[test]
fn a_name_or_an_empty_file_that_no_manifest_can_name_stops_no_other_file() {
    for subtree in [false, true] {
        let world = World::ready();
        let work = world.at("work");
        work.commit(".gitignore", b"ign/\n");
        work.sub("ign").sh("echo one > one; echo odd > \"$(printf 'b\\377')\"; : > empty; echo three > three").ok();
        let ran = match subtree {
            true => work.s3lfs(&["track-subtree", "ign"]),
            false => work.sh("s3lfs upload ign/one \"$(printf 'ign/b\\377')\" ign/empty ign/three"),
        };
        let ran = ran.fails(3).says(&["not UTF-8"]);
        if !subtree {
            ran.says(&["ign/empty is empty"]);
        }
        let files = work.manifest()["files"].clone();
        assert_eq!((&files["ign/one"], &files["ign/three"]), (&oid(b"one\n").into(), &oid(b"three\n").into()));
        assert!(!world.object(b"odd\n").exists(), "what can't be recorded is not sent, either (subtree: {subtree})");
    }
}

/// A commit of somebody else lists `.env`, which Git ignores here, with some content that he put into the store.
fn listed_by_another(world: &World) -> Place<'_> {
    let work = world.at("work");
    work.write(".gitignore", ".env\nout/\n");
    work.git(&["add", ".gitignore"]).ok();
    work.git(&["commit", "-qm", "ignore"]).ok();
    work.git(&["push", "-q"]).ok();
    let other = world.cloned("other");
    other.write(".env", "my password");
    work.write(".env", "bait");
    work.s3lfs(&["upload", ".env"]).ok();
    work.git(&["commit", "-qm", "harmless"]).ok();
    work.git(&["push", "-q"]).ok();
    other.git(&["pull", "-q"]).ok();
    other
}

#[test]
fn a_private_file_that_a_commit_lists_is_not_sent() {
    let world = World::ready();
    let other = listed_by_another(&world);
    let secret = world.object(b"my password");
    let ran = other.s3lfs(&["download-all"]).fails(3).says(&[".env: it has local changes and is kept"]);
    assert_eq!(other.text(".env"), "my password", "{ran:?}");
    let status = other.s3lfs(&["status"]).ok().stdout;
    assert!(status.contains("listed, not shared") && !status.contains("modified"), "named as what it is: {status}");
    let ran = other.s3lfs(&["track-modified"]).fails(3);
    ran.says(&[".env: the manifest lists it", "s3lfs upload .env", "s3lfs remove .env"]);
    let json = other.s3lfs(&["track-modified", "--json"]);
    assert_eq!((json.code, &json.json("track-modified")["errors"][0]["path"]), (3, &".env".into()));
    other.write("b.bin", "b");
    other.git(&["add", "b.bin"]).ok();
    other.git(&["commit", "-qm", "b"]).ok();
    other.git(&["push", "-q"]).ok();
    other.s3lfs(&["migrate"]).fails(3).says(&[".env: the manifest lists it", "s3lfs upload .env"]);
    other.git(&["check-ignore", "-q", ".env"]).ok();
    assert!(!secret.exists(), "neither a command nor a hook sends it");
    assert_eq!(other.manifest()["files"][".env"], oid(b"bait"), "and it is not recorded");

    other.s3lfs(&["upload", ".env"]).ok();
    assert!(secret.exists(), "unless its user says so");
    other.write(".env", "my next one");
    other.s3lfs(&["track-modified"]).ok();
    assert_eq!(other.manifest()["files"][".env"], oid(b"my next one"), "from then on it goes by itself");

    other.s3lfs(&["remove", ".env"]).ok();
    other.git(&["checkout", "-q", "HEAD", "--", MANIFEST]).ok();
    other.write(".env", "private again");
    other.s3lfs(&["track-modified"]).fails(3).says(&[".env: the manifest lists it"]);
    assert!(!world.object(b"private again").exists(), "removing it takes that back");
}

/// Whoever writes the manifest may guess what a private file holds: that its content is the listed one is no consent.
#[test]
fn that_a_file_has_the_listed_content_is_no_consent() {
    let world = World::ready();
    let other = listed_by_another(&world);
    other.s3lfs(&["status"]).ok();
    other.write(".env", "bait");
    for command in ["status", "track-modified", "download-all"] {
        other.s3lfs(&[command]).ok();
    }
    other.write(".env", "filled in by now");
    other.s3lfs(&["track-modified"]).fails(3).says(&[".env: the manifest lists it"]);
    assert!(!world.object(b"filled in by now").exists());
}

#[test]
fn what_was_fetched_is_uploaded_when_it_changes() {
    let world = World::ready();
    let work = world.at("work");
    work.commit(".gitignore", b"out/\n");
    for name in ["out/a", "out/b", "out/c"] {
        work.write(name, name);
    }
    work.s3lfs(&["track-subtree", "out"]).ok();
    work.git(&["commit", "-qm", "out"]).ok();
    work.git(&["push", "-q"]).ok();
    let plain = |dir: &str| {
        world.at("").git(&["clone", "-q", "remote.git", dir]).ok();
        world.at(dir).s3lfs(&["git-setup"]).ok();
        world.at(dir).s3lfs(&["status"]).ok();
        world.at(dir)
    };
    let changed = |place: &Place<'_>, path: &str| {
        place.write(path, format!("{path} of {}", place.dir.display()));
        place.s3lfs(&["track-modified"]).ok();
        let now = place.read(path);
        assert_eq!(place.manifest()["files"][path], oid(&now), "{path} came from the store");
    };
    let one = plain("one");
    one.s3lfs(&["download", "out/a"]).ok();
    changed(&one, "out/a");
    one.s3lfs(&["sparse-checkout", "out"]).ok();
    changed(&one, "out/b");
    changed(&world.cloned("two"), "out/c");
    // A worktree has notes of its own.
    let list = work.join(".git/s3lfs/vouched");
    let noted: String = ["out/a", "out/b", "out/c"]
        .map(|path| format!("{path}\0{}\0", work.manifest()["files"][path].as_str().unwrap()))
        .concat();
    assert_eq!(std::fs::read_to_string(&list).unwrap(), noted, "what is uploaded is noted, with its content");

    // A clone that an earlier version set up has none: what has recorded content is known by that.
    std::fs::remove_file(&list).unwrap();
    work.write("out/b", "changed before");
    work.s3lfs(&["track-modified"]).fails(3).says(&["out/b: the manifest lists it"]);
    work.write("out/b", "out/b");
    changed(&work, "out/a");
}

/// Nobody else has what only a branch or a stash of this clone records.
#[test]
fn work_that_no_published_commit_records_is_overwritten_by_force_alone() {
    let world = World::ready();
    let other = behind(&world);
    other.s3lfs(&["download-all"]).ok();
    other.git(&["checkout", "-qb", "mine"]).ok();
    other.write("out/x", "mine");
    other.s3lfs(&["track-modified"]).ok();
    other.git(&["commit", "-qm", "mine"]).ok();
    other.git(&["checkout", "-q", "main"]).ok();
    for args in [&["download-all"][..], &["download", "out/x"]] {
        let ran = other.s3lfs(args);
        assert_ne!(ran.code, 0, "{ran:?}");
        assert_eq!(other.text("out/x"), "mine", "what an unpublished branch records is kept: {ran:?}");
        ran.says(&["--force"]);
    }
    other.write("out/y", "stashed");
    other.s3lfs(&["upload", "out/y"]).ok();
    other.git(&["stash", "-q"]).ok();
    other.s3lfs(&["download-all"]).fails(3).says(&["--force"]);
    assert_eq!(other.text("out/y"), "stashed", "and what a stash does");

    other.git(&["checkout", "-q", "mine"]).ok();
    other.git(&["push", "-q", "origin", "mine"]).ok();
    other.git(&["checkout", "-q", "main"]).ok();
    other.s3lfs(&["download", "out/x"]).ok();
    assert_eq!(other.text("out/x"), "second", "what is published may go");
}

#[test]
fn however_many_files_are_behind_the_history_is_walked_once() {
    let world = World::ready();
    let work = world.at("work");
    work.write(".gitignore", "out/\n");
    work.git(&["add", ".gitignore"]).ok();
    let version = |text: &str| {
        for number in 0..20 {
            work.write(&format!("out/{number}"), format!("{text} {number}"));
        }
        let names: Vec<String> = (0..20).map(|number| format!("out/{number}")).collect();
        work.s3lfs(&[&["upload"], names.iter().map(String::as_str).collect::<Vec<_>>().as_slice()].concat()).ok();
        work.git(&["commit", "-qam", text]).ok();
        work.git(&["push", "-q"]).ok();
    };
    version("first");
    let other = world.cloned("other");
    version("second");
    other.git(&["pull", "-q"]).ok();
    // One that nobody ever recorded is kept.
    other.write("out/7", "mine");
    let trace = world.path("trace");
    let ran = other.env("GIT_TRACE", trace.to_str().unwrap()).s3lfs(&["download-all"]).fails(3);
    ran.says(&["out/7"]).never_says(&["out/6", "out/8"]);
    assert_eq!((other.text("out/7"), other.text("out/8")), ("mine".into(), "second 8".into()));
    let calls = std::fs::read_to_string(trace).unwrap();
    let walks = calls.lines().filter(|line| line.contains("built-in: git") && line.contains(MANIFEST));
    let walks: Vec<&str> = walks.filter(|line| line.contains("git log") || line.contains("rev-list")).collect();
    assert_eq!(walks.len(), 1, "one walk for all of them: {walks:#?}");
}

/// That an object is there does not tell that it can be had back.
#[test]
fn a_file_that_is_replaced_is_in_the_cache_by_then() {
    let world = World::ready();
    let other = behind(&world);
    other.drop_cache();
    std::fs::write(world.object(b"first"), "damaged").unwrap();
    other.s3lfs(&["download", "out/x"]).ok();
    assert_eq!(other.text("out/x"), "second");
    let first = oid(b"first");
    assert_eq!(other.read(&format!(".git/s3lfs/objects/{}/{first}", &first[..2])), b"first");
}

/// What Git and s3lfs read by name, and what Git has raw, is nobody's to write by listing it.
#[test]
fn what_belongs_to_git_is_not_written_by_a_manifest_that_lists_it() {
    let world = World::ready();
    let work = world.at("work");
    work.commit("build.sh", b"echo build\n");
    work.commit("a.bin", b"bait");
    let mut manifest = work.manifest();
    let listed = [".gitattributes", ".gitmodules", "build.sh", "sub/.gitattributes", "x.dat"];
    manifest["manifest_only"] = listed.iter().copied().collect();
    for path in listed {
        manifest["files"][path] = oid(b"bait").into();
    }
    work.write(MANIFEST, manifest.to_string());
    work.git(&["commit", "-q", "--no-verify", "-am", "hostile"]).ok();
    work.git(&["push", "-q", "--no-verify"]).ok();
    let other = world.at("other");
    world.at("").git(&["clone", "-q", "remote.git", "other"]).ok();
    other.s3lfs(&["git-setup"]).ok();
    let attributes = other.text(".gitattributes");
    let ran = other.s3lfs(&["download-all", "--force"]).fails(3);
    ran.says(&[".gitattributes", ".gitmodules", "sub/.gitattributes", "it has to stay in Git itself"]);
    assert_eq!(other.text(".gitattributes"), attributes);
    assert_eq!(other.text("build.sh"), "echo build\n", "Git has it, and has it raw");
    assert!(!other.exists(".gitmodules") && !other.exists("sub/.gitattributes"));
    assert_eq!(other.text("x.dat"), "bait", "the others are written all the same");
    let ran = other.s3lfs(&["download", "--force", "build.sh"]).fails(1);
    ran.says(&["build.sh has its content in Git itself", "git checkout -- build.sh", "--from-manifest build.sh"]);
    assert_eq!(other.text("build.sh"), "echo build\n", "also where it is named");
    other.s3lfs(&["download", "--from-manifest", "build.sh"]).fails(1).says(&["--force"]);
    other.s3lfs(&["download", "--from-manifest", "--force", "build.sh"]).ok();
    assert_eq!(other.text("build.sh"), "bait", "but for who says that it is to be that one");
    other.s3lfs(&["download", "--force", ".gitattributes"]).fails(1).says(&["has to stay in Git itself"]);
    other.s3lfs(&["track-modified"]).never_says(&["s3lfs upload .git"]);
}
