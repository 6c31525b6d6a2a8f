//! What every command stands on: the repository, the settings, the cache, the engine.
//!
//! Apart because each of these is found once, in this order, and only when it is needed.

use std::path::{Component, Path, PathBuf};

use bstr::{BStr, BString, ByteSlice};

use super::error::CliError;
use super::manifest_file;
use super::{Global, ui};
use crate::cache::LocalCache;
use crate::config::{Acceptance, GitConfig, Settings};
use crate::fs::Beneath;
use crate::git::Repo;
use crate::manifest::Manifest;
use crate::repo_path::RepoPath;
use crate::store::Store;
use crate::transfer::{Options, Patience, Transfer};
use crate::uploaded::Uploaded;

/// A repository with a worktree; the current directory is its top from now on, so that Git's answers
/// and the manifest's keys mean what they say.
pub struct Context {
    /// Where it is.
    pub repo: Repo,
    /// The worktree, as a place that paths can't leave.
    pub worktree: Beneath,
    /// Where the user was, absolute.
    started_in: PathBuf,
}

impl Context {
    /// Find the repository and go to the top of its worktree.
    pub fn open() -> Result<Self, CliError> {
        let repo = Repo::discover()?;
        let Some(top) = repo.worktree() else {
            return Err(CliError::user("this repository is bare: there is no worktree to work on"));
        };
        let here = |e| CliError::user(format!("cannot tell the current directory: {e}"));
        let started_in = std::env::current_dir().and_then(|dir| dir.canonicalize()).map_err(here)?;
        let top = top.canonicalize().map_err(here)?;
        std::env::set_current_dir(&top).map_err(here)?;
        Ok(Context { worktree: Beneath::new(top), repo, started_in })
    }

    /// The local cache.
    pub fn cache(&self) -> LocalCache {
        LocalCache::new(self.repo.state_dir())
    }

    /// What a path on the command line means inside the repository.
    pub fn repo_path(&self, argument: &Path) -> Result<RepoPath, CliError> {
        let outside = || CliError::user(format!("{} is outside this repository", argument.display()));
        let relative = self.relative(argument).ok_or_else(outside)?;
        let bytes = bytes_of(&relative);
        if bytes.is_empty() {
            return Err(CliError::user(format!("{} is the whole worktree, not a file in it", argument.display())));
        }
        Ok(RepoPath::new(bytes)?)
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

/// For pasting into a shell.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._/-+@%,:".contains(c);
    if text.chars().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
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

/// A store that may be used, with everything around it.
pub struct Session {
    /// The engine.
    pub transfer: Transfer,
    /// What is known to be in the store.
    pub uploaded: Uploaded,
    /// Where the repository's state is.
    state_dir: PathBuf,
}

impl Session {
    /// Connect to the store that `settings` name, if the user accepted it.
    pub fn open(repo: &Repo, settings: &Settings, patience: Patience) -> Result<Self, CliError> {
        require_accepted(settings)?;
        let transfer = engine(LocalCache::new(repo.state_dir()), settings, patience)?;
        let uploaded = Uploaded::open(&repo.state_dir(), &settings.remote)?;
        Ok(Session { transfer, uploaded, state_dir: repo.state_dir() })
    }

    /// Make sure that this repository is registered in the store, and `git_url` with it. What was
    /// confirmed once is remembered, so that this opens a connection only for something new.
    pub fn register(&mut self, repository_id: Option<&str>, git_url: Option<&str>) -> Result<(), CliError> {
        // The Python tool's manifests have no id; cleanup knows how to treat such a prefix.
        let Some(id) = repository_id else { return Ok(()) };
        let name = crate::oid::Oid::of(self.transfer.store().remote().to_string().as_bytes()).hex()[..16].to_owned();
        let marker = self.state_dir.join("registered").join(name);
        let line = format!("{id} {}\n", git_url.unwrap_or_default());
        let known = crate::fs::read_optional(&marker)?.unwrap_or_default();
        // Whoever registered a URL registered the repository.
        let proof = if git_url.is_some() { line.clone() } else { format!("{id} ") };
        if bstr::ByteSlice::contains_str(known.as_slice(), &proof) {
            return Ok(());
        }
        let store = self.transfer.store().clone();
        self.transfer.ask(|| store.register(id, git_url))?;
        if let Some(dir) = marker.parent() {
            std::fs::create_dir_all(dir).map_err(|e| crate::fs::PathError::new("create directory", dir, e))?;
        }
        crate::fs::replace(&marker, &[known, line.into_bytes()].concat())?;
        Ok(())
    }
}

/// An engine between the cache and the store that `settings` name. Whether that store is accepted is
/// the caller's to ask.
pub fn engine(cache: LocalCache, settings: &Settings, patience: Patience) -> Result<Transfer, CliError> {
    let store = Store::open(&settings.remote, &settings.access)?;
    let options = Options { jobs: settings.jobs, compression: settings.compression, patience };
    Ok(Transfer::new(cache, store, options))
}

/// The settings of a command that works on the present worktree: the manifest has to be readable.
pub fn settings(global: &Global, config: &GitConfig, manifest: Option<&Manifest>) -> Result<Settings, CliError> {
    Ok(Settings::resolve(&global.overrides(), config, manifest)?)
}

/// As [`settings`], with the manifest that reading goes by.
pub fn settings_for_reading(global: &Global) -> Result<Settings, CliError> {
    let config = GitConfig::load()?;
    let manifest = manifest_file::for_reading(None)?;
    settings(global, &config, manifest.as_ref())
}

/// Refuse a store that only a commit chose; on a terminal, ask.
pub fn require_accepted(settings: &Settings) -> Result<(), CliError> {
    if settings.acceptance == Acceptance::Accepted {
        return Ok(());
    }
    let question = format!("The manifest names the store {}, which was not accepted yet. Accept it?", settings.remote);
    match ui::ask(&question) {
        Some(true) => super::trust::accept(&settings.remote),
        _ => Err(not_accepted(settings)),
    }
}

/// The refusal, with the command that changes it.
pub fn not_accepted(settings: &Settings) -> CliError {
    CliError::user(format!("the manifest names the store {}, which you have not accepted", settings.remote))
        .hint("run 's3lfs trust' to accept it for this clone; nothing is sent there before")
}
