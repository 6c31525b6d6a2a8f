//! Vouched: the manifest-only files of which this worktree's user is known to want the content shared, or of which the
//! content came from the store.
//!
//! Apart because Git ignores these files and a manifest comes with a commit: who writes one could name any private file
//! here (`.env`), and what records changes anew would send it. Only what stands here may go by itself. The list is per
//! worktree, in `<git dir>/s3lfs/vouched`: pathnames, sorted, each with the oid that was recorded or fetched here (`-`: not
//! known), a NUL after each of both. By that it shows who changed a file since: the one here, the manifest, or both. Without
//! the file, nothing was noted yet: the repository was set up by a version that knew no such list.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::fs::{PathContext, PathError, lock, read_optional, replace};
use crate::oid::Oid;

/// The noted paths, each with the content that was recorded or fetched here last.
pub type Notes = BTreeMap<String, Option<Oid>>;

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

    /// What is noted; `None`: nothing was ever noted, not even that there is nothing.
    pub fn list(&self) -> Result<Option<Notes>, PathError> {
        let Some(bytes) = read_optional(&self.path)? else { return Ok(None) };
        let mut fields = bytes.split(|byte| *byte == 0);
        let mut notes = Notes::new();
        while let (Some(name), Some(oid)) = (fields.next(), fields.next()) {
            // A name that no manifest can have is nobody's.
            if let Ok(name) = String::from_utf8(name.to_vec()) {
                notes.insert(name, Oid::from_hex(oid));
            }
        }
        Ok(Some(notes))
    }

    /// Note these too. Where nothing was ever noted, the list begins with them, also if there are none.
    pub fn add(&self, notes: Notes) -> Result<(), PathError> {
        if notes.is_empty() && self.is_begun() {
            return Ok(());
        }
        self.change(|noted| noted.extend(notes))
    }

    /// Take these paths out.
    pub fn forget(&self, paths: &BTreeSet<String>) -> Result<(), PathError> {
        if paths.is_empty() || !self.is_begun() {
            return Ok(());
        }
        self.change(|noted| noted.retain(|path, _| !paths.contains(path)))
    }

    /// Read, changed and written under a lock: two commands at once lose nothing.
    fn change(&self, change: impl FnOnce(&mut Notes)) -> Result<(), PathError> {
        let dir = self.path.parent().unwrap_or(&self.path);
        fs::create_dir_all(dir).context("create directory", dir)?;
        let _lock = lock(&self.path.with_extension("lock"))?;
        let before = self.list()?;
        let mut noted = before.clone().unwrap_or_default();
        change(&mut noted);
        if before.as_ref() == Some(&noted) {
            return Ok(());
        }
        let line = |(path, oid): (&String, &Option<Oid>)| {
            let oid = oid.map_or("-".to_owned(), |oid| oid.hex());
            [path.as_bytes(), b"\0", oid.as_bytes(), b"\0"].concat()
        };
        replace(&self.path, &noted.iter().flat_map(line).collect::<Vec<u8>>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(paths: &[&str]) -> BTreeSet<String> {
        paths.iter().map(|path| (*path).to_owned()).collect()
    }

    fn notes(paths: &[&str]) -> Notes {
        paths.iter().map(|path| ((*path).to_owned(), Some(Oid::of(path.as_bytes())))).collect()
    }

    #[test]
    fn paths_are_noted_until_they_are_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let vouched = Vouched::new(dir.path());
        assert_eq!(vouched.list().unwrap(), None, "nothing was ever noted");
        vouched.forget(&set(&["a"])).unwrap();
        assert_eq!(vouched.list().unwrap(), None, "and forgetting notes nothing");
        vouched.add(notes(&[])).unwrap();
        assert_eq!(vouched.list().unwrap(), Some(notes(&[])), "that there is nothing is a note too");
        vouched.add([("b".to_owned(), None), ("odd\nname ".to_owned(), None)].into()).unwrap();
        assert_eq!(vouched.list().unwrap().unwrap()["b"], None, "its content is not known");
        vouched.add(notes(&["b", "odd\nname "])).unwrap();
        vouched.add(notes(&["a", "b"])).unwrap();
        assert_eq!(vouched.list().unwrap(), Some(notes(&["a", "b", "odd\nname "])));
        vouched.forget(&set(&["b", "never"])).unwrap();
        assert_eq!(vouched.list().unwrap(), Some(notes(&["a", "odd\nname "])));
        vouched.forget(&set(&["a", "odd\nname "])).unwrap();
        assert_eq!(vouched.list().unwrap(), Some(notes(&[])), "an empty list is still one");
    }
}
