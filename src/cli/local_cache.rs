//! The local cache of a repository, with the directory of `s3lfs.cachedir` behind it.
//!
//! Apart because only here the cache meets Git's configuration and the upload records, and because
//! both are asked when content is missing, not before.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use bstr::ByteSlice;

use crate::cache::{LocalCache, Registered, Sharing, this_machine};
use crate::cli::ui;
use crate::error::chain;
use crate::fs::{PathContext, PathError, read_optional, replace};
use crate::git::worktrees::base;
use crate::git::{Git, Repo, path_from_bytes};
use crate::oid::Oid;
use crate::uploaded;

/// The cache of `repo`.
pub fn local_cache(repo: &Repo) -> LocalCache {
    LocalCache::new(repo.state_dir()).sharing(CacheDir { repo: repo.clone(), known: OnceLock::new() })
}

/// The directory, asked for and complained about once a process.
static DIRECTORY: OnceLock<Option<PathBuf>> = OnceLock::new();

struct CacheDir {
    repo: Repo,
    known: OnceLock<Option<Mutex<Known>>>,
}

/// Content that needs no copy of this clone's own.
struct Known {
    oids: HashSet<Oid>,
    /// What came from the shared directory is noted here, an oid a line.
    notes: File,
}

impl Sharing for CacheDir {
    fn directory(&self) -> Option<PathBuf> {
        DIRECTORY.get_or_init(|| directory(&self.repo)).clone()
    }

    fn is_confirmed(&self, oid: &Oid) -> bool {
        self.with_known(|known| Ok(known.oids.contains(oid))).unwrap_or(false)
    }

    fn delivered(&self, oid: &Oid) {
        // Without the note, a copy is made that would not have to be.
        self.with_known(|known| if known.oids.insert(*oid) { writeln!(known.notes, "{}", oid.hex()) } else { Ok(()) });
    }

    fn registered_as(&self) -> Option<Registered> {
        let git_dir = self.repo.common_dir().canonicalize().ok()?;
        let worktree = self.repo.worktree().and_then(|top| top.canonicalize().ok());
        Some(Registered { machine: this_machine(), git_dir, worktree })
    }
}

impl CacheDir {
    /// `None`: the records can't be read or written.
    fn with_known<T>(&self, act: impl FnOnce(&mut Known) -> io::Result<T>) -> Option<T> {
        let open = || {
            let opened = Known::open(&self.repo.state_dir()).map_err(|e| tracing::warn!("{}", chain(&e)));
            opened.ok().map(Mutex::new)
        };
        let mut known = self.known.get_or_init(open).as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
        act(&mut known).map_err(|e| tracing::debug!("the note was not taken: {e}")).ok()
    }
}

impl Known {
    fn open(state_dir: &Path) -> Result<Self, PathError> {
        let path = state_dir.join("from-shared");
        let mut oids = uploaded::fresh_in_any(state_dir)?;
        let noted = read_optional(&path)?.unwrap_or_default();
        oids.extend(noted.lines().filter_map(Oid::from_hex));
        fs::create_dir_all(state_dir).context("create directory", state_dir)?;
        let notes = File::options().create(true).append(true).open(&path).context("open", &path)?;
        Ok(Known { oids, notes })
    }
}

/// Forget the notes of content that the shared directory has no more. A note that another process takes
/// meanwhile may be lost with them, and costs a copy.
pub fn forget_notes(state_dir: &Path, shared: &LocalCache) -> Result<(), PathError> {
    let path = state_dir.join("from-shared");
    let Some(noted) = read_optional(&path)? else { return Ok(()) };
    let there = |line: &&[u8]| Oid::from_hex(line).is_some_and(|oid| shared.find_own(&oid, None).is_some());
    let kept: Vec<u8> = noted.lines().filter(there).flat_map(|line| [line, b"\n"].concat()).collect();
    replace(&path, &kept)
}

fn directory(repo: &Repo) -> Option<PathBuf> {
    let answer = Git::new(["config", "--type=path", "-z", "--get", "s3lfs.cachedir"]).run().ok()?;
    let unused = |why: &str| {
        ui::warn(format!("warning: the shared cache (s3lfs.cachedir) is not used, but this clone's own: {why}"));
    };
    if !answer.status.success() {
        // 1: it is not set.
        if answer.status.code() != Some(1) {
            unused(&answer.stderr.trim().to_str_lossy());
        }
        return None;
    }
    let value = answer.stdout.strip_suffix(b"\0").unwrap_or(&answer.stdout);
    if value.is_empty() {
        return None;
    }
    let dir = base(repo).join(path_from_bytes(value));
    match usable(&dir) {
        Ok(()) => Some(dir),
        Err(why) => {
            unused(&format!("{}: {why}", dir.display()));
            None
        }
    }
}

/// Made if it is not there, but not the directories above it: they may be where a disk is not mounted.
fn usable(dir: &Path) -> Result<(), String> {
    match fs::create_dir(dir) {
        Ok(()) => Ok(()),
        // It may stand in one that is read-only.
        Err(_) if dir.is_dir() => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Err("it is no directory".to_owned()),
        Err(_) if dir.parent().is_some_and(|parent| !parent.exists()) => {
            Err("the directory above it does not exist".to_owned())
        }
        Err(e) => Err(format!("it can't be made: {e}")),
    }
}
