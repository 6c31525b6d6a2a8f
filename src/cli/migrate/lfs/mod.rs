//! `migrate lfs`: take over a repository of Git LFS, without rewriting its history.
//!
//! Read top down: look at all of history, find the content, bring it into the store, then give the present files to
//! s3lfs. Nothing that git-lfs has is deleted; old commits keep its pointers, which name the same content.

mod bring;
mod convert;
mod named;

use std::collections::BTreeSet;

use bstr::ByteSlice;
use clap::Args;
use serde_json::json;

use crate::cli::Global;
use crate::cli::cleanup::reachable::require_whole_history;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::lfs_objects::{Objects, fetch_all};
use crate::cli::manifest_file;
use crate::cli::session::{Session, require_accepted, settings};
use crate::cli::set_up::lfs_driver;
use crate::cli::tracking::track_modified::{Decided, project_staged};
use crate::cli::tracking::upload::require_filter;
use crate::cli::ui;
use crate::config::{ConfigError, GitConfig, Settings};
use crate::git::index;
use crate::manifest::PATH;
use crate::oid::Oid;
use crate::pointer::Pointer;
use crate::repo_path::Printable;
use crate::transfer::Patience;
use crate::uploaded::Uploaded;
use bring::Brought;
use convert::Conversion;
pub use convert::require_merged;
use named::Named;

/// Arguments of `migrate lfs`.
#[derive(Args, Debug)]
pub struct FromLfs {
    /// Only say what would be done, and how many bytes would be sent
    #[arg(long)]
    dry_run: bool,
    /// Go on although some content is nowhere to be had; it stays with Git LFS
    #[arg(long)]
    allow_missing: bool,
}

/// How many paths are named before the rest is counted.
const NAMES: usize = 20;

/// Where each piece of content is, before anything is done.
struct Plan {
    /// Known to be in the store already.
    there: BTreeSet<Pointer>,
    /// Here, and to be sent.
    here: BTreeSet<Pointer>,
    /// Not here.
    missing: BTreeSet<Pointer>,
}

/// Take everything over.
pub fn run(global: &Global, args: &FromLfs) -> Result<(), CliError> {
    let context = Context::open()?;
    let config = GitConfig::load()?;
    if args.dry_run {
        return dry(global, &context, &config);
    }
    let manifest = manifest_file::required()?;
    let settings = settings(global, &config, Some(&manifest))?;
    require_filter(&config)?;
    require_whole_history()?;
    convert::require_merged()?;
    require_accepted(&settings)?;
    let named = Named::in_history(&context.repo)?;
    let objects = Objects::of(&context.repo, &config)?;
    let uploaded = Uploaded::open(&context.repo.state_dir(), &settings.remote, &settings.reading)?;
    let mut plan = Plan::new(&context, Some(&uploaded), &named, &objects);
    if !plan.missing.is_empty() {
        let mut session = Session::open(&context, &settings, Patience::Long)?;
        plan.look_in_store(&mut session)?;
        if !plan.missing.is_empty() && fetch_all(plan.missing.len())? {
            plan = Plan::new(&context, Some(&uploaded), &named, &objects);
            plan.look_in_store(&mut session)?;
        }
    }
    name_missing(&plan, &named, &objects)?;
    named.tell_extended();
    if !plan.missing.is_empty() && !args.allow_missing {
        let count = ui::count(plan.missing.len(), "object");
        return Err(CliError::user(format!("nothing was changed: the content of {count} is not here"))
            .hint("fetch it where git-lfs and its server are: git lfs fetch --all; then run this again")
            .hint("to go on without it: s3lfs migrate lfs --allow-missing (such files keep their Git LFS pointers)"));
    }
    let mut session = Session::open(&context, &settings, Patience::Long)?;
    session.register(manifest.repository_id.as_deref(), None)?;
    let brought = bring::bring(&context, &mut session, &plan.here, &objects)?;
    let mut in_store: BTreeSet<Oid> = plan.there.iter().map(|pointer| pointer.oid).collect();
    in_store.extend(&brought.done);
    if !brought.failed.is_empty() {
        return Err(tell_failed(global, &named, &brought)?);
    }
    let conversion = convert::convert(&context, &in_store)?;
    project_staged(&context, &Decided::default())?;
    tell(global, &plan, &brought, &conversion)?;
    lfs_driver::name_hooks()
}

