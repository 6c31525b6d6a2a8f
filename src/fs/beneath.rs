//! The worktree as a place that repository paths cannot leave: every directory on the way is opened from the one
//! above it, and what is read, written or renamed there goes by that open directory.
//!
//! Apart because looking at a path and then using it are two moments: a directory that is swapped for a symbolic
//! link between them would lead anywhere. A directory that is held open stays the one that was looked at. Git guards
//! its own writes by looking (`has_symlink_leading_path`, symlinks.c). `openat2(2)` with `RESOLVE_BENEATH` says the
//! same in one call, on Linux alone.

mod sys;
mod unplaced;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

pub use unplaced::{Shelved, Unplaced};

use super::temporary::temp_name;
use super::{PathContext, PathError, is_absent, parent};
use crate::repo_path::RepoPath;

/// The worktree: no component on the way to a file may be a symbolic link.
#[derive(Clone, Debug)]
pub struct Beneath {
    root: PathBuf,
}

impl Beneath {
    /// Paths are resolved beneath `root`, an absolute path.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Beneath { root: root.into() }
    }

    /// The top of the worktree.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where `path` is on disk, after checking that no directory on the way is a symbolic link: for messages and for
    /// looking. What is written goes by [`Beneath::place`].
    pub fn resolve(&self, path: &RepoPath) -> Result<PathBuf, PathError> {
        self.find(path)?;
        Ok(self.root.join(path.to_path()))
    }

    /// Where `path` is, with its directory held open; `None` where that directory is missing.
    pub fn find(&self, path: &RepoPath) -> Result<Option<Place>, PathError> {
        self.walk(path, Missing::Stop)
    }

    /// As [`Beneath::find`], and makes the directories on the way.
    pub fn place(&self, path: &RepoPath) -> Result<Place, PathError> {
        let place = self.walk(path, Missing::Make)?;
        place.ok_or_else(|| {
            let full = self.root.join(path.to_path());
            PathError::new("go to the directory of", full, io::ErrorKind::NotFound.into())
        })
    }

    /// As [`Place::stage`], for the place of `path`. No directory is made for it yet, unless it has to be written there.
    pub fn stage(&self, path: &RepoPath, tmp: &Path, executable: bool) -> Result<Unplaced, PathError> {
        let place = if self.is_beside(tmp) { self.top_for(path)? } else { self.place(path)? };
        place.stage(tmp, executable)
    }

    /// The top, with the name of `path` for messages.
    fn top_for(&self, path: &RepoPath) -> Result<Place, PathError> {
        let dir = sys::Dir::open(&self.root).context("open directory", &self.root)?;
        Ok(Place { dir, full: self.root.join(path.to_path()) })
    }

    /// Whether files can be renamed from `dir` into the top, as far as can be told.
    pub fn is_beside(&self, dir: &Path) -> bool {
        let (top, dir) = (sys::Dir::open(&self.root), sys::Dir::open(dir));
        matches!((top, dir), (Ok(top), Ok(dir)) if top.same_filesystem(&dir))
    }

    /// To look at many paths, one after the other.
    pub fn browse(&self) -> Browse<'_> {
        Browse { beneath: self, held: None }
    }

    fn walk(&self, path: &RepoPath, missing: Missing) -> Result<Option<Place>, PathError> {
        let full = self.root.join(path.to_path());
        let dirs = parent(&full).strip_prefix(&self.root).unwrap_or(Path::new("")).to_owned();
        Ok(self.walk_dirs(&dirs, missing)?.map(|dir| Place { dir, full }))
    }

    /// The directory that is `dirs` beneath the top.
    fn walk_dirs(&self, dirs: &Path, missing: Missing) -> Result<Option<sys::Dir>, PathError> {
        let mut at = self.root.clone();
        let mut dir = match sys::Dir::open(&at) {
            Err(e) if is_absent(&e) && missing == Missing::Stop => return Ok(None),
            opened => opened.context("open directory", &at)?,
        };
        for name in dirs.components() {
            at.push(name);
            let mut next = dir.dir(name.as_ref());
            if missing == Missing::Make && next.as_ref().is_err_and(|e| e.kind() == io::ErrorKind::NotFound) {
                match dir.make(name.as_ref()) {
                    Err(e) if e.kind() != io::ErrorKind::AlreadyExists => {
                        return Err(PathError::new("create directory", at, e));
                    }
                    _ => next = dir.dir(name.as_ref()),
                }
            }
            dir = match next {
                Ok(next) => next,
                Err(e) if e.kind() == io::ErrorKind::NotFound && missing == Missing::Stop => return Ok(None),
                Err(e) => return Err(PathError::new("go through", at, no_directory(e))),
            };
        }
        Ok(Some(dir))
    }
}

