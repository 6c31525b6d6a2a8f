//! The manifest as a file: where it is read from, and how it is staged.
//!
//! Apart because reading and writing follow different rules (design.md, section 3): a reader passes
//! over what is broken and looks further, a writer stops and names the line.

use std::collections::BTreeMap;
use std::path::Path;

use bstr::{BStr, BString, ByteSlice};

use crate::cli::error::CliError;
use crate::cli::ui;
use crate::error::chain;
use crate::fs::{PathContext, PathError, is_committed_as, read_committed, replace};
use crate::git::batch::Batch;
use crate::git::objects::ObjectId;
use crate::git::{Git, GitError, index, objects};
use crate::manifest::{Manifest, PATH, python_yaml};

/// The manifest that reading goes by: the worktree's, else the index's (stage 0, then ours of a
/// conflict), else that of the commit being checked out, else HEAD's. Broken ones are passed over. But
/// where the later Python tool's stands in the worktree, it is that one, as for the tool itself: JSON
/// beside it is a backup that the tool left behind, and may be long out of date.
pub fn for_reading(treeish: Option<&BStr>) -> Result<Option<Manifest>, GitError> {
    if is_pythons() {
        return Ok(python_yaml().unwrap_or_else(|e| {
            if treeish.is_none() {
                ui::warn_once(format!("warning: the manifest of the Python s3lfs is passed over: {}", e.message));
            }
            None
        }));
    }
    let from_worktree = read_committed(PATH.as_ref()).unwrap_or_else(|e| {
        if treeish.is_none() {
            ui::warn_once(format!("warning: passed over: {}", chain(&e)));
        }
        None
    });
    match from_worktree.as_deref().map(Manifest::parse) {
        Some(Ok(manifest)) => return Ok(Some(manifest)),
        // Git's filter has a conflicted manifest before it now and then; a user who asks has to know.
        Some(Err(e)) if treeish.is_none() => ui::warn_once(format!("warning: passed over: {}", chain(&e))),
        _ => {}
    }
    let mut places = vec![BString::from(format!(":0:{PATH}")), format!(":2:{PATH}").into()];
    places.extend(treeish.map(|name| BString::from([name.as_bytes(), b":", PATH.as_bytes()].concat())));
    places.push(format!("HEAD:{PATH}").into());
    for place in places {
        let bytes = match objects::read(place.as_bstr()) {
            Err(e @ GitError::TooLarge { .. }) => {
                tracing::info!("the manifest is passed over: {e}");
                None
            }
            read => read?,
        };
        if let Some(manifest) = bytes.as_deref().and_then(|bytes| readable(bytes, &place.to_str_lossy())) {
            return Ok(Some(manifest));
        }
    }
    Ok(None)
}

/// Whether the later Python tool's manifest stands in the worktree: until `migrate` took it over, this is
/// that tool's repository, and nothing is written to a manifest of ours.
pub fn is_pythons() -> bool {
    std::fs::symlink_metadata(python_yaml::PATH).is_ok()
}

/// Refuse what would write a manifest beside the later Python tool's.
pub fn refuse_pythons() -> Result<(), CliError> {
    if is_pythons() {
        let why =
            format!("the manifest of the Python s3lfs stands here, {}, and was not taken over", python_yaml::PATH);
        return Err(CliError::user(why).hint("take it over first: s3lfs migrate"));
    }
    Ok(())
}

/// The worktree's manifest of the later Python s3lfs, in YAML.
pub fn python_yaml() -> Result<Option<Manifest>, CliError> {
    let Some(root) = read_committed(python_yaml::PATH.as_ref())? else { return Ok(None) };
    let config = read_committed(python_yaml::CONFIG.as_ref())?;
    let mut shards = BTreeMap::new();
    for name in python_shards()? {
        let bytes = read_committed(name.as_ref())?.unwrap_or_default();
        shards.insert(name, bytes);
    }
    // Git's sparse checkout leaves out directories, also this one.
    for entry in index::entries(&[python_yaml::SHARDS.into()])?.into_iter().filter(|entry| entry.skip_worktree) {
        let Ok(name) = entry.path.to_str().map(str::to_owned) else { continue };
        if python_yaml::is_part(&entry.path) && !shards.contains_key(&name) {
            let bytes = objects::read(entry.id.as_bstr())?;
            let bytes = bytes.ok_or_else(|| GitError::answer("git cat-file", entry.id.clone()))?;
            shards.insert(name, bytes);
        }
    }
    let shards: Vec<python_yaml::File<'_>> =
        shards.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
    Ok(Some(python_yaml::parse(&root, &shards, config.as_deref())?))
}

