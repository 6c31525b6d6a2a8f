//! Cached content into the worktree, on all cores, and one word about it to Git.
//!
//! Apart from the fetching because nothing here touches the network: by now everything is in the cache. It is copied
//! first and then, under the lock of Git's index, put where the index still names it: a `git checkout` beside us
//! comes before or after that, never between. Where the worktree is on another disk, a copy that waits lies in it, and
//! `git add -A` would take it: there only large files are copied before, of which few are at once.

use std::collections::hash_map::Entry;
use std::fs::Metadata;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use super::download::{Fetched, Waiting};
use super::targets::{Asked, Wanted};
use super::twins::Made;
use crate::cache::LocalCache;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::threads::each;
use crate::cli::ui;
use crate::cli::ui::progress::Count;
use crate::deferred::Deferred;
use crate::error::chain;
use crate::fs::Times;
use crate::git::held::{HeldIndex, Hold, TellError, hold};
use crate::git::recorded::Settled;
use crate::git::{Stat, index};
use crate::pointer::Pointer;
use crate::repo_path::RepoPath;
use crate::worktree::{Overwrite, Ready, Target, WriteError, make_ready};
use crate::written::{WORTH_NOTING, Written};

/// Files that are copied before they are put in their places: Git reads and writes its whole index for them.
const AT_ONCE: usize = 20_000;

/// And their bytes: what a killed command leaves lying is no more.
pub(super) const BYTES_AT_ONCE: u64 = 1 << 30;

/// The same where they are copied under the lock.
const BYTES_UNDER_LOCK: u64 = 256 << 20;

/// What is longer is copied before, too: the lock is not held for that.
const LARGE: u64 = 16 << 20;

/// How long another command may hold the index: a checkout of many files, no editor.
const PATIENCE: Duration = Duration::from_secs(60);

/// Write what waits, as far as it is in the cache or `made` while it came. What still waits, since the cached copy was
/// damaged.
pub(super) fn put(
    context: &Context,
    waiting: Waiting,
    mut made: Made,
    asked: Asked,
    report: &mut Fetched,
) -> Result<Waiting, CliError> {
    let put = put_all(context, waiting, &mut made, asked, report);
    made.into_values().for_each(|(target, ready)| ready.discard(&context.worktree, &target));
    put
}

fn put_all(
    context: &Context,
    waiting: Waiting,
    made: &mut Made,
    asked: Asked,
    report: &mut Fetched,
) -> Result<Waiting, CliError> {
    let mut files: Vec<_> = waiting.into_values().flatten().collect();
    files.sort_by(|(one, _), (other, _)| one.path.cmp(&other.path));
    let count = Count::new("Writing files", files.len());
    let (cache, mut damaged) = (context.cache(), Waiting::new());
    let way = Way { copies: Copies::of(context, &cache), asked };
    let mut files = files.into_iter().peekable();
    while files.peek().is_some() {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while let Some(file) = files.next_if(|_| batch.len() < AT_ONCE && bytes < way.copies.at_once()) {
            let item = file.0.item;
            // A manifest tells no lengths.
            let size = item.size.or_else(|| Some(cache.find(&item.oid, None)?.size)).unwrap_or_default();
            bytes += size;
            let made = match made.entry(item) {
                Entry::Occupied(made) if made.get().0.path == file.0.path => Some(made.remove().1),
                _ => None,
            };
            batch.push((file, size, made));
        }
        if let Some(why) = put_batch(context, batch, way, &count, report, &mut damaged)? {
            // Nor would it be let go of for the others: each batch would wait as long.
            report.failed.extend(files.map(|(target, _)| (target.path.as_bstr().to_owned(), why.clone())));
            break;
        }
    }
    Ok(damaged)
}

/// How files are put.
#[derive(Clone, Copy, Debug)]
struct Way {
    copies: Copies,
    asked: Asked,
}

/// When files are copied out of the cache.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Copies {
    /// Before the lock, to a place of ours.
    Before,
    /// Before the lock if they are large, else under it: they lie in the worktree.
    LargeBefore,
}

impl Copies {
    pub fn of(context: &Context, cache: &LocalCache) -> Self {
        if context.worktree.is_beside(&cache.tmp()) { Copies::Before } else { Copies::LargeBefore }
    }

    fn at_once(self) -> u64 {
        match self {
            Copies::Before => BYTES_AT_ONCE,
            Copies::LargeBefore => BYTES_UNDER_LOCK,
        }
    }

    fn is_before(self, size: u64) -> bool {
        self == Copies::Before || size > LARGE
    }
}

