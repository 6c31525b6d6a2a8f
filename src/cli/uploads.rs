//! Bringing content into the store, for the hooks and commands that do: one batch, one record, one
//! line of summary.

use std::collections::{BTreeMap, BTreeSet};

use super::error::CliError;
use super::session::Session;
use super::ui;
use crate::oid::Oid;
use crate::transfer::{Item, Job, Moved, TransferError};
use crate::uploaded::Uploaded;

/// What came of a batch.
#[derive(Debug, Default)]
pub struct Uploads {
    /// Content that is not in the store, and why.
    pub failed: Vec<(Oid, TransferError)>,
}

/// What is taken for granted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Believe {
    /// A fresh record of an earlier upload.
    Records,
    /// Nothing: the user named the files, perhaps because their objects were lost.
    Nothing,
}

/// Upload `items`, but for those that are believed to be there. Without any left, no connection is opened.
pub fn upload(
    session: &mut Session,
    items: impl IntoIterator<Item = Item>,
    believe: Believe,
) -> Result<Uploads, CliError> {
    run(session, items, believe, Job::Upload)
}

/// As [`upload`], for content that a push publishes: what a reading store has need not be in the store.
pub fn ensure(session: &mut Session, items: impl IntoIterator<Item = Item>) -> Result<Uploads, CliError> {
    run(session, items, Believe::Records, Job::Ensure)
}

fn run(
    session: &mut Session,
    items: impl IntoIterator<Item = Item>,
    believe: Believe,
    job: fn(Item) -> Job,
) -> Result<Uploads, CliError> {
    let known = |item: &Item| believe == Believe::Records && session.uploaded.is_fresh(&item.oid);
    let wanted: BTreeSet<Item> = items.into_iter().filter(|item| !known(item)).collect();
    if wanted.is_empty() {
        return Ok(Uploads::default());
    }
    let report = session.transfer.run(wanted.into_iter().map(job));
    let done: Vec<(Oid, Moved)> = report.done.iter().map(|(item, moved)| (item.oid, *moved)).collect();
    note(&mut session.uploaded, &done, CachedIs::Proof)?;
    for (number, reading) in session.transfer.reading().iter().enumerate() {
        let there =
            done.iter().filter(|(_, moved)| matches!(moved, Moved::Elsewhere { store, .. } if *store == number));
        let (count, remote) = (there.count(), reading.remote());
        if count > 0 {
            let objects = ui::count(count, "object");
            ui::say(format!("{objects} only in {remote}: who clones this needs s3lfs.readstore, too"));
        }
    }
    let sent: Vec<u64> = report.done.iter().filter_map(|(_, moved)| bytes_of(*moved)).collect();
    if !sent.is_empty() {
        let bytes = ui::bytes(sent.iter().sum());
        ui::say(format!(
            "Uploaded {} ({bytes}) to {}",
            ui::count(sent.len(), "object"),
            session.transfer.store().remote()
        ));
    }
    Ok(Uploads { failed: report.failed.into_iter().map(|(item, e)| (item.oid, e)).collect() })
}

/// What a job proves of the store that ended without moving a byte.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CachedIs {
    /// That the content is there: it was to be uploaded.
    Proof,
    /// Nothing: it was to be downloaded, and the cache had it.
    NoProof,
}

/// Note in which store each piece of content was proved to be.
pub fn note(uploaded: &mut Uploaded, done: &[(Oid, Moved)], cached: CachedIs) -> Result<(), CliError> {
    let in_store = |moved: &Moved| match moved {
        Moved::Bytes(_) => true,
        Moved::AlreadyThere => cached == CachedIs::Proof,
        Moved::Elsewhere { .. } => false,
    };
    uploaded.add(done.iter().filter(|(_, moved)| in_store(moved)).map(|(oid, _)| *oid))?;
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
        Moved::AlreadyThere | Moved::Elsewhere { .. } => None,
    }
}
