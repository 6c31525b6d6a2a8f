//! `s3lfs.cachedir`: one cache directory for several clones, which may have different stores.

use std::fs;
use std::path::Path;

use crate::world::{Place, World, oid};

/// Where content would lie in a cache.
fn cached(root: &Path, content: &[u8]) -> std::path::PathBuf {
    let oid = oid(content);
    root.join("objects").join(&oid[..2]).join(oid)
}

fn own(place: &Place<'_>, content: &[u8]) -> bool {
    cached(&place.join(".git/s3lfs"), content).exists()
}

fn shared(world: &World, content: &[u8]) -> bool {
    cached(&world.path("cache"), content).exists()
}

fn with_cachedir() -> World {
    let world = World::with_a();
    let home = world.at("");
    home.git(&["config", "--global", "s3lfs.cachedir", world.path("cache").to_str().unwrap()]).ok();
    world
}

#[test]
fn what_clean_stores_stays_with_the_clone_until_its_store_has_it() {
    let world = with_cachedir();
    let work = world.at("work");
    world.unplug();
    work.commit("b.bin", b"content of b");
    assert!(own(&work, b"content of b") && !shared(&world, b"content of b"), "it is nowhere else");
    world.plug();
    work.git(&["push", "-q"]).ok();
    assert!(!own(&work, b"content of b") && shared(&world, b"content of b"), "the store has it: it moves");
    work.sh("touch b.bin").ok();
    work.is_clean();
    assert!(!own(&work, b"content of b"), "cleaned again, it needs no copy");

    // Another clone is filled from there, and makes no copy either.
    let store = world.object(b"content of b");
    fs::remove_file(&store).unwrap();
    let clone = world.cloned("two");
    assert_eq!(clone.read("b.bin"), b"content of b", "from the shared cache, since the store has it no more");
    clone.is_clean();
    assert!(!own(&clone, b"content of b"));
    let status = clone.s3lfs(&["status"]).ok().stdout;
    assert!(status.contains("nothing to do"), "what others shared is no work of this clone: {status}");
    assert!(shared(&world, b"content of a\n"), "what was fetched goes there at once");
    assert!(!own(&clone, b"content of a\n"));
}

#[test]
fn emptied_at_any_time_it_costs_time_only() {
    let world = with_cachedir();
    let work = world.at("work");
    work.commit("b.bin", b"content of b");
    world.unplug();
    work.commit("c.bin", b"content of c");
    fs::remove_dir_all(world.path("cache")).unwrap();
    world.plug();
    work.git(&["push", "-q"]).ok();
    assert!(world.object(b"content of c").exists(), "what the store had not was never there");
    fs::remove_dir_all(world.path("cache")).unwrap();
    for name in ["b.bin", "c.bin"] {
        work.remove(name);
    }
    work.git(&["checkout", "-q", "."]).ok();
    assert_eq!(work.read("b.bin"), b"content of b");
    assert_eq!(work.read("c.bin"), b"content of c");
    work.is_clean();
}

