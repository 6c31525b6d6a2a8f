//! `track` and `untrack`: the lines of `.gitattributes` that give files to the filter.

use std::collections::HashSet;
use std::ffi::OsString;

use bstr::{BString, ByteSlice};
use clap::Args;
use serde_json::json;

use crate::attributes::{AttributesFile, Pattern};
use crate::cli::Global;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::ui;
use crate::fs::{PathError, is_absent, lock, read_committed, replace};
use crate::git::attr::{self, Source};
use crate::git::index::{self, Entry, Filtered};
use crate::git::objects::{self, BlobKind};
use crate::git::{Git, Repo};
use crate::repo_path::{Printable, RepoPath};
use crate::worktree::{FileState, Target, state_of};

/// Arguments of `track`.
#[derive(Args, Debug)]
pub struct Track {
    /// Patterns as in .gitattributes, relative to the current directory; quote them from the shell
    patterns: Vec<OsString>,
}

/// Arguments of `untrack`.
#[derive(Args, Debug)]
pub struct Untrack {
    /// Patterns as `track` lists them
    #[arg(required = true)]
    patterns: Vec<OsString>,
}

/// Where the lines are, from the top of the worktree.
pub const ATTRIBUTES: &str = ".gitattributes";

/// How many files that Git has raw are named before the rest is counted.
const NAMES: usize = 20;

/// Add lines, or list them.
pub fn run(global: &Global, args: Track) -> Result<(), CliError> {
    let context = Context::open()?;
    if args.patterns.is_empty() {
        return list(global);
    }
    let patterns = patterns(&context, &args.patterns)?;
    let mut news = Vec::new();
    let changed = edit_attributes(|attributes| {
        for pattern in &patterns {
            news.push(if attributes.track(pattern) { "Tracking" } else { "Already tracked:" });
        }
        attributes.ensure_protected();
    })?;
    for (news, pattern) in news.iter().zip(&patterns) {
        ui::say(format!("{news} {}", Printable(pattern.as_bstr())));
    }
    if global.json {
        let items = patterns.iter().map(|pattern| json!({ "pattern": pattern.as_bstr().to_str_lossy() }));
        ui::answer_json("track", items, Vec::new())?;
    }
    if changed {
        ui::say(format!("To commit it: git add {}", context.pathspec(ATTRIBUTES.into())));
    }
    name_raw_files(&context)
}

/// Take lines away.
pub fn untrack(global: &Global, args: Untrack) -> Result<(), CliError> {
    let context = Context::open()?;
    let (mut missing, mut gone) = (Vec::new(), Vec::new());
    let wanted: Vec<(&OsString, BString)> =
        args.patterns.iter().map(|text| (text, in_context(&context, text))).collect();
    let tracked = index::filtered(&[])?;
    let edit = |attributes: &mut AttributesFile| {
        for (text, pattern) in &wanted {
            if attributes.untrack(pattern.as_bstr()) {
                gone.push(pattern);
            } else {
                missing.push(Printable(text.as_encoded_bytes()).to_string());
            }
        }
    };
    let changed = edit_attributes_if(edit, || refuse_pointers_only(&context, tracked))?;
    for pattern in &gone {
        ui::say(format!("No longer tracking {}", Printable(pattern)));
    }
    if changed {
        ui::say(format!("To commit it: git add {}", context.pathspec(ATTRIBUTES.into())));
        ui::say(
            "Files that are pointers in Git stay so until 'git add --renormalize <file>' puts their content there.",
        );
    }
    if global.json {
        let items = gone.iter().map(|pattern| json!({ "pattern": pattern.to_str_lossy() }));
        let errors = missing.iter().map(|pattern| json!({ "pattern": pattern, "error": "it is not tracked" }));
        ui::answer_json("untrack", items, errors)?;
    }
    match missing.first() {
        None => Ok(()),
        Some(_) => {
            Err(CliError::user(format!("not tracked: {}", missing.join(", "))).hint("'s3lfs track' lists the patterns"))
        }
    }
}

