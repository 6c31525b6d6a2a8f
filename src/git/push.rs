//! What a push will publish: the blobs that the pushed commits add (githooks(5), pre-push).
//!
//! Apart because the push gate must see every commit that Git will send, and only those. Git is told
//! what the other side has by its answers, not by our memory of them, unless that is fresh.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::process::Stdio;
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bstr::{BStr, BString, ByteSlice};

use super::attr::{self, Source};
use super::committed_attr;
use super::fields::Fields;
use super::new_blobs::{NewBlob, NewBlobs};
use super::objects::ObjectId;
use super::{Git, GitError};
use crate::believed::BELIEVED;
use crate::fs::temp_dir;
use crate::pointer::Form;

/// One line of pre-push's standard input.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Update {
    /// What is pushed: a commit, or a tag.
    pub local: ObjectId,
    /// Where it goes.
    pub remote_ref: BString,
    /// What the other side has there; `None` for a new ref.
    pub remote: Option<ObjectId>,
}

/// Parse pre-push's standard input. Deletions publish nothing and are left out.
pub fn parse_updates(stdin: &[u8]) -> Result<Vec<Update>, GitError> {
    let zeros = |id: &[u8]| id.iter().all(|&b| b == b'0');
    let mut updates = Vec::new();
    for line in stdin.lines().filter(|line| !line.is_empty()) {
        let fields: Vec<&[u8]> = line.split_str(b" ").collect();
        let [_local_ref, local, remote_ref, remote] = fields[..] else {
            return Err(GitError::answer("git push (pre-push's standard input)", line));
        };
        if !zeros(local) {
            let remote = (!zeros(remote)).then(|| remote.into());
            updates.push(Update { local: local.into(), remote_ref: remote_ref.into(), remote });
        }
    }
    Ok(updates)
}

/// What several updates publish together.
#[derive(Debug, Default)]
pub struct Range {
    /// The regular files that the new commits add or change.
    pub blobs: NewBlobs,
    /// The commits right before the new ones, which the other side has.
    pub boundary: Vec<ObjectId>,
}

/// Walk all commits that `updates` bring and the other side has not: neither at the refs that it is
/// updated from, nor among the `known` ones.
pub fn range(updates: &[&Update], known: &[ObjectId]) -> Result<Range, GitError> {
    let mut revs = Vec::new();
    let mut range = Range::default();
    for update in updates {
        if is_commit(&update.local)? {
            revs.extend_from_slice(&[update.local.as_slice(), b"\n"].concat());
        } else {
            // A tag of a tree: all of it is published.
            each_blob(&update.local, |commit, path, id| range.blobs.add(commit, path, id))?;
        }
    }
    if revs.is_empty() {
        return Ok(range);
    }
    for id in known.iter().chain(updates.iter().filter_map(|update| update.remote.as_ref())) {
        revs.extend_from_slice(&[b"^", id.as_slice(), b"\n"].concat());
    }
    // What the other side has may be unknown here: then it excludes nothing.
    let walk = Git::new(["--no-replace-objects", "rev-list", "--boundary", "--ignore-missing", "--stdin"]);
    let mut commits = Vec::new();
    for line in walk.input(revs).output()?.lines() {
        match line.strip_prefix(b"-") {
            Some(id) => range.boundary.push(id.into()),
            None => commits.extend_from_slice(&[line, b"\n"].concat()),
        }
    }
    if !commits.is_empty() {
        each_blob_of(commits, |commit, path, id| range.blobs.add(commit, path, id))?;
    }
    Ok(range)
}

fn is_commit(id: &ObjectId) -> Result<bool, GitError> {
    let commit = [id.as_slice(), b"^{commit}"].concat();
    Ok(Git::new(["rev-parse", "--verify", "--quiet", &commit.to_str_lossy()]).run()?.status.success())
}

/// The regular files that HEAD's commit adds or changes against each of its parents.
pub fn blobs_of_head() -> Result<Vec<NewBlob>, GitError> {
    blobs_of(Git::new(["rev-list", "-1", "HEAD"]).output()?)
}

/// The regular files that each of these commits adds or changes.
pub fn blobs_of_commits<'a>(commits: impl IntoIterator<Item = &'a ObjectId>) -> Result<Vec<NewBlob>, GitError> {
    blobs_of(commits.into_iter().flat_map(|id| [id.as_slice(), b"\n"].concat()).collect())
}

