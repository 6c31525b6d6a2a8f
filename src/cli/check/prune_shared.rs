//! `prune --shared`: drop from the directory that clones share what none of them needs.
//!
//! Apart because the directory is nobody's: of what uses it, each clone in its register is asked, and what can't be
//! asked stops it. Content goes that our store was just found to have, a remote's commits name, and no clone does.

use std::collections::BTreeSet;

use super::clones::{self, Clones};
use super::prune::{Kept, Prune, confirmed, damaged_in_store, names, report, unneeded};
use crate::cli::Global;
use crate::cli::cleanup::sight;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::local_cache::forget_notes;
use crate::cli::session::engine;
use crate::cli::tracking::published;
use crate::config::Settings;
use crate::error::chain;
use crate::oid::Oid;
use crate::transfer::{Item, Patience};

/// Drop from the shared directory what our store was just found to have, a remote's commits name, and no clone
/// needs: neither this one nor any other in the register. What only clones with other stores can fetch again stays.
/// So does what no remote has a commit of: it may belong to a commit that a clone has not pushed which used the
/// directory before there was a register. What published commits name, a cleanup keeps, as long as they are published:
/// a branch can be deleted, and then a clone's unpushed commit may be the last to name it.
pub fn run(global: &Global, args: &Prune, context: &Context, settings: &Settings) -> Result<(), CliError> {
    let nowhere = || {
        CliError::user("there is no shared cache that can be used")
            .hint("name its directory with 'git config s3lfs.cachedir'; this clone's own is pruned without --shared")
    };
    let shared = context.cache().shared_directory().ok_or_else(nowhere)?;
    if let Some(clone) = &args.forget {
        clones::forget(&shared, clone)?;
    }
    let others = Clones::others(context, &shared)?;
    others.tell_gone(if args.dry_run { None } else { Some(&shared) })?;
    let all = shared.oids()?;
    let mut needed = names(context)?;
    needed.extend(others.needed()?);
    let mut candidates = unneeded(&shared, &all, &needed);
    let mut transfer = engine(context.cache(), settings, Patience::Long)?;
    let mut confirmed = confirmed(&mut transfer, &candidates, &[])?;
    if args.verify {
        let read: Vec<Item> = confirmed.iter().map(|oid| Item::from(*oid)).collect();
        for oid in damaged_in_store(context, settings, read)? {
            confirmed.remove(&oid);
        }
    }
    let unconfirmed = candidates.iter().filter(|cached| !confirmed.contains(&cached.oid)).count();
    let published = published_now(&confirmed)?;
    let unpublished = confirmed.difference(&published).count();
    candidates.retain(|cached| published.contains(&cached.oid));
    if !(args.dry_run || candidates.is_empty()) {
        // Again, since asking took its time: somebody may have named meanwhile what was unneeded.
        let mut needed = names(context)?;
        needed.extend(Clones::others(context, &shared)?.needed()?);
        candidates.retain(|cached| !needed.contains(&cached.oid));
    }
    let (mut dropped, mut failed) = (Vec::new(), Vec::new());
    for cached in candidates {
        match if args.dry_run { Ok(()) } else { shared.remove(&cached.oid) } {
            Ok(()) => dropped.push(cached),
            Err(e) => failed.push((cached.oid, chain(&e))),
        }
    }
    if !args.dry_run {
        forget_notes(&context.repo.state_dir(), &shared)?;
    }
    let kept = Kept { all: all.len().saturating_sub(dropped.len()), unconfirmed, unpublished };
    report(global, args.dry_run, &dropped, kept, &failed)
}

/// Those of `oids` that a commit names which a remote has. Each is asked; of one that does not answer,
/// what it had lately counts.
fn published_now(oids: &BTreeSet<Oid>) -> Result<BTreeSet<Oid>, CliError> {
    if oids.is_empty() {
        return Ok(BTreeSet::new());
    }
    let mut told = Vec::new();
    for url in sight::remotes()?.into_values().flatten().collect::<BTreeSet<_>>() {
        told.extend(sight::advertised_and_here(&url)?);
    }
    published::among(oids, &told)
}
