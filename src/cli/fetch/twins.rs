//! Large files of the worktree that are written while their content comes, so that it need not be read from the
//! cache again.
//!
//! Apart because it is between the two: the engine writes them, and where they go is the worktree's matter. They lie
//! in the cache's `tmp` like every file that waits for its place.

use std::collections::HashMap;
use std::fs::File;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::download::Waiting;
use super::put::{BYTES_AT_ONCE, Copies};
use crate::cache::LocalCache;
use crate::cli::context::Context;
use crate::error::chain;
use crate::fs::{Beneath, PathContext, Unplaced, free_space, shares_blocks};
use crate::pointer::Pointer;
use crate::transfer::{Item, Twins};
use crate::worktree::{Ready, Target, stage};

/// What is shorter is copied in no time.
const WORTH_IT: u64 = 16 << 20;

/// So much room stays on the disk beside both copies, or there is none for the second.
const SPARE: u64 = 256 << 20;

/// Files that are written, and for which content.
pub(super) type Made = HashMap<Item, (Target, Ready)>;

/// The large files that wait for content.
pub(super) struct AsItComes {
    worktree: Beneath,
    cache: LocalCache,
    files: Mutex<Files>,
}

#[derive(Default)]
struct Files {
    wanted: HashMap<Item, Target>,
    /// Being written.
    staged: HashMap<Item, Unplaced>,
    made: Made,
    /// Bytes of all that were begun: what a killed command leaves lying is no more.
    bytes: u64,
}

impl AsItComes {
    /// One file for each content. None where a copy costs nothing, or would lie in the worktree meanwhile.
    pub fn new(context: &Context, waiting: &Waiting) -> Self {
        let cache = context.cache();
        let large = |item: &Item| item.size.is_none_or(|size| size >= WORTH_IT);
        let large: Vec<_> = waiting.iter().filter(|(item, _)| large(item)).collect();
        let is_wanted =
            !large.is_empty() && Copies::of(context, &cache) == Copies::Before && !shares_blocks(&cache.tmp());
        let first = |(item, files): (&Item, &Vec<(Target, _)>)| Some((*item, files.first()?.0.clone()));
        let wanted = if is_wanted { large.into_iter().filter_map(first).collect() } else { HashMap::new() };
        Self::of(context.worktree.clone(), cache, wanted)
    }

    fn of(worktree: Beneath, cache: LocalCache, wanted: HashMap<Item, Target>) -> Self {
        AsItComes { worktree, cache, files: Mutex::new(Files { wanted, ..Files::default() }) }
    }

    /// What was made. Nothing more is wanted.
    pub fn end(&self) -> Made {
        std::mem::take(&mut *self.files()).made
    }

    fn files(&self) -> MutexGuard<'_, Files> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Twins for AsItComes {
    fn begin(&self, item: &Item, len: u64) -> Option<File> {
        let mut files = self.files();
        let target = files.wanted.get(item)?;
        // One of them may have any length, as when it is copied. But what the cache has room for comes first.
        let needed = len.saturating_mul(2).saturating_add(SPARE);
        let has_room = || free_space(self.cache.root()).is_none_or(|room| room >= needed);
        if files.bytes > 0 && files.bytes.saturating_add(len) > BYTES_AT_ONCE || !has_room() {
            return None;
        }
        let begun = stage(&self.worktree, &self.cache, target).and_then(|mut staged| {
            let file = staged.file().try_clone().context("open the temporary file of", &target.path.to_path())?;
            Ok((staged, file))
        });
        match begun {
            Ok((staged, file)) => {
                files.bytes += len;
                files.staged.insert(*item, staged);
                Some(file)
            }
            Err(e) => {
                tracing::info!("{} is written later: {}", target.path, chain(&e));
                None
            }
        }
    }

