//! The local cache: content by oid, uncompressed, in Git's common directory (design.md, section 3,
//! "Local state").
//!
//! Apart because it is what stands between a user's only copy and its loss until a store has it:
//! bytes enter by [`Staged`] (beside, hashed, renamed) and leave only after they were hashed again.

mod in_use;
mod inventory;
mod reading;
mod shared;

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::NamedTempFile;

pub use in_use::{Alone, InUse};
pub use inventory::{Cached, Health};

use crate::fs::{PathContext, PathError, make_dirs, share, temp_in};
use crate::oid::{Oid, OidHasher};
use crate::pointer::Pointer;

pub use shared::Sharing;

/// Content up to this many bytes is held in memory: staged without a temporary file until it is
/// known to be new, and verified before its first byte is delivered.
pub const IN_MEMORY: u64 = 1 << 20;

/// What can go wrong between the cache and its disk.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The disk refused.
    #[error("the local cache failed")]
    Path(#[from] PathError),
    /// Bytes arrived, but not those that were asked for.
    #[error("its content has oid {got} and {got_size} bytes, not oid {expected}{}", expected_size.map_or(String::new(), |n| format!(" and {n} bytes")))]
    Mismatch {
        /// What was asked for.
        expected: Oid,
        /// Its length in bytes, where it is known.
        expected_size: Option<u64>,
        /// What arrived.
        got: Oid,
        /// Its length in bytes.
        got_size: u64,
    },
}

/// The cache of one repository (shared by its linked worktrees).
#[derive(Clone, Debug)]
pub struct LocalCache {
    root: PathBuf,
    keeps: Keeps,
    /// The directory that clones share, if the user wants one.
    shared: Option<Arc<shared::Shared>>,
    /// What is staged came from the store.
    fetching: bool,
}

/// What a cache does with content that is staged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Keeps {
    Content,
    Nothing,
}

/// Content on its way out of the cache.
#[derive(Debug)]
pub enum Content {
    /// At most [`IN_MEMORY`] bytes, already verified.
    Verified(Vec<u8>),
    /// A file of the right length; whoever reads it must hash it, and call
    /// [`LocalCache::set_aside`] when the hash is another.
    Unverified(File),
}

impl LocalCache {
    /// The cache under `root`, the directory `<git common dir>/s3lfs`. Nothing is created before the
    /// first write.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        LocalCache { root: root.into(), keeps: Keeps::Content, shared: None, fetching: false }
    }

    /// A cache that has nothing and keeps nothing: content that enters it is hashed, compared with its
    /// name, and thrown away. So a download into it is a check of what the store has.
    pub fn keeping_nothing(root: impl Into<PathBuf>) -> Self {
        LocalCache { keeps: Keeps::Nothing, ..LocalCache::new(root) }
    }

    /// The directory of all local state.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the content of `oid` is in this clone's own cache, or would be.
    pub fn object_path(&self, oid: &Oid) -> PathBuf {
        let hex = oid.hex();
        self.root.join("objects").join(&hex[..2]).join(hex)
    }

    /// Whether a file of the right length is there. Its bytes are checked when they are read.
    pub fn contains(&self, pointer: &Pointer) -> bool {
        self.find(&pointer.oid, Some(pointer.size)).is_some()
    }

    /// The pointer to the content of `oid`, if a file of the right length (where one is known) is there.
    pub fn find(&self, oid: &Oid, size: Option<u64>) -> Option<Pointer> {
        if self.keeps == Keeps::Nothing {
            return None;
        }
        self.find_own(oid, size).or_else(|| self.shared()?.find_own(oid, size))
    }

    /// As [`LocalCache::find`], among what is this clone's alone.
    pub fn find_own(&self, oid: &Oid, size: Option<u64>) -> Option<Pointer> {
        let metadata = fs::metadata(self.object_path(oid)).ok().filter(|m| m.is_file() && m.len() > 0)?;
        let pointer = Pointer { oid: *oid, size: metadata.len() };
        (size.is_none_or(|size| size == pointer.size)).then_some(pointer)
    }

    /// A place to write content of which the oid is not known yet.
    pub fn stage(&self) -> Staged {
        let (cache, fallback) = match self.place_for_fetched() {
            Some(shared) => (shared, Some(LocalCache::new(&self.root))),
            None => (self.clone(), None),
        };
        let body = match self.keeps {
            Keeps::Content => Body::Memory(Vec::new()),
            Keeps::Nothing => Body::Nothing,
        };
        Staged { cache, fallback, hasher: OidHasher::new(), body }
    }

    /// As [`LocalCache::stage`], of a file that is already whole, and whose content was hashed.
    pub fn stage_file(&self, file: NamedTempFile, hasher: OidHasher) -> Staged {
        Staged { hasher, body: Body::File(file), ..self.stage() }
    }

    /// Whether what enters stays.
    pub fn keeps_content(&self) -> bool {
        self.keeps == Keeps::Content
    }

    /// A temporary file on the cache's filesystem, removed when dropped.
    pub fn temp_file(&self) -> Result<NamedTempFile, PathError> {
        let dir = self.root.join("tmp");
        make_dirs(&dir)?;
        let file = temp_in(&dir)?;
        share(file.path())?;
        Ok(file)
    }
}