/// Many paths that are looked at in a row. The directory of the last one is held open for the next: of 100,000
/// files, most have the directory of the one before.
#[derive(Debug)]
pub struct Browse<'a> {
    beneath: &'a Beneath,
    /// Where the last directory is from the top; `None`: it could not be gone to.
    held: Option<(PathBuf, Option<sys::Dir>)>,
}

impl Browse<'_> {
    /// The worktree that is looked at.
    pub fn beneath(&self) -> &Beneath {
        self.beneath
    }

    /// The length in bytes of the regular file at `path`, if that is what stands there and no directory on the way
    /// is a symbolic link. Whoever gets `None` has to look closer.
    pub fn file_len(&mut self, path: &RepoPath) -> Option<u64> {
        let path = path.to_path();
        self.dir_of(&path)?.file_len(Path::new(path.file_name()?))
    }

    /// Open the regular file at `path`. Whoever gets `None` has to look closer.
    pub fn open(&mut self, path: &RepoPath) -> Option<File> {
        let path = path.to_path();
        self.dir_of(&path)?.open_file(Path::new(path.file_name()?)).ok()?
    }

    fn dir_of(&mut self, path: &Path) -> Option<&sys::Dir> {
        let dirs = parent(path);
        if self.held.as_ref().is_none_or(|(held, _)| held != dirs) {
            let dir = self.beneath.walk_dirs(dirs, Missing::Stop).ok().flatten();
            self.held = Some((dirs.to_owned(), dir));
        }
        self.held.as_ref()?.1.as_ref()
    }
}

