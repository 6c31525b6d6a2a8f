//! The lock of Git's index, held while files are put into the worktree.
//!
//! Apart because it is how Git's own commands keep out of each other's way: whoever has made `index.lock` may change
//! the index and the worktree, reads the index only then, and takes the lock away (lockfile.h). A shell holds it for
//! us and lets go when its standard input ends, which a kill does too: a lock that stays would stop every Git command
//! until somebody removes it by hand.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bstr::BStr;
use tempfile::NamedTempFile;

use super::recorded::{IndexPlace, Settled};
use super::{GitError, index};
use crate::fs::{PathError, SecondName};

/// Make the file, which nobody else may have made; say so; wait for the end of the input; remove it. No signal ends it
/// before, also not that there is nobody to be told.
const HOLDER: &str = r#"trap '' HUP INT QUIT TERM PIPE; set -C; : >"$1" || exit 1; echo; read -r _; rm -f -- "$1""#;

/// Between two attempts to get the lock.
const PAUSE: Duration = Duration::from_millis(20);

/// How often the lock is neither there nor to be had until we go on without it.
const REFUSALS: u32 = 5;

/// What came of asking for the lock.
#[derive(Debug)]
pub enum Hold {
    /// It is ours.
    Held(HeldIndex),
    /// Another process had it all the time; this file says so.
    Busy(PathBuf),
    /// It can't be made here (a read-only disk), so nobody else can either.
    Impossible,
}

/// Nobody else writes the index, or the worktree by it, until this is dropped.
#[derive(Debug)]
pub struct HeldIndex {
    index: PathBuf,
    holder: Child,
}

/// Why Git was not told of files.
#[derive(Debug, thiserror::Error)]
pub enum TellError {
    /// Git refused.
    #[error(transparent)]
    Git(#[from] GitError),
    /// The index could not be replaced.
    #[error(transparent)]
    Path(#[from] PathError),
}

/// Hold the lock of the index of this Git directory. `waiting` is told once if another process has it for a while.
pub fn hold(git_dir: &Path, patience: Duration, waiting: impl FnOnce(&Path)) -> Hold {
    let file = index::file(git_dir);
    // Git locks what a link points to (lockfile.c, resolve_symlink).
    let index = if file.is_symlink() { file.canonicalize().unwrap_or(file) } else { file };
    let mut lock = index.clone().into_os_string();
    lock.push(".lock");
    let lock = PathBuf::from(lock);
    let (mut waiting, mut refusals, begun) = (Some(waiting), 0, Instant::now());
    loop {
        if let Some(holder) = try_to_hold(&lock) {
            return Hold::Held(HeldIndex { index, holder });
        }
        refusals = if lock.exists() { 0 } else { refusals + 1 };
        // Or others were faster each time.
        if refusals >= REFUSALS && lock.parent().is_none_or(|dir| tempfile::tempfile_in(dir).is_err()) {
            tracing::info!("{} can't be made: going on without it", lock.display());
            return Hold::Impossible;
        }
        if begun.elapsed() >= patience {
            return Hold::Busy(lock);
        }
        if begun.elapsed() > Duration::from_secs(1)
            && let Some(waiting) = waiting.take()
        {
            waiting(&lock);
        }
        std::thread::sleep(PAUSE);
    }
}

fn try_to_hold(lock: &Path) -> Option<Child> {
    if lock.exists() {
        return None;
    }
    let mut shell = Command::new("sh");
    shell.args(["-c", HOLDER, "sh"]).arg(lock).stderr(Stdio::null());
    let mut holder = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().ok()?;
    let mut said = [0];
    match holder.stdout.take().map(|mut pipe| pipe.read_exact(&mut said)) {
        Some(Ok(())) => Some(holder),
        _ => {
            let _ = holder.wait();
            None
        }
    }
}

impl HeldIndex {
    /// Write what is known of files into the index: of how many, the others Git has to look at.
    pub fn record(&self, settled: &[Settled], tmp: &Path) -> Result<usize, TellError> {
        match IndexPlace::find()? {
            Some(place) if place.is(&self.index) => Ok(place.record_under_lock(settled, tmp)?),
            _ => Ok(0),
        }
    }

    /// As [`index::refresh_written`], under the lock: Git works on a copy, which then takes the index's place.
    pub fn refresh<'a>(
        &self,
        paths: impl IntoIterator<Item = &'a BStr>,
        known: Option<&NamedTempFile>,
    ) -> Result<(), TellError> {
        let Some(git) = index::refresh_git(paths, known) else { return Ok(()) };
        // The same file, with its times: by them Git tells which entries it has to look at (racy-git).
        let second = SecondName::of(&self.index)?;
        git.env("GIT_INDEX_FILE", second.path()).output()?;
        Ok(second.replace(&self.index)?)
    }
}

impl Drop for HeldIndex {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        if let Err(e) = self.holder.wait() {
            tracing::debug!("nobody waits for the holder of the lock: {e}");
        }
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(100);

    #[test]
    fn one_holds_it_until_it_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let lock = dir.path().join("index.lock");
        let held = hold(dir.path(), SOON, |_| {});
        assert!(matches!(held, Hold::Held(_)) && lock.exists(), "it is held as Git holds it");
        assert!(matches!(hold(dir.path(), SOON, |_| {}), Hold::Busy(busy) if busy == lock), "by one alone");
        drop(held);
        assert!(!lock.exists(), "and let go of");
        assert!(matches!(hold(dir.path(), SOON, |_| {}), Hold::Held(_)), "the next one gets it");
        assert!(matches!(hold(&dir.path().join("none"), SOON * 100, |_| {}), Hold::Impossible), "where none can be");
    }

    #[test]
    fn another_ones_lock_is_waited_for_and_never_removed() {
        let dir = tempfile::tempdir().unwrap();
        let lock = dir.path().join("index.lock");
        std::fs::write(&lock, "Git's").unwrap();
        drop(hold(dir.path(), SOON, |_| {}));
        assert_eq!(std::fs::read(&lock).unwrap(), b"Git's");
        let held = hold(dir.path(), Duration::from_secs(60), |waits| std::fs::remove_file(waits).unwrap());
        assert!(matches!(held, Hold::Held(_)), "whoever waits is told, and gets it in the end");
    }
}
