//! `verify`: is all that is named in the store?

use std::fs;

use serde_json::Value;

use crate::world::{MANIFEST, Place, Ran, World, oid, pointer, snapshot};

/// `a.bin` in two versions, `deep/b.bin`, and the manifest-only `out/x`, pushed.
fn history() -> World {
    let world = World::with_a();
    let work = world.at("work");
    work.commit("a.bin", b"second a");
    work.commit("deep/b.bin", b"content of b");
    work.commit(".gitignore", b"out/\n");
    work.write("out/x", "built");
    work.s3lfs(&["upload", "out/x"]).ok();
    work.git(&["commit", "-qm", "out"]).ok();
    work.git(&["push", "-q"]).ok();
    world
}

fn lose(world: &World, content: &[u8]) {
    fs::remove_file(world.object(content)).unwrap();
}

fn key(content: &[u8]) -> String {
    let oid = oid(content);
    format!("proj/assets/{}/{oid}", &oid[..2])
}

/// The `errors` of a `--json` answer, as path, state and commit.
fn errors(ran: Ran) -> Vec<(String, String, Option<String>)> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let json = ran.json("verify");
    let one = |e: &Value| (text(&e["path"]).unwrap(), text(&e["state"]).unwrap(), text(&e["commit"]));
    json["errors"].as_array().unwrap().iter().map(one).collect()
}

#[test]
fn what_is_whole_is_said_to_be_whole_and_nothing_is_written() {
    let world = history();
    let work = world.at("work");
    work.drop_cache();
    let (store, local) = (snapshot(&world.path("store")), snapshot(&work.join(".git/s3lfs")));
    for args in [&["verify"][..], &["verify", "--deep"], &["verify", "HEAD"], &["verify", "--all", "--deep"]] {
        work.sub("deep").s3lfs(args).ok().says(&["all in file://"]);
    }
    work.s3lfs(&["verify", "HEAD~3..HEAD"]).ok().says(&["2 objects"]);
    work.s3lfs(&["verify", "HEAD..HEAD"]).ok().says(&["0 objects"]);
    assert_eq!(snapshot(&world.path("store")), store, "the store is only read");
    let kept = |files: &[(std::path::PathBuf, Vec<u8>)]| -> Vec<_> {
        files.iter().filter(|(path, _)| path.components().any(|c| c.as_os_str() == "objects")).cloned().collect()
    };
    assert_eq!(kept(&snapshot(&work.join(".git/s3lfs"))), kept(&local), "what --deep downloads is thrown away");
    let json = work.s3lfs(&["verify", "--json"]).ok().json("verify");
    let states: Vec<&Value> = json["items"].as_array().unwrap().iter().map(|item| &item["state"]).collect();
    assert_eq!(states, ["ok", "ok", "ok"], "two pointers and a manifest-only file");
    assert_eq!(json["errors"], Value::Array(vec![]));
}

#[test]
fn what_is_missing_is_named_with_path_oid_key_and_commit() {
    let world = history();
    let work = world.at("work");
    lose(&world, b"content of b");
    lose(&world, b"built");
    work.s3lfs(&["verify"]).fails(3).says(&[
        "deep/b.bin",
        &oid(b"content of b"),
        &key(b"content of b"),
        "out/x",
        &key(b"built"),
        "2 of 3",
    ]);
    let head = work.head();
    work.s3lfs(&["verify", "HEAD"]).fails(3).says(&["deep/b.bin", &head, "out/x"]);
    work.s3lfs(&["verify", "HEAD~2"]).fails(3).says(&["deep/b.bin"]).never_says(&["out/x"]);
    work.s3lfs(&["verify", "HEAD~3"]).ok();

    lose(&world, b"content of a\n");
    work.s3lfs(&["verify", "HEAD"]).fails(3).never_says(&[&oid(b"content of a\n")]);
    let first = work.git(&["rev-parse", "HEAD~4"]).ok().stdout.trim().to_owned();
    work.s3lfs(&["verify", "HEAD~5..HEAD~3"]).fails(3).says(&["a.bin", &oid(b"content of a\n"), &first]);
    let found = errors(work.s3lfs(&["verify", "--all", "--json"]).fails(3));
    assert!(
        found.contains(&("a.bin".into(), "missing".into(), Some(first))),
        "--all finds it in its commit: {found:?}"
    );
    assert!(found.iter().any(|(path, ..)| path == "deep/b.bin") && found.iter().any(|(path, ..)| path == "out/x"));
}

