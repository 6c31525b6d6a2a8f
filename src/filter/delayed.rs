//! Delayed answers: which paths wait for which content, and in which order Git hears of them.
//!
//! Apart because it is a pure state machine. The rules (git-filter-reference.md, 1.7): every path is
//! listed exactly once; successes are listed before failures, so that a failing object costs no
//! other file; a path is remembered by its name with the pointer of its first request, since Git's
//! retry brings neither content nor a trustworthy blob id.

use std::collections::HashMap;

use bstr::BString;

use crate::pointer::Pointer;

/// How a download ended: content in the cache, or why not.
pub type Outcome = Result<(), String>;

/// What a retried path is to be answered with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ready {
    /// The pointer that was delayed.
    pub pointer: Pointer,
    /// The bytes of the blob, for leaving the pointer where errors are to be skipped.
    pub blob: Vec<u8>,
    /// How its download ended.
    pub outcome: Outcome,
}

#[derive(Debug)]
struct Entry {
    pointer: Pointer,
    blob: Vec<u8>,
    outcome: Option<Outcome>,
}

/// All delayed paths of one filter process. It is empty again after each of Git's rounds.
#[derive(Default, Debug)]
pub struct Delayed {
    entries: HashMap<BString, Entry>,
    /// By pointer, not by oid: one that lies about the size is another question, with another answer.
    waiting: HashMap<Pointer, Vec<BString>>,
    succeeded: Vec<BString>,
    failed: Vec<BString>,
}

impl Delayed {
    /// Remember that `pathname` waits for `pointer`. `true`: nobody waited for that content before,
    /// so its download has to be started. A path that is delayed anew takes the new pointer.
    pub fn delay(&mut self, pathname: BString, pointer: Pointer, blob: Vec<u8>) -> bool {
        self.forget(&pathname);
        self.entries.insert(pathname.clone(), Entry { pointer, blob, outcome: None });
        let paths = self.waiting.entry(pointer).or_default();
        paths.push(pathname);
        paths.len() == 1
    }

    /// The download for `pointer` ended.
    pub fn done(&mut self, pointer: &Pointer, outcome: &Outcome) {
        for pathname in self.waiting.remove(pointer).unwrap_or_default() {
            let entry = self.entries.get_mut(&pathname).expect("a waiting path has an entry");
            entry.outcome = Some(outcome.clone());
            let list = if outcome.is_ok() { &mut self.succeeded } else { &mut self.failed };
            list.push(pathname);
        }
    }

    /// Whether a call to [`Delayed::list`] must wait for a download first.
    pub fn must_wait(&self) -> bool {
        self.succeeded.is_empty() && !self.waiting.is_empty()
    }

    /// The pointers that paths wait for.
    pub fn awaited(&self) -> Vec<Pointer> {
        self.waiting.keys().copied().collect()
    }

    /// The paths that Git may ask for now: what succeeded since the last call; the failures when
    /// nothing else is left. Empty: Git's round is over.
    pub fn list(&mut self) -> Vec<BString> {
        if !self.succeeded.is_empty() {
            std::mem::take(&mut self.succeeded)
        } else if self.waiting.is_empty() {
            std::mem::take(&mut self.failed)
        } else {
            Vec::new()
        }
    }

    /// Whether this path is waiting, so that the retry of an unlisted path can be told from a new request.
    pub fn is_waiting(&self, pathname: &BString) -> bool {
        self.entries.get(pathname).is_some_and(|entry| entry.outcome.is_none())
    }

    /// Git retries `pathname`: its answer, which is then forgotten. `None`: it was never delayed, or
    /// is still waiting.
    pub fn retry(&mut self, pathname: &BString) -> Option<Ready> {
        self.entries.get(pathname)?.outcome.as_ref()?;
        self.unlist(pathname);
        let Entry { pointer, blob, outcome } = self.entries.remove(pathname)?;
        Some(Ready { pointer, blob, outcome: outcome? })
    }

