//! Replacing a file: by the whole new bytes or not at all, whatever happens meanwhile.
//!
//! Apart because it is the one way in which a file of the user's (manifest, attributes, ignore rules) or of the
//! local state is changed, and it answers for two kinds of end: a kill, after which nothing must lie in the
//! worktree that was not there before, and the loss of power, after which a renamed file must not be empty.

use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::scratch::scratch;
use super::temporary::temp_name;
use super::{PathContext, PathError, make_dirs, parent, share, temp_in};

/// As [`replace`], of a file of the local state.
pub fn replace_state(path: &Path, bytes: &[u8]) -> Result<(), PathError> {
    make_dirs(parent(path))?;
    replace(path, bytes)?;
    share(path)
}

/// As [`replace_state`], by bytes that are never all in memory ([`replace_by`]).
pub fn replace_state_by(path: &Path, write: Writing<'_>) -> Result<(), PathError> {
    make_dirs(parent(path))?;
    replace_by(path, write)?;
    share(path)
}

/// Replace the file at `path` by `bytes`: written elsewhere, fsynced and renamed, so that a kill or the loss of
/// power leaves the old file or the new one. An existing file keeps its permissions.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), PathError> {
    replace_as(Kind::Text, path, &mut |file| file.write_all(bytes))
}

/// As [`replace`], by bytes that are never all in memory: `write` is asked for them, and again where the first file
/// can't be renamed.
pub fn replace_by(path: &Path, write: Writing<'_>) -> Result<(), PathError> {
    replace_as(Kind::Text, path, write)
}

/// As [`replace`]; who may read the file may run it, if nobody may yet.
pub fn replace_program(path: &Path, bytes: &[u8]) -> Result<(), PathError> {
    replace_as(Kind::Program, path, &mut |file| file.write_all(bytes))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Program,
}

type Writing<'a> = &'a mut dyn FnMut(&mut dyn Write) -> io::Result<()>;

fn replace_as(kind: Kind, path: &Path, write: Writing<'_>) -> Result<(), PathError> {
    let dir = parent(path);
    let mut temp = match scratch().filter(|scratch| is_same_filesystem(scratch, dir)).map(temp_in) {
        Some(Ok(temp)) => temp,
        _ => temp_beside(path, dir)?,
    };
    fill(&mut temp, kind, path, write)?;
    let Err(failed) = temp.persist(path) else { return Ok(()) };
    // A mount of one filesystem in two places is not told by its number.
    if failed.error.kind() != io::ErrorKind::CrossesDevices {
        return Err(PathError::new("replace", path, failed.error));
    }
    let mut temp = temp_beside(path, dir)?;
    fill(&mut temp, kind, path, write)?;
    temp.persist(path).map(drop).map_err(|e| PathError::new("replace", path, e.error))
}

fn temp_beside(path: &Path, dir: &Path) -> Result<NamedTempFile, PathError> {
    temp_in(dir).map_err(|e| PathError { action: "replace", path: path.to_owned(), ..e })
}

fn fill(temp: &mut NamedTempFile, kind: Kind, path: &Path, write: Writing<'_>) -> Result<(), PathError> {
    write(temp).context("write", path)?;
    let old = fs::metadata(path).ok().map(|metadata| metadata.permissions());
    if old.is_some() || kind == Kind::Program {
        let mode = match old {
            Some(old) => old,
            None => temp.as_file().metadata().context("look at", temp.path())?.permissions(),
        };
        let mode = if kind == Kind::Program { executable(mode) } else { mode };
        temp.as_file().set_permissions(mode).context("set permissions of", path)?;
    }
    // Else a filesystem may put the name on the disk before the bytes.
    temp.as_file().sync_all().context("write", path)
}

/// Whether anybody may run it.
#[cfg(unix)]
pub fn is_executable(mode: &Permissions) -> bool {
    std::os::unix::fs::PermissionsExt::mode(mode) & 0o111 != 0
}

/// Whether Git takes a file with this mode for executable, or for not executable, as is said: its owner's bit counts.
#[cfg(unix)]
pub fn has_gits_mode(mode: &Permissions, executable: bool) -> bool {
    (std::os::unix::fs::PermissionsExt::mode(mode) & 0o100 != 0) == executable
}

/// Where files have no such bit, Git keeps that of the index (core.fileMode).
#[cfg(not(unix))]
pub fn has_gits_mode(_: &Permissions, _: bool) -> bool {
    true
}

/// Who may read it may run it.
#[cfg(unix)]
fn executable(mode: Permissions) -> Permissions {
    use std::os::unix::fs::PermissionsExt;
    if is_executable(&mode) { mode } else { Permissions::from_mode(mode.mode() | (mode.mode() & 0o444) >> 2) }
}

/// Whether anybody may run it.
#[cfg(not(unix))]
pub fn is_executable(_: &Permissions) -> bool {
    true
}

#[cfg(not(unix))]
fn executable(mode: Permissions) -> Permissions {
    mode
}

/// A second name of a file, for a program that replaces the file that it is told: what it makes then takes the place
/// of the first. Gone when dropped.
#[derive(Debug)]
pub struct SecondName(PathBuf);

impl SecondName {
    /// A name of `file` in the swept directory for temporary files, or beside it, if that is on another filesystem.
    /// Where there are no links: a copy, with its times.
    pub fn of(file: &Path) -> Result<Self, PathError> {
        let beside = parent(file);
        let swept = scratch().filter(|dir| is_same_filesystem(dir, beside));
        let named = |dir: &Path| SecondName(dir.join(temp_name(Some(dir))));
        // A mount of one filesystem in two places is not told by its number.
        let linked = swept.into_iter().chain([beside]).map(named).find(|second| fs::hard_link(file, &second.0).is_ok());
        if let Some(second) = linked {
            return Ok(second);
        }
        let second = named(beside);
        fs::copy(file, &second.0).context("copy", file)?;
        // Whoever goes by the time of the file must find the same.
        let modified = fs::metadata(file).and_then(|metadata| metadata.modified()).context("look at", file)?;
        let copy = fs::File::options().write(true).open(&second.0).context("open", &second.0)?;
        copy.set_modified(modified).context("set the time of", &second.0)?;
        Ok(second)
    }

    /// The second name.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// What has the second name by now takes the place of `file`.
    pub fn replace(self, file: &Path) -> Result<(), PathError> {
        let made = fs::File::open(&self.0).context("open", &self.0)?;
        made.sync_all().context("write", &self.0)?;
        // Of two names of one file, both stay.
        fs::rename(&self.0, file).context("replace", file)
    }
}

impl Drop for SecondName {
    fn drop(&mut self) {
        // It is gone already, if it was renamed.
        let _ = fs::remove_file(&self.0);
    }
}

#[cfg(unix)]
fn is_same_filesystem(one: &Path, other: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let device = |dir| fs::metadata(dir).map(|metadata| metadata.dev()).ok();
    device(one).is_some_and(|one| device(other) == Some(one))
}

#[cfg(not(unix))]
fn is_same_filesystem(_: &Path, _: &Path) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replacing_keeps_permissions_and_leaves_nothing_beside() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        replace(&path, b"one").unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o751)).unwrap();
            replace(&path, b"two").unwrap();
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o751, "mode is kept");
        }
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no temporary file stays");
    }
}
