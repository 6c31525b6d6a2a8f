//! Garbage: objects that nothing names, kept small, since a bucket may have a million of them.
//!
//! Apart from the survey, which fills it: here is what one takes (an oid, three numbers, and a name only
//! in the Python tool's layout) and in which order they lie.

use std::ops::Range;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::oid::Oid;
use crate::store::key::Asset;
use crate::store::listing::Listed;

/// A time in nanoseconds since 1970: half as large as a [`SystemTime`], and as exact.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug)]
pub struct Moment(u64);

impl From<SystemTime> for Moment {
    fn from(time: SystemTime) -> Self {
        let nanos = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        Moment(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

impl From<Moment> for SystemTime {
    fn from(moment: Moment) -> Self {
        UNIX_EPOCH + Duration::from_nanos(moment.0)
    }
}

impl Moment {
    /// How long after `earlier` it is; zero if it is not.
    pub fn since(self, earlier: Moment) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// As marks keep it.
    pub fn millis(self) -> u64 {
        self.0 / 1_000_000
    }
}

/// An object that nothing names.
#[derive(Clone, Debug)]
pub struct Garbage {
    /// What it is.
    pub asset: Asset,
    /// Encoded length in bytes.
    pub len: u64,
    /// When it was written, by the store's clock.
    pub modified: Moment,
    /// When a cleanup first saw its content unreachable.
    pub mark: Moment,
}

impl Garbage {
    /// It is not marked yet.
    pub fn new(listed: Listed) -> Self {
        let Listed { asset, len, modified } = listed;
        Garbage { asset, len, modified: modified.into(), mark: Moment::default() }
    }

    /// The content.
    pub fn oid(&self) -> Oid {
        self.asset.oid()
    }

    /// Since the later of when it was written and when it was first seen unreachable.
    pub fn age(&self, now: Moment) -> Duration {
        now.since(self.mark.max(self.modified))
    }
}

/// Where a piece of garbage lies.
pub type Place = u32;

/// All garbage of a store, in one piece of memory: many that grow side by side would leave holes.
#[derive(Debug, Default)]
pub struct Heap(Vec<Garbage>);

impl Heap {
    /// Some more, in no order.
    pub fn add(&mut self, garbage: Garbage) {
        self.0.push(garbage);
    }

    /// Put it in the order of oids: each content with all its files. Whatever asks for a shard or a
    /// content goes by that.
    pub fn sort(&mut self) {
        self.0.sort_unstable_by(|a, b| a.oid().cmp(&b.oid()).then_with(|| a.asset.cmp(&b.asset)));
    }

    fn range(&self, shard: u8) -> Range<usize> {
        let before = |byte: u8| self.0.partition_point(|garbage| garbage.oid().as_bytes()[0] < byte);
        before(shard)..shard.checked_add(1).map_or(self.0.len(), before)
    }

    /// The oids that begin with this byte.
    pub fn shard(&self, byte: u8) -> &[Garbage] {
        &self.0[self.range(byte)]
    }

    /// As [`Heap::shard`].
    pub fn shard_mut(&mut self, byte: u8) -> &mut [Garbage] {
        let range = self.range(byte);
        &mut self.0[range]
    }

    /// All of it.
    pub fn all(&self) -> &[Garbage] {
        &self.0
    }

    /// All files of one content.
    pub fn of(&self, oid: &Oid) -> impl Iterator<Item = &Garbage> {
        let first = self.0.partition_point(|garbage| garbage.oid() < *oid);
        let oid = *oid;
        self.0[first..].iter().take_while(move |garbage| garbage.oid() == oid)
    }

    /// What lies at a place.
    pub fn at(&self, place: Place) -> &Garbage {
        &self.0[place as usize]
    }

    /// The places of all that `wanted` says yes to, in order.
    pub fn places(&self, wanted: impl Fn(&Garbage) -> bool) -> Vec<Place> {
        (0..).zip(&self.0).filter(|(_, garbage)| wanted(garbage)).map(|(place, _)| place).collect()
    }

    /// Take out what `wanted` says yes to.
    pub fn take_out(&mut self, mut wanted: impl FnMut(&Garbage) -> bool) -> Vec<Garbage> {
        self.0.extract_if(.., |garbage| wanted(garbage)).collect()
    }

    /// Keep what `wanted` says yes to.
    pub fn retain(&mut self, mut wanted: impl FnMut(Place, &Garbage) -> bool) {
        let mut place = 0;
        self.0.retain(|garbage| {
            let keep = wanted(place, garbage);
            place += 1;
            keep
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_takes_little_and_all_files_of_a_content_lie_together() {
        assert!(size_of::<Garbage>() <= 72, "a million of them must fit into 128 MiB");
        let oid = Oid::from_bytes([7; 32]);
        let mut heap = Heap::default();
        let other = Oid::from_bytes([[7; 31].as_slice(), &[8]].concat().try_into().unwrap());
        for asset in [Asset::Legacy(oid, "x".into()), Asset::Object(other), Asset::Object(oid)] {
            heap.add(Garbage::new(Listed { asset, len: 1, modified: UNIX_EPOCH }));
        }
        heap.sort();
        assert_eq!((heap.shard(7).len(), heap.shard(6).len(), heap.shard(255).len()), (3, 0, 0));
        assert_eq!(heap.of(&oid).count(), 2);
        assert_eq!(heap.of(&other).count(), 1);
        assert_eq!(heap.of(&Oid::from_bytes([6; 32])).count(), 0);
        let places = heap.places(|garbage| garbage.oid() == oid);
        assert_eq!(places, [0, 1]);
        heap.retain(|place, _| place != 0);
        assert_eq!(heap.all().len(), 2);
        assert_eq!(heap.at(0).asset, Asset::Legacy(oid, "x".into()));
    }

    #[test]
    fn moments_come_back() {
        let time = UNIX_EPOCH + Duration::new(1_700_000_000, 123_456_789);
        assert_eq!(SystemTime::from(Moment::from(time)), time);
        assert_eq!(Moment::from(time).since(Moment::from(time + Duration::from_secs(1))), Duration::ZERO);
    }
}
