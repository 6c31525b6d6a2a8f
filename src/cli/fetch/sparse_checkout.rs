//! `sparse-checkout`: the content of some directories only, now and with later checkouts.
//!
//! Apart from `download` because it decides what the filter does from now on. Files outside the set
//! that have their content keep it: the set is about what is fetched, and deletes nothing.

use std::path::PathBuf;

use bstr::{BString, ByteSlice};
use clap::Args;
use serde_json::json;

use crate::cli::Global;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::fetch::download::{Asked, all_targets, fetch, finish, overwrite};
use crate::cli::manifest_file;
use crate::cli::ui;
use crate::git::index;
use crate::manifest::Manifest;
use crate::repo_path::{Printable, RepoPath};
use crate::sparse::SparseSet;
use crate::worktree::Target;

/// Arguments of `sparse-checkout`.
#[derive(Args, Debug)]
pub struct SparseCheckout {
    /// Directories, relative to the current one; they take the place of those set before
    #[arg(required_unless_present_any = ["list", "disable"], value_name = "DIR")]
    dirs: Vec<PathBuf>,
    /// Show the directories that are set for this worktree
    #[arg(long, conflicts_with_all = ["dirs", "disable", "force"])]
    list: bool,
    /// Forget the set, and fetch everything
    #[arg(long, conflicts_with = "dirs")]
    disable: bool,
    /// Overwrite files that have changes of your own
    #[arg(long)]
    force: bool,
}

/// The name under which it reports.
const COMMAND: &str = "sparse-checkout";

/// Set, list or forget the set. It is remembered before anything is fetched, so that a command that was
/// killed goes on when it is run again.
pub fn run(global: &Global, args: SparseCheckout) -> Result<(), CliError> {
    let context = Context::open()?;
    if args.list {
        return list(global, &context);
    }
    let manifest = manifest_file::for_reading(None)?;
    let (mut targets, failed) = all_targets(manifest.as_ref())?;
    if args.disable {
        SparseSet::forget(context.repo.git_dir())?;
        ui::say("There is no sparse set any more: everything is fetched.");
    } else {
        let mut dirs = Vec::new();
        for dir in &args.dirs {
            let dir = context.repo_dir(dir)?;
            require_files(&dir, &targets, manifest.as_ref())?;
            dirs.push(dir);
        }
        let set = SparseSet::new(&dirs);
        set.save(context.repo.git_dir())?;
        let all = targets.len();
        targets.retain(|target| set.includes(target.path.as_bstr()));
        ui::say(format!(
            "{} beneath the sparse set; later checkouts leave the other {} as pointers.",
            ui::count(targets.len(), "file"),
            all - targets.len()
        ));
    }
    let report = fetch(&context, global, manifest.as_ref(), targets, Asked::Together, overwrite(args.force))?;
    finish(global, COMMAND, report, failed, false)
}

fn list(global: &Global, context: &Context) -> Result<(), CliError> {
    let set = SparseSet::load(context.repo.git_dir())?;
    let dirs: Vec<String> = set.iter().flat_map(SparseSet::dirs).map(|dir| Printable(dir).to_string()).collect();
    if global.json {
        return ui::answer_json(COMMAND, dirs.iter().map(|dir| json!({ "path": dir })), Vec::new());
    }
    if set.is_none() {
        ui::say("There is no sparse set: everything is fetched.");
    }
    ui::answer(dirs.iter().map(|dir| format!("{dir}\n")).collect::<String>().as_bytes())
}

/// A directory without any tracked file is a slip of the pen.
fn require_files(dir: &RepoPath, targets: &[Target], manifest: Option<&Manifest>) -> Result<(), CliError> {
    if targets.iter().any(|target| target.path == *dir) {
        return Err(CliError::user(format!("{dir} is a file, where a directory is wanted"))
            .hint(format!("to fetch that file: s3lfs download {dir}")));
    }
    if targets.iter().any(|target| target.path.starts_with(dir)) {
        return Ok(());
    }
    // Git's own sparse checkout may leave all of it out.
    let beneath = [dir.as_bstr().as_bytes(), b"/"].concat();
    let named = manifest.is_some_and(|m| m.files.keys().any(|path| path.as_bytes().starts_with(&beneath)));
    if named || !index::filtered(&[BString::from(beneath)])?.is_empty() {
        return Ok(());
    }
    Err(CliError::user(format!("no tracked file lies beneath {dir}")).hint("'s3lfs ls' lists the tracked files"))
}
