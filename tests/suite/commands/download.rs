//! `download` and `download-all`: content into the worktree, never over anybody's changes.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::world::{Place, World, oid, pointer};

/// `a.bin`, `deep/b.bin` and the executable `tool.bin` committed and pushed.
fn three() -> World {
    let world = World::ready();
    let work = world.at("work");
    for (path, content) in [("a.bin", "content of a\n"), ("deep/b.bin", "content of b\n"), ("tool.bin", "tool\n")] {
        work.write(path, content);
    }
    work.sh("chmod 755 tool.bin").ok();
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-qm", "three"]).ok();
    work.git(&["push", "-q"]).ok();
    world
}

fn is_executable(place: &Place<'_>, path: &str) -> bool {
    fs::metadata(place.join(path)).unwrap().permissions().mode() & 0o111 != 0
}

#[test]
fn a_pointer_file_and_a_missing_file_get_their_content() {
    let world = three();
    let work = world.at("work");
    work.leave_pointer("deep/b.bin");
    let ran = work.sub("deep").s3lfs(&["download", "b.bin"]).ok();
    assert_eq!(ran.stdout, "", "nothing was asked for on stdout");
    assert_eq!(work.read("deep/b.bin"), b"content of b\n", "a pointer is filled, from a subdirectory too");
    work.is_clean();
    fs::remove_dir_all(work.join("deep")).unwrap();
    work.drop_cache();
    work.s3lfs(&["download", "deep/b.bin"]).ok();
    assert_eq!(work.read("deep/b.bin"), b"content of b\n", "its directory is made again");
    work.is_clean();
    work.leave_pointer("tool.bin");
    let json = work.s3lfs(&["download", "--json", "tool.bin", "deep/b.bin"]).ok().json("download");
    assert_eq!(json["items"], serde_json::json!([{ "path": "tool.bin", "oid": oid(b"tool\n") }]), "what was written");
    assert!(is_executable(&work, "tool.bin") && !is_executable(&work, "deep/b.bin"), "the bit is as in the index");
    work.is_clean();
}

#[test]
fn a_second_time_needs_no_store() {
    let world = three();
    world.unplug();
    let work = world.at("work");
    work.s3lfs(&["download", "a.bin"]).ok();
    work.s3lfs(&["download-all"]).ok();
    work.remove("a.bin");
    work.s3lfs(&["download", "a.bin"]).ok();
    assert_eq!(work.read("a.bin"), b"content of a\n", "what the cache has is not fetched");
}

#[test]
fn local_changes_are_kept_unless_forced() {
    let world = three();
    let work = world.at("work");
    work.write("a.bin", "my changes");
    work.drop_cache();
    work.s3lfs(&["download", "a.bin"]).fails(1).says(&["a.bin", "local changes", "--force"]);
    assert_eq!(work.read("a.bin"), b"my changes", "the user's only copy");
    work.s3lfs(&["download-all"]).fails(3).says(&["a.bin", "local changes"]);
    assert_eq!(work.read("a.bin"), b"my changes");
    work.s3lfs(&["download", "--force", "a.bin"]).ok();
    assert_eq!(work.read("a.bin"), b"content of a\n", "--force overwrites");
    work.is_clean();

    let staged = "staged, of another length";
    work.write("a.bin", staged);
    work.git(&["add", "a.bin"]).ok();
    work.write("a.bin", "changed again");
    work.s3lfs(&["download", "a.bin"]).fails(1);
    work.s3lfs(&["download", "a.bin", "--force"]).ok();
    assert_eq!(work.text("a.bin"), staged, "the index's pointer is what is fetched");
}

#[test]
fn a_pointer_to_something_else_is_a_local_change() {
    let world = three();
    let work = world.at("work");
    work.write("a.bin", pointer(b"content of b\n"));
    work.s3lfs(&["download", "a.bin"]).fails(1).says(&["local changes"]);
    assert_eq!(work.text("a.bin"), pointer(b"content of b\n"), "somebody put it there");
}

#[test]
fn one_that_fails_is_exit_1_and_one_of_several_is_exit_3() {
    let world = three();
    let work = world.at("work");
    for path in ["a.bin", "deep/b.bin"] {
        work.leave_pointer(path);
    }
    fs::remove_file(world.object(b"content of a\n")).unwrap();
    let key = format!("proj/assets/{}/{1}", &oid(b"content of a\n")[..2], oid(b"content of a\n"));
    work.s3lfs(&["download", "a.bin"]).fails(1).says(&["a.bin", &key]);
    assert_eq!(work.text("a.bin"), pointer(b"content of a\n"), "the pointer stays");
    let ran = work.s3lfs(&["download", "--json", "a.bin", "deep/b.bin"]).fails(3).says(&["a.bin", &key]);
    assert_eq!(work.read("deep/b.bin"), b"content of b\n", "the others are fetched");
    let json = ran.json("download");
    assert_eq!(json["errors"][0]["path"], "a.bin");
    assert!(json["errors"][0]["error"].as_str().unwrap().contains(&key), "the reason names the object");
    work.s3lfs(&["download-all"]).fails(3).says(&["a.bin", &key]);
}

