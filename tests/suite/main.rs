//! All integration tests, in one binary: a link costs more than a module.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod attributes_text;
#[cfg(unix)]
mod hooks_text;
#[cfg(unix)]
mod protocol;
mod restore;
mod scratch;
