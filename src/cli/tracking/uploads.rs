//! Bringing content into the store, for the hooks and commands that do: one batch, one record, one
//! line of summary.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use bstr::BString;

use crate::cli::cleanup::sight;
use crate::cli::context::Context;
use crate::cli::error::{CliError, one_line};
use crate::cli::own_choice;
use crate::cli::session::{Session, not_accepted};
use crate::cli::tracking::published;
use crate::cli::ui;
use crate::cli::ui::progress::Travelled;
use crate::config::{Acceptance, Settings};
use crate::manifest::Manifest;
use crate::oid::Oid;
use crate::repo_path::Printable;
use crate::transfer::{Item, Job, Judged, Moved, Patience, Report, TransferError};
use crate::uploaded::Uploaded;

/// What came of a batch.
#[derive(Debug, Default)]
pub struct Uploads {
    /// Content that is not in the store, and why.
    pub failed: Vec<(Oid, TransferError)>,
    /// Of a push: what is in the store, and nobody could check out. No record says that it is there.
    pub wrong: Vec<(Item, TransferError)>,
    /// Of a push: what is there, with a size that could not be compared. No record, either.
    pub unjudged: Vec<(Item, TransferError)>,
}

/// What is taken for granted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Believe {
    /// A fresh record of an earlier upload.
    Records,
    /// Nothing: the user named the files, perhaps because their objects were lost.
    Nothing,
}

/// Upload `wanted` (each with a path that names it, for messages); an error if any of it failed.
pub fn upload_all(
    context: &Context,
    settings: &Settings,
    manifest: &Manifest,
    wanted: &BTreeMap<Item, BString>,
    how: How,
) -> Result<(), CliError> {
    let mut failed = upload_each(context, settings, manifest, wanted, how)?.into_iter();
    let Some((oid, error)) = failed.next() else { return Ok(()) };
    let path = wanted.iter().find(|(item, _)| item.oid == oid).map(|(_, path)| Printable(path).to_string());
    let rest = failed.len();
    let more = if rest > 0 { format!(", and {}", ui::count(rest, "other object")) } else { String::new() };
    Err(CliError::user(format!("{}: {}{more}", path.unwrap_or_default(), one_line(error))))
}

/// How an upload goes about it.
#[derive(Clone, Copy, Debug)]
pub struct How {
    /// How long a failing service is waited for.
    pub patience: Patience,
    /// What is taken for granted.
    pub believe: Believe,
}

/// As [`upload_all`], with all that failed as the answer.
pub fn upload_each(
    context: &Context,
    settings: &Settings,
    manifest: &Manifest,
    wanted: &BTreeMap<Item, BString>,
    how: How,
) -> Result<Vec<(Oid, TransferError)>, CliError> {
    if settings.acceptance != Acceptance::Accepted {
        return Err(not_accepted(settings));
    }
    own_choice::warn(settings);
    let mut session = Session::open(context, settings, how.patience)?;
    session.register(manifest.repository_id.as_deref(), None)?;
    Ok(upload(&mut session, wanted.keys().copied(), how.believe)?.failed)
}

/// Upload `items`, but for those that are believed to be there. Without any left, no connection is opened.
pub fn upload(
    session: &mut Session,
    items: impl IntoIterator<Item = Item>,
    believe: Believe,
) -> Result<Uploads, CliError> {
    run(session, items, believe, Job::Upload, Sizes::AsNamed)
}

/// As [`upload`], for content that a push publishes: what a reading store has need not be in the store.
pub fn ensure(session: &mut Session, items: impl IntoIterator<Item = Item>) -> Result<Uploads, CliError> {
    let items: BTreeSet<Item> = items.into_iter().collect();
    // A record is none of the size: whoever asks for what is known doubts that.
    let known: Vec<Item> = items.iter().filter(|item| session.uploaded.is_fresh(&item.oid)).copied().collect();
    let mut uploads = run(session, items, Believe::Records, Job::Ensure, Sizes::Judge)?;
    let judged = judge(session, &known)?;
    uploads.wrong.extend(judged.wrong);
    uploads.unjudged.extend(judged.unjudged);
    Ok(uploads)
}

/// Whether the sizes are compared that the store has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sizes {
    Judge,
    AsNamed,
}

/// Compare the sizes of what is in the store. What does not pass is forgotten: else a second push would not ask.
fn judge(session: &mut Session, items: &[Item]) -> Result<Judged, CliError> {
    let judged = session.transfer.wrong_sizes(items);
    let doubted = judged.not_right();
    if !doubted.is_empty() {
        session.uploaded.forget(|oid| doubted.contains(oid))?;
    }
    Ok(judged)
}

