//! Which content an index, a revision, a range or a whole history names, and where.
//!
//! Apart from `verify`, which asks whether it is in the store. It goes by what a checkout would ask
//! for: pointers whose path has `filter=s3lfs` (or git-lfs's, where s3lfs answers for it), and manifest-only entries.

use std::collections::{BTreeMap, HashSet};

use bstr::{BStr, BString, ByteSlice};

use crate::cli::check::names::{Names, list_failed};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::manifest_file;
use crate::cli::set_up::lfs_driver;
use crate::cli::threads::joined;
use crate::cli::tracking::bare_pointers;
use crate::cli::ui;
use crate::config::GitConfig;
use crate::error::chain;
use crate::git::batch::Batch;
use crate::git::history::{Roots, Seen, WalkError, walk};
use crate::git::index;
use crate::git::new_blobs::{NewBlob, NewBlobs, packed};
use crate::git::objects::{self, BlobKind, Look, Looker, ObjectId};
use crate::git::push;
use crate::git::revision::{self, Revision};
use crate::git::{Git, GitError};
use crate::manifest::{Manifest, PATH, only, python_yaml};
use crate::oid::Oid;
use crate::pointer::{Form, Pointer, Sniffed};
use crate::repo_path::Printable;
use crate::transfer::{Item, PACKED};

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

/// Content, and its names.
#[derive(Debug, Default)]
pub struct Named {
    /// All of them. Of the history there are blobs without one at first: finding it out takes a walk, which is made only
    /// for those of interest.
    pub names: Names,
    /// Under which filters: also git-lfs's, where s3lfs answers for it.
    forms: &'static [Form],
}

/// Commits that are compared with their parents at a time: it bounds the memory.
const CHUNK: usize = 500;

/// Blobs that are looked at together: what is known of them is held in memory.
const AT_ONCE: usize = 20_000;

/// Blobs that are looked for in the history at once.
const LOCATED: usize = 200_000;

impl Named {
    /// Look through `scope`.
    pub fn within(scope: &Scope, context: &Context) -> Result<Self, CliError> {
        let config = GitConfig::load()?;
        let mut named = Named { forms: lfs_driver::forms(&config), ..Named::default() };
        match scope {
            Scope::Index => {
                named.add_index()?;
                named.add_bare_of_index()?;
            }
            Scope::At(Revision::Single(id)) => named.add_blobs(push::list_all(id)?, std::slice::from_ref(id))?,
            Scope::At(Revision::Range { commits, tips }) => {
                for chunk in commits.chunks(CHUNK) {
                    named.add_blobs(push::list_of_commits(chunk)?, tips)?;
                }
            }
            Scope::Everything => {
                named.add_index()?;
                named.add_history(context)?;
            }
        }
        Ok(named)
    }

    /// Find out where these stand in the history; they are asked for in the order of the content. What never had the
    /// filter is a text that looks like a pointer: it is left out from now on.
    pub fn locate(&mut self, wanted: impl FnMut(&Item) -> Result<bool, CliError>) -> Result<(), CliError> {
        const WANTED: usize = 32 + PACKED;
        let mut taken = self.names.take_unlocated(wanted)?;
        let mut begin = 0;
        while begin < taken.written() {
            let some = (taken.written() - begin).min((LOCATED * WANTED) as u64);
            let mut blobs = vec![[0; WANTED]; some as usize / WANTED];
            taken.read_exact_at(blobs.as_flattened_mut(), begin).map_err(list_failed)?;
            begin += some;
            blobs.sort_unstable();
            self.locate_some(|id| {
                let id = packed(id);
                let at = blobs.binary_search_by(|blob| blob[..32].cmp(&id)).ok()?;
                Some(Item::unpacked(&blobs[at][32..]))
            })?;
        }
        Ok(())
    }

    fn locate_some(&mut self, item: impl Fn(&BStr) -> Option<Item>) -> Result<(), CliError> {
        let lines = |output: Vec<u8>| output.lines().map(BString::from).collect::<Vec<ObjectId>>();
        let all = ["--no-replace-objects", "rev-list", "--all", "--reflog"];
        // Each state that the attributes ever had.
        let changes = Git::new(all).args(["--full-history", "--", ":(top,glob)**/.gitattributes"]);
        let mut states = lines(changes.output()?);
        states.extend(revision::head()?);
        let mut found = NewBlobs::default();
        for chunk in lines(Git::new(all).output()?).chunks(CHUNK) {
            push::list_of_commits(chunk)?.each(|blob| match item(blob.id.as_bstr()) {
                Some(_) => found.add(&blob.commit, blob.path.as_bstr(), blob.id.as_bstr()),
                None => Ok(()),
            })?;
        }
        for form in self.forms {
            let mut is_under = push::all_under_filter(*form, &mut found, &states)?.into_iter();
            found.each(|blob| match (is_under.next(), item(blob.id.as_bstr())) {
                (Some(true), Some(item)) => self.add(item, blob.path.as_bstr(), Some(&blob.commit)),
                _ => Ok(()),
            })?;
        }
        Ok(())
    }

    fn add(&mut self, item: Item, path: &BStr, commit: Option<&ObjectId>) -> Result<(), CliError> {
        // The empty content has no object.
        if item.oid == Oid::of(b"") { Ok(()) } else { self.names.add(item, path, commit) }
    }

