//! A record's bytes as they stand in its file: sorted, 40 bytes an object, asked where they lie.
//!
//! Apart because a store may have a million objects: a map of them takes three times as much memory as
//! the file is long, and what only forgets needs no more than what it keeps.

use std::cell::OnceCell;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use crate::fs::{PathContext, PathError, is_absent, read_optional};
use crate::oid::Oid;
use crate::oid::sorted::Starts;

/// 32 bytes of oid, then seconds since 1970 as a big-endian u64.
pub const RECORD: usize = 40;
const OID: usize = 32;

/// Records, sorted by oid, each oid once.
#[derive(Debug, Default)]
pub struct Known {
    records: Vec<u8>,
    /// Made when they are first asked.
    starts: OnceCell<Starts>,
}

impl Known {
    fn of(records: Vec<u8>) -> Self {
        Known { records, starts: OnceCell::new() }
    }

    /// Those of a file. One that is torn has none, nor has one that is not there.
    pub fn read(path: &Path) -> Result<Self, PathError> {
        let bytes = read_optional(path)?.unwrap_or_default();
        if !bytes.len().is_multiple_of(RECORD) {
            tracing::warn!("{} is torn; what it recorded will be proved again", path.display());
            return Ok(Known::default());
        }
        let mut known = Known::of(bytes);
        if !known.records.chunks_exact(RECORD).is_sorted_by(|a, b| a[..OID] < b[..OID]) {
            let all: Vec<(Oid, u64)> = known.iter().collect();
            known.records.clear();
            known.add(all);
        }
        Ok(known)
    }

    /// Those of a file of which `gone` does not say that they go; `None` if it says so of none. The others
    /// are never in memory together.
    pub fn read_without(path: &Path, gone: impl Fn(&Oid) -> bool) -> Result<Option<Self>, PathError> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(e) if is_absent(&e) => return Ok(None),
            Err(e) => return Err(PathError::new("read", path, e)),
        };
        let (mut kept, mut goes) = (Vec::new(), false);
        let mut records = BufReader::with_capacity(RECORD * 1024, file);
        let mut record = Vec::with_capacity(RECORD);
        loop {
            record.clear();
            let read = records.by_ref().take(RECORD as u64).read_to_end(&mut record).context("read", path)?;
            match read {
                0 => break,
                RECORD if gone(&oid(&record)) => goes = true,
                // A torn one records nothing.
                _ => kept.extend_from_slice(&record),
            }
        }
        let torn = !kept.len().is_multiple_of(RECORD);
        Ok(goes.then_some(Known::of(if torn { Vec::new() } else { kept })))
    }

    /// When it was proved, in seconds since 1970.
    pub fn get(&self, wanted: &Oid) -> Option<u64> {
        let starts = self.starts.get_or_init(|| Starts::of(&self.records, RECORD));
        starts.find(&self.records, RECORD, wanted.as_bytes()).map(time)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (Oid, u64)> {
        self.records.chunks_exact(RECORD).map(|record| (oid(record), time(record)))
    }

    /// Some more, in any order. Of two times of one object the later one stays.
    pub fn add(&mut self, mut more: Vec<(Oid, u64)>) {
        more.sort_unstable();
        let mut merged = Vec::with_capacity(self.records.len() + more.len() * RECORD);
        let mut old = self.records.chunks_exact(RECORD).map(|record| (oid(record), time(record))).peekable();
        let mut more = more.into_iter().peekable();
        while let Some((oid, mut latest)) = match (old.peek(), more.peek()) {
            (Some(a), Some(b)) if a.0 <= b.0 => old.next(),
            (_, Some(_)) => more.next(),
            (_, None) => old.next(),
        } {
            while let Some((_, time)) = more.next_if(|next| next.0 == oid) {
                latest = latest.max(time);
            }
            merged.extend_from_slice(oid.as_bytes());
            merged.extend_from_slice(&latest.to_be_bytes());
        }
        *self = Known::of(merged);
    }

    /// As the file has them.
    pub fn as_bytes(&self) -> &[u8] {
        &self.records
    }
}

fn oid(record: &[u8]) -> Oid {
    Oid::from_bytes(record[..OID].try_into().expect("32 bytes of a record"))
}

fn time(record: &[u8]) -> u64 {
    u64::from_be_bytes(record[OID..].try_into().expect("8 bytes of a record"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn it_knows_what_a_map_would() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("record");
        let (mut known, mut map) = (Known::default(), BTreeMap::<Oid, u64>::new());
        for round in 0..20_u64 {
            let some: Vec<(Oid, u64)> =
                (0..50).map(|n| (Oid::of(&[(n * 7 + round * 13) as u8]), (n * 31 + round) % 17)).collect();
            for (oid, time) in &some {
                let latest = map.entry(*oid).or_default();
                *latest = (*latest).max(*time);
            }
            known.add(some);
            assert!(known.iter().eq(map.iter().map(|(oid, time)| (*oid, *time))), "sorted, each once, the latest");
        }
        for n in 0..=255_u8 {
            assert_eq!(known.get(&Oid::of(&[n])), map.get(&Oid::of(&[n])).copied());
        }
        std::fs::write(&path, known.as_bytes()).unwrap();
        let gone = |oid: &Oid| oid.as_bytes()[0] < 128;
        map.retain(|oid, _| !gone(oid));
        let left = Known::read_without(&path, gone).unwrap().expect("some go");
        assert!(left.iter().eq(map.iter().map(|(oid, time)| (*oid, *time))), "the others stay");
        assert!(Known::read_without(&path, |_| false).unwrap().is_none(), "nothing changes where none goes");
        assert!(Known::read_without(&dir.path().join("none"), |_| true).unwrap().is_none());
    }

    #[test]
    fn records_in_disorder_are_put_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("record");
        let mut oids = [Oid::of(b"a"), Oid::of(b"b"), Oid::of(b"c")];
        oids.sort();
        let record = |oid: Oid, time: u64| [oid.as_bytes().as_slice(), &time.to_be_bytes()].concat();
        std::fs::write(&path, [record(oids[2], 3), record(oids[0], 1), record(oids[0], 2)].concat()).unwrap();
        let known = Known::read(&path).unwrap();
        assert_eq!(known.iter().collect::<Vec<_>>(), [(oids[0], 2), (oids[2], 3)]);
        assert_eq!((known.get(&oids[0]), known.get(&oids[1])), (Some(2), None));
    }
}
