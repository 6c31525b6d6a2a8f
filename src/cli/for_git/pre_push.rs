//! The push gate: nothing is published that names content which is not in the store (design.md,
//! invariant 2).
//!
//! Apart because it is the authority: merges, picks and rebases run no pre-commit, and a commit may
//! have been made without the network.

use std::collections::BTreeMap;

use bstr::ByteSlice;

use crate::cli::Global;
use crate::cli::cleanup::sight;
use crate::cli::context::Context;
use crate::cli::error::{CliError, MEND_POINTER, one_line};
use crate::cli::for_git::brought::{Brought, Lie, Named, Proof, brought};
use crate::cli::for_git::exempt::Exempt;
use crate::cli::manifest_file;
use crate::cli::session::{Registered, Session, not_accepted};
use crate::cli::set_up::lfs_driver;
use crate::cli::tracking::uploads::{self, Uploads};
use crate::cli::ui;
use crate::config::{Acceptance, GitConfig, Settings};
use crate::git::push::Update;
use crate::oid::Oid;
use crate::pointer::Form;
use crate::repo_path::{Printable, RepoPath};
use crate::transfer::{Item, Patience, TransferError};
use crate::uploaded::Uploaded;
use crate::worktree::present_oid;

/// How many refused files are named before the rest is counted.
const NAMES: usize = 20;

/// How many different causes are held in memory.
const CAUSES: usize = 1000;

/// Objects that are uploaded together: what is known of each of them takes memory.
const AT_ONCE: usize = 20_000;

/// A push, as Git tells of it.
pub struct Push<'a> {
    /// The remote's name, or its URL.
    pub remote: &'a str,
    /// The remote's URL.
    pub url: &'a str,
    /// The refs that it changes.
    pub updates: &'a [Update],
}

/// Let the push go, or say why not.
pub fn run(global: &Global, push: &Push<'_>) -> Result<(), CliError> {
    let context = Context::open_also_bare()?;
    let config = GitConfig::load()?;
    let exempt = Exempt::new(&config)?;
    let shares = brought(push, lfs_driver::forms(&config), &exempt, &context.cache())?;
    for share in &shares {
        refuse_raw(&config, &share.raw)?;
        tell_damaged(&share.damaged);
        refuse_lying(&share.lying)?;
    }
    for share in shares {
        guard(&context, global, &config, &exempt, push, share)?;
    }
    Ok(())
}

/// Everything that one store has to have.
fn guard(
    context: &Context,
    global: &Global,
    config: &GitConfig,
    exempt: &Exempt,
    push: &Push<'_>,
    share: Brought,
) -> Result<(), CliError> {
    let url = &sight::known_as(push.url);
    // A tip without a manifest is read by whoever has one, as his worktree says.
    let manifest = match share.manifest {
        Some(manifest) => Some(manifest),
        None => manifest_file::for_reading(None)?,
    };
    if share.items.is_empty() && manifest.is_none() {
        return Ok(());
    }
    let settings = Settings::resolve(&global.overrides(), config, manifest.as_ref())?;
    if settings.acceptance != Acceptance::Accepted {
        return if share.items.is_empty() { Ok(()) } else { Err(not_accepted(&settings)) };
    }
    let state_dir = context.repo.state_dir();
    let uploaded = Uploaded::open(&state_dir, &settings.remote, &settings.reading)?;
    let (mut pending, doubtful) = (share.items, share.doubtful);
    pending.retain(|item, _| !uploaded.is_fresh(&item.oid) || doubtful.contains(item));
    drop(doubtful);
    let id = manifest.as_ref().and_then(|m| m.repository_id.as_deref());
    if pending.is_empty() {
        // Nothing new: only a URL that was never registered is worth a connection, and no failure of
        // that may stop the push.
        let Some(id) = id else { return Ok(()) };
        if Registered::new(&state_dir, &settings.remote, id, Some(url)).is_known()? {
            return Ok(());
        }
        let registered = Session::open(context, &settings, Patience::Short)
            .and_then(|mut session| session.register(Some(id), Some(url)));
        if let Err(e) = registered {
            ui::warn(format!("warning: this remote could not be registered in the store: {}", e.message));
        }
        return Ok(());
    }
    let opened = Session::open(context, &settings, Patience::Long).and_then(|mut session| {
        session.register_anew(id, url)?;
        session.pushed_to = Some(push.url.to_owned());
        session.published = push.updates.iter().filter_map(|update| update.remote.clone()).collect();
        Ok(session)
    });
    let mut session = match opened {
        Ok(session) => session,
        Err(_) if pending.values().all(|named| exempt.covers(named)) => {
            ui::warn("warning: the store can't be asked; s3lfs.allowmissing lets the push pass");
            return Ok(());
        }
        Err(e) => return Err(refuse_unproved(&pending, e)),
    };
    let mut missing = Missing::default();
    let (mut all_wrong, mut all_unjudged) = (Vec::new(), Vec::new());
    let mut items = pending.keys().copied();
    loop {
        let some: Vec<Item> = items.by_ref().take(AT_ONCE).collect();
        if some.is_empty() {
            break;
        }
        let Uploads { failed, wrong, unjudged } = uploads::ensure(&mut session, some)?;
        missing.add(exempt, &pending, failed);
        all_wrong.extend(wrong);
        all_unjudged.extend(unjudged);
    }
    missing.refuse(context, &pending)?;
    refuse_wrong_sizes(&pending, all_wrong)?;
    for (item, why) in all_unjudged.into_iter().take(NAMES) {
        let Some(named) = pending.get(&item) else { continue };
        ui::warn(format!("warning: {}: its size could not be compared: {}", place(&item.oid, named), one_line(why)));
    }
    Ok(())
}

