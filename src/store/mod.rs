//! The store: objects by oid in a bucket, over `object_store`.
//!
//! Apart because it is the seam between the transfer engine and whatever holds the bytes: a directory
//! or an S3 service. Each method is one request; trying again is the engine's. It moves encoded
//! bytes; what they mean is `codec`'s.

mod access;
mod answer;
mod asking;
mod ca_bundle;
pub mod codec;
mod connect;
mod credentials;
mod deadline;
mod error;
mod head;
mod http_client;
pub mod key;
pub mod legacy;
mod line;
pub mod listing;
pub mod marks;
pub mod multipart;
pub mod parts_there;
mod probe;
mod range_body;
pub mod registration;
pub mod sweeping;
mod traffic;
pub mod unfinished;

use std::fs::File;
use std::io::Write;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    Attributes, GetOptions, GetRange, GetResultPayload, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions,
    PutPayload,
};

pub use access::{Access, Addressing, Chosen, Encryption, Hosts, Payer, Reach, Signing, StorageClass, is_region};
pub use credentials::{
    NoCredentials, OTHER_PROFILE, Origin, ProfileEndpoint, half_a_key, profile_endpoint, profile_of_environment,
    profile_region,
};
pub use error::{Kind, StoreError};
/// The name of an object in a bucket.
pub use object_store::path::Path as Key;
pub use probe::ProbeMode;
pub use range_body::RangeBody;

use crate::buffer::Buffer;
use crate::oid::Oid;
use crate::remote::{Bucket, Remote};
use connect::{Backend, connect};

/// One repository's part of a bucket.
#[derive(Clone, Debug)]
pub struct Store {
    remote: Remote,
    url: String,
    backend: Backend,
    quirks: Arc<Quirks>,
}

/// What was learned of a service while using it.
#[derive(Debug, Default)]
struct Quirks {
    /// It refused `If-None-Match`.
    no_conditions: AtomicBool,
    /// It answers a range with the whole object.
    whole_objects: AtomicBool,
    /// To GET it said no more than to HEAD of why it refuses.
    says_no_more: AtomicBool,
    /// So many writes were not taken in time.
    late_writes: AtomicU32,
    /// Bytes of objects that came and went.
    traffic: AtomicU64,
}

/// An object that is in the store.
#[derive(Clone, Copy, Debug)]
pub struct Found {
    /// Encoded length in bytes.
    pub len: u64,
    /// When it was written, by the store's clock.
    pub modified: SystemTime,
}

/// An object being read from its first byte.
pub struct Object {
    /// Encoded length in bytes.
    pub len: u64,
    /// The bytes, in pieces.
    pub bytes: BoxStream<'static, Result<Bytes, StoreError>>,
}

/// A part of an object.
#[derive(Clone, Debug)]
pub struct Piece {
    /// The bytes of the range, or up to the object's end, or to where the body broke off.
    pub bytes: Bytes,
    /// Encoded length of the whole object in bytes.
    pub len: u64,
    /// Which version of the object it is from, if the service says.
    pub etag: Option<String>,
}

/// Of a range that broke off, fewer bytes are asked for again.
const WORTH_KEEPING: usize = 64 << 10;

/// A shard's marks have 100 bytes for each of some thousand objects.
const SMALL: usize = 64 << 20;
/// However slow the line is.
const SMALL_TIME: Duration = Duration::from_secs(120);

/// Whether a write put new bytes there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Put {
    /// They are there now.
    Written,
    /// The object was there before.
    Existed,
    /// Nothing was: the service does not know the condition.
    NoCondition,
}

impl Store {
    /// Connect to `remote`. For a directory this looks whether it is there; for a service nothing is
    /// sent yet.
    pub fn open(remote: &Remote, access: &Access) -> Result<Self, StoreError> {
        let backend = connect(remote, access)?;
        Ok(Store { remote: remote.clone(), url: remote.to_string(), backend, quirks: Arc::default() })
    }

    /// Which store it is.
    pub fn remote(&self) -> &Remote {
        &self.remote
    }

    /// The key of an object, for messages.
    pub fn key(&self, oid: &Oid) -> Path {
        key::object(self.remote.prefix(), oid)
    }

    /// Whether it is a service, to which bytes travel in requests, and not a directory.
    pub fn is_service(&self) -> bool {
        matches!(self.backend, Backend::S3(_))
    }

