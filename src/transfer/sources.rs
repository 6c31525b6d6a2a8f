//! How the bytes of a candidate come from its store. A directory is read in one stream. From a service
//! they come in ranges: small objects in one request, large ones in several at once, all of one version
//! (`If-Match`), each tried again by itself.
//!
//! Apart because this is about the network alone: what the bytes mean is `receive`'s.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::filling::fill;
use super::partial::{Partial, WORTH_KEEPING};
use super::receive::{Candidate, receive};
use super::retry::retrying;
use super::{Engine, Item, TransferError, blocking};
use crate::store::{Key, Kind, Piece, Store, StoreError};

/// Pieces between the network and the decoder.
const PIECES: usize = 8;
/// Bytes of a range.
const RANGE: u64 = 8 << 20;
/// Bytes that a connection holds of what it reads, at the most (hyper's buffer, which grows with what comes).
const SMALL: u64 = 512 << 10;
/// Bytes that are looked at of an object that is large.
const BEGINNING: u64 = 64 << 10;
/// Ranges of one object that are on their way at once.
const RANGES: usize = 4;

/// Fetch `item` from a candidate into the cache; the number of bytes that came.
pub(super) async fn fetch(engine: &Arc<Engine>, from: &Candidate, item: Item) -> Result<u64, TransferError> {
    if from.store.is_service() && !from.store.gives_whole_objects() {
        match in_ranges(engine, from, item).await {
            Err(TransferError::Store(e)) if e.kind() == Kind::NotPartial => from.store.remember_whole_objects(),
            // The object was written anew meanwhile; its content is the same by its name.
            Err(TransferError::Store(e)) if e.kind() == Kind::Precondition => {
                return in_ranges(engine, from, item).await;
            }
            done => return done,
        }
    }
    // Without ranges a broken body begins anew. What is no matter of the network is not tried again.
    retrying(engine.options.patience, || async {
        match in_one_stream(engine, from, item).await {
            Err(TransferError::Store(e)) => Err(e),
            done => Ok(done),
        }
    })
    .await?
}

async fn in_one_stream(engine: &Arc<Engine>, from: &Candidate, item: Item) -> Result<u64, TransferError> {
    let _request = engine.request().await;
    let (first, rest) = from.keys.split_first().expect("a candidate has a key");
    if rest.is_empty()
        && let Some((file, len)) = from.store.get_file(first).await?
    {
        return from_file(engine, from, item, file, len).await;
    }
    let object = from.store.get(first).await?;
    let store = from.store.clone();
    let rest = stream::iter(rest.to_vec()).then(move |key| {
        let store = store.clone();
        async move { Ok(store.get(&key).await?.bytes) }
    });
    let bytes = object.bytes.chain(rest.try_flatten());
    let pieces = bytes.map(|piece| piece.map(Chunk::unreserved).map_err(TransferError::from));
    let len = from.joined_len().unwrap_or(object.len);
    if from.is_absurd(item, len) {
        return Err(from.absurd(item, len));
    }
    feed(engine, from, item, len, pieces.boxed()).await?;
    Ok(len)
}

/// A directory's object: its file is read where it is decoded, and piece after piece through no channel.
async fn from_file(
    engine: &Arc<Engine>,
    from: &Candidate,
    item: Item,
    file: File,
    len: u64,
) -> Result<u64, TransferError> {
    if from.is_absurd(item, len) {
        return Err(from.absurd(item, len));
    }
    let _coding = engine.coding().await;
    let (own, candidate) = (Arc::clone(engine), from.clone());
    let received = blocking(move || {
        let mut bytes = Noting { file, failed: None };
        let received = receive(&own, &candidate, item, len, &mut bytes);
        match bytes.failed {
            Some(e) => Err(candidate.store.unreadable(&candidate.keys[0], e).into()),
            None => received,
        }
    });
    received.await.map(|()| len)
}

/// Keeps apart a file that can't be read from one that can't be decoded.
struct Noting {
    file: File,
    failed: Option<io::Error>,
}