/// What is in the store under the oid of a pointer that names another size can't be checked out by anybody.
fn refuse_wrong_sizes(pending: &BTreeMap<Item, Named>, wrong: Vec<(Item, TransferError)>) -> Result<(), CliError> {
    let mut unproved = 0;
    for (item, error) in wrong {
        let Some(named) = pending.get(&item) else { continue };
        if let (TransferError::WrongSize { right, .. }, Some(size)) = (&error, item.size) {
            return refuse_lying(&[Lie { named: named.clone(), size, proof: Proof::Content(*right) }]);
        }
        unproved += 1;
        if unproved <= NAMES {
            ui::warn(format!("{}: {}", place(&item.oid, named), one_line(error)));
        }
    }
    if unproved == 0 {
        return Ok(());
    }
    let files = ui::count(unproved, "file");
    Err(CliError::user(format!("push refused: what the store has for {files} is not what the pointers name"))
        .hint(MEND_POINTER))
}

/// The store can't be asked, so nothing is known of this content.
fn refuse_unproved(pending: &BTreeMap<Item, Named>, why: CliError) -> CliError {
    for (item, named) in pending.iter().take(NAMES) {
        ui::warn(format!("{}: not known to be in the store", place(&item.oid, named)));
    }
    let files = ui::count(pending.len(), "object");
    CliError { message: format!("push refused: {files} not known to be in the store: {}", why.message), ..why }
}

/// A refused file, as it is named to the user.
fn place(oid: &Oid, named: &Named) -> String {
    let short = &named.commit[..named.commit.len().min(12)];
    format!("{} ({oid}, commit {})", Printable(&named.path), short.as_bstr())
}

fn refuse_lying(lying: &[Lie]) -> Result<(), CliError> {
    let Some(Lie { named, size, proof }) = lying.first() else { return Ok(()) };
    let (path, commit) = (Printable(&named.path), &named.commit);
    Err(match proof {
        Proof::Content(right) => CliError::user(format!(
            "push refused: the pointer of {path} (commit {commit}) names a wrong size: {size} bytes, the content has {right}"
        )),
        Proof::Pointer(other, theirs) => CliError::user(format!(
            "push refused: the pointers of {path} (commit {commit}) and {} (commit {}) name the same content with {size} \
             and {theirs} bytes: one of them has a wrong size",
            Printable(&other.path),
            other.commit
        )),
    }
    .hint("it was edited by hand: put the content in its place, and 'git add' it")
    .hint("then git commit --amend (or rebase, for older commits)"))
}

