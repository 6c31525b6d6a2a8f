//! The hooks that s3lfs puts into a repository, as a marked block in a script that may be the user's.
//!
//! Apart because it edits files that are not ours: what becomes of the bytes of a hook is decided by
//! the pure functions [`install`] and [`uninstall`], and [`apply()`] alone touches a disk.

mod apply;
mod block;
mod managers;
mod obstacle;

use bstr::ByteSlice;

pub use apply::{Action, HooksError, Outcome, Report, apply, by_hand, is_chained, was_done};
pub use block::{Installed, Uninstalled, install, uninstall};
pub use obstacle::{has_block_at, obstacle};

/// A hook that s3lfs has work in (design.md, section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Hook {
    /// Uploads and projects before a commit.
    PreCommit,
    /// The same before a merge's commit, for which Git does not run pre-commit.
    PreMergeCommit,
    /// Uploads what pre-commit left, repairs the index after `commit <path>`.
    PostCommit,
    /// Uploads what is missing, and refuses what would dangle.
    PrePush,
    /// Fills the files that smudge deferred.
    PostCheckout,
    /// The same after a merge or pull.
    PostMerge,
}

impl Hook {
    /// All of them.
    pub const ALL: [Hook; 6] =
        [Hook::PreCommit, Hook::PreMergeCommit, Hook::PostCommit, Hook::PrePush, Hook::PostCheckout, Hook::PostMerge];

    /// The name of the file, and what `s3lfs hook` calls it.
    pub fn name(self) -> &'static str {
        match self {
            Hook::PreCommit => "pre-commit",
            Hook::PreMergeCommit => "pre-merge-commit",
            Hook::PostCommit => "post-commit",
            Hook::PrePush => "pre-push",
            Hook::PostCheckout => "post-checkout",
            Hook::PostMerge => "post-merge",
        }
    }

    /// The hook of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|hook| hook.name() == name)
    }

    /// The whole script, for a repository that has no such hook: a head, and the block. Git's pipes to a filter or to the
    /// other side (descriptors 3 to 9, which a shell can name) are closed for s3lfs: Git waits until the last process has
    /// closed them, and what a credential helper leaves behind runs for as long as it likes.
    pub fn script(self) -> &'static str {
        match self {
            Hook::PreCommit => include_str!("../../hooks/pre-commit"),
            Hook::PreMergeCommit => include_str!("../../hooks/pre-merge-commit"),
            Hook::PostCommit => include_str!("../../hooks/post-commit"),
            Hook::PrePush => include_str!("../../hooks/pre-push"),
            Hook::PostCheckout => include_str!("../../hooks/post-checkout"),
            Hook::PostMerge => include_str!("../../hooks/post-merge"),
        }
    }

    /// The marked block, for a hook that is there already.
    pub fn block(self) -> &'static str {
        &self.script()[self.head().len()..]
    }

    /// The line to add by hand to a hook that is [`Installed::Foreign`]. In pre-* hooks its failure
    /// must stop the hook; in pre-push it reads all of standard input.
    pub fn command(self) -> &'static str {
        match self {
            Hook::PreCommit | Hook::PreMergeCommit => "s3lfs track-modified --staged",
            Hook::PostCommit => "s3lfs hook post-commit \"$@\"",
            Hook::PrePush => "s3lfs hook pre-push \"$@\"",
            Hook::PostCheckout => "s3lfs hook post-checkout \"$@\"",
            Hook::PostMerge => "s3lfs hook post-merge \"$@\"",
        }
    }

    /// What is ours above the block in a file that is wholly ours.
    fn head(self) -> &'static str {
        let script = self.script();
        let at = script.as_bytes().find(block::BEGIN).expect("each script in hooks/ has a marked block");
        &script[..at]
    }
}
