//! A record's bytes as they stand in its file: sorted, 40 bytes an object, asked where they lie.
//!
//! Apart because a store may have a million objects: a map of them takes three times as much memory as
//! the file is long. A long file stays on the disk, also while it is written anew.

use std::cell::OnceCell;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, Write};
use std::path::Path;

use crate::fs::{PathContext, PathError, is_absent, read_exact_at};
use crate::oid::Oid;
use crate::oid::sorted::Starts;

/// 32 bytes of oid, then seconds since 1970 as a big-endian u64.
pub const RECORD: usize = 40;
const OID: usize = 32;

/// Bytes up to which a file is read whole.
const HELD: usize = 8 << 20;

/// Bytes that are read at once of a longer one.
const PIECE: usize = RECORD * 1024;

type Record = [u8; RECORD];

/// Records, sorted by oid, each oid once.
#[derive(Debug)]
pub struct Known {
    records: Records,
    /// Made when they are first asked.
    starts: OnceCell<Starts>,
}

#[derive(Debug)]
enum Records {
    Held(Vec<u8>),
    /// So many, in their file.
    Lying(File, usize),
}

impl Default for Known {
    fn default() -> Self {
        Known { records: Records::Held(Vec::new()), starts: OnceCell::new() }
    }
}

impl Known {
    /// Those of a file. One that is torn has none, nor has one that is not there.
    pub fn read(path: &Path) -> Result<Self, PathError> {
        Self::read_holding(path, HELD)
    }

    fn read_holding(path: &Path, held: usize) -> Result<Self, PathError> {
        let mut file = match File::open(path) {
            Ok(file) => file,
            Err(e) if is_absent(&e) => return Ok(Known::default()),
            Err(e) => return Err(PathError::new("read", path, e)),
        };
        let torn = || {
            tracing::warn!("{} is torn; what it recorded will be proved again", path.display());
            Ok(Known::default())
        };
        let len = usize::try_from(file.metadata().context("read", path)?.len()).unwrap_or(usize::MAX);
        if len > held {
            let starts = starts_in_order(&mut file, len / RECORD).context("read", path)?;
            return match starts.filter(|_| len.is_multiple_of(RECORD)) {
                Some(starts) => Ok(Known { records: Records::Lying(file, len / RECORD), starts: starts.into() }),
                None => torn(),
            };
        }
        let mut bytes = Vec::with_capacity(len + 1);
        file.read_to_end(&mut bytes).context("read", path)?;
        if !bytes.len().is_multiple_of(RECORD) {
            return torn();
        }
        if !bytes.chunks_exact(RECORD).is_sorted_by(|a, b| a[..OID] < b[..OID]) {
            let mut all: Vec<_> = bytes.chunks_exact(RECORD).map(|record| (oid(record), time(record))).collect();
            all.sort_unstable();
            let mut sorted = Vec::with_capacity(bytes.len());
            Known::default().write_with(&all, &mut sorted).context("read", path)?;
            bytes = sorted;
        }
        Ok(Known { records: Records::Held(bytes), starts: OnceCell::new() })
    }

    /// When it was proved, in seconds since 1970.
    pub fn get(&self, wanted: &Oid) -> Option<u64> {
        match &self.records {
            Records::Held(records) => {
                let starts = self.starts.get_or_init(|| Starts::of(records, RECORD));
                starts.find(records, RECORD, wanted.as_bytes()).map(time)
            }
            // What can't be read is proved again.
            Records::Lying(file, count) => {
                let record = |at: usize| if at < *count { record_at(file, at).ok() } else { None };
                self.starts.get()?.find_by(wanted.as_bytes(), record).map(|record| time(&record))
            }
        }
    }

    /// Show all of them.
    pub fn each(&self, mut see: impl FnMut(Oid, u64)) -> io::Result<()> {
        let mut rest = self.reading()?;
        while let Some(record) = next(&mut rest)? {
            see(oid(&record), time(&record));
        }
        Ok(())
    }

    /// Write all of them, and some more, which are sorted. Of two times of one object the later one stays.
    pub fn write_with(&self, more: &[(Oid, u64)], out: &mut dyn Write) -> io::Result<()> {
        let mut out = io::BufWriter::with_capacity(PIECE, out);
        let mut rest = self.reading()?;
        let (mut old, mut more) = (next(&mut rest)?, more.iter().peekable());
        loop {
            let first = match (old.as_ref().map(|record| oid(record)), more.peek()) {
                (Some(old), Some((new, _))) => old.min(*new),
                (Some(old), None) => old,
                (None, Some((new, _))) => *new,
                (None, None) => break,
            };
            let mut latest = 0;
            // A file in disorder may have it more than once.
            while let Some(record) = old.filter(|record| oid(record) == first) {
                latest = latest.max(time(&record));
                old = next(&mut rest)?;
            }
            while let Some((_, time)) = more.next_if(|(oid, _)| *oid == first) {
                latest = latest.max(*time);
            }
            out.write_all(first.as_bytes())?;
            out.write_all(&latest.to_be_bytes())?;
        }
        out.flush()
    }

