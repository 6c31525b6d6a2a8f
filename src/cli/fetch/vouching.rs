//! Noting that content came from the store, so that later changes of it may go there by themselves (`vouched`).
//!
//! Apart because it is about what will be sent, not about what is fetched.

use std::collections::BTreeSet;

use bstr::{BString, ByteSlice};

use super::download::Fetched;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::oid::Oid;
use crate::repo_path::RepoPath;
use crate::vouched::Vouched;
use crate::worktree::Target;

/// Note the manifest-only files that were written, and those of `present`, which had their content before, if it came
/// by this clone's cache: a command that was killed may have written them. Where nothing was ever noted, all of them.
pub(super) fn vouch(context: &Context, present: &[Target], report: &Fetched) -> Result<(), CliError> {
    if present.is_empty() && report.manifest_only.is_empty() {
        return Ok(());
    }
    let list = Vouched::new(context.repo.git_dir());
    let (noted, cache) = (list.list()?, context.cache());
    let is_new = |target: &&Target| {
        let Some(noted) = &noted else { return true };
        name(&target.path).is_some_and(|name| noted.get(&name) != Some(&Some(target.item.oid)))
            && cache.find(&target.item.oid, None).is_some()
    };
    let present = present.iter().filter(is_new).map(|target| (&target.path, target.item.oid));
    let written = report.manifest_only.iter().map(|(path, oid)| (path, *oid));
    Ok(list.add(present.chain(written).filter_map(|(path, oid)| Some((name(path)?, Some(oid)))).collect())?)
}

/// Note the manifest-only files that the user named and that have their content now.
pub(super) fn vouch_named(context: &Context, named: Vec<(RepoPath, Oid)>, report: &Fetched) -> Result<(), CliError> {
    let failed: BTreeSet<&BString> = report.failed.iter().map(|(path, _)| path).collect();
    let done = named.iter().filter(|(path, _)| !failed.contains(&path.as_bstr().to_owned()));
    let notes = done.filter_map(|(path, oid)| Some((name(path)?, Some(*oid)))).collect();
    Ok(Vouched::new(context.repo.git_dir()).add(notes)?)
}

/// As the manifest names it.
fn name(path: &RepoPath) -> Option<String> {
    path.as_bstr().to_str().ok().map(str::to_owned)
}