/// The regular files of a commit's whole tree. A tag of a blob has none.
pub fn all_blobs(commit: &ObjectId) -> Result<Vec<NewBlob>, GitError> {
    let mut blobs = Vec::new();
    each_blob(commit, |commit, path, id| {
        blobs.push(NewBlob { commit: Rc::clone(commit), path: path.into(), id: id.into() });
        Ok(())
    })?;
    Ok(blobs)
}

/// As [`all_blobs`], however many they are.
pub fn list_all(commit: &ObjectId) -> Result<NewBlobs, GitError> {
    let mut blobs = NewBlobs::default();
    each_blob(commit, |commit, path, id| blobs.add(commit, path, id))?;
    Ok(blobs)
}

/// As [`blobs_of_commits`], however many they are.
pub fn list_of_commits<'a>(commits: impl IntoIterator<Item = &'a ObjectId>) -> Result<NewBlobs, GitError> {
    let mut blobs = NewBlobs::default();
    let commits = commits.into_iter().flat_map(|id| [id.as_slice(), b"\n"].concat()).collect();
    each_blob_of(commits, |commit, path, id| blobs.add(commit, path, id))?;
    Ok(blobs)
}

/// Show each regular file of a commit's whole tree: the commit, the path, the blob. A tag of a blob has none.
pub fn each_blob(
    commit: &ObjectId,
    mut see: impl FnMut(&Rc<ObjectId>, &BStr, &BStr) -> Result<(), GitError>,
) -> Result<(), GitError> {
    let tree = [commit.as_slice(), b"^{tree}"].concat();
    let git = Git::new(["--no-replace-objects", "ls-tree", "-r", "-z", "--full-tree", &tree.to_str_lossy()]);
    let mut listing = git.start(Stdio::null())?;
    let mut fields = Fields::of(listing.stdout(), "git ls-tree");
    let commit = Rc::new(commit.clone());
    while let Some(field) = fields.read()? {
        let (meta, path) = field.split_once_str(b"\t").ok_or_else(|| GitError::answer("git ls-tree", field))?;
        if let [mode, b"blob", id] = meta.split_str(b" ").collect::<Vec<_>>()[..]
            && mode.starts_with(b"100")
        {
            see(&commit, path.as_bstr(), id.as_bstr())?;
        }
    }
    drop(fields);
    match listing.finish() {
        Err(GitError::Failed { .. }) if !has_tree(&commit)? => Ok(()),
        ended => ended.map(drop),
    }
}

/// Show each regular file that stands in one of these. Branches and tags have mostly the same files: of each but the first
/// come those that differ from the one before.
pub fn each_blob_of_tips(
    tips: &[ObjectId],
    mut see: impl FnMut(&Rc<ObjectId>, &BStr, &BStr) -> Result<(), GitError>,
) -> Result<(), GitError> {
    let mut before: Option<String> = None;
    for tip in tips {
        // A tag of a blob has no files.
        if !has_tree(tip)? {
            continue;
        }
        let tree = [tip.as_slice(), b"^{tree}"].concat().to_str_lossy().into_owned();
        match &before {
            None => each_blob(tip, &mut see)?,
            Some(before) => {
                let commit = Rc::new(tip.clone());
                let diff = ["--no-replace-objects", "diff-tree", "-r", "--no-renames", "--diff-filter=AMT", "-z"];
                each_changed(Git::new(diff).args([before, &tree]), commit, &mut see)?;
            }
        }
        before = Some(tree);
    }
    Ok(())
}

/// Whether this is, or names, a commit or a tree: of those whatever can't be read is an error, since what was not looked
/// at is not fine.
fn has_tree(tip: &ObjectId) -> Result<bool, GitError> {
    let what = [tip.as_slice(), b"^{}"].concat();
    let kind = Git::new(["--no-replace-objects", "cat-file", "-t", &what.to_str_lossy()]).output()?;
    Ok(matches!(kind.trim(), b"commit" | b"tree"))
}

/// Read what stands in a commit into an index of its own. `false`: no tree stands there.
fn read_tree(tip: &ObjectId, index: &Path) -> Result<bool, GitError> {
    let tree = [tip.as_slice(), b"^{tree}"].concat();
    let read = Git::new(["--no-replace-objects", "read-tree", &tree.to_str_lossy()]).env("GIT_INDEX_FILE", index);
    match read.output() {
        Err(GitError::Failed { .. }) if !has_tree(tip)? => Ok(false),
        read => read.map(|_| true),
    }
}

