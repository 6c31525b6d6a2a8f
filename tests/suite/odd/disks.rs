//! Disks as they are elsewhere: read-only ones, and several of them.
//!
//! Apart because each command runs in a mount namespace of its own (`unshare -m`), which needs root or leave for it;
//! elsewhere these tests are left out, and say so; with `CI` set or `S3LFS_TEST_FULL=1`, as in CI, they fail.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use crate::hostile::many::import;
use crate::world::{Place, Ran, World, oid, pointer, snapshot};

pub fn can_mount() -> bool {
    let probe = Command::new("unshare").args(["-m", "sh", "-c", "mount -t tmpfs none /mnt"]).output();
    let can = probe.is_ok_and(|output| output.status.success());
    if !can {
        let all =
            std::env::var_os("CI").is_some() || std::env::var_os("S3LFS_TEST_FULL").is_some_and(|value| value == "1");
        assert!(!all, "nothing can be mounted here (unshare -m), and nothing is to be left out");
        eprintln!("disks: nothing can be mounted here (unshare -m), so it was left out");
    }
    can
}

/// Run the line after these commands, whose mounts only it sees.
pub fn mounted(place: &Place<'_>, mounts: &str, line: &str) -> Ran {
    let script = format!("set -e; {mounts}; cd '{}'; set +e; {line}", place.dir.display());
    let ran = place.sh(&format!("unshare -m sh -c '{}'", script.replace('\'', r"'\''")));
    Ran { line: format!("{mounts}; {line}"), ..ran }
}

/// Run the line while `dir` can't be written.
fn read_only(place: &Place<'_>, dir: &Path, line: &str) -> Ran {
    let dir = dir.display();
    mounted(place, &format!("mount --bind '{dir}' '{dir}' && mount -o remount,bind,ro '{dir}'"), line)
}

fn cached(state: &Path, content: &[u8]) -> PathBuf {
    let oid = oid(content);
    state.join("objects").join(&oid[..2]).join(oid)
}

#[test]
fn a_shared_cache_that_can_only_be_read() {
    if !can_mount() {
        return;
    }
    let world = World::with_a();
    let cache = world.path("cache");
    world.at("").git(&["config", "--global", "s3lfs.cachedir", cache.to_str().unwrap()]).ok();
    let work = world.at("work");
    let large = vec![7; 2 << 20];
    work.commit("b.bin", b"content of b");
    work.commit("large.bin", &large);
    work.git(&["push", "-q"]).ok();
    assert!(cached(&cache, &large).exists());
    let other = world.cloned("other");
    let run = |line: &str| read_only(&other, &cache, line);

    fs::remove_file(world.object(b"content of b")).unwrap();
    run("rm *.bin && git checkout -q -- .").ok();
    assert!(other.read("large.bin") == large && other.read("b.bin") == b"content of b", "it is read");
    other.write("new.bin", "new content");
    other.write("new large.bin", vec![9; 2 << 20]);
    run("git add . && git commit -qm new && git push -q").ok();
    run("test -z \"$(git status --porcelain)\"").ok();
    run("s3lfs status").ok();
    assert!(cached(&other.join(".git/s3lfs"), b"new content").exists(), "what can't be moved stays with the clone");
    assert!(world.object(b"new content").exists());
    work.git(&["pull", "-q"]).ok();
    work.commit("c.bin", b"content of c");
    work.git(&["push", "-q"]).ok();
    fs::remove_file(cached(&cache, b"content of c")).unwrap();
    run("git pull -q").ok();
    assert_eq!(other.read("c.bin"), b"content of c", "what is fetched goes into the clone's own cache");
    other.git(&["update-ref", "-d", "ORIG_HEAD"]).ok();
    run("s3lfs prune").ok();
    // What only published commits name would go.
    other.commit("b.bin", b"second b");
    other.git(&["push", "-q"]).ok();
    other.git(&["reflog", "expire", "--expire=now", "--all"]).ok();
    // Nor does the other clone that uses the directory need it.
    work.git(&["pull", "-q"]).ok();
    work.git(&["reflog", "expire", "--expire=now", "--all"]).ok();
    work.git(&["update-ref", "-d", "ORIG_HEAD"]).ok();
    fs::write(world.object(b"content of b"), b"content of b").unwrap();
    let before = snapshot(&cache);
    let refused = run("s3lfs prune --shared").fails(3);
    refused.says(&["Read-only file system", "could not be dropped"]);
    assert!(snapshot(&cache) == before, "nothing went from there");
    other.is_clean();
}

