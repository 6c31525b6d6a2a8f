//! `doctor`: every part of the set-up, looked at one by one, with the command that mends what is wrong.
//!
//! Apart because it goes on where every other command stops at the first error. Nothing is changed: the store
//! gets a probe, which is deleted again, and only if the store was accepted.

mod committed;
mod disk;
mod finding;
mod hooks;
mod permissions;
mod program;
mod settings;
mod store;

use clap::Args;

use crate::cli::Global;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::config::GitConfig;
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
    program::on_path(findings)?;
    let context = match Context::open_also_bare() {
        Ok(context) => Some(context),
        Err(e) => {
            findings.add(Finding::refused("repository", e))?;
            None
        }
    };
    let config = GitConfig::load()?;
    settings::filter(&config, context.is_some(), findings)?;
    settings::values(&config, findings)?;
    let mut manifest = None;
    if let Some(context) = &context {
        program::repository(context, findings)?;
        manifest = committed::manifest(context, findings)?;
        if context.repo.worktree().is_some() {
            committed::attributes(context, manifest.as_ref(), findings)?;
            hooks::examine(context, findings)?;
            disk::index_lock(context).map_or(Ok(()), |found| findings.add(found))?;
        }
        disk::cache(context, &config, findings)?;
    }
    let way = if args.read_only { Use::Reading } else { Use::Writing };
    store::examine(global, &config, context.as_ref(), manifest.as_ref(), way, findings)
}
