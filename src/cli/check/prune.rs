//! `prune`: drop cached content that the store has and nothing here is about to need.
//!
//! Apart because it is the one command that deletes from the cache. What it drops was found in the store
//! by this very run, so a mistake costs a download; what only this disk has is never dropped, whatever
//! names it or does not. It looks at this repository's own objects alone; at the shared
//! directory, `prune_shared` does.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::{clones, prune_shared};
use crate::cache::{Cached, LocalCache};
use crate::cli::Global;
use crate::cli::cleanup::reachable::manifests_on_disk;
use crate::cli::context::Context;
use crate::cli::error::{CliError, one_line};
use crate::cli::leftovers;
use crate::cli::session::{engine, require_accepted, settings_for_reading};
use crate::cli::ui;
use crate::config::Settings;
use crate::error::chain;
use crate::git::history::{Roots, Seen, WalkError, walk_remembering};
use crate::names::{Manifests, Newer, in_named_blob, in_small_blob};
use crate::oid::Oid;
use crate::store::codec::may_encode;
use crate::transfer::{Item, Job, Patience, Transfer};

/// Arguments of `prune`.
#[derive(Args, Debug)]
pub struct Prune {
    /// Only tell what would be dropped
    #[arg(long)]
    pub dry_run: bool,
    /// Read each object in the store, and drop only what it has whole
    #[arg(long)]
    pub verify: bool,
    /// Prune the directory that clones share (s3lfs.cachedir), and not this clone's own cache
    #[arg(long)]
    pub shared: bool,
    /// Drop also what this clone needs of the shared directory: it is deleted, or nothing in it is unpushed
    #[arg(long, value_name = "CLONE", requires = "shared", conflicts_with = "dry_run")]
    pub forget: Option<PathBuf>,
    /// What is needed here, for another clone that prunes what it shares with this one
    #[arg(long, hide = true, conflicts_with_all = ["shared", "dry_run", "verify"])]
    needed: bool,
}

/// A checkout that takes longer than this is not waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// Drop what may go.
pub fn run(global: &Global, args: Prune) -> Result<(), CliError> {
    if args.needed {
        return clones::answer();
    }
    let mut context = Context::open()?;
    let cache = context.cache();
    let settings = settings_for_reading(global)?;
    require_accepted(&settings)?;
    if !args.dry_run {
        leftovers::sweep(&context);
    }
    if args.shared {
        return prune_shared::run(global, &args, &context, &settings);
    }
    let all = cache.oids()?;
    let mut candidates = unneeded(&cache, &all, &names(&context)?);
    let mut damaged = cache.set_aside_objects()?;
    // With it, temporary files go that a killed command left more than a day ago.
    let mut transfer = engine(cache.clone(), &settings, Patience::Long)?;
    // The Python tool's layout proves nothing here: its parts may not be whole.
    let mut confirmed = confirmed(&mut transfer, &candidates, &damaged)?;
    if args.verify {
        let read: Vec<Item> = confirmed.iter().map(|oid| Item::from(*oid)).collect();
        for oid in damaged_in_store(&context, &settings, read)? {
            confirmed.remove(&oid);
        }
    }
    let unconfirmed = candidates.iter().filter(|cached| !confirmed.contains(&cached.oid)).count();
    candidates.retain(|cached| confirmed.contains(&cached.oid));
    // A damaged copy may hold what can be saved of the only one, until the store has a good one.
    damaged.retain(|bad| confirmed.contains(&bad.oid));

    let (mut dropped, mut failed) = (Vec::new(), Vec::new());
    if args.dry_run {
        dropped = [candidates, damaged].concat();
    } else if !(candidates.is_empty() && damaged.is_empty()) {
        context.let_go_of_cache();
        let busy = || {
            CliError::user("another Git or s3lfs command uses the cache right now; nothing was dropped")
                .hint("run 's3lfs prune' again when it has ended")
        };
        let _alone = cache.alone(PATIENCE).ok_or_else(busy)?;
        // Again, since asking took its time: somebody may have named meanwhile what was unneeded.
        let needed = names(&context)?;
        candidates.retain(|cached| !needed.contains(&cached.oid));
        let whole = candidates.into_iter().map(|cached| (cached, cache.remove(&cached.oid)));
        let aside = damaged.into_iter().map(|bad| (bad, cache.remove_set_aside(&bad.oid)));
        for (cached, removed) in whole.chain(aside) {
            match removed {
                Ok(()) => dropped.push(cached),
                Err(e) => failed.push((cached.oid, chain(&e))),
            }
        }
    }
    let kept = Kept { all: all.len().saturating_sub(dropped.len()), unconfirmed, unpublished: 0 };
    report(global, args.dry_run, &dropped, kept, &failed)
}

/// Those of `all` that nothing needs.
pub fn unneeded(cache: &LocalCache, all: &[Oid], needed: &HashSet<Oid>) -> Vec<Cached> {
    all.iter().filter(|oid| !needed.contains(*oid)).filter_map(|oid| cache.cached(oid)).collect()
}

