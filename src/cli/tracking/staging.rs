//! Who is staging in this worktree right now: a lock for the time in which attributes, index and manifest are read,
//! changed and written.
//!
//! Apart because two commands that read, upload and write would each write what they had read, and one of them
//! would be forgotten. It is never held while the network is asked: what was read before that is read again.

use std::fs::{File, Metadata};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::SystemTime;

use crate::cli::context::Context;
use crate::fs::{PathError, lock};
use crate::git::index;

/// No other s3lfs command stages in this worktree as long as this lives.
#[must_use = "it is let go of when it is dropped"]
pub struct Staging(#[allow(dead_code, reason = "held, not read")] Arc<File>);

/// What this process holds: a command that stages in several steps does it in one.
static HELD: Mutex<Weak<File>> = Mutex::new(Weak::new());

impl Staging {
    /// Wait for whoever is staging. Whoever holds it already goes on holding it.
    pub fn begin(context: &Context) -> Result<Self, PathError> {
        let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = held.upgrade() {
            return Ok(Staging(file));
        }
        let file = Arc::new(lock(&context.repo.git_dir().join("s3lfs/staging"))?);
        *held = Arc::downgrade(&file);
        Ok(Staging(file))
    }
}

/// The index as it was: by time, length and number of its file, which Git replaces whenever it writes it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IndexStamp(Option<(u64, SystemTime, u64)>);

impl IndexStamp {
    /// The index of now, which a hook may be told to be another file.
    pub fn now(context: &Context) -> Self {
        let metadata = std::fs::metadata(index::file(context.repo.git_dir()));
        IndexStamp(metadata.ok().and_then(|file| Some((file.len(), file.modified().ok()?, number(&file)))))
    }
}

#[cfg(unix)]
fn number(file: &Metadata) -> u64 {
    use std::os::unix::fs::MetadataExt;
    file.ino()
}

#[cfg(not(unix))]
fn number(_: &Metadata) -> u64 {
    0
}
