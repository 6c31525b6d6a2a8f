//! Files into the cache, on all cores; each with what Git is to record of it.
//!
//! Apart because here a file is trusted by its times: what is recorded must be of the very bytes that were hashed.

use std::fs::Metadata;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

use super::candidates::{Candidate, Known};
use crate::cli::context::Context;
use crate::cli::threads::joined;
use crate::cli::ui::progress::Count;
use crate::filter::clean::clean_guessing;
use crate::fs::{Browse, Times};
use crate::git::{ObjectFormat, Stat};
use crate::pointer::Form;
use crate::repo_path::RepoPath;

/// A file in the cache.
#[derive(Debug)]
pub struct Stored {
    /// Where it is.
    pub path: RepoPath,
    /// What clean made of it.
    pub blob: Vec<u8>,
    /// Mode 100755.
    pub executable: bool,
    /// What the file was when it was read.
    pub stat: Stat,
    /// What the index had of it.
    pub known: Option<Known>,
    /// Its blob in Git, in hex.
    pub id: String,
}

impl Stored {
    /// Whether the index had something else: of a file that was only touched there is no news.
    pub fn is_news(&self) -> bool {
        self.known.as_ref().is_none_or(|known| known.executable != self.executable || known.id != self.id.as_str())
    }
}

/// A file that was changed so lately may be changed once more without another time: a kernel counts in ticks of 10 ms
/// at the most. (That Git goes by whole seconds is seen to where the index is written, `git::recorded`.)
const TICKS: Duration = Duration::from_millis(30);

/// A file can't be read, or its content not be kept.
struct Failed;

/// Store these files, whose blobs are named in this way. What is left out is Git's. `None`: one of them can't be stored,
/// and Git, which meets the same and says so, then stages none.
pub fn store(context: &Context, candidates: Vec<Candidate>, format: ObjectFormat) -> Option<Vec<Stored>> {
    let threads = thread::available_parallelism().map_or(1, usize::from).min(candidates.len());
    let count = Count::of_bytes("Storing files", candidates.len(), length(&candidates));
    let failed = AtomicBool::new(false);
    let queue = Mutex::new(candidates.into_iter());
    let next = || queue.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).next();
    let work = || {
        let (mut done, mut browse) = (Vec::new(), context.worktree.browse());
        while !failed.load(Ordering::Relaxed)
            && let Some(candidate) = next()
        {
            match store_one(context, &mut browse, candidate, format, &count) {
                Ok(stored) => done.extend(stored),
                Err(Failed) => failed.store(true, Ordering::Relaxed),
            }
            count.add(1);
        }
        done
    };
    let stored = thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let own = work();
        own.into_iter().chain(others.into_iter().flat_map(joined)).collect()
    });
    (!failed.load(Ordering::Relaxed)).then_some(stored)
}

/// Among so many files none is waited for alone: that they are counted is enough.
const MANY: usize = 10_000;

/// How many bytes these files have, if they are few enough to ask.
fn length(candidates: &[Candidate]) -> Option<u64> {
    if candidates.len() > MANY {
        return None;
    }
    let len = |path: &RepoPath| std::fs::symlink_metadata(path.to_path()).map_or(0, |found| found.len());
    Some(candidates.iter().map(|candidate| len(&candidate.path)).sum())
}

fn store_one(
    context: &Context,
    browse: &mut Browse<'_>,
    candidate: Candidate,
    format: ObjectFormat,
    count: &Count,
) -> Result<Option<Stored>, Failed> {
    let Candidate { path, executable, guess, known } = candidate;
    let mut file = browse.open(&path).ok_or(Failed)?;
    let before = file.metadata().map_err(|_| Failed)?;
    if !is_settled(&before) {
        return Ok(None);
    }
    let mut counted = count.reading(&mut file);
    let cleaned = clean_guessing(&mut counted, &context.cache(), Form::Ours, &mut || guess).map_err(|_| Failed)?;
    drop(counted);
    // That the path still leads to it is asked when it is recorded.
    let after = file.metadata().map_err(|_| Failed)?;
    let (Some(times), Some(stat)) = (Times::of(&after), Stat::of(&after)) else { return Ok(None) };
    // Git tells the user what only resembles a pointer; and of nothing there is no pointer.
    if Times::of(&before) != Some(times) || cleaned.resembles_pointer || cleaned.blob.is_empty() {
        return Ok(None);
    }
    let executable = executable.unwrap_or_else(|| owner_may_run(&after));
    let id = format.blob_hex(&cleaned.blob);
    Ok(Some(Stored { path, executable, stat, blob: cleaned.blob, known, id }))
}

/// Whether a change from now on would show in its times.
fn is_settled(file: &Metadata) -> bool {
    let latest = |file: &Metadata| Some(file.modified().ok()?.max(changed(file)?));
    let quiet = |time| SystemTime::now().duration_since(time).is_ok_and(|since| since > TICKS);
    latest(file).is_some_and(quiet)
}

#[cfg(unix)]
fn changed(file: &Metadata) -> Option<SystemTime> {
    use std::os::unix::fs::MetadataExt;
    let since = Duration::new(u64::try_from(file.ctime()).ok()?, u32::try_from(file.ctime_nsec()).ok()?);
    Some(SystemTime::UNIX_EPOCH + since)
}

#[cfg(not(unix))]
fn changed(file: &Metadata) -> Option<SystemTime> {
    file.modified().ok()
}

/// By the bit that Git goes by.
#[cfg(unix)]
fn owner_may_run(file: &Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.permissions().mode() & 0o100 != 0
}

#[cfg(not(unix))]
fn owner_may_run(_: &Metadata) -> bool {
    false
}
