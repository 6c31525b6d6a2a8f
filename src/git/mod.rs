//! Git, asked about this repository.
//!
//! libgit2 finds the repository, because the filter must start fast; everything else is asked of
//! `git` itself, the only one that knows every index format, ref store, attribute rule and
//! `GIT_INDEX_FILE` (git-filter-reference.md, part 2, "SHA-256 + reftable").

pub mod attr;
pub mod batch;
pub mod committed_attr;
pub mod config;
pub mod fields;
pub mod held;
pub mod history;
pub mod index;
mod index_file;
pub mod new_blobs;
pub mod objects;
pub mod pack;
pub mod packer;
pub mod plumbing;
pub mod push;
pub mod reader;
pub mod recorded;
mod remembered;
pub mod revision;
pub mod roots;
pub mod tree;
mod walker;
pub mod worktrees;
pub mod writer;

use std::path::{Path, PathBuf};

use bstr::{BStr, BString, ByteSlice};

pub use index_file::{ObjectFormat, Stat};
pub use plumbing::{Git, GitError};

use crate::fs::Sharing;

/// Where a repository's parts are. All paths are absolute.
#[derive(Clone, Debug)]
pub struct Repo {
    git_dir: PathBuf,
    common_dir: PathBuf,
    worktree: Option<PathBuf>,
}

impl Repo {
    /// The repository of the current directory and environment, as Git itself would find it.
    pub fn discover() -> Result<Self, GitError> {
        // libgit2 follows fewer rules for these; a child process costs 2 ms.
        let told = ["GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR"].iter().any(|name| std::env::var_os(name).is_some());
        if !told
            && let Ok(repo) = git2::Repository::open_from_env()
            // It goes by where a linked worktree was made, and Git by where we are: it may have been moved.
            && !repo.is_worktree()
        {
            let worktree = repo.workdir().map(Path::to_owned);
            return Ok(Repo { git_dir: repo.path().to_owned(), common_dir: repo.commondir().to_owned(), worktree });
        }
        // A reftable or SHA-256 repository, another owner, none at all: Git answers, or says why not.
        let git_dir = Git::locate(["--git-dir"]).path().map_err(no_repository)?;
        let common_dir = common_dir()?;
        let worktree = Git::locate(["--show-toplevel"]).path().ok();
        Ok(Repo { git_dir, common_dir, worktree })
    }

    /// This worktree's own Git directory.
    pub fn git_dir(&self) -> &Path {
        &self.git_dir
    }

    /// The Git directory that all worktrees share.
    pub fn common_dir(&self) -> &Path {
        &self.common_dir
    }

    /// The top of the worktree, unless the repository is bare.
    pub fn worktree(&self) -> Option<&Path> {
        self.worktree.as_deref()
    }

    /// Where local state is kept: `<git common dir>/s3lfs`.
    pub fn state_dir(&self) -> PathBuf {
        self.common_dir.join("s3lfs")
    }
}

/// Git's "fatal: not a git repository" in our words; any other refusal (another owner) in Git's.
fn no_repository(error: GitError) -> GitError {
    if error.stderr().contains_str("not a git repository (or any") { GitError::NoRepository } else { error }
}

/// `core.sharedRepository`. Git's own answer knows `-c` and every file.
pub fn sharing() -> Sharing {
    let answer = Git::new(["config", "--get", "core.sharedRepository"]).output().unwrap_or_default();
    Sharing::parse(answer.to_str_lossy().trim())
}

/// Where temporary files of this repository are made, and swept: the cache's own `tmp`. `None`: there is no repository.
pub fn scratch() -> Option<PathBuf> {
    Some(common_dir().ok()?.join("s3lfs/tmp"))
}

/// The Git directory that all worktrees share.
pub fn common_dir() -> Result<PathBuf, GitError> {
    Git::locate(["--git-common-dir"]).path()
}

/// The directory in which Git looks for hooks.
pub fn hooks_dir() -> Result<PathBuf, GitError> {
    Git::locate(["--git-path", "hooks"]).path()
}

/// The paths beneath a directory that `git ls-files` lists with these options.
pub fn ls_files(options: &[&str], dir: &BStr) -> Result<Vec<BString>, GitError> {
    let git = Git::new(["--literal-pathspecs", "ls-files", "-z", "--full-name"]).args(options);
    let output = git.args(["--".into(), path_from_bytes(dir)]).output()?;
    Ok(nul_separated(&output).map(BString::from).collect())
}

/// Bytes from Git as a path of this system.
pub fn path_from_bytes(bytes: &[u8]) -> PathBuf {
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        Path::new(std::ffi::OsStr::from_bytes(bytes)).to_owned()
    }
    #[cfg(not(unix))]
    {
        Path::new(&*bytes.to_str_lossy()).to_owned()
    }
}

/// The fields of `-z` output, without the empty rest after the last NUL.
pub(crate) fn nul_separated(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split_str("\0").take(bytes.iter().filter(|&&b| b == 0).count())
}
