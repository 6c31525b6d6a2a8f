//! Who may read and write the local state: the umask says, and `core.sharedRepository`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::world::World;

/// Every file and directory beneath `dir`, with its mode.
fn modes(dir: &Path) -> Vec<(String, u32)> {
    let mut found = Vec::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        let mode = fs::metadata(&dir).unwrap().permissions().mode() & 0o7777;
        found.push((format!("{}/", dir.display()), mode));
        for entry in fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else {
                found.push((path.display().to_string(), fs::metadata(&path).unwrap().permissions().mode() & 0o7777));
            }
        }
    }
    found
}

#[test]
fn the_cache_has_the_permissions_that_git_gives_its_own_files() {
    for (umask, shared, file, dir) in [
        ("022", None, 0o644, 0o755),
        ("077", None, 0o600, 0o700),
        ("002", None, 0o664, 0o775),
        ("077", Some("group"), 0o660, 0o2770),
        ("022", Some("all"), 0o664, 0o2775),
        ("022", Some("0640"), 0o640, 0o2750),
    ] {
        let world = World::ready();
        let work = world.at("work");
        work.sh("rm -rf .git/s3lfs").ok();
        if let Some(shared) = shared {
            work.git(&["config", "core.sharedRepository", shared]).ok();
        }
        // Small and large, cleaned, committed, pushed, and fetched again.
        work.write("small.bin", "small");
        work.write("large.bin", vec![7; 3 << 20]);
        work.sh(&format!("umask {umask} && git add . && git commit -qm both && git push -q")).ok();
        work.drop_cache();
        work.sh(&format!("umask {umask} && rm *.bin && git checkout -- .")).ok();
        let modes = modes(&work.join(".git/s3lfs"));
        assert!(modes.iter().filter(|(path, _)| path.contains("/objects/")).count() >= 4, "{modes:?}");
        for (path, mode) in modes {
            let expected = if path.ends_with('/') { dir } else { file };
            assert_eq!(mode, expected, "umask {umask}, {shared:?}: {path} has {mode:o} instead of {expected:o}");
        }
        let worktree = fs::metadata(work.join("large.bin")).unwrap().permissions().mode() & 0o777;
        let umask = u32::from_str_radix(umask, 8).unwrap();
        assert_eq!(worktree, 0o666 & !umask, "files in the worktree are the user's own");
    }
}
