//! How much has travelled between a store and this process: what a progress bar goes by.
//!
//! Apart because it is no part of any request, and counts for all of them.

use std::sync::atomic::Ordering;

use super::Store;

impl Store {
    /// Bytes of objects that came from the store and went there so far, as they are encoded: what is read as it
    /// comes, what is written when it is there. Not those that are read from a directory as a whole file.
    pub fn traffic(&self) -> u64 {
        self.quirks.traffic.load(Ordering::Relaxed)
    }

    pub(super) fn travelled(&self, bytes: usize) {
        self.quirks.traffic.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}
