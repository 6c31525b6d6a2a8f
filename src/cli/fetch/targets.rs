//! Which files are to have which content: by their names, or all of them.
//!
//! Apart from `download` because nothing is fetched here: the index and the manifest are asked.

use std::collections::{BTreeMap, BTreeSet};

use bstr::{BString, ByteSlice};

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::git::index::{self, Filtered};
use crate::git::objects;
use crate::manifest::Manifest;
use crate::oid::Oid;
use crate::repo_path::{Printable, RepoPath};
use crate::worktree::Target;

/// Whether the index has a pointer there, although it is not tracked.
fn is_bare(path: &RepoPath) -> Result<bool, CliError> {
    let entries = index::entries(&[path.as_bstr().to_owned()])?;
    let kinds =
        objects::kinds(entries.iter().filter(|entry| entry.path == path.as_bstr()).map(|entry| entry.id.as_bstr()))?;
    Ok(kinds.values().any(|kind| kind.pointer().is_some()))
}

/// The index's pointer, else the manifest's hash.
pub fn target(context: &Context, path: RepoPath, manifest: Option<&Manifest>) -> Result<Target, CliError> {
    let known = index::filtered(&[path.as_bstr().to_owned()])?;
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
    let by_name = path.to_str().and_then(|text| manifest?.files.get(text));
    if let Some(oid) = by_name {
        return Ok(Target { item: (*oid).into(), path, executable: false, tracked: false });
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
pub fn tracked_targets(paths: &BTreeSet<BString>) -> Result<Vec<Target>, CliError> {
    let paths: Vec<BString> = if paths.len() > FEW { Vec::new() } else { paths.iter().cloned().collect() };
    let files = index::filtered(&paths)?;
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
    for file in index::filtered(&[])? {
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
    let wanted = index::in_sparse_checkout(manifest_only.keys().map(|path| path.as_bytes().as_bstr()))?;
    for (path, oid) in manifest_only {
        if wanted.contains(path.as_bytes().as_bstr()) {
            targets.push(Target { path: RepoPath::new(path)?, item: oid.into(), executable: false, tracked: false });
        }
    }
    Ok((targets, failed))
}
