//! Odd paths to the repository and in it.

use std::os::unix::fs::symlink;

use super::{main_job, seeded, set_up};
use crate::world::World;

#[test]
fn a_worktree_reached_by_a_link() {
    let world = seeded(&[]);
    symlink(world.path("work"), world.path("link")).unwrap();
    main_job(&world.at("link"));
    let (home, link) = (world.at(""), world.path("link"));
    assert!(home.s3lfs(&["-C", "link", "ls"]).ok().stdout.contains("a.bin"));
    let deep = world.at("link").sub("d");
    for (name, argument) in [
        ("c.bin", "c.bin".to_owned()),
        ("e.bin", link.join("d/e.bin").display().to_string()),
        ("f.bin", world.path("work/d/f.bin").display().to_string()),
        ("g.bin", "../../link/d/g.bin".to_owned()),
    ] {
        deep.write(name, format!("content of {name}"));
        deep.s3lfs(&["upload", &argument]).ok();
        let staged = deep.git(&["diff", "--cached", "--name-only"]).ok().stdout;
        assert!(staged.contains(&format!("d/{name}\n")), "{argument} is d/{name}: {staged}");
    }
    home.s3lfs(&["-C", "link/d", "download", "b.bin"]).ok();
}

#[test]
fn blanks_and_quotes_in_every_path() {
    let world = World::new();
    let place = world.at("").sub("a b 'c' $d");
    place.git(&["init", "-q", "--bare", "-b", "main", "re mote.git"]).ok();
    place.git(&["init", "-q", "-b", "main", "wo rk"]).ok();
    let work = place.sub("wo rk");
    let url = place.join("re mote.git").display().to_string();
    work.git(&["remote", "add", "origin", &url]).ok();
    let store = format!("file://{}", place.join("st ore").display());
    work.s3lfs(&["init", &store, "proj"]).ok();
    work.s3lfs(&["git-setup", "--track", "*.bin", "--track", "my dir/**"]).ok();
    work.git(&["add", "."]).ok();
    work.write("my dir/x 'y'.dat", "blank");
    work.git(&["add", "."]).ok();
    work.commit(" lead.bin", b"leading blank");
    work.git(&["push", "-qu", "origin", "main"]).ok();
    place.s3lfs(&["clone", "-q", &url, "clo ne"]).ok();
    let clone = place.sub("clo ne");
    assert_eq!(clone.read("my dir/x 'y'.dat"), b"blank");
    assert_eq!(clone.read(" lead.bin"), b"leading blank");
    clone.is_clean();
    assert!(work.blob("HEAD:my dir/x 'y'.dat").starts_with("version s3lfs/1\n"), "the pattern with a blank matches");
}

/// Bytes that are no UTF-8, in the repository's own path, in names of files, in patterns.
#[cfg(target_os = "linux")]
#[test]
fn bytes_that_are_no_utf8() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let world = World::new();
    let mut place = world.at("");
    place.dir.push(OsStr::from_bytes(b"n\xffo"));
    std::fs::create_dir(&place.dir).unwrap();
    place.git(&["init", "-q", "--bare", "-b", "main", "remote.git"]).ok();
    place.git(&["init", "-q", "-b", "main", "work"]).ok();
    let work = place.sub("work");
    work.sh("git remote add origin \"$(cd ..; pwd)/remote.git\"").ok();
    set_up(&work);
    work.sh("s3lfs git-setup --track \"$(printf 'd\\351r/**')\"").ok();
    work.sh(
        "mkdir \"$(printf 'd\\351r')\"; echo one >\"$(printf 'd\\351r/n\\377')\"; echo two >\"$(printf '\\376.bin')\"",
    )
    .ok();
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-qm", "bytes"]).ok().says(&["not UTF-8"]);
    work.git(&["push", "-qu", "origin", "main"]).ok();
    assert!(world.object(b"one\n").exists() && world.object(b"two\n").exists(), "both are uploaded");
    work.is_clean();
    place.s3lfs(&["clone", "-q", "remote.git", "clone"]).ok();
    let clone = place.sub("clone");
    let name = clone.dir.join(OsStr::from_bytes(b"d\xe9r/n\xff"));
    assert_eq!(std::fs::read(&name).unwrap(), b"one\n");
    clone.is_clean();
    clone.sh("cd \"$(printf 'd\\351r')\"; echo three >\"$(printf 'n\\377')\"; s3lfs track-modified").ok();
    clone.git(&["commit", "-qm", "three"]).ok();
    clone.git(&["push", "-q"]).ok();
    assert!(world.object(b"three\n").exists());
    std::fs::remove_file(&name).unwrap();
    clone.drop_cache();
    clone.env("S3LFS_SKIP_SMUDGE", "1").git(&["checkout", "-q", "."]).ok();
    clone.sh("s3lfs download \"$(printf 'd\\351r/n\\377')\"").ok();
    assert_eq!(std::fs::read(&name).unwrap(), b"three\n");
    clone.is_clean();
    clone.sh("s3lfs untrack \"$(printf 'd\\351r/**')\"").ok();
}
