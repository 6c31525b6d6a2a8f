//! Upload: content from the cache, encoded, into the store.
//!
//! Apart because it is where a promise is made to others: an object becomes visible only after its
//! content was hashed on the way and is what its key says. Which way it goes depends on the store: a
//! directory is written in order; a service takes small objects in one conditional request and large
//! ones in parts (`multipart`).
//!
//! Thousands of small uploads wait together for one look at the cleanups' state (`renewal`). So what they seldom or
//! never do is boxed, and takes no room in each.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use bytes::Bytes;

use super::content::Content;
use super::multipart;
use super::retry::retrying;
use super::{Engine, Item, Moved, TransferError, download, reading, renewal};
use crate::believed::BELIEVED;
use crate::pointer::Pointer;
use crate::store::legacy::LegacyObject;
use crate::store::{Kind, Put};

/// Content of up to this many bytes is encoded in memory and written in one request.
pub(super) const ONE_REQUEST: u64 = 8 << 20;

/// Bring `item` into the store, unless it is there.
pub(super) async fn upload(engine: &Arc<Engine>, item: Item) -> Result<Moved, TransferError> {
    let cached = engine.cache.find(&item.oid, item.size);
    // A small object costs a service least when it is simply offered: one request, not two.
    let offers = engine.store.is_service() && engine.store.takes_conditions();
    if let Some(pointer) = cached.filter(|p| offers && p.size <= ONE_REQUEST)
        && let Some(moved) = offer(engine, pointer).await?
    {
        return Ok(moved);
    }
    let found = match is_fresh(engine, item).await {
        Err(e) if tells_nothing(&e) => match cached {
            Some(pointer) => return rewrite(engine, pointer).await,
            None => return Err(e),
        },
        found => found?,
    };
    if let Some(there) = found.map(Moved::found) {
        return Ok(there);
    }
    match cached {
        Some(pointer) => write_new(engine, pointer).await,
        None => match Box::pin(elsewhere(engine, item)).await? {
            Elsewhere::Counts(moved) => Ok(moved),
            Elsewhere::Fetched(pointer) => write_new(engine, pointer).await,
        },
    }
}

/// [`write()`] what is not there.
async fn write_new(engine: &Arc<Engine>, pointer: Pointer) -> Result<Moved, TransferError> {
    renewal::new_beside_cleanups(engine, &pointer.oid, Instant::now(), || write(engine, pointer)).await
}

/// As [`upload`], asking first.
pub(super) async fn prove(engine: &Arc<Engine>, item: Item) -> Result<Moved, TransferError> {
    match is_fresh(engine, item).await {
        Ok(Some(fresh)) => Ok(Moved::found(fresh)),
        _ => upload(engine, item).await,
    }
}

/// Write `item` into the store, in the place of what may be there.
pub(super) async fn renew(engine: &Arc<Engine>, item: Item) -> Result<Moved, TransferError> {
    let mut cached = engine.cache.find(&item.oid, item.size);
    if cached.is_none() {
        Box::pin(download::download(engine, item)).await?;
        cached = engine.cache.find(&item.oid, item.size);
    }
    rewrite(engine, cached.ok_or_else(|| engine.not_in_cache(&item.oid))?).await
}

/// [`write()`] what may be there, and be about to be deleted.
async fn rewrite(engine: &Arc<Engine>, pointer: Pointer) -> Result<Moved, TransferError> {
    renewal::beside_cleanups(engine, || write(engine, pointer)).await
}

impl Moved {
    /// An object that was found, fresh or not.
    fn found(fresh: bool) -> Self {
        if fresh { Moved::AlreadyThere } else { Moved::Aged }
    }
}

async fn write(engine: &Arc<Engine>, pointer: Pointer) -> Result<Moved, TransferError> {
    if engine.store.is_service() && pointer.size > ONE_REQUEST {
        return Box::pin(multipart::upload(engine, pointer)).await;
    }
    if pointer.size > ONE_REQUEST {
        let _reserved = engine.reserve(ONE_REQUEST).await;
        return Box::pin(in_order(engine, pointer)).await;
    }
    let _reserved = engine.reserve(pointer.size).await;
    let encoded = Content::whole(engine, pointer).await?;
    put(engine, &pointer, encoded).await
}

async fn put(engine: &Arc<Engine>, pointer: &Pointer, encoded: Bytes) -> Result<Moved, TransferError> {
    let len = encoded.len() as u64;
    let put = retrying(engine.options.patience, || engine.send(engine.store.put(&pointer.oid, encoded.clone())));
    put.await?;
    Ok(Moved::Bytes(len))
}

/// Bring `item` into the store, unless it is there or in a reading store.
pub(super) async fn ensure(engine: &Arc<Engine>, item: Item) -> Result<Moved, TransferError> {
    // The store is asked first, by the upload itself where nobody else has to be asked.
    let cached = engine.cache.find(&item.oid, item.size).is_some();
    if engine.reading.is_empty() || !cached || !matches!(is_fresh(engine, item).await, Ok(None)) {
        return upload(engine, item).await;
    }
    match reading::find(engine, item).await {
        Ok(Some(store)) => Ok(Moved::Elsewhere { store, bytes: 0 }),
        // Whether a reading store has it or not: here it can be had, and so the store gets it.
        _ => upload(engine, item).await,
    }
}

