//! `remove` and `remove-subtree`: stop tracking, keep the file on disk.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::cli::Global;
use crate::cli::cleanup::purge::{Purge, PurgeArgs};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::fetch::download::{Failed, in_words};
use crate::cli::manifest_file;
use crate::cli::tracking::removal::{Candidate, Removed, Scope, candidates, prepare, removed_since_head};
use crate::cli::ui;
use crate::git::{index, path_from_bytes};
use crate::manifest::Manifest;
use crate::oid::Oid;
use crate::repo_path::RepoPath;

/// Arguments of `remove`.
#[derive(Args, Debug)]
pub struct Remove {
    /// Files, relative to the current directory
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    purge: PurgeArgs,
}

/// Arguments of `remove-subtree`.
#[derive(Args, Debug)]
pub struct RemoveSubtree {
    /// A directory, relative to the current one
    dir: PathBuf,
    #[command(flatten)]
    purge: PurgeArgs,
}

/// How many files are named before the rest is counted.
const NAMES: usize = 20;

/// Stop tracking single files.
pub fn run(global: &Global, args: Remove) -> Result<(), CliError> {
    let context = Context::open()?;
    manifest_file::refuse_pythons()?;
    let manifest = manifest_file::for_reading(None)?;
    let (mut scopes, mut found, mut failed) = (Vec::new(), Vec::new(), Vec::new());
    for file in &args.files {
        match context.repo_path(file).and_then(|path| one(path, manifest.as_ref(), &args.purge)) {
            Ok((scope, candidate)) => {
                scopes.push(scope);
                found.extend(candidate);
            }
            Err(e) if args.files.len() == 1 && !global.json => return Err(e),
            Err(e) => {
                let hints = e.hints.iter().map(|hint| format!(" ({hint})")).collect::<String>();
                failed.push((file.as_os_str().as_encoded_bytes().into(), e.message + &hints));
            }
        }
    }
    // The same file named twice is one file.
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found.dedup_by(|a, b| a.path == b.path);
    let leave = leave_to_purge(&context, global, &args.purge, manifest.as_ref(), &found)?;
    let removed = remove(&context, global, leave, &scopes, found)?;
    failed.extend(removed.failed.iter().cloned());
    tell(global, "remove", &context, &removed, &failed)?;
    finish(args.files.len() == 1, failed)
}

/// Stop tracking everything beneath a directory.
pub fn run_subtree(global: &Global, args: RemoveSubtree) -> Result<(), CliError> {
    let context = Context::open()?;
    manifest_file::refuse_pythons()?;
    let manifest = manifest_file::for_reading(None)?;
    let dir = context.repo_dir(&args.dir)?;
    let is_file = !candidates(&Scope::File(dir.clone()), manifest.as_ref())?.is_empty()
        || std::fs::symlink_metadata(dir.to_path()).is_ok_and(|m| !m.is_dir());
    if is_file {
        return Err(CliError::user(format!("{dir} is a file, where a directory is wanted"))
            .hint(format!("to remove one file: s3lfs remove {dir}")));
    }
    let scope = Scope::Beneath(dir.clone());
    let found = within(&scope, manifest.as_ref(), &args.purge)?;
    if found.is_empty() {
        return Err(
            CliError::user(format!("no tracked file lies beneath {dir}")).hint("'s3lfs ls' lists the tracked files")
        );
    }
    let leave = leave_to_purge(&context, global, &args.purge, manifest.as_ref(), &found)?;
    let removed = remove(&context, global, leave, &[scope], found)?;
    tell(global, "remove-subtree", &context, &removed, &removed.failed)?;
    finish(false, removed.failed)
}

/// Where purging was asked for: everything is checked before anything is changed.
fn leave_to_purge(
    context: &Context,
    global: &Global,
    args: &PurgeArgs,
    manifest: Option<&Manifest>,
    found: &[Candidate],
) -> Result<Option<Purge>, CliError> {
    if !args.purge_from_s3 {
        return Ok(None);
    }
    let content = |file: &Candidate| Some((file.path.as_bstr().to_owned(), file.item?.oid));
    Purge::check(context, global, args, manifest, &found.iter().filter_map(content).collect()).map(Some)
}

