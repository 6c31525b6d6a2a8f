//! Pointers where nothing turns them into content: whoever checks such a path out gets the pointer.
//!
//! Apart because Git takes them for ordinary files: nobody who goes by the filter ever sees them.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use bstr::{BString, ByteSlice};

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::tracking::next_commit::changed_beside;
use crate::cli::ui;
use crate::git::attr::{self, Source};
use crate::git::index::{self, Entry, Filtered};
use crate::git::new_blobs::NewBlob;
use crate::git::objects::{self, Look, ObjectId};
use crate::git::push;
use crate::pointer::{MIN_POINTER_LEN, Pointer, Sniffed};
use crate::repo_path::{Printable, RepoPath};

/// The lengths of our canonical pointers, with up to 19 digits of the size, and of those with CRLF line ends.
const LENGTHS: RangeInclusive<u64> = MIN_POINTER_LEN as u64..=MIN_POINTER_LEN as u64 + 18 + 3;

/// A path with a pointer in Git that nothing turns into content.
pub struct Bare {
    /// Where.
    pub path: BString,
    /// What.
    pub pointer: Pointer,
}

/// So many blobs are asked for their length at a time.
const AT_ONCE: usize = 50_000;

/// All of the index's: also those where the content stands in the worktree, of which Git sees nothing. Of all files,
/// only those blobs are read that are as long as a pointer is.
pub fn in_index() -> Result<Vec<Bare>, CliError> {
    let entries = index::unfiltered()?;
    let mut as_long = Vec::new();
    for some in entries.chunks(AT_ONCE) {
        let lengths = objects::sizes(some.iter().map(|entry| entry.id.as_bstr()))?;
        let is_as_long = |entry: &&Entry| lengths.get(&entry.id).is_some_and(|len| LENGTHS.contains(len));
        as_long.extend(some.iter().filter(is_as_long).cloned());
    }
    among(as_long)
}

/// Those of the index that also stand in the worktree as pointers: of all files, only those are read that are
/// as long as a pointer is.
pub fn in_worktree(context: &Context) -> Result<Vec<Bare>, CliError> {
    let mut entries = index::unfiltered()?;
    let mut browse = context.worktree.browse();
    entries.retain(|entry| {
        RepoPath::new(entry.path.clone())
            .is_ok_and(|path| browse.file_len(&path).is_some_and(|len| LENGTHS.contains(&len)))
    });
    among(entries)
}

/// Pointers that the commit brings while the lines that track them stay in the worktree: whoever gets the commit has
/// pointers for files, and edits go into Git as they are.
pub fn warn_of_attributes_left_out(files: &[Filtered], changed: &BTreeSet<BString>) -> Result<(), CliError> {
    let is_brought = |file: &&Filtered| file.pointer().is_some() && changed.contains(&file.entry.path);
    let brought: Vec<&BString> = files.iter().filter(is_brought).map(|file| &file.entry.path).collect();
    let tracked = attr::filtered(brought.iter().map(|path| path.as_bstr()), Source::Staged)?;
    let left: Vec<&&BString> = brought.iter().filter(|path| !tracked.contains(**path)).collect();
    if let Some(first) = left.first() {
        let others = if left.len() > 1 { format!(" and {} more", left.len() - 1) } else { String::new() };
        ui::warn(format!(
            "warning: {}{others}: a pointer is committed, and the line of .gitattributes that tracks it is not: others get \
             the pointer for the file. 'git add .gitattributes' and commit that, too",
            Printable(first)
        ));
    }
    Ok(())
}

/// Those of `blobs` that are pointers of ours and stand in one of the commits `tips` where nothing turns them into
/// content.
pub fn in_commits(mut blobs: Vec<NewBlob>, tips: &[ObjectId]) -> Result<Vec<(NewBlob, Pointer)>, CliError> {
    let looks = objects::looks(blobs.iter().map(|blob| blob.id.as_bstr()))?;
    let pointer = |blob: &NewBlob| match looks.get(&blob.id) {
        Some(Look::Small(Sniffed::Ours(pointer))) => Some(*pointer),
        _ => None,
    };
    blobs.retain(|blob| pointer(blob).is_some());
    let bare = push::without_filter(&blobs, tips)?;
    Ok(bare.into_iter().filter_map(|blob| Some((blob.clone(), pointer(blob)?))).collect())
}

/// Pointers that a push brings where nothing turns them into content: whoever gets it has the pointer.
pub fn warn_of_pushed(bare: &[(NewBlob, Pointer)]) {
    let Some((first, _)) = bare.first() else { return };
    let others = if bare.len() > 1 { format!(" and {} more", bare.len() - 1) } else { String::new() };
    ui::warn(format!(
        "warning: {}{others} (commit {}): a pointer is pushed, and no pattern turns it into content: others get the pointer. \
         's3lfs track' the path, or give it '-filter' in .gitattributes if it is meant as it is",
        Printable(&first.path),
        first.commit
    ));
}

fn among(entries: Vec<Entry>) -> Result<Vec<Bare>, CliError> {
    let looks = objects::looks(entries.iter().map(|entry| entry.id.as_bstr()))?;
    // What another tool's pointers are is left to that tool.
    let bare = entries.into_iter().filter(|entry| entry.stage == 0).filter_map(|entry| match looks.get(&entry.id) {
        Some(Look::Small(Sniffed::Ours(pointer))) => Some(Bare { path: entry.path, pointer: *pointer }),
        _ => None,
    });
    Ok(bare.collect())
}

/// More paths of one commit than these are not looked at: it is an import, and not a renamed file.
pub const LOOKED_AT: usize = 1000;

/// Pointers that the commit brings where nothing turns them into content: a tracked file that was renamed out
/// of its pattern, or one that was untracked while only its pointer was here.
pub fn warn_of_bare_pointers(files: &[Filtered], changed: &BTreeSet<BString>) -> Result<(), CliError> {
    let others = changed_beside(files.iter(), changed);
    if others.is_empty() || others.len() > LOOKED_AT {
        return Ok(());
    }
    // A path that became a directory brings what lies beneath it.
    let mut entries = index::entries(&others)?;
    entries.retain(|entry| others.binary_search(&entry.path).is_ok());
    for bare in among(entries)? {
        ui::warn(format!(
            "warning: {}: its pointer is committed, and no pattern turns it into content: 's3lfs track' the path (then \
             's3lfs download' fills it), or others get the pointer",
            Printable(&bare.path)
        ));
    }
    Ok(())
}
