//! `doctor`: every part of the set-up, looked at one by one, with the command that mends what is wrong.
//!
//! Apart because it goes on where every other command stops at the first error. Nothing is changed: the store
//! gets a probe, which is deleted again, and only if the store was accepted.

mod committed;
mod disk;
mod finding;
mod git_lfs;
mod hooks;
mod permissions;
mod program;
mod readable;
mod settings;
mod store;
mod unanswered;

use clap::Args;

use crate::cli::Global;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::manifest_file;
use crate::config::GitConfig;
use crate::manifest::Manifest;
use finding::{Finding, Findings, Show};

/// Arguments of `doctor`.
#[derive(Args, Debug)]
pub struct Doctor {
    /// Look only at what reading needs, and write nothing to the store
    #[arg(long)]
    read_only: bool,
}

/// Whether the store is written to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Use {
    Reading,
    Writing,
}

/// Look at everything; an error if something stops work.
pub fn run(global: &Global, args: &Doctor) -> Result<(), CliError> {
    let mut findings = Findings::new(match (global.json, global.quiet) {
        (true, _) => Show::None,
        (_, true) => Show::Bad,
        _ => Show::All,
    });
    examine(global, args, &mut findings)?;
    findings.conclude()
}

fn examine(global: &Global, args: &Doctor, findings: &mut Findings) -> Result<(), CliError> {
    if !program::git(findings)? {
        return Ok(());
    }
    // A part that can't be looked at is a finding, and the others are looked at all the same.
    let Some(config) = readable::settings(findings)? else { return Ok(()) };
    program::on_path(findings)?;
    readable::temporary_files().map_or(Ok(()), |found| findings.add(found))?;
    let context = match Context::open_also_bare() {
        Ok(context) => Some(context),
        // A store before there is a repository for it: it was named, and is looked at.
        Err(e) if global.overrides().bucket.is_some() => {
            findings.add(Finding::note("repository", format!("{}: only the store is looked at", e.message)))?;
            None
        }
        Err(e) => {
            findings.add(readable::repository(e))?;
            None
        }
    };
    if let Some(found) = context.as_ref().and_then(readable::head) {
        return findings.add(found);
    }
    // Without a worktree nothing is filtered.
    if context.as_ref().is_none_or(|context| context.repo.worktree().is_some()) {
        settings::filter(&config, context.is_some(), findings)?;
    }
    settings::values(&config, findings)?;
    let mut manifest = None;
    if let Some(context) = &context {
        program::repository(context, findings)?;
        manifest = of_repository(context, &config, findings)?;
        let cache = disk::cache(context, &config, findings);
        findings.take(cache, "cache")?;
    }
    let way = if args.read_only { Use::Reading } else { Use::Writing };
    let store = store::examine(global, &config, context.as_ref(), manifest.as_ref(), way, findings);
    findings.take(store, "store")
}

/// What this repository has of its own, and its manifest.
fn of_repository(context: &Context, config: &GitConfig, findings: &mut Findings) -> Result<Option<Manifest>, CliError> {
    let is_bare = context.repo.worktree().is_none();
    let index = if is_bare { None } else { readable::index(context) };
    let manifest = match index {
        // What is in the worktree can be told all the same; if nothing is, the index would have to be asked.
        Some(found) => {
            findings.add(found)?;
            manifest_file::for_reading(None).unwrap_or_default()
        }
        None => {
            let manifest = committed::manifest(context, findings);
            let manifest = findings.take(manifest, "manifest")?;
            if !is_bare {
                let attributes = committed::attributes(context, manifest.as_ref(), findings);
                findings.take(attributes, "attributes")?;
                let pointers = committed::pointers(findings);
                findings.take(pointers, "content")?;
                let lfs = git_lfs::examine(config, findings);
                findings.take(lfs, "git-lfs")?;
            }
            manifest
        }
    };
    if !is_bare {
        let hooks = hooks::examine(context, findings);
        findings.take(hooks, "hook")?;
        disk::index_lock(context).map_or(Ok(()), |found| findings.add(found))?;
    }
    Ok(manifest)
}
