//! Whether a manifest-only file that differs from the manifest may go for what the manifest names.
//!
//! Apart because Git keeps no copy of such a file: here it is decided that it is nobody's last one (design.md,
//! invariant 1).

use std::collections::BTreeSet;

use super::download::Waiting;
use crate::cache::Health;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::session::Session;
use crate::cli::ui;
use crate::error::chain;
use crate::filter::clean::clean;
use crate::git::history;
use crate::oid::Oid;
use crate::pointer::{Form, Pointer};
use crate::store::legacy::{LegacyObject, Located};
use crate::worktree::{Overwrite, Target, open, present_oid};

/// A manifest-only file that differs is not the user's change if its content is in the store, and a manifest that
/// HEAD or a remote has named it: then a colleague's newer one may take its place. What is left is kept: what a stash
/// or a branch of this clone alone names is the user's work, and what no commit names would be found by nobody again.
pub(super) fn replaceable(
    context: &Context,
    session: &mut Session,
    stale: Vec<Target>,
    waiting: &mut Waiting,
) -> Result<Vec<Target>, CliError> {
    let mut kept = Vec::new();
    let present_oid =
        |target: &Target| if target.tracked { Ok(None) } else { present_oid(&context.worktree, &target.path) };
    let present = stale.iter().map(present_oid).collect::<Result<Vec<_>, _>>()?;
    let published = published(&present.iter().flatten().copied().collect());
    for (target, present) in stale.into_iter().zip(present) {
        let store = session.transfer.store().clone();
        match present {
            // Unless the store says that it has it, it is kept: a record may be days old.
            Some(oid)
                if published.contains(&oid)
                    && session.transfer.ask(|| store.locate(&oid)).is_ok_and(is_whole)
                    && is_cached(context, &target, &oid) =>
            {
                waiting.entry(target.item).or_default().push((target, Overwrite::Stored(oid)));
            }
            _ => kept.push(target),
        }
    }
    Ok(kept)
}

/// Those that a manifest in a commit which HEAD or a remote-tracking ref reaches named. What can't be told was not.
fn published(oids: &BTreeSet<Oid>) -> BTreeSet<Oid> {
    history::named_by_published_manifests(oids).unwrap_or_else(|e| {
        ui::warn(format!("warning: {}", chain(&e)));
        BTreeSet::new()
    })
}

/// Whether all of an object is there. Of the Python tool's chunks nobody knows how many there were.
fn is_whole(located: Option<Located>) -> bool {
    match located {
        Some(Located::Ours(_)) => true,
        Some(Located::Legacy(objects)) => objects.iter().any(LegacyObject::is_surely_whole),
        None => false,
    }
}

/// Whether the cache has a sound copy by now. That an object is there does not tell whether it is sound, and to read it
/// would cost as much as the file that is wanted; what was fetched or uploaded here is cached as a rule.
fn is_cached(context: &Context, target: &Target, oid: &Oid) -> bool {
    let cache = context.cache();
    if matches!(cache.examine(oid), Ok(Health::Sound(_))) {
        return true;
    }
    let copied = || -> Result<bool, CliError> {
        let cleaned = clean(&mut open(&context.worktree, &target.path)?, &cache, Form::Ours)?;
        let named = Pointer::parse(&cleaned.blob).is_some_and(|pointer| pointer.oid == *oid);
        Ok(named && cache.find(oid, None).is_some())
    };
    copied().unwrap_or_else(|e| {
        ui::warn(format!("warning: {} could not be kept in the local cache: {}", target.path, e.message));
        false
    })
}
