//! Every command end to end: the real Git, a `file://` store, from a subdirectory too.

mod aged;
mod cloning;
mod committing;
mod download;
mod fsck;
mod gate;
mod hook_managers;
mod hooks_beside;
mod init;
mod merging;
mod modified;
mod prune;
mod purge;
mod pushing;
mod reading_stores;
mod remove;
mod reports;
mod sequences;
mod setup;
mod size_limit;
mod sparse;
mod subtree;
mod track;
mod trust;
mod upload;
mod verify;