impl Read for Noting {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.file.read(buf).map_err(|e| {
            let kind = e.kind();
            if kind != io::ErrorKind::Interrupted {
                self.failed = Some(e);
            }
            kind.into()
        })
    }
}

async fn in_ranges(engine: &Arc<Engine>, from: &Candidate, item: Item) -> Result<u64, TransferError> {
    let (first, rest) = from.keys.split_first().expect("a candidate has a key");
    if let Some(left) = place_to_keep(engine, from, item, Keep::Left)?
        && let Some(version) = left.left()
    {
        tracing::info!("{first}: a part of its {} bytes is here", version.len);
        match fill(engine, from, item, first, left).await {
            // It is another version, or none: what follows begins anew.
            Err(TransferError::Store(e)) if matches!(e.kind(), Kind::Precondition | Kind::NotFound) => {}
            done => return done,
        }
    }
    // An encoded object is hardly longer than its content: a small one reserves little.
    let likely = from.len.or(item.size.map(|size| size.saturating_add(64 << 10)));
    let opened = Opened::new(engine, &from.store, first, likely).await?;
    let len = from.joined_len().unwrap_or(opened.len);
    if from.is_absurd(item, len) {
        return Err(from.absurd(item, len));
    }
    if rest.is_empty() && opened.is_whole() {
        let _coding = engine.coding().await;
        let (engine, from) = (Arc::clone(engine), from.clone());
        let Chunk { bytes, _reserved: reserved } = opened.head;
        let received = blocking(move || receive(&engine, &from, item, len, bytes.reader())).await;
        drop(reserved);
        return received.map(|()| len);
    }
    // Kept are the bytes of one version of one object.
    if let (Some(etag), true) = (&opened.etag, len >= WORTH_KEEPING)
        && let Some(mut partial) = place_to_keep(engine, from, item, Keep::New)?
    {
        partial.begin(&from.store.remote().to_string(), first.as_ref(), etag, len)?;
        drop(opened);
        return fill(engine, from, item, first, partial).await;
    }
    let first = opened.pieces(engine, from, first)?;
    let (own, candidate) = (Arc::clone(engine), from.clone());
    let rest = stream::iter(rest.to_vec()).then(move |key| {
        let (engine, from) = (Arc::clone(&own), candidate.clone());
        async move { Opened::new(&engine, &from.store, &key, None).await?.pieces(&engine, &from, &key) }
    });
    feed(engine, from, item, len, first.chain(rest.try_flatten()).boxed()).await?;
    Ok(len)
}

/// Which beginnings of objects are looked for.
enum Keep {
    /// Those that an earlier process left.
    Left,
    /// A new one is to be kept.
    New,
}

/// Where the beginning of an object is kept; `None`: nowhere, or nothing was left there.
fn place_to_keep(engine: &Engine, from: &Candidate, item: Item, keep: Keep) -> Result<Option<Partial>, TransferError> {
    let [key] = from.keys.as_slice() else { return Ok(None) };
    let (root, store) = (engine.cache.root(), from.store.remote().to_string());
    let wanted = match keep {
        Keep::Left => Partial::may_be_left(root, &item.oid, &store),
        Keep::New => true,
    };
    if !wanted || !engine.cache.keeps_content() {
        return Ok(None);
    }
    Ok(Partial::open(root, &item.oid, &store, key.as_ref())?)
}

/// An object of which the first range is here.
struct Opened {
    head: Chunk,
    /// Bytes that were asked for.
    first: u64,
    /// Bytes of the whole object.
    len: u64,
    etag: Option<String>,
}

impl Opened {
    async fn new(engine: &Engine, store: &Store, key: &Key, likely: Option<u64>) -> Result<Self, StoreError> {
        let first = match likely {
            // Its length, version and form are known by this; then it comes from the first byte on.
            Some(len) if len >= WORTH_KEEPING && engine.cache.keeps_content() => BEGINNING,
            _ => likely.map_or(RANGE, |len| len.clamp(1, RANGE)),
        };
        let (piece, reserved) = range(engine, store, key, 0..first, None).await?;
        let Piece { bytes, len, etag } = piece;
        Ok(Opened { head: Chunk { bytes, _reserved: Some(reserved) }, first, len, etag })
    }

