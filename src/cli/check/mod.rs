//! Looking: is everything where it should be, and what of the cache may go?
//!
//! Apart because nothing that a commit names is changed here, and nothing in the store but to mend it.

mod beside_git;
mod clones;
mod examine;
mod findings;
pub mod fsck;
mod in_git;
pub mod ls;
mod mend;
pub mod named;
pub mod names;
mod nowhere;
pub mod prune;
mod prune_shared;
pub mod status;
mod submodules;
mod tracked;
mod verified;
pub mod verify;
