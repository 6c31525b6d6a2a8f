//! `track-modified`: upload what the index names, and make the manifest say it too. With `--staged`
//! this is the pre-commit hook.
//!
//! Apart because it runs while Git is committing: it must leave index and manifest in agreement
//! whatever the network does (design.md, section 4, "pre-commit").

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ffi::OsStr;
use std::thread;

use bstr::BString;
use clap::Args;
use serde_json::json;

use crate::cli::Global;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::for_git::after_commit::AfterCommit;
use crate::cli::for_git::hook::was_done;
use crate::cli::manifest_file;
use crate::cli::session::settings;
use crate::cli::threads::joined;
use crate::cli::tracking::add::stage_ahead;
use crate::cli::tracking::at_odds::AtOdds;
use crate::cli::tracking::bare_pointers::{warn_of_attributes_left_out, warn_of_bare_pointers};
use crate::cli::tracking::index_lock::IndexLock;
use crate::cli::tracking::manifest_only::{Refreshed, refresh_manifest_only};
use crate::cli::tracking::next_commit::{Base, Index, base, index_pointers, is_settled};
use crate::cli::tracking::staging::{IndexStamp, Staging};
use crate::cli::tracking::uploads::{Believe, How, upload_all};
use crate::cli::ui;
use crate::config::{
    CommitUploads, GitConfig, OfflineCommit, Settings, commit_uploads, offline_commit, refuse_python_prefix,
};
use crate::error::chain;
use crate::fs::replace;
use crate::git::Git;
use crate::git::index::{self, Filtered};
use crate::hooks::Hook;
use crate::manifest::{IndexPointers, Manifest, PATH, python_yaml};
use crate::repo_path::Printable;
use crate::transfer::{Item, Patience};
use crate::uploaded::Uploaded;

/// Arguments of `track-modified`.
#[derive(Args, Debug)]
pub struct TrackModified {
    /// Take the index as it is, as the pre-commit hook does
    #[arg(long)]
    staged: bool,
}

impl TrackModified {
    /// Whether it is the hook's call.
    pub fn is_hook(&self) -> bool {
        self.staged
    }
}

/// Stage what changed (unless `--staged`), upload, project, stage the manifest.
pub fn run(global: &Global, args: TrackModified) -> Result<(), CliError> {
    if args.staged && was_done(&[Hook::PreCommit, Hook::PreMergeCommit])? {
        return Ok(());
    }
    let context = Context::open()?;
    if args.staged {
        let index = Index::read(&context)?;
        return bring_index(&context, global, true, index, &Refreshed::default());
    }
    // Side by side: mostly nothing changed, and the index stays what it is.
    let (changed, index) = thread::scope(|scope| {
        let changed = scope.spawn(|| index::changed_in_worktree(&[]));
        let index = Index::read(&context);
        (joined(changed), index)
    });
    let mut index = index?;
    let refreshed = {
        let manifest = index.manifest_in_worktree()?;
        stage_modified(&context, &index.files, &changed?.into_iter().collect())?;
        refresh_manifest_only(&context, global, &manifest)?
    };
    if !index.is_current(&context) {
        drop(index);
        index = Index::read(&context)?;
    }
    bring_index(&context, global, false, index, &refreshed)?;
    refreshed.end(&context)
}

