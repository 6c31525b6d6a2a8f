//! `migrate export`: give files back to Git, with their content, or to Git LFS.
//!
//! Read top down: which files, their content (all of it, or nothing is changed), then the index, then the attributes.
//! Nothing is deleted in the store, nor in the worktree.

mod content;
mod git_lfs;

use std::collections::BTreeMap;
use std::ffi::OsString;

use bstr::{BStr, BString, ByteSlice};
use clap::Args;
use serde_json::json;

use crate::attributes::Keeper;
use crate::cli::Global;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::migrate::handover::{self, Handover};
use crate::cli::migrate::lfs::require_merged;
use crate::cli::tracking::track::patterns;
use crate::cli::tracking::track_modified::{Decided, project_staged};
use crate::cli::ui;
use crate::config::GitConfig;
use crate::git::attr::{self, Source};
use crate::git::index;
use crate::git::objects::BlobKind;
use crate::pointer::Pointer;
use crate::repo_path::{Printable, RepoPath};
use crate::worktree::Target;
use content::{Content, Destination};

/// Arguments of `migrate export`.
#[derive(Args, Debug)]
pub struct Export {
    /// Only files that match these patterns, as in .gitattributes; quote them from the shell
    patterns: Vec<OsString>,
    /// To Git LFS, as its pointers and objects; else to Git, with their content
    #[arg(long)]
    lfs: bool,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
}

/// How many paths are named before the rest is counted.
const NAMES: usize = 20;

/// A file that is given back.
#[derive(Clone, Debug)]
pub struct Leaving {
    /// Where it is, and whether it is executable.
    target: Target,
    /// What the index names.
    pointer: Pointer,
    /// Left out of the worktree by Git's sparse checkout.
    skip_worktree: bool,
}

impl Leaving {
    fn path(&self) -> &BStr {
        self.target.path.as_bstr()
    }
}

/// Give them back.
pub fn run(global: &Global, args: &Export) -> Result<(), CliError> {
    let context = Context::open()?;
    require_merged()?;
    let to = if args.lfs { Keeper::Lfs } else { Keeper::Git };
    let handover = Handover { from: Keeper::S3lfs, to, patterns: patterns(&context, &args.patterns)? };
    let Found { leaving, given } = found(&handover)?;
    let attributes = handover::would_change(&context, &handover)?;
    // What a stopped run gave back already still has the filter by attributes that were to go.
    if leaving.is_empty() && (attributes.is_empty() || !(args.patterns.is_empty() || given)) {
        ui::say("Nothing is tracked by s3lfs there.");
        // A run that was stopped may have left that to us.
        if !args.dry_run && args.patterns.is_empty() {
            project_staged(&context, &Decided::default())?;
        }
        return answer(global, &[]);
    }
    if args.dry_run {
        for file in leaving.iter().filter(|_| !global.json) {
            ui::say(format!("Would be given back: {} ({})", file.target.path, ui::bytes(file.pointer.size)));
        }
        attributes.iter().for_each(|path| ui::say(format!("Would be changed: {}", Printable(path))));
        ui::say(format!("{} ({}).", ui::count(leaving.len(), "file"), bytes_of(&leaving)));
        return answer(global, &leaving);
    }
    let config = GitConfig::load()?;
    let destination = if args.lfs { Destination::lfs(&context, &config)? } else { Destination::Git };
    let content = Content::bring(global, &context, &leaving, &destination)?;
    if !content.failed.is_empty() {
        for (path, why) in content.failed.iter().take(NAMES) {
            ui::warn(format!("{}: {why}", Printable(path)));
        }
        // Where only a pointer stood, the content may be by now.
        index::refresh_written(leaving.iter().map(Leaving::path), None)?;
        let count = ui::count(content.failed.len(), "file");
        return Err(CliError::partial(format!("the content of {count} could not be had; nothing was staged"))
            .hint("run the command again when the cause is mended"));
    }
    require_unchanged(&leaving, &found(&handover)?.leaving)?;
    // What is killed in between has content under a filter, and the same command again changes the attributes.
    let blobs = leaving.iter().zip(&content.blobs);
    index::put_all(blobs.map(|(file, id)| (file.path(), id.as_bstr(), file.target.executable)))?;
    if args.lfs {
        content::follow_lfs(&context, &leaving)?;
    }
    index::leave_out(leaving.iter().filter(|file| file.skip_worktree).map(Leaving::path))?;
    handover::give(&context, &handover)?;
    let left = attr::filtered(leaving.iter().map(Leaving::path), Source::Worktree)?;
    project_staged(&context, &Decided::default())?;
    tell(&leaving, &config, to, &left.into_iter().collect::<Vec<_>>())?;
    answer(global, &leaving)
}

