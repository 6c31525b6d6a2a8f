//! The index: which tracked paths hold pointers under `filter=s3lfs`.
//!
//! Apart because the index (the one of the environment: a hook's `GIT_INDEX_FILE` counts) is what the
//! manifest projects and what `download-all` and `status` go by.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use bstr::{BStr, BString, ByteSlice};
use tempfile::NamedTempFile;

use super::attr::{self, Source};
use super::committed_attr;
use super::fields::Fields;
use super::new_blobs::NewBlobs;
use super::objects::{self, BlobKind, Look, ObjectId};
use super::{Git, GitError, nul_separated};
use crate::pointer::{Form, Pointer};
use crate::written;

/// One regular file of the index.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Raw pathname, relative to the top.
    pub path: BString,
    /// The blob.
    pub id: ObjectId,
    /// 0, or 1 to 3 while it is unmerged.
    pub stage: u8,
    /// Mode 100755.
    pub executable: bool,
    /// Left out of the worktree by Git's sparse checkout.
    pub skip_worktree: bool,
    /// The user told Git not to look at the file (git-update-index(1), `--assume-unchanged`).
    pub assume_unchanged: bool,
}

/// A path under `filter=s3lfs`, and what its blob is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Filtered {
    /// The index entry.
    pub entry: Entry,
    /// What its blob holds.
    pub kind: BlobKind,
}

impl Filtered {
    /// The pointer that the blob holds.
    pub fn pointer(&self) -> Option<Pointer> {
        self.kind.pointer()
    }
}

/// All regular files of the index, in Git's order. A collapsed sparse directory is expanded;
/// symbolic links and submodules are left out: Git never filters them. `pathspecs` are literal paths
/// (a directory stands for what is beneath it); without any, everything is listed.
pub fn entries(pathspecs: &[BString]) -> Result<Vec<Entry>, GitError> {
    let paths: Vec<_> = pathspecs.iter().map(|p| super::path_from_bytes(p)).collect();
    listed(Git::new(["--literal-pathspecs", "ls-files", "-z", "-s", "-v", "--full-name", "--"]).args(paths))
}

fn listed(git: Git) -> Result<Vec<Entry>, GitError> {
    let mut listing = git.start(Stdio::null())?;
    let mut fields = Fields::of(listing.stdout(), "git ls-files");
    let mut entries = Vec::new();
    while let Some(field) = fields.read()? {
        entries.extend(parse(field)?);
    }
    drop(fields);
    listing.finish()?;
    Ok(entries)
}

/// What stands under the filter of this form, by the attributes that `git add` would use, as a pathspec. One child:
/// `git check-attr` answers path by path, which takes ten times as long (a write for each).
pub fn filter_of(form: Form) -> &'static str {
    match form {
        Form::Ours => ":(top,attr:filter=s3lfs)",
        Form::Lfs => ":(top,attr:filter=lfs)",
    }
}

/// Of whose filter no attribute says a word, as a pathspec. (`-filter`, or another one, is somebody's decision.)
pub const UNFILTERED: &str = ":(top,attr:!filter)";

/// The regular files of the whole index to which this pathspec goes and that are `wanted`, however many they are; each as
/// brought by no commit. Unmerged paths come once a stage.
pub fn list(pathspec: &str, wanted: impl Fn(&Entry) -> bool) -> Result<NewBlobs, GitError> {
    let mut files = NewBlobs::default();
    let mut listing = of_whole(pathspec).start(Stdio::null())?;
    let mut fields = Fields::of(listing.stdout(), "git ls-files");
    while let Some(field) = fields.read()? {
        if let Some(entry) = parse(field)?.filter(&wanted) {
            files.add(&ObjectId::default(), entry.path.as_bstr(), entry.id.as_bstr())?;
        }
    }
    drop(fields);
    listing.finish()?;
    Ok(files)
}

fn of_whole(pathspec: &str) -> Git {
    Git::new(["ls-files", "-z", "-s", "-v", "--full-name", "--", pathspec])
}

/// The entries of the whole index under `filter=s3lfs`.
pub fn all_filtered() -> Result<Vec<Entry>, GitError> {
    listed(of_whole(filter_of(Form::Ours)))
}

/// As [`all_filtered`], under the filter of git-lfs.
pub fn all_filtered_by_lfs() -> Result<Vec<Entry>, GitError> {
    listed(of_whole(filter_of(Form::Lfs)))
}

