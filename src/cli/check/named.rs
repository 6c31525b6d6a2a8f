//! Which content an index, a revision, a range or a whole history names, and where.
//!
//! Apart from `verify`, which asks whether it is in the store. It goes by what a checkout would ask
//! for: pointers whose path has `filter=s3lfs` (or git-lfs's, where s3lfs answers for it), and manifest-only entries.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;

use bstr::{BString, ByteSlice};

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::manifest_file;
use crate::cli::set_up::lfs_driver;
use crate::cli::threads::joined;
use crate::cli::tracking::bare_pointers;
use crate::cli::ui;
use crate::config::GitConfig;
use crate::error::chain;
use crate::git::Git;
use crate::git::batch::Batch;
use crate::git::history::{Roots, Seen, WalkError, walk};
use crate::git::new_blobs::NewBlob;
use crate::git::objects::{self, BlobKind, ObjectId};
use crate::git::push;
use crate::git::revision::{self, Revision};
use crate::manifest::{Manifest, PATH, only, python_yaml};
use crate::oid::Oid;
use crate::pointer::{Form, Pointer};
use crate::repo_path::Printable;
use crate::transfer::Item;

/// What is looked through.
#[derive(Clone, Debug)]
pub enum Scope {
    /// The index, and the manifest.
    Index,
    /// One commit, with all of its tree, or what a range of commits adds.
    At(Revision),
    /// Everything that this repository reaches.
    Everything,
}

/// Where content is named.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Name {
    /// Path from the top.
    pub path: BString,
    /// The commit in which, if it is one's.
    pub commit: Option<Rc<ObjectId>>,
}

/// Content, and its names. Plain lists, since there may be a million.
#[derive(Debug, Default)]
pub struct Named {
    /// Sorted, each once, but for what was added since [`Named::settle`].
    names: Vec<(Item, Name)>,
    /// Blobs of the history with pointers that have no name yet: finding it out takes a walk, which is
    /// made only for those of interest. Sorted, each once.
    unlocated: Vec<(Item, ObjectId)>,
    /// Under which filters: also git-lfs's, where s3lfs answers for it.
    forms: &'static [Form],
    /// Pointers where nothing turns them into content: they name nothing that is checked out. The path, and the commit
    /// if it was one.
    pub bare: Vec<(Name, Pointer)>,
}

/// Commits that are compared with their parents at a time: it bounds the memory.
const CHUNK: usize = 500;

impl Named {
    /// Look through `scope`.
    pub fn within(scope: &Scope, context: &Context) -> Result<Self, CliError> {
        let config = GitConfig::load()?;
        let mut named = Named { forms: lfs_driver::forms(&config), ..Named::default() };
        match scope {
            Scope::Index => {
                named.add_index(&config)?;
                let bare = bare_pointers::in_index()?.into_iter();
                named.bare = bare.map(|bare| (Name { path: bare.path, commit: None }, bare.pointer)).collect();
            }
            Scope::At(Revision::Single(id)) => named.add_tree(id)?,
            Scope::At(Revision::Range { commits, tips }) => {
                for chunk in commits.chunks(CHUNK) {
                    named.add_blobs(push::blobs_of_commits(chunk)?, tips)?;
                }
            }
            Scope::Everything => {
                named.add_index(&config)?;
                named.add_history(context)?;
            }
        }
        // The empty content has no object.
        let empty = Oid::of(b"");
        named.names.retain(|(item, _)| item.oid != empty);
        named.unlocated.retain(|(item, _)| item.oid != empty);
        named.settle();
        Ok(named)
    }

    /// All of it, sorted.
    pub fn items(&self) -> Vec<Item> {
        let named = self.names.iter().map(|(item, _)| *item);
        let mut items: Vec<Item> = named.chain(self.unlocated.iter().map(|(item, _)| *item)).collect();
        items.sort_unstable();
        items.dedup();
        items
    }

    /// The names of some content, as far as they are known.
    pub fn names(&self, item: &Item) -> impl Iterator<Item = &Name> {
        let first = self.names.partition_point(|(named, _)| named < item);
        let item = *item;
        self.names[first..].iter().take_while(move |(named, _)| *named == item).map(|(_, name)| name)
    }

