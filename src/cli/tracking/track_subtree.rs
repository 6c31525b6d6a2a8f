//! `track-subtree`: upload and track a whole directory, now and what will come into it.
//!
//! Apart from `upload` because it asks Git about many files at once, and reads only those that are not
//! pointers in the index already.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ffi::OsString;
use std::path::PathBuf;

use bstr::{BString, ByteSlice};
use clap::Args;

use crate::attributes::{AttributesFile, Pattern};
use crate::cli::Global;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::manifest_file;
use crate::cli::session::settings;
use crate::cli::threads::each;
use crate::cli::tracking::add::stage_ahead;
use crate::cli::tracking::manifest_only::{leave_out_of_date, leave_unnameable, record_manifest_only};
use crate::cli::tracking::staging::Staging;
use crate::cli::tracking::track::{Rewritten, rewrite_attributes, stage_attributes};
use crate::cli::tracking::track_modified::{Decided, project_staged};
use crate::cli::tracking::upload::{
    Failed, Stored, finish, leave_changed, names, report, require_filter, send, store_as,
};
use crate::cli::tracking::uploads::Believe;
use crate::cli::ui;
use crate::config::GitConfig;
use crate::fs::PathContext;
use crate::git::attr::{self, Source};
use crate::git::index::{self, Filtered};
use crate::git::objects::BlobKind;
use crate::git::{Git, ls_files};
use crate::repo_path::RepoPath;

/// Arguments of `track-subtree`.
#[derive(Args, Debug)]
pub struct TrackSubtree {
    /// A directory, relative to the current one
    dir: PathBuf,
}

/// More raw files than this are converted by naming the directory: Git compares each path of the index
/// with each that is named.
const FEW: usize = 1000;

/// Track, store, upload, stage. What could not be uploaded is not staged.
pub fn run(global: &Global, args: TrackSubtree) -> Result<(), CliError> {
    let context = Context::open()?;
    let manifest = manifest_file::required()?;
    let config = GitConfig::load()?;
    let dir = context.repo_dir(&args.dir)?;
    require_directory(&context, &dir)?;
    let Files { plain, ignored } = Files::beneath(&context, &dir)?;
    if plain.is_empty() && ignored.is_empty() {
        return Err(CliError::user(format!("there is no file beneath {dir}")));
    }
    let settings = settings(global, &config, Some(&manifest))?;
    let mut line = None;
    if !plain.is_empty() {
        require_filter(&config)?;
        let pattern = Pattern::for_dir(&dir)?;
        let track = |now: Option<&[u8]>| {
            let mut attributes = AttributesFile::parse(now.unwrap_or_default());
            attributes.track(&pattern);
            attributes.ensure_protected();
            Some(attributes.to_bytes())
        };
        let rewritten = rewrite_attributes(track, || Ok(()))?;
        line = Some((pattern, rewritten));
    }
    let sent = store_all(&context, &dir, &plain, ignored).and_then(|mut found| {
        found.failed.extend(leave_unnameable(&mut found.stored));
        found.failed.extend(leave_out_of_date(&context, &manifest, &mut found.stored)?);
        let errors = send(&context, &settings, &manifest, &mut found.stored, Believe::Records)?;
        found.failed.extend(errors);
        Ok(found)
    });
    if !sent.as_ref().is_ok_and(|found| !found.stored.is_empty()) {
        // Nothing is staged, and nothing is to be left behind either.
        line.map_or(Ok(()), |(pattern, rewritten)| take_back(&pattern, rewritten))?;
    }
    let Found { mut stored, mut failed, raw, left_to_git } = sent?;
    let (only, tracked): (Vec<&Stored>, Vec<&Stored>) = stored.iter().partition(|file| file.ignored);
    let _staging = Staging::begin(&context)?;
    if !tracked.is_empty() {
        stage_attributes()?;
        stage(&context, &dir, &tracked, &raw)?;
    }
    record_manifest_only(&context, &only)?;
    project_staged(&context, &Decided { staged: names(&tracked), ..Decided::default() })?;
    let only = only.len();
    failed.extend(leave_changed(&mut stored)?);
    if only > 0 {
        ui::say(format!("{} that Git ignores: in the manifest only", ui::count(only, "file")));
    }
    if left_to_git > 0 {
        let files = ui::count(left_to_git, "file");
        ui::say(format!("{files} left to Git: another line of an attributes file takes the filter away"));
    }
    tell(global, &dir, &stored, &failed)?;
    finish(stored.len() + failed.len() + 1, failed)
}

