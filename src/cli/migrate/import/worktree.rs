//! The worktree and index of a rewritten branch: the same files, of which some are pointers in the index now.
//!
//! Apart because nothing of the user's may be there that a rewriting could touch: it is looked at before anything is
//! done.

use bstr::{BString, ByteSlice};

use super::refs::Ref;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::tracking::track::ATTRIBUTES;
use crate::git::{Git, index, objects};
use crate::manifest;
use crate::repo_path::Printable;

/// Files in the Git directory that say that something is in progress.
const IN_PROGRESS: [&str; 6] =
    ["MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "BISECT_LOG", "rebase-merge", "rebase-apply"];

/// Refuse what a rewriting could not keep whole.
pub fn require_settled(context: &Context, refs: &[Ref]) -> Result<(), CliError> {
    if let Some(name) = IN_PROGRESS.iter().find(|name| context.repo.git_dir().join(name).exists()) {
        return Err(CliError::user(format!("a merge, rebase or the like is in progress ({name})"))
            .hint("finish it, or take it back, first"));
    }
    let status = Git::new(["status", "--porcelain", "-z", "--untracked-files=no"]).output()?;
    if !status.is_empty() {
        return Err(CliError::user("the worktree has changes that are not committed")
            .hint("commit them, or put them aside: git stash"));
    }
    let tracked = index::entries(&[ATTRIBUTES.into()])?;
    if tracked.is_empty() && std::fs::symlink_metadata(ATTRIBUTES).is_ok() {
        return Err(CliError::user(format!("{ATTRIBUTES} is here and not in Git, and would be replaced"))
            .hint(format!("commit it first (git add {ATTRIBUTES}), or put it elsewhere")));
    }
    let branch = Git::new(["symbolic-ref", "--quiet", "HEAD"]).line_if_any()?;
    if branch.is_none() && index::has_head()? {
        return Err(CliError::user("HEAD is at a commit, and not on a branch")
            .hint("go to a branch first: git switch <branch>"));
    }
    let own = branch.unwrap_or_default();
    let elsewhere = checked_out()?.into_iter().find(|name| *name != own && refs.iter().any(|one| one.name == *name));
    match elsewhere {
        None => Ok(()),
        Some(name) => Err(CliError::user(format!("{} is checked out in another worktree", Printable(&name)))
            .hint("remove that worktree first (git worktree list; git worktree remove <path>)")),
    }
}

/// The branches that worktrees have.
fn checked_out() -> Result<Vec<BString>, CliError> {
    let listed = Git::new(["worktree", "list", "--porcelain", "-z"]).output()?;
    Ok(listed.split_str("\0").filter_map(|line| line.strip_prefix(b"branch ")).map(BString::from).collect())
}

/// What is other in the worktree, too: everything else has the same content.
pub const OTHERS: [&str; 2] = [ATTRIBUTES, manifest::PATH];

/// After HEAD's branch moved: the index follows, and of the worktree [`OTHERS`].
pub fn follow() -> Result<(), CliError> {
    Git::on_index(["reset", "--quiet", "--mixed", "--no-refresh"]).output()?;
    for path in OTHERS {
        if objects::read(format!("HEAD:{path}").as_bytes().as_bstr())?.is_some() {
            Git::on_index(["checkout", "--quiet", "HEAD", "--", path]).output()?;
        }
    }
    // It fails if anything differs, which status then shows.
    Git::on_index(["update-index", "-q", "--refresh"]).run()?;
    Ok(())
}
