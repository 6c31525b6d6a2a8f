//! Steps in which content is on one disk alone, or is about to be: commits without the network, a push gate that
//! finds nothing, `prune`, records that are lost.
//!
//! Apart from the steps of chance because each has something to say of its own end.

use std::collections::BTreeSet;
use std::fs;

use super::judge::named;
use super::stage::Stage;
use super::{History, content};
use crate::world::{Place, oid};

impl<'a> History<'a> {
    pub fn keeping(&mut self) {
        let place = self.place();
        self.step_aside(&place);
        match self.lot.below(6) {
            0 | 1 => self.commit_without_network(&place),
            2 => self.push_what_is_nowhere(&place),
            3 => {
                let _ = fs::remove_dir_all(place.join(".git/s3lfs/uploaded"));
                self.note(&place, "loses its records".to_owned());
            }
            _ => self.prune(&place),
        }
    }

    /// Nothing is left half done, so that a commit is one.
    fn step_aside(&mut self, place: &Place<'a>) {
        if place.join(".git/rebase-merge").exists() {
            self.git(place, &["rebase", "--abort"]);
        }
        self.git(place, &["reset", "-q", "--hard"]);
    }

    fn is_cached(&self, place: &Place<'_>, n: usize) -> bool {
        self.cached(place).contains(&oid(&content(n)))
    }

    /// A warning, and it goes; a push does not, unless it has nothing to send that is not known to be there.
    fn commit_without_network(&mut self, place: &Place<'a>) {
        // A service has no directory that could be moved away.
        let Stage::Files(world) = self.stage else { return };
        world.unplug();
        let n = self.fresh();
        let path = format!("f{}.bin", self.lot.below(4));
        place.write(&path, content(n));
        self.settle(place, &path);
        place.git(&["add", "--", &path]).ok();
        let date = format!("@{} +0000", super::FIRST_DATE + 60 * self.tick());
        let dated = place.env("GIT_AUTHOR_DATE", &date).env("GIT_COMMITTER_DATE", &date);
        dated.git(&["commit", "-qm", "offline"]).ok();
        assert!(self.is_cached(place, n), "what no store has is here");
        let push = place.git(&["push", "-q", "-f", "origin", "HEAD:refs/heads/offline"]);
        world.plug();
        self.note(place, format!("commits {path} = content {n} without the network, pushes it [{}]", push.code));
        assert_ne!(push.code, 0, "published in refs/heads/offline, and not in the store");
        if self.lot.below(2) == 0 {
            self.git(place, &["push", "-q", "-f", "origin", "HEAD:refs/heads/offline"]);
            let is_there = self.stored().contains_key(&oid(&content(n)));
            assert!(is_there, "a push uploads what was committed without the network: content {n}");
        }
    }

    /// The only copy is lost by the hand of its user: the gate does not let the pointer through.
    fn push_what_is_nowhere(&mut self, place: &Place<'a>) {
        let head = place.head();
        place.git(&["config", "s3lfs.uploadon", "push"]).ok();
        let n = self.fresh();
        let path = self.commit(place, n);
        place.git(&["config", "--unset", "s3lfs.uploadon"]).ok();
        let oid = oid(&content(n));
        if place.git(&["rev-parse", "-q", "HEAD~1"]).stdout.trim() != head {
            return;
        }
        let copy = place.join(".git/s3lfs/objects").join(&oid[..2]).join(&oid);
        let _ = fs::remove_file(copy);
        self.give_up(place, &oid);
        let push = place.git(&["push", "-q", "-f", "origin", "HEAD:refs/heads/nowhere"]);
        self.note(place, format!("pushes {path} = content {n}, which is nowhere [{}]", push.code));
        assert_ne!(push.code, 0, "published in refs/heads/nowhere, and not in the store");
        self.git(place, &["reset", "-q", "--hard", "HEAD~1"]);
    }

    /// A copy has other bytes than its name says: they are neither checked out nor uploaded.
    pub fn damaged(&mut self, place: &Place<'a>, _: &Place<'a>) {
        let is_stored = self.lot.below(2) == 0;
        self.published(place);
        if !is_stored {
            place.git(&["config", "s3lfs.uploadon", "push"]).ok();
        }
        let n = self.fresh();
        let path = self.commit(place, n);
        let _ = place.git(&["config", "--unset", "s3lfs.uploadon"]);
        let oid = oid(&content(n));
        self.damage(place, &oid);
        place.remove(&path);
        self.git(place, &["checkout", "-q", "--", &path]);
        let text = place.text(&path);
        let right = if is_stored { text.as_bytes() == content(n) } else { text.starts_with("version s3lfs/1\n") };
        assert!(right, "{path} was delivered as {text:?}");
        if !is_stored {
            let push = place.git(&["push", "-q", "-f", "origin", "HEAD:refs/heads/damaged"]);
            self.note(place, format!("pushes {path} = content {n}, whose only copy is damaged [{}]", push.code));
            assert_ne!(push.code, 0, "published in refs/heads/damaged, and not in the store");
            self.git(place, &["reset", "-q", "--hard", "HEAD~1"]);
        }
    }

    /// Two have each uploaded a file that manifests alone name; the merge names both.
    pub fn merged(&mut self, place: &Place<'a>, other: &Place<'a>) {
        self.published(place);
        let base = place.head();
        self.git(other, &["fetch", "-q", "--prune", "--tags", "--force"]);
        self.git(other, &["switch", "-q", "-f", "--detach", &base]);
        for place in [place, other] {
            let n = self.fresh();
            self.by_hand(place, n);
        }
        let name = self.publish(other);
        self.git(place, &["fetch", "-q", "--prune", "--tags", "--force"]);
        let merge = self.git(place, &["merge", "-q", "-m", "merged", &format!("origin/{name}")]);
        assert_eq!(merge.code, 0, "manifests merge without a conflict: {merge:#?}");
        self.check_manifests(place, &["HEAD"]);
        self.publish(place);
    }

    /// What goes is in the store now, and is about to be needed by nobody here.
    fn prune(&mut self, place: &Place<'a>) {
        let before: BTreeSet<String> = self.cached(place).into_iter().collect();
        let ran = place.s3lfs(&["prune"]);
        let after: BTreeSet<String> = self.cached(place).into_iter().collect();
        let gone: Vec<&String> = before.difference(&after).collect();
        self.note(place, format!("s3lfs prune [{}], {} dropped", ran.code, gone.len()));
        assert!(ran.code == 0, "prune comes to its end: {ran:#?}");
        let stored = self.stored();
        // What a cleanup fetched of a remote's refs is published too.
        let published = ["--not", "--remotes", "--glob=refs/s3lfs/seen"];
        let needed = named(place, &[&["--all", "--reflog", "--indexed-objects"][..], &published].concat());
        for oid in gone {
            assert!(stored.contains_key(oid), "prune dropped {oid}, the only copy");
            assert!(!needed.contains(oid), "prune dropped {oid}, which is named by what was not published");
        }
    }
}
