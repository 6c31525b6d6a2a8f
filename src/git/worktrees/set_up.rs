//! The worktrees of this repository in which s3lfs is set up, and where each looks for hooks.
//!
//! Apart because worktrees share a hooks directory and a configuration, or have their own of either:
//! what is taken back in one of them must stay for the others.

use std::path::PathBuf;

use super::top_of;
use crate::git::{Git, GitError, Repo, roots};

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
        let Some(top) = top_of(repo, &dir)? else { continue };
        // What the environment says of this worktree does not hold for that one.
        let there = |git: Git| git.elsewhere().in_dir(if top.is_dir() { &top } else { &dir }).env("GIT_DIR", &dir);
        let config = Git::new(["config", "--show-scope", "--get", "filter.s3lfs.process"]);
        let by = match there(config).line_if_any()? {
            Some(line) if line.starts_with(b"local") => Whose::Shared,
            Some(line) if line.starts_with(b"worktree") => Whose::Own,
            _ => continue,
        };
        let hooks = there(Git::locate(["--git-path", "hooks"])).path()?;
        found.push(SetUp { top, hooks, by });
    }
    Ok(found)
}
