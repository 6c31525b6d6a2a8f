//! The content that this repository can still reach: what `cleanup` and `--purge-from-s3` must spare.
//!
//! Apart because it is the one list of places in which a name of content may stand (design.md,
//! section 6, "Roots"). It is whole, or there is none.

use std::path::Path;

use bstr::{BString, ByteSlice};

use crate::cli::error::CliError;
use crate::fs::{PathContext, read_optional};
use crate::git::history::{Roots, Seen, WalkError, walk};
use crate::git::objects::ObjectId;
use crate::git::{Git, Repo, path_from_bytes};
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
        let mut all = Gathered::default();
        let mut manifests = Manifests::default();
        let roots = Roots::everything(repo)?.and(tips.iter().cloned());
        let walked = walk(&roots, |seen| -> Result<(), Newer> {
            all.add(match seen {
                Seen::Small(_, blob) => names::in_small_blob(blob)?,
                Seen::Manifest(_, blob) => manifests.next(blob)?,
            });
            Ok(())
        });
        walked.map_err(|e| incomplete(e, "deleted"))?;
        for manifest in manifests_on_disk()? {
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

/// The manifests of all worktrees as they stand on disk: what was uploaded may not be committed yet.
pub fn manifests_on_disk() -> Result<Vec<Vec<u8>>, CliError> {
    let listed = Git::new(["worktree", "list", "--porcelain", "-z"]).output()?;
    let mut manifests = Vec::new();
    for field in crate::git::nul_separated(&listed) {
        let Some(worktree) = field.strip_prefix(b"worktree ") else { continue };
        let worktree = path_from_bytes(worktree);
        for name in [PATH, ".s3_manifest.yaml"] {
            manifests.extend(read_optional(&worktree.join(name))?);
        }
        read_all(&worktree.join(".s3lfs_manifest"), &mut manifests)?;
    }
    Ok(manifests)
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
