//! The survey: which objects nothing names, and since when that has been so.
//!
//! Apart because it only looks; what it writes are marks, from which ages count.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use crate::cli::cleanup::reachable::Reachable;
use crate::cli::error::CliError;
use crate::cli::ui;
use crate::store::Store;
use crate::store::listing::Listed;
use crate::store::marks::Marks;
use crate::store::unfinished::Unfinished;
use crate::transfer::Transfer;

/// Times of a store are to the second, and the clock of a service is known by its answers only.
const INEXACT: Duration = Duration::from_secs(15 * 60);

/// An object that nothing names.
#[derive(Clone, Debug)]
pub struct Garbage {
    /// The object.
    pub listed: Listed,
    /// Since the later of when it was written and when it was first seen unreachable.
    pub age: Duration,
}

/// What a survey found.
pub struct Survey {
    /// Garbage that has reached the age.
    pub old: Vec<Garbage>,
    /// Garbage that has not.
    pub young: Vec<Garbage>,
    /// Uploads that were begun that long ago, and never completed.
    pub abandoned: Vec<Unfinished>,
    /// The age.
    pub floor: Duration,
    /// When it was taken, by the store's clock.
    pub now: SystemTime,
    marks: BTreeMap<u8, Marks>,
    /// The shards of which the marks in the store are others.
    changed: BTreeSet<u8>,
    store: Store,
}

impl Survey {
    /// List the store, and set aside what `reachable` has not.
    pub fn take(transfer: &mut Transfer, reachable: &Reachable, floor: Duration) -> Result<Self, CliError> {
        let store = transfer.store().clone();
        let mut garbage: BTreeMap<u8, Vec<Listed>> = BTreeMap::new();
        transfer.list(|listed| {
            let oid = listed.asset.oid();
            if !reachable.contains(&oid) {
                garbage.entry(oid.as_bytes()[0]).or_default().push(listed);
            }
        })?;
        let now = store.now();
        let marked = transfer.ask(|| store.marked_shards())?;
        let mut survey = Survey {
            old: Vec::new(),
            young: Vec::new(),
            abandoned: abandoned(transfer, &store, now, floor),
            floor,
            now,
            marks: BTreeMap::new(),
            changed: BTreeSet::new(),
            store: store.clone(),
        };
        let shards: BTreeSet<u8> = garbage.keys().chain(&marked).copied().collect();
        let marked: Vec<u8> = marked.into_iter().collect();
        let known = transfer.ask_each(&marked, |store, shard| async move { store.marks(shard).await })?;
        let mut known: BTreeMap<u8, Marks> = marked.into_iter().zip(known).collect();
        for shard in shards {
            let known = known.remove(&shard).unwrap_or_default();
            let mut marks = Marks::new();
            for listed in garbage.remove(&shard).unwrap_or_default() {
                let oid = listed.asset.oid();
                let seen = known.get(&oid).copied().filter(|&seen| !outdated(seen, &listed)).unwrap_or(now);
                marks.insert(oid, seen);
                survey.add(listed, seen, now);
            }
            if marks != known {
                survey.changed.insert(shard);
            }
            survey.marks.insert(shard, marks);
        }
        Ok(survey)
    }

    fn add(&mut self, listed: Listed, seen: SystemTime, now: SystemTime) {
        let age = now.duration_since(seen.max(listed.modified)).unwrap_or_default();
        let list = if age >= self.floor { &mut self.old } else { &mut self.young };
        list.push(Garbage { listed, age });
    }

    /// Write the marks that changed: new garbage is marked, what is reachable again is not any more.
    pub fn mark(&self, transfer: &mut Transfer) -> Result<(), CliError> {
        let changed: Vec<(u8, Marks)> =
            self.changed.iter().map(|shard| (*shard, self.marks.get(shard).cloned().unwrap_or_default())).collect();
        transfer.ask_each(&changed, |store, (shard, marks)| async move { store.put_marks(shard, &marks).await })?;
        Ok(())
    }

    /// Leave alone what `reachable` has by now: these objects.
    pub fn spare(&mut self, reachable: &Reachable) -> Vec<Garbage> {
        self.old.extract_if(.., |garbage| reachable.contains(&garbage.listed.asset.oid())).collect()
    }

    /// Whether anything is to be deleted.
    pub fn has_work(&self) -> bool {
        !self.old.is_empty() || !self.abandoned.is_empty()
    }

    /// What is to be deleted, for people.
    pub fn work(&self) -> String {
        let bytes: u64 = self.old.iter().map(|garbage| garbage.listed.len).sum();
        let objects = format!("{} ({})", ui::count(self.old.len(), "object"), ui::bytes(bytes));
        match self.abandoned.len() {
            0 => objects,
            n => format!("{objects} and {}", ui::count(n, "unfinished upload")),
        }
    }

    /// Since when an object is marked.
    pub fn mark_of(&self, garbage: &Garbage) -> Option<SystemTime> {
        let oid = garbage.listed.asset.oid();
        self.marks.get(&oid.as_bytes()[0])?.get(&oid).copied()
    }

    /// The key of an object.
    pub fn key(&self, garbage: &Garbage) -> String {
        garbage.listed.asset.key(self.store.remote().prefix()).to_string()
    }
}

/// Somebody wrote the object again after it was marked: it was needed, and no cleanup ran meanwhile to
/// take the mark back. Who fetched a branch with it in the last days may push it without asking the
/// store, so it must be seen unreachable anew.
fn outdated(mark: SystemTime, listed: &Listed) -> bool {
    listed.modified.duration_since(mark).is_ok_and(|later| later > INEXACT)
}

/// Not every service can list its uploads, nor may every user: that only leaves them where they are.
fn abandoned(transfer: &mut Transfer, store: &Store, now: SystemTime, floor: Duration) -> Vec<Unfinished> {
    match transfer.ask(|| store.unfinished()) {
        Ok(uploads) => {
            let old = |upload: &Unfinished| now.duration_since(upload.begun).is_ok_and(|age| age >= floor);
            uploads.into_iter().filter(old).collect()
        }
        Err(e) => {
            ui::warn(format!("warning: unfinished uploads are left alone: {e}"));
            Vec::new()
        }
    }
}
