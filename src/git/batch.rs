//! One Git child that answers many questions about blobs, as they come up.
//!
//! Apart from `objects`, where all questions are known at the start. Source: `git-cat-file.txt`,
//! `--batch-command`.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout};

use bstr::{BStr, ByteSlice};

use super::{Git, GitError};
use crate::fs::MAX_COMMITTED;
use crate::pointer::{MAX_POINTER_LEN, Pointer, sniff};

/// `git cat-file --batch-command`, for as long as this lives: it ends when its input does.
#[derive(Debug)]
pub struct Batch {
    _child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Batch {
    /// Start it. It reads the index once, when it is asked about it.
    pub fn start() -> Result<Self, GitError> {
        let format = "--batch-command=%(objecttype) %(objectsize)";
        let mut child = Git::new(["cat-file", format]).env("GIT_NO_LAZY_FETCH", "1").converse()?;
        let questions = child.stdin.take().expect("stdin was asked to be a pipe");
        let answers = BufReader::new(child.stdout.take().expect("stdout was asked to be a pipe"));
        Ok(Batch { _child: child, questions, answers })
    }

    /// The pointer that stands at an expression like `:path`. `None`: there is none, or it can't be asked
    /// for (a name with a line feed, a child that died).
    pub fn pointer(&mut self, expression: &BStr) -> Option<Pointer> {
        if expression.contains(&b'\n') {
            return None;
        }
        let size = self.ask("info", expression)?;
        if size >= MAX_POINTER_LEN {
            return None;
        }
        let size = self.ask("contents", expression)?;
        let mut blob = vec![0; size + 1];
        self.answers.read_exact(&mut blob).ok()?;
        sniff(&blob[..size]).pointer()
    }

    /// The bytes of the blob that an id, or an expression like `HEAD:path`, names. `None`: there is none.
    pub fn blob(&mut self, expression: &BStr) -> Result<Option<Vec<u8>>, GitError> {
        let broken = || GitError::answer("git cat-file --batch-command", expression);
        match self.size(expression)? {
            None => return Ok(None),
            Some(size) if size as u64 > MAX_COMMITTED => {
                return Err(GitError::TooLarge { object: expression.to_owned(), size: size as u64 });
            }
            Some(_) => {}
        }
        // What was there is there: from here on only a damaged object, at which the child dies, is left.
        let size = self.ask("contents", expression).ok_or_else(broken)?;
        let mut blob = vec![0; size + 1];
        self.answers.read_exact(&mut blob).map_err(|_| broken())?;
        blob.truncate(size);
        Ok(Some(blob))
    }

    /// The length in bytes of the blob at an expression. A child that died has no answer, not even "missing".
    fn size(&mut self, expression: &BStr) -> Result<Option<usize>, GitError> {
        let broken = || GitError::answer("git cat-file --batch-command", expression);
        if expression.contains(&b'\n') {
            return Err(broken());
        }
        let answer = self.answer("info", expression).filter(|answer| answer.ends_with(b"\n")).ok_or_else(broken)?;
        Ok(blob_size(&answer))
    }

    /// The size of a blob in bytes.
    fn ask(&mut self, verb: &str, expression: &BStr) -> Option<usize> {
        blob_size(&self.answer(verb, expression)?)
    }

    /// The first line of an answer.
    fn answer(&mut self, verb: &str, expression: &BStr) -> Option<Vec<u8>> {
        let question = [verb.as_bytes(), b" ", expression, b"\n"].concat();
        self.questions.write_all(&question).and_then(|()| self.questions.flush()).ok()?;
        let mut answer = Vec::new();
        self.answers.read_until(b'\n', &mut answer).ok()?;
        Some(answer)
    }
}

/// Of the line `blob 123`.
fn blob_size(line: &[u8]) -> Option<usize> {
    line.strip_prefix(b"blob ")?.trim_end().to_str().ok()?.parse().ok()
}
