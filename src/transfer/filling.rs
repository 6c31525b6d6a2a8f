//! A large object on its way to its place on disk: streams fill its blocks, several at once, and behind
//! them its bytes are read in order as they come to be there.
//!
//! Apart because this is where the network's order (none) meets the decoder's (from the first byte to the
//! last), and the disk stands between them: memory holds a few pieces of each stream, however long the
//! object is. What was just written is held a little longer while there is room, so that the reader need not
//! fetch it back from the disk.

use std::collections::BTreeMap;
use std::fs::File;
use std::ops::{Range, RangeInclusive};
use std::path::PathBuf;
use std::pin::pin;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use tokio::sync::OwnedSemaphorePermit;

use super::behind::Behind;
use super::partial::Partial;
use super::receive::{Candidate, receive_filling};
use super::retry::retrying;
use super::{Engine, Item, TransferError, blocking};
use crate::fs::{PathContext, PathError, write_all_at};
use crate::store::{Key, RangeBody, StoreError};

/// Streams of one object at once.
const STREAMS: usize = 6;
/// Bytes of a stream: so few that the reader is not far behind, and so many that asking for them costs little
/// on a long line.
const SPAN: RangeInclusive<u64> = 4 << 20..=16 << 20;
/// Bytes that a stream gathers before it writes them.
const BATCH: usize = 1 << 20;
/// A stream that broke off behind so many bytes goes on; with fewer it is tried again as often as any request.
const PROGRESS: u64 = 64 << 10;
/// A service that breaks off is not asked again at once.
const BREATH: std::time::Duration = std::time::Duration::from_millis(200);

/// The object, its blocks, and who waits for them.
pub(super) struct Filling {
    state: Mutex<State>,
    changed: Condvar,
    file: Arc<File>,
    path: PathBuf,
    /// Held while bytes are written: writers of one file only wait for each other in the kernel, and spin.
    turn: tokio::sync::Mutex<()>,
    /// Bytes of the object.
    len: u64,
    /// Bytes of a block.
    block: u64,
}

struct State {
    /// `None`: its bytes were taken out or thrown away, and nothing more is wanted.
    partial: Option<Partial>,
    /// The first block that no stream took.
    next: usize,
    /// No more blocks will come.
    ended: bool,
    /// Bytes that were written and not yet read behind the streams, by where they begin.
    held: BTreeMap<u64, Held>,
    /// So far the reader is.
    read: u64,
}

/// Pieces in a row, as they came.
pub(super) struct Held {
    pub pieces: Vec<Bytes>,
    /// Bytes of all of them.
    len: u64,
    /// Theirs.
    pub reserved: OwnedSemaphorePermit,
}

/// Where the next bytes for the reader are.
pub(super) enum Next {
    /// In memory, after so many bytes of these that are not wanted.
    Held(Held, u64),
    /// On the disk, up to this place.
    OnDisk(u64),
    /// They will not come.
    Nowhere,
}

/// Fetch what is missing of `partial`, and pass all of it to the decoder; the number of bytes that came.
pub(super) async fn fill(
    engine: &Arc<Engine>,
    from: &Candidate,
    item: Item,
    key: &Key,
    partial: Partial,
) -> Result<u64, TransferError> {
    let Some((etag, len)) = partial.left().map(|version| (version.etag.clone(), version.len)) else {
        return Err(from.wrong_content("no version of it was begun"));
    };
    let missing = partial.missing_bytes();
    let filling = Arc::new(Filling::new(partial, len));
    // However this ends, the reader does not wait for ever.
    let _end = EndOnDrop(Arc::clone(&filling));
    let sink = {
        let (engine, from, filling) = (Arc::clone(engine), from.clone(), Arc::clone(&filling));
        tokio::spawn(blocking(move || receive_filling(&engine, &from, item, &filling)))
    };
    let spans = stream::iter(std::iter::from_fn(|| filling.take_span()));
    let streams = spans.map(|span| stream_into(engine, from, key, &etag, &filling, span));
    let mut streams = pin!(streams.buffer_unordered(STREAMS));
    let mut network = Ok(());
    while let Some(ended) = streams.next().await {
        // Those that are under way go on: what they bring need not be fetched again.
        if ended.is_err() {
            filling.take_no_more();
        }
        network = network.and(ended);
    }
    filling.end();
    let received = sink.await.map_err(|_| TransferError::BrokenOff { key: engine.store.key(&item.oid).to_string() })?;
    network.and(received).map(|()| missing)
}

