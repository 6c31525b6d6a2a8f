//! What a push brings: the content that its commits name, and where.
//!
//! Apart from the gate, which judges it: this only walks what Git will send.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::rc::Rc;

use bstr::{BStr, BString, ByteSlice};

use crate::cache::{Health, LocalCache};
use crate::cli::error::CliError;
use crate::cli::for_git::exempt::Exempt;
use crate::cli::for_git::pre_push::Push;
use crate::cli::for_git::pushed_manifests::{manifest_at, manifest_only, moves_the_store, store_of};
use crate::git::batch::Batch;
use crate::git::objects::{self, BlobKind, ObjectId};
use crate::git::push::{self as git_push, NewBlob, Update};
use crate::manifest::Manifest;
use crate::oid::Oid;
use crate::pointer::Form;
use crate::repo_path::Printable;
use crate::transfer::Item;

/// What the pushed commits bring to one store.
pub struct Brought {
    /// The manifest of the pushed tip, if it has one.
    pub manifest: Option<Manifest>,
    /// Content that must be in the store, and where it is named.
    pub items: BTreeMap<Item, Named>,
    /// Content that stands in Git itself under a filtered path.
    pub raw: Vec<(Named, Form)>,
    /// Pointers with a size that is not the content's: nobody could check them out.
    pub lying: Vec<Lie>,
    /// Paths whose cached content is damaged, and was set aside.
    pub damaged: Vec<Named>,
    /// Content that is not here, with a size that nothing published names for it: a record of the content is none of
    /// that size.
    pub doubtful: BTreeSet<Item>,
}

/// A pointer with a wrong size.
pub struct Lie {
    /// Where it stands.
    pub named: Named,
    /// The size that it names.
    pub size: u64,
    /// What tells that it is wrong.
    pub proof: Proof,
}

/// See [`Lie`].
pub enum Proof {
    /// The content is here, with so many bytes.
    Content(u64),
    /// The pointer of another path has the same oid and this size. Either may be wrong.
    Pointer(Named, u64),
}

/// Where content is named.
#[derive(Clone)]
pub struct Named {
    /// Path in the commit.
    pub path: BString,
    /// The commit that brings it.
    pub commit: Rc<ObjectId>,
}

impl Named {
    fn by(blob: &NewBlob) -> Self {
        Named { path: blob.path.clone(), commit: Rc::clone(&blob.commit) }
    }
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
        let manifest = manifest_at(&mut objects, &update.local)?;
        let store = manifest.as_ref().and_then(store_of);
        shares.entry(store).or_insert((manifest, Vec::new())).1.push(update);
    }
    let mut all = Vec::new();
    for (store, (manifest, updates)) in shares {
        let mut share = Brought {
            manifest,
            items: BTreeMap::new(),
            raw: Vec::new(),
            lying: Vec::new(),
            damaged: Vec::new(),
            doubtful: BTreeSet::new(),
        };
        let range = git_push::range(&updates, &known)?;
        let all_counts = moves_the_store(&mut objects, store.as_deref(), &range)?;
        share.walk(Walk { range: &range, all_counts, updates: &updates, forms }, exempt, cache, &mut objects)?;
        all.push(share);
    }
    Ok(all)
}

/// What is looked at for one store.
struct Walk<'a> {
    range: &'a git_push::Range,
    /// Also what is published already: the store is another one.
    all_counts: bool,
    updates: &'a [&'a Update],
    /// Under which filters: also git-lfs's, where s3lfs answers for it.
    forms: &'a [Form],
}

