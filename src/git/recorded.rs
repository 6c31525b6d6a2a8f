//! What Git's index records of files that s3lfs itself read or wrote: told to it without Git asking for the content.
//!
//! Apart because `git update-index --refresh` pipes all of a file through our filter only to learn what is known here
//! (git-filter-reference.md, part 2, "Stat cache"). The index is written as Git writes it, under its lock, and only
//! fields of fixed length change. Where anything about it is not as known here, Git is left to do it.

use std::collections::HashMap;
use std::fs::{File, Metadata, symlink_metadata};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, UNIX_EPOCH};

use bstr::{BString, ByteSlice};
use tempfile::NamedTempFile;

use super::index_file::{IndexFile, ObjectFormat, Stat};
use super::index_lock::IndexLock;
use super::{Git, GitError, path_from_bytes};
use crate::fs::{PathContext, PathError, share, temp_in};

/// A file of which it is known what clean makes of it.
#[derive(Clone, Debug)]
pub struct Settled {
    /// Raw pathname, relative to the top.
    pub path: BString,
    /// The blob that its content becomes.
    pub blob: Vec<u8>,
    /// What Git records of it. Whoever gives this vouches that the content was that one when the file was so.
    pub stat: Stat,
}

/// For as long as somebody else writes the index, before Git is left to wait for it.
const PATIENCE: Duration = Duration::from_secs(1);

/// The index of this worktree, and how its repository names objects.
#[derive(Clone, Debug)]
pub struct IndexPlace {
    path: PathBuf,
    /// How objects are named.
    pub format: ObjectFormat,
}

impl IndexPlace {
    /// Ask Git, which knows of `GIT_INDEX_FILE`. `None`: its objects are named in a way that is not known here.
    pub fn find() -> Result<Option<Self>, GitError> {
        let answer = Git::locate(["--git-path", "index", "--show-object-format"]).output()?;
        let (path, format) = answer.trim_end_with(|c| c == '\n').rsplit_once_str("\n").unwrap_or_default();
        let place = |format| IndexPlace { path: path_from_bytes(path), format };
        Ok(ObjectFormat::parse(format).map(place))
    }

    /// Whether it is this file.
    pub fn is(&self, index: &Path) -> bool {
        let resolved = |path: &Path| path.canonicalize().ok();
        resolved(&self.path).is_some_and(|own| Some(own) == resolved(index))
    }

    /// As [`IndexPlace::record`], by somebody who holds the lock of the index.
    pub fn record_under_lock(&self, settled: &[Settled], tmp: &Path) -> Result<usize, PathError> {
        match self.made(&self.known(settled), tmp)? {
            Some(Made { count, new: Some(new), .. }) => {
                new.persist(&self.path).map_err(|e| PathError::new("replace", &self.path, e.error))?;
                Ok(count)
            }
            _ => Ok(0),
        }
    }

    /// Take away a lock that a killed process of ours left on it.
    pub fn free(&self, tmp: &Path) {
        IndexLock::free(&self.path, tmp);
    }

    /// Record these files. Entries with another blob by now, or with another state, stay as they are. How many were
    /// recorded: the others Git has to look at. Temporary files are made in `tmp`.
    pub fn record(&self, settled: &[Settled], tmp: &Path) -> Result<usize, PathError> {
        if settled.is_empty() {
            return Ok(0);
        }
        let known = self.known(settled);
        let begun = Instant::now();
        loop {
            match self.try_to_record(&known, tmp)? {
                Tried::Done(count) => return Ok(count),
                Tried::Busy if begun.elapsed() < PATIENCE => std::thread::sleep(Duration::from_millis(20)),
                Tried::Busy | Tried::NotAsKnown => return Ok(0),
            }
        }
    }

    fn known<'a>(&self, settled: &'a [Settled]) -> Known<'a> {
        settled.iter().map(|file| (file.path.as_bytes(), (self.format.blob(&file.blob), file.stat))).collect()
    }

    fn try_to_record(&self, known: &Known<'_>, tmp: &Path) -> Result<Tried, PathError> {
        let Some(Made { read, count, new }) = self.made(known, tmp)? else { return Ok(Tried::NotAsKnown) };
        let Some(new) = new else { return Ok(Tried::Done(0)) };
        // Everything is ready by now: who is killed hardly ever holds the lock.
        let lock = match IndexLock::take(&self.path, &new) {
            Ok(lock) => lock,
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                IndexLock::free(&self.path, tmp);
                return Ok(Tried::Busy);
            }
            Err(e) => {
                tracing::debug!("{} can't be locked by a link: {e}", self.path.display());
                return Ok(Tried::NotAsKnown);
            }
        };
        if !symlink_metadata(&self.path).is_ok_and(|now| is_same(&now, &read.1)) {
            return Ok(Tried::Busy);
        }
        lock.put(&self.path).context("replace", &self.path)?;
        Ok(Tried::Done(count))
    }

    /// What the index is to be. `None`: it has a form that only Git knows.
    fn made(&self, known: &Known<'_>, tmp: &Path) -> Result<Option<Made>, PathError> {
        // A link is somebody's arrangement.
        let (Ok(mut file), true) = (File::open(&self.path), symlink_metadata(&self.path).is_ok_and(|m| m.is_file()))
        else {
            return Ok(None);
        };
        let metadata = file.metadata().context("look at", &self.path)?;
        let mut bytes = Vec::with_capacity(metadata.len() as usize + 1);
        file.read_to_end(&mut bytes).context("read", &self.path)?;
        let (Some(mut index), Some(written)) = (IndexFile::parse(bytes, self.format), seconds(&metadata)) else {
            return Ok(None);
        };
        let count = index.record(written, |entry| {
            let (id, stat) = known.get(entry.path)?;
            (id == entry.id).then_some(*stat)
        });
        let read = (file, metadata);
        if count == 0 {
            return Ok(Some(Made { read, count, new: None }));
        }
        let mut new = temp_in(tmp)?;
        new.write_all(&index.into_bytes()).context("write", new.path())?;
        // Git's own command would begin anew from an index that is empty after the loss of power.
        new.as_file().sync_all().context("write", new.path())?;
        share(new.path())?;
        Ok(Some(Made { read, count, new: Some(new) }))
    }
}

/// By pathname: the id of the blob, and what is to be recorded.
type Known<'a> = HashMap<&'a [u8], (Vec<u8>, Stat)>;

/// An index that is ready to take the old one's place.
struct Made {
    /// The old one. While it is open no other file gets its number.
    read: (File, Metadata),
    /// How many entries are other ones.
    count: usize,
    new: Option<NamedTempFile>,
}

enum Tried {
    /// So many entries were recorded.
    Done(usize),
    /// Somebody else writes it.
    Busy,
    /// Only Git can do it.
    NotAsKnown,
}

/// When it was written, as Git keeps it.
fn seconds(file: &Metadata) -> Option<u32> {
    Some(file.modified().ok()?.duration_since(UNIX_EPOCH).ok()?.as_secs() as u32)
}

#[cfg(unix)]
fn is_same(one: &Metadata, other: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (one.dev(), one.ino(), one.len(), one.modified().ok())
        == (other.dev(), other.ino(), other.len(), other.modified().ok())
}

#[cfg(not(unix))]
fn is_same(_: &Metadata, _: &Metadata) -> bool {
    false
}