/// The files in which that tool keeps parts of its manifest. They come from a commit: what is no
/// regular file is not followed.
fn python_shards() -> Result<Vec<String>, CliError> {
    let dir = Path::new(python_yaml::SHARDS);
    if !std::fs::symlink_metadata(dir).is_ok_and(|metadata| metadata.is_dir()) {
        return Ok(Vec::new());
    }
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir).context("read directory", dir)? {
        let entry = entry.context("read directory", dir)?;
        let plain = entry.file_type().is_ok_and(|kind| kind.is_file());
        if let Some(name) = entry.file_name().to_str().filter(|name| plain && name.ends_with(".yaml")) {
            names.push(format!("{}/{name}", python_yaml::SHARDS));
        }
    }
    Ok(names)
}

fn readable(bytes: &[u8], place: &str) -> Option<Manifest> {
    match Manifest::parse(bytes) {
        Ok(manifest) => Some(manifest),
        Err(e) => {
            tracing::info!("the manifest of {place} is passed over: {}", chain(&e));
            None
        }
    }
}

/// The manifest for a command that is to change it: the worktree's, or the index's where Git's sparse
/// checkout leaves it out.
pub fn for_writing() -> Result<Option<Manifest>, CliError> {
    let bytes = match read_committed(PATH.as_ref())? {
        Some(bytes) => bytes,
        None if is_left_out()? => match staged()? {
            Staged::Blob(bytes) => bytes,
            Staged::Unmerged | Staged::Absent => return Ok(None),
        },
        None => return Ok(None),
    };
    Ok(Some(Manifest::parse(&bytes)?))
}

/// Whether Git's sparse checkout leaves the manifest out of the worktree, and it is not there.
fn is_left_out() -> Result<bool, CliError> {
    let left_out = index::entries(&[PATH.into()])?.iter().any(|entry| entry.stage == 0 && entry.skip_worktree);
    Ok(left_out && read_committed(PATH.as_ref())?.is_none())
}

/// The worktree's manifest, where a command can do nothing without one.
pub fn required() -> Result<Manifest, CliError> {
    refuse_pythons()?;
    required_beside_pythons()
}

/// As [`required`], for the one command that writes it while the later Python tool's still stands.
pub fn required_beside_pythons() -> Result<Manifest, CliError> {
    for_writing()?.ok_or_else(|| {
        CliError::user(format!("there is no {PATH} at the top of this repository"))
            .hint("choose a store with 's3lfs init <bucket> <repo-prefix>'")
    })
}

/// Write the worktree's manifest, if its bytes change. `true`: they did. One that Git's sparse checkout
/// leaves out is written where it is, in the index.
pub fn write(manifest: &Manifest) -> Result<bool, CliError> {
    let bytes = manifest.to_bytes()?;
    if is_left_out()? {
        let same = matches!(staged()?, Staged::Blob(present) if present == bytes);
        if !same {
            stage(&bytes)?;
        }
        return Ok(!same);
    }
    if read_committed(PATH.as_ref())?.as_deref() == Some(&bytes) {
        return Ok(false);
    }
    replace(PATH.as_ref(), &bytes)?;
    Ok(true)
}

/// The refusal where a person has to decide first, and what decides it. `git add` alone would take our side, which our
/// merge driver leaves in the worktree.
pub fn in_conflict() -> CliError {
    let [ours, theirs] = conflict_commands(PATH);
    CliError::user(format!("{PATH} has a conflict"))
        .hint(format!("to take this side (in a rebase: the branch rebased onto) whole: {ours}"))
        .hint(format!("to take the other side whole: {theirs}"))
        .hint(format!("for something of both: edit it, then: git add {PATH}"))
}

/// The commands that take one side of a conflict whole; `spec` is the manifest as an argument of Git.
pub fn conflict_commands(spec: &str) -> [String; 2] {
    ["ours", "theirs"].map(|side| format!("git checkout --{side} -- {spec} && git add {spec}"))
}

/// What the index holds for the manifest.
#[derive(Debug)]
pub enum Staged {
    /// A blob's bytes.
    Blob(Vec<u8>),
    /// Stages of a conflict.
    Unmerged,
    /// Nothing.
    Absent,
}

