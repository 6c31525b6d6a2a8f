//! The push gate: nothing is published that names content which is not in the store (design.md,
//! invariant 2).
//!
//! Apart because it is the authority: merges, picks and rebases run no pre-commit, and a commit may
//! have been made without the network.

use std::collections::BTreeMap;

use bstr::{BStr, ByteSlice};

use crate::cli::Global;
use crate::cli::cleanup::sight;
use crate::cli::context::Context;
use crate::cli::error::{CliError, MEND_POINTER, one_line};
use crate::cli::for_git::brought::{Brought, Raws, brought};
use crate::cli::for_git::claims::{Claim, Claims, Lie, Named, Places, Proof, Settled};
use crate::cli::for_git::exempt::Exempt;
use crate::cli::manifest_file;
use crate::cli::own_choice;
use crate::cli::session::{Registered, Session, not_accepted};
use crate::cli::set_up::lfs_driver;
use crate::cli::tracking::bare_pointers;
use crate::cli::tracking::uploads::{self, Uploads};
use crate::cli::ui;
use crate::config::{Acceptance, GitConfig, Settings};
use crate::git::objects::ObjectId;
use crate::git::push::Update;
use crate::oid::Oid;
use crate::repo_path::{Printable, RepoPath};
use crate::transfer::{Item, Patience, TransferError};
use crate::uploaded::Uploaded;
use crate::worktree::present_oid;

/// How many refused files are named before the rest is counted.
pub(super) const NAMES: usize = 20;

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
        tell_damaged(&share.content.damaged);
        bare_pointers::warn_of_pushed(&share.bare);
        share.content.lie.as_ref().map_or(Ok(()), refuse_lying)?;
    }
    for share in shares {
        guard(&context, global, &config, push, share)?;
    }
    Ok(())
}

/// Everything that one store has to have.
fn guard(
    context: &Context,
    global: &Global,
    config: &GitConfig,
    push: &Push<'_>,
    share: Brought,
) -> Result<(), CliError> {
    let url = &sight::known_as(push.url);
    let Settled { mut claims, mut places, .. } = share.content;
    let is_pushed = share.manifest.is_some();
    // A tip without a manifest is read by whoever has one, as his worktree says.
    let manifest = match share.manifest {
        Some(manifest) => Some(manifest),
        None => manifest_file::for_reading(None)?,
    };
    if claims.is_empty() && manifest.is_none() {
        return Ok(());
    }
    let settings = Settings::resolve(&global.overrides(), config, manifest.as_ref())?;
    if let (Some(named), Some(manifest)) = (&settings.instead_of, &manifest) {
        let whose = match is_pushed {
            true => format!("commit {}", short(&share.tip)),
            false => "the worktree".to_owned(),
        };
        return match claims.are_wanted()? {
            true => own_choice::refuse(global, config, &settings, named, (whose, manifest)),
            false => Ok(()),
        };
    }
    if settings.acceptance != Acceptance::Accepted {
        return if claims.is_empty() { Ok(()) } else { Err(not_accepted(&settings)) };
    }
    let state_dir = context.repo.state_dir();
    let unproved = Unproved::of(&mut claims, &Uploaded::open(&state_dir, &settings.remote, &settings.reading)?)?;
    let id = manifest.as_ref().and_then(|m| m.repository_id.as_deref());
    if unproved.count == 0 {
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
        Err(_) if unproved.all_exempt => {
            ui::warn("warning: the store can't be asked; s3lfs.allowmissing lets the push pass");
            return Ok(());
        }
        Err(e) => return Err(unproved.refuse(&mut places, e)),
    };
    let mut outcome = Outcome { places, missing: Missing::default(), wrong: Wrong::default(), unjudged: Vec::new() };
    let mut some = BTreeMap::new();
    claims.each(|claim| {
        if is_pending(&claim, &session.uploaded) {
            some.insert(claim.item, claim);
        }
        if some.len() == AT_ONCE { outcome.ensure(&mut session, &mut some) } else { Ok(()) }
    })?;
    outcome.ensure(&mut session, &mut some)?;
    outcome.judge(context)
}

/// A record is none of the size.
fn is_pending(claim: &Claim, uploaded: &Uploaded) -> bool {
    !uploaded.is_fresh(&claim.item.oid) || claim.doubtful
}

/// Content of which no record says that it is in the store.
struct Unproved {
    count: usize,
    all_exempt: bool,
    first: Vec<Claim>,
}

impl Unproved {
    fn of(claims: &mut Claims, uploaded: &Uploaded) -> Result<Self, CliError> {
        let mut unproved = Unproved { count: 0, all_exempt: true, first: Vec::new() };
        claims.each(|claim| {
            if is_pending(&claim, uploaded) {
                unproved.count += 1;
                unproved.all_exempt &= claim.exempt;
                if unproved.first.len() < NAMES {
                    unproved.first.push(claim);
                }
            }
            Ok(())
        })?;
        Ok(unproved)
    }

    /// The store can't be asked, so nothing is known of this content.
    fn refuse(self, places: &mut Places, why: CliError) -> CliError {
        for claim in &self.first {
            match places.named(claim) {
                Ok(named) => ui::warn(format!("{}: not known to be in the store", place(&claim.item.oid, &named))),
                Err(e) => ui::warn(e.message),
            }
        }
        let files = ui::count(self.count, "object");
        CliError { message: format!("push refused: {files} not known to be in the store: {}", why.message), ..why }
    }
}

/// What came of everything that was looked for.
struct Outcome {
    places: Places,
    missing: Missing,
    wrong: Wrong,
    /// The first whose size could not be compared, and why.
    unjudged: Vec<(Claim, String)>,
}

