//! `trust`: accept the store that the manifest names.
//!
//! Apart because `init`, `clone` and `git-setup` accept a store too, in the same words.

use super::context::Context;
use super::error::CliError;
use super::session::settings_for_reading;
use super::{Global, manifest_file, ui};
use crate::git;
use crate::remote::Remote;

/// Show the store that is in force, and accept it for this clone.
pub fn run(global: &Global) -> Result<(), CliError> {
    // Also in a bare repository, where HEAD's manifest is the one.
    let _context = Context::open_also_bare()?;
    if manifest_file::for_reading(None)?.is_none() {
        manifest_file::required()?;
    }
    let settings = settings_for_reading(global)?;
    accept(&settings.remote)
}

/// Write `s3lfs.store`, after showing it.
pub fn accept(remote: &Remote) -> Result<(), CliError> {
    ui::say(format!("Accepted store of this clone: {remote}"));
    git::config::set("--local", "s3lfs.store", &remote.to_string())?;
    Ok(())
}
