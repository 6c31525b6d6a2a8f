//! The content of files that are given back: brought here, hashed, and put where their next keeper has it.
//!
//! Apart because nothing else may happen before all of it is there. What was fetched only for this leaves the cache
//! again.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Seek, Write};
use std::path::PathBuf;

use bstr::BString;
use tempfile::NamedTempFile;

use super::Leaving;
use crate::cache::LocalCache;
use crate::cli::Global;
use crate::cli::context::Context;
use crate::cli::error::{CliError, one_line};
use crate::cli::session::{Session, settings_for_reading};
use crate::cli::ui::progress;
use crate::config::GitConfig;
use crate::error::advised;
use crate::fs::{Beneath, PathContext, make_dirs, temp_in};
use crate::git::objects::ObjectId;
use crate::git::path_from_bytes;
use crate::git::writer::Writer;
use crate::oid::{Oid, copy_hashing};
use crate::pointer::{Form, Pointer};
use crate::repo_path::RepoPath;
use crate::transfer::{Item, Job, Patience};
use crate::worktree::{FileState, Overwrite, open, replace_pointer, state_of, write_file};

/// Files whose content is fetched together: so much of the disk is needed besides.
const BATCH: usize = 64;

/// Who has the content next.
pub enum Destination {
    /// Git itself: the blob is the content.
    Git,
    /// Git LFS, which has its objects in this directory.
    Lfs(PathBuf),
}

impl Destination {
    /// Where git-lfs has its objects (git-lfs-config(5), `lfs.storage`).
    pub fn lfs(context: &Context, config: &GitConfig) -> Result<Self, CliError> {
        let storage = config.get("lfs.storage").filter(|dir| !dir.is_empty()).map(|dir| path_from_bytes(dir));
        let dir = context.repo.common_dir().join(storage.unwrap_or_else(|| "lfs".into())).join("objects");
        make_dirs(&dir)?;
        Ok(Destination::Lfs(dir))
    }

    fn object(dir: &std::path::Path, oid: &Oid) -> PathBuf {
        let hex = oid.hex();
        dir.join(&hex[..2]).join(&hex[2..4]).join(&hex)
    }
}

/// What came of it.
#[derive(Default)]
pub struct Content {
    /// The blob of each file, in their order.
    pub blobs: Vec<ObjectId>,
    /// Files whose content could not be had, and why.
    pub failed: Vec<(BString, String)>,
}

impl Content {
    /// Bring the content of all `files` to its next keeper.
    pub fn bring(
        global: &Global,
        context: &Context,
        files: &[Leaving],
        destination: &Destination,
    ) -> Result<Self, CliError> {
        let cache = context.cache();
        let tmp = cache.tmp();
        let mut writer = Writer::start(&tmp)?;
        let mut session = None;
        let mut content = Content::default();
        let mut known: BTreeMap<Oid, ObjectId> = BTreeMap::new();
        for some in files.chunks(BATCH) {
            let missing: BTreeSet<Pointer> =
                some.iter().filter(|file| !is_here(context, file)).map(|file| file.pointer).collect();
            let mut why = BTreeMap::new();
            if !missing.is_empty() {
                if session.is_none() {
                    let settings = settings_for_reading(global)?;
                    session = Some(Session::open_for_reading(context, &settings, Patience::Long)?);
                }
                let transfer = &mut session.as_mut().expect("it was opened just now").transfer;
                let jobs = missing.iter().map(|pointer| Job::Download(Item::from(*pointer)));
                let report = progress::run(transfer, "Downloading", jobs);
                why.extend(report.failed.into_iter().map(|(item, e)| (item.oid, one_line(e))));
            }
            for file in some {
                let blob = match known.get(&file.pointer.oid) {
                    Some(blob) => Ok(Some(blob.clone())),
                    None => put(context, &cache, file, destination, &mut writer),
                };
                match blob {
                    Ok(Some(blob)) => {
                        if matches!(destination, Destination::Git) {
                            fill(context, &cache, file)?;
                        }
                        known.insert(file.pointer.oid, blob.clone());
                        content.blobs.push(blob);
                    }
                    Ok(None) => {
                        let why = why.remove(&file.pointer.oid).unwrap_or_else(|| "its content is damaged here".into());
                        content.failed.push((file.path().to_owned(), why));
                    }
                    Err(e) => content.failed.push((file.path().to_owned(), e.message)),
                }
            }
            for pointer in missing.iter().filter(|pointer| known.contains_key(&pointer.oid)) {
                cache.remove(&pointer.oid)?;
            }
        }
        Ok(content)
    }
}

