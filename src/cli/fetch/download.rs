//! `download` and `download-all`: content into the worktree, without touching anybody's changes.

use std::cell::OnceCell;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use bstr::BString;
use clap::Args;
use serde_json::json;

use super::put::put;
use super::replaceable::replaceable;
pub use super::targets::{Asked, Failed, all_targets, in_words};
use super::targets::{By, target};
use super::twins::{AsItComes, Made};
use super::vouching::{vouch, vouch_named};
use crate::cli::Global;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::leftovers;
use crate::cli::lfs_objects::Objects;
use crate::cli::manifest_file;
use crate::cli::own_choice;
use crate::cli::session::Session;
use crate::cli::tracking::bare_pointers;
use crate::cli::tracking::uploads::{self, Way};
use crate::cli::ui;
use crate::cli::ui::progress::Travelled;
use crate::config::{ConfigError, GitConfig, Settings};
use crate::error::chain;
use crate::fs::has_gits_mode;
use crate::git::attr::{self, Source};
use crate::git::index;
use crate::manifest::Manifest;
use crate::oid::Oid;
use crate::pointer::Pointer;
use crate::repo_path::{Printable, RepoPath};
use crate::transfer::{Item, Job, Moved, Patience};
use crate::worktree::{FileState, Overwrite, Target, WriteError, state_browsing};

/// Arguments of `download`.
#[derive(Args, Debug)]
pub struct Download {
    /// Files, relative to the current directory
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Overwrite files that have changes of your own
    #[arg(long)]
    force: bool,
    /// Fetch what the manifest names, also where Git has a pointer
    #[arg(long)]
    from_manifest: bool,
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
    let by = if args.from_manifest { By::Manifest } else { By::Pointer };
    for file in &args.files {
        match context.repo_path(file).and_then(|path| target(&context, path, manifest.as_ref(), by)) {
            Ok(target) => targets.push(target),
            Err(e) => failed.push((file.as_os_str().as_encoded_bytes().into(), e.in_one_line())),
        }
    }
    let unmerged = index::conflicted_now()?;
    for target in targets.iter().filter(|target| by == By::Pointer && unmerged.contains(target.path.as_bstr())) {
        ui::warn(format!("warning: {} is in conflict: what is fetched is your side of it ('ours')", target.path));
    }
    let untracked = targets.iter().filter(|target| !target.tracked);
    let named = untracked.map(|target| (target.path.clone(), target.item.oid)).collect();
    let report = fetch(&context, global, manifest.as_ref(), targets, Asked::ByName, overwrite(args.force))?;
    vouch_named(&context, named, &report)?;
    finish(global, "download", report, failed, asked == 1)
}

/// Fetch everything that the index and the manifest name, within Git's own sparse checkout.
pub fn run_all(global: &Global, args: DownloadAll) -> Result<(), CliError> {
    run_all_for("download-all", global, args)
}

/// As [`run_all`], for the command that ends with it.
pub fn run_all_for(command: &str, global: &Global, args: DownloadAll) -> Result<(), CliError> {
    let context = Context::open()?;
    leftovers::sweep_where_usual(&context);
    let manifest = manifest_file::for_reading(None)?;
    let (targets, failed) = all_targets(manifest.as_ref())?;
    if !targets.iter().any(|target| target.tracked) {
        warn_of_untracked(&context)?;
    }
    warn_of_conflicts()?;
    let report = fetch(&context, global, manifest.as_ref(), targets, Asked::Together, overwrite(args.force))?;
    finish(global, command, report, failed, false)
}

/// Which side of a conflict is wanted nobody has decided yet.
fn warn_of_conflicts() -> Result<(), CliError> {
    let unmerged = index::conflicted_now()?;
    let tracked = attr::filtered(unmerged.iter().map(|path| path.as_ref()), Source::Worktree)?;
    if let Some(first) = unmerged.iter().find(|path| tracked.contains(*path)) {
        ui::warn(format!(
            "warning: {} in conflict left as they are (the first: {}): 's3lfs status' names their versions",
            ui::count(tracked.len(), "file"),
            Printable(first)
        ));
    }
    Ok(())
}

