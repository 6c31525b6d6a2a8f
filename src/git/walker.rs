//! The walk itself: each object in turn, by what Git says of it, and what small blobs and manifests hold.
//!
//! Apart from the history, which says where walks begin, because there are two ways to list what is walked over.

use std::collections::{BTreeSet, HashSet};
use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use bstr::{BStr, BString, ByteSlice};

use super::history::{MANIFESTS, Roots, Seen, WalkError, git};
use super::objects::ObjectId;
use super::{GitError, nul_separated};
use crate::fs::MAX_COMMITTED;
use crate::pointer::MAX_POINTER_LEN;

/// Blobs that are read at a time.
pub(super) const BATCH: usize = 4096;

/// What is asked about each object.
pub(super) const CHECK: &str = "--batch-check=%(objectname) %(objecttype) %(objectsize) %(rest)";

pub(super) fn lines(pipe: impl Read) -> impl Iterator<Item = Result<Vec<u8>, GitError>> {
    let failed = |source| GitError::Local { action: "read the answer of Git", source };
    BufReader::new(pipe).split(b'\n').map(move |line| line.map_err(failed))
}

/// Git passes over entries of a reflog that are gone, with a warning: then not all is here.
pub(super) fn whole(said: &BStr) -> Result<(), GitError> {
    if said.is_empty() { Ok(()) } else { Err(GitError::answer("git rev-list --objects", said)) }
}

/// One who looks at each object in turn.
pub(super) struct Walker<V> {
    pub visit: V,
    commits: Vec<ObjectId>,
    manifests: InOrder,
    small: Vec<ObjectId>,
    named: Vec<ObjectId>,
}

impl<E, V: FnMut(Seen<'_>) -> Result<(), E>> Walker<V> {
    pub fn new(visit: V) -> Self {
        let manifests = InOrder::default();
        Walker { visit, commits: Vec::new(), manifests, small: Vec::new(), named: Vec::new() }
    }

    /// Ask about these, a line of the list each.
    pub fn ask(&mut self, lines: &[Vec<u8>]) -> Result<(), WalkError<E>> {
        let input = lines.iter().flat_map(|line| [line.as_slice(), b"\n"].concat()).collect();
        let answer = git(&["cat-file", "--buffer", CHECK]).input(input).output()?;
        ByteSlice::lines(answer.as_slice()).try_for_each(|line| self.look(line))
    }

    /// A line of the answer to [`CHECK`].
    pub fn look(&mut self, line: &[u8]) -> Result<(), WalkError<E>> {
        let fields: Vec<&[u8]> = line.splitn_str(4, " ").collect();
        match fields[..] {
            [id, b"commit", ..] => {
                self.commits.push(BString::from(id));
                if self.commits.len() == BATCH {
                    self.manifests.add(manifests_of(&self.commits)?);
                    self.commits.clear();
                }
            }
            [_, b"tree" | b"tag", ..] => {}
            [id, b"blob", size, path] => {
                let size = size.to_str().ok().and_then(|size| size.parse::<usize>().ok());
                match size.ok_or_else(|| unreadable(line))? {
                    size if size < MAX_POINTER_LEN => self.small.push(BString::from(id)),
                    // Git shows what was named before what is found in trees. Nothing that large is a manifest.
                    size if path.is_empty() && size as u64 <= MAX_COMMITTED => self.named.push(BString::from(id)),
                    _ => {}
                }
            }
            _ => return Err(unreadable(line).into()),
        }
        if self.small.len() == BATCH {
            show(&self.small, |id, blob| (self.visit)(Seen::Small(id, blob)))?;
            self.small.clear();
        }
        Ok(())
    }

    pub fn finish(self, roots: &Roots) -> Result<(), WalkError<E>> {
        let Walker { mut visit, commits, mut manifests, small, named } = self;
        show(&small, |id, blob| visit(Seen::Small(id, blob)))?;
        manifests.add(manifests_of(&commits)?);
        let tips: Vec<ObjectId> = roots.tips.iter().filter(|tip| !tip.starts_with(b"^")).cloned().collect();
        manifests.add(manifests_of(&tips)?);
        manifests.add(roots.manifests.iter().cloned());
        show(&manifests.ids, |id, blob| visit(Seen::Manifest(id, blob)))?;
        show(&named, |id, blob| visit(Seen::Named(id, blob)))
    }
}