    /// Whether it is a directory with nothing in it, not even the registration that `init` leaves there: it
    /// may be the place where a disk is not mounted.
    pub fn is_bare(&self) -> bool {
        let Bucket::File(dir) = self.remote.bucket() else { return false };
        std::fs::read_dir(dir.join(self.remote.prefix())).map_or(true, |mut entries| entries.next().is_none())
    }

    /// Now, by the store's clock.
    pub fn now(&self) -> SystemTime {
        match &self.backend {
            Backend::Local(_) => SystemTime::now(),
            Backend::S3(s3) => s3.line.now(),
        }
    }

    /// Whether the service is known to answer a range with the whole object.
    pub fn gives_whole_objects(&self) -> bool {
        self.quirks.whole_objects.load(Ordering::Relaxed)
    }

    /// Remember that it does.
    pub fn remember_whole_objects(&self) {
        self.quirks.whole_objects.store(true, Ordering::Relaxed);
    }

    /// Requests sent to the service so far.
    pub fn requests(&self) -> u64 {
        match &self.backend {
            Backend::Local(_) => 0,
            Backend::S3(s3) => s3.line.requests(),
        }
    }

    /// Is the object there? One without a byte is none: even the shortest content has a gzip header.
    pub async fn head(&self, oid: &Oid) -> Result<Option<Found>, StoreError> {
        let found = self.look_for(&self.key(oid)).await?.filter(|meta| meta.size > 0);
        Ok(found.map(|meta| Found { len: meta.size, modified: meta.last_modified.into() }))
    }

    /// The file that a whole object is, and its length in bytes. `None`: the store is no directory.
    pub async fn get_file(&self, key: &Key) -> Result<Option<(File, u64)>, StoreError> {
        if self.is_service() {
            return Ok(None);
        }
        let result = self.reads().get(key).await.map_err(|e| self.error("read", key, &e))?;
        let len = result.meta.size;
        match result.payload {
            GetResultPayload::File(file, _) => Ok(Some((file, len))),
            GetResultPayload::Stream(_) => Ok(None),
        }
    }

    /// The error of an object that this machine can't read on.
    pub fn unreadable(&self, key: &Key, error: std::io::Error) -> StoreError {
        self.error("read", key, &object_store::Error::Generic { store: "file", source: Box::new(error) })
    }

    /// Begin to read a whole object.
    pub async fn get(&self, key: &Key) -> Result<Object, StoreError> {
        let result = self.reads().get(key).await.map_err(|e| self.error("read", key, &e))?;
        let len = result.meta.size;
        let (store, key) = (self.clone(), key.clone());
        let bytes = result.into_stream().map(move |piece| {
            piece.inspect(|piece| store.travelled(piece.len())).map_err(|e| store.error("read", &key, &e))
        });
        let bytes = bytes.boxed();
        Ok(Object { len, bytes })
    }

    /// Read a range of an object, of that version only if one is given. A body that breaks off or
    /// stalls gives what came of it, if that is worth while and a version names the rest.
    pub async fn get_range(&self, key: &Key, range: Range<u64>, etag: Option<&str>) -> Result<Piece, StoreError> {
        let mut body = self.open_range(key, range, etag).await?;
        let mut bytes = Buffer::with_room(body.left() as usize).map_err(|e| self.unreadable(key, e))?;
        let (len, etag) = (body.len, body.etag.clone());
        loop {
            match body.next().await {
                Ok(Some(piece)) => bytes.write_all(&piece).map_err(|e| self.unreadable(key, e))?,
                Err(e) if bytes.len() < WORTH_KEEPING || etag.is_none() || !e.is_transient() => return Err(e),
                Err(e) => {
                    tracing::info!("{e}; {} bytes came of it", bytes.len());
                    return Ok(Piece { bytes: bytes.freeze(), len, etag });
                }
                Ok(None) => return Ok(Piece { bytes: bytes.freeze(), len, etag }),
            }
        }
    }

    /// Begin to read a range of an object, of that version only if one is given.
    pub async fn open_range(&self, key: &Key, range: Range<u64>, etag: Option<&str>) -> Result<RangeBody, StoreError> {
        let options = GetOptions {
            range: Some(GetRange::Bounded(range.clone())),
            if_match: etag.map(str::to_owned),
            ..GetOptions::default()
        };
        let result = self.reads().get_opts(key, options).await.map_err(|e| self.error("read", key, &e))?;
        Ok(RangeBody::new(self, key, range, result))
    }

    /// Write an object that fits in memory, in the place of whatever is there.
    pub async fn put(&self, oid: &Oid, encoded: Bytes) -> Result<(), StoreError> {
        let options = PutOptions { attributes: self.class(), ..PutMode::Overwrite.into() };
        self.put_at(&self.key(oid), encoded, options).await.map(drop)
    }