/// As [`filtered`] of the whole index, under the filter of git-lfs.
pub fn filtered_by_lfs() -> Result<Vec<Filtered>, GitError> {
    let entries = all_filtered_by_lfs()?;
    let kinds = objects::kinds_for_lfs(&entries.iter().map(|entry| entry.id.as_bstr()).collect::<Vec<_>>())?;
    Ok(entries.into_iter().zip(kinds).map(|(entry, kind)| Filtered { entry, kind }).collect())
}

/// The entries of the whole index of whose filter no attribute says a word.
pub fn unfiltered() -> Result<Vec<Entry>, GitError> {
    listed(of_whole(UNFILTERED))
}

/// The attributes files of the whole index, in every directory.
pub fn attributes_files() -> Result<Vec<Entry>, GitError> {
    listed(of_whole(":(top,glob)**/.gitattributes"))
}

/// `H 100644 <id> 0\t<path>`.
fn parse(field: &[u8]) -> Result<Option<Entry>, GitError> {
    let wrong = || GitError::answer("git ls-files -s -v", field);
    // By the byte: to prepare a search for a text takes longer than the whole line.
    let (meta, path) = field.find_byte(b'\t').map(|tab| (&field[..tab], &field[tab + 1..])).ok_or_else(wrong)?;
    let mut words = meta.split(|&byte| byte == b' ');
    let (Some(tag), Some(mode), Some(id), Some(stage)) = (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(wrong());
    };
    let executable = match mode {
        b"100644" => false,
        b"100755" => true,
        _ => return Ok(None),
    };
    let stage = match stage {
        [digit @ b'0'..=b'3'] => digit - b'0',
        _ => return Err(wrong()),
    };
    let (skip_worktree, assume_unchanged) =
        (tag.eq_ignore_ascii_case(b"S"), tag.is_ascii() && tag.iter().all(u8::is_ascii_lowercase));
    Ok(Some(Entry { path: path.into(), id: id.into(), stage, executable, skip_worktree, assume_unchanged }))
}

/// The paths under `filter=s3lfs`, each with what its blob is; unmerged paths come once a stage.
pub fn filtered(pathspecs: &[BString]) -> Result<Vec<Filtered>, GitError> {
    let entries = if pathspecs.is_empty() {
        all_filtered()?
    } else {
        let mut entries = entries(pathspecs)?;
        let paths = attr::filtered(entries.iter().map(|entry| entry.path.as_bstr()), Source::Worktree)?;
        entries.retain(|entry| paths.contains(&entry.path));
        entries
    };
    kinds_of(entries)
}

fn kinds_of(entries: Vec<Entry>) -> Result<Vec<Filtered>, GitError> {
    let ids: Vec<&BStr> = entries.iter().map(|entry| entry.id.as_bstr()).collect();
    let kinds = objects::kinds_of(&ids)?;
    Ok(entries.into_iter().zip(kinds).map(|(entry, kind)| Filtered { entry, kind }).collect())
}

/// As [`filtered`] of the whole index, telling apart what is no pointer.
pub fn looked() -> Result<Vec<(Entry, Look)>, GitError> {
    let entries = all_filtered()?;
    let ids: Vec<&BStr> = entries.iter().map(|entry| entry.id.as_bstr()).collect();
    let looks = objects::looks_of(&ids)?;
    Ok(entries.into_iter().zip(looks).collect())
}

/// Paths with a conflict, and paths whose conflict was resolved and can be had back with
/// `git checkout --merge`.
pub fn conflicted() -> Result<BTreeSet<BString>, GitError> {
    let output = Git::new(["ls-files", "-z", "--unmerged", "--resolve-undo", "--full-name"]).output()?;
    let path = |field: &[u8]| field.split_once_str(b"\t").map(|(_, path)| BString::from(path));
    Ok(nul_separated(&output).filter_map(path).collect())
}

/// Paths with a conflict that is not resolved.
pub fn conflicted_now() -> Result<BTreeSet<BString>, GitError> {
    let output = Git::new(["ls-files", "-z", "--unmerged", "--full-name"]).output()?;
    let path = |field: &[u8]| field.split_once_str(b"\t").map(|(_, path)| BString::from(path));
    Ok(nul_separated(&output).filter_map(path).collect())
}

