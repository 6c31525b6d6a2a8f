//! The push gate: nothing is published that names content which is not in the store (design.md,
//! invariant 2).
//!
//! Apart because it is the authority: merges, picks and rebases run no pre-commit, and a commit may
//! have been made without the network.

use std::collections::BTreeMap;

use bstr::{BString, ByteSlice};
use globset::GlobBuilder;

use super::context::{Context, Registered, Session, not_accepted};
use super::error::{CliError, one_line};
use super::uploads::{self, Believe};
use super::{Global, manifest_file, ui};
use crate::config::{Acceptance, GitConfig, Settings};
use crate::git::objects::{self, BlobKind, ObjectId};
use crate::git::push::{self, NewBlob, Update};
use crate::manifest::{Manifest, PATH};
use crate::oid::Oid;
use crate::repo_path::Printable;
use crate::store::registration::without_credentials;
use crate::transfer::{Item, Patience};
use crate::uploaded::Uploaded;

/// How many refused files are named before the rest is counted.
const NAMES: usize = 20;

/// What the pushed commits bring.
#[derive(Default)]
struct Brought {
    /// Content that must be in the store, and where it is named.
    items: BTreeMap<Item, Named>,
    /// Content that stands in Git itself under a filtered path.
    raw: Vec<Named>,
}

/// Where content is named.
#[derive(Clone)]
struct Named {
    path: BString,
    commit: ObjectId,
}

/// Let the push go, or say why not.
pub fn run(global: &Global, remote: &str, url: &str, updates: &[Update]) -> Result<(), CliError> {
    let context = Context::open()?;
    let config = GitConfig::load()?;
    let brought = brought(remote, updates)?;
    refuse_raw(&config, &brought.raw)?;
    let manifest = manifest_file::for_reading(None)?;
    if brought.items.is_empty() && manifest.is_none() {
        return Ok(());
    }
    let settings = Settings::resolve(&global.overrides(), &config, manifest.as_ref())?;
    let id = manifest.as_ref().and_then(|m| m.repository_id.as_deref());
    if settings.acceptance == Acceptance::NotAccepted {
        if brought.items.is_empty() {
            return Ok(());
        }
        return Err(not_accepted(&settings));
    }
    let uploaded = Uploaded::open(&context.repo.state_dir(), &settings.remote)?;
    let pending: BTreeMap<Item, Named> =
        brought.items.into_iter().filter(|(item, _)| !uploaded.is_fresh(&item.oid)).collect();
    let url = without_credentials(url);
    if pending.is_empty() {
        // Nothing new: only a URL that was never registered is worth a connection, and no failure of
        // that may stop the push.
        let Some(id) = id.filter(|_| !updates.is_empty()) else { return Ok(()) };
        if Registered::new(&context.repo.state_dir(), &settings.remote, id, Some(&url)).is_known()? {
            return Ok(());
        }
        let registered = Session::open(&context.repo, &settings, Patience::Short)
            .and_then(|mut session| session.register(Some(id), Some(&url)));
        if let Err(e) = registered {
            ui::warn(format!("warning: this remote could not be registered in the store: {}", e.message));
        }
        return Ok(());
    }
    let mut session = Session::open(&context.repo, &settings, Patience::Long)?;
    session.register(id, Some(&url)).map_err(|e| CliError { message: format!("push refused: {}", e.message), ..e })?;
    let failed = uploads::upload(&mut session, pending.keys().copied(), Believe::Records)?.failed;
    refuse_missing(&config, &pending, failed)
}

/// Look at every commit that Git will send.
fn brought(remote: &str, updates: &[Update]) -> Result<Brought, CliError> {
    let mut brought = Brought::default();
    if updates.is_empty() {
        return Ok(brought);
    }
    let mut known = push::published(remote)?;
    for update in updates {
        let blobs = push::new_blobs(update, &known)?;
        // A second ref need not walk again what the first one brings.
        known.push(update.local.clone());
        for blob in push::under_filter(&blobs, &update.local)?.iter().zip_kinds()? {
            let (blob, kind) = blob;
            let named = Named { path: blob.path.clone(), commit: blob.commit.clone() };
            match kind {
                BlobKind::Pointer(pointer) => drop(brought.items.entry(pointer.into()).or_insert(named)),
                BlobKind::Raw => brought.raw.push(named),
                BlobKind::Empty => {}
                BlobKind::Missing => {
                    return Err(CliError::user(format!(
                        "cannot read {} of commit {}, which is to be pushed",
                        Printable(&blob.path),
                        blob.commit
                    ))
                    .hint("fetch the missing objects: git fetch --refetch"));
                }
            }
        }
        for (item, named) in manifest_only(&blobs)? {
            brought.items.entry(item).or_insert(named);
        }
    }
    Ok(brought)
}

