//! Smudge: a blob in, the worktree's bytes out. This file decides which bytes; who asks and how the
//! answer is framed is in `server` (the process) and in `cli` (the single command).
//!
//! Apart because here a wrong byte would reach the worktree (design.md, invariant 3).

use std::fs::File;
use std::io::{self, Read, Seek, Write};

use tempfile::NamedTempFile;

use crate::cache::{Content, IN_MEMORY, LocalCache};
use crate::fs::PathError;
use crate::oid::{CopyError, copy_hashing};
use crate::pointer::{Form, Pointer, Sniffed, lfs, sniff};

/// What Git handed over to be smudged, read to its end.
#[derive(Debug)]
pub enum Blob {
    /// A pointer.
    Pointer {
        /// What it names.
        pointer: Pointer,
        /// The bytes that it was read from.
        bytes: Vec<u8>,
        /// Whether it is canonical: only such a blob may be delayed (Git 2.47 crashes when a blob
        /// with conflict markers is, and CRLF pointers are near that road).
        canonical: bool,
    },
    /// A pointer of a later version, and its bytes; it can't be turned into content.
    Newer(Vec<u8>),
    /// No pointer: passed through. `resembles`: it begins like one, which the user should know.
    Raw {
        /// The bytes.
        bytes: Spool,
        /// Whether it begins like a pointer.
        resembles: bool,
    },
}

/// Bytes that are passed through: in memory, or in a temporary file when there are many.
#[derive(Debug)]
pub enum Spool {
    /// At most [`IN_MEMORY`] bytes.
    Memory(Vec<u8>),
    /// More than that; positioned at the beginning.
    File(NamedTempFile),
}

/// Why a blob could not be read or an answer not be written.
#[derive(Debug, thiserror::Error)]
pub enum SmudgeError {
    /// Reading what Git sent failed.
    #[error("reading the blob failed")]
    Input(#[source] io::Error),
    /// A large blob that is no pointer could not be kept until its end.
    #[error("the blob could not be kept in a temporary file")]
    Spool(#[source] io::Error),
    /// The cache's disk failed.
    #[error("the local cache failed")]
    Cache(#[from] PathError),
    /// Git no longer reads.
    #[error("the answer could not be written")]
    Output(#[source] io::Error),
    /// Found only at the end of a large file. It was set aside, and Git throws the bytes away.
    #[error("the cached copy of object {} was damaged and has been set aside; run the command again to fetch it", .0.oid)]
    Damaged(Pointer),
}

impl Blob {
    /// Read all of `input`. Nothing may be answered before (a filter that writes early can block
    /// Git and itself for ever).
    pub fn read(input: &mut impl Read, cache: &LocalCache, form: Form) -> Result<Self, SmudgeError> {
        let mut bytes = Vec::new();
        input.by_ref().take(IN_MEMORY).read_to_end(&mut bytes).map_err(SmudgeError::Input)?;
        let resembles = match sniff(&bytes) {
            Sniffed::Ours(pointer) | Sniffed::Lfs(pointer) => {
                return Ok(Blob::Pointer { pointer, bytes, canonical: true });
            }
            Sniffed::Crlf(pointer) => return Ok(Blob::Pointer { pointer, bytes, canonical: false }),
            Sniffed::Newer => return Ok(Blob::Newer(bytes)),
            Sniffed::Resembles | Sniffed::Content
                if form == Form::Lfs
                    && let lfs::Read::Pointer(pointer) = lfs::read(&bytes) =>
            {
                return Ok(Blob::Pointer { pointer, bytes, canonical: false });
            }
            Sniffed::Resembles => true,
            Sniffed::Content => false,
        };
        if (bytes.len() as u64) < IN_MEMORY {
            return Ok(Blob::Raw { bytes: Spool::Memory(bytes), resembles });
        }
        let mut file = cache.temp_file()?;
        file.write_all(&bytes).map_err(SmudgeError::Spool)?;
        let mut buf = vec![0; 64 << 10];
        loop {
            match input.read(&mut buf) {
                Ok(0) => break,
                Ok(n) => file.write_all(&buf[..n]).map_err(SmudgeError::Spool)?,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(SmudgeError::Input(e)),
            }
        }
        file.rewind().map_err(SmudgeError::Spool)?;
        Ok(Blob::Raw { bytes: Spool::File(file), resembles })
    }
}

impl Spool {
    /// Write all bytes to `out`.
    pub fn write_to(self, out: &mut impl Write) -> Result<(), SmudgeError> {
        match self {
            Spool::Memory(bytes) => out.write_all(&bytes).map_err(SmudgeError::Output),
            Spool::File(mut file) => copy(file.as_file_mut(), out),
        }
    }
}

/// Write the content of `pointer` to `out`, checking it against the pointer on the way.
pub fn deliver(
    content: Content,
    pointer: &Pointer,
    cache: &LocalCache,
    out: &mut impl Write,
) -> Result<(), SmudgeError> {
    let mut file = match content {
        Content::Verified(bytes) => return out.write_all(&bytes).map_err(SmudgeError::Output),
        Content::Unverified(file) => file,
    };
    let named = copy_hashing(&mut file, |bytes| out.write_all(bytes)).map_err(|e| match e {
        CopyError::Read(e) => SmudgeError::Spool(e),
        CopyError::Write(e) => SmudgeError::Output(e),
    })?;
    if named == (pointer.oid, pointer.size) {
        return Ok(());
    }
    cache.set_aside(&pointer.oid)?;
    Err(SmudgeError::Damaged(*pointer))
}

fn copy(file: &mut File, out: &mut impl Write) -> Result<(), SmudgeError> {
    // Two packets' worth, so that pkt-line's packets are full.
    let mut buf = vec![0; 2 * 65516];
    loop {
        match file.read(&mut buf) {
            Ok(0) => return Ok(()),
            Ok(n) => out.write_all(&buf[..n]).map_err(SmudgeError::Output)?,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(SmudgeError::Spool(e)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache() -> (tempfile::TempDir, LocalCache) {
        let dir = tempfile::tempdir().unwrap();
        let cache = LocalCache::new(dir.path());
        (dir, cache)
    }

    #[test]
    fn raw_blobs_of_any_length_pass_unchanged() {
        let (_dir, cache) = cache();
        for len in [0, 1, 1023, 1024, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3 << 20] {
            let content = vec![b'r'; len];
            let Blob::Raw { bytes, resembles } = Blob::read(&mut content.as_slice(), &cache, Form::Ours).unwrap()
            else {
                panic!("{len} bytes are no pointer");
            };
            let mut out = Vec::new();
            bytes.write_to(&mut out).unwrap();
            assert!(out == content && !resembles, "{len} bytes pass as they are");
        }
    }

    #[test]
    fn a_damaged_large_object_ends_in_an_error_and_is_set_aside() {
        let (_dir, cache) = cache();
        let content = vec![b'x'; IN_MEMORY as usize + 5];
        let mut staged = cache.stage();
        staged.write_all(&content).unwrap();
        let pointer = staged.commit().unwrap().unwrap();
        let mut damaged = content.clone();
        damaged[77] ^= 1;
        std::fs::write(cache.object_path(&pointer.oid), &damaged).unwrap();
        let loaded = cache.load(&pointer).unwrap().unwrap();
        let result = deliver(loaded, &pointer, &cache, &mut io::sink());
        assert!(matches!(result, Err(SmudgeError::Damaged(_))), "the last word is an error");
        assert!(cache.load(&pointer).unwrap().is_none(), "the next try fetches anew");
    }
}
