//! `verify`: is everything that is named in the store? Without `--fix` it writes nothing there.

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;
use serde_json::{Value, json};

use crate::cache::{Health, LocalCache};
use crate::cli::Global;
use crate::cli::check::mend::mend;
use crate::cli::check::named::{Name, Named, Scope};
use crate::cli::check::status::BARE;
use crate::cli::context::Context;
use crate::cli::error::{CliError, MEND_POINTER, one_line};
use crate::cli::session::{FORGOTTEN, MOUNT, engine, require_readable, settings_for_reading};
use crate::cli::ui;
use crate::config::Settings;
use crate::git::revision::Revision;
use crate::oid::Oid;
use crate::remote::Remote;
use crate::repo_path::Printable;
use crate::store::Kind;
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

/// What is wrong with an object.
enum State {
    /// A reading store has it: it can be read, and is not missing.
    Elsewhere,
    /// It is not there; why `--fix` could not write it, if it was to.
    Missing(Option<String>),
    /// Its bytes are other content; why.
    Damaged(String),
    /// It is the pointer that is wrong: its size is not the content's, which is told where it is known.
    WrongSize(Option<u64>),
    /// It could not be told.
    Unknown(String),
    /// `--fix` put it right.
    Mended,
}

impl State {
    fn word(&self) -> &'static str {
        match self {
            State::Elsewhere => "elsewhere",
            State::Missing(_) => "missing",
            State::WrongSize(_) => "wrong size",
            State::Damaged(_) => "damaged",
            State::Unknown(_) => "unknown",
            State::Mended => "mended",
        }
    }

    fn is_fault(&self) -> bool {
        !matches!(self, State::Elsewhere | State::Mended)
    }

    fn why(&self) -> String {
        match self {
            State::Elsewhere => "only a reading store has it".to_owned(),
            State::Mended => "it was mended".to_owned(),
            State::Missing(None) => "it is not in the store".to_owned(),
            State::Missing(Some(why)) => format!("it is not in the store; it can't be mended from here: {why}"),
            State::WrongSize(size) => wrong_size(*size),
            State::Damaged(why) | State::Unknown(why) => why.clone(),
        }
    }
}

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
    let mut items = named.items();
    // Each store by itself: a good copy elsewhere must not hide a damaged one.
    let only = |remote: &Remote| Settings { remote: remote.clone(), reading: Vec::new(), ..settings.clone() };
    let checking = || LocalCache::keeping_nothing(context.repo.state_dir());
    let mut transfer = engine(checking(), &only(&settings.remote), Patience::Long)?;
    let mut findings = find(&mut transfer, &items, args.deep)?;
    compare_sizes(&context.cache(), &mut transfer, &items, &mut findings)?;
    named.locate(|item| findings.contains_key(item))?;
    // What nobody names as content is none of ours.
    items.retain(|item| !findings.contains_key(item) || named.names(item).next().is_some());
    findings.retain(|item, _| items.binary_search(item).is_ok());
    for remote in &settings.reading {
        let reading = engine(checking(), &only(remote), Patience::Long);
        look_elsewhere(reading, &mut findings, args.deep);
    }
    // What is sent to the place where a disk is not mounted nobody finds again.
    let forgotten = transfer.store().is_bare() && !findings.is_empty();
    if args.fix && !forgotten {
        fix(&context, &settings, &mut transfer, &named, &mut findings)?;
    }
    // A proof of the last days is none any more: the push gate is to ask, and to send what is here.
    let gone = |oid: &Oid| {
        let item =
            |(item, state): (&Item, &State)| item.oid == *oid && matches!(state, State::Missing(_) | State::Damaged(_));
        findings.iter().any(item)
    };
    let mut uploaded = Uploaded::open(context.repo.state_dir().as_ref(), &settings.remote, &[])?;
    if findings.values().any(State::is_fault) {
        uploaded.forget(gone)?;
    }
    // Seen, which is no fresh proof: an old object may be one that a cleanup is about to take.
    uploaded.add_seen(items.iter().filter(|item| !findings.contains_key(item)).map(|item| item.oid))?;
    let reported = report(global, &transfer, &named, &items, &findings);
    let remote = transfer.store().remote();
    reported.map_err(|e| if forgotten { e.hint(format!("{remote} {FORGOTTEN}")).hint(MOUNT) } else { e })
}

