//! Download: an object's bytes from the store, decoded, hashed, into the cache.
//!
//! Apart because it is where a wrong byte of the store must stop (design.md, invariant 3). A
//! directory is read in one stream. From a service, an object comes in ranges: small ones in one
//! request, large ones in several at once, all of one version (`If-Match`), each tried again by
//! itself.

use std::io::{self, Read, Seek};
use std::ops::Range;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use futures_util::{StreamExt, stream};
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::retry::retrying;
use super::{Engine, Item, Moved, TransferError, blocking};
use crate::cache::Staged;
use crate::fs::{PathContext, PathError};
use crate::oid::HashingWriter;
use crate::store::codec::{DecodeError, MARK_LEN, Mark, decode, mark};
use crate::store::{Kind, Piece, StoreError};

/// Pieces between the network and the decoder.
const PIECES: usize = 8;
/// Bytes of a range.
const RANGE: u64 = 8 << 20;
/// Ranges of one object that are on their way at once.
const RANGES: usize = 4;

/// Fetch `item` into the cache, unless it is there.
pub(super) async fn download(engine: &Arc<Engine>, item: Item) -> Result<Moved, TransferError> {
    if engine.cache.find(&item.oid, item.size).is_some() {
        return Ok(Moved::AlreadyThere);
    }
    match fetch(engine, item).await {
        // A bit may have flipped on the way; what is wrong in the store is wrong a second time.
        Err(e @ TransferError::WrongContent { .. }) if engine.store.is_service() => {
            tracing::info!("{e}; reading it once more");
            fetch(engine, item).await
        }
        done => done,
    }
}

async fn fetch(engine: &Arc<Engine>, item: Item) -> Result<Moved, TransferError> {
    if engine.store.is_service() && !engine.whole_objects() {
        match in_ranges(engine, item).await {
            Err(TransferError::Store(e)) if e.kind() == Kind::NotPartial => engine.remember_whole_objects(),
            // The object was written anew meanwhile; its content is the same by its name.
            Err(TransferError::Store(e)) if e.kind() == Kind::Precondition => return in_ranges(engine, item).await,
            done => return done,
        }
    }
    // Without ranges a broken body begins anew. What is no matter of the network is not tried again.
    retrying(engine.options.patience, || async {
        match in_one_stream(engine, item).await {
            Err(TransferError::Store(e)) => Err(e),
            done => Ok(done),
        }
    })
    .await?
}

async fn in_one_stream(engine: &Arc<Engine>, item: Item) -> Result<Moved, TransferError> {
    let _request = engine.request().await;
    let object = engine.store.get(&item.oid).await?;
    let pieces = object.bytes.map(|bytes| bytes.map(Chunk::unreserved));
    feed(engine, item, object.len, pieces).await
}

async fn in_ranges(engine: &Arc<Engine>, item: Item) -> Result<Moved, TransferError> {
    // An encoded object is hardly longer than its content: a small one reserves little.
    let first = RANGE.min(item.size.map_or(RANGE, |size| size + (64 << 10)));
    let (piece, reserved) = range(engine, item, 0..first, None).await?;
    let len = piece.len;
    if len <= first {
        let _coding = engine.coding().await;
        let engine = Arc::clone(engine);
        let received = blocking(move || receive(&engine, item, len, piece.bytes.reader())).await;
        drop(reserved);
        return received.map(|()| Moved::Bytes(len));
    }
    let Some(etag) = piece.etag else {
        // Without a name for the version, pieces of two could be put together.
        let why = "the service names no version (ETag) of a large object".to_owned();
        return Err(engine.wrong_content(&item.oid, why));
    };
    let starts = (first..len).step_by(RANGE as usize);
    let rest = stream::iter(starts).map(|start| {
        let (engine, etag) = (Arc::clone(engine), etag.clone());
        async move {
            let (piece, reserved) = range(&engine, item, start..len.min(start + RANGE), Some(&etag)).await?;
            Ok(Chunk { bytes: piece.bytes, _reserved: Some(reserved) })
        }
    });
    let head = Chunk { bytes: piece.bytes, _reserved: Some(reserved) };
    let pieces = stream::iter([Ok(head)]).chain(rest.buffered(RANGES));
    feed(engine, item, len, pieces.boxed()).await
}

async fn range(
    engine: &Engine,
    item: Item,
    range: Range<u64>,
    etag: Option<&str>,
) -> Result<(Piece, OwnedSemaphorePermit), StoreError> {
    let reserved = engine.reserve(range.end - range.start).await;
    let piece = retrying(engine.options.patience, || async {
        let _request = engine.request().await;
        engine.store.get_range(&item.oid, range.clone(), etag).await
    });
    Ok((piece.await?, reserved))
}

/// Bytes on their way to the decoder, with the memory that is reserved for them.
struct Chunk {
    bytes: Bytes,
    _reserved: Option<OwnedSemaphorePermit>,
}

