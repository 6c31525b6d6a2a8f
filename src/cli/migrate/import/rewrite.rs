//! The history anew: each commit with pointers in the place of large files, and otherwise as it was.
//!
//! Apart because what an object becomes depends on it alone (a tree also on where it stands): so that merges, tags and
//! equal trees come out consistent, and a commit without such files stays the very same one, signature and all.

use std::collections::{BTreeSet, HashMap};
use std::io::BufReader;
use std::process::Stdio;

use bstr::io::BufReadExt;
use bstr::{BStr, BString, ByteSlice};

use super::choice::{Choice, Chosen, lines};
use super::text::{self, Parts};
use super::trees::{Dirs, Place, Places, Trees, compact, join, read};
use crate::attributes::AttributesFile;
use crate::cache::LocalCache;
use crate::cli::error::CliError;
use crate::cli::ui::progress::Count;
use crate::error::advised;
use crate::git::GitError;
use crate::git::history::git;
use crate::git::objects::ObjectId;
use crate::git::packer::{Kind, Packer};
use crate::git::reader::Reader;
use crate::git::tree::{self, put_file};
use crate::manifest::{self, Manifest};
use crate::oid::Oid;
use crate::pointer::{MAX_POINTER_LEN, Pointer, Sniffed, lfs, sniff};

/// What tells Git which files are filtered, in any directory.
pub(super) const ATTRIBUTES: &str = ".gitattributes";

/// What became of a history.
#[derive(Debug, Default)]
pub struct Rewritten {
    /// Old and new id of each commit that is another one now, parents first.
    pub commits: Vec<(ObjectId, ObjectId)>,
    /// The same, to look up.
    map: HashMap<[u8; 32], ObjectId>,
    /// Old ids of commits whose signature was dropped.
    pub unsigned: Vec<ObjectId>,
    /// The attributes files beside or above the chosen files, each version of each.
    pub attributes: BTreeSet<(BString, ObjectId)>,
}

impl Rewritten {
    /// The new id of a commit; its own, if it stayed.
    pub fn commit(&self, id: &ObjectId) -> ObjectId {
        self.map.get(&compact(id.as_bstr())).unwrap_or(id).clone()
    }

    /// Whether a commit is another one now.
    pub fn changed(&self, id: &BStr) -> bool {
        self.map.contains_key(&compact(id))
    }
}

/// Does the rewriting.
pub struct Rewriter<'a> {
    choice: &'a Choice,
    chosen: &'a Chosen,
    dirs: Dirs,
    cache: LocalCache,
    reader: &'a mut Reader,
    packer: Packer,
    places: Places,
    /// What a tree became; `None`: it stayed.
    known_trees: HashMap<Place, Option<ObjectId>>,
    /// The blob of its pointer, and what that names.
    known_blobs: HashMap<[u8; 32], Option<(ObjectId, Oid)>>,
    known_attributes: HashMap<Option<ObjectId>, ObjectId>,
    /// Those further down.
    attributes: BTreeSet<(BString, ObjectId)>,
}

impl<'a> Rewriter<'a> {
    /// Nothing is rewritten yet. What becomes a pointer goes to `cache`.
    pub fn new(
        choice: &'a Choice,
        chosen: &'a Chosen,
        cache: LocalCache,
        reader: &'a mut Reader,
    ) -> Result<Self, CliError> {
        let tmp = cache.tmp();
        Ok(Rewriter {
            choice,
            chosen,
            dirs: Dirs::of(&chosen.paths),
            cache,
            reader,
            packer: Packer::start(&tmp)?,
            places: Places::default(),
            known_trees: HashMap::new(),
            known_blobs: HashMap::new(),
            known_attributes: HashMap::new(),
            attributes: BTreeSet::new(),
        })
    }

