//! Download: content from wherever it is, into the cache.
//!
//! Apart because it knows the order of places: the store, by our key and then in the Python tool's
//! layout; then each reading store in the same way. Only what is not found, or is not what its name
//! says, leads on to the next: the normal way is one request.

use std::sync::Arc;

use super::reading::Refusals;
use super::receive::Candidate;
use super::sources::fetch;
use super::{Engine, Item, Moved, TransferError};
use crate::store::Store;

/// Fetch `item` into the cache, unless it is there.
pub(super) async fn download(engine: &Arc<Engine>, item: Item) -> Result<Moved, TransferError> {
    if engine.cache.find(&item.oid, item.size).is_some() {
        return Ok(Moved::AlreadyThere);
    }
    let missing = match where_there_is_room(engine, &engine.store, item).await {
        Err(e) if !e.is_ours() => e,
        done => return done.map(Moved::Bytes),
    };
    let mut refusals = Refusals::default();
    for (store, reading) in engine.reading.iter().enumerate() {
        let fetched = match reading.open() {
            Ok(opened) => where_there_is_room(engine, &opened, item).await,
            Err(e) => Err(e.into()),
        };
        match fetched {
            Ok(bytes) => {
                tracing::info!("{} came from the reading store {}", item.oid, reading.remote());
                return Ok(Moved::Elsewhere { store, bytes });
            }
            Err(e) if e.is_ours() => return Err(e),
            Err(e) => refusals.note(e),
        }
    }
    Err(refusals.or(engine, &item.oid, missing))
}

/// As [`from_store`], into the clone's own cache if the shared one is full.
async fn where_there_is_room(engine: &Arc<Engine>, store: &Store, item: Item) -> Result<u64, TransferError> {
    match from_store(engine, store, item).await {
        Err(TransferError::Cache(e)) if engine.cache.has_room_elsewhere(&e) => from_store(engine, store, item).await,
        done => done,
    }
}

/// Fetch from one store, in either layout; the number of bytes that came. A damaged object does not
/// stop a good one.
pub(super) async fn from_store(engine: &Arc<Engine>, store: &Store, item: Item) -> Result<u64, TransferError> {
    let ours = Candidate::ours(store, &item.oid);
    let fetched = match fetch(engine, &ours, item).await {
        // A bit may have flipped on the way; what is wrong in the store is wrong a second time.
        Err(e @ TransferError::WrongContent { .. }) if store.is_service() => {
            tracing::info!("{e}; reading it once more");
            fetch(engine, &ours, item).await
        }
        done => done,
    };
    let missing = match fetched {
        Err(e) if e.leaves_hope() => e,
        done => return done,
    };
    let objects = match engine.asking(|| store.legacy_objects(&item.oid)).await {
        Ok(objects) => objects,
        // What is known of the object says more.
        Err(_) if !missing.is_not_found() => return Err(missing),
        Err(e) => return Err(e.into()),
    };
    let mut damaged = None;
    for object in objects {
        let candidate = Candidate::legacy(store, object);
        if candidate.is_too_long_or_short(item) {
            damaged.get_or_insert(candidate.wrong_content("its length is not the pointer's size"));
            continue;
        }
        match fetch(engine, &candidate, item).await {
            Err(e) if e.leaves_hope() => {
                tracing::info!("{e}");
                damaged.get_or_insert(e);
            }
            Ok(bytes) => {
                if !missing.is_not_found() {
                    tracing::warn!("{missing}; another object in the store is good");
                }
                return Ok(bytes);
            }
            failed => return failed,
        }
    }
    Err(if missing.is_not_found() { damaged.unwrap_or(missing) } else { missing })
}

impl TransferError {
    /// Another object may be the content.
    pub(super) fn leaves_hope(&self) -> bool {
        self.is_not_found() || matches!(self, TransferError::WrongContent { .. })
    }

    /// It is this machine that failed, not a store.
    fn is_ours(&self) -> bool {
        matches!(self, TransferError::Cache(_) | TransferError::BrokenOff { .. })
    }
}
