//! Remembered pointers: which blobs of Git hold which pointer, so that a repository with 100,000 files
//! does not read 100,000 blobs for each commit and each `status`.
//!
//! Apart because it is only a memory: what a blob's id names never changes, and what is not in it is
//! asked of Git. It lies in `<git common dir>/s3lfs/pointers`: fixed-width records sorted by blob id,
//! and their SHA-256. One that is torn, damaged or of another form is ignored, and written anew.

use std::fs;
use std::path::PathBuf;

use bstr::BStr;

use crate::fs::replace;
use crate::oid::sorted::Starts;
use crate::oid::{self, Oid};
use crate::pointer::Pointer;

/// Fewer blobs than this are read faster than remembered.
const MANY: usize = 1000;
/// Above this many bytes the memory begins anew, with what is asked for at present.
const FULL: usize = 128 << 20;
/// A blob id (SHA-1 ends in zeros), the oid, the size.
const RECORD: usize = 32 + 32 + 8;
/// SHA-256 of the records.
const CHECK: usize = 32;

/// What was remembered when it was opened.
#[derive(Debug, Default)]
pub struct Remembered {
    /// `None`: there is no place for it.
    path: Option<PathBuf>,
    records: Vec<u8>,
    /// `None`: there are no records.
    starts: Option<Starts>,
}

impl Remembered {
    /// The memory of this repository, if so many blobs are asked for that it is worth while.
    pub fn for_many(blobs: usize) -> Self {
        if blobs < MANY {
            return Remembered::default();
        }
        let Some(path) = place() else { return Remembered::default() };
        Self::open(path)
    }

    fn open(path: PathBuf) -> Self {
        let mut records = fs::read(&path).unwrap_or_default();
        let body = records.len().saturating_sub(CHECK);
        let whole = body.is_multiple_of(RECORD) && records.get(body..) == Some(Oid::of(&records[..body]).as_bytes());
        records.truncate(if whole { body } else { 0 });
        let starts = (!records.is_empty()).then(|| Starts::of(&records, RECORD));
        Remembered { path: Some(path), records, starts }
    }

    /// The pointer that this blob holds, if it is remembered.
    pub fn pointer(&self, id: &BStr) -> Option<Pointer> {
        parse(self.starts.as_ref()?.find(&self.records, RECORD, &key(id)?)?)
    }

    /// Remember these as well, if they are many. What can't be written is asked again next time.
    pub fn add<'a>(self, learned: impl Iterator<Item = (&'a BStr, Pointer)>) {
        let Some(path) = self.path else { return };
        let learned: Vec<[u8; RECORD]> = learned.filter_map(|(id, pointer)| encode(id, &pointer)).collect();
        if learned.len() < MANY {
            return;
        }
        let old = if self.records.len() < FULL { self.records } else { Vec::new() };
        let mut records: Vec<[u8; RECORD]> = old
            .chunks_exact(RECORD)
            .map(|record| record.try_into().expect("a chunk has its length"))
            .chain(learned)
            .collect();
        drop(old);
        records.sort_unstable();
        records.dedup();
        let mut bytes = records.into_flattened();
        bytes.extend_from_slice(Oid::of(&bytes).as_bytes());
        if let Err(e) = replace(&path, &bytes) {
            tracing::debug!("{e}");
        }
    }
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

fn encode(id: &BStr, pointer: &Pointer) -> Option<[u8; RECORD]> {
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
    use bstr::{BString, ByteSlice};

    use super::*;

    fn id(n: u32, digits: usize) -> BString {
        format!("{:0>digits$x}", u64::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15)).into()
    }

    fn known(learned: &[(BString, Pointer)]) -> impl Iterator<Item = (&BStr, Pointer)> {
        learned.iter().map(|(id, pointer)| (id.as_bstr(), *pointer))
    }

    fn pointer(n: u32) -> Pointer {
        Pointer::to(&n.to_be_bytes()).unwrap()
    }

    #[test]
    fn what_is_added_is_remembered_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pointers");
        for digits in [40, 64] {
            let learned: Vec<_> = (0..1500).map(|n| (id(n, digits), pointer(n))).collect();
            Remembered::open(path.clone()).add(known(&learned[..1000]));
            Remembered::open(path.clone()).add(known(&learned[500..]));
            let remembered = Remembered::open(path.clone());
            for (id, pointer) in &learned {
                assert_eq!(remembered.pointer(id.as_bstr()), Some(*pointer), "each of {digits} digits");
            }
            assert_eq!(remembered.pointer(id(1500, digits).as_bstr()), None);
            assert_eq!(remembered.pointer("nonsense".into()), None);
        }
    }

    #[test]
    fn a_damaged_memory_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pointers");
        let learned: Vec<_> = (0..1000).map(|n| (id(n, 40), pointer(n))).collect();
        Remembered::open(path.clone()).add(known(&learned));
        let good = fs::read(&path).unwrap();
        let mut flipped = good.clone();
        flipped[40] ^= 1;
        for damaged in [&flipped, &good[..good.len() - 1], &good[RECORD..], b""] {
            fs::write(&path, damaged).unwrap();
            let remembered = Remembered::open(path.clone());
            assert!(learned.iter().all(|(id, _)| remembered.pointer(id.as_bstr()).is_none()), "Git is asked instead");
        }
    }
}