fn blobs_of(commits: Vec<u8>) -> Result<Vec<NewBlob>, GitError> {
    let mut blobs = Vec::new();
    each_blob_of(commits, |commit, path, id| {
        blobs.push(NewBlob { commit: Rc::clone(commit), path: path.into(), id: id.into() });
        Ok(())
    })?;
    Ok(blobs)
}

/// `commits`: a line each. Of a merge, what differs from every parent: the rest came with one of them,
/// which is walked itself or published already.
fn each_blob_of(
    commits: Vec<u8>,
    see: impl FnMut(&Rc<ObjectId>, &BStr, &BStr) -> Result<(), GitError>,
) -> Result<(), GitError> {
    let diff = Git::new([
        "--no-replace-objects",
        "diff-tree",
        "--stdin",
        "-r",
        "-c",
        "--root",
        "--no-renames",
        "--diff-filter=AMT",
        "-z",
    ]);
    each_changed(diff.input(commits), Rc::default(), see)
}

/// Show what `diff` lists: of the commits that it names, else of this one.
fn each_changed(
    diff: Git,
    mut commit: Rc<ObjectId>,
    mut see: impl FnMut(&Rc<ObjectId>, &BStr, &BStr) -> Result<(), GitError>,
) -> Result<(), GitError> {
    let mut running = diff.start(Stdio::null())?;
    let mut fields = Fields::of(running.stdout(), "git diff-tree");
    while let Some(field) = fields.read()? {
        // A colon, a mode and an id for each parent, then mode and id of the result
        // (git-diff(1), "Diff format for merges").
        let parents = field.iter().take_while(|&&byte| byte == b':').count();
        if parents == 0 {
            commit = Rc::new(field.trim().into());
            continue;
        }
        let mut words = field[parents..].split_str(b" ");
        let (Some(mode), Some(id)) = (words.nth(parents), words.nth(parents)) else {
            return Err(GitError::answer("git diff-tree", field));
        };
        let (is_file, id) = (mode.starts_with(b"100"), ObjectId::from(id));
        let path = fields.read()?.ok_or_else(|| GitError::answer("git diff-tree", id.as_slice()))?;
        if is_file {
            see(&commit, path.as_bstr(), id.as_bstr())?;
        }
    }
    drop(fields);
    running.finish().map(drop)
}

/// What `remote` is known to have: the commits of its remote-tracking refs that Git moved lately.
pub fn published(remote: &str) -> Result<Vec<ObjectId>, GitError> {
    let pattern = format!("refs/remotes/{remote}/");
    let refs = Git::new(["for-each-ref", "--format=%(refname) %(objectname)", &pattern]).output()?;
    if refs.is_empty() {
        return Ok(Vec::new());
    }
    let glob = format!("--remotes={remote}");
    // Newest entry first for each ref; a ref without a reflog has no entry, and is not believed.
    let log = Git::new(["log", "-g", "--no-show-signature", "--date=unix", "--format=%gD", &glob]).run()?;
    let mut moved = BTreeMap::new();
    for line in log.stdout.lines() {
        if let Some((name, rest)) = line.split_once_str(b"@{")
            && let Some(time) = rest.strip_suffix(b"}").and_then(|t| t.to_str().ok()?.parse::<u64>().ok())
        {
            moved.entry(name.to_owned()).or_insert(UNIX_EPOCH + Duration::from_secs(time));
        }
    }
    let now = SystemTime::now();
    let fresh = |name: &[u8]| moved.get(name).is_some_and(|t| now.duration_since(*t).is_ok_and(|age| age < BELIEVED));
    let ids = refs.lines().filter_map(|line| line.split_once_str(b" "));
    Ok(ids.filter(|(name, _)| fresh(name)).map(|(_, id)| id.into()).collect())
}

/// Where the refs of every remote stand, as this clone last saw them.
pub fn tips_of_remotes() -> Result<Vec<ObjectId>, GitError> {
    let refs = Git::new(["for-each-ref", "--format=%(objectname)", "refs/remotes/"]).output()?;
    Ok(refs.lines().map(ObjectId::from).collect())
}

