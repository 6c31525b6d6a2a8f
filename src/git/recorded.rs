//! What Git's index records of files that s3lfs itself read or wrote: told to it without Git asking for the content.
//!
//! Apart because `git update-index --refresh` pipes all of a file through our filter only to learn what is known here
//! (git-filter-reference.md, part 2, "Stat cache"). The index is written as Git writes it, under its lock, and only
//! fields of fixed length change. Where anything about it is not as known here, Git is left to do it.

use std::collections::HashMap;
use std::fs::{File, Metadata, symlink_metadata};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use bstr::{BString, ByteSlice};
use tempfile::NamedTempFile;

use super::index_file::{IndexFile, ObjectFormat, Stat};
use super::{Git, GitError, path_from_bytes};
use crate::fs::{PathContext, PathError, share, temp_in};

/// A file of which it is known what clean makes of it.
#[derive(Clone, Debug)]
pub struct Settled {
    /// Raw pathname, relative to the top.
    pub path: BString,
    /// The blob that its content becomes.
    pub blob: Vec<u8>,
    /// What Git records of it. Whoever gives this vouches that the content was that one when the file was so.
    pub stat: Stat,
}

/// The index of this worktree, and how its repository names objects.
#[derive(Clone, Debug)]
pub struct IndexPlace {
    path: PathBuf,
    /// Where its files are; empty: the current directory.
    top: PathBuf,
    /// How objects are named.
    pub format: ObjectFormat,
}

impl IndexPlace {
    /// Ask Git, which knows of `GIT_INDEX_FILE`. `None`: its objects are named in a way that is not known here.
    pub fn find() -> Result<Option<Self>, GitError> {
        let answer = Git::locate(["--git-path", "index", "--show-object-format"]).output()?;
        let (path, format) = answer.trim_end_with(|c| c == '\n').rsplit_once_str("\n").unwrap_or_default();
        let place = |format| IndexPlace { path: path_from_bytes(path), top: PathBuf::new(), format };
        Ok(ObjectFormat::parse(format).map(place))
    }

    /// Whether it is this file.
    pub fn is(&self, index: &Path) -> bool {
        let resolved = |path: &Path| path.canonicalize().ok();
        resolved(&self.path).is_some_and(|own| Some(own) == resolved(index))
    }

    /// Record these files, by somebody who holds the lock of the index. Entries with another blob by now, or with
    /// another state, stay as they are. How many were recorded: the others Git has to look at. Temporary files are made
    /// in `tmp`.
    pub fn record_under_lock(&self, settled: &[Settled], tmp: &Path) -> Result<usize, PathError> {
        if settled.is_empty() {
            return Ok(0);
        }
        let Some((count, new)) = self.made(&self.known(settled), tmp)? else { return Ok(0) };
        new.persist(&self.path).map_err(|e| PathError::new("replace", &self.path, e.error))?;
        Ok(count)
    }

    fn known<'a>(&self, settled: &'a [Settled]) -> Known<'a> {
        settled.iter().map(|file| (file.path.as_bytes(), (self.format.blob(&file.blob), file.stat))).collect()
    }

    /// The index with these files in it, and how many they are. `None`: they are none, or it has a form that only Git
    /// knows.
    fn made(&self, known: &Known<'_>, tmp: &Path) -> Result<Option<(usize, NamedTempFile)>, PathError> {
        // A link is somebody's arrangement.
        let (Ok(mut file), true) = (File::open(&self.path), symlink_metadata(&self.path).is_ok_and(|m| m.is_file()))
        else {
            return Ok(None);
        };
        let metadata = file.metadata().context("look at", &self.path)?;
        let mut bytes = Vec::with_capacity(metadata.len() as usize + 1);
        file.read_to_end(&mut bytes).context("read", &self.path)?;
        let (Some(mut index), Some(written)) = (IndexFile::parse(bytes, self.format), seconds(&metadata)) else {
            return Ok(None);
        };
        let mut new = temp_in(tmp)?;
        let begun = new.as_file().metadata().and_then(|new| new.modified()).context("look at", new.path())?;
        let count = index.record(written, |entry| {
            let (id, stat) = known.get(entry.path)?;
            (id == entry.id && self.is_still(entry.path, stat)).then_some(*stat)
        });
        if count == 0 {
            return Ok(None);
        }
        new.write_all(&index.into_bytes()).context("write", new.path())?;
        // Git goes by whole seconds: a file that changed once more in the second in which it was looked at has the same
        // time. So the index is as old as that look: what is not older, Git looks at again (racy-git.txt).
        new.as_file().set_modified(begun).context("date", new.path())?;
        // Else it may be empty after the loss of power.
        new.as_file().sync_all().context("write", new.path())?;
        share(new.path())?;
        Ok(Some((count, new)))
    }

    /// Whether the file is as it was, to the nanosecond.
    fn is_still(&self, path: &[u8], stat: &Stat) -> bool {
        symlink_metadata(self.top.join(path_from_bytes(path))).is_ok_and(|now| Stat::of(&now).as_ref() == Some(stat))
    }
}

/// By pathname: the id of the blob, and what is to be recorded.
type Known<'a> = HashMap<&'a [u8], (Vec<u8>, Stat)>;

/// When it was written, as Git keeps it.
fn seconds(file: &Metadata) -> Option<u32> {
    Some(file.modified().ok()?.duration_since(UNIX_EPOCH).ok()?.as_secs() as u32)
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::fs;
    use std::process::Command;
    use std::time::{Duration, SystemTime};

    use super::*;

    fn git(dir: &Path, args: &[&str]) -> String {
        let mut git = Command::new("git");
        git.current_dir(dir).args(args).env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
        let ran = git.env_remove("GIT_DIR").env_remove("GIT_INDEX_FILE").output().unwrap();
        assert!(ran.status.success(), "{ran:?}");
        String::from_utf8(ran.stdout).unwrap()
    }

    fn modified(path: &Path, time: SystemTime) {
        File::options().append(true).open(path).unwrap().set_modified(time).unwrap();
    }

    /// Git compares whole seconds, and would not see that.
    #[test]
    fn a_file_that_changed_in_the_same_second_since_it_was_read_is_left_to_git() {
        let dir = tempfile::tempdir().unwrap();
        let (top, file, index) = (dir.path(), dir.path().join("a"), dir.path().join(".git/index"));
        git(top, &["init", "-q", "--object-format=sha1"]);
        fs::write(&file, "content").unwrap();
        git(top, &["add", "a"]);
        let second = SystemTime::now() - Duration::from_secs(3600);
        let place = IndexPlace { path: index.clone(), top: top.to_owned(), format: ObjectFormat::Sha1 };
        let settled = || {
            let stat = Stat::of(&symlink_metadata(&file).unwrap()).unwrap();
            Settled { path: "a".into(), blob: b"content".to_vec(), stat }
        };
        modified(&file, second);
        let before = settled();
        modified(&file, second + Duration::from_nanos(1_000_000));
        assert_eq!(place.record_under_lock(&[before], top).unwrap(), 0, "it is another file by now");

        assert_eq!(place.record_under_lock(&[settled()], top).unwrap(), 1);
        assert_eq!(git(top, &["status", "--porcelain"]), "A  a\n", "Git takes it");
    }
}
