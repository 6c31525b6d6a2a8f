//! `verify --fix`: whole copies for what the store lacks or holds damaged.
//!
//! Apart from `verify`, which only looks. A copy comes from the cache, from the file in the worktree or
//! from a reading store; each is hashed on its way, so that nothing that was not checked ever takes
//! an object's place. What is in the store is written over only after `verify` found it damaged.

use std::collections::BTreeMap;

use crate::cache::Health;
use crate::cli::check::named::Named;
use crate::cli::context::Context;
use crate::cli::error::{CliError, one_line};
use crate::cli::manifest_file;
use crate::cli::session::Session;
use crate::cli::tracking::uploads::{Way, note};
use crate::cli::ui::progress;
use crate::config::Settings;
use crate::filter::clean::clean;
use crate::oid::Oid;
use crate::pointer::Form;
use crate::repo_path::RepoPath;
use crate::transfer::{Item, Job, Moved, Patience};
use crate::worktree::{open, present_oid};

/// Write `items` into the store: those that could not be, and why.
pub fn mend(
    context: &Context,
    settings: &Settings,
    named: &Named,
    items: &[Item],
) -> Result<BTreeMap<Item, String>, CliError> {
    for item in items {
        let cache = context.cache();
        if matches!(cache.examine(&item.oid), Ok(Health::Damaged)) {
            cache.set_aside(&item.oid)?;
        }
        if cache.find(&item.oid, None).is_none() && context.repo.worktree().is_some() {
            cache_from_worktree(context, named, item)?;
        }
    }
    let manifest = manifest_file::for_reading(None)?;
    let mut session = Session::open(context, settings, Patience::Long)?;
    session.register(manifest.as_ref().and_then(|manifest| manifest.repository_id.as_deref()), None)?;
    let report = progress::run(&mut session.transfer, "Uploading", items.iter().copied().map(Job::Renew));
    let done: Vec<(Oid, Moved)> = report.done.iter().map(|(item, moved)| (item.oid, *moved)).collect();
    note(&mut session.uploaded, &done, Way::Up)?;
    session.share();
    Ok(report.failed.into_iter().map(|(item, e)| (item, one_line(e))).collect())
}

/// A file that was never changed since still has the content.
fn cache_from_worktree(context: &Context, named: &Named, item: &Item) -> Result<(), CliError> {
    for name in named.names(item) {
        // What no worktree can have, or what can't be read, is no help.
        let Ok(path) = RepoPath::new(name.path.clone()) else { continue };
        if !matches!(present_oid(&context.worktree, &path), Ok(Some(oid)) if oid == item.oid) {
            continue;
        }
        clean(&mut open(&context.worktree, &path)?, &context.cache(), Form::Ours)?;
        return Ok(());
    }
    Ok(())
}
