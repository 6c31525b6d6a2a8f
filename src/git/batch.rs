//! One Git child that answers many questions about small blobs, as they come up.
//!
//! Apart from `objects`, where all questions are known at the start. Source: `git-cat-file.txt`,
//! `--batch-command`.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout};

use bstr::{BStr, ByteSlice};

use super::{Git, GitError};
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

    /// The size of a blob in bytes.
    fn ask(&mut self, verb: &str, expression: &BStr) -> Option<usize> {
        let question = [verb.as_bytes(), b" ", expression, b"\n"].concat();
        self.questions.write_all(&question).and_then(|()| self.questions.flush()).ok()?;
        let mut answer = Vec::new();
        self.answers.read_until(b'\n', &mut answer).ok()?;
        answer.strip_prefix(b"blob ")?.trim_end().to_str().ok()?.parse().ok()
    }
}
