//! Content on its way into the cache: hashed as it comes, invisible until it is committed.
//!
//! Apart because it writes no more than it must: little content is compared with what is there, and
//! much content with what it probably equals, so that `git status` of a large file writes nothing.

use std::fs;
use std::io::{self, Write};
use std::sync::Arc;

use tempfile::NamedTempFile;

use super::hashed::{Hashed, times};
use super::known::Known;
use super::{CacheError, IN_MEMORY, Keeps, LocalCache};
use crate::fs::PathError;
use crate::oid::{HasherBeside, Oid, OidHasher};
use crate::pointer::Pointer;

/// Content being written: hashed as it comes, invisible until it is committed, gone when dropped.
pub struct Staged<'a> {
    cache: LocalCache,
    /// Where it goes if it can't be put there.
    fallback: Option<LocalCache>,
    hashing: Hashing,
    body: Body,
    guess: Option<&'a mut dyn FnMut() -> Option<Oid>>,
    len: u64,
    hashed: Hashed,
}

/// Little is hashed here, more on a thread: one costs as much to start as 100 KiB to hash.
enum Hashing {
    Here(OidHasher),
    Beside(HasherBeside),
}

enum Body {
    Memory(Vec<u8>),
    File(NamedTempFile),
    /// So far it is the content of a cached object, which is read along.
    Same(Known),
    /// Only the hash matters.
    Nothing,
}

impl LocalCache {
    /// A place to write content of which the oid is not known yet.
    pub fn stage<'a>(&self) -> Staged<'a> {
        let (cache, fallback) = match self.place_for_fetched() {
            Some(shared) => (shared, Some(LocalCache::new(self.root()))),
            None => (self.clone(), None),
        };
        let body = match self.keeps {
            Keeps::Content => Body::Memory(Vec::new()),
            Keeps::Nothing => Body::Nothing,
        };
        let (hashing, hashed) = (Hashing::Here(OidHasher::new()), self.hashed.clone());
        Staged { cache, fallback, hashing, body, guess: None, len: 0, hashed }
    }

    /// As [`LocalCache::stage`]; `guess` is asked once for what it may turn out to be, if there is much of
    /// it: as long as it equals that object, nothing is written.
    pub fn stage_guessing<'a>(&self, guess: &'a mut dyn FnMut() -> Option<Oid>) -> Staged<'a> {
        Staged { guess: Some(guess), ..self.stage() }
    }

    /// As [`LocalCache::stage`], of a file that is already whole, and whose content was hashed.
    pub fn stage_file(&self, file: NamedTempFile, hasher: OidHasher) -> Staged<'static> {
        Staged { len: hasher.len(), hashing: Hashing::Here(hasher), body: Body::File(file), ..self.stage() }
    }

    /// Whether the cached copy is these very bytes. One that is damaged must be replaced now, since
    /// this may be the only other copy; reading at most [`IN_MEMORY`] costs less than writing them.
    fn holds(&self, pointer: &Pointer, bytes: &[u8]) -> bool {
        fs::read(self.object_path(&pointer.oid)).is_ok_and(|cached| cached == bytes)
    }

    fn spill(&self, bytes: &[u8]) -> Result<NamedTempFile, PathError> {
        let mut file = self.temp_file()?;
        // Not by the temporary file itself, which would name its path once more.
        file.as_file_mut().write_all(bytes).map_err(|e| PathError::new("write", file.path(), e))?;
        Ok(file)
    }
}

