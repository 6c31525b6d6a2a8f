//! What is broken, missing or misspelt: one clear error, the right exit code, nothing lost.
//!
//! Apart because each of these is about what does not work; every other test is about what does.

use std::fs;
use std::path::PathBuf;

use crate::world::{MANIFEST, Place, Ran, World, oid, pointer, worktree_files};

/// Index and worktree, to see that a failure changed neither.
fn state(place: &Place<'_>) -> (String, Vec<(PathBuf, Vec<u8>)>) {
    (place.index(), worktree_files(place))
}

/// One error: said once, by s3lfs, in a few lines, with nothing on stdout.
#[track_caller]
fn one_error(ran: Ran) -> Ran {
    let ran = ran.fails(1);
    assert_eq!(ran.stdout, "", "an error is no answer: {ran:#?}");
    let errors = ran.stderr.lines().filter(|line| line.starts_with("s3lfs: ")).count();
    assert_eq!(errors, 1, "one error is said once: {ran:#?}");
    ran
}

/// Broken manifests, and what must be said of each.
fn broken_manifests() -> Vec<(&'static str, Vec<u8>, Vec<&'static str>)> {
    let file =
        |files: &str| format!(r#"{{"bucket_name": "b-b-b", "repo_prefix": "p", "files": {files}}}"#).into_bytes();
    vec![
        ("empty", b"".to_vec(), vec!["JSON"]),
        ("cut off", b"{\n    \"bucket_name\": \"b".to_vec(), vec!["line 2"]),
        (
            "merge markers",
            b"{\n<<<<<<< HEAD\n    \"bucket_name\": \"a\"\n=======\n    \"bucket_name\": \"b\"\n>>>>>>> side\n}\n"
                .to_vec(),
            vec!["conflict markers", "line 2"],
        ),
        ("a byte order mark", [b"\xef\xbb\xbf".as_slice(), &file("{}")].concat(), vec!["byte order mark"]),
        ("not UTF-8", b"{\n\"bucket_name\": \"\xff\"}".to_vec(), vec!["UTF-8", "line 2"]),
        ("a list", b"[]".to_vec(), vec!["object"]),
        ("no bucket", br#"{"files": {}}"#.to_vec(), vec!["bucket_name", "repo_prefix"]),
        (
            "a wrong type",
            br#"{"bucket_name": 5, "repo_prefix": "p", "files": {}}"#.to_vec(),
            vec!["bucket_name", "line 1"],
        ),
        ("files as a list", file("[]"), vec!["files"]),
        ("a bad hash", file(r#"{"a": "abc"}"#), vec!["hash", "a"]),
        ("a path out of the worktree", file(r#"{"../a": "abc"}"#), vec!["path"]),
        ("a path into .git", file(&format!(r#"{{".git/hooks/pre-push": "{}"}}"#, "ab".repeat(32))), vec![".git"]),
        ("a key twice", br#"{"bucket_name": "b", "bucket_name": "c", "files": {}}"#.to_vec(), vec!["twice"]),
    ]
}

#[test]
fn a_broken_manifest_stops_those_who_write_it_and_nobody_else() {
    let world = World::with_a();
    let work = world.at("work");
    work.write("new.dat", "new");
    work.write("a.bin", "changed");
    for (name, bytes, expected) in broken_manifests() {
        work.write(MANIFEST, &bytes);
        let before = state(&work);
        for args in
            [&["upload", "new.dat"][..], &["track-modified"], &["init", &world.url("store"), "proj"], &["trust"]]
        {
            one_error(work.s3lfs(args)).says(&[MANIFEST, "hint:"]).says(&expected);
            assert_eq!(state(&work), before, "{name}: {args:?} leaves all as it was");
        }
        work.s3lfs(&["status"]).ok();
        work.s3lfs(&["ls"]).ok();
        work.s3lfs(&["download", "--force", "a.bin"]).ok();
        assert_eq!(work.read("a.bin"), b"content of a\n", "{name}: reading goes by the index's manifest");
        work.write("a.bin", "changed");
        assert_eq!(work.read(MANIFEST), bytes, "{name}: and mends nothing behind the user's back");
    }
}

#[test]
fn a_commit_of_a_broken_manifest_is_refused_and_loses_nothing() {
    let world = World::with_a();
    let work = world.at("work");
    let head = work.head();
    for (name, bytes, expected) in broken_manifests() {
        work.write(MANIFEST, &bytes);
        work.write("a.bin", "changed");
        work.git(&["add", "--all"]).ok();
        let before = state(&work);
        let ran = work.git(&["commit", "-qm", "broken"]);
        assert_ne!(ran.code, 0, "{name}: {ran:#?}");
        ran.says(&["s3lfs: ", MANIFEST]).says(&expected);
        assert_eq!((work.head(), state(&work)), (head.clone(), before), "{name}: nothing is lost");
    }
}

#[test]
fn a_checkout_of_a_broken_manifest_still_fills_files() {
    let world = World::with_a();
    let work = world.at("work");
    for (name, bytes, _) in broken_manifests() {
        work.git(&["checkout", "-q", "-B", "broken", "main"]).ok();
        work.write(MANIFEST, bytes);
        work.git(&["-c", "core.hooksPath=/nowhere", "commit", "-qam", "broken"]).ok();
        work.remove("a.bin");
        work.drop_cache();
        let ran = work.git(&["checkout", "--", "a.bin"]);
        // The accepted store is known without any manifest.
        assert_eq!(ran.code, 0, "{name}: {ran:#?}");
        assert_eq!(work.read("a.bin"), b"content of a\n", "{name}");
        work.git(&["checkout", "-qf", "main"]).ok();
    }
}

#[test]
fn a_manifest_of_a_newer_format_is_read_and_never_written() {
    let world = World::with_a();
    let work = world.at("work");
    work.write(MANIFEST, work.text(MANIFEST).replace("\"format\": 1", "\"format\": 2"));
    work.git(&["-c", "core.hooksPath=/nowhere", "commit", "-qam", "newer"]).ok();
    work.write("new.dat", "new");
    let before = state(&work);
    one_error(work.s3lfs(&["upload", "new.dat"])).says(&["format 2", "newer s3lfs"]);
    let (index, files) = state(&work);
    assert_eq!(work.read(MANIFEST), before.1.iter().find(|(path, _)| path.ends_with(MANIFEST)).unwrap().1);
    assert!(files.len() == before.1.len() && index.contains(MANIFEST));
    work.leave_pointer("a.bin");
    work.s3lfs(&["download", "a.bin"]).ok();
    work.s3lfs(&["ls"]).ok();
}

#[test]
fn a_store_that_is_not_there_is_named_with_what_to_do() {
    let world = World::with_a();
    let work = world.at("work");
    work.write("new.bin", "new");
    work.leave_pointer("a.bin");
    world.unplug();
    let breakages: [(&str, &dyn Fn()); 2] =
        [("it is gone", &|| ()), ("a file is in its place", &|| fs::write(world.path("store"), "a file").unwrap())];
    for (name, break_it) in breakages {
        break_it();
        let before = state(&work);
        let store = world.url("store");
        for args in [&["upload", "new.bin"][..], &["download", "a.bin"]] {
            one_error(work.s3lfs(args)).says(&[&store, "hint:"]);
            assert_eq!(state(&work), before, "{name}: {args:?} changes nothing");
        }
        fs::remove_dir_all(world.path("store")).ok();
    }
}

#[test]
fn a_store_that_can_not_be_written_is_named() {
    let world = World::with_a();
    let work = world.at("work");
    work.write("new.bin", "new");
    // Root may write anywhere, but not beneath a file.
    let dir = world.object(b"new").parent().unwrap().to_owned();
    let _ = fs::remove_dir_all(&dir);
    fs::write(&dir, "a file").unwrap();
    let before = state(&work);
    one_error(work.s3lfs(&["upload", "new.bin"])).says(&["new.bin", &oid(b"new"), &world.url("store")]);
    assert_eq!(state(&work), before, "nothing is staged");
    work.git(&["add", "new.bin"]).ok();
    work.git(&["commit", "-qm", "new"]).ok().says(&["warning", "new.bin"]);
    let pushed = work.git(&["push", "-q"]);
    assert_ne!(pushed.code, 0, "what can't be stored is not published");
    pushed.says(&["push refused", "new.bin", &oid(b"new")]);
    assert_ne!(world.remote_head("main"), work.head());
    fs::remove_file(&dir).unwrap();
    work.git(&["push", "-q"]).ok();
    assert_eq!(world.remote_head("main"), work.head(), "mended, the same command completes");
}

#[test]
fn objects_that_are_missing_corrupt_or_of_another_size_are_never_written() {
    let world = World::with_a();
    let work = world.at("work");
    let content = b"content of a\n";
    let object = world.object(content);
    let good = fs::read(&object).unwrap();
    let cut = good[..good.len() - 3].to_vec();
    let with_tail = [good.as_slice(), b"tail"].concat();
    let gzip = |text: &str| {
        work.sh(&format!("printf '%s' '{text}' | gzip -c >'{}'", world.path("tmp.gz").display())).ok();
        fs::read(world.path("tmp.gz")).unwrap()
    };
    let (shorter, longer) = (gzip("content of"), gzip("content of a and of much more than that"));
    let cases: [(&str, Option<&[u8]>); 9] = [
        ("missing", None),
        ("empty", Some(b"")),
        ("other content of the same length", Some(b"content of b\n")),
        ("cut off", Some(&cut)),
        ("with a tail", Some(&with_tail)),
        ("gzip of something shorter", Some(&shorter)),
        ("gzip of something longer", Some(&longer)),
        ("of a later format", Some(b"s3lfs/2 something")),
        ("compressed by something else", Some(b"\x28\xb5\x2f\xfdsomething")),
    ];
    let key = format!("proj/assets/{}/{}", &oid(content)[..2], oid(content));
    for (name, bytes) in cases {
        fs::write(&object, &good).unwrap();
        work.s3lfs(&["download", "--force", "a.bin"]).ok();
        work.leave_pointer("a.bin");
        match bytes {
            Some(bytes) => fs::write(&object, bytes).unwrap(),
            None => fs::remove_file(&object).unwrap(),
        }
        let before = state(&work);
        let ran = work.s3lfs(&["download", "a.bin"]).fails(1).says(&["a.bin", &key]);
        assert!(name != "missing" || ran.stderr.contains("s3lfs upload"), "what to do next is said: {ran:#?}");
        if name.starts_with("of a later") || name.starts_with("compressed") {
            assert!(ran.stderr.contains("newer s3lfs"), "{name}: {ran:#?}");
        }
        work.s3lfs(&["download-all"]).fails(3).says(&["a.bin", &key]);
        assert_eq!(state(&work), before, "{name}: the pointer stays");

        work.remove("a.bin");
        let checkout = work.git(&["checkout", "--", "a.bin"]);
        assert_ne!(checkout.code, 0, "{name}: the checkout fails: {checkout:#?}");
        let checkout = checkout.says(&["a.bin", &key]);
        assert!(name != "missing" || checkout.stderr.contains("S3LFS_SKIP_DOWNLOAD_ERRORS"), "{checkout:#?}");
        assert!(!work.exists("a.bin"), "{name}: a wrong byte is never written");
        work.env("S3LFS_SKIP_DOWNLOAD_ERRORS", "1").git(&["checkout", "--", "a.bin"]).ok().says(&["a.bin"]);
        assert_eq!(work.text("a.bin"), pointer(content), "{name}: or its pointer, if the user wants that");
        assert!(
            !work.exists(&format!(".git/s3lfs/objects/{}/{}", &oid(content)[..2], oid(content))),
            "{name}: not cached"
        );
    }
}

#[test]
fn a_damaged_cache_is_not_believed() {
    let world = World::with_a();
    let work = world.at("work");
    let content = b"content of a\n";
    let cached = format!(".git/s3lfs/objects/{}/{}", &oid(content)[..2], oid(content));
    work.sh(&format!("chmod u+w '{cached}' && printf 'content of X\n' >'{cached}'")).ok();
    work.remove("a.bin");
    let ran = work.s3lfs(&["download", "a.bin"]);
    assert!(!work.exists("a.bin") || work.read("a.bin") == content, "never wrong bytes: {ran:#?}");
    work.s3lfs(&["download", "a.bin"]).ok();
    assert_eq!(work.read("a.bin"), content, "the store has a good copy");
    work.is_clean();
}

#[test]
fn without_git_setup_commands_that_need_it_say_so() {
    let world = World::with_a();
    world.at("").git(&["clone", "-q", "remote.git", "plain"]).ok();
    let plain = world.at("plain");
    plain.write("new.dat", "new");
    let before = state(&plain);
    one_error(plain.s3lfs(&["upload", "new.dat"])).says(&["hint:", "s3lfs git-setup"]);
    assert_eq!(state(&plain), before);
    one_error(plain.s3lfs(&["download", "a.bin"])).says(&["hint:", "s3lfs trust"]);
    assert_eq!(state(&plain), before, "a store that was not accepted is not read");
    plain.s3lfs(&["status"]).ok();
}

#[test]
fn without_a_manifest_commands_that_need_it_say_so() {
    let world = World::new();
    let work = world.at("work");
    work.write("x", "x");
    for args in [&["upload", "x"][..], &["track-modified"], &["trust"]] {
        one_error(work.s3lfs(args)).says(&[MANIFEST, "hint:", "s3lfs init"]);
    }
    one_error(work.s3lfs(&["download", "x"])).says(&["x", "not tracked"]);
    work.s3lfs(&["download-all"]).ok();
    assert_eq!(work.git(&["status", "--porcelain"]).stdout, "?? x\n", "nothing is changed");
}

#[test]
fn outside_a_repository_and_in_a_bare_one() {
    let world = World::new();
    fs::create_dir(world.path("nothing")).unwrap();
    for args in [
        &["init", "my-bucket", "p"][..],
        &["git-setup"],
        &["trust"],
        &["track", "*.x"],
        &["untrack", "*.x"],
        &["upload", "x"],
        &["track-modified"],
        &["download", "x"],
        &["download-all"],
        &["status"],
        &["ls"],
    ] {
        one_error(world.at("nothing").s3lfs(args)).says(&["inside a Git repository", "hint:", "git init"]);
        // A bare repository can be told which store to trust, once it has a manifest.
        let says = if args == ["trust"] { MANIFEST } else { "bare" };
        one_error(world.at("remote.git").s3lfs(args)).says(&[says]);
    }
    assert_eq!(fs::read_dir(world.path("nothing")).unwrap().count(), 0, "nothing is made there");
    one_error(world.at("").s3lfs(&["-C", "nowhere", "status"])).says(&["nowhere"]);
}

#[test]
fn misspelt_commands_are_usage_errors() {
    let world = World::with_a();
    let work = world.at("work");
    for args in [
        &[][..],
        &["frobnicate"],
        &["status", "--frobnicate"],
        &["upload"],
        &["download"],
        &["untrack"],
        &["init", "only-a-bucket"],
        &["-j", "0", "status"],
        &["-j", "many", "status"],
        &["clone"],
        &["git-setup", "--global", "--worktree"],
        &["hook", "no-such-hook"],
    ] {
        let ran = work.s3lfs(args);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "usage is exit 2, on stderr: {ran:#?}");
        assert!(ran.stderr.contains("--help"), "and says how to learn more: {ran:#?}");
    }
    for args in [&["--help"][..], &["help"], &["upload", "--help"], &["--version"]] {
        let ran = work.s3lfs(args).ok();
        assert!(!ran.stdout.is_empty() && ran.stderr.is_empty(), "what was asked for is on stdout: {ran:#?}");
    }
    work.is_clean();
}

fn with_setting(place: &Place<'_>, key: &str, value: &str, args: &[&str]) -> Ran {
    let place = place.env("GIT_CONFIG_COUNT", "1").env("GIT_CONFIG_KEY_0", key).env("GIT_CONFIG_VALUE_0", value);
    place.s3lfs(args)
}

#[test]
fn settings_that_can_not_be_meant_are_named() {
    let world = World::with_a();
    let work = world.at("work");
    work.leave_pointer("a.bin");
    for (key, value) in [
        ("s3lfs.jobs", "0"),
        ("s3lfs.jobs", "many"),
        ("s3lfs.bucket", "a b"),
        ("s3lfs.repoprefix", "../x"),
        ("s3lfs.trust", "s3://[/"),
    ] {
        let ran = one_error(with_setting(&work, key, value, &["download", "a.bin"]));
        assert!(ran.stderr.contains(key) || ran.stderr.contains(value), "{key} = {value} is named: {ran:#?}");
        assert_eq!(work.text("a.bin"), pointer(b"content of a\n"));
    }
    for (key, value) in [("s3lfs.uploadon", "never"), ("s3lfs.offlinecommit", "perhaps"), ("s3lfs.jobs", "x")] {
        let ran = one_error(with_setting(&work, key, value, &["track-modified"]));
        assert!(ran.stderr.contains(key) && ran.stderr.contains(value), "{key} = {value} is named: {ran:#?}");
    }
}

#[test]
fn a_manifest_cannot_choose_other_keys_or_another_host() {
    for (key, value) in [("repository_id", "../../evil"), ("region", "evil.example/")] {
        let world = World::with_a();
        let work = world.at("work");
        let mut manifest = work.manifest();
        manifest[key] = value.into();
        work.write(MANIFEST, serde_json::to_string_pretty(&manifest).unwrap());
        fs::remove_dir_all(work.join(".git/s3lfs/registered")).unwrap();
        work.write("b.bin", "b");
        one_error(work.s3lfs(&["upload", "b.bin"])).says(&[key, value]);
    }
}