/// Upload what the index names, project it, stage the manifest.
fn bring_index(
    context: &Context,
    global: &Global,
    staged: bool,
    index: Index,
    refreshed: &Refreshed,
) -> Result<(), CliError> {
    let stamp = index.stamp.clone();
    let Index { mut files, staged: in_index, mut changed, .. } = index;
    if manifest_file::is_pythons() {
        if files.iter().any(|file| file.pointer().is_some()) {
            ui::warn(format!(
                "warning: {} of the Python s3lfs was not taken over, so nothing is uploaded or recorded; \
                 's3lfs migrate' takes it over",
                python_yaml::PATH
            ));
        }
        return Ok(());
    }
    if !staged {
        let name = |path: &BString| ui::warn(format!("warning: {}: {LEFT}", Printable(path)));
        in_conflict(&files).into_iter().for_each(name);
    }
    warn_of_bare_pointers(&files, &changed)?;
    warn_of_attributes_left_out(&files, &changed)?;
    super::large_raw::warn_of_raw(&files, &changed)?;
    let Some((mut manifest, mut start)) = base(in_index, &files)? else {
        return if global.json { answer(&files, &BTreeSet::new(), refreshed) } else { Ok(()) };
    };
    let config = GitConfig::load()?;
    // Side by side, since each asks for every file; as a rule both find that nothing is to be done.
    let (uploads, settled) = thread::scope(|scope| {
        let may_be = changed.is_empty() && !global.json;
        let settled = may_be.then(|| scope.spawn(|| is_settled(&manifest, &start, &files)));
        let uploads = uploads(context, global, &config, &manifest, &files, &changed, staged);
        (uploads, settled.map_or(Ok(false), joined))
    });
    // While content is on its way, the worktree may become another one.
    let settled = settled? && matches!(uploads, Ok(None));
    // Of very many, memory holds what is uploaded, and the index is read again.
    let let_go = matches!(&uploads, Ok(Some(uploads)) if uploads.wanted.len() > MANY);
    if let_go {
        (files, changed) = Default::default();
    }
    let uploading = uploads.and_then(|uploads| uploads.map_or(Ok(()), |uploads| uploads.run(context, &manifest)));
    if let Err(e) = uploading {
        if !staged || offline_commit(&config)? == OfflineCommit::Fail {
            return Err(e);
        }
        ui::warn(format!("warning: not uploaded yet: {}", e.message));
        ui::warn(
            "the commit goes on; what of its content is in the local cache stays there, and 'git push' will upload it",
        );
        e.hints.iter().for_each(|hint| ui::warn(format!("  {hint}")));
    }
    // What Git holds, nobody else changes; and whoever stages waits for Git.
    let _staging = (IndexLock::observe() == IndexLock::Free).then(|| Staging::begin(context)).transpose()?;
    let is_stale = let_go || IndexStamp::now(context) != stamp;
    if is_stale {
        let now = Index::read(context)?;
        (files, changed) = (now.files, now.changed);
        let Some(again) = base(now.staged, &files)? else { return Ok(()) };
        (manifest, start) = again;
    }
    if settled && !is_stale {
        // The process ends: 100,000 paths need not be given back one by one.
        std::mem::forget((files, manifest));
        return Ok(());
    }
    let mut pointers = index_pointers(&manifest, &files, &changed)?;
    let at_odds = AtOdds::find(context, &manifest, |path| pointers.pointers.get(path).copied())?;
    let undecided = match at_odds.tell(context) {
        // The result of a merge: what it leaves out, nobody misses later.
        Some(e) if at_odds.merging => return Err(e),
        undecided => undecided,
    };
    pointers.at_odds = at_odds.names(&BTreeSet::new());
    if !global.json {
        (files, changed) = Default::default();
    }
    project(context, &mut manifest, &start, &pointers, &BTreeSet::new())?;
    if global.json {
        answer(&files, &changed, refreshed)?;
    }
    match undecided {
        Some(e) if !staged => Err(e),
        Some(e) => {
            e.hints.iter().for_each(|hint| ui::warn(format!("  {hint}")));
            Ok(())
        }
        None => Ok(()),
    }
}