fn run(
    session: &mut Session,
    items: impl IntoIterator<Item = Item>,
    believe: Believe,
    job: fn(Item) -> Job,
    sizes: Sizes,
) -> Result<Uploads, CliError> {
    let known = |item: &Item| believe == Believe::Records && session.uploaded.is_fresh(&item.oid);
    let wanted: BTreeSet<Item> = items.into_iter().filter(|item| !known(item)).collect();
    if wanted.is_empty() {
        return Ok(Uploads::default());
    }
    let alone = session.transfer.reading().is_empty();
    let Session { transfer, uploaded, .. } = &mut *session;
    let likely_there = |item: &Item| alone && uploaded.has(&item.oid);
    let jobs = wanted.iter().map(|item| if likely_there(item) { Job::Prove(*item) } else { job(*item) });
    let begun = Instant::now();
    let mut report = ui::progress::run(transfer, "Uploading", jobs);
    drop(wanted);
    settle_aged(session, &mut report)?;
    // Before anything is noted: who is killed in between must find no record, either.
    let judged = match sizes {
        Sizes::Judge => judge(session, &report.done.iter().map(|(item, _)| *item).collect::<Vec<_>>())?,
        Sizes::AsNamed => Judged::default(),
    };
    let doubted = judged.not_right();
    let done = report.done.iter().map(|(item, moved)| (item.oid, *moved));
    let done: Vec<(Oid, Moved)> = done.filter(|(oid, _)| !doubted.contains(oid)).collect();
    note(&mut session.uploaded, &done, Way::Up)?;
    session.share();
    for (number, reading) in session.transfer.reading().iter().enumerate() {
        let there =
            done.iter().filter(|(_, moved)| matches!(moved, Moved::Elsewhere { store, .. } if *store == number));
        let (count, remote) = (there.count(), reading.remote());
        if count > 0 {
            let objects = ui::count(count, "object");
            ui::say(format!("{objects} only in {remote}: who clones this needs s3lfs.readstore, too"));
        }
    }
    let mut sent = Travelled::default();
    for (item, moved) in &report.done {
        bytes_of(*moved).into_iter().for_each(|bytes| sent.add(item, bytes));
    }
    if !sent.is_empty() {
        ui::say(format!("Uploaded {} to {}", sent.summary(begun), session.transfer.store().remote()));
    }
    let failed = report.failed.into_iter().map(|(item, e)| (item.oid, e)).collect();
    Ok(Uploads { failed, wrong: judged.wrong, unjudged: judged.unjudged })
}

/// An old object counts as uploaded if something published names it; else it is written again, so that
/// its age starts anew (design.md, section 4, "Fresh record").
fn settle_aged(session: &mut Session, report: &mut Report) -> Result<(), CliError> {
    let aged: Vec<_> = report.done.extract_if(.., |(_, moved)| *moved == Moved::Aged).collect();
    if aged.is_empty() {
        return Ok(());
    }
    let oids: BTreeSet<Oid> = aged.iter().map(|(item, _)| item.oid).collect();
    let mut published = published::among(&oids, &session.published)?;
    if published.len() < oids.len()
        && let Some(url) = session.pushed_to.take()
    {
        // A new branch tells nothing of what the remote has, and sending a whole history's content again
        // takes longer than asking.
        session.published.extend(sight::advertised_and_here(&url)?);
        published = published::among(&oids, &session.published)?;
    }
    let (kept, unnamed): (Vec<_>, Vec<_>) = aged.into_iter().partition(|(item, _)| published.contains(&item.oid));
    report.done.extend(kept.into_iter().map(|(item, _)| (item, Moved::AlreadyThere)));
    let renewed =
        ui::progress::run(&mut session.transfer, "Uploading", unnamed.iter().map(|(item, _)| Job::Renew(*item)));
    report.done.extend(renewed.done);
    report.failed.extend(renewed.failed);
    Ok(())
}

/// Which way content went: that is what its end proves of the store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// Into the store.
    Up,
    /// From the store: it is there, but may be so old that a cleanup takes it.
    Down,
}

/// Note in which store each piece of content was seen.
pub fn note(uploaded: &mut Uploaded, done: &[(Oid, Moved)], way: Way) -> Result<(), CliError> {
    let with = |moved: fn(&Moved) -> bool| done.iter().filter(move |(_, m)| moved(m)).map(|(oid, _)| *oid);
    match way {
        Way::Up => uploaded.add(with(|moved| matches!(moved, Moved::Bytes(_) | Moved::AlreadyThere)))?,
        // What was in the cache already tells nothing.
        Way::Down => uploaded.add_seen(with(|moved| matches!(moved, Moved::Bytes(_))))?,
    }
    let mut elsewhere: BTreeMap<usize, Vec<Oid>> = BTreeMap::new();
    for (oid, moved) in done {
        if let Moved::Elsewhere { store, .. } = moved {
            elsewhere.entry(*store).or_default().push(*oid);
        }
    }
    elsewhere.into_iter().try_for_each(|(store, oids)| Ok(uploaded.add_elsewhere(store, oids)?))
}

/// What was moved, unless it was there.
pub fn bytes_of(moved: Moved) -> Option<u64> {
    match moved {
        Moved::Bytes(n) => Some(n),
        Moved::AlreadyThere | Moved::Aged | Moved::Elsewhere { .. } => None,
    }
}
