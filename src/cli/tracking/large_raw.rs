//! Files that a commit brings into Git as they are, and perhaps should not: large ones (`s3lfs.warnabove`), and those that
//! were pointers before. They are named before they are in its history for good.
//!
//! Apart because it is about the files that are not tracked, and only a word: the commit goes on.

use std::collections::{BTreeMap, BTreeSet};

use bstr::{BStr, BString, ByteSlice};

use crate::cli::error::{CliError, one_line};
use crate::cli::tracking::bare_pointers::LOOKED_AT;
use crate::cli::tracking::next_commit::changed_beside;
use crate::cli::ui;
use crate::config::{GitConfig, warn_above};
use crate::git::batch::Batch;
use crate::git::index::{self, Filtered};
use crate::git::objects;
use crate::repo_path::Printable;
use crate::shell_word::quoted;

/// So many paths are handed to Git on its command line; of more, the whole index is listed.
const FEW: usize = 500;
/// So many are named, the rest is counted.
const NAMED: usize = 10;

/// The files of the index that are brought, with their blobs.
type Brought<'a> = BTreeMap<&'a BString, &'a BStr>;

/// Name what of `changed`, the paths at which the index differs from HEAD, is no pointer and may be meant to be one.
/// `files`: the tracked ones.
pub fn warn_of_raw(files: &[Filtered], changed: &BTreeSet<BString>) -> Result<(), CliError> {
    let others = changed_beside(files.iter().filter(|file| file.pointer().is_some()), changed);
    if others.is_empty() {
        return Ok(());
    }
    let entries = index::entries(if others.len() > FEW { &[] } else { &others })?;
    let brought = entries.iter().filter(|entry| entry.stage == 0 && others.binary_search(&entry.path).is_ok());
    let brought: Brought<'_> = brought.map(|entry| (&entry.path, entry.id.as_bstr())).collect();
    warn_of_former_pointers(&brought)?;
    warn_of_large(&brought)
}

/// As when a later line of an attributes file takes the filter away.
fn warn_of_former_pointers(brought: &Brought<'_>) -> Result<(), CliError> {
    // More are an import, or the way back to Git.
    if brought.is_empty() || brought.len() > LOOKED_AT {
        return Ok(());
    }
    let mut blobs = Batch::start()?;
    let mut was_pointer = |path: &BString, id: &BStr| {
        blobs.pointer([b"HEAD:", path.as_slice()].concat().as_bstr()).is_some() && blobs.pointer(id).is_none()
    };
    let former: Vec<_> = brought.iter().filter(|(path, id)| was_pointer(path, id)).map(|(path, _)| path).collect();
    if let Some(first) = former.first() {
        let others = if former.len() > 1 { format!(" and {} more", former.len() - 1) } else { String::new() };
        ui::warn(format!(
            "warning: {}{others}: a pointer until now, and from this commit on Git has the content itself: if that is not \
             meant, 's3lfs track' the path (a later line may take it from s3lfs again: git check-attr filter <path>), and \
             'git add' it again",
            Printable(first)
        ));
    }
    Ok(())
}

fn warn_of_large(brought: &Brought<'_>) -> Result<(), CliError> {
    let limit = match warn_above(&GitConfig::load()?) {
        Ok(Some(limit)) => limit,
        Ok(None) => return Ok(()),
        // No commit fails for a setting that is only about a warning.
        Err(e) => {
            ui::warn(format!("warning: {}", one_line(e)));
            return Ok(());
        }
    };
    let sizes = objects::sizes(brought.values().copied())?;
    let size = |id: &bstr::BStr| sizes.get(id).copied().unwrap_or(0);
    let large: Vec<_> = brought.iter().filter(|(_, id)| size(id) > limit).collect();
    for (path, id) in large.iter().take(NAMED) {
        ui::warn(format!(
            "warning: {} ({}) enters Git as it is, and stays in its history for good",
            Printable(path),
            ui::bytes(size(id))
        ));
    }
    if large.len() > NAMED {
        ui::warn(format!("warning: and {} more", ui::count(large.len() - NAMED, "such file")));
    }
    if let Some((path, _)) = large.first() {
        ui::warn(format!(
            "  to have s3lfs keep it: s3lfs upload {}, and commit again (git commit --amend); git config s3lfs.warnabove \
             says from which size on this is said",
            quoted(&Printable(path).to_string())
        ));
    }
    Ok(())
}