fn require_directory(context: &Context, dir: &RepoPath) -> Result<(), CliError> {
    let full = context.worktree.resolve(dir)?;
    let metadata = match std::fs::symlink_metadata(&full) {
        Err(e) if crate::fs::is_absent(&e) => {
            return Err(CliError::user(format!("there is no directory {dir}"))
                .hint("paths are relative to the current directory; for files by their names: s3lfs track <pattern>"));
        }
        metadata => metadata.context("look at", &full)?,
    };
    if metadata.is_dir() {
        return Ok(());
    }
    Err(CliError::user(format!("{dir} is no directory, where one is wanted"))
        .hint(format!("to track one file: s3lfs upload {dir}")))
}

/// The attributes become what they were before our line; where others have changed them since, only that line goes.
fn take_back(pattern: &Pattern, Rewritten { before, after: ours }: Rewritten) -> Result<(), CliError> {
    if ours == before {
        return Ok(());
    }
    // Looked at and written under one lock: another command's line may come between.
    let undo = |now: Option<&[u8]>| {
        if now == ours.as_deref() {
            return before;
        }
        let mut attributes = AttributesFile::parse(now?);
        let had = AttributesFile::parse(&before.unwrap_or_default()).tracked().iter().any(|p| p == pattern.as_bstr());
        if !had {
            attributes.untrack_each(&HashSet::from([pattern.as_bstr().to_owned()]));
        }
        Some(attributes.to_bytes())
    };
    rewrite_attributes(undo, || Ok(())).map(drop)
}

/// The regular files of a directory. Symbolic links are left to Git, other repositories to themselves.
struct Files {
    plain: Vec<RepoPath>,
    ignored: Vec<RepoPath>,
}

impl Files {
    fn beneath(context: &Context, dir: &RepoPath) -> Result<Self, CliError> {
        let regular = |paths: Vec<BString>| -> Result<Vec<RepoPath>, CliError> {
            let mut files = Vec::new();
            for path in paths.into_iter().filter(|path| !path.ends_with(b"/")).collect::<BTreeSet<_>>() {
                let path = RepoPath::new(path)?;
                let full = context.worktree.root().join(path.to_path());
                if std::fs::symlink_metadata(full).is_ok_and(|m| m.is_file()) {
                    files.push(path);
                }
            }
            Ok(files)
        };
        let plain = regular(ls_files(&["--cached", "--others", "--exclude-standard"], dir.as_bstr())?)?;
        let ignored = regular(ls_files(&["--others", "--ignored", "--exclude-standard"], dir.as_bstr())?)?;
        Ok(Files { plain, ignored })
    }
}

/// What there is to stage.
struct Found {
    stored: Vec<Stored>,
    failed: Vec<Failed>,
    /// Paths that the index has with their content.
    raw: HashSet<BString>,
    /// How many files other attributes keep from the filter. Git's own are not counted.
    left_to_git: usize,
}

impl Found {
    fn note(&mut self, path: &RepoPath, result: Result<Stored, CliError>) {
        match result {
            Ok(file) => self.stored.push(file),
            Err(e) => self.failed.push((path.as_bstr().to_owned(), e)),
        }
    }
}

