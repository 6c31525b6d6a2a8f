//! Cached content into the worktree, on all cores, and one word about it to Git.
//!
//! Apart from the fetching because nothing here touches the network: by now everything is in the cache.

use std::fs::Metadata;
use std::sync::Mutex;
use std::thread;

use super::download::{Fetched, Waiting};
use crate::cache::LocalCache;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::threads::joined;
use crate::cli::ui;
use crate::cli::ui::progress::Count;
use crate::deferred::Deferred;
use crate::error::chain;
use crate::fs::Times;
use crate::git::recorded::{IndexPlace, Settled};
use crate::git::{GitError, Stat, index};
use crate::pointer::Pointer;
use crate::repo_path::RepoPath;
use crate::worktree::{WriteError, write_file};
use crate::written::{WORTH_NOTING, Written};

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
    let mut told = Told::default();
    let mut damaged = Waiting::new();
    for (target, overwrite, written) in done {
        match written {
            Ok(content) => {
                report.written.push((target.path.clone(), target.item.oid));
                if target.tracked {
                    told.note(target.path, content);
                }
            }
            Err(WriteError::Damaged) => damaged.entry(target.item).or_default().push((target, overwrite)),
            Err(e) => report.failed.push((target.path.as_bstr().to_owned(), chain(&e))),
        }
    }
    let done = told.paths.iter().map(|path| path.as_bstr().to_owned()).collect();
    if let Err(e) = told.tell(&cache) {
        // Another Git command holds the index. The files are right; only their times are not recorded.
        ui::warn(format!("warning: 'git status' may show written files as modified until 'git add -u': {}", chain(&e)));
    }
    Deferred::new(context.repo.git_dir()).forget(&done)?;
    Ok(damaged)
}

/// What Git is to be told of: tracked files that were written.
#[derive(Default)]
struct Told {
    paths: Vec<RepoPath>,
    /// Those of which it is known what they hold, for the index.
    settled: Vec<Settled>,
    /// The large ones of them, for our filter: where only Git can change the index.
    large: Written,
}

impl Told {
    fn note(&mut self, path: RepoPath, content: Option<(Pointer, Metadata)>) {
        if let Some((pointer, file)) = content {
            if let Some(stat) = Stat::of(&file) {
                self.settled.push(Settled { path: path.as_bstr().to_owned(), blob: pointer.encode(), stat });
            }
            if let Some(times) = Times::of(&file).filter(|_| pointer.size >= WORTH_NOTING) {
                self.large.note(path.as_bstr(), &pointer, times);
            }
        }
        self.paths.push(path);
    }

    fn tell(self, cache: &LocalCache) -> Result<(), GitError> {
        let tmp = cache.root().join("tmp");
        let recorded = match IndexPlace::find()? {
            Some(index) => index.record(&self.settled, &tmp).unwrap_or_else(|e| {
                tracing::info!("Git is left to record the files: {}", chain(&e));
                0
            }),
            None => 0,
        };
        if recorded == self.paths.len() {
            return Ok(());
        }
        // Without it the filter only has more to do.
        let large = self.large.save(&tmp).unwrap_or_default();
        index::refresh_written(self.paths.iter().map(RepoPath::as_bstr), large.as_ref())
    }
}