#[test]
fn a_shared_cache_on_another_filesystem() {
    let Ok(elsewhere) = tempfile::tempdir_in("/dev/shm") else { return };
    let world = World::with_a();
    let cache = elsewhere.path().join("cache");
    world.at("").git(&["config", "--global", "s3lfs.cachedir", cache.to_str().unwrap()]).ok();
    let work = world.at("work");
    let large = vec![7; 2 << 20];
    work.commit("large.bin", &large);
    work.commit("small.bin", b"small");
    work.git(&["push", "-q"]).ok();
    for content in [&large[..], b"small"] {
        assert!(cached(&cache, content).exists() && !cached(&work.join(".git/s3lfs"), content).exists(), "it moves");
        fs::remove_file(world.object(content)).unwrap();
    }
    let other = world.cloned("other");
    assert!(other.read("large.bin") == large && other.read("small.bin") == b"small");
    assert!(cached(&cache, b"content of a\n").exists(), "what is fetched goes there");
    other.is_clean();
    work.is_clean();
    assert_eq!(fs::read_dir(cache.join("tmp")).unwrap().count(), 0, "and nothing is left over");
}

#[test]
fn objects_that_can_not_be_written() {
    if !can_mount() {
        return;
    }
    let world = World::with_a();
    let work = world.at("work");
    work.commit("b.bin", b"content of b");
    work.git(&["push", "-q"]).ok();
    let state = work.join(".git/s3lfs");
    for dir in [state.join("objects"), state.clone()] {
        let run = |line: &str| read_only(&work, &dir, line);
        run("test -z \"$(git status --porcelain)\"").ok();
        run("s3lfs status && s3lfs verify && s3lfs fsck").ok();
        run("touch a.bin && test -z \"$(git status --porcelain)\"").ok();
        run("rm a.bin && git checkout -q -- a.bin").ok();
        assert_eq!(work.read("a.bin"), b"content of a\n", "from the cache, which can be read");
        for content in [&b"new"[..], &vec![7; 2 << 20]] {
            work.write("new.bin", content);
            let refused = run("git add new.bin");
            assert_ne!(refused.code, 0, "there is nowhere to keep it");
            refused.says(&["new.bin", "Read-only file system", ".git/s3lfs"]);
            assert!(work.read("new.bin") == content, "the file is as it was");
            work.remove("new.bin");
        }
        let index = work.index();
        // Content that is not cached: it is delivered all the same, or the refusal says why.
        let aside = state.with_extension("aside");
        fs::rename(cached(&state, b"content of b"), &aside).unwrap();
        work.remove("b.bin");
        let checkout = run("git checkout -q -- b.bin");
        if checkout.code == 0 {
            assert_eq!(work.read("b.bin"), b"content of b");
        } else {
            checkout.says(&["b.bin", "Read-only file system", ".git/s3lfs"]);
        }
        fs::rename(&aside, cached(&state, b"content of b")).unwrap();
        work.git(&["checkout", "-q", "--", "b.bin"]).ok();
        assert_eq!(work.index(), index);
        work.is_clean();
    }
    work.commit("b.bin", b"second b");
    work.git(&["push", "-q"]).ok();
    work.git(&["reflog", "expire", "--expire=now", "--all"]).ok();
    let refused = read_only(&work, &state.join("objects"), "s3lfs prune").fails(3);
    refused.says(&["Read-only file system", "could not be dropped"]);
    assert!(cached(&state, b"content of b").exists());
}

