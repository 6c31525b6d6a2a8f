//! Which content an index, a revision, a range or a whole history names, and where.
//!
//! Apart from `verify`, which asks whether it is in the store. It goes by what a checkout would ask
//! for: pointers whose path has `filter=s3lfs` (or git-lfs's, where s3lfs answers for it), and manifest-only entries.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;

use bstr::{BStr, BString, ByteSlice};

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
use crate::git::new_blobs::{NewBlob, NewBlobs};
use crate::git::objects::{self, BlobKind, Look, Looker, ObjectId};
use crate::git::push;
use crate::git::revision::{self, Revision};
use crate::manifest::{Manifest, PATH, only, python_yaml};
use crate::oid::Oid;
use crate::pointer::{Form, Pointer, Sniffed};
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

/// Blobs that are looked at together: what is known of them is held in memory.
const AT_ONCE: usize = 20_000;

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
            Scope::At(Revision::Single(id)) => named.add_blobs(push::list_all(id)?, std::slice::from_ref(id))?,
            Scope::At(Revision::Range { commits, tips }) => {
                for chunk in commits.chunks(CHUNK) {
                    named.add_blobs(push::list_of_commits(chunk)?, tips)?;
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

    fn add_blobs(&mut self, mut blobs: NewBlobs, tips: &[ObjectId]) -> Result<(), CliError> {
        self.add_manifests(&mut blobs)?;
        let mut is_guarded = vec![false; blobs.len()];
        for form in self.forms {
            let is_under = push::all_under_filter(*form, &mut blobs, tips)?;
            is_guarded.iter_mut().zip(is_under).for_each(|(guarded, is_under)| *guarded |= is_under);
        }
        let mut is_guarded = is_guarded.into_iter();
        let (mut looker, mut bare) = (Looker::for_many(blobs.len()), Vec::new());
        blobs.chunks(AT_ONCE, |some| {
            let is_guarded: Vec<bool> = is_guarded.by_ref().take(some.len()).collect();
            for ((blob, look), is_guarded) in some.iter().zip(looks(&mut looker, some, &is_guarded)?).zip(is_guarded) {
                match (is_guarded, look) {
                    (true, Look::Missing) => return Err(unreadable(&blob.path, &format!("commit {}", blob.commit))),
                    (true, look) => {
                        if let BlobKind::Pointer(pointer) = look.kind() {
                            self.add(pointer.into(), blob.path.clone(), Some(&blob.commit));
                        }
                    }
                    (false, Look::Small(Sniffed::Ours(_))) => bare.push(blob.clone()),
                    (false, _) => {}
                }
            }
            Ok(())
        })?;
        looker.keep();
        for (blob, pointer) in bare_pointers::in_commits(bare, tips)? {
            self.bare.push((Name { path: blob.path, commit: Some(blob.commit) }, pointer));
        }
        Ok(())
    }

    /// What manifests among these say of files that Git does not have.
    fn add_manifests(&mut self, blobs: &mut NewBlobs) -> Result<(), CliError> {
        let (mut manifests, mut of_python) = (Vec::new(), Vec::new());
        blobs.each(|blob| {
            if python_yaml::is_part(&blob.path) {
                of_python.push(blob.clone());
            } else if blob.path == PATH {
                manifests.push(blob.clone());
            }
            Ok::<(), CliError>(())
        })?;
        let mut in_git = InGit { blobs, paths: None };
        for blob in &of_python {
            let Some(bytes) = objects::read(blob.id.as_bstr())? else {
                return Err(unreadable(&blob.path, &format!("commit {}", blob.commit)));
            };
            match python_yaml::named_in(&bytes) {
                Ok(named) => self.add_python(named, in_git.paths()?, &blob.commit),
                Err(e) => ui::warn(format!("warning: passed over in commit {}: {}", blob.commit, chain(&e))),
            }
        }
        // Beside YAML, the Python tool's JSON is a backup.
        let roots: HashSet<&ObjectId> =
            of_python.iter().filter(|blob| blob.path == python_yaml::PATH).map(|blob| &*blob.commit).collect();
        let mut reading = None;
        for blob in manifests.iter().filter(|blob| !roots.contains(&*blob.commit)) {
            let reading = match &mut reading {
                Some(reading) => reading,
                None => reading.insert(Batch::start()?),
            };
            let bytes = reading.blob(blob.id.as_bstr())?.filter(|bytes| !only::has_none(bytes));
            if let Some(manifest) = bytes.and_then(|bytes| Manifest::parse(&bytes).ok())
                && manifest.beside_git().next().is_some()
            {
                self.add_manifest(&manifest, in_git.paths()?, Some(&blob.commit));
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

/// The paths of blobs. They are rarely asked for, and may be a million.
struct InGit<'a> {
    blobs: &'a mut NewBlobs,
    paths: Option<HashSet<BString>>,
}

impl InGit<'_> {
    fn paths(&mut self) -> Result<&HashSet<BString>, CliError> {
        if self.paths.is_none() {
            let mut paths = HashSet::new();
            self.blobs.each(|blob| {
                paths.insert(blob.path.clone());
                Ok::<(), CliError>(())
            })?;
            self.paths = Some(paths);
        }
        Ok(self.paths.get_or_insert_default())
    }
}

/// What each of `some` is. A partial clone has not everything: what is guarded is fetched.
fn looks(looker: &mut Looker, some: &[NewBlob], is_guarded: &[bool]) -> Result<Vec<Look>, CliError> {
    let ids: Vec<&BStr> = some.iter().map(|blob| blob.id.as_bstr()).collect();
    let mut looks = looker.looks_of(&ids)?;
    let absent: Vec<usize> = (0..ids.len()).filter(|&at| is_guarded[at] && looks[at] == Look::Missing).collect();
    if !absent.is_empty() {
        let wanted: Vec<&BStr> = absent.iter().map(|&at| ids[at]).collect();
        objects::fetch_promised(wanted.iter().copied())?;
        let fetched = looker.looks_of(&wanted)?;
        absent.into_iter().zip(fetched).for_each(|(at, look)| looks[at] = look);
    }
    Ok(looks)
}

fn unreadable(path: &BString, place: &str) -> CliError {
    CliError::user(format!("cannot look at {} in {place}: its blob is not in this clone", Printable(path)))
        .hint("fetch the missing objects: git fetch --refetch")
}
