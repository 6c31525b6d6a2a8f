//! `download` and `download-all`: content into the worktree, without touching anybody's changes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use bstr::{BString, ByteSlice};
use clap::Args;
use serde_json::json;

use super::put::put;
use crate::cli::Global;
use crate::cli::context::Context;
use crate::cli::error::{CliError, one_line};
use crate::cli::manifest_file;
use crate::cli::session::Session;
use crate::cli::tracking::uploads::{self, Way};
use crate::cli::ui;
use crate::config::{ConfigError, GitConfig, Settings, policy};
use crate::deferred::Deferred;
use crate::error::chain;
use crate::git::{history, index};
use crate::manifest::Manifest;
use crate::oid::Oid;
use crate::repo_path::{Printable, RepoPath};
use crate::sparse::SparseSet;
use crate::store::legacy::{LegacyObject, Located};
use crate::transfer::{Item, Job, Moved, Patience};
use crate::worktree::{FileState, Overwrite, Target, WriteError, present_oid, state_of};

/// Arguments of `download`.
#[derive(Args, Debug)]
pub struct Download {
    /// Files, relative to the current directory
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Overwrite files that have changes of your own
    #[arg(long)]
    force: bool,
}

/// Arguments of `download-all`.
#[derive(Args, Debug, Default)]
pub struct DownloadAll {
    /// Overwrite files that have changes of your own
    #[arg(long)]
    force: bool,
}

/// Fetch the named files.
pub fn run(global: &Global, args: Download) -> Result<(), CliError> {
    let context = Context::open()?;
    let manifest = manifest_file::for_reading(None)?;
    let mut failed = Vec::new();
    let mut targets = Vec::new();
    let asked = args.files.len();
    for file in &args.files {
        match context.repo_path(file).and_then(|path| target(path, manifest.as_ref())) {
            Ok(target) => targets.push(target),
            Err(e) => failed.push((Printable(file.as_os_str().as_encoded_bytes()).to_string(), e.message)),
        }
    }
    let report = fetch(&context, global, manifest.as_ref(), targets, overwrite(args.force))?;
    finish(global, "download", report, failed, asked == 1)
}

/// Fetch everything that the index and the manifest name, within Git's own sparse checkout.
pub fn run_all(global: &Global, args: DownloadAll) -> Result<(), CliError> {
    let context = Context::open()?;
    let manifest = manifest_file::for_reading(None)?;
    let (targets, failed) = all_targets(manifest.as_ref())?;
    let report = fetch(&context, global, manifest.as_ref(), targets, overwrite(args.force))?;
    finish(global, "download-all", report, failed, false)
}

/// What `--force` means.
pub fn overwrite(force: bool) -> Overwrite {
    if force { Overwrite::Changes } else { Overwrite::PointersOnly }
}

