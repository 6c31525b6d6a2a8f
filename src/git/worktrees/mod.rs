//! The worktrees of this repository as folders: where each is, and whether it is there.
//!
//! Apart from `roots`, which reads what lies in the Git directory and is always here: an uncommitted
//! manifest lies in the folder itself, and a folder can be on a disk that is not plugged in
//! (git-worktree(1), "lock"). Here alone is said how a folder is found for a Git directory.

pub mod set_up;

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use bstr::{BString, ByteSlice};

use super::{Git, GitError, Repo, nul_separated, path_from_bytes, roots};

/// A worktree, main or linked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Worktree {
    /// The folder, or for one that Git does not know any more the Git directory it had.
    pub top: PathBuf,
    /// Whether it is there.
    pub presence: Presence,
}

/// Whether the folder of a worktree is there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Presence {
    /// It is.
    Here,
    /// It is not, and may come back.
    Away,
    /// It is not, and `git worktree lock` says that it comes back.
    Locked,
    /// It has not been there for so long that Git itself takes it for gone (git-config(1),
    /// `gc.worktreePruneExpire`), and drops it with the next `git gc`.
    Gone,
    /// Git can't tell where it is.
    Unknown,
}

/// Every worktree of `repo`. A bare repository has no main one.
pub fn worktrees(repo: &Repo) -> Result<Vec<Worktree>, GitError> {
    let mut found: Vec<Worktree> = main(repo)?.into_iter().collect();
    // It may be named by the environment alone (git(1), GIT_WORK_TREE).
    found.extend(repo.worktree().map(|top| Worktree { top: top.to_owned(), presence: Presence::Here }));
    let mut listed = linked()?;
    for git_dir in roots::git_dirs(repo)?.into_iter().skip(1) {
        // Git leaves one out that it knows no folder of.
        let top = folder_of(&git_dir)?;
        let at = top.as_ref().and_then(|top| listed.iter().position(|(listed, _)| listed == top));
        found.push(match (at, top) {
            (Some(at), _) => linked_one(listed.swap_remove(at), Some(&git_dir))?,
            (None, Some(top)) if is_folder_of(&top, Some(&git_dir))? => Worktree { top, presence: Presence::Here },
            _ => Worktree { top: git_dir, presence: Presence::Unknown },
        });
    }
    for other in listed {
        found.push(linked_one(other, None)?);
    }
    Ok(found)
}

/// The top of the worktree with this Git directory; of a bare repository, that directory.
/// `None`: the worktree was deleted, and Git would prune it (git-worktree(1), "prune").
pub fn top_of(repo: &Repo, git_dir: &Path) -> Result<Option<PathBuf>, GitError> {
    let here = |path: &Path| path.canonicalize().ok();
    if here(git_dir) == here(repo.git_dir()) {
        return Ok(Some(repo.worktree().unwrap_or(git_dir).to_owned()));
    }
    if here(git_dir) == here(repo.common_dir()) {
        return Ok(Some(main(repo)?.map_or_else(|| git_dir.to_owned(), |main| main.top)));
    }
    let Some(top) = folder_of(git_dir)? else { return Ok(None) };
    let stays = top.join(".git").exists() || git_dir.join("locked").exists();
    Ok(stays.then_some(top))
}

/// The directory that relative paths of the configuration start from: the same one in all worktrees, and
/// without a question to Git, since `git add` goes by it.
pub fn base(repo: &Repo) -> &Path {
    match repo.common_dir().parent() {
        Some(top) if repo.common_dir().ends_with(".git") => top,
        _ => repo.worktree().unwrap_or(repo.common_dir()),
    }
}

/// What Git says of a linked worktree whose folder is away.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Said {
    Nothing,
    Locked,
    Prunable,
}

fn linked_one((top, said): (PathBuf, Said), git_dir: Option<&Path>) -> Result<Worktree, GitError> {
    let presence = match said {
        _ if is_folder_of(&top, git_dir)? => Presence::Here,
        // Another repository stands in its place: it was moved, and nobody says where to.
        _ if is_folder_of(&top, None)? => Presence::Unknown,
        Said::Locked => Presence::Locked,
        Said::Prunable => Presence::Gone,
        Said::Nothing => Presence::Away,
    };
    Ok(Worktree { top, presence })
}

/// The linked worktrees that Git lists. The first of its list is the main one, of which it does not
/// know `core.worktree` or a separate Git directory.
fn linked() -> Result<Vec<(PathBuf, Said)>, GitError> {
    let expire = Git::new(["config", "--get", "gc.worktreePruneExpire"]).line_if_any()?;
    let expire = expire.unwrap_or_else(|| "3.months.ago".into());
    let list = Git::new(["worktree", "list", "--porcelain", "-z"]).args([format!("--expire={expire}")]);
    let listed = list.output()?;
    let mut worktrees: Vec<(PathBuf, Said)> = Vec::new();
    for field in nul_separated(&listed) {
        let name = field.split_str(" ").next().unwrap_or_default();
        match (name, worktrees.last_mut()) {
            (b"worktree", _) => worktrees.push((path_from_bytes(&field[b"worktree ".len()..]), Said::Nothing)),
            (b"locked", Some((_, said))) => *said = Said::Locked,
            (b"prunable", Some((_, said))) => *said = Said::Prunable,
            _ => {}
        }
    }
    Ok(worktrees.into_iter().skip(1).collect())
}