/// The files that lose the filter by that.
struct Found {
    leaving: Vec<Leaving>,
    /// There are some that have their content in Git already.
    given: bool,
}

fn found(handover: &Handover) -> Result<Found, CliError> {
    let files = index::filtered(&[])?;
    let stay = handover::would_stay(handover, &files.iter().map(|file| file.entry.path.as_bstr()).collect::<Vec<_>>())?;
    let mut found = Found { leaving: Vec::new(), given: false };
    for file in files.iter().filter(|file| !stay.contains(&file.entry.path)) {
        let Some(pointer) = file.pointer() else {
            found.given |= matches!(file.kind, BlobKind::Raw);
            continue;
        };
        let path = RepoPath::new(file.entry.path.clone())?;
        let target = Target { path, item: pointer.into(), executable: file.entry.executable, tracked: true };
        found.leaving.push(Leaving { target, pointer, skip_worktree: file.entry.skip_worktree });
    }
    Ok(found)
}

/// To bring content may take hours: what was staged, committed or switched to meanwhile is not to be undone.
fn require_unchanged(before: &[Leaving], now: &[Leaving]) -> Result<(), CliError> {
    let what = |files: &[Leaving]| -> BTreeMap<BString, Pointer> {
        files.iter().map(|file| (file.path().to_owned(), file.pointer)).collect()
    };
    let (before, now) = (what(before), what(now));
    let differs = |path: &&BString| before.get(*path) != now.get(*path);
    match before.keys().chain(now.keys()).find(differs) {
        None => Ok(()),
        Some(path) => Err(CliError::user(format!(
            "{} is another one in Git's index now than when the content was fetched; nothing was staged",
            Printable(path)
        ))
        .hint("run the command again")),
    }
}

fn bytes_of(files: &[Leaving]) -> String {
    ui::bytes(files.iter().map(|file| file.pointer.size).fold(0, u64::saturating_add))
}

fn answer(global: &Global, files: &[Leaving]) -> Result<(), CliError> {
    if !global.json {
        return Ok(());
    }
    let item = |file: &Leaving| {
        ui::with_path(file.path(), json!({ "oid": file.pointer.oid.hex(), "size": file.pointer.size }))
    };
    ui::answer_json("migrate", files.iter().map(item), Vec::new())
}

fn tell(files: &[Leaving], config: &GitConfig, to: Keeper, left: &[BString]) -> Result<(), CliError> {
    for path in left.iter().take(NAMES) {
        ui::warn(format!(
            "{} still has filter=s3lfs, by attributes outside the repository: git check-attr filter -- <path>",
            Printable(path)
        ));
    }
    let (count, bytes) = (ui::count(files.len(), "file"), bytes_of(files));
    match to {
        Keeper::Lfs => {
            ui::say(format!("Staged: {count} ({bytes}) as pointers of Git LFS, with their objects in its directory."));
            if let Some(missing) = git_lfs::missing(config)? {
                ui::say(format!("So that 'git push' sends these objects, {missing}"));
            }
            ui::say("To finish: git commit -m 'Large files with Git LFS', then git push");
        }
        _ => {
            ui::say(format!("Staged: {count} ({bytes}) with their content."));
            ui::say("To finish: git commit -m 'Large files in Git'");
        }
    }
    ui::say("Older commits still name content in the store: keep it, and s3lfs, for these.");
    Ok(())
}