/// Where no file is tracked, pointers in the worktree are what somebody wanted to be.
fn warn_of_untracked(context: &Context) -> Result<(), CliError> {
    let bare = bare_pointers::in_worktree(context)?;
    if let Some(first) = bare.first() {
        ui::warn(format!(
            "warning: no line of .gitattributes tracks a file, but here stand {} (the first: {}): who committed them has to \
             commit .gitattributes, too",
            ui::count(bare.len(), "pointer"),
            Printable(&first.path)
        ));
    }
    Ok(())
}

/// What `--force` means.
pub fn overwrite(force: bool) -> Overwrite {
    if force { Overwrite::Changes } else { Overwrite::PointersOnly }
}

/// What came of a fetch.
#[derive(Debug, Default)]
pub struct Fetched {
    /// Files that have their content now.
    pub written: Vec<(RepoPath, Oid)>,
    /// Those of them that the manifest alone names.
    pub manifest_only: Vec<(RepoPath, Oid)>,
    /// How many had it before.
    pub already: usize,
    /// Files that were not written.
    pub failed: Vec<Failed>,
}

impl Fetched {
    /// Content can't be had: its files fail.
    fn fail(&mut self, waiting: &mut Waiting, item: &Item, why: &str) {
        for (target, _) in waiting.remove(item).unwrap_or_default() {
            self.failed.push((target.path.as_bstr().to_owned(), why.to_owned()));
        }
    }
}

/// Content, and the files that wait for it.
pub(super) type Waiting = BTreeMap<Item, Vec<(Target, Overwrite)>>;

/// One more file that waits. Most content has one: a list with room for more would take as much again for each.
pub(super) fn wait(waiting: &mut Waiting, target: Target, overwrite: Overwrite) {
    match waiting.entry(target.item) {
        Entry::Vacant(first) => drop(first.insert(vec![(target, overwrite)])),
        Entry::Occupied(mut others) => others.get_mut().push((target, overwrite)),
    }
}

/// Whether telling Git of the file would not also stage another mode.
fn has_its_mode(context: &Context, target: &Target) -> bool {
    let metadata = context.worktree.resolve(&target.path).ok().and_then(|path| path.symlink_metadata().ok());
    metadata.is_some_and(|m| has_gits_mode(&m.permissions(), target.executable))
}

