//! A second copy of large content, which is written while the first one comes.
//!
//! Apart because the cache is the engine's duty, and this is a favour: who wants the content in the worktree as well
//! need not read it again for that. Whatever goes wrong with it, the download does not; then there is no twin.

use std::fs::File;
use std::io::Write;

use super::{Engine, Item};

/// Who wants second copies.
pub trait Twins: Send + Sync {
    /// An empty file for the content of `item`, of `len` bytes; `None`: it is not wanted, or not like this. Asked
    /// again when the content is fetched again.
    fn begin(&self, item: &Item, len: u64) -> Option<File>;

    /// The last file for `item` is whole, and its bytes are what the oid says.
    fn whole(&self, item: &Item);

    /// It could not be written: what is there only takes room.
    fn lost(&self, item: &Item);
}

/// One of them, on its way.
pub(super) struct Twin<'a> {
    engine: &'a Engine,
    item: Item,
    file: File,
}

impl<'a> Twin<'a> {
    /// If somebody wants one.
    pub fn begin(engine: &'a Engine, item: Item, len: u64) -> Option<Self> {
        let file = engine.twins.get()?.begin(&item, len)?;
        Some(Twin { engine, item, file })
    }

    /// The next bytes. `None`: they could not be written, and nobody will have it.
    pub fn write(mut self, bytes: &[u8]) -> Option<Self> {
        match self.file.write_all(bytes) {
            Ok(()) => Some(self),
            Err(e) => {
                let Twin { engine, item, file } = self;
                tracing::info!("{} is written to the worktree later: {e}", item.oid);
                drop(file);
                if let Some(twins) = engine.twins.get() {
                    twins.lost(&item);
                }
                None
            }
        }
    }

    /// All of it is there, and was hashed.
    pub fn whole(self) {
        let Twin { engine, item, file } = self;
        drop(file);
        if let Some(twins) = engine.twins.get() {
            twins.whole(&item);
        }
    }
}
