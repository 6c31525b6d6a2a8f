//! Remembered pointers: which blobs of Git hold which pointer, so that a repository with 100,000 files
//! does not read 100,000 blobs for each commit and each `status`.
//!
//! Apart because it is only a memory: what a blob's id names never changes, and what is not in it is
//! asked of Git. It lies in `<git common dir>/s3lfs/pointers`: fixed-width records sorted by blob id,
//! and their SHA-256. One that is torn, damaged or of another form is ignored, and written anew.

use std::cmp::Ordering;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, Write};
use std::path::{Path, PathBuf};

use bstr::BStr;

use crate::fs::{read_exact_at, replace_by};
use crate::oid::sorted::Starts;
use crate::oid::{self, Oid, OidHasher};
use crate::pointer::Pointer;

/// Fewer blobs than this are read faster than remembered.
const MANY: usize = 1000;
/// Above this many bytes the memory begins anew, with what is asked for at present.
const FULL: usize = 128 << 20;
/// Above this many bytes it stays on the disk, and each answer is read there.
const HELD: usize = 16 << 20;
/// So many are learned before they are written.
const LEARNED: usize = 100_000;
/// A blob id (SHA-1 ends in zeros), the oid, the size.
const RECORD: usize = 32 + 32 + 8;
/// SHA-256 of the records.
const CHECK: usize = 32;

type Record = [u8; RECORD];

/// What was remembered when it was opened, and what was learned since.
#[derive(Debug, Default)]
pub struct Remembered {
    /// `None`: there is no place for it.
    path: Option<PathBuf>,
    records: Records,
    /// `None`: there are no records.
    starts: Option<Starts>,
    learned: Vec<Record>,
    held: usize,
}

/// Where the records are.
#[derive(Debug)]
enum Records {
    Held(Vec<u8>),
    Lying(File, usize),
}

impl Default for Records {
    fn default() -> Self {
        Records::Held(Vec::new())
    }
}

impl Remembered {
    /// The memory of this repository, if so many blobs are asked for that it is worth while.
    pub fn for_many(blobs: usize) -> Self {
        if blobs < MANY {
            return Remembered::default();
        }
        let Some(path) = place() else { return Remembered::default() };
        Self::open(path, HELD)
    }

    fn open(path: PathBuf, held: usize) -> Self {
        let (records, starts) = load(&path, held).ok().flatten().unwrap_or_default();
        Remembered { path: Some(path), records, starts, learned: Vec::new(), held }
    }

    /// The pointer that this blob holds, if it is remembered.
    pub fn pointer(&self, id: &BStr) -> Option<Pointer> {
        let (starts, key) = (self.starts.as_ref()?, key(id)?);
        match &self.records {
            Records::Held(records) => parse(starts.find(records, RECORD, &key)?),
            Records::Lying(file, count) => {
                let record = |at: usize| (at < *count).then(|| record_at(file, at).ok()).flatten();
                parse(&starts.find_by(&key, record)?)
            }
        }
    }

    /// Remember this as well.
    pub fn learn(&mut self, id: &BStr, pointer: &Pointer) {
        if self.path.is_none() {
            return;
        }
        self.learned.extend(encode(id, pointer));
        if self.learned.len() == LEARNED {
            self.write();
        }
    }

    /// Write what was learned, if it is much. What can't be written is asked again next time.
    pub fn keep(mut self) {
        if self.learned.len() >= MANY {
            self.write();
        }
    }

    fn write(&mut self) {
        let Some(path) = &self.path else { return };
        self.learned.sort_unstable();
        self.learned.dedup();
        let learned = &self.learned;
        let mut known = Some(std::mem::take(&mut self.records));
        // What lies is let go when it is written, since Windows replaces no open file; it is read again where the first
        // new file can't be renamed.
        let again = || load(path, self.held).ok().flatten().map(|(records, _)| records).unwrap_or_default();
        let written = replace_by(path, &mut |out| match known.take().unwrap_or_else(again) {
            Records::Held(bytes) => merge(out, bytes.as_slice(), learned),
            Records::Lying(_, count) if count * RECORD >= FULL => merge(out, io::empty(), learned),
            Records::Lying(mut file, count) => {
                file.rewind()?;
                merge(out, BufReader::with_capacity(1 << 16, file.take((count * RECORD) as u64)), learned)
            }
        });
        if let Err(e) = written {
            tracing::debug!("{e}");
        }
        *self = Remembered::open(path.clone(), self.held);
    }
}

/// The records of this file, if it is whole, and where each begins.
fn load(path: &Path, held: usize) -> io::Result<Option<(Records, Option<Starts>)>> {
    let mut file = File::open(path)?;
    let len = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    let count = len.saturating_sub(CHECK) / RECORD;
    if count == 0 || len != count * RECORD + CHECK {
        return Ok(None);
    }
    if len <= held {
        let mut records = Vec::with_capacity(len + 1);
        file.read_to_end(&mut records)?;
        let whole = records.len() == len && records[len - CHECK..] == *Oid::of(&records[..len - CHECK]).as_bytes();
        records.truncate(len - CHECK);
        let starts = whole.then(|| Starts::of(&records, RECORD));
        return Ok(starts.map(|starts| (Records::Held(records), Some(starts))));
    }
    let (mut hasher, mut starts) = (OidHasher::new(), Starts::for_so_many(count));
    let mut piece = vec![0; RECORD * 1000];
    let mut left = count * RECORD;
    while left > 0 {
        let piece = &mut piece[..left.min(RECORD * 1000)];
        file.read_exact(piece)?;
        hasher.update(piece);
        piece.chunks_exact(RECORD).for_each(|record| starts.see(record));
        left -= piece.len();
    }
    let mut check = [0; CHECK];
    file.read_exact(&mut check)?;
    let whole = hasher.finish().0.as_bytes() == &check;
    Ok(whole.then(|| (Records::Lying(file, count), Some(starts.seen()))))
}