impl Outcome {
    /// Bring these into the store, if they are not there.
    fn ensure(&mut self, session: &mut Session, some: &mut BTreeMap<Item, Claim>) -> Result<(), CliError> {
        if some.is_empty() {
            return Ok(());
        }
        let Uploads { failed, wrong, unjudged } = uploads::ensure(session, some.keys().copied())?;
        self.missing.add(&mut self.places, some, failed)?;
        for (item, error) in wrong {
            if let Some(claim) = some.get(&item) {
                self.wrong.add(*claim, error);
            }
        }
        let left = NAMES - self.unjudged.len();
        let known = unjudged.into_iter().filter_map(|(item, why)| Some((*some.get(&item)?, one_line(why))));
        self.unjudged.extend(known.take(left));
        some.clear();
        Ok(())
    }

    fn judge(mut self, context: &Context) -> Result<(), CliError> {
        self.missing.refuse(context, &mut self.places)?;
        self.wrong.refuse(&mut self.places)?;
        for (claim, why) in self.unjudged {
            let place = place(&claim.item.oid, &self.places.named(&claim)?);
            ui::warn(format!("warning: {place}: its size could not be compared: {why}"));
        }
        Ok(())
    }
}

/// What is in the store under the oid of a pointer that names another size can't be checked out by anybody.
#[derive(Default)]
struct Wrong {
    /// The first with another size, and the size that the content has.
    lie: Option<(Claim, u64, u64)>,
    /// The first of the others.
    first: Vec<(Claim, String)>,
    count: usize,
}

impl Wrong {
    fn add(&mut self, claim: Claim, error: TransferError) {
        if let (TransferError::WrongSize { right, .. }, Some(size)) = (&error, claim.item.size) {
            self.lie.get_or_insert((claim, size, *right));
            return;
        }
        self.count += 1;
        if self.first.len() < NAMES {
            self.first.push((claim, one_line(error)));
        }
    }

    fn refuse(self, places: &mut Places) -> Result<(), CliError> {
        if let Some((claim, size, right)) = self.lie {
            return refuse_lying(&Lie { named: places.named(&claim)?, size, proof: Proof::Content(right) });
        }
        for (claim, why) in &self.first {
            ui::warn(format!("{}: {why}", place(&claim.item.oid, &places.named(claim)?)));
        }
        if self.count == 0 {
            return Ok(());
        }
        let files = ui::count(self.count, "file");
        Err(CliError::user(format!("push refused: what the store has for {files} is not what the pointers name"))
            .hint(MEND_POINTER))
    }
}

/// A refused file, as it is named to the user.
fn place(oid: &Oid, named: &Named) -> String {
    format!("{} ({oid}, commit {})", Printable(&named.path), short(&named.commit))
}

fn short(commit: &ObjectId) -> &BStr {
    commit[..commit.len().min(12)].as_bstr()
}

fn refuse_lying(Lie { named, size, proof }: &Lie) -> Result<(), CliError> {
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
    for named in damaged {
        let path = Printable(&named.path);
        ui::warn(format!(
            "the cached copy of {path} is damaged and was set aside; if the file in a worktree is still whole, \
             'git add --renormalize {path}' caches it anew, else 's3lfs download {path}' fetches it"
        ));
    }
}

fn refuse_raw(config: &GitConfig, raw: &Raws) -> Result<(), CliError> {
    if raw.count == 0 || config.bool("s3lfs.allowraw")?.unwrap_or(false) {
        return Ok(());
    }
    for named in &raw.named {
        ui::warn(format!(
            "{} holds its content in Git, not a pointer (commit {})",
            Printable(&named.path),
            named.commit
        ));
    }
    let (files, filter) = (ui::count(raw.count, "file"), raw.form.filter());
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

/// Who claims this content.
fn claimed<'a>(some: &'a BTreeMap<Item, Claim>, oid: &Oid) -> Option<&'a Claim> {
    let item = |size| Item { oid: *oid, size };
    some.range(item(None)..=item(Some(u64::MAX))).next_back().map(|(_, claim)| claim)
}

/// Content that is not in the store, and may not be missing.
#[derive(Default)]
struct Missing {
    count: usize,
    /// By their cause, of which the store's own (a cleanup that runs) is one for all: the first, and how many.
    causes: BTreeMap<String, (Claim, usize)>,
}

impl Missing {
    fn add(
        &mut self,
        places: &mut Places,
        some: &BTreeMap<Item, Claim>,
        failed: Vec<(Oid, TransferError)>,
    ) -> Result<(), CliError> {
        for (oid, error) in failed {
            let Some(claim) = claimed(some, &oid) else { continue };
            if claim.exempt {
                let path = places.named(claim)?.path;
                ui::warn(format!("{} is not in the store; s3lfs.allowmissing lets it pass", Printable(&path)));
                continue;
            }
            self.count += 1;
            // A million may each have one of their own.
            let cause = one_line(error);
            if self.causes.len() < CAUSES || self.causes.contains_key(&cause) {
                self.causes.entry(cause).or_insert((*claim, 0)).1 += 1;
            }
        }
        Ok(())
    }

    /// Let the push go if there is none.
    fn refuse(self, context: &Context, places: &mut Places) -> Result<(), CliError> {
        for (why, (claim, count)) in self.causes.iter().take(NAMES) {
            let (oid, named) = (&claim.item.oid, places.named(claim)?);
            let others = match count - 1 {
                0 => still_here(context, oid, &named),
                n => format!(" (and so for {})", ui::count(n, "other object")),
            };
            ui::warn(format!("{}: {why}{others}", place(oid, &named)));
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