/// The index's manifest.
pub fn staged() -> Result<Staged, GitError> {
    let entries = index::entries(&[PATH.into()])?;
    match entries.iter().find(|entry| entry.stage == 0) {
        Some(entry) => match blob(&entry.id)? {
            // What was only announced (git-add(1), `--intent-to-add`) stands there as an empty file.
            Staged::Blob(bytes) if bytes.is_empty() && !in_head()? => Ok(Staged::Absent),
            staged => Ok(staged),
        },
        None if entries.is_empty() => Ok(Staged::Absent),
        None => Ok(Staged::Unmerged),
    }
}

/// As [`staged`], where the index has what this commit has. A large index takes much longer to read than a tree.
pub fn staged_as_in(commit: &ObjectId) -> Result<Staged, GitError> {
    index::file_at(commit, PATH)?.map_or(Ok(Staged::Absent), |id| blob(&id))
}

fn blob(id: &ObjectId) -> Result<Staged, GitError> {
    objects::read(id.as_bstr())?.map(Staged::Blob).ok_or_else(|| GitError::answer("git cat-file", id.clone()))
}

/// Whether the index's manifest has a conflict, without a look at what it holds.
pub fn is_unmerged() -> Result<bool, GitError> {
    Ok(index::entries(&[PATH.into()])?.iter().any(|entry| entry.stage != 0))
}

/// Put `bytes` into the index as the manifest. That Git's sparse checkout leaves it out of the worktree
/// stays so, unless it stands there all the same.
pub fn stage(bytes: &[u8]) -> Result<(), GitError> {
    let left_out = index::entries(&[PATH.into()])?.iter().any(|entry| entry.skip_worktree);
    let id = objects::write(bytes)?;
    index::put(PATH, id.as_bstr())?;
    if left_out && std::fs::symlink_metadata(PATH).is_err() { index::leave_out([PATH.into()]) } else { Ok(()) }
}

/// Let the index know the times of the worktree's manifest, if that is the staged one. Without them, whoever asks Git
/// without a refresh (`git diff-index --quiet HEAD`) is told of a change.
pub fn settle() {
    let recorded = || -> Result<(), CliError> {
        match (in_worktree()?, staged()?) {
            (Some(present), Staged::Blob(staged)) if present == staged => Ok(index::record(PATH)?),
            _ => Ok(()),
        }
    };
    // Another command may hold the index; whoever refreshes it knows.
    if let Err(e) = recorded() {
        tracing::info!("the times of {PATH} are not recorded: {}", e.message);
    }
}

/// Stage the worktree's manifest, as `git add` does.
pub fn add() -> Result<(), CliError> {
    // What was left out was staged when it was written.
    if is_left_out()? {
        return Ok(());
    }
    Git::on_index(["add", "--", PATH]).output()?;
    Ok(())
}

/// The bytes of the worktree's manifest.
pub fn in_worktree() -> Result<Option<Vec<u8>>, PathError> {
    read_committed(PATH.as_ref())
}

/// Whether these are the bytes of the worktree's manifest.
pub fn is_in_worktree(bytes: &[u8]) -> Result<bool, PathError> {
    is_committed_as(PATH.as_ref(), bytes)
}

/// The last commit among these (a branch, or `--all`) that wrote a manifest, in short.
pub fn last_commit(of: &str) -> Result<Option<BString>, GitError> {
    let log = Git::new(["log", of, "--full-history", "--diff-filter=AM", "-1", "--format=%h", "--"]);
    Ok(log.args([format!(":(top){PATH}")]).line_if_any()?.filter(|id| !id.is_empty()))
}

/// The manifest of a commit or tree; of the later Python tool's, what the root says. One that does not
/// parse names no store.
pub fn at(objects: &mut Batch, tip: &ObjectId) -> Result<Option<Manifest>, GitError> {
    if let Some(root) = bytes_at(objects, tip, python_yaml::PATH)? {
        let config = bytes_at(objects, tip, python_yaml::CONFIG)?;
        return Ok(python_yaml::parse(&root, &[], config.as_deref()).ok());
    }
    Ok(bytes_at(objects, tip, PATH)?.and_then(|bytes| Manifest::parse(&bytes).ok()))
}

/// What a commit or tree has at `path`.
pub fn bytes_at(objects: &mut Batch, tip: &ObjectId, path: &str) -> Result<Option<Vec<u8>>, GitError> {
    let expression = [tip.as_slice(), b":", path.as_bytes()].concat();
    objects.blob(expression.as_bstr())
}

/// Whether HEAD's commit has a manifest.
pub fn in_head() -> Result<bool, GitError> {
    Ok(objects::read(format!("HEAD:{PATH}").as_bytes().as_bstr())?.is_some())
}
