//! Files that s3lfs has just put into the worktree itself: what they hold, and the times that they had.
//!
//! Apart because it joins two processes: the one that wrote the files, and our clean filter, which
//! `git update-index --refresh` then runs on each of them to record its times. The filter may answer from
//! here while the file is the one that was written, by the very times by which Git itself trusts what it
//! checked out (git-filter-reference.md, part 2, "Stat cache"); so large content is not hashed again.

use std::collections::BTreeMap;
use std::fs::symlink_metadata;
use std::io::Write;
use std::path::Path;

use bstr::{BStr, ByteSlice};
use tempfile::NamedTempFile;

use crate::fs::{PathContext, PathError, Times, temp_in};
use crate::pointer::Pointer;

/// Names the file that [`Written::save`] made, to the filter.
pub const VARIABLE: &str = "S3LFS_WRITTEN";

/// Less content is hashed as fast as it is looked up.
pub const WORTH_NOTING: u64 = 1 << 20;

/// Such files, by pathname.
#[derive(Default, Debug)]
pub struct Written {
    files: BTreeMap<Vec<u8>, (String, Times)>,
}

impl Written {
    /// `pathname` holds the content of `pointer`.
    pub fn note(&mut self, pathname: &BStr, pointer: &Pointer, times: Times) {
        self.files.insert(pathname.to_vec(), (pointer.to_string(), times));
    }

    /// For the filter, in `dir`; gone when dropped. `None`: there is nothing to tell.
    pub fn save(&self, dir: &Path) -> Result<Option<NamedTempFile>, PathError> {
        if self.files.is_empty() {
            return Ok(None);
        }
        let mut file = temp_in(dir)?;
        let files: Vec<_> = self.files.iter().collect();
        let bytes = serde_json::to_vec(&files).expect("maps of strings and numbers are JSON");
        let path = file.path().to_owned();
        file.write_all(&bytes).context("write", &path)?;
        Ok(Some(file))
    }

    /// What another process saved. Anything else is nothing.
    pub fn load(path: &Path) -> Self {
        let files = std::fs::read(path).ok().and_then(|bytes| serde_json::from_slice::<Vec<_>>(&bytes).ok());
        Written { files: files.unwrap_or_default().into_iter().collect() }
    }

    /// The pointer to what stands at `pathname`, whose full path is `place`, if it is still what was written.
    pub fn pointer(&self, pathname: &BStr, place: &Path) -> Option<Pointer> {
        let (pointer, times) = self.files.get(pathname.as_bytes())?;
        let standing = symlink_metadata(place).ok()?;
        (Times::of(&standing) == Some(*times)).then(|| Pointer::parse(pointer.as_bytes())).flatten()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_was_touched_is_not_known() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("a.bin");
        let pointer = Pointer::to(b"content").unwrap();
        let mut written = Written::default();
        fs::write(&place, "content").unwrap();
        written.note("a.bin".into(), &pointer, Times::of(&fs::metadata(&place).unwrap()).unwrap());
        let saved = written.save(dir.path()).unwrap().unwrap();
        let loaded = || Written::load(saved.path()).pointer("a.bin".into(), &place);
        assert_eq!(loaded(), Some(pointer));
        assert_eq!(Written::load(saved.path()).pointer("b.bin".into(), &place), None, "another path");
        let before = fs::metadata(&place).unwrap().modified().unwrap();
        fs::write(&place, "CONTENT").unwrap();
        fs::File::options().write(true).open(&place).unwrap().set_modified(before).unwrap();
        assert_eq!(loaded(), None, "whoever sets the time back changes the time of that");
        fs::remove_file(&place).unwrap();
        assert_eq!(loaded(), None);
        fs::write(saved.path(), "no JSON").unwrap();
        assert_eq!(loaded(), None);
    }
}
