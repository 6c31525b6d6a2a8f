//! What must hold in every history: after each cleanup, after each push, and at the end.
//!
//! Apart from the steps because it knows nothing of them: it looks at the store, the remote and the clones
//! with the real Git, and reads pointers with nothing of s3lfs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::super::time::files;
use super::{CLONES, History, content};
use crate::world::{MANIFEST, Place, oid};

/// What a registration says by itself.
const KEEP_NEWER: u32 = 14;

/// The objects of the store, each with its age in days.
pub type Stored = BTreeMap<String, u32>;

/// The contents that the pointers of these objects name, and manifests for files that no pointer has.
pub fn named(place: &Place<'_>, revisions: &[&str]) -> BTreeSet<String> {
    // A scene takes objects away for a while: what is here counts.
    let list = ["rev-list", "--objects", "--no-object-names", "--missing=allow-any"];
    let objects = place.git(&[&list, revisions].concat()).ok().stdout;
    let blobs = place.git_with_input(&["cat-file", "--batch"], objects.as_bytes()).ok().stdout;
    blobs.lines().filter_map(named_in).map(str::to_owned).collect()
}

/// What a line of a pointer names, or one of a manifest for a file that was uploaded by hand.
fn named_in(line: &str) -> Option<&str> {
    let by_hand = || line.trim_start().strip_prefix("\"hand")?.split_once("\": \"").and_then(|(_, oid)| oid.get(..64));
    line.strip_prefix("oid sha256:").or_else(by_hand)
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
        let mut own = named(place, &["--all", "--reflog", "--indexed-objects"]);
        for worktree in place.git(&["worktree", "list", "--porcelain"]).ok().stdout.lines() {
            let manifest =
                worktree.strip_prefix("worktree ").map(|top| fs::read_to_string(format!("{top}/{MANIFEST}")));
            if let Some(Ok(manifest)) = manifest {
                own.extend(manifest.lines().filter_map(named_in).map(str::to_owned));
            }
        }
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
        let seen: BTreeSet<String> = &own | &named(&self.stage.world().at("remote.git"), &["--all"]);
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
        let objects = files(&self.stage.stored("assets"));
        // The Python tool's have a name of their own.
        let objects = objects.iter().filter(|path| path.file_name().unwrap().len() == 64);
        objects.map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), days(path))).collect()
    }

    /// What a clone has copies of.
    pub fn cached(&self, place: &Place<'_>) -> BTreeSet<String> {
        let copies = self.caches(place).into_iter().flat_map(|cache| files(&cache));
        let names = copies.map(|path| path.file_name().unwrap().to_string_lossy().into_owned());
        names.filter(|name| name.len() == 64).collect()
    }

    /// Where a clone has copies: its own, and those that it shares, if it does.
    pub fn caches(&self, place: &Place<'_>) -> Vec<PathBuf> {
        let own = place.join(".git/s3lfs/objects");
        let shared = place.git(&["config", "s3lfs.cachedir"]).stdout;
        let shared = (!shared.is_empty()).then(|| Path::new(shared.trim()).join("objects"));
        std::iter::once(own).chain(shared).collect()
    }

    /// Every commit that a ref of the remote reaches has its content.
    pub fn check_published(&self, stored: &Stored) {
        for remote in ["remote.git"].into_iter().chain(self.remotes.iter().map(String::as_str)) {
            let published = named(&self.stage.world().at(remote), &["--all"]);
            let lost: Vec<&String> = published.iter().filter(|oid| !stored.contains_key(*oid)).collect();
            assert!(lost.is_empty(), "published in {remote}, and not in the store: {lost:?}");
        }
        let lost: Vec<_> = self.foreign.iter().filter(|file| !file.exists()).collect();
        assert!(lost.is_empty(), "written by a repository that nobody sees, and not in the store: {lost:?}");
    }

    /// Somebody who never was here gets every branch and tag, and so does every clone without a copy.
    pub fn check_out_everything(&self) {
        for n in 0..self.contents {
            let oid = oid(&content(n));
            let object = self.stage.stored(&format!("assets/{}/{oid}", &oid[..2]));
            if object.exists() {
                assert_eq!(decoded(&fs::read(object).unwrap()), content(n), "the right bytes");
            }
        }
        self.stage.cloned("fresh");
        let _ = fs::remove_dir_all(self.stage.world().path("cache"));
        for clone in ["fresh"].iter().chain(&CLONES) {
            let place = self.stage.at(clone);
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
