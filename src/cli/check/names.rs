//! Content, and where it is named: lists on the disk, since a commit may name a million.
//!
//! Apart from what fills them: here they are sorted, and read in the order of the content.

use std::io;
use std::rc::Rc;

use bstr::{BStr, BString};

use crate::cli::error::CliError;
use crate::fs::sorter::{Sorted, Sorter};
use crate::fs::spool::Spool;
use crate::git::GitError;
use crate::git::new_blobs::packed;
use crate::git::objects::ObjectId;
use crate::pointer::Pointer;
use crate::transfer::{Item, PACKED};

/// Where content is named.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Name {
    /// Path from the top.
    pub path: BString,
    /// The commit in which, if it is one's.
    pub commit: Option<Rc<ObjectId>>,
}

/// Content, the place of its name, and the blob that names it where it has no name yet.
const RECORD: usize = PACKED + 8 + 32;

/// Instead of a place: it has no name.
const NOWHERE: u64 = u64::MAX;

/// Names of one piece of content that are sorted together.
const SORTED: usize = 1000;

/// Names, each by the place where it is written.
#[derive(Debug, Default)]
pub struct Places(Spool);

impl Places {
    fn add(&mut self, path: &BStr, commit: Option<&ObjectId>) -> io::Result<u64> {
        // No commit has an empty id.
        let place = self.0.write_field(commit.map_or(&[][..], |id| id.as_slice()))?;
        self.0.write_field(path)?;
        Ok(place)
    }

    fn at(&mut self, place: u64) -> io::Result<Name> {
        let (commit, next) = self.0.field_at(place)?;
        let (path, _) = self.0.field_at(next)?;
        let commit = (!commit.is_empty()).then(|| Rc::new(commit.into()));
        Ok(Name { path: path.into(), commit })
    }
}

/// One piece of content, with all that names it.
#[derive(Debug)]
pub struct Group {
    /// What it is.
    pub item: Item,
    places: Vec<u64>,
    /// Blobs that name it and have no name yet; none where it has one.
    pub blobs: Vec<[u8; 32]>,
}

impl Group {
    /// Whether a path is known.
    pub fn is_named(&self) -> bool {
        !self.places.is_empty()
    }

    /// Show each of its names once, in the order of their paths. (Of very many: of each thousand.)
    pub fn each_name(
        &self,
        places: &mut Places,
        mut see: impl FnMut(&Name) -> Result<(), CliError>,
    ) -> Result<(), CliError> {
        for some in self.places.chunks(SORTED) {
            let names: io::Result<Vec<Name>> = some.iter().map(|place| places.at(*place)).collect();
            let mut names = names.map_err(list_failed)?;
            names.sort_unstable();
            names.dedup();
            names.iter().try_for_each(&mut see)?;
        }
        Ok(())
    }
}

/// Content and its names, in the order of the content.
#[derive(Debug, Default)]
pub struct Names {
    adding: Sorter<RECORD>,
    /// Made when they are first read.
    sorted: Option<Sorted<RECORD>>,
    places: Places,
    bare: Spool,
}

impl Names {
    /// Content has this name.
    pub fn add(&mut self, item: Item, path: &BStr, commit: Option<&ObjectId>) -> Result<(), CliError> {
        let place = self.places.add(path, commit).map_err(list_failed)?;
        self.add_record(item, place, [0; 32])
    }

    /// Content is named by this blob, at a path that is to be found out.
    pub fn add_unlocated(&mut self, item: Item, blob: &BStr) -> Result<(), CliError> {
        self.add_record(item, NOWHERE, packed(blob))
    }

    fn add_record(&mut self, item: Item, place: u64, blob: [u8; 32]) -> Result<(), CliError> {
        debug_assert!(self.sorted.is_none(), "what is sorted is taken apart before more is added");
        let mut record = [0; RECORD];
        record[..PACKED].copy_from_slice(&item.packed());
        record[PACKED..PACKED + 8].copy_from_slice(&place.to_be_bytes());
        record[PACKED + 8..].copy_from_slice(&blob);
        self.adding.add(record).map_err(list_failed)
    }

    /// This name has a pointer that nothing turns into content: it names nothing that is checked out.
    pub fn add_bare(&mut self, pointer: Pointer, path: &BStr, commit: Option<&ObjectId>) -> Result<(), CliError> {
        let place = self.places.add(path, commit).map_err(list_failed)?;
        self.bare.write(&Item::from(pointer).packed()).map_err(list_failed)?;
        self.bare.write(&place.to_be_bytes()).map(drop).map_err(list_failed)
    }

    /// How many bare pointers there are.
    pub fn bare_count(&self) -> usize {
        self.bare.written() as usize / (PACKED + 8)
    }

    /// Show each bare pointer, until `see` says that it is enough.
    pub fn each_bare(&mut self, mut see: impl FnMut(Item, &Name) -> Result<bool, CliError>) -> Result<(), CliError> {
        for number in 0..self.bare_count() {
            let mut record = [0; PACKED + 8];
            self.bare.read_exact_at(&mut record, (number * (PACKED + 8)) as u64).map_err(list_failed)?;
            if !see(Item::unpacked(&record), &self.places.at(place(&record)).map_err(list_failed)?)? {
                break;
            }
        }
        Ok(())
    }

