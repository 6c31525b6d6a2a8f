//! The walk over everything that some roots reach, for the blobs that can name content.
//!
//! Apart because "nothing that is needed is collected" rests on it (design.md, invariant 4): it shows
//! every small blob and every manifest, or it fails. Objects stream by: no list of all of them is held.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use bstr::{BStr, BString, ByteSlice};

use super::objects::ObjectId;
use super::{Git, GitError, Repo, nul_separated, roots};
use crate::fs::MAX_COMMITTED;
use crate::pointer::MAX_POINTER_LEN;

/// Where a walk begins.
#[derive(Clone, Debug, Default)]
pub struct Roots {
    /// Options of `git rev-list` that name revisions.
    options: Vec<&'static str>,
    /// Revisions by id, a leading `^` to leave out what they reach.
    tips: Vec<BString>,
    /// Manifests that no walked commit may have.
    manifests: Vec<ObjectId>,
}

impl Roots {
    /// Everything that `repo` can still reach, in all its worktrees.
    pub fn everything(repo: &Repo) -> Result<Self, GitError> {
        let dirs = roots::git_dirs(repo)?;
        let mut manifests = Vec::new();
        for path in MANIFESTS {
            manifests.extend(roots::indexed(&dirs, path)?);
        }
        let options = vec!["--all", "--reflog", "--indexed-objects"];
        Ok(Roots { options, tips: roots::noted(&dirs)?, manifests })
    }

    /// As [`Roots::everything`], but for what `paths` have in the index of this worktree.
    pub fn besides(repo: &Repo, paths: &BTreeSet<BString>) -> Result<Self, GitError> {
        let own = repo.git_dir().canonicalize().ok();
        let dirs = roots::git_dirs(repo)?;
        let (mut tips, mut manifests) = (roots::noted(&dirs)?, Vec::new());
        for dir in &dirs {
            let is_own = dir.canonicalize().ok() == own;
            for (path, id) in roots::index_of(dir)? {
                let is_manifest = MANIFESTS.iter().any(|name| path.starts_with(name.as_bytes()));
                match (is_own, is_manifest) {
                    (true, true) => {}
                    (false, true) => manifests.push(id),
                    (true, false) if paths.contains(&path) => {}
                    _ => tips.push(id),
                }
            }
        }
        Ok(Roots { options: vec!["--all", "--reflog"], tips, manifests })
    }

    /// The indexes of all worktrees alone.
    pub fn indexes(repo: &Repo) -> Result<Self, GitError> {
        let dirs = roots::git_dirs(repo)?;
        let mut manifests = Vec::new();
        for path in MANIFESTS {
            manifests.extend(roots::indexed(&dirs, path)?);
        }
        Ok(Roots { options: vec!["--indexed-objects"], tips: Vec::new(), manifests })
    }

    /// What refs, `HEAD`s and the indexes of all worktrees reach: the history as it is told, without what only a reflog
    /// remembers.
    pub fn refs_and_indexes(repo: &Repo) -> Result<Self, GitError> {
        Ok(Roots { options: vec!["--all", "--indexed-objects"], ..Roots::indexes(repo)? })
    }

    /// What a ref, a reflog or an operation in progress reaches and no remote-tracking ref does: each such
    /// commit with all of its tree, also what it shares with published ones.
    pub fn unpublished(repo: &Repo) -> Result<Self, GitError> {
        let dirs = roots::git_dirs(repo)?;
        let noted = roots::noted(&dirs)?;
        let refs = Git::new(["for-each-ref", "--format=%(refname) %(objectname) %(objecttype) %(*objecttype)"]);
        let mut input: Vec<u8> = noted.iter().flat_map(|id| [id.as_slice(), b"\n"].concat()).collect();
        let mut tips = Vec::new();
        for line in ByteSlice::lines(refs.output()?.as_slice()) {
            let fields: Vec<&[u8]> = line.split_str(" ").collect();
            match fields[..] {
                // Those that cleanup fetched are a remote's too.
                [name, id, ..] if name.starts_with(b"refs/remotes/") || name.starts_with(b"refs/s3lfs/seen/") => {
                    input.extend_from_slice(&[b"^", id, b"\n"].concat());
                }
                // No walk over commits comes by these.
                [_, id, b"blob" | b"tree", _] | [_, id, b"tag", b"blob" | b"tree" | b"tag"] => tips.push(id.into()),
                _ => {}
            }
        }
        let list = git(&["rev-list", "--all", "--reflog", "--stdin"]).input(input);
        tips.extend(ByteSlice::lines(list.output()?.as_slice()).map(BString::from));
        Ok(Roots { options: vec!["--no-walk=unsorted"], tips, manifests: Vec::new() })
    }

