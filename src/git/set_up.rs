//! The worktrees of this repository in which s3lfs is set up, and where each looks for hooks.
//!
//! Apart because worktrees share a hooks directory and a configuration, or have their own of either:
//! what is taken back in one of them must stay for the others.

use std::fs;
use std::path::{Path, PathBuf};

use bstr::ByteSlice;

use super::{Git, GitError, Repo, path_from_bytes, roots};

/// A worktree (or a bare repository) whose own or shared configuration names our filter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SetUp {
    /// Its top; of a bare repository, the Git directory.
    pub top: PathBuf,
    /// Where Git looks for its hooks.
    pub hooks: PathBuf,
    /// Whose configuration says so.
    pub by: Whose,
}

/// The file of Git's configuration in which the filter stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Whose {
    /// The one that all worktrees share (`--local`).
    Shared,
    /// The worktree's own (`--worktree`).
    Own,
}

/// All of them. What is set up for the user (`--global`) does not count: it has no hooks.
pub fn set_up(repo: &Repo) -> Result<Vec<SetUp>, GitError> {
    let mut found = Vec::new();
    for dir in roots::git_dirs(repo)? {
        let Some(top) = top_of(repo, &dir) else { continue };
        let ask = |args: &[&str]| {
            // What the environment says of this worktree does not hold for that one.
            Git::new(args).elsewhere().in_dir(if top.is_dir() { &top } else { &dir }).env("GIT_DIR", &dir)
        };
        let by = match ask(&["config", "--show-scope", "--get", "filter.s3lfs.process"]).line_if_any()? {
            Some(line) if line.starts_with(b"local") => Whose::Shared,
            Some(line) if line.starts_with(b"worktree") => Whose::Own,
            _ => continue,
        };
        let hooks = ask(&["rev-parse", "--path-format=absolute", "--git-path", "hooks"]).output()?;
        found.push(SetUp { top, hooks: path_from_bytes(hooks.strip_suffix(b"\n").unwrap_or(&hooks)), by });
    }
    Ok(found)
}

/// The top of the worktree with this Git directory; of a bare repository, that directory.
/// `None`: the worktree was deleted, and Git would prune it (git-worktree(1), "prune").
pub fn top_of(repo: &Repo, git_dir: &Path) -> Option<PathBuf> {
    let here = |path: &Path| path.canonicalize().ok();
    if here(git_dir) == here(repo.git_dir()) {
        return Some(repo.worktree().unwrap_or(git_dir).to_owned());
    }
    let Ok(link) = fs::read(git_dir.join("gitdir")) else {
        // The main worktree: `.git` lies in it, unless it is bare or kept apart.
        return Some(git_dir.parent().filter(|_| git_dir.ends_with(".git")).unwrap_or(git_dir).to_owned());
    };
    // Relative with worktree.useRelativePaths (Git 2.48).
    let link = git_dir.join(path_from_bytes(link.trim_end()));
    let locked = git_dir.join("locked").exists();
    (link.exists() || locked).then(|| link.parent().unwrap_or(git_dir).to_owned())
}
