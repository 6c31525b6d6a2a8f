//! `migrate` alone: turn the files of a repository of the Python s3lfs, which Git never had, into pointers that
//! Git tracks.
//!
//! Read top down: look, bring content to our key, stage, tidy up. Nothing is deleted in the store, and
//! nothing of the user's in the worktree; every step may be the last one before a kill, and running it
//! again goes on.

mod bring;
mod name;
mod plan;
mod source;
mod stage;
mod tidy;

use std::collections::{BTreeMap, BTreeSet};

use bstr::{BString, ByteSlice};
use clap::Args;
use serde_json::json;

use crate::cli::Global;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::manifest_file::{self, Staged};
use crate::cli::session::{Session, settings};
use crate::cli::tracking::staging::Staging;
use crate::cli::tracking::track_modified::{Decided, project_staged};
use crate::cli::tracking::upload::require_filter;
use crate::cli::ui;
use crate::config::GitConfig;
use crate::git::objects::BlobKind;
use crate::git::{Git, index};
use crate::manifest::{Manifest, PATH};
use crate::oid::Oid;
use crate::pointer::Pointer;
use crate::repo_path::Printable;
use crate::transfer::Patience;
use bring::Brought;
use plan::{File, Here, Plan};
use source::Source;
pub use tidy::hooks as take_out_old_hooks;

/// Arguments of `migrate` alone.
#[derive(Args, Debug)]
pub struct FromPython {
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
}

/// Files that are brought and staged together: so much of the disk, and of the work, is at stake.
const BATCH: usize = 256;

/// Migrate everything that only the manifest names.
pub fn run(global: &Global, args: FromPython) -> Result<(), CliError> {
    let context = Context::open()?;
    if let Staged::Unmerged = manifest_file::staged()? {
        return Err(manifest_file::in_conflict());
    }
    let Source { manifest, yaml } = Source::find()?;
    let config = GitConfig::load()?;
    let settings = settings(global, &config, Some(&manifest))?;
    let plan = Plan::new(&context, &manifest)?;
    if args.dry_run {
        return tell(global, Told { plan: &plan, done: &BTreeMap::new(), dry_run: true });
    }
    require_filter(&config)?;
    let mut session = Session::open(&context, &settings, Patience::Long)?;
    tidy::hooks()?;
    if yaml.is_some() {
        let _staging = Staging::begin(&context)?;
        // Connecting takes its time, and others may have written meanwhile.
        manifest_file::write(&Source::find()?.manifest)?;
        Git::new(["add", "--force", "--", PATH]).output()?;
    }
    let (plan, done) = bring_and_stage(&context, &mut session, plan)?;
    let left: Vec<BString> = plan.failed.iter().map(|(path, _)| path.as_str().into()).collect();
    tidy::ignore_file(&left)?;
    tidy::name_own_lines(plan.files.iter().map(|file| file.path.as_bstr()))?;
    name::name_the_repository(&context, &mut session)?;
    project_staged(&context, &Decided { gone: empty_files(&manifest)?, ..Decided::default() })?;
    if let Some(yaml) = yaml {
        source::require_taken_over(&yaml)?;
        tidy::yaml()?;
    }
    tell(global, Told { plan: &plan, done: &done, dry_run: false })
}

/// Batch after batch: content to our key, then pointers into the index.
fn bring_and_stage(
    context: &Context,
    session: &mut Session,
    mut plan: Plan,
) -> Result<(Plan, BTreeMap<Oid, Pointer>), CliError> {
    let uncovered = stage::track(&plan.files, &tidy::ignored_dirs()?)?;
    let (files, refused): (Vec<File>, Vec<File>) =
        plan.files.into_iter().partition(|file| !uncovered.contains(file.path.as_bstr()));
    let why = "it does not get filter=s3lfs: another attributes file decides otherwise";
    plan.failed.extend(refused.into_iter().map(|file| (file.path.as_bstr().to_string(), why.to_owned())));
    plan.files = Vec::new();
    let (mut done, total) = (BTreeMap::new(), files.len());
    let mut rest = files.as_slice();
    while !rest.is_empty() {
        let (batch, later) = rest.split_at(batch_len(rest));
        rest = later;
        let brought = Brought::new(context, session, batch)?;
        let ready: Vec<&File> = batch.iter().filter(|file| !brought.failed.contains_key(&file.oid)).collect();
        stage::stage(context, &ready, &brought.pointers)?;
        brought.tidy(&context.cache())?;
        for file in batch {
            match brought.failed.get(&file.oid) {
                Some(why) => plan.failed.push((file.path.as_bstr().to_string(), why.clone())),
                None => plan.files.push(file.clone()),
            }
        }
        done.extend(brought.pointers);
        if total > BATCH {
            ui::say(format!("{} of {}", total - rest.len(), ui::count(total, "file")));
        }
    }
    Ok((plan, done))
}

