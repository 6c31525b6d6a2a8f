//! Which files are to have which content: by their names, or all of them.
//!
//! Apart from `download` because nothing is fetched here: the index and the manifest are asked.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use bstr::{BStr, BString, ByteSlice};

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::manifest_file;
use crate::cli::set_up::lfs_driver;
use crate::config::GitConfig;
use crate::git::index::{self, Filtered};
use crate::git::objects::{self, BlobKind};
use crate::manifest::Manifest;
use crate::oid::Oid;
use crate::pointer::Form;
use crate::repo_path::{Printable, RepoPath};
use crate::transfer::Item;
use crate::worktree::Target;

/// Whether the index has a pointer there, although it is not tracked.
fn is_bare(path: &RepoPath) -> Result<bool, CliError> {
    let entries = index::entries(&[path.as_bstr().to_owned()])?;
    let kinds =
        objects::kinds(entries.iter().filter(|entry| entry.path == path.as_bstr()).map(|entry| entry.id.as_bstr()))?;
    Ok(kinds.values().any(|kind| kind.pointer().is_some()))
}

/// Whether the index has it, without a conflict, with its content.
fn is_gits(path: &RepoPath) -> Result<bool, CliError> {
    let entries = index::entries(&[path.as_bstr().to_owned()])?;
    let Some(entry) = entries.iter().find(|entry| entry.path == path.as_bstr() && entry.stage == 0) else {
        return Ok(false);
    };
    let kinds = objects::kinds([entry.id.as_bstr()])?;
    Ok(kinds.get(&entry.id) == Some(&BlobKind::Raw))
}

/// What is asked first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum By {
    /// The index's pointer, else the manifest's hash.
    Pointer,
    /// The manifest's hash alone.
    Manifest,
}

/// The content that a named file is to have.
pub fn target(context: &Context, path: RepoPath, manifest: Option<&Manifest>, by: By) -> Result<Target, CliError> {
    let by_name = path.to_str().and_then(|text| manifest?.files.get(text)).copied();
    if by == By::Manifest {
        if path.stays_in_git() {
            return Err(CliError::user(format!("{path}: {STAYS_IN_GIT}")));
        }
        let oid = by_name.ok_or_else(|| CliError::user(format!("{path} is not in the manifest")))?;
        let in_index = index::entries(&[path.as_bstr().to_owned()])?;
        let executable = in_index.iter().any(|entry| entry.path == path.as_bstr() && entry.executable);
        return Ok(Target { item: oid.into(), path, executable, tracked: false });
    }
    let mut known = index::filtered(&[path.as_bstr().to_owned()])?;
    if known.is_empty() && lfs_driver::answers(&GitConfig::load()?) {
        known = index::filtered_by_lfs()?.into_iter().filter(|file| file.entry.path == path.as_bstr()).collect();
    }
    let exact: Vec<_> = known.iter().filter(|file| file.entry.path == path.as_bstr()).collect();
    if let Some(file) = exact.iter().find(|file| file.entry.stage == 0 || file.entry.stage == 2)
        && let Some(pointer) = file.pointer()
    {
        // A conflict stays one: only a merged path is told to Git.
        let tracked = file.entry.stage == 0;
        return Ok(Target { path, item: pointer.into(), executable: file.entry.executable, tracked });
    }
    if known.is_empty() && is_bare(&path)? {
        let (name, here) = (path.to_string(), context.argument(path.as_bstr()));
        return Err(CliError::user(format!(
            "{name} is a pointer in Git, and no pattern turns it into content any more: it is not tracked"
        ))
        .hint(format!("track it first ('s3lfs track <pattern>'), then: s3lfs download {here}")));
    }
    if by_name.is_some() && !path.stays_in_git() && is_gits(&path)? {
        let here = context.argument(path.as_bstr());
        return Err(CliError::user(format!(
            "{path} has its content in Git itself, whatever the manifest lists it with"
        ))
        .hint(format!("what Git has: git checkout -- {here}"))
        .hint(format!("what the manifest names, all the same: s3lfs download --from-manifest {here}")));
    }
    if let Some(oid) = by_name {
        if path.stays_in_git() {
            return Err(CliError::user(format!("{path}: {STAYS_IN_GIT}")));
        }
        return Ok(Target { item: oid.into(), path, executable: false, tracked: false });
    }
    if known.iter().any(|file| file.pointer().is_some()) || crate::git::path_from_bytes(path.as_bstr()).is_dir() {
        return Err(CliError::user(format!("{path} is a directory, where a file is wanted")));
    }
    Err(CliError::user(format!("{path} is not tracked by s3lfs: neither a pointer in the index nor in the manifest")))
}

/// A file that failed (raw pathname), and why.
pub type Failed = (BString, String);

/// Such a failure in words.
pub fn in_words((path, why): &Failed) -> String {
    let path = Printable(path).to_string();
    if why.contains(&path) { why.clone() } else { format!("{path}: {why}") }
}

/// So many paths are handed to Git on its command line; of more, the whole index is listed.
const FEW: usize = 500;

/// What the index has of these paths, within Git's own sparse checkout.
pub fn tracked_targets(wanted: &BTreeSet<BString>) -> Result<Vec<Target>, CliError> {
    let paths: Vec<BString> = if wanted.len() > FEW { Vec::new() } else { wanted.iter().cloned().collect() };
    let mut files = index::filtered(&paths)?;
    if lfs_driver::answers(&GitConfig::load()?) {
        files.extend(index::filtered_by_lfs()?.into_iter().filter(|file| wanted.contains(&file.entry.path)));
    }
    Ok(files.into_iter().filter_map(|file| tracked_target(file).ok().flatten()).collect())
}

