//! `fsck`: what is here against its names. `--pointers` needs neither store nor cache nor worktree, so
//! that it can run where nothing but Git is.
//!
//! Apart from `verify`, which asks the store.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;

use bstr::{BString, ByteSlice};
use clap::Args;
use serde_json::{Value, json};

use crate::cache::LocalCache;
use crate::cli::Global;
use crate::cli::check::examine::{self, Damaged};
use crate::cli::check::in_git;
use crate::cli::check::nowhere::{self, Whereabouts};
use crate::cli::context::Context;
use crate::cli::error::{CliError, MEND_POINTER, one_line};
use crate::cli::manifest_file;
use crate::cli::session::{engine, require_readable, settings_for_reading};
use crate::cli::set_up::lfs_driver;
use crate::cli::threads::joined;
use crate::cli::tracking::at_odds;
use crate::cli::ui;
use crate::config::GitConfig;
use crate::error::chain;
use crate::filter::clean::clean;
use crate::fs::PathError;
use crate::git::index::{Entry, Filtered};
use crate::git::objects::{Look, ObjectId};
use crate::git::{Repo, index};
use crate::manifest::Manifest;
use crate::oid::{HashingReader, Oid};
use crate::pointer::Form;
use crate::repo_path::{Printable, RepoPath};
use crate::transfer::{Item, Job, Patience};
use crate::worktree::{Overwrite, Target, is_sound, open, write_file};

/// Arguments of `fsck`.
#[derive(Args, Debug)]
pub struct Fsck {
    /// Only look whether filtered paths hold pointers in Git: of HEAD, of a commit, or added by A..B.
    /// Needs no store
    #[arg(long, value_name = "REV|A..B", num_args = 0..=1, default_missing_value = "HEAD", conflicts_with = "fix")]
    pointers: Option<String>,
    /// Fetch what is damaged from the store
    #[arg(long)]
    fix: bool,
}

/// Something that is not as it should be.
pub(super) struct Finding {
    /// Which kind, in a word for programs.
    pub kind: &'static str,
    /// Where; a cached object has no path.
    pub path: Option<BString>,
    /// The commit that brings it; `None`: it is here.
    pub commit: Option<ObjectId>,
    /// The content that it is about.
    pub oid: Option<Oid>,
    /// What is wrong.
    pub why: String,
    /// `--fix` put it right.
    pub fixed: bool,
}

impl Finding {
    /// A fault that is not mended. That a file is unwatched is none, nor that its pointer is git-lfs's.
    fn is_left(&self) -> bool {
        !self.fixed && !["unwatched", examine::OF_LFS].contains(&self.kind)
    }
}

/// Content that nobody can tell of: no fault, and nothing that is as it should be either.
const UNKNOWN: &str = "unknown";

/// Look, mend if asked to, report.
pub fn run(global: &Global, args: Fsck) -> Result<(), CliError> {
    if let Some(text) = &args.pointers {
        // A bare repository will do: a hook of a server may ask.
        if Repo::discover()?.worktree().is_some() {
            Context::open()?;
        }
        let told = "Looked at: what Git has at tracked paths. Not looked at: any content, here or in the store.";
        return report(global, in_git::pointers(text)?, told);
    }
    let context = Context::open()?;
    let config = GitConfig::load()?;
    let (Told { looked, mut changed, manifest }, untracked) = Told::read()?;
    let mut findings = in_git::staged(&config, &looked)?;
    findings.extend(untracked);
    findings.extend(examine::of_lfs(&context, &looked, &changed)?);
    let mut files: Vec<Filtered> =
        looked.into_iter().map(|(entry, look)| Filtered { entry, kind: look.kind() }).collect();
    if let Some(manifest) = &manifest {
        findings.extend(in_git::at_odds(&context, manifest, &files)?);
    }
    if lfs_driver::answers(&config) {
        files.extend(index::filtered_by_lfs()?);
    }
    let damaged = examine::caches(&context, &mut findings)?;
    let wrong = examine::worktree(&context, &damaged, &files, &changed, &mut findings)?;
    if args.fix {
        fix(&context, global, &damaged, wrong, &mut findings)?;
        changed = index::changed_in_worktree(&[])?.into_iter().collect();
    }
    let whereabouts = {
        let targets = nowhere::targets(files, manifest.as_ref())?;
        Whereabouts::find(&context, global, &damaged, targets, &changed)?
    };
    let told = whereabouts.looked_at();
    findings.extend(whereabouts.unknown.map(|(count, why)| {
        let why = format!("{} not here, and the store could not be asked: {why}", ui::count(count, "object"));
        Finding { kind: UNKNOWN, path: None, commit: None, oid: None, why, fixed: false }
    }));
    findings.extend(whereabouts.nowhere.into_iter().map(|(path, oid, stores)| {
        let why = format!("its content is nowhere: neither in the cache nor in the worktree, nor in {stores}");
        Finding { kind: "nowhere", path: Some(path), commit: None, oid: Some(oid), why, fixed: false }
    }));
    report(global, findings, &told)
}