    fn whole(&self, item: &Item) {
        let mut files = self.files();
        let Some(mut staged) = files.staged.remove(item) else { return };
        let Ok(size) = staged.file().metadata().map(|file| file.len()) else { return };
        if let Some(target) = files.wanted.remove(item) {
            files.made.insert(*item, (target, Ready::written(staged, Pointer { oid: item.oid, size })));
        }
    }

    fn lost(&self, item: &Item) {
        self.files().staged.remove(item);
    }
}

impl Drop for AsItComes {
    fn drop(&mut self) {
        let made = self.end();
        made.into_values().for_each(|(target, ready)| ready.discard(&self.worktree, &target));
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use super::*;
    use crate::oid::Oid;
    use crate::repo_path::RepoPath;
    use crate::worktree::Overwrite;

    fn wants(dir: &tempfile::TempDir, names: &[&str]) -> (AsItComes, Vec<Item>) {
        let items: Vec<_> = names.iter().map(|name| Item { oid: Oid::of(name.as_bytes()), size: None }).collect();
        let target = |(name, item): (&&str, &Item)| {
            let path = RepoPath::new(name.as_bytes()).unwrap();
            (*item, Target { path, item: *item, executable: *name == "run", tracked: true })
        };
        let wanted = names.iter().zip(&items).map(target).collect();
        let cache = LocalCache::new(dir.path().join("s3lfs"));
        (AsItComes::of(Beneath::new(dir.path()), cache, wanted), items)
    }

    fn left(dir: &tempfile::TempDir) -> usize {
        fs::read_dir(dir.path().join("s3lfs/tmp")).unwrap().count()
    }

    #[test]
    fn what_became_whole_can_be_put_in_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let (twins, items) = wants(&dir, &["a", "run", "broken"]);
        for item in &items {
            // The first one is of no use: it was begun again.
            twins.begin(item, 7).unwrap().write_all(b"wrong").unwrap();
            twins.begin(item, 7).unwrap().write_all(b"content").unwrap();
        }
        assert!(twins.begin(&Item { oid: Oid::of(b"other"), size: None }, 7).is_none(), "nobody wants that");
        items[..2].iter().for_each(|item| twins.whole(item));
        assert!(twins.begin(&items[2], u64::MAX).is_none(), "no disk has room for that");
        twins.lost(&items[2]);
        assert_eq!(left(&dir), 2, "what was lost takes no room");
        let mut made = twins.end();
        assert_eq!((made.len(), left(&dir)), (2, 2), "what did not become whole is gone");
        for item in &items[..2] {
            let (target, ready) = made.remove(item).unwrap();
            let put = ready.put(&twins.worktree, &target, Overwrite::PointersOnly).unwrap();
            assert_eq!(put.unwrap().0, Pointer { oid: item.oid, size: 7 });
        }
        assert_eq!(fs::read(dir.path().join("run")).unwrap(), b"content");
        #[cfg(unix)]
        for (name, may_run) in [("a", false), ("run", true)] {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(dir.path().join(name)).unwrap().permissions().mode() & 0o100 != 0, may_run);
        }
    }

    #[test]
    fn not_more_lies_there_than_when_it_is_copied() {
        let dir = tempfile::tempdir().unwrap();
        let (twins, items) = wants(&dir, &["a", "b", "c"]);
        assert!(twins.begin(&items[0], BYTES_AT_ONCE - 1).is_some());
        assert!(twins.begin(&items[1], 1).is_some());
        assert!(twins.begin(&items[2], 1).is_none(), "it is copied later");
        drop(twins);
        let (twins, items) = wants(&dir, &["a", "b"]);
        assert!(twins.begin(&items[0], BYTES_AT_ONCE + 1).is_some(), "one may be larger");
        assert!(twins.begin(&items[1], 1).is_none());
        twins.whole(&items[0]);
        assert_eq!(left(&dir), 1);
        drop(twins);
        assert_eq!(left(&dir), 0, "what nobody puts does not stay");
    }
}
