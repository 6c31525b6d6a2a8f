//! `status` and `ls`: the tracked files, by what is here and what is known. No connection is opened.

use std::collections::BTreeSet;
use std::io::Write as _;

use bstr::{BString, ByteSlice};
use clap::Args;
use serde_json::{Value, json};

use crate::cli::Global;
use crate::cli::check::beside_git::{at_odds, tell_of_manifest_only};
use crate::cli::check::submodules::submodules;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::manifest_file;
use crate::cli::threads::joined;
use crate::cli::tracking::bare_pointers::{self, Bare};
use crate::cli::ui;
use crate::cli::ui::colour::{Colour, paint};
use crate::config::{Acceptance, ConfigError, GitConfig, Settings};
use crate::deferred::Deferred;
use crate::git::index::{self, Filtered};
use crate::git::objects::BlobKind;
use crate::git::path_from_bytes;
use crate::manifest::{Manifest, PATH};
use crate::oid::Oid;
use crate::repo_path::{Printable, RepoPath};
use crate::sparse::SparseSet;
use crate::transfer::Item;
use crate::uploaded::Uploaded;
use crate::worktree::{FileState, Target, is_no_pointer, state_of};

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
pub(super) struct Tracked {
    pub(super) path: BString,
    pub(super) item: Item,
    executable: bool,
    pub(super) manifest_only: bool,
    /// Left out of the worktree by Git's own sparse checkout.
    left_out: bool,
}

