//! Files of the worktree that we write ourselves: what is there, and how it is replaced.
//!
//! Apart because it is the one place where a user's only copy could be overwritten (design.md,
//! invariant 1): a file is replaced only while it is missing or still the pointer.

use std::fs::{File, Metadata};
use std::io::{self, Read, Seek, Write};
use std::time::Duration;

use crate::cache::LocalCache;
use crate::fs::{Beneath, Browse, PathContext, PathError, Place, Shelved, Standing, Times, Unplaced};
use crate::oid::{Oid, copy_hashing};
use crate::pointer::{MAX_POINTER_LEN, MIN_POINTER_LEN, Pointer, lfs};
use crate::repo_path::RepoPath;
use crate::transfer::Item;

/// A file that is to have certain content.
#[derive(Clone, Debug)]
pub struct Target {
    /// Where.
    pub path: RepoPath,
    /// What.
    pub item: Item,
    /// Mode 100755 in the index.
    pub executable: bool,
    /// In Git's index; else the manifest alone names it.
    pub tracked: bool,
}

/// What stands at a target's path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FileState {
    /// Nothing.
    Missing,
    /// The pointer to the very content.
    PointerOnly,
    /// The content, as far as Git's recorded times tell (for a tracked file) or by its hash.
    Present,
    /// Something else: the user's.
    Changed,
}

/// Whether a file with changes may be replaced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Overwrite {
    /// Only what is missing or a pointer.
    PointersOnly,
    /// The user said `--force`.
    Changes,
    /// Also a file with exactly this content, which is known to be safe in the store.
    Stored(Oid),
}

/// Why a file was not written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The disk refused, or the path leads through a symbolic link.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The cached copy was damaged, and has been set aside.
    #[error("the cached copy of its content was damaged and has been set aside; run the command again")]
    Damaged,
    /// The file changed while its content was fetched.
    #[error("it was changed meanwhile and is kept")]
    ChangedMeanwhile,
    /// The index or the manifest names other content, or none.
    #[error("Git has other content for it by now, or none: another command ran at the same time")]
    NotWanted,
}

/// Look at what stands at `target`. `differs`: Git says that the worktree file differs from the index.
pub fn state_of(worktree: &Beneath, target: &Target, differs: bool) -> Result<FileState, PathError> {
    match worktree.find(&target.path)? {
        Some(place) => state_at(&place, target, differs),
        None => Ok(FileState::Missing),
    }
}

/// Whether a regular file stands at `path` whose length is none of a pointer to `item`. Where Git sees no difference,
/// it is the content, and [`state_of`] need not open it.
pub fn is_no_pointer(browse: &mut Browse<'_>, path: &RepoPath, item: &Item) -> bool {
    let may_be = |len: u64| match item.size {
        Some(size) => Pointer { oid: item.oid, size }.may_have_length(len),
        None => (MIN_POINTER_LEN as u64..MAX_POINTER_LEN as u64).contains(&len),
    };
    browse.file_len(path).is_some_and(|len| !may_be(len))
}

/// As [`state_of`], of one target after the other.
pub fn state_browsing(browse: &mut Browse<'_>, target: &Target, differs: bool) -> Result<FileState, PathError> {
    match target.tracked && !differs && is_no_pointer(browse, &target.path, &target.item) {
        true => Ok(FileState::Present),
        false => state_of(browse.beneath(), target, differs),
    }
}

fn state_at(place: &Place, target: &Target, differs: bool) -> Result<FileState, PathError> {
    let mut file = match place.open()? {
        None => return Ok(FileState::Missing),
        Some(Standing::Other) => return Ok(FileState::Changed),
        Some(Standing::File(file)) => file,
    };
    let len = file.metadata().context("look at", place.full())?.len();
    if len < MAX_POINTER_LEN as u64
        && let Some(pointer) = read_pointer(&mut file, place)?
        && pointer.oid == target.item.oid
    {
        return Ok(FileState::PointerOnly);
    }
    if target.tracked && !differs {
        return Ok(FileState::Present);
    }
    if target.item.size.is_some_and(|size| size != len) {
        return Ok(FileState::Changed);
    }
    let same = hash(file, place)? == target.item.oid;
    Ok(if same { FileState::Present } else { FileState::Changed })
}

