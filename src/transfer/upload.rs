//! Upload: content from the cache, encoded, into the store.
//!
//! Apart because it is where a promise is made to others: an object becomes visible only after its
//! content was hashed on the way and is what its key says.

use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::{Engine, Item, Moved, TransferError, blocking};
use crate::fs::PathContext;
use crate::oid::OidHasher;
use crate::pointer::Pointer;
use crate::store::codec::{Encoding, Sample, decide, encode_range};
use crate::store::{Parts, StoreError};

/// Content of up to this many bytes is encoded in memory and written in one request; longer content
/// goes in parts of this many content bytes. S3 wants at least 5 MiB a part.
const PART: u64 = 8 << 20;

/// An object found in the store is believed to stay there if it is younger than this; else it is
/// written again, so that its age (which cleanup goes by) starts anew.
const BELIEVED: Duration = Duration::from_secs(3 * 24 * 3600);

/// Bring `item` into the store, unless a fresh object is there.
pub(super) async fn upload(engine: &Arc<Engine>, item: Item) -> Result<Moved, TransferError> {
    let cached = engine.cache.find(&item.oid, item.size);
    if let Some(found) = engine.store.head(&item.oid).await? {
        let age = SystemTime::now().duration_since(found.modified).unwrap_or_default();
        if age < BELIEVED || cached.is_none() {
            return Ok(Moved::AlreadyThere);
        }
    }
    let Some(pointer) = cached else {
        return Err(engine.not_in_cache(&item.oid));
    };
    let content = {
        let engine = Arc::clone(engine);
        blocking(move || Content::open(&engine, pointer)).await?
    };
    if pointer.size <= PART {
        let (_, part) = content.next_part().await?;
        let len = part.encoded.len() as u64;
        engine.store.put(&pointer.oid, part.encoded).await?;
        return Ok(Moved::Bytes(len));
    }
    let mut parts = engine.store.put_parts(&pointer.oid).await?;
    match send_parts(content, &mut parts).await {
        Ok(sent) => {
            parts.complete().await?;
            Ok(Moved::Bytes(sent))
        }
        Err(e) => {
            // What matters is why it failed; parts that stay behind are invisible.
            if let Err(abort) = parts.abort().await {
                tracing::warn!("{abort}");
            }
            Err(e)
        }
    }
}

async fn send_parts(mut content: Content, parts: &mut Parts) -> Result<u64, TransferError> {
    let mut sent = 0;
    loop {
        let (rest, part) = content.next_part().await?;
        sent += part.encoded.len() as u64;
        parts.put(part.encoded).await.map_err(|e: StoreError| TransferError::from(e))?;
        if part.last {
            return Ok(sent);
        }
        content = rest;
    }
}

/// Content being read, hashed and encoded part after part.
struct Content {
    engine: Arc<Engine>,
    pointer: Pointer,
    file: File,
    hasher: OidHasher,
    encoding: Encoding,
}

struct Part {
    encoded: Vec<u8>,
    last: bool,
}

impl Content {
    fn open(engine: &Arc<Engine>, pointer: Pointer) -> Result<Self, TransferError> {
        let path = engine.cache.object_path(&pointer.oid);
        let mut file = engine.cache.open(&pointer)?.ok_or_else(|| engine.not_in_cache(&pointer.oid))?;
        let sample = Sample::take(&mut file, pointer.size).context("read", &path)?;
        let encoding = decide(&sample, engine.options.compression);
        Ok(Content { engine: Arc::clone(engine), pointer, file, hasher: OidHasher::new(), encoding })
    }

    /// Encode the next part. The last one is handed out only if the whole content was right.
    async fn next_part(mut self) -> Result<(Self, Part), TransferError> {
        blocking(move || {
            let path = self.engine.cache.object_path(&self.pointer.oid);
            let len = PART.min(self.pointer.size - self.hasher.len());
            let mut encoded = Vec::new();
            let mut reader = Hashing { file: &mut self.file, hasher: &mut self.hasher };
            encode_range(&mut reader, len, self.encoding, &mut encoded).context("read", &path)?;
            let last = self.hasher.len() == self.pointer.size;
            if last && self.hasher.clone().finish().0 != self.pointer.oid {
                self.engine.cache.set_aside(&self.pointer.oid)?;
                let key = self.engine.store.key(&self.pointer.oid).to_string();
                return Err(TransferError::DamagedCache { key });
            }
            Ok((self, Part { encoded, last }))
        })
        .await
    }
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