fn create_parent(path: &Path) -> Result<(), PathError> {
    let dir = path.parent().unwrap_or(path);
    make_dirs(dir)
}

/// Content being written: hashed as it comes, invisible until it is committed, gone when dropped.
pub struct Staged {
    cache: LocalCache,
    /// Where it goes if it can't be put there.
    fallback: Option<LocalCache>,
    hasher: OidHasher,
    body: Body,
}

enum Body {
    Memory(Vec<u8>),
    File(NamedTempFile),
    /// Only the hash matters.
    Nothing,
}

impl Staged {
    /// Bytes written so far.
    pub fn len(&self) -> u64 {
        self.hasher.len()
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.hasher.is_empty()
    }

    /// Put the content in its place, and name it. `None` for empty content, which has no pointer.
    pub fn commit(self) -> Result<Option<Pointer>, PathError> {
        let Staged { cache, fallback, hasher, body } = self;
        let (oid, size) = hasher.finish();
        if size == 0 {
            return Ok(None);
        }
        let pointer = Pointer { oid, size };
        // What is here already, as when 'git status' cleans it again, needs no question.
        if cache.find_own(&oid, Some(size)).is_none() && cache.needs_no_copy(&pointer) {
            return Ok(Some(pointer));
        }
        let file = match body {
            // Already on disk: the rename costs nothing, and replaces a copy that may be damaged.
            Body::File(file) => file,
            Body::Nothing => return Ok(Some(pointer)),
            Body::Memory(bytes) if cache.holds(&pointer, &bytes) => return Ok(Some(pointer)),
            Body::Memory(bytes) => cache.spill(&bytes)?,
        };
        match (cache.place(file, &oid), fallback) {
            (Err((_, file)), Some(own)) => own.take_over(file.path(), &oid)?,
            (Err((e, _)), None) => return Err(e),
            (Ok(()), _) => {}
        }
        Ok(Some(pointer))
    }

    /// As [`Staged::commit`], but only if the content is what was `expected`; else nothing enters
    /// the cache.
    pub fn commit_as(self, expected: &Oid, expected_size: Option<u64>) -> Result<(), CacheError> {
        let (got, got_size) = self.hasher.clone().finish();
        if got != *expected || expected_size.is_some_and(|size| size != got_size) {
            return Err(CacheError::Mismatch { expected: *expected, expected_size, got, got_size });
        }
        self.commit()?;
        Ok(())
    }
}

impl LocalCache {
    /// Whether the cached copy is these very bytes. One that is damaged must be replaced now, since
    /// this may be the only other copy; reading at most [`IN_MEMORY`] costs less than writing them.
    fn holds(&self, pointer: &Pointer, bytes: &[u8]) -> bool {
        self.find_own(&pointer.oid, Some(pointer.size)).is_some()
            && fs::read(self.object_path(&pointer.oid)).is_ok_and(|cached| cached == bytes)
    }

    fn spill(&self, bytes: &[u8]) -> Result<NamedTempFile, PathError> {
        let mut file = self.temp_file()?;
        let path = file.path().to_owned();
        file.write_all(bytes).context("write", &path)?;
        Ok(file)
    }
}

