//! Attributes, asked of Git: never an own matcher.

use std::collections::HashSet;
use std::path::Path;

use bstr::{BStr, BString, ByteSlice};

use super::committed_attr::Bare;
use super::{Git, GitError, nul_separated};
use crate::pointer::Form;

/// Whose `.gitattributes` count.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// The worktree's, else the index's: what `git add` would use.
    Worktree,
    /// The index's: what the next commit brings.
    Staged,
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
    under(Form::Ours, paths, source)
}

/// Those of `paths` that have the filter under which pointers of this form stand.
pub fn under<'a>(
    form: Form,
    paths: impl IntoIterator<Item = &'a BStr>,
    source: Source<'_>,
) -> Result<HashSet<BString>, GitError> {
    with(form.filter(), paths, source)
}

/// Those of `paths` of whose filter no attribute says a word.
pub fn unspecified<'a>(
    paths: impl IntoIterator<Item = &'a BStr>,
    source: Source<'_>,
) -> Result<HashSet<BString>, GitError> {
    with("unspecified", paths, source)
}

fn with<'a>(
    filter: &str,
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
        Source::Staged => Git::new(ASK).args(["--cached", "filter"]),
        Source::Index(file) => Git::new(ASK).args(["--cached", "filter"]).env("GIT_INDEX_FILE", file),
        Source::Bare(bare) => bare.git(ASK).args(["--cached", "filter"]),
    };
    let output = at_once(git, input)?;
    let mut found = HashSet::new();
    for (path, _, value) in answers(&output) {
        if value == filter.as_bytes() {
            found.insert(path.as_bstr().to_owned());
        }
    }
    Ok(found)
}

/// Those of `paths` that have `filter=s3lfs`, and no encoding in the worktree: what Git does beside that to a file leaves
/// a pointer as it is (gitattributes(5), "Interaction between checkin/checkout attributes").
pub fn through_filter_alone<'a>(paths: impl IntoIterator<Item = &'a BStr>) -> Result<HashSet<BString>, GitError> {
    let input: Vec<u8> = paths.into_iter().flat_map(|path| [path.as_bytes(), b"\0"].concat()).collect();
    if input.is_empty() {
        return Ok(HashSet::new());
    }
    let git = Git::new(["check-attr", "-z", "--stdin", "filter", "working-tree-encoding"]);
    let output = at_once(git, input)?;
    let (mut found, mut encoded) = (HashSet::new(), Vec::new());
    for (path, name, value) in answers(&output) {
        match (name, value) {
            (b"filter", b"s3lfs") => drop(found.insert(path.as_bstr().to_owned())),
            (b"filter", _) | (_, b"unspecified" | b"unset") => {}
            _ => encoded.push(path.as_bstr()),
        }
    }
    for path in encoded {
        found.remove(path);
    }
    Ok(found)
}

/// Git writes each answer by itself to whoever may wait for it before he asks for more (git(1), `GIT_FLUSH`); here nobody does.
fn at_once(git: Git, input: Vec<u8>) -> Result<Vec<u8>, GitError> {
    git.input(input).env("GIT_FLUSH", "0").output()
}

/// Path, attribute and value, one after the other.
fn answers(output: &[u8]) -> impl Iterator<Item = (&[u8], &[u8], &[u8])> {
    let mut fields = nul_separated(output);
    std::iter::from_fn(move || Some((fields.next()?, fields.next()?, fields.next()?)))
}