/// Mend, and look again: what counts is that the store gives it back.
fn fix(
    context: &Context,
    settings: &Settings,
    transfer: &mut Transfer,
    named: &Named,
    findings: &mut BTreeMap<Item, State>,
) -> Result<(), CliError> {
    let broken = |state: &State| matches!(state, State::Missing(_) | State::Damaged(_));
    let broken: Vec<Item> = findings.iter().filter(|(_, state)| broken(state)).map(|(item, _)| *item).collect();
    if broken.is_empty() {
        return Ok(());
    }
    let failed = mend(context, settings, named, &broken)?;
    let written: Vec<Item> = broken.into_iter().filter(|item| !failed.contains_key(item)).collect();
    let mut still = find(transfer, &written, true)?;
    for item in written {
        findings.insert(item, still.remove(&item).unwrap_or(State::Mended));
    }
    for (item, why) in failed {
        match findings.get_mut(&item) {
            // What was read to mend it is the same object.
            Some(State::Damaged(text)) if *text == why => text.push_str("; it can't be mended from here"),
            Some(State::Damaged(text)) => text.push_str(&format!("; it can't be mended from here: {why}")),
            Some(State::Missing(not_mended)) => *not_mended = Some(why),
            _ => {}
        }
    }
    Ok(())
}

/// A revision of the command line.
pub fn revision(text: &str) -> Result<Revision, CliError> {
    Revision::find(text)?.ok_or_else(|| CliError::user(format!("unknown revision '{}'", Printable(text.as_bytes()))))
}

