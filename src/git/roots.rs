//! Roots: everything from which this repository can still reach content.
//!
//! Apart because what is left out here is lost by `cleanup` and `prune`. It errs towards more: refs,
//! reflogs, indexes and heads of every worktree, and whatever commits an operation in progress has
//! written down (gitrepository-layout(5); git-rev-list(1), "--all").

use std::fs;
use std::path::{Path, PathBuf};

use bstr::{BString, ByteSlice};

use super::objects::ObjectId;
use super::{Git, GitError, Repo};

/// Names that stand for commits and are no refs, where the ref store may have them
/// (gitglossary(7), "pseudoref"; `git help rev-parse` lists them).
const PSEUDOREFS: [&str; 13] = [
    "HEAD",
    "FETCH_HEAD",
    "ORIG_HEAD",
    "MERGE_HEAD",
    "CHERRY_PICK_HEAD",
    "REVERT_HEAD",
    "REBASE_HEAD",
    "BISECT_HEAD",
    "BISECT_EXPECTED_REV",
    "AUTO_MERGE",
    "MERGE_AUTOSTASH",
    "NOTES_MERGE_PARTIAL",
    "NOTES_MERGE_REF",
];

/// Directories in which operations in progress keep commits: rebase, am, and sequences of picks.
const OPERATIONS: [&str; 3] = ["rebase-merge", "rebase-apply", "sequencer"];

/// Files above this size hold patches or messages, not lists of commits.
const LIST: u64 = 64 << 20;

/// The Git directories of this repository: its own, and those of its linked worktrees, also of
/// worktrees that are not there at the moment.
pub fn git_dirs(repo: &Repo) -> Result<Vec<PathBuf>, GitError> {
    let mut dirs = vec![repo.common_dir().to_owned()];
    for path in entries(&repo.common_dir().join("worktrees"))? {
        if path.join("HEAD").exists() {
            dirs.push(path);
        }
    }
    Ok(dirs)
}

/// What refs and reflogs do not cover: the ids that stand in the files of `git_dirs`, as far as they
/// are objects here. An id that is cut short and fits several objects is an error.
pub fn noted(git_dirs: &[PathBuf]) -> Result<Vec<ObjectId>, GitError> {
    let mut ids = Vec::new();
    for dir in git_dirs {
        // Refs of that worktree alone, which `--all` does not show from another one.
        ids.extend(in_dir(dir, ["for-each-ref", "--format=%(objectname)"])?.lines().map(BString::from));
        let mut words = Vec::new();
        // What a graft adds is history for Git (gitglossary(7), "grafts"), but the walk does without.
        let grafts = dir.join("info/grafts");
        for file in entries(dir)?.into_iter().chain(operation_files(dir)?).chain([grafts]) {
            if fs::metadata(&file).is_ok_and(|m| m.is_file() && m.len() <= LIST) && may_hold_ids(&file) {
                let bytes = fs::read(&file).map_err(|e| unreadable(&file, e))?;
                words.extend(bytes.fields().filter(|word| is_id(word)).map(BString::from));
            }
        }
        words.extend(PSEUDOREFS.map(BString::from));
        let input = words.iter().flat_map(|word| [word.as_slice(), b"\n"].concat()).collect();
        let check = Git::new(["cat-file", "--batch-check=%(objectname)"]).env("GIT_DIR", dir);
        for answer in check.env("GIT_NO_LAZY_FETCH", "1").input(input).output()?.lines() {
            if answer.ends_with(b" ambiguous") {
                return Err(GitError::answer("git cat-file --batch-check", answer));
            }
            if !answer.ends_with(b" missing") {
                ids.push(answer.into());
            }
        }
    }
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}

