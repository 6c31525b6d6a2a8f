//! `--purge-from-s3`: delete the objects of removed files now, without waiting for their age.
//!
//! Apart from `remove` because everything is asked before anything is changed: who else names the
//! content, in which paths and commits, here and on the remotes (design.md, section 6).

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use bstr::{BString, ByteSlice};
use clap::Args;

use crate::cli::Global;
use crate::cli::cleanup::SAFE;
use crate::cli::cleanup::announced::{Announced, Leave};
use crate::cli::cleanup::reachable::{incomplete, manifests_elsewhere, require_whole_history};
use crate::cli::cleanup::sight::{self, Scope};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::session::{Session, settings};
use crate::cli::ui;
use crate::config::GitConfig;
use crate::git::history::{self, Roots, Seen, WalkError, walk};
use crate::git::objects::{self, ObjectId};
use crate::git::{index, roots, worktrees};
use crate::manifest::{Manifest, PATH};
use crate::names::{self, Newer};
use crate::oid::Oid;
use crate::repo_path::Printable;
use crate::store::key::{Asset, RepositoryId};
use crate::store::legacy;
use crate::store::sweeping::DELETES;
use crate::transfer::{Deadline, Patience};

/// How many commits and paths are named.
const NAMES: usize = 20;

/// What `remove` and `remove-subtree` take for purging.
#[derive(Args, Debug)]
pub struct PurgeArgs {
    /// Delete the content from the store, too
    #[arg(long)]
    pub purge_from_s3: bool,
    /// Purge although commits still name the content: they can't be checked out whole any more
    #[arg(long, requires = "purge_from_s3")]
    force: bool,
    /// Fetch what the remotes have and this clone has not, into refs of its own
    #[arg(long, requires = "purge_from_s3")]
    fetch: bool,
    /// Ask no remote (wants --force)
    #[arg(long, requires = "force", conflicts_with = "fetch")]
    local_refs_only: bool,
}

/// Leave to delete.
pub struct Purge {
    session: Session,
    repository_id: Option<String>,
    removed: BTreeMap<BString, Oid>,
    scope: Scope,
    urls: BTreeSet<String>,
    force: bool,
    /// What everybody had when it was asked, and when that was, by the store's clock.
    tips: Vec<ObjectId>,
    began: SystemTime,
}

impl Purge {
    /// Ask everything that has to be asked. `removed`: the paths that go, each with its content.
    pub fn check(
        context: &Context,
        global: &Global,
        args: &PurgeArgs,
        manifest: Option<&Manifest>,
        removed: &BTreeMap<BString, Oid>,
    ) -> Result<Self, CliError> {
        require_whole_history()?;
        let oids: BTreeSet<Oid> = removed.values().copied().collect();
        refuse_shared(manifest, removed, &oids)?;
        refuse_elsewhere(context, &oids)?;
        let settings = settings(global, &GitConfig::load()?, manifest)?;
        let mut session = Session::open(context, &settings, Patience::Long)?;
        let repository_id = manifest.and_then(|manifest| manifest.repository_id.clone());
        let registration = sight::require_alone(&mut session.transfer, repository_id.as_deref())?;
        if let (None, Some(id)) = (&registration, &repository_id) {
            session.require_registered(&RepositoryId::new(id)?)?;
        }
        let scope = match (args.local_refs_only, args.fetch) {
            (true, _) => Scope::LocalOnly,
            (false, true) => Scope::Fetch,
            (false, false) => Scope::Everybody,
        };
        let began = session.transfer.store().now();
        let urls = registration.map(|r| r.git_urls).unwrap_or_default();
        let tips = sight::everybody(scope, &urls)?;
        refuse_named(context, &tips, removed, &oids, args.force)?;
        let removed = removed.clone();
        Ok(Purge { session, repository_id, removed, scope, urls, force: args.force, tips, began })
    }

    /// Delete the objects of `oids`, in whichever layout they are: those of which something is still there,
    /// and why. After an error, any may be.
    pub fn delete(mut self, context: &Context, oids: &BTreeSet<Oid>) -> Result<BTreeMap<Oid, String>, CliError> {
        sight::require_alone(&mut self.session.transfer, self.repository_id.as_deref())?;
        self.session.uploaded.forget(|oid| oids.contains(oid))?;
        let mut announced = Announced::default();
        let deleted = self.announced(context, oids, &mut announced);
        announced.end(&mut self.session.transfer);
        deleted
    }