impl Staged<'_> {
    /// The first bytes, at most [`IN_MEMORY`] of them: as if they were written, but not copied.
    pub fn begin(&mut self, bytes: Vec<u8>) {
        debug_assert!(self.is_empty() && bytes.len() as u64 <= IN_MEMORY, "these are the first, and not many");
        if let Hashing::Here(hasher) = &mut self.hashing {
            hasher.update(&bytes);
        }
        self.len = bytes.len() as u64;
        if let Body::Memory(memory) = &mut self.body {
            *memory = bytes;
        }
    }

    /// Bytes written so far.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Put the content in its place, and name it. `None` for empty content, which has no pointer.
    pub fn commit(self) -> Result<Option<Pointer>, PathError> {
        if self.is_empty() {
            return Ok(None);
        }
        let Staged { cache, fallback, hashing, body, hashed, .. } = self;
        let hasher = match hashing {
            Hashing::Here(hasher) => hasher,
            Hashing::Beside(beside) => beside.join(),
        };
        place(cache, fallback, hasher, body, &hashed).map(Some)
    }

    /// Give it up, but for the hash of what was written so far.
    pub fn into_hasher(self) -> OidHasher {
        match self.hashing {
            Hashing::Here(hasher) => hasher,
            Hashing::Beside(beside) => beside.join(),
        }
    }

    /// As [`Staged::commit`], but only if the content is what was `expected`; else nothing enters
    /// the cache.
    pub fn commit_as(self, expected: &Oid, expected_size: Option<u64>) -> Result<(), CacheError> {
        let Staged { cache, fallback, hashing, body, hashed, .. } = self;
        let hasher = match hashing {
            Hashing::Here(hasher) => hasher,
            Hashing::Beside(beside) => beside.join(),
        };
        let (got, got_size) = hasher.clone().finish();
        if got != *expected || expected_size.is_some_and(|size| size != got_size) {
            return Err(CacheError::Mismatch { expected: *expected, expected_size, got, got_size });
        }
        if got_size > 0 {
            place(cache, fallback, hasher, body, &hashed)?;
        }
        Ok(())
    }

    /// More than fits in memory: from now on it goes to a file, or along one, and is hashed beside.
    fn grow(&mut self) -> Result<(), PathError> {
        let Body::Memory(bytes) = &mut self.body else { return Ok(()) };
        let bytes = std::mem::take(bytes);
        let known = self.guess.take().and_then(|guess| guess()).and_then(|oid| Known::open(&self.cache, oid, &bytes));
        self.body = match known {
            Some(known) => Body::Same(known),
            None => Body::File(self.cache.spill(&bytes)?),
        };
        if let Hashing::Here(hasher) = &self.hashing {
            // Without a thread it is only slower.
            if let Ok(beside) = HasherBeside::from(hasher.clone()) {
                self.hashing = Hashing::Beside(beside);
            }
        }
        Ok(())
    }

    /// It is not that object after all: what it has in common with it is copied to a file of its own.
    fn part(&mut self) -> Result<(), PathError> {
        let Body::Same(known) = &mut self.body else { return Ok(()) };
        let hasher = match std::mem::replace(&mut self.hashing, Hashing::Here(OidHasher::new())) {
            Hashing::Here(hasher) => hasher,
            Hashing::Beside(beside) => beside.join(),
        };
        let file = known.copy(&self.cache, &hasher)?;
        self.body = Body::File(file);
        self.hashing = HasherBeside::from(hasher.clone()).map_or(Hashing::Here(hasher), Hashing::Beside);
        Ok(())
    }
}

fn place(
    cache: LocalCache,
    fallback: Option<LocalCache>,
    hasher: OidHasher,
    body: Body,
    hashed: &Hashed,
) -> Result<Pointer, PathError> {
    let (oid, size) = hasher.clone().finish();
    let _span = tracing::debug_span!("object", title = "write to the cache", %oid, size);
    let pointer = Pointer { oid, size };
    let there = cache.find_own(&oid, None);
    let has = there == Some(pointer);
    // What is here already, as when 'git status' cleans it again, needs no question.
    if !has && cache.needs_no_copy(&pointer) {
        return Ok(pointer);
    }
    let file = match body {
        // Already on disk: the rename costs nothing, and replaces a copy that may be damaged.
        Body::File(file) => file,
        Body::Nothing => return Ok(pointer),
        Body::Memory(bytes) if has && cache.holds(&pointer, &bytes) => return Ok(pointer),
        Body::Memory(bytes) => {
            if there.is_some() {
                tracing::warn!("the cached copy of {oid} is damaged, and is replaced by what was read now");
            }
            cache.spill(&bytes)?
        }
        // Every byte was compared, and their hash is the object's name: the copy is there, and whole.
        Body::Same(known) if has && known.oid == oid => return Ok(pointer),
        Body::Same(mut known) => known.copy(&cache, &hasher)?,
    };
    let large = if size > IN_MEMORY { file.as_file().try_clone().ok() } else { None };
    let before = large.as_ref().and_then(times);
    match (cache.place(file, &oid), fallback) {
        (Err((_, file)), Some(own)) => own.take_over(file.path(), &oid)?,
        (Err((e, _)), None) => return Err(e),
        (Ok(()), _) => {
            if let Some(file) = large {
                hashed.note(&oid, before, &file);
            }
        }
    }
    Ok(pointer)
}

impl Staged<'_> {
    /// As [`Write::write_all`], of a buffer that the thread which hashes goes on to read: its bytes are not copied for
    /// it. Another buffer, whose bytes mean nothing, for the next ones.
    pub fn write_shared(&mut self, bytes: Vec<u8>) -> io::Result<Vec<u8>> {
        self.make_way(&bytes)?;
        let beside = match &mut self.hashing {
            Hashing::Beside(beside) => beside,
            Hashing::Here(hasher) => {
                hasher.update(&bytes);
                return self.put(&bytes).map(|()| bytes);
            }
        };
        let (shared, spare) = (Arc::new(bytes), beside.recycled());
        beside.share(Arc::clone(&shared));
        self.put(&shared)?;
        Ok(Arc::into_inner(shared).or(spare).unwrap_or_default())
    }

    /// What was enough so far may not be for the next bytes.
    fn make_way(&mut self, next: &[u8]) -> io::Result<()> {
        if let Body::Memory(bytes) = &self.body
            && (bytes.len() + next.len()) as u64 > IN_MEMORY
        {
            self.grow().map_err(io::Error::other)?;
        }
        if let Body::Same(known) = &mut self.body
            && !known.goes_on(next)
        {
            self.part().map_err(io::Error::other)?;
        }
        Ok(())
    }

    /// Keep the next bytes, which are hashed.
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.body {
            Body::Memory(memory) => memory.extend_from_slice(bytes),
            Body::File(file) => file.as_file_mut().write_all(bytes)?,
            Body::Same(_) | Body::Nothing => {}
        }
        self.len += bytes.len() as u64;
        Ok(())
    }
}

