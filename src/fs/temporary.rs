//! Temporary files: their names, and their end with a process that is told to end.
//!
//! Apart because of that end: a signal drops nothing, and what was written of 100 GiB would lie there until it is swept.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, PoisonError};

use tempfile::NamedTempFile;

use super::{PathContext, PathError};

/// How the names of temporary files begin.
pub const TEMPORARY: &str = ".s3lfs-tmp-";

/// What all names of this process have in common, and no other process's.
static OURS: LazyLock<String> = LazyLock::new(|| format!("{TEMPORARY}{}", random()));

/// Where this process has temporary files.
static DIRS: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// Files of a few directories are replaced, and those that are written for long are in one.
const MOST_DIRS: usize = 100;

/// 16 digits.
fn random() -> String {
    let mut digits = uuid::Uuid::new_v4().simple().to_string();
    // These are the same in all of version 4 (RFC 9562, 5.4).
    digits.replace_range(12..13, "");
    digits.truncate(16);
    digits
}

/// A name for a temporary file that no other process draws. In `dir`, it goes with [`remove_temporary_files`].
pub(super) fn temp_name(dir: Option<&Path>) -> String {
    if let Some(dir) = dir {
        let mut dirs = DIRS.lock().unwrap_or_else(PoisonError::into_inner);
        if dirs.len() < MOST_DIRS && !dirs.contains(dir) {
            dirs.insert(dir.to_owned());
        }
    }
    format!("{}{}", *OURS, random())
}

/// Remove the temporary files of this process, which is about to end. What it was told to write is lost with them, and
/// what can't be removed is swept some day.
pub fn remove_temporary_files() {
    let dirs = DIRS.lock().unwrap_or_else(PoisonError::into_inner);
    for entry in dirs.iter().filter_map(|dir| fs::read_dir(dir).ok()).flatten().flatten() {
        if entry.file_name().as_encoded_bytes().starts_with(OURS.as_bytes())
            && let Err(e) = remove(&entry)
        {
            tracing::debug!("{} stays: {e}", entry.path().display());
        }
    }
}

/// Remove what has a name of ours: a file, or a directory that was made for another program.
pub fn remove(entry: &fs::DirEntry) -> io::Result<()> {
    // What a link names is not ours, wherever it leads.
    if entry.file_type()?.is_dir() { fs::remove_dir_all(entry.path()) } else { fs::remove_file(entry.path()) }
}

/// Whether a file has a name that only [`temp_in`] and [`super::Place::stage`] draw. It has to be one that nobody types, since
/// what was left is deleted among the user's own files, by its name alone.
pub fn is_temporary(name: &[u8]) -> bool {
    let hex = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    name.strip_prefix(TEMPORARY.as_bytes()).is_some_and(|drawn| drawn.len() == 32 && drawn.iter().all(hex))
}

/// A new temporary file in `dir`, with the permissions that the user's umask gives to new files
/// (`tempfile` would make it private, and a renamed file keeps its mode).
pub fn temp_in(dir: &Path) -> Result<NamedTempFile, PathError> {
    let mut builder = tempfile::Builder::new();
    let name = temp_name(Some(dir));
    // All of it: what `tempfile` adds by itself is six letters, as in a word.
    builder.prefix(&name).rand_bytes(0);
    #[cfg(unix)]
    let permissions = {
        use std::os::unix::fs::PermissionsExt;
        fs::Permissions::from_mode(0o666)
    };
    #[cfg(unix)]
    builder.permissions(permissions);
    builder.tempfile_in(dir).context("create a temporary file in", dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_nobody_types_are_temporary() {
        let dir = tempfile::tempdir().unwrap();
        let drawn = temp_in(dir.path()).unwrap();
        for ours in [drawn.path().file_name().unwrap().as_encoded_bytes(), temp_name(None).as_bytes()] {
            assert!(is_temporary(ours), "{ours:?}");
        }
        let hex = "0123456789abcdef0123456789abcdef";
        for other in [
            ".s3lfs-tmp-",
            ".s3lfs-backup",
            ".s3lfs-tmp-backup",
            &format!(".s3lfs-{hex}"),
            &format!("s3lfs-tmp-{hex}"),
            &format!(".s3lfs-tmp-{hex}0"),
            &format!(".s3lfs-tmp-{}", &hex[1..]),
            &format!(".s3lfs-tmp-{}", hex.to_uppercase()),
        ] {
            assert!(!is_temporary(other.as_bytes()), "{other} may be the user's own");
        }
    }

    #[test]
    fn a_process_that_ends_takes_its_own_files_along() {
        let dir = tempfile::tempdir().unwrap();
        let drawn = temp_in(dir.path()).unwrap();
        let lock = dir.path().join(format!("{}.lock", temp_name(None)));
        let others = dir.path().join(format!("{TEMPORARY}0123456789abcdef0123456789abcdef"));
        for path in [&lock, &others] {
            fs::write(path, "half").unwrap();
        }
        remove_temporary_files();
        let left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(left, [others], "another process's stays");
        assert!(drawn.close().is_err(), "it was gone");
    }
}
