//! The loss of power: what is believed by its name alone was fsynced before it got that name.
//!
//! Apart because no power can be cut here: a filesystem may put a name on the disk before the bytes, so the order of
//! the steps is looked at instead.

use std::path::Path;

use super::injected::Step;
use crate::world::MANIFEST;

/// Whether the bytes under this name need not be on the disk before it.
fn is_exempt(work: &Path, path: &Path) -> bool {
    // What a clone makes lies beside.
    let copy = work.with_file_name("copy");
    // Every reader hashes it, and sets a bad one aside, which nobody reads again; nobody reads what is temporary.
    let is_hashed = |state: &Path| ["objects", "bad", "tmp"].iter().any(|dir| state.starts_with(dir));
    if let Ok(shared) = path.strip_prefix(work.with_file_name("cache")) {
        return is_hashed(shared);
    }
    let Ok(inside) = path.strip_prefix(work).or_else(|_| path.strip_prefix(&copy)) else { return false };
    if let Ok(state) = inside.strip_prefix(".git/s3lfs") {
        return is_hashed(state);
    }
    if inside.starts_with(".git") {
        return false;
    }
    // Content that is in the cache or in the store; Git does not fsync what it checks out, either.
    ![MANIFEST, ".gitattributes", ".gitignore"].iter().any(|name| inside.ends_with(name))
}

/// Every file that gets a name in these steps was fsynced after its last change. How many were.
pub fn names_come_after_bytes(work: &Path, steps: &[Step]) -> Result<usize, String> {
    let mut synced = 0;
    for (at, step) in steps.iter().enumerate() {
        let ("rename" | "link", [from, to]) = (&*step.call, &step.paths[..]) else { continue };
        if is_exempt(work, to) {
            continue;
        }
        // A file may have got another name by a link before.
        let linked = steps[..at].iter().rev().find(|before| before.call == "link" && before.paths.get(1) == Some(from));
        let from = linked.map_or(from, |link| &link.paths[0]);
        let last = steps[..at].iter().rev().find(|before| {
            let changes = ["write", "pwrite", "writev", "ftruncate", "copy_file_range", "sendfile", "ioctl", "splice"];
            let is_meant = changes.contains(&&*before.call) || ["fsync", "fdatasync"].contains(&&*before.call);
            is_meant && before.paths.first() == Some(from) && before.process == step.process
        });
        let is_synced = last.is_some_and(|last| ["fsync", "fdatasync"].contains(&&*last.call));
        if !is_synced {
            return Err(format!("{} is believed by its name, and not fsynced before: {last:?}", to.display()));
        }
        synced += 1;
    }
    Ok(synced)
}

#[test]
fn a_name_before_its_bytes_is_found() {
    let step = |call: &str, paths: &[&str]| Step {
        process: "1".to_owned(),
        call: call.to_owned(),
        paths: paths.iter().map(Into::into).collect(),
        hit: false,
    };
    let work = Path::new("/w");
    let (write, sync) = (step("write", &["/w/.git/s3lfs/tmp/x"]), step("fsync", &["/w/.git/s3lfs/tmp/x"]));
    let rename = |to: &str| step("rename", &["/w/.git/s3lfs/tmp/x", to]);
    for to in ["/w/.s3_manifest.json", "/w/.git/s3lfs/uploaded/1", "/w/.git/hooks/pre-push", "/store/assets/00/0"] {
        let right = [write.clone(), sync.clone(), rename(to)];
        assert_eq!(names_come_after_bytes(work, &right), Ok(1), "{to}");
        let wrong = [sync.clone(), write.clone(), rename(to)];
        assert!(names_come_after_bytes(work, &wrong).is_err(), "{to} can be empty after a loss of power");
    }
    let link = step("link", &["/w/.git/s3lfs/tmp/x", "/w/.git/index.lock"]);
    let put = step("rename", &["/w/.git/index.lock", "/w/.git/index"]);
    let right = [write.clone(), sync.clone(), link.clone(), put.clone()];
    assert_eq!(names_come_after_bytes(work, &right), Ok(2), "both names are of what was fsynced");
    assert!(names_come_after_bytes(work, &[write.clone(), link, put]).is_err());
    let hashed = [write, rename("/w/.git/s3lfs/objects/00/0")];
    assert_eq!(names_come_after_bytes(work, &hashed), Ok(0), "what every reader hashes may be");
}
