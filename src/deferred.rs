//! Deferred files: paths that smudge left as pointers because Git would hold their content whole in
//! memory (design.md, section 4, "Size limit").
//!
//! Apart because the filter notes them, and hooks and commands, in other processes, fill them. The
//! list is per worktree, in `<git dir>/s3lfs/deferred`: raw pathnames, a NUL after each. It names
//! candidates only; whether a file still is its pointer is looked at when it is filled.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use bstr::{BStr, BString, ByteSlice};

use crate::fs::{PathContext, PathError, is_absent, read_optional, replace};

/// The list of one worktree.
#[derive(Clone, Debug)]
pub struct Deferred {
    path: PathBuf,
}

impl Deferred {
    /// The list of the worktree with this Git directory.
    pub fn new(git_dir: &Path) -> Self {
        Deferred { path: git_dir.join("s3lfs").join("deferred") }
    }

    /// Note a path. One write, so that two filters at once lose nothing.
    pub fn add(&self, pathname: &BStr) -> Result<(), PathError> {
        let dir = self.path.parent().unwrap_or(&self.path);
        fs::create_dir_all(dir).context("create directory", dir)?;
        let _lock = self.lock()?;
        if self.list()?.contains(pathname) {
            return Ok(());
        }
        let mut file = OpenOptions::new().append(true).create(true).open(&self.path).context("open", &self.path)?;
        file.write_all(&[pathname.as_bytes(), b"\0"].concat()).context("write", &self.path)
    }

    /// The noted paths.
    pub fn list(&self) -> Result<BTreeSet<BString>, PathError> {
        let bytes = read_optional(&self.path)?.unwrap_or_default();
        Ok(bytes.split_str("\0").filter(|path| !path.is_empty()).map(BString::from).collect())
    }

    /// Forget these paths. Without any left, the file goes.
    pub fn forget(&self, done: &BTreeSet<BString>) -> Result<(), PathError> {
        if done.is_empty() || !self.path.exists() {
            return Ok(());
        }
        let _lock = self.lock()?;
        let left: Vec<u8> = self.list()?.difference(done).flat_map(|path| [path.as_slice(), b"\0"].concat()).collect();
        if !left.is_empty() {
            return replace(&self.path, &left);
        }
        match fs::remove_file(&self.path) {
            Err(e) if !is_absent(&e) => Err(PathError::new("remove", &self.path, e)),
            _ => Ok(()),
        }
    }

    fn lock(&self) -> Result<File, PathError> {
        let path = self.path.with_extension("lock");
        let file = File::create(&path).context("create", &path)?;
        file.lock().context("lock", &path)?;
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_noted_until_they_are_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let deferred = Deferred::new(dir.path());
        assert!(deferred.list().unwrap().is_empty(), "nothing is deferred at first");
        for path in ["a", "odd\nname ", "a"] {
            deferred.add(path.into()).unwrap();
        }
        let set = |paths: &[&str]| paths.iter().map(|p| BString::from(*p)).collect::<BTreeSet<_>>();
        assert_eq!(deferred.list().unwrap(), set(&["a", "odd\nname "]));
        deferred.forget(&set(&["a"])).unwrap();
        assert_eq!(deferred.list().unwrap(), set(&["odd\nname "]));
        deferred.forget(&set(&["odd\nname "])).unwrap();
        assert!(!dir.path().join("s3lfs/deferred").exists(), "an empty list leaves no file");
    }
}
