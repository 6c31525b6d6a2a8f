//! Vouched: the manifest-only files of which this worktree's user is known to want the content shared, or of which the
//! content came from the store.
//!
//! Apart because Git ignores these files and a manifest comes with a commit: who writes one could name any private file
//! here (`.env`), and what records changes anew would send it. Only what stands here may go by itself. The list is per
//! worktree, in `<git dir>/s3lfs/vouched`: pathnames, sorted, a NUL after each. Without the file, nothing was noted
//! yet: the repository was set up by a version that knew no such list.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::fs::{PathContext, PathError, lock, read_optional, replace};

/// The list of one worktree.
#[derive(Clone, Debug)]
pub struct Vouched {
    path: PathBuf,
}

impl Vouched {
    /// The list of the worktree with this Git directory.
    pub fn new(git_dir: &Path) -> Self {
        Vouched { path: git_dir.join("s3lfs").join("vouched") }
    }

    /// Whether anything was ever noted.
    pub fn is_begun(&self) -> bool {
        self.path.exists()
    }

    /// The noted paths; `None`: nothing was ever noted, not even that there is nothing.
    pub fn list(&self) -> Result<Option<BTreeSet<String>>, PathError> {
        let Some(bytes) = read_optional(&self.path)? else { return Ok(None) };
        let names = bytes.split(|byte| *byte == 0).filter(|name| !name.is_empty());
        // A name that no manifest can have is nobody's.
        Ok(Some(names.filter_map(|name| String::from_utf8(name.to_vec()).ok()).collect()))
    }

    /// Note these paths too. Where nothing was ever noted, the list begins with them, also if there are none.
    pub fn add(&self, paths: impl IntoIterator<Item = String>) -> Result<(), PathError> {
        self.change(paths.into_iter().collect(), |noted, paths| noted.extend(paths))
    }

    /// Take these paths out.
    pub fn forget(&self, paths: &BTreeSet<String>) -> Result<(), PathError> {
        if paths.is_empty() || !self.is_begun() {
            return Ok(());
        }
        self.change(paths.clone(), |noted, paths| noted.retain(|path| !paths.contains(path)))
    }

    /// Read, changed and written under a lock: two commands at once lose nothing.
    fn change(
        &self,
        paths: BTreeSet<String>,
        change: impl FnOnce(&mut BTreeSet<String>, BTreeSet<String>),
    ) -> Result<(), PathError> {
        if paths.is_empty() && self.is_begun() {
            return Ok(());
        }
        let dir = self.path.parent().unwrap_or(&self.path);
        fs::create_dir_all(dir).context("create directory", dir)?;
        let _lock = lock(&self.path.with_extension("lock"))?;
        let before = self.list()?;
        let mut noted = before.clone().unwrap_or_default();
        change(&mut noted, paths);
        if before.as_ref() == Some(&noted) {
            return Ok(());
        }
        let bytes: Vec<u8> = noted.iter().flat_map(|path| [path.as_bytes(), b"\0"].concat()).collect();
        replace(&self.path, &bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(paths: &[&str]) -> BTreeSet<String> {
        paths.iter().map(|path| (*path).to_owned()).collect()
    }

    #[test]
    fn paths_are_noted_until_they_are_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let vouched = Vouched::new(dir.path());
        assert_eq!(vouched.list().unwrap(), None, "nothing was ever noted");
        vouched.forget(&set(&["a"])).unwrap();
        assert_eq!(vouched.list().unwrap(), None, "and forgetting notes nothing");
        vouched.add(set(&[])).unwrap();
        assert_eq!(vouched.list().unwrap(), Some(set(&[])), "that there is nothing is a note too");
        vouched.add(set(&["b", "odd\nname "])).unwrap();
        vouched.add(set(&["a", "b"])).unwrap();
        assert_eq!(vouched.list().unwrap(), Some(set(&["a", "b", "odd\nname "])));
        vouched.forget(&set(&["b", "never"])).unwrap();
        assert_eq!(vouched.list().unwrap(), Some(set(&["a", "odd\nname "])));
        vouched.forget(&set(&["a", "odd\nname "])).unwrap();
        assert_eq!(vouched.list().unwrap(), Some(set(&[])), "an empty list is still one");
    }
}
