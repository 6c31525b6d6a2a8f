//! Pointers that were read from Git's blobs before, by the blobs' ids.
//!
//! Apart because it only saves time: a blob never changes, so what was read once need not be read for
//! each commit (100,000 pointers take Git seconds). Losing the file costs that time once; one that is
//! torn or damaged is ignored.

use std::path::{Path, PathBuf};

use bstr::BStr;

use crate::fs::{PathContext, PathError, read_optional, replace};
use crate::oid::Oid;
use crate::pointer::Pointer;

/// So many blobs are read without a thought; only more of them are worth a file.
const MANY: usize = 1000;
/// Bytes of an oid and of a size in a record, after the blob's id.
const VALUE: usize = 32 + 8;
/// Bytes of the hash at the end.
const HASH: usize = 32;

/// What is known in one worktree.
#[derive(Debug)]
pub struct KnownBlobs {
    path: PathBuf,
    /// Bytes of a blob's id: 20 (SHA-1) or 32 (SHA-256). 0: nothing is known.
    id_len: usize,
    /// Sorted by id: the id, the oid, the size as a big-endian u64.
    records: Vec<u8>,
}

impl KnownBlobs {
    /// What is known beneath a worktree's Git directory.
    pub fn open(git_dir: &Path) -> Self {
        let path = git_dir.join("s3lfs").join("blobs");
        let bytes = read_optional(&path).ok().flatten().unwrap_or_default();
        let (id_len, records) = checked(&bytes).unwrap_or_default();
        KnownBlobs { path, id_len, records: records.to_owned() }
    }

    /// The pointer in the blob of this id (hex), if it was read before.
    pub fn pointer(&self, id: &BStr) -> Option<Pointer> {
        let id = unhex(id)?;
        if id.len() != self.id_len {
            return None;
        }
        let record = self.id_len + VALUE;
        let at = |n: usize| &self.records[n * record..(n + 1) * record];
        let (mut low, mut high) = (0, self.records.len() / record);
        while low < high {
            let middle = low.midpoint(high);
            let (known, value) = at(middle).split_at(self.id_len);
            match known.cmp(&id) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => {
                    let (oid, size) = value.split_at(32);
                    let oid = Oid::from_bytes(oid.try_into().expect("32 bytes of a record"));
                    return Some(Pointer { oid, size: u64::from_be_bytes(size.try_into().expect("8 bytes")) });
                }
            }
        }
        None
    }

    /// Remember `pointers` (each with its blob's id), and nothing else, if many of them are new.
    pub fn remember<'a>(&self, pointers: impl Iterator<Item = (&'a BStr, Pointer)> + Clone) -> Result<(), PathError> {
        if pointers.clone().filter(|(id, _)| self.pointer(id).is_none()).count() < MANY {
            return Ok(());
        }
        let mut records: Vec<Vec<u8>> = Vec::new();
        for (id, pointer) in pointers {
            let Some(mut record) = unhex(id) else { continue };
            record.extend_from_slice(pointer.oid.as_bytes());
            record.extend_from_slice(&pointer.size.to_be_bytes());
            records.push(record);
        }
        records.sort_unstable();
        records.dedup();
        let Some(first) = records.first() else { return Ok(()) };
        let mut bytes = vec![u8::try_from(first.len() - VALUE).expect("unhex takes 20 or 32 bytes")];
        bytes.extend(records.concat());
        bytes.extend_from_slice(Oid::of(&bytes).as_bytes());
        if let Some(dir) = self.path.parent() {
            std::fs::create_dir_all(dir).context("create directory", dir)?;
        }
        replace(&self.path, &bytes)
    }
}

/// The length of ids, and the records, of a file that is whole.
fn checked(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (text, hash) = bytes.split_at_checked(bytes.len().checked_sub(HASH)?)?;
    let (&id_len, records) = text.split_first()?;
    let id_len = usize::from(id_len);
    let whole = matches!(id_len, 20 | 32) && records.len().is_multiple_of(id_len + VALUE);
    (whole && Oid::of(text).as_bytes() == hash).then_some((id_len, records))
}

/// A blob's id in bytes.
fn unhex(id: &BStr) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let bytes: Option<Vec<u8>> = id.chunks(2).map(|pair| Some(digit(pair[0])? << 4 | digit(*pair.get(1)?)?)).collect();
    bytes.filter(|bytes| matches!(bytes.len(), 20 | 32))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn many(digits: usize) -> Vec<(String, Pointer)> {
        let pointer = |n: usize| Pointer { oid: Oid::of(&n.to_be_bytes()), size: n as u64 + 1 };
        (0..MANY).map(|n| (format!("{:0digits$x}", n * 7919), pointer(n))).collect()
    }

    fn remember(known: &KnownBlobs, pointers: &[(String, Pointer)]) {
        known.remember(pointers.iter().map(|(id, pointer)| (id.as_str().into(), *pointer))).unwrap();
    }

    #[test]
    fn what_is_remembered_is_known_later_and_nothing_else() {
        for digits in [40, 64] {
            let dir = tempfile::tempdir().unwrap();
            let pointers = many(digits);
            remember(&KnownBlobs::open(dir.path()), &pointers);
            let known = KnownBlobs::open(dir.path());
            for (id, pointer) in &pointers {
                assert_eq!(known.pointer(id.as_str().into()), Some(*pointer));
            }
            assert_eq!(known.pointer(format!("{:0digits$x}", 1).as_str().into()), None);
            assert_eq!(known.pointer("".into()), None);
            assert_eq!(known.pointer("zz".into()), None);
        }
    }

    #[test]
    fn a_few_are_not_worth_a_file() {
        let dir = tempfile::tempdir().unwrap();
        remember(&KnownBlobs::open(dir.path()), &many(40)[1..]);
        assert!(!dir.path().join("s3lfs/blobs").exists());
    }

    #[test]
    fn a_damaged_file_is_ignored() {
        let dir = tempfile::tempdir().unwrap();
        let pointers = many(40);
        remember(&KnownBlobs::open(dir.path()), &pointers);
        let path = dir.path().join("s3lfs/blobs");
        let whole = std::fs::read(&path).unwrap();
        let mut flipped = whole.clone();
        flipped[1000] ^= 1;
        for damaged in [&whole[..whole.len() - 1], &whole[..HASH], &[], &flipped] {
            std::fs::write(&path, damaged).unwrap();
            let known = KnownBlobs::open(dir.path());
            assert!(pointers.iter().all(|(id, _)| known.pointer(id.as_str().into()).is_none()));
        }
    }
}