/// What the store has needs no copy here, so that this alone stops no push.
fn tell_damaged(damaged: &[Named]) {
    for named in damaged.iter().take(NAMES) {
        let path = Printable(&named.path);
        ui::warn(format!(
            "the cached copy of {path} is damaged and was set aside; if the file in a worktree is still whole, \
             'git add --renormalize {path}' caches it anew, else 's3lfs download {path}' fetches it"
        ));
    }
}

fn refuse_raw(config: &GitConfig, raw: &[(Named, Form)]) -> Result<(), CliError> {
    let Some((_, form)) = raw.first() else { return Ok(()) };
    if config.bool("s3lfs.allowraw")?.unwrap_or(false) {
        return Ok(());
    }
    for (named, _) in raw.iter().take(NAMES) {
        ui::warn(format!(
            "{} holds its content in Git, not a pointer (commit {})",
            Printable(&named.path),
            named.commit
        ));
    }
    let (files, filter) = (ui::count(raw.len(), "file"), form.filter());
    Err(CliError::user(format!("push refused: {files} under filter={filter} with raw content"))
        .hint("turn them into pointers: git add --renormalize . && git commit --amend (or rebase, for older commits)")
        .hint("to push them raw all the same: git -c s3lfs.allowraw=true push"))
}

/// The command that sends content which only a file in the worktree has any more, if it is this one.
fn still_here(context: &Context, oid: &Oid, named: &Named) -> String {
    let path = RepoPath::new(named.path.clone()).ok().filter(|_| context.repo.worktree().is_some());
    match path.map(|path| (present_oid(&context.worktree, &path), path)) {
        Some((Ok(Some(present)), path)) if present == *oid => {
            format!("; the file itself still has it: 's3lfs upload {path}' sends it")
        }
        _ => String::new(),
    }
}

/// Where one of `pending` is named.
fn named<'a>(pending: &'a BTreeMap<Item, Named>, oid: &Oid) -> Option<&'a Named> {
    let item = |size| Item { oid: *oid, size };
    pending.range(item(None)..=item(Some(u64::MAX))).next_back().map(|(_, named)| named)
}

/// Content that is not in the store, and may not be missing.
#[derive(Default)]
struct Missing {
    count: usize,
    /// By their cause, of which the store's own (a cleanup that runs) is one for all: the first, and how many.
    causes: BTreeMap<String, (Oid, usize)>,
}

impl Missing {
    fn add(&mut self, exempt: &Exempt, pending: &BTreeMap<Item, Named>, failed: Vec<(Oid, TransferError)>) {
        for (oid, error) in failed {
            let Some(named) = named(pending, &oid) else { continue };
            if exempt.covers(named) {
                ui::warn(format!("{} is not in the store; s3lfs.allowmissing lets it pass", Printable(&named.path)));
                continue;
            }
            self.count += 1;
            // A million may each have one of their own.
            let cause = one_line(error);
            if self.causes.len() < CAUSES || self.causes.contains_key(&cause) {
                self.causes.entry(cause).or_insert((oid, 0)).1 += 1;
            }
        }
    }

    /// Let the push go if there is none.
    fn refuse(self, context: &Context, pending: &BTreeMap<Item, Named>) -> Result<(), CliError> {
        for (why, (oid, count)) in self.causes.iter().take(NAMES) {
            let Some(named) = named(pending, oid) else { continue };
            let others = match count - 1 {
                0 => still_here(context, oid, named),
                n => format!(" (and so for {})", ui::count(n, "other object")),
            };
            ui::warn(format!("{}: {why}{others}", place(oid, named)));
        }
        if self.count == 0 {
            return Ok(());
        }
        let files = ui::count(self.count, "file");
        Err(CliError::user(format!("push refused: the content of {files} is not in the store"))
            .hint("push again when the store answers, or from the clone that has the content")
            .hint(
                "a file that only has the text of a pointer: take the filter from it (a line '<path> -filter' below its \
                 pattern in .gitattributes); content that is lost: git -c s3lfs.allowmissing='<path>' push",
            ))
    }
}
