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
use crate::error::chain;
use crate::git::index;
use crate::manifest::Manifest;
use crate::oid::Oid;
use crate::repo_path::{Printable, RepoPath};
use crate::transfer::{Item, Patience};
use crate::vouched::{Notes, Vouched};
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
    // From now on it may go by itself: its user has sent it.
    let note = |file: &&Stored| Some((file.path.to_str()?.to_owned(), Some(file.pointer?.oid)));
    Vouched::new(context.repo.git_dir()).add(files.iter().filter_map(note).collect())?;
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

/// The manifest-only paths that the index has not. The Python tool's manifest does not list them: they are all of
/// these.
fn manifest_only(manifest: &Manifest) -> Result<Vec<String>, CliError> {
    if manifest.manifest_only.as_ref().is_some_and(BTreeSet::is_empty) {
        return Ok(Vec::new());
    }
    let taken: HashSet<BString> = index::entries(&[])?.into_iter().map(|entry| entry.path).collect();
    let beside = manifest.beside_git().map(|(path, _)| path);
    let stays = |path: &str| RepoPath::new(path).is_ok_and(|path| path.stays_in_git());
    Ok(beside.filter(|path| !taken.contains(path.as_bytes().as_bstr()) && !stays(path)).cloned().collect())
}

/// What came of [`refresh_manifest_only`]: the paths that were left alone.
#[derive(Debug, Default)]
pub struct Refreshed {
    /// Their files are only out of date.
    pub out_of_date: BTreeSet<String>,
    /// A commit lists them, and nobody here shared or fetched them.
    pub private: BTreeSet<String>,
    /// They were changed here, and the manifest was changed by somebody else.
    pub changed_twice: BTreeSet<String>,
}

impl Refreshed {
    /// Each path with the reason.
    pub fn left(&self) -> impl Iterator<Item = (&String, &'static str)> {
        let out_of_date = self.out_of_date.iter().map(|path| (path, out_of_date::WHY));
        let private = self.private.iter().map(|path| (path, PRIVATE));
        out_of_date.chain(private).chain(self.changed_twice.iter().map(|path| (path, CHANGED_TWICE)))
    }

    /// The end of the command, if any was left alone.
    pub fn end(&self, context: &Context) -> Result<(), CliError> {
        self.left().for_each(|(path, why)| ui::warn(format!("{}: {why}", Printable(path.as_bytes()))));
        let count = self.out_of_date.len() + self.private.len() + self.changed_twice.len();
        if count == 0 {
            return Ok(());
        }
        let were = if count == 1 { "was" } else { "were" };
        let what = if self.out_of_date.len() == count { " out of date here" } else { "" };
        let mut error = CliError::partial(format!("{}{what} {were} not recorded", ui::count(count, "file")));
        let argument = |paths: &BTreeSet<String>| match paths.first() {
            Some(only) if paths.len() == 1 => context.argument(only.as_bytes().as_bstr()),
            _ => "<file>".to_owned(),
        };
        if !self.out_of_date.is_empty() {
            error = out_of_date::hints(&argument(&self.out_of_date)).into_iter().fold(error, CliError::hint);
        }
        if !self.changed_twice.is_empty() {
            let file = argument(&self.changed_twice);
            error = error
                .hint(format!("to record yours over the other: s3lfs upload {file}"))
                .hint(format!("to take the other, when yours is saved elsewhere: s3lfs download --force {file}"));
        }
        if !self.private.is_empty() {
            let file = argument(&self.private);
            error = error
                .hint(format!("if it is to be shared: s3lfs upload {file}"))
                .hint(format!("if it is private, and should not be listed at all: s3lfs remove {file}"));
        }
        Err(error)
    }
}

/// What is said of a file that a commit lists, and that was here before.
pub const PRIVATE: &str = "the manifest lists it, but it was neither shared nor fetched here: it is left alone";

/// What is said of a file that two people changed.
pub const CHANGED_TWICE: &str =
    "it was changed here, and the manifest records another version since: neither is taken for the newer one";

/// Whether the manifest, which records `recorded` by now, was changed by somebody else since `base` was recorded or fetched
/// here.
pub fn is_changed_there(base: Option<&Option<Oid>>, recorded: &Oid) -> bool {
    base.is_some_and(|base| base.is_some_and(|base| base != *recorded))
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
/// their entry: they are not here, not removed. So do those that are only out of date, and those that a commit lists
/// and nobody here shared or fetched: they may be private.
pub fn refresh_manifest_only(context: &Context, global: &Global, manifest: &Manifest) -> Result<Refreshed, CliError> {
    let (mut differing, mut same) = (BTreeMap::new(), Vec::new());
    for path in manifest_only(manifest)? {
        let Some(oid) = manifest.files.get(&path) else { continue };
        let target =
            Target { path: RepoPath::new(path.as_str())?, item: (*oid).into(), executable: false, tracked: false };
        match state_of(&context.worktree, &target, true)? {
            FileState::Changed => {}
            FileState::Present => {
                same.push((path, Some(*oid)));
                continue;
            }
            FileState::Missing | FileState::PointerOnly => continue,
        }
        if let Some(present) = present_oid(&context.worktree, &target.path)?.filter(|oid| *oid != Oid::of(b"")) {
            differing.insert(path, present);
        }
    }
    let out_of_date = out_of_date::out_of_date(differing.clone(), Depth::Whole)?;
    let older = out_of_date.iter().map(|path| (path.clone(), differing.get(path).copied()));
    let vouched = vouched(context, same.iter().cloned().chain(older))?;
    // They follow the manifest again.
    let anew: Notes =
        same.into_iter().filter(|(path, oid)| vouched.get(path).is_some_and(|noted| noted != oid)).collect();
    if !anew.is_empty() {
        Vouched::new(context.repo.git_dir()).add(anew)?;
    }
    differing.retain(|path, _| !out_of_date.contains(path));
    let is_changed_twice = |path: &String, here: &Oid| {
        let base = vouched.get(path);
        // What was recorded here, in a commit that was given up since, is recorded again.
        base != Some(&Some(*here)) && manifest.files.get(path).is_some_and(|oid| is_changed_there(base, oid))
    };
    let (changed_twice, differing): (BTreeMap<String, Oid>, BTreeMap<String, Oid>) =
        differing.into_iter().partition(|(path, here)| is_changed_twice(path, here));
    let changed_twice = changed_twice.into_keys().collect();
    let (changed, private): (Vec<String>, Vec<String>) =
        differing.into_keys().partition(|path| vouched.contains_key(path));
    let changed: Vec<Stored> = changed
        .into_iter()
        .map(|path| store_as(context, RepoPath::new(path)?, true))
        .collect::<Result<_, CliError>>()?;
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
    Ok(Refreshed { out_of_date, private: private.into_iter().collect(), changed_twice })
}

/// The paths that this worktree's user vouches for. Where nothing was ever noted, those are `known`: files with content
/// that a manifest records for them.
pub fn vouched(context: &Context, known: impl Iterator<Item = (String, Option<Oid>)>) -> Result<Notes, CliError> {
    let list = Vouched::new(context.repo.git_dir());
    if let Some(noted) = list.list()? {
        return Ok(noted);
    }
    let known: Notes = known.collect();
    // Where nothing can be written, the next command finds out anew.
    if let Err(e) = list.add(known.clone()) {
        tracing::info!("what may be shared was not noted: {}", chain(&e));
    }
    Ok(known)
}
