//! Files: errors that name the path, temporary files, locks, who may read what; replacing a file is in `replacing`,
//! staying in the worktree in `beneath`.
//!
//! Apart because these are the few places where bytes on this disk are replaced (design.md,
//! invariants 1, 6 and 7).

mod beneath;
mod replacing;
mod scratch;
pub mod sorter;
mod space;
pub mod spool;
mod swept;
mod temporary;
mod times;

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

pub use beneath::{Beneath, Browse, Place, Shelved, Standing, Unplaced};
pub use replacing::{
    SecondName, has_gits_mode, is_executable, replace, replace_by, replace_program, replace_state, replace_state_by,
};
pub use scratch::{ask_for_scratch, temp_dir};
pub use space::free_space;
pub use swept::enter_swept;
pub use temporary::{TEMPORARY, is_temporary, remove as remove_temporary, remove_temporary_files, temp_in};
pub use times::Times;

use crate::repo_path::Printable;

/// An I/O error with what was attempted and on which path.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}", Printable(path.as_os_str().as_encoded_bytes()))]
pub struct PathError {
    action: &'static str,
    path: PathBuf,
    #[source]
    source: io::Error,
}

impl PathError {
    /// An error of our own making about `path`.
    pub fn new(action: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        PathError { action, path: path.into(), source }
    }

    /// What it is about.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The kind of the underlying error.
    pub fn kind(&self) -> io::ErrorKind {
        self.source.kind()
    }
}