#[test]
fn clones_with_different_stores_do_not_rely_on_each_other() {
    let world = with_cachedir();
    let first = world.at("work");
    first.commit("b.bin", b"content of b");
    assert!(shared(&world, b"content of b"));

    // A second repository, with a store of its own, gets the same content by its user's own hand.
    let home = world.at("");
    home.git(&["init", "-q", "--bare", "-b", "main", "second.git"]).ok();
    home.git(&["init", "-q", "-b", "main", "second"]).ok();
    let second = world.at("second");
    second.git(&["remote", "add", "origin", &world.url("second.git")]).ok();
    second.s3lfs(&["init", &world.url("other-store"), "proj"]).ok();
    second.s3lfs(&["git-setup", "--track", "*.bin"]).ok();
    second.git(&["add", "."]).ok();
    fs::rename(world.path("other-store"), world.path("other-unplugged")).unwrap();
    second.commit("same.bin", b"content of b");
    assert!(own(&second, b"content of b"), "the other clone's upload proves nothing for this one's store");
    let status = second.s3lfs(&["status"]).ok().stdout;
    assert!(status.contains("not uploaded"), "{status}");
    assert_ne!(second.git(&["push", "-q", "origin", "main"]).code, 0, "its store can't be asked");
    fs::rename(world.path("other-unplugged"), world.path("other-store")).unwrap();
    fs::remove_dir_all(world.path("cache")).unwrap();
    second.git(&["push", "-q", "origin", "main"]).ok();
    assert!(world.object_in("other-store", b"content of b").exists(), "uploaded from its own copy");
    assert!(shared(&world, b"content of b") && !own(&second, b"content of b"), "and only now it moved");

    // A pointer that came from the first: its content is uploaded from the shared cache, not taken as there.
    world.cloned("two");
    second.git(&["fetch", "-q", &world.url("work"), "main"]).ok();
    second.git(&["checkout", "-q", "FETCH_HEAD", "--", "a.bin"]).ok();
    assert_eq!(second.read("a.bin"), b"content of a\n", "the shared cache has it");
    second.git(&["commit", "-qm", "a"]).ok();
    second.git(&["push", "-q", "origin", "main"]).ok();
    assert!(world.object_in("other-store", b"content of a\n").exists(), "its own store has it now");
}

#[test]
fn damage_there_is_never_delivered_and_mended_from_the_store() {
    let world = with_cachedir();
    let work = world.at("work");
    work.commit("b.bin", b"content of b");
    let large = vec![7; 2 << 20];
    work.commit("large.bin", &large);
    work.git(&["push", "-q"]).ok();
    for content in [b"content of b".as_slice(), &large] {
        let path = cached(&world.path("cache"), content);
        let mut bytes = fs::read(&path).unwrap();
        bytes[1] ^= 1;
        fs::write(&path, bytes).unwrap();
    }
    let clone = world.at("");
    clone.s3lfs(&["clone", "-q", "remote.git", "two"]);
    let two = world.at("two");
    two.s3lfs(&["download-all"]).ok();
    assert_eq!(two.read("b.bin"), b"content of b");
    assert!(two.read("large.bin") == large, "the right bytes, after all");
    two.is_clean();
    assert!(world.path("cache/bad").exists(), "the damaged ones are set aside");
}

#[test]
fn a_directory_that_can_not_be_used_is_one_warning() {
    let world = World::with_a();
    let work = world.at("work");
    work.write("../file", "");
    let cases = [
        (world.path("missing/cache").display().to_string(), "the directory above it does not exist"),
        (world.path("file").display().to_string(), "it is no directory"),
        ("/proc/sys/fs/cache".to_owned(), "it can't be made"),
        ("~nobody-of-this-name/cache".to_owned(), "expand user dir"),
    ];
    for (n, (path, why)) in cases.iter().enumerate() {
        work.git(&["config", "s3lfs.cachedir", path]).ok();
        let content = format!("content {n}");
        work.write("b.bin", &content);
        let added = work.git(&["add", "."]).ok();
        added.says(&["s3lfs.cachedir", why]);
        work.git(&["commit", "-qm", "b"]).ok();
        work.git(&["push", "-q"]).ok();
        assert!(world.object(content.as_bytes()).exists(), "{path}");
        assert!(own(&work, content.as_bytes()), "{path}: this clone's own cache is used");
        work.leave_pointer("b.bin");
        let ran = work.s3lfs(&["download-all"]).ok();
        assert_eq!(ran.stderr.matches("s3lfs.cachedir").count(), 1, "said once: {}", ran.stderr);
        assert_eq!(work.text("b.bin"), content);
        work.is_clean();
    }
}

/// One that may be read and not written: what others put there is used, ours stays with us.
#[test]
fn a_directory_that_is_read_only_is_read() {
    let world = with_cachedir();
    let work = world.at("work");
    work.commit("b.bin", b"content of b");
    work.git(&["push", "-q"]).ok();
    assert!(shared(&world, b"content of b"));
    // Root may write anywhere, so what has to be made is in the way as a file.
    let cache = world.path("cache");
    let _ = fs::remove_dir_all(cache.join("tmp"));
    fs::write(cache.join("tmp"), "").unwrap();
    fs::remove_file(cached(&cache, b"content of a\n")).unwrap();
    fs::remove_file(world.object(b"content of b")).unwrap();
    let two = world.cloned("two");
    assert_eq!(two.read("b.bin"), b"content of b", "it is read");
    assert_eq!(two.read("a.bin"), b"content of a\n");
    assert!(own(&two, b"content of a\n"), "what is fetched goes into the clone's own cache");
    two.is_clean();
}

