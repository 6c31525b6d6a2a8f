//! Pointers that nothing turns into content.
//!
//! Apart because a commit may bring them without anybody's fault, and saying so is all that is done about it.

use std::collections::BTreeSet;

use bstr::{BString, ByteSlice};

use crate::cli::error::CliError;
use crate::cli::ui;
use crate::git::index::{self, Filtered};
use crate::git::objects::{self, ObjectId};
use crate::repo_path::Printable;

/// More paths of one commit than these are not looked at: it is an import, and not a renamed file.
const LOOKED_AT: usize = 1000;

/// Pointers that the commit brings where nothing turns them into content: a tracked file that was renamed out
/// of its pattern, or one that was untracked while only its pointer was here.
pub fn warn_of_bare_pointers(files: &[Filtered], changed: &BTreeSet<BString>) -> Result<(), CliError> {
    let filtered: BTreeSet<&BString> = files.iter().map(|file| &file.entry.path).collect();
    let others: Vec<BString> = changed.iter().filter(|path| !filtered.contains(path)).cloned().collect();
    if others.is_empty() || others.len() > LOOKED_AT {
        return Ok(());
    }
    let entries = index::entries(&others)?;
    let kinds = objects::kinds(entries.iter().map(|entry| entry.id.as_bstr()))?;
    let is_pointer = |id: &ObjectId| kinds.get(id).is_some_and(|kind| kind.pointer().is_some());
    for entry in entries.iter().filter(|entry| is_pointer(&entry.id)) {
        ui::warn(format!(
            "warning: {}: its pointer is committed, and no pattern turns it into content: 's3lfs track' the path (then \
             's3lfs download' fills it), or others get the pointer",
            Printable(&entry.path)
        ));
    }
    Ok(())
}
