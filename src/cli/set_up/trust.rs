//! `trust`: accept the store that the manifest names.
//!
//! Apart because `init`, `clone` and `git-setup` accept a store too, in the same words.

use crate::cli::Global;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::manifest_file;
use crate::cli::session::settings_for_reading;
use crate::cli::ui;
use crate::git;
use crate::remote::Remote;

/// Show the store that is in force, and accept it for this clone.
pub fn run(global: &Global) -> Result<(), CliError> {
    // Also in a bare repository, where HEAD's manifest is the one.
    let _context = Context::open_also_bare()?;
    // One that does not parse is not passed over here: what is accepted must be what the user sees.
    if manifest_file::for_writing()?.is_none() && manifest_file::for_reading(None)?.is_none() {
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
