//! `verify`: is everything that is named in the store? Without `--fix` it writes nothing there.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use clap::Args;

use crate::cache::{Health, LocalCache};
use crate::cli::Global;
use crate::cli::check::findings::{Findings, State};
use crate::cli::check::mend::Mender;
use crate::cli::check::named::{Named, Scope};
use crate::cli::check::verified::Verified;
use crate::cli::context::Context;
use crate::cli::error::{CliError, one_line};
use crate::cli::manifest_file;
use crate::cli::session::{FORGOTTEN, MOUNT, engine, require_readable, settings_for_reading};
use crate::cli::ui;
use crate::config::{Settings, is_one_place};
use crate::git::batch::Batch;
use crate::git::revision::Revision;
use crate::manifest::Manifest;
use crate::oid::Oid;
use crate::remote::Remote;
use crate::repo_path::Printable;
use crate::shell_word::quoted;
use crate::store::Kind;
use crate::store::codec::may_encode;
use crate::transfer::{Item, Job, Patience, Transfer, TransferError};
use crate::uploaded::Uploaded;

/// Arguments of `verify`.
#[derive(Args, Debug)]
pub struct Verify {
    /// A commit (all of its tree), or A..B (what its commits add); else the index
    #[arg(value_name = "REV|A..B", conflicts_with = "all")]
    revision: Option<String>,
    /// Everything that refs, reflogs, stashes and indexes reach
    #[arg(long)]
    all: bool,
    /// Download each object, and compare its content with its name
    #[arg(long)]
    deep: bool,
    /// Write what is missing or was found damaged into the store, from whole copies that are here
    #[arg(long)]
    fix: bool,
}

/// Content that is looked for at once: what is known of it is held in memory. As many as a commit often has, since each
/// time the store is asked anew.
const AT_ONCE: usize = 100_000;

/// Content that is mended at once.
const MENDED: usize = 10_000;

/// Look for what is named, and report what is not as it should be.
pub fn run(global: &Global, args: Verify) -> Result<(), CliError> {
    let of_commits = args.all || args.revision.is_some();
    let context = if of_commits { Context::open_also_bare()? } else { Context::open()? };
    let scope = match &args.revision {
        Some(text) => Scope::At(revision(text)?),
        None if args.all => Scope::Everything,
        None => Scope::Index,
    };
    let mut named = Named::within(&scope, &context)?;
    let settings = settings_for_reading(global)?;
    require_readable(&settings)?;
    // Each store by itself: a good copy elsewhere must not hide a damaged one.
    let engine = |remote: &Remote| {
        let only = Settings { remote: remote.clone(), reading: Vec::new(), ..settings.clone() };
        engine(LocalCache::keeping_nothing(context.repo.state_dir()), &only, Patience::Long)
    };
    let transfer = engine(&settings.remote)?;
    let reading = settings.reading.iter().map(&engine).collect();
    let mut looking = Looking { transfer, reading, cache: context.cache(), deep: args.deep };
    let mut findings = Findings::default();
    named.names.chunks(AT_ONCE, |items| {
        looking.look(items)?.iter().try_for_each(|(item, state)| findings.push(item, state))
    })?;
    // What nobody names as content is none of ours.
    let mut found = findings.read()?;
    named.locate(|item| Ok(found.of(item)?.is_some()))?;
    drop(found);
    let mut verified = Verified { names: named.names, findings };
    let counts = verified.count()?;
    // What is sent to the place where a disk is not mounted nobody finds again.
    let forgotten = looking.transfer.store().is_bare() && counts.findings > 0;
    let counts = match args.fix && !forgotten && counts.broken > 0 {
        true => {
            verified = fix(Mender::open(&context, &settings)?, &mut looking.transfer, verified)?;
            verified.count()?
        }
        false => counts,
    };
    record(&mut verified, &mut Uploaded::open(context.repo.state_dir().as_ref(), &settings.remote, &[])?)?;
    let store = looking.transfer.store();
    let reported = verified.report(global, store).and_then(|()| counts.judge(store));
    let Err(e) = reported else { return Ok(()) };
    if forgotten {
        return Err(e.hint(format!("{} {FORGOTTEN}", store.remote())).hint(MOUNT));
    }
    Err(elsewhere(&scope, &args, store.remote())?.into_iter().fold(e, CliError::hint))
}

/// A commit may name another store than the one that was asked, and its content may be there: how to look.
fn elsewhere(scope: &Scope, args: &Verify, asked: &Remote) -> Result<Option<String>, CliError> {
    let (Scope::At(revision), Some(text)) = (scope, &args.revision) else { return Ok(None) };
    let tips = match revision {
        Revision::Single(id) => std::slice::from_ref(id),
        Revision::Range { tips, .. } => tips,
    };
    let mut objects = Batch::start()?;
    for tip in tips {
        let Some(Manifest { bucket_name, repo_prefix, endpoint_url, .. }) = manifest_file::at(&mut objects, tip)?
        else {
            continue;
        };
        let Ok(named) = Remote::new(&bucket_name, &repo_prefix, endpoint_url.as_deref()) else { continue };
        if !is_one_place(&named, asked) {
            let endpoint = endpoint_url.map(|url| format!(" --endpoint-url {}", quoted(&url))).unwrap_or_default();
            let (bucket, prefix, revision) = (quoted(&bucket_name), quoted(&repo_prefix), quoted(text));
            return Ok(Some(format!(
                "the manifest of {} names {named}, and its content may be there: s3lfs verify --bucket {bucket} \
                 --repo-prefix {prefix}{endpoint} {revision}",
                Printable(text.as_bytes())
            )));
        }
    }
    Ok(None)
}

