//! The filter's [`Fetch`], over the transfer engine: the few lines between two rooms that do not
//! know each other.
//!
//! Nothing is opened before the first content that the cache lacks: `git status` and a checkout from
//! the cache read no manifest, build no runtime and open no connection.

use std::cell::OnceCell;
use std::collections::{BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bstr::{BStr, BString, ByteSlice};

use crate::cache::LocalCache;
use crate::cli::Global;
use crate::cli::error::{CliError, one_line};
use crate::cli::fetch::deferred::{Which, fill};
use crate::cli::lfs_objects::Objects;
use crate::cli::local_cache::local_cache;
use crate::cli::manifest_file;
use crate::cli::own_choice;
use crate::cli::session::{engine, not_accepted};
use crate::cli::tracking::uploads::{Way, note};
use crate::cli::ui;
use crate::cli::ui::progress::Meter;
use crate::config::{Acceptance, ConfigError, GitConfig, Settings, policy};
use crate::deferred::Deferred;
use crate::error::chain;
use crate::filter::{Fetch, Next, Policy, Start, Wanted};
use crate::git::batch::Batch;
use crate::git::{Repo, index, path_from_bytes};
use crate::oid::Oid;
use crate::pointer::Pointer;
use crate::remote::Remote;
use crate::sparse::SparseSet;
use crate::transfer::{Done, Item, Job, Moved, NextDone, Patience, Transfer};
use crate::uploaded::Uploaded;
use crate::written::{VARIABLE, Written};

/// Brings content into the cache when the filter asks.
pub struct Fetcher<'a> {
    global: &'a Global,
    repo: &'a Repo,
    cache: LocalCache,
    deferred: Deferred,
    config: Option<GitConfig>,
    /// The worktree's Git directory.
    git_dir: PathBuf,
    /// Read once, at the first file.
    sparse: Option<Option<SparseSet>>,
    /// What is known to be in the store, read when the sparse set leaves out content that is here.
    uploaded: Option<Option<Uploaded>>,
    /// Read once: conflicts that arise while one process checks out are not checked out by it.
    conflicted: Option<BTreeSet<BString>>,
    /// What the command that had Git run us has just written; read once.
    written: Option<Written>,
    worktree: PathBuf,
    /// Started with the first large file that is cleaned; `None` inside: it could not be.
    index: Option<Option<Batch>>,
    source: Source,
    /// Where git-lfs has content, looked for once.
    lfs: Option<Option<Objects>>,
    /// What was found there, and is still to be named.
    lent: VecDeque<Pointer>,
    /// Content that came from a store, and so is proved to be there.
    fetched: Vec<(Oid, Moved)>,
    /// Left as pointers, to be written once Git is done.
    placed: BTreeSet<BString>,
    /// How far what is on its way is; Git waits, and shows nothing meanwhile.
    meter: Option<Meter>,
    /// Why content is looked for where nobody sends it, asked once.
    misled: OnceCell<Option<String>>,
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
    pub fn new(global: &'a Global, repo: &'a Repo) -> Self {
        let deferred = Deferred::new(repo.git_dir());
        Fetcher {
            global,
            repo,
            cache: local_cache(repo),
            deferred,
            config: None,
            git_dir: repo.git_dir().to_owned(),
            sparse: None,
            uploaded: None,
            conflicted: None,
            written: None,
            worktree: repo.worktree().map(Path::to_owned).unwrap_or_default(),
            index: None,
            source: Source::Unasked,
            lfs: None,
            lent: VecDeque::new(),
            fetched: Vec::new(),
            placed: BTreeSet::new(),
            meter: None,
            misled: OnceCell::new(),
        }
    }

    /// Note what was fetched in the upload record: it is no news to `status`, and not sent again.
    pub fn finish(&mut self) -> Result<(), CliError> {
        let Source::Open(transfer) = &self.source else { return Ok(()) };
        let reading: Vec<Remote> = transfer.reading().iter().map(|reading| reading.remote().clone()).collect();
        let mut uploaded = Uploaded::open(self.cache.root(), transfer.store().remote(), &reading)?;
        note(&mut uploaded, &std::mem::take(&mut self.fetched), Way::Down)
    }

    /// Write the files that were left for now. Git has closed the pipe by now, and waits for our end.
    pub fn fill(&self) -> Result<(), CliError> {
        // A Git that was killed has left its lock; then nobody waits, and nothing is what it seems.
        if self.placed.is_empty() || self.git_dir.join("index.lock").exists() {
            return Ok(());
        }
        fill(self.global, Which::These(&self.placed))
    }

    fn config(&mut self) -> Result<&GitConfig, CliError> {
        if self.config.is_none() {
            self.config = Some(GitConfig::load()?);
        }
        Ok(self.config.as_ref().expect("it was loaded just now"))
    }

    fn settings(&mut self, treeish: Option<&BStr>) -> Result<Settings, CliError> {
        let overrides = self.global.overrides();
        let manifest = manifest_file::for_reading(treeish)?;
        Ok(Settings::resolve(&overrides, self.config()?, manifest.as_ref())?)
    }

    /// Content outside the sparse set that no store is known to have is the user's own work, on its way
    /// through a stash or a rebase: he gets it back as it was.
    fn is_own_work(&mut self, wanted: &Wanted<'_>) -> bool {
        if !self.cache.contains(wanted.pointer) {
            return false;
        }
        if self.uploaded.is_none() {
            let settings = self.settings(wanted.treeish).ok();
            let open = |settings: Settings| Uploaded::open(self.cache.root(), &settings.remote, &settings.reading).ok();
            self.uploaded = Some(settings.and_then(open));
        }
        !self.uploaded.as_ref().and_then(Option::as_ref).is_some_and(|uploaded| uploaded.has(&wanted.pointer.oid))
    }

    /// Whether git-lfs has had it here; the cache has it then.
    fn is_lent(&mut self, pointer: &Pointer) -> bool {
        if self.lfs.is_none() {
            let repo = self.repo;
            self.lfs = Some(self.config().ok().and_then(|config| Objects::if_any(repo, config)));
        }
        self.lfs.iter().flatten().any(|objects| objects.lend(&self.cache, pointer))
    }

    fn open(&mut self, treeish: Option<&BStr>) -> Result<Source, CliError> {
        let settings = self.settings(treeish)?;
        if settings.acceptance == Acceptance::NotAccepted {
            let refusal = not_accepted(&settings);
            return Ok(Source::Leave(format!("{} ({})", refusal.message, refusal.hints.join("; "))));
        }
        Ok(Source::Open(Box::new(engine(self.cache.clone(), &settings, Patience::Long)?)))
    }
}

