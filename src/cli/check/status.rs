//! `status` and `ls`: the tracked files, by what is here and what is known. No connection is opened.

use std::collections::BTreeSet;

use bstr::{BString, ByteSlice};
use clap::Args;
use serde_json::{Value, json};

use crate::cli::Global;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::manifest_file;
use crate::cli::ui;
use crate::config::{Acceptance, ConfigError, GitConfig, Settings};
use crate::deferred::Deferred;
use crate::git::objects::BlobKind;
use crate::git::{index, path_from_bytes};
use crate::manifest::Manifest;
use crate::oid::Oid;
use crate::repo_path::{Printable, RepoPath};
use crate::sparse::SparseSet;
use crate::transfer::Item;
use crate::uploaded::Uploaded;
use crate::worktree::{FileState, Target, state_of};

/// Arguments of `ls`.
#[derive(Args, Debug)]
pub struct Ls {
    /// Only what lies beneath these paths
    paths: Vec<std::path::PathBuf>,
    /// Paths alone, as they are, each ended by a NUL
    #[arg(short = 'z')]
    nul: bool,
}

/// Arguments of `status`.
#[derive(Args, Debug)]
pub struct Status {
    /// Paths alone, as they are, each ended by a NUL
    #[arg(short = 'z')]
    nul: bool,
}

/// A tracked file.
struct Tracked {
    path: BString,
    item: Item,
    executable: bool,
    manifest_only: bool,
    /// Left out of the worktree by Git's own sparse checkout.
    left_out: bool,
}