/// Mend, and look again: what counts is that the store gives it back.
fn fix(mut mender: Mender<'_>, transfer: &mut Transfer, verified: Verified) -> Result<Verified, CliError> {
    let Verified { mut names, mut findings } = verified;
    let mut after = Findings::default();
    let mut mend = |some: &mut Vec<(Item, State)>, mender: &mut Mender<'_>| {
        let broken: Vec<Item> = some.iter().filter(|(_, state)| state.is_broken()).map(|(item, _)| *item).collect();
        let failed = mender.write(&broken)?;
        let written: Vec<Item> = broken.into_iter().filter(|item| !failed.contains_key(item)).collect();
        let still = find(transfer, &written, true)?;
        some.drain(..).try_for_each(|(item, state)| {
            let state = match state {
                state if !state.is_broken() => state,
                state => match failed.get(&item) {
                    Some(why) => not_mended(state, why),
                    None => still.get(&item).cloned().unwrap_or(State::Mended),
                },
            };
            after.push(&item, &state)
        })
    };
    let (mut some, mut found) = (Vec::new(), findings.read()?);
    names.each(|group, places| {
        let Some(state) = found.of(&group.item)? else { return Ok(()) };
        if state.is_broken() {
            mender.find(group, places)?;
        }
        some.push((group.item, state));
        if some.len() == MENDED { mend(&mut some, &mut mender) } else { Ok(()) }
    })?;
    mend(&mut some, &mut mender)?;
    Ok(Verified { names, findings: after })
}

fn not_mended(state: State, why: &str) -> State {
    match state {
        // What was read to mend it is the same object.
        State::Damaged(text) if text == why => State::Damaged(format!("{text}; it can't be mended from here")),
        State::Damaged(text) => State::Damaged(format!("{text}; it can't be mended from here: {why}")),
        _ => State::Missing(Some(why.to_owned())),
    }
}

/// What was seen is known for a time; and a proof of the last days is none any more where nothing is: the push gate is to
/// ask, and to send what is here.
fn record(verified: &mut Verified, uploaded: &mut Uploaded) -> Result<(), CliError> {
    let (mut seen, mut gone): (Vec<Oid>, Vec<Oid>) = Default::default();
    let mut note = |seen: &mut Vec<Oid>, gone: &mut Vec<Oid>| -> Result<(), CliError> {
        if !gone.is_empty() {
            uploaded.forget(|oid| gone.binary_search(oid).is_ok())?;
        }
        // Which is no fresh proof: an old object may be one that a cleanup is about to take.
        uploaded.add_seen(seen.drain(..))?;
        gone.clear();
        Ok(())
    };
    verified.each(|group, state, _| {
        let oid = group.item.oid;
        if seen.len() + gone.len() >= AT_ONCE && seen.last().max(gone.last()) != Some(&oid) {
            note(&mut seen, &mut gone)?;
        }
        match state {
            None => seen.push(oid),
            Some(state) if state.is_broken() => gone.push(oid),
            Some(_) => {}
        }
        Ok(())
    })?;
    note(&mut seen, &mut gone)
}

/// A revision of the command line.
pub fn revision(text: &str) -> Result<Revision, CliError> {
    Revision::find(text)?.ok_or_else(|| CliError::user(format!("unknown revision '{}'", Printable(text.as_bytes()))))
}

/// Where content is looked for.
struct Looking {
    transfer: Transfer,
    /// The stores that are only read, each by itself.
    reading: Vec<Result<Transfer, CliError>>,
    cache: LocalCache,
    deep: bool,
}

impl Looking {
    /// What is wrong with these, which are sorted.
    fn look(&mut self, items: &[Item]) -> Result<BTreeMap<Item, State>, CliError> {
        let mut findings = find(&mut self.transfer, items, self.deep)?;
        compare_sizes(&self.cache, &mut self.transfer, items, &mut findings)?;
        for reading in &mut self.reading {
            look_elsewhere(reading, &mut findings, self.deep);
        }
        Ok(findings)
    }
}