    /// Rewrite all commits that `tips` reach. Refs are not touched.
    pub fn run(mut self, tips: &[ObjectId]) -> Result<Rewritten, CliError> {
        let count = git(&["rev-list", "--count", "--stdin"]).input(lines(tips)).output()?;
        let count = count.trim().to_str().ok().and_then(|count| count.parse().ok()).unwrap_or(0);
        let progress = Count::new("Rewriting commits", count);
        let list = git(&["rev-list", "--topo-order", "--reverse", "--stdin"]).input(lines(tips));
        let mut list = list.start(Stdio::null())?;
        let mut rewritten = Rewritten::default();
        for line in BufReader::new(list.stdout()).byte_lines() {
            let id = line.map_err(|source| GitError::Local { action: "read from 'git rev-list'", source })?;
            let id = ObjectId::from(id);
            let bytes = self.reader.read(id.as_bstr())?.bytes;
            let old = text::parts(&bytes).ok_or_else(|| GitError::answer("git cat-file (a commit)", id.clone()))?;
            let mut tree = self.root(old.tree.as_bstr(), &id)?.unwrap_or_else(|| old.tree.clone());
            if tree != old.tree && tips.contains(&id) {
                tree = self.with_manifest(old.tree.as_bstr(), &id)?.unwrap_or(tree);
            }
            let parents = old.parents.iter().map(|parent| rewritten.commit(parent)).collect();
            let new = Parts { tree, parents };
            progress.add(1);
            if new == old {
                continue;
            }
            let text = text::commit(&bytes, &new);
            let new_id = self.packer.write(Kind::Commit, &text.bytes)?;
            if text.was_signed {
                rewritten.unsigned.push(id.clone());
            }
            rewritten.map.insert(compact(id.as_bstr()), new_id.clone());
            rewritten.commits.push((id, new_id));
        }
        list.finish()?;
        self.packer.finish()?;
        rewritten.attributes = std::mem::take(&mut self.attributes);
        let own = self.known_attributes.values();
        rewritten.attributes.extend(own.map(|id| (BString::from(ATTRIBUTES), id.clone())));
        Ok(rewritten)
    }

    /// A commit's whole tree, with the attributes that its pointers need. `None`: it stays.
    fn root(&mut self, id: &BStr, commit: &ObjectId) -> Result<Option<ObjectId>, CliError> {
        // The attributes go with it, so it is another place than the same tree has as a directory.
        let place = self.places.of(id, BStr::new("/"));
        if let Some(known) = self.known_trees.get(&place) {
            return Ok(known.clone());
        }
        let new = match self.root_entries(id, commit)? {
            Some(entries) => Some(self.packer.write(Kind::Tree, &tree::encode(&entries))?),
            None => None,
        };
        self.known_trees.insert(place, new.clone());
        Ok(new)
    }

    fn root_entries(&mut self, id: &BStr, commit: &ObjectId) -> Result<Option<Vec<tree::Entry>>, CliError> {
        let Some(mut entries) = self.entries(id, BStr::new(""))? else { return Ok(None) };
        let own = entries.iter().find(|entry| entry.name == ATTRIBUTES);
        if own.is_some_and(|own| !own.is_file()) {
            return Err(CliError::user(format!("{ATTRIBUTES} of commit {commit} is no file, and can't track any"))
                .hint("nothing was changed"));
        }
        let attributes = self.attributes(own.map(|own| own.id.clone()))?;
        put_file(&mut entries, ATTRIBUTES, attributes);
        Ok(Some(entries))
    }

    /// The tree of a tip, with the new pointers in its manifest, as the next commit there would write it. `None`: it has
    /// no manifest that takes them. Older commits keep theirs: nobody commits there, and it would be a walk for each.
    fn with_manifest(&mut self, old: &BStr, commit: &ObjectId) -> Result<Option<ObjectId>, CliError> {
        let own = read(self.reader, old)?.into_iter().find(|entry| entry.name == manifest::PATH && entry.is_file());
        let Some(own) = own else { return Ok(None) };
        // One that does not parse is told by whoever writes it next.
        let Ok(mut manifest) = Manifest::parse(&self.reader.read(own.id.as_bstr())?.bytes) else { return Ok(None) };
        if !manifest.project || manifest.manifest_only.is_none() {
            return Ok(None);
        }
        let mut files = Vec::new();
        let roots = BTreeSet::from([ObjectId::from(old)]);
        Trees::new(self.reader, Some(&self.dirs)).walk(&roots, |path, id| {
            let known = self.known_blobs.get(&compact(id)).cloned().flatten();
            if let (Some((_, oid)), Ok(path), true) = (known, path.to_str(), self.chosen.paths.contains(path)) {
                files.push((path.to_owned(), oid));
            }
        })?;
        manifest.files.extend(files);
        let (Ok(bytes), Some(mut entries)) = (manifest.to_bytes(), self.root_entries(old, commit)?) else {
            return Ok(None);
        };
        let blob = self.packer.write(Kind::Blob, &bytes)?;
        put_file(&mut entries, manifest::PATH, blob);
        Ok(Some(self.packer.write(Kind::Tree, &tree::encode(&entries))?))
    }

