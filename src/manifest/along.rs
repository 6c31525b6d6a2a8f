//! Two sorted lists side by side: 200,000 paths are not looked up one by one.
//!
//! Apart because reading, writing and merging a manifest each hold one list of it against another.

use std::collections::{BTreeMap, BTreeSet};
use std::iter::Peekable;

/// A list sorted by path, to be asked for paths that are sorted as well.
pub(super) struct Along<I: Iterator>(Peekable<I>);

/// What belongs to each path of `map`.
pub(super) fn map<T>(map: &BTreeMap<String, T>) -> Along<impl Iterator<Item = (&String, &T)>> {
    Along(map.iter().peekable())
}

/// The paths of `set`.
pub(super) fn set(set: &BTreeSet<String>) -> Along<impl Iterator<Item = (&String, ())>> {
    Along(set.iter().map(|path| (path, ())).peekable())
}

impl<'a, T, I: Iterator<Item = (&'a String, T)>> Along<I> {
    /// What the list has at `path`, which is behind every path that was asked for before.
    pub(super) fn at(&mut self, path: &str) -> Option<T> {
        while self.0.next_if(|(listed, _)| listed.as_str() < path).is_some() {}
        self.0.next_if(|(listed, _)| listed.as_str() == path).map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_path_is_found_where_it_stands_and_nowhere_else() {
        let listed: BTreeMap<String, u8> = [("b".to_owned(), 1), ("b/c".to_owned(), 2), ("d".to_owned(), 3)].into();
        let mut along = map(&listed);
        let found: Vec<_> = ["a", "b", "c", "d", "e"].map(|path| along.at(path).copied()).into();
        assert_eq!(found, [None, Some(1), None, Some(3), None], "'b/c' is passed by, and hides nothing behind it");
    }
}