impl Brought {
    fn walk(
        &mut self,
        Walk { range, all_counts, updates, forms }: Walk<'_>,
        exempt: &Exempt,
        cache: &LocalCache,
        objects: &mut Batch,
    ) -> Result<(), CliError> {
        self.take_along(&range.blobs, exempt, cache)?;
        let tips: Vec<ObjectId> = updates.iter().map(|update| update.local.clone()).collect();
        // What is already published counts anew where the store is another one, or where attributes
        // changed: then everything that the tips name has to be there. Where nothing is published, all of it is new.
        let mut standing = Vec::new();
        let changes = |blob: &NewBlob| blob.path.ends_with(b".gitattributes");
        if !range.boundary.is_empty() && (all_counts || range.blobs.iter().any(changes)) {
            // Branches and tags have mostly the same files.
            let mut seen = HashSet::new();
            for tip in &tips {
                let wanted = |path: &BStr, id: &BStr| tips.len() == 1 || seen.insert((path.to_owned(), id.to_owned()));
                standing.extend(git_push::blobs_where(tip, wanted)?);
            }
        }
        for &form in forms {
            // What git-lfs published before, however long ago, its own server has.
            if form == Form::Lfs && !all_counts {
                let new = git_push::range(updates, &git_push::tips_of_remotes()?)?;
                self.name_content(form, &new.blobs, &tips, exempt, Raw::Refuse)?;
                continue;
            }
            self.name_content(form, &range.blobs, &tips, exempt, Raw::Refuse)?;
            self.name_content(form, &standing, &tips, exempt, Raw::LetPass)?;
        }
        for (item, named) in manifest_only(objects, range.blobs.iter().chain(&standing))? {
            self.name(item, named, exempt);
        }
        self.find_lies(cache)?;
        self.find_doubtful(cache, &range.boundary, range.blobs.iter().chain(&standing))
    }

