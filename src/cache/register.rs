//! The register of a shared cache: the clones that leave content there instead of keeping a copy of their own.
//!
//! Apart because it is no content and no lock: it is only asked by who deletes from the shared directory. Each clone
//! has a file of its own in `clones/`, so that no two write the same one, and it is there before the first byte is
//! that the clone leaves to others.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::LocalCache;
use crate::fs::{PathContext, PathError, is_absent, is_temporary, make_dirs};
use crate::oid::Oid;

/// No path is longer (linux/limits.h, PATH_MAX), and an entry has two, and the name of a machine.
const LONGEST: u64 = 3 * 4096 + 3;

/// A clone that uses the shared directory.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Registered {
    /// The machine that it is on: another one may have another disk at the same path.
    pub machine: String,
    /// Its Git directory, the one that its worktrees share: absolute, and without links in it.
    pub git_dir: PathBuf,
    /// The worktree in which it was when it was entered.
    pub worktree: Option<PathBuf>,
}

/// The name of this machine, or of the container that is one to us.
pub fn this_machine() -> String {
    #[cfg(unix)]
    return rustix::system::uname().nodename().to_string_lossy().into_owned();
    #[cfg(not(unix))]
    return std::env::var("COMPUTERNAME").unwrap_or_default();
}

impl LocalCache {
    /// Enter a clone, if it is not there. This cache is the shared directory.
    pub(crate) fn enter(&self, clone: &Registered) -> Result<(), PathError> {
        let path = self.entry(clone);
        // An empty one is what is left after the loss of power.
        if fs::metadata(&path).is_ok_and(|metadata| metadata.len() > 0) {
            return Ok(());
        }
        make_dirs(&self.clones())?;
        let mut file = self.temp_file()?;
        let worktree = clone.worktree.as_deref().unwrap_or(Path::new("")).as_os_str();
        for part in [clone.machine.as_ref(), clone.git_dir.as_os_str(), worktree] {
            let written = file.write_all(part.as_encoded_bytes()).and_then(|()| file.write_all(b"\0"));
            written.context("write", &path)?;
        }
        // Whoever prunes has to read it, whatever this user's umask hides of his content.
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let readable = fs::Permissions::from_mode(0o644);
            file.as_file().set_permissions(readable).context("set permissions of", &path)?;
        }
        file.as_file().sync_all().context("write", &path)?;
        file.persist(&path).map(drop).map_err(|e| PathError::new("write", &path, e.error))
    }

    /// Every clone that was entered, sorted. One entry that can't be read is an error: it may be that of a clone with
    /// content that is nowhere else.
    pub fn registered(&self) -> Result<Vec<Registered>, PathError> {
        let dir = self.clones();
        let entries = match fs::read_dir(&dir) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.context("list", &dir)?,
        };
        let mut clones = Vec::new();
        for entry in entries {
            let path = entry.context("list", &dir)?.path();
            if !path.file_name().is_some_and(|name| is_temporary(name.as_encoded_bytes())) {
                clones.extend(read(&path)?);
            }
        }
        clones.sort();
        Ok(clones)
    }

    /// Take a clone out of the register.
    pub fn forget(&self, clone: &Registered) -> Result<(), PathError> {
        let path = self.entry(clone);
        match fs::remove_file(&path) {
            Err(e) if !is_absent(&e) => Err(PathError::new("remove", path, e)),
            _ => Ok(()),
        }
    }

    fn clones(&self) -> PathBuf {
        self.root.join("clones")
    }

    fn entry(&self, clone: &Registered) -> PathBuf {
        let name = [clone.machine.as_bytes(), b"\0", clone.git_dir.as_os_str().as_encoded_bytes()].concat();
        self.clones().join(&Oid::of(&name).hex()[..32])
    }
}

/// `None`: it is gone by now.
fn read(path: &Path) -> Result<Option<Registered>, PathError> {
    let wrong = || PathError::new("understand", path, io::Error::other("it is no entry of a clone"));
    let metadata = match fs::metadata(path) {
        Err(e) if is_absent(&e) => return Ok(None),
        metadata => metadata.context("read", path)?,
    };
    if !metadata.is_file() || metadata.len() > LONGEST {
        return Err(wrong());
    }
    let bytes = fs::read(path).context("read", path)?;
    let parts: Vec<&[u8]> = bytes.split(|byte| *byte == 0).collect();
    let [machine, git_dir, worktree, b""] = parts[..] else { return Err(wrong()) };
    let machine = std::str::from_utf8(machine).map_err(|_| wrong())?.to_owned();
    let (git_dir, worktree) = (path_of(git_dir).ok_or_else(wrong)?, path_of(worktree).ok_or_else(wrong)?);
    if !git_dir.is_absolute() {
        return Err(wrong());
    }
    Ok(Some(Registered { machine, git_dir, worktree: Some(worktree).filter(|path| path.is_absolute()) }))
}

#[cfg(unix)]
fn path_of(bytes: &[u8]) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStrExt;
    Some(PathBuf::from(std::ffi::OsStr::from_bytes(bytes)))
}

#[cfg(not(unix))]
fn path_of(bytes: &[u8]) -> Option<PathBuf> {
    std::str::from_utf8(bytes).ok().map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clone(path: &str) -> Registered {
        Registered { machine: "here".to_owned(), git_dir: Path::new(path).join(".git"), worktree: Some(path.into()) }
    }

    #[test]
    fn clones_are_entered_once_and_forgotten() {
        let (_dir, cache) = super::super::tests::cache();
        assert_eq!(cache.registered().unwrap(), [], "nobody entered himself");
        let (one, two) = (clone("/home/me/one\ntwo"), Registered { worktree: None, ..clone("/home/me/two") });
        let elsewhere = Registered { machine: "elsewhere".to_owned(), ..one.clone() };
        cache.enter(&elsewhere).unwrap();
        assert_eq!(cache.registered().unwrap(), std::slice::from_ref(&elsewhere), "the same path of another machine");
        cache.forget(&one).unwrap();
        assert_eq!(cache.registered().unwrap(), std::slice::from_ref(&elsewhere), "is another clone");
        cache.forget(&elsewhere).unwrap();
        for _ in 0..2 {
            cache.enter(&two).unwrap();
            cache.enter(&one).unwrap();
        }
        assert_eq!(cache.registered().unwrap(), [one.clone(), two.clone()]);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(cache.entry(&one)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o644, "whoever prunes can read it");
        }
        cache.forget(&one).unwrap();
        cache.forget(&one).unwrap();
        assert_eq!(cache.registered().unwrap(), [two]);
    }

    #[test]
    fn an_entry_that_is_not_understood_is_an_error_until_its_clone_writes_it_anew() {
        let (_dir, cache) = super::super::tests::cache();
        let one = clone("/home/me/one");
        cache.enter(&one).unwrap();
        let path = cache.entry(&one);
        for torn in [&b""[..], b"/home/me", b"/home/me/.git\0", b"home\0\0", b"m\0/a\0/b\0/c\0"] {
            fs::write(&path, torn).unwrap();
            assert!(cache.registered().is_err(), "it may stand for a clone: {torn:?}");
        }
        fs::write(&path, "").unwrap();
        cache.enter(&one).unwrap();
        assert_eq!(cache.registered().unwrap(), [one]);
        fs::write(cache.clones().join(".s3lfs-tmp-0123456789abcdef0123456789abcdef"), "").unwrap();
        assert_eq!(cache.registered().unwrap().len(), 1, "what is being written is no entry yet");
    }
}