#[test]
fn a_stash_a_reflog_and_an_index_count_for_all() {
    let world = history();
    let work = world.at("work");
    work.git(&["config", "s3lfs.uploadon", "push"]).ok();
    work.write("a.bin", "stashed");
    work.git(&["stash", "-q"]).ok();
    work.commit("gone.bin", b"only the reflog has it");
    work.git(&["reset", "-q", "--hard", "HEAD~1"]).ok();
    work.write("staged.bin", "staged");
    work.git(&["add", "staged.bin"]).ok();
    let ran = work.s3lfs(&["verify", "--all"]).fails(3);
    ran.says(&[&oid(b"stashed"), &oid(b"only the reflog has it"), "gone.bin", &oid(b"staged"), "staged.bin"]);
    work.s3lfs(&["verify"]).fails(3).says(&["staged.bin", "1 of 4"]);
}

#[test]
fn a_text_that_only_looks_like_a_pointer_is_no_missing_file() {
    let world = history();
    let work = world.at("work");
    work.commit("docs/example.txt", pointer(b"nobody has this").as_bytes());
    for args in [&["verify"][..], &["verify", "HEAD"], &["verify", "HEAD~1..HEAD"], &["verify", "--all"]] {
        work.s3lfs(args).ok();
    }
}

#[test]
fn pointers_under_no_pattern_are_counted_apart() {
    let world = history();
    let work = world.at("work");
    work.commit("docs/lost.bun", pointer(b"nobody has this").as_bytes());
    for args in [&["verify"][..], &["verify", "HEAD"], &["verify", "HEAD~1..HEAD"]] {
        let said = "1 pointer under no pattern not looked at, since nothing turns them into content (the first: docs/lost.bun)";
        work.s3lfs(args).ok().says(&[said]);
        let answer = work.s3lfs(&[args, &["--json"]].concat()).ok().json("verify");
        let items = answer["items"].as_array().unwrap();
        let bare: Vec<_> = items.iter().filter(|item| item["state"] == "pointer, not tracked").collect();
        assert!(bare.len() == 1 && bare[0]["path"] == "docs/lost.bun", "{answer:#}");
    }
    work.write("docs/.gitattributes", "*.bun -filter\n");
    work.git(&["add", "docs"]).ok();
    work.git(&["commit", "-qm", "meant as it is"]).ok();
    for args in [&["verify"][..], &["verify", "HEAD"]] {
        work.s3lfs(args).ok().never_says(&["under no pattern"]);
    }
}

#[test]
fn damage_is_told_apart_from_absence_by_deep() {
    let world = history();
    let work = world.at("work");
    fs::write(world.object(b"content of b"), b"content of B").unwrap();
    fs::write(world.object(b"built"), b"\x1f\x8bno gzip").unwrap();
    lose(&world, b"second a");
    assert_eq!(errors(work.s3lfs(&["verify", "--json"]).fails(3)), [("a.bin".into(), "missing".into(), None)]);
    let mut found = errors(work.s3lfs(&["verify", "--deep", "--json"]).fails(3));
    found.sort();
    let expected = [("a.bin", "missing"), ("deep/b.bin", "damaged"), ("out/x", "damaged")];
    assert_eq!(found, expected.map(|(path, state)| (path.to_owned(), state.to_owned(), None)));
    work.s3lfs(&["verify", "--deep"]).fails(3).says(&["damaged: deep/b.bin", &key(b"content of b"), "2 damaged"]);
}

#[test]
fn more_than_a_few_are_listed_and_one_is_found_missing() {
    let world = World::ready();
    let work = world.at("work");
    for i in 0..130 {
        work.write(&format!("d/{i}.bin"), format!("content {i}"));
    }
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-qm", "many"]).ok();
    work.s3lfs(&["verify"]).ok().says(&["130 objects"]);
    lose(&world, b"content 77");
    fs::write(world.object(b"content 78"), b"").unwrap();
    work.s3lfs(&["verify"]).fails(3).says(&["d/77.bin", "d/78.bin", "2 of 130"]);
}

