//! The files that smudge left as pointers: written once Git is done with them.
//!
//! Apart from `download` because nobody asked: the hooks do it, and the filter itself when Git has closed its pipe.

use std::collections::BTreeSet;

use bstr::BString;

use super::download::fetch;
use super::targets::{Asked, tracked_targets};
use crate::cli::Global;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::for_git::fetcher::warn_of_setting;
use crate::cli::manifest_file;
use crate::cli::ui;
use crate::config::{GitConfig, policy};
use crate::deferred::Deferred;
use crate::repo_path::Printable;
use crate::sparse::SparseSet;
use crate::worktree::{FileState, Overwrite, state_of};

/// Which of them.
#[derive(Clone, Copy, Debug)]
pub enum Which<'a> {
    /// All that are noted.
    Noted,
    /// These of them.
    These(&'a BTreeSet<BString>),
}

/// Write the files that smudge deferred, as far as they still are their pointers; forget those that
/// are not. Failures are said, and are no failure of the Git command whose hook this is.
pub fn fill(global: &Global, which: Which<'_>) -> Result<(), CliError> {
    let context = Context::open()?;
    let deferred = Deferred::new(context.repo.git_dir());
    let mut noted = deferred.list()?;
    if let Which::These(these) = which {
        noted.retain(|path| these.contains(path));
    }
    if noted.is_empty() {
        return Ok(());
    }
    if policy(&GitConfig::load()?, warn_of_setting).skip_smudge {
        return Ok(());
    }
    let sparse = SparseSet::load(context.repo.git_dir())?;
    let mut targets = tracked_targets(&noted)?;
    targets.retain(|target| {
        let path = target.path.as_bstr();
        let waiting = || matches!(state_of(&context.worktree, target, false), Ok(FileState::PointerOnly));
        // The set may be narrower by now than when the file was noted.
        let included = sparse.as_ref().is_none_or(|set| set.includes(path));
        included && noted.contains(path) && waiting()
    });
    let waiting: BTreeSet<BString> = targets.iter().map(|target| target.path.as_bstr().to_owned()).collect();
    deferred.forget(&noted.difference(&waiting).cloned().collect())?;
    if targets.is_empty() {
        return Ok(());
    }
    // What was here already is nothing to speak of.
    let is_news = targets.iter().any(|target| context.cache().find(&target.item.oid, None).is_none());
    let files = ui::count(targets.len(), "file");
    let still = format!("{files} ({} ...) still a pointer", targets[0].path);
    let manifest = manifest_file::for_reading(None)?;
    let report = fetch(&context, global, manifest.as_ref(), targets, Asked::Together, Overwrite::PointersOnly)
        .map_err(|e| CliError { message: format!("{still}: {}", e.message), ..e })?;
    if is_news {
        ui::say(format!(
            "{} written that {} too large to pass through Git.",
            ui::count(report.written.len(), "file"),
            if report.written.len() == 1 { "was" } else { "were" }
        ));
    }
    report.failed.iter().for_each(|(path, why)| ui::warn(format!("{} stays a pointer: {why}", Printable(path))));
    Ok(())
}
