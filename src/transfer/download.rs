//! Download: an object's bytes from the store, decoded, hashed, into the cache.
//!
//! Apart because it is where a wrong byte of the store must stop (design.md, invariant 3).

use std::io::{self, Read, Seek};
use std::sync::Arc;

use bytes::{Buf, Bytes};
use futures_util::StreamExt;
use tokio::sync::mpsc::{Receiver, channel};

use super::{Engine, Item, Moved, TransferError, blocking};
use crate::cache::Staged;
use crate::fs::{PathContext, PathError};
use crate::oid::HashingWriter;
use crate::store::codec::{DecodeError, MARK_LEN, Mark, decode, mark};

/// Pieces between the network and the decoder; `object_store` makes them 8 KiB to a few hundred KiB.
const PIECES_IN_FLIGHT: usize = 8;

/// Fetch `item` into the cache, unless it is there.
pub(super) async fn download(engine: &Arc<Engine>, item: Item) -> Result<Moved, TransferError> {
    if engine.cache.find(&item.oid, item.size).is_some() {
        return Ok(Moved::AlreadyThere);
    }
    let object = engine.store.get(&item.oid).await?;
    let (sender, receiver) = channel(PIECES_IN_FLIGHT);
    let sink = {
        let engine = Arc::clone(engine);
        let len = object.len;
        tokio::spawn(blocking(move || receive(&engine, item, len, PieceReader::new(receiver))))
    };
    let mut network = Ok(());
    let mut bytes = object.bytes;
    while let Some(piece) = bytes.next().await {
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
    received.map(|()| Moved::Bytes(object.len))
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
    pieces: Receiver<Option<Bytes>>,
    current: Bytes,
}

impl PieceReader {
    fn new(pieces: Receiver<Option<Bytes>>) -> Self {
        PieceReader { pieces, current: Bytes::new() }
    }
}

impl Read for PieceReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.pieces.blocking_recv() {
                None => return Ok(0),
                Some(Some(piece)) => self.current = piece,
                Some(None) => return Err(io::Error::other("the connection was lost")),
            }
        }
        let n = buf.len().min(self.current.len());
        self.current.copy_to_slice(&mut buf[..n]);
        Ok(n)
    }
}
