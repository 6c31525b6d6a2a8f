//! Who uses the cache right now: a lock that all share but the one who deletes.
//!
//! Apart because between "it is in the cache" and the index that names it there is time: a checkout or
//! an `add` that runs holds the lock until Git has written its index (the filter ends after Git has).
//! The lock goes with its process, however that ends.

use std::fs::File;
use std::io;
use std::time::{Duration, Instant};

use super::LocalCache;
use crate::fs::{PathError, is_absent};

/// What was in the cache stays there as long as this lives.
#[derive(Debug, Default)]
pub struct InUse(#[allow(dead_code, reason = "held, not read")] Option<File>);

/// Nobody else uses the cache as long as this lives.
#[derive(Debug)]
pub struct Alone(#[allow(dead_code, reason = "held, not read")] File);

impl LocalCache {
    /// Share the cache. Where that can't be said (a repository that may not be written to, a filesystem
    /// without locks) it is used all the same: what is deleted under us is in the store.
    pub fn hold(&self) -> InUse {
        let lock = || -> io::Result<File> {
            let file = self.lock_file()?;
            file.lock_shared()?;
            Ok(file)
        };
        match lock() {
            Ok(file) => InUse(Some(file)),
            Err(e) => {
                tracing::debug!("the cache in {} is used without its lock: {e}", self.root.display());
                InUse(None)
            }
        }
    }

    /// Wait until nobody else uses the cache, at most for `patience`. `None`: somebody still does.
    pub fn alone(&self, patience: Duration) -> Result<Option<Alone>, PathError> {
        let failed = |e| PathError::new("lock the cache in", self.root.clone(), e);
        let file = match self.lock_file() {
            Ok(file) => file,
            Err(e) if is_absent(&e) => return Ok(None),
            Err(e) => return Err(failed(e)),
        };
        let begun = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Some(Alone(file))),
                Err(std::fs::TryLockError::Error(e)) => return Err(failed(e)),
                Err(std::fs::TryLockError::WouldBlock) if begun.elapsed() >= patience => return Ok(None),
                Err(std::fs::TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    /// The directory is not made: without one there is nothing that could be deleted.
    fn lock_file(&self) -> io::Result<File> {
        File::options().create(true).append(true).open(self.root.join("in-use.lock"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_may_use_it_and_one_may_be_alone() {
        let dir = tempfile::tempdir().unwrap();
        let cache = LocalCache::new(dir.path());
        let (one, two) = (cache.hold(), cache.hold());
        assert!(cache.alone(Duration::ZERO).unwrap().is_none(), "somebody uses it");
        drop(one);
        assert!(cache.alone(Duration::ZERO).unwrap().is_none(), "somebody still does");
        drop(two);
        let alone = cache.alone(Duration::ZERO).unwrap().unwrap();
        assert!(cache.alone(Duration::ZERO).unwrap().is_none(), "only one is");
        drop(alone);
        let _again = cache.hold();
        assert!(LocalCache::new(dir.path().join("none")).hold().0.is_none(), "nothing is made for it");
        assert!(!dir.path().join("none").exists());
    }
}
