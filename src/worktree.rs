//! Files of the worktree that we write ourselves: what is there, and how it is replaced.
//!
//! Apart because it is the one place where a user's only copy could be overwritten (design.md,
//! invariant 1): a file is replaced only while it is missing or still the pointer.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use crate::cache::LocalCache;
use crate::fs::{Beneath, PathContext, PathError, is_absent, temp_for_worktree};
use crate::oid::{Oid, copy_hashing};
use crate::pointer::{MAX_POINTER_LEN, Pointer};
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
}

/// Look at what stands at `target`. `differs`: Git says that the worktree file differs from the index.
pub fn state_of(worktree: &Beneath, target: &Target, differs: bool) -> Result<FileState, PathError> {
    let path = worktree.resolve(&target.path)?;
    let metadata = match fs::symlink_metadata(&path) {
        Ok(metadata) => metadata,
        Err(e) if is_absent(&e) => return Ok(FileState::Missing),
        Err(e) => return Err(PathError::new("look at", path, e)),
    };
    if !metadata.is_file() {
        return Ok(FileState::Changed);
    }
    if metadata.len() < MAX_POINTER_LEN as u64
        && let Some(pointer) = read_pointer(&path)?
        && pointer.oid == target.item.oid
    {
        return Ok(FileState::PointerOnly);
    }
    if target.tracked && !differs {
        return Ok(FileState::Present);
    }
    if target.item.size.is_some_and(|size| size != metadata.len()) {
        return Ok(FileState::Changed);
    }
    let same = hash(&path)? == target.item.oid;
    Ok(if same { FileState::Present } else { FileState::Changed })
}

/// Whether the bytes at `path` are the content, looked at now and not by Git's recorded times.
pub fn is_sound(worktree: &Beneath, path: &RepoPath, pointer: &Pointer) -> Result<bool, PathError> {
    let path = worktree.resolve(path)?;
    let same_length = fs::symlink_metadata(&path).is_ok_and(|m| m.is_file() && m.len() == pointer.size);
    Ok(same_length && hash(&path)? == pointer.oid)
}

/// The oid of what stands at `path`, if that is a file.
pub fn present_oid(worktree: &Beneath, path: &RepoPath) -> Result<Option<Oid>, PathError> {
    let path = worktree.resolve(path)?;
    match fs::symlink_metadata(&path) {
        Ok(metadata) if metadata.is_file() => Ok(Some(hash(&path)?)),
        _ => Ok(None),
    }
}

fn hash(path: &Path) -> Result<Oid, PathError> {
    let mut file = File::open(path).context("open", path)?;
    let named = copy_hashing(&mut file, |_| Ok(()));
    named.map(|(oid, _)| oid).map_err(|e| PathError::new("read", path, e.into()))
}

fn read_pointer(path: &Path) -> Result<Option<Pointer>, PathError> {
    // As much room as is read and one byte more, or it would be read again and again for its end.
    let mut bytes = Vec::with_capacity(MAX_POINTER_LEN + 1);
    let file = File::open(path).context("open", path)?;
    file.take(MAX_POINTER_LEN as u64).read_to_end(&mut bytes).context("read", path)?;
    Ok(Pointer::parse(&bytes))
}

/// Where a file for `dir` is written before it is renamed: in the cache's own `tmp`, where a kill
/// leaves nothing in the user's way, if that is on the same filesystem; else beside its place.
fn staging_dir(dir: &Path, cache: &LocalCache) -> PathBuf {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let tmp = cache.root().join("tmp");
        let device = |path: &Path| fs::metadata(path).map(|m| m.dev()).ok();
        if fs::create_dir_all(&tmp).is_ok() && device(&tmp).is_some_and(|d| device(dir) == Some(d)) {
            return tmp;
        }
    }
    let _ = cache;
    dir.to_owned()
}

/// Write `bytes` (a pointer, or none for empty content) where nothing stands. `false`: something does.
pub fn write_new(worktree: &Beneath, cache: &LocalCache, path: &RepoPath, bytes: &[u8]) -> Result<bool, PathError> {
    let full = worktree.resolve_creating_dirs(path)?;
    let dir = full.parent().unwrap_or(worktree.root());
    let mut temp = temp_for_worktree(&staging_dir(dir, cache), false)?;
    temp.write_all(bytes).context("write", &full)?;
    match temp.persist_noclobber(&full) {
        Ok(_) => Ok(true),
        Err(e) if e.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(e) => Err(PathError::new("write", &full, e.error)),
    }
}

/// Write the cached content of `target` beside its place, and rename it there if nothing but a
/// pointer stands there by then.
pub fn write_file(
    worktree: &Beneath,
    cache: &LocalCache,
    target: &Target,
    overwrite: Overwrite,
) -> Result<(), WriteError> {
    let path = worktree.resolve_creating_dirs(&target.path)?;
    let dir = path.parent().unwrap_or(worktree.root());
    let mut temp = temp_for_worktree(&staging_dir(dir, cache), target.executable)?;
    let empty = target.item.oid == Oid::of(b"");
    if !empty {
        let Some(pointer) = cache.find(&target.item.oid, target.item.size) else { return Err(WriteError::Damaged) };
        if !cache.copy_to(&pointer, temp.as_file_mut())? {
            return Err(WriteError::Damaged);
        }
    }
    match state_of(worktree, target, true)? {
        FileState::Present => return Ok(()),
        FileState::Missing | FileState::PointerOnly => {}
        FileState::Changed => match overwrite {
            Overwrite::Changes => {}
            Overwrite::Stored(oid) if present_oid(worktree, &target.path)? == Some(oid) => {}
            Overwrite::Stored(_) | Overwrite::PointersOnly => return Err(WriteError::ChangedMeanwhile),
        },
    }
    temp.persist(&path).map_err(|e| PathError::new("replace", &path, e.error))?;
    Ok(())
}