/// Paths of which Git is asked together: its answers are held in memory.
const ASKED: usize = 50_000;

/// Those of `blobs` whose path has the filter of this form by the attributes of any of the commits `tips`, also where
/// this clone says otherwise in `.git/info/attributes`.
pub fn under_filter<'a>(form: Form, blobs: &'a [NewBlob], tips: &[ObjectId]) -> Result<Vec<&'a NewBlob>, GitError> {
    let is_under = are_under(form, blobs.len(), tips, |see| blobs.chunks(ASKED).try_for_each(see))?;
    Ok(blobs.iter().zip(is_under).filter(|(_, is_under)| *is_under).map(|(blob, _)| blob).collect())
}

/// As [`under_filter`], for each of them whether it is one.
pub fn all_under_filter(form: Form, blobs: &mut NewBlobs, tips: &[ObjectId]) -> Result<Vec<bool>, GitError> {
    are_under(form, blobs.len(), tips, |see| blobs.chunks(ASKED, see))
}

/// Those of `blobs` that stand in one of the commits `tips`, at a path of whose filter no attribute says a word there.
pub fn without_filter<'a>(blobs: &'a [NewBlob], tips: &[ObjectId]) -> Result<Vec<&'a NewBlob>, GitError> {
    if blobs.is_empty() {
        return Ok(Vec::new());
    }
    let dir = temp_dir().map_err(|source| GitError::Local { action: "make a temporary directory", source })?;
    let index = dir.path().join("index");
    let mut at: HashMap<&BStr, Vec<usize>> = HashMap::new();
    for (number, blob) in blobs.iter().enumerate() {
        at.entry(blob.path.as_bstr()).or_default().push(number);
    }
    let mut found = vec![false; blobs.len()];
    for tip in tips {
        let mut standing = Vec::new();
        each_blob(tip, |_, path, id| {
            let same = at.get(path).into_iter().flatten().copied();
            standing.extend(same.filter(|&number| !found[number] && blobs[number].id == id));
            Ok(())
        })?;
        if !standing.is_empty() && read_tree(tip, &index)? {
            let asked = standing.iter().map(|&number| blobs[number].path.as_bstr());
            let paths = attr::unspecified(asked, Source::Index(&index))?;
            standing.into_iter().for_each(|number| found[number] = paths.contains(&blobs[number].path));
        }
    }
    Ok(blobs.iter().zip(found).filter(|(_, found)| *found).map(|(blob, _)| blob).collect())
}

/// Looks at some blobs.
type See<'a> = &'a mut dyn FnMut(&[NewBlob]) -> Result<(), GitError>;

/// `chunks` shows all of the `count` blobs, some at a time.
fn are_under(
    form: Form,
    count: usize,
    tips: &[ObjectId],
    mut chunks: impl FnMut(See<'_>) -> Result<(), GitError>,
) -> Result<Vec<bool>, GitError> {
    let mut guarded = vec![false; count];
    if count == 0 {
        return Ok(guarded);
    }
    let dir = temp_dir().map_err(|source| GitError::Local { action: "make a temporary directory", source })?;
    let index = dir.path().join("index");
    let overridden = committed_attr::overriding()?.is_some();
    let mut seen = BTreeSet::new();
    for tip in tips {
        // Tips that share all their attributes files (tags of one history) are asked once.
        let mut attributes = Vec::new();
        each_blob(tip, |_, path, id| {
            if path.rsplit_str("/").next() == Some(b".gitattributes") {
                attributes.push((path.to_owned(), ObjectId::from(id)));
            }
            Ok(())
        })?;
        if !seen.insert(attributes.clone()) {
            continue;
        }
        let is_read = read_tree(tip, &index)?;
        let mut rest = guarded.as_mut_slice();
        chunks(&mut |some| {
            let asked = || some.iter().map(|blob| blob.path.as_bstr());
            let mut paths = if is_read { attr::under(form, asked(), Source::Index(&index))? } else { HashSet::new() };
            if overridden {
                paths.extend(committed_attr::under(form, asked(), &attributes)?);
            }
            let (here, after) = std::mem::take(&mut rest).split_at_mut(some.len());
            some.iter().zip(here).for_each(|(blob, guarded)| *guarded |= paths.contains(&blob.path));
            rest = after;
            Ok(())
        })?;
    }
    Ok(guarded)
}
