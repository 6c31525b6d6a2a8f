//! The cache as a whole: what is in it, whether it is sound, what may go.
//!
//! Apart from the life of single objects because only `fsck` and `prune` look at all of them, and because
//! here is the one place that deletes cached content.

use std::fs::{self, File, Metadata};
use std::io;
use std::path::Path;
use std::time::Duration;

use super::LocalCache;
use crate::fs::{PathContext, PathError, is_absent, remove_temporary};
use crate::oid::{Oid, copy_hashing};

/// An object of the cache.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cached {
    /// Its name. Whether its bytes are right is another question.
    pub oid: Oid,
    /// Length in bytes.
    pub len: u64,
}

/// Whether an object is what its name says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Health {
    /// It is; its length in bytes.
    Sound(u64),
    /// It is not.
    Damaged,
    /// There is none.
    Absent,
}

impl LocalCache {
    /// All objects, sorted by oid. Files with other names are passed over.
    pub fn objects(&self) -> Result<Vec<Cached>, PathError> {
        Ok(self.oids()?.iter().filter_map(|oid| self.cached(oid)).collect())
    }

    /// The object of this name, if it is there.
    pub fn cached(&self, oid: &Oid) -> Option<Cached> {
        let metadata = fs::symlink_metadata(self.object_path(oid)).ok().filter(fs::Metadata::is_file)?;
        Some(Cached { oid: *oid, len: metadata.len() })
    }

    /// As [`LocalCache::objects`], the names alone: none of the files is looked at, of which there may be 100,000.
    pub fn oids(&self) -> Result<Vec<Oid>, PathError> {
        let mut found = Vec::new();
        for (shard, dir) in entries(&self.root.join("objects"))? {
            // A file among the directories is none of ours.
            if shard.len() != 2 || !dir.is_dir() {
                continue;
            }
            for entry in listing(&dir)?.into_iter().flatten() {
                let entry = entry.context("list", &dir)?;
                let name = entry.file_name();
                let name = name.as_encoded_bytes();
                let Some(oid) = Oid::from_hex(name).filter(|_| name.starts_with(shard.as_bytes())) else { continue };
                match entry.file_type() {
                    Ok(kind) if kind.is_file() => found.push(oid),
                    Err(e) if !is_absent(&e) => return Err(PathError::new("look at", entry.path(), e)),
                    _ => {}
                }
            }
        }
        found.sort_unstable();
        Ok(found)
    }

    /// Hash an object.
    pub fn examine(&self, oid: &Oid) -> Result<Health, PathError> {
        let path = self.object_path(oid);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(e) if is_absent(&e) => return Ok(Health::Absent),
            Err(e) => return Err(PathError::new("open", path, e)),
        };
        let hashed = copy_hashing(&mut file, |_| Ok(())).map_err(io::Error::from).context("read", &path)?;
        Ok(if hashed.0 == *oid { Health::Sound(hashed.1) } else { Health::Damaged })
    }

    /// Delete an object. Who has it open goes on reading it.
    pub fn remove(&self, oid: &Oid) -> Result<(), PathError> {
        remove(&self.object_path(oid))
    }

    /// The objects that were set aside as damaged.
    pub fn set_aside_objects(&self) -> Result<Vec<Cached>, PathError> {
        let found = entries(&self.root.join("bad"))?.into_iter();
        let object = |(name, path): (String, std::path::PathBuf)| {
            let metadata = fs::symlink_metadata(path).ok().filter(|m| m.is_file())?;
            Some(Cached { oid: Oid::from_hex(name.as_bytes())?, len: metadata.len() })
        };
        Ok(found.filter_map(object).collect())
    }

    /// Delete what was set aside.
    pub fn remove_set_aside(&self, oid: &Oid) -> Result<(), PathError> {
        remove(&self.root.join("bad").join(oid.hex()))
    }

    /// Remove temporary files that killed processes left, and beginnings of downloads that nobody goes on with. As long
    /// as others have some in the same directory, only those that are older than a day go. What can't be removed stays
    /// for the next time.
    pub fn sweep(&self) {
        if let Some(shared) = self.shared() {
            shared.sweep();
        }
        if self.root.join("tmp").is_dir() {
            self.tmp();
        }
        const DAY: Duration = Duration::from_secs(24 * 3600);
        self.sweep_dir("tmp", DAY);
        // What nobody went on with for two weeks.
        self.sweep_dir("downloads", 14 * DAY);
        if is_moved(&self.root, &self.root.join("objects")) {
            // What is written there lies beside its place until it has its name.
            for shard in fs::read_dir(self.root.join("objects")).into_iter().flatten().flatten() {
                self.sweep_named(&Path::new("objects").join(shard.file_name()), ".s3lfs-", DAY);
            }
        }
    }

    fn sweep_dir(&self, dir: &str, abandoned: Duration) {
        self.sweep_named(dir.as_ref(), "", abandoned);
    }

    fn sweep_named(&self, dir: &Path, prefix: &str, abandoned: Duration) {
        let Ok(entries) = fs::read_dir(self.root.join(dir)) else { return };
        for entry in entries.flatten() {
            if !entry.file_name().as_encoded_bytes().starts_with(prefix.as_bytes()) {
                continue;
            }
            let age = entry.metadata().ok().and_then(|metadata| age(&metadata));
            if age.is_some_and(|age| age > abandoned)
                && let Err(e) = remove_temporary(&entry)
            {
                tracing::info!("{} stays: {e}", entry.path().display());
            }
        }
    }
}

