//! What manifests say that are pushed, or stand in commits that the other side has.
//!
//! Apart from the content that is brought because a manifest is read from a tree, never from the worktree.

use std::collections::HashSet;

use bstr::{BStr, ByteSlice};

use crate::cli::error::CliError;
use crate::cli::manifest_file;
use crate::git::batch::Batch;
use crate::git::new_blobs::NewBlob;
use crate::git::objects::ObjectId;
use crate::git::push::Range;
use crate::manifest::{Manifest, PATH, only, python_yaml};
use crate::oid::Oid;
use crate::remote::Remote;
use crate::transfer::Item;

pub fn store_of(manifest: &Manifest) -> Option<String> {
    let endpoint = manifest.endpoint_url.as_deref();
    Remote::new(&manifest.bucket_name, &manifest.repo_prefix, endpoint).ok().map(|remote| remote.to_string())
}

/// Whether a commit that the other side has, and that the pushed ones build on, names another store.
pub fn moves_the_store(objects: &mut Batch, store: Option<&str>, range: &Range) -> Result<bool, CliError> {
    let mut last = None;
    for commit in &range.boundary {
        let bytes = manifest_file::bytes_at(objects, commit, PATH)?;
        // Branches that were published have mostly one and the same manifest.
        if bytes.is_some() && last.as_ref() == Some(&bytes) {
            continue;
        }
        if manifest_file::at(objects, commit)?.as_ref().and_then(store_of).as_deref() != store {
            return Ok(true);
        }
        last = Some(bytes);
    }
    Ok(false)
}

/// Reads the manifests among the blobs that are pushed, each once.
pub struct ManifestOnly<'a> {
    objects: &'a mut Batch,
    seen: HashSet<ObjectId>,
}

impl<'a> ManifestOnly<'a> {
    /// Reads them from `objects`.
    pub fn new(objects: &'a mut Batch) -> Self {
        ManifestOnly { objects, seen: HashSet::new() }
    }

    /// Show the manifest-only entries of this blob, if it is a manifest, and all of the later Python tool's. One that
    /// does not parse names nothing that a reader could ask for.
    pub fn read(
        &mut self,
        blob: &NewBlob,
        mut see: impl FnMut(Item, &BStr) -> Result<(), CliError>,
    ) -> Result<(), CliError> {
        let of_python = python_yaml::is_part(&blob.path);
        if (!of_python && blob.path != PATH) || !self.seen.insert(blob.id.clone()) {
            return Ok(());
        }
        let bytes = self.objects.blob(blob.id.as_bstr())?;
        if of_python {
            let named = bytes.and_then(|bytes| python_yaml::named_in(&bytes).ok());
            let mut named = named.into_iter().flatten().filter(|(_, oid)| *oid != Oid::of(b""));
            return named.try_for_each(|(path, oid)| see(oid.into(), path.as_bytes().as_bstr()));
        }
        let bytes = bytes.filter(|bytes| !only::has_none(bytes));
        let Some(manifest) = bytes.and_then(|bytes| Manifest::parse(&bytes).ok()) else { return Ok(()) };
        let only = manifest.files.iter().filter(|(path, _)| manifest.is_manifest_only(path));
        let mut only = only.filter(|(_, oid)| **oid != Oid::of(b""));
        only.try_for_each(|(path, oid)| see((*oid).into(), path.as_bytes().as_bstr()))
    }
}
