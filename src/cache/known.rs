//! A cached object that content on its way in seems to be, read along beside it.
//!
//! Apart because as long as both are the same, nothing is written; and because the moment they part, what they had in
//! common must be had from the object, which somebody may have changed by then.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::PathBuf;

use tempfile::NamedTempFile;

use super::LocalCache;
use crate::fs::{PathContext, PathError};
use crate::oid::{HashingReader, Oid, OidHasher};

impl LocalCache {
    /// Where an object lies that need not be kept once more.
    fn path_of_kept(&self, oid: &Oid) -> Option<PathBuf> {
        if self.find_own(oid, None).is_some() {
            return Some(self.object_path(oid));
        }
        let shared = self.shared()?;
        let pointer = shared.find_own(oid, None)?;
        self.needs_no_copy(&pointer).then(|| shared.object_path(oid))
    }
}

/// The object, as far as it was read.
pub(super) struct Known {
    pub oid: Oid,
    file: File,
    buf: Vec<u8>,
}

impl Known {
    /// The object, if it begins with these bytes: the clone's own, or a shared one of which no copy is needed.
    pub fn open(cache: &LocalCache, oid: Oid, begin: &[u8]) -> Option<Self> {
        let file = File::open(cache.path_of_kept(&oid)?).ok()?;
        let mut known = Known { oid, file, buf: Vec::new() };
        known.goes_on(begin).then_some(known)
    }

    /// Whether the next bytes of the object are these.
    pub fn goes_on(&mut self, bytes: &[u8]) -> bool {
        self.buf.resize(bytes.len(), 0);
        self.file.read_exact(&mut self.buf).is_ok() && self.buf == bytes
    }

    /// The bytes that `hasher` has seen, all of which were found here, in a file of their own. They are
    /// hashed again: somebody may have changed the object meanwhile, and nobody else has them.
    pub fn copy(&mut self, cache: &LocalCache, hasher: &OidHasher) -> Result<NamedTempFile, PathError> {
        let path = cache.path_of_kept(&self.oid).unwrap_or_else(|| cache.object_path(&self.oid));
        let mut copy = cache.temp_file()?;
        self.file.rewind().context("read", &path)?;
        let mut reader = HashingReader::new((&mut self.file).take(hasher.len()));
        io::copy(&mut reader, copy.as_file_mut()).map_err(|e| PathError::new("write", copy.path(), e))?;
        if reader.finish() != hasher.clone().finish() {
            return Err(PathError::new("copy", path, io::Error::other("it changed while it was read")));
        }
        Ok(copy)
    }
}
