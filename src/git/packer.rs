//! Objects of every kind, one after the other, on their way into a pack of Git's.
//!
//! Apart from `pack`, which has all of its blobs at hand: here one object names the next, so that names are given out at
//! once, and Git gets to see the objects in the end, all in a pack or a few. As files of their own they took most of the
//! time of a long history, and a repository of a hundred thousand such files is slow. Source: `gitformat-pack.txt`.

use std::collections::HashSet;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use bstr::ByteSlice;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use tempfile::NamedTempFile;

use super::index_file::ObjectFormat;
use super::objects::ObjectId;
use super::pack::{WORTH_A_PACK, head};
use super::{Git, GitError};
use crate::fs::temp_in;

/// A pack is as long as this, and one object more: until Git has taken it, it is on the disk twice.
const PACK_LEN: u64 = 256 << 20;

/// What kind of object is written; its number in a pack.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A commit.
    Commit = 1,
    /// A directory.
    Tree = 2,
    /// A file's bytes.
    Blob = 3,
    /// An annotated tag.
    Tag = 4,
}

impl Kind {
    /// As Git calls it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Commit => "commit",
            Kind::Tree => "tree",
            Kind::Blob => "blob",
            Kind::Tag => "tag",
        }
    }
}

/// What is packed. Git does not have it before [`Packer::finish`].
#[derive(Debug)]
pub struct Packer {
    format: ObjectFormat,
    dir: PathBuf,
    /// The pack that is being written.
    pack: Option<BufWriter<NamedTempFile>>,
    count: u32,
    len: u64,
    /// What is in this pack or an earlier one: a pack has each object once.
    known: HashSet<Vec<u8>>,
}

impl Packer {
    /// Nothing is packed yet; `dir` is where packs are put together.
    pub fn start(dir: &Path) -> Result<Self, GitError> {
        let format = Git::new(["rev-parse", "--show-object-format"]).output()?;
        let format = ObjectFormat::parse(format.trim())
            .ok_or_else(|| GitError::answer("git rev-parse --show-object-format", format))?;
        Ok(Packer { format, dir: dir.to_owned(), pack: None, count: 0, len: 0, known: HashSet::new() })
    }

    /// Pack an object; its name. Its form is not looked at: old objects have small faults (a timezone of five digits),
    /// and keep them.
    pub fn write(&mut self, kind: Kind, bytes: &[u8]) -> Result<ObjectId, GitError> {
        let name = self.format.hash(&[format!("{} {}\0", kind.name(), bytes.len()).as_bytes(), bytes]);
        let id = name.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into();
        if self.known.insert(name) {
            self.put(kind, bytes).map_err(packed)?;
            if self.len >= PACK_LEN {
                self.hand_over()?;
            }
        }
        Ok(id)
    }

    /// Let Git take what is packed.
    pub fn finish(mut self) -> Result<(), GitError> {
        self.hand_over()
    }

    fn put(&mut self, kind: Kind, bytes: &[u8]) -> io::Result<()> {
        let pack = match &mut self.pack {
            Some(pack) => pack,
            None => {
                std::fs::create_dir_all(&self.dir)?;
                let mut pack = BufWriter::new(temp_in(&self.dir).map_err(io::Error::other)?);
                // How many there are is known in the end.
                pack.write_all(b"PACK\0\0\0\x02\0\0\0\0")?;
                self.pack.insert(pack)
            }
        };
        let mut entry = head(kind as u8, bytes.len());
        let mut encoder = ZlibEncoder::new(&mut entry, Compression::fast());
        encoder.write_all(bytes).and_then(|()| encoder.finish().map(drop))?;
        pack.write_all(&entry)?;
        self.count += 1;
        self.len += entry.len() as u64;
        Ok(())
    }

    fn hand_over(&mut self) -> Result<(), GitError> {
        let Some(pack) = self.pack.take() else { return Ok(()) };
        let count = std::mem::take(&mut self.count);
        self.len = 0;
        let pack = self.complete(pack, count).map_err(packed)?;
        let git = if (count as usize) < WORTH_A_PACK {
            Git::new(["unpack-objects", "-q"])
        } else {
            Git::new(["index-pack", "--stdin", "--threads=1"])
        };
        let mut running = git.start(Stdio::from(pack.reopen().map_err(packed)?))?;
        // It names the pack.
        let said = io::copy(&mut running.stdout(), &mut io::sink());
        running.finish()?;
        said.map(drop).map_err(packed)
    }

    /// The count, and the hash of all at the end.
    fn complete(&self, pack: BufWriter<NamedTempFile>, count: u32) -> io::Result<NamedTempFile> {
        let mut pack = pack.into_inner().map_err(io::IntoInnerError::into_error)?;
        pack.seek(SeekFrom::Start(8))?;
        pack.write_all(&count.to_be_bytes())?;
        pack.rewind()?;
        let sum = self.format.hash_of(pack.as_file_mut())?;
        pack.seek(SeekFrom::End(0))?;
        pack.write_all(&sum)?;
        Ok(pack)
    }
}

fn packed(source: io::Error) -> GitError {
    GitError::Local { action: "write a pack of Git's objects", source }
}