    /// Show all content in its order, each once.
    pub fn each(&mut self, mut see: impl FnMut(&Group, &mut Places) -> Result<(), CliError>) -> Result<(), CliError> {
        if self.sorted.is_none() {
            self.sorted = Some(std::mem::take(&mut self.adding).sorted().map_err(list_failed)?);
        }
        let Some(sorted) = &mut self.sorted else { return Ok(()) };
        let mut records = sorted.read().map_err(list_failed)?;
        let mut group: Option<Group> = None;
        while let Some(record) = records.read().map_err(list_failed)? {
            let item = Item::unpacked(&record);
            if let Some(whole) = group.take_if(|group| group.item != item) {
                see(&whole, &mut self.places)?;
            }
            let group = group.get_or_insert_with(|| Group { item, places: Vec::new(), blobs: Vec::new() });
            match place(&record) {
                NOWHERE if group.is_named() => {}
                NOWHERE => group.blobs.extend(record.last_chunk::<32>()),
                place => group.places.push(place),
            }
        }
        group.map_or(Ok(()), |last| see(&last, &mut self.places))
    }

    /// Show all content in its order, at most `at_once` at a time, but for other sizes of the same.
    pub fn chunks(
        &mut self,
        at_once: usize,
        mut see: impl FnMut(&[Item]) -> Result<(), CliError>,
    ) -> Result<(), CliError> {
        let mut some: Vec<Item> = Vec::new();
        self.each(|group, _| {
            let is_other = some.last().is_some_and(|last| last.oid != group.item.oid);
            if some.len() >= at_once && is_other {
                see(&some)?;
                some.clear();
            }
            some.push(group.item);
            Ok(())
        })?;
        if some.is_empty() { Ok(()) } else { see(&some) }
    }

    /// Leave out what has no name and is `wanted`, so that names can be added for what of it has one. `wanted` is asked
    /// in the order of the content. What is left out: its blobs, each with the content.
    pub fn take_unlocated(
        &mut self,
        mut wanted: impl FnMut(&Item) -> Result<bool, CliError>,
    ) -> Result<Spool, CliError> {
        let (mut taken, mut left) = (Spool::default(), Sorter::default());
        self.each(|group, _| {
            let is_taken = !group.is_named() && wanted(&group.item)?;
            let record = |place: u64, blob: &[u8; 32]| {
                let mut record = [0; RECORD];
                record[..PACKED].copy_from_slice(&group.item.packed());
                record[PACKED..PACKED + 8].copy_from_slice(&place.to_be_bytes());
                record[PACKED + 8..].copy_from_slice(blob);
                record
            };
            for blob in &group.blobs {
                let listed = match is_taken {
                    true => taken.write(&[blob.as_slice(), &group.item.packed()].concat()).map(drop),
                    false => left.add(record(NOWHERE, blob)),
                };
                listed.map_err(list_failed)?;
            }
            group.places.iter().try_for_each(|place| left.add(record(*place, &[0; 32]))).map_err(list_failed)
        })?;
        (self.adding, self.sorted) = (left, None);
        Ok(taken)
    }
}

fn place(record: &[u8]) -> u64 {
    u64::from_be_bytes(record[PACKED..PACKED + 8].try_into().expect("8 bytes of a place"))
}

/// What became of the file in which the lists lie.
pub fn list_failed(source: io::Error) -> CliError {
    GitError::Local { action: "keep a list of what is named in a temporary file", source }.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oid::Oid;

    fn item(n: u8, size: u64) -> Item {
        Item { oid: Oid::of(&[n]), size: Some(size) }
    }

    fn all(names: &mut Names) -> Vec<(Item, Vec<String>, usize)> {
        let mut all = Vec::new();
        let seen = names.each(|group, places| {
            let mut paths = Vec::new();
            group.each_name(places, |name| {
                paths.push(name.path.to_string());
                Ok(())
            })?;
            all.push((group.item, paths, group.blobs.len()));
            Ok(())
        });
        assert!(seen.is_ok());
        all
    }

    #[test]
    fn content_comes_once_with_all_its_names_and_what_has_none_is_taken_out() {
        let (mut names, commit) = (Names::default(), ObjectId::from("c0ffee"));
        let blob = ["1".repeat(40), "2".repeat(40)];
        for n in (0..100).rev() {
            assert!(names.add(item(n, 1), "z".into(), None).is_ok() && names.add(item(n, 1), "a".into(), None).is_ok());
            assert!(names.add(item(n, 1), "a".into(), None).is_ok(), "said twice");
            assert!(names.add(item(n, 1), "a".into(), Some(&commit)).is_ok());
            assert!(names.add_unlocated(item(n, 1), blob[0].as_str().into()).is_ok(), "it has a name");
            assert!(names.add_unlocated(item(n, 2), blob[1].as_str().into()).is_ok());
        }
        let listed = all(&mut names);
        assert!(listed.len() == 200 && listed.iter().map(|(item, ..)| *item).is_sorted());
        assert!(listed.iter().filter(|(item, ..)| item.size == Some(1)).all(|(_, paths, blobs)| {
            *paths == ["a", "a", "z"] && *blobs == 0 // In no commit, and in one.
        }));
        assert!(
            listed
                .iter()
                .filter(|(item, ..)| item.size == Some(2))
                .all(|(_, paths, blobs)| { paths.is_empty() && *blobs == 1 })
        );
        let mut sizes = Vec::new();
        let chunked = names.chunks(3, |some| {
            sizes.push(some.len());
            Ok(())
        });
        assert!(chunked.is_ok() && sizes.iter().all(|len| *len == 4), "sizes of one content stay together: {sizes:?}");
        let taken = names.take_unlocated(|found| Ok(found.oid != Oid::of(&[7]))).ok();
        assert_eq!(taken.map(|taken| taken.written()), Some(99 * (32 + PACKED as u64)));
        assert!(names.add(item(8, 2), "found".into(), None).is_ok());
        let left = all(&mut names);
        assert_eq!(left.len(), 100 + 2, "what has a name, what was not wanted, and what was given a name");
        assert!(left.contains(&(item(8, 2), vec!["found".to_owned()], 0)) && left.contains(&(item(7, 2), vec![], 1)));
    }
}