/// Somebody moved what is large to a larger disk.
#[test]
fn objects_on_another_filesystem() {
    let Ok(elsewhere) = tempfile::tempdir_in("/dev/shm") else { return };
    let world = World::with_a();
    let work = world.at("work");
    let objects = elsewhere.path().join("objects");
    let moved = objects.display();
    work.sh(&format!("cp -r .git/s3lfs/objects '{moved}' && rm -r .git/s3lfs/objects")).ok();
    work.sh(&format!("ln -s '{moved}' .git/s3lfs/objects")).ok();
    let large = vec![7; 3 << 20];
    work.write("large.bin", &large);
    work.write("small.bin", "small");
    work.git(&["add", "."]).ok();
    for content in [&large[..], b"small"] {
        assert!(fs::read(cached(elsewhere.path(), content)).unwrap() == content, "it is there");
        assert!(cached(elsewhere.path(), content).starts_with(&objects));
    }
    work.git(&["commit", "-qm", "both"]).ok();
    work.git(&["push", "-q"]).ok();
    let shard = cached(elsewhere.path(), b"small").parent().unwrap().to_owned();
    let (old, young) = (shard.join(".s3lfs-tmp-old"), shard.join(".s3lfs-tmp-fresh"));
    for path in [&old, &young] {
        fs::write(path, "half").unwrap();
    }
    let two_days = SystemTime::now() - Duration::from_secs(2 * 24 * 3600);
    fs::File::options().write(true).open(&old).unwrap().set_modified(two_days).unwrap();
    fs::remove_file(cached(elsewhere.path(), &large)).unwrap();
    work.remove("large.bin");
    work.git(&["checkout", "-q", "--", "."]).ok();
    assert!(work.read("large.bin") == large);
    assert!(!old.exists() && young.exists(), "what a killed command left goes, once it is old");
    work.is_clean();
}

/// A whole clone that can be read only, as on a backup or a build machine.
#[test]
fn a_clone_that_can_only_be_read() {
    if !can_mount() {
        return;
    }
    let world = World::with_a();
    let work = world.at("work");
    let run = |line: &str| read_only(&work, &work.dir, line);
    for line in ["git status", "s3lfs status", "s3lfs ls", "s3lfs verify", "s3lfs fsck", "git diff"] {
        run(line).ok().never_says(&["Read-only", "panicked"]);
    }
    let show = run("git cat-file --filters HEAD:a.bin").ok();
    assert_eq!(show.stdout, "content of a\n");
    let refused = run("s3lfs upload a.bin").fails(1);
    refused.says(&["Read-only file system"]);
}

/// A directory of the worktree that is a mount of its own, of the same filesystem: renaming into it fails, although
/// the numbers of the devices are alike.
#[test]
fn a_directory_that_is_mounted() {
    if !can_mount() {
        return;
    }
    let world = World::with_a();
    let work = world.at("work");
    let large = vec![7; 5 << 20];
    work.commit("mnt/b.bin", b"content of b");
    work.commit("mnt/deep/large.bin", &large);
    work.git(&["push", "-q"]).ok();
    for name in ["mnt/b.bin", "mnt/deep/large.bin"] {
        work.leave_pointer(name);
    }
    work.sh("git update-index --chmod=+x mnt/b.bin && git commit -qm x && git push -q").ok();
    let mount = "mount --bind mnt mnt";
    mounted(&work, &format!("cd '{}'; {mount}", work.dir.display()), "s3lfs download-all").ok();
    assert_eq!(work.read("mnt/b.bin"), b"content of b");
    assert!(work.read("mnt/deep/large.bin") == large);
    work.sh("test -x mnt/b.bin").ok();
    work.is_clean();
    let names: Vec<_> = snapshot(&work.join("mnt")).into_iter().map(|(path, _)| path).collect();
    assert_eq!(names.len(), 2, "nothing is left beside: {names:?}");
}

/// The worktree is on one disk, and the repository on another one.
fn apart(elsewhere: &Path) -> World {
    let world = World::with_a();
    let git_dir = elsewhere.join("repo.git");
    let url = world.url("remote.git");
    let place = world.at("");
    place.git(&["clone", "-q", "--no-checkout", "--separate-git-dir", git_dir.to_str().unwrap(), &url, "apart"]).ok();
    let apart = world.at("apart");
    apart.env("S3LFS_SKIP_SMUDGE", "1").git(&["reset", "-q", "--hard"]).ok();
    apart.s3lfs(&["git-setup"]).ok();
    world
}