/// Content that is neither cached nor at our key.
enum Elsewhere {
    /// Readers find it where it is.
    Counts(Moved),
    /// It is cached now.
    Fetched(Pointer),
}

/// An object of the Python tool is there for every reader. But its chunks may be fewer than were
/// written, which only reading them tells; then they are worth being brought to our key.
async fn elsewhere(engine: &Arc<Engine>, item: Item) -> Result<Elsewhere, TransferError> {
    let legacy = engine.asking(|| engine.store.legacy_objects(&item.oid)).await?;
    if legacy.iter().any(LegacyObject::is_surely_whole) {
        return Ok(Elsewhere::Counts(Moved::Aged));
    }
    if !legacy.is_empty() {
        match download::from_store(engine, &engine.store, item).await {
            Err(e) if !e.leaves_hope() => return Err(e),
            Err(e) => tracing::warn!("{e}"),
            Ok(_) => {}
        }
        if let Some(pointer) = engine.cache.find(&item.oid, item.size) {
            return Ok(Elsewhere::Fetched(pointer));
        }
    }
    match reading::find(engine, item).await {
        Ok(Some(store)) => Ok(Elsewhere::Counts(Moved::Elsewhere { store, bytes: 0 })),
        Ok(None) => Err(engine.not_in_cache(&item.oid)),
        Err(refusals) => Err(refusals.or(engine, &item.oid, engine.not_in_cache(&item.oid))),
    }
}

/// Is the object there, and young enough to be believed? `None`: it is not there.
pub(super) async fn is_fresh(engine: &Engine, item: Item) -> Result<Option<bool>, TransferError> {
    let found = retrying(engine.options.patience, || engine.send(engine.store.head(&item.oid)));
    let age = |modified| engine.store.now().duration_since(modified).unwrap_or_default();
    Ok(found.await?.map(|found| age(found.modified) < BELIEVED))
}

/// Who may write need not be allowed to look, and S3 answers so for a missing object, too, where the
/// bucket may not be listed (HeadObject in the S3 API reference): it is unknown, and so it is written.
pub(super) fn tells_nothing(error: &TransferError) -> bool {
    matches!(error, TransferError::Store(e) if matches!(e.kind(), Kind::Denied | Kind::Failed))
}

/// `None`: the service does not know the condition, and nothing was written.
async fn offer(engine: &Arc<Engine>, pointer: Pointer) -> Result<Option<Moved>, TransferError> {
    let reserved = engine.reserve(pointer.size).await;
    let encoded = Content::whole(engine, pointer).await?;
    let len = encoded.len() as u64;
    let began = Instant::now();
    let offer = || engine.send(engine.store.put_new(&pointer.oid, encoded.clone()));
    match retrying(engine.options.patience, offer).await? {
        Put::Written => {
            // Others have their turn before this goes on, and want the memory.
            drop((encoded, reserved));
            let again = AtomicBool::new(false);
            let written = || async {
                // The first time it is written already.
                match again.swap(true, Ordering::Relaxed) {
                    false => Ok(Moved::Bytes(len)),
                    true => write(engine, pointer).await,
                }
            };
            return renewal::new_beside_cleanups(engine, &pointer.oid, began, written).await.map(Some);
        }
        Put::NoCondition => return Ok(None),
        Put::Existed => {}
    }
    // 412: it is there. One that went away meanwhile is written again.
    match is_fresh(engine, pointer.into()).await {
        Ok(Some(fresh)) => return Ok(Some(Moved::found(fresh))),
        Err(e) if !tells_nothing(&e) => return Err(e),
        _ => {}
    }
    renewal::beside_cleanups(engine, || put(engine, &pointer, encoded.clone())).await.map(Some)
}

/// Into a directory, part after part.
async fn in_order(engine: &Arc<Engine>, pointer: Pointer) -> Result<Moved, TransferError> {
    let _request = engine.request().await;
    let mut content = Content::open(engine, pointer).await?;
    let mut parts = engine.store.put_parts(&pointer.oid).await?;
    let mut sent = 0;
    let failed = loop {
        let (rest, part) = match content.next_part(ONE_REQUEST).await {
            Ok(next) => next,
            Err(e) => break e,
        };
        sent += part.encoded.len() as u64;
        if let Err(e) = parts.put(part.encoded).await {
            break e.into();
        }
        if part.last {
            parts.complete().await?;
            return Ok(Moved::Bytes(sent));
        }
        content = rest;
    };
    // What matters is why it failed; parts that stay behind are invisible.
    if let Err(abort) = parts.abort().await {
        tracing::warn!("{abort}");
    }
    Err(failed)
}
