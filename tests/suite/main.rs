//! All integration tests, in one binary: a link costs more than a module.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod architecture;
mod attributes_text;
#[cfg(unix)]
mod bad_input;
#[cfg(unix)]
mod cleanup;
#[cfg(unix)]
mod commands;
mod dependencies;
#[cfg(unix)]
mod doctor;
#[cfg(unix)]
mod git_commands;
#[cfg(unix)]
mod hooks_text;
#[cfg(unix)]
mod hostile;
#[cfg(unix)]
mod import;
#[cfg(unix)]
mod lfs;
#[cfg(unix)]
mod odd;
#[cfg(unix)]
mod properties;
#[cfg(unix)]
mod protocol;
#[cfg(unix)]
mod python;
#[cfg(unix)]
mod recipes;
mod restore;
#[cfg(unix)]
mod s3;
mod scratch;
#[cfg(unix)]
mod shell;
#[cfg(unix)]
mod steps;
#[cfg(unix)]
mod terminal;
mod world;