/// Say what would be done, before there is a store, too.
fn dry(global: &Global, context: &Context, config: &GitConfig) -> Result<(), CliError> {
    manifest_file::refuse_pythons()?;
    require_whole_history()?;
    convert::require_merged()?;
    let named = Named::in_history(&context.repo)?;
    let objects = Objects::of(&context.repo, config)?;
    let uploaded = match Settings::resolve(&global.overrides(), config, manifest_file::for_writing()?.as_ref()) {
        Ok(settings) => Some(Uploaded::open(&context.repo.state_dir(), &settings.remote, &settings.reading)?),
        Err(ConfigError::NoStore) => {
            ui::say("No store is chosen yet: all that is here is counted as if the store had nothing.");
            None
        }
        Err(e) => return Err(e.into()),
    };
    let plan = Plan::new(context, uploaded.as_ref(), &named, &objects);
    name_missing(&plan, &named, &objects)?;
    named.tell_extended();
    tell_dry(global, &plan, &Conversion::look(context)?)
}

impl Plan {
    fn new(context: &Context, uploaded: Option<&Uploaded>, named: &Named, objects: &Objects) -> Self {
        let cache = context.cache();
        let mut plan = Plan { there: BTreeSet::new(), here: BTreeSet::new(), missing: BTreeSet::new() };
        for pointer in named.pointers() {
            let kind = if uploaded.is_some_and(|uploaded| uploaded.is_fresh_in_store(&pointer.oid)) {
                &mut plan.there
            } else if cache.contains(pointer) || objects.find(pointer).is_some() {
                &mut plan.here
            } else {
                &mut plan.missing
            };
            kind.insert(*pointer);
        }
        plan
    }

    /// What is not here another clone may have sent.
    fn look_in_store(&mut self, session: &mut Session) -> Result<(), CliError> {
        let mut wanted: Vec<Oid> = self.missing.iter().map(|pointer| pointer.oid).collect();
        wanted.sort_unstable();
        wanted.dedup();
        let presence = session.transfer.which_are_there(wanted)?;
        let (there, missing) = std::mem::take(&mut self.missing).into_iter().partition(|one| presence.has(&one.oid));
        let there: BTreeSet<Pointer> = there;
        (self.missing, self.there) = (missing, &self.there | &there);
        Ok(())
    }
}

fn bytes_of<'a>(pointers: impl IntoIterator<Item = &'a Pointer>) -> String {
    ui::bytes(pointers.into_iter().map(|pointer| pointer.size).fold(0, u64::saturating_add))
}

fn name_missing(plan: &Plan, named: &Named, objects: &Objects) -> Result<(), CliError> {
    let paths = named.paths_of(&plan.missing)?;
    for pointer in plan.missing.iter().take(NAMES) {
        let path = paths.get(&pointer.oid).map_or("(no path)", String::as_str);
        let damaged = objects
            .cut_short(pointer)
            .map(|(file, len)| format!("; {} is damaged, it has {} of these", file.display(), ui::bytes(len)));
        let size = ui::bytes(pointer.size);
        ui::warn(format!("not here: {path} ({}, {size}){}", pointer.oid, damaged.unwrap_or_default()));
    }
    if plan.missing.len() > NAMES {
        ui::warn(format!("and {} more", plan.missing.len() - NAMES));
    }
    Ok(())
}

/// An object each, as `--json` has it.
fn item(pointer: &Pointer, state: &str) -> serde_json::Value {
    json!({ "oid": pointer.oid.hex(), "size": pointer.size, "state": state })
}

