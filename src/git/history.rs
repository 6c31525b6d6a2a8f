//! The walk over everything that some roots reach, for the blobs that can name content.
//!
//! Apart because "nothing that is needed is collected" rests on it (design.md, invariant 4): it shows
//! every small blob and every manifest, or it fails. Objects stream by: no list of all of them is held.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use bstr::{BStr, BString, ByteSlice};

use super::batch::Batch;
use super::objects::{self, ObjectId};
use super::remembered::Remembered;
use super::walker::{BATCH, CHECK, InOrder, Walker, lines, whole};
use super::{Git, GitError, Repo, nul_separated, roots};
use crate::oid::Oid;
use crate::pointer::{MAX_POINTER_LEN, Pointer};

/// Where a walk begins.
#[derive(Clone, Debug, Default)]
pub struct Roots {
    /// Options of `git rev-list` that name revisions.
    pub(super) options: Vec<&'static str>,
    /// Revisions by id, a leading `^` to leave out what they reach.
    pub(super) tips: Vec<BString>,
    /// Manifests that no walked commit may have.
    pub(super) manifests: Vec<ObjectId>,
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

    /// As [`Roots::indexes`]: the pointers in them that are remembered, and where the rest is to be
    /// looked for. Not for what deletes the last copy: whether the blobs are here is not asked.
    pub fn indexes_remembered(repo: &Repo) -> Result<(Vec<Pointer>, Self), GitError> {
        let dirs = roots::git_dirs(repo)?;
        let (mut manifests, mut ids) = (Vec::new(), Vec::new());
        for path in MANIFESTS {
            manifests.extend(roots::indexed(&dirs, path)?);
        }
        for dir in &dirs {
            ids.extend(roots::index_of(dir)?.into_iter().map(|(_, id)| id));
            // `--indexed-objects` has them, too (revision.c, add_resolve_undo_to_pending).
            ids.extend(roots::resolved(dir)?);
        }
        ids.sort_unstable();
        ids.dedup();
        let remembered = Remembered::for_many(ids.len());
        let mut known = Vec::new();
        ids.retain(|id| remembered.pointer(id.as_bstr()).map(|pointer| known.push(pointer)).is_none());
        // A blob without a path is taken for a manifest, and read whole, however large it is. One that is not here
        // stays, for the walk to stumble over.
        let sizes = objects::sizes(ids.iter().map(|id| id.as_bstr()))?;
        ids.retain(|id| sizes.get(id).is_none_or(|size| *size < MAX_POINTER_LEN as u64));
        Ok((known, Roots { options: Vec::new(), tips: ids, manifests }))
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
pub(super) const MANIFESTS: [&str; 3] = [".s3_manifest.json", ".s3_manifest.yaml", ".s3lfs_manifest"];

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
pub fn walk<E>(roots: &Roots, visit: impl FnMut(Seen<'_>) -> Result<(), E>) -> Result<(), WalkError<E>> {
    let mut list = list(roots).start(Stdio::null())?;
    let mut check = git(&["cat-file", "--buffer", CHECK]).start(Stdio::from(list.stdout()))?;
    let mut walker = Walker::new(visit);
    for line in lines(check.stdout()) {
        walker.look(&line?)?;
    }
    check.finish()?;
    whole(list.finish()?.as_bstr())?;
    walker.finish(roots)
}

/// As [`walk`], without asking again what a remembered blob holds, or whether it is here: not for what deletes the
/// last copy.
pub fn walk_remembering<E>(roots: &Roots, visit: impl FnMut(Seen<'_>) -> Result<(), E>) -> Result<(), WalkError<E>> {
    let remembered = Remembered::for_many(usize::MAX);
    let mut list = list(roots).start(Stdio::null())?;
    let mut walker = Walker::new(visit);
    let mut unknown = Vec::new();
    for line in lines(list.stdout()) {
        let line = line?;
        let id = line.split_once_str(" ").map_or(line.as_slice(), |(id, _)| id).as_bstr();
        match remembered.pointer(id) {
            Some(pointer) => (walker.visit)(Seen::Small(id, &pointer.encode())).map_err(WalkError::Seen)?,
            None => unknown.push(line),
        }
        if unknown.len() == BATCH {
            walker.ask(&unknown)?;
            unknown.clear();
        }
    }
    whole(list.finish()?.as_bstr())?;
    walker.ask(&unknown)?;
    walker.finish(roots)
}

/// All objects that the roots reach, with a path if they have one.
fn list(roots: &Roots) -> Git {
    let tips = roots.tips.iter().flat_map(|tip| [tip.as_slice(), b"\n"].concat()).collect();
    git(&["rev-list", "--objects", "--object-names", "--stdin"]).args(&roots.options).input(tips)
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

/// The last commit of any ref that brought `text` into a manifest, or took it out (`git-log.txt`, `-S`).
pub fn manifest_with(text: &str) -> Result<Option<ObjectId>, GitError> {
    let log = Git::new(["log", "--all", "--full-history", "--diff-filter=AM", "-1", "--format=%H", "-S", text, "--"]);
    let found = log.args(MANIFESTS.map(|name| format!(":(top){name}"))).line_if_any()?;
    Ok(found.filter(|id| !id.is_empty()))
}

/// Those of `oids` that the manifest of a commit that HEAD or a remote-tracking ref reaches ever named. One walk, however
/// many they are.
pub fn named_by_published_manifests(oids: &BTreeSet<Oid>) -> Result<BTreeSet<Oid>, GitError> {
    let mut named = BTreeSet::new();
    if oids.is_empty() {
        return Ok(named);
    }
    let head = super::revision::head()?.map(|id| id.to_str_lossy().into_owned());
    let versions = versions(std::iter::once("--remotes".to_owned()).chain(head))?;
    // A partial clone has the newest at the most.
    let here = objects::sizes(versions.iter().map(|id| id.as_bstr()))?;
    objects::fetch_promised(versions.iter().filter(|id| !here.contains_key(*id)).map(|id| id.as_bstr()))?;
    let mut batch = Batch::start()?;
    for id in versions {
        let bytes = match batch.blob(id.as_bstr()) {
            Err(GitError::TooLarge { .. }) => None,
            read => read?,
        };
        let Some(bytes) = bytes else { continue };
        let words = bytes.split(|byte| !byte.is_ascii_alphanumeric()).filter_map(Oid::from_hex);
        named.extend(words.filter(|oid| oids.contains(oid)));
        if named.len() == oids.len() {
            break;
        }
    }
    Ok(named)
}

/// The blobs that commits of any ref, or HEAD's, made of the manifest, the newest first, each once.
pub fn versions_of_manifests() -> Result<Vec<ObjectId>, GitError> {
    versions(["--all".to_owned()])
}

fn versions(revisions: impl IntoIterator<Item = String>) -> Result<Vec<ObjectId>, GitError> {
    let paths = MANIFESTS.map(|name| format!(":(top){name}"));
    let commits = Git::new(["rev-list"]).args(revisions).args(["--full-history", "--"]).args(&paths).output()?;
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