    fn is_whole(&self) -> bool {
        self.len <= self.first
    }

    /// All of it, range after range.
    fn pieces(self, engine: &Arc<Engine>, from: &Candidate, key: &Key) -> Result<Pieces, TransferError> {
        let whole = self.is_whole();
        let Opened { head, first, len, etag } = self;
        let head = stream::iter([Ok(head)]);
        if whole {
            return Ok(head.boxed());
        }
        let Some(etag) = etag else {
            // Without a name for the version, pieces of two could be put together.
            return Err(from.wrong_content("the service names no version (ETag) of a large object"));
        };
        Ok(head.chain(ranges(engine, &from.store, key, first..len, etag)).boxed())
    }
}

/// A part of an object of one version, several ranges at once.
fn ranges(
    engine: &Arc<Engine>,
    store: &Store,
    key: &Key,
    part: Range<u64>,
    etag: String,
) -> impl Stream<Item = Result<Chunk, TransferError>> + Send + use<> {
    let (engine, store, key, end) = (Arc::clone(engine), store.clone(), key.clone(), part.end);
    let each = stream::iter(part.step_by(RANGE as usize)).map(move |start| {
        let (engine, store, key, etag) = (Arc::clone(&engine), store.clone(), key.clone(), etag.clone());
        async move {
            let (piece, reserved) = range(&engine, &store, &key, start..end.min(start + RANGE), Some(&etag)).await?;
            Ok(Chunk { bytes: piece.bytes, _reserved: Some(reserved) })
        }
    });
    each.buffered(RANGES)
}

async fn range(
    engine: &Engine,
    store: &Store,
    key: &Key,
    range: Range<u64>,
    etag: Option<&str>,
) -> Result<(Piece, OwnedSemaphorePermit), StoreError> {
    let len = range.end - range.start;
    // What is small is held twice while it comes: by its connection as well, of which there may be many.
    let reserved = engine.reserve(if len <= SMALL { 2 * len } else { len }).await;
    let ask = |range: Range<u64>, etag: Option<String>| {
        retrying(engine.options.patience, move || {
            let (range, etag) = (range.clone(), etag.clone());
            async move { engine.send(store.get_range(key, range, etag.as_deref())).await }
        })
    };
    let mut piece = ask(range.clone(), etag.map(str::to_owned)).await?;
    // A body that broke off goes on where it stopped.
    while (piece.bytes.len() as u64) < (range.end.min(piece.len)).saturating_sub(range.start) {
        tokio::time::sleep(BREATH).await;
        let rest = ask(range.start + piece.bytes.len() as u64..range.end, piece.etag.clone()).await?;
        if rest.bytes.is_empty() || rest.len != piece.len {
            return Err(store.changed(key));
        }
        piece.bytes = [piece.bytes, rest.bytes].concat().into();
    }
    Ok((piece, reserved))
}

/// A service that breaks off is not asked again at once.
const BREATH: std::time::Duration = std::time::Duration::from_millis(200);

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

type Pieces = BoxStream<'static, Result<Chunk, TransferError>>;

/// Pass pieces to a decoder on a thread that may block.
async fn feed(
    engine: &Arc<Engine>,
    from: &Candidate,
    item: Item,
    len: u64,
    mut pieces: Pieces,
) -> Result<(), TransferError> {
    let (sender, receiver): (Sender<Option<Chunk>>, _) = channel(PIECES);
    let sink = {
        let (engine, from) = (Arc::clone(engine), from.clone());
        let bytes = PieceReader::new(receiver);
        tokio::spawn(blocking(move || receive(&engine, &from, item, len, bytes)))
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
    received
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
