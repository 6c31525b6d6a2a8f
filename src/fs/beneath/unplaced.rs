//! A file on its way into the worktree: written where nobody sees it, and renamed to its place.
//!
//! Apart from the place because it may have to wait for its moment, with thousands of others.

use std::fs::File;
use std::io;
use std::path::PathBuf;

use super::{Beneath, Place, sys};
use crate::fs::{PathContext, PathError};
use crate::repo_path::RepoPath;

/// A file that is written and not yet in its place; gone when dropped.
#[derive(Debug)]
pub struct Unplaced {
    file: File,
    dir: sys::Dir,
    name: PathBuf,
    mode: u32,
    /// Where it is, if not beside its place.
    tmp: Option<PathBuf>,
    placed: bool,
}

impl Unplaced {
    /// `file` is `name` in `dir`, which is `tmp` if that was named.
    pub(super) fn new(file: File, dir: sys::Dir, name: PathBuf, mode: u32, tmp: Option<PathBuf>) -> Self {
        Unplaced { file, dir, name, mode, tmp, placed: false }
    }

    /// To write its content.
    pub fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Put it there, in place of what stands there.
    pub fn replace(mut self, place: &Place) -> Result<(), PathError> {
        match self.dir.rename(&self.name, &place.dir, place.name()) {
            // A mount of one filesystem in two places is not told by its number.
            Err(e) if e.kind() == io::ErrorKind::CrossesDevices => self.copy(place).context("replace", &place.full),
            renamed => {
                renamed.context("replace", &place.full)?;
                self.placed = true;
                Ok(())
            }
        }
    }

    /// Written once more, beside its place.
    fn copy(&mut self, place: &Place) -> io::Result<()> {
        let file = place.dir.create(&self.name, self.mode)?;
        let (dir, name) = (place.dir.again()?, self.name.clone());
        let mut beside = Unplaced { file, dir, name, mode: self.mode, tmp: None, placed: false };
        io::Seek::rewind(&mut self.file)?;
        io::copy(&mut self.file, &mut beside.file)?;
        place.dir.rename(&beside.name, &place.dir, place.name())?;
        beside.placed = true;
        Ok(())
    }

    /// Close it for now: thousands can't be held open.
    pub fn shelve(mut self) -> Shelved {
        self.placed = true;
        Shelved { name: self.name.clone(), mode: self.mode, tmp: self.tmp.take() }
    }

    /// Put it there if nothing stands there. `false`: something does.
    pub fn put_new(self, place: &Place) -> Result<bool, PathError> {
        match self.dir.link(&self.name, &place.dir, place.name()) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            // A filesystem without links: nobody can say both at once there.
            Err(_) if self.dir.is_free(place) => self.replace(place).map(|()| true),
            Err(_) => Ok(false),
        }
    }
}

/// An [`Unplaced`] that was closed: taken again, or discarded, or it stays until it is swept.
#[derive(Debug)]
pub struct Shelved {
    name: PathBuf,
    mode: u32,
    tmp: Option<PathBuf>,
}

impl Shelved {
    /// Open it again, to be put at its place or dropped.
    pub fn take(self, place: &Place) -> Result<Unplaced, PathError> {
        let Shelved { name, mode, tmp } = self;
        let dir = tmp.as_deref().map_or_else(|| place.dir.again(), sys::Dir::open);
        let dir = dir.context("open the directory of the temporary file of", &place.full)?;
        let missing = || PathError::new("find the temporary file of", &place.full, io::ErrorKind::NotFound.into());
        let file = dir.open_file(&name).context("open the temporary file of", &place.full)?.ok_or_else(missing)?;
        Ok(Unplaced { file, dir, name, mode, tmp, placed: false })
    }

    /// Remove it. What can't be reached is swept some day.
    pub fn discard(self, beneath: &Beneath, path: &RepoPath) {
        let beside = || beneath.find(path).ok().flatten().map(|place| place.dir);
        let dir = self.tmp.as_deref().map_or_else(beside, |tmp| sys::Dir::open(tmp).ok());
        if let Some(Err(e)) = dir.map(|dir| dir.remove(&self.name)) {
            tracing::debug!("{} stays: {e}", self.name.display());
        }
    }
}

impl Drop for Unplaced {
    fn drop(&mut self) {
        if !self.placed
            && let Err(e) = self.dir.remove(&self.name)
        {
            tracing::debug!("{} stays: {e}", self.name.display());
        }
    }
}

impl sys::Dir {
    fn is_free(&self, place: &Place) -> bool {
        matches!(place.open(), Ok(None))
    }
}
