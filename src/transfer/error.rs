//! How a job ends badly: which side failed, on which object.
//!
//! Apart because all jobs share it, and whoever reports it needs no more of the engine.

use crate::fs::PathError;
use crate::store::StoreError;

/// How a job ended badly.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The store did not do as asked.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The local cache did not.
    #[error(transparent)]
    Cache(#[from] PathError),
    /// The content is neither in the cache nor in the store.
    #[error("object {key} is neither in {store} nor in the local cache")]
    Nowhere {
        /// Key in the store.
        key: String,
        /// The store's URL.
        store: String,
    },
    /// The store does not have it, and a reading store could not be asked.
    #[error("object {key} is not in {store}, and a reading store could not be asked")]
    Unasked {
        /// Key in the store.
        key: String,
        /// The store's URL.
        store: String,
        /// What came of asking.
        source: Box<StoreError>,
    },
    /// The cached copy was damaged; it has been set aside.
    #[error("the cached copy of object {key} is damaged and has been set aside")]
    DamagedCache {
        /// Key in the store.
        key: String,
    },
    /// The object's bytes are not what the pointer names.
    #[error("object {key} in {store} is not what the pointer names: {why}")]
    WrongContent {
        /// Key in the store.
        key: String,
        /// The store's URL.
        store: String,
        /// In which way.
        why: String,
    },
    /// The object's bytes hash to the pointer's oid: what is wrong is the size that the pointer names.
    #[error(
        "the size line of its pointer is wrong: it says {named} bytes, and the content, which object {key} in {store} holds \
         and the pointer's oid names, has {right}"
    )]
    WrongSize {
        /// Key in the store.
        key: String,
        /// The store's URL.
        store: String,
        /// Bytes, by the pointer.
        named: u64,
        /// Bytes of the content.
        right: u64,
    },
    /// The engine itself failed.
    #[error("the transfer of object {key} was broken off")]
    BrokenOff {
        /// Key in the store.
        key: String,
    },
}
