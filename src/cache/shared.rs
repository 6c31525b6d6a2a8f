//! A cache directory that clones share (`s3lfs.cachedir`): looked into after the clone's own objects,
//! filled with what the store has.
//!
//! Apart because nothing there counts as kept: anybody may empty it, so content moves there only when a
//! store of this very clone has it, and every failure there is one warning, never a failed command.

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use tempfile::NamedTempFile;

use super::{LocalCache, Registered, create_parent};
use crate::error::{advised, chain, is_full};
use crate::fs::{PathContext, PathError, is_absent, share, temp_in};
use crate::oid::{HashingReader, Oid};
use crate::pointer::Pointer;

/// What the cache asks about the shared directory, once it matters: `git status` never does.
pub trait Sharing: Send + Sync {
    /// The directory, if there is a usable one; the user was told why not.
    fn directory(&self) -> Option<PathBuf>;
    /// Whether this clone needs no copy of its own: a store of it was lately proved to have the
    /// content, or the content came here from the shared directory itself.
    fn is_confirmed(&self, oid: &Oid) -> bool;
    /// The content came from the shared directory, for a pointer that this clone has.
    fn delivered(&self, oid: &Oid);
    /// The clone, as it stands in the register of the shared directory; `None`: it can't be told.
    fn registered_as(&self) -> Option<Registered>;
}

/// The shared directory, as one process knows it.
pub(super) struct Shared {
    ask: Box<dyn Sharing>,
    directory: OnceLock<Option<LocalCache>>,
    /// Something failed there: this process leaves it alone from now on.
    given_up: AtomicBool,
    /// Whether a file could be made there.
    writable: OnceLock<bool>,
    /// There was no room for what should be put there.
    full: AtomicBool,
    /// Whether this clone stands in the register.
    registered: OnceLock<bool>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Shared").field(&self.directory).finish()
    }
}

impl Shared {
    fn give_up(&self, error: &PathError) {
        if !self.given_up.swap(true, Ordering::Relaxed) {
            tracing::warn!("the shared cache (s3lfs.cachedir) is left alone: {}", chain(error));
        }
    }
}

impl LocalCache {
    /// This cache, with a shared directory behind it.
    pub fn sharing(mut self, ask: impl Sharing + 'static) -> Self {
        let (given_up, full) = (AtomicBool::new(false), AtomicBool::new(false));
        let (directory, writable, registered) = (OnceLock::new(), OnceLock::new(), OnceLock::new());
        let shared = Shared { ask: Box::new(ask), directory, given_up, writable, full, registered };
        self.shared = Some(Arc::new(shared));
        self
    }

    /// The same cache for content that comes from the store: it is put into the shared directory.
    pub fn fetching(&self) -> Self {
        LocalCache { fetching: true, ..self.clone() }
    }

    /// The shared directory, for looking through all of it; `None`: there is none that can be used.
    pub fn shared_directory(&self) -> Option<LocalCache> {
        self.shared().cloned()
    }

    /// The shared directory, as a cache by itself.
    pub(super) fn shared(&self) -> Option<&LocalCache> {
        let shared = self.shared.as_ref().filter(|shared| !shared.given_up.load(Ordering::Relaxed))?;
        shared.directory.get_or_init(|| shared.ask.directory().map(LocalCache::new)).as_ref()
    }

    /// Whether this clone may leave content to the shared directory: it stands in its register, so that whoever
    /// deletes there asks what it needs. Where it can't be entered, it goes on with copies of its own.
    pub fn is_registered(&self) -> bool {
        let (Some(shared), Some(directory)) = (&self.shared, self.shared()) else { return false };
        let enter = || {
            let entered = shared.ask.registered_as().map(|clone| directory.enter(&clone));
            match entered {
                Some(Err(e)) => {
                    tracing::info!("the shared cache (s3lfs.cachedir) does not know this clone: {}", chain(&e))
                }
                Some(Ok(())) => return true,
                None => {}
            }
            false
        };
        *shared.registered.get_or_init(enter)
    }

    /// Do something with the shared directory. `None`: there is none, or it failed.
    pub(super) fn in_shared<T>(&self, act: impl FnOnce(&LocalCache) -> Result<T, PathError>) -> Option<T> {
        act(self.shared()?).map_err(|e| self.shared.as_ref().inspect(|shared| shared.give_up(&e))).ok()
    }