/// The blobs at `path` in the indexes of `git_dirs`, whatever their stage.
pub fn indexed(git_dirs: &[PathBuf], path: &str) -> Result<Vec<ObjectId>, GitError> {
    let mut ids = Vec::new();
    for dir in git_dirs {
        let listed = in_dir(dir, ["ls-files", "--stage", "-z", "--full-name", "--", path])?;
        ids.extend(super::nul_separated(&listed).filter_map(|entry| Some(entry.split_str(" ").nth(1)?.into())));
    }
    Ok(ids)
}

/// The blobs of conflicts that were resolved in one worktree, and can be had back.
pub fn resolved(git_dir: &Path) -> Result<Vec<ObjectId>, GitError> {
    let listed = in_dir(git_dir, ["ls-files", "--resolve-undo", "-z", "--full-name"])?;
    Ok(super::nul_separated(&listed).filter_map(|entry| Some(entry.split_str(" ").nth(1)?.into())).collect())
}

/// All blobs in the index of one worktree with their paths, whatever their stage.
pub fn index_of(git_dir: &Path) -> Result<Vec<(BString, ObjectId)>, GitError> {
    let listed = in_dir(git_dir, ["ls-files", "--stage", "-z", "--full-name"])?;
    let entry = |field: &[u8]| {
        let (meta, path) = field.split_once_str("\t")?;
        let mut words = meta.split_str(" ");
        let mode = words.next()?;
        // A submodule's commit is no object of ours.
        (mode != b"160000").then_some(())?;
        Some((path.into(), words.next()?.into()))
    };
    Ok(super::nul_separated(&listed).filter_map(entry).collect())
}

/// All blobs of the commit that one worktree has checked out, with their paths.
pub fn head_of(git_dir: &Path) -> Result<Vec<(BString, ObjectId)>, GitError> {
    let head = ["rev-parse", "--verify", "--quiet", "HEAD^{commit}"];
    if Git::new(head).env("GIT_DIR", git_dir).line_if_any()?.is_none() {
        return Ok(Vec::new());
    }
    let listed = in_dir(git_dir, ["ls-tree", "-r", "-z", "--full-tree", "HEAD"])?;
    let entry = |field: &[u8]| {
        let (meta, path) = field.split_once_str("\t")?;
        let mut words = meta.split_str(" ");
        // A submodule's commit is no object of ours.
        (words.nth(1)? == b"blob").then_some(())?;
        Some((path.into(), words.next()?.into()))
    };
    Ok(super::nul_separated(&listed).filter_map(entry).collect())
}

/// Ask about one worktree, although it may not be there.
fn in_dir<const N: usize>(dir: &Path, args: [&str; N]) -> Result<Vec<u8>, GitError> {
    // A bare repository says so of itself; with a worktree of any kind its index can be asked.
    let git = Git::new(["-c", "core.bare=false", "-c", "core.worktree=/"]).args(args);
    git.in_dir(Path::new("/")).env("GIT_DIR", dir).env("GIT_WORK_TREE", "/").output()
}

fn entries(dir: &Path) -> Result<Vec<PathBuf>, GitError> {
    let listing = match fs::read_dir(dir) {
        Ok(listing) => listing,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(unreadable(dir, e)),
    };
    listing.map(|entry| entry.map(|entry| entry.path()).map_err(|e| unreadable(dir, e))).collect()
}

fn operation_files(dir: &Path) -> Result<Vec<PathBuf>, GitError> {
    let mut files = Vec::new();
    for operation in OPERATIONS {
        files.extend(entries(&dir.join(operation))?);
    }
    Ok(files)
}

/// `index` and its kin are binary, and are walked by Git itself.
fn may_hold_ids(file: &Path) -> bool {
    let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    !name.starts_with("index") && !name.starts_with("sharedindex") && name != "packed-refs" && name != "config"
}

/// A whole id, or the beginning of one as `git-rebase-todo` may have it.
fn is_id(word: &[u8]) -> bool {
    (7..=64).contains(&word.len()) && word.iter().all(u8::is_ascii_hexdigit)
}

fn unreadable(path: &Path, source: std::io::Error) -> GitError {
    GitError::Unreadable { path: path.to_owned(), source }
}
