//! The trees of a history, each looked at once for each directory in which it stands.
//!
//! Apart because a history has a hundred times as many paths as it has trees.

use std::collections::{BTreeSet, HashMap, HashSet};

use bstr::{BStr, BString, ByteSlice};

use crate::cli::error::CliError;
use crate::git::objects::ObjectId;
use crate::git::reader::Reader;
use crate::git::{GitError, tree};
use crate::repo_path::Printable;

/// Directories of interest: those that hold one of some paths, at whatever depth.
#[derive(Debug, Default)]
pub struct Dirs(HashSet<BString>);

impl Dirs {
    /// The directories of these paths.
    pub fn of(paths: &BTreeSet<BString>) -> Self {
        let dirs = paths.iter().flat_map(|path| path.find_iter(b"/").map(|at| BString::from(&path[..at])));
        Dirs(dirs.collect())
    }

    /// Whether a directory holds one of them.
    pub fn contains(&self, dir: &BStr) -> bool {
        self.0.contains(dir)
    }
}

/// An object id that takes little room, in a directory by its number.
pub type Place = ([u8; 32], u32);

/// Numbers for directories.
#[derive(Debug, Default)]
pub struct Places {
    numbers: HashMap<BString, u32>,
}

impl Places {
    /// The place of a tree at `dir`.
    pub fn of(&mut self, id: &BStr, dir: &BStr) -> Place {
        let next = self.numbers.len() as u32;
        let number = match self.numbers.get(dir) {
            Some(number) => *number,
            None => *self.numbers.entry(dir.to_owned()).or_insert(next),
        };
        (compact(id), number)
    }
}

/// The bytes of an id in hex; a shorter kind of id ends in zeros.
pub fn compact(id: &BStr) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(id.chunks(2)) {
        *byte = pair.to_str().ok().and_then(|pair| u8::from_str_radix(pair, 16).ok()).unwrap_or_default();
    }
    bytes
}

/// The path of an entry.
pub fn join(dir: &BStr, name: &BStr) -> BString {
    if dir.is_empty() { name.to_owned() } else { [dir.as_bytes(), b"/", name].concat().into() }
}

/// So many directories in one another are walked: half as many as Git walks at the most (`core.maxTreeDepth`), and a
/// quarter of those that a path can have on Linux (`PATH_MAX`).
const DEEPEST: usize = 1024;

/// A walk over them.
pub struct Trees<'a> {
    reader: &'a mut Reader,
    within: Option<&'a Dirs>,
    places: Places,
    seen: HashSet<Place>,
}

impl<'a> Trees<'a> {
    /// `within`: other directories are passed over.
    pub fn new(reader: &'a mut Reader, within: Option<&'a Dirs>) -> Self {
        Trees { reader, within, places: Places::default(), seen: HashSet::new() }
    }

    /// Show each path and blob of the files of these root trees, once or more. Deeper than [`DEEPEST`] it does not go:
    /// that is an error.
    pub fn walk(&mut self, roots: &BTreeSet<ObjectId>, mut visit: impl FnMut(&BStr, &BStr)) -> Result<(), CliError> {
        roots.iter().try_for_each(|root| self.tree(root.as_bstr(), BStr::new(""), 0, &mut visit))
    }

    fn tree(
        &mut self,
        id: &BStr,
        dir: &BStr,
        depth: usize,
        visit: &mut impl FnMut(&BStr, &BStr),
    ) -> Result<(), CliError> {
        if depth > DEEPEST {
            let begin = Printable(&dir[..dir.len().min(60)]).to_string();
            return Err(CliError::user(format!(
                "nothing was changed: a commit has more than {DEEPEST} directories in one another ({begin}...)"
            ))
            .hint("no filesystem takes such a path; leave out the branch or tag that has it, by naming the others"));
        }
        let place = self.places.of(id, dir);
        if !self.seen.insert(place) {
            return Ok(());
        }
        for entry in read(self.reader, id)? {
            let path = join(dir, entry.name.as_bstr());
            if entry.is_file() {
                visit(path.as_bstr(), entry.id.as_bstr());
            } else if entry.is_tree() && self.within.is_none_or(|within| within.contains(path.as_bstr())) {
                self.tree(entry.id.as_bstr(), path.as_bstr(), depth + 1, visit)?;
            }
        }
        Ok(())
    }
}

/// The entries of a tree.
pub fn read(reader: &mut Reader, id: &BStr) -> Result<Vec<tree::Entry>, GitError> {
    let object = reader.read(id)?;
    let entries = if object.kind == b"tree" { tree::parse(id, &object.bytes) } else { None };
    entries.ok_or_else(|| GitError::answer("git cat-file (a tree)", id))
}