#[test]
fn relative_and_home_paths_mean_one_place_in_all_worktrees() {
    let world = World::with_a();
    let work = world.at("work");
    work.git(&["config", "s3lfs.cachedir", "../cache"]).ok();
    work.sub("deep").write("b.bin", "content of b");
    work.git(&["add", "."]).ok();
    work.sub("deep").git(&["commit", "-qm", "b"]).ok();
    assert!(shared(&world, b"content of b"), "from the top of the worktree");
    work.git(&["worktree", "add", "-q", "--detach", "../far/away/linked"]).ok();
    world.at("far/away/linked").commit("c.bin", b"content of c");
    assert!(shared(&world, b"content of c"), "the same one for a linked worktree");
    work.git(&["config", "s3lfs.cachedir", "~/cache of mine"]).ok();
    work.commit("d.bin", b"content of d");
    assert!(cached(&world.path("cache of mine"), b"content of d").exists());
}

#[test]
fn the_shared_directory_is_pruned_of_what_our_store_has_and_only_when_asked() {
    let world = with_cachedir();
    let work = world.at("work");
    work.commit("b.bin", b"content of b");
    work.git(&["push", "-q"]).ok();
    work.commit("b.bin", b"second b");
    work.git(&["push", "-q"]).ok();
    // What only a clone with another store can fetch again; it was put there by that clone.
    let foreign = cached(&world.path("cache"), b"of another store");
    fs::create_dir_all(foreign.parent().unwrap()).unwrap();
    fs::write(&foreign, "of another store").unwrap();
    work.s3lfs(&["prune"]).ok();
    assert!(shared(&world, b"content of b"), "nobody asked for that");
    work.s3lfs(&["prune", "--shared", "--dry-run"]).ok().says(&["1 cached object", "would be dropped"]);
    world.unplug();
    work.s3lfs(&["prune", "--shared"]).fails(1);
    world.plug();
    assert!(shared(&world, b"content of b"), "nothing goes that is not found in the store");
    work.s3lfs(&["prune", "--shared"]).ok().says(&["1 cached object", "dropped", "1 of them not in the store"]);
    assert!(!shared(&world, b"content of b"), "a published commit names it, and the store has it");
    assert!(shared(&world, b"second b"), "the index names it");
    assert!(foreign.exists(), "our store has it not");
    let notes = fs::read_to_string(work.join(".git/s3lfs/from-shared")).unwrap_or_default();
    assert!(!notes.contains(&oid(b"content of b")), "what is there no more is noted no more: {notes}");
    work.git(&["checkout", "-q", "HEAD~1"]).ok();
    assert_eq!(work.read("b.bin"), b"content of b", "it comes back");
    work.git(&["checkout", "-q", "main"]).ok();
    work.is_clean();
    world.at("").git(&["config", "--global", "--unset", "s3lfs.cachedir"]).ok();
    work.s3lfs(&["prune", "--shared"]).fails(1).says(&["there is no shared cache", "s3lfs.cachedir"]);
}

