//! `upload`: store files, upload them, and stage what names them.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ffi::OsStr;
use std::path::PathBuf;

use bstr::{BString, ByteSlice};
use clap::Args;
use serde_json::json;

use crate::attributes::{AttributesFile, Pattern};
use crate::cli::Global;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::manifest_file;
use crate::cli::session::settings;
use crate::cli::threads::each;
use crate::cli::tracking::add::stage_ahead;
use crate::cli::tracking::manifest_only::{leave_unnameable, record_manifest_only};
use crate::cli::tracking::staging::Staging;
use crate::cli::tracking::track::{edit_attributes_if, stage_attributes};
use crate::cli::tracking::track_modified::{Decided, project_staged};
use crate::cli::tracking::uploads::{Believe, How, upload_each};
use crate::cli::ui;
use crate::config::{GitConfig, Settings};
use crate::filter::clean::clean;
use crate::fs::PathContext;
use crate::git::attr::{self, Source};
use crate::git::{Git, index, nul_separated};
use crate::manifest::Manifest;
use crate::oid::Oid;
use crate::pointer::{Form, Pointer};
use crate::repo_path::{Printable, RepoPath};
use crate::transfer::{Item, Patience};
use crate::worktree::open;

/// Arguments of `upload`.
#[derive(Args, Debug)]
pub struct Upload {
    /// Files, relative to the current directory
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// A file in the cache, and what names it.
pub struct Stored {
    /// Where it is.
    pub path: RepoPath,
    /// Its content; empty content has none.
    pub pointer: Option<Pointer>,
    /// Git ignores it, so the manifest alone is to name it.
    pub ignored: bool,
}

/// A file that failed, and why.
pub type Failed = (BString, CliError);

/// Store, upload, then stage: nothing is staged that could not be uploaded, and one file that fails
/// does not stop the others.
pub fn run(global: &Global, args: Upload) -> Result<(), CliError> {
    let context = Context::open()?;
    let manifest = manifest_file::required()?;
    let config = GitConfig::load()?;
    let unmerged = index::conflicted_now()?;
    let mut stored = Vec::new();
    let mut failed: Vec<Failed> = Vec::new();
    let paths: Vec<Result<RepoPath, CliError>> = args.files.iter().map(|file| context.repo_path(file)).collect();
    let ignored = ignored(paths.iter().flatten())?;
    let each_stored = each(paths, |path| store(&context, path?, &ignored));
    for (file, stored_or_not) in args.files.iter().zip(each_stored) {
        match stored_or_not {
            Ok(file) if unmerged.contains(file.path.as_bstr()) => {
                let argument = context.argument(file.path.as_bstr());
                let error = CliError::user(format!("{} has a conflict", file.path));
                let error = error.hint(format!("resolve it first, then: git add {argument}"));
                failed.push((file.path.as_bstr().to_owned(), error));
            }
            Ok(file) => stored.push(file),
            Err(e) => failed.push((file.as_os_str().as_encoded_bytes().into(), e)),
        }
    }
    failed.extend(leave_unnameable(&mut stored));
    if stored.iter().any(|file| !file.ignored) {
        require_filter(&config)?;
    }
    let settings = settings(global, &config, Some(&manifest))?;
    failed.extend(send(&context, &settings, &manifest, &mut stored, Believe::Nothing)?);
    if !stored.is_empty() {
        let (ignored, tracked): (Vec<&Stored>, Vec<&Stored>) = stored.iter().partition(|file| file.ignored);
        let _staging = Staging::begin(&context)?;
        track(&context, &tracked)?;
        record_manifest_only(&context, &ignored)?;
        project_staged(&context, &Decided { staged: names(&tracked), ..Decided::default() })?;
        failed.extend(leave_changed(&mut stored)?);
    }
    report(global, "upload", &stored, &failed)?;
    finish(args.files.len(), failed)
}

/// More files than this are looked up by listing all: Git compares each path of the index with each that is named.
const FEW: usize = 1000;

/// Take those out of `stored` of which Git staged another content than was uploaded: they changed meanwhile.
pub fn leave_changed(stored: &mut Vec<Stored>) -> Result<Vec<Failed>, CliError> {
    let tracked = || stored.iter().filter(|file| !file.ignored).map(|file| file.path.as_bstr().to_owned());
    let paths: Vec<BString> = if tracked().count() <= FEW { tracked().collect() } else { Vec::new() };
    if tracked().next().is_none() {
        return Ok(Vec::new());
    }
    let in_index = index::filtered(&paths)?.into_iter().filter(|file| file.entry.stage == 0);
    let staged: HashMap<BString, Option<Pointer>> =
        in_index.map(|file| (file.entry.path.clone(), file.pointer())).collect();
    let differs = |file: &Stored| {
        let now = staged.get(file.path.as_bstr()).copied().flatten();
        (!file.ignored && now != file.pointer).then_some(now)
    };
    let oid = |pointer: Option<Pointer>| pointer.map_or("nothing".to_owned(), |pointer| pointer.oid.hex());
    let changed = stored.extract_if(.., |file| differs(file).is_some());
    let error = |file: Stored| {
        let (was, now) = (oid(file.pointer), oid(differs(&file).flatten()));
        let path = file.path.as_bstr().to_owned();
        let error = CliError::user(format!("{} changed meanwhile: {was} was uploaded, {now} is staged", file.path));
        (path, error.hint("upload it again when nobody writes to it any more; a commit uploads what is staged, too"))
    };
    Ok(changed.map(error).collect())
}

/// As a manifest names them.
pub fn names(files: &[&Stored]) -> BTreeSet<String> {
    files.iter().filter_map(|file| file.path.to_str().map(str::to_owned)).collect()
}

/// Without the filter, what is staged would be the content itself.
pub fn require_filter(config: &GitConfig) -> Result<(), CliError> {
    if config.get("filter.s3lfs.process").is_some() {
        return Ok(());
    }
    Err(CliError::user("the filter is not set up in this clone").hint("run 's3lfs git-setup'"))
}

/// Bring the content of these files into the store. Files whose content could not be sent are taken out
/// of `stored`.
pub fn send(
    context: &Context,
    settings: &Settings,
    manifest: &Manifest,
    stored: &mut Vec<Stored>,
    believe: Believe,
) -> Result<Vec<Failed>, CliError> {
    let mut failed = Vec::new();
    let by_item = |file: &Stored| Some((Item::from(file.pointer?), file.path.as_bstr().to_owned()));
    let wanted: BTreeMap<Item, BString> = stored.iter().filter_map(by_item).collect();
    if wanted.is_empty() {
        return Ok(failed);
    }
    let how = How { patience: Patience::Long, believe };
    let errors: BTreeMap<Oid, CliError> = upload_each(context, settings, manifest, &wanted, how)?
        .into_iter()
        .map(|(oid, error)| (oid, CliError::from(error)))
        .collect();
    let error_of = |file: &Stored| errors.get(&file.pointer?.oid);
    for file in stored.extract_if(.., |file| error_of(file).is_some()) {
        if let Some(CliError { failure, message, hints }) = error_of(&file) {
            let error = CliError { failure: *failure, message: message.clone(), hints: hints.clone() };
            failed.push((file.path.as_bstr().to_owned(), error));
        }
    }
    Ok(failed)
}

/// One file asked and failed is that file's error; of several, each is named.
pub fn finish(asked: usize, failed: Vec<Failed>) -> Result<(), CliError> {
    let count = failed.len();
    for (path, error) in failed {
        let path = Printable(&path).to_string();
        let message = if error.message.contains(&path) { error.message } else { format!("{path}: {}", error.message) };
        if asked == 1 {
            return Err(CliError { message, ..error });
        }
        ui::warn(message);
        error.hints.iter().for_each(|hint| ui::warn(format!("  hint: {hint}")));
    }
    if count == 0 { Ok(()) } else { Err(CliError::partial(format!("{} failed", ui::count(count, "file")))) }
}

fn store(context: &Context, path: RepoPath, ignored: &HashSet<BString>) -> Result<Stored, CliError> {
    if path.stays_in_git() {
        return Err(CliError::user(format!("{path} has to stay in Git itself")));
    }
    let ignored = ignored.contains(path.as_bstr());
    store_as(context, path, ignored)
}

/// Put a file into the cache.
pub fn store_as(context: &Context, path: RepoPath, ignored: bool) -> Result<Stored, CliError> {
    let full = context.worktree.resolve(&path)?;
    let metadata = std::fs::symlink_metadata(&full).context("look at", &full)?;
    if !metadata.is_file() {
        let what = if metadata.is_dir() { "a directory" } else { "no regular file" };
        return Err(CliError::user(format!("{path} is {what}, where a file is wanted")));
    }
    if let Some(other) = context.nested_repository(&path)
        && index::entries(&[path.as_bstr().to_owned()])?.is_empty()
    {
        let other = other.display();
        return Err(CliError::user(format!("{path} is in another repository, {other}"))
            .hint(format!("if s3lfs is set up there, run it there: s3lfs -C {other} ...")));
    }
    let mut file = open(&context.worktree, &path)?;
    let cleaned = clean(&mut file, &context.cache(), Form::Ours)?;
    Ok(Stored { pointer: Pointer::parse(&cleaned.blob), ignored, path })
}

/// Those that are ignored, and not in the index all the same.
fn ignored<'a>(paths: impl Iterator<Item = &'a RepoPath> + Clone) -> Result<HashSet<BString>, CliError> {
    let input: Vec<u8> = paths.clone().flat_map(|path| [path.as_bstr().as_bytes(), b"\0"].concat()).collect();
    let listed = Git::new(["check-ignore", "-z", "--stdin"]).input(input).env("GIT_FLUSH", "0").run()?;
    if matches!(listed.status.code(), Some(0 | 1)) {
        return Ok(nul_separated(&listed.stdout).map(BString::from).collect());
    }
    // One that it can't judge (beyond a link) ends it: each by itself, then.
    let by_itself = |path: &RepoPath| {
        let asked = Git::new(["check-ignore", "--quiet", "--"]).args([path.to_path()]).run()?;
        Ok(asked.status.success().then(|| path.as_bstr().to_owned()))
    };
    paths.filter_map(|path| by_itself(path).transpose()).collect()
}

