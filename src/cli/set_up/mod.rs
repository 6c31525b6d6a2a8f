//! Setting up: a store is chosen, a clone is made ready.
//!
//! Apart because this happens once a repository or once a clone, and asks the user what to trust.

pub mod clone;
pub mod init;
pub mod lfs_driver;
mod policy;
pub mod setup;
pub mod setup_hooks;
pub mod trust;
