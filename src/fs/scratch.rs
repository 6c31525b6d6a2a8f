//! Where temporary files of a repository are made: in a directory that is swept, and that Git does not look at.
//!
//! Apart because who needs one does not know of repositories; where there is none, files go elsewhere.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use tempfile::TempDir;

use super::enter_swept;
use super::temporary::temp_name;

static ASK: OnceLock<fn() -> Option<PathBuf>> = OnceLock::new();

/// Whom to ask, once, for that directory.
pub fn ask_for_scratch(ask: fn() -> Option<PathBuf>) {
    // Set twice only in tests, to the same.
    let _ = ASK.set(ask);
}

/// The directory, made if it was not there. `None`: there is no repository, or it can't be made.
pub(super) fn scratch() -> Option<&'static Path> {
    static SCRATCH: OnceLock<Option<PathBuf>> = OnceLock::new();
    let made = || {
        enter_swept(asked()?);
        asked().filter(|dir| dir.is_dir())
    };
    SCRATCH.get_or_init(|| made().map(Path::to_owned)).as_deref()
}

fn asked() -> Option<&'static Path> {
    static ASKED: OnceLock<Option<PathBuf>> = OnceLock::new();
    ASKED.get_or_init(|| ASK.get()?()).as_deref()
}

/// A new directory for files that a program of Git's is to read or write. In a repository in which s3lfs keeps something
/// it lies among its temporary files, where the next command removes what a kill left; elsewhere in that of the system
/// (TMPDIR), as it does where nothing can be written.
pub fn temp_dir() -> io::Result<TempDir> {
    let ours = asked().filter(|dir| dir.parent().is_some_and(Path::is_dir)).and_then(|_| scratch());
    // Git takes lists of paths by lines.
    let ours = ours.filter(|dir| !dir.as_os_str().as_encoded_bytes().contains(&b'\n'));
    let made = ours.map(|dir| tempfile::Builder::new().prefix(&temp_name(Some(dir))).rand_bytes(0).tempdir_in(dir));
    match made {
        Some(Ok(made)) => Ok(made),
        _ => tempfile::tempdir(),
    }
}
