//! `verify`: is everything that is named in the store? Without `--fix` it writes nothing there.

use std::collections::BTreeMap;

use clap::Args;
use serde_json::{Value, json};

use crate::cache::LocalCache;
use crate::cli::Global;
use crate::cli::check::mend::mend;
use crate::cli::check::named::{Name, Named, Scope};
use crate::cli::context::Context;
use crate::cli::error::{CliError, one_line};
use crate::cli::session::{engine, require_readable, settings_for_reading};
use crate::cli::ui;
use crate::config::Settings;
use crate::git::revision::Revision;
use crate::oid::Oid;
use crate::remote::Remote;
use crate::repo_path::{Printable, in_json};
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
    Missing,
    /// Its bytes are other content; why.
    Damaged(String),
    /// It could not be told.
    Unknown(String),
    /// `--fix` put it right.
    Mended,
}

impl State {
    fn word(&self) -> &'static str {
        match self {
            State::Elsewhere => "elsewhere",
            State::Missing => "missing",
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
            State::Missing => "it is not in the store".to_owned(),
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
    named.locate(|item| findings.contains_key(item))?;
    // What nobody names as content is none of ours.
    items.retain(|item| !findings.contains_key(item) || named.names(item).next().is_some());
    findings.retain(|item, _| items.binary_search(item).is_ok());
    for remote in &settings.reading {
        let reading = engine(checking(), &only(remote), Patience::Long);
        look_elsewhere(reading, &mut findings, args.deep);
    }
    if args.fix {
        fix(&context, &settings, &mut transfer, &named, &mut findings)?;
    }
    // A proof of the last days is none any more: the push gate is to ask, and to send what is here.
    let gone = |oid: &Oid| {
        let item =
            |(item, state): (&Item, &State)| item.oid == *oid && matches!(state, State::Missing | State::Damaged(_));
        findings.iter().any(item)
    };
    if findings.values().any(State::is_fault) {
        Uploaded::open(context.repo.state_dir().as_ref(), &settings.remote, &[])?.forget(gone)?;
    }
    report(global, &transfer, &named, &items, &findings)
}

/// Mend, and look again: what counts is that the store gives it back.
fn fix(
    context: &Context,
    settings: &Settings,
    transfer: &mut Transfer,
    named: &Named,
    findings: &mut BTreeMap<Item, State>,
) -> Result<(), CliError> {
    let broken = |state: &State| matches!(state, State::Missing | State::Damaged(_));
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
        if let Some(State::Damaged(text)) = findings.get_mut(&item) {
            text.push_str(&format!("; it can't be mended from here: {why}"));
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
                drop(findings.insert(*item, State::Missing))
            }
            None => {}
        }
    }
    let to_read = |item: &&Item| presence.has_chunks(&item.oid) || deep && presence.has(&item.oid);
    let jobs: Vec<Job> = items.iter().filter(to_read).copied().map(Job::Download).collect();
    if !jobs.is_empty() {
        for (item, error) in transfer.run(jobs).failed {
            let state = match &error {
                TransferError::WrongContent { .. } => State::Damaged(one_line(error)),
                TransferError::Store(e) if e.kind() == Kind::NotFound => State::Missing,
                TransferError::Nowhere { .. } => State::Missing,
                _ => State::Unknown(one_line(error)),
            };
            findings.insert(item, state);
        }
    }
    Ok(findings)
}

/// What a reading store has can be read, and is not missing.
fn look_elsewhere(reading: Result<Transfer, CliError>, findings: &mut BTreeMap<Item, State>, deep: bool) {
    let missing = |state: &State| matches!(state, State::Missing);
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
            json!({
                "path": name.map(|name| in_json(&name.path)),
                "commit": name.and_then(|name| name.commit.as_ref()).map(ToString::to_string),
                "oid": item.oid.hex(),
                "size": item.size,
                "key": store.key(&item.oid).to_string(),
                "state": state,
            })
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
        ui::answer_json("verify", all, errors)?;
    } else {
        for (item, state) in findings.iter().filter(|(_, state)| state.is_fault()) {
            for name in named.names(item) {
                ui::warn(line(store.key(&item.oid).as_ref(), item, name, state));
            }
        }
    }
    let count = |word: &str| findings.values().filter(|state| state.word() == word).count();
    let elsewhere = count("elsewhere");
    if elsewhere > 0 {
        ui::say(format!("{} only in a reading store (s3lfs.readstore)", ui::count(elsewhere, "object")));
    }
    let mended = count("mended");
    if mended > 0 {
        ui::say(format!("{} mended in {}", ui::count(mended, "object"), store.remote()));
    }
    if elsewhere + mended == findings.len() {
        let here = ui::count(items.len() - elsewhere, "object");
        let all = if elsewhere == 0 { "all in" } else { "in" };
        ui::say(format!("{here} named, {all} {}", store.remote()));
        return Ok(());
    }
    let (missing, damaged, unknown) = (count("missing"), count("damaged"), count("unknown"));
    let mut parts = vec![format!("{missing} of {} missing", ui::count(items.len(), "named object"))];
    parts.extend((damaged > 0).then(|| format!("{damaged} damaged")));
    parts.extend((unknown > 0).then(|| format!("{unknown} could not be looked at")));
    let error = CliError::partial(format!("{}: {}", store.remote(), parts.join(", ")));
    Err(match missing + damaged {
        0 => error.hint("run the command again when the cause is mended"),
        _ => error.hint("in a clone that has the content, in its cache or its worktree: 's3lfs verify --deep --fix'"),
    })
}

fn line(key: &str, item: &Item, name: &Name, state: &State) -> String {
    let commit = name.commit.as_ref().map_or(String::new(), |commit| format!(", commit {commit}"));
    let (path, oid) = (Printable(&name.path), item.oid);
    match state {
        State::Missing | State::Elsewhere => format!("missing: {path} (oid {oid}{commit}): there is no object {key}"),
        State::Damaged(why) => format!("damaged: {path} (oid {oid}{commit}): {why}"),
        State::Unknown(why) => format!("not looked at: {path} (oid {oid}{commit}): {why}"),
        State::Mended => format!("mended: {path} (oid {oid}{commit})"),
    }
}
