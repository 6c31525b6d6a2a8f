//! Many jobs, run to their end.
//!
//! Apart because most callers want no more than this: what was moved, what failed, and a look at how far it is.

use std::time::Duration;

use super::{Done, Item, Job, Moved, NextDone, Transfer, TransferError};
use crate::store::Store;

/// What came of many jobs.
#[derive(Debug, Default)]
pub struct Report {
    /// Content that is now where it should be, moved or found there.
    pub done: Vec<(Item, Moved)>,
    /// Content that is not, with the reason.
    pub failed: Vec<(Item, TransferError)>,
}

/// Jobs of [`Transfer::run`] that are started at once. More than have their turn, since some wait apart
/// (`Engine::between_jobs`); not all of a million, since each takes memory.
const STARTED: usize = 4096;

/// How often somebody who watches is told that nothing has ended.
const WATCH: Duration = Duration::from_millis(100);

impl Transfer {
    /// Run all `jobs` to their end.
    pub fn run(&mut self, jobs: impl IntoIterator<Item = Job>) -> Report {
        self.run_watched(jobs, |_, _| {})
    }

    /// As [`Transfer::run`]. `watch` is told of each job that has ended, and of none every tenth of a second.
    pub fn run_watched(
        &mut self,
        jobs: impl IntoIterator<Item = Job>,
        mut watch: impl FnMut(&Store, Option<&Done>),
    ) -> Report {
        let mut report = Report::default();
        let mut jobs = jobs.into_iter();
        loop {
            while self.running.len() < STARTED
                && let Some(job) = jobs.next()
            {
                self.start(job);
            }
            match self.next_done(WATCH) {
                NextDone::Done(done) => {
                    watch(self.store(), Some(&done));
                    match done.result {
                        Ok(moved) => report.done.push((done.job.item(), moved)),
                        Err(e) => report.failed.push((done.job.item(), e)),
                    }
                }
                NextDone::Timeout => watch(self.store(), None),
                NextDone::Idle => return report,
            }
        }
    }
}
