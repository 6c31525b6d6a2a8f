//! Manifest-only files: recording them, and recording them anew when they changed.
//!
//! Apart from `upload`, since Git knows nothing of these: what changed, and whether by the user, is found out here.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use bstr::{BString, ByteSlice};

use crate::cli::Global;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::manifest_file;
use crate::cli::out_of_date::{self, Depth};
use crate::cli::session::settings;
use crate::cli::tracking::staging::Staging;
use crate::cli::tracking::upload::{Failed, Stored, store_as};
use crate::cli::tracking::uploads::{Believe, How, upload_all};
use crate::cli::ui;
use crate::config::GitConfig;
use crate::git::index;
use crate::manifest::Manifest;
use crate::oid::Oid;
use crate::repo_path::{Printable, RepoPath};
use crate::transfer::{Item, Patience};
use crate::worktree::{FileState, Target, present_oid, state_of};

/// Take the ignored files out of `stored` that a manifest can't name, before anything of them is sent.
pub fn leave_unnameable(stored: &mut Vec<Stored>) -> Vec<Failed> {
    let why = |file: &Stored| match (file.path.to_str(), file.pointer) {
        _ if !file.ignored => None,
        (None, _) => Some(format!("{} can't stand in the manifest: its name is not UTF-8", file.path)),
        (Some(path), None) => Some(format!("{path} is empty: there is nothing to store")),
        _ => None,
    };
    let left = stored.extract_if(.., |file| why(file).is_some());
    left.filter_map(|file| Some((file.path.as_bstr().to_owned(), CliError::user(why(&file)?)))).collect()
}

/// Ignored files become manifest-only; that change of the manifest is staged with it.
pub fn record_manifest_only(context: &Context, files: &[&Stored]) -> Result<(), CliError> {
    if files.is_empty() {
        return Ok(());
    }
    let _staging = Staging::begin(context)?;
    // Uploading takes its time, and others may have written meanwhile.
    let mut manifest = manifest_file::required()?;
    for file in files {
        let Some(path) = file.path.to_str() else {
            return Err(CliError::user(format!("{} can't stand in the manifest: its name is not UTF-8", file.path)));
        };
        let Some(pointer) = file.pointer else {
            return Err(CliError::user(format!("{path} is empty: there is nothing to store")));
        };
        manifest.files.insert(path.to_owned(), pointer.oid);
        if let Some(only) = &mut manifest.manifest_only {
            only.insert(path.to_owned());
        }
    }
    manifest_file::write(&manifest)?;
    manifest_file::add()
}

/// The manifest-only paths. The Python tool's manifest does not list them: they are those that the index
/// has not.
fn manifest_only(manifest: &Manifest) -> Result<Vec<String>, CliError> {
    if manifest.manifest_only.is_some() {
        return Ok(manifest.beside_git().map(|(path, _)| path.clone()).collect());
    }
    let taken: HashSet<BString> = index::entries(&[])?.into_iter().map(|entry| entry.path).collect();
    Ok(manifest.files.keys().filter(|path| !taken.contains(path.as_bytes().as_bstr())).cloned().collect())
}

/// What came of [`refresh_manifest_only`].
#[derive(Debug, Default)]
pub struct Refreshed {
    /// Paths that were left alone: their files are only out of date.
    pub out_of_date: BTreeSet<String>,
}

impl Refreshed {
    /// The end of the command, if any was left alone.
    pub fn end(&self, context: &Context) -> Result<(), CliError> {
        let Some(first) = self.out_of_date.first() else { return Ok(()) };
        self.out_of_date
            .iter()
            .for_each(|path| ui::warn(format!("{}: {}", Printable(path.as_bytes()), out_of_date::WHY)));
        let count = self.out_of_date.len();
        let file = if count == 1 { context.argument(first.as_bytes().as_bstr()) } else { "<file>".to_owned() };
        let were = if count == 1 { "was" } else { "were" };
        let error = CliError::partial(format!("{} out of date here {were} not recorded", ui::count(count, "file")));
        Err(out_of_date::hints(&file).into_iter().fold(error, CliError::hint))
    }
}

/// Take the ignored files that are only out of date out of `stored`: who names a directory means its files as they are,
/// but nobody looks at each.
pub fn leave_out_of_date(
    context: &Context,
    manifest: &Manifest,
    stored: &mut Vec<Stored>,
) -> Result<Vec<Failed>, CliError> {
    let differing = stored.iter().filter(|file| file.ignored).filter_map(|file| {
        let (path, present) = (file.path.to_str()?, file.pointer?.oid);
        manifest.files.get(path).is_some_and(|oid| *oid != present).then(|| (path.to_owned(), present))
    });
    let left = out_of_date::out_of_date(differing.collect(), Depth::Whole)?;
    stored.retain(|file| file.path.to_str().is_none_or(|path| !left.contains(path)));
    let error = |path: &String| {
        let hints = out_of_date::hints(&context.argument(path.as_bytes().as_bstr()));
        hints.into_iter().fold(CliError::user(out_of_date::WHY), CliError::hint)
    };
    Ok(left.iter().map(|path| (path.as_str().into(), error(path))).collect())
}

/// Store anew the manifest-only files whose content changed, and record them. Missing ones keep
/// their entry: they are not here, not removed. So do those that are only out of date.
pub fn refresh_manifest_only(context: &Context, global: &Global, manifest: &Manifest) -> Result<Refreshed, CliError> {
    let mut differing = BTreeMap::new();
    for path in manifest_only(manifest)? {
        let Some(oid) = manifest.files.get(&path) else { continue };
        let target =
            Target { path: RepoPath::new(path.as_str())?, item: (*oid).into(), executable: false, tracked: false };
        if state_of(&context.worktree, &target, true)? != FileState::Changed {
            continue;
        }
        if let Some(present) = present_oid(&context.worktree, &target.path)?.filter(|oid| *oid != Oid::of(b"")) {
            differing.insert(path, present);
        }
    }
    let out_of_date = out_of_date::out_of_date(differing.clone(), Depth::Whole)?;
    let changed = differing.into_keys().filter(|path| !out_of_date.contains(path));
    let changed: Vec<Stored> =
        changed.map(|path| store_as(context, RepoPath::new(path)?, true)).collect::<Result<_, CliError>>()?;
    if !changed.is_empty() {
        let settings = settings(global, &GitConfig::load()?, Some(manifest))?;
        let by_item = |file: &Stored| Some((Item::from(file.pointer?), file.path.as_bstr().to_owned()));
        upload_all(
            context,
            &settings,
            manifest,
            &changed.iter().filter_map(by_item).collect(),
            How { patience: Patience::Long, believe: Believe::Nothing },
        )?;
        record_manifest_only(context, &changed.iter().collect::<Vec<_>>())?;
    }
    Ok(Refreshed { out_of_date })
}