/// In words that a user can do something with.
fn no_directory(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::NotADirectory => {
            io::Error::new(io::ErrorKind::NotADirectory, "it is a symbolic link or a file, not a directory")
        }
        _ => error,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Missing {
    Stop,
    Make,
}

/// A name in a directory that is held open.
#[derive(Debug)]
pub struct Place {
    dir: sys::Dir,
    full: PathBuf,
}

impl Place {
    /// The path, for messages.
    pub fn full(&self) -> &Path {
        &self.full
    }

    fn name(&self) -> &Path {
        Path::new(self.full.file_name().unwrap_or_default())
    }

    /// Open what stands there, if it is a regular file. `None`: nothing does.
    pub fn open(&self) -> Result<Option<Standing>, PathError> {
        match self.dir.open_file(self.name()) {
            Err(e) if is_absent(&e) => Ok(None),
            Ok(Some(file)) => Ok(Some(Standing::File(file))),
            Ok(None) => Ok(Some(Standing::Other)),
            Err(e) => Err(PathError::new("open", &self.full, e)),
        }
    }

    /// A new file for this place that nobody sees yet: in `tmp` if that is on the same filesystem, so that a kill
    /// leaves nothing in the user's way; else beside its place.
    pub fn stage(&self, tmp: &Path, executable: bool) -> Result<Unplaced, PathError> {
        let mode = if executable { 0o777 } else { 0o666 };
        let elsewhere = sys::Dir::open(tmp).ok().filter(|tmp| tmp.same_filesystem(&self.dir));
        let tmp = elsewhere.is_some().then(|| tmp.to_owned());
        let dir = match elsewhere {
            Some(dir) => dir,
            None => self.dir.again().context("open the directory of", &self.full)?,
        };
        // Beside its place, its directory may be another one by then.
        let name = PathBuf::from(temp_name(tmp.as_deref()));
        let file = dir.create(&name, mode).context("create a temporary file for", &self.full)?;
        Ok(Unplaced::new(file, dir, name, mode, tmp))
    }

    /// Remove what stands there.
    pub fn remove(&self) -> Result<(), PathError> {
        self.dir.remove(self.name()).context("remove", &self.full)
    }
}

/// What stands at a place.
#[derive(Debug)]
pub enum Standing {
    /// A regular file.
    File(File),
    /// A directory, a symbolic link, a device.
    Other,
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    fn path(path: &str) -> RepoPath {
        RepoPath::new(path).unwrap()
    }

    #[test]
    fn a_symlink_on_the_way_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("real")).unwrap();
        symlink("real", dir.path().join("link")).unwrap();
        fs::write(dir.path().join("file"), "x").unwrap();
        let beneath = Beneath::new(dir.path());
        assert!(beneath.resolve(&path("real/x")).is_ok());
        assert!(beneath.resolve(&path("new/deep/x")).is_ok());
        for refused in ["link/x", "link/new/x", "file/x"] {
            assert!(beneath.resolve(&path(refused)).is_err(), "{refused}: a link could lead anywhere, into .git too");
            assert!(beneath.place(&path(refused)).is_err(), "{refused}: nor is anything made there");
        }
        assert!(beneath.find(&path("new/deep/x")).unwrap().is_none(), "looking makes nothing");
        beneath.place(&path("new/deep/x")).unwrap();
        assert!(dir.path().join("new/deep").is_dir());
    }

    #[test]
    fn who_browses_sees_regular_files_and_no_link_leads_him() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("real/deep")).unwrap();
        symlink("real", dir.path().join("link")).unwrap();
        symlink("a", dir.path().join("real/pointing")).unwrap();
        for (name, text) in [("top", "1"), ("real/a", "22"), ("real/deep/b", "333"), ("real/c", "4444")] {
            fs::write(dir.path().join(name), text).unwrap();
        }
        let beneath = Beneath::new(dir.path());
        let mut browse = beneath.browse();
        for (name, len) in [("real/a", 2), ("real/deep/b", 3), ("real/c", 4), ("top", 1), ("real/a", 2)] {
            assert_eq!(browse.file_len(&path(name)), Some(len), "{name}");
            for none in ["link/a", "real/pointing", "real/gone", "real/deep", "gone/a", "top/a", "link"] {
                assert_eq!(browse.file_len(&path(none)), None, "{none} is no file, or a link leads there");
            }
        }
    }

    #[test]
    fn only_a_regular_file_is_opened_and_nothing_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("file"), "x").unwrap();
        fs::create_dir(at("dir")).unwrap();
        symlink("file", at("link")).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, at("pipe"), rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        let open = |name: &str| Beneath::new(dir.path()).place(&path(name)).unwrap().open().unwrap();
        assert!(matches!(open("file"), Some(Standing::File(_))));
        assert!(open("missing").is_none());
        for other in ["dir", "link", "pipe", "socket"] {
            assert!(matches!(open(other), Some(Standing::Other)), "{other} is no regular file");
        }
    }

    #[test]
    fn what_is_put_new_replaces_nothing_and_what_is_dropped_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (top, tmp) = (dir.path().join("top"), dir.path().join("tmp"));
        fs::create_dir(&top).unwrap();
        for staged_in in [&tmp, &top] {
            fs::create_dir_all(&tmp).unwrap();
            let place = Beneath::new(&top).place(&path("a")).unwrap();
            drop(place.stage(staged_in, false).unwrap());
            assert!(place.stage(staged_in, false).unwrap().put_new(&place).unwrap());
            assert!(!place.stage(staged_in, false).unwrap().put_new(&place).unwrap(), "it is taken");
            place.stage(staged_in, true).unwrap().replace(&place).unwrap();
            assert_eq!(fs::read_dir(&tmp).unwrap().count(), 0, "nothing stays");
            assert_eq!(fs::read_dir(&top).unwrap().count(), 1, "but the file");
            fs::remove_file(top.join("a")).unwrap();
        }
    }

    #[test]
    fn a_directory_that_is_swapped_all_the_time_leads_nowhere_else() {
        let scratch = tempfile::tempdir().unwrap();
        let (top, outside) = (scratch.path().join("top"), scratch.path().join("outside"));
        fs::create_dir_all(top.join("d/e")).unwrap();
        fs::create_dir_all(outside.join("e")).unwrap();
        let done = AtomicBool::new(false);
        let (mut written, mut refused) = (0, 0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let (real, link) = (top.join("d"), top.join("link"));
                symlink(&outside, &link).unwrap();
                let flags = rustix::fs::RenameFlags::EXCHANGE;
                while !done.load(Ordering::Relaxed) {
                    let swap = rustix::fs::renameat_with(rustix::fs::CWD, &real, rustix::fs::CWD, &link, flags);
                    swap.unwrap();
                }
            });
            let beneath = Beneath::new(&top);
            for n in 0.. {
                let place = beneath.place(&path(&format!("d/e/f{}/x", n % 100)));
                let put = place.and_then(|place| place.stage(scratch.path(), false)?.replace(&place));
                *if put.is_ok() { &mut written } else { &mut refused } += 1;
                if n >= 20_000 || n >= 2_000 && written > 100 && refused > 100 {
                    break;
                }
            }
            done.store(true, Ordering::Relaxed);
        });
        assert!(written > 0 && refused > 0, "both were met: {written} written, {refused} refused");
        assert_eq!(fs::read_dir(outside.join("e")).unwrap().count(), 0, "nothing appears outside");
    }
}
