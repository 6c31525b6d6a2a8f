//! Every command end to end: the real Git, a `file://` store, from a subdirectory too.

mod cloning;
mod committing;
mod download;
mod gate;
mod init;
mod merging;
mod modified;
mod pushing;
mod reports;
mod sequences;
mod setup;
mod size_limit;
mod track;
mod trust;
mod upload;