/// A directory is listed by the names in it: what is not ours there is passed over, and what is ours is seen
/// wherever it lies.
#[test]
fn what_else_lies_in_a_store_that_is_a_directory_is_passed_over() {
    use std::os::unix::fs::symlink;

    let world = World::ready();
    let work = world.at("work");
    for i in 0..130 {
        work.write(&format!("d/{i}.bin"), format!("content {i}"));
    }
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-qm", "many"]).ok();
    let assets = world.path("store/proj/assets");
    let taken = |byte: u8| assets.join(format!("{byte:02x}")).exists();
    let free = (0..=255).find(|byte| !taken(*byte)).expect("130 objects leave some of 256 directories unmade");
    fs::write(assets.join(format!("{free:02x}")), "a file where a directory may be").unwrap();
    symlink("nowhere", assets.join(oid(b"a link that leads nowhere"))).unwrap();
    for other in ["zz", "0", "README", &oid(b"x")[..63], "\u{e9}"] {
        fs::create_dir(assets.join(other)).unwrap();
        fs::write(assets.join(other).join("file"), other).unwrap();
    }
    // Moved to another disk, with a link in its place.
    let moved = world.object(b"content 1").parent().unwrap().to_owned();
    fs::rename(&moved, world.path("elsewhere")).unwrap();
    symlink(world.path("elsewhere"), &moved).unwrap();
    // As the Python tool kept it.
    lose(&world, b"content 2");
    let old = assets.join(oid(b"content 2")).join("d");
    fs::create_dir_all(&old).unwrap();
    fs::write(old.join("2.bin"), "content 2").unwrap();
    work.s3lfs(&["verify"]).ok().says(&["130 objects", "all in"]);
}

#[test]
fn bad_input_and_an_absent_store_are_errors() {
    let world = history();
    let work = world.at("work");
    for revision in ["nonsense", "nonsense..HEAD", "HEAD..nonsense", "--", "HEAD~99"] {
        work.s3lfs(&["verify", "--", revision]).fails(1).says(&["unknown revision"]);
    }
    assert_eq!(work.s3lfs(&["verify", "--all", "HEAD"]).code, 2);
    world.unplug();
    work.s3lfs(&["verify"]).fails(1).says(&["store"]);
    world.plug();
    work.git(&["config", "--unset", "s3lfs.store"]).ok();
    work.s3lfs(&["verify"]).fails(1).says(&["s3lfs trust"]);
    work.s3lfs(&["trust"]).ok();
    work.remove(MANIFEST);
    work.s3lfs(&["verify"]).ok();
}

#[test]
fn a_commit_that_never_was_here_is_no_shorter_answer() {
    let world = history();
    let work: Place<'_> = world.at("work");
    let blob = work.git(&["rev-parse", "HEAD:deep/b.bin"]).ok().stdout.trim().to_owned();
    fs::remove_file(work.join(&format!(".git/objects/{}/{}", &blob[..2], &blob[2..]))).unwrap();
    assert_ne!(work.s3lfs(&["verify", "--all"]).code, 0, "an incomplete walk is not 'all there'");
    assert_ne!(work.s3lfs(&["verify", "HEAD"]).code, 0);
}

#[test]
fn what_only_a_reading_store_has_is_not_missing() {
    let world = history();
    let work = world.at("work");
    fs::create_dir_all(world.path("upstream/proj")).unwrap();
    work.sh("cp -r ../store/proj/assets ../upstream/proj/").ok();
    lose(&world, b"content of b");
    work.s3lfs(&["verify"]).fails(3);
    work.git(&["config", "s3lfs.readstore", &format!("{}/proj", world.url("upstream"))]).ok();
    let ran = work.s3lfs(&["verify", "--deep", "--json"]).ok();
    ran.says(&["1 object only in a reading store"]);
    let good = fs::read(world.object(b"second a")).unwrap();
    fs::write(world.object(b"second a"), b"second A").unwrap();
    work.s3lfs(&["verify", "--deep"]).fails(3).says(&["damaged: a.bin"]);
    fs::write(world.object(b"second a"), good).unwrap();
    fs::write(world.object_in("upstream", b"content of b"), b"content of B").unwrap();
    work.s3lfs(&["verify"]).ok();
    work.s3lfs(&["verify", "--deep"]).fails(3).says(&["damaged: deep/b.bin"]);
    fs::remove_dir_all(world.path("upstream")).unwrap();
    work.s3lfs(&["verify"]).fails(3).says(&["deep/b.bin", "could not be looked at"]);
}

