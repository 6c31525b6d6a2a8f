//! What the next commit is about to take: the index, and the manifest in it.
//!
//! Apart from `track-modified`, which brings the two into agreement: here they are only read.

use std::borrow::Cow;
use std::collections::BTreeSet;

use bstr::{BString, ByteSlice};

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::manifest_file::{self, Staged};
use crate::cli::threads::joined;
use crate::cli::tracking::staging::IndexStamp;
use crate::cli::ui;
use crate::git::GitError;
use crate::git::index::{self, Filtered};
use crate::git::objects::BlobKind;
use crate::manifest::{IndexPointers, Manifest, ManifestError, PATH};
use crate::oid::Oid;
use crate::repo_path::{Printable, RepoPath};

/// The bytes that a projection starts from.
pub(super) struct Base {
    /// The index's manifest, if it has one.
    pub(super) staged: Option<Vec<u8>>,
    /// Whether it would be written just so.
    pub(super) is_canonical: bool,
}

/// The index's manifest.
pub(super) struct StagedManifest {
    /// What it holds.
    pub(super) staged: Staged,
    /// What that says, if it is a blob.
    parsed: Option<Result<Manifest, ManifestError>>,
    is_canonical: bool,
}

impl StagedManifest {
    fn new(staged: Staged) -> Self {
        let Staged::Blob(bytes) = &staged else {
            return StagedManifest { staged, parsed: None, is_canonical: false };
        };
        let parsed = Manifest::parse(bytes);
        let is_canonical = parsed.as_ref().is_ok_and(|manifest| manifest.is_written_as(bytes));
        StagedManifest { parsed: Some(parsed), is_canonical, staged }
    }
}

/// What a commit is about to take: the index.
pub(super) struct Index {
    /// Its tracked files.
    pub(super) files: Vec<Filtered>,
    pub(super) staged: StagedManifest,
    /// The paths at which it differs from HEAD.
    pub(super) changed: BTreeSet<BString>,
    /// What it was before it was read.
    pub(super) stamp: IndexStamp,
}

impl Index {
    /// All of it side by side: each part takes up to a tenth of a second where there are 100,000 files.
    pub(super) fn read(context: &Context) -> Result<Self, CliError> {
        let stamp = IndexStamp::now(context);
        std::thread::scope(|scope| {
            let since_head = scope.spawn(since_head);
            let files = index::filtered(&[]);
            let (staged, changed) = joined(since_head)?;
            Ok(Index { files: files?, staged, changed, stamp })
        })
    }

    /// Whether nobody wrote the index since.
    pub(super) fn is_current(&self, context: &Context) -> bool {
        self.stamp == IndexStamp::now(context)
    }

    /// The worktree's manifest, without which a command can do nothing. It is the staged one as a rule, and then not read
    /// twice.
    pub(super) fn manifest_in_worktree(&self) -> Result<Cow<'_, Manifest>, CliError> {
        manifest_file::refuse_pythons()?;
        match &self.staged {
            StagedManifest { staged: Staged::Blob(bytes), parsed: Some(Ok(manifest)), .. }
                if manifest_file::is_in_worktree(bytes)? =>
            {
                Ok(Cow::Borrowed(manifest))
            }
            _ => Ok(Cow::Owned(manifest_file::required()?)),
        }
    }
}

/// The index's manifest, and what differs from HEAD. Most commits leave the manifest to us: until then it is HEAD's.
fn since_head() -> Result<(StagedManifest, BTreeSet<BString>), GitError> {
    let head = index::head()?;
    let changed = index::changed_since(head.as_ref())?;
    let staged = match head.filter(|_| !changed.contains(PATH.as_bytes().as_bstr())) {
        Some(commit) => manifest_file::staged_as_in(&commit)?,
        None => manifest_file::staged()?,
    };
    Ok((StagedManifest::new(staged), changed))
}

