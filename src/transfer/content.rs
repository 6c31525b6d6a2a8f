//! Content on its way out: read from the cache, hashed, and encoded part after part.
//!
//! Apart because both ways of uploading (one request, many parts) rest on the same promise: the last
//! part is handed out only if the whole content was what its name says.

use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::SemaphorePermit;

use super::upload::ONE_REQUEST;
use super::{Engine, TransferError, blocking};
use crate::buffer::Buffer;
use crate::fs::PathContext;
use crate::oid::{Oid, OidHasher};
use crate::pointer::Pointer;
use crate::store::codec::{Encoding, MEMBER_LEN, Sample, decide, encode_range, encode_range_on, room_for};

/// Encoded parts other than the last are at least this long ("Multipart upload limits" in the S3 user
/// guide).
pub(super) const MIN_PART: usize = 5 << 20;

/// So much of a part's end is kept until it is known whether the part is long enough.
const TAIL: u64 = 2 * MEMBER_LEN;

/// Threads beside the first that compress one part.
const MORE_THREADS: u64 = 3;

/// Content being read.
pub(super) struct Content {
    engine: Arc<Engine>,
    pointer: Pointer,
    file: File,
    hasher: OidHasher,
    encoding: Encoding,
    percent: u64,
}

/// A part of the content, encoded.
pub(super) struct Part {
    /// What is sent.
    pub encoded: Bytes,
    /// SHA-256 of all content up to the part's end, to know the part again after an interruption.
    pub upto: Oid,
    /// Nothing comes after it.
    pub last: bool,
}

impl Content {
    /// Open the content, and decide how it is encoded.
    pub(super) async fn open(engine: &Arc<Engine>, pointer: Pointer) -> Result<Self, TransferError> {
        let _coding = engine.coding().await;
        let engine = Arc::clone(engine);
        blocking(move || Self::open_here(engine, pointer)).await
    }

    /// All of it, encoded, of content that takes one request: of many small ones, a thread that is woken once for each
    /// costs more than what it does.
    pub(super) async fn whole(engine: &Arc<Engine>, pointer: Pointer) -> Result<Bytes, TransferError> {
        let _coding = engine.coding().await;
        let engine = Arc::clone(engine);
        blocking(move || Ok(Self::open_here(engine, pointer)?.encode(pointer.size, 1)?.1.encoded)).await
    }

    /// [`Content::open`], on a thread that may block.
    fn open_here(engine: Arc<Engine>, pointer: Pointer) -> Result<Self, TransferError> {
        let path = engine.cache.object_path(&pointer.oid);
        let mut file = engine.cache.open(&pointer)?.ok_or_else(|| engine.not_in_cache(&pointer.oid))?;
        let sample = Sample::take(&mut file, pointer.size).context("read", &path)?;
        let encoding = decide(&sample, engine.options.compression);
        let percent = match encoding {
            Encoding::COMPRESSED if pointer.size > ONE_REQUEST => sample.percent(),
            _ => 100,
        };
        Ok(Content { engine, pointer, file, hasher: OidHasher::new(), encoding, percent })
    }

    /// How it is encoded.
    pub(super) fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// What it becomes if it takes more than one request, in hundredths of its length, going by a sample.
    pub(super) fn percent(&self) -> u64 {
        self.percent
    }

    /// Bytes in memory at the most while a part of `len` bytes is encoded, but for what its threads are at.
    pub(super) fn takes(&self, len: u64) -> u64 {
        let len = len.min(self.pointer.size);
        if self.encoding == Encoding::COMPRESSED { len + TAIL } else { len }
    }

    /// Encode the next `len` bytes of content, or what is left, on the cores that nobody else uses.
    pub(super) async fn next_part(self, len: u64) -> Result<(Self, Part), TransferError> {
        let engine = Arc::clone(&self.engine);
        let _coding = engine.coding().await;
        let more = match self.encoding {
            Encoding::Raw => None,
            // Each has a member in memory, which was not reserved; and there may be many short parts.
            Encoding::Gzip { .. } if len <= ONE_REQUEST => None,
            Encoding::Gzip { .. } => engine.more_coding((len / MEMBER_LEN - 1).min(MORE_THREADS)),
        };
        let threads = 1 + more.as_ref().map_or(0, SemaphorePermit::num_permits);
        blocking(move || self.encode(len, threads)).await
    }

