//! The local cache: content by oid, uncompressed, in Git's common directory (design.md, section 3,
//! "Local state").
//!
//! Apart because it is what stands between a user's only copy and its loss until a store has it:
//! bytes enter by [`Staged`] (beside, hashed, renamed) and leave only after they were hashed again.

mod hashed;
mod in_use;
mod inventory;
mod known;
mod reading;
mod register;
mod shared;
mod staged;

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::NamedTempFile;

pub use in_use::{Alone, InUse};
pub use inventory::{Cached, Health};

use crate::fs::{PathError, enter_swept, make_dirs, share, temp_in};
use crate::oid::Oid;
use crate::pointer::Pointer;

pub use register::{Registered, this_machine};
pub use shared::Sharing;
pub use staged::Staged;

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
    /// What this process put there.
    hashed: hashed::Hashed,
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
        let hashed = hashed::Hashed::default();
        LocalCache { root: root.into(), keeps: Keeps::Content, shared: None, fetching: false, hashed }
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

    /// Whether what enters stays.
    pub fn keeps_content(&self) -> bool {
        self.keeps == Keeps::Content
    }

    /// The directory for temporary files on the cache's filesystem. From now on this process may have some there, and
    /// what killed ones left is swept. Where it can't be made, whoever makes a file in it meets the error.
    pub fn tmp(&self) -> PathBuf {
        let dir = self.root.join("tmp");
        enter_swept(&dir);
        dir
    }

    /// A temporary file on the cache's filesystem, removed when dropped.
    pub fn temp_file(&self) -> Result<NamedTempFile, PathError> {
        let dir = self.tmp();
        let file = match temp_in(&dir) {
            // Somebody removed it, or it could not be made.
            Err(e) if e.kind() == ErrorKind::NotFound => {
                make_dirs(&dir)?;
                temp_in(&dir)?
            }
            made => made?,
        };
        share(file.path())?;
        Ok(file)
    }
}

fn create_parent(path: &Path) -> Result<(), PathError> {
    let dir = path.parent().unwrap_or(path);
    make_dirs(dir)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    /// A cache that is gone with its directory.
    pub(super) fn cache() -> (tempfile::TempDir, LocalCache) {
        let dir = tempfile::tempdir().unwrap();
        let cache = LocalCache::new(dir.path().join("s3lfs"));
        (dir, cache)
    }

    pub(super) fn put(cache: &LocalCache, content: &[u8]) -> Pointer {
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
