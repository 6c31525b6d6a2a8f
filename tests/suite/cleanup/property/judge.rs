//! What must hold in every history: after each cleanup, after each push, and at the end.
//!
//! Apart from the steps because it knows nothing of them: it looks at the store, the remote and the clones
//! with the real Git, and reads pointers with nothing of s3lfs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::time::SystemTime;

use super::super::time::files;
use super::{CLONES, History, content};
use crate::world::Place;

/// What a registration says by itself.
const KEEP_NEWER: u32 = 14;

/// The objects of the store, each with its age in days.
pub type Stored = BTreeMap<String, u32>;

/// The contents that the pointers of these objects name.
fn named(place: &Place<'_>, revisions: &[&str]) -> BTreeSet<String> {
    let objects = place.git(&[&["rev-list", "--objects", "--no-object-names"], revisions].concat()).ok().stdout;
    let blobs = place.git_with_input(&["cat-file", "--batch"], objects.as_bytes()).ok().stdout;
    let oid = |line: &str| line.strip_prefix("oid sha256:").map(str::to_owned);
    blobs.lines().filter_map(oid).collect()
}

impl History<'_> {
    /// A cleanup by the rules; without `--fetch` it may refuse.
    pub fn clean_up(&mut self, place: &Place<'_>) {
        let fetch = self.lot.below(4) > 0;
        let args: &[&str] = if fetch { &["cleanup", "--force", "--fetch"] } else { &["cleanup", "--force"] };
        self.clean_up_with(place, args, KEEP_NEWER);
    }

    /// A cleanup that deletes only what has been garbage for so many days.
    pub fn clean_up_with(&mut self, place: &Place<'_>, args: &[&str], keep_newer: u32) {
        let (before, copies) = (self.stored(), self.cached(place));
        let ran = place.s3lfs(args);
        let (after, copies_after) = (self.stored(), self.cached(place));
        let gone: BTreeSet<&String> = before.keys().filter(|oid| !after.contains_key(*oid)).collect();
        self.note(place, format!("s3lfs {} [{}], {} deleted", args.join(" "), ran.code, gone.len()));
        self.deleted += gone.len();
        let may_refuse = !args.contains(&"--fetch");
        assert!(ran.code == 0 || may_refuse && ran.code == 1, "it works, or does not see everybody: {ran:#?}");
        let own = named(place, &["--all", "--reflog", "--indexed-objects"]);
        let lost: Vec<&&String> = gone.iter().filter(|oid| own.contains(**oid)).collect();
        assert!(lost.is_empty(), "this clone itself still names {lost:?}");
        let lost = |oid: &&String| {
            let had = before.contains_key(*oid) || copies.contains(*oid);
            had && !after.contains_key(*oid) && !copies_after.contains(*oid)
        };
        let lost: Vec<&String> = own.iter().filter(lost).collect();
        assert!(lost.is_empty(), "this clone names these, had them, and has them no more: {lost:?}");
        self.check_published(&after);
        if ran.code != 0 {
            assert!(gone.is_empty(), "it refused: {ran:#?}");
            return;
        }
        let seen: BTreeSet<String> = &own | &named(&self.world.at("remote.git"), &["--all"]);
        self.check_ages(&before, &seen, &gone, keep_newer);
    }

    /// What went had been garbage for long enough: written that long ago, and named by nothing that any
    /// cleanup since then has seen.
    fn check_ages(&mut self, before: &Stored, seen: &BTreeSet<String>, gone: &BTreeSet<&String>, keep_newer: u32) {
        for (oid, age) in before {
            if seen.contains(oid) {
                self.unnamed.remove(oid);
                continue;
            }
            let since = self.unnamed.entry(oid.clone()).or_insert(self.today);
            // It was written anew since, so somebody needed it: that is seen for the first time.
            if self.today - *since > *age {
                *since = self.today;
            }
            if gone.contains(oid) {
                assert!(*age >= keep_newer, "{oid} was written {age} days ago");
                let days = self.today - self.unnamed.remove(oid).unwrap();
                assert!(days >= keep_newer, "{oid} was first seen to be garbage {days} days ago");
            }
        }
    }

    /// What is in the store.
    pub fn stored(&self) -> Stored {
        let now = SystemTime::now();
        let days = |path: &std::path::Path| {
            let age = now.duration_since(fs::metadata(path).unwrap().modified().unwrap());
            age.map_or(0, |age| (age.as_secs() / (24 * 3600)) as u32)
        };
        let objects = files(&self.world.path("store/proj/assets"));
        objects.iter().map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), days(path))).collect()
    }

    /// What a clone has copies of.
    pub fn cached(&self, place: &Place<'_>) -> BTreeSet<String> {
        let copies = files(&place.join(".git/s3lfs/objects"));
        let names = copies.iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned());
        names.filter(|name| name.len() == 64).collect()
    }

    /// Every commit that a ref of the remote reaches has its content.
    pub fn check_published(&self, stored: &Stored) {
        let published = named(&self.world.at("remote.git"), &["--all"]);
        let lost: Vec<&String> = published.iter().filter(|oid| !stored.contains_key(*oid)).collect();
        assert!(lost.is_empty(), "published, and not in the store: {lost:?}");
    }

    /// Somebody who never was here gets every branch and tag, and so does every clone without a copy.
    pub fn check_out_everything(&self) {
        for n in 0..self.contents {
            let object = self.world.object(&content(n));
            if object.exists() {
                assert_eq!(decoded(&fs::read(object).unwrap()), content(n), "the right bytes");
            }
        }
        self.world.cloned("fresh");
        for clone in ["fresh"].iter().chain(&CLONES) {
            let place = self.world.at(clone);
            place.drop_cache();
            if place.join(".git/rebase-merge").exists() {
                place.git(&["rebase", "--quit"]).ok();
            }
            place.git(&["fetch", "-q", "--prune", "--prune-tags", "--tags", "--force"]).ok();
            let refs = place.git(&["for-each-ref", "--format=%(refname)", "refs/remotes/origin", "refs/tags"]);
            for name in refs.ok().stdout.lines() {
                place.git(&["checkout", "-q", "-f", "--detach", name]).ok();
                for path in place.git(&["ls-files", "*.bin"]).ok().stdout.lines() {
                    assert!(place.text(path).starts_with("content number"), "{clone}: {name}:{path} is filled");
                }
            }
        }
    }
}

fn decoded(object: &[u8]) -> Vec<u8> {
    if !object.starts_with(b"\x1f\x8b") {
        return object.to_owned();
    }
    let mut bytes = Vec::new();
    flate2::read::MultiGzDecoder::new(object).read_to_end(&mut bytes).unwrap();
    bytes
}