#[test]
fn fix_writes_whole_copies_over_damaged_objects_and_no_others() {
    let world = history();
    let work = world.at("work");
    let damage = |content: &[u8]| fs::write(world.object(content), b"these are other bytes").unwrap();
    // From the cache; from the worktree; from nowhere.
    for content in [&b"content of b"[..], b"built", b"content of a\n"] {
        damage(content);
    }
    lose(&world, b"second a");
    let cached = |content: &[u8]| work.join(&format!(".git/s3lfs/objects/{}/{}", &oid(content)[..2], oid(content)));
    fs::write(cached(b"built"), b"a damaged copy").unwrap();
    fs::write(cached(b"content of a\n"), b"content of A\n").unwrap();

    work.s3lfs(&["verify", "--all", "--deep"]).fails(3).says(&["s3lfs verify --deep --fix"]).never_says(&["fsck"]);
    let before = snapshot(&world.path("store"));
    work.s3lfs(&["verify", "--deep"]).fails(3);
    assert!(snapshot(&world.path("store")) == before, "without --fix it writes nothing");

    let ran = work.s3lfs(&["verify", "--all", "--deep", "--fix"]).fails(3);
    ran.says(&[
        "3 objects mended",
        "1 damaged",
        "damaged: a.bin",
        &oid(b"content of a\n"),
        "can't be mended from here",
    ]);
    assert_eq!(
        fs::read(world.object(b"content of a\n")).unwrap(),
        b"these are other bytes",
        "a damaged copy is not sent"
    );
    work.s3lfs(&["verify", "--deep"]).ok();
    work.is_clean();

    // Who has it mends it; in JSON, too.
    work.write("copy.bin", "content of a\n");
    work.git(&["add", "copy.bin"]).ok();
    let json = work.s3lfs(&["verify", "--all", "--deep", "--fix", "--json"]).ok().json("verify");
    assert_eq!(json["errors"], Value::Array(vec![]));
    let mended = |item: &&Value| item["oid"] == oid(b"content of a\n");
    assert!(json["items"].as_array().unwrap().iter().filter(mended).all(|item| item["state"] == "mended"), "{json:#}");
    work.s3lfs(&["verify", "--all", "--deep"]).ok();
    let elsewhere = world.cloned("elsewhere");
    elsewhere.git(&["checkout", "-q", &format!("{}~4", work.head())]).ok();
    assert_eq!(elsewhere.read("a.bin"), b"content of a\n");
}

#[test]
fn what_is_found_missing_is_believed_no_more() {
    let world = World::with_a();
    let work = world.at("work");
    work.commit("n.bin", b"new content");
    lose(&world, b"new content");
    work.s3lfs(&["verify"]).fails(3).says(&["n.bin"]);
    work.git(&["push", "-q"]).ok();
    assert!(world.object(b"new content").exists(), "the push asked the store, and sent what the cache has");
    world.cloned("other").is_clean();
}

#[test]
fn fix_says_why_it_could_not_write() {
    let world = World::with_a();
    let work = world.at("work");
    lose(&world, b"content of a\n");
    // The shard's directory is a link to nowhere: nothing is there, and nothing can be written, even by root.
    let dir = world.object(b"content of a\n").parent().unwrap().to_owned();
    fs::remove_dir_all(&dir).unwrap();
    std::os::unix::fs::symlink("/nonexistent/shard", &dir).unwrap();
    let ran = work.s3lfs(&["verify", "--fix"]).fails(3);
    ran.says(&["a.bin", "can't be mended from here: cannot write", "when the cause is mended"]);
    let errors = work.s3lfs(&["verify", "--fix", "--json"]).fails(3).json("verify")["errors"].clone();
    assert!(errors[0]["error"].as_str().unwrap().contains("cannot write"), "{errors:#}");
}

#[test]
fn what_cannot_be_mended_is_said_once() {
    let world = World::with_a();
    let work = world.at("work");
    fs::write(world.object(b"content of a\n"), "rot").unwrap();
    work.drop_cache();
    work.remove("a.bin");
    let said = work.s3lfs(&["verify", "--deep", "--fix"]).fails(3).says(&["damaged: a.bin"]).stderr;
    assert_eq!(said.matches("is not what the pointer names").count(), 1, "one reason is enough: {said}");
}