    /// Whoever writes the content again meanwhile waits, as for a cleanup (`announced`).
    fn announced(
        &mut self,
        context: &Context,
        oids: &BTreeSet<Oid>,
        announced: &mut Announced,
    ) -> Result<BTreeMap<Oid, String>, CliError> {
        let deadline = match announced.batch(&mut self.session.transfer)? {
            Leave::Until(deadline) => deadline,
            // Nobody else can write there either.
            Leave::Full(_) => Deadline::after(DELETES),
        };
        self.look_again(context, oids)?;
        let (began, paths) = (self.began, self.removed.keys().collect::<BTreeSet<_>>());
        let transfer = &mut self.session.transfer;
        let shards: BTreeSet<u8> = oids.iter().map(|oid| oid.as_bytes()[0]).collect();
        let (mut assets, mut held): (Vec<Asset>, Vec<Asset>) = Default::default();
        let mut newer = Vec::new();
        let (now, mut young) = (transfer.store().now(), false);
        transfer.list_shards(shards, |listed| {
            if oids.contains(&listed.asset.oid()) {
                if listed.modified > began {
                    newer.push(listed.asset);
                } else if is_of(&listed.asset, &paths) {
                    young |= now.duration_since(listed.modified).unwrap_or_default() < SAFE;
                    assets.push(listed.asset)
                } else {
                    held.push(listed.asset)
                }
            }
        })?;
        announced.require_ours(transfer)?;
        let failed = announced.delete(transfer, &assets, deadline);
        let remote = transfer.store().remote();
        for asset in held {
            ui::warn(format!(
                "{} is kept: it has the content, but the Python s3lfs wrote it for another path, perhaps another \
                 repository's",
                asset.key(remote.prefix())
            ));
        }
        for asset in newer {
            ui::warn(format!("{} is kept: it was written anew meanwhile", asset.key(remote.prefix())));
        }
        ui::say(format!("Deleted {} from {remote}", ui::count(assets.len() - failed.len(), "object")));
        // A push that finds everything in fresh records opens no connection (design.md, section 2, 2).
        if young && assets.len() > failed.len() && !sight::remotes()?.is_empty() {
            ui::warn(
                "warning: another clone with a commit of this content that it has not pushed yet may believe for some \
                 days that it is in the store; before it pushes, send it again from there: s3lfs upload <file>",
            );
        }
        Ok(failed.into_iter().map(|(asset, e)| (asset.oid(), format!("it is still tracked: {e}"))).collect())
    }
}

impl Purge {
    /// To fetch what only had pointers here may have taken hours: somebody may have pushed or committed.
    fn look_again(&self, context: &Context, oids: &BTreeSet<Oid>) -> Result<(), CliError> {
        let tips = sight::everybody(self.scope, &self.urls)?;
        if tips.iter().collect::<BTreeSet<_>>() != self.tips.iter().collect() {
            return Err(CliError::user("somebody pushed meanwhile, and may need the content")
                .hint("nothing was deleted: 's3lfs cleanup' deletes later what nobody names"));
        }
        refuse_elsewhere(context, oids)?;
        // What --force takes in the bargain was said before.
        if self.force { Ok(()) } else { refuse_named(context, &tips, &self.removed, oids, false) }
    }
}

/// Whether an object was written for one of these paths. Of ours, any was.
fn is_of(asset: &Asset, paths: &BTreeSet<&BString>) -> bool {
    let Asset::Legacy(_, name) = asset else { return true };
    let whole = legacy::without_chunk(name);
    let names = [name, whole, name.strip_suffix(".gz").unwrap_or(name), whole.strip_suffix(".gz").unwrap_or(whole)];
    names.iter().any(|name| paths.contains(&BString::from(*name)))
}

/// Content that another path of the present has is never deleted, whatever is forced.
fn refuse_shared(
    manifest: Option<&Manifest>,
    removed: &BTreeMap<BString, Oid>,
    oids: &BTreeSet<Oid>,
) -> Result<(), CliError> {
    let mut others: BTreeSet<BString> = BTreeSet::new();
    // Also a pointer that no pattern covers any more: whoever covers it again wants its content.
    let entries = index::entries(&[])?;
    let kinds = objects::kinds(entries.iter().map(|entry| entry.id.as_bstr()))?;
    for entry in entries {
        let pointer = kinds.get(&entry.id).and_then(|kind| kind.pointer());
        if pointer.is_some_and(|pointer| oids.contains(&pointer.oid)) && !removed.contains_key(&entry.path) {
            others.insert(entry.path);
        }
    }
    for (path, oid) in manifest.iter().flat_map(|manifest| &manifest.files) {
        if oids.contains(oid) && !removed.contains_key(path.as_bytes().as_bstr()) {
            others.insert(path.as_str().into());
        }
    }
    let Some(first) = others.first() else { return Ok(()) };
    for path in others.iter().take(NAMES) {
        ui::warn(format!("{} has the same content", Printable(path)));
    }
    Err(CliError::user(format!("nothing was changed: {} has the same content, and keeps it", Printable(first)))
        .hint("remove that file too, or leave --purge-from-s3 out"))
}