/// Bring content into the cache where it lacks there, and into the worktree.
pub fn fetch(
    context: &Context,
    global: &Global,
    manifest: Option<&Manifest>,
    targets: Vec<Target>,
    asked: Asked,
    overwrite: Overwrite,
) -> Result<Fetched, CliError> {
    let mut report = Fetched::default();
    let mut waiting = Waiting::new();
    let mut stale = Vec::new();
    let mut untold: Vec<RepoPath> = Vec::new();
    let mut present = Vec::new();
    let changed: BTreeSet<BString> = index::changed_in_worktree(&[])?.into_iter().collect();
    let mut browse = context.worktree.browse();
    for target in targets {
        match state_browsing(&mut browse, &target, changed.contains(target.path.as_bstr())) {
            Err(e) => report.failed.push((target.path.as_bstr().to_owned(), chain(&e))),
            Ok(FileState::Present) => {
                report.already += 1;
                if !target.tracked {
                    present.push(target.clone());
                }
                // A command that was killed after it had written the file did not tell Git.
                if target.tracked && changed.contains(target.path.as_bstr()) && has_its_mode(context, &target) {
                    untold.push(target.path);
                }
            }
            Ok(FileState::Changed) if overwrite == Overwrite::PointersOnly => stale.push(target),
            Ok(_) => wait(&mut waiting, target, overwrite),
        }
    }
    drop(changed);
    index::refresh(untold.iter().map(RepoPath::as_bstr))?;
    if let Some(objects) = Objects::if_any(&context.repo, &GitConfig::load()?) {
        let cache = context.cache();
        for Item { oid, size } in waiting.keys().copied() {
            if let Some(size) = size.filter(|size| cache.find(&oid, Some(*size)).is_none()) {
                objects.lend(&cache, &Pointer { oid, size });
            }
        }
    }
    let missing = |waiting: &Waiting| -> Vec<Item> {
        let cache = context.cache();
        let needed = |item: &Item| item.oid != Oid::of(b"") && cache.find(&item.oid, item.size).is_none();
        waiting.keys().copied().filter(needed).collect()
    };
    let open = || open_store(context, global, manifest);
    // There may be 100,000 files, for all of which it is the same.
    let told = OnceCell::new();
    let misled = || {
        let misled = || own_choice::misled(global, &GitConfig::load().ok()?, manifest);
        told.get_or_init(misled).clone()
    };
    let mut made = Made::new();
    if stale.iter().any(|target| !target.tracked) || !missing(&waiting).is_empty() {
        match open()? {
            Ok(mut session) => {
                stale = replaceable(context, &mut session, stale, &mut waiting)?;
                let twins = Arc::new(AsItComes::new(context, &waiting));
                session.transfer.want_twins(Arc::clone(&twins) as _);
                download(&mut session, missing(&waiting), &mut waiting, &mut report, misled)?;
                made = twins.end();
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
        report.failed.push((target.path.as_bstr().to_owned(), why.to_owned()));
    }
    let mut damaged = put(context, waiting, made, asked, &mut report)?;
    if !damaged.is_empty() {
        // They have been set aside, and the store may have what is right.
        match open()? {
            Ok(mut session) => download(&mut session, missing(&damaged), &mut damaged, &mut report, misled)?,
            Err(e) => missing(&damaged).iter().for_each(|item| report.fail(&mut damaged, item, &e.message)),
        }
        let mut left = put(context, damaged, Made::new(), asked, &mut report)?;
        let items: Vec<Item> = left.keys().copied().collect();
        items.iter().for_each(|item| report.fail(&mut left, item, &chain(&WriteError::Damaged)));
    }
    vouch(context, &present, &report)?;
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

/// Bring content into the cache; what fails takes its files with it.
fn download(
    session: &mut Session,
    items: Vec<Item>,
    waiting: &mut Waiting,
    report: &mut Fetched,
    misled: impl Fn() -> Option<String> + Copy,
) -> Result<(), CliError> {
    let begun = Instant::now();
    let outcome = ui::progress::run(&mut session.transfer, "Downloading", items.iter().copied().map(Job::Download));
    let done: Vec<(Oid, Moved)> = outcome.done.iter().map(|(item, moved)| (item.oid, *moved)).collect();
    uploads::note(&mut session.uploaded, &done, Way::Down)?;
    let mut received: BTreeMap<Option<usize>, Travelled> = BTreeMap::new();
    for (item, moved) in &outcome.done {
        match *moved {
            Moved::Bytes(n) => received.entry(None).or_default().add(item, n),
            Moved::Elsewhere { store, bytes } => received.entry(Some(store)).or_default().add(item, bytes),
            Moved::AlreadyThere | Moved::Aged => {}
        }
    }
    for (store, received) in received {
        let reading = store.and_then(|store| session.transfer.reading().get(store));
        let remote = reading.map_or(session.transfer.store().remote(), |reading| reading.remote());
        ui::say(format!("Fetched {} from {remote}", received.summary(begun)));
    }
    for (item, error) in outcome.failed {
        report.fail(waiting, &item, &own_choice::explained(error, misled));
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
    let Fetched { mut written, already, failed: more, .. } = report;
    written.sort();
    let failed: Vec<Failed> = failed.into_iter().chain(more).collect();
    if global.json {
        let items = written.iter().map(|(path, oid)| ui::with_path(path.as_bstr(), json!({ "oid": oid.hex() })));
        let errors = failed.iter().map(|(path, why)| ui::with_path(path, json!({ "error": why })));
        ui::answer_json(command, items, errors)?;
    } else if failed.is_empty() || !written.is_empty() || already > 0 {
        ui::say(format!("{} written, {already} already there.", ui::count(written.len(), "file")));
    }
    if failed.is_empty() {
        return Ok(());
    }
    if single && failed.len() == 1 {
        return Err(CliError::user(in_words(&failed[0])));
    }
    failed.iter().for_each(|one| ui::warn(in_words(one)));
    Err(CliError::partial(format!("{} failed", ui::count(failed.len(), "file")))
        .hint("run the command again when the cause is mended"))
}

/// How many tracked files are here as a pointer only.
pub fn pointer_files() -> Result<usize, CliError> {
    let context = Context::open()?;
    let (targets, _) = all_targets(manifest_file::for_reading(None)?.as_ref())?;
    let mut browse = context.worktree.browse();
    let mut state = |target: &Target| state_browsing(&mut browse, target, false);
    Ok(targets.iter().filter(|target| matches!(state(target), Ok(FileState::PointerOnly))).count())
}