/// Those of `whole` and `damaged` that the store has as objects, which may be that long; without a question, it is not
/// asked.
pub fn confirmed(transfer: &mut Transfer, whole: &[Cached], damaged: &[Cached]) -> Result<BTreeSet<Oid>, CliError> {
    let asked: Vec<Oid> = whole.iter().chain(damaged).map(|cached| cached.oid).collect();
    if asked.is_empty() {
        return Ok(BTreeSet::new());
    }
    let sizes: HashMap<Oid, u64> = whole.iter().map(|cached| (cached.oid, cached.len)).collect();
    let may_be = |oid: &Oid, len| sizes.get(oid).is_none_or(|size| may_encode(len, *size));
    let mut presence = transfer.which_may_be_there(asked, may_be)?;
    match presence.unknown.pop() {
        Some((_, e)) => Err(CliError::from(e).hint("nothing was dropped")),
        None => Ok(presence.objects().collect()),
    }
}

/// Those of `items` that the store can't give back whole, which is said of each.
pub fn damaged_in_store(context: &Context, settings: &Settings, items: Vec<Item>) -> Result<Vec<Oid>, CliError> {
    let only = Settings { reading: Vec::new(), ..settings.clone() };
    let mut transfer = engine(LocalCache::keeping_nothing(context.repo.state_dir()), &only, Patience::Long)?;
    let failed = ui::progress::run(&mut transfer, "Reading", items.iter().copied().map(Job::Download)).failed;
    Ok(failed
        .into_iter()
        .map(|(item, error)| {
            ui::warn(format!("kept {}: {}", item.oid, one_line(error)));
            item.oid
        })
        .collect())
}

/// What is needed here: by the indexes and manifests of all worktrees, and by every commit that was
/// not pushed.
pub fn names(context: &Context) -> Result<HashSet<Oid>, CliError> {
    let mut named = named_by(&Roots::unpublished(&context.repo)?, &mut Manifests::default())?;
    named.extend(named_now(context)?);
    Ok(named)
}

/// What is named now by the indexes and manifests of all worktrees.
fn named_now(context: &Context) -> Result<HashSet<Oid>, CliError> {
    let (pointers, rest) = Roots::indexes_remembered(&context.repo)?;
    let mut manifests = Manifests::default();
    let mut named = named_by(&rest, &mut manifests)?;
    named.extend(pointers.iter().map(|pointer| pointer.oid));
    for manifest in manifests_on_disk(&context.repo)? {
        // Mostly the same as the index's.
        named.extend(manifests.next(&manifest).map_err(refusal)?);
    }
    Ok(named)
}

fn named_by(roots: &Roots, manifests: &mut Manifests) -> Result<HashSet<Oid>, CliError> {
    let mut named = HashSet::new();
    // What goes was found in the store, so that a mistake costs a download.
    let walked = walk_remembering(roots, |seen| {
        match seen {
            Seen::Small(_, blob) => named.extend(in_small_blob(blob)?),
            Seen::Manifest(_, blob) => named.extend(manifests.next(blob)?),
            Seen::Named(_, blob) => named.extend(in_named_blob(blob)?),
        }
        Ok::<(), Newer>(())
    });
    match walked {
        Ok(()) => Ok(named),
        Err(WalkError::Seen(newer)) => Err(refusal(newer)),
        Err(e) => Err(CliError::from(e).hint("nothing was dropped")),
    }
}

fn refusal(newer: Newer) -> CliError {
    CliError::user(format!("{newer}, so that what it needs can't be told; nothing was dropped")).hint("update s3lfs")
}

/// What stays, in numbers.
pub struct Kept {
    /// All of it.
    pub all: usize,
    /// Those that would go, were they in the store.
    pub unconfirmed: usize,
    /// Those that would go, had a remote a commit of them.
    pub unpublished: usize,
}

impl Kept {
    /// Why those stay that nothing here needs.
    fn why(&self) -> String {
        let named = "named by no commit that a remote has";
        match (self.unconfirmed, self.unpublished) {
            (0, 0) => String::new(),
            (n, 0) => format!(" ({n} of them not in the store)"),
            (0, n) => format!(" ({n} of them {named})"),
            (n, m) => format!(" ({n} of them not in the store, {m} {named})"),
        }
    }
}

/// Say what was dropped and what stays.
pub fn report(
    global: &Global,
    dry_run: bool,
    dropped: &[Cached],
    kept: Kept,
    failed: &[(Oid, String)],
) -> Result<(), CliError> {
    if global.json {
        let items = dropped.iter().map(|cached| json!({ "oid": cached.oid.hex(), "size": cached.len }));
        let errors = failed.iter().map(|(oid, why)| json!({ "oid": oid.hex(), "error": why }));
        ui::answer_json("prune", items, errors)?;
    } else if dry_run || global.verbose {
        let line = |cached: &Cached| format!("{} {:>10}\n", cached.oid, ui::bytes(cached.len));
        ui::answer(dropped.iter().map(line).collect::<String>().as_bytes())?;
    }
    let bytes = ui::bytes(dropped.iter().map(|cached| cached.len).sum());
    let verb = if dry_run { "would be dropped" } else { "dropped" };
    let (count, why) = (ui::count(dropped.len(), "cached object"), kept.why());
    ui::say(format!("{count} ({bytes}) {verb}, {} kept{why}", kept.all));
    match failed {
        [] => Ok(()),
        _ => {
            failed.iter().for_each(|(oid, why)| ui::warn(format!("{oid}: {why}")));
            let message = format!("{} could not be dropped", ui::count(failed.len(), "cached object"));
            Err(CliError::partial(message).hint("run prune again when what stood in the way is mended"))
        }
    }
}
