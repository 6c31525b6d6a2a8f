//! Blocks of a large object whose download was broken off, in `downloads/` of the local state, so that
//! another process can go on with it.
//!
//! Apart because it must be right after a kill and a power loss at any moment: of which version the
//! bytes are, and which of them are here, stands in a log beside them, and after a reboot only those are
//! believed that were fsynced and noted. Whatever is believed is hashed with the rest in the end.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use crate::fs::{PathContext, PathError, make_dirs, share};
use crate::oid::Oid;

/// Shorter objects begin anew.
pub(super) const WORTH_KEEPING: u64 = 16 << 20;
/// After so many bytes the disk is asked to have them.
const SYNCED: u64 = 64 << 20;
/// The shortest block in bytes.
const BLOCK: u64 = 1 << 20;
/// Blocks of an object, about, at the most: each is a line of the log.
const BLOCKS: u64 = 1 << 16;
/// Bytes of a log that are read: more than any has.
const LONGEST_LOG: u64 = 16 << 20;
/// Of the log: another one starts anew.
const FORMAT: u64 = 2;

/// Of what the bytes are a part. Any difference starts anew.
#[derive(Clone, Serialize, Deserialize, PartialEq, Eq, Debug)]
pub(super) struct Version {
    format: u64,
    /// The store's URL.
    store: String,
    key: String,
    /// Which version of the object.
    pub etag: String,
    /// Its length in bytes.
    pub len: u64,
    /// While the machine runs, what was written is there; after a reboot perhaps not.
    boot: String,
}

/// What follows in the log.
#[derive(Serialize, Deserialize, Debug)]
#[serde(rename_all = "lowercase")]
enum Line {
    /// This block was written.
    Block(u64),
    /// The blocks of so many lines above are on the disk.
    Synced(usize),
}

/// A part of one object.
#[derive(Debug)]
pub(super) struct Partial {
    /// Locked, so that two processes do not write one file.
    log: File,
    path: PathBuf,
    bytes: Arc<File>,
    version: Option<Version>,
    /// Of each block whether it is here.
    blocks: Vec<bool>,
    /// Lines about blocks in the log.
    noted: usize,
    /// Bytes that were noted since the disk was asked to have them.
    unsynced: u64,
}

impl Partial {
    /// Whether anything may be there.
    pub fn may_be_left(state_dir: &Path, oid: &Oid, store: &str) -> bool {
        place(state_dir, oid, store).exists()
    }

