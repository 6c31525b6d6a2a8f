//! What every command stands on: the repository, the settings, the cache, the engine.
//!
//! Apart because each of these is found once, in this order, and only when it is needed.

use std::path::{Component, Path, PathBuf};

use bstr::{BStr, BString, ByteSlice};

use crate::cache::{InUse, LocalCache};
use crate::cli::error::CliError;
use crate::cli::local_cache::local_cache;
use crate::fs::Beneath;
use crate::git::Repo;
use crate::repo_path::RepoPath;
use crate::shell_word::quoted;

/// A repository with a worktree; the current directory is its top from now on, so that Git's answers
/// and the manifest's keys mean what they say.
pub struct Context {
    /// Where it is.
    pub repo: Repo,
    /// The worktree, as a place that paths can't leave.
    pub worktree: Beneath,
    /// Where the user was, absolute.
    started_in: PathBuf,
    /// Nobody deletes from the cache while a command runs.
    in_use: InUse,
    cache: LocalCache,
}

impl Context {
    /// Find the repository and go to the top of its worktree.
    pub fn open() -> Result<Self, CliError> {
        let repo = Repo::discover()?;
        let Some(top) = repo.worktree().map(Path::to_owned) else {
            return Err(CliError::user("this repository is bare: there is no worktree to work on")
                .hint("run it in a worktree of it ('git worktree add'), or in a clone"));
        };
        Self::at(repo, &top)
    }

    /// As [`Context::open`], in a bare repository too: for what needs no worktree.
    pub fn open_also_bare() -> Result<Self, CliError> {
        let repo = Repo::discover()?;
        let top = repo.worktree().unwrap_or(repo.git_dir()).to_owned();
        Self::at(repo, &top)
    }

    fn at(repo: Repo, top: &Path) -> Result<Self, CliError> {
        let here = |e| CliError::user(format!("cannot tell the current directory: {e}"));
        let started_in = std::env::current_dir().and_then(|dir| dir.canonicalize()).map_err(here)?;
        let top = top.canonicalize().map_err(here)?;
        std::env::set_current_dir(&top).map_err(here)?;
        let cache = local_cache(&repo);
        let in_use = cache.hold();
        Ok(Context { worktree: Beneath::new(top), cache, repo, started_in, in_use })
    }

    /// Where the user was, absolute.
    pub fn started_in(&self) -> &Path {
        &self.started_in
    }

    /// From now on somebody may delete from the cache: we ourselves, for one.
    pub fn let_go_of_cache(&mut self) {
        self.in_use = InUse::default();
    }

    /// The local cache.
    pub fn cache(&self) -> LocalCache {
        self.cache.clone()
    }

    /// What a path on the command line means inside the repository.
    pub fn repo_path(&self, argument: &Path) -> Result<RepoPath, CliError> {
        self.beneath_top(argument, "is the whole worktree, not a file in it")
    }

    /// What a directory on the command line means inside the repository. The top is none that could be
    /// told from "everything".
    pub fn repo_dir(&self, argument: &Path) -> Result<RepoPath, CliError> {
        self.beneath_top(argument, "is the whole worktree; name directories beneath it")
    }

    /// What a file or directory on the command line means; `None`: the top.
    pub fn beneath(&self, argument: &Path) -> Result<Option<RepoPath>, CliError> {
        let outside = || CliError::user(format!("{} is outside this repository", argument.display()));
        let relative = self.relative(argument).ok_or_else(outside)?;
        let bytes = bytes_of(&relative);
        if bytes.is_empty() { Ok(None) } else { Ok(Some(RepoPath::new(bytes)?)) }
    }

    fn beneath_top(&self, argument: &Path, if_top: &str) -> Result<RepoPath, CliError> {
        let top = || CliError::user(format!("{} {if_top}", argument.display()));
        self.beneath(argument)?.ok_or_else(top)
    }

    /// The submodule, or other repository in this worktree, that a path leads into.
    pub fn nested_repository(&self, path: &RepoPath) -> Option<PathBuf> {
        let path = path.to_path();
        let above = path.ancestors().skip(1).filter(|dir| !dir.as_os_str().is_empty());
        above.map(|dir| self.worktree.root().join(dir)).find(|dir| dir.join(".git").exists())
    }

    /// The directory in which the user was, beneath the top; `None`: the top itself.
    pub fn subdirectory(&self) -> Result<Option<RepoPath>, CliError> {
        let relative = self.started_in.strip_prefix(self.worktree.root()).unwrap_or(Path::new(""));
        let bytes = bytes_of(relative);
        if bytes.is_empty() { Ok(None) } else { Ok(Some(RepoPath::new(bytes)?)) }
    }

    /// `path` (from the top) in a `git` command that the user pastes where he is.
    pub fn pathspec(&self, path: &BStr) -> String {
        let text = path.to_str_lossy();
        let at_top = self.started_in == self.worktree.root();
        // After ':/' Git takes most punctuation for more magic (pathspec.c, parse_short_magic).
        let plain_start = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '.');
        match (at_top, plain_start) {
            (true, true) => quoted(&text),
            (true, false) => quoted(&format!("./{text}")),
            (false, true) => quoted(&format!(":/{text}")),
            (false, false) => quoted(&format!(":(top){text}")),
        }
    }

    /// `path` (from the top) as an argument of our own commands that the user pastes where he is.
    pub fn argument(&self, path: &BStr) -> String {
        let beneath = self.started_in.strip_prefix(self.worktree.root()).unwrap_or(Path::new(""));
        let text = format!("{}{}", "../".repeat(beneath.components().count()), path.to_str_lossy());
        quoted(&if text.starts_with('-') { format!("./{text}") } else { text })
    }

    /// Everything, in the words of [`Context::pathspec`].
    pub fn whole_worktree(&self) -> &'static str {
        if self.started_in == self.worktree.root() { "." } else { ":/" }
    }

    /// Relative to the top. The directory of the path is resolved, the last component never: it may
    /// be a symbolic link or not be there.
    fn relative(&self, argument: &Path) -> Option<PathBuf> {
        let mut full = normalize(&self.started_in.join(argument));
        if let (Some(dir), Some(name)) = (full.parent(), full.file_name())
            && let Ok(dir) = dir.canonicalize()
        {
            full = dir.join(name);
        }
        full.strip_prefix(self.worktree.root()).ok().map(Path::to_owned)
    }
}

/// Without `.` and `..`, by the text alone.
fn normalize(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => drop(normal.pop()),
            other => normal.push(other),
        }
    }
    normal
}

/// A relative path as Git writes it.
fn bytes_of(path: &Path) -> BString {
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        path.as_os_str().as_bytes().into()
    }
    #[cfg(not(unix))]
    {
        path.to_string_lossy().replace('\\', "/").into()
    }
}