/// Equal content stays together: it is fetched once.
fn batch_len(files: &[File]) -> usize {
    let len = files.len().min(BATCH);
    let last = files[len - 1].oid;
    len + files[len..].iter().take_while(|file| file.oid == last).count()
}

/// Manifest entries of files that are empty in the index: no pointer replaces them there.
fn empty_files(manifest: &Manifest) -> Result<BTreeSet<String>, CliError> {
    let empty = index::filtered(&[])?.into_iter().filter(|file| file.kind == BlobKind::Empty);
    let names = empty.filter_map(|file| file.entry.path.to_str().ok().map(str::to_owned));
    Ok(names.filter(|path| manifest.files.get(path) == Some(&Oid::of(b""))).collect())
}

/// What is said at the end.
struct Told<'a> {
    plan: &'a Plan,
    done: &'a BTreeMap<Oid, Pointer>,
    dry_run: bool,
}

fn tell(global: &Global, told: Told<'_>) -> Result<(), CliError> {
    let Told { plan: Plan { files, failed }, done, dry_run } = told;
    if global.json {
        let item = |file: &File| {
            let size = done.get(&file.oid).map(|pointer| pointer.size).or(file.is_empty().then_some(0));
            let item = json!({ "oid": file.oid.hex(), "size": size, "worktree": file.here.name() });
            ui::with_path(file.path.as_bstr(), item)
        };
        let errors = failed.iter().map(|(path, why)| ui::with_path(path.as_bytes(), json!({ "error": why })));
        ui::answer_json("migrate", files.iter().map(item), errors)?;
    } else {
        let verb = if dry_run { "Would become a pointer" } else { "Now a pointer" };
        if dry_run || files.len() <= 20 {
            files.iter().for_each(|file| ui::say(format!("{verb}: {} ({})", file.path, file.here.name())));
        }
        let (count, more) =
            (ui::count(files.len(), "file"), if dry_run { "to migrate" } else { "migrated and staged" });
        ui::say(format!("{count} {more}."));
    }
    for file in files.iter().filter(|file| file.here == Here::Modified) {
        ui::warn(format!("{} has changes of your own, and is kept: 'git add' it to store them", file.path));
    }
    for (path, why) in failed {
        let path = Printable(path.as_bytes()).to_string();
        ui::warn(if why.contains(&path) { why.clone() } else { format!("{path}: {why}") });
    }
    if !failed.is_empty() {
        return Err(CliError::partial(format!(
            "{} could not be migrated, and stay as they were",
            ui::count(failed.len(), "file")
        ))
        .hint("run the command again when the cause is mended"));
    }
    // Also a run that had nothing left to do after one that was stopped.
    if !dry_run && (!files.is_empty() || index::changed_since_head()?.contains(PATH.as_bytes().as_bstr())) {
        let pointers = files.iter().filter(|file| file.here == Here::Pointer).count();
        if pointers > 0 {
            let count = ui::count(pointers, "file");
            ui::say(format!("{count} were not here, and are pointers now: 's3lfs download-all' fetches them."));
        }
        ui::say("To finish: git commit -m 'Let Git track large files as pointers'");
        ui::say(
            "Others must save their changes to these files before they pull that commit: Git ignored the files so far, and \
             overwrites ignored files without asking.",
        );
    }
    Ok(())
}