impl Write for Staged {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if let Body::Memory(bytes) = &mut self.body
            && (bytes.len() + buf.len()) as u64 > IN_MEMORY
        {
            let spilled = self.cache.spill(bytes).map_err(io::Error::other)?;
            self.body = Body::File(spilled);
        }
        match &mut self.body {
            Body::Memory(bytes) => bytes.extend_from_slice(buf),
            Body::File(file) => file.as_file_mut().write_all(buf)?,
            Body::Nothing => {}
        }
        self.hasher.update(buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn cache() -> (tempfile::TempDir, LocalCache) {
        let dir = tempfile::tempdir().unwrap();
        let cache = LocalCache::new(dir.path().join("s3lfs"));
        (dir, cache)
    }

    fn put(cache: &LocalCache, content: &[u8]) -> Pointer {
        let mut staged = cache.stage();
        staged.write_all(content).unwrap();
        staged.commit().unwrap().unwrap()
    }

    #[test]
    fn what_is_committed_can_be_loaded_small_and_large() {
        let (_dir, cache) = cache();
        for content in [b"small".to_vec(), vec![7u8; IN_MEMORY as usize + 1]] {
            let pointer = put(&cache, &content);
            assert_eq!(pointer, Pointer::to(&content).unwrap());
            let loaded = match cache.load(&pointer).unwrap().unwrap() {
                Content::Verified(bytes) => bytes,
                Content::Unverified(mut file) => {
                    let mut bytes = Vec::new();
                    file.read_to_end(&mut bytes).unwrap();
                    bytes
                }
            };
            assert!(loaded == content, "content comes back as it was");
        }
        assert_eq!(fs::read_dir(cache.root().join("tmp")).unwrap().count(), 0, "no temporary file stays");
    }

    #[test]
    fn empty_content_makes_no_object_and_dropping_leaves_nothing() {
        let (_dir, cache) = cache();
        assert_eq!(cache.stage().commit().unwrap(), None);
        let mut staged = cache.stage();
        staged.write_all(&vec![1; IN_MEMORY as usize + 1]).unwrap();
        drop(staged);
        assert_eq!(fs::read_dir(cache.root().join("tmp")).unwrap().count(), 0, "a dropped stage is gone");
        assert!(!cache.root().join("objects").exists(), "nothing was published");
    }

    #[test]
    fn damaged_objects_are_set_aside_and_never_delivered() {
        let (_dir, cache) = cache();
        for damaged in [b"contenT".as_slice(), b"", b"content and more"] {
            let pointer = put(&cache, b"content");
            fs::write(cache.object_path(&pointer.oid), damaged).unwrap();
            assert!(cache.load(&pointer).unwrap().is_none(), "damaged bytes are never delivered");
            assert!(!cache.object_path(&pointer.oid).exists(), "and not found again");
            assert!(cache.root().join("bad").join(pointer.oid.hex()).exists(), "but kept aside");
        }
        let pointer = put(&cache, b"content");
        assert!(cache.contains(&pointer), "a new copy takes its place");
        fs::write(cache.object_path(&pointer.oid), b"contenT").unwrap();
        put(&cache, b"content");
        assert!(cache.load(&pointer).unwrap().is_some(), "also before anybody noticed the damage");
    }

    #[test]
    fn a_pointer_with_a_false_size_does_not_cost_a_good_object() {
        let (_dir, cache) = cache();
        let pointer = put(&cache, b"content");
        let liar = Pointer { size: 99, ..pointer };
        assert!(cache.load(&liar).unwrap().is_none(), "it names other content");
        assert!(cache.contains(&pointer), "the good object stays");
    }

    #[test]
    fn a_cache_that_keeps_nothing_still_checks() {
        let (dir, cache) = cache();
        let pointer = put(&cache, b"content");
        let checking = LocalCache::keeping_nothing(dir.path().join("s3lfs"));
        assert!(checking.find(&pointer.oid, None).is_none(), "so that the store is asked");
        for (content, matches) in [(b"content", true), (b"contenT", false)] {
            let mut staged = checking.stage();
            staged.write_all(content).unwrap();
            assert_eq!(staged.commit_as(&pointer.oid, Some(pointer.size)).is_ok(), matches);
        }
        let mut staged = checking.stage();
        staged.write_all(&vec![1; IN_MEMORY as usize + 1]).unwrap();
        staged.commit().unwrap();
        assert_eq!(cache.objects().unwrap().len(), 1, "nothing came in");
    }

    #[test]
    fn content_other_than_expected_does_not_enter() {
        let (_dir, cache) = cache();
        let expected = Pointer::to(b"right").unwrap();
        let mut staged = cache.stage();
        staged.write_all(b"wrong").unwrap();
        assert!(matches!(staged.commit_as(&expected.oid, Some(expected.size)), Err(CacheError::Mismatch { .. })));
        assert!(!cache.contains(&expected) && !cache.contains(&Pointer::to(b"wrong").unwrap()));
    }
}