/// All pointer-tracked and manifest-only files, sorted by path, and the paths that hold raw content
/// where a pointer is wanted.
fn tracked(
    listed: Vec<Filtered>,
    manifest: Option<&Manifest>,
    pathspecs: &[BString],
) -> Result<(Vec<Tracked>, Vec<BString>), CliError> {
    let mut files = Vec::with_capacity(listed.len());
    let mut raw = Vec::new();
    for file in listed {
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
    // Git lists in this order, and so it costs nothing.
    files.sort_by(|a: &Tracked, b| a.path.cmp(&b.path));
    let beneath = |path: &str| pathspecs.is_empty() || pathspecs.iter().any(|dir| lies_beneath(path.as_bytes(), dir));
    let mut beside = Vec::new();
    for (path, oid) in manifest.into_iter().flat_map(Manifest::beside_git) {
        let in_index = || files.binary_search_by(|file| file.path.as_slice().cmp(path.as_bytes())).is_ok();
        if beneath(path) && !in_index() {
            beside.push(Tracked {
                path: path.as_str().into(),
                item: (*oid).into(),
                executable: false,
                manifest_only: true,
                left_out: false,
            });
        }
    }
    files.append(&mut beside);
    files.sort_by(|a, b| a.path.cmp(&b.path));
    raw.sort();
    Ok((files, raw))
}

/// The index's files, and the manifest that reading goes by, read side by side: each takes a twentieth of a second
/// where there are 100,000.
fn read(pathspecs: &[BString]) -> Result<(Vec<Filtered>, Option<Manifest>), CliError> {
    let (listed, manifest) = std::thread::scope(|scope| {
        let manifest = scope.spawn(|| manifest_file::for_reading(None));
        let listed = index::filtered(pathspecs);
        (listed, joined(manifest))
    });
    // What the manifest has to say comes first.
    let manifest = manifest?;
    Ok((listed?, manifest))
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
    let (listed, manifest) = read(&pathspecs)?;
    let (files, raw) = tracked(listed, manifest.as_ref(), &pathspecs)?;
    drop(manifest);
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
        // Into memory: this can't fail.
        let _ = writeln!(text, "{} {size:>10}  {}", paint(oid, Colour::Look), Printable(&file.path));
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
    let (files, raw, at_odds, settings, differing, content, bare) = std::thread::scope(|scope| {
        let bare = scope.spawn(|| bare_pointers::in_worktree(&context));
        // Git looks at every file: the longest of all, and all that is asked of others goes on meanwhile.
        let differing = scope.spawn(|| index::changed_in_worktree(&[]));
        let (listed, manifest) = read(&[])?;
        let settings = match Settings::resolve(&global.overrides(), &GitConfig::load()?, manifest.as_ref()) {
            Ok(settings) => Some(settings),
            Err(ConfigError::NoStore) => None,
            Err(e) => return Err(e.into()),
        };
        let (files, raw) = tracked(listed, manifest.as_ref(), &[])?;
        let at_odds = at_odds(&context, manifest.as_ref(), &files)?;
        let mut browse = context.worktree.browse();
        let mut is_content = |file: &Tracked| match RepoPath::new(file.path.clone()) {
            Ok(path) if !file.manifest_only => is_no_pointer(&mut browse, &path, &file.item),
            _ => false,
        };
        let content: Vec<bool> = files.iter().map(&mut is_content).collect();
        Ok::<_, CliError>((files, raw, at_odds, settings, joined(differing), content, joined(bare)?))
    })?;
    let uploaded = match &settings {
        Some(settings) => Some(Uploaded::open(&context.repo.state_dir(), &settings.remote, &settings.reading)?),
        None => None,
    };
    let deferred = Deferred::new(context.repo.git_dir()).list()?;
    let sparse = SparseSet::load(context.repo.git_dir())?;
    let look = Look {
        context: &context,
        differing: differing?.into_iter().collect(),
        uploaded: uploaded.as_ref(),
        deferred: &deferred,
    };
    let mut states: Vec<Result<States, CliError>> =
        files.iter().zip(content).map(|(file, content)| look.at(file, content)).collect();
    tell_of_manifest_only(&context, &files, &mut states)?;
    for (file, state) in files.iter().zip(&mut states).filter(|(file, _)| at_odds.contains(&file.path)) {
        if let (Ok(state), false) = (state, file.manifest_only) {
            state.at_odds = true;
        }
    }
    let conflict = manifest_file::is_unmerged()?.then(manifest_file::in_conflict);
    if global.json {
        let with_states = || files.iter().zip(&states);
        let conflict = conflict.iter().map(|e| ui::with_path(PATH.as_bytes(), json!({ "error": e.message })));
        let errors = with_states().filter_map(|(file, states)| {
            let e = states.as_ref().err()?;
            Some(ui::with_path(&file.path, json!({ "error": e.message })))
        });
        let known = with_states().filter_map(|(file, states)| Some(entry(file, Some(&states.as_ref().ok()?.words()))));
        let raw = raw.iter().map(|path| {
            ui::with_path(path, json!({ "oid": null, "size": null, "manifest_only": false, "states": [RAW] }))
        });
        let bare = bare.iter().map(|Bare { path, pointer }| {
            let (oid, size) = (pointer.oid.hex(), pointer.size);
            ui::with_path(path, json!({ "oid": oid, "size": size, "manifest_only": false, "states": [BARE] }))
        });
        return ui::answer_json("status", known.chain(raw).chain(bare), conflict.chain(errors));
    }
    let mut outside = 0;
    let mut lines = Vec::new();
    let mut named = Vec::new();
    for (file, states) in files.iter().zip(&states) {
        let words = states.as_ref().map_or_else(|_| vec!["unreadable"], States::words);
        let left_out = || sparse.as_ref().is_some_and(|set| !set.includes(file.path.as_bstr()));
        if words == [POINTER_ONLY] && left_out() {
            outside += 1;
        } else if !words.is_empty() {
            lines.push(line(&words.join(", "), &file.path));
            named.push(&file.path);
        }
    }
    for path in &raw {
        lines.push(line(RAW, path));
        named.push(path);
    }
    for Bare { path, .. } in &bare {
        lines.push(line(BARE, path));
        named.push(path);
    }
    if args.nul {
        return nul_ended(named.into_iter());
    }
    let store = settings.map_or("no store is set ('s3lfs init')".to_owned(), |settings| {
        let accepted = match settings.acceptance {
            Acceptance::Accepted => "",
            Acceptance::ForReading => " (only read: s3lfs.readstore)",
            Acceptance::NotItsEncryption => " (its encryption is not accepted: 's3lfs trust')",
            Acceptance::NotAccepted => " (not accepted: 's3lfs trust')",
        };
        format!("store {}{accepted}", settings.remote)
    });
    let mut text = String::new();
    if let Some(error) = &conflict {
        text.push_str(&format!("{}\n", paint(error.message.clone(), Colour::Bad)));
        error.hints.iter().for_each(|hint| text.push_str(&format!("  {hint}\n")));
    }
    text.push_str(&format!("{}, {store}\n", ui::count(files.len(), "tracked file")));
    let submodules = submodules()?;
    if !submodules.is_empty() {
        let (names, first) = (submodules.join(", "), &submodules[0]);
        text.push_str(&format!("submodules that use s3lfs by themselves: {names} (s3lfs -C {first} status)\n"));
    }
    if outside > 0 {
        let files = ui::count(outside, "file");
        text.push_str(&format!("{files} outside the sparse set left as pointers ('s3lfs sparse-checkout --list')\n"));
    }
    if lines.is_empty() && conflict.is_none() {
        text.push_str("nothing to do\n");
    }
    lines.iter().for_each(|line| text.push_str(&format!("{line}\n")));
    ui::answer(text.as_bytes())
}

/// States, as words, and whose they are.
fn line(words: &str, path: &BString) -> String {
    let colour = match words {
        POINTER_ONLY | DEFERRED => Colour::Known,
        NOT_UPLOADED => Colour::Look,
        _ => Colour::Bad,
    };
    format!("  {}{}", paint(format!("{words:<28}"), colour), Printable(path))
}

/// The file is here as a pointer, since its content is too large for Git to pass through.
const DEFERRED: &str = "deferred";

/// No record says that its content is in the store.
const NOT_UPLOADED: &str = "not uploaded";
/// The file is here with other content.
pub(super) const MODIFIED: &str = "modified";

/// The file is here as a pointer.
const POINTER_ONLY: &str = "pointer only";

/// A path has content in Git where a pointer is wanted.
const RAW: &str = "raw in Git";

/// A path has a pointer in Git, and no attribute turns it into content.
const BARE: &str = "pointer, not tracked";

/// The manifest lists it beside Git, with other content than the pointer names.
const AT_ODDS: &str = "manifest disagrees";

/// What is not as it should be with one file. No list: there may be 100,000 of them.
pub(super) struct States {
    pub(super) here: Option<&'static str>,
    uploaded: bool,
    at_odds: bool,
}

impl States {
    /// In words; none if all is well.
    fn words(&self) -> Vec<&'static str> {
        let uploaded = (!self.uploaded).then_some(NOT_UPLOADED);
        self.here.into_iter().chain(uploaded).chain(self.at_odds.then_some(AT_ODDS)).collect()
    }
}

