//! What a killed command left in the worktree, where the repository is on another filesystem.
//!
//! Apart because it is the one deletion in the worktree that nobody asked for by name: only what has a name that s3lfs
//! draws and nobody types, and was not touched for a day, and Git does not know, goes; and each file is named.

use std::time::Duration;

use bstr::ByteSlice;

use crate::cli::context::Context;
use crate::cli::ui;
use crate::error::chain;
use crate::fs::{PathError, Standing, TEMPORARY, is_temporary};
use crate::git::{Git, GitError, nul_separated};
use crate::repo_path::RepoPath;

/// As long as a temporary file in the cache is left alone.
const ABANDONED: Duration = Duration::from_secs(24 * 3600);

/// As [`sweep`], where temporary files lie in the worktree as a rule: its top is on another filesystem than the cache.
pub fn sweep_where_usual(context: &Context) {
    if !context.worktree.is_beside(context.cache().root()) {
        sweep(context);
    }
}

/// Remove temporary files that were left beside their places. What can't be removed stays for the next time.
pub fn sweep(context: &Context) {
    match left() {
        Ok(paths) => paths.iter().for_each(|path| match remove(context, path) {
            Ok(true) => ui::say(format!("Removed {path}, a temporary file that a killed command left")),
            Ok(false) => {}
            Err(e) => tracing::info!("{path} stays: {}", chain(&e)),
        }),
        Err(e) => tracing::info!("nobody knows what was left: {}", chain(&e)),
    }
}

fn left() -> Result<Vec<RepoPath>, GitError> {
    let listed = Git::new(["ls-files", "-z", "--others", "--", &format!(":(glob)**/{TEMPORARY}*")]).output()?;
    let is_ours = |path: &&[u8]| is_temporary(path.rsplit_str("/").next().unwrap_or_default());
    Ok(nul_separated(&listed).filter(is_ours).filter_map(|p| RepoPath::new(p).ok()).collect())
}

/// `true`: it was old enough, and is gone.
fn remove(context: &Context, path: &RepoPath) -> Result<bool, PathError> {
    let Some(place) = context.worktree.find(path)? else { return Ok(false) };
    let Some(Standing::File(file)) = place.open()? else { return Ok(false) };
    let age = file.metadata().and_then(|metadata| metadata.modified()).ok().and_then(|time| time.elapsed().ok());
    match age.is_some_and(|age| age > ABANDONED) {
        true => place.remove().map(|()| true),
        false => Ok(false),
    }
}
