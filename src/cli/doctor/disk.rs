//! The local cache: where it is, whether it can be written, and how much room there is.
//!
//! Apart because everything that `git add` takes has to fit there first.

use std::path::Path;

use bstr::ByteSlice;

use super::finding::{Finding, Findings};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::ui;
use crate::config::GitConfig;
use crate::error::advice;
use crate::fs::{PathError, free_space, temp_in};
use crate::git::Git;
use crate::git::path_from_bytes;

/// Less than this fills up with a few files.
const LITTLE: u64 = 1 << 30;

/// The clone's own cache, and the directory that clones share.
pub fn cache(context: &Context, config: &GitConfig, findings: &mut Findings) -> Result<(), CliError> {
    findings.add(place("cache", &context.repo.state_dir()))?;
    if config.get("s3lfs.cachedir").is_none() {
        return Ok(());
    }
    let answer = Git::new(["config", "--type=path", "-z", "--get", "s3lfs.cachedir"]).run()?;
    let value = path_from_bytes(answer.stdout.strip_suffix(b"\0").unwrap_or(&answer.stdout));
    if !answer.status.success() {
        let found = format!("s3lfs.cachedir is not used: {}", answer.stderr.trim().to_str_lossy());
        return findings.add(Finding::warning("cache", found).mend("git config --unset-all s3lfs.cachedir"));
    }
    // Asked as the commands do: it is made, and what is wrong with it is said.
    match context.cache().shared_directory() {
        Some(shared) if writable(shared.root()).is_err() => {
            let found = format!("{} is only read: nothing can be written there", shared.root().display());
            findings.add(Finding::note("shared cache", found))
        }
        Some(shared) => findings.add(place("shared cache", shared.root())),
        None if value.as_os_str().is_empty() => Ok(()),
        None => {
            let found = format!("s3lfs.cachedir = {} can't be used", value.display());
            findings.add(Finding::warning("shared cache", found).mend(format!("mkdir -p {}", value.display())))
        }
    }
}

/// Whether something can be written at `dir`, or where it will be made.
pub fn place(check: &'static str, dir: &Path) -> Finding {
    let room = free_space(dir);
    let shown = room.map(|room| format!(", {} free", ui::bytes(room))).unwrap_or_default();
    let text = format!("{}{shown}", dir.display());
    match writable(dir) {
        Err(e) => {
            let finding = Finding::stops(check, crate::error::chain(&e));
            let advice = advice(&e).map_or_else(|| format!("ls -ld {}", dir.display()), str::to_owned);
            finding.mend(advice)
        }
        Ok(()) if room.is_some_and(|room| room < LITTLE) => {
            Finding::warning(check, text).mend("s3lfs prune").mend(format!("df -h {}", dir.display()))
        }
        Ok(()) => Finding::fine(check, text),
    }
}

fn writable(dir: &Path) -> Result<(), PathError> {
    if dir.exists() && !dir.is_dir() {
        return Err(PathError::new("write in", dir, std::io::ErrorKind::NotADirectory.into()));
    }
    let nearest = dir.ancestors().find(|dir| dir.is_dir()).unwrap_or(dir);
    temp_in(nearest).map(drop)
}