impl Write for Staged<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.make_way(buf)?;
        match &mut self.hashing {
            Hashing::Here(hasher) => hasher.update(buf),
            Hashing::Beside(beside) => beside.update(buf),
        }
        self.put(buf)?;
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LARGE: usize = 3 << 20;

    fn cache() -> (tempfile::TempDir, LocalCache) {
        let dir = tempfile::tempdir().unwrap();
        let cache = LocalCache::new(dir.path().join("s3lfs"));
        (dir, cache)
    }

    fn content() -> Vec<u8> {
        (0..LARGE).map(|n| (n % 251) as u8).collect()
    }

    fn put(cache: &LocalCache, content: &[u8], guess: Option<Oid>) -> Pointer {
        let mut guess = || guess;
        let mut staged = cache.stage_guessing(&mut guess);
        content.chunks(65516).for_each(|piece| staged.write_all(piece).unwrap());
        staged.commit().unwrap().unwrap()
    }

    fn is_whole(cache: &LocalCache, content: &[u8]) -> bool {
        fs::read(cache.object_path(&Oid::of(content))).is_ok_and(|cached| cached == content)
    }

    #[test]
    fn what_equals_the_guess_is_not_written_again() {
        let (_dir, cache) = cache();
        let content = content();
        let pointer = put(&cache, &content, None);
        let tmp = cache.root().join("tmp");
        fs::remove_dir_all(&tmp).unwrap();
        assert_eq!(put(&cache, &content, Some(pointer.oid)), pointer);
        assert!(!tmp.exists(), "no temporary file was made");
        assert!(is_whole(&cache, &content));
    }

    #[test]
    fn whatever_the_guess_the_content_is_kept() {
        let (_dir, cache) = cache();
        let old = content();
        let guess = put(&cache, &old, None).oid;
        let changed = |at: usize| {
            let mut new = old.clone();
            new[at] ^= 1;
            new
        };
        let longer = [old.as_slice(), b"more"].concat();
        let other =
            [changed(0), changed(IN_MEMORY as usize + 5), changed(LARGE - 1), longer, old[..LARGE - 9].to_vec()];
        for new in &other {
            let pointer = put(&cache, new, Some(guess));
            assert_eq!(Some(pointer), Pointer::to(new));
            assert!(is_whole(&cache, new), "the new content is in the cache, whole");
        }
        assert!(is_whole(&cache, &old), "and so is the old one");
        let unknown = put(&cache, &old, Some(Oid::of(b"not here")));
        assert_eq!(unknown.oid, guess, "a guess at what is not here costs nothing");
    }

    #[test]
    fn a_damaged_guess_is_replaced_and_never_believed() {
        for at in [0, IN_MEMORY as usize + 5, LARGE - 1] {
            let (_dir, cache) = cache();
            let content = content();
            let guess = put(&cache, &content, None).oid;
            let mut damaged = content.clone();
            damaged[at] ^= 1;
            fs::write(cache.object_path(&guess), &damaged).unwrap();
            put(&cache, &content, Some(guess));
            assert!(is_whole(&cache, &content), "the content is in the cache, whole");
            // Content that is what the damaged object now holds is stored under its own name.
            fs::write(cache.object_path(&guess), &damaged).unwrap();
            put(&cache, &damaged, Some(guess));
            assert!(is_whole(&cache, &damaged), "and so is what equals the damage");
        }
    }

    #[test]
    fn an_object_that_changes_while_it_is_read_along_is_an_error() {
        let (_dir, cache) = cache();
        let mut content = content();
        let guess = put(&cache, &content, None).oid;
        let mut ask = || Some(guess);
        let mut staged = cache.stage_guessing(&mut ask);
        staged.write_all(&content[..LARGE / 2]).unwrap();
        let mut other = content.clone();
        other[7] ^= 1;
        fs::write(cache.object_path(&guess), &other).unwrap();
        content[LARGE / 2] ^= 1;
        let written = staged.write_all(&content[LARGE / 2..]);
        assert!(written.is_err(), "the first half is nowhere any more, and that is said");
    }
}