fn record_at(file: &File, at: usize) -> io::Result<Record> {
    let mut record = [0; RECORD];
    read_exact_at(file, &mut record, (at * RECORD) as u64)?;
    Ok(record)
}

/// Write the old records and the learned ones, in one order and each once, and what proves them whole.
fn merge(out: &mut dyn Write, mut old: impl Read, learned: &[Record]) -> io::Result<()> {
    let mut hasher = OidHasher::new();
    let mut out = io::BufWriter::with_capacity(1 << 16, out);
    let mut put = |record: &Record| {
        hasher.update(record);
        out.write_all(record)
    };
    let mut next = || {
        let mut record = [0; RECORD];
        match old.read_exact(&mut record) {
            Ok(()) => Ok(Some(record)),
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(e) => Err(e),
        }
    };
    let (mut learned, mut before) = (learned.iter().peekable(), next()?);
    loop {
        let order = match (&before, learned.peek()) {
            (None, None) => break,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(before), Some(learned)) => before.cmp(learned),
        };
        if order != Ordering::Greater {
            before.iter().try_for_each(&mut put)?;
            before = next()?;
        }
        if order != Ordering::Less {
            let record = learned.next();
            if order == Ordering::Greater {
                record.into_iter().try_for_each(&mut put)?;
            }
        }
    }
    out.write_all(hasher.finish().0.as_bytes())?;
    out.flush()
}

/// Only where s3lfs keeps something already.
fn place() -> Option<PathBuf> {
    let dir = super::common_dir().ok()?.join("s3lfs");
    dir.is_dir().then(|| dir.join("pointers"))
}

fn key(id: &BStr) -> Option<[u8; 32]> {
    let mut key = [0; 32];
    let bytes = matches!(id.len(), 40 | 64).then_some(id.len() / 2)?;
    oid::from_hex(id, &mut key[..bytes]).then_some(key)
}

fn encode(id: &BStr, pointer: &Pointer) -> Option<Record> {
    let mut record = [0; RECORD];
    record[..32].copy_from_slice(&key(id)?);
    record[32..64].copy_from_slice(pointer.oid.as_bytes());
    record[64..].copy_from_slice(&pointer.size.to_be_bytes());
    Some(record)
}

fn parse(record: &[u8]) -> Option<Pointer> {
    let oid = Oid::from_bytes(record[32..64].try_into().ok()?);
    Some(Pointer { oid, size: u64::from_be_bytes(record[64..].try_into().ok()?) })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use bstr::{BString, ByteSlice};

    use super::*;

    fn id(n: u32, digits: usize) -> BString {
        format!("{:0>digits$x}", u64::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15)).into()
    }

    fn learn(path: &Path, held: usize, learned: &[(BString, Pointer)]) {
        let mut remembered = Remembered::open(path.to_owned(), held);
        learned.iter().for_each(|(id, pointer)| remembered.learn(id.as_bstr(), pointer));
        remembered.keep();
    }

    fn pointer(n: u32) -> Pointer {
        Pointer::to(&n.to_be_bytes()).unwrap()
    }

    #[test]
    fn what_is_added_is_remembered_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pointers");
        for (digits, held) in [(40, HELD), (64, HELD), (40, 0), (64, 0)] {
            let learned: Vec<_> = (1..=1500).map(|n| (id(n, digits), pointer(n))).collect();
            learn(&path, held, &learned[..1000]);
            learn(&path, held, &learned[500..]);
            let remembered = Remembered::open(path.clone(), held);
            assert_eq!(matches!(remembered.records, Records::Held(_)), held > 0, "what is large stays on the disk");
            for (id, pointer) in &learned {
                assert_eq!(remembered.pointer(id.as_bstr()), Some(*pointer), "each of {digits} digits");
            }
            assert_eq!(remembered.pointer(id(1501, digits).as_bstr()), None);
            assert_eq!(remembered.pointer("nonsense".into()), None);
        }
        // SHA-1 and SHA-256, each once.
        assert_eq!(fs::read(&path).unwrap().len(), 3000 * RECORD + CHECK);
    }

    #[test]
    fn it_is_written_before_all_is_learned() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pointers");
        let mut remembered = Remembered::open(path.clone(), HELD);
        let text = |n: usize| BString::from(format!("{n:040x}"));
        (0..=LEARNED).for_each(|n| remembered.learn(text(n).as_bstr(), &pointer(7)));
        assert!(path.exists() && remembered.learned.len() == 1, "so that little of it is in memory");
        assert_eq!(remembered.pointer(text(LEARNED - 1).as_bstr()), Some(pointer(7)), "and it knows what was written");
    }

    #[test]
    fn a_damaged_memory_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pointers");
        let learned: Vec<_> = (0..1000).map(|n| (id(n, 40), pointer(n))).collect();
        learn(&path, HELD, &learned);
        let good = fs::read(&path).unwrap();
        let mut flipped = good.clone();
        flipped[40] ^= 1;
        for damaged in [&flipped, &good[..good.len() - 1], &good[RECORD..], b""] {
            for held in [HELD, 0] {
                fs::write(&path, damaged).unwrap();
                let remembered = Remembered::open(path.clone(), held);
                assert!(
                    learned.iter().all(|(id, _)| remembered.pointer(id.as_bstr()).is_none()),
                    "Git is asked instead"
                );
            }
        }
    }
}