/// The regular file at `path`, opened without following a symbolic link anywhere on the way.
pub fn open(worktree: &Beneath, path: &RepoPath) -> Result<File, PathError> {
    let missing = || io::Error::from(io::ErrorKind::NotFound);
    let full = || worktree.root().join(path.to_path());
    match worktree.find(path)?.map_or(Ok(None), |place| place.open())? {
        Some(Standing::File(file)) => Ok(file),
        Some(Standing::Other) => Err(PathError::new("open", full(), io::Error::other("it is no regular file"))),
        None => Err(PathError::new("open", full(), missing())),
    }
}

/// Whether the bytes at `path` are the content, looked at now and not by Git's recorded times.
pub fn is_sound(worktree: &Beneath, path: &RepoPath, pointer: &Pointer) -> Result<bool, PathError> {
    let Some(place) = worktree.find(path)? else { return Ok(false) };
    let Some(Standing::File(file)) = place.open()? else { return Ok(false) };
    let same_length = file.metadata().is_ok_and(|m| m.len() == pointer.size);
    Ok(same_length && hash(file, &place)? == pointer.oid)
}

/// As [`is_sound`], of one file after the other. Whoever gets `false` has to look closer.
pub fn has_content(browse: &mut Browse<'_>, path: &RepoPath, pointer: &Pointer) -> bool {
    let Some(mut file) = browse.open(path) else { return false };
    copy_hashing(&mut file, |_| Ok(())).is_ok_and(|(oid, len)| oid == pointer.oid && len == pointer.size)
}

/// The oid of what stands at `path`, if that is a file.
pub fn present_oid(worktree: &Beneath, path: &RepoPath) -> Result<Option<Oid>, PathError> {
    match worktree.find(path)? {
        Some(place) => oid_at(&place),
        None => Ok(None),
    }
}

/// As [`present_oid`], and the times that the file had, if it was not touched while it was read, nor so shortly before
/// that they tell nothing.
pub fn present_settled(worktree: &Beneath, path: &RepoPath) -> Result<Option<(Oid, Option<Times>)>, PathError> {
    /// Filesystems count in steps of up to this.
    const STEP: Duration = Duration::from_secs(2);
    let Some(place) = worktree.find(path)? else { return Ok(None) };
    let Some(Standing::File(file)) = place.open()? else { return Ok(None) };
    let times = |file: &File| {
        let metadata = file.metadata().ok()?;
        let settled = metadata.modified().ok()?.elapsed().is_ok_and(|age| age > STEP);
        Times::of(&metadata).filter(|_| settled)
    };
    let (before, again) = (times(&file), file.try_clone().context("open", place.full())?);
    let oid = hash(file, &place)?;
    Ok(Some((oid, times(&again).filter(|after| before == Some(*after)))))
}

fn oid_at(place: &Place) -> Result<Option<Oid>, PathError> {
    match place.open()? {
        Some(Standing::File(file)) => Ok(Some(hash(file, place)?)),
        _ => Ok(None),
    }
}

fn hash(mut file: File, place: &Place) -> Result<Oid, PathError> {
    let named = copy_hashing(&mut file, |_| Ok(()));
    named.map(|(oid, _)| oid).map_err(|e| PathError::new("read", place.full(), e.into()))
}

fn read_pointer(file: &mut File, place: &Place) -> Result<Option<Pointer>, PathError> {
    // As much room as is read and one byte more, or it would be read again and again for its end.
    let mut bytes = Vec::with_capacity(MAX_POINTER_LEN + 1);
    file.take(MAX_POINTER_LEN as u64).read_to_end(&mut bytes).context("read", place.full())?;
    let pointer = Pointer::parse(&bytes).or_else(|| match lfs::read(&bytes) {
        lfs::Read::Pointer(pointer) => Some(pointer),
        lfs::Read::Extended(_) | lfs::Read::Other => None,
    });
    if pointer.is_none() {
        file.rewind().context("read", place.full())?;
    }
    Ok(pointer)
}

/// Write `bytes` (a pointer, or none for empty content) where nothing stands. `false`: something does.
pub fn write_new(worktree: &Beneath, cache: &LocalCache, path: &RepoPath, bytes: &[u8]) -> Result<bool, PathError> {
    let place = worktree.place(path)?;
    let mut staged = place.stage(&cache.tmp(), false)?;
    staged.file().write_all(bytes).context("write", place.full())?;
    staged.put_new(&place)
}