    /// As [`Store::put`], unless the object is there. A service that ignores the condition writes the
    /// same content again and does not tell: of an old object, a cleanup that is just deleting may take
    /// what was written (`sweeping`).
    pub async fn put_new(&self, oid: &Oid, encoded: Bytes) -> Result<Put, StoreError> {
        let options = PutOptions { attributes: self.class(), ..PutMode::Create.into() };
        match self.put_at(&self.key(oid), encoded, options).await {
            // 501 may mean the condition, or the encryption: the second try tells.
            Err(e) if e.kind() == Kind::Encryption => {
                self.quirks.no_conditions.store(true, Ordering::Relaxed);
                Ok(Put::NoCondition)
            }
            done => done,
        }
    }

    /// Whether the service may know the condition of [`Store::put_new`].
    pub fn takes_conditions(&self) -> bool {
        !self.quirks.no_conditions.load(Ordering::Relaxed)
    }

    /// The user's choice of how content is kept; records of ours are small, and stay as the service has them.
    fn class(&self) -> Attributes {
        match &self.backend {
            Backend::S3(s3) => s3.class.clone(),
            Backend::Local(_) => Attributes::new(),
        }
    }

    async fn put_at(&self, key: &Path, bytes: Bytes, options: impl Into<PutOptions>) -> Result<Put, StoreError> {
        let len = bytes.len() as u64;
        let put = self.writes().put_opts(key, PutPayload::from(bytes), options.into());
        match self.within_deadline(key, len, put).await? {
            Ok(_) => {
                self.travelled(len as usize);
                Ok(Put::Written)
            }
            Err(object_store::Error::AlreadyExists { .. }) => Ok(Put::Existed),
            Err(e) => Err(self.error("write", key, &e)),
        }
    }

    /// What s3lfs itself keeps in a store beside objects: registrations, marks, the sweep's state.
    async fn get_small(&self, key: &Path) -> Result<Option<Bytes>, StoreError> {
        Ok(self.get_small_with_meta(key).await?.map(|(bytes, _)| bytes))
    }

    /// As [`Store::get_small`], and what the store says of it.
    async fn get_small_with_meta(&self, key: &Path) -> Result<Option<(Bytes, ObjectMeta)>, StoreError> {
        let read = async {
            let (meta, mut pieces) = match self.reads().get(key).await {
                Ok(result) => (result.meta.clone(), result.into_stream()),
                Err(object_store::Error::NotFound { .. }) => return Ok(None),
                Err(e) => return Err(self.error("read", key, &e)),
            };
            let mut bytes = BytesMut::new();
            while let Some(piece) = pieces.next().await {
                bytes.extend_from_slice(&piece.map_err(|e| self.error("read", key, &e))?);
                if bytes.len() > SMALL {
                    let why = format!("it is longer than {SMALL} bytes, which nothing is that s3lfs writes there");
                    return Err(StoreError::about_key("read", key, &self.url, Kind::Failed, why));
                }
            }
            Ok(Some((bytes.freeze(), meta)))
        };
        tokio::time::timeout(SMALL_TIME, read).await.unwrap_or_else(|_| {
            let why = format!("it did not come within {} seconds", SMALL_TIME.as_secs());
            Err(StoreError::about_key("read", key, &self.url, Kind::Busy, why))
        })
    }

    /// The error of an object that is another one than when we began to read it.
    pub fn changed(&self, key: &Key) -> StoreError {
        StoreError::about_key("read", key, &self.url, Kind::Precondition, "it was changed meanwhile")
    }

    fn reads(&self) -> &dyn ObjectStore {
        match &self.backend {
            Backend::Local(local) => local.as_ref(),
            Backend::S3(s3) => &s3.reads,
        }
    }

    fn writes(&self) -> &dyn ObjectStore {
        match &self.backend {
            Backend::Local(local) => local.as_ref(),
            Backend::S3(s3) => &s3.writes,
        }
    }

    fn error(&self, action: &'static str, key: &Path, error: &object_store::Error) -> StoreError {
        let dead = matches!(&self.backend, Backend::S3(s3) if s3.line.is_dead());
        let error = StoreError::new(action, key, &self.url, error).hopeless(dead);
        match &self.backend {
            Backend::S3(s3) if error.kind() == Kind::Credentials => error.by(s3.signer()),
            _ => error,
        }
    }
}
