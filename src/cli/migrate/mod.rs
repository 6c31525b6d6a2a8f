//! `migrate`: repositories that keep large files in another way become ours, and ours another's again.
//!
//! Read top down: what is migrated, one room each. All of them may be stopped at any moment; the same command again goes
//! on.

mod export;
mod handover;
mod import;
mod lfs;
mod python;

use clap::{Args, Subcommand};

use crate::cli::Global;
use crate::cli::error::CliError;
pub use python::take_out_old_hooks;

/// Arguments of `migrate`.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Migrate {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    python: python::FromPython,
}

#[derive(Subcommand, Debug)]
enum What {
    /// Take over a repository of Git LFS: its objects of all history into the store, its files as pointers of s3lfs
    Lfs(lfs::FromLfs),
    /// Give files back: to Git with their content, or to Git LFS
    Export(export::Export),
    /// Rewrite history that holds large files raw, with pointers in their place
    Import(import::Import),
}

/// Migrate what was asked for.
pub fn run(global: &Global, args: Migrate) -> Result<(), CliError> {
    match args.what {
        None => python::run(global, args.python),
        Some(What::Lfs(args)) => lfs::run(global, &args),
        Some(What::Export(args)) => export::run(global, &args),
        Some(What::Import(args)) => import::run(global, &args),
    }
}