    /// The place for the object at `key`, with what an earlier process left there. `None`: another
    /// process downloads it right now.
    pub fn open(state_dir: &Path, oid: &Oid, store: &str, key: &str) -> Result<Option<Self>, PathError> {
        let path = place(state_dir, oid, store);
        let dir = path.parent().unwrap_or(state_dir);
        make_dirs(dir)?;
        let open = |path: &Path| OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path);
        let log = open(&path).context("open", &path)?;
        if log.try_lock().is_err() || !is_still_at(&log, &path) {
            return Ok(None);
        }
        let part = part(&path);
        let bytes = Arc::new(open(&part).context("open", &part)?);
        share(&path)?;
        share(&part)?;
        let (blocks, noted, unsynced) = (Vec::new(), 0, 0);
        let mut partial = Partial { log, path, bytes, version: None, blocks, noted, unsynced };
        partial.read(store, key)?;
        Ok(Some(partial))
    }

    /// Of which version something is here.
    pub fn left(&self) -> Option<&Version> {
        self.version.as_ref()
    }

    /// Begin with this version.
    pub fn begin(&mut self, store: &str, key: &str, etag: &str, len: u64) -> Result<(), PathError> {
        let (store, key, etag) = (store.to_owned(), key.to_owned(), etag.to_owned());
        let version = Version { format: FORMAT, store, key, etag, len, boot: boot() };
        self.bytes.set_len(0).context("write", &part(&self.path))?;
        self.restart(version, &[])
    }

    /// A log of these blocks, which are on the disk.
    fn restart(&mut self, version: Version, on_disk: &[u64]) -> Result<(), PathError> {
        self.log.set_len(0).context("write", &self.path)?;
        self.note(&version)?;
        self.blocks = vec![false; version.len.div_ceil(block_len(version.len)) as usize];
        (self.version, self.noted, self.unsynced) = (Some(version), 0, 0);
        for block in on_disk {
            self.has(*block as usize)?;
        }
        self.has_on_disk(on_disk.len())
    }

    /// Bytes of each block but the last.
    pub fn block_len(&self) -> u64 {
        block_len(self.version.as_ref().map_or(0, |version| version.len))
    }

    /// The next blocks from `block` on that are not here, at most `most` of them.
    pub fn missing(&self, block: usize, most: usize) -> Option<Range<usize>> {
        let start = block + self.blocks.get(block..)?.iter().position(|here| !here)?;
        let len = self.blocks[start..].iter().take(most.max(1)).take_while(|here| !**here).count();
        Some(start..start + len)
    }

    /// Bytes of all that is not here; the last block counts as a whole one, as far as the object goes.
    pub fn missing_bytes(&self) -> u64 {
        let len = self.version.as_ref().map_or(0, |version| version.len);
        let missing = self.blocks.iter().filter(|here| !**here).count() as u64;
        (missing * self.block_len()).min(len)
    }

    /// Whether a block is here.
    pub fn is_here(&self, block: usize) -> bool {
        self.blocks.get(block) == Some(&true)
    }

    /// Where the blocks are written and read, each at its place.
    pub fn bytes(&self) -> Arc<File> {
        Arc::clone(&self.bytes)
    }

    /// The name of that file, for errors.
    pub fn bytes_path(&self) -> PathBuf {
        part(&self.path)
    }

    /// A block was written. If so many were that the disk should be asked to have them: the word for
    /// [`Partial::has_on_disk`] when it does.
    pub fn has(&mut self, block: usize) -> Result<Option<usize>, PathError> {
        self.append(&Line::Block(block as u64))?;
        self.blocks[block] = true;
        self.noted += 1;
        self.unsynced += self.block_len();
        let due = self.unsynced >= SYNCED;
        if due {
            self.unsynced = 0;
        }
        Ok(due.then_some(self.noted))
    }

    /// The blocks that were noted first, so many of them, are on the disk.
    pub fn has_on_disk(&mut self, noted: usize) -> Result<(), PathError> {
        self.note(&Line::Synced(noted))
    }

    /// All bytes are there, and they are the content itself: they take the place of a temporary file,
    /// where no other process looks for them.
    pub fn move_to(self, place: NamedTempFile) -> Result<NamedTempFile, PathError> {
        let bytes = self.bytes.try_clone().context("open", &part(&self.path))?;
        let (_, path) = place.into_parts();
        fs::rename(part(&self.path), &path).context("move the downloaded bytes to", &path)?;
        fs::remove_file(&self.path).context("remove", &self.path)?;
        Ok(NamedTempFile::from_parts(bytes, path))
    }

    /// It is of no use any more.
    pub fn discard(self) {
        for path in [part(&self.path), self.path] {
            if let Err(e) = fs::remove_file(&path) {
                tracing::info!("{} stays: {e}", path.display());
            }
        }
    }

    fn append(&self, line: &impl Serialize) -> Result<(), PathError> {
        let mut bytes = serde_json::to_vec(line).expect("texts and numbers always serialize");
        bytes.push(b'\n');
        let mut log = &self.log;
        log.seek(SeekFrom::End(0)).and_then(|_| log.write_all(&bytes)).context("write", &self.path)
    }

    fn note(&self, line: &impl Serialize) -> Result<(), PathError> {
        self.append(line)?;
        self.log.sync_data().context("write", &self.path)
    }

    fn read(&mut self, store: &str, key: &str) -> Result<(), PathError> {
        // By the handle that has the lock: on Windows no other one may read.
        let mut log = Vec::new();
        (&self.log).take(LONGEST_LOG).read_to_end(&mut log).context("read", &self.path)?;
        let mut lines = log.split_inclusive(|&b| b == b'\n').filter(|line| line.ends_with(b"\n"));
        let Some(mut version) = lines.next().and_then(|line| serde_json::from_slice::<Version>(line).ok()) else {
            return Ok(());
        };
        if (version.format, version.store.as_str(), version.key.as_str()) != (FORMAT, store, key) {
            return Ok(());
        }
        let (mut noted, mut on_disk) = (Vec::new(), 0);
        for line in lines.map_while(|line| serde_json::from_slice::<Line>(line).ok()) {
            match line {
                Line::Block(block) => noted.push(block),
                Line::Synced(lines) => on_disk = lines.min(noted.len()),
            }
        }
        if version.boot.is_empty() || version.boot != boot() {
            noted.truncate(on_disk);
        }
        // A file that somebody shortened has lost its last blocks, whatever the log says.
        let path = part(&self.path);
        let there = self.bytes.metadata().context("look at", &path)?.len();
        let block = block_len(version.len);
        noted.retain(|n| {
            n.checked_add(1).and_then(|n| n.checked_mul(block)).is_some_and(|end| end.min(version.len) <= there)
        });
        noted.retain(|n| n * block < version.len);
        noted.sort_unstable();
        noted.dedup();
        if noted.is_empty() {
            return Ok(());
        }
        // From now on this machine's present life counts, and what is here is on the disk.
        self.bytes.sync_data().context("write", &path)?;
        version.boot = boot();
        self.restart(version, &noted)
    }
}

fn block_len(len: u64) -> u64 {
    BLOCK.max(len.div_ceil(BLOCKS).next_multiple_of(BLOCK))
}

fn place(state_dir: &Path, oid: &Oid, store: &str) -> PathBuf {
    state_dir.join("downloads").join(format!("{oid}-{}", Oid::of(store.as_bytes()).short()))
}

/// The bytes lie beside the log.
fn part(log: &Path) -> PathBuf {
    log.with_extension("part")
}

/// What changes when the machine starts (random(4)); empty where that can't be told.
fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|id| id.trim().to_owned()).unwrap_or_default()
}

