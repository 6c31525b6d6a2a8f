//! Scenes: in a few steps, what one rule of cleanup is for.
//!
//! Apart because chance alone hardly ever plays them: two cleanups two weeks apart, and content that all
//! the time has just one name. What each asserts is nothing of its own: the rules hold in every history.
//! Steps of chance stand between the steps of most.

use super::History;
use crate::world::Place;

/// How many there are.
const SCENES: usize = 23;

type Play<'a> = fn(&mut History<'a>, &Place<'a>, &Place<'a>);

impl<'a> History<'a> {
    pub fn scene(&mut self) {
        let (one, other) = self.two();
        let scenes: [(&str, Play<'a>); SCENES] = [
            ("named by a reflog", Self::named_by_a_reflog),
            ("named by an index", Self::named_by_an_index),
            ("named by a stash", Self::named_by_a_stash),
            ("named by a branch", Self::named_by_a_branch),
            ("named on the remote", Self::named_on_the_remote),
            ("written again", Self::written_again),
            ("read again", Self::read_again),
            ("named in between", Self::named_in_between),
            ("deleted at once", Self::deleted_at_once),
            ("another repository", Self::another_repository),
            ("a Python repository", Self::a_python_repository),
            ("named where nobody looked", Self::named_where_nobody_looked),
            ("named on another remote", Self::named_on_another_remote),
            ("named by a missing blob", Self::named_by_a_missing_blob),
            ("named before a shallow clone", Self::named_before_a_shallow_clone),
            ("named in a linked worktree", Self::named_in_a_linked_worktree),
            ("named by manifests", Self::named_by_manifests),
            ("named by a note", Self::named_by_a_note),
            ("written before the batch", Self::written_before_the_batch),
            ("purged", Self::purged),
            ("damaged", Self::damaged),
            ("merged", Self::merged),
            ("shared", Self::shared),
        ];
        // Each once before any comes again.
        if self.deck.is_empty() {
            self.deck = (0..SCENES).collect();
        }
        let card = self.lot.below(self.deck.len());
        let (name, play) = scenes[self.deck.swap_remove(card)];
        self.log.push(format!("-- {name}"));
        play(self, &one, &other);
    }

    /// Two clones with nothing left to do.
    fn two(&mut self) -> (Place<'a>, Place<'a>) {
        let number = self.lot.below(3);
        let (one, other) = (number, number + 1 + self.lot.below(2));
        let (one, other) = (self.clone(one), self.clone(other));
        for place in [&one, &other] {
            if place.join(".git/rebase-merge").exists() {
                self.git(place, &["rebase", "--abort"]);
            }
            self.git(place, &["reset", "-q", "--hard"]);
        }
        (one, other)
    }

    /// The last scene of every history, since all must go well in it for long: a mark that no cleanup took
    /// back while the object was needed, and a clone that pushes again what it fetched lately, without
    /// asking the store.
    pub fn marked_before(&mut self) {
        let (place, other) = self.two();
        self.log.push("-- marked before".to_owned());
        self.git(&other, &["switch", "-q", "--detach"]);
        let (n, _) = self.thrown_away(&other);
        self.forget(&other);
        self.clean_up_with(&place, &["cleanup", "--force", "--fetch"], 14);
        self.days(5);
        self.commit(&other, n);
        let name = self.publish(&other);
        self.days(14);
        self.git(&place, &["fetch", "-q", "--prune", "--tags", "--force"]);
        self.git(&other, &["push", "-q", "-d", "origin", &name]);
        self.git(&other, &["reset", "-q", "--hard", "HEAD~1"]);
        self.forget(&other);
        self.clean_up_with(&other, &["cleanup", "--force", "--fetch"], 14);
        let again = format!("refs/remotes/origin/{name}:refs/heads/{name}");
        self.git(&place, &["push", "-q", "-f", "origin", &again]);
    }

    /// Two weeks pass, with a cleanup before and after.
    pub fn two_weeks(&mut self, place: &Place<'a>) {
        self.clean_up(place);
        let first = 1 + self.lot.below(13);
        self.days(first);
        if self.lot.below(2) == 0 {
            self.chance();
        }
        let more = self.lot.below(4);
        self.days(14 - first + more);
        if self.lot.below(3) == 0 {
            self.lose_cache(place);
        }
        self.clean_up(place);
    }

    /// A commit of new content that is thrown away: it is in the store, and nothing names it but reflogs.
    pub fn thrown_away(&mut self, place: &Place<'a>) -> (usize, String) {
        let n = self.fresh();
        self.commit(place, n);
        let commit = place.head();
        self.git(place, &["reset", "-q", "--hard", "HEAD~1"]);
        (n, commit)
    }

    pub fn publish(&mut self, place: &Place<'a>) -> String {
        let name = format!("p{}", self.lot.below(3));
        self.git(place, &["push", "-q", "-f", "origin", &format!("HEAD:refs/heads/{name}")]);
        name
    }

    fn named_by_a_reflog(&mut self, place: &Place<'a>, _: &Place<'a>) {
        let n = self.fresh();
        match self.lot.below(3) {
            0 => drop(self.thrown_away(place)),
            1 => {
                let path = self.commit(place, n);
                let other = self.any();
                place.remove(&path);
                self.edit(place, other);
                self.git(place, &["commit", "-q", "-a", "--amend", "-m", "amended"]);
            }
            _ => {
                self.git(place, &["switch", "-q", "-C", "topic"]);
                self.commit(place, n);
                self.git(place, &["switch", "-q", "--detach", "HEAD~1"]);
                self.git(place, &["branch", "-D", "topic"]);
            }
        }
        self.two_weeks(place);
    }

    fn named_by_an_index(&mut self, place: &Place<'a>, _: &Place<'a>) {
        let (n, _) = self.thrown_away(place);
        self.forget(place);
        self.edit(place, n);
        self.two_weeks(place);
    }

    fn named_by_a_stash(&mut self, place: &Place<'a>, _: &Place<'a>) {
        let (n, _) = self.thrown_away(place);
        self.edit(place, n);
        self.git(place, &["stash", "-q"]);
        self.forget(place);
        self.two_weeks(place);
        self.git(place, &["stash", "pop", "-q"]);
    }

    fn named_by_a_branch(&mut self, place: &Place<'a>, _: &Place<'a>) {
        let n = self.fresh();
        let name = format!("b{}", self.lot.below(3));
        self.git(place, &["switch", "-q", "-C", &name]);
        self.commit(place, n);
        self.git(place, &["switch", "-q", "--detach", "HEAD~1"]);
        self.forget(place);
        self.two_weeks(place);
        if self.lot.below(2) == 0 {
            self.git(place, &["switch", "-q", "-f", &name]);
            self.publish(place);
        }
    }

    /// By a clone that never fetched it, or by the one that pushed it and has forgotten that.
    fn named_on_the_remote(&mut self, place: &Place<'a>, other: &Place<'a>) {
        let n = self.fresh();
        self.git(other, &["switch", "-q", "--detach"]);
        self.commit(other, n);
        let name = self.publish(other);
        self.git(other, &["reset", "-q", "--hard", "HEAD~1"]);
        self.git(other, &["update-ref", "-d", &format!("refs/remotes/origin/{name}")]);
        self.forget(other);
        let cleaner = if self.lot.below(2) == 0 { place } else { other };
        self.two_weeks(cleaner);
    }

    /// What is old and about to go is uploaded again, and pushed later.
    fn written_again(&mut self, place: &Place<'a>, other: &Place<'a>) {
        let (n, _) = self.thrown_away(other);
        self.forget(other);
        let days = self.lot.below(2);
        self.days(days);
        self.clean_up(place);
        let first = 12 + self.lot.below(2);
        self.days(first);
        self.commit(other, n);
        self.days(14 - first);
        self.clean_up(place);
        self.publish(other);
    }

    /// What is old and about to go is read again, and pushed later.
    fn read_again(&mut self, place: &Place<'a>, other: &Place<'a>) {
        let n = self.fresh();
        let path = self.commit(other, n);
        self.clean_up(place);
        let days = 14 + self.lot.below(4);
        self.days(days);
        self.lose_cache(other);
        other.remove(&path);
        self.git(other, &["checkout", "-q", "--", &path]);
        self.clean_up(place);
        self.publish(other);
    }

    /// Two weeks of garbage are not two weeks if it was needed between.
    fn named_in_between(&mut self, place: &Place<'a>, _: &Place<'a>) {
        let (_, commit) = self.thrown_away(place);
        self.forget(place);
        self.clean_up(place);
        for back in [true, false] {
            let days = 5 + self.lot.below(3);
            self.days(days);
            let args: &[&str] = if back { &["branch", "-f", "back", &commit] } else { &["branch", "-D", "back"] };
            self.git(place, args);
            self.forget(place);
            self.clean_up(place);
        }
        let days = 4 + self.lot.below(5);
        self.days(days);
        self.clean_up(place);
    }

    /// Nobody may lose by an age of nothing but who has uploaded and not pushed for three days: the clone
    /// that cleans knows what is gone.
    fn deleted_at_once(&mut self, place: &Place<'a>, _: &Place<'a>) {
        self.days(3);
        let (n, _) = self.thrown_away(place);
        self.forget(place);
        self.clean_up_with(place, &["cleanup", "--force", "--fetch", "--keep-newer", "0s"], 0);
        self.commit(place, n);
        self.publish(place);
    }
}