/// One stream: the bytes of `span`, each to its place. What breaks off goes on where it stopped.
async fn stream_into(
    engine: &Arc<Engine>,
    from: &Candidate,
    key: &Key,
    etag: &str,
    filling: &Arc<Filling>,
    span: Range<u64>,
) -> Result<(), TransferError> {
    let _reserved = engine.reserve(2 * BATCH as u64).await;
    let at = AtomicU64::new(span.start);
    loop {
        let poured = retrying(engine.options.patience, || async {
            let begun = at.load(Relaxed);
            if begun == span.end {
                return Ok(Ok(Poured::All));
            }
            let _request = engine.request().await;
            let body = from.store.open_range(key, begun..span.end, Some(etag)).await;
            let body = body.inspect_err(|e| engine.window.failed(e))?;
            if body.len != filling.len {
                return Err(from.store.changed(key));
            }
            match pour(engine, body, filling, &at).await {
                // It has failed like a request that was never answered.
                Ok(Poured::BrokenOff(e)) if at.load(Relaxed) - begun < PROGRESS => Err(e),
                poured => Ok(poured),
            }
        });
        match poured.await?? {
            Poured::All | Poured::NotWanted => return Ok(()),
            Poured::BrokenOff(e) if !e.is_transient() => return Err(e.into()),
            Poured::BrokenOff(e) => tracing::info!("{e}; going on at byte {}", at.load(Relaxed)),
        }
        tokio::time::sleep(BREATH).await;
    }
}

/// What came of a write.
enum Wrote {
    Little,
    /// So many blocks are noted by now that the disk should be asked to have them.
    Much(usize),
    /// Nothing: nobody wants the bytes any more.
    NotWanted,
}

/// How a stream ended.
enum Poured {
    /// All its bytes are in their place.
    All,
    /// Nobody wants them any more.
    NotWanted,
    /// Before its end.
    BrokenOff(StoreError),
}

/// The bytes of a body to their place, `at` and behind.
async fn pour(
    engine: &Engine,
    mut body: RangeBody,
    filling: &Arc<Filling>,
    at: &AtomicU64,
) -> Result<Poured, TransferError> {
    loop {
        let mut batch: Vec<Bytes> = Vec::new();
        let mut gathered = 0;
        let ended = loop {
            match body.next().await {
                Ok(Some(piece)) => {
                    gathered += piece.len();
                    batch.push(piece);
                    if gathered >= BATCH {
                        break None;
                    }
                }
                Ok(None) => break Some(Poured::All),
                Err(e) => break Some(Poured::BrokenOff(e)),
            }
        };
        let (place, start) = (Arc::clone(filling), at.load(Relaxed));
        let spare = engine.reserve_spare(gathered as u64);
        let turn = filling.turn.lock().await;
        let wrote = blocking(move || Ok(place.write(start, batch, spare)?)).await?;
        drop(turn);
        at.fetch_add(gathered as u64, Relaxed);
        match wrote {
            Wrote::NotWanted => return Ok(Poured::NotWanted),
            Wrote::Much(noted) => {
                let place = Arc::clone(filling);
                // The others go on meanwhile.
                blocking(move || Ok(place.sync(noted)?)).await?;
            }
            Wrote::Little => {}
        }
        if let Some(ended) = ended {
            return Ok(ended);
        }
    }
}

