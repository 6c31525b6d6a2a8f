//! The survey: which objects nothing names, and since when that has been so.
//!
//! Apart because it only looks; what it writes are marks, from which ages count.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use crate::cli::cleanup::garbage::{Garbage, Heap, Moment, Place};
use crate::cli::cleanup::reachable::Reachable;
use crate::cli::error::CliError;
use crate::cli::ui;
use crate::cli::ui::progress::Count;
use crate::oid::Oid;
use crate::store::Store;
use crate::store::key::Asset;
use crate::store::marks::Marks;
use crate::store::unfinished::Unfinished;
use crate::transfer::Transfer;

/// Times of a store are to the second, and the clock of a service is known by its answers only.
const INEXACT: Duration = Duration::from_secs(15 * 60);

/// Shards of which the marks are in memory at a time.
const AT_ONCE: usize = 4;

/// What becomes of garbage in the Python tool's layout. That tool registers nowhere: another repository that
/// still uses it in this prefix is seen by nobody, and its objects look like garbage.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PythonLayout {
    /// It stays.
    Keep,
    /// It goes as all other: the user knows that nobody else is there.
    Delete,
}

/// What a survey found.
pub struct Survey {
    /// Uploads that were begun that long ago, and never completed.
    pub abandoned: Vec<Unfinished>,
    /// How old garbage must be.
    pub floor: Duration,
    /// Garbage of any age.
    heap: Heap,
    python: PythonLayout,
    /// When its ages were taken, by the store's clock.
    pub now: Moment,
    /// The shards of which the marks in the store are others.
    changed: BTreeSet<u8>,
    /// Whether these marks are in the store now.
    pub marked: bool,
    store: Store,
}

impl Survey {
    /// List the store, and set aside what `reachable` has not. Nothing is written before the last page of
    /// the listing was had.
    pub fn take(
        transfer: &mut Transfer,
        reachable: &Reachable,
        floor: Duration,
        python: PythonLayout,
    ) -> Result<Self, CliError> {
        let store = transfer.store().clone();
        let mut heap = Heap::default();
        let count = Count::new("Looking through the store", 0);
        transfer.list(|listed| {
            count.add(1);
            if !reachable.contains(&listed.asset.oid()) {
                heap.add(Garbage::new(listed));
            }
        })?;
        drop(count);
        heap.sort();
        let now = store.now();
        let marked = transfer.ask(|| store.marked_shards())?;
        let abandoned = abandoned(transfer, &store, now, floor);
        let (now, changed) = (now.into(), BTreeSet::new());
        let mut survey = Survey { abandoned, floor, heap, python, now, changed, marked: false, store };
        let shards: Vec<u8> =
            (0..=u8::MAX).filter(|&byte| marked.contains(&byte) || !survey.heap.shard(byte).is_empty()).collect();
        for some in shards.chunks(AT_ONCE) {
            let known = transfer.ask_each(some, |store, shard| async move { store.marks(shard).await })?;
            for (&shard, known) in some.iter().zip(known) {
                survey.set_marks(shard, &known);
            }
        }
        Ok(survey)
    }

    /// Marks are of content: where it lies in several files, the one that counts latest counts.
    fn set_marks(&mut self, shard: u8, known: &Marks) {
        let mut count = 0;
        for files in self.heap.shard_mut(shard).chunk_by_mut(|a, b| a.oid() == b.oid()) {
            let noted: Option<Moment> = known.get(&files[0].oid()).map(|&time| time.into());
            let seen = noted.filter(|&seen| !files.iter().any(|file| outdated(seen, file)));
            let mark = seen.unwrap_or(self.now);
            files.iter_mut().for_each(|file| file.mark = mark);
            count += 1;
            if seen.is_none() {
                self.changed.insert(shard);
            }
        }
        if count != known.len() {
            self.changed.insert(shard);
        }
    }

    fn marks(&self, shard: u8) -> Marks {
        self.heap.shard(shard).iter().map(|garbage| (garbage.oid(), garbage.mark.into())).collect()
    }

    /// Write the marks that changed: new garbage is marked, what is reachable again is not any more.
    pub fn mark(&mut self, transfer: &mut Transfer) -> Result<(), CliError> {
        let marked = self.put_marks(transfer);
        self.marked = marked.is_ok();
        marked
    }

    fn put_marks(&self, transfer: &mut Transfer) -> Result<(), CliError> {
        let changed: Vec<u8> = self.changed.iter().copied().collect();
        for some in changed.chunks(AT_ONCE) {
            let marks: Vec<(u8, Marks)> = some.iter().map(|&shard| (shard, self.marks(shard))).collect();
            transfer.ask_each(&marks, |store, (shard, marks)| async move { store.put_marks(shard, &marks).await })?;
        }
        Ok(())
    }

