//! The first bytes of a large object whose download was broken off, in `downloads/` of the local
//! state, so that another process can go on with it.
//!
//! Apart because it must be right after a kill and a power loss at any moment: of which version the
//! bytes are stands in a first line beside them, and after a reboot only those are believed that were
//! fsynced and noted. Whatever is believed is hashed with the rest in the end.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::fs::{PathContext, PathError, make_dirs, read_optional, share};
use crate::oid::Oid;

/// Shorter objects begin anew.
pub(super) const WORTH_KEEPING: u64 = 16 << 20;
/// After so many bytes the disk is asked to have them.
const SYNCED: u64 = 64 << 20;

/// Of what the bytes are the beginning. Any difference starts anew.
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

#[derive(Serialize, Deserialize, Debug)]
struct Synced {
    synced: u64,
}

/// The beginning of one object.
#[derive(Debug)]
pub(super) struct Partial {
    /// Locked, so that two processes do not write one file.
    log: File,
    path: PathBuf,
    bytes: File,
    version: Option<Version>,
    written: u64,
    synced: u64,
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
        let open = |path: &Path| OpenOptions::new().create(true).read(true).append(true).open(path);
        let log = open(&path).context("open", &path)?;
        if log.try_lock().is_err() || !is_still_at(&log, &path) {
            return Ok(None);
        }
        let part = part(&path);
        let bytes = open(&part).context("open", &part)?;
        share(&path)?;
        share(&part)?;
        let mut partial = Partial { log, path, bytes, version: None, written: 0, synced: 0 };
        partial.read(store, key)?;
        Ok(Some(partial))
    }

    /// What is there: of which version, and how many bytes.
    pub fn left(&self) -> Option<(&Version, u64)> {
        self.version.as_ref().map(|version| (version, self.written))
    }

    /// Begin with this version.
    pub fn begin(&mut self, store: &str, key: &str, etag: &str, len: u64) -> Result<(), PathError> {
        let (store, key, etag) = (store.to_owned(), key.to_owned(), etag.to_owned());
        let version = Version { format: 1, store, key, etag, len, boot: boot() };
        (self.written, self.synced) = (0, 0);
        self.bytes.set_len(0).context("write", &part(&self.path))?;
        self.log.set_len(0).context("write", &self.path)?;
        self.note(&version)?;
        self.version = Some(version);
        Ok(())
    }

    /// The bytes that are there, from the first one.
    pub fn reader(&self) -> Result<impl Read + use<>, PathError> {
        let path = part(&self.path);
        Ok(File::open(&path).context("open", &path)?.take(self.written))
    }

    /// Take the next bytes.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), PathError> {
        let path = part(&self.path);
        self.bytes.write_all(bytes).context("write", &path)?;
        self.written += bytes.len() as u64;
        if self.written - self.synced >= SYNCED {
            self.bytes.sync_data().context("write", &path)?;
            self.synced = self.written;
            self.note(&Synced { synced: self.synced })?;
        }
        Ok(())
    }

    /// Whether all `len` bytes are there.
    pub fn is_whole(&self, len: u64) -> bool {
        self.written == len
    }

    /// All bytes are there, and they are the content itself: they get another name, where no other
    /// process looks for them.
    pub fn move_to(self, path: &Path) -> Result<(), PathError> {
        fs::rename(part(&self.path), path).context("move the downloaded bytes to", path)?;
        fs::remove_file(&self.path).context("remove", &self.path)
    }

    /// It is of no use any more.
    pub fn discard(self) {
        for path in [part(&self.path), self.path] {
            if let Err(e) = fs::remove_file(&path) {
                tracing::info!("{} stays: {e}", path.display());
            }
        }
    }

    fn note(&self, line: &impl Serialize) -> Result<(), PathError> {
        let mut bytes = serde_json::to_vec(line).expect("texts and numbers always serialize");
        bytes.push(b'\n');
        (&self.log).write_all(&bytes).and_then(|()| self.log.sync_data()).context("write", &self.path)
    }

    fn read(&mut self, store: &str, key: &str) -> Result<(), PathError> {
        let log = read_optional(&self.path)?.unwrap_or_default();
        let mut lines = log.split_inclusive(|&b| b == b'\n').filter(|line| line.ends_with(b"\n"));
        let Some(mut version) = lines.next().and_then(|line| serde_json::from_slice::<Version>(line).ok()) else {
            return Ok(());
        };
        if (version.format, version.store.as_str(), version.key.as_str()) != (1, store, key) {
            return Ok(());
        }
        let synced = lines.filter_map(|line| serde_json::from_slice::<Synced>(line).ok());
        let synced = synced.map(|line| line.synced).max().unwrap_or(0);
        let path = part(&self.path);
        let there = self.bytes.metadata().context("look at", &path)?.len();
        let running = !version.boot.is_empty() && version.boot == boot();
        let believed = if running { there } else { there.min(synced) };
        if believed == 0 || believed >= version.len {
            return Ok(());
        }
        self.bytes.set_len(believed).context("write", &path)?;
        if !running {
            // From now on this machine's present life counts: what is there is synced.
            version.boot = boot();
            self.log.set_len(0).context("write", &self.path)?;
            self.note(&version)?;
            self.note(&Synced { synced: believed })?;
        }
        (self.written, self.synced, self.version) = (believed, synced.min(believed), Some(version));
        Ok(())
    }
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

    const LEN: u64 = 1000;

    fn open(dir: &Path) -> Option<Partial> {
        Partial::open(dir, &Oid::of(b"x"), "s3://b/p", "p/assets/x").unwrap()
    }

    fn left(dir: &Path) -> Option<(String, u64)> {
        open(dir).unwrap().left().map(|(version, bytes)| (version.etag.clone(), bytes))
    }

    fn begun(dir: &Path) -> Partial {
        let mut partial = open(dir).unwrap();
        partial.begin("s3://b/p", "p/assets/x", "tag", LEN).unwrap();
        partial.write(b"first ").unwrap();
        partial.write(b"bytes").unwrap();
        partial
    }

    #[test]
    fn another_process_goes_on_where_this_one_stopped() {
        let dir = tempfile::tempdir().unwrap();
        let partial = begun(dir.path());
        assert!(open(dir.path()).is_none(), "one process at a time");
        drop(partial);
        assert_eq!(left(dir.path()), Some(("tag".to_owned(), 11)));
        let mut partial = open(dir.path()).unwrap();
        partial.write(b", and more").unwrap();
        let mut text = String::new();
        partial.reader().unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "first bytes, and more");
        partial.discard();
        assert_eq!(fs::read_dir(dir.path().join("downloads")).unwrap().count(), 0);
        assert_eq!(left(dir.path()), None);
    }

    #[test]
    fn after_a_reboot_only_what_was_synced_is_believed() {
        for (synced, believed) in [("", None), ("{\"synced\":4}\n", Some(4)), ("{\"synced\":4}\n{\"sync", Some(4))] {
            let dir = tempfile::tempdir().unwrap();
            let path = begun(dir.path()).path;
            let log = fs::read_to_string(&path).unwrap();
            fs::write(&path, format!("{}{synced}", log.replace(&boot(), "an earlier life"))).unwrap();
            assert_eq!(left(dir.path()).map(|(_, bytes)| bytes), believed, "{synced:?}");
            assert_eq!(left(dir.path()).map(|(_, bytes)| bytes), believed, "{synced:?}: and again");
        }
    }

    #[test]
    fn any_difference_starts_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = begun(dir.path()).path;
        let log = fs::read_to_string(&path).unwrap();
        for (from, to) in
            [("s3://b/p", "s3://b/q"), ("assets/x", "assets/y"), ("\"format\":1", "\"format\":2"), ("\n", "")]
        {
            fs::write(&path, log.replace(from, to)).unwrap();
            assert_eq!(left(dir.path()), None, "{to}");
        }
        fs::write(&path, log.replace("1000", "11")).unwrap();
        assert_eq!(left(dir.path()), None, "all of it was there, and it was no good");
    }
}