/// A file on its way: copied, or to be copied under the lock.
type OnItsWay = (Target, Overwrite, Option<Ready>);

fn discard(context: &Context, files: impl IntoIterator<Item = OnItsWay>) -> Vec<Target> {
    let gone = files.into_iter().map(|(target, _, ready)| {
        ready.into_iter().for_each(|ready| ready.discard(&context.worktree, &target));
        target
    });
    gone.collect()
}

/// Why nothing can be put any more, if that is so.
fn put_batch(
    context: &Context,
    batch: Vec<((Target, Overwrite), u64, Option<Ready>)>,
    way: Way,
    count: &Count,
    report: &mut Fetched,
    damaged: &mut Waiting,
) -> Result<Option<String>, CliError> {
    let cache = context.cache();
    let made = each(batch, |((target, overwrite), size, made)| {
        if made.is_none() && !way.copies.is_before(size) {
            return (target, overwrite, Ok(None));
        }
        let ready = made.map_or_else(|| make_ready(&context.worktree, &cache, &target), Ok);
        count.add(1);
        (target, overwrite, ready.map(Some))
    });
    let mut ready: Vec<OnItsWay> = Vec::new();
    for (target, overwrite, made) in made {
        match made {
            Ok(made) => ready.push((target, overwrite, made)),
            Err(WriteError::Damaged) => damaged.entry(target.item).or_default().push((target, overwrite)),
            Err(e) => report.failed.push((target.path.as_bstr().to_owned(), chain(&e))),
        }
    }
    if ready.is_empty() {
        return Ok(None);
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
            for target in discard(context, ready) {
                report.failed.push((target.path.as_bstr().to_owned(), why.clone()));
            }
            return Ok(Some(why));
        }
    };
    let wanted = match Wanted::now(ready.iter().map(|(target, ..)| target), way.asked) {
        Ok(wanted) => wanted,
        Err(e) => {
            discard(context, ready);
            return Err(e);
        }
    };
    let put = |(target, overwrite, ready): OnItsWay| {
        if !wanted.has(&target) {
            ready.into_iter().for_each(|ready| ready.discard(&context.worktree, &target));
            return (target, overwrite, Err(WriteError::NotWanted));
        }
        let copy = || {
            let ready = make_ready(&context.worktree, &cache, &target);
            count.add(1);
            ready
        };
        let put = |ready: Ready| ready.put(&context.worktree, &target, overwrite);
        let written = match ready.map_or_else(copy, Ok).and_then(put) {
            // Somebody removed the temporary file, as it is done with old ones. The cache has the content.
            Err(WriteError::Path(e)) if e.kind() == ErrorKind::NotFound => {
                make_ready(&context.worktree, &cache, &target).and_then(put)
            }
            written => written,
        };
        (target, overwrite, written)
    };
    let mut told = Told::default();
    for (target, overwrite, written) in each(ready, put) {
        match written {
            Err(WriteError::Damaged) => damaged.entry(target.item).or_default().push((target, overwrite)),
            Ok(content) => {
                report.written.push((target.path.clone(), target.item.oid));
                if target.tracked {
                    told.note(target.path, content);
                } else {
                    report.manifest_only.push((target.path, target.item.oid));
                }
            }
            Err(e) => report.failed.push((target.path.as_bstr().to_owned(), chain(&e))),
        }
    }
    let done = told.paths.iter().map(|path| path.as_bstr().to_owned()).collect();
    let told = told.tell(held.as_ref(), &cache);
    drop(held);
    if let Err(e) = told {
        // The files are right; only their times are not recorded.
        ui::warn(format!("warning: 'git status' may show written files as modified until 'git add -u': {}", chain(&e)));
    }
    Deferred::new(context.repo.git_dir()).forget(&done)?;
    Ok(None)
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

    fn tell(self, held: Option<&HeldIndex>, cache: &LocalCache) -> Result<(), TellError> {
        let tmp = cache.tmp();
        let recorded = held.map_or(Ok(0), |held| held.record(&self.settled, &tmp)).unwrap_or_else(|e| {
            tracing::info!("Git is left to record the files: {}", chain(&e));
            0
        });
        if recorded == self.paths.len() {
            return Ok(());
        }
        // Without it the filter only has more to do.
        let large = self.large.save(&tmp).unwrap_or_default();
        let paths = self.paths.iter().map(RepoPath::as_bstr);
        match held {
            Some(held) => held.refresh(paths, large.as_ref()),
            None => Ok(index::refresh_written(paths, large.as_ref())?),
        }
    }
}