/// The tracked files that the next commit brings.
fn answer(files: &[Filtered], changed: &BTreeSet<BString>, refreshed: &Refreshed) -> Result<(), CliError> {
    let brought = files.iter().filter(|file| file.entry.stage == 0 && changed.contains(&file.entry.path));
    let item = |file: &Filtered| {
        let pointer = file.pointer()?;
        Some(ui::with_path(&file.entry.path, json!({ "oid": pointer.oid.hex(), "size": pointer.size })))
    };
    let error = |(path, why): (&String, &str)| ui::with_path(path.as_bytes(), json!({ "error": why }));
    let conflicts = in_conflict(files);
    let conflicts = conflicts.into_iter().map(|path| ui::with_path(path, json!({ "error": LEFT })));
    ui::answer_json("track-modified", brought.filter_map(item), refreshed.left().map(error).chain(conflicts))
}

/// What is said of a file in conflict, of which Git takes no version until it is told which.
const LEFT: &str = "in conflict, and left as it is until that is resolved ('git add' says that it is)";

fn in_conflict(files: &[Filtered]) -> BTreeSet<&BString> {
    files.iter().filter(|file| file.entry.stage != 0).map(|file| &file.entry.path).collect()
}

/// What the user decided about paths by naming them.
#[derive(Default)]
pub struct Decided {
    /// They were taken out, and may be manifest-only.
    pub gone: BTreeSet<String>,
    /// Their pointers were staged: those are right, whatever the manifest has.
    pub staged: BTreeSet<String>,
}

/// Bring the staged manifest into agreement with the index, and nothing else.
pub fn project_staged(context: &Context, decided: &Decided) -> Result<(), CliError> {
    let _staging = Staging::begin(context)?;
    let Index { files, staged, changed, .. } = Index::read(context)?;
    let Some((mut manifest, base)) = base(staged, &files)? else { return Ok(()) };
    let mut pointers = index_pointers(&manifest, &files, &changed)?;
    let at_odds = AtOdds::find(context, &manifest, |path| pointers.pointers.get(path).copied())?;
    pointers.at_odds = at_odds.names(&decided.staged);
    project(context, &mut manifest, &base, &pointers, &decided.gone)
}

fn project(
    context: &Context,
    manifest: &mut Manifest,
    base: &Base,
    pointers: &IndexPointers,
    gone: &BTreeSet<String>,
) -> Result<(), CliError> {
    refuse_python_prefix(manifest)?;
    manifest.forget(gone);
    manifest.project(pointers)?;
    let bytes = manifest.to_bytes()?;
    let is_new = base.staged.as_deref() != Some(&bytes);
    if is_new {
        manifest_file::stage(&bytes)?;
    }
    follow_in_worktree(context, base, &bytes, pointers, gone)?;
    if is_new {
        manifest_file::settle();
    }
    Ok(())
}

/// `git add` the tracked files that changed in the worktree; deleted ones stay as they are in the index.
fn stage_modified(context: &Context, files: &[Filtered], changed: &BTreeSet<BString>) -> Result<(), CliError> {
    if changed.is_empty() {
        return Ok(());
    }
    let mut wanted = HashSet::new();
    for file in files {
        let path = &file.entry.path;
        let there = || std::fs::symlink_metadata(crate::git::path_from_bytes(path)).is_ok_and(|m| m.is_file());
        if changed.contains(path) && file.entry.stage == 0 && there() {
            wanted.insert(path.clone());
        }
    }
    let staged = stage_ahead(context, OsStr::new(":/"), &wanted);
    let input: Vec<u8> = wanted.difference(&staged).flat_map(|path| [path.as_slice(), b"\0"].concat()).collect();
    if input.is_empty() {
        return Ok(());
    }
    // -u: what Git tracks needs no force, although it may be ignored (the old tool's lines in .gitignore).
    let add = Git::on_index(["--literal-pathspecs", "add", "-u", "--pathspec-from-file=-", "--pathspec-file-nul"]);
    Ok(add.input(input).output().map(drop)?)
}

/// More content than this, and the index is let go of while it is uploaded.
const MANY: usize = 10_000;

/// Content on its way to the store.
struct Uploads {
    settings: Settings,
    /// Each with a path that names it.
    wanted: BTreeMap<Item, BString>,
    patience: Patience,
}

