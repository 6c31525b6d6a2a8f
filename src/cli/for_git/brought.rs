//! What a push brings: the content that its commits name, and where.
//!
//! Apart from the gate, which judges it: this only walks what Git will send.

use std::collections::BTreeMap;
use std::rc::Rc;

use bstr::{BStr, ByteSlice};

use crate::cache::LocalCache;
use crate::cli::error::CliError;
use crate::cli::for_git::claims::{Claiming, Named, Settled};
use crate::cli::for_git::exempt::Exempt;
use crate::cli::for_git::pre_push::{NAMES, Push};
use crate::cli::for_git::pushed_manifests::{ManifestOnly, moves_the_store, store_of};
use crate::cli::manifest_file;
use crate::cli::tracking::bare_pointers::{self, LOOKED_AT};
use crate::git::batch::Batch;
use crate::git::new_blobs::{NewBlob, NewBlobs};
use crate::git::objects::{self, BlobKind, Looker, ObjectId};
use crate::git::push::{self as git_push, Update};
use crate::manifest::Manifest;
use crate::pointer::{Form, Pointer};
use crate::repo_path::Printable;
use crate::transfer::Item;

/// What the pushed commits bring to one store.
pub struct Brought {
    /// The pushed tip; the first, where several name this store.
    pub tip: ObjectId,
    /// The manifest of the pushed tip, if it has one.
    pub manifest: Option<Manifest>,
    /// Content that must be in the store, and where it is named.
    pub content: Settled,
    /// Content that stands in Git itself under a filtered path.
    pub raw: Raws,
    /// Pointers that nothing turns into content: the first ones.
    pub bare: Vec<(NewBlob, Pointer)>,
}

/// Raw content, which no store is to have.
#[derive(Default)]
pub struct Raws {
    /// The first ones.
    pub named: Vec<Named>,
    /// Under the filter of which form the first one stands.
    pub form: Form,
    /// How many there are.
    pub count: usize,
}

/// Look at every commit that Git will send, for each store that a pushed tip names: its own manifest
/// counts, not the worktree's, which may be another branch's.
pub fn brought(push: &Push<'_>, forms: &[Form], exempt: &Exempt, cache: &LocalCache) -> Result<Vec<Brought>, CliError> {
    let updates = push.updates;
    if updates.is_empty() {
        return Ok(Vec::new());
    }
    let known = git_push::published(push.remote)?;
    // One child for all manifests: a push may bring thousands.
    let mut objects = Batch::start()?;
    let mut shares: BTreeMap<Option<String>, (Option<Manifest>, Vec<&Update>)> = BTreeMap::new();
    for update in updates {
        let manifest = manifest_file::at(&mut objects, &update.local)?;
        let store = manifest.as_ref().and_then(store_of);
        shares.entry(store).or_insert((manifest, Vec::new())).1.push(update);
    }
    let mut all = Vec::new();
    for (store, (manifest, updates)) in shares {
        let mut range = git_push::range(&updates, &known)?;
        let all_counts = moves_the_store(&mut objects, store.as_deref(), &range)?;
        let mut look = Look {
            manifest: manifest.as_ref(),
            tips: updates.iter().map(|update| update.local.clone()).collect(),
            exempt,
            cache,
            claiming: Claiming::default(),
            raw: Raws::default(),
            bare: Vec::new(),
        };
        look.walk(Walk { range: &mut range, all_counts, updates: &updates, forms }, &mut objects)?;
        let Look { claiming, raw, bare, tips, .. } = look;
        let bare = bare_pointers::in_commits(bare, &tips)?;
        let content = claiming.settle(cache, &range.boundary)?;
        let tip = updates.first().expect("a store is named by an update").local.clone();
        all.push(Brought { tip, manifest, content, raw, bare });
    }
    Ok(all)
}

/// What is looked at for one store.
struct Walk<'a> {
    range: &'a mut git_push::Range,
    /// Also what is published already: the store is another one.
    all_counts: bool,
    updates: &'a [&'a Update],
    /// Under which filters: also git-lfs's, where s3lfs answers for it.
    forms: &'a [Form],
}

/// What is found for one store.
struct Look<'a> {
    manifest: Option<&'a Manifest>,
    tips: Vec<ObjectId>,
    exempt: &'a Exempt,
    cache: &'a LocalCache,
    claiming: Claiming,
    raw: Raws,
    /// Pointers without our filter.
    bare: Vec<NewBlob>,
}