    /// Read content there, of which no copy of our own is needed from now on.
    pub(super) fn read_shared<T>(
        &self,
        oid: &Oid,
        read: impl FnOnce(&LocalCache) -> Result<Option<T>, PathError>,
    ) -> Option<T> {
        let found = self.in_shared(read).flatten()?;
        if let Some(shared) = self.shared.as_ref().filter(|_| self.is_registered()) {
            shared.ask.delivered(oid);
        }
        Some(found)
    }

    /// The shared directory, if content that was fetched can be put there.
    pub(super) fn place_for_fetched(&self) -> Option<LocalCache> {
        if !self.fetching {
            return None;
        }
        let directory = self.shared()?.clone();
        let shared = self.shared.as_ref()?;
        // What is there is read all the same, also what another file waits for that is fetched beside this one.
        let unwritable = |e: PathError| {
            tracing::warn!("the shared cache (s3lfs.cachedir) is only read: {}", chain(&e));
        };
        let probe = || directory.temp_file().map_err(unwritable).is_ok();
        let has_room = !shared.full.load(Ordering::Relaxed);
        (has_room && *shared.writable.get_or_init(probe) && self.is_registered()).then_some(directory)
    }

    /// Where content that is fetched is put: the directory of all state of that cache.
    pub fn root_for_fetched(&self) -> PathBuf {
        self.place_for_fetched().map_or_else(|| self.root().to_owned(), |shared| shared.root().to_owned())
    }

    /// Whether content that was fetched may be written after all, in a second attempt: it was meant for the shared
    /// directory, whose disk is full, and from now on it is put into the clone's own cache.
    pub fn has_room_elsewhere(&self, error: &PathError) -> bool {
        let Some(shared) = self.shared.as_ref().filter(|_| self.fetching && is_full(error)) else { return false };
        // Not a disk of the clone's own that is full.
        if !self.shared().is_some_and(|directory| error.path().starts_with(directory.root())) {
            return false;
        }
        if !shared.full.swap(true, Ordering::Relaxed) {
            tracing::warn!("the shared cache (s3lfs.cachedir) is only read: {}", advised(error));
        }
        true
    }

    /// Whether content that was cleaned needs no copy of this clone's own: it is in the shared
    /// directory, and a store of this clone has it.
    pub(super) fn needs_no_copy(&self, pointer: &Pointer) -> bool {
        let shared = || self.shared().is_some_and(|shared| shared.find_own(&pointer.oid, Some(pointer.size)).is_some());
        let is_confirmed = || self.shared.as_ref().is_some_and(|shared| shared.ask.is_confirmed(&pointer.oid));
        !self.fetching && shared() && is_confirmed() && self.is_registered()
    }

    /// Move to the shared directory what is `confirmed` to be in this clone's store. What can't be moved
    /// stays, and costs nothing but space.
    pub fn share(&self, confirmed: impl Fn(&Oid) -> bool) {
        if !self.is_registered() {
            return;
        }
        for (oid, path) in self.own_objects().into_iter().filter(|(oid, _)| confirmed(oid)) {
            self.in_shared(|shared| match shared.take_over(&path, &oid) {
                // Another process was faster.
                Err(_) if !path.exists() => Ok(()),
                taken => taken,
            });
        }
    }

    /// Objects in the clone's own cache. What can't be listed is not moved.
    fn own_objects(&self) -> Vec<(Oid, PathBuf)> {
        let list = |dir: PathBuf| fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
        let objects = list(self.root.join("objects")).flat_map(list);
        let named = |path: PathBuf| Some((Oid::from_hex(path.file_name()?.as_encoded_bytes())?, path));
        objects.filter_map(named).collect()
    }

    /// Put a file in the place of `oid`; it is handed back if it can't be.
    pub(super) fn place(&self, file: NamedTempFile, oid: &Oid) -> Result<(), (PathError, NamedTempFile)> {
        let path = self.object_path(oid);
        let put = match file.persist(&path) {
            Err(e) if is_absent(&e.error) => match create_parent(&path) {
                Ok(()) => e.file.persist(&path),
                Err(failed) => return Err((failed, e.file)),
            },
            put => put,
        };
        match put {
            Err(e) if e.error.kind() == io::ErrorKind::CrossesDevices => {
                copy_beside(e.file.path(), &path).map_err(|failed| (failed, e.file))
            }
            put => put.map(drop).map_err(|e| (PathError::new("put into the cache", &path, e.error), e.file)),
        }
    }