    /// Somebody who edits the size line of a pointer leaves the oid as it was. A pointer that is published is no
    /// news, under whatever path: then these very bytes stand there.
    fn find_doubtful<'a>(
        &mut self,
        cache: &LocalCache,
        published: &[ObjectId],
        blobs: impl Iterator<Item = &'a NewBlob>,
    ) -> Result<(), CliError> {
        let not_here = |item: &&Item| item.size.is_some() && cache.find(&item.oid, None).is_none();
        self.doubtful = self.items.keys().filter(not_here).copied().collect();
        if self.doubtful.is_empty() || published.is_empty() {
            return Ok(());
        }
        let mut brought: HashSet<&BStr> = blobs.map(|blob| blob.id.as_bstr()).collect();
        for commit in published {
            let mut there = git_push::blobs_where(commit, |_, id| brought.contains(id))?;
            // Branches that were published have mostly the same files.
            there.retain(|blob| brought.remove(blob.id.as_bstr()));
            for_each_kind(Form::Ours, &there.iter().collect::<Vec<_>>(), |_, kind| {
                if let BlobKind::Pointer(pointer) = kind {
                    self.doubtful.remove(&pointer.into());
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Pointers under no filter at the tip (untracked since, or text that only looks so) are not asked
    /// for. But what this clone's cache has is sent along: an older commit may need it.
    fn take_along(&mut self, blobs: &[NewBlob], exempt: &Exempt, cache: &LocalCache) -> Result<(), CliError> {
        for_each_kind(Form::Ours, &blobs.iter().collect::<Vec<_>>(), |blob, kind| {
            if let BlobKind::Pointer(pointer) = kind
                && cache.find_own(&pointer.oid, Some(pointer.size)).is_some()
            {
                self.name(pointer.into(), Named::by(blob), exempt);
            }
            Ok(())
        })
    }

    fn name_content(
        &mut self,
        form: Form,
        blobs: &[NewBlob],
        tips: &[ObjectId],
        exempt: &Exempt,
        raw: Raw,
    ) -> Result<(), CliError> {
        let mut guarded = git_push::under_filter(form, blobs, tips)?;
        if form == Form::Ours {
            guarded.extend(self.named_by_manifest(blobs, &guarded)?);
        }
        let mut missing = Vec::new();
        for_each_kind(form, &guarded, |blob, kind| {
            match kind {
                BlobKind::Missing => missing.push(blob),
                kind => self.guard(form, blob, kind, exempt, raw),
            }
            Ok(())
        })?;
        // A partial clone has not everything that stood there before.
        if !missing.is_empty() {
            objects::fetch_promised(missing.iter().map(|blob| blob.id.as_bstr()))?;
        }
        for_each_kind(form, &missing, |blob, kind| match kind {
            BlobKind::Missing => Err(unreadable(blob)),
            kind => {
                self.guard(form, blob, kind, exempt, raw);
                Ok(())
            }
        })
    }

    fn guard(&mut self, form: Form, blob: &NewBlob, kind: BlobKind, exempt: &Exempt, raw: Raw) {
        match kind {
            BlobKind::Pointer(pointer) => self.name(pointer.into(), Named::by(blob), exempt),
            BlobKind::Raw if raw == Raw::Refuse => self.raw.push((Named::by(blob), form)),
            BlobKind::Raw | BlobKind::Empty | BlobKind::Extended | BlobKind::Missing => {}
        }
    }

    /// The size can be judged where this clone has the content, or two pointers disagree.
    fn find_lies(&mut self, cache: &LocalCache) -> Result<(), CliError> {
        let mut before: Option<(Oid, u64, &Named)> = None;
        for (item, named) in &self.items {
            let Some(size) = item.size else { continue };
            let other = before.replace((item.oid, size, named)).filter(|(oid, ..)| *oid == item.oid);
            let cached = cache.find(&item.oid, None).map(|cached| cached.size);
            if cached.is_some_and(|cached| cached != size) && matches!(cache.examine(&item.oid), Ok(Health::Damaged)) {
                // It proves nothing. The store may have the content.
                cache.set_aside(&item.oid)?;
                self.damaged.push(named.clone());
                continue;
            }
            let proof = match (cached, other) {
                (Some(right), _) if right != size => Proof::Content(right),
                (None, Some((_, other, named))) => Proof::Pointer(named.clone(), other),
                _ => continue,
            };
            self.lying.push(Lie { named: named.clone(), size, proof });
        }
        Ok(())
    }

    /// Blobs without the attribute (`.gitattributes` was forgotten) that the tip's manifest records all
    /// the same: whoever goes by the manifest will ask for their content.
    fn named_by_manifest<'a>(&self, blobs: &'a [NewBlob], guarded: &[&NewBlob]) -> Result<Vec<&'a NewBlob>, CliError> {
        let Some(manifest) = &self.manifest else { return Ok(Vec::new()) };
        let guarded: HashSet<&NewBlob> = guarded.iter().copied().collect();
        let recorded = |blob: &&NewBlob| blob.path.to_str().is_ok_and(|path| manifest.files.contains_key(path));
        let candidates: Vec<_> = blobs.iter().filter(|blob| !guarded.contains(blob)).filter(recorded).collect();
        let mut pointers = Vec::new();
        for_each_kind(Form::Ours, &candidates, |blob, kind| {
            pointers.extend(kind.pointer().map(|_| blob));
            Ok(())
        })?;
        Ok(pointers)
    }
}

/// What becomes of raw content under a filtered path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Raw {
    /// A pushed commit adds it.
    Refuse,
    /// It stood there before.
    LetPass,
}

fn unreadable(blob: &NewBlob) -> CliError {
    let path = Printable(&blob.path);
    CliError::user(format!("cannot read {path} of commit {}, which is to be pushed", blob.commit))
        .hint("fetch the missing objects: git fetch --refetch")
}

/// Blobs that are looked at together: what is known of them is held in memory.
const AT_ONCE: usize = 20_000;

/// Look at what each of them is, as the filter of this form takes it.
fn for_each_kind<'a>(
    form: Form,
    blobs: &[&'a NewBlob],
    mut see: impl FnMut(&'a NewBlob, BlobKind) -> Result<(), CliError>,
) -> Result<(), CliError> {
    for some in blobs.chunks(AT_ONCE) {
        let ids: Vec<&BStr> = some.iter().map(|blob| blob.id.as_bstr()).collect();
        let kinds = match form {
            Form::Ours => objects::kinds_of(&ids)?,
            Form::Lfs => objects::kinds_for_lfs(&ids)?,
        };
        some.iter().zip(kinds).try_for_each(|(blob, kind)| see(blob, kind))?;
    }
    Ok(())
}