/// Blobs in the order in which they were met: manifests of neighbours in the history are nearly alike,
/// and lie beside each other in Git's packs.
#[derive(Default)]
pub(super) struct InOrder {
    pub ids: Vec<ObjectId>,
    known: HashSet<ObjectId>,
}

impl InOrder {
    pub fn add(&mut self, ids: impl IntoIterator<Item = ObjectId>) {
        for id in ids {
            if self.known.insert(id.clone()) {
                self.ids.push(id);
            }
        }
    }
}

/// The blobs of all manifests of these commits or trees.
fn manifests_of(treeishes: &[ObjectId]) -> Result<Vec<ObjectId>, GitError> {
    let mut blobs = Vec::new();
    let mut trees = BTreeSet::new();
    for chunk in treeishes.chunks(BATCH) {
        let paths = |id: &ObjectId| MANIFESTS.map(|path| [id.as_slice(), b":", path.as_bytes(), b"\n"].concat());
        let input = chunk.iter().flat_map(paths).flatten().collect();
        let check = git(&["cat-file", "--buffer", "--batch-check=%(objectname) %(objecttype)"]).input(input);
        for line in ByteSlice::lines(check.output()?.as_slice()) {
            match line.split_once_str(" ") {
                Some((id, b"blob")) => blobs.push(BString::from(id)),
                Some((id, b"tree")) => drop(trees.insert(BString::from(id))),
                // "missing" is the ordinary answer: the walk itself found every object to be here.
                _ => {}
            }
        }
    }
    for tree in trees {
        let listed = git(&["ls-tree", "-r", "-z", "--format=%(objectname)"]).args([tree.to_str_lossy().as_ref()]);
        blobs.extend(nul_separated(&listed.output()?).map(BString::from));
    }
    Ok(blobs)
}

/// Read blobs that are known to be here.
fn show<E>(ids: &[ObjectId], mut visit: impl FnMut(&BStr, &[u8]) -> Result<(), E>) -> Result<(), WalkError<E>> {
    if ids.is_empty() {
        return Ok(());
    }
    let input = ids.iter().flat_map(|id| [id.as_slice(), b"\n"].concat()).collect();
    let mut reading =
        git(&["cat-file", "--buffer", "--batch=%(objectname) %(objectsize)"]).input(input).start(Stdio::null())?;
    let mut blobs = BufReader::new(reading.stdout());
    let failed = |source| GitError::Local { action: "read the answer of 'git cat-file'", source };
    let mut header = Vec::new();
    let mut blob = Vec::new();
    for id in ids {
        header.clear();
        blobs.read_until(b'\n', &mut header).map_err(failed)?;
        let fields: Vec<&[u8]> = header.trim_end().split_str(" ").collect();
        let size = match fields[..] {
            [read, size] if read == id.as_slice() => size.to_str().ok().and_then(|size| size.parse::<usize>().ok()),
            _ => None,
        };
        let size = size.ok_or_else(|| unreadable(&header))?;
        if size as u64 > MAX_COMMITTED {
            // What it names can't be known; and its child ends with its pipe.
            return Err(GitError::TooLarge { object: id.clone(), size: size as u64 }.into());
        }
        blob.resize(size + 1, 0);
        blobs.read_exact(&mut blob).map_err(failed)?;
        visit(id.as_bstr(), &blob[..blob.len() - 1]).map_err(WalkError::Seen)?;
    }
    reading.finish()?;
    Ok(())
}

fn unreadable(line: &[u8]) -> GitError {
    GitError::answer("git cat-file", &line[..line.len().min(200)])
}
