//! Bringing content to our key: from the worktree, the cache, or wherever the store has it; every byte is
//! hashed on its way in, and again on its way out.
//!
//! Apart because it moves what may be terabytes: a batch at a time, and what was fetched only for this
//! leaves the cache again when the store has it.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use super::plan::{File, Here};
use crate::cache::LocalCache;
use crate::cli::context::Context;
use crate::cli::error::{CliError, one_line};
use crate::cli::session::Session;
use crate::cli::tracking::uploads::{self, Believe};
use crate::cli::ui::progress;
use crate::fs::PathContext;
use crate::oid::Oid;
use crate::pointer::Pointer;
use crate::transfer::{Item, Job};
use crate::worktree::open;

/// What came of a batch.
#[derive(Debug, Default)]
pub struct Brought {
    /// Content that is at our key now.
    pub pointers: BTreeMap<Oid, Pointer>,
    /// Content that is not, and why.
    pub failed: BTreeMap<Oid, String>,
    /// What was fetched for this, and can be fetched again.
    fetched: BTreeSet<Oid>,
}

impl Brought {
    /// Bring the content of these files to our key.
    pub fn new(context: &Context, session: &mut Session, files: &[File]) -> Result<Self, CliError> {
        let cache = context.cache();
        let mut brought = Brought::default();
        let oids: BTreeSet<Oid> = files.iter().filter(|file| !file.is_empty()).map(|file| file.oid).collect();
        for file in files.iter().filter(|file| file.here == Here::Content && oids.contains(&file.oid)) {
            if cache.find(&file.oid, None).is_none() {
                take_from_worktree(context, &cache, file)?;
            }
        }
        let missing: Vec<Oid> = oids.iter().filter(|oid| cache.find(oid, None).is_none()).copied().collect();
        let report = progress::run(
            &mut session.transfer,
            "Downloading",
            missing.iter().map(|oid| Job::Download(Item::from(*oid))),
        );
        brought.failed.extend(report.failed.into_iter().map(|(item, e)| (item.oid, one_line(e))));
        brought.fetched = missing.into_iter().filter(|oid| !brought.failed.contains_key(oid)).collect();

        let cached: Vec<Pointer> = oids.iter().filter_map(|oid| cache.find(oid, None)).collect();
        let sent = uploads::upload(session, cached.iter().map(|pointer| Item::from(*pointer)), Believe::Nothing)?;
        brought.failed.extend(sent.failed.into_iter().map(|(oid, e)| (oid, one_line(e))));
        let there = cached.into_iter().filter(|pointer| !brought.failed.contains_key(&pointer.oid));
        brought.pointers = there.map(|pointer| (pointer.oid, pointer)).collect();
        Ok(brought)
    }

    /// Drop what was fetched only to be brought: the store has it at our key.
    pub fn tidy(&self, cache: &LocalCache) -> Result<(), CliError> {
        for oid in self.fetched.iter().filter(|oid| self.pointers.contains_key(oid)) {
            cache.remove(oid)?;
        }
        Ok(())
    }
}

/// A file that changes meanwhile is not what its name says, and does not enter.
fn take_from_worktree(context: &Context, cache: &LocalCache, file: &File) -> Result<(), CliError> {
    let mut staged = cache.stage();
    let mut content = open(&context.worktree, &file.path)?;
    io::copy(&mut content, &mut staged).context("copy to the cache", &file.path.to_path())?;
    if let Err(e) = staged.commit_as(&file.oid, None) {
        tracing::warn!("{} changed meanwhile: {e}", file.path);
    }
    Ok(())
}
