//! The filter's [`Fetch`], over the transfer engine: the few lines between two rooms that do not
//! know each other.
//!
//! Nothing is opened before the first content that the cache lacks: `git status` and a checkout from
//! the cache read no manifest, build no runtime and open no connection.

use std::collections::BTreeSet;
use std::time::Duration;

use bstr::{BStr, BString};

use super::error::{CliError, one_line};
use super::session::{engine, not_accepted};
use super::{Global, manifest_file};
use crate::cache::LocalCache;
use crate::config::{Acceptance, GitConfig, Settings, policy};
use crate::deferred::Deferred;
use crate::filter::{Fetch, Next, Policy, Start, Wanted};
use crate::git::{Repo, index};
use crate::oid::Oid;
use crate::pointer::Pointer;
use crate::transfer::{Done, Item, Job, Moved, NextDone, Patience, Transfer};
use crate::uploaded::Uploaded;

/// Brings content into the cache when the filter asks.
pub struct Fetcher<'a> {
    global: &'a Global,
    cache: LocalCache,
    deferred: Deferred,
    config: Option<GitConfig>,
    /// Read once: conflicts that arise while one process checks out are not checked out by it.
    conflicted: Option<BTreeSet<BString>>,
    source: Source,
    /// Content that came from the store, and so is proved to be there.
    fetched: Vec<Oid>,
}

/// Where content comes from, once somebody asked.
enum Source {
    Unasked,
    Open(Box<Transfer>),
    /// The store is not accepted: pointers stay.
    Leave(String),
    Impossible(String),
}

impl<'a> Fetcher<'a> {
    /// A fetcher that has opened nothing yet.
    pub fn new(global: &'a Global, repo: &Repo) -> Self {
        let deferred = Deferred::new(repo.git_dir());
        Fetcher {
            global,
            cache: LocalCache::new(repo.state_dir()),
            deferred,
            config: None,
            conflicted: None,
            source: Source::Unasked,
            fetched: Vec::new(),
        }
    }

    /// Note what was fetched in the upload record: a push of it need not ask the store again.
    pub fn finish(&mut self) -> Result<(), CliError> {
        let Source::Open(transfer) = &self.source else { return Ok(()) };
        let mut uploaded = Uploaded::open(self.cache.root(), transfer.store().remote())?;
        Ok(uploaded.add_seen(std::mem::take(&mut self.fetched))?)
    }

    fn config(&mut self) -> Result<&GitConfig, CliError> {
        if self.config.is_none() {
            self.config = Some(GitConfig::load()?);
        }
        Ok(self.config.as_ref().expect("it was loaded just now"))
    }

    fn open(&mut self, treeish: Option<&BStr>) -> Result<Source, CliError> {
        let overrides = self.global.overrides();
        let manifest = manifest_file::for_reading(treeish)?;
        let settings = Settings::resolve(&overrides, self.config()?, manifest.as_ref())?;
        if settings.acceptance == Acceptance::NotAccepted {
            let refusal = not_accepted(&settings);
            return Ok(Source::Leave(format!("{} ({})", refusal.message, refusal.hints.join("; "))));
        }
        Ok(Source::Open(Box::new(engine(self.cache.clone(), &settings, Patience::Long)?)))
    }
}

impl Fetch for Fetcher<'_> {
    fn policy(&mut self) -> Result<Policy, String> {
        let config = self.config().map_err(|e| e.message)?;
        policy(config).map_err(one_line)
    }

    fn start(&mut self, wanted: &Wanted<'_>) -> Start {
        if matches!(self.source, Source::Unasked) {
            self.source = self.open(wanted.treeish).unwrap_or_else(|e| {
                let CliError { message, hints, .. } = e;
                Source::Impossible(if hints.is_empty() { message } else { format!("{message} ({})", hints.join("; ")) })
            });
        }
        match &mut self.source {
            Source::Open(transfer) => {
                transfer.start(Job::Download((*wanted.pointer).into()));
                Start::Started
            }
            Source::Leave(why) => Start::LeavePointer(why.clone()),
            Source::Impossible(why) => Start::Impossible(why.clone()),
            Source::Unasked => unreachable!("the source was opened above"),
        }
    }

    fn defer(&mut self, pathname: &BStr) -> Result<(), String> {
        self.deferred.add(pathname).map_err(one_line)
    }

    fn is_conflicted(&mut self, pathname: &BStr) -> bool {
        if self.conflicted.is_none() {
            match index::conflicted() {
                Ok(paths) => self.conflicted = Some(paths),
                // Then nothing is delayed: slower, and right.
                Err(_) => return true,
            }
        }
        self.conflicted.as_ref().is_some_and(|paths| paths.contains(pathname))
    }

    fn next_done(&mut self, patience: Duration) -> Next {
        let Source::Open(transfer) = &mut self.source else { return Next::Idle };
        match transfer.next_done(patience) {
            NextDone::Done(Done { job, result }) => {
                let Item { oid, size } = job.item();
                // Found in the cache is no proof that it is in the store.
                if matches!(result, Ok(Moved::Bytes(_))) {
                    self.fetched.push(oid);
                }
                let pointer = Pointer { oid, size: size.expect("only pointers are asked for, which name a size") };
                Next::Done(pointer, result.map(drop).map_err(one_line))
            }
            NextDone::Timeout => Next::Timeout,
            NextDone::Idle => Next::Idle,
        }
    }
}