/// The index's pointer, else the manifest's hash.
fn target(path: RepoPath, manifest: Option<&Manifest>) -> Result<Target, CliError> {
    let known = index::filtered(&[path.as_bstr().to_owned()])?;
    let exact: Vec<_> = known.iter().filter(|file| file.entry.path == path.as_bstr()).collect();
    if let Some(file) = exact.iter().find(|file| file.entry.stage == 0 || file.entry.stage == 2)
        && let Some(pointer) = file.pointer()
    {
        // A conflict stays one: only a merged path is told to Git.
        let tracked = file.entry.stage == 0;
        return Ok(Target { path, item: pointer.into(), executable: file.entry.executable, tracked });
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

/// A file that failed, and why.
pub type Failed = (String, String);

/// Everything that the index and the manifest name, within Git's own sparse checkout.
pub fn all_targets(manifest: Option<&Manifest>) -> Result<(Vec<Target>, Vec<Failed>), CliError> {
    let mut targets = Vec::new();
    let mut failed = Vec::new();
    let mut in_index = BTreeSet::new();
    for file in index::filtered(&[])? {
        in_index.insert(file.entry.path.clone());
        let Some(pointer) = file.pointer().filter(|_| file.entry.stage == 0 && !file.entry.skip_worktree) else {
            continue;
        };
        match RepoPath::new(file.entry.path) {
            Ok(path) => {
                targets.push(Target { path, item: pointer.into(), executable: file.entry.executable, tracked: true })
            }
            Err(e) => failed.push((String::new(), e.to_string())),
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

/// What came of a fetch.
#[derive(Debug, Default)]
pub struct Fetched {
    /// Files that have their content now.
    pub written: Vec<(RepoPath, Oid)>,
    /// How many had it before.
    pub already: usize,
    /// Files that were not written.
    pub failed: Vec<Failed>,
}

impl Fetched {
    /// Content can't be had: its files fail.
    fn fail(&mut self, waiting: &mut Waiting, item: &Item, why: &str) {
        for (target, _) in waiting.remove(item).unwrap_or_default() {
            self.failed.push((target.path.to_string(), why.to_owned()));
        }
    }
}

/// Content, and the files that wait for it.
pub(super) type Waiting = BTreeMap<Item, Vec<(Target, Overwrite)>>;

/// Whether telling Git of the file would not also stage another mode.
fn has_its_mode(context: &Context, target: &Target) -> bool {
    use std::os::unix::fs::PermissionsExt;
    let metadata = context.worktree.resolve(&target.path).ok().and_then(|path| path.symlink_metadata().ok());
    metadata.is_some_and(|m| (m.permissions().mode() & 0o100 != 0) == target.executable)
}

/// Bring content into the cache where it lacks there, and into the worktree.
pub fn fetch(
    context: &Context,
    global: &Global,
    manifest: Option<&Manifest>,
    targets: Vec<Target>,
    overwrite: Overwrite,
) -> Result<Fetched, CliError> {
    let mut report = Fetched::default();
    let mut waiting = Waiting::new();
    let mut stale = Vec::new();
    let mut untold: Vec<RepoPath> = Vec::new();
    let changed: BTreeSet<BString> = index::changed_in_worktree(&[])?.into_iter().collect();
    for target in targets {
        match state_of(&context.worktree, &target, changed.contains(target.path.as_bstr())) {
            Err(e) => report.failed.push((target.path.to_string(), chain(&e))),
            Ok(FileState::Present) => {
                report.already += 1;
                // A command that was killed after it had written the file did not tell Git.
                if target.tracked && changed.contains(target.path.as_bstr()) && has_its_mode(context, &target) {
                    untold.push(target.path);
                }
            }
            Ok(FileState::Changed) if overwrite == Overwrite::PointersOnly => stale.push(target),
            Ok(_) => waiting.entry(target.item).or_default().push((target, overwrite)),
        }
    }
    index::refresh(untold.iter().map(RepoPath::as_bstr))?;
    let missing = |waiting: &Waiting| -> Vec<Item> {
        let cache = context.cache();
        let needed = |item: &Item| item.oid != Oid::of(b"") && cache.find(&item.oid, item.size).is_none();
        waiting.keys().copied().filter(needed).collect()
    };
    let open = || open_store(context, global, manifest);
    if stale.iter().any(|target| !target.tracked) || !missing(&waiting).is_empty() {
        match open()? {
            Ok(mut session) => {
                stale = replaceable(context, &mut session, stale, &mut waiting)?;
                download(&mut session, missing(&waiting), &mut waiting, &mut report)?;
            }
            // What is cached needs no store: only the rest fails.
            Err(e) => {
                if missing(&waiting).len() == waiting.len() && stale.is_empty() {
                    return Err(e);
                }
                let why = [vec![e.message], e.hints].concat().join("; ");
                missing(&waiting).iter().for_each(|item| report.fail(&mut waiting, item, &why));
            }
        }
    }
    for target in stale {
        let why = "it has local changes and is kept (--force overwrites it)";
        report.failed.push((target.path.to_string(), why.to_owned()));
    }
    let mut damaged = put(context, waiting, &mut report)?;
    if !damaged.is_empty() {
        // They have been set aside, and the store may have what is right.
        match open()? {
            Ok(mut session) => download(&mut session, missing(&damaged), &mut damaged, &mut report)?,
            Err(e) => missing(&damaged).iter().for_each(|item| report.fail(&mut damaged, item, &e.message)),
        }
        let mut left = put(context, damaged, &mut report)?;
        let items: Vec<Item> = left.keys().copied().collect();
        items.iter().for_each(|item| report.fail(&mut left, item, &chain(&WriteError::Damaged)));
    }
    Ok(report)
}

/// The store, for reading. The inner error keeps what is not in the cache from being fetched; the outer one
/// says that nothing can be right here.
fn open_store(
    context: &Context,
    global: &Global,
    manifest: Option<&Manifest>,
) -> Result<Result<Session, CliError>, CliError> {
    let resolved = Settings::resolve(&global.overrides(), &GitConfig::load()?, manifest);
    if let Err(e @ ConfigError::PythonPrefix(_)) = resolved {
        return Err(e.into());
    }
    let open = |settings: Settings| Session::open_for_reading(context, &settings, Patience::Long);
    Ok(resolved.map_err(CliError::from).and_then(open))
}

/// A manifest-only file that differs is not the user's change if its content is in the store, and a
/// commit's manifest named it: then a colleague's newer one may take its place. What is left is kept: what
/// no commit names would be found by nobody again.
fn replaceable(
    context: &Context,
    session: &mut Session,
    stale: Vec<Target>,
    waiting: &mut Waiting,
) -> Result<Vec<Target>, CliError> {
    let mut kept = Vec::new();
    for target in stale {
        let present = if target.tracked { None } else { present_oid(&context.worktree, &target.path)? };
        let store = session.transfer.store().clone();
        match present {
            // Unless the store says that it has it, it is kept: a record may be days old.
            Some(oid) if was_committed(&oid) && session.transfer.ask(|| store.locate(&oid)).is_ok_and(is_whole) => {
                waiting.entry(target.item).or_default().push((target, Overwrite::Stored(oid)));
            }
            _ => kept.push(target),
        }
    }
    Ok(kept)
}

/// Whether a manifest in a commit of a ref named it. What can't be told was not.
fn was_committed(oid: &Oid) -> bool {
    history::manifests_mention(&oid.hex()).unwrap_or_else(|e| {
        ui::warn(format!("warning: {}", chain(&e)));
        false
    })
}

/// Whether all of an object is there. Of the Python tool's chunks nobody knows how many there were.
fn is_whole(located: Option<Located>) -> bool {
    match located {
        Some(Located::Ours(_)) => true,
        Some(Located::Legacy(objects)) => objects.iter().any(LegacyObject::is_surely_whole),
        None => false,
    }
}

/// Bring content into the cache; what fails takes its files with it.
fn download(
    session: &mut Session,
    items: Vec<Item>,
    waiting: &mut Waiting,
    report: &mut Fetched,
) -> Result<(), CliError> {
    let outcome = session.transfer.run(items.into_iter().map(Job::Download));
    let done: Vec<(Oid, Moved)> = outcome.done.iter().map(|(item, moved)| (item.oid, *moved)).collect();
    uploads::note(&mut session.uploaded, &done, Way::Down)?;
    let mut received: BTreeMap<Option<usize>, Vec<u64>> = BTreeMap::new();
    for (_, moved) in done {
        match moved {
            Moved::Bytes(n) => received.entry(None).or_default().push(n),
            Moved::Elsewhere { store, bytes } => received.entry(Some(store)).or_default().push(bytes),
            Moved::AlreadyThere | Moved::Aged => {}
        }
    }
    for (store, received) in received {
        let (objects, bytes) = (ui::count(received.len(), "object"), ui::bytes(received.iter().sum()));
        let reading = store.and_then(|store| session.transfer.reading().get(store));
        let remote = reading.map_or(session.transfer.store().remote(), |reading| reading.remote());
        ui::say(format!("Fetched {objects} ({bytes}) from {remote}"));
    }
    for (item, error) in outcome.failed {
        report.fail(waiting, &item, &one_line(error));
    }
    Ok(())
}

/// Report, in words or JSON. `single`: the user asked for one file, whose failure is the command's.
pub fn finish(
    global: &Global,
    command: &str,
    report: Fetched,
    failed: Vec<Failed>,
    single: bool,
) -> Result<(), CliError> {
    let Fetched { mut written, already, failed: more } = report;
    written.sort();
    let failed: Vec<Failed> = failed.into_iter().chain(more).collect();
    if global.json {
        let items = written.iter().map(|(path, oid)| ui::with_path(path.as_bstr(), json!({ "oid": oid.hex() })));
        let errors = failed.iter().map(|(path, why)| json!({ "path": path, "error": why }));
        ui::answer_json(command, items, errors)?;
    } else {
        ui::say(format!("{} written, {already} already there.", ui::count(written.len(), "file")));
    }
    if failed.is_empty() {
        return Ok(());
    }
    if single && failed.len() == 1 {
        let (path, why) = &failed[0];
        return Err(CliError::user(if why.contains(path.as_str()) { why.clone() } else { format!("{path}: {why}") }));
    }
    for (path, why) in &failed {
        ui::warn(if why.contains(path.as_str()) { why.clone() } else { format!("{path}: {why}") });
    }
    Err(CliError::partial(format!("{} failed", ui::count(failed.len(), "file")))
        .hint("run the command again when the cause is mended"))
}

/// Write the files that smudge deferred, as far as they still are their pointers; forget those that
/// are not. Failures are said, and are no failure of the Git command whose hook this is.
pub fn fill_deferred(global: &Global) -> Result<(), CliError> {
    let context = Context::open()?;
    let deferred = Deferred::new(context.repo.git_dir());
    let noted = deferred.list()?;
    if noted.is_empty() || policy(&GitConfig::load()?)?.skip_smudge {
        return Ok(());
    }
    let manifest = manifest_file::for_reading(None)?;
    let sparse = SparseSet::load(context.repo.git_dir())?;
    let (mut targets, _) = all_targets(manifest.as_ref())?;
    targets.retain(|target| {
        let path = target.path.as_bstr();
        let waiting = || matches!(state_of(&context.worktree, target, false), Ok(FileState::PointerOnly));
        // The set may be narrower by now than when the file was noted.
        let included = sparse.as_ref().is_none_or(|set| set.includes(path));
        target.tracked && included && noted.contains(path) && waiting()
    });
    let waiting: BTreeSet<BString> = targets.iter().map(|target| target.path.as_bstr().to_owned()).collect();
    deferred.forget(&noted.difference(&waiting).cloned().collect())?;
    if targets.is_empty() {
        return Ok(());
    }
    let report = fetch(&context, global, manifest.as_ref(), targets, Overwrite::PointersOnly)?;
    ui::say(format!(
        "{} written that {} too large to pass through Git.",
        ui::count(report.written.len(), "file"),
        if report.written.len() == 1 { "was" } else { "were" }
    ));
    report.failed.iter().for_each(|(path, why)| ui::warn(format!("{path} stays a pointer: {why}")));
    Ok(())
}

/// How many tracked files are here as a pointer only.
pub fn pointer_files() -> Result<usize, CliError> {
    let context = Context::open()?;
    let (targets, _) = all_targets(manifest_file::for_reading(None)?.as_ref())?;
    let is_pointer = |target: &Target| matches!(state_of(&context.worktree, target, false), Ok(FileState::PointerOnly));
    Ok(targets.iter().filter(|target| is_pointer(target)).count())
}