/// Adds path and intention to an [`io::Error`].
pub trait PathContext<T> {
    /// `action` is a verb phrase that stands between "cannot" and the path.
    fn context(self, action: &'static str, path: &Path) -> Result<T, PathError>;
}

impl<T> PathContext<T> for io::Result<T> {
    fn context(self, action: &'static str, path: &Path) -> Result<T, PathError> {
        self.map_err(|source| PathError { action, path: path.to_owned(), source })
    }
}

/// Write all of `bytes` at this place of a file, whatever the position of others who write to it.
pub fn write_all_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    #[cfg(unix)]
    return std::os::unix::fs::FileExt::write_all_at(file, bytes, offset);
    #[cfg(windows)]
    {
        let mut written = 0;
        while written < bytes.len() {
            let seek_write = std::os::windows::fs::FileExt::seek_write;
            match seek_write(file, &bytes[written..], offset + written as u64) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => written += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}

/// Read at this place of a file, whatever the position of others who read from it.
pub fn read_at(file: &File, buf: &mut [u8], offset: u64) -> io::Result<usize> {
    #[cfg(unix)]
    return std::os::unix::fs::FileExt::read_at(file, buf, offset);
    #[cfg(windows)]
    return std::os::windows::fs::FileExt::seek_read(file, buf, offset);
}

/// As [`read_at`], until the buffer is full; `UnexpectedEof` if the file ends before.
pub fn read_exact_at(file: &File, buf: &mut [u8], offset: u64) -> io::Result<()> {
    let mut read = 0;
    while read < buf.len() {
        match read_at(file, &mut buf[read..], offset + read as u64) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => read += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Let the empty file `to` share the blocks of `from`, where the filesystem can do that (ioctl_ficlone(2): Btrfs,
/// XFS): nothing is copied until one of them changes. `false`: it can't, and `to` is still empty.
pub fn reflink(from: &File, to: &File) -> bool {
    #[cfg(target_os = "linux")]
    return rustix::fs::ioctl_ficlone(to, from).is_ok();
    #[cfg(not(target_os = "linux"))]
    return {
        let _ = (from, to);
        false
    };
}

/// Whether files in `dir` can share their blocks: then a copy costs nothing.
pub fn shares_blocks(dir: &Path) -> bool {
    // One that is empty is refused like any other where it can't be done.
    matches!((tempfile::tempfile_in(dir), tempfile::tempfile_in(dir)), (Ok(one), Ok(other)) if reflink(&one, &other))
}

/// Who may use what is written beneath Git's own directory (`core.sharedRepository`, git-config(1)).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sharing {
    /// As the user's umask says.
    Umask,
    /// These bits besides.
    Also(u32),
    /// These bits alone.
    Exactly(u32),
}

impl Sharing {
    /// A value of `core.sharedRepository`; one that Git does not know shares nothing.
    pub fn parse(value: &str) -> Self {
        const GROUP: u32 = 0o660;
        match value.to_ascii_lowercase().as_str() {
            "group" | "1" | "true" | "yes" | "on" => Sharing::Also(GROUP),
            "all" | "world" | "everybody" | "2" => Sharing::Also(GROUP | 0o004),
            octal => match u32::from_str_radix(octal, 8) {
                // The owner must be able to read and write (path.c, git_config_perm).
                Ok(mode) if mode & 0o600 == 0o600 => Sharing::Exactly(mode & 0o666),
                _ => Sharing::Umask,
            },
        }
    }

    /// The mode of a file or directory that has `mode` by the umask (path.c, adjust_shared_perm).
    pub fn mode(self, mode: u32, is_dir: bool) -> u32 {
        let searchable = |bits: u32| if is_dir { bits | (bits & 0o444) >> 2 } else { bits };
        let group = if is_dir { 0o2000 } else { 0 };
        match self {
            Sharing::Umask => mode,
            Sharing::Also(bits) => mode | searchable(bits) | group,
            Sharing::Exactly(bits) => mode & !0o777 | searchable(bits) | group,
        }
    }
}

static ASK: OnceLock<fn() -> Sharing> = OnceLock::new();

/// Whom to ask, once, when the first file is written.
pub fn ask_for_sharing(ask: fn() -> Sharing) {
    // Set twice only in tests, to the same.
    let _ = ASK.set(ask);
}

/// Give a new file or directory of the local state the permissions that `core.sharedRepository` says.
pub fn share(path: &Path) -> Result<(), PathError> {
    static SHARING: OnceLock<Sharing> = OnceLock::new();
    let sharing = *SHARING.get_or_init(|| ASK.get().map_or(Sharing::Umask, |ask| ask()));
    #[cfg(unix)]
    if sharing != Sharing::Umask {
        use std::os::unix::fs::PermissionsExt;
        let metadata = fs::metadata(path).context("look at", path)?;
        let present = metadata.permissions().mode();
        let wanted = sharing.mode(present, metadata.is_dir());
        if wanted != present {
            // A file of another user's is as he made it.
            if let Err(e) = fs::set_permissions(path, fs::Permissions::from_mode(wanted)) {
                tracing::info!("{} can't be shared: {e}", path.display());
            }
        }
    }
    #[cfg(not(unix))]
    let _ = (sharing, path);
    Ok(())
}

/// Make a directory of the local state, and those above it.
pub fn make_dirs(dir: &Path) -> Result<(), PathError> {
    if dir.is_dir() {
        return Ok(());
    }
    if let Some(above) = dir.parent().filter(|above| !above.as_os_str().is_empty()) {
        make_dirs(above)?;
    }
    match fs::create_dir(dir) {
        Ok(()) => share(dir),
        Err(_) if dir.is_dir() => Ok(()),
        Err(e) => Err(PathError::new("create directory", dir, e)),
    }
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    }
}

/// Hold the lock file at `path` until the answer is dropped; wait for whoever holds it.
pub fn lock(path: &Path) -> Result<File, PathError> {
    let dir = parent(path);
    make_dirs(dir)?;
    let file = File::create(path).context("create", path)?;
    share(path)?;
    file.lock().context("lock", path)?;
    Ok(file)
}

/// The bytes of the file at `path`, or `None` where there is none.
pub fn read_optional(path: &Path) -> Result<Option<Vec<u8>>, PathError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if is_absent(&e) => Ok(None),
        Err(e) => Err(PathError::new("read", path, e)),
    }
}

/// No file that a commit brings for s3lfs or Git to read is larger: a million files need half of it.
pub const MAX_COMMITTED: u64 = 256 << 20;

/// As [`read_optional`], of a file that a commit may have brought: a link is not followed (nor does Git follow one
/// for `.gitattributes`), and no more than [`MAX_COMMITTED`] bytes are read.
pub fn read_committed(path: &Path) -> Result<Option<Vec<u8>>, PathError> {
    let Some((file, len)) = open_committed(path)? else { return Ok(None) };
    let mut bytes = Vec::with_capacity(len as usize + 1);
    file.take(MAX_COMMITTED + 1).read_to_end(&mut bytes).context("read", path)?;
    if bytes.len() as u64 > MAX_COMMITTED {
        return Err(PathError::new("read", path, too_large()));
    }
    Ok(Some(bytes))
}

/// Whether [`read_committed`] would read these bytes; takes no memory for them.
pub fn is_committed_as(path: &Path, bytes: &[u8]) -> Result<bool, PathError> {
    let Some((mut file, len)) = open_committed(path)? else { return Ok(false) };
    if len != bytes.len() as u64 {
        return Ok(false);
    }
    let (mut piece, mut rest) = ([0; 64 << 10], bytes);
    loop {
        let read = match file.read(&mut piece) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            read => read.context("read", path)?,
        };
        match rest.strip_prefix(&piece[..read]) {
            None => return Ok(false),
            Some(rest) if read == 0 => return Ok(rest.is_empty()),
            Some(less) => rest = less,
        }
    }
}

