//! Who uses the cache right now: a lock that all share but the one who deletes.
//!
//! Apart because between "it is in the cache" and the index that names it there is time: a checkout or
//! an `add` that runs holds the lock until Git has written its index (the filter ends after Git has).
//! The lock is on the directory itself, so that no file stands in it for that, and goes with its
//! process, however that ends.

use std::fs::{File, TryLockError};
use std::io;
use std::time::{Duration, Instant};

use super::LocalCache;

/// What was in the cache stays there as long as this lives.
#[derive(Debug, Default)]
pub struct InUse(#[allow(dead_code, reason = "held, not read")] Option<File>);

/// Nobody else uses the cache as long as this lives.
#[derive(Debug)]
pub struct Alone(#[allow(dead_code, reason = "held, not read")] Option<File>);

impl LocalCache {
    /// Share the cache. Where that can't be said (a filesystem without such locks) it is used all the
    /// same: what is deleted under us is in the store.
    pub fn hold(&self) -> InUse {
        let lock = || -> io::Result<File> {
            let dir = File::open(&self.root)?;
            dir.lock_shared()?;
            Ok(dir)
        };
        InUse(lock().map_err(|e| self.unlocked(&e)).ok())
    }

    /// Wait until nobody else uses the cache, at most for `patience`. `None`: somebody still does.
    pub fn alone(&self, patience: Duration) -> Option<Alone> {
        let begun = Instant::now();
        let dir = match File::open(&self.root) {
            Ok(dir) => dir,
            Err(e) => {
                self.unlocked(&e);
                return Some(Alone(None));
            }
        };
        loop {
            match dir.try_lock() {
                Ok(()) => return Some(Alone(Some(dir))),
                Err(TryLockError::Error(e)) => {
                    self.unlocked(&e);
                    return Some(Alone(None));
                }
                Err(TryLockError::WouldBlock) if begun.elapsed() >= patience => return None,
                Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    fn unlocked(&self, why: &io::Error) {
        tracing::debug!("{} is used without a lock: {why}", self.root.display());
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
        assert!(cache.alone(Duration::ZERO).is_none(), "somebody uses it");
        drop(one);
        assert!(cache.alone(Duration::ZERO).is_none(), "somebody still does");
        drop(two);
        let alone = cache.alone(Duration::ZERO).unwrap();
        assert!(cache.alone(Duration::ZERO).is_none(), "only one is");
        drop(alone);
        let _again = cache.hold();
        assert!(LocalCache::new(dir.path().join("none")).hold().0.is_none(), "nothing is made for it");
        assert!(!dir.path().join("none").exists());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "and no file stands in the way");
    }
}