/// What a file is judged by.
struct Look<'a> {
    context: &'a Context,
    /// Git says that they differ from the index.
    differing: BTreeSet<BString>,
    uploaded: Option<&'a Uploaded>,
    deferred: &'a BTreeSet<BString>,
}

impl Look<'_> {
    /// `is_content`: no pointer stands there.
    fn at(&self, file: &Tracked, is_content: bool) -> Result<States, CliError> {
        let differs = self.differing.contains(&file.path);
        let state = if is_content && !differs { FileState::Present } else { self.state_of(file, differs)? };
        let here = match state {
            FileState::Missing if file.left_out => None,
            FileState::Missing => Some("missing"),
            FileState::PointerOnly if self.deferred.contains(&file.path) => Some(DEFERRED),
            FileState::PointerOnly => Some(POINTER_ONLY),
            FileState::Changed => Some(MODIFIED),
            FileState::Present => None,
        };
        let uploaded = self.is_uploaded(&file.item.oid) || !self.is_held(file, state);
        Ok(States { here, uploaded, at_odds: false })
    }

    fn state_of(&self, file: &Tracked, differs: bool) -> Result<FileState, CliError> {
        let path = RepoPath::new(file.path.clone())?;
        let target = Target { path, item: file.item, executable: file.executable, tracked: !file.manifest_only };
        Ok(state_of(&self.context.worktree, &target, differs)?)
    }

    /// By the local record; the empty content needs no object.
    fn is_uploaded(&self, oid: &Oid) -> bool {
        self.uploaded.is_some_and(|uploaded| uploaded.has(oid)) || *oid == Oid::of(b"")
    }

    /// What is neither here nor recorded came from others, who have it in the store; so is what only a
    /// shared cache has.
    fn is_held(&self, file: &Tracked, state: FileState) -> bool {
        let cache = self.context.cache();
        cache.find_own(&file.item.oid, file.item.size).is_some()
            || state == FileState::Present && cache.find(&file.item.oid, file.item.size).is_none()
    }
}
