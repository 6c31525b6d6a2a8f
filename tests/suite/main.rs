//! suite
#![allow(clippy::unwrap_used)]

mod attributes_text;
mod scratch;