    /// These revisions alone; `^<id>` leaves out what it reaches.
    pub fn of(tips: impl IntoIterator<Item = BString>) -> Self {
        Roots { tips: tips.into_iter().collect(), ..Roots::default() }
    }

    /// With these revisions too.
    pub fn and(mut self, tips: impl IntoIterator<Item = BString>) -> Self {
        self.tips.extend(tips);
        self
    }
}

/// A blob that can name content.
#[derive(Clone, Copy, Debug)]
pub enum Seen<'a> {
    /// Any blob below 1,024 bytes.
    Small(&'a BStr, &'a [u8]),
    /// A manifest of any length.
    Manifest(&'a BStr, &'a [u8]),
    /// A larger blob to which a ref points, or something else that is no path: it may be a manifest.
    Named(&'a BStr, &'a [u8]),
}

/// Where manifests stand: ours, and those that the Python tool wrote later, with its shards.
const MANIFESTS: [&str; 3] = [".s3_manifest.json", ".s3_manifest.yaml", ".s3lfs_manifest"];

/// Blobs that are read at a time.
const BATCH: usize = 4096;

/// Why a walk is not whole.
#[derive(Debug, thiserror::Error)]
pub enum WalkError<E> {
    /// Git could not show everything.
    #[error("the history can't be walked whole")]
    Git(#[source] GitError),
    /// What was shown can't be used.
    #[error(transparent)]
    Seen(E),
}

impl<E> From<GitError> for WalkError<E> {
    fn from(e: GitError) -> Self {
        WalkError::Git(e)
    }
}

/// Show `visit` every blob that can name content, once or more. It ends well only if everything that
/// the roots reach is here and could be read.
pub fn walk<E>(roots: &Roots, mut visit: impl FnMut(Seen<'_>) -> Result<(), E>) -> Result<(), WalkError<E>> {
    let tips = roots.tips.iter().flat_map(|tip| [tip.as_slice(), b"\n"].concat()).collect();
    let list = git(&["rev-list", "--objects", "--object-names", "--stdin"]).args(&roots.options).input(tips);
    let mut list = list.start(Stdio::null())?;
    let format = "--batch-check=%(objectname) %(objecttype) %(objectsize) %(rest)";
    let mut check = git(&["cat-file", "--buffer", format]).start(Stdio::from(list.stdout()))?;
    let mut commits = Vec::new();
    let mut manifests = InOrder::default();
    let (mut small, mut named) = (Vec::new(), Vec::new());
    for line in BufReader::new(check.stdout()).split(b'\n') {
        let line = line.map_err(|source| GitError::Local { action: "read the answer of 'git cat-file'", source })?;
        let fields: Vec<&[u8]> = line.splitn_str(4, " ").collect();
        match fields[..] {
            [id, b"commit", ..] => {
                commits.push(BString::from(id));
                if commits.len() == BATCH {
                    manifests.add(manifests_of(&commits)?);
                    commits.clear();
                }
            }
            [_, b"tree" | b"tag", ..] => {}
            [id, b"blob", size, path] => {
                let size = size.to_str().ok().and_then(|size| size.parse::<usize>().ok());
                match size.ok_or_else(|| unreadable(&line))? {
                    size if size < MAX_POINTER_LEN => small.push(BString::from(id)),
                    // Git shows what was named before what is found in trees. Nothing that large is a manifest.
                    size if path.is_empty() && size as u64 <= MAX_COMMITTED => named.push(BString::from(id)),
                    _ => {}
                }
            }
            _ => return Err(unreadable(&line).into()),
        }
        if small.len() == BATCH {
            show(&small, |id, blob| visit(Seen::Small(id, blob)))?;
            small.clear();
        }
    }
    check.finish()?;
    // Git passes over entries of a reflog that are gone, with a warning: then not all is here.
    let said = list.finish()?;
    if !said.is_empty() {
        return Err(GitError::answer("git rev-list --objects", said).into());
    }
    show(&small, |id, blob| visit(Seen::Small(id, blob)))?;
    manifests.add(manifests_of(&commits)?);
    let tips: Vec<ObjectId> = roots.tips.iter().filter(|tip| !tip.starts_with(b"^")).cloned().collect();
    manifests.add(manifests_of(&tips)?);
    manifests.add(roots.manifests.iter().cloned());
    show(&manifests.ids, |id, blob| visit(Seen::Manifest(id, blob)))?;
    show(&named, |id, blob| visit(Seen::Named(id, blob)))
}

/// Blobs in the order in which they were met: manifests of neighbours in the history are nearly alike,
/// and lie beside each other in Git's packs.
#[derive(Default)]
struct InOrder {
    ids: Vec<ObjectId>,
    known: HashSet<ObjectId>,
}

impl InOrder {
    fn add(&mut self, ids: impl IntoIterator<Item = ObjectId>) {
        for id in ids {
            if self.known.insert(id.clone()) {
                self.ids.push(id);
            }
        }
    }
}

/// The blobs of all manifests of these commits or trees.
fn manifests_of(treeishes: &[ObjectId]) -> Result<Vec<ObjectId>, GitError> {
    let mut blobs = Vec::new();
    let mut trees = BTreeSet::new();
    for chunk in treeishes.chunks(BATCH) {
        let paths = |id: &ObjectId| MANIFESTS.map(|path| [id.as_slice(), b":", path.as_bytes(), b"\n"].concat());
        let input = chunk.iter().flat_map(paths).flatten().collect();
        let check = git(&["cat-file", "--buffer", "--batch-check=%(objectname) %(objecttype)"]).input(input);
        for line in ByteSlice::lines(check.output()?.as_slice()) {
            match line.split_once_str(" ") {
                Some((id, b"blob")) => blobs.push(BString::from(id)),
                Some((id, b"tree")) => drop(trees.insert(BString::from(id))),
                // "missing" is the ordinary answer: the walk itself found every object to be here.
                _ => {}
            }
        }
    }
    for tree in trees {
        let listed = git(&["ls-tree", "-r", "-z", "--format=%(objectname)"]).args([tree.to_str_lossy().as_ref()]);
        blobs.extend(nul_separated(&listed.output()?).map(BString::from));
    }
    Ok(blobs)
}

/// Read blobs that are known to be here.
fn show<E>(ids: &[ObjectId], mut visit: impl FnMut(&BStr, &[u8]) -> Result<(), E>) -> Result<(), WalkError<E>> {
    if ids.is_empty() {
        return Ok(());
    }
    let input = ids.iter().flat_map(|id| [id.as_slice(), b"\n"].concat()).collect();
    let mut reading =
        git(&["cat-file", "--buffer", "--batch=%(objectname) %(objectsize)"]).input(input).start(Stdio::null())?;
    let mut blobs = BufReader::new(reading.stdout());
    let failed = |source| GitError::Local { action: "read the answer of 'git cat-file'", source };
    let mut header = Vec::new();
    let mut blob = Vec::new();
    for id in ids {
        header.clear();
        blobs.read_until(b'\n', &mut header).map_err(failed)?;
        let fields: Vec<&[u8]> = header.trim_end().split_str(" ").collect();
        let size = match fields[..] {
            [read, size] if read == id.as_slice() => size.to_str().ok().and_then(|size| size.parse::<usize>().ok()),
            _ => None,
        };
        let size = size.ok_or_else(|| unreadable(&header))?;
        if size as u64 > MAX_COMMITTED {
            // What it names can't be known; and its child ends with its pipe.
            return Err(GitError::TooLarge { object: id.clone(), size: size as u64 }.into());
        }
        blob.resize(size + 1, 0);
        blobs.read_exact(&mut blob).map_err(failed)?;
        visit(id.as_bstr(), &blob[..blob.len() - 1]).map_err(WalkError::Seen)?;
    }
    reading.finish()?;
    Ok(())
}

/// A path of each of these blobs, as far as a ref, `HEAD` or this worktree's index reaches it.
pub fn paths_of(blobs: &BTreeSet<ObjectId>) -> Result<BTreeMap<ObjectId, BString>, GitError> {
    let mut paths = BTreeMap::new();
    let mut list =
        git(&["rev-list", "--objects", "--object-names", "--all", "--indexed-objects"]).start(Stdio::null())?;
    for line in BufReader::new(list.stdout()).split(b'\n') {
        let line = line.map_err(|source| GitError::Local { action: "read the answer of 'git rev-list'", source })?;
        if let Some((id, path)) = line.split_once_str(" ")
            && blobs.contains(id.as_bstr())
        {
            paths.insert(id.into(), path.into());
        }
    }
    list.finish()?;
    Ok(paths)
}

/// Whether the manifest of a commit that HEAD or a remote-tracking ref reaches ever named `text` (`git-log.txt`, `-S`).
pub fn published_manifests_mention(text: &str) -> Result<bool, GitError> {
    let head = super::revision::head()?;
    let log = Git::new(["log", "--remotes"]).args(head.iter().map(|id| id.to_str_lossy().into_owned()));
    let log = log.args(["--full-history", "-1", "--format=%H", "-S", text, "--"]);
    Ok(!log.args(MANIFESTS.map(|name| format!(":(top){name}"))).output()?.is_empty())
}

/// The blobs that commits of any ref, or HEAD's, made of the manifest, the newest first, each once.
pub fn versions_of_manifests() -> Result<Vec<ObjectId>, GitError> {
    let paths = MANIFESTS.map(|name| format!(":(top){name}"));
    let commits = Git::new(["rev-list", "--all", "--full-history", "--"]).args(&paths).output()?;
    let options =
        ["diff-tree", "--stdin", "-r", "-m", "--root", "--raw", "--no-commit-id", "--no-renames", "--no-abbrev"];
    let changes = Git::new(options).args(["-z", "--"]).args(&paths).input(commits).output()?;
    let mut versions = InOrder::default();
    // `:<mode> <mode> <id> <id> <letter>` and the path (git-diff-tree(1), "RAW OUTPUT FORMAT").
    for change in nul_separated(&changes).filter(|field| field.starts_with(b":")) {
        let id = change.split_str(" ").nth(3).unwrap_or_default();
        versions.add((!id.iter().all(|digit| *digit == b'0')).then(|| ObjectId::from(id)));
    }
    Ok(versions.ids)
}

/// Nothing may hide a part of the history: no replacements, no grafts, no index of commits that may
/// be stale, no ref that is passed over because it is damaged (git(1), "GIT_REF_PARANOIA"); and nothing
/// that is not here is fetched one by one.
pub(crate) fn git(args: &[&str]) -> Git {
    // What Git says is taken for damage: advice is none.
    let quiet = ["-c", "advice.sparseIndexExpanded=false"];
    let git = Git::new(["--no-replace-objects", "-c", "core.commitGraph=false"]).args(quiet).args(args);
    git.env("GIT_ADVICE", "0")
        .env("GIT_NO_LAZY_FETCH", "1")
        .env("GIT_GRAFT_FILE", "/dev/null/none")
        .env("GIT_REF_PARANOIA", "1")
}

fn unreadable(line: &[u8]) -> GitError {
    GitError::answer("git cat-file", &line[..line.len().min(200)])
}