#[test]
fn a_path_that_is_not_tracked_or_not_a_file_is_refused() {
    let world = three();
    let work = world.at("work");
    work.commit("plain.txt", b"plain");
    work.s3lfs(&["download", "plain.txt"]).fails(1).says(&["plain.txt", "not tracked"]);
    work.s3lfs(&["download", "nowhere.bin"]).fails(1).says(&["nowhere.bin", "not tracked"]);
    work.s3lfs(&["download", "deep"]).fails(1).says(&["deep", "directory"]);
    work.s3lfs(&["download", "../x"]).fails(1).says(&["outside"]);
    work.leave_pointer("a.bin");
    work.s3lfs(&["download", "nowhere.bin", "a.bin"]).fails(3).says(&["nowhere.bin"]);
    assert_eq!(work.read("a.bin"), b"content of a\n", "one failing file does not stop the others");
}

#[test]
fn download_all_fills_pointers_restores_deleted_files_and_keeps_changes() {
    let world = three();
    world.at("work").commit("copy.bin", b"content of a\n");
    world.at("work").git(&["push", "-q"]).ok();
    let other = world.cloned("other");
    other.is_clean();
    assert_eq!((other.read("a.bin"), other.read("copy.bin")), (b"content of a\n".to_vec(), b"content of a\n".to_vec()));
    assert!(is_executable(&other, "tool.bin"), "the executable bit comes from the index");
    other.leave_pointer("a.bin");
    other.leave_pointer("copy.bin");
    other.remove("tool.bin");
    other.write("deep/b.bin", "mine");
    let ran = other.sub("deep").s3lfs(&["download-all", "--json"]).fails(3).says(&["deep/b.bin"]);
    let json = ran.json("download-all");
    let written: Vec<_> = json["items"].as_array().unwrap().iter().map(|item| item["path"].clone()).collect();
    assert_eq!(written.len(), 3, "two pointers with one content and the deleted file: {written:?}");
    assert_eq!(other.read("copy.bin"), b"content of a\n", "equal content serves every path");
    assert_eq!(other.read("deep/b.bin"), b"mine");
    other.s3lfs(&["download-all", "--force"]).ok();
    other.is_clean();
}

#[test]
fn download_all_keeps_to_gits_sparse_checkout() {
    let world = three();
    world.at("work").commit(".gitignore", b"*.only\n");
    world.at("work").write("in/x.only", "inside");
    world.at("work").write("deep/y.only", "outside");
    world.at("work").s3lfs(&["upload", "in/x.only", "deep/y.only"]).ok();
    world.at("work").commit("in/i.bin", b"inside too");
    world.at("work").git(&["push", "-q"]).ok();
    let other = world.cloned("other");
    other.git(&["sparse-checkout", "set", "in"]).ok();
    other.remove("in/i.bin");
    for path in ["in/x.only", "deep/y.only"] {
        // Git itself may have removed what lies outside.
        let _ = fs::remove_file(other.join(path));
    }
    other.drop_cache();
    other.s3lfs(&["download-all"]).ok();
    assert_eq!((other.read("in/i.bin"), other.read("in/x.only")), (b"inside too".to_vec(), b"inside".to_vec()));
    assert!(!other.exists("deep/b.bin") && !other.exists("deep/y.only"), "outside of it nothing is written");
    other.is_clean();
}

#[test]
fn manifest_only_files_are_fetched_by_their_hash() {
    let world = three();
    let work = world.at("work");
    work.commit(".gitignore", b"out/\n");
    work.write("out/x", "built once");
    work.s3lfs(&["upload", "out/x"]).ok();
    work.git(&["commit", "-qm", "out"]).ok();
    work.git(&["push", "-q"]).ok();
    let other = world.cloned("other");
    assert_eq!(other.read("out/x"), b"built once", "clone fetches it");
    other.remove("out/x");
    other.s3lfs(&["download", "out/x"]).ok();
    assert_eq!(other.read("out/x"), b"built once", "download does");
    other.write("out/x", "built here");
    other.s3lfs(&["download-all"]).fails(3).says(&["out/x"]);
    assert_eq!(other.read("out/x"), b"built here", "what is only here is kept");
    other.s3lfs(&["download", "--force", "out/x"]).ok();
    other.is_clean();
}

#[test]
fn an_object_that_anybody_compressed_or_copied_in_is_read() {
    let world = three();
    let work = world.at("work");
    let object = world.object(b"content of a\n");
    fs::write(&object, b"content of a\n").unwrap();
    work.leave_pointer("a.bin");
    work.s3lfs(&["download", "a.bin"]).ok();
    assert_eq!(work.read("a.bin"), b"content of a\n", "raw");
    work.sh(&format!("gzip -c a.bin >'{}'", object.display())).ok();
    work.leave_pointer("a.bin");
    work.s3lfs(&["download", "a.bin"]).ok();
    assert_eq!(work.read("a.bin"), b"content of a\n", "gzip");
}

