//! Objects of any kind, read as they come up, by one child; blobs of any length stream by.
//!
//! Apart from `batch`, which asks by path and keeps to what is small. Nothing hides a part of the history here: no
//! replacements, no grafts. Source: `git-cat-file.txt`, `--batch`.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout};

use bstr::{BStr, ByteSlice};

use super::GitError;
use super::history::git;
use crate::fs::MAX_COMMITTED;

/// `git cat-file --batch`, for as long as this lives.
#[derive(Debug)]
pub struct Reader {
    _child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// An object as it stands in Git's store, without its header.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Object {
    /// `commit`, `tree`, `tag` or `blob`.
    pub kind: Vec<u8>,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl Reader {
    /// Start it.
    pub fn start() -> Result<Self, GitError> {
        let mut child = git(&["cat-file", "--batch=%(objecttype) %(objectsize)"]).converse()?;
        let questions = child.stdin.take().expect("stdin was asked to be a pipe");
        let answers = BufReader::with_capacity(64 << 10, child.stdout.take().expect("stdout was asked to be a pipe"));
        Ok(Reader { _child: child, questions, answers })
    }

    /// Read an object whole: a commit, a tree, a tag, a small blob.
    pub fn read(&mut self, id: &BStr) -> Result<Object, GitError> {
        let (kind, size) = self.ask(id)?;
        if size > MAX_COMMITTED {
            return Err(GitError::TooLarge { object: id.to_owned(), size });
        }
        let mut bytes = vec![0; size as usize + 1];
        self.answers.read_exact(&mut bytes).map_err(|_| broken(id))?;
        bytes.truncate(size as usize);
        Ok(Object { kind, bytes })
    }

    /// Copy a blob of any length.
    pub fn copy(&mut self, id: &BStr, out: &mut impl Write) -> Result<(), CopyError> {
        let (kind, size) = self.ask(id)?;
        if kind != b"blob" {
            return Err(broken(id).into());
        }
        let copied = std::io::copy(&mut (&mut self.answers).take(size), out).map_err(CopyError::Write)?;
        let mut end = [0];
        self.answers.read_exact(&mut end).map_err(|_| broken(id))?;
        if copied == size { Ok(()) } else { Err(broken(id).into()) }
    }

    fn ask(&mut self, id: &BStr) -> Result<(Vec<u8>, u64), GitError> {
        let question = [id.as_bytes(), b"\n"].concat();
        self.questions.write_all(&question).and_then(|()| self.questions.flush()).map_err(|_| broken(id))?;
        let mut header = Vec::new();
        self.answers.read_until(b'\n', &mut header).map_err(|_| broken(id))?;
        let (kind, size) = header.trim_end().split_once_str(" ").ok_or_else(|| broken(id))?;
        match size.to_str().ok().and_then(|size| size.parse().ok()) {
            Some(size) => Ok((kind.to_owned(), size)),
            None => Err(GitError::answer("git cat-file --batch", header)),
        }
    }
}

/// Why a blob was not copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// Git could not show it.
    #[error(transparent)]
    Git(#[from] GitError),
    /// It could not be written.
    #[error("cannot write the copy of a blob")]
    Write(#[source] std::io::Error),
}

fn broken(id: &BStr) -> GitError {
    GitError::answer("git cat-file --batch", id)
}
