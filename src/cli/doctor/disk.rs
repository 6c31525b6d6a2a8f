//! The local cache: where it is, whether it can be written, and how much room there is.
//!
//! Apart because everything that `git add` takes has to fit there first.

use std::path::{Path, PathBuf};
use std::time::Duration;

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
use crate::git::worktrees::base;
use crate::shell_word::quoted;

/// Less than this fills up with a few files.
const LITTLE: u64 = 1 << 30;

/// The clone's own cache, and the directory that clones share.
pub fn cache(context: &Context, config: &GitConfig, findings: &mut Findings) -> Result<(), CliError> {
    findings.add(place("cache", &context.repo.state_dir()))?;
    for dir in unwritable_within(&context.repo.state_dir()) {
        let finding = Finding::stops("cache", format!("nothing can be written in {}", dir.display()));
        findings.add(finding.mend(make_writable(&dir)))?;
    }
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
        Some(shared) => {
            findings.add(place("shared cache", shared.root()))?;
            for dir in unwritable_within(shared.root()) {
                let found = format!("nothing can be written in {}: it is only read", dir.display());
                findings.add(Finding::warning("shared cache", found).mend(make_writable(&dir)))?;
            }
            Ok(())
        }
        None if value.as_os_str().is_empty() => Ok(()),
        None => findings.add(unusable(&base(&context.repo).join(&value))),
    }
}

/// Why the shared directory can't be used, and what does something about that.
fn unusable(dir: &Path) -> Finding {
    let quoted = quoted(&dir.to_string_lossy());
    let what = format!("s3lfs.cachedir = {} can't be used", dir.display());
    let in_the_way = dir.ancestors().find(|dir| dir.symlink_metadata().is_ok()).filter(|dir| !dir.is_dir());
    match in_the_way {
        // A file may be somebody's; another place costs nobody anything.
        Some(file) => Finding::warning("shared cache", format!("{what}: {} is no directory", file.display()))
            .mend("git config --unset-all s3lfs.cachedir # or name another directory"),
        None => Finding::warning("shared cache", format!("{what}: it is not there, and can't be made"))
            .mend(format!("mkdir -p {quoted}")),
    }
}

/// The directories of a cache that are there and can't be written, of which one would stop a single file.
fn unwritable_within(root: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root.join("objects")).into_iter().flatten().flatten();
    // Others are none of ours.
    let shards = entries.filter(|entry| entry.file_name().len() == 2).map(|entry| entry.path());
    let fixed = ["tmp", "objects", "uploaded", "uploads", "downloads", "bad"].map(|name| root.join(name));
    let there = |dir: &PathBuf| dir.symlink_metadata().is_ok();
    fixed.into_iter().chain(shards).filter(|dir| there(dir) && writable(dir).is_err()).collect()
}

fn make_writable(dir: &Path) -> String {
    let quoted = quoted(&dir.to_string_lossy());
    if dir.is_dir() { format!("chmod u+rwx {quoted}") } else { format!("mv {quoted} {quoted}.aside") }
}

/// From here on a lock is no command that is just running.
const STALE: Duration = Duration::from_secs(600);

/// The lock of the index, which every Git command that writes the index wants.
pub fn index_lock(context: &Context) -> Option<Finding> {
    // The second is that of a hook which changes the index that 'git commit -a' has locked.
    let locks = ["index.lock", "index.lock.lock"].map(|name| context.repo.git_dir().join(name));
    let made = |lock: &PathBuf| lock.symlink_metadata().ok()?.modified().ok();
    let (made, lock) = locks.into_iter().find_map(|lock| Some((made(&lock)?, lock)))?;
    let age = made.elapsed().unwrap_or_default();
    let place = lock.display();
    Some(if age < STALE {
        Finding::note("index", format!("a Git command has locked the index ({place})"))
    } else {
        let found = format!(
            "{place} is {} min old: until it is gone, Git refuses to add, commit or switch",
            age.as_secs() / 60
        );
        let mend = format!("rm {} # if no Git command runs here", quoted(&lock.to_string_lossy()));
        Finding::stops("index", found).mend(mend)
    })
}

/// Whether something can be written at `dir`, or where it will be made.
pub fn place(check: &'static str, dir: &Path) -> Finding {
    let room = free_space(dir);
    let shown = room.map(|room| format!(", {} free", ui::bytes(room))).unwrap_or_default();
    let text = format!("{}{shown}", dir.display());
    match writable(dir) {
        Err(e) => {
            let finding = Finding::stops(check, crate::error::chain(&e));
            let there = dir.symlink_metadata().is_ok();
            let by_hand =
                || if there { make_writable(dir) } else { format!("ls -ld {}", quoted(&dir.to_string_lossy())) };
            finding.mend(advice(&e).map_or_else(by_hand, str::to_owned))
        }
        Ok(()) if room.is_some_and(|room| room < LITTLE) => {
            Finding::warning(check, text).mend("s3lfs prune").mend(format!("df -h {}", quoted(&dir.to_string_lossy())))
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
