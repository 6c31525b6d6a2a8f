//! Reading stores: asked after the store, never written (design.md, section 4, "Reading stores").
//!
//! Apart because they are opened only when something is not in the store: one that can't be had must
//! cost nothing on the way of everything else.

use std::sync::OnceLock;

use super::{Engine, Item, TransferError};
use crate::oid::Oid;
use crate::remote::Remote;
use crate::store::legacy::Located;
use crate::store::{Access, Kind, Store, StoreError};

/// A store that is only read.
#[derive(Debug)]
pub struct ReadingStore {
    remote: Remote,
    access: Access,
    opened: OnceLock<Store>,
}

impl ReadingStore {
    /// Not opened yet.
    pub fn new(remote: Remote, access: Access) -> Self {
        ReadingStore { remote, access, opened: OnceLock::new() }
    }

    /// Which store it is.
    pub fn remote(&self) -> &Remote {
        &self.remote
    }

    pub(super) fn open(&self) -> Result<Store, StoreError> {
        if let Some(store) = self.opened.get() {
            return Ok(store.clone());
        }
        let store = Store::open(&self.remote, &self.access)?;
        Ok(self.opened.get_or_init(|| store).clone())
    }
}

/// What the reading stores said of content that none of them had.
#[derive(Debug, Default)]
pub(super) struct Refusals(Option<TransferError>);

impl Refusals {
    /// Note an answer; "not there" is none. The first one counts.
    pub(super) fn note(&mut self, error: TransferError) {
        if !error.is_not_found() {
            self.0.get_or_insert(error);
        }
    }

    /// The error of content that the store does not have (`missing`): where a reading store could not
    /// be asked, nobody knows whether it is there.
    pub(super) fn or(self, engine: &Engine, oid: &Oid, missing: TransferError) -> TransferError {
        match self.0 {
            Some(TransferError::Store(source)) if missing.is_missing() => {
                let (key, store) = engine.names(oid);
                TransferError::Unasked { key, store, source: Box::new(source) }
            }
            Some(other) if missing.is_missing() => other,
            _ => missing,
        }
    }
}

/// Which reading store has `item`, as far as names tell.
pub(super) async fn find(engine: &Engine, item: Item) -> Result<Option<usize>, Refusals> {
    let mut refusals = Refusals::default();
    for (number, reading) in engine.reading.iter().enumerate() {
        let located = match reading.open() {
            Ok(store) => engine.asking(|| store.locate(&item.oid)).await,
            Err(e) => Err(e),
        };
        match located {
            Ok(Some(Located::Ours(_))) => return Ok(Some(number)),
            Ok(Some(Located::Legacy(objects))) if objects.iter().any(|object| object.is_surely_whole()) => {
                return Ok(Some(number));
            }
            Ok(_) => {}
            Err(e) => refusals.note(e.into()),
        }
    }
    if refusals.0.is_some() { Err(refusals) } else { Ok(None) }
}

impl TransferError {
    /// The store says that there is no such object.
    pub(super) fn is_not_found(&self) -> bool {
        matches!(self, TransferError::Store(e) if e.kind() == Kind::NotFound)
    }

    /// It is not there, by whichever question.
    fn is_missing(&self) -> bool {
        self.is_not_found() || matches!(self, TransferError::Nowhere { .. })
    }
}