    /// Drop all memory of a path, because Git asked for it anew with other content.
    pub fn forget(&mut self, pathname: &BString) {
        let Some(entry) = self.entries.remove(pathname) else { return };
        if entry.outcome.is_some() {
            self.unlist(pathname);
        } else if let Some(paths) = self.waiting.get_mut(&entry.pointer) {
            paths.retain(|path| path != pathname);
            if paths.is_empty() {
                self.waiting.remove(&entry.pointer);
            }
        }
    }

    /// Usually both lists are empty here: Git retries only what it has seen listed.
    fn unlist(&mut self, pathname: &BString) {
        self.succeeded.retain(|path| path != pathname);
        self.failed.retain(|path| path != pathname);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pointer(content: &str) -> Pointer {
        Pointer::to(content.as_bytes()).unwrap()
    }

    fn delay(delayed: &mut Delayed, path: &str, content: &str) -> bool {
        delayed.delay(path.into(), pointer(content), Vec::new())
    }

    #[test]
    fn successes_are_listed_first_then_failures_each_once() {
        let mut delayed = Delayed::default();
        for (path, content) in [("a", "1"), ("b", "2"), ("c", "3")] {
            assert!(delay(&mut delayed, path, content), "a first wait starts a download");
        }
        delayed.done(&pointer("1"), &Err("gone".into()));
        assert!(delayed.must_wait() && delayed.list().is_empty(), "a failure waits for the others");
        delayed.done(&pointer("3"), &Ok(()));
        assert!(!delayed.must_wait());
        assert_eq!(delayed.list(), ["c"]);
        assert!(delayed.must_wait());
        delayed.done(&pointer("2"), &Ok(()));
        assert_eq!(delayed.list(), ["b"]);
        assert_eq!(delayed.list(), ["a"], "failures come last");
        assert!(delayed.list().is_empty() && !delayed.must_wait(), "then the round is over");
        assert_eq!(delayed.retry(&"a".into()).unwrap().outcome, Err("gone".into()));
        assert_eq!(delayed.retry(&"c".into()).unwrap().pointer, pointer("3"));
        assert!(delayed.retry(&"c".into()).is_none(), "an answer is given once");
    }

    #[test]
    fn equal_content_is_downloaded_once() {
        let mut delayed = Delayed::default();
        assert!(delay(&mut delayed, "a", "same"));
        assert!(!delay(&mut delayed, "b", "same"), "the second path shares the first one's download");
        delayed.done(&pointer("same"), &Ok(()));
        assert_eq!(delayed.list(), ["a", "b"]);
    }

    #[test]
    fn a_false_size_is_judged_apart() {
        let mut delayed = Delayed::default();
        let liar = Pointer { size: 99, ..pointer("same") };
        assert!(delay(&mut delayed, "honest", "same"));
        assert!(delayed.delay("liar".into(), liar, Vec::new()), "another question has a download of its own");
        delayed.done(&liar, &Err("too short".into()));
        assert!(delayed.must_wait(), "the honest path still waits for its own");
        delayed.done(&pointer("same"), &Ok(()));
        assert_eq!(delayed.list(), ["honest"]);
        assert_eq!(delayed.list(), ["liar"]);
    }

    #[test]
    fn a_path_delayed_again_takes_the_new_pointer() {
        let mut delayed = Delayed::default();
        delay(&mut delayed, "a", "old");
        assert!(delay(&mut delayed, "a", "new"));
        delayed.done(&pointer("old"), &Ok(()));
        assert!(delayed.must_wait(), "the old content no longer concerns anyone");
        delayed.done(&pointer("new"), &Ok(()));
        assert_eq!(delayed.list(), ["a"]);
        assert_eq!(delayed.retry(&"a".into()).unwrap().pointer, pointer("new"));
    }

    #[test]
    fn rounds_follow_each_other() {
        let mut delayed = Delayed::default();
        for round in ["1", "2", "3"] {
            assert!(delay(&mut delayed, "a", round));
            delayed.done(&pointer(round), &Ok(()));
            assert_eq!(delayed.list(), ["a"]);
            assert_eq!(delayed.retry(&"a".into()).unwrap().pointer, pointer(round));
            assert!(delayed.list().is_empty());
        }
        assert!(delayed.entries.is_empty() && delayed.waiting.is_empty(), "nothing is kept between rounds");
    }
}