#[test]
fn content_that_a_pointer_and_a_manifest_name_is_counted_once() {
    let world = history();
    let work = world.at("work");
    work.commit("copy.bin", b"built");
    work.s3lfs(&["verify", "--all"]).ok().says(&["4 objects named"]);
    lose(&world, b"built");
    work.s3lfs(&["verify", "--all"]).fails(3).says(&["1 of 4 named objects missing", "copy.bin", "out/x"]);
}

#[test]
fn what_was_seen_is_not_said_to_be_missing_any_more() {
    let world = World::with_a();
    let work = world.at("work");
    fs::remove_dir_all(work.join(".git/s3lfs/uploaded")).unwrap();
    work.s3lfs(&["status"]).ok();
    let states = || work.s3lfs(&["status", "--json"]).ok().json("status")["items"][0]["states"].clone();
    assert_eq!(states(), serde_json::json!(["not uploaded"]));
    lose(&world, b"content of a\n");
    work.s3lfs(&["verify"]).fails(3);
    assert_eq!(states(), serde_json::json!(["not uploaded"]), "it is not there");
    work.s3lfs(&["verify", "--fix"]).ok();
    fs::remove_dir_all(work.join(".git/s3lfs/uploaded")).unwrap();
    work.s3lfs(&["verify"]).ok();
    assert_eq!(states(), serde_json::json!([]), "verify saw it");
    // What was seen is no proof for a push: the object may be gone since.
    work.commit("n.bin", b"new content");
    fs::remove_dir_all(work.join(".git/s3lfs/uploaded")).unwrap();
    work.s3lfs(&["verify"]).ok();
    lose(&world, b"new content");
    work.git(&["push", "-q"]).ok();
    assert!(world.object(b"new content").exists(), "the push asked, and sent it");
}

#[test]
fn an_object_too_short_for_its_pointer_is_read_and_named() {
    let world = World::with_a();
    let work = world.at("work");
    let content: Vec<u8> = (0..150_000_u32).flat_map(|n| oid(&n.to_be_bytes()).into_bytes()).take(150_000).collect();
    work.commit("long.bin", &content);
    work.git(&["push", "-q"]).ok();
    work.s3lfs(&["verify"]).ok().says(&["2 objects named, all in"]);
    fs::write(world.object(&content), b"8 bytes!").unwrap();
    let few = work.s3lfs(&["verify"]).fails(3);
    few.says(&["damaged: long.bin", "1 damaged"]).never_says(&["a.bin", "missing:"]);
    // Many are listed, not asked for one by one.
    for n in 0..110 {
        work.write(&format!("{n}.bin"), format!("content {n}"));
    }
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-qm", "many"]).ok();
    let many = work.s3lfs(&["verify"]).fails(3);
    many.says(&["damaged: long.bin", "1 damaged"]).never_says(&["a.bin", "missing:"]);
    work.s3lfs(&["verify", "--fix"]).ok();
    work.s3lfs(&["verify", "--deep"]).ok();
}

#[test]
fn a_pointer_too_long_for_its_object_is_the_one_that_is_wrong() {
    let world = World::with_a();
    let work = world.at("work");
    let before = fs::read(world.object(b"content of a\n")).unwrap();
    let lie = pointer(b"content of a\n").replace("size 13\n", "size 150000000\n");
    work.write("a.bin", &lie);
    work.git(&["add", "a.bin"]).ok();
    work.git(&["commit", "-qm", "lie"]).ok();
    work.drop_cache();
    work.s3lfs(&["verify"]).fails(3).says(&["wrong size: a.bin", "150000000"]).never_says(&["damaged"]);
    assert_eq!(fs::read(world.object(b"content of a\n")).unwrap(), before, "it is left as it is");
}

#[test]
fn a_commit_that_names_another_store_says_how_to_look_there() {
    let world = World::with_a();
    let work = world.at("work");
    let later = world.path("later store").display().to_string();
    work.s3lfs(&["init", "--force", &format!("file://{later}"), "p"]).ok();
    work.commit("b.bin", b"content of b");
    work.drop_cache();
    work.s3lfs(&["verify"]).fails(3).says(&["a.bin"]).never_says(&["its content may be there"]);
    let ran = work.s3lfs(&["verify", "HEAD~1"]).fails(3);
    let command = ran.stderr.lines().find_map(|line| Some(line.split_once("its content may be there: ")?.1.to_owned()));
    let command = command.unwrap_or_else(|| panic!("the way to that store is told: {ran:#?}"));
    work.sh(&command).ok().says(&["all in file://", "/store"]);
}