/// All pointer-tracked and manifest-only files, sorted by path, and the paths that hold raw content
/// where a pointer is wanted.
fn tracked(manifest: Option<&Manifest>, pathspecs: &[BString]) -> Result<(Vec<Tracked>, Vec<BString>), CliError> {
    let mut files = Vec::new();
    let mut raw = Vec::new();
    for file in index::filtered(pathspecs)? {
        match file.pointer() {
            Some(pointer) if file.entry.stage == 0 => files.push(Tracked {
                path: file.entry.path,
                item: pointer.into(),
                executable: file.entry.executable,
                manifest_only: false,
                left_out: file.entry.skip_worktree,
            }),
            _ if file.kind == BlobKind::Raw => raw.push(file.entry.path),
            _ => {}
        }
    }
    let beneath = |path: &str| pathspecs.is_empty() || pathspecs.iter().any(|dir| lies_beneath(path.as_bytes(), dir));
    if let Some(manifest) = manifest {
        let in_index: BTreeSet<BString> = files.iter().map(|file| file.path.clone()).collect();
        for (path, oid) in &manifest.files {
            let only = manifest.manifest_only.is_none() || manifest.is_manifest_only(path);
            if only && beneath(path) && !in_index.contains(path.as_bytes().as_bstr()) {
                files.push(Tracked {
                    path: path.as_str().into(),
                    item: (*oid).into(),
                    executable: false,
                    manifest_only: true,
                    left_out: false,
                });
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    raw.sort();
    Ok((files, raw))
}

fn lies_beneath(path: &[u8], dir: &[u8]) -> bool {
    path.strip_prefix(dir).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
}

/// List paths with oid and size.
pub fn ls(global: &Global, args: Ls) -> Result<(), CliError> {
    let context = Context::open()?;
    let mut pathspecs: Vec<BString> = Vec::new();
    for path in &args.paths {
        match context.beneath(path)? {
            Some(path) => pathspecs.push(path.as_bstr().to_owned()),
            // The top: everything.
            None => break,
        }
    }
    if pathspecs.len() < args.paths.len() {
        pathspecs.clear();
    }
    let (files, raw) = tracked(manifest_file::for_reading(None)?.as_ref(), &pathspecs)?;
    for pathspec in &pathspecs {
        let known = files.iter().map(|file| &file.path).chain(&raw).any(|path| lies_beneath(path, pathspec));
        if !known && std::fs::symlink_metadata(path_from_bytes(pathspec)).is_err() {
            let path = Printable(pathspec);
            return Err(CliError::user(format!("{path}: there is no such file, and none is tracked beneath it")));
        }
    }
    if global.json {
        let item = |file: &Tracked| entry(file, None);
        return ui::answer_json("ls", files.iter().map(item), Vec::new());
    }
    if args.nul {
        return nul_ended(files.iter().map(|file| &file.path));
    }
    let mut text = Vec::new();
    for file in &files {
        let oid = if global.verbose { file.item.oid.hex() } else { file.item.oid.short() };
        let size = file.item.size.map_or("-".to_owned(), ui::bytes);
        text.extend(format!("{oid} {size:>10}  {}\n", Printable(&file.path)).into_bytes());
    }
    ui::answer(&text)
}

/// For programs that can't read JSON: no path holds a NUL.
fn nul_ended<'a>(paths: impl Iterator<Item = &'a BString>) -> Result<(), CliError> {
    ui::answer_raw(&paths.flat_map(|path| [path.as_slice(), b"\0"].concat()).collect::<Vec<u8>>())
}

fn entry(file: &Tracked, states: Option<&[&str]>) -> Value {
    let mut value = json!({
        "oid": file.item.oid.hex(), "size": file.item.size, "manifest_only": file.manifest_only,
    });
    if let Some(states) = states {
        value["states"] = json!(states);
    }
    ui::with_path(&file.path, value)
}

/// Show what is not as it should be.
pub fn status(global: &Global, args: Status) -> Result<(), CliError> {
    let context = Context::open()?;
    let manifest = manifest_file::for_reading(None)?;
    let settings = match Settings::resolve(&global.overrides(), &GitConfig::load()?, manifest.as_ref()) {
        Ok(settings) => Some(settings),
        Err(ConfigError::NoStore) => None,
        Err(e) => return Err(e.into()),
    };
    let uploaded = match &settings {
        Some(settings) => Some(Uploaded::open(&context.repo.state_dir(), &settings.remote, &settings.reading)?),
        None => None,
    };
    let (files, raw) = tracked(manifest.as_ref(), &[])?;
    let deferred = Deferred::new(context.repo.git_dir()).list()?;
    let sparse = SparseSet::load(context.repo.git_dir())?;
    let mut outside = 0;
    let changed: BTreeSet<BString> = index::changed_in_worktree(&[])?.into_iter().collect();
    let mut lines = Vec::new();
    let mut named = Vec::new();
    let mut items = Vec::new();
    let mut errors = Vec::new();
    for file in &files {
        let states = match states(&context, file, changed.contains(&file.path), uploaded.as_ref(), &deferred) {
            Ok(states) => states,
            Err(e) => {
                errors.push(ui::with_path(&file.path, json!({ "error": e.message })));
                lines.push(format!("  {:<28}{}", "unreadable", Printable(&file.path)));
                named.push(&file.path);
                continue;
            }
        };
        if global.json {
            items.push(entry(file, Some(&states)));
        }
        let left_out = sparse.as_ref().is_some_and(|set| !set.includes(file.path.as_bstr()));
        if left_out && states == [POINTER_ONLY] {
            outside += 1;
        } else if !states.is_empty() {
            lines.push(format!("  {:<28}{}", states.join(", "), Printable(&file.path)));
            named.push(&file.path);
        }
    }
    for path in &raw {
        let states = ["raw in Git"];
        let item = json!({ "oid": null, "size": null, "manifest_only": false, "states": states });
        items.push(ui::with_path(path, item));
        lines.push(format!("  {:<28}{}", states[0], Printable(path)));
        named.push(path);
    }
    if global.json {
        return ui::answer_json("status", items, errors);
    }
    if args.nul {
        return nul_ended(named.into_iter());
    }
    let store = settings.map_or("no store is set ('s3lfs init')".to_owned(), |settings| {
        let accepted = match settings.acceptance {
            Acceptance::Accepted => "",
            Acceptance::ForReading => " (only read: s3lfs.readstore)",
            Acceptance::NotAccepted => " (not accepted: 's3lfs trust')",
        };
        format!("store {}{accepted}", settings.remote)
    });
    let mut text = format!("{}, {store}\n", ui::count(files.len(), "tracked file"));
    if outside > 0 {
        let files = ui::count(outside, "file");
        text.push_str(&format!("{files} outside the sparse set left as pointers ('s3lfs sparse-checkout --list')\n"));
    }
    if lines.is_empty() {
        text.push_str("nothing to do\n");
    }
    lines.iter().for_each(|line| text.push_str(&format!("{line}\n")));
    ui::answer(text.as_bytes())
}

/// The file is here as a pointer.
const POINTER_ONLY: &str = "pointer only";

/// What is not as it should be with one file; empty if all is well.
fn states(
    context: &Context,
    file: &Tracked,
    differs: bool,
    uploaded: Option<&Uploaded>,
    deferred: &BTreeSet<BString>,
) -> Result<Vec<&'static str>, CliError> {
    let mut states = Vec::new();
    let tracked = !file.manifest_only;
    let target =
        Target { path: RepoPath::new(file.path.clone())?, item: file.item, executable: file.executable, tracked };
    let state = state_of(&context.worktree, &target, differs)?;
    match state {
        FileState::Missing if file.left_out => {}
        FileState::Missing => states.push("missing"),
        FileState::PointerOnly if deferred.contains(&file.path) => states.push("deferred"),
        FileState::PointerOnly => states.push(POINTER_ONLY),
        FileState::Changed => states.push("modified"),
        FileState::Present => {}
    }
    // What is neither here nor recorded came from others, who have it in the store; so is what only a
    // shared cache has.
    let cache = context.cache();
    let held = || {
        cache.find_own(&file.item.oid, file.item.size).is_some()
            || state == FileState::Present && cache.find(&file.item.oid, file.item.size).is_none()
    };
    if !is_uploaded(uploaded, &file.item.oid) && held() {
        states.push("not uploaded");
    }
    Ok(states)
}

/// By the local record; the empty content needs no object.
fn is_uploaded(uploaded: Option<&Uploaded>, oid: &Oid) -> bool {
    *oid == Oid::of(b"") || uploaded.is_some_and(|uploaded| uploaded.has(oid))
}
