//! What Git calls: filter, hooks, merge driver.
//!
//! Apart because nobody reads their standard output but Git, and nobody can be asked.

pub mod after_commit;
pub mod brought;
pub mod claims;
mod exempt;
pub mod fetcher;
pub mod filter;
pub mod hook;
pub mod merge_manifest;
mod pipes;
pub mod pre_push;
mod pushed_manifests;
