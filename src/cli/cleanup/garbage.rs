//! Garbage: objects that nothing names, kept small, since a bucket may have a million of them.
//!
//! Apart from the survey, which fills it: here is what one takes (an oid, three numbers, and a name only
//! in the Python tool's layout) and in which order they lie.

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
#[derive(Debug)]
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

/// Where a piece of garbage lies: its shard, and its place there.
pub type Place = (u8, u32);

/// All garbage of a store, by the first byte of its oid.
#[derive(Debug)]
pub struct Heap(Vec<Vec<Garbage>>);

impl Heap {
    /// Nothing.
    pub fn new() -> Self {
        Heap((0..=u8::MAX).map(|_| Vec::new()).collect())
    }

    /// Some more, in no order.
    pub fn add(&mut self, garbage: Garbage) {
        let shard = &mut self.0[usize::from(garbage.oid().as_bytes()[0])];
        // Doubling would take twice the memory at the worst moment.
        if shard.len() == shard.capacity() {
            shard.reserve_exact(shard.len() / 4 + 16);
        }
        shard.push(garbage);
    }

    /// What lies in a shard.
    pub fn shard(&self, byte: u8) -> &[Garbage] {
        &self.0[usize::from(byte)]
    }

    /// What lies in a shard, from now on in the order of oids: each content with all its files.
    pub fn sorted(&mut self, byte: u8) -> &mut [Garbage] {
        let shard = &mut self.0[usize::from(byte)];
        shard.sort_unstable_by(|a, b| a.oid().cmp(&b.oid()).then_with(|| a.asset.cmp(&b.asset)));
        shard
    }

    /// All of it.
    pub fn all(&self) -> impl Iterator<Item = &Garbage> {
        self.0.iter().flatten()
    }

    /// All files of one content, where the shard is in order.
    pub fn of(&self, oid: &Oid) -> impl Iterator<Item = &Garbage> {
        let shard = self.shard(oid.as_bytes()[0]);
        let first = shard.partition_point(|garbage| garbage.oid() < *oid);
        let oid = *oid;
        shard[first..].iter().take_while(move |garbage| garbage.oid() == oid)
    }

    /// What lies at a place.
    pub fn at(&self, (byte, index): Place) -> &Garbage {
        &self.0[usize::from(byte)][index as usize]
    }

    /// The places of all that `wanted` says yes to, in order.
    pub fn places(&self, wanted: impl Fn(&Garbage) -> bool) -> Vec<Place> {
        let mut places = Vec::new();
        for (byte, shard) in (0..=u8::MAX).zip(&self.0) {
            places.extend((0u32..).zip(shard).filter(|(_, garbage)| wanted(garbage)).map(|(index, _)| (byte, index)));
        }
        places
    }

    /// Keep what `wanted` says yes to.
    pub fn retain(&mut self, mut wanted: impl FnMut(Place, &Garbage) -> bool) {
        for (byte, shard) in (0..=u8::MAX).zip(&mut self.0) {
            let mut index = 0;
            shard.retain(|garbage| {
                let keep = wanted((byte, index), garbage);
                index += 1;
                keep
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_takes_little_and_all_files_of_a_content_lie_together() {
        assert!(size_of::<Garbage>() <= 72, "a million of them must fit into 128 MiB");
        let oid = Oid::from_bytes([7; 32]);
        let mut heap = Heap::new();
        let other = Oid::from_bytes([[7; 31].as_slice(), &[8]].concat().try_into().unwrap());
        for asset in [Asset::Legacy(oid, "x".into()), Asset::Object(other), Asset::Object(oid)] {
            heap.add(Garbage::new(Listed { asset, len: 1, modified: UNIX_EPOCH }));
        }
        heap.sorted(7);
        assert_eq!(heap.of(&oid).count(), 2);
        assert_eq!(heap.of(&other).count(), 1);
        assert_eq!(heap.of(&Oid::from_bytes([6; 32])).count(), 0);
        let places = heap.places(|garbage| garbage.oid() == oid);
        assert_eq!(places, [(7, 0), (7, 1)]);
        heap.retain(|place, _| place != (7, 0));
        assert_eq!(heap.all().count(), 2);
        assert_eq!(heap.at((7, 0)).asset, Asset::Legacy(oid, "x".into()));
    }

    #[test]
    fn moments_come_back() {
        let time = UNIX_EPOCH + Duration::new(1_700_000_000, 123_456_789);
        assert_eq!(SystemTime::from(Moment::from(time)), time);
        assert_eq!(Moment::from(time).since(Moment::from(time + Duration::from_secs(1))), Duration::ZERO);
    }
}
