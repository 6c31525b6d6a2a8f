//! suite
#![allow(clippy::unwrap_used)]

mod attributes_text;
#[cfg(unix)]
mod hooks_text;
mod scratch;
