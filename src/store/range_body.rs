//! The body of an answer to a ranged GET, piece after piece as it comes.
//!
//! Apart because a service's word on what follows is checked at each piece: a body may stall, end
//! early, or be longer than the range that was asked for.

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use object_store::GetResult;

use super::{Key, Kind, Store, StoreError};

/// A read that brings no byte for this long has failed, whatever the client thinks.
const STALL: Duration = Duration::from_secs(60);

/// A part of an object being read.
pub struct RangeBody {
    /// Encoded length of the whole object in bytes.
    pub len: u64,
    /// Which version of the object it is from, if the service says.
    pub etag: Option<String>,
    store: Store,
    key: Key,
    wanted: u64,
    left: u64,
    pieces: BoxStream<'static, object_store::Result<Bytes>>,
}

impl RangeBody {
    pub(super) fn new(store: &Store, key: &Key, range: Range<u64>, answer: GetResult) -> Self {
        let (len, etag) = (answer.meta.size, answer.meta.e_tag.clone());
        let wanted = (range.end - range.start).min(len.saturating_sub(range.start));
        let (store, key, pieces) = (store.clone(), key.clone(), answer.into_stream());
        RangeBody { len, etag, store, key, wanted, left: wanted, pieces }
    }

    /// Bytes that are still to come.
    pub fn left(&self) -> u64 {
        self.left
    }

    /// The next bytes; `None` when the whole range came. An error for a body that breaks off, stalls, or
    /// goes on behind the range.
    pub async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        match tokio::time::timeout(STALL, self.pieces.next()).await {
            Ok(Some(Ok(piece))) if piece.len() as u64 <= self.left => {
                self.left -= piece.len() as u64;
                self.store.travelled(piece.len());
                Ok(Some(piece))
            }
            // Whatever comes after it, it is not the range that was asked for.
            Ok(Some(Ok(_))) => Err(self.wrong("more", Kind::Failed)),
            Ok(Some(Err(e))) => Err(self.store.error("read", &self.key, &e)),
            // A body that ends early without an error would look like a short object.
            Ok(None) if self.left > 0 => Err(self.wrong("fewer", Kind::Busy)),
            Ok(None) => Ok(None),
            Err(_) => Err(self.wrong("fewer, and then none", Kind::Busy)),
        }
    }

    fn wrong(&self, got: &str, kind: Kind) -> StoreError {
        let why = format!("a range of {} bytes was answered with {got}", self.wanted);
        StoreError::about_key("read", &self.key, &self.store.url, kind, why)
    }
}
