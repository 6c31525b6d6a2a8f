//! Git's lock of the index, held for the moment in which a new index takes the place of the old one.
//!
//! Apart because a lock that is left behind stops every Git command: what a killed process of ours leaves, the next one
//! takes away. The lock is the new index itself (Git's own way: lockfile.h), linked from our temporary file, on which its
//! maker holds a lock of the kernel's: that one ends with him.

use std::fs::{File, hard_link, read_dir, remove_file, rename, symlink_metadata};
use std::io;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::fs::is_temporary;

/// Let go of when dropped.
#[derive(Debug)]
pub struct IndexLock {
    path: PathBuf,
    is_put: bool,
}

impl IndexLock {
    /// Lock `index`, which is to become `new`. Fails with [`io::ErrorKind::AlreadyExists`] while somebody else holds it,
    /// and where there are no hard links.
    pub fn take(index: &Path, new: &NamedTempFile) -> io::Result<Self> {
        new.as_file().lock()?;
        let path = lock_of(index);
        hard_link(new.path(), &path)?;
        Ok(IndexLock { path, is_put: false })
    }

    /// Let the new index take the place of the old one.
    pub fn put(mut self, index: &Path) -> io::Result<()> {
        rename(&self.path, index)?;
        self.is_put = true;
        Ok(())
    }

    /// Take away the lock that a killed process of ours left, if that is what it is: it is one of the temporary files
    /// in `tmp`, and nobody holds that.
    pub fn free(index: &Path, tmp: &Path) {
        let path = lock_of(index);
        let Some(number) = number(&path) else { return };
        let Ok(entries) = read_dir(tmp) else { return };
        for entry in entries.flatten().filter(|entry| is_temporary(entry.file_name().as_encoded_bytes())) {
            let is_it = || self::number(&path) == Some(number);
            if self::number(&entry.path()) != Some(number) {
                continue;
            }
            let Ok(file) = File::open(entry.path()) else { continue };
            // Whoever else frees it waits; and when he has done, it may be another's.
            if file.try_lock().is_ok() && is_it() {
                tracing::info!("{} was left by a command that was killed", path.display());
                let _ = remove_file(&path);
                let _ = remove_file(entry.path());
            }
            return;
        }
    }
}

impl Drop for IndexLock {
    fn drop(&mut self) {
        if !self.is_put
            && let Err(e) = remove_file(&self.path)
        {
            tracing::warn!("{} stays: {e}", self.path.display());
        }
    }
}

fn lock_of(index: &Path) -> PathBuf {
    let mut name = index.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}

/// What tells a file from every other.
#[cfg(unix)]
fn number(path: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    symlink_metadata(path).ok().filter(std::fs::Metadata::is_file).map(|file| (file.dev(), file.ino()))
}

#[cfg(not(unix))]
fn number(path: &Path) -> Option<(u64, u64)> {
    let _ = symlink_metadata(path);
    None
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::fs::temp_in;

    #[test]
    fn what_a_killed_process_left_is_taken_away_and_nobody_elses() {
        let dir = tempfile::tempdir().unwrap();
        let (index, lock, tmp) = (dir.path().join("index"), dir.path().join("index.lock"), dir.path().join("tmp"));
        fs::create_dir(&tmp).unwrap();
        fs::write(&lock, "Git's").unwrap();
        IndexLock::free(&index, &tmp);
        assert!(lock.exists(), "it is Git's");
        let new = temp_in(&tmp).unwrap();
        assert_eq!(IndexLock::take(&index, &new).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        IndexLock::free(&index, &tmp);
        assert!(lock.exists(), "it still is");
        fs::remove_file(&lock).unwrap();

        let held = IndexLock::take(&index, &new).unwrap();
        IndexLock::free(&index, &tmp);
        assert!(lock.exists(), "it is held");
        drop(held);
        assert!(!lock.exists(), "and let go of");
        let held = IndexLock::take(&index, &new).unwrap();
        held.put(&index).unwrap();
        assert!(index.exists() && !lock.exists());

        let (file, path) = temp_in(&tmp).unwrap().keep().unwrap();
        drop(file);
        fs::hard_link(&path, &lock).unwrap();
        IndexLock::free(&index, &tmp);
        assert!(!lock.exists() && !path.exists(), "its maker is gone");
    }
}