/// What Git and the manifest say, asked once: each answer takes its time where there are 100,000 files.
struct Told {
    looked: Vec<(Entry, Look)>,
    /// Files of the worktree that differ from the index.
    changed: HashSet<BString>,
    manifest: Option<Manifest>,
}

impl Told {
    /// Ask everybody at the same time; and what stands where nothing turns it into content.
    fn read() -> Result<(Self, Vec<Finding>), CliError> {
        std::thread::scope(|scope| {
            let changed = scope.spawn(|| index::changed_in_worktree(&[]));
            let manifest = scope.spawn(|| manifest_file::for_reading(None));
            let untracked = scope.spawn(in_git::untracked);
            let looked = index::looked();
            let (changed, manifest, untracked) = (joined(changed), joined(manifest), joined(untracked));
            let told = Told { looked: looked?, changed: changed?.into_iter().collect(), manifest: manifest? };
            Ok((told, untracked?))
        })
    }
}

/// Fetch damaged content, and put it where it was. A damaged file of the worktree is kept aside: it may
/// be somebody's work all the same.
fn fix(
    context: &Context,
    global: &Global,
    damaged: &Damaged,
    wrong: Vec<Target>,
    findings: &mut [Finding],
) -> Result<(), CliError> {
    let cache = context.cache();
    damaged.own.iter().try_for_each(|oid| cache.set_aside(oid))?;
    let stuck = set_aside_shared(&cache, &damaged.shared);
    // What others put there is not ours to fetch.
    let mut needed: BTreeSet<Oid> = if damaged.shared.is_empty() { BTreeSet::new() } else { named(&damaged.shared)? };
    needed.extend(&damaged.own);
    needed.retain(|oid| cache.find(oid, None).is_none());
    cache_anew(context, &needed)?;
    let mut items: BTreeSet<Item> = needed.iter().map(|oid| Item::from(*oid)).collect();
    items.extend(wrong.iter().map(|target| Item::from(target.item.oid)));
    items.retain(|item| cache.find(&item.oid, None).is_none());
    let mut failed: BTreeMap<Oid, String> = BTreeMap::new();
    if !items.is_empty() {
        let settings = settings_for_reading(global)?;
        require_readable(&settings)?;
        let mut transfer = engine(cache.clone(), &settings, Patience::Long)?;
        let report = ui::progress::run(&mut transfer, "Downloading", items.iter().copied().map(Job::Download));
        failed.extend(report.failed.into_iter().map(|(item, e)| (item.oid, one_line(e))));
    }
    let mut written = Vec::new();
    for target in wrong {
        if failed.contains_key(&target.item.oid) {
            continue;
        }
        match replace_damaged(context, &target) {
            Ok(()) => written.push(target.path),
            Err(e) => ui::warn(format!("{}: {}", target.path, e.message)),
        }
    }
    index::refresh(written.iter().map(RepoPath::as_bstr))?;
    let written: HashSet<&[u8]> = written.iter().map(|path| path.as_bstr().as_bytes()).collect();
    for finding in findings {
        let back = finding.oid.is_some_and(|oid| cache.find(&oid, None).is_some());
        match (finding.kind, &finding.path) {
            (examine::CACHE, _) => finding.fixed = back,
            (examine::SHARED, _) => {
                let stuck = finding.oid.and_then(|oid| stuck.get(&oid));
                finding.fixed = stuck.is_none() && (back || finding.oid.is_some_and(|oid| !needed.contains(&oid)));
                if let Some(why) = stuck {
                    finding.why = format!("{}; it could not be moved: {why}", finding.why);
                }
            }
            ("size", _) => continue,
            ("worktree", Some(path)) => finding.fixed = written.contains(path.as_slice()),
            _ => {}
        }
        if let Some(why) = finding.oid.filter(|_| !finding.fixed).and_then(|oid| failed.get(&oid)) {
            finding.why = format!("{}; it could not be fetched: {why}", finding.why);
        }
    }
    Ok(())
}

/// Move damaged copies in the shared directory out of the way, for all who read there. Those that could not be, and why.
fn set_aside_shared(cache: &LocalCache, damaged: &BTreeSet<Oid>) -> BTreeMap<Oid, String> {
    let Some(shared) = cache.shared_directory() else { return BTreeMap::new() };
    damaged.iter().filter_map(|oid| shared.set_aside(oid).err().map(|e| (*oid, chain(&e)))).collect()
}

/// Those of `oids` that the index names.
fn named(oids: &BTreeSet<Oid>) -> Result<BTreeSet<Oid>, CliError> {
    let pointers = lfs_driver::filtered(&GitConfig::load()?)?.into_iter().filter_map(|file| file.pointer());
    Ok(pointers.map(|pointer| pointer.oid).filter(|oid| oids.contains(oid)).collect())
}

