//! The submodules that use s3lfs: repositories of their own, of which the one around them tracks nothing.
//!
//! Apart because a commit names them: nothing is believed of a path before it was looked at.

use bstr::ByteSlice;

use crate::cli::error::CliError;
use crate::git::Git;
use crate::manifest::PATH;
use crate::repo_path::RepoPath;

/// The submodules that are here and have a manifest.
pub fn submodules() -> Result<Vec<String>, CliError> {
    if std::fs::symlink_metadata(".gitmodules").is_err() {
        return Ok(Vec::new());
    }
    let listed = Git::new(["config", "-z", "--file", ".gitmodules", "--get-regexp", r"^submodule\..*\.path$"]).run()?;
    let paths = listed.stdout.split_str("\0").filter_map(|entry| entry.split_once_str("\n"));
    // What stands there comes from a commit.
    let paths = paths.filter_map(|(_, path)| RepoPath::new(path).ok()).filter(|path| {
        let top = path.to_path();
        std::fs::symlink_metadata(&top).is_ok_and(|top| top.is_dir())
            && std::fs::symlink_metadata(top.join(PATH)).is_ok_and(|file| file.is_file())
    });
    Ok(paths.map(|path| path.to_string()).collect())
}