#[test]
fn a_manifest_only_file_follows_a_colleague_but_not_over_ones_own_work() {
    let world = World::ready();
    let work = world.at("work");
    work.write(".gitignore", "*.raw\n");
    work.write("scan.raw", "first");
    work.s3lfs(&["upload", "scan.raw"]).ok();
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-qm", "scan"]).ok();
    work.git(&["push", "-q"]).ok();
    let other = world.cloned("other");
    assert_eq!(other.text("scan.raw"), "first");
    work.write("scan.raw", "second");
    work.s3lfs(&["track-modified"]).ok();
    work.git(&["commit", "-qm", "newer scan"]).ok();
    work.git(&["push", "-q"]).ok();

    other.git(&["pull", "-q"]).ok();
    other.s3lfs(&["download-all"]).ok();
    assert_eq!(other.text("scan.raw"), "second", "the first one is in the store, so nothing was lost");
    other.write("scan.raw", "my own");
    other.s3lfs(&["download-all"]).fails(3).says(&["scan.raw", "local changes"]);
    assert_eq!(other.text("scan.raw"), "my own", "what only this disk has is kept");
    other.s3lfs(&["track-modified"]).ok();
    other.git(&["reset", "-q", "--hard"]).ok();
    other.s3lfs(&["download-all"]).fails(3).says(&["scan.raw", "local changes"]);
    assert_eq!(other.text("scan.raw"), "my own", "the store has it, but no commit says so: nobody would find it again");
}

/// As after a kill between the file and Git's index.
#[test]
fn a_file_that_git_was_not_told_of_is_told_by_the_next_run() {
    let world = World::with_a();
    let work = world.at("work");
    work.leave_pointer("a.bin");
    work.write("a.bin", "content of a\n");
    assert!(!work.git(&["status", "--porcelain"]).ok().stdout.is_empty(), "Git goes by the length that it knows");
    work.s3lfs(&["download-all"]).ok();
    work.is_clean();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(work.join("a.bin"), mode).unwrap();
    work.s3lfs(&["download-all"]).ok();
    work.git(&["diff", "--cached", "--quiet"]).ok();
}

#[test]
fn a_record_is_no_proof_for_overwriting_what_only_the_manifest_names() {
    let world = World::ready();
    let work = world.at("work");
    work.write(".gitignore", "out/\n");
    work.write("out/x", "first");
    work.s3lfs(&["upload", "out/x"]).ok();
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-qm", "first"]).ok();
    work.git(&["push", "-q"]).ok();
    let other = world.cloned("other");
    other.write("out/x", "second");
    other.s3lfs(&["upload", "out/x"]).ok();
    other.git(&["commit", "-qam", "second"]).ok();
    other.git(&["push", "-q"]).ok();
    // Somebody deleted the first one: the file here is the last copy, whatever the record says.
    fs::remove_file(world.object(b"first")).unwrap();
    work.git(&["pull", "-q"]).ok();
    work.s3lfs(&["download", "out/x"]).fails(1).says(&["out/x", "is kept"]);
    assert_eq!(work.read("out/x"), b"first");
    work.drop_cache();
    work.s3lfs(&["download", "--force", "out/x"]).ok();
    assert_eq!(work.read("out/x"), b"second");
}

#[test]
fn a_damaged_cached_copy_is_fetched_again_and_named() {
    let world = World::ready();
    let work = world.at("work");
    let large = "large content ".repeat(300_000).into_bytes();
    let cached = |content: &[u8]| {
        let oid = oid(content);
        work.join(".git/s3lfs/objects").join(&oid[..2]).join(oid)
    };
    for content in [b"small".as_slice(), &large] {
        work.commit("a.bin", content);
        work.git(&["push", "-q"]).ok();
        for (damage, says) in [(content.to_ascii_uppercase(), "damaged"), (content[1..].to_vec(), "Fetched 1 object")] {
            work.leave_pointer("a.bin");
            work.s3lfs(&["download", "a.bin"]).ok();
            work.remove("a.bin");
            fs::remove_file(cached(content)).unwrap();
            fs::write(cached(content), &damage).unwrap();
            work.s3lfs(&["download-all"]).ok().says(&[says, "1 file written"]);
            assert!(work.read("a.bin") == content, "every byte is right");
            assert!(fs::read(cached(content)).unwrap() == content, "and in the cache");
            work.is_clean();
        }
    }
    work.remove("a.bin");
    fs::remove_file(cached(&large)).unwrap();
    fs::write(cached(&large), large.to_ascii_uppercase()).unwrap();
    world.unplug();
    work.s3lfs(&["download-all"]).fails(3).says(&["a.bin", "damaged"]);
    assert!(!work.exists("a.bin"), "nothing wrong is delivered");
}

#[test]
fn a_download_of_nothing_does_not_count_what_it_wrote() {
    let world = World::with_a();
    let work = world.at("work");
    work.s3lfs(&["download", "nope"]).fails(1).never_says(&["0 files written"]);
    work.s3lfs(&["download", "a.bin", "nope"]).fails(3).says(&["0 files written, 1 already there"]);
}
