//! Bringing content into the store, for the hooks and commands that do: one batch, one record, one
//! line of summary.

use std::collections::BTreeSet;

use super::error::CliError;
use super::session::Session;
use super::ui;
use crate::oid::Oid;
use crate::transfer::{Item, Job, Moved, TransferError};

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
    let known = |item: &Item| believe == Believe::Records && session.uploaded.is_fresh(&item.oid);
    let wanted: BTreeSet<Item> = items.into_iter().filter(|item| !known(item)).collect();
    if wanted.is_empty() {
        return Ok(Uploads::default());
    }
    let report = session.transfer.run(wanted.into_iter().map(Job::Upload));
    session.uploaded.add(report.done.iter().map(|(item, _)| item.oid))?;
    session.share();
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

/// What was moved, unless it was there.
pub fn bytes_of(moved: Moved) -> Option<u64> {
    match moved {
        Moved::Bytes(n) => Some(n),
        Moved::AlreadyThere => None,
    }
}
