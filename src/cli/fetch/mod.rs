//! Content into the worktree, all of it or a part.
//!
//! Apart because these commands write files that the user has, and must never write over his work.

pub mod deferred;
pub mod download;
mod put;
mod replaceable;
pub mod sparse_checkout;
pub mod targets;
mod twins;
mod vouching;