/// What the `.gitattributes` files in the index give to the filter, and this clone takes away from it in
/// `.git/info/attributes`.
pub fn taken_from_filter() -> Result<Vec<Entry>, GitError> {
    if committed_attr::overriding()?.is_none() {
        return Ok(Vec::new());
    }
    let mut entries = entries(&[])?;
    let attributes: Vec<(BString, ObjectId)> = entries
        .iter()
        .filter(|entry| entry.stage == 0 && entry.path.rsplit_str("/").next() == Some(b".gitattributes"))
        .map(|entry| (entry.path.clone(), entry.id.clone()))
        .collect();
    let given = committed_attr::under(Form::Ours, entries.iter().map(|entry| entry.path.as_bstr()), &attributes)?;
    entries.retain(|entry| given.contains(&entry.path));
    let here = attr::filtered(entries.iter().map(|entry| entry.path.as_bstr()), Source::Worktree)?;
    entries.retain(|entry| !here.contains(&entry.path));
    Ok(entries)
}

/// Paths at which the index differs from HEAD (added, changed, deleted). Before the first commit:
/// every path.
pub fn changed_since_head() -> Result<BTreeSet<BString>, GitError> {
    changed_since(head()?.as_ref())
}

/// As [`changed_since_head`], of HEAD's commit.
pub fn changed_since(head: Option<&ObjectId>) -> Result<BTreeSet<BString>, GitError> {
    let Some(head) = head else {
        return Ok(entries(&[])?.into_iter().map(|entry| entry.path).collect());
    };
    let git = Git::new(["diff-index", "--cached", "--no-renames", "--name-only", "-z"]);
    let git = git.args([head.to_str_lossy().as_ref(), "--"]);
    Ok(nul_separated(&git.output()?).map(BString::from).collect())
}

/// The blob of the regular file at `path` (from the top) of a commit.
pub fn file_at(commit: &ObjectId, path: &str) -> Result<Option<ObjectId>, GitError> {
    let git = Git::new(["ls-tree", "-z", "--full-tree", "--format=%(objectmode) %(objectname)"]);
    let listed = git.args([commit.to_str_lossy().as_ref(), "--", path]).output()?;
    let entry = listed.strip_suffix(b"\0").unwrap_or(&listed).split_once_str(b" ");
    let regular = entry.filter(|(mode, _)| matches!(*mode, b"100644" | b"100755" | b"100664"));
    Ok(regular.map(|(_, id)| id.into()))
}

/// All paths of HEAD's tree.
pub fn head_paths() -> Result<Vec<BString>, GitError> {
    if !has_head()? {
        return Ok(Vec::new());
    }
    let output = Git::new(["ls-tree", "-r", "-z", "--name-only", "--full-tree", "HEAD"]).output()?;
    Ok(nul_separated(&output).map(BString::from).collect())
}

/// Whether HEAD names a commit yet.
pub fn has_head() -> Result<bool, GitError> {
    Ok(head()?.is_some())
}

/// HEAD's commit, if there is one yet.
pub fn head() -> Result<Option<ObjectId>, GitError> {
    Git::new(["rev-parse", "--verify", "--quiet", "HEAD^{commit}"]).line_if_any()
}

/// Paths whose worktree file differs from the index (deleted ones too). Git's own refresh decides;
/// where only times differ it runs our clean filter.
pub fn changed_in_worktree(pathspecs: &[BString]) -> Result<Vec<BString>, GitError> {
    let paths: Vec<_> = pathspecs.iter().map(|p| super::path_from_bytes(p)).collect();
    let differing = || {
        let git = Git::new(["--literal-pathspecs", "diff-files", "-z", "--name-only", "--ignore-submodules", "--"]);
        git.args(&paths).output()
    };
    // Where times are as recorded there is no difference (what is racily clean Git reads), and nothing to settle:
    // Git looks at them on all processors, which a refresh does not.
    if differing()?.is_empty() {
        return Ok(Vec::new());
    }
    // diff-files alone goes by recorded times; a refresh first settles which of those are real. It fails
    // if anything differs at all (git-update-index(1), `-q`); where it can't write, it settles nothing.
    if Git::new(["update-index", "--refresh"]).run()?.status.success() {
        return Ok(Vec::new());
    }
    Ok(nul_separated(&differing()?).map(BString::from).collect())
}

/// Put `blob` at `path` in the index, as a plain file.
pub fn put(path: &str, blob: &BStr) -> Result<(), GitError> {
    let line = [b"100644 ".as_slice(), blob, b" 0\t", path.as_bytes(), b"\0"].concat();
    Git::on_index(["update-index", "-z", "--index-info"]).input(line).output().map(drop)
}