/// The folder that a linked worktree's Git directory names: what stands before `/.git` in `gitdir`
/// (gitrepository-layout(5)).
fn folder_of(git_dir: &Path) -> Result<Option<PathBuf>, GitError> {
    let file = git_dir.join("gitdir");
    let text = match fs::read(&file) {
        Ok(text) => text,
        Err(e) if is_absent(&e) => return Ok(None),
        Err(source) => return Err(GitError::Unreadable { path: file, source }),
    };
    let pointed = path_from_bytes(text.trim_end());
    let folder = pointed.parent().filter(|_| pointed.file_name() == Some(OsStr::new(".git")));
    Ok(folder.map(|folder| plain(&git_dir.join(folder))))
}

/// Without `..`, as Git lists a path that is relative in the file (git-config(1),
/// `worktree.useRelativePaths`).
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(plain.pop()),
            part => plain.push(part),
        }
    }
    plain
}

/// Whether a `.git` is in a folder: an empty one is where a disk is not mounted. What can't be told is an
/// error. With `git_dir`: and belongs to it.
fn is_folder_of(top: &Path, git_dir: Option<&Path>) -> Result<bool, GitError> {
    let file = top.join(".git");
    match fs::symlink_metadata(&file) {
        Err(e) if is_absent(&e) => return Ok(false),
        Err(source) => return Err(GitError::Unreadable { path: file, source }),
        Ok(_) => {}
    }
    let Some(git_dir) = git_dir else { return Ok(true) };
    let text = fs::read(&file).unwrap_or_default();
    let pointed = text.strip_prefix(b"gitdir: ").map(|path| top.join(path_from_bytes(path.trim_end())));
    Ok(pointed.and_then(|path| path.canonicalize().ok()) == git_dir.canonicalize().ok())
}

fn is_absent(e: &io::Error) -> bool {
    matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// The main worktree, if there is one. Seen from a linked one it is beside the Git directory, or where
/// `core.worktree` says (a submodule's); of a Git directory elsewhere nothing tells (git-init(1),
/// `--separate-git-dir`).
fn main(repo: &Repo) -> Result<Option<Worktree>, GitError> {
    let common = repo.common_dir();
    let here = |top: PathBuf| Worktree { top, presence: Presence::Here };
    let is_own = repo.git_dir().canonicalize().ok() == common.canonicalize().ok();
    if let Some(top) = repo.worktree().filter(|_| is_own) {
        return Ok(Some(here(top.to_owned())));
    }
    let config = |kind: &str, name: &str| -> Result<Option<BString>, GitError> {
        // As the main worktree sees it, whatever is set for this one (git-worktree(1), "CONFIGURATION FILE").
        let git = Git::new(["config", kind, "--get", name]).in_dir(Path::new("/"));
        git.elsewhere().env("GIT_DIR", common).line_if_any()
    };
    if let Some(top) = config("--type=path", "core.worktree")? {
        let top = common.join(path_from_bytes(&top));
        let presence = if is_folder_of(&top, None)? || is_dir(&top)? { Presence::Here } else { Presence::Away };
        return Ok(Some(Worktree { top, presence }));
    }
    if is_own || config("--type=bool", "core.bare")?.is_some_and(|bare| bare == "true") {
        return Ok(None);
    }
    // A `--separate-git-dir` may have this name, too: then nothing of the index stands beside it.
    let beside = common.parent().filter(|_| common.file_name() == Some(OsStr::new(".git")));
    match beside.map(|top| Ok::<_, GitError>((top, has_files_of(top, common)?))).transpose()? {
        Some((top, true)) => Ok(Some(here(top.to_owned()))),
        _ => Ok(Some(Worktree { top: common.to_owned(), presence: Presence::Unknown })),
    }
}

/// Whether any file of a Git directory's index stands in `top`, or the index has none.
fn has_files_of(top: &Path, git_dir: &Path) -> Result<bool, GitError> {
    let git = Git::new(["ls-files", "-z", "--full-name"]).in_dir(top).elsewhere();
    let listed = git.env("GIT_DIR", git_dir).env("GIT_WORK_TREE", top).output()?;
    let mut names = nul_separated(&listed).peekable();
    Ok(names.peek().is_none() || names.any(|name| fs::symlink_metadata(top.join(path_from_bytes(name))).is_ok()))
}

/// Whether a folder with something in it is there: its Git directory is elsewhere.
fn is_dir(top: &Path) -> Result<bool, GitError> {
    match fs::read_dir(top) {
        Ok(mut entries) => Ok(entries.next().is_some()),
        Err(e) if is_absent(&e) => Ok(false),
        Err(source) => Err(GitError::Unreadable { path: top.to_owned(), source }),
    }
}
