//! The content that this repository can still reach: what `cleanup` and `--purge-from-s3` must spare.
//!
//! Apart because it is the one list of places in which a name of content may stand (design.md,
//! section 6, "Roots"). It is whole, or there is none.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use bstr::{BString, ByteSlice};

use crate::cli::error::CliError;
use crate::fs::{PathContext, read_optional};
use crate::git::history::{Roots, Seen, WalkError, walk};
use crate::git::objects::ObjectId;
use crate::git::worktrees::{Presence, Worktree, worktrees};
use crate::git::{Git, Repo};
use crate::manifest::PATH;
use crate::names::{self, Manifests, Newer};
use crate::oid::Oid;

/// A set of oids.
#[derive(Debug, Default)]
pub struct Reachable(Vec<Oid>);

impl Reachable {
    /// Everything that is named in what this repository and `tips` (commits of others, which are here)
    /// reach.
    pub fn of(repo: &Repo, tips: &[ObjectId]) -> Result<Self, CliError> {
        require_whole_history()?;
        require_worktrees(repo, "deleted")?;
        let mut all = Gathered::default();
        let mut manifests = Manifests::default();
        let roots = Roots::everything(repo)?.and(tips.iter().cloned());
        let walked = walk(&roots, |seen| -> Result<(), Newer> {
            all.add(match seen {
                Seen::Small(_, blob) => names::in_small_blob(blob)?,
                Seen::Manifest(_, blob) => manifests.next(blob)?,
                Seen::Named(_, blob) => names::in_named_blob(blob)?,
            });
            Ok(())
        });
        walked.map_err(|e| incomplete(e, "deleted"))?;
        for manifest in manifests_on_disk(repo)? {
            all.add(names::in_manifest(&manifest).map_err(|e| newer(e, "deleted"))?);
        }
        Ok(Reachable(all.finish()))
    }

    /// Whether something names it.
    pub fn contains(&self, oid: &Oid) -> bool {
        self.0.binary_search(oid).is_ok()
    }
}

/// Oids as they come, sorted now and then so that repetitions take no memory.
#[derive(Default)]
struct Gathered {
    oids: Vec<Oid>,
    sorted: usize,
}

impl Gathered {
    fn add(&mut self, oids: Vec<Oid>) {
        self.oids.extend(oids);
        if self.oids.len() > 2 * self.sorted + (1 << 16) {
            self.sort();
        }
    }

    fn sort(&mut self) {
        self.oids.sort_unstable();
        self.oids.dedup();
        self.sorted = self.oids.len();
    }

    fn finish(mut self) -> Vec<Oid> {
        self.sort();
        self.oids
    }
}

/// A shallow clone knows only the end of the history.
pub fn require_whole_history() -> Result<(), CliError> {
    if Git::new(["rev-parse", "--is-shallow-repository"]).output()?.trim() == b"true" {
        return Err(CliError::user("this clone is shallow: it does not know what older commits need")
            .hint("fetch the whole history: git fetch --unshallow"));
    }
    Ok(())
}

/// The manifests of all worktrees that are here, as they stand on disk: what was uploaded may not be
/// committed yet.
pub fn manifests_on_disk(repo: &Repo) -> Result<Vec<Vec<u8>>, CliError> {
    manifests_beneath(worktrees(repo)?.into_iter().map(|worktree| worktree.top).collect())
}

/// As [`manifests_on_disk`], but for what lies in this worktree; all others must be here.
pub fn manifests_elsewhere(repo: &Repo) -> Result<Vec<Vec<u8>>, CliError> {
    require_worktrees(repo, "changed")?;
    let own = repo.worktree().and_then(|top| top.canonicalize().ok());
    let others = worktrees(repo)?.into_iter().map(|worktree| worktree.top);
    manifests_beneath(others.filter(|top| top.canonicalize().ok() != own).collect())
}

fn manifests_beneath(tops: BTreeSet<PathBuf>) -> Result<Vec<Vec<u8>>, CliError> {
    let mut manifests = Vec::new();
    for top in tops {
        for name in [PATH, ".s3_manifest.yaml"] {
            manifests.extend(read_optional(&top.join(name))?);
        }
        read_all(&top.join(".s3lfs_manifest"), &mut manifests)?;
    }
    Ok(manifests)
}

/// Require that every worktree is here whose manifest may name what nothing else does. Of one that is
/// gone, index and HEAD are here, and count.
fn require_worktrees(repo: &Repo, done: &str) -> Result<(), CliError> {
    for Worktree { top, presence } in worktrees(repo)? {
        let top = top.display();
        let (what, hint) = match presence {
            Presence::Here | Presence::Gone => continue,
            Presence::Away => (
                format!("the worktree {top} is not there, and its manifest may name what nothing else does"),
                "make it available (mount its disk); one that was moved is found again with 'git worktree repair <path>'; \
                 if it was deleted, say 'git worktree prune'",
            ),
            Presence::Locked => (
                format!("the worktree {top} is not there and locked, and its manifest may name what nothing else does"),
                "make it available (mount its disk); if it was deleted, say 'git worktree unlock <path>' and \
                 'git worktree prune'",
            ),
            Presence::Unknown => (
                format!(
                    "where the worktree of {top} is can't be told, and its manifest may name what nothing else does"
                ),
                "run it in that worktree; a linked one that was moved is found again with 'git worktree repair <path>', \
                 and forgotten with 'git worktree prune'",
            ),
        };
        return Err(CliError::user(what).hint(hint).hint(format!("nothing was {done}")));
    }
    Ok(())
}

/// The shards of the Python tool's later manifests.
fn read_all(dir: &Path, into: &mut Vec<Vec<u8>>) -> Result<(), CliError> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(_) if !dir.exists() => return Ok(()),
        Err(e) => return Err(crate::fs::PathError::new("list", dir, e).into()),
    };
    for entry in entries {
        let path = entry.context("list", dir)?.path();
        if path.is_dir() {
            read_all(&path, into)?;
        } else {
            into.extend(read_optional(&path)?);
        }
    }
    Ok(())
}

/// The refusal after a walk that is not whole. `done`: what was not.
pub fn incomplete(error: WalkError<Newer>, done: &str) -> CliError {
    match error {
        WalkError::Seen(e) => newer(e, done),
        WalkError::Git(e) => CliError::from(WalkError::<Newer>::Git(e)).hint(format!(
            "nothing was {done}: 'git fsck' shows what is missing or damaged; 'git fetch --refetch' may bring it"
        )),
    }
}

fn newer(error: Newer, done: &str) -> CliError {
    CliError::user(format!("the history can't be understood: {error}"))
        .hint(format!("update s3lfs; nothing was {done}"))
}

/// Those of `ids` that are no objects of this repository.
pub fn absent(ids: &[ObjectId]) -> Result<Vec<BString>, CliError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let input = ids.iter().flat_map(|id| [id.as_slice(), b"\n"].concat()).collect();
    let check = Git::new(["cat-file", "--batch-check=%(objectname)"]).env("GIT_NO_LAZY_FETCH", "1").input(input);
    let output = check.output()?;
    let missing = output.lines().filter_map(|line| line.strip_suffix(b" missing"));
    Ok(missing.map(BString::from).collect())
}
