//! Whether the real git-lfs takes over what it is given: its program, its filter, its hook.
//!
//! Apart because that is another program's set-up: it is looked at, and the command that is missing is said.

use bstr::ByteSlice;

use crate::cli::error::CliError;
use crate::cli::set_up::lfs_driver;
use crate::config::GitConfig;
use crate::git::{self, Git};

/// `git lfs install` leaves a hook that is there as it is, and refuses (git-lfs-install(1)): ours go, and come back around
/// its own. Each runs, whatever came of the one before: without our hooks nobody is to be left.
const SET_UP: &str = "s3lfs git-setup --uninstall; git lfs install --local; s3lfs git-setup";

/// What has to be done before `git push` sends its objects. `None`: nothing.
pub fn missing(config: &GitConfig) -> Result<Option<String>, CliError> {
    if !Git::new(["lfs", "version"]).run()?.status.success() {
        return Ok(Some(format!("install git-lfs, then run: {SET_UP}")));
    }
    let filters = config.get("filter.lfs.process").is_some() && !lfs_driver::answers(config);
    let hook = git::hooks_dir()?.join("pre-push");
    let sends = std::fs::read(hook).is_ok_and(|text| text.contains_str("git lfs pre-push"));
    Ok((!filters || !sends).then(|| format!("run: {SET_UP}")))
}
