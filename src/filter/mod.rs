//! The filter: Git's long-running process protocol, and its two verbs, clean and smudge.
//!
//! Generic over `Read` and `Write`; knows neither Git's repository nor the network. What it needs of
//! them it asks of [`Fetch`], a trait that it defines and `cli` fulfils.

pub mod clean;
pub mod delayed;
pub mod pktline;
pub mod request;
pub mod server;
pub mod smudge;
pub mod watched;

use std::time::Duration;

use bstr::BStr;

use crate::oid::Oid;
use crate::pointer::Pointer;

use delayed::Outcome;

/// Whoever brings missing content into the cache. Nothing is started before the first call.
pub trait Fetch {
    /// What the user wants done with pointers; resolved at the first smudge of one.
    fn policy(&mut self) -> Result<Policy, String>;

    /// Whether the user wants this file left as its pointer, even where the cache has its content: it
    /// lies outside the sparse set.
    fn leaves_out(&mut self, wanted: &Wanted<'_>) -> Result<bool, String>;

    /// Start to bring `wanted` into the cache. Asking again for what is on its way costs nothing.
    fn start(&mut self, wanted: &Wanted<'_>) -> Start;

    /// Whether this path has a conflict, or had one that Git can bring back. Such a path is answered at
    /// once: `git checkout --merge <path>` frees the entry before it asks for a delayed file, and crashes
    /// (observed with 2.47, where `merge=binary` makes the merged blob a pointer). Asked only where Git
    /// names no commit that it checks out.
    fn is_conflicted(&mut self, pathname: &BStr) -> bool;

    /// What the index names for this path, if that is a pointer: a guess at what a worktree file holds,
    /// asked only where there is much of it.
    fn tracked(&mut self, pathname: &BStr) -> Option<Oid>;

    /// The pointer to what stands at this path in the worktree, if s3lfs itself has just written that and
    /// nobody has touched it since. `None`: nobody says so.
    fn written(&mut self, pathname: &BStr) -> Option<Pointer>;

    /// Note that this file was left as a pointer because of its size, so that it can be filled later.
    fn defer(&mut self, pathname: &BStr) -> Result<(), String>;

    /// Note that this file is left as a pointer for now, although its content is here: once Git is done, it is written
    /// beside Git, which would hold it whole in memory. `false`: nobody could do that.
    fn place(&mut self, pathname: &BStr) -> bool;

    /// Wait for one download to end, at most for `patience`.
    fn next_done(&mut self, patience: Duration) -> Next;
}

/// The user's standing wishes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Policy {
    /// Leave all pointers as they are (`S3LFS_SKIP_SMUDGE`).
    pub skip_smudge: bool,
    /// Leave the pointer where a download fails (`S3LFS_SKIP_DOWNLOAD_ERRORS`).
    pub skip_download_errors: bool,
    /// Leave the pointer, for now, where content of more bytes than this would have to be fetched: Git
    /// holds a smudged file whole in memory (`s3lfs.smudgelimit`).
    pub smudge_limit: Option<u64>,
}

impl Policy {
    /// Whether content that is not in the cache is too large to go through Git.
    pub fn defers(&self, pointer: &Pointer) -> bool {
        self.smudge_limit.is_some_and(|limit| pointer.size > limit)
    }

    /// Whether content that is in the cache is better written by s3lfs itself than through Git. Whoever wants no limit
    /// wants everything to go through Git.
    pub fn is_large(&self, pointer: &Pointer) -> bool {
        self.smudge_limit.is_some_and(|limit| pointer.size > limit.min(LARGE))
    }
}

/// To write more bytes than this ourselves costs less than to hand them to Git: what is asked of Git besides takes a tenth
/// of a second, and through Git a second of a processor is spent on each gibibyte.
const LARGE: u64 = 128 << 20;

/// Why a file was left as a pointer, where its size is the reason.
pub const TOO_LARGE: &str =
    "larger than s3lfs.smudgelimit; the post-checkout or post-merge hook, or 's3lfs download-all', writes them";

/// Content that a file is to have, and what Git said about it.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The content.
    pub pointer: &'a Pointer,
    /// The file that it is for.
    pub pathname: &'a BStr,
    /// The commit or tree being checked out, if Git names it.
    pub treeish: Option<&'a BStr>,
}

/// The answer to [`Fetch::start`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Start {
    /// It is on its way; [`Fetch::next_done`] will name it.
    Started,
    /// It is not to be fetched now, and the file keeps its pointer: why, for the user.
    LeavePointer(String),
    /// It can't be fetched: why, and what to do.
    Impossible(String),
}

/// The answer to [`Fetch::next_done`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Next {
    /// The download for this pointer ended.
    Done(Pointer, Outcome),
    /// Patience ran out.
    Timeout,
    /// Nothing is on its way.
    Idle,
}
