//! Steps in which content is on one disk alone, or is about to be: commits without the network, a push gate that
//! finds nothing, `prune`, records that are lost.
//!
//! Apart from the steps of chance because each has something to say of its own end.

use std::collections::BTreeSet;
use std::fs;

use super::super::time::files;
use super::judge::named;
use super::stage::Stage;
use super::{CLONES, History, content};
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

    /// From now on, two clones leave to each other what the store has. One prunes that while the other has commits that
    /// nobody else has: what these name stays, and so does what nobody has published.
    pub fn shared(&mut self, place: &Place<'a>, other: &Place<'a>) {
        let dir = self.stage.world().path("cache");
        for place in [place, other] {
            place.git(&["config", "s3lfs.cachedir", dir.to_str().unwrap()]).ok();
            self.published(place);
        }
        let path = self.published_and_replaced(place);
        self.thrown_away(place);
        // The other one takes what is published already, in a commit of its own.
        self.git(other, &["fetch", "-q", "--prune", "--tags", "--force"]);
        if let Some(commit) = path {
            self.git(other, &["switch", "-q", "-f", "-C", "mine", "HEAD"]);
            self.git(other, &["checkout", "-q", &commit, "--", "."]);
            self.git(other, &["commit", "-q", "--allow-empty", "-m", "mine"]);
            self.git(other, &["switch", "-q", "--detach", "HEAD~1"]);
        }
        let n = self.fresh();
        self.commit(other, n);
        if self.lot.below(2) == 0 {
            self.forget(place);
        }
        self.prune_shared(place);
        self.git(other, &["switch", "-q", "-f", "mine"]);
    }

    /// A commit that is published, and whose content nothing here needs any more.
    fn published_and_replaced(&mut self, place: &Place<'a>) -> Option<String> {
        let n = self.fresh();
        let path = self.commit(place, n);
        let commit = place.head();
        let next = self.fresh();
        self.edit_at(place, &path, next);
        self.git(place, &["commit", "-qm", "replaced"]);
        let push = self.git(place, &["push", "-q", "-f", "origin", "HEAD:refs/heads/shared"]);
        (push.code == 0).then_some(commit)
    }

    /// What goes is in the store, named by what is published, and needed by none of the clones.
    fn prune_shared(&mut self, place: &Place<'a>) {
        let objects = self.stage.world().path("cache/objects");
        let shared = || -> BTreeSet<String> {
            let files = files(&objects).into_iter();
            files.map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect()
        };
        let before = shared();
        let ran = place.s3lfs(&["prune", "--shared"]);
        let after = shared();
        let gone: Vec<&String> = before.difference(&after).collect();
        self.note(place, format!("s3lfs prune --shared [{}], {} dropped", ran.code, gone.len()));
        assert!(ran.code == 0, "prune --shared comes to its end: {ran:#?}");
        let stored = self.stored();
        let published = named(&self.stage.world().at("remote.git"), &["--all"]);
        for oid in gone {
            assert!(stored.contains_key(oid), "prune dropped {oid}, the only copy");
            assert!(published.contains(oid), "prune dropped {oid}, which no remote has a commit of");
            for clone in CLONES.map(|clone| self.stage.at(clone)).iter().filter(|clone| self.caches(clone).len() > 1) {
                // All that such a commit has, also what it shares with published ones.
                let not = ["--not", "--remotes", "--glob=refs/s3lfs/seen"];
                let unpushed = clone.git(&[&["rev-list", "--all", "--reflog"][..], &not].concat()).ok().stdout;
                let unpushed: Vec<&str> = unpushed.lines().collect();
                let needed = named(clone, &[&["--no-walk", "--indexed-objects"][..], &unpushed].concat());
                let clone = clone.dir.display();
                assert!(!needed.contains(oid), "prune dropped {oid}, which is named by an unpushed commit of {clone}");
            }
        }
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
