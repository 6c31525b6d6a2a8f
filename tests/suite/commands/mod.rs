//! Every command end to end: the real Git, a `file://` store, from a subdirectory too.

mod download;
mod init;
mod reports;
mod setup;
mod track;
mod trust;
mod upload;
