//! Looking: is everything where it should be, and what of the cache may go?
//!
//! Apart because nothing that a commit or the store holds is changed here.

pub mod fsck;
pub mod named;
pub mod prune;
pub mod status;
pub mod verify;
