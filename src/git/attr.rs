//! Attributes, asked of Git: never an own matcher.

use std::collections::HashSet;
use std::path::Path;

use bstr::{BStr, BString, ByteSlice};

use super::committed_attr::Bare;
use super::{Git, GitError, nul_separated};

/// Whose `.gitattributes` count.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// The worktree's, else the index's: what `git add` would use.
    Worktree,
    /// Those of a tree, read into this temporary index file.
    Index(&'a Path),
    /// Those in the index of such a directory, and no others.
    Bare(&'a Bare),
}

/// Those of `paths` that have `filter=s3lfs`.
pub fn filtered<'a>(
    paths: impl IntoIterator<Item = &'a BStr>,
    source: Source<'_>,
) -> Result<HashSet<BString>, GitError> {
    let mut input = Vec::new();
    for path in paths {
        input.extend_from_slice(path);
        input.push(0);
    }
    if input.is_empty() {
        return Ok(HashSet::new());
    }
    const ASK: [&str; 3] = ["check-attr", "-z", "--stdin"];
    let git = match source {
        Source::Worktree => Git::new(ASK).args(["filter"]),
        Source::Index(file) => Git::new(ASK).args(["--cached", "filter"]).env("GIT_INDEX_FILE", file),
        Source::Bare(bare) => bare.git(ASK).args(["--cached", "filter"]),
    };
    let output = git.input(input).output()?;
    let mut fields = nul_separated(&output);
    let mut found = HashSet::new();
    while let (Some(path), Some(_), Some(value)) = (fields.next(), fields.next(), fields.next()) {
        if value == b"s3lfs" {
            found.insert(path.as_bstr().to_owned());
        }
    }
    Ok(found)
}
