//! Where git-lfs keeps the content that it has here (git-lfs-config(5), `lfs.storage`; its docs/spec.md, "Local copy of
//! the file").
//!
//! Apart because it is another program's directory: it is read, and nothing in it is changed. A repository that was taken
//! over may still merge branches of before, whose content no store has yet.

use std::fs::File;
use std::io;
use std::path::PathBuf;

use bstr::ByteSlice;

use crate::cache::{CacheError, LocalCache};
use crate::cli::error::CliError;
use crate::cli::ui;
use crate::config::GitConfig;
use crate::error::chain;
use crate::fs::{PathContext, PathError};
use crate::git::{Git, Repo, path_from_bytes};
use crate::pointer::Pointer;

/// The directories in which objects may be: the repository's own, and those of repositories that it borrows from.
#[derive(Debug)]
pub struct Objects {
    dirs: Vec<PathBuf>,
}

impl Objects {
    /// Those of this repository, which all its worktrees share.
    pub fn of(repo: &Repo, config: &GitConfig) -> Result<Self, CliError> {
        let storage = config.get("lfs.storage").filter(|dir| !dir.is_empty()).map(|dir| path_from_bytes(dir));
        let storage = storage.unwrap_or_else(|| "lfs".into());
        let mut dirs = vec![repo.common_dir().join(storage).join("objects")];
        let alternates = Git::locate(["--git-path", "objects/info/alternates"]).path()?;
        for line in std::fs::read(alternates).unwrap_or_default().lines().filter(|line| !line.starts_with(b"#")) {
            // `<repository>/.git/objects`; a relative one is so to our own directory of objects.
            let objects = repo.common_dir().join("objects").join(path_from_bytes(line));
            dirs.extend(objects.parent().map(|git_dir| git_dir.join("lfs/objects")));
        }
        Ok(Objects { dirs })
    }

    /// Those of this repository, if git-lfs was ever at work in it.
    pub fn if_any(repo: &Repo, config: &GitConfig) -> Option<Self> {
        let is_there = repo.common_dir().join("lfs").is_dir() || config.get("lfs.storage").is_some();
        is_there.then(|| Self::of(repo, config).ok()).flatten()
    }

    /// Copy the content into the cache, if it is what its name says. `None`: it is not here. The inner error is the
    /// object's own.
    pub fn take(&self, cache: &LocalCache, pointer: &Pointer) -> Result<Option<Result<(), String>>, PathError> {
        let Some(file) = self.find(pointer) else { return Ok(None) };
        let mut content = match File::open(&file) {
            Ok(content) => content,
            Err(e) => return Ok(Some(Err(chain(&PathError::new("open", &file, e))))),
        };
        let mut staged = cache.stage();
        io::copy(&mut content, &mut staged).context("copy to the cache", &file)?;
        match staged.commit_as(&pointer.oid, Some(pointer.size)) {
            Ok(()) => Ok(Some(Ok(()))),
            // Our own disk: nothing is wrong with the object.
            Err(CacheError::Path(e)) => Err(e),
            Err(e) => Ok(Some(Err(format!("the object of git-lfs {} is damaged: {}", file.display(), chain(&e))))),
        }
    }

    /// As [`Objects::take`], for who has other places to look: whether the cache has it now.
    pub fn lend(&self, cache: &LocalCache, pointer: &Pointer) -> bool {
        match self.take(cache, pointer) {
            Ok(None) => false,
            Ok(Some(Ok(()))) => true,
            Ok(Some(Err(why))) => {
                ui::warn_once(format!("warning: {why}"));
                false
            }
            Err(e) => {
                tracing::info!("not taken from git-lfs: {}", chain(&e));
                false
            }
        }
    }

    /// The file that has the content of `pointer`, as far as its length tells.
    pub fn find(&self, pointer: &Pointer) -> Option<PathBuf> {
        self.named(pointer).find(|(_, len)| *len == pointer.size).map(|(file, _)| file)
    }

    /// A file that should have it, and has not as many bytes: how many it has.
    pub fn cut_short(&self, pointer: &Pointer) -> Option<(PathBuf, u64)> {
        self.named(pointer).find(|(_, len)| *len != pointer.size)
    }

    /// The files that are named by its oid, with their lengths in bytes.
    fn named(&self, pointer: &Pointer) -> impl Iterator<Item = (PathBuf, u64)> {
        let hex = pointer.oid.hex();
        let files = self.dirs.iter().map(move |dir| dir.join(&hex[..2]).join(&hex[2..4]).join(&hex));
        files.filter_map(|file| {
            let metadata = std::fs::metadata(&file).ok().filter(std::fs::Metadata::is_file)?;
            Some((file, metadata.len()))
        })
    }
}

/// Let git-lfs fetch what is not here, if it is installed. `false`: it is not. What it could not get is missed later.
pub fn fetch_all(missing: usize) -> Result<bool, CliError> {
    if !Git::new(["lfs", "version"]).run()?.status.success() {
        return Ok(false);
    }
    let count = ui::count(missing, "object");
    ui::say(format!("{count} of Git LFS not here: git lfs fetch --all"));
    let status = Git::new(["lfs", "fetch", "--all"]).shown()?;
    if !status.success() {
        ui::warn("warning: 'git lfs fetch --all' failed, or did not get everything");
    }
    Ok(true)
}
