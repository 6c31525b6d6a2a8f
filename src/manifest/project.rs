//! Projection: the pointer-tracked entries of a manifest are made equal to the pointers of the index being committed.
//!
//! Apart because it is the one automatic operation that removes entries. What Git knows comes in as plain sets; how
//! they are read from the index is the caller's.

use std::collections::{BTreeMap, BTreeSet};

use super::{Manifest, along};
use crate::oid::Oid;

/// A projection is only suspected of being a mistake from this many pointer-tracked entries on.
const MANY: usize = 20;

/// What Git says of the index being committed. Paths are those that are UTF-8.
#[derive(Clone, Default, Debug)]
pub struct IndexPointers {
    /// The stage-0 pointers under `filter=s3lfs`, with collapsed sparse directories expanded.
    pub pointers: BTreeMap<String, Oid>,
    /// Paths whose pointer can't be told, so that an entry they have is kept: unmerged ones, and those whose blob can't
    /// be read.
    pub keep: BTreeSet<String>,
    /// Paths whose entry and pointer disagree, and nobody has said which of them is right: both stay.
    pub at_odds: BTreeSet<String>,
    /// Paths whose pointer HEAD has and the index lacks on purpose: deleted there, or staged as other content.
    pub deleted: BTreeSet<String>,
    /// Every path that the index (at any stage) or HEAD has, filtered or not. It is looked at only for a manifest
    /// without `manifest_only`, and only paths in its `files` matter.
    pub known: BTreeSet<String>,
}

impl IndexPointers {
    /// Whether a pointer-tracked entry stays.
    fn has_entry(&self, path: &str) -> bool {
        self.pointers.contains_key(path) || self.keep.contains(path)
    }

    /// Whether Git has the path, in index or HEAD.
    fn knows(&self, path: &str) -> bool {
        self.has_entry(path) || self.deleted.contains(path) || self.known.contains(path)
    }
}

/// What a projection did to the manifest; each list is sorted.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Projection {
    /// Paths that got an entry.
    pub added: Vec<String>,
    /// Paths whose entry got another oid.
    pub updated: Vec<String>,
    /// Paths that lost their entry.
    pub removed: Vec<String>,
    /// Paths found to be manifest-only, in a manifest that did not say so (the Python tool's).
    pub became_manifest_only: Vec<String>,
    /// Whether the manifest says anything else than before. (Its file may still change when this is false: if it was
    /// not canonical.)
    pub changed: bool,
}

/// Why a projection was not done.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ProjectionError {
    /// Most entries would go although the index deletes no such files, as when `.gitattributes` lost its lines.
    #[error(
        "{} of the {tracked} files in {} have no pointer in the index any more, and were not deleted there",
        dropped.len(), super::PATH
    )]
    DropsTooMuch {
        /// The entries that would go without a deletion in the index, sorted.
        dropped: Vec<String>,
        /// How many pointer-tracked entries there are.
        tracked: usize,
    },
}

