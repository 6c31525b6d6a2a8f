//! Giving the present files to s3lfs: attribute lines in every directory, pointers in the index, and in the worktree
//! where only a pointer stands.
//!
//! Apart because its order is what a kill at any moment is survived by: the attributes first, then pointer files, then
//! the index. Files are found by the attributes that are there then, so that a second run finds what is left.

use std::collections::{BTreeSet, HashMap};

use bstr::{BString, ByteSlice};

use crate::attributes::Keeper;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::migrate::handover::{self, Handover};
use crate::git::batch::Batch;
use crate::git::index::{self, Entry};
use crate::git::objects::{self, Look, ObjectId};
use crate::oid::Oid;
use crate::pointer::{Pointer, Sniffed, lfs};
use crate::repo_path::RepoPath;
use crate::worktree::{FileState, Target, present_settled, replace_pointer, state_of};
use crate::written::Written;

/// What became of the present files, or would.
#[derive(Debug, Default)]
pub struct Conversion {
    /// Files that are pointers of s3lfs now.
    pub files: usize,
    /// Attributes files that were changed.
    pub attributes: Vec<BString>,
    /// Files under the filter that Git has with their content.
    pub raw: Vec<BString>,
    /// Files that attributes elsewhere still give to Git LFS.
    pub still: Vec<BString>,
    /// Files that keep the pointer of Git LFS, since their content is missing.
    pub kept: Vec<BString>,
}

/// Files that are staged together.
const BATCH: usize = 4096;

fn handover() -> Handover {
    Handover { from: Keeper::Lfs, to: Keeper::S3lfs, patterns: Vec::new() }
}

impl Conversion {
    /// What would be done.
    pub fn look(context: &Context) -> Result<Self, CliError> {
        let attributes = handover::would_change(context, &handover())?;
        let mut conversion = Conversion { attributes, ..Conversion::default() };
        let files = index::filtered_by_lfs()?.into_iter().chain(index::filtered(&[])?).map(|file| file.entry);
        conversion.files = conversion.theirs(files.collect())?.len();
        Ok(conversion)
    }

    /// The files whose blob is a pointer of Git LFS.
    fn theirs(&mut self, files: Vec<Entry>) -> Result<Vec<(Entry, Pointer)>, CliError> {
        let looks = objects::looks(files.iter().map(|entry| entry.id.as_bstr()))?;
        let mut blobs = Batch::start()?;
        let mut theirs = Vec::new();
        for entry in files {
            match looks.get(&entry.id).copied().unwrap_or(Look::Missing) {
                Look::Missing | Look::Empty => {}
                Look::Large => self.raw.push(entry.path),
                Look::Small(Sniffed::Ours(_) | Sniffed::Crlf(_) | Sniffed::Newer) => {}
                Look::Small(Sniffed::Lfs(pointer)) => theirs.push((entry, pointer)),
                // In another form than the canonical one, of which there are few.
                Look::Small(Sniffed::Resembles | Sniffed::Content) => {
                    match lfs::read(&blobs.blob(entry.id.as_bstr())?.unwrap_or_default()) {
                        lfs::Read::Pointer(pointer) => theirs.push((entry, pointer)),
                        lfs::Read::Extended(_) => self.kept.push(entry.path),
                        lfs::Read::Other => self.raw.push(entry.path),
                    }
                }
            }
        }
        Ok(theirs)
    }
}

/// Refuse while a merge is not resolved.
pub fn require_merged() -> Result<(), CliError> {
    match index::conflicted_now()?.into_iter().next() {
        None => Ok(()),
        Some(path) => Err(CliError::user(format!("{} has a conflict", crate::repo_path::Printable(&path)))
            .hint("finish the merge first, or take it back: git merge --abort")),
    }
}

/// Give everything over whose content the store has.
pub fn convert(context: &Context, in_store: &BTreeSet<Oid>) -> Result<Conversion, CliError> {
    let mut conversion = Conversion { attributes: handover::give(context, &handover())?, ..Conversion::default() };
    let files = index::filtered(&[])?.into_iter().map(|file| file.entry).collect();
    let (ready, left): (Vec<_>, Vec<_>) =
        conversion.theirs(files)?.into_iter().partition(|(_, pointer)| in_store.contains(&pointer.oid));
    conversion.kept.extend(left.into_iter().map(|(entry, _)| entry.path));
    for some in ready.chunks(BATCH) {
        conversion.files += stage(context, some)?;
    }
    conversion.still = index::filtered_by_lfs()?.into_iter().map(|file| file.entry.path).collect();
    Ok(conversion)
}

/// How many were staged.
fn stage(context: &Context, files: &[(Entry, Pointer)]) -> Result<usize, CliError> {
    let cache = context.cache();
    let (mut settled, mut known) = (Vec::new(), Written::default());
    for (entry, pointer) in files.iter().filter(|(entry, _)| !entry.skip_worktree) {
        // What can't be a path here is left to Git.
        let Ok(path) = RepoPath::new(entry.path.clone()) else { continue };
        let target = Target { path, item: (*pointer).into(), executable: entry.executable, tracked: true };
        match state_of(&context.worktree, &target, false)? {
            FileState::PointerOnly => {
                replace_pointer(&context.worktree, &cache, &target, &pointer.encode())?;
            }
            FileState::Missing | FileState::Present | FileState::Changed => {
                // What is missing or changed stays the user's change: Git would stage it.
                let Some((oid, times)) = present_settled(&context.worktree, &target.path)? else { continue };
                if oid != pointer.oid {
                    continue;
                }
                times.into_iter().for_each(|times| known.note(entry.path.as_bstr(), pointer, times));
            }
        }
        settled.push(entry.path.as_bstr());
    }
    // Hashing takes its time: what was staged meanwhile is newer than what is known here.
    let now: HashMap<BString, ObjectId> =
        index::entries(&[])?.into_iter().map(|entry| (entry.path, entry.id)).collect();
    let files: Vec<&(Entry, Pointer)> =
        files.iter().filter(|(entry, _)| now.get(&entry.path) == Some(&entry.id)).collect();
    let blobs: Vec<Vec<u8>> = files.iter().map(|(_, pointer)| pointer.encode()).collect();
    let ids = objects::write_all(&blobs)?;
    index::put_all(
        files.iter().zip(&ids).map(|((entry, _), id)| (entry.path.as_bstr(), id.as_bstr(), entry.executable)),
    )?;
    index::leave_out(files.iter().filter(|(entry, _)| entry.skip_worktree).map(|(entry, _)| entry.path.as_bstr()))?;
    // Without it the filter hashes once more, and caches what the store has.
    let known = known.save(&cache.tmp()).unwrap_or_default();
    index::refresh_written(settled, known.as_ref())?;
    Ok(files.len())
}
