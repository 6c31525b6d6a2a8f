//! Cached content into the worktree, on all cores, and one word about it to Git.
//!
//! Apart from the fetching because nothing here touches the network: by now everything is in the cache.

use std::sync::Mutex;
use std::thread;

use super::download::{Fetched, Waiting};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::threads::joined;
use crate::cli::ui;
use crate::cli::ui::progress::Count;
use crate::deferred::Deferred;
use crate::error::chain;
use crate::git::index;
use crate::repo_path::RepoPath;
use crate::worktree::{WriteError, write_file};
use crate::written::Written;

/// Files at once: more threads than this only wait for the same directory and disk.
const WRITERS: usize = 8;

/// Write what waits, as far as it is in the cache. What still waits, since the cached copy was damaged.
pub(super) fn put(context: &Context, waiting: Waiting, report: &mut Fetched) -> Result<Waiting, CliError> {
    let cache = context.cache();
    let writers = thread::available_parallelism().map_or(1, usize::from).min(WRITERS);
    let count = Count::new("Writing files", waiting.values().map(Vec::len).sum());
    let queue = Mutex::new(waiting.into_values().flatten());
    let next = || queue.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).next();
    let write = || {
        let mut done = Vec::new();
        while let Some((target, overwrite)) = next() {
            let written = write_file(&context.worktree, &cache, &target, overwrite);
            done.push((target, overwrite, written));
            count.add(1);
        }
        done
    };
    let mut done: Vec<_> = thread::scope(|scope| {
        let others: Vec<_> = (1..writers).map(|_| scope.spawn(write)).collect();
        let own = write();
        let joined = others.into_iter().map(joined);
        own.into_iter().chain(joined.flatten()).collect()
    });
    drop(count);
    done.sort_by(|(one, ..), (other, ..)| one.path.cmp(&other.path));
    let mut tracked = Vec::new();
    let mut known = Written::default();
    let mut damaged = Waiting::new();
    for (target, overwrite, written) in done {
        match written {
            Ok(large) => {
                if let Some((pointer, times)) = large {
                    known.note(target.path.as_bstr(), &pointer, times);
                }
                report.written.push((target.path.clone(), target.item.oid));
                let paths = if target.tracked { &mut tracked } else { &mut report.manifest_only };
                paths.push(target.path);
            }
            Err(WriteError::Damaged) => damaged.entry(target.item).or_default().push((target, overwrite)),
            Err(e) => report.failed.push((target.path.as_bstr().to_owned(), chain(&e))),
        }
    }
    // Without it the filter only has more to do.
    let known = known.save(&cache.root().join("tmp")).unwrap_or_default();
    if let Err(e) = index::refresh_written(tracked.iter().map(RepoPath::as_bstr), known.as_ref()) {
        // Another Git command holds the index. The files are right; only their times are not recorded.
        ui::warn(format!("warning: 'git status' may show written files as modified until 'git add -u': {}", chain(&e)));
    }
    let done = tracked.iter().map(|path| path.as_bstr().to_owned()).collect();
    Deferred::new(context.repo.git_dir()).forget(&done)?;
    Ok(damaged)
}