    /// Take back the marks of what was deleted, all but `kept`, if they are so young that they would count for
    /// what is written again now ([`outdated`]). Whoever deletes by an age of days leaves that to the next run.
    pub fn take_marks_back(&self, transfer: &mut Transfer, kept: &[Place]) -> Result<(), CliError> {
        if self.floor > INEXACT {
            return Ok(());
        }
        let mut deleted = self.places();
        deleted.retain(|place| kept.binary_search(place).is_err());
        let shards: BTreeSet<u8> = deleted.iter().map(|place| self.at(*place).oid().as_bytes()[0]).collect();
        for some in shards.into_iter().collect::<Vec<u8>>().chunks(AT_ONCE) {
            let marks = some.iter().map(|&shard| {
                let mut marks = self.marks(shard);
                for place in &deleted {
                    marks.remove(&self.at(*place).oid());
                }
                (shard, marks)
            });
            let marks: Vec<(u8, Marks)> = marks.collect();
            transfer.ask_each(&marks, |store, (shard, marks)| async move { store.put_marks(shard, &marks).await })?;
        }
        Ok(())
    }

    /// Leave alone what `reachable` has by now; what was to go, of that.
    pub fn spare(&mut self, reachable: &Reachable) -> Vec<Garbage> {
        let mut spared = self.heap.take_out(|garbage| reachable.contains(&garbage.oid()));
        spared.retain(|garbage| self.is_old(garbage));
        spared
    }

    fn is_old(&self, garbage: &Garbage) -> bool {
        !self.is_held(garbage) && garbage.age(self.now) >= self.floor
    }

    fn is_held(&self, garbage: &Garbage) -> bool {
        self.python == PythonLayout::Keep && matches!(garbage.asset, Asset::Legacy(..))
    }

    /// Garbage of any age that may be another repository's.
    pub fn held(&self) -> impl Iterator<Item = &Garbage> {
        self.heap.all().iter().filter(|garbage| self.is_held(garbage))
    }

    /// Garbage that has reached the age.
    pub fn old(&self) -> impl Iterator<Item = &Garbage> {
        self.heap.all().iter().filter(|garbage| self.is_old(garbage))
    }

    /// Garbage that has not.
    pub fn young(&self) -> impl Iterator<Item = &Garbage> {
        self.heap.all().iter().filter(|garbage| !self.is_old(garbage) && !self.is_held(garbage))
    }

    /// Where garbage lies that has reached the age. Neighbours share a shard.
    pub fn places(&self) -> Vec<Place> {
        self.heap.places(|garbage| self.is_old(garbage))
    }

    /// The garbage at a place.
    pub fn at(&self, place: Place) -> &Garbage {
        self.heap.at(place)
    }

    /// Whether files of this content have reached the age.
    pub fn has_old(&self, oid: &Oid) -> bool {
        self.heap.of(oid).any(|garbage| self.is_old(garbage))
    }

    /// Take out what was not deleted after all: the places, in order.
    pub fn leave(&mut self, kept: &[Place]) {
        self.heap.retain(|place, _| kept.binary_search(&place).is_err());
    }

    /// Whether anything is to be deleted.
    pub fn has_work(&self) -> bool {
        self.old().next().is_some() || !self.abandoned.is_empty()
    }

    /// What is to be deleted, for people.
    pub fn work(&self) -> String {
        let bytes: u64 = self.old().map(|garbage| garbage.len).sum();
        let objects = format!("{} ({})", ui::count(self.old().count(), "object"), ui::bytes(bytes));
        match self.abandoned.len() {
            0 => objects,
            n => format!("{objects} and {}", ui::count(n, "unfinished upload")),
        }
    }

    /// How old garbage is.
    pub fn age(&self, garbage: &Garbage) -> Duration {
        garbage.age(self.now)
    }

    /// The key of an object.
    pub fn key(&self, garbage: &Garbage) -> String {
        garbage.asset.key(self.store.remote().prefix()).to_string()
    }
}

/// Somebody wrote the object again after it was marked: it was needed, and no cleanup ran meanwhile to
/// take the mark back. Who fetched a branch with it in the last days may push it without asking the
/// store, so it must be seen unreachable anew.
fn outdated(mark: Moment, garbage: &Garbage) -> bool {
    garbage.modified.since(mark) > INEXACT
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
