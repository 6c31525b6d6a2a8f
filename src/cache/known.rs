//! A cached object that content on its way in seems to be, read along beside it.
//!
//! Apart because as long as both are the same, nothing is written; and because the moment they part, what they had in
//! common must be had from the object, which somebody may have changed by then.

use std::fs::File;
use std::io::{self, Read, Seek};

use tempfile::NamedTempFile;

use super::LocalCache;
use crate::fs::{PathContext, PathError};
use crate::oid::{HashingReader, Oid, OidHasher};

/// The object, as far as it was read.
pub(super) struct Known {
    pub oid: Oid,
    file: File,
    buf: Vec<u8>,
}

impl Known {
    /// The object, if it begins with these bytes.
    pub fn open(cache: &LocalCache, oid: Oid, begin: &[u8]) -> Option<Self> {
        let file = File::open(cache.object_path(&oid)).ok()?;
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
        let path = cache.object_path(&self.oid);
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