/// Each file's pointer. What the index has as a pointer, and did not change since, is not read again.
fn store_all(context: &Context, dir: &RepoPath, plain: &[RepoPath], ignored: Vec<RepoPath>) -> Result<Found, CliError> {
    let filtered = attr::filtered(plain.iter().map(RepoPath::as_bstr), Source::Worktree)?;
    let pathspec = dir.as_bstr().to_owned();
    let changed: HashSet<BString> = index::changed_in_worktree(std::slice::from_ref(&pathspec))?.into_iter().collect();
    let known: BTreeMap<BString, Filtered> =
        index::filtered(&[pathspec])?.into_iter().map(|file| (file.entry.path.clone(), file)).collect();
    let raw = known.iter().filter(|(_, file)| file.kind == BlobKind::Raw).map(|(path, _)| path.clone()).collect();
    let mut found = Found { stored: Vec::new(), failed: Vec::new(), raw, left_to_git: 0 };
    let (ours, others): (Vec<&RepoPath>, Vec<&RepoPath>) =
        plain.iter().partition(|path| filtered.contains(path.as_bstr()));
    let gits_own = |path: &RepoPath| path.components().last().is_some_and(|name| name.starts_with(b".git"));
    found.left_to_git = others.into_iter().filter(|path| !gits_own(path)).count();
    let stored = each(ours, |path| match known.get(path.as_bstr()) {
        Some(file) if file.entry.stage != 0 => (path, Err(CliError::user(format!("{path} has a conflict")))),
        Some(file) if file.pointer().is_some() && !changed.contains(path.as_bstr()) => {
            (path, Ok(Stored { path: path.clone(), pointer: file.pointer(), ignored: false }))
        }
        _ => (path, store_as(context, path.clone(), false)),
    });
    stored.into_iter().for_each(|(path, result)| found.note(path, result));
    for (path, result) in each(&ignored, |path| (path, store_as(context, path.clone(), true))) {
        match result {
            // The manifest can't name the empty content.
            Ok(file) if file.pointer.is_none() => {}
            result => found.note(path, result),
        }
    }
    Ok(found)
}

/// By plumbing, which looks each path up: `git add` with as many pathspecs would compare each with each.
fn stage(context: &Context, dir: &RepoPath, files: &[&Stored], raw: &HashSet<BString>) -> Result<(), CliError> {
    let listed = |paths: &[&Stored]| -> Vec<u8> {
        paths.iter().flat_map(|file| [file.path.as_bstr().as_bytes(), b"\0"].concat()).collect()
    };
    let (convert, mut add): (Vec<&Stored>, Vec<&Stored>) =
        files.iter().partition(|file| raw.contains(file.path.as_bstr()));
    let wanted = add.iter().map(|file| file.path.as_bstr().to_owned()).collect();
    let staged = stage_ahead(context, &beneath(dir), &wanted);
    add.retain(|file| !staged.contains(file.path.as_bstr()));
    if !add.is_empty() {
        let git = Git::on_index(["update-index", "--add", "--replace", "-z", "--stdin"]);
        git.input(listed(&add)).output()?;
    }
    if convert.is_empty() {
        return Ok(());
    }
    // Their times did not change, so only this cleans them anew.
    let git = Git::on_index(["--literal-pathspecs", "add", "--renormalize"]);
    match convert.len() <= FEW {
        true => git.args(["--pathspec-from-file=-", "--pathspec-file-nul"]).input(listed(&convert)).output()?,
        false => git.args(["--".into(), dir.to_path()]).output()?,
    };
    Ok(())
}

/// All beneath a directory, in Git's words.
fn beneath(dir: &RepoPath) -> OsString {
    let mut pathspec = OsString::from(":(top,literal)");
    pathspec.push(dir.to_path());
    pathspec
}

/// A few files by name, many by their number.
fn tell(global: &Global, dir: &RepoPath, stored: &[Stored], failed: &[Failed]) -> Result<(), CliError> {
    const NAMES: usize = 20;
    if global.json || stored.len() <= NAMES {
        return report(global, "track-subtree", stored, failed);
    }
    let bytes = stored.iter().filter_map(|file| file.pointer).map(|pointer| pointer.size).sum();
    ui::say(format!("{} beneath {dir} ({})", ui::count(stored.len(), "file"), ui::bytes(bytes)));
    Ok(())
}