/// `None`: nothing of it is to be in the worktree.
fn tracked_target(file: Filtered) -> Result<Option<Target>, Failed> {
    let pointer = file.pointer().filter(|_| file.entry.stage == 0 && !file.entry.skip_worktree);
    let Some(pointer) = pointer else { return Ok(None) };
    match RepoPath::new(file.entry.path.clone()) {
        Ok(path) => Ok(Some(Target { path, item: pointer.into(), executable: file.entry.executable, tracked: true })),
        Err(e) => Err((file.entry.path, e.to_string())),
    }
}

/// Everything that the index and the manifest name, within Git's own sparse checkout.
pub fn all_targets(manifest: Option<&Manifest>) -> Result<(Vec<Target>, Vec<Failed>), CliError> {
    let mut targets = Vec::new();
    let mut failed = Vec::new();
    let mut in_index = BTreeSet::new();
    for file in lfs_driver::filtered(&GitConfig::load()?)? {
        in_index.insert(file.entry.path.clone());
        match tracked_target(file) {
            Ok(target) => targets.extend(target),
            Err(e) => failed.push(e),
        }
    }
    // Without the key, the Python tool's manifest: what Git does not have is manifest-only.
    let only = |path: &str, m: &Manifest| m.manifest_only.is_none() || m.is_manifest_only(path);
    let manifest_only: BTreeMap<&str, Oid> = manifest
        .into_iter()
        .flat_map(|m| m.files.iter().filter(|(path, _)| only(path, m)))
        .map(|(path, oid)| (path.as_str(), *oid))
        .filter(|(path, _)| !in_index.contains(path.as_bytes().as_bstr()))
        .collect();
    let paths: BTreeSet<BString> = manifest_only.keys().map(|&path| BString::from(path)).collect();
    let wanted = index::in_sparse_checkout(paths.iter().map(|path| path.as_bstr()))?;
    let raw = in_index_of(&paths)?;
    for (path, oid) in manifest_only {
        let name = path.as_bytes().as_bstr();
        // What Git has raw is Git's, whatever the manifest says.
        if !wanted.contains(name) || raw.contains(name) {
            continue;
        }
        let path = RepoPath::new(path)?;
        if path.stays_in_git() {
            failed.push((name.to_owned(), STAYS_IN_GIT.to_owned()));
            continue;
        }
        targets.push(Target { path, item: oid.into(), executable: false, tracked: false });
    }
    Ok((targets, failed))
}

/// Those of `paths` that the index has in any form.
fn in_index_of(paths: &BTreeSet<BString>) -> Result<BTreeSet<BString>, CliError> {
    if paths.is_empty() {
        return Ok(BTreeSet::new());
    }
    let asked: Vec<BString> = if paths.len() > FEW { Vec::new() } else { paths.iter().cloned().collect() };
    let entries = index::entries(&asked)?.into_iter().map(|entry| entry.path);
    Ok(entries.filter(|path| paths.contains(path)).collect())
}

/// Why a manifest does not decide what such a file holds.
const STAYS_IN_GIT: &str = "the manifest lists it, but it has to stay in Git itself: it is not written";

/// How it was said which files are to be written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Asked {
    /// One by one: also what Git's own sparse checkout leaves out.
    ByName,
    /// All that Git has in the worktree, or a part of that.
    Together,
}

/// What the index and the manifest name at this moment.
pub struct Wanted {
    /// By path, as often as there are stages.
    index: HashMap<BString, Vec<Item>>,
    manifest: Option<Manifest>,
}

impl Wanted {
    /// As far as it is about these targets.
    pub fn now<'a>(targets: impl Iterator<Item = &'a Target> + Clone, asked: Asked) -> Result<Self, CliError> {
        let paths: HashSet<&BStr> = targets.clone().map(|target| target.path.as_bstr()).collect();
        let entries = index::all_filtered()?;
        let theirs = if lfs_driver::answers(&GitConfig::load()?) { index::all_filtered_by_lfs()? } else { Vec::new() };
        // 'git sparse-checkout' takes files away under the same lock.
        let is_there = |entry: &index::Entry| asked == Asked::ByName || !entry.skip_worktree;
        let mut index: HashMap<BString, Vec<Item>> = HashMap::new();
        for (form, mut entries) in [(Form::Ours, entries), (Form::Lfs, theirs)] {
            entries.retain(|entry| {
                paths.contains(entry.path.as_bstr()) && matches!(entry.stage, 0 | 2) && is_there(entry)
            });
            let ids: Vec<&BStr> = entries.iter().map(|entry| entry.id.as_bstr()).collect();
            let kinds = match form {
                Form::Ours => objects::kinds_of(&ids)?,
                Form::Lfs => objects::kinds_for_lfs(&ids)?,
            };
            for (entry, kind) in entries.into_iter().zip(kinds) {
                index.entry(entry.path).or_default().extend(kind.pointer().map(Item::from));
            }
        }
        // Git writes the manifest of another commit while it holds the lock of the index, as it does all files.
        let of_manifest = targets.clone().any(|target| !target.tracked);
        let manifest = if of_manifest { manifest_file::for_reading(None)? } else { None };
        Ok(Wanted { index, manifest })
    }

    /// Whether the file is still to have that content.
    pub fn has(&self, target: &Target) -> bool {
        let items = self.index.get(target.path.as_bstr());
        if items.is_some_and(|items| items.iter().any(|item| item.oid == target.item.oid)) {
            return true;
        }
        // Also where Git has a pointer: the user may have asked for what the manifest names.
        let recorded = || self.manifest.as_ref()?.files.get(target.path.to_str()?);
        !target.tracked && recorded() == Some(&target.item.oid)
    }
}
