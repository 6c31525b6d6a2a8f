//! Many small blobs into Git's object store at once.
//!
//! Apart because Git itself writes each blob that it adds to a file of its own, which takes most of the time of a `git add`
//! of many pointers; a pack holds all of them. Source: `gitformat-pack.txt`.

use std::collections::BTreeMap;
use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;

use super::index_file::ObjectFormat;
use super::{Git, GitError};

/// Fewer objects than this become files of their own, as after a fetch (git-config(1), `fetch.unpackLimit`): a
/// repository of very many packs is slow.
pub(super) const WORTH_A_PACK: usize = 100;

/// The type of a blob in a pack.
const BLOB: u8 = 3;

/// Write these blobs. Git names, checks and keeps them.
pub fn store<'a>(blobs: impl IntoIterator<Item = &'a [u8]>, format: ObjectFormat) -> Result<(), GitError> {
    let blobs: BTreeMap<Vec<u8>, &[u8]> = blobs.into_iter().map(|blob| (format.blob(blob), blob)).collect();
    if blobs.is_empty() {
        return Ok(());
    }
    let packed = |source| GitError::Local { action: "pack the pointers", source };
    let mut pack = b"PACK\0\0\0\x02".to_vec();
    pack.extend_from_slice(&u32::try_from(blobs.len()).map_err(std::io::Error::other).map_err(packed)?.to_be_bytes());
    for blob in blobs.values() {
        pack.extend_from_slice(&head(BLOB, blob.len()));
        // Hashes do not shrink; what little could be had, a later repack has.
        let mut encoder = ZlibEncoder::new(&mut pack, Compression::none());
        encoder.write_all(blob).and_then(|()| encoder.finish().map(drop)).map_err(packed)?;
    }
    let sum = format.hash(&[&pack]);
    pack.extend_from_slice(&sum);
    let git = if blobs.len() < WORTH_A_PACK {
        Git::new(["unpack-objects", "-q"])
    } else {
        Git::new(["index-pack", "--stdin", "--threads=1"])
    };
    git.input(pack).output().map(drop)
}

/// Type and length of an object: four bits of the length, then seven in each byte.
pub(super) fn head(kind: u8, len: usize) -> Vec<u8> {
    let mut bytes = vec![kind << 4 | (len & 15) as u8];
    let mut rest = len >> 4;
    while rest > 0 {
        *bytes.last_mut().expect("there is the first") |= 0x80;
        bytes.push((rest & 0x7f) as u8);
        rest >>= 7;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_written_as_git_reads_them() {
        assert_eq!(head(BLOB, 0), [0x30]);
        assert_eq!(head(BLOB, 15), [0x3f]);
        assert_eq!(head(BLOB, 16), [0xb0, 1]);
        assert_eq!(head(BLOB, 130), [0xb2, 8]);
        assert_eq!(head(BLOB, 2048), [0xb0, 0x80, 1]);
    }
}
