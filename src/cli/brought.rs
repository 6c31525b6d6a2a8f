//! What a push brings: the content that its commits name, and where.
//!
//! Apart from the gate, which judges it: this only walks what Git will send.

use std::collections::{BTreeMap, HashSet};

use bstr::{BString, ByteSlice};
use globset::{GlobBuilder, GlobMatcher};

use super::error::CliError;
use crate::config::GitConfig;
use crate::git::objects::{self, BlobKind, ObjectId};
use crate::git::push::{self, NewBlob, Update};
use crate::manifest::{Manifest, PATH};
use crate::oid::Oid;
use crate::remote::Remote;
use crate::repo_path::Printable;
use crate::transfer::Item;

/// What the pushed commits bring.
#[derive(Default)]
pub struct Brought {
    /// Content that must be in the store, and where it is named.
    pub items: BTreeMap<Item, Named>,
    /// Content that stands in Git itself under a filtered path.
    pub raw: Vec<Named>,
}

/// Where content is named.
#[derive(Clone)]
pub struct Named {
    /// Path in the commit.
    pub path: BString,
    /// The commit that brings it.
    pub commit: ObjectId,
}

impl Brought {
    /// Content may have several names. The one that counts most is kept: one that is not exempt.
    fn name(&mut self, item: Item, named: Named, exempt: &Exempt) {
        let known = self.items.get(&item);
        if known.is_none_or(|known| exempt.covers(known) && !exempt.covers(&named)) {
            self.items.insert(item, named);
        }
    }
}

/// The paths whose content may be missing: the globs of `s3lfs.allowmissing`.
pub struct Exempt(Vec<GlobMatcher>);

impl Exempt {
    /// As the user's settings say.
    pub fn new(config: &GitConfig) -> Result<Self, CliError> {
        let mut globs = Vec::new();
        for pattern in config.all("s3lfs.allowmissing") {
            let glob = GlobBuilder::new(&pattern.to_str_lossy()).literal_separator(true).build();
            globs.push(glob.map_err(|e| CliError::user(format!("s3lfs.allowmissing: {e}")))?.compile_matcher());
        }
        Ok(Exempt(globs))
    }

    /// Whether this content may be missing.
    pub fn covers(&self, named: &Named) -> bool {
        self.0.iter().any(|glob| glob.is_match(named.path.to_str_lossy().as_ref()))
    }
}

/// Look at every commit that Git will send.
pub fn brought(remote: &str, updates: &[Update], exempt: &Exempt) -> Result<Brought, CliError> {
    let mut brought = Brought::default();
    if updates.is_empty() {
        return Ok(brought);
    }
    let mut known = push::published(remote)?;
    for update in updates {
        let mut blobs = push::new_blobs(update, &known)?;
        // A second ref need not walk again what the first one brings.
        known.push(update.local.clone());
        let moves = moves_the_store(&blobs)?;
        if moves {
            blobs.extend(push::all_blobs(&update.local)?);
        }
        let mut guarded = push::under_filter(&blobs, &update.local)?;
        guarded.extend(named_by_manifest(&blobs, &guarded, &update.local)?);
        for (blob, kind) in guarded.iter().zip_kinds()? {
            let named = Named { path: blob.path.clone(), commit: blob.commit.clone() };
            match kind {
                BlobKind::Pointer(pointer) => brought.name(pointer.into(), named, exempt),
                // What only stands in the tree, and was not added now, was let pass before.
                BlobKind::Raw if moves => {}
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
            brought.name(item, named, exempt);
        }
    }
    Ok(brought)
}

/// Whether a pushed commit names another store than the commit before it: then everything that its
/// tip names has to be there, not only what is new.
fn moves_the_store(blobs: &[NewBlob]) -> Result<bool, CliError> {
    let store = |bytes: Option<Vec<u8>>| {
        let manifest = Manifest::parse(&bytes?).ok()?;
        Remote::new(&manifest.bucket_name, &manifest.repo_prefix, manifest.endpoint_url.as_deref()).ok()
    };
    for blob in blobs.iter().filter(|blob| blob.path == PATH) {
        let before = [blob.commit.as_slice(), b"^:", PATH.as_bytes()].concat();
        let (before, after) = (store(objects::read(before.as_bstr())?), store(objects::read(blob.id.as_bstr())?));
        if after.is_some() && before != after {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Blobs without the attribute (`.gitattributes` was forgotten) that the tip's manifest records all the
/// same: whoever goes by the manifest will ask for their content.
fn named_by_manifest(blobs: &[NewBlob], guarded: &[NewBlob], tip: &ObjectId) -> Result<Vec<NewBlob>, CliError> {
    let expression = [tip.as_slice(), b":", PATH.as_bytes()].concat();
    let Some(manifest) = objects::read(expression.as_bstr())?.and_then(|bytes| Manifest::parse(&bytes).ok()) else {
        return Ok(Vec::new());
    };
    let guarded: HashSet<&NewBlob> = guarded.iter().collect();
    let recorded = |blob: &&NewBlob| blob.path.to_str().is_ok_and(|path| manifest.files.contains_key(path));
    let candidates = blobs.iter().filter(|blob| !guarded.contains(blob)).filter(recorded);
    let pointers = candidates.zip_kinds()?.into_iter().filter(|(_, kind)| matches!(kind, BlobKind::Pointer(_)));
    Ok(pointers.map(|(blob, _)| blob.clone()).collect())
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
