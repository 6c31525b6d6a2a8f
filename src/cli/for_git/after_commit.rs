//! What pre-commit leaves to post-commit while Git holds the lock of the index (`commit -a`, `commit
//! <path>`): uploading, and the worktree's manifest.
//!
//! Apart because it passes between two processes by a file in the worktree's Git directory. A commit
//! that is given up leaves it behind; the next one then uploads no more than its own content, and
//! changes the manifest only if it still is what it was.

use std::fs;
use std::path::PathBuf;

use crate::fs::{PathContext, PathError, read_optional};
use crate::git::Repo;
use crate::oid::Oid;

/// The file.
pub struct AfterCommit(PathBuf);

/// What was left.
#[derive(Debug, Default)]
pub struct Left {
    /// Upload what the commit brings.
    pub upload: bool,
    /// Replace the worktree's manifest by the commit's, if its bytes have this SHA-256.
    pub manifest: Option<Oid>,
}

impl AfterCommit {
    /// The file of this worktree.
    pub fn new(repo: &Repo) -> Self {
        AfterCommit(repo.git_dir().join("s3lfs").join("after-commit"))
    }

    /// Leave the uploading.
    pub fn leave_upload(&self) -> Result<(), PathError> {
        self.leave("upload")
    }

    /// Leave the worktree's manifest, which now has these bytes.
    pub fn leave_manifest(&self, present: &[u8]) -> Result<(), PathError> {
        self.leave(&format!("manifest {}", Oid::of(present)))
    }

    /// What was left; it is taken away.
    pub fn take(&self) -> Result<Left, PathError> {
        let Some(bytes) = read_optional(&self.0)? else { return Ok(Left::default()) };
        fs::remove_file(&self.0).context("remove", &self.0)?;
        let text = String::from_utf8_lossy(&bytes);
        let manifest = text.lines().rev().find_map(|line| line.strip_prefix("manifest ")?.parse().ok());
        Ok(Left { upload: text.lines().any(|line| line == "upload"), manifest })
    }

    fn leave(&self, line: &str) -> Result<(), PathError> {
        use std::io::Write;
        if let Some(dir) = self.0.parent() {
            fs::create_dir_all(dir).context("create directory", dir)?;
        }
        let mut file = fs::OpenOptions::new().append(true).create(true).open(&self.0).context("open", &self.0)?;
        file.write_all(format!("{line}\n").as_bytes()).context("write", &self.0)
    }
}