    /// A directory.
    fn tree(&mut self, id: &BStr, dir: &BStr) -> Result<Option<ObjectId>, CliError> {
        let place = self.places.of(id, dir);
        if let Some(known) = self.known_trees.get(&place) {
            return Ok(known.clone());
        }
        let new = match self.entries(id, dir)? {
            Some(entries) => Some(self.packer.write(Kind::Tree, &tree::encode(&entries))?),
            None => None,
        };
        self.known_trees.insert(place, new.clone());
        Ok(new)
    }

    fn entries(&mut self, id: &BStr, dir: &BStr) -> Result<Option<Vec<tree::Entry>>, CliError> {
        let mut entries = read(self.reader, id)?;
        let mut changed = false;
        for entry in &mut entries {
            let path = join(dir, entry.name.as_bstr());
            if !dir.is_empty() && entry.is_file() && entry.name == ATTRIBUTES {
                self.attributes.insert((path.clone(), entry.id.clone()));
            }
            let new = if entry.is_file() && self.chosen.paths.contains(&path) {
                self.blob(entry.id.as_bstr(), path.as_bstr())?
            } else if entry.is_tree() && self.dirs.contains(path.as_bstr()) {
                self.tree(entry.id.as_bstr(), path.as_bstr())?
            } else {
                None
            };
            if let Some(new) = new {
                entry.id = new;
                changed = true;
            }
        }
        Ok(changed.then_some(entries))
    }

    /// A file's content goes to the cache, and a pointer takes its place. `None`: it is empty, or a pointer.
    fn blob(&mut self, id: &BStr, path: &BStr) -> Result<Option<ObjectId>, CliError> {
        let key = compact(id);
        if let Some(known) = self.known_blobs.get(&key) {
            return Ok(known.as_ref().map(|(id, _)| id.clone()));
        }
        let new = match self.pointer(id, path)? {
            Some(pointer) => Some((self.packer.write(Kind::Blob, &pointer.encode())?, pointer.oid)),
            None => None,
        };
        self.known_blobs.insert(key, new.clone());
        Ok(new.map(|(id, _)| id))
    }

    fn pointer(&mut self, id: &BStr, path: &BStr) -> Result<Option<Pointer>, CliError> {
        let size = self.chosen.blobs.get(id).copied().unwrap_or(0);
        if size == 0 {
            return Ok(None);
        }
        if size < MAX_POINTER_LEN as u64 {
            let bytes = self.reader.read(id)?.bytes;
            let sniffed = sniff(&bytes);
            if sniffed.pointer().is_some() || sniffed == Sniffed::Newer || lfs::read(&bytes) != lfs::Read::Other {
                return Ok(None);
            }
        }
        let mut staged = self.cache.stage();
        let copied = self.reader.copy(id, &mut staged);
        copied.map_err(|e| CliError::user(format!("{}: {}", crate::repo_path::Printable(path), advised(&e))))?;
        Ok(staged.commit()?)
    }

    fn attributes(&mut self, own: Option<ObjectId>) -> Result<ObjectId, CliError> {
        if let Some(known) = self.known_attributes.get(&own) {
            return Ok(known.clone());
        }
        let bytes = match &own {
            Some(id) => self.reader.read(id.as_bstr())?.bytes,
            None => Vec::new(),
        };
        let mut attributes = AttributesFile::parse(&bytes);
        self.choice.track(self.chosen, &mut attributes)?;
        let new: BString = self.packer.write(Kind::Blob, &attributes.to_bytes())?;
        self.known_attributes.insert(own, new.clone());
        Ok(new)
    }
}
