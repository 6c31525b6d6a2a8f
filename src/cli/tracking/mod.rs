//! What is tracked: files into the store, the index, the manifest and `.gitattributes`, and out again.
//!
//! Apart because these commands change what the next commit says.

pub mod add;
pub mod at_odds;
pub mod bare_pointers;
pub mod index_lock;
mod large_raw;
pub mod manifest_only;
mod next_commit;
pub mod published;
pub mod removal;
pub mod remove;
pub mod staging;
pub mod track;
pub mod track_modified;
pub mod track_subtree;
pub mod upload;
pub mod uploads;
