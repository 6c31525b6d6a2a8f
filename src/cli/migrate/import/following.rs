//! What is noted while HEAD's branch has moved and the worktree has not: so that the same command goes on after a kill.
//!
//! Apart from the following itself because it has to tell what a stopped run left from what somebody did since, which
//! is not touched.

use std::path::PathBuf;

use bstr::{BStr, ByteSlice};

use super::refs::Move;
use super::worktree;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::ui;
use crate::fs::{PathContext, is_absent, read_committed, read_optional, replace_state};
use crate::git::{Git, GitError, objects};

/// The branch, what it named, and what it is to name, with a NUL behind each.
fn note(context: &Context) -> PathBuf {
    context.repo.git_dir().join("s3lfs/import-following")
}

/// HEAD's branch is about to move.
pub fn begin(context: &Context, own: &Move) -> Result<(), CliError> {
    let bytes = [own.name.as_slice(), b"\0", &own.old, b"\0", &own.new, b"\0"].concat();
    Ok(replace_state(&note(context), &bytes)?)
}

/// The worktree has followed.
pub fn end(context: &Context) -> Result<(), CliError> {
    let path = note(context);
    match std::fs::remove_file(&path) {
        Err(e) if !is_absent(&e) => Err(e).context("remove", &path).map_err(CliError::from),
        _ => Ok(()),
    }
}

/// Let the worktree follow where an earlier run was stopped before it did, and everything is as that run left it.
pub fn go_on(context: &Context) -> Result<(), CliError> {
    let Some(noted) = read_optional(&note(context))? else { return Ok(()) };
    if let [branch, old, new, b""] = noted.split_str(b"\0").collect::<Vec<_>>()[..]
        && is_as_left(branch.as_bstr(), old.as_bstr(), new.as_bstr())?
    {
        worktree::follow()?;
        ui::say("An earlier run was stopped after the refs had moved: index and worktree follow them now.");
    }
    end(context)
}

fn is_as_left(branch: &BStr, old: &BStr, new: &BStr) -> Result<bool, CliError> {
    let head = Git::new(["symbolic-ref", "--quiet", "HEAD"]).line_if_any()?.unwrap_or_default();
    let tip = Git::new(["rev-parse", "--verify", "--quiet", "HEAD"]).line_if_any()?.unwrap_or_default();
    if head != branch || tip != new {
        return Ok(false);
    }
    let staged = is_staged(old)? || is_staged(new)?;
    let mut untouched = true;
    for path in worktree::OTHERS {
        let present = read_committed(path.as_ref())?;
        let of = |commit: &BStr| objects::read([commit.as_bytes(), b":", path.as_bytes()].concat().as_bstr());
        untouched &= present.is_none() || present == of(old)? || present == of(new)?;
    }
    Ok(staged && untouched)
}

/// Whether the index has the very files of this commit.
fn is_staged(commit: &BStr) -> Result<bool, GitError> {
    let differs = Git::new(["diff-index", "--cached", "--quiet", &commit.to_str_lossy(), "--"]);
    Ok(differs.run()?.status.success())
}