/// `items` are sorted.
fn find(transfer: &mut Transfer, items: &[Item], deep: bool) -> Result<BTreeMap<Item, State>, CliError> {
    let mut oids: Vec<Oid> = items.iter().map(|item| item.oid).collect();
    oids.dedup();
    let presence = transfer.which_are_there(oids)?;
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
    let to_read = |item: &&Item| presence.has_chunks(&item.oid) || deep && presence.has(&item.oid);
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
fn look_elsewhere(reading: Result<Transfer, CliError>, findings: &mut BTreeMap<Item, State>, deep: bool) {
    let missing = |state: &State| matches!(state, State::Missing(_));
    let wanted: Vec<Item> = findings.iter().filter(|(_, state)| missing(state)).map(|(item, _)| *item).collect();
    if wanted.is_empty() {
        return;
    }
    match reading.and_then(|mut transfer| find(&mut transfer, &wanted, deep)) {
        Ok(mut there) => {
            for item in wanted {
                findings.insert(item, there.remove(&item).unwrap_or(State::Elsewhere));
            }
        }
        Err(e) => {
            for item in wanted {
                findings.insert(item, State::Unknown(e.message.clone()));
            }
        }
    }
}

fn report(
    global: &Global,
    transfer: &Transfer,
    named: &Named,
    items: &[Item],
    findings: &BTreeMap<Item, State>,
) -> Result<(), CliError> {
    let store = transfer.store();
    if global.json {
        let entry = |item: &Item, name: Option<&Name>, state: &str| -> Value {
            let item = json!({
                "path": null,
                "commit": name.and_then(|name| name.commit.as_ref()).map(ToString::to_string),
                "oid": item.oid.hex(),
                "size": item.size,
                "key": store.key(&item.oid).to_string(),
                "state": state,
            });
            name.map_or(item.clone(), |name| ui::with_path(&name.path, item))
        };
        let all = items.iter().flat_map(|item| {
            let word = findings.get(item).map_or("ok", State::word);
            let mut names: Vec<Option<&Name>> = named.names(item).map(Some).collect();
            if names.is_empty() {
                names.push(None);
            }
            names.into_iter().map(move |name| entry(item, name, word))
        });
        let faults = findings.iter().filter(|(_, state)| state.is_fault());
        let errors = faults.flat_map(|(item, state)| {
            named.names(item).map(|name| {
                let mut error = entry(item, Some(name), state.word());
                error["error"] = state.why().into();
                error
            })
        });
        let bare = named.bare.iter().map(|(name, pointer)| entry(&(*pointer).into(), Some(name), BARE));
        ui::answer_json("verify", all.chain(bare), errors)?;
    } else {
        if let Some((first, _)) = named.bare.first() {
            ui::warn(format!(
                "warning: {} under no pattern not looked at, since nothing turns them into content (the first: {})",
                ui::count(named.bare.len(), "pointer"),
                Printable(&first.path)
            ));
        }
        for (item, state) in findings.iter().filter(|(_, state)| state.is_fault()) {
            for name in named.names(item) {
                ui::warn(line(store.key(&item.oid).as_ref(), item, name, state));
            }
        }
    }
    // What is named with its size by a pointer and without one by a manifest is one object.
    let count = |word: &str| {
        let mut oids: Vec<Oid> =
            findings.iter().filter(|(_, state)| state.word() == word).map(|(item, _)| item.oid).collect();
        oids.dedup();
        oids.len()
    };
    let objects = items.chunk_by(|a, b| a.oid == b.oid).count();
    let elsewhere = count("elsewhere");
    if elsewhere > 0 {
        ui::say(format!("{} only in a reading store (s3lfs.readstore)", ui::count(elsewhere, "object")));
    }
    let mended = count("mended");
    if mended > 0 {
        ui::say(format!("{} mended in {}", ui::count(mended, "object"), store.remote()));
    }
    if !findings.values().any(State::is_fault) {
        let here = ui::count(objects - elsewhere, "object");
        let all = if elsewhere == 0 { "all in" } else { "in" };
        ui::say(format!("{here} named, {all} {}", store.remote()));
        return Ok(());
    }
    let (missing, damaged, unknown) = (count("missing"), count("damaged"), count("unknown"));
    let wrong = count("wrong size");
    let mut parts = vec![format!("{missing} of {} missing", ui::count(objects, "named object"))];
    parts.extend((wrong > 0).then(|| format!("{wrong} under a pointer with a wrong size")));
    parts.extend((damaged > 0).then(|| format!("{damaged} damaged")));
    parts.extend((unknown > 0).then(|| format!("{unknown} could not be looked at")));
    let error = CliError::partial(format!("{}: {}", store.remote(), parts.join(", ")));
    let error = if wrong == 0 { error } else { error.hint(MEND_POINTER) };
    let tried = |state: &State| matches!(state, State::Missing(Some(_)));
    Err(match missing + damaged {
        0 if unknown == 0 => error,
        0 => error.hint("run the command again when the cause is mended"),
        _ if findings.values().any(tried) => error.hint(
            "run it again when the cause is mended, or in a clone that has the content, in its cache or its worktree",
        ),
        _ => error.hint("in a clone that has the content, in its cache or its worktree: 's3lfs verify --deep --fix', with the --all or the commit that was said here"),
    })
}

fn wrong_size(size: Option<u64>) -> String {
    size.map_or("the content has another size".to_owned(), |size| format!("the content has {size} bytes"))
}

fn line(key: &str, item: &Item, name: &Name, state: &State) -> String {
    let commit = name.commit.as_ref().map_or(String::new(), |commit| format!(", commit {commit}"));
    let (path, oid) = (Printable(&name.path), item.oid);
    match state {
        State::Missing(None) | State::Elsewhere => {
            format!("missing: {path} (oid {oid}{commit}): there is no object {key}")
        }
        State::Missing(Some(why)) => format!(
            "missing: {path} (oid {oid}{commit}): there is no object {key}; it can't be mended from here: {why}"
        ),
        State::WrongSize(size) => {
            let named = item.size.map_or(String::new(), |size| format!(" {size} bytes"));
            format!("wrong size: {path} (oid {oid}{commit}): the pointer names{named}, but {}", wrong_size(*size))
        }
        State::Damaged(why) => format!("damaged: {path} (oid {oid}{commit}): {why}"),
        State::Unknown(why) => format!("not looked at: {path} (oid {oid}{commit}): {why}"),
        State::Mended => format!("mended: {path} (oid {oid}{commit})"),
    }
}