/// Another line, or another attributes file, may have the last word.
fn require_covered(files: &[&Stored]) -> Result<(), CliError> {
    let covered = attr::filtered(files.iter().map(|file| file.path.as_bstr()), Source::Worktree)?;
    match files.iter().find(|file| !covered.contains(file.path.as_bstr())) {
        None => Ok(()),
        Some(file) => Err(CliError::user(format!(
            "{} does not get filter=s3lfs: another attributes file decides otherwise",
            file.path
        ))
        .hint(format!("see: git check-attr filter -- {}", file.path))),
    }
}

/// Make sure that an attribute covers each file, and stage it and the attributes.
fn track(context: &Context, files: &[&Stored]) -> Result<(), CliError> {
    if files.is_empty() {
        return Ok(());
    }
    let covered = attr::filtered(files.iter().map(|file| file.path.as_bstr()), Source::Worktree)?;
    let patterns =
        files.iter().filter(|file| !covered.contains(file.path.as_bstr())).map(|file| Pattern::for_file(&file.path));
    let patterns: Vec<Pattern> = patterns.collect::<Result<_, _>>()?;
    let edit = |attributes: &mut AttributesFile| {
        for pattern in &patterns {
            attributes.track(pattern);
        }
        attributes.ensure_protected();
    };
    // Where it does not help, nothing is left behind.
    edit_attributes_if(edit, || require_covered(files))?;
    require_covered(files)?;
    // Also if nothing changed: lines that 'track' or 'git-setup' wrote may not be in Git yet, and a
    // pointer that is committed without its attribute is not looked at by the push gate.
    stage_attributes()?;
    let paths: Vec<BString> = files.iter().map(|file| file.path.as_bstr().to_owned()).collect();
    let in_index: HashSet<BString> = index::entries(&paths)?.into_iter().map(|entry| entry.path).collect();
    let known = |file: &&&Stored| in_index.contains(file.path.as_bstr());
    // A file that Git knows already is cleaned anew only by --renormalize: its times did not change.
    let (old, mut new): (Vec<&&Stored>, Vec<&&Stored>) = files.iter().partition(known);
    let wanted = new.iter().map(|file| file.path.as_bstr().to_owned()).collect();
    let staged = stage_ahead(context, OsStr::new(":/"), &wanted);
    new.retain(|file| !staged.contains(file.path.as_bstr()));
    for (files, mode) in [(old, &["--renormalize"][..]), (new, &[])] {
        let paths: Vec<u8> = files.iter().flat_map(|file| [file.path.as_bstr().as_bytes(), b"\0"].concat()).collect();
        if !paths.is_empty() {
            let add = Git::on_index(["--literal-pathspecs", "add", "--pathspec-from-file=-", "--pathspec-file-nul"]);
            add.args(mode).input(paths).output()?;
        }
    }
    Ok(())
}

/// Say what became of each file.
pub fn report(global: &Global, command: &str, stored: &[Stored], failed: &[Failed]) -> Result<(), CliError> {
    if global.json {
        let item = |file: &Stored| {
            let (oid, size) = (file.pointer.map(|p| p.oid.hex()), file.pointer.map_or(0, |p| p.size));
            ui::with_path(file.path.as_bstr(), json!({ "oid": oid, "size": size, "manifest_only": file.ignored }))
        };
        let errors = failed.iter().map(|(path, e)| ui::with_path(path, json!({ "error": e.message })));
        return ui::answer_json(command, stored.iter().map(item), errors);
    }
    for file in stored {
        let how = if file.ignored { "in the manifest only, since Git ignores it" } else { "staged" };
        let size = file.pointer.map_or(0, |p| p.size);
        ui::say(format!("{} ({}): {how}", file.path, ui::bytes(size)));
    }
    Ok(())
}
