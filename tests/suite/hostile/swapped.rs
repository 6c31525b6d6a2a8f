//! Directories that become symbolic links while s3lfs writes and reads in them.
//!
//! Apart because a second thread changes the worktree all the time; each run is a race, and no outcome of it may
//! touch what lies outside.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{AtFlags, CWD, RenameFlags, renameat_with, unlinkat};

use crate::world::{World, snapshot};

/// Exchange `dir` and a symbolic link to `outside` again and again while `work` runs; `dir` is itself again then.
fn while_swapping(dir: &Path, outside: &Path, work: impl FnOnce()) {
    let link = dir.with_extension("link");
    std::os::unix::fs::symlink(outside, &link).unwrap();
    let swap = || renameat_with(CWD, dir, CWD, &link, RenameFlags::EXCHANGE).expect("both are there");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                swap();
            }
        });
        work();
        done.store(true, Ordering::Relaxed);
    });
    if fs::symlink_metadata(dir).unwrap().is_symlink() {
        swap();
    }
    fs::remove_file(link).unwrap();
}

#[test]
fn download_all_writes_nothing_outside() {
    let world = World::ready();
    let work = world.at("work");
    for n in 0..60 {
        work.write(&format!("d/e/{n}.bin"), format!("content {n}"));
    }
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-qm", "many"]).ok();
    let outside = world.path("outside");
    fs::create_dir_all(outside.join("e")).unwrap();
    fs::write(outside.join("e/theirs"), "theirs").unwrap();
    let before = snapshot(&outside);
    // The files go from here, whatever the names mean at the moment.
    let held = fs::File::open(work.join("d/e")).unwrap();
    while_swapping(&work.join("d"), &outside, || {
        for _ in 0..5 {
            for n in 0..60 {
                let _ = unlinkat(&held, format!("{n}.bin"), AtFlags::empty());
            }
            work.s3lfs(&["download-all"]);
        }
    });
    assert_eq!(snapshot(&outside), before, "nothing appears outside, and nothing there is changed");
    work.s3lfs(&["download-all"]).ok();
    work.is_clean();
}

#[test]
fn upload_reads_nothing_outside() {
    let world = World::ready();
    let work = world.at("work");
    work.write(".gitignore", "d/*.dat\n");
    work.write("d/a.dat", "ours");
    let outside = world.path("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("a.dat"), "a secret").unwrap();
    while_swapping(&work.join("d"), &outside, || {
        for _ in 0..30 {
            work.s3lfs(&["upload", "d/a.dat"]);
        }
    });
    assert!(!world.object(b"a secret").exists(), "what lies outside is not sent");
    work.s3lfs(&["upload", "d/a.dat"]).ok();
    assert!(world.object(b"ours").exists());
}