/// Whether the content is in the cache, or in the worktree as far as its length tells.
fn is_here(context: &Context, file: &Leaving) -> bool {
    context.cache().contains(&file.pointer)
        || open(&context.worktree, &file.target.path)
            .and_then(|found| found.metadata().context("look at", &file.target.path.to_path()))
            .is_ok_and(|metadata| metadata.len() == file.pointer.size)
}

/// Give the content to its next keeper; the blob that stands for it there. `None`: what is here is not it.
fn put(
    context: &Context,
    cache: &LocalCache,
    file: &Leaving,
    destination: &Destination,
    writer: &mut Writer,
) -> Result<Option<ObjectId>, CliError> {
    let Pointer { oid, .. } = file.pointer;
    let (dir, place) = match destination {
        Destination::Git => (cache.tmp(), None),
        // Its own place for that, which git-lfs sweeps.
        Destination::Lfs(dir) => (dir.with_file_name("tmp"), Some(Destination::object(dir, &oid))),
    };
    make_dirs(&dir)?;
    let mut staged: NamedTempFile = temp_in(&dir)?;
    if !copy(&context.worktree, &file.target.path, cache, &file.pointer, staged.as_file_mut())? {
        return Ok(None);
    }
    let Some(place) = place else { return Ok(Some(writer.write_file(staged.path())?)) };
    make_dirs(place.parent().unwrap_or(&dir))?;
    // git-lfs believes an object by its name and length.
    staged.as_file().sync_all().context("write", &place)?;
    // Hashed on its way: better than one that may be there.
    staged.persist(&place).map_err(|e| e.error).context("put in its place", &place)?;
    Ok(Some(writer.write(&file.pointer.encode_as(Form::Lfs))?))
}

/// Copy the content to `out`, from the cache or else the worktree. `false`: neither is what the pointer names.
fn copy(
    worktree: &Beneath,
    path: &RepoPath,
    cache: &LocalCache,
    pointer: &Pointer,
    out: &mut File,
) -> Result<bool, CliError> {
    if cache.copy_to(pointer, out)? {
        return Ok(true);
    }
    let full = path.to_path();
    out.set_len(0).and_then(|()| out.rewind()).context("write the copy of", &full)?;
    let Ok(mut present) = open(worktree, path) else { return Ok(false) };
    let copied = copy_hashing(&mut present, |bytes| out.write_all(bytes));
    Ok(copied.map_err(|e| CliError::user(format!("cannot copy {path}: {}", advised(&std::io::Error::from(e)))))?
        == (pointer.oid, pointer.size))
}

/// Where only the pointer stands, the content is to stand; the index is not touched.
fn fill(context: &Context, cache: &LocalCache, file: &Leaving) -> Result<(), CliError> {
    if !is_only_pointer(context, file)? {
        return Ok(());
    }
    let written = write_file(&context.worktree, cache, &file.target, Overwrite::PointersOnly);
    written.map(drop).map_err(|e| CliError::user(format!("cannot write {}: {}", file.target.path, advised(&e))))
}

/// Where only our pointer stands, that of Git LFS is to stand. Only once the index has it: before, it would be content
/// under our filter.
pub fn follow_lfs(context: &Context, files: &[Leaving]) -> Result<(), CliError> {
    for file in files {
        if is_only_pointer(context, file)? {
            let pointer = file.pointer.encode_as(Form::Lfs);
            replace_pointer(&context.worktree, &context.cache(), &file.target, &pointer)?;
        }
    }
    Ok(())
}

fn is_only_pointer(context: &Context, file: &Leaving) -> Result<bool, CliError> {
    Ok(!file.skip_worktree && state_of(&context.worktree, &file.target, false)? == FileState::PointerOnly)
}
