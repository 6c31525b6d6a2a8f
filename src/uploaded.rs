//! The upload record: what is known to be in one store, and since when that is proved (design.md,
//! section 3, "Local state").
//!
//! Apart because a push with nothing new opens no connection only if this is right. Losing it costs
//! time: whatever is unknown is proved again. A torn or unknown file is ignored. Each reading store has
//! a record of its own: what is known to be there counts as there, and is never said to be elsewhere.

mod known;

use std::cell::OnceCell;
use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::believed::BELIEVED;
use crate::fs::{PathContext, PathError, is_absent, make_dirs, replace_state_by, share};
use crate::oid::Oid;
use crate::remote::Remote;
use known::Known;

/// What local files about one store are called: the first 16 hex digits of its URL's SHA-256.
pub fn store_name(remote: &Remote) -> String {
    Oid::of(remote.to_string().as_bytes()).hex()[..16].to_owned()
}

/// The records of a store and of its reading stores. Read once, when they are first asked; additions are
/// merged under a lock.
#[derive(Debug)]
pub struct Uploaded {
    own: Record,
    reading: Vec<Record>,
}

#[derive(Debug)]
struct Record {
    path: PathBuf,
    known: OnceCell<Known>,
}

impl Uploaded {
    /// The record of `remote` beneath `state_dir`, and those of the stores that are read beside it.
    pub fn open(state_dir: &Path, remote: &Remote, reading: &[Remote]) -> Result<Self, PathError> {
        let reading = reading.iter().map(|remote| Record::open(state_dir, remote)).collect::<Result<_, _>>()?;
        Ok(Uploaded { own: Record::open(state_dir, remote)?, reading })
    }

    /// Whether `oid` was proved at any time to be in the store, or in a reading store.
    pub fn has(&self, oid: &Oid) -> bool {
        self.all().any(|record| record.known().get(oid).is_some())
    }

    /// Whether that proof is recent enough to be believed without asking the store.
    pub fn is_fresh(&self, oid: &Oid) -> bool {
        self.all().any(|record| record.is_fresh(oid))
    }

    /// As [`Uploaded::is_fresh`], of the store itself.
    pub fn is_fresh_in_store(&self, oid: &Oid) -> bool {
        self.own.is_fresh(oid)
    }

    /// Note that these objects were proved to be in the store just now.
    pub fn add(&mut self, oids: impl IntoIterator<Item = Oid>) -> Result<(), PathError> {
        self.own.add(oids)
    }

    /// Note that these objects are in the store, without a word on how long they will be: reading one
    /// does not make its age start anew.
    pub fn add_seen(&mut self, oids: impl IntoIterator<Item = Oid>) -> Result<(), PathError> {
        let long_ago = seconds(SystemTime::now()).saturating_sub(BELIEVED.as_secs());
        let unknown: Vec<Oid> = oids.into_iter().filter(|oid| self.own.known().get(oid).is_none()).collect();
        self.own.add_at(long_ago, unknown)
    }

    /// Note that these objects were proved to be in a reading store, counted from 0.
    pub fn add_elsewhere(&mut self, store: usize, oids: impl IntoIterator<Item = Oid>) -> Result<(), PathError> {
        self.reading.get_mut(store).map_or(Ok(()), |record| record.add(oids))
    }

    /// Forget that the objects of which `gone` says so are in the store: they are about to be deleted there.
    pub fn forget(&mut self, gone: impl Fn(&Oid) -> bool) -> Result<(), PathError> {
        self.own.forget(gone)
    }

    fn all(&self) -> impl Iterator<Item = &Record> {
        std::iter::once(&self.own).chain(&self.reading)
    }
}

impl Record {
    fn open(state_dir: &Path, remote: &Remote) -> Result<Self, PathError> {
        let path = state_dir.join("uploaded").join(store_name(remote));
        match File::open(&path) {
            Err(e) if !is_absent(&e) => Err(PathError::new("read", path, e)),
            _ => Ok(Record { path, known: OnceCell::new() }),
        }
    }

    /// What can't be read any more is proved again.
    fn known(&self) -> &Known {
        self.known.get_or_init(|| {
            Known::read(&self.path).unwrap_or_else(|e| {
                tracing::warn!("{e}; what it recorded will be proved again");
                Known::default()
            })
        })
    }

    fn is_fresh(&self, oid: &Oid) -> bool {
        let Some(proved) = self.known().get(oid) else { return false };
        is_fresh(proved)
    }

    fn add(&mut self, oids: impl IntoIterator<Item = Oid>) -> Result<(), PathError> {
        self.add_at(seconds(SystemTime::now()), oids)
    }

    /// A later proof of before stays.
    fn add_at(&mut self, time: u64, oids: impl IntoIterator<Item = Oid>) -> Result<(), PathError> {
        let mut proved: Vec<(Oid, u64)> = oids.into_iter().map(|oid| (oid, time)).collect();
        if proved.is_empty() {
            return Ok(());
        }
        proved.sort_unstable();
        self.change(|known, out| known.write_with(&proved, out))
    }

    fn forget(&mut self, gone: impl Fn(&Oid) -> bool) -> Result<(), PathError> {
        // Another process may have noted one of them since we read the file.
        if !self.path.exists() {
            return Ok(());
        }
        // Before the lock: a full disk must not stand in the way of deleting what was never noted.
        if !names_any(&Known::read(&self.path)?, &self.path, &gone)? {
            self.known.take();
            return Ok(());
        }
        self.change(|known, out| known.write_without(&gone, out))
    }

