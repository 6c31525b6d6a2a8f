//! What the sweep announces in the store, so that whoever writes an old object again waits for its end.
//!
//! Apart because it is the deleting half of an agreement; `store::sweeping` says why nothing is lost.

use std::collections::BTreeMap;
use std::time::SystemTime;

use crate::cli::error::CliError;
use crate::cli::ui;
use crate::store::key::Asset;
use crate::store::sweeping::{DELETES, STALE, Sweep, SweepState};
use crate::store::{Kind, StoreError};
use crate::transfer::{Deadline, Transfer};

/// A sweep that is known to others.
#[derive(Default)]
pub struct Announced {
    /// What we wrote last.
    sweep: Option<Sweep>,
    /// When the cleanup whose state we took over wrote it, if it may still be deleting.
    other: Option<SystemTime>,
    /// The answer to a deletion was lost: nobody knows whether it is still to come.
    unanswered: bool,
}

/// Whether a batch may go.
pub enum Leave {
    /// Until then.
    Until(Deadline),
    /// The store is full and takes no word from us: nobody else can write there either.
    Full(CliError),
}

impl Announced {
    /// Announce the next batch, before it is listed.
    pub fn batch(&mut self, transfer: &mut Transfer) -> Result<Leave, CliError> {
        let store = transfer.store().clone();
        let found = transfer.ask(|| store.sweep_state())?;
        let sweep = match &self.sweep {
            Some(ours) => {
                require_ours(found.as_ref(), ours)?;
                ours.next()
            }
            None => {
                self.other = found.as_ref().filter(|state| state.is_running(store.now())).map(|state| state.modified);
                Sweep::new(uuid::Uuid::new_v4().to_string())
            }
        };
        // Its time begins before it can be there.
        let deadline = Deadline::after(DELETES);
        match put(transfer, &sweep, found.as_ref()) {
            Err(e) if e.kind() == Kind::Precondition => return Err(another_began()),
            Err(e) if e.kind() == Kind::Full && self.sweep.is_none() => return Ok(Leave::Full(e.into())),
            done => done?,
        }
        self.sweep = Some(sweep);
        Ok(Leave::Until(deadline))
    }

    /// Require that no other cleanup began since.
    pub fn require_ours(&self, transfer: &mut Transfer) -> Result<(), CliError> {
        let store = transfer.store().clone();
        match &self.sweep {
            Some(ours) => require_ours(transfer.ask(|| store.sweep_state())?.as_ref(), ours),
            None => Ok(()),
        }
    }

    /// Delete once: what is still there, and why. A service that did not answer may do it later.
    pub fn delete(
        &mut self,
        transfer: &mut Transfer,
        assets: &[Asset],
        deadline: Deadline,
    ) -> BTreeMap<Asset, StoreError> {
        let failed: BTreeMap<Asset, StoreError> = transfer.delete(assets, deadline).into_iter().collect();
        self.unanswered |= transfer.store().is_service() && failed.values().any(StoreError::is_unanswered);
        failed
    }

    /// Tell that nothing is deleted any more. Where that fails, others find out by the state's age.
    pub fn end(self, transfer: &mut Transfer) {
        let store = transfer.store().clone();
        let Some(ours) = self.sweep else { return };
        // A state that another cleanup wrote is not ours to end.
        let found = transfer.ask(|| store.sweep_state()).ok().flatten().filter(|state| state.is(&ours));
        let Some(found) = found else { return };
        // The one before us was killed, or has not seen us yet: for it the state goes on as one that runs.
        if self.unanswered {
            ui::warn(
                "warning: a deletion was not answered and may be carried out yet: for 15 minutes, pushes of old \
                 content will wait for this cleanup",
            );
            return;
        }
        if self.other.is_some_and(|since| store.now().duration_since(since).unwrap_or_default() <= STALE) {
            return;
        }
        let ended = ours.ended();
        if let Err(e) = put(transfer, &ended, Some(&found))
            && e.kind() != Kind::Precondition
        {
            ui::warn(format!("warning: for 15 minutes, pushes of old content will wait for this cleanup: {e}"));
        }
    }
}

/// Write a state in the place of `found`. Where the answer is lost and it is sent again, the first may have
/// been carried out.
fn put(transfer: &mut Transfer, sweep: &Sweep, found: Option<&SweepState>) -> Result<(), StoreError> {
    let store = transfer.store().clone();
    match transfer.ask(|| store.put_sweep(sweep, found)) {
        Err(e) if e.kind() == Kind::Precondition => match transfer.ask(|| store.sweep_state())? {
            Some(state) if state.is(sweep) => Ok(()),
            _ => Err(e),
        },
        done => done,
    }
}

fn require_ours(found: Option<&SweepState>, ours: &Sweep) -> Result<(), CliError> {
    match found {
        Some(state) if state.is(ours) => Ok(()),
        _ => Err(another_began()),
    }
}

fn another_began() -> CliError {
    CliError::user("another cleanup began in this store meanwhile")
        .hint("nothing more was deleted: run cleanup again when the other one has ended")
}