/// Blobs with what each of them is.
trait ZipKinds<'a> {
    fn zip_kinds(self) -> Result<Vec<(&'a NewBlob, BlobKind)>, CliError>;
}

impl<'a, I: Iterator<Item = &'a NewBlob>> ZipKinds<'a> for I {
    fn zip_kinds(self) -> Result<Vec<(&'a NewBlob, BlobKind)>, CliError> {
        let blobs: Vec<&NewBlob> = self.collect();
        let kinds = objects::kinds(blobs.iter().map(|blob| blob.id.as_bstr()))?;
        Ok(blobs.into_iter().map(|blob| (blob, kinds.get(&blob.id).copied().unwrap_or(BlobKind::Missing))).collect())
    }
}

/// The manifest-only entries of every manifest that is pushed. One that does not parse names nothing
/// that a reader could ask for.
fn manifest_only(blobs: &[NewBlob]) -> Result<Vec<(Item, Named)>, CliError> {
    let mut found = Vec::new();
    for blob in blobs.iter().filter(|blob| blob.path == PATH) {
        let Some(manifest) = objects::read(blob.id.as_bstr())?.and_then(|bytes| Manifest::parse(&bytes).ok()) else {
            continue;
        };
        for (path, oid) in manifest.files.iter().filter(|(path, _)| manifest.is_manifest_only(path)) {
            if *oid != Oid::of(b"") {
                found.push(((*oid).into(), Named { path: path.as_str().into(), commit: blob.commit.clone() }));
            }
        }
    }
    Ok(found)
}

fn refuse_raw(config: &GitConfig, raw: &[Named]) -> Result<(), CliError> {
    if raw.is_empty() || config.bool("s3lfs.allowraw")?.unwrap_or(false) {
        return Ok(());
    }
    for named in raw.iter().take(NAMES) {
        ui::warn(format!(
            "{} holds its content in Git, not a pointer (commit {})",
            Printable(&named.path),
            named.commit
        ));
    }
    Err(CliError::user(format!("push refused: {} under filter=s3lfs with raw content", ui::count(raw.len(), "file")))
        .hint("turn them into pointers: git add --renormalize . && git commit --amend (or rebase, for older commits)")
        .hint("to push them raw all the same: git -c s3lfs.allowraw=true push"))
}

fn refuse_missing(
    config: &GitConfig,
    pending: &BTreeMap<Item, Named>,
    failed: Vec<(Oid, crate::transfer::TransferError)>,
) -> Result<(), CliError> {
    let mut globs = Vec::new();
    for pattern in config.all("s3lfs.allowmissing") {
        let glob = GlobBuilder::new(&pattern.to_str_lossy()).literal_separator(true).build();
        globs.push(glob.map_err(|e| CliError::user(format!("s3lfs.allowmissing: {e}")))?.compile_matcher());
    }
    let mut refused = 0;
    for (oid, error) in failed {
        let Some(named) = pending.iter().find(|(item, _)| item.oid == oid).map(|(_, named)| named) else { continue };
        if globs.iter().any(|glob| glob.is_match(named.path.to_str_lossy().as_ref())) {
            ui::warn(format!("{} is not in the store; s3lfs.allowmissing lets it pass", Printable(&named.path)));
            continue;
        }
        refused += 1;
        if refused <= NAMES {
            let short = &named.commit[..named.commit.len().min(12)];
            ui::warn(format!("{} ({oid}, commit {}): {}", Printable(&named.path), short.as_bstr(), one_line(error)));
        }
    }
    if refused == 0 {
        return Ok(());
    }
    Err(CliError::user(format!("push refused: the content of {} is not in the store", ui::count(refused, "file")))
        .hint("push again when the store answers, or from the clone that has the content"))
}
