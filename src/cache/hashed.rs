//! Large objects that this process itself hashed when it put them into the cache, each with the times that its
//! file had then.
//!
//! Apart because it is the one exception to "every reader hashes": who copies such an object to the worktree
//! a moment later, and finds it untouched, need not hash all of it a second time.

use std::collections::HashMap;
use std::fs::File;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::fs::Times;
use crate::oid::Oid;

/// Shared by the clones of a cache; it is of this process alone.
#[derive(Clone, Debug, Default)]
pub(super) struct Hashed(Arc<Mutex<HashMap<Oid, Times>>>);

impl Hashed {
    /// `file` was hashed before it was renamed to the object's name; `before`: its times then.
    pub fn note(&self, oid: &Oid, before: Option<Times>, file: &File) {
        // Nobody could reach it before; whoever wrote to it since has changed its times.
        if let (Some(before), Some(now)) = (before, times(file))
            && before.same_content(&now)
        {
            self.files().insert(*oid, now);
        }
    }

    /// Whether `file` is that file, and untouched.
    pub fn knows(&self, oid: &Oid, file: &File) -> bool {
        self.files().get(oid).is_some_and(|noted| times(file) == Some(*noted))
    }

    fn files(&self) -> MutexGuard<'_, HashMap<Oid, Times>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `None` where they can't be had.
pub(super) fn times(file: &File) -> Option<Times> {
    file.metadata().ok().and_then(|metadata| Times::of(&metadata))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::io::{Read, Seek, Write};

    use super::super::tests::{cache, put};
    use super::super::{IN_MEMORY, LocalCache};
    use crate::pointer::Pointer;

    /// What a copy to the worktree gets.
    fn copied(cache: &LocalCache, pointer: &Pointer) -> Option<Vec<u8>> {
        let mut out = tempfile::tempfile().unwrap();
        let mut bytes = Vec::new();
        let is_good = cache.copy_to(pointer, &mut out).unwrap();
        out.rewind().unwrap();
        out.read_to_end(&mut bytes).unwrap();
        is_good.then_some(bytes)
    }

    #[test]
    fn what_was_just_hashed_is_known_by_this_process_alone() {
        let (_dir, cache) = cache();
        let content = vec![7; IN_MEMORY as usize + 1];
        let pointer = put(&cache, &content);
        let file = File::open(cache.object_path(&pointer.oid)).unwrap();
        assert!(cache.clone().hashed.knows(&pointer.oid, &file), "by each clone of the cache");
        assert!(!LocalCache::new(cache.root()).hashed.knows(&pointer.oid, &file), "and by no other");
        assert!(copied(&cache, &pointer).unwrap() == content);
        let small = put(&cache, b"small");
        let file = File::open(cache.object_path(&small.oid)).unwrap();
        assert!(!cache.hashed.knows(&small.oid, &file), "little is hashed as fast as it is looked up");
    }

    #[test]
    fn what_was_touched_since_is_hashed_again() {
        let (_dir, cache) = cache();
        let content = vec![7; IN_MEMORY as usize + 1];
        let pointer = put(&cache, &content);
        let path = cache.object_path(&pointer.oid);
        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        // Older kernels tell times by the tick.
        std::thread::sleep(std::time::Duration::from_millis(20));
        let mut file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.write_all(b"damage").unwrap();
        file.set_modified(modified).unwrap();
        assert_eq!(copied(&cache, &pointer), None, "damage with the old times is found");
        assert!(!path.exists(), "and set aside");
        put(&cache, &content);
        fs::copy(&path, path.with_extension("new")).unwrap();
        fs::rename(path.with_extension("new"), &path).unwrap();
        assert!(!cache.hashed.knows(&pointer.oid, &File::open(&path).unwrap()), "another file is another file");
        assert!(copied(&cache, &pointer).unwrap() == content, "its bytes tell");
    }
}