/// Whoever held the lock before may have removed the file.
#[cfg(unix)]
fn is_still_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let id = |metadata: std::io::Result<fs::Metadata>| metadata.map(|m| (m.dev(), m.ino())).ok();
    id(file.metadata()).is_some_and(|own| Some(own) == id(fs::metadata(path)))
}

#[cfg(not(unix))]
fn is_still_at(_: &File, path: &Path) -> bool {
    path.exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::fs::write_all_at;

    const LEN: u64 = 10 * BLOCK + 7;

    fn open(dir: &Path) -> Option<Partial> {
        Partial::open(dir, &Oid::of(b"x"), "s3://b/p", "p/assets/x").unwrap()
    }

    /// The blocks that are here.
    fn left(dir: &Path) -> Option<Vec<usize>> {
        let partial = open(dir).unwrap();
        let version = partial.left()?;
        assert_eq!((version.etag.as_str(), version.len), ("tag", LEN));
        Some((0..partial.blocks.len()).filter(|block| partial.is_here(*block)).collect())
    }

    fn begun(dir: &Path) -> Partial {
        let mut partial = open(dir).unwrap();
        partial.begin("s3://b/p", "p/assets/x", "tag", LEN).unwrap();
        for block in [3, 0, 10] {
            let bytes = vec![b'x'; (LEN - block * BLOCK).min(BLOCK) as usize];
            write_all_at(&partial.bytes, &bytes, block * BLOCK).unwrap();
            assert_eq!(partial.has(block as usize).unwrap(), None, "too little to ask the disk");
        }
        partial
    }

    #[test]
    fn another_process_goes_on_where_this_one_stopped() {
        let dir = tempfile::tempdir().unwrap();
        let partial = begun(dir.path());
        assert!(open(dir.path()).is_none(), "one process at a time");
        drop(partial);
        assert_eq!(left(dir.path()), Some(vec![0, 3, 10]));
        assert_eq!(left(dir.path()), Some(vec![0, 3, 10]), "and again");
        let mut partial = open(dir.path()).unwrap();
        assert_eq!(partial.missing(0, 100), Some(1..3));
        assert_eq!(partial.missing(1, 1), Some(1..2));
        assert_eq!(partial.missing(3, 100), Some(4..10));
        assert_eq!(partial.missing(10, 100), None);
        partial.has(4).unwrap();
        assert_eq!(partial.missing(3, 100), Some(5..10));
        partial.discard();
        assert_eq!(fs::read_dir(dir.path().join("downloads")).unwrap().count(), 0);
        assert_eq!(left(dir.path()), None);
    }

    #[test]
    fn after_a_reboot_only_what_was_synced_is_believed() {
        let all = Some(vec![0, 3, 10]);
        for (synced, believed) in [
            ("", None),
            ("{\"synced\":2}\n", Some(vec![0, 3])),
            ("{\"synced\":2}\n{\"sync", Some(vec![0, 3])),
            ("{\"synced\":3}\n", all.clone()),
            ("{\"synced\":300}\n", all),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let path = begun(dir.path()).path;
            let log = fs::read_to_string(&path).unwrap();
            fs::write(&path, format!("{}{synced}", log.replace(&boot(), "an earlier life"))).unwrap();
            assert_eq!(left(dir.path()), believed, "{synced:?}");
            assert_eq!(left(dir.path()), believed, "{synced:?}: and again");
        }
    }

    #[test]
    fn any_difference_starts_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = begun(dir.path()).path;
        let log = fs::read_to_string(&path).unwrap();
        for (from, to) in
            [("s3://b/p", "s3://b/q"), ("assets/x", "assets/y"), ("\"format\":2", "\"format\":1"), ("\n", "")]
        {
            fs::write(&path, log.replace(from, to)).unwrap();
            assert_eq!(left(dir.path()), None, "{to}");
        }
        let all: String = (0..11).map(|block| format!("{{\"block\":{block}}}\n")).collect();
        fs::write(&path, format!("{log}{all}")).unwrap();
        assert_eq!(left(dir.path()).map(|all| all.len()), Some(11), "all of it came, and was not looked at yet");
        fs::write(&path, format!("{log}{{\"block\":11}}\n{{\"block\":18446744073709551615}}\n")).unwrap();
        assert_eq!(left(dir.path()), Some(vec![0, 3, 10]), "there are no such blocks");
        fs::write(&path, &log).unwrap();
        OpenOptions::new().write(true).open(part(&path)).unwrap().set_len(4 * BLOCK).unwrap();
        assert_eq!(left(dir.path()), Some(vec![0, 3]), "a shortened file has lost its last block");
    }

    #[test]
    fn the_disk_is_asked_now_and_then_and_a_log_stays_short() {
        let dir = tempfile::tempdir().unwrap();
        let mut partial = open(dir.path()).unwrap();
        partial.begin("s3://b/p", "p/assets/x", "tag", 200 * BLOCK).unwrap();
        let due: Vec<_> = (0..200).filter_map(|block| partial.has(block).unwrap()).collect();
        assert_eq!(due, [64, 128, 192], "after each 64 MiB");
        assert!((5_u64 << 40).div_ceil(block_len(5 << 40)) <= BLOCKS, "5 TiB have no more lines than that");
    }
}
