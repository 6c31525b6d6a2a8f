//! What a killed command left in the worktree, where the repository is on another filesystem.
//!
//! Apart because it is the one deletion in the worktree that nobody asked for by name: only what has a name that s3lfs
//! draws, and was not touched for a day, and Git does not know, goes.

use std::time::Duration;

use bstr::{BStr, ByteSlice};

use crate::cli::context::Context;
use crate::error::chain;
use crate::fs::{PathError, Standing};
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
        Ok(paths) => paths.iter().for_each(|path| {
            if let Err(e) = remove(context, path) {
                tracing::info!("{path} stays: {}", chain(&e));
            }
        }),
        Err(e) => tracing::info!("nobody knows what was left: {}", chain(&e)),
    }
}

fn left() -> Result<Vec<RepoPath>, GitError> {
    let listed = Git::new(["ls-files", "-z", "--others", "--", ":(glob)**/.s3lfs-*"]).output()?;
    Ok(nul_separated(&listed).filter(|path| is_ours(path.as_bstr())).filter_map(|p| RepoPath::new(p).ok()).collect())
}

/// Names as `fs::Place::stage` and `fs::temp_in` draw them.
fn is_ours(path: &BStr) -> bool {
    let name = path.rsplit_str("/").next().unwrap_or_default();
    let Some(drawn) = name.strip_prefix(b".s3lfs-") else { return false };
    matches!(drawn.len(), 6 | 32) && drawn.iter().all(u8::is_ascii_alphanumeric)
}

fn remove(context: &Context, path: &RepoPath) -> Result<(), PathError> {
    let Some(place) = context.worktree.find(path)? else { return Ok(()) };
    let Some(Standing::File(file)) = place.open()? else { return Ok(()) };
    let age = file.metadata().and_then(|metadata| metadata.modified()).ok().and_then(|time| time.elapsed().ok());
    if age.is_some_and(|age| age > ABANDONED) { place.remove() } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_s3lfs_draws_are_its_own() {
        for ours in [".s3lfs-aB3dE6", "d/.s3lfs-0123456789abcdef0123456789abcdef"] {
            assert!(is_ours(ours.into()), "{ours}");
        }
        for other in [".s3lfs-", ".s3lfs-notes", "x.s3lfs-aB3dE6", ".s3lfs-aB3-E6", ".s3lfs-aB3dE6/x", "s3lfs-aB3dE6"] {
            assert!(!is_ours(other.into()), "{other}");
        }
    }
}
