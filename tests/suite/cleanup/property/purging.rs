//! The scene in which somebody deletes at once: `remove --purge-from-s3`.
//!
//! Apart because it is no cleanup: it knows no age, and what it may delete is what one file has and nothing
//! else that it can see.

use std::collections::BTreeSet;

use super::History;
use super::judge::named;
use crate::world::Place;

impl<'a> History<'a> {
    /// Of content that nobody else can have, of content that was thrown away, or of whatever a file has: most
    /// of the time, commits name that. What others have proved lately they believe for three days (design.md,
    /// section 2, 2), so they are given that time.
    pub fn purged(&mut self, place: &Place<'a>, other: &Place<'a>) {
        for _ in 0..3 {
            let path = match self.lot.below(4) {
                0 => {
                    let n = self.fresh();
                    let path = self.edit(place, n);
                    place.s3lfs(&["upload", &path]).ok();
                    Some(path)
                }
                1 => {
                    let (n, _) = self.thrown_away(place);
                    self.forget(place);
                    Some(self.edit(place, n))
                }
                // Others name it, in what they have published or not.
                2 => {
                    let n = self.fresh();
                    self.published(other);
                    self.commit(other, n);
                    if self.lot.below(2) == 0 {
                        self.publish(other);
                    }
                    self.days(4);
                    let path = self.edit(place, n);
                    place.s3lfs(&["upload", &path]).ok();
                    Some(path)
                }
                _ => {
                    self.days(4);
                    let files = place.git(&["ls-files", "f*.bin"]).ok().stdout;
                    let files: Vec<&str> = files.lines().collect();
                    if files.is_empty() { None } else { Some(files[self.lot.below(files.len())].to_owned()) }
                }
            };
            if let Some(path) = path {
                self.purge(place, &path);
            }
            self.git(place, &["reset", "-q", "--hard"]);
        }
    }

    fn purge(&mut self, place: &Place<'a>, path: &str) {
        let before = (self.stored(), place.index());
        let own = place.blob(&format!(":{path}"));
        let ran = place.s3lfs(&["remove", path, "--purge-from-s3", "--fetch"]);
        let after = self.stored();
        let gone: BTreeSet<&String> = before.0.keys().filter(|oid| !after.contains_key(*oid)).collect();
        self.note(place, format!("s3lfs remove {path} --purge-from-s3 [{}], {} deleted", ran.code, gone.len()));
        assert!(gone.iter().all(|oid| own.contains(oid.as_str())), "only what the file had goes: {gone:?}, {own}");
        if ran.code != 0 {
            assert!(ran.code == 1 && gone.is_empty(), "it refused, and nothing is lost yet: {ran:#?}");
            assert_eq!(before.1, place.index(), "nothing was changed");
        }
        let remote = named(&self.stage.at("remote.git"), &["--all"]);
        // What is here is what it names now; the removed path is not in the index any more.
        let names = &named(place, &["--all", "--reflog", "--indexed-objects"]) | &remote;
        let lost: Vec<&&String> = gone.iter().filter(|oid| names.contains(**oid)).collect();
        assert!(lost.is_empty(), "this clone itself still names {lost:?}");
        self.check_published(&after);
    }
}