    fn add_index(&mut self) -> Result<(), CliError> {
        let mut in_index = HashSet::new();
        // Read beside Git's listing, which takes as long where there are many files.
        let (files, manifest) = std::thread::scope(|scope| {
            let manifest = scope.spawn(|| manifest_file::for_reading(None));
            let files: Result<Vec<_>, _> =
                self.forms.iter().map(|form| Ok((*form, index::list(index::filter_of(*form), |_| true)?))).collect();
            (files, joined(manifest))
        });
        let files: Vec<(Form, NewBlobs)> = files.map_err(|e: GitError| e)?;
        // Without any path of its own, the manifest has nothing to add.
        let manifest = manifest?.filter(|manifest| manifest.beside_git().next().is_some());
        for (form, mut files) in files {
            let mut looker = Looker::for_many(files.len());
            files.chunks(AT_ONCE, |some| {
                for (file, kind) in some.iter().zip(kinds(&mut looker, form, some)?) {
                    if kind == BlobKind::Missing {
                        return Err(unreadable(&file.path, "the index"));
                    }
                    if manifest.is_some() {
                        in_index.insert(file.path.clone());
                    }
                    if let BlobKind::Pointer(pointer) = kind {
                        self.add(pointer.into(), file.path.as_bstr(), None)?;
                    }
                }
                Ok(())
            })?;
            looker.keep();
        }
        manifest.map_or(Ok(()), |manifest| self.add_manifest(&manifest, &in_index, None))
    }

    fn add_bare_of_index(&mut self) -> Result<(), CliError> {
        let mut files = index::list(index::UNFILTERED, |entry| entry.stage == 0)?;
        let mut looker = Looker::for_many(files.len());
        files.chunks(AT_ONCE, |some| {
            let ids: Vec<&BStr> = some.iter().map(|file| file.id.as_bstr()).collect();
            for (file, look) in some.iter().zip(looker.looks_of(&ids)?) {
                // What another tool's pointers are is left to that tool.
                if let Look::Small(Sniffed::Ours(pointer)) = look {
                    self.names.add_bare(pointer, file.path.as_bstr(), None)?;
                }
            }
            Ok::<(), CliError>(())
        })?;
        looker.keep();
        Ok(())
    }

    /// Without the list of manifest-only paths (the Python tool's), it is what Git does not have.
    fn add_manifest(
        &mut self,
        manifest: &Manifest,
        in_git: &HashSet<BString>,
        commit: Option<&ObjectId>,
    ) -> Result<(), CliError> {
        let mut files = manifest.beside_git().filter(|(path, _)| !in_git.contains(path.as_bytes().as_bstr()));
        files.try_for_each(|(path, oid)| self.add((*oid).into(), path.as_str().into(), commit))
    }

    fn add_python(
        &mut self,
        named: BTreeMap<String, Oid>,
        in_git: &HashSet<BString>,
        commit: &ObjectId,
    ) -> Result<(), CliError> {
        let mut files = named.iter().filter(|(path, _)| !in_git.contains(path.as_bytes().as_bstr()));
        files.try_for_each(|(path, oid)| self.add((*oid).into(), path.as_str().into(), Some(commit)))
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
                            self.add(pointer.into(), blob.path.as_bstr(), Some(&blob.commit))?;
                        }
                    }
                    (false, Look::Small(Sniffed::Ours(_))) => bare.push(blob.clone()),
                    (false, _) => {}
                }
            }
            if bare.len() >= AT_ONCE { self.add_bare(std::mem::take(&mut bare), tips) } else { Ok(()) }
        })?;
        looker.keep();
        self.add_bare(bare, tips)
    }

    fn add_bare(&mut self, blobs: Vec<NewBlob>, tips: &[ObjectId]) -> Result<(), CliError> {
        let mut bare = bare_pointers::in_commits(blobs, tips)?.into_iter();
        bare.try_for_each(|(blob, pointer)| self.names.add_bare(pointer, blob.path.as_bstr(), Some(&blob.commit)))
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
                Ok(named) => self.add_python(named, in_git.paths()?, &blob.commit)?,
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
                self.add_manifest(&manifest, in_git.paths()?, Some(&blob.commit))?;
            }
        }
        Ok(())
    }

    fn add_history(&mut self, context: &Context) -> Result<(), CliError> {
        let mut manifests = Vec::new();
        let walked = walk(&Roots::everything(&context.repo)?, |seen| {
            match seen {
                Seen::Small(id, blob) => {
                    if let Some(pointer) = Pointer::parse(blob) {
                        self.names.add_unlocated(pointer.into(), id)?;
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
            Ok::<(), CliError>(())
        });
        match walked {
            Ok(()) => {}
            Err(WalkError::Git(e)) => return Err(e.into()),
            Err(WalkError::Seen(e)) => return Err(e),
        }
        manifests.into_iter().try_for_each(|(item, path)| self.add(item, path.as_str().into(), None))
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

/// As [`looks`], of what stands in the index under the filter of this form.
fn kinds(looker: &mut Looker, form: Form, some: &[NewBlob]) -> Result<Vec<BlobKind>, CliError> {
    let ids: Vec<&BStr> = some.iter().map(|file| file.id.as_bstr()).collect();
    let mut kinds = looker.kinds_of(form, &ids)?;
    let absent: Vec<usize> = (0..ids.len()).filter(|&at| kinds[at] == BlobKind::Missing).collect();
    if !absent.is_empty() {
        let wanted: Vec<&BStr> = absent.iter().map(|&at| ids[at]).collect();
        objects::fetch_promised(wanted.iter().copied())?;
        let fetched = looker.kinds_of(form, &wanted)?;
        absent.into_iter().zip(fetched).for_each(|(at, kind)| kinds[at] = kind);
    }
    Ok(kinds)
}

fn unreadable(path: &BString, place: &str) -> CliError {
    CliError::user(format!("cannot look at {} in {place}: its blob is not in this clone", Printable(path)))
        .hint("fetch the missing objects: git fetch --refetch")
}