/// Of the files that were tracked, none may be left that is here as a pointer only, and not tracked any more: Git
/// would take the pointer for the content, and the next `git add --renormalize` could not put the content there.
fn refuse_pointers_only(context: &Context, tracked: Vec<Filtered>) -> Result<(), CliError> {
    let paths = || tracked.iter().map(|file| file.entry.path.as_bstr());
    let still = attr::filtered(paths(), Source::Worktree)?;
    let mut left = Vec::new();
    for file in tracked.iter().filter(|file| !still.contains(&file.entry.path)) {
        let Some(pointer) = file.pointer().filter(|_| file.entry.stage == 0) else { continue };
        let path = RepoPath::new(file.entry.path.clone())?;
        let target = Target { path, item: pointer.into(), executable: file.entry.executable, tracked: true };
        if state_of(&context.worktree, &target, false)? == FileState::PointerOnly {
            left.push(&file.entry.path);
        }
    }
    let Some(first) = left.first() else { return Ok(()) };
    for path in left.iter().take(NAMES) {
        ui::warn(format!("{} is here as a pointer only", Printable(path)));
    }
    if left.len() > NAMES {
        ui::warn(format!("and {} more", left.len() - NAMES));
    }
    let files = ui::count(left.len(), "file");
    let fetch = if left.len() == 1 {
        format!("s3lfs download {}", context.argument(first.as_bstr()))
    } else {
        "s3lfs download-all".into()
    };
    Err(CliError::user(format!("nothing was changed: Git would take the pointers of {files} for their content"))
        .hint(format!("fetch the content first ('s3lfs download <file>'): {fetch}")))
}

fn list(global: &Global) -> Result<(), CliError> {
    let tracked = AttributesFile::parse(&attributes_now()?.unwrap_or_default()).tracked();
    if global.json {
        let items = tracked.iter().map(|pattern| json!({ "pattern": pattern.to_str_lossy() }));
        return ui::answer_json("track", items, Vec::new());
    }
    let lines: Vec<u8> = tracked.iter().flat_map(|pattern| format!("{}\n", Printable(pattern)).into_bytes()).collect();
    ui::answer(&lines)
}

/// The patterns of the command line, as they have to stand in the file at the top.
pub fn patterns(context: &Context, texts: &[OsString]) -> Result<Vec<Pattern>, CliError> {
    let subdirectory = context.subdirectory()?;
    let pattern = |text: &OsString| match &subdirectory {
        None => Pattern::new(text.as_encoded_bytes()),
        Some(dir) => Pattern::in_subdir(text.as_encoded_bytes(), dir),
    };
    Ok(texts.iter().map(pattern).collect::<Result<_, _>>()?)
}

/// As [`patterns`] for one that may be bad, because a bad line must be removable.
fn in_context(context: &Context, text: &OsString) -> BString {
    match patterns(context, std::slice::from_ref(text)) {
        Ok(patterns) => patterns.first().map(|p| p.as_bstr().to_owned()).unwrap_or_default(),
        Err(_) => text.as_encoded_bytes().into(),
    }
}

/// Change `.gitattributes` at the top of the worktree. `true`: its bytes are others now.
pub fn edit_attributes(edit: impl FnOnce(&mut AttributesFile)) -> Result<bool, CliError> {
    edit_attributes_if(edit, || Ok(()))
}

/// As [`edit_attributes`], unless `judge` refuses what Git makes of the new lines: then the old ones stand again.
pub fn edit_attributes_if(
    edit: impl FnOnce(&mut AttributesFile),
    judge: impl FnOnce() -> Result<(), CliError>,
) -> Result<bool, CliError> {
    let rewrite = |now: Option<&[u8]>| {
        let mut attributes = AttributesFile::parse(now.unwrap_or_default());
        edit(&mut attributes);
        let after = attributes.to_bytes();
        // No file is as good as an empty one.
        (now.is_some() || !after.is_empty()).then_some(after)
    };
    let Rewritten { before, after } = rewrite_attributes(rewrite, judge)?;
    Ok(before != after)
}

/// The file's bytes before and after; `None`: there is no file.
pub struct Rewritten {
    /// As it was.
    pub before: Option<Vec<u8>>,
    /// As it is now.
    pub after: Option<Vec<u8>>,
}