/// Record the times of the file at `path`, which is in the index, as it stands there.
pub fn record(path: &str) -> Result<(), GitError> {
    Git::on_index(["update-index", "-z", "--stdin"]).input([path.as_bytes(), b"\0"].concat()).output().map(drop)
}

/// Take entries out of the index, at every stage. The worktree is not touched.
pub fn take_out<'a>(entries: impl DoubleEndedIterator<Item = &'a Entry>) -> Result<(), GitError> {
    let mut input = Vec::new();
    // From the end: Git moves all that stands behind an entry each time.
    for entry in entries.rev() {
        let zeros = "0".repeat(entry.id.len());
        input.extend_from_slice(&[b"0 ", zeros.as_bytes(), b"\t", entry.path.as_slice(), b"\0"].concat());
    }
    Git::on_index(["update-index", "-z", "--index-info"]).input(input).output().map(drop)
}

/// Put blobs into the index at new paths, executable or not.
pub fn put_all<'a>(entries: impl IntoIterator<Item = (&'a BStr, &'a BStr, bool)>) -> Result<(), GitError> {
    let mut input = Vec::new();
    for (path, id, executable) in entries {
        let mode: &[u8] = if executable { b"100755 " } else { b"100644 " };
        input.extend_from_slice(&[mode, id, b" 0\t", path, b"\0"].concat());
    }
    if input.is_empty() {
        return Ok(());
    }
    Git::on_index(["update-index", "-z", "--index-info"]).input(input).output().map(drop)
}

/// Mark paths of the index as left out by Git's sparse checkout.
pub fn leave_out<'a>(paths: impl IntoIterator<Item = &'a BStr>) -> Result<(), GitError> {
    let input: Vec<u8> = paths.into_iter().flat_map(|path| [path.as_bytes(), b"\0"].concat()).collect();
    if input.is_empty() {
        return Ok(());
    }
    Git::on_index(["update-index", "--skip-worktree", "-z", "--stdin"]).input(input).output().map(drop)
}

/// Tell Git that these files are settled: it cleans each once and remembers its times, so that `git
/// status` stays empty (git-filter-reference.md, part 2, "Stat cache").
pub fn refresh<'a>(paths: impl IntoIterator<Item = &'a BStr>) -> Result<(), GitError> {
    refresh_written(paths, None)
}

/// As [`refresh`]. `known` tells our filter what s3lfs has just written ([`crate::written::VARIABLE`]).
pub fn refresh_written<'a>(
    paths: impl IntoIterator<Item = &'a BStr>,
    known: Option<&NamedTempFile>,
) -> Result<(), GitError> {
    refresh_git(paths, known).map_or(Ok(()), |git| git.output().map(drop))
}

/// The command for it; `None`: there is nothing to do.
pub(super) fn refresh_git<'a>(paths: impl IntoIterator<Item = &'a BStr>, known: Option<&NamedTempFile>) -> Option<Git> {
    let input: Vec<u8> = paths.into_iter().flat_map(|path| [path.as_bytes(), b"\0"].concat()).collect();
    if input.is_empty() {
        return None;
    }
    let mut git = Git::on_index(["update-index", "-q", "--unmerged", "--refresh", "-z", "--stdin"]);
    if let Some(known) = known {
        git = git.env(written::VARIABLE, known.path());
    }
    Some(git.input(input))
}

/// Where the index is, which a hook may be told to be another file.
pub fn file(git_dir: &Path) -> PathBuf {
    std::env::var_os("GIT_INDEX_FILE").map_or_else(|| git_dir.join("index"), PathBuf::from)
}

/// Those of `paths` (which need not be in the index) that Git's own sparse checkout includes. Without
/// one: all of them.
pub fn in_sparse_checkout<'a>(paths: impl Iterator<Item = &'a BStr> + Clone) -> Result<BTreeSet<BString>, GitError> {
    let all = || paths.clone().map(BStr::to_owned).collect();
    let active = Git::new(["config", "--bool", "core.sparseCheckout"]).line_if_any()?;
    if active.is_none_or(|value| value != "true") {
        return Ok(all());
    }
    let input: Vec<u8> = paths.clone().flat_map(|path| [path.as_bytes(), b"\0"].concat()).collect();
    let output = Git::new(["sparse-checkout", "check-rules", "-z"]).input(input).output()?;
    Ok(nul_separated(&output).map(BString::from).collect())
}