    /// [`Content::next_part`], on a thread that may block and `threads` in all.
    fn encode(mut self, len: u64, threads: usize) -> Result<(Self, Part), TransferError> {
        let _span = tracing::debug_span!("object", title = "hash and encode", oid = %self.pointer.oid);
        let path = self.engine.cache.object_path(&self.pointer.oid);
        let len = len.min(self.pointer.size - self.hasher.len());
        let last = self.hasher.len() + len == self.pointer.size;
        let mut encoded = room_for(len, self.encoding).context("encode", &path)?;
        let mut reader = Hashing { file: &mut self.file, hasher: &mut self.hasher };
        // What does not compress is long enough.
        if last || self.encoding != Encoding::COMPRESSED {
            encode_range_on(threads, &mut reader, len, self.encoding, &mut encoded).context("read", &path)?;
        } else {
            encode_long_enough(threads, &mut reader, len, self.encoding, &mut encoded).context("read", &path)?;
        }
        let (upto, _) = self.hasher.clone().finish();
        if last && upto != self.pointer.oid {
            self.engine.cache.set_aside(&self.pointer.oid)?;
            let key = self.engine.store.key(&self.pointer.oid).to_string();
            return Err(TransferError::DamagedCache { key });
        }
        Ok((self, Part { encoded: encoded.freeze(), upto, last }))
    }
}

/// A part that compresses to less than a service accepts gets just enough stored, uncompressed
/// members at its end.
fn encode_long_enough(
    threads: usize,
    content: &mut impl Read,
    len: u64,
    encoding: Encoding,
    out: &mut Buffer,
) -> io::Result<()> {
    let head = len.saturating_sub(TAIL);
    encode_range_on(threads, content, head, encoding, out)?;
    let mut tail = Buffer::with_room((len - head) as usize)?;
    encode_range(content, len - head, Encoding::Raw, &mut tail)?;
    let tail = tail.as_ref();
    let before = out.len();
    encode_range_on(threads, &mut { tail }, len - head, encoding, out)?;
    let missing = MIN_PART.saturating_sub(out.len());
    if missing == 0 {
        return Ok(());
    }
    // Stored bytes replace compressed ones, which were few: half as much again makes up for them.
    let stored = tail.len().min(missing + missing / 2 + (64 << 10));
    let (compressed, stored) = tail.split_at(tail.len() - stored);
    out.truncate(before);
    encode_range_on(threads, &mut { compressed }, compressed.len() as u64, encoding, out)?;
    encode_range(&mut { stored }, stored.len() as u64, Encoding::WRAPPED, out)
}

struct Hashing<'a> {
    file: &'a mut File,
    hasher: &'a mut OidHasher,
}

impl Read for Hashing<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read(buf)?;
        self.hasher.update(&buf[..n]);
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::codec::decode;

    #[test]
    fn parts_of_compressible_content_are_long_enough_and_still_decode() {
        for len in [8 << 20, 32 << 20] {
            let content: Vec<u8> = (0..len).map(|i: usize| (i >> 12) as u8).collect();
            let mut encoded = room_for(len as u64, Encoding::COMPRESSED).unwrap();
            encode_long_enough(2, &mut content.as_slice(), len as u64, Encoding::COMPRESSED, &mut encoded).unwrap();
            assert!(encoded.len() >= MIN_PART, "a service accepts a part of {len} zero-like bytes");
            assert!(encoded.len() < 2 * MIN_PART, "and it is not much longer than it has to be");
            let mut decoded = Vec::new();
            decode(encoded.as_ref(), &mut decoded, len as u64).unwrap();
            assert!(decoded == content, "members of both kinds decode in order");
        }
    }
}