/// A commit that only another clone has is seen by nobody but that clone: a cleanup deletes its content
/// from the store in the end, and the shared directory may have the last copy. Here that clone is in no register, as
/// where it used the directory before there was one.
#[test]
fn what_no_remote_has_a_commit_of_stays_in_the_shared_directory() {
    let world = with_cachedir();
    let (work, two) = (world.at("work"), world.cloned("two"));
    work.commit("b.bin", b"not pushed");
    work.commit("b.bin", b"not pushed either");
    assert!(shared(&world, b"not pushed") && !own(&work, b"not pushed"), "its store has it: it moved");
    let unregister = || fs::remove_dir_all(world.path("cache/clones")).unwrap();
    unregister();
    let pruned = two.s3lfs(&["prune", "--shared"]).ok();
    pruned.says(&["0 cached objects", "2 of them named by no commit that a remote has"]);
    // What a cleanup does that sees it named by nothing for 14 days.
    fs::remove_file(world.object(b"not pushed")).unwrap();
    work.git(&["checkout", "-q", "HEAD~1"]).ok();
    assert_eq!(work.read("b.bin"), b"not pushed", "the last copy is still there");

    work.git(&["checkout", "-q", "main"]).ok();
    work.s3lfs(&["verify", "--all", "--fix"]).ok();
    work.git(&["push", "-q"]).ok();
    unregister();
    two.s3lfs(&["prune", "--shared"]).ok().says(&["0 cached objects", "2 of them named by no commit"]);
    two.git(&["fetch", "-q"]).ok();
    two.s3lfs(&["prune", "--shared", "--dry-run"]).ok().says(&["2 cached objects"]);
    let away = world.path("away.git");
    fs::rename(world.path("remote.git"), &away).unwrap();
    work.s3lfs(&["prune", "--shared"]).ok().says(&["1 cached object ("]);
    assert!(!shared(&world, b"not pushed"), "who clones can have it from the store, and a cleanup keeps it there");
    fs::rename(&away, world.path("remote.git")).unwrap();
    work.s3lfs(&["prune", "--shared"]).ok().says(&["0 cached objects"]);
}

#[test]
fn fsck_hashes_what_is_there_and_mends_it() {
    let world = with_cachedir();
    let work = world.at("work");
    work.commit("b.bin", b"content of b");
    work.git(&["push", "-q"]).ok();
    // Of a clone with another store, whose content our store does not have.
    let foreign = cached(&world.path("cache"), b"foreign");
    fs::create_dir_all(foreign.parent().unwrap()).unwrap();
    for damage in [&b"content of B"[..], b"content of b and more", b""] {
        fs::write(cached(&world.path("cache"), b"content of b"), damage).unwrap();
        fs::write(&foreign, "foreigN").unwrap();
        let found = work.s3lfs(&["fsck"]).fails(3);
        for content in [&b"content of b"[..], b"foreign"] {
            let named = format!("object {}: its copy in the shared cache", oid(content));
            assert!(found.stderr.contains(&named), "{found:#?}");
        }
        let found = found.never_says(&["the pointer that is wrong", "b.bin"]);
        assert!(found.stderr.contains("2 faults found"), "{found:#?}");
        assert_eq!(fs::read(cached(&world.path("cache"), b"content of b")).unwrap(), damage, "fsck only looks");
        work.s3lfs(&["fsck", "--fix"]).ok().says(&["Everything is mended", &oid(b"foreign")]);
        assert!(!shared(&world, b"foreign"), "it is out of the way, and no store of ours is asked for it");
        assert!(world.path("cache/bad").join(oid(b"foreign")).exists(), "and kept");
        work.s3lfs(&["fsck"]).ok();
        work.remove("b.bin");
        work.git(&["checkout", "-q", "--", "."]).ok();
        assert_eq!(work.read("b.bin"), b"content of b");
        work.is_clean();
        // Back to where only the shared directory has it.
        let _ = fs::remove_file(cached(&work.join(".git/s3lfs"), b"content of b"));
        fs::write(cached(&world.path("cache"), b"content of b"), b"content of b").unwrap();
    }
}

#[test]
fn fsck_says_what_it_can_not_mend_there() {
    let world = with_cachedir();
    let work = world.at("work");
    work.commit("b.bin", b"content of b");
    work.git(&["push", "-q"]).ok();
    fs::write(cached(&world.path("cache"), b"content of b"), b"content of B").unwrap();
    // Where the damaged are put, a file is in the way.
    fs::write(world.path("cache/bad"), "").unwrap();
    let left = work.s3lfs(&["fsck", "--fix"]).fails(3);
    left.says(&[&oid(b"content of b"), "its copy in the shared cache", "could not be moved"]);
    work.is_clean();
}
