//! `add`: what `git add` does, with the content hashed and stored on all cores.
//!
//! Apart from `upload` because nothing is sent and nothing new is tracked. Git hands file after file to the filter and
//! waits for each, and keeps each pointer in a file of its own; here the files that only pass through our filter are put
//! into the cache, their pointers into one pack, and both into the index. Then Git does all that is left: `git add` itself
//! is run with the same words, and finds these files as it would have left them.

mod candidates;
mod stored;

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::time::Duration;

use bstr::{BString, ByteSlice};
use clap::Args;
use serde_json::json;

use crate::cli::Global;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::tracking::staging::Staging;
use crate::cli::tracking::upload::require_filter;
use crate::cli::ui;
use crate::config::GitConfig;
use crate::error::chain;
use crate::git::held::{Hold, hold};
use crate::git::recorded::{IndexPlace, Settled};
use crate::git::{Git, index, pack};
use crate::pointer::Pointer;
use crate::repo_path::{Printable, RepoPath};

use candidates::candidates;
use stored::{Stored, store};

/// Arguments of `add`.
#[derive(Args, Debug)]
pub struct Add {
    /// Files, directories and patterns, as for 'git add'
    #[arg(required_unless_present_any = ["all", "update"], value_name = "PATHSPEC")]
    paths: Vec<OsString>,
    /// Stage everything in the worktree, also what was deleted
    #[arg(short = 'A', long, conflicts_with = "update")]
    all: bool,
    /// Stage what Git knows already, and nothing new
    #[arg(short, long)]
    update: bool,
    /// Also files that Git ignores
    #[arg(short, long)]
    force: bool,
    /// Only show what would be staged
    #[arg(short = 'n', long)]
    dry_run: bool,
}

impl Add {
    /// The pathspecs, in the words that Git's other commands need: these take nothing for everything beneath the
    /// current directory.
    fn pathspecs(&self) -> Vec<&OsStr> {
        if self.paths.is_empty() {
            vec![OsStr::new(":/")]
        } else {
            self.paths.iter().map(OsString::as_os_str).collect()
        }
    }

    fn options(&self, global: &Global) -> Vec<&'static str> {
        let options = [
            (self.all, "--all"),
            (self.update, "--update"),
            (self.force, "--force"),
            (self.dry_run, "--dry-run"),
            (global.verbose, "--verbose"),
        ];
        options.into_iter().filter(|(wanted, _)| *wanted).map(|(_, option)| option).collect()
    }
}

/// How long somebody else may write the index, before Git is left to wait for him.
const PATIENCE: Duration = Duration::from_secs(1);

/// Our part on all cores, then Git's.
pub fn run(global: &Global, args: Add) -> Result<(), CliError> {
    let context = Context::open()?;
    let mut staged = if args.dry_run { Vec::new() } else { stage(&context, &args, |_| true)? };
    staged.retain(Stored::is_news);
    let git = Git::on_index(["add"]).args(args.options(global)).args(["--"]).args(&args.paths);
    let output = git.in_dir(context.started_in()).run()?;
    let said = output.stderr.trim().to_str_lossy();
    if !output.status.success() {
        return Err(CliError::user(format!("'git add' failed: {said}")));
    }
    said.lines().for_each(ui::warn);
    if global.json {
        let item = |file: &Stored| {
            let pointer = Pointer::parse(&file.blob);
            let (oid, size) = (pointer.map(|p| p.oid.hex()), pointer.map_or(0, |p| p.size));
            ui::with_path(file.path.as_bstr(), json!({ "oid": oid, "size": size }))
        };
        return ui::answer_json("add", staged.iter().map(item), Vec::new());
    }
    let mut lines = Vec::new();
    if global.verbose {
        lines.extend(staged.iter().flat_map(|file| format!("add '{}'\n", Printable(file.path.as_bstr())).into_bytes()));
    }
    lines.extend(output.stdout);
    ui::answer(&lines)
}

/// For fewer files than this Git is as fast: what is asked of it besides takes its time, too.
const WORTH_IT: usize = 64;

/// Stage those of `wanted`, which all match `pathspec`, that need not go through Git, if they are many. Which these were:
/// all others are for the caller to hand to Git.
pub fn stage_ahead(context: &Context, pathspec: &OsStr, wanted: &HashSet<BString>) -> HashSet<BString> {
    if wanted.len() < WORTH_IT {
        return HashSet::new();
    }
    let args = Add { paths: vec![pathspec.to_owned()], all: false, update: false, force: false, dry_run: false };
    match stage(context, &args, |path| wanted.contains(path.as_bstr())) {
        Ok(staged) => staged.into_iter().map(|file| file.path.as_bstr().to_owned()).collect(),
        // Git meets the same, and says so.
        Err(e) => {
            tracing::info!("Git is left to stage the files: {}", e.message);
            HashSet::new()
        }
    }
}

/// Stage what need not go through Git, of what is `wanted`. Whatever is odd about a file is left to Git.
fn stage(context: &Context, args: &Add, wanted: impl Fn(&RepoPath) -> bool) -> Result<Vec<Stored>, CliError> {
    let Some(place) = IndexPlace::find()? else { return Ok(Vec::new()) };
    let config = GitConfig::load()?;
    let mut candidates = candidates(context, args, &config)?;
    candidates.retain(|candidate| wanted(&candidate.path));
    if candidates.is_empty() {
        return Ok(Vec::new());
    }
    require_filter(&config)?;
    let Some(mut stored) = store(context, candidates, place.format) else { return Ok(Vec::new()) };
    stored.sort_by(|one, other| one.path.cmp(&other.path));
    // The content is safe, then what names it, and only then anybody is told.
    pack::store(stored.iter().map(|file| file.blob.as_slice()), place.format)?;
    let _staging = Staging::begin(context)?;
    index::put_all(stored.iter().map(|file| (file.path.as_bstr(), file.id.as_bytes().as_bstr(), file.executable)))?;
    let settled: Vec<Settled> = stored
        .iter()
        .map(|file| Settled { path: file.path.as_bstr().to_owned(), blob: file.blob.clone(), stat: file.stat })
        .collect();
    // What is not recorded, Git looks at once more.
    if let Hold::Held(held) = hold(context.repo.git_dir(), PATIENCE, |_| {}) {
        let recorded = held.record(&settled, &context.cache().tmp());
        drop(recorded.inspect_err(|e| tracing::info!("Git is left to record the files: {}", chain(e))));
    }
    Ok(stored)
}