impl Manifest {
    /// Whether the pointer-tracked entries are these pointers, which are sorted by path.
    pub fn is_projection_of<'a>(&self, mut pointers: impl Iterator<Item = (&'a [u8], Oid)>) -> bool {
        let (true, Some(only)) = (self.project, &self.manifest_only) else { return false };
        let mut only = along::set(only);
        let mut tracked = self.files.iter().filter(|(path, _)| only.at(path).is_none());
        let mut is_next = |path, oid| tracked.next().is_some_and(|entry| (entry.0.as_bytes(), *entry.1) == (path, oid));
        pointers.all(|(path, oid)| is_next(path, oid)) && tracked.next().is_none()
    }

    /// Make the pointer-tracked entries equal to `index`, or with `project: false` leave them out. Manifest-only entries
    /// stay, unless the index now has a pointer there: then the path is pointer-tracked from now on. In a manifest
    /// without `manifest_only`, the paths that Git does not know are manifest-only, and the key is there afterwards.
    ///
    /// On an error the manifest is as it was.
    pub fn project(&mut self, index: &IndexPointers) -> Result<Projection, ProjectionError> {
        let mut report = Projection::default();
        let only: BTreeSet<String> = match &self.manifest_only {
            Some(only) => {
                let stays = |path: &&String| !index.pointers.contains_key(*path) || index.at_odds.contains(*path);
                only.iter().filter(stays).cloned().collect()
            }
            None => {
                report.became_manifest_only = self.files.keys().filter(|path| !index.knows(path)).cloned().collect();
                report.became_manifest_only.iter().cloned().collect()
            }
        };
        if self.project {
            // Both are sorted: side by side, 100,000 entries are not looked up one by one.
            let mut pointers = index.pointers.keys().peekable();
            let (mut tracked, mut dropped) = (0, Vec::new());
            for path in self.files.keys().filter(|path| !only.contains(*path)) {
                while pointers.next_if(|pointer| *pointer < path).is_some() {}
                tracked += 1;
                if pointers.peek() != Some(&path) && !index.keep.contains(path) {
                    dropped.push(path.clone());
                }
            }
            let unexplained = dropped.iter().filter(|path| !index.deleted.contains(*path));
            if tracked >= MANY && unexplained.clone().count() * 2 > tracked {
                return Err(ProjectionError::DropsTooMuch { dropped: unexplained.cloned().collect(), tracked });
            }
            report.removed = dropped;
        } else {
            report.removed = self.files.keys().filter(|path| !only.contains(*path)).cloned().collect();
        }

        for path in &report.removed {
            self.files.remove(path);
        }
        if self.project {
            let mut files = self.files.iter_mut().peekable();
            for (path, oid) in &index.pointers {
                while files.next_if(|(file, _)| *file < path).is_some() {}
                match files.next_if(|(file, _)| *file == path) {
                    None => report.added.push(path.clone()),
                    Some((_, old)) if *old != *oid && !index.at_odds.contains(path) => {
                        *old = *oid;
                        report.updated.push(path.clone());
                    }
                    Some(_) => {}
                }
            }
            self.files.extend(report.added.iter().map(|path| (path.clone(), index.pointers[path])));
        }
        let only = Some(only);
        report.changed = self.manifest_only != only
            || [&report.added, &report.updated, &report.removed].iter().any(|paths| !paths.is_empty());
        self.manifest_only = only;
        Ok(report)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn oid(content: &str) -> Oid {
        Oid::of(content.as_bytes())
    }

    fn set<const N: usize>(paths: [&str; N]) -> BTreeSet<String> {
        paths.map(str::to_owned).into()
    }

    fn files<const N: usize>(files: [(&str, &str); N]) -> BTreeMap<String, Oid> {
        files.map(|(path, content)| (path.to_owned(), oid(content))).into()
    }

    fn manifest<const N: usize, const M: usize>(entries: [(&str, &str); N], only: [&str; M]) -> Manifest {
        Manifest { files: files(entries), manifest_only: Some(set(only)), ..Manifest::new("b", "p") }
    }

    fn numbered(range: std::ops::Range<usize>) -> BTreeMap<String, Oid> {
        range.map(|n| (format!("{n:03}"), oid("x"))).collect()
    }

    #[test]
    fn entries_become_the_pointers_of_the_index() {
        let mut m = manifest([("changed", "1"), ("gone", "1"), ("same", "1")], []);
        let pointers = files([("changed", "2"), ("new", "1"), ("same", "1")]);
        let index = IndexPointers { pointers: pointers.clone(), ..Default::default() };
        let report = m.project(&index).unwrap();
        assert_eq!(m.files, pointers, "pointer-tracked entries are exactly the pointers");
        assert_eq!((report.added, report.updated), (vec!["new".to_owned()], vec!["changed".to_owned()]));
        assert_eq!(report.removed, ["gone"]);
        assert!(report.changed);
        assert_eq!(m.project(&index).unwrap(), Projection::default(), "projecting twice changes nothing more");
        let named = || pointers.iter().map(|(path, oid)| (path.as_bytes(), *oid));
        assert!(m.is_projection_of(named()), "which can be told beforehand");
        assert!(!m.is_projection_of(named().skip(1)), "an entry has no pointer");
        assert!(!m.is_projection_of(named().chain([(&b"z"[..], oid("1"))])), "a pointer has no entry");
        m.manifest_only = Some(set(["new"]));
        assert!(!m.is_projection_of(named()), "a pointer has an entry of the other kind");
        assert!(m.is_projection_of(named().filter(|(path, _)| *path != b"new")), "which belongs to no pointer");
    }

    #[test]
    fn what_cannot_be_told_is_kept() {
        let mut m = manifest([("unmerged", "1")], []);
        let index = IndexPointers { keep: set(["unmerged", "no entry"]), ..Default::default() };
        assert!(!m.project(&index).unwrap().changed);
        assert_eq!(m.files, files([("unmerged", "1")]), "an entry is kept as it is, and none is invented");
    }

    #[test]
    fn manifest_only_stays_until_the_index_has_a_pointer_there() {
        let mut m = manifest([("into-git", "1"), ("never", "1")], ["into-git", "never"]);
        let index = IndexPointers { pointers: files([("into-git", "1")]), ..Default::default() };
        let report = m.project(&index).unwrap();
        assert_eq!(m.files, files([("into-git", "1"), ("never", "1")]));
        assert_eq!(m.manifest_only, Some(set(["never"])), "the pointer wins");
        assert!(report.changed, "a path that only changed its kind is a change");

        m.project(&IndexPointers::default()).unwrap();
        assert_eq!(m.files, files([("never", "1")]), "only the pointer-tracked entry follows the index");
    }

    #[test]
    fn what_is_at_odds_stays_on_both_sides() {
        let mut m = manifest([("listed", "1"), ("tracked", "1")], ["listed"]);
        let pointers = files([("listed", "2"), ("tracked", "2")]);
        let index = IndexPointers { pointers, at_odds: set(["listed", "tracked"]), ..Default::default() };
        assert!(!m.project(&index).unwrap().changed);
        assert_eq!(m, manifest([("listed", "1"), ("tracked", "1")], ["listed"]));
    }

    #[test]
    fn of_the_python_tools_manifest_what_git_does_not_know_is_manifest_only() {
        let entries = [("deleted", "1"), ("ignored", "1"), ("pointer", "1"), ("raw", "1"), ("unmerged", "1")];
        let mut m = Manifest { manifest_only: None, ..manifest(entries, []) };
        let index = IndexPointers {
            pointers: files([("pointer", "2")]),
            keep: set(["unmerged"]),
            deleted: set(["deleted"]),
            known: set(["raw"]),
            ..Default::default()
        };
        let report = m.project(&index).unwrap();
        assert_eq!(m.files, files([("ignored", "1"), ("pointer", "2"), ("unmerged", "1")]));
        assert_eq!(m.manifest_only, Some(set(["ignored"])));
        assert_eq!(report.became_manifest_only, ["ignored"]);

        let mut empty = Manifest { manifest_only: None, ..Manifest::new("b", "p") };
        assert!(empty.project(&IndexPointers::default()).unwrap().changed, "the key is written also if it is empty");
        assert_eq!(empty.manifest_only, Some(set([])));
    }

    #[test]
    fn without_projection_pointer_tracked_paths_are_left_out() {
        let mut m = manifest([("into-git", "1"), ("never", "1"), ("old", "1")], ["into-git", "never"]);
        m.files.extend(numbered(0..40));
        m.project = false;
        let pointers = files([("into-git", "1"), ("old", "1")]);
        let index = IndexPointers { pointers, keep: set(["001"]), ..Default::default() };
        let report = m.project(&index).unwrap();
        assert_eq!(m.files, files([("never", "1")]), "this drops everything else on purpose, however much it is");
        assert_eq!(m.manifest_only, Some(set(["never"])));
        assert_eq!((report.added.len(), report.removed.len()), (0, 42));
    }

    #[test]
    fn dropping_most_of_many_entries_needs_deletions_in_the_index() {
        let drop = |entries: usize, left: usize, deleted: std::ops::Range<usize>| {
            let mut m = manifest([("never", "1")], ["never"]);
            m.files.extend(numbered(0..entries));
            let before = m.clone();
            let index = IndexPointers {
                pointers: numbered(0..left),
                deleted: numbered(deleted).into_keys().collect(),
                ..Default::default()
            };
            let result = m.project(&index);
            assert!(result.is_ok() || m == before, "a refused projection changes nothing");
            result
        };
        let ProjectionError::DropsTooMuch { dropped, tracked } = drop(20, 9, 0..0).unwrap_err();
        assert_eq!((dropped.len(), tracked), (11, 20), "11 of 20 is more than half; manifest-only ones don't count");
        assert!(drop(20, 10, 0..0).is_ok(), "half is not more than half");
        assert!(drop(19, 0, 0..0).is_ok(), "19 are not many");
        assert!(drop(20, 0, 0..20).is_ok(), "deleted files may go");
        assert!(drop(20, 0, 10..20).is_ok(), "10 without a deletion are no more than half");
        assert!(drop(20, 0, 11..20).is_err(), "11 without a deletion are");
        assert!(drop(20, 0, 30..60).is_err(), "deletions of other files explain nothing");
    }
}