    /// Write those of which `gone` does not say that they go.
    pub fn write_without(&self, gone: impl Fn(&Oid) -> bool, out: &mut dyn Write) -> io::Result<()> {
        let mut out = io::BufWriter::with_capacity(PIECE, out);
        let mut rest = self.reading()?;
        while let Some(record) = next(&mut rest)? {
            if !gone(&oid(&record)) {
                out.write_all(&record)?;
            }
        }
        out.flush()
    }

    fn reading(&self) -> io::Result<Box<dyn Read + '_>> {
        Ok(match &self.records {
            Records::Held(records) => Box::new(records.as_slice()),
            Records::Lying(file, count) => {
                let mut file = file;
                file.rewind()?;
                Box::new(BufReader::with_capacity(PIECE, file.take((count * RECORD) as u64)))
            }
        })
    }
}

/// Where the records of a file begin; `None`: they are in disorder, as none that we wrote.
fn starts_in_order(file: &mut File, count: usize) -> io::Result<Option<Starts>> {
    let mut starts = Starts::for_so_many(count);
    let mut rest = BufReader::with_capacity(PIECE, file);
    let mut before: Option<Record> = None;
    for _ in 0..count {
        let Some(record) = next(&mut rest)? else { return Ok(None) };
        if before.is_some_and(|before| before[..OID] >= record[..OID]) {
            return Ok(None);
        }
        starts.see(&record);
        before = Some(record);
    }
    Ok(Some(starts.seen()))
}

fn next(from: &mut impl Read) -> io::Result<Option<Record>> {
    let mut record = [0; RECORD];
    match from.read_exact(&mut record) {
        Ok(()) => Ok(Some(record)),
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(e) => Err(e),
    }
}

fn record_at(file: &File, at: usize) -> io::Result<Record> {
    let mut record = [0; RECORD];
    read_exact_at(file, &mut record, (at * RECORD) as u64)?;
    Ok(record)
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

    fn all(known: &Known) -> Vec<(Oid, u64)> {
        let mut all = Vec::new();
        known.each(|oid, time| all.push((oid, time))).unwrap();
        all
    }

    #[test]
    fn it_knows_what_a_map_would() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("record");
        for held in [HELD, 0] {
            let (mut known, mut map) = (Known::default(), BTreeMap::<Oid, u64>::new());
            for round in 0..20_u64 {
                let mut some: Vec<(Oid, u64)> =
                    (0..50).map(|n| (Oid::of(&[(n * 7 + round * 13) as u8]), (n * 31 + round) % 17)).collect();
                for (oid, time) in &some {
                    let latest = map.entry(*oid).or_default();
                    *latest = (*latest).max(*time);
                }
                some.sort_unstable();
                let mut written = Vec::new();
                known.write_with(&some, &mut written).unwrap();
                std::fs::write(&path, written).unwrap();
                known = Known::read_holding(&path, held).unwrap();
                assert_eq!(matches!(known.records, Records::Held(_)), held > 0, "what is long stays on the disk");
                assert!(all(&known).into_iter().eq(map.clone()), "sorted, each once, the latest");
            }
            for n in 0..=255_u8 {
                assert_eq!(known.get(&Oid::of(&[n])), map.get(&Oid::of(&[n])).copied());
            }
            let gone = |oid: &Oid| oid.as_bytes()[0] < 128;
            map.retain(|oid, _| !gone(oid));
            let mut left = Vec::new();
            known.write_without(gone, &mut left).unwrap();
            std::fs::write(&path, left).unwrap();
            assert!(all(&Known::read_holding(&path, held).unwrap()).into_iter().eq(map), "the others stay");
        }
    }

    #[test]
    fn a_long_file_that_is_torn_or_in_disorder_records_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("record");
        let mut good = Vec::new();
        let (a, b) = (Oid::of(b"a"), Oid::of(b"b"));
        let mut both = [(a, 1), (b, 2)];
        both.sort_unstable();
        Known::default().write_with(&both, &mut good).unwrap();
        let swapped = [&good[RECORD..], &good[..RECORD]].concat();
        for bytes in [&good[..good.len() - 1], &swapped] {
            std::fs::write(&path, bytes).unwrap();
            let known = Known::read_holding(&path, 0).unwrap();
            assert_eq!((known.get(&a), known.get(&b)), (None, None));
        }
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
        assert_eq!(all(&known), [(oids[0], 2), (oids[2], 3)]);
        assert_eq!((known.get(&oids[0]), known.get(&oids[1])), (Some(2), None));
    }
}
