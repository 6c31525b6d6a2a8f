//! The attributes files of a repository, given from one keeper to another: in the index and in the worktree, in every
//! directory.
//!
//! Apart because both ways need it, and because somebody may have changes there that are not staged: both versions
//! are changed, each by itself.

use std::collections::{BTreeMap, HashSet};
use std::io::Write;

use bstr::{BStr, BString, ByteSlice};

use crate::attributes::{AttributesFile, Keeper, Pattern};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::tracking::track::{ATTRIBUTES, edit_attributes, stage_attributes};
use crate::fs::{MAX_COMMITTED, PathContext, PathError, lock, read_committed};
use crate::git::Git;
use crate::git::attr::{self, Source};
use crate::git::index::{self, Entry};
use crate::git::objects;
use crate::repo_path::RepoPath;
use crate::worktree;

/// Who gives, and who gets.
#[derive(Clone, Debug)]
pub struct Handover {
    /// Whose lines change.
    pub from: Keeper,
    /// Whose they become.
    pub to: Keeper,
    /// Only these patterns, at the top; all lines, if there are none.
    pub patterns: Vec<Pattern>,
}

impl Handover {
    fn edit(&self, path: &[u8], attributes: &mut AttributesFile) {
        if self.patterns.is_empty() {
            attributes.give(self.from, self.to);
        } else if path == ATTRIBUTES.as_bytes() {
            for pattern in &self.patterns {
                attributes.give_pattern(pattern, self.to);
            }
        }
        if path == ATTRIBUTES.as_bytes() && self.to == Keeper::S3lfs {
            attributes.ensure_protected();
        }
    }

    fn edited(&self, path: &[u8], bytes: &[u8]) -> Option<Vec<u8>> {
        let mut attributes = AttributesFile::parse(bytes);
        self.edit(path, &mut attributes);
        let after = attributes.to_bytes();
        (after != bytes).then_some(after)
    }
}

/// The attributes files of the index that would be changed.
pub fn would_change(context: &Context, handover: &Handover) -> Result<Vec<BString>, CliError> {
    let mut changed = Vec::new();
    for entry in index::attributes_files()?.into_iter().filter(|entry| entry.stage == 0) {
        let bytes = objects::read(entry.id.as_bstr())?.unwrap_or_default();
        if handover.edited(&entry.path, &bytes).is_some() || beneath(context, handover, &entry)?.is_some() {
            changed.push(entry.path);
        }
    }
    Ok(changed)
}

/// Those of `paths` that would still have `filter=s3lfs`.
pub fn would_stay(handover: &Handover, paths: &[&BStr]) -> Result<HashSet<BString>, CliError> {
    let dir = tempfile::tempdir().map_err(|e| PathError::new("make", "a temporary directory", e))?;
    let index = dir.path().join("index");
    let mut files: BTreeMap<BString, Vec<u8>> = BTreeMap::new();
    for entry in index::attributes_files()?.into_iter().filter(|entry| entry.stage == 0) {
        files.insert(entry.path, objects::read(entry.id.as_bstr())?.unwrap_or_default());
    }
    files.entry(ATTRIBUTES.into()).or_insert(read_committed(ATTRIBUTES.as_ref())?.unwrap_or_default());
    let mut lines = Vec::new();
    for (path, bytes) in files {
        let id = objects::write(&handover.edited(&path, &bytes).unwrap_or(bytes))?;
        lines.extend_from_slice(&[b"100644 ", id.as_slice(), b" 0\t", &path, b"\0"].concat());
    }
    let put = Git::new(["update-index", "-z", "--index-info"]).env("GIT_INDEX_FILE", &index);
    put.input(lines).output()?;
    Ok(attr::filtered(paths.iter().copied(), Source::Index(&index))?)
}

/// Change and stage them all; those that were changed.
pub fn give(context: &Context, handover: &Handover) -> Result<Vec<BString>, CliError> {
    let mut changed = Vec::new();
    let entries: Vec<Entry> = index::attributes_files()?.into_iter().filter(|entry| entry.stage == 0).collect();
    if !entries.iter().any(|entry| entry.path == ATTRIBUTES) && read_committed(ATTRIBUTES.as_ref())?.is_some() {
        // Not in Git yet: it becomes part of the commit.
        if edit_attributes(|attributes| handover.edit(ATTRIBUTES.as_bytes(), attributes))? {
            stage_attributes()?;
            changed.push(ATTRIBUTES.into());
        }
    }
    // Two commands at once would each write what they read, and one line would be lost.
    let _locked = lock(&context.repo.git_dir().join("s3lfs/editing-attributes"))?;
    // All of the worktree's first: by these Git goes when it cleans, and whatever writes the index may have it clean.
    let mut staged = Vec::new();
    for entry in entries {
        let bytes = objects::read(entry.id.as_bstr())?.unwrap_or_default();
        let in_index = handover.edited(&entry.path, &bytes);
        let in_worktree = beneath(context, handover, &entry)?;
        if in_index.is_some() || in_worktree.is_some() {
            changed.push(entry.path.clone());
        }
        if let Some(after) = in_worktree {
            write(context, &entry, &after)?;
        }
        staged.extend(in_index.map(|after| (entry, after)));
    }
    for (entry, after) in staged {
        let id = objects::write(&after)?;
        index::put_all([(entry.path.as_bstr(), id.as_bstr(), entry.executable)])?;
        if entry.skip_worktree {
            index::leave_out([entry.path.as_bstr()])?;
        }
    }
    Ok(changed)
}

/// What the worktree's version becomes. `None`: it stays, or there is none.
fn beneath(context: &Context, handover: &Handover, entry: &Entry) -> Result<Option<Vec<u8>>, CliError> {
    let path = RepoPath::new(entry.path.clone())?;
    if entry.skip_worktree || context.worktree.find(&path)?.is_none_or(|place| !matches!(place.open(), Ok(Some(_)))) {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    let file = worktree::open(&context.worktree, &path)?;
    std::io::Read::read_to_end(&mut std::io::Read::take(file, MAX_COMMITTED), &mut bytes)
        .context("read", &path.to_path())?;
    Ok(handover.edited(&entry.path, &bytes))
}

fn write(context: &Context, entry: &Entry, bytes: &[u8]) -> Result<(), CliError> {
    let path = RepoPath::new(entry.path.clone())?;
    let place = context.worktree.place(&path)?;
    let mut staged = place.stage(&context.cache().tmp(), entry.executable)?;
    // Else a filesystem may put the name on the disk before the bytes.
    staged.file().write_all(bytes).and_then(|()| staged.file().sync_all()).context("write", &path.to_path())?;
    Ok(staged.replace(&place)?)
}