/// How long nobody has touched a temporary file. The second name of a file (`SecondName`, of Git's index while that is
/// changed) has the times of its first: when it got the name counts.
fn age(metadata: &Metadata) -> Option<Duration> {
    let modified = metadata.modified().ok()?.elapsed().ok()?;
    Some(since_linked(metadata).map_or(modified, |linked| modified.min(linked)))
}

/// `None`: it has no other name. Source: stat(2), `st_ctime` (a link is a change of the inode).
#[cfg(unix)]
fn since_linked(metadata: &Metadata) -> Option<Duration> {
    use std::os::unix::fs::MetadataExt;
    use std::time::UNIX_EPOCH;
    let since_epoch = Duration::new(metadata.ctime().try_into().ok()?, metadata.ctime_nsec().try_into().ok()?);
    // A time to come is a clock that was set back: it may be in use.
    (metadata.nlink() > 1).then(|| (UNIX_EPOCH + since_epoch).elapsed().unwrap_or_default())
}

#[cfg(not(unix))]
fn since_linked(_: &Metadata) -> Option<Duration> {
    None
}

/// Whether `dir`, which is there, is on another filesystem than `root`.
#[cfg(unix)]
fn is_moved(root: &Path, dir: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let device = |path| fs::metadata(path).map(|metadata| metadata.dev()).ok();
    device(dir).is_some_and(|dir| device(root).is_some_and(|root| root != dir))
}

#[cfg(not(unix))]
fn is_moved(_: &Path, _: &Path) -> bool {
    false
}

/// `None`: there is no such directory.
fn listing(dir: &Path) -> Result<Option<fs::ReadDir>, PathError> {
    match fs::read_dir(dir) {
        Err(e) if is_absent(&e) => Ok(None),
        listing => listing.context("list", dir).map(Some),
    }
}

/// Name and path of each entry with a readable name; none if there is no such directory.
fn entries(dir: &Path) -> Result<Vec<(String, std::path::PathBuf)>, PathError> {
    let mut found = Vec::new();
    for entry in listing(dir)?.into_iter().flatten() {
        let entry = entry.context("list", dir)?;
        if let Ok(name) = entry.file_name().into_string() {
            found.push((name, entry.path()));
        }
    }
    Ok(found)
}

fn remove(path: &Path) -> Result<(), PathError> {
    match fs::remove_file(path) {
        Err(e) if !is_absent(&e) => Err(PathError::new("remove", path, e)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::cache;
    use super::*;

    fn put(cache: &LocalCache, content: &[u8]) -> Oid {
        super::super::tests::put(cache, content).oid
    }

    #[test]
    fn all_objects_are_listed_and_nothing_else() {
        let (_dir, cache) = cache();
        assert_eq!(cache.objects().unwrap(), [], "no cache yet");
        let mut oids = [put(&cache, b"a"), put(&cache, b"bc")];
        oids.sort();
        let shard = cache.object_path(&oids[0]).parent().unwrap().to_owned();
        for foreign in [shard.join("notes"), cache.root().join("objects/README"), shard.join(Oid::of(b"x").hex())] {
            fs::write(foreign, b"foreign").unwrap();
        }
        let found: Vec<Oid> = cache.objects().unwrap().iter().map(|cached| cached.oid).collect();
        assert_eq!(found, oids, "only names in their own directory");
    }

    #[test]
    fn examining_sets_damage_aside_and_leaves_the_rest() {
        let (_dir, cache) = cache();
        let (good, bad) = (put(&cache, b"good"), put(&cache, b"bad"));
        fs::write(cache.object_path(&bad), b"baD").unwrap();
        assert_eq!(cache.examine(&good).unwrap(), Health::Sound(4));
        assert_eq!(cache.examine(&bad).unwrap(), Health::Damaged);
        cache.set_aside(&bad).unwrap();
        assert_eq!(cache.examine(&bad).unwrap(), Health::Absent, "it is out of the way");
        assert_eq!(cache.set_aside_objects().unwrap(), [Cached { oid: bad, len: 3 }], "and kept");
        cache.remove_set_aside(&bad).unwrap();
        cache.remove(&good).unwrap();
        cache.remove(&good).unwrap();
        assert_eq!((cache.objects().unwrap(), cache.set_aside_objects().unwrap()), (vec![], vec![]));
    }

    #[test]
    fn only_what_was_left_long_ago_is_swept() {
        let (_dir, cache) = cache();
        let (_, old) = cache.temp_file().unwrap().keep().unwrap();
        let (_, new) = cache.temp_file().unwrap().keep().unwrap();
        let two_days_ago = std::time::SystemTime::now() - Duration::from_secs(2 * 24 * 3600);
        File::options().append(true).open(&old).unwrap().set_modified(two_days_ago).unwrap();
        cache.sweep();
        assert!(!old.exists() && new.exists(), "a file that may still be written is left alone");
    }

    #[test]
    #[cfg(unix)]
    fn a_second_name_is_as_old_as_the_name() {
        let (dir, cache) = cache();
        let (_, second) = cache.temp_file().unwrap().keep().unwrap();
        let index = dir.path().join("index");
        fs::write(&index, b"an index").unwrap();
        let two_days_ago = std::time::SystemTime::now() - Duration::from_secs(2 * 24 * 3600);
        File::options().append(true).open(&index).unwrap().set_modified(two_days_ago).unwrap();
        fs::remove_file(&second).unwrap();
        fs::hard_link(&index, &second).unwrap();
        cache.sweep();
        assert!(second.exists(), "Git works on it now, however old the index is");
        // What was killed: another index takes the place of that one.
        fs::remove_file(&index).unwrap();
        cache.sweep();
        assert!(!second.exists(), "it is swept when it is the last name");
    }
}
