//! What the attributes in Git give to the filter, whatever this clone adds in `.git/info/attributes`.
//!
//! Apart from `attr`, which tells what happens here: what is published is read by others, who have the committed
//! attributes alone, and that file has the last word over them (gitattributes(5)). Git has no switch that leaves it out,
//! so it is asked in a directory that has none.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use bstr::{BStr, BString, ByteSlice};
use tempfile::TempDir;

use super::attr::{self, Source};
use super::objects::{self, ObjectId};
use super::{Git, GitError, common_dir};
use crate::fs::temp_dir;
use crate::pointer::Form;

/// This clone's own attributes, which have the last word here; `None`: there are none.
pub fn overriding() -> Result<Option<PathBuf>, GitError> {
    let path = common_dir()?.join("info/attributes");
    Ok(fs::metadata(&path).is_ok_and(|file| file.len() > 0).then_some(path))
}

/// Those of `paths` that have the filter of this form by these `.gitattributes` files alone (path and blob).
pub fn under<'a>(
    form: Form,
    paths: impl IntoIterator<Item = &'a BStr>,
    attributes: &[(BString, ObjectId)],
) -> Result<HashSet<BString>, GitError> {
    if attributes.is_empty() {
        return Ok(HashSet::new());
    }
    // A partial clone need not have them.
    objects::kinds_fetching(attributes.iter().map(|(_, id)| id.as_bstr()))?;
    let failed = |source| GitError::Local { action: "make a temporary directory", source };
    let dir = temp_dir().map_err(failed)?;
    let bare = Bare { objects: Git::locate(["--git-path", "objects"]).path()?, dir };
    bare.write().map_err(failed)?;
    let lines = |(path, id): &(BString, ObjectId)| [b"100644 ", id.as_slice(), b" 0\t", path, b"\0"].concat();
    let index = bare.git(["update-index", "-z", "--index-info"]);
    index.input(attributes.iter().flat_map(lines).collect()).output()?;
    attr::under(form, paths, Source::Bare(&bare))
}

/// A Git directory without anything of its own, which has the objects of this repository.
#[derive(Debug)]
pub struct Bare {
    dir: TempDir,
    objects: PathBuf,
}

impl Bare {
    fn write(&self) -> std::io::Result<()> {
        let format = Git::new(["rev-parse", "--show-object-format"]).line_if_any().ok().flatten();
        let ignore_case = Git::new(["config", "--bool", "core.ignoreCase"]).line_if_any().ok().flatten();
        let mut config = "[core]\nbare = true\nattributesFile = /dev/null\n".to_owned();
        if ignore_case.is_some_and(|value| value == "true") {
            config.push_str("ignoreCase = true\n");
        }
        match format.filter(|format| format != "sha1") {
            Some(format) => config.push_str(&format!(
                "repositoryFormatVersion = 1\n[extensions]\nobjectFormat = {}\n",
                format.to_str_lossy()
            )),
            None => config.push_str("repositoryFormatVersion = 0\n"),
        }
        let dir = self.dir.path();
        fs::create_dir(dir.join("refs"))?;
        fs::write(dir.join("HEAD"), "ref: refs/heads/none\n")?;
        fs::write(dir.join("config"), config)
    }

    /// `git <args>` there.
    pub fn git<const N: usize>(&self, args: [&str; N]) -> Git {
        let dir: &Path = self.dir.path();
        let git = Git::new(args).elsewhere().in_dir(dir).env("GIT_DIR", dir).env("GIT_INDEX_FILE", dir.join("index"));
        git.env("GIT_OBJECT_DIRECTORY", &self.objects).env("GIT_ATTR_NOSYSTEM", "1")
    }
}