    fn settle(&mut self) {
        self.names.sort_unstable();
        self.names.dedup();
        self.unlocated.sort_unstable();
        self.unlocated.dedup();
    }

    /// Find out where these stand in the history. What never had the filter is a text that looks like a
    /// pointer: it is left out from now on.
    pub fn locate(&mut self, wanted: impl Fn(&Item) -> bool) -> Result<(), CliError> {
        let wanted = self.unlocated.extract_if(.., |(item, _)| wanted(item));
        let blobs: HashMap<ObjectId, Item> = wanted.map(|(item, id)| (id, item)).collect();
        if blobs.is_empty() {
            return Ok(());
        }
        let lines = |output: Vec<u8>| output.lines().map(BString::from).collect::<Vec<ObjectId>>();
        let all = ["--no-replace-objects", "rev-list", "--all", "--reflog"];
        let mut found = Vec::new();
        for chunk in lines(Git::new(all).output()?).chunks(CHUNK) {
            found.extend(push::blobs_of_commits(chunk)?.into_iter().filter(|blob| blobs.contains_key(&blob.id)));
        }
        // Each state that the attributes ever had.
        let changes = Git::new(all).args(["--full-history", "--", ":(top,glob)**/.gitattributes"]);
        let mut states = lines(changes.output()?);
        states.extend(revision::head()?);
        for form in self.forms {
            for blob in push::under_filter(*form, &found, &states)? {
                self.add(blobs[&blob.id], blob.path.clone(), Some(&blob.commit));
            }
        }
        self.settle();
        Ok(())
    }

    fn add(&mut self, item: Item, path: impl Into<BString>, commit: Option<&Rc<ObjectId>>) {
        self.names.push((item, Name { path: path.into(), commit: commit.cloned() }));
    }

    fn add_index(&mut self, config: &GitConfig) -> Result<(), CliError> {
        let mut in_index = HashSet::new();
        // Read beside Git's listing, which takes as long where there are many files.
        let (files, manifest) = std::thread::scope(|scope| {
            let manifest = scope.spawn(|| manifest_file::for_reading(None));
            let files = lfs_driver::filtered(config);
            (files, joined(manifest))
        });
        let files = files?;
        // Without any path of its own, the manifest has nothing to add.
        let manifest = manifest?.filter(|manifest| manifest.beside_git().next().is_some());
        let absent = files.iter().filter(|file| file.kind == BlobKind::Missing).map(|file| file.entry.id.as_bstr());
        let fetched = objects::kinds_fetching(absent)?;
        for file in files {
            match fetched.get(&file.entry.id).copied().unwrap_or(file.kind) {
                BlobKind::Missing => return Err(unreadable(&file.entry.path, "the index")),
                kind => {
                    if manifest.is_some() {
                        in_index.insert(file.entry.path.clone());
                    }
                    if let BlobKind::Pointer(pointer) = kind {
                        self.add(pointer.into(), file.entry.path, None);
                    }
                }
            }
        }
        if let Some(manifest) = manifest {
            self.add_manifest(&manifest, &in_index, None);
        }
        Ok(())
    }

    /// Without the list of manifest-only paths (the Python tool's), it is what Git does not have.
    fn add_manifest(&mut self, manifest: &Manifest, in_git: &HashSet<BString>, commit: Option<&Rc<ObjectId>>) {
        for (path, oid) in manifest.beside_git() {
            if !in_git.contains(path.as_bytes().as_bstr()) {
                self.add((*oid).into(), path.as_str(), commit);
            }
        }
    }

    fn add_python(&mut self, named: BTreeMap<String, Oid>, in_git: &HashSet<BString>, commit: &ObjectId) {
        let commit = Rc::new(commit.clone());
        for (path, oid) in named {
            if !in_git.contains(path.as_bytes().as_bstr()) {
                self.add(oid.into(), path, Some(&commit));
            }
        }
    }

    fn add_tree(&mut self, id: &ObjectId) -> Result<(), CliError> {
        let blobs = push::all_blobs(id)?;
        self.add_blobs(blobs, std::slice::from_ref(id))
    }

