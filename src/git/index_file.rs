//! The bytes of an index file: where the entries stand, and what Git recorded of each file.
//!
//! Apart because it is a format of Git's own, read here for one purpose: to change what was recorded of a file's times,
//! which are fields of fixed length, and nothing else. Source: `gitformat-index.txt`, versions 2 to 4.

use std::fs::Metadata;

use sha1::Sha1;
use sha2::{Digest, Sha256};

/// How a repository names its objects (git-rev-parse(1), `--show-object-format`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ObjectFormat {
    /// 20 bytes.
    Sha1,
    /// 32 bytes.
    Sha256,
}

impl ObjectFormat {
    /// By its name.
    pub fn parse(name: &[u8]) -> Option<Self> {
        match name {
            b"sha1" => Some(ObjectFormat::Sha1),
            b"sha256" => Some(ObjectFormat::Sha256),
            _ => None,
        }
    }

    /// The name of these bytes, one part after the other.
    pub fn hash(self, parts: &[&[u8]]) -> Vec<u8> {
        fn all<D: Digest>(parts: &[&[u8]]) -> Vec<u8> {
            let mut digest = D::new();
            parts.iter().for_each(|part| digest.update(part));
            digest.finalize().as_slice().to_vec()
        }
        match self {
            ObjectFormat::Sha1 => all::<Sha1>(parts),
            ObjectFormat::Sha256 => all::<Sha256>(parts),
        }
    }

    /// As [`ObjectFormat::hash`], of all that can be read.
    pub fn hash_of(self, bytes: &mut impl std::io::Read) -> std::io::Result<Vec<u8>> {
        fn all<D: Digest>(bytes: &mut impl std::io::Read) -> std::io::Result<Vec<u8>> {
            let (mut digest, mut piece) = (D::new(), vec![0; 64 << 10]);
            loop {
                match bytes.read(&mut piece)? {
                    0 => return Ok(digest.finalize().as_slice().to_vec()),
                    len => digest.update(&piece[..len]),
                }
            }
        }
        match self {
            ObjectFormat::Sha1 => all::<Sha1>(bytes),
            ObjectFormat::Sha256 => all::<Sha256>(bytes),
        }
    }

    /// The name of a blob.
    pub fn blob(self, content: &[u8]) -> Vec<u8> {
        self.hash(&[format!("blob {}\0", content.len()).as_bytes(), content])
    }

    /// As [`ObjectFormat::blob`], in hex.
    pub fn blob_hex(self, content: &[u8]) -> String {
        self.blob(content).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn len(self) -> usize {
        match self {
            ObjectFormat::Sha1 => 20,
            ObjectFormat::Sha256 => 32,
        }
    }
}

/// The bytes of what is recorded of a file, at the beginning of its entry.
const STAT: usize = 40;
/// Where in them the seconds of the last change are.
const MTIME: usize = 8;
/// Where in them the length is.
const SIZE: usize = 36;

/// What Git records of a file, as it writes it: ten numbers (statinfo.c, `fill_stat_data`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stat([u8; STAT]);

impl Stat {
    /// Of a file that is not empty. `None`: of a length that versions of Git write in different ways (a multiple of
    /// 4 GiB), or on a system that tells less.
    #[cfg(unix)]
    pub fn of(file: &Metadata) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        // Git takes the lower 32 bits of each.
        let numbers = [
            file.ctime() as u32,
            file.ctime_nsec() as u32,
            file.mtime() as u32,
            file.mtime_nsec() as u32,
            file.dev() as u32,
            file.ino() as u32,
            // The mode is the entry's.
            0,
            file.uid(),
            file.gid(),
            file.len() as u32,
        ];
        let mut bytes = [0; STAT];
        for (field, number) in bytes.chunks_exact_mut(4).zip(numbers) {
            field.copy_from_slice(&number.to_be_bytes());
        }
        (file.is_file() && file.len() as u32 != 0).then_some(Stat(bytes))
    }

    /// Git for Windows fills these fields in its own way.
    #[cfg(not(unix))]
    pub fn of(_: &Metadata) -> Option<Self> {
        None
    }
}

/// Where the mode stands in an entry.
const MODE: std::ops::Range<usize> = 24..28;

/// An entry of an index file.
#[derive(Debug)]
pub struct Entry<'a> {
    /// Where it begins.
    at: usize,
    /// Raw pathname, relative to the top.
    pub path: &'a [u8],
    /// The raw name of its object.
    pub id: &'a [u8],
    /// It is a regular file, merged, and the user told Git nothing particular about it.
    pub is_plain: bool,
    /// It is a submodule.
    is_submodule: bool,
    /// When the file last changed, in seconds.
    mtime: u32,
}

/// The bytes of an index file of a form that is known here.
#[derive(Debug)]
pub struct IndexFile {
    bytes: Vec<u8>,
    format: ObjectFormat,
    /// Its end is the name of all that stands before it (`index.skipHash` leaves zeros there).
    has_checksum: bool,
}