    /// The file alone tells: another process may have added to it since we read it, or forgotten. `write` makes a new
    /// one of what it knows.
    fn change(&mut self, write: impl Fn(&Known, &mut dyn Write) -> io::Result<()>) -> Result<(), PathError> {
        let dir = self.path.parent().expect("the record lies in a directory");
        make_dirs(dir)?;
        let lock_path = self.path.with_extension("lock");
        let lock = File::create(&lock_path).context("create", &lock_path)?;
        share(&lock_path)?;
        lock.lock().context("lock", &lock_path)?;
        self.known.take();
        let path = &self.path;
        // A long file stays open for as long as it is known, and Windows replaces no open file.
        replace_state_by(path, &mut |out| {
            let known = Known::read(path).map_err(|e| io::Error::new(e.kind(), e))?;
            write(&known, out)
        })
    }
}

fn names_any(known: &Known, path: &Path, wanted: impl Fn(&Oid) -> bool) -> Result<bool, PathError> {
    let mut found = false;
    known.each(|oid, _| found |= wanted(&oid)).context("read", path)?;
    Ok(found)
}

/// What is known by a fresh proof to be in any store that this clone ever used.
pub fn fresh_in_any(state_dir: &Path) -> Result<HashSet<Oid>, PathError> {
    let dir = state_dir.join("uploaded");
    let mut fresh = HashSet::new();
    for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.extension().is_some() {
            continue; // A lock, or a file on its way to its name.
        }
        let take = |oid, proved| {
            if is_fresh(proved) {
                fresh.insert(oid);
            }
        };
        Known::read(&path)?.each(take).context("read", &path)?;
    }
    Ok(fresh)
}

/// A time in the future comes from a clock that was wrong: no proof.
fn is_fresh(proved: u64) -> bool {
    let now = seconds(SystemTime::now());
    proved <= now && now - proved < BELIEVED.as_secs()
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |t| t.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote(name: &str) -> Remote {
        Remote::new(name, "p", None).unwrap()
    }

    #[test]
    fn what_is_added_is_known_later_and_for_that_store_only() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (Oid::of(b"a"), Oid::of(b"b"));
        let mut first = Uploaded::open(dir.path(), &remote("store-one"), &[]).unwrap();
        let mut second = Uploaded::open(dir.path(), &remote("store-one"), &[]).unwrap();
        first.add([a]).unwrap();
        second.add([b]).unwrap();
        first.add([Oid::of(b"gone")]).unwrap();
        first.forget(|oid| *oid == Oid::of(b"gone")).unwrap();
        let read = Uploaded::open(dir.path(), &remote("store-one"), &[]).unwrap();
        assert!(!read.has(&Oid::of(b"gone")), "what was deleted is not believed in");
        assert!(read.is_fresh(&a) && read.is_fresh(&b), "two writers lose nothing");
        second.forget(|oid| *oid == a).unwrap();
        first.add([Oid::of(b"later")]).unwrap();
        let read = Uploaded::open(dir.path(), &remote("store-one"), &[]).unwrap();
        assert!(!read.has(&a), "what one has forgotten, another that read it before does not bring back");
        second.add([a]).unwrap();
        first.add_seen([a, Oid::of(b"seen")]).unwrap();
        let read = Uploaded::open(dir.path(), &remote("store-one"), &[]).unwrap();
        assert!(read.is_fresh(&a) && read.has(&Oid::of(b"seen")), "what was seen is known");
        assert!(!read.is_fresh(&Oid::of(b"seen")), "but may be old, and is no proof for a push");
        assert!(!Uploaded::open(dir.path(), &remote("store-two"), &[]).unwrap().has(&a));
    }

    #[test]
    fn what_a_reading_store_has_is_known_and_not_said_to_be_in_the_store() {
        let dir = tempfile::tempdir().unwrap();
        let (own, upstream, oid) = (remote("store-own"), remote("store-upstream"), Oid::of(b"a"));
        Uploaded::open(dir.path(), &own, std::slice::from_ref(&upstream)).unwrap().add_elsewhere(0, [oid]).unwrap();
        assert!(Uploaded::open(dir.path(), &own, std::slice::from_ref(&upstream)).unwrap().is_fresh(&oid));
        assert!(!Uploaded::open(dir.path(), &own, &[]).unwrap().has(&oid), "it is not in the store itself");
        assert!(Uploaded::open(dir.path(), &upstream, &[]).unwrap().has(&oid));
    }

    #[test]
    fn old_future_and_torn_records_prove_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let oid = Oid::of(b"a");
        let mut uploaded = Uploaded::open(dir.path(), &remote("store"), &[]).unwrap();
        uploaded.add([oid]).unwrap();
        for time in [seconds(SystemTime::now()) - BELIEVED.as_secs(), seconds(SystemTime::now()) + 1000] {
            let record = [oid.as_bytes().as_slice(), &time.to_be_bytes()].concat();
            fs::write(&uploaded.own.path, record).unwrap();
            let read = Uploaded::open(dir.path(), &remote("store"), &[]).unwrap();
            assert!(read.has(&oid) && !read.is_fresh(&oid));
        }
        fs::write(&uploaded.own.path, [0; known::RECORD + 1]).unwrap();
        assert!(!Uploaded::open(dir.path(), &remote("store"), &[]).unwrap().has(&oid), "a torn file is ignored");
    }
}