/// `items` are sorted.
fn find(transfer: &mut Transfer, items: &[Item], deep: bool) -> Result<BTreeMap<Item, State>, CliError> {
    let mut oids: Vec<Oid> = items.iter().map(|item| item.oid).collect();
    oids.dedup();
    let doubtful = RefCell::new(BTreeSet::new());
    let presence = transfer.which_may_be_there(oids, |oid, len| {
        if !may_hold(items, oid, len) {
            doubtful.borrow_mut().insert(*oid);
        }
        true
    })?;
    let doubtful = doubtful.into_inner();
    let mut findings = BTreeMap::new();
    let mut unknown: BTreeMap<Oid, String> = BTreeMap::new();
    unknown.extend(presence.unknown.iter().map(|(oid, e)| (*oid, one_line(e.clone()))));
    for item in items {
        match unknown.get(&item.oid) {
            Some(why) => drop(findings.insert(*item, State::Unknown(why.clone()))),
            None if !presence.has(&item.oid) && !presence.has_chunks(&item.oid) => {
                drop(findings.insert(*item, State::Missing(None)))
            }
            None => {}
        }
    }
    // Whether the object is wrong or the pointer's size, only reading tells.
    let is_read = |oid: &Oid| deep || doubtful.contains(oid);
    let to_read = |item: &&Item| presence.has_chunks(&item.oid) || is_read(&item.oid) && presence.has(&item.oid);
    let jobs: Vec<Job> = items.iter().filter(to_read).copied().map(Job::Download).collect();
    if !jobs.is_empty() {
        for (item, error) in ui::progress::run(transfer, "Reading", jobs.iter().copied()).failed {
            let state = match &error {
                TransferError::WrongContent { .. } => State::Damaged(one_line(error)),
                TransferError::WrongSize { right, .. } => State::WrongSize(Some(*right)),
                TransferError::Store(e) if e.kind() == Kind::NotFound => State::Missing(None),
                TransferError::Nowhere { .. } => State::Missing(None),
                _ => State::Unknown(one_line(error)),
            };
            findings.insert(item, state);
        }
    }
    accuse_pointers(transfer, &mut findings);
    Ok(findings)
}

/// Whether an object of `len` bytes may hold what each of `items`, which are sorted, names by this oid.
fn may_hold(items: &[Item], oid: &Oid, len: u64) -> bool {
    let first = items.partition_point(|item| item.oid < *oid);
    let mut sizes = items[first..].iter().take_while(|item| item.oid == *oid).filter_map(|item| item.size);
    sizes.all(|size| may_encode(len, size))
}

/// What looks damaged may be whole content under a pointer that names another size.
fn accuse_pointers(transfer: &mut Transfer, findings: &mut BTreeMap<Item, State>) {
    let suspect =
        |(item, state): (&Item, &State)| (item.size.is_some() && matches!(state, State::Damaged(_))).then_some(*item);
    let suspects: Vec<Item> = findings.iter().filter_map(suspect).collect();
    if suspects.is_empty() {
        return;
    }
    let any_size: BTreeSet<Item> = suspects.iter().map(|item| Item::from(item.oid)).collect();
    let report = ui::progress::run(transfer, "Reading", any_size.iter().copied().map(Job::Download));
    let whole: BTreeSet<Oid> = report.done.iter().map(|(item, _)| item.oid).collect();
    for item in suspects.into_iter().filter(|item| whole.contains(&item.oid)) {
        findings.insert(item, State::WrongSize(None));
    }
}

/// Two pointers to one content that name different sizes: one of them is wrong. This clone's cache may
/// know which; else the object is read.
fn compare_sizes(
    cache: &LocalCache,
    transfer: &mut Transfer,
    items: &[Item],
    findings: &mut BTreeMap<Item, State>,
) -> Result<(), CliError> {
    let sized: Vec<Item> = items.iter().filter(|item| item.size.is_some()).copied().collect();
    let mut unsettled = Vec::new();
    for same in sized.chunk_by(|a, b| a.oid == b.oid) {
        let cached = cache.find(&same[0].oid, None).map(|cached| cached.size);
        if same.len() == 1 && cached.is_none_or(|size| same[0].size == Some(size)) {
            continue;
        }
        match cached.filter(|_| matches!(cache.examine(&same[0].oid), Ok(Health::Sound(_)))) {
            Some(size) => {
                for item in same.iter().filter(|item| item.size != Some(size)) {
                    findings.insert(*item, State::WrongSize(Some(size)));
                }
            }
            None if same.len() > 1 && !same.iter().any(|item| findings.contains_key(item)) => {
                unsettled.extend_from_slice(same);
            }
            None => {}
        }
    }
    if !unsettled.is_empty() {
        findings.extend(find(transfer, &unsettled, true)?);
    }
    Ok(())
}

/// What a reading store has can be read, and is not missing.
fn look_elsewhere(reading: &mut Result<Transfer, CliError>, findings: &mut BTreeMap<Item, State>, deep: bool) {
    let missing = |state: &State| matches!(state, State::Missing(_));
    let wanted: Vec<Item> = findings.iter().filter(|(_, state)| missing(state)).map(|(item, _)| *item).collect();
    if wanted.is_empty() {
        return;
    }
    let found = match reading {
        Ok(transfer) => find(transfer, &wanted, deep).map_err(|e| e.message),
        Err(e) => Err(e.message.clone()),
    };
    match found {
        Ok(mut there) => {
            for item in wanted {
                findings.insert(item, there.remove(&item).unwrap_or(State::Elsewhere));
            }
        }
        Err(why) => {
            for item in wanted {
                findings.insert(item, State::Unknown(why.clone()));
            }
        }
    }
}
