//! The directories that hold nothing but temporary files of ours: who has files in one holds a lock on it, and who finds
//! nobody in it removes what killed processes left.
//!
//! Apart because that is a rule between processes: no file may be made there before the lock is held. The lock is on the
//! directory itself, so that no file stands in it for that, and goes with its process, however that ends.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::temporary::remove;
use super::{TEMPORARY, make_dirs};

/// Those that this process is in, until it ends. `None`: no lock can be had there.
static HELD: Mutex<BTreeMap<PathBuf, Option<File>>> = Mutex::new(BTreeMap::new());

/// Before the first temporary file in `dir`, which is made if it is not there: be one of those who have some, and if
/// nobody else is, remove what was left. Where that can't be said (a filesystem without such locks, Windows), nothing is
/// removed here, and what is left goes by its age. What can't be made or removed is met by who needs it.
pub fn enter_swept(dir: &Path) {
    let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
    if held.contains_key(dir) || make_dirs(dir).is_err() {
        return;
    }
    let lock = hold(dir).inspect_err(|e| tracing::debug!("{} is used without a lock: {e}", dir.display()));
    held.insert(dir.to_owned(), lock.ok());
}

fn hold(dir: &Path) -> io::Result<File> {
    let alone = File::open(dir)?;
    match alone.try_lock() {
        Ok(()) => sweep(dir),
        Err(TryLockError::WouldBlock) => {}
        Err(TryLockError::Error(e)) => return Err(e),
    }
    // Nothing is lost in between: we have no file there yet. A lock that is turned into another may be lost as well.
    drop(alone);
    let lock = File::open(dir)?;
    lock.lock_shared()?;
    Ok(lock)
}

/// Remove all that has a name of ours, and what a program that we started made beside it (Git's own locks).
fn sweep(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_name().as_encoded_bytes().starts_with(TEMPORARY.as_bytes())
            && let Err(e) = remove(&entry)
        {
            tracing::info!("{} stays: {e}", entry.path().display());
        }
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    const LEFT: &str = ".s3lfs-tmp-0123456789abcdef0123456789abcdef";

    fn with(names: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        names.iter().for_each(|name| fs::write(dir.path().join(name), "left").unwrap());
        dir
    }

    #[test]
    fn who_is_alone_removes_what_was_left_and_nothing_else() {
        let dir = with(&[LEFT, ".s3lfs-tmp-0123456789abcdef0123456789abcdee.lock", "other"]);
        let inside = dir.path().join(".s3lfs-tmp-0123456789abcdef0123456789abcdea/refs");
        fs::create_dir_all(&inside).unwrap();
        fs::write(inside.join("index"), "left").unwrap();
        enter_swept(dir.path());
        let left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["other"]);
    }

    #[test]
    fn files_of_who_is_in_it_stay() {
        let dir = with(&[LEFT]);
        let somebody = File::open(dir.path()).unwrap();
        somebody.lock_shared().unwrap();
        enter_swept(dir.path());
        assert!(dir.path().join(LEFT).exists(), "it may be somebody's who is at work");
        drop(somebody);
        let next = File::open(dir.path()).unwrap();
        assert!(next.try_lock().is_err(), "now we are in it");
        enter_swept(dir.path());
        assert!(dir.path().join(LEFT).exists(), "and sweep nothing once we may have files there");
    }

    #[test]
    fn it_is_made_and_entered_later_where_it_could_not_be() {
        let dir = with(&["file"]);
        let tmp = dir.path().join("file/tmp");
        enter_swept(&tmp);
        fs::remove_file(dir.path().join("file")).unwrap();
        enter_swept(&tmp);
        assert!(tmp.is_dir() && File::open(&tmp).unwrap().try_lock().is_err(), "it is held");
    }
}