fn tell_dry(global: &Global, plan: &Plan, conversion: &Conversion) -> Result<(), CliError> {
    if global.json {
        let states = [(&plan.there, "stored"), (&plan.here, "would be sent"), (&plan.missing, "missing")];
        let items = states.iter().flat_map(|(set, state)| set.iter().map(|pointer| item(pointer, state)));
        return ui::answer_json("migrate", items, Vec::new());
    }
    let of = |set: &BTreeSet<Pointer>| format!("{} ({})", ui::count(set.len(), "object"), bytes_of(set));
    ui::say(format!("Would be sent to the store: {}.", of(&plan.here)));
    ui::say(format!("Known to be there already: {}.", of(&plan.there)));
    ui::say(format!("Not here, and asked of git-lfs first: {}.", of(&plan.missing)));
    for path in &conversion.attributes {
        ui::say(format!("Would be changed: {}", Printable(path)));
    }
    ui::say(format!("Would become pointers of s3lfs: {}.", ui::count(conversion.files, "file")));
    Ok(())
}

fn tell(global: &Global, plan: &Plan, brought: &Brought, conversion: &Conversion) -> Result<(), CliError> {
    let Conversion { files, attributes, raw, still, kept } = conversion;
    for path in raw.iter().take(NAMES) {
        ui::warn(format!("{} holds its content in Git: 'git add --renormalize' makes it a pointer", Printable(path)));
    }
    for path in still.iter().take(NAMES) {
        ui::warn(format!(
            "{} still has filter=lfs, by attributes outside the repository: git check-attr filter -- <path>",
            Printable(path)
        ));
    }
    for path in kept.iter().take(NAMES) {
        ui::warn(format!(
            "{} keeps its Git LFS pointer: its content is not in the store, or needs an extension",
            Printable(path)
        ));
    }
    let longest = raw.len().max(still.len()).max(kept.len());
    if longest > NAMES {
        ui::warn(format!("and more such files, {longest} of one kind"));
    }
    if global.json {
        let states = [(&plan.there, "stored"), (&plan.here, "sent"), (&plan.missing, "missing")];
        let items = states.iter().flat_map(|(set, state)| set.iter().map(|pointer| item(pointer, state)));
        ui::answer_json("migrate", items, Vec::new())?;
    } else {
        let all = plan.there.iter().chain(&plan.here).collect::<Vec<_>>();
        let bytes = bytes_of(all.iter().copied());
        let count = ui::count(all.len(), "object");
        ui::say(format!("In the store, of all history: {count} ({bytes}), {} sent now.", brought.done.len()));
        ui::say(format!("Staged: {} as pointers of s3lfs.", ui::count(*files, "file")));
    }
    // Also a run that had nothing left to do after one that was stopped.
    let staged = || Ok::<_, CliError>(index::changed_since_head()?.contains(PATH.as_bytes().as_bstr()));
    if *files > 0 || !attributes.is_empty() || staged()? {
        ui::say("To finish: git commit -m 'Large files with s3lfs'");
    }
    ui::say(match [&plan.there, &plan.here, &plan.missing].iter().all(|pointers| pointers.is_empty()) {
        true => "No commit of this repository has a pointer of Git LFS.",
        false => {
            "Older commits keep their Git LFS pointers. Where git-lfs or its server is gone, 's3lfs git-setup --lfs' has \
             s3lfs answer for them."
        }
    });
    Ok(())
}

fn tell_failed(global: &Global, named: &Named, brought: &Brought) -> Result<CliError, CliError> {
    let failed: BTreeSet<Pointer> =
        named.pointers().filter(|pointer| brought.failed.contains_key(&pointer.oid)).copied().collect();
    let paths = named.paths_of(&failed)?;
    for (oid, why) in brought.failed.iter().take(NAMES) {
        ui::warn(format!("{} ({oid}): {why}", paths.get(oid).map_or("(no path)", String::as_str)));
    }
    if global.json {
        let done = named.pointers().filter(|pointer| brought.done.contains(&pointer.oid));
        let error = |(oid, why): (&Oid, &String)| json!({ "oid": oid.hex(), "error": why });
        ui::answer_json("migrate", done.map(|pointer| item(pointer, "sent")), brought.failed.iter().map(error))?;
    }
    let count = ui::count(brought.failed.len(), "object");
    Ok(CliError::partial(format!("{count} of Git LFS could not be brought into the store; no file was changed"))
        .hint("run the command again when the cause is mended: what was sent is not sent again")
        .hint("a damaged object of git-lfs: 'git lfs fsck' moves it away, then 'git lfs fetch --all'"))
}
