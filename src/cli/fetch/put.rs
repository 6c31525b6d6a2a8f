//! Cached content into the worktree, on all cores, and one word about it to Git.
//!
//! Apart from the fetching because nothing here touches the network: by now everything is in the cache. It is copied
//! first and then, under the lock of Git's index, put where the index still names it: a `git checkout` beside us
//! comes before or after that, never between.

use std::mem::take;
use std::path::Path;
use std::time::Duration;

use super::download::{Fetched, Waiting};
use super::targets::Wanted;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::threads::each;
use crate::cli::ui;
use crate::cli::ui::progress::Count;
use crate::deferred::Deferred;
use crate::error::chain;
use crate::git::held::{Hold, hold};
use crate::git::index;
use crate::repo_path::RepoPath;
use crate::worktree::{Overwrite, Ready, Target, WriteError, make_ready};
use crate::written::Written;

/// Files that are copied before they are put in their places: Git reads and writes its whole index for them.
const AT_ONCE: usize = 20_000;

/// And their bytes: what a killed command leaves lying is no more.
const BYTES_AT_ONCE: u64 = 1 << 30;

/// How long another command may hold the index: a checkout of many files, no editor.
const PATIENCE: Duration = Duration::from_secs(60);

/// Write what waits, as far as it is in the cache. What still waits, since the cached copy was damaged.
pub(super) fn put(context: &Context, waiting: Waiting, report: &mut Fetched) -> Result<Waiting, CliError> {
    let mut files: Vec<_> = waiting.into_values().flatten().collect();
    files.sort_by(|(one, _), (other, _)| one.path.cmp(&other.path));
    let count = Count::new("Writing files", files.len());
    let mut damaged = Waiting::new();
    let (mut batch, mut bytes) = (Vec::new(), 0);
    for file in files {
        bytes += file.0.item.size.unwrap_or_default();
        batch.push(file);
        if batch.len() == AT_ONCE || bytes >= BYTES_AT_ONCE {
            put_batch(context, take(&mut batch), &count, report, &mut damaged)?;
            bytes = 0;
        }
    }
    put_batch(context, batch, &count, report, &mut damaged)?;
    Ok(damaged)
}

fn put_batch(
    context: &Context,
    batch: Vec<(Target, Overwrite)>,
    count: &Count,
    report: &mut Fetched,
    damaged: &mut Waiting,
) -> Result<(), CliError> {
    let cache = context.cache();
    let made = each(batch, |(target, overwrite)| {
        let ready = make_ready(&context.worktree, &cache, &target);
        count.add(1);
        (target, overwrite, ready)
    });
    let mut ready = Vec::new();
    for (target, overwrite, made) in made {
        match made {
            Ok(made) => ready.push((target, overwrite, made)),
            Err(WriteError::Damaged) => damaged.entry(target.item).or_default().push((target, overwrite)),
            Err(e) => report.failed.push((target.path.as_bstr().to_owned(), chain(&e))),
        }
    }
    if ready.is_empty() {
        return Ok(());
    }
    let said = |lock: &Path| ui::say(format!("Waiting for the Git command that holds {} ...", lock.display()));
    let held = match hold(context.repo.git_dir(), PATIENCE, said) {
        Hold::Held(held) => Some(held),
        Hold::Impossible => None,
        Hold::Busy(lock) => {
            let why = format!(
                "not written, since another Git command holds {} (if none is running, remove that file)",
                lock.display()
            );
            for (target, _, ready) in ready {
                ready.discard(&context.worktree, &target);
                report.failed.push((target.path.as_bstr().to_owned(), why.clone()));
            }
            return Ok(());
        }
    };
    let wanted = match Wanted::now(ready.iter().map(|(target, ..)| target)) {
        Ok(wanted) => wanted,
        Err(e) => {
            ready.into_iter().for_each(|(target, _, ready)| ready.discard(&context.worktree, &target));
            return Err(e);
        }
    };
    let put = |(target, overwrite, ready): (Target, Overwrite, Ready)| {
        if wanted.has(&target) {
            let written = ready.put(&context.worktree, &target, overwrite);
            return (target, written);
        }
        ready.discard(&context.worktree, &target);
        (target, Err(WriteError::NotWanted))
    };
    let mut tracked = Vec::new();
    let mut known = Written::default();
    for (target, written) in each(ready, put) {
        match written {
            Ok(large) => {
                if let Some((pointer, times)) = large {
                    known.note(target.path.as_bstr(), &pointer, times);
                }
                report.written.push((target.path.clone(), target.item.oid));
                let paths = if target.tracked { &mut tracked } else { &mut report.manifest_only };
                paths.push(target.path);
            }
            Err(e) => report.failed.push((target.path.as_bstr().to_owned(), chain(&e))),
        }
    }
    // Without it the filter only has more to do.
    let known = known.save(&cache.root().join("tmp")).unwrap_or_default();
    let paths = tracked.iter().map(RepoPath::as_bstr);
    let told = match &held {
        Some(held) => held.refresh(paths, known.as_ref()).map_err(|e| chain(&e)),
        None => index::refresh_written(paths, known.as_ref()).map_err(|e| chain(&e)),
    };
    drop(held);
    if let Err(why) = told {
        // The files are right; only their times are not recorded.
        ui::warn(format!("warning: 'git status' may show written files as modified until 'git add -u': {why}"));
    }
    let done = tracked.iter().map(|path| path.as_bstr().to_owned()).collect();
    Ok(Deferred::new(context.repo.git_dir()).forget(&done)?)
}