    /// Put the file at `from` in the place of `oid` here: renamed, or copied from another filesystem and
    /// then removed there. A damaged one is not copied.
    pub(super) fn take_over(&self, from: &Path, oid: &Oid) -> Result<(), PathError> {
        let to = self.object_path(oid);
        create_parent(&to)?;
        if fs::rename(from, &to).is_ok() {
            return Ok(());
        }
        let mut copy = self.temp_file()?;
        let mut reader = HashingReader::new(File::open(from).context("open", from)?);
        io::copy(&mut reader, copy.as_file_mut()).context("copy to another cache", from)?;
        if reader.finish().0 != *oid {
            return Err(PathError::new("copy to another cache", from, io::Error::other("it is damaged")));
        }
        self.place(copy, oid).map_err(|(e, _)| e)?;
        fs::remove_file(from).context("remove", from)
    }
}

/// Where `objects` is on another filesystem than `tmp` (somebody moved it to a larger disk): once more, there.
fn copy_beside(from: &Path, to: &Path) -> Result<(), PathError> {
    let mut beside = temp_in(to.parent().unwrap_or(to))?;
    share(beside.path())?;
    let mut source = File::open(from).context("open", from)?;
    io::copy(&mut source, beside.as_file_mut()).context("put into the cache", to)?;
    beside.persist(to).map(drop).map_err(|e| PathError::new("put into the cache", to, e.error))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::io::Write;
    use std::sync::Mutex;

    use super::super::Content;
    use super::*;

    struct Fake {
        own: PathBuf,
        directory: Option<PathBuf>,
        confirmed: Arc<Mutex<BTreeSet<Oid>>>,
    }

    impl Sharing for Fake {
        fn directory(&self) -> Option<PathBuf> {
            self.directory.clone()
        }

        fn is_confirmed(&self, oid: &Oid) -> bool {
            self.confirmed.lock().unwrap().contains(oid)
        }

        fn delivered(&self, oid: &Oid) {
            self.confirmed.lock().unwrap().insert(*oid);
        }

        fn registered_as(&self) -> Option<Registered> {
            Some(Registered { machine: "here".to_owned(), git_dir: self.own.clone(), worktree: None })
        }
    }

    struct Clone {
        cache: LocalCache,
        confirmed: Arc<Mutex<BTreeSet<Oid>>>,
    }

    /// A clone's cache in `own` with the shared directory `shared`.
    fn clone(own: &Path, shared: &Path) -> Clone {
        let confirmed = Arc::new(Mutex::new(BTreeSet::new()));
        let fake = Fake { own: own.to_owned(), directory: Some(shared.to_owned()), confirmed: Arc::clone(&confirmed) };
        Clone { cache: LocalCache::new(own).sharing(fake), confirmed }
    }

    fn put(cache: &LocalCache, content: &[u8]) -> Pointer {
        let mut staged = cache.stage();
        staged.write_all(content).unwrap();
        staged.commit().unwrap().unwrap()
    }

    fn is_loaded(cache: &LocalCache, pointer: &Pointer) -> bool {
        matches!(cache.load(pointer).unwrap(), Some(Content::Verified(bytes)) if Pointer::to(&bytes) == Some(*pointer))
    }

    fn dirs() -> (tempfile::TempDir, PathBuf, PathBuf, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let (one, two, shared) = (path("one"), path("two"), path("shared"));
        (dir, one, two, shared)
    }

    #[test]
    fn much_content_that_is_shared_is_not_written_again() {
        let (_dir, one, _, shared) = dirs();
        let clone = clone(&one, &shared);
        let content: Vec<u8> = (0..3 << 20).map(|i: u32| (i >> 9) as u8).collect();
        let pointer = put(&LocalCache::new(&shared), &content);
        let mut guess = || Some(pointer.oid);
        let mut written = |content: &[u8]| {
            let mut staged = clone.cache.stage_guessing(&mut guess);
            staged.write_all(content).unwrap();
            (fs::read_dir(one.join("tmp")).map_or(0, Iterator::count), staged.commit().unwrap().unwrap())
        };
        clone.confirmed.lock().unwrap().insert(pointer.oid);
        assert_eq!(written(&content), (0, pointer), "each byte was compared");
        let more = [&content[..], b"more"].concat();
        assert!(clone.cache.contains(&written(&more).1), "what goes on otherwise is kept");
    }

    #[test]
    fn what_was_cleaned_is_shared_only_when_it_is_confirmed() {
        let (_dir, one, two, shared) = dirs();
        let (first, second) = (clone(&one, &shared), clone(&two, &shared));
        let pointer = put(&first.cache, b"content");
        first.cache.share(|_| false);
        assert!(!second.cache.contains(&pointer), "an unconfirmed object stays with its clone");
        first.cache.share(|oid| *oid == pointer.oid);
        assert!(first.cache.find_own(&pointer.oid, None).is_none(), "it was moved");
        put(&second.cache, b"content");
        assert!(
            second.cache.find_own(&pointer.oid, None).is_some(),
            "another clone keeps its own: its store is not ours"
        );
        first.confirmed.lock().unwrap().insert(pointer.oid);
        put(&first.cache, b"content");
        assert!(first.cache.find_own(&pointer.oid, None).is_none(), "cleaned again, what is confirmed needs no copy");
        assert!(is_loaded(&first.cache, &pointer), "it is read where it is");

        let third = clone(&two.with_extension("third"), &shared);
        assert!(is_loaded(&third.cache, &pointer), "a clone that never had it reads it too");
        put(&third.cache, b"content");
        assert!(third.cache.find_own(&pointer.oid, None).is_none(), "what it had from there needs no copy either");
    }

    #[test]
    fn what_was_fetched_goes_to_the_shared_directory_or_else_to_our_own() {
        let (_dir, one, two, shared) = dirs();
        let (first, second) = (clone(&one, &shared), clone(&two, &shared));
        let pointer = put(&first.cache.fetching(), b"content");
        assert!(first.cache.find_own(&pointer.oid, None).is_none() && second.cache.contains(&pointer));
        let large = put(&first.cache.fetching(), &vec![7; super::super::IN_MEMORY as usize + 1]);
        assert!(second.cache.contains(&large), "also what is written while it comes");

        fs::write(two.with_extension("file"), "").unwrap();
        let broken = clone(&one, &two.with_extension("file"));
        let pointer = put(&broken.cache.fetching(), b"other content");
        assert!(broken.cache.find_own(&pointer.oid, None).is_some(), "nothing can be put there");
    }

    #[test]
    fn a_place_that_fails_late_costs_nothing() {
        let (_dir, one, _, shared) = dirs();
        let first = clone(&one, &shared);
        let mut staged = first.cache.fetching().stage();
        staged.write_all(&vec![7; super::super::IN_MEMORY as usize + 1]).unwrap();
        fs::write(shared.join("objects"), "in the way").unwrap();
        let pointer = staged.commit().unwrap().unwrap();
        assert!(first.cache.find_own(&pointer.oid, None).is_some(), "it is in our own cache instead");
        let small = put(&first.cache, b"content");
        first.cache.share(|_| true);
        assert!(first.cache.find_own(&small.oid, None).is_some(), "what can't be moved stays");
    }

    #[test]
    fn damage_there_is_set_aside_there_and_never_delivered() {
        let (_dir, one, _, shared) = dirs();
        let first = clone(&one, &shared);
        let directory = LocalCache::new(&shared);
        for damaged in [b"contenT".as_slice(), b"", b"content and more"] {
            let pointer = put(&directory, b"content");
            fs::write(directory.object_path(&pointer.oid), damaged).unwrap();
            assert!(first.cache.load(&pointer).unwrap().is_none(), "damaged bytes are never delivered");
            assert!(!directory.object_path(&pointer.oid).exists() && shared.join("bad").exists());
        }
        let pointer = put(&directory, b"content");
        first.cache.set_aside(&pointer.oid).unwrap();
        assert!(!first.cache.contains(&pointer), "found damaged by a reader, it is set aside where it lies");
    }

    #[test]
    fn another_filesystem_gets_a_copy_of_what_is_sound() {
        let (_dir, one, _, _) = dirs();
        let Ok(elsewhere) = tempfile::tempdir_in("/dev/shm") else { return };
        let first = clone(&one, elsewhere.path());
        let (good, bad) = (put(&first.cache, b"good"), put(&first.cache, b"bad"));
        fs::write(first.cache.object_path(&bad.oid), b"baD").unwrap();
        first.cache.share(|_| true);
        assert!(
            is_loaded(&LocalCache::new(elsewhere.path()), &good) && first.cache.find_own(&good.oid, None).is_none()
        );
        assert!(!LocalCache::new(elsewhere.path()).contains(&bad) && first.cache.find_own(&bad.oid, None).is_some());
    }
}
