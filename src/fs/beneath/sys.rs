//! Directories that are held open: the system calls that `beneath` needs of them.
//!
//! Apart because they are another set on each kind of system; what is done with them is not.

#[cfg(not(unix))]
pub use portable::Dir;
#[cfg(unix)]
pub use unix::Dir;

#[cfg(unix)]
mod unix {
    use std::fs::File;
    use std::io;
    use std::os::fd::OwnedFd;
    use std::path::Path;

    use rustix::fs::{
        AtFlags, CWD, FileType, Mode, OFlags, fstat, linkat, mkdirat, openat, renameat, statat, unlinkat,
    };
    use rustix::io::Errno;

    /// A directory that is held open.
    #[derive(Debug)]
    pub struct Dir(OwnedFd);

    const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

    impl Dir {
        /// A directory of ours or the user's choice: links on the way are his.
        pub fn open(path: &Path) -> io::Result<Self> {
            Ok(Dir(openat(CWD, path, DIRECTORY, Mode::empty())?))
        }

        pub fn dir(&self, name: &Path) -> io::Result<Self> {
            match openat(&self.0, name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty()) {
                Ok(dir) => Ok(Dir(dir)),
                // What a symbolic link is called by some systems (EMLINK on FreeBSD).
                Err(Errno::LOOP | Errno::MLINK) => Err(Errno::NOTDIR.into()),
                Err(e) => Err(e.into()),
            }
        }

        pub fn again(&self) -> io::Result<Self> {
            Ok(Dir(self.0.try_clone()?))
        }

        pub fn make(&self, name: &Path) -> io::Result<()> {
            Ok(mkdirat(&self.0, name, Mode::from_raw_mode(0o777))?)
        }

        /// `None`: no regular file. A pipe is not waited for.
        pub fn open_file(&self, name: &Path) -> io::Result<Option<File>> {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
            let file = match openat(&self.0, name, flags, Mode::empty()) {
                Ok(fd) => File::from(fd),
                // A symbolic link, a socket.
                Err(Errno::LOOP | Errno::MLINK | Errno::NXIO) => return Ok(None),
                Err(e) => return Err(e.into()),
            };
            Ok(file.metadata()?.is_file().then_some(file))
        }

        /// `None`: no regular file, or it can't be told.
        pub fn file_len(&self, name: &Path) -> Option<u64> {
            let stat = statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
            let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
            is_file.then(|| u64::try_from(stat.st_size).ok()).flatten()
        }

        pub fn create(&self, name: &Path, mode: u32) -> io::Result<File> {
            let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            Ok(File::from(openat(&self.0, name, flags, Mode::from_raw_mode(mode as rustix::fs::RawMode))?))
        }

        pub fn rename(&self, name: &Path, to: &Dir, new: &Path) -> io::Result<()> {
            Ok(renameat(&self.0, name, &to.0, new)?)
        }

        pub fn link(&self, name: &Path, to: &Dir, new: &Path) -> io::Result<()> {
            Ok(linkat(&self.0, name, &to.0, new, AtFlags::empty())?)
        }

        pub fn remove(&self, name: &Path) -> io::Result<()> {
            Ok(unlinkat(&self.0, name, AtFlags::empty())?)
        }

        pub fn same_filesystem(&self, other: &Dir) -> bool {
            matches!((fstat(&self.0), fstat(&other.0)), (Ok(a), Ok(b)) if a.st_dev == b.st_dev)
        }
    }
}

#[cfg(not(unix))]
mod portable {
    //! By path, looking first: the best that the standard library has there.

    use std::fs::{self, File, OpenOptions};
    use std::io;
    use std::path::{Path, PathBuf};

    /// A directory that was looked at.
    #[derive(Debug)]
    pub struct Dir(PathBuf);

    impl Dir {
        pub fn open(path: &Path) -> io::Result<Self> {
            fs::read_dir(path)?;
            Ok(Dir(path.to_owned()))
        }

        pub fn dir(&self, name: &Path) -> io::Result<Self> {
            let path = self.0.join(name);
            match fs::symlink_metadata(&path)?.is_dir() {
                true => Ok(Dir(path)),
                false => Err(io::ErrorKind::NotADirectory.into()),
            }
        }

        pub fn again(&self) -> io::Result<Self> {
            Ok(Dir(self.0.clone()))
        }

        pub fn make(&self, name: &Path) -> io::Result<()> {
            fs::create_dir(self.0.join(name))
        }

        pub fn open_file(&self, name: &Path) -> io::Result<Option<File>> {
            let path = self.0.join(name);
            if !fs::symlink_metadata(&path)?.is_file() {
                return Ok(None);
            }
            File::open(path).map(Some)
        }

        pub fn file_len(&self, name: &Path) -> Option<u64> {
            fs::symlink_metadata(self.0.join(name)).ok().filter(|m| m.is_file()).map(|m| m.len())
        }

        pub fn create(&self, name: &Path, _: u32) -> io::Result<File> {
            OpenOptions::new().read(true).write(true).create_new(true).open(self.0.join(name))
        }

        pub fn rename(&self, name: &Path, to: &Dir, new: &Path) -> io::Result<()> {
            fs::rename(self.0.join(name), to.0.join(new))
        }

        pub fn link(&self, name: &Path, to: &Dir, new: &Path) -> io::Result<()> {
            fs::hard_link(self.0.join(name), to.0.join(new))
        }

        pub fn remove(&self, name: &Path) -> io::Result<()> {
            fs::remove_file(self.0.join(name))
        }

        pub fn same_filesystem(&self, _: &Dir) -> bool {
            false
        }
    }
}