/// The file and its length.
fn open_committed(path: &Path) -> Result<Option<(File, u64)>, PathError> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_file() => {}
        Ok(_) => return Err(PathError::new("read", path, io::Error::other("it is no regular file"))),
        Err(e) if is_absent(&e) => return Ok(None),
        Err(e) => return Err(PathError::new("read", path, e)),
    }
    let file = File::open(path).context("read", path)?;
    let len = file.metadata().context("read", path)?.len();
    if len > MAX_COMMITTED {
        return Err(PathError::new("read", path, too_large()));
    }
    Ok(Some((file, len)))
}

fn too_large() -> io::Error {
    io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 256 MiB, which no such file has to be")
}

/// Whether an error says that nothing is at the path (a file in place of a directory counts).
pub fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_compared_to_its_last_byte() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        assert!(!is_committed_as(&path, b"").unwrap(), "none is not an empty one");
        for len in [0, 1, 64 << 10, (64 << 10) + 1, 200_000] {
            let bytes = vec![7; len];
            fs::write(&path, &bytes).unwrap();
            assert!(is_committed_as(&path, &bytes).unwrap(), "{len} bytes");
            assert!(!is_committed_as(&path, &[bytes.as_slice(), &[7]].concat()).unwrap(), "{len} bytes and one more");
            if let [less @ .., last] = bytes.as_slice() {
                assert!(!is_committed_as(&path, less).unwrap(), "{len} bytes but one");
                assert!(
                    !is_committed_as(&path, &[less, &[last ^ 1]].concat()).unwrap(),
                    "{len} bytes, one of them another"
                );
            }
        }
        assert!(is_committed_as(dir.path(), b"").is_err(), "a directory is no file");
    }

    #[test]
    fn sharing_is_what_git_makes_of_it() {
        for (value, file, dir) in [
            ("umask", 0o644, 0o755),
            ("false", 0o644, 0o755),
            ("0", 0o644, 0o755),
            ("group", 0o664, 0o2775),
            ("true", 0o664, 0o2775),
            ("all", 0o664, 0o2775),
            ("0640", 0o640, 0o2750),
            ("0660", 0o660, 0o2770),
            ("0444", 0o644, 0o755),
            ("nonsense", 0o644, 0o755),
        ] {
            let sharing = Sharing::parse(value);
            assert_eq!((sharing.mode(0o644, false), sharing.mode(0o755, true)), (file, dir), "{value}");
        }
        assert_eq!(Sharing::parse("group").mode(0o600, false), 0o660, "also against a strict umask");
    }
}