    fn add_blobs(&mut self, blobs: Vec<NewBlob>, tips: &[ObjectId]) -> Result<(), CliError> {
        let paths: HashSet<BString> = blobs.iter().map(|blob| blob.path.clone()).collect();
        let of_python: Vec<&NewBlob> = blobs.iter().filter(|blob| python_yaml::is_part(&blob.path)).collect();
        for blob in &of_python {
            let Some(bytes) = objects::read(blob.id.as_bstr())? else {
                return Err(unreadable(&blob.path, &format!("commit {}", blob.commit)));
            };
            match python_yaml::named_in(&bytes) {
                Ok(named) => self.add_python(named, &paths, &blob.commit),
                Err(e) => ui::warn(format!("warning: passed over in commit {}: {}", blob.commit, chain(&e))),
            }
        }
        // Beside YAML, the Python tool's JSON is a backup.
        let roots: HashSet<&ObjectId> =
            of_python.iter().filter(|blob| blob.path == python_yaml::PATH).map(|blob| &*blob.commit).collect();
        let mut reading = None;
        for blob in blobs.iter().filter(|blob| blob.path == PATH && !roots.contains(&*blob.commit)) {
            let reading = match &mut reading {
                Some(reading) => reading,
                None => reading.insert(Batch::start()?),
            };
            let bytes = reading.blob(blob.id.as_bstr())?.filter(|bytes| !only::has_none(bytes));
            if let Some(manifest) = bytes.and_then(|bytes| Manifest::parse(&bytes).ok()) {
                self.add_manifest(&manifest, &paths, Some(&blob.commit));
            }
        }
        let mut guarded = Vec::new();
        for form in self.forms {
            guarded.extend(push::under_filter(*form, &blobs, tips)?);
        }
        let paths: HashSet<&BString> = guarded.iter().map(|blob| &blob.path).collect();
        let others = blobs.iter().filter(|blob| !paths.contains(&blob.path)).cloned().collect();
        for (blob, pointer) in bare_pointers::in_commits(others, tips)? {
            self.bare.push((Name { path: blob.path, commit: Some(blob.commit) }, pointer));
        }
        let kinds = objects::kinds_fetching(guarded.iter().map(|blob| blob.id.as_bstr()))?;
        for blob in guarded {
            match kinds.get(&blob.id) {
                Some(BlobKind::Pointer(pointer)) => {
                    self.add((*pointer).into(), blob.path.clone(), Some(&blob.commit));
                }
                None | Some(BlobKind::Missing) => {
                    return Err(unreadable(&blob.path, &format!("commit {}", blob.commit)));
                }
                Some(BlobKind::Raw | BlobKind::Empty | BlobKind::Extended) => {}
            }
        }
        Ok(())
    }

    fn add_history(&mut self, context: &Context) -> Result<(), CliError> {
        self.settle();
        let mut manifests = Vec::new();
        let walked = walk(&Roots::everything(&context.repo)?, |seen| {
            match seen {
                Seen::Small(id, blob) => {
                    if let Some(pointer) = Pointer::parse(blob)
                        && self.names(&pointer.into()).next().is_none()
                    {
                        self.unlocated.push((pointer.into(), id.to_owned()));
                    }
                }
                // It need not be one of ours.
                Seen::Named(..) => {}
                Seen::Manifest(_, blob) if only::has_none(blob) => {}
                Seen::Manifest(_, blob) => {
                    for (path, oid) in Manifest::parse(blob).ok().iter().flat_map(Manifest::beside_git) {
                        manifests.push((Item::from(*oid), path.clone()));
                    }
                    if !blob.starts_with(b"{") {
                        let named = python_yaml::named_in(blob).unwrap_or_default();
                        manifests.extend(named.into_iter().map(|(path, oid)| (Item::from(oid), path)));
                    }
                    manifests.sort_unstable();
                    manifests.dedup();
                }
            }
            Ok::<(), std::convert::Infallible>(())
        });
        match walked {
            Ok(()) => {}
            Err(WalkError::Git(e)) => return Err(e.into()),
        }
        for (item, path) in manifests {
            self.add(item, path, None);
        }
        Ok(())
    }
}

fn unreadable(path: &BString, place: &str) -> CliError {
    CliError::user(format!("cannot look at {} in {place}: its blob is not in this clone", Printable(path)))
        .hint("fetch the missing objects: git fetch --refetch")
}