impl Uploads {
    fn run(self, context: &Context, manifest: &Manifest) -> Result<(), CliError> {
        let how = How { patience: self.patience, believe: Believe::Records };
        upload_all(context, &self.settings, manifest, &self.wanted, how)
    }
}

/// What is to be uploaded now, and where to: what this commit brings and no fresh record knows, and what an earlier
/// commit could not.
fn uploads(
    context: &Context,
    global: &Global,
    config: &GitConfig,
    manifest: &Manifest,
    files: &[Filtered],
    changed: &BTreeSet<BString>,
    staged: bool,
) -> Result<Option<Uploads>, CliError> {
    let settings = settings(global, config, Some(manifest))?;
    let always = offline_commit(config)? == OfflineCommit::Fail;
    let when = match commit_uploads(config) {
        Err(e) if staged && !always => {
            ui::warn(format!("warning: {}: this commit uploads nothing, and 'git push' will", chain(&e)));
            CommitUploads::AtPush
        }
        when => when?,
    };
    if staged && !always {
        if when == CommitUploads::AtPush {
            return Ok(None);
        }
        if IndexLock::observe() == IndexLock::HeldByGit {
            AfterCommit::new(&context.repo).leave_upload()?;
            return Ok(None);
        }
    }
    let wanted = wanted(context, &settings, files, changed)?;
    let patience = if staged { Patience::Short } else { Patience::Long };
    Ok((!wanted.is_empty()).then_some(Uploads { settings, wanted, patience }))
}

fn wanted(
    context: &Context,
    settings: &Settings,
    files: &[Filtered],
    changed: &BTreeSet<BString>,
) -> Result<BTreeMap<Item, BString>, CliError> {
    let cache = context.cache();
    let uploaded = Uploaded::open(&context.repo.state_dir(), &settings.remote, &settings.reading)?;
    let mut wanted = BTreeMap::new();
    for file in files {
        let Some(pointer) = file.pointer() else { continue };
        let fresh = uploaded.is_fresh(&pointer.oid);
        // What is in a shared cache only, a store has.
        let ours = || cache.find_own(&pointer.oid, Some(pointer.size)).is_some();
        let pending = || !uploaded.has(&pointer.oid) && ours();
        if !fresh && (changed.contains(&file.entry.path) || pending()) {
            wanted.insert(Item::from(pointer), file.entry.path.clone());
        }
    }
    Ok(wanted)
}

/// Let the worktree's manifest follow: it becomes what was staged if it was the staged one before,
/// and is projected by itself if the user has changes there that are not staged.
fn follow_in_worktree(
    context: &Context,
    base: &Base,
    bytes: &[u8],
    pointers: &IndexPointers,
    gone: &BTreeSet<String>,
) -> Result<(), CliError> {
    let Some(present) = manifest_file::in_worktree()? else {
        return Ok(());
    };
    if present == bytes {
        return Ok(());
    }
    let unchanged_by_user = match &base.staged {
        Some(staged) => *staged == present,
        None => true,
    };
    // The pre-commit framework (which sets this) refuses a commit whose hook leaves a difference.
    let at_once = std::env::var_os("PRE_COMMIT").is_some();
    if unchanged_by_user && !at_once && IndexLock::observe() == IndexLock::HeldByGit && base.staged.is_some() {
        // The commit may still be given up, and would leave a worktree that names what no index has.
        return Ok(AfterCommit::new(&context.repo).leave_manifest(&present)?);
    }
    if unchanged_by_user {
        return Ok(replace(PATH.as_ref(), bytes)?);
    }
    match Manifest::parse(&present) {
        Ok(mut manifest) => {
            manifest.forget(gone);
            manifest.project(pointers)?;
            manifest_file::write(&manifest).map(drop)
        }
        Err(e) => {
            ui::warn(format!("warning: the worktree's {PATH} was left as it is: {}", chain(&e)));
            Ok(())
        }
    }
}