impl Filling {
    fn new(partial: Partial, len: u64) -> Self {
        let (file, path, block) = (partial.bytes(), partial.bytes_path(), partial.block_len());
        let state = State { partial: Some(partial), next: 0, ended: false, held: BTreeMap::new(), read: 0 };
        let turn = tokio::sync::Mutex::new(());
        Filling { state: Mutex::new(state), changed: Condvar::new(), file, path, turn, len, block }
    }

    /// Bytes of the object.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether all blocks are here.
    pub fn is_whole(&self) -> bool {
        self.state().partial.as_ref().is_some_and(|partial| partial.missing(0, 1).is_none())
    }

    /// Take it out, for good or to be thrown away: from now on nothing more is wanted.
    pub fn take(&self) -> Option<Partial> {
        let mut state = self.state();
        state.held.clear();
        state.partial.take()
    }

    /// All bytes, from the first one, each when it is here.
    pub fn reader(&self) -> Behind<'_> {
        Behind::new(self, &self.file, &self.path)
    }

    /// No stream takes anything from now on.
    pub fn take_no_more(&self) {
        self.state().next = usize::MAX;
    }

    /// The next bytes that no stream took.
    fn take_span(&self) -> Option<Range<u64>> {
        let mut state = self.state();
        let span = (self.len / STREAMS as u64).clamp(*SPAN.start(), *SPAN.end());
        let blocks = state.partial.as_ref()?.missing(state.next, span.div_ceil(self.block) as usize)?;
        state.next = blocks.end;
        Some(blocks.start as u64 * self.block..(blocks.end as u64 * self.block).min(self.len))
    }

    /// Write the pieces at `start`, and note each block that ends in them: its stream began at or before
    /// its first byte. They are held for the reader if there is memory to `spare` for them.
    fn write(&self, start: u64, pieces: Vec<Bytes>, spare: Option<OwnedSemaphorePermit>) -> Result<Wrote, PathError> {
        let mut at = start;
        for piece in &pieces {
            write_all_at(&self.file, piece, at).context("write", &self.path)?;
            at += piece.len() as u64;
        }
        let end = if at == self.len { at.div_ceil(self.block) } else { at / self.block };
        let mut wrote = Wrote::Little;
        let mut state = self.state();
        let State { partial: Some(partial), held, read, .. } = &mut *state else { return Ok(Wrote::NotWanted) };
        for block in start / self.block..end {
            if let Some(noted) = partial.has(block as usize)? {
                wrote = Wrote::Much(noted);
            }
        }
        if let Some(reserved) = spare
            && *read < at
        {
            held.insert(start, Held { pieces, len: at - start, reserved });
        }
        drop(state);
        self.changed.notify_all();
        Ok(wrote)
    }

    /// Ask the disk to have the blocks that were noted first, so many of them.
    fn sync(&self, noted: usize) -> Result<(), PathError> {
        self.file.sync_data().context("write", &self.path)?;
        match &mut self.state().partial {
            Some(partial) => partial.has_on_disk(noted),
            None => Ok(()),
        }
    }

    fn end(&self) {
        self.state().ended = true;
        self.changed.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wait for the bytes at `at`: the reader has passed all before.
    pub fn wait_for(&self, at: u64) -> Next {
        let block = at / self.block;
        let mut state = self.state();
        state.read = at;
        loop {
            while let Some(first) = state.held.first_entry() {
                let start = *first.key();
                if at < start {
                    break;
                }
                let held = first.remove();
                if at < start + held.len {
                    return Next::Held(held, at - start);
                }
            }
            let Some(partial) = &state.partial else { return Next::Nowhere };
            if partial.is_here(block as usize) {
                let end = ((block + 1) * self.block).min(self.len);
                return Next::OnDisk(state.held.keys().next().map_or(end, |held| end.min(*held)));
            }
            if state.ended {
                return Next::Nowhere;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

struct EndOnDrop(Arc<Filling>);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        self.0.end();
    }
}