/// The index's manifest is the base, never the worktree's; but where neither index nor HEAD has one,
/// the worktree's was not added yet, and a commit without it could not be checked out elsewhere.
pub(super) fn base(staged: StagedManifest, files: &[Filtered]) -> Result<Option<(Manifest, Base)>, CliError> {
    let StagedManifest { staged, parsed, is_canonical } = staged;
    match staged {
        Staged::Blob(bytes) => {
            let manifest = parsed.unwrap_or_else(|| Manifest::parse(&bytes))?;
            Ok(Some((manifest, Base { staged: Some(bytes), is_canonical })))
        }
        Staged::Unmerged => Err(manifest_file::in_conflict()),
        Staged::Absent => {
            if manifest_file::in_head()? {
                // The user is removing it.
                let pointers = files.iter().filter(|file| file.pointer().is_some()).count();
                if pointers > 0 {
                    ui::warn(format!(
                        "warning: {PATH} is being removed, but {} still a pointer in Git: without it, nobody who clones \
                         this finds the content; to keep it: git restore --staged --worktree {PATH}",
                        if pointers == 1 { "1 file is".to_owned() } else { format!("{pointers} files are each") }
                    ));
                }
                return Ok(None);
            }
            if let Some(manifest) = manifest_file::for_writing()? {
                ui::say(format!("{PATH} was not in Git yet; it is part of this commit now."));
                return Ok(Some((manifest, Base { staged: None, is_canonical: false })));
            }
            if files.iter().any(|file| file.pointer().is_some()) {
                ui::warn(format!(
                    "warning: there is no {PATH}, so nothing is uploaded; choose a store with 's3lfs init'"
                ));
            }
            Ok(None)
        }
    }
}

/// Whether the manifest is right as it is: in the index, where it stands in its canonical form, and in the worktree.
pub(super) fn is_settled(manifest: &Manifest, base: &Base, files: &[Filtered]) -> Result<bool, CliError> {
    let can_be_told = |file: &Filtered| {
        file.entry.stage == 0 && matches!(file.kind, BlobKind::Pointer(_) | BlobKind::Empty | BlobKind::Raw)
    };
    let pointers = files.iter().filter_map(|file| Some((file.entry.path.as_slice(), file.pointer()?.oid)));
    Ok(files.iter().all(can_be_told)
        && manifest.is_projection_of(pointers)
        && base.is_canonical
        && base.staged.as_ref().map_or(Ok(false), |staged| manifest_file::is_in_worktree(staged))?)
}

/// The paths of `changed` at which none of these files is, in order. A commit changes few as a rule, and an index has many.
pub(super) fn changed_beside<'a>(
    files: impl Iterator<Item = &'a Filtered>,
    changed: &BTreeSet<BString>,
) -> Vec<BString> {
    let mut others: BTreeSet<&BString> = changed.iter().collect();
    if !others.is_empty() {
        for file in files {
            others.remove(&file.entry.path);
        }
    }
    others.into_iter().cloned().collect()
}

/// What the projection goes by.
pub(super) fn index_pointers(
    manifest: &Manifest,
    files: &[Filtered],
    changed: &BTreeSet<BString>,
) -> Result<IndexPointers, GitError> {
    let mut pointers = IndexPointers::default();
    // In Git's order, which is the map's: it is made of the list in one go.
    let mut sorted: Vec<(String, Oid)> = Vec::with_capacity(files.len());
    for file in files {
        let path = &file.entry.path;
        let Some(text) = path.to_str().ok().filter(|_| RepoPath::check(path).is_ok()) else {
            if file.pointer().is_some() && changed.contains(path) {
                ui::warn_once(format!(
                    "warning: {} can't stand in {PATH}: its name is not UTF-8; Git's pointer alone names it",
                    Printable(path)
                ));
            }
            continue;
        };
        match (file.entry.stage, file.kind) {
            (0, BlobKind::Pointer(pointer)) => sorted.push((text.to_owned(), pointer.oid)),
            (0, BlobKind::Raw | BlobKind::Empty) => {}
            (_, _) => drop(pointers.keep.insert(text.to_owned())),
        }
    }
    pointers.pointers = sorted.into_iter().collect();
    let utf8 = |path: &BString| path.to_str().ok().map(str::to_owned);
    pointers.deleted = changed.iter().filter_map(utf8).filter(|path| !pointers.pointers.contains_key(path)).collect();
    if manifest.manifest_only.is_none() {
        let entries = index::entries(&[])?;
        pointers.known =
            entries.iter().map(|entry| &entry.path).chain(&index::head_paths()?).filter_map(utf8).collect();
    }
    Ok(pointers)
}