impl IndexFile {
    /// Take the bytes of an index. `None`: they are damaged, or of a form that is not known here, such as one that
    /// is split.
    pub fn parse(bytes: Vec<u8>, format: ObjectFormat) -> Option<Self> {
        let end = bytes.len().checked_sub(format.len())?;
        let has_checksum = bytes[end..].iter().any(|&byte| byte != 0);
        if has_checksum && format.hash(&[&bytes[..end]]) != bytes[end..] {
            return None;
        }
        let file = IndexFile { bytes, format, has_checksum };
        let after = file.each(|_| {})?;
        file.is_known_to_its_end(after).then_some(file)
    }

    /// Go through the entries; where they end. `None`: they are of an unknown form.
    fn each(&self, mut visit: impl FnMut(Entry<'_>)) -> Option<usize> {
        let bytes = &self.bytes[..self.bytes.len() - self.format.len()];
        let version = number(bytes, 4)?;
        if !bytes.starts_with(b"DIRC") || !(2..=4).contains(&version) {
            return None;
        }
        let mut path = Vec::new();
        let mut at = 12;
        for _ in 0..number(bytes, 8)? {
            let id = at + STAT..at + STAT + self.format.len();
            let flags = u16::from_be_bytes(bytes.get(id.end..id.end + 2)?.try_into().ok()?);
            let is_extended = flags & 0x4000 != 0;
            let mut name = id.end + if is_extended { 4 } else { 2 };
            // Skip-worktree and intent-to-add are said there; assume-valid and the stage in the flags.
            let more = if is_extended { bytes.get(id.end + 2..name)? != [0, 0] } else { false };
            if version == 4 {
                let (strip, len) = offset(bytes.get(name..)?)?;
                path.truncate(path.len().checked_sub(strip)?);
                name += len;
            } else {
                path.clear();
            }
            let rest = bytes.get(name..)?;
            let rest = &rest[..rest.iter().position(|&byte| byte == 0)?];
            path.extend_from_slice(rest);
            let mode = number(bytes, at + MODE.start)?;
            visit(Entry {
                at,
                path: &path,
                id: &bytes[id],
                is_plain: mode & 0o170_000 == 0o100_000 && flags & 0xb000 == 0 && !more,
                is_submodule: mode & 0o170_000 == 0o160_000,
                mtime: number(bytes, at + MTIME)?,
            });
            let end = name + rest.len();
            // Before version 4, one to eight NULs make the length of the entry a multiple of eight.
            at = if version == 4 { end + 1 } else { end + 8 - (end - at) % 8 };
        }
        Some(at)
    }

    /// Whether the extensions from here on are such as stay true when times change: Git may pass over those whose
    /// name begins with a capital.
    fn is_known_to_its_end(&self, mut at: usize) -> bool {
        let end = self.bytes.len() - self.format.len();
        while at < end {
            let (Some(name), Some(len)) = (self.bytes.get(at..at + 4), number(&self.bytes, at + 4)) else {
                return false;
            };
            if !name[0].is_ascii_uppercase() && name != b"sdir" {
                return false;
            }
            at += 8 + len as usize;
        }
        at == end
    }

    /// Record what `known` says of entries. What Git would look at once more, since the file may have changed after it
    /// was recorded in the very second of `written` (when this index was written), it shall look at later too: such
    /// an entry loses its length, as when Git writes the index (`racy-git.txt`). How many entries were recorded.
    pub fn record(&mut self, written: u32, mut known: impl FnMut(&Entry<'_>) -> Option<Stat>) -> usize {
        let (mut stats, mut racy) = (Vec::new(), Vec::new());
        let visited = self.each(|entry| match known(&entry).filter(|_| entry.is_plain) {
            Some(stat) => stats.push((entry.at, stat)),
            None if entry.mtime >= written && !entry.is_submodule => racy.push(entry.at),
            None => {}
        });
        debug_assert!(visited.is_some(), "it was gone through before");
        for at in racy {
            self.bytes[at + SIZE..at + STAT].fill(0);
        }
        for (at, stat) in &stats {
            let mode: [u8; 4] = self.bytes[at + MODE.start..at + MODE.end].try_into().expect("four bytes are four");
            self.bytes[*at..at + STAT].copy_from_slice(&stat.0);
            self.bytes[at + MODE.start..at + MODE.end].copy_from_slice(&mode);
        }
        stats.len()
    }

    /// All of it, with the checksum at its end.
    pub fn into_bytes(mut self) -> Vec<u8> {
        let end = self.bytes.len() - self.format.len();
        if self.has_checksum {
            let sum = self.format.hash(&[&self.bytes[..end]]);
            self.bytes[end..].copy_from_slice(&sum);
        }
        self.bytes
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// A number of variable length, and its bytes (`gitformat-pack.txt`, "offset encoding").
fn offset(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0usize;
    for (at, byte) in bytes.iter().enumerate().take(9) {
        value = value << 7 | usize::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some((value, at + 1));
        }
        value += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_named_as_git_names_them() {
        assert_eq!(ObjectFormat::Sha1.blob_hex(b""), "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
        assert_eq!(
            ObjectFormat::Sha256.blob_hex(b""),
            "473a0f4c3be8a93681a267e3b1e9a7dcda1185436fe141f7749120a303721813"
        );
    }

    #[test]
    fn bytes_that_nobody_wrote_are_no_index() {
        let mut sound = b"DIRC\0\0\0\x02\0\0\0\0".to_vec();
        let sum = ObjectFormat::Sha1.hash(&[&sound]);
        sound.extend_from_slice(&sum);
        assert!(IndexFile::parse(sound.clone(), ObjectFormat::Sha1).is_some());
        assert!(IndexFile::parse(sound.clone(), ObjectFormat::Sha256).is_none(), "another format");
        for len in 0..sound.len() {
            assert!(IndexFile::parse(sound[..len].to_vec(), ObjectFormat::Sha1).is_none(), "{len} bytes of it");
        }
        for at in 0..sound.len() {
            let mut damaged = sound.clone();
            damaged[at] ^= 1;
            assert!(IndexFile::parse(damaged, ObjectFormat::Sha1).is_none(), "byte {at} is damaged");
        }
        for wrong in
            [b"DIRC\0\0\0\x05\0\0\0\0".as_slice(), b"DIRC\0\0\0\x02\0\0\0\x01", b"DIRC\0\0\0\x02\0\0\0\0link\0\0\0\0"]
        {
            let bytes = [wrong, &ObjectFormat::Sha1.hash(&[wrong])].concat();
            assert!(IndexFile::parse(bytes, ObjectFormat::Sha1).is_none(), "{wrong:?} is of an unknown form");
        }
    }

    #[test]
    fn offsets_are_read_as_git_writes_them() {
        assert_eq!(offset(&[0x7f, 1]), Some((127, 1)));
        assert_eq!(offset(&[0x80, 0x00]), Some((128, 2)));
        assert_eq!(offset(&[0xff, 0x7f]), Some((16511, 2)));
        assert_eq!(offset(&[0x80]), None, "it is cut short");
    }

    /// An index of these entries (version 2): path, mode, flags, seconds of the last change. Each has the length 7.
    fn index(entries: &[(&str, u32, u16, u32)]) -> IndexFile {
        let mut bytes = b"DIRC\0\0\0\x02".to_vec();
        bytes.extend_from_slice(&(entries.len() as u32).to_be_bytes());
        for (path, mode, flags, mtime) in entries {
            let at = bytes.len();
            let numbers = [1, 1, *mtime, 1, 1, 1, *mode, 1, 1, 7];
            numbers.iter().for_each(|number: &u32| bytes.extend_from_slice(&number.to_be_bytes()));
            bytes.extend_from_slice(&[9; 20]);
            bytes.extend_from_slice(&(flags | path.len() as u16).to_be_bytes());
            bytes.extend_from_slice(path.as_bytes());
            bytes.resize(bytes.len() + 8 - (bytes.len() - at) % 8, 0);
        }
        let sum = ObjectFormat::Sha1.hash(&[&bytes]);
        bytes.extend_from_slice(&sum);
        IndexFile::parse(bytes, ObjectFormat::Sha1).expect("a sound index")
    }

    #[test]
    fn only_what_is_known_is_recorded_and_what_may_have_changed_since_loses_its_length() {
        let (file, link, submodule) = (0o100_755, 0o120_000, 0o160_000);
        let entries = [
            ("known", file, 0, 100),
            ("known and assumed unchanged", file, 0x8000, 50),
            ("known and unmerged", file, 0x2000, 50),
            ("known link", link, 0, 50),
            ("older", file, 0, 99),
            ("of that second", file, 0, 100),
            ("link of that second", link, 0, 100),
            ("submodule of that second", submodule, 0, 100),
        ];
        let mut changed = index(&entries);
        let stat = Stat([5; STAT]);
        assert_eq!(changed.record(100, |entry| entry.path.starts_with(b"known").then_some(stat)), 1);
        let bytes = changed.into_bytes();
        let after = IndexFile::parse(bytes, ObjectFormat::Sha1).expect("its checksum is right");
        let mut lengths = Vec::new();
        after.each(|entry| {
            assert_eq!(number(&after.bytes, entry.at + MODE.start), Some(entries[lengths.len()].1), "modes stay");
            lengths.push(number(&after.bytes, entry.at + SIZE).unwrap());
        });
        assert_eq!(lengths, [0x0505_0505, 7, 7, 7, 7, 0, 0, 7]);
    }
}
