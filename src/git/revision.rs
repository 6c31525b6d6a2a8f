//! What a user means by a revision or a range of them (gitrevisions(7)).
//!
//! Apart because it is text from a command line: it must never be taken for an option, and one that
//! names nothing is the user's error, not Git's failure.

use bstr::{BString, ByteSlice};

use super::objects::ObjectId;
use super::{Git, GitError};

/// A revision, or a range.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Revision {
    /// One commit, or one tree.
    Single(ObjectId),
    /// `A..B` and its like.
    Range {
        /// Its commits, newest first.
        commits: Vec<ObjectId>,
        /// Where it ends.
        tips: Vec<ObjectId>,
    },
}

impl Revision {
    /// Look it up; `None`: Git knows no such revision.
    pub fn find(text: &str) -> Result<Option<Self>, GitError> {
        if text.is_empty() || text.starts_with('-') {
            return Ok(None);
        }
        if !text.contains("..") {
            let commit = one(&format!("{text}^{{commit}}"))?;
            let tree = || one(&format!("{text}^{{tree}}"));
            return Ok(commit.map_or_else(tree, |id| Ok(Some(id)))?.map(Revision::Single));
        }
        let parsed = Git::new(["rev-parse", "--revs-only", text, "--"]).run()?;
        if !parsed.status.success() {
            return Ok(None);
        }
        let ids: Vec<BString> = parsed.stdout.lines().map(BString::from).collect();
        let tips: Vec<ObjectId> = ids.iter().filter(|id| !id.starts_with(b"^")).cloned().collect();
        if tips.is_empty() {
            return Ok(None);
        }
        let input = ids.iter().flat_map(|id| [id.as_slice(), b"\n"].concat()).collect();
        let listed = Git::new(["--no-replace-objects", "rev-list", "--stdin"]).input(input).output()?;
        Ok(Some(Revision::Range { commits: listed.lines().map(BString::from).collect(), tips }))
    }
}

fn one(expression: &str) -> Result<Option<ObjectId>, GitError> {
    let parsed = Git::new(["rev-parse", "--verify", "--quiet", "--end-of-options", expression]).run()?;
    Ok(parsed.status.success().then(|| parsed.stdout.trim().into()))
}

/// HEAD's commit, if there is one.
pub fn head() -> Result<Option<ObjectId>, GitError> {
    one("HEAD^{commit}")
}