/// Take `found` out. What is purged goes from the store first: a file of which the object is still there
/// stays tracked, so that the same command finds it again; and one that is tracked while its object is gone
/// is here, and is uploaded again if it is committed after all.
fn remove(
    context: &Context,
    global: &Global,
    leave: Option<Purge>,
    scopes: &[Scope],
    found: Vec<Candidate>,
) -> Result<Removed, CliError> {
    let mut ready = prepare(context, global, found)?;
    if let Some(leave) = leave {
        let kept: BTreeSet<Oid> = ready.kept.iter().filter_map(|file| Some(file.item?.oid)).collect();
        let gone = ready.files.iter().filter_map(|file| Some(file.item?.oid)).filter(|oid| !kept.contains(oid));
        let failed = leave.delete(context, &gone.collect())?;
        ready.keep(|file| failed.get(&file.item?.oid).cloned());
    }
    ready.take_out(context, scopes)
}

/// What is to be removed; of a purge that was killed, what it had removed already.
fn within(scope: &Scope, manifest: Option<&Manifest>, purge: &PurgeArgs) -> Result<Vec<Candidate>, CliError> {
    let mut found = candidates(scope, manifest)?;
    if purge.purge_from_s3 && found.iter().all(|file| file.item.is_none()) {
        let known: BTreeSet<RepoPath> = found.iter().map(|file| file.path.clone()).collect();
        found.extend(removed_since_head(scope)?.into_iter().filter(|file| !known.contains(&file.path)));
    }
    Ok(found)
}

fn one(path: RepoPath, manifest: Option<&Manifest>, purge: &PurgeArgs) -> Result<(Scope, Vec<Candidate>), CliError> {
    let scope = Scope::File(path.clone());
    let found = within(&scope, manifest, purge)?;
    if !found.is_empty() {
        return Ok((scope, found));
    }
    let beneath = |entry: &index::Entry| entry.path != path.as_bstr();
    let known = index::entries(&[path.as_bstr().to_owned()])?;
    if path_from_bytes(path.as_bstr()).is_dir() || known.iter().any(beneath) {
        return Err(CliError::user(format!("{path} is a directory, where a file is wanted"))
            .hint(format!("to remove all files in it: s3lfs remove-subtree {path}")));
    }
    Err(CliError::user(format!("{path} is not tracked by s3lfs: neither a pointer in the index nor in the manifest")))
}

fn tell(
    global: &Global,
    command: &str,
    context: &Context,
    removed: &Removed,
    failed: &[Failed],
) -> Result<(), CliError> {
    let Removed { files, still_covered, .. } = removed;
    if global.json {
        let item = |file: &Candidate| {
            let oid = file.item.map(|item| item.oid.hex());
            let covered = still_covered.contains(file.path.as_bstr());
            ui::with_path(file.path.as_bstr(), json!({ "oid": oid, "still_covered": covered }))
        };
        let errors = failed.iter().map(|(path, why)| ui::with_path(path, json!({ "error": why })));
        ui::answer_json(command, files.iter().map(item), errors)?;
    } else {
        for file in files.iter().take(NAMES) {
            let there = context.worktree.resolve(&file.path).is_ok_and(|path| path.symlink_metadata().is_ok());
            let kept = if there { "stays on disk" } else { "is not on disk either" };
            ui::say(format!("No longer tracking {}, which {kept}", file.path));
        }
        if files.len() > NAMES {
            ui::say(format!("  and {} more", files.len() - NAMES));
        }
    }
    if let Some(first) = files.iter().find(|file| still_covered.contains(file.path.as_bstr())) {
        let count = match still_covered.len() {
            1 => first.path.to_string(),
            n => format!("{n} of these files ({} ...)", first.path),
        };
        ui::say(format!(
            "A wider pattern of an attributes file still covers {count}: 'git add' would track {} again.",
            if still_covered.len() == 1 { "it" } else { "them" }
        ));
        ui::say(
            "'s3lfs track' lists the patterns; to keep a file out, ignore it (.gitignore), or take the filter from it: a line '<path> -filter' below the pattern.",
        );
    }
    Ok(())
}

fn finish(single: bool, failed: Vec<Failed>) -> Result<(), CliError> {
    match failed.as_slice() {
        [] => Ok(()),
        [only] if single => Err(CliError::user(in_words(only))),
        _ => {
            failed.iter().for_each(|one| ui::warn(in_words(one)));
            Err(CliError::partial(format!("{} failed", ui::count(failed.len(), "file"))))
        }
    }
}
