//! The store: objects by oid in a bucket, over `object_store`.
//!
//! Apart because it is the seam between the transfer engine and whatever holds the bytes: a
//! directory today, an S3 service by the same methods. It moves encoded bytes; what they mean is
//! `codec`'s.

pub mod codec;
mod error;
pub mod key;
pub mod registration;

use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt, PutPayload};

pub use error::{Kind, StoreError};

use crate::oid::Oid;
use crate::remote::{Bucket, Remote};

/// One repository's part of a bucket.
#[derive(Clone, Debug)]
pub struct Store {
    remote: Remote,
    url: String,
    backend: Arc<dyn ObjectStore>,
}

/// An object that is in the store.
#[derive(Clone, Copy, Debug)]
pub struct Found {
    /// Encoded length in bytes.
    pub len: u64,
    /// When it was written, by the store's clock.
    pub modified: SystemTime,
}

/// An object being read: its encoded bytes, in pieces.
pub struct Object {
    /// Encoded length in bytes.
    pub len: u64,
    /// The bytes, from the first.
    pub bytes: BoxStream<'static, Result<Bytes, StoreError>>,
}

impl Store {
    /// Connect to `remote`. For a directory this looks whether it is there (it is never made here: an
    /// unmounted disk must not turn into an empty store); for a service nothing is sent yet.
    pub fn open(remote: &Remote) -> Result<Self, StoreError> {
        let url = remote.to_string();
        let backend: Arc<dyn ObjectStore> = match remote.bucket() {
            Bucket::File(dir) => {
                if !dir.is_dir() {
                    let why = format!("the directory {} does not exist; is a disk not mounted?", dir.display());
                    return Err(StoreError::about_store("open", &url, Kind::NoStore, why));
                }
                let local = LocalFileSystem::new_with_prefix(dir);
                Arc::new(local.map_err(|e| StoreError::new("open", &Path::ROOT, &url, &e))?.with_fsync(true))
            }
            Bucket::S3(_) => {
                let why = "this build reads and writes file:// stores only";
                return Err(StoreError::about_store("open", &url, Kind::NoStore, why));
            }
        };
        Ok(Store { remote: remote.clone(), url, backend })
    }

    /// Which store it is.
    pub fn remote(&self) -> &Remote {
        &self.remote
    }

    /// The key of an object, for messages.
    pub fn key(&self, oid: &Oid) -> Path {
        key::object(self.remote.prefix(), oid)
    }

    /// Is the object there? One without a byte is none: even the shortest content has a gzip header.
    pub async fn head(&self, oid: &Oid) -> Result<Option<Found>, StoreError> {
        let key = self.key(oid);
        match self.backend.head(&key).await {
            Ok(meta) if meta.size == 0 => Ok(None),
            Ok(meta) => Ok(Some(Found { len: meta.size, modified: meta.last_modified.into() })),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(e) => Err(self.error("look for", &key, &e)),
        }
    }

    /// Begin to read an object.
    pub async fn get(&self, oid: &Oid) -> Result<Object, StoreError> {
        let key = self.key(oid);
        let result = self.backend.get(&key).await.map_err(|e| self.error("read", &key, &e))?;
        let len = result.meta.size;
        let store = self.clone();
        let bytes = result.into_stream().map(move |piece| piece.map_err(|e| store.error("read", &key, &e))).boxed();
        Ok(Object { len, bytes })
    }

    /// Write an object that fits in memory, in the place of whatever is there.
    pub async fn put(&self, oid: &Oid, encoded: Vec<u8>) -> Result<(), StoreError> {
        self.put_at(&self.key(oid), encoded).await
    }

    /// Begin to write an object in parts.
    pub async fn put_parts(&self, oid: &Oid) -> Result<Parts, StoreError> {
        let key = self.key(oid);
        let upload = self.backend.put_multipart(&key).await.map_err(|e| self.error("write", &key, &e))?;
        Ok(Parts { store: self.clone(), key, upload })
    }

    async fn put_at(&self, key: &Path, bytes: Vec<u8>) -> Result<(), StoreError> {
        let put = self.backend.put(key, PutPayload::from(bytes)).await;
        put.map(drop).map_err(|e| self.error("write", key, &e))
    }

    async fn get_small(&self, key: &Path) -> Result<Option<Bytes>, StoreError> {
        match self.backend.get(key).await {
            Ok(result) => result.bytes().await.map(Some).map_err(|e| self.error("read", key, &e)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(e) => Err(self.error("read", key, &e)),
        }
    }

    async fn list(&self, under: &Path) -> Result<Vec<Path>, StoreError> {
        let mut keys = Vec::new();
        let mut listing = self.backend.list(Some(under));
        while let Some(meta) = listing.next().await {
            keys.push(meta.map_err(|e| self.error("list", under, &e))?.location);
        }
        Ok(keys)
    }

    fn error(&self, action: &'static str, key: &Path, error: &object_store::Error) -> StoreError {
        StoreError::new(action, key, &self.url, error)
    }
}

/// An object being written part after part; it appears when it is complete.
pub struct Parts {
    store: Store,
    key: Path,
    upload: Box<dyn MultipartUpload>,
}

impl Parts {
    /// Send the next part.
    pub async fn put(&mut self, part: Vec<u8>) -> Result<(), StoreError> {
        let sent = self.upload.put_part(PutPayload::from(part)).await;
        sent.map_err(|e| self.store.error("write", &self.key, &e))
    }

    /// Make the object appear.
    pub async fn complete(mut self) -> Result<(), StoreError> {
        let done = self.upload.complete().await;
        done.map(drop).map_err(|e| self.store.error("complete", &self.key, &e))
    }

    /// Throw the parts away.
    pub async fn abort(mut self) -> Result<(), StoreError> {
        self.upload.abort().await.map_err(|e| self.store.error("give up", &self.key, &e))
    }
}

/// An [`io::Error`] for the blocking side of a transfer that reads from the store.
impl From<StoreError> for io::Error {
    fn from(error: StoreError) -> Self {
        io::Error::other(error)
    }
}