/// What a file of the worktree still has needs no store, which may not have it yet.
fn cache_anew(context: &Context, damaged: &BTreeSet<Oid>) -> Result<(), CliError> {
    if damaged.is_empty() {
        return Ok(());
    }
    for file in lfs_driver::filtered(&GitConfig::load()?)? {
        let Some(pointer) = file.pointer().filter(|pointer| damaged.contains(&pointer.oid)) else { continue };
        let path = RepoPath::new(file.entry.path)?;
        // One that can't be read is no help.
        if is_sound(&context.worktree, &path, &pointer).unwrap_or(false) {
            clean(&mut open(&context.worktree, &path)?, &context.cache(), Form::Ours)?;
        }
    }
    Ok(())
}

fn replace_damaged(context: &Context, target: &Target) -> Result<(), CliError> {
    let path = context.worktree.resolve(&target.path)?;
    let cache = context.cache();
    let dir = cache.root().join("bad");
    let failed = |e| PathError::new("keep a copy of", path.clone(), e);
    fs::create_dir_all(&dir).map_err(failed)?;
    // A copy, so that the file is never missing; with a name that no other has.
    let mut copy = tempfile::Builder::new().prefix("worktree-").tempfile_in(&dir).map_err(failed)?;
    let mut reader = HashingReader::new(open(&context.worktree, &target.path)?);
    std::io::copy(&mut reader, copy.as_file_mut()).map_err(failed)?;
    let (copied, _) = reader.finish();
    let (_, kept) = copy.keep().map_err(|e| failed(e.error))?;
    write_file(&context.worktree, &cache, target, Overwrite::Stored(copied))?;
    ui::say(format!("{}: what stood there is kept in {}", target.path, kept.display()));
    Ok(())
}

/// `looked_at`: so that nobody takes it for more.
fn report(global: &Global, mut findings: Vec<Finding>, looked_at: &str) -> Result<(), CliError> {
    findings.sort_by(|a, b| (&a.path, &a.commit, a.oid).cmp(&(&b.path, &b.commit, b.oid)));
    if global.json {
        let entry = |finding: &Finding| -> Value {
            let item = json!({
                "kind": finding.kind,
                "path": null,
                "commit": finding.commit.as_ref().map(ToString::to_string),
                "oid": finding.oid.map(|oid| oid.hex()),
                "error": finding.why,
                "fixed": finding.fixed,
            });
            finding.path.as_ref().map_or(item.clone(), |path| ui::with_path(path, item))
        };
        let left = findings.iter().filter(|finding| finding.is_left()).map(entry);
        ui::answer_json("fsck", findings.iter().map(entry), left)?;
    } else {
        findings.iter().for_each(|finding| ui::warn(line(finding)));
    }
    ui::say(looked_at);
    let left: Vec<&Finding> = findings.iter().filter(|finding| finding.is_left()).collect();
    if left.is_empty() {
        ui::say(if findings.iter().all(|finding| !finding.fixed) {
            "No fault was found in what was looked at."
        } else {
            "Everything is mended."
        });
        return Ok(());
    }
    let faults = left.iter().filter(|finding| finding.kind != UNKNOWN).count();
    let mut error = CliError::partial(match (faults, faults == left.len()) {
        (0, _) => "no fault found, but not everything could be judged".to_owned(),
        (_, true) => format!("{} found", ui::count(faults, "fault")),
        (_, false) => format!("{} found, and not everything could be judged", ui::count(faults, "fault")),
    });
    let has = |kind: &str| left.iter().any(|finding| finding.kind == kind);
    if has("raw") || has("malformed") {
        error = error.hint("for raw content: git add --renormalize <file>, and commit; a rebase, for older commits");
    }
    if has("untracked") {
        let hint = "for what is not tracked: 's3lfs track' it, and 's3lfs download' fills it; if it is meant to be the \
                    text of a pointer, say so in .gitattributes: <path> -filter";
        error = error.hint(hint);
    }
    if has("at-odds") {
        error = at_odds::hints("<file>", "<file>").into_iter().fold(error, CliError::hint);
    }
    if has("nowhere") {
        let hint = "for content that is nowhere: whoever has it sends it with 's3lfs upload <file>'; or take \
                    a version that is there: git checkout <commit> -- <file>";
        error = error.hint(hint);
    }
    if has(UNKNOWN) {
        error = error.hint("run it again when the store answers; 's3lfs fsck --pointers' needs no store");
    }
    if has("size") {
        error = error.hint(MEND_POINTER);
    }
    if has(examine::CACHE) || has(examine::SHARED) || has("worktree") {
        error = error.hint("'s3lfs fsck --fix' fetches good copies from the store");
    }
    Err(error)
}

fn line(finding: &Finding) -> String {
    if finding.kind == UNKNOWN {
        return finding.why.clone();
    }
    let mut what = match (&finding.path, finding.oid) {
        (Some(path), _) => Printable(path).to_string(),
        (None, oid) => format!("object {}", oid.map(|oid| oid.hex()).unwrap_or_default()),
    };
    if let Some(commit) = &finding.commit {
        what = format!("{what} (commit {commit})");
    }
    let mended = if finding.fixed { " (mended)" } else { "" };
    format!("{what}: {}{mended}", finding.why)
}