/// Write the pointer `bytes` where another form of the pointer to `target` stands. `false`: something else does by now.
pub fn replace_pointer(
    worktree: &Beneath,
    cache: &LocalCache,
    target: &Target,
    bytes: &[u8],
) -> Result<bool, PathError> {
    let place = worktree.place(&target.path)?;
    let mut staged = place.stage(&cache.tmp(), target.executable)?;
    staged.file().write_all(bytes).context("write", place.full())?;
    if state_at(&place, target, true)? != FileState::PointerOnly {
        return Ok(false);
    }
    staged.replace(&place).map(|()| true)
}

/// Content of a target that lies ready beside its place, or in the cache's `tmp`.
#[derive(Debug)]
pub struct Ready {
    shelved: Shelved,
    /// The content, and the times of the file: none for an empty one.
    content: Option<(Pointer, Option<Times>)>,
}

/// An empty file for the content of `target`, where it can be renamed into its place.
pub fn stage(worktree: &Beneath, cache: &LocalCache, target: &Target) -> Result<Unplaced, PathError> {
    worktree.stage(&target.path, &cache.tmp(), target.executable)
}

/// Copy the cached content of `target` to where it can be renamed into its place.
pub fn make_ready(worktree: &Beneath, cache: &LocalCache, target: &Target) -> Result<Ready, WriteError> {
    let mut staged = stage(worktree, cache, target)?;
    let mut content = None;
    if target.item.oid != Oid::of(b"") {
        let Some(pointer) = cache.find(&target.item.oid, target.item.size) else { return Err(WriteError::Damaged) };
        if !cache.copy_to(&pointer, staged.file())? {
            return Err(WriteError::Damaged);
        }
        content = Some((pointer, times(staged.file())));
    }
    Ok(Ready { shelved: staged.shelve(), content })
}

impl Ready {
    /// What was staged has its content by now.
    pub fn written(mut staged: Unplaced, pointer: Pointer) -> Self {
        let times = times(staged.file());
        Ready { shelved: staged.shelve(), content: Some((pointer, times)) }
    }

    /// Rename it to its place if nothing but a pointer stands there by now. What the file is then, if content was
    /// written and nobody touched it since.
    pub fn put(
        self,
        worktree: &Beneath,
        target: &Target,
        overwrite: Overwrite,
    ) -> Result<Option<(Pointer, Metadata)>, WriteError> {
        let place = match worktree.place(&target.path) {
            Ok(place) => place,
            Err(e) => {
                self.discard(worktree, target);
                return Err(e.into());
            }
        };
        let mut staged = self.shelved.take(&place)?;
        match state_at(&place, target, true)? {
            FileState::Present => return Ok(None),
            FileState::Missing | FileState::PointerOnly => {}
            FileState::Changed => match overwrite {
                Overwrite::Changes => {}
                Overwrite::Stored(oid) if oid_at(&place)? == Some(oid) => {}
                Overwrite::Stored(_) | Overwrite::PointersOnly => return Err(WriteError::ChangedMeanwhile),
            },
        }
        let Some((pointer, before)) = self.content else { return Ok(staged.replace(&place).map(|()| None)?) };
        let file = staged.file().try_clone().context("look at", place.full())?;
        staged.replace(&place)?;
        // Nobody could reach it before; whoever wrote to it since has changed its times.
        let same = |now: &Metadata| before.zip(Times::of(now)).is_some_and(|(old, new)| old.same_content(&new));
        Ok(file.metadata().ok().filter(same).map(|now| (pointer, now)))
    }

    /// It is not wanted any more.
    pub fn discard(self, worktree: &Beneath, target: &Target) {
        self.shelved.discard(worktree, &target.path);
    }
}

fn times(file: &File) -> Option<Times> {
    file.metadata().ok().and_then(|file| Times::of(&file))
}

/// Write the cached content of `target` beside its place, and rename it there if nothing but a
/// pointer stands there by then.
pub fn write_file(
    worktree: &Beneath,
    cache: &LocalCache,
    target: &Target,
    overwrite: Overwrite,
) -> Result<(), WriteError> {
    make_ready(worktree, cache, target)?.put(worktree, target, overwrite).map(drop)
}