/// As [`edit_attributes_if`], by the whole file, which also may be made or removed.
pub fn rewrite_attributes(
    rewrite: impl FnOnce(Option<&[u8]>) -> Option<Vec<u8>>,
    judge: impl FnOnce() -> Result<(), CliError>,
) -> Result<Rewritten, CliError> {
    // Two commands at once would each write what they read, and one line would be lost.
    let _locked = lock(&Repo::discover()?.git_dir().join("s3lfs/editing-attributes"))?;
    let (there, before) = (read_committed(ATTRIBUTES.as_ref())?, attributes_now()?);
    let is_left_out = there.is_none() && in_index()?.is_some_and(|entry| entry.skip_worktree);
    let after = rewrite(before.as_deref());
    if after == before {
        return Ok(Rewritten { before, after });
    }
    if is_left_out {
        return Err(CliError::user(format!(
            "{ATTRIBUTES} would have to be changed, and Git's sparse checkout leaves it out of the worktree"
        ))
        .hint(format!("take it in first: git sparse-checkout add /{ATTRIBUTES}")));
    }
    write_attributes(after.as_deref())?;
    if let Err(e) = judge() {
        write_attributes(there.as_deref())?;
        return Err(e);
    }
    Ok(Rewritten { before, after })
}

fn write_attributes(bytes: Option<&[u8]>) -> Result<(), PathError> {
    match bytes {
        Some(bytes) => replace(ATTRIBUTES.as_ref(), bytes),
        None => match std::fs::remove_file(ATTRIBUTES) {
            Err(e) if !is_absent(&e) => Err(PathError::new("remove", ATTRIBUTES, e)),
            _ => Ok(()),
        },
    }
}

/// The lines that Git goes by: the worktree's, or where no file stands there (a sparse checkout leaves it out, or it was
/// lost), the index's (gitattributes(5), "DESCRIPTION").
pub fn attributes_now() -> Result<Option<Vec<u8>>, CliError> {
    match read_committed(ATTRIBUTES.as_ref())? {
        Some(bytes) => Ok(Some(bytes)),
        None => staged_attributes(),
    }
}

/// The lines that the next commit has.
pub fn staged_attributes() -> Result<Option<Vec<u8>>, CliError> {
    Ok(in_index()?.map(|entry| objects::read(entry.id.as_bstr())).transpose()?.flatten())
}

fn in_index() -> Result<Option<Entry>, CliError> {
    Ok(index::entries(&[ATTRIBUTES.into()])?.into_iter().find(|entry| entry.stage == 0))
}

/// Stage the worktree's attributes. What Git's sparse checkout leaves out was not changed.
pub fn stage_attributes() -> Result<(), CliError> {
    let is_left_out = || Ok::<_, CliError>(in_index()?.is_some_and(|entry| entry.skip_worktree));
    if std::fs::symlink_metadata(ATTRIBUTES).is_ok() || !is_left_out()? {
        Git::on_index(["add", "--", ATTRIBUTES]).output()?;
    }
    Ok(())
}

/// Files that Git has raw although they are tracked now: name them, with what converts them.
fn name_raw_files(context: &Context) -> Result<(), CliError> {
    let raw: HashSet<BString> = index::filtered(&[])?
        .into_iter()
        .filter(|file| file.kind == BlobKind::Raw)
        .map(|file| file.entry.path)
        .collect();
    if raw.is_empty() {
        return Ok(());
    }
    let mut raw: Vec<&BString> = raw.iter().collect();
    raw.sort();
    ui::say(format!("Already in Git with their content ({}):", ui::count(raw.len(), "file")));
    for path in raw.iter().take(NAMES) {
        ui::say(format!("  {}", Printable(path)));
    }
    // Each by its name if they are few: '.' would stage the user's other changes too.
    let what = if raw.len() <= NAMES {
        raw.iter().map(|path| context.pathspec(path.as_bstr())).collect::<Vec<_>>().join(" ")
    } else {
        ui::say(format!("  and {} more", raw.len() - NAMES));
        context.whole_worktree().to_owned()
    };
    ui::say(format!("To turn them into pointers with the next commit: git add --renormalize {what}"));
    Ok(())
}