/// Nor is content that another worktree has in its index or checked out: somebody works with it.
fn refuse_elsewhere(context: &Context, oids: &BTreeSet<Oid>) -> Result<(), CliError> {
    let own = context.repo.git_dir().canonicalize().ok();
    for dir in roots::git_dirs(&context.repo)?.into_iter().filter(|dir| dir.canonicalize().ok() != own) {
        let mut blobs = roots::index_of(&dir)?;
        blobs.extend(roots::head_of(&dir)?);
        let kinds = objects::kinds(blobs.iter().map(|(_, id)| id.as_bstr()))?;
        let mut names: BTreeSet<&BString> = BTreeSet::new();
        for (path, id) in &blobs {
            let pointer = kinds.get(id).and_then(|kind| kind.pointer());
            let in_manifest = || -> Result<bool, CliError> {
                let bytes = if path == PATH { objects::read(id.as_bstr())? } else { None };
                let manifest = bytes.and_then(|bytes| Manifest::parse(&bytes).ok());
                Ok(manifest.is_some_and(|manifest| manifest.files.values().any(|oid| oids.contains(oid))))
            };
            if pointer.is_some_and(|pointer| oids.contains(&pointer.oid)) || in_manifest()? {
                names.insert(path);
            }
        }
        if names.is_empty() {
            continue;
        }
        let worktree = worktrees::top_of(&context.repo, &dir)?.unwrap_or(dir);
        let worktree = worktree.display();
        for path in names.iter().take(NAMES) {
            ui::warn(format!("{} in the worktree {worktree} names the content", Printable(path)));
        }
        return Err(CliError::user(format!("nothing was changed: the worktree {worktree} still has the content"))
            .hint("remove it there too (or check out there what does not have it), or leave --purge-from-s3 out")
            .hint("a worktree that was deleted by hand: git worktree prune"));
    }
    Ok(())
}

/// Whatever else names the content: with `force` it is only told. The walk decides; the commits are
/// looked for to be shown.
fn refuse_named(
    context: &Context,
    tips: &[ObjectId],
    removed: &BTreeMap<BString, Oid>,
    oids: &BTreeSet<Oid>,
    force: bool,
) -> Result<(), CliError> {
    let mut blobs: BTreeSet<ObjectId> = BTreeSet::new();
    let own = removed.keys().cloned().collect();
    let roots = Roots::besides(&context.repo, &own)?.and(tips.iter().cloned());
    let walked = walk(&roots, |seen| -> Result<(), Newer> {
        let (id, named) = match seen {
            Seen::Small(id, blob) => (id, names::in_small_blob(blob)?),
            Seen::Manifest(id, blob) => (id, names::in_manifest(blob)?),
            Seen::Named(id, blob) => (id, names::in_named_blob(blob)?),
        };
        if named.iter().any(|oid| oids.contains(oid)) {
            blobs.insert(id.to_owned());
        }
        Ok(())
    });
    walked.map_err(|e| incomplete(e, "changed"))?;
    let mut uncommitted = false;
    for manifest in manifests_elsewhere(&context.repo)? {
        let named = names::in_manifest(&manifest).map_err(|e| incomplete(WalkError::Seen(e), "changed"))?;
        uncommitted |= named.iter().any(|oid| oids.contains(oid));
    }
    if blobs.is_empty() && !uncommitted {
        return Ok(());
    }
    let commits = commits_with(&blobs, tips)?;
    for commit in commits.iter().take(NAMES) {
        ui::warn(format!("named in commit {commit}"));
    }
    if commits.len() > NAMES {
        ui::warn(format!("and in {} more", ui::count(commits.len() - NAMES, "commit")));
    }
    if commits.is_empty() {
        ui::warn(
            "named by a tag, the index or manifest of another worktree, or what a fetch or an unfinished operation noted",
        );
    }
    if force {
        return Ok(());
    }
    let count = if commits.is_empty() { String::new() } else { format!(", in {}", ui::count(commits.len(), "commit")) };
    Err(CliError::user(format!("nothing was changed: the content is still named{count} here or on the remotes"))
        .hint("who checks that out will not get the file; to delete it all the same, say --force")
        .hint("or leave --purge-from-s3 out: 's3lfs cleanup' deletes it when nothing names it any more"))
}

/// The commits that bring these blobs in, or take them out.
fn commits_with(blobs: &BTreeSet<ObjectId>, tips: &[ObjectId]) -> Result<Vec<BString>, CliError> {
    let mut commits = BTreeSet::new();
    let blobs: Vec<&ObjectId> = blobs.iter().collect();
    for some in blobs.chunks(500) {
        let log = history::git(&["-c", "log.showRoot=true", "log", "--all", "--reflog", "-m", "--format=%H"]);
        let log = log.args(some.iter().map(|blob| format!("--find-object={blob}")));
        let input = tips.iter().flat_map(|tip| [tip.as_slice(), b"\n"].concat()).collect();
        let output = log.args(["--no-patch", "--stdin"]).input(input).output()?;
        commits.extend(output.lines().filter(|line| !line.is_empty()).map(BString::from));
    }
    Ok(commits.into_iter().collect())
}