/// What is said of content that nobody has sent, in a clone in which git-lfs was at work.
const WITH_LFS: &str = "if git-lfs or its server has it, as of a branch that was made with git-lfs: s3lfs migrate lfs; else \
    whoever has the content sends it with 's3lfs upload <file>'";

/// A setting that can't be meant stops no checkout.
pub fn warn_of_setting(error: ConfigError) {
    ui::warn_once(format!("warning: {}: the default is taken", chain(&error)));
}

impl Fetch for Fetcher<'_> {
    fn policy(&mut self) -> Result<Policy, String> {
        let config = self.config().map_err(|e| e.message)?;
        Ok(policy(config, warn_of_setting))
    }

    fn leaves_out(&mut self, wanted: &Wanted<'_>) -> Result<bool, String> {
        if self.sparse.is_none() {
            let hint = "'s3lfs sparse-checkout --disable' forgets it";
            let set = SparseSet::load(&self.git_dir);
            self.sparse = Some(set.map_err(|e| format!("the sparse set can't be read: {} ({hint})", chain(&e)))?);
        }
        let outside = self.sparse.iter().flatten().any(|set| !set.includes(wanted.pathname));
        Ok(outside && !self.is_own_work(wanted))
    }

    fn start(&mut self, wanted: &Wanted<'_>) -> Start {
        if self.is_lent(wanted.pointer) {
            self.lent.push_back(*wanted.pointer);
            return Start::Started;
        }
        if matches!(self.source, Source::Unasked) {
            self.source = self.open(wanted.treeish).unwrap_or_else(|e| {
                let CliError { message, hints, .. } = e;
                Source::Impossible(if hints.is_empty() { message } else { format!("{message} ({})", hints.join("; ")) })
            });
        }
        match &mut self.source {
            Source::Open(transfer) => {
                let job = Job::Download((*wanted.pointer).into());
                let meter = self.meter.get_or_insert_with(|| Meter::new("Downloading"));
                meter.tick(transfer.store().traffic());
                if transfer.start(job) {
                    meter.expect(&job.item());
                }
                Start::Started
            }
            Source::Leave(why) => Start::LeavePointer(why.clone()),
            Source::Impossible(why) => Start::Impossible(why.clone()),
            Source::Unasked => unreachable!("the source was opened above"),
        }
    }

    fn tracked(&mut self, pathname: &BStr) -> Option<Oid> {
        let index = self.index.get_or_insert_with(|| Batch::start().ok());
        Some(index.as_mut()?.pointer([b":", pathname.as_bytes()].concat().as_bstr())?.oid)
    }

    fn written(&mut self, pathname: &BStr) -> Option<Pointer> {
        let load = || std::env::var_os(VARIABLE).map(|file| Written::load(Path::new(&file))).unwrap_or_default();
        self.written.get_or_insert_with(load).pointer(pathname, &self.worktree.join(path_from_bytes(pathname)))
    }

    fn defer(&mut self, pathname: &BStr) -> Result<(), String> {
        self.deferred.add(pathname).map_err(one_line)
    }

    fn place(&mut self, pathname: &BStr) -> bool {
        // Without a worktree there is no place; and noted it is for whoever comes after a kill.
        let noted = !self.worktree.as_os_str().is_empty() && self.deferred.add(pathname).is_ok();
        if noted {
            self.placed.insert(pathname.to_owned());
        }
        noted
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
        if let Some(pointer) = self.lent.pop_front() {
            return Next::Done(pointer, Ok(()));
        }
        let global = self.global;
        let misled = || {
            let manifest = manifest_file::for_reading(None).ok()?;
            own_choice::misled(global, &GitConfig::load().ok()?, manifest.as_ref())
        };
        let Source::Open(transfer) = &mut self.source else { return Next::Idle };
        match transfer.next_done(patience) {
            NextDone::Done(Done { job, result }) => {
                let Item { oid, size } = job.item();
                if let Some(meter) = &mut self.meter {
                    meter.done(&job.item(), result.as_ref().ok().copied());
                    meter.hide();
                }
                self.fetched.extend(result.as_ref().ok().map(|moved| (oid, *moved)));
                let pointer = Pointer { oid, size: size.expect("only pointers are asked for, which name a size") };
                let had_lfs = matches!(self.lfs, Some(Some(_)));
                let of_lfs = || had_lfs.then(|| WITH_LFS.to_owned());
                let told = || self.misled.get_or_init(misled).clone().or_else(of_lfs);
                Next::Done(pointer, result.map(drop).map_err(|error| own_choice::explained(error, told)))
            }
            NextDone::Timeout => {
                if let Some(meter) = self.meter.as_mut().filter(|_| !patience.is_zero()) {
                    meter.tick(transfer.store().traffic());
                }
                Next::Timeout
            }
            NextDone::Idle => Next::Idle,
        }
    }
}
