//! Blobs written into Git's store one after the other, of any length, by one child.
//!
//! Apart from `objects`, where all of them are known at the start. Source: `git-hash-object.txt`, `--stdin-paths`, which
//! answers each path before it reads the next.

use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout};

use bstr::ByteSlice;
use tempfile::NamedTempFile;

use super::objects::ObjectId;
use super::{Git, GitError};
use crate::fs::temp_in;

/// `git hash-object -w`, for as long as this lives.
#[derive(Debug)]
pub struct Writer {
    _child: Child,
    paths: ChildStdin,
    ids: BufReader<ChildStdout>,
    /// What is written next, where it does not come in a file.
    scratch: NamedTempFile,
}

impl Writer {
    /// Start it; `dir` is for the bytes of single blobs.
    pub fn start(dir: &Path) -> Result<Self, GitError> {
        let options = ["hash-object", "-w", "--no-filters", "--stdin-paths"];
        let mut child = Git::new(options).converse()?;
        let paths = child.stdin.take().expect("stdin was asked to be a pipe");
        let ids = BufReader::new(child.stdout.take().expect("stdout was asked to be a pipe"));
        let failed = |source| GitError::Local { action: "make a temporary file for 'git hash-object'", source };
        std::fs::create_dir_all(dir).map_err(failed)?;
        let scratch = temp_in(dir).map_err(|e| failed(io::Error::other(e)))?;
        Ok(Writer { _child: child, paths, ids, scratch })
    }

    /// Write a blob; its id.
    pub fn write(&mut self, bytes: &[u8]) -> Result<ObjectId, GitError> {
        // The child has read the last one before it answered.
        let failed = |source| GitError::Local { action: "write a temporary file for 'git hash-object'", source };
        std::fs::write(self.scratch.path(), bytes).map_err(failed)?;
        let path = self.scratch.path().to_owned();
        self.write_file(&path)
    }

    /// Write the blob that a file holds, of any length.
    pub fn write_file(&mut self, path: &Path) -> Result<ObjectId, GitError> {
        let failed = |source| GitError::Local { action: "write an object ('git hash-object')", source };
        let line = [path.as_os_str().as_encoded_bytes(), b"\n"].concat();
        self.paths.write_all(&line).and_then(|()| self.paths.flush()).map_err(failed)?;
        let mut answer = Vec::new();
        self.ids.read_until(b'\n', &mut answer).map_err(failed)?;
        match answer.strip_suffix(b"\n") {
            Some(id) if !id.is_empty() => Ok(id.as_bstr().to_owned()),
            // A child that died says nothing.
            _ => Err(GitError::answer("git hash-object --stdin-paths", answer)),
        }
    }
}