#[test]
fn a_worktree_on_another_disk_than_its_repository() {
    let Ok(elsewhere) = tempfile::tempdir_in("/dev/shm") else { return };
    let world = apart(elsewhere.path());
    let apart = world.at("apart");
    apart.s3lfs(&["download-all"]).ok();
    assert_eq!(apart.read("a.bin"), b"content of a\n");
    let large = vec![7; 3 << 20];
    apart.write("large.dat", &large);
    apart.s3lfs(&["upload", "large.dat"]).ok();
    assert_eq!(apart.blob(":large.dat"), pointer(&large));
    apart.git(&["commit", "-qm", "large"]).ok();
    apart.git(&["push", "-q"]).ok();
    apart.is_clean();

    // What a killed command left beside a file, and what looks a little like it.
    let left = ["deep/.s3lfs-tmp-0123456789abcdef0123456789abcdef", ".s3lfs-tmp-abcdef0123456789abcdef0123456789"];
    let kept = [
        ".s3lfs-notes",
        ".s3lfs-backup",
        "deep/.s3lfs-secret",
        ".s3lfs-tmp-backup",
        ".s3lfs-0123456789abcdef0123456789abcdef",
        "deep/.s3lfs-tmp-0123456789abcdef0123456789abcdef.txt",
        "s3lfs-tmp-0123456789abcdef0123456789abcdef",
    ];
    let young = ".s3lfs-tmp-ffffffffffffffffffffffffffffffff";
    for name in left.iter().chain(&kept).chain([&young]) {
        apart.write(name, "half");
        let old = SystemTime::now() - Duration::from_secs(2 * 24 * 3600);
        if *name != young {
            fs::File::options().write(true).open(apart.join(name)).unwrap().set_modified(old).unwrap();
        }
    }
    for line in ["s3lfs prune", "s3lfs download-all"] {
        for name in left {
            apart.write(name, "half");
            let old = SystemTime::now() - Duration::from_secs(2 * 24 * 3600);
            fs::File::options().write(true).open(apart.join(name)).unwrap().set_modified(old).unwrap();
        }
        let ran = apart.sh(line).ok();
        ran.says(&left.map(|name| format!("Removed {name}")).each_ref().map(String::as_str));
        for name in left {
            assert!(!apart.exists(name), "{line}: {name} was left long ago, and goes");
        }
        for name in kept.iter().chain([&young]) {
            assert!(apart.exists(name), "{line}: {name} is somebody's");
        }
    }
}

/// Lists of what is looked at lie in temporary files: where these are full, nothing is taken for looked at.
#[test]
fn a_full_directory_for_temporary_files() {
    if !can_mount() {
        return;
    }
    let world = World::with_a();
    let work = world.at("work");
    import(&world, "many", 6000);
    let temporary = world.path("temporary");
    fs::create_dir(&temporary).unwrap();
    let temporary = temporary.display();
    let full = |line: &str| {
        let mounts = format!("mount -t tmpfs -o size=100k none '{temporary}'");
        mounted(&work, &mounts, &format!("TMPDIR='{temporary}' {line}"))
    };
    let state = || (snapshot(&world.path("store")), work.git(&["for-each-ref"]).ok().stdout, work.index());
    let before = state();
    let lines = ["git push -q origin many", "s3lfs verify many", "s3lfs verify --all", "s3lfs fsck --pointers many"];
    for line in lines {
        full(line).fails(1).says(&["s3lfs: ", "No space left on device", "(TMPDIR)", "make room"]);
        assert!(state() == before, "{line}: nothing has changed");
    }
    assert_eq!(world.remote_head("many"), "", "nothing was published");

    // What becomes Git's is put together beside it.
    work.write("raw.dat", "raw content\n".repeat(1000));
    work.git(&["add", "raw.dat"]).ok();
    work.git(&["commit", "-qm", "raw"]).ok();
    full("s3lfs migrate import --above 1k main").ok();
    assert!(work.blob("HEAD:raw.dat").starts_with("version s3lfs/1"), "there is room for that");
    work.is_clean();
}