impl Look<'_> {
    fn walk(&mut self, walk: Walk<'_>, objects: &mut Batch) -> Result<(), CliError> {
        let Walk { range, all_counts, updates, forms } = walk;
        // What is already published counts anew where the store is another one, or where attributes
        // changed: then everything that the tips name has to be there. Where nothing is published, all of it is new.
        let mut standing = NewBlobs::default();
        if !range.boundary.is_empty() && (all_counts || range.blobs.have_attributes()) {
            git_push::each_blob_of_tips(&self.tips, |commit, path, id| standing.add(commit, path, id))?;
        }
        for &form in forms {
            // What git-lfs published before, however long ago, its own server has.
            if form == Form::Lfs && !all_counts {
                let mut new = git_push::range(updates, &git_push::tips_of_remotes()?)?;
                self.look(form, &mut new.blobs, Standing::New)?;
                continue;
            }
            self.look(form, &mut range.blobs, Standing::New)?;
            self.look(form, &mut standing, Standing::Before)?;
        }
        let mut manifests = ManifestOnly::new(objects);
        for blobs in [&mut range.blobs, &mut standing] {
            blobs.each(|blob| manifests.read(blob, |item, path| self.claim(item, path, blob, None)))?;
        }
        Ok(())
    }

    /// Claim what stands under the filter of this form, and what the tip's manifest records without it
    /// (`.gitattributes` was forgotten): whoever goes by the manifest will ask for their content. Other pointers
    /// (untracked since, or text that only looks so) are not asked for. But of those that a commit brings, what this
    /// clone's cache has is sent along: an older commit may need it.
    fn look(&mut self, form: Form, blobs: &mut NewBlobs, standing: Standing) -> Result<(), CliError> {
        let is_under = git_push::all_under_filter(form, blobs, &self.tips)?;
        let mut is_under = is_under.iter().copied();
        let (is_ours, is_new) = (form == Form::Ours, standing == Standing::New);
        let mut looker = Looker::for_many(blobs.len());
        blobs.chunks(AT_ONCE, |some| {
            let mut picked = Vec::new();
            for (blob, is_under) in some.iter().zip(&mut is_under) {
                let why = match is_under {
                    true => Why::Filtered,
                    false if is_ours && self.is_recorded(blob) => Why::Recorded,
                    false if is_ours && is_new => Why::Along,
                    false => continue,
                };
                picked.push((blob, why));
            }
            for ((blob, why), kind) in picked.iter().zip(kinds(&mut looker, form, &picked)?) {
                match (why, kind) {
                    (Why::Filtered, BlobKind::Missing) => return Err(unreadable(blob)),
                    (Why::Filtered, BlobKind::Raw) if is_new => self.refuse(form, blob),
                    (Why::Filtered | Why::Recorded, BlobKind::Pointer(pointer)) => self.claim_blob(pointer, blob)?,
                    (Why::Along, BlobKind::Pointer(pointer)) => {
                        if self.bare.len() < LOOKED_AT {
                            self.bare.push((*blob).clone());
                        }
                        if self.cache.find_own(&pointer.oid, Some(pointer.size)).is_some() {
                            self.claim_blob(pointer, blob)?;
                        }
                    }
                    _ => {}
                }
            }
            Ok(())
        })?;
        looker.keep();
        Ok(())
    }

    fn is_recorded(&self, blob: &NewBlob) -> bool {
        let Some(manifest) = self.manifest else { return false };
        blob.path.to_str().is_ok_and(|path| manifest.files.contains_key(path))
    }

    fn refuse(&mut self, form: Form, blob: &NewBlob) {
        if self.raw.count == 0 {
            self.raw.form = form;
        }
        self.raw.count += 1;
        if self.raw.named.len() < NAMES {
            self.raw.named.push(Named { path: blob.path.clone(), commit: Rc::clone(&blob.commit) });
        }
    }

    fn claim_blob(&mut self, pointer: Pointer, blob: &NewBlob) -> Result<(), CliError> {
        self.claim(pointer.into(), blob.path.as_bstr(), blob, Some(blob.id.as_bstr()))
    }

    fn claim(&mut self, item: Item, path: &BStr, blob: &NewBlob, named_by: Option<&BStr>) -> Result<(), CliError> {
        self.claiming.claim(item, path, &blob.commit, named_by, self.exempt.covers(path))
    }
}

/// Why a blob is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Why {
    /// Its path has the filter.
    Filtered,
    /// The tip's manifest names its path.
    Recorded,
    /// A commit brings it.
    Along,
}

/// Since when blobs stand where they are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// A pushed commit adds them: raw content is refused.
    New,
    /// They stood there before.
    Before,
}

/// What each of them is. A partial clone has not everything that stood there before: what is wanted is fetched.
fn kinds(looker: &mut Looker, form: Form, picked: &[(&NewBlob, Why)]) -> Result<Vec<BlobKind>, CliError> {
    let ids: Vec<&BStr> = picked.iter().map(|(blob, _)| blob.id.as_bstr()).collect();
    let mut kinds = looker.kinds_of(form, &ids)?;
    let is_missing = |at: &usize| picked[*at].1 == Why::Filtered && kinds[*at] == BlobKind::Missing;
    let missing: Vec<usize> = (0..ids.len()).filter(is_missing).collect();
    if !missing.is_empty() {
        let absent: Vec<&BStr> = missing.iter().map(|&at| ids[at]).collect();
        objects::fetch_promised(absent.iter().copied())?;
        let fetched = looker.kinds_of(form, &absent)?;
        missing.into_iter().zip(fetched).for_each(|(at, kind)| kinds[at] = kind);
    }
    Ok(kinds)
}

fn unreadable(blob: &NewBlob) -> CliError {
    let path = Printable(&blob.path);
    CliError::user(format!("cannot read {path} of commit {}, which is to be pushed", blob.commit))
        .hint("fetch the missing objects: git fetch --refetch")
}

/// Blobs that are looked at together: what is known of them is held in memory.
const AT_ONCE: usize = 20_000;