impl Chunk {
    fn unreserved(bytes: Bytes) -> Self {
        Chunk { bytes, _reserved: None }
    }
}

/// Pass pieces to a decoder on a thread that may block.
async fn feed(
    engine: &Arc<Engine>,
    item: Item,
    len: u64,
    mut pieces: impl stream::Stream<Item = Result<Chunk, StoreError>> + Unpin,
) -> Result<Moved, TransferError> {
    let (sender, receiver): (Sender<Option<Chunk>>, _) = channel(PIECES);
    let sink = {
        let engine = Arc::clone(engine);
        tokio::spawn(blocking(move || receive(&engine, item, len, PieceReader::new(receiver))))
    };
    let mut network = Ok(());
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|e| network = Err(e)).ok();
        let ended = piece.is_none();
        // The decoder hangs up early when it has seen enough; a lost piece ends its input.
        if sender.send(piece).await.is_err() || ended {
            break;
        }
    }
    drop(sender);
    let received = sink.await.map_err(|_| TransferError::BrokenOff { key: engine.store.key(&item.oid).to_string() })?;
    network?;
    received.map(|()| Moved::Bytes(len))
}

/// Decode the object from `bytes` into the cache.
fn receive(engine: &Engine, item: Item, len: u64, mut bytes: impl Read) -> Result<(), TransferError> {
    let mut head = Vec::new();
    let read = bytes.by_ref().take(MARK_LEN as u64).read_to_end(&mut head);
    read.map_err(|e| engine.wrong_content(&item.oid, e.to_string()))?;
    let kind = mark(&head);
    let object = Read::chain(io::Cursor::new(head), bytes);
    if kind != Mark::Content && item.size.is_none_or(|size| size == len) {
        return receive_ambiguous(engine, item, len, object);
    }
    let mut staged = engine.cache.stage();
    decode_into(engine, item, object, &mut staged)?;
    commit(engine, item, staged)
}

/// Without a known length, the hash alone has to do: there is no bound to stop at.
fn decode_into(engine: &Engine, item: Item, object: impl Read, staged: &mut Staged) -> Result<(), TransferError> {
    match decode(object, staged, item.size.unwrap_or(u64::MAX)) {
        Err(DecodeError::TooShort { .. }) if item.size.is_none() => Ok(()),
        decoded => decoded.map_err(|e| engine.undecodable(&item.oid, e)),
    }
}

/// An object that bears a mark and is exactly as long as the content may be the content itself,
/// which somebody copied in by hand: its raw bytes are looked at first, and the hash decides.
fn receive_ambiguous(engine: &Engine, item: Item, len: u64, mut object: impl Read) -> Result<(), TransferError> {
    let temp = engine.cache.temp_file()?;
    let path = temp.path().to_owned();
    let mut raw = HashingWriter::new(temp);
    let copied = io::copy(&mut (&mut object).take(len + 1), &mut raw);
    copied.map_err(|e| engine.wrong_content(&item.oid, e.to_string()))?;
    let (temp, oid, size) = raw.finish();
    let rewind = |mut file: std::fs::File| -> Result<_, PathError> {
        file.rewind().context("read", &path)?;
        Ok(file)
    };
    let file = rewind(temp.reopen().context("read", &path)?)?;
    let mut staged = engine.cache.stage();
    if (oid, size) == (item.oid, item.size.unwrap_or(size)) {
        io::copy(&mut { file }, &mut staged).context("copy", &path)?;
    } else {
        decode_into(engine, item, file, &mut staged)?;
    }
    commit(engine, item, staged)
}

fn commit(engine: &Engine, item: Item, staged: Staged) -> Result<(), TransferError> {
    staged.commit_as(&item.oid, item.size).map_err(|e| engine.unacceptable(&item.oid, e))
}

/// The blocking end of the channel. `None` among the pieces: the network failed, and so must the
/// reading, or a truncated object could look whole.
struct PieceReader {
    pieces: Receiver<Option<Chunk>>,
    current: Chunk,
}

impl PieceReader {
    fn new(pieces: Receiver<Option<Chunk>>) -> Self {
        PieceReader { pieces, current: Chunk::unreserved(Bytes::new()) }
    }
}

impl Read for PieceReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.current.bytes.is_empty() {
            // Gives its memory back before waiting: else enough readers, each waiting for its next
            // piece, would hold all there is.
            self.current = Chunk::unreserved(Bytes::new());
            match self.pieces.blocking_recv() {
                None => return Ok(0),
                Some(Some(piece)) => self.current = piece,
                Some(None) => return Err(io::Error::other("the connection was lost")),
            }
        }
        let n = buf.len().min(self.current.bytes.len());
        self.current.bytes.copy_to_slice(&mut buf[..n]);
        Ok(n)
    }
}
