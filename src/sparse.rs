//! The sparse set of one worktree: the directories whose files are fetched (design.md, section 3,
//! "Local state", and section 5, `sparse-checkout`).
//!
//! Apart because a command writes it and the filter, in other processes, goes by it. It lies in
//! `<git dir>/s3lfs/sparse`: raw directory names from the top of the worktree, a NUL after each.
//! Without the file, everything is fetched.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bstr::{BStr, BString, ByteSlice};

use crate::fs::{PathContext, PathError, is_absent, read_optional, replace};
use crate::repo_path::RepoPath;

/// The directories.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SparseSet {
    dirs: BTreeSet<BString>,
}

impl SparseSet {
    /// The set of these directories.
    pub fn new<'a>(dirs: impl IntoIterator<Item = &'a RepoPath>) -> Self {
        SparseSet { dirs: dirs.into_iter().map(|dir| dir.as_bstr().to_owned()).collect() }
    }

    /// The set of the worktree with this Git directory; `None`: it has none.
    pub fn load(git_dir: &Path) -> Result<Option<Self>, PathError> {
        let path = file(git_dir);
        let Some(bytes) = read_optional(&path)? else { return Ok(None) };
        let mut dirs = BTreeSet::new();
        for name in bytes.split_str("\0").filter(|name| !name.is_empty()) {
            let dir = RepoPath::new(name).map_err(|e| PathError::new("use", &path, io::Error::other(e)))?;
            dirs.insert(dir.as_bstr().to_owned());
        }
        Ok(Some(SparseSet { dirs }))
    }

    /// Make it the set of that worktree.
    pub fn save(&self, git_dir: &Path) -> Result<(), PathError> {
        let path = file(git_dir);
        let dir = path.parent().unwrap_or(git_dir);
        fs::create_dir_all(dir).context("create directory", dir)?;
        let bytes: Vec<u8> = self.dirs.iter().flat_map(|dir| [dir.as_slice(), b"\0"].concat()).collect();
        replace(&path, &bytes)
    }

    /// Forget the set of that worktree.
    pub fn forget(git_dir: &Path) -> Result<(), PathError> {
        let path = file(git_dir);
        match fs::remove_file(&path) {
            Err(e) if !is_absent(&e) => Err(PathError::new("remove", path, e)),
            _ => Ok(()),
        }
    }

    /// The directories, sorted.
    pub fn dirs(&self) -> impl Iterator<Item = &BStr> {
        self.dirs.iter().map(|dir| dir.as_bstr())
    }

    /// Whether the file lies beneath one of them. Costs as much as the path is deep, however many
    /// directories there are.
    pub fn includes(&self, pathname: &BStr) -> bool {
        pathname.find_iter("/").any(|slash| self.dirs.contains(&pathname[..slash]))
    }
}

fn file(git_dir: &Path) -> PathBuf {
    git_dir.join("s3lfs").join("sparse")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(dirs: &[&str]) -> SparseSet {
        let dirs: Vec<RepoPath> = dirs.iter().map(|dir| RepoPath::new(*dir).unwrap()).collect();
        SparseSet::new(&dirs)
    }

    #[test]
    fn what_is_saved_is_loaded_until_it_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(SparseSet::load(dir.path()).unwrap(), None, "no set at first");
        let saved = set(&["art/deep", "odd\nname "]);
        saved.save(dir.path()).unwrap();
        assert_eq!(SparseSet::load(dir.path()).unwrap(), Some(saved));
        SparseSet::forget(dir.path()).unwrap();
        SparseSet::forget(dir.path()).unwrap();
        assert_eq!(SparseSet::load(dir.path()).unwrap(), None, "forgotten, and forgotten again");
    }

    #[test]
    fn a_file_is_in_the_set_at_any_depth_and_by_whole_names() {
        let set = set(&["art/deep", "docs"]);
        for inside in ["art/deep/a", "art/deep/er/a", "docs/x/y/z"] {
            assert!(set.includes(inside.into()), "{inside} lies beneath a directory of the set");
        }
        for outside in ["a", "art/a", "art/deeper/a", "docs", "other/docs/a"] {
            assert!(!set.includes(outside.into()), "{outside} does not");
        }
    }

    #[test]
    fn a_set_that_was_tampered_with_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("s3lfs")).unwrap();
        fs::write(file(dir.path()), b"../out\0").unwrap();
        assert!(SparseSet::load(dir.path()).is_err(), "no guess about what is wanted");
    }
}
