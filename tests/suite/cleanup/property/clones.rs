//! What must hold in each clone after whatever was done: its cache, its worktree, its records, its manifests.
//!
//! Apart from `judge`, which looks at what is published: this looks at what one user has. It reads the cache, records
//! and manifests with nothing of s3lfs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use super::super::time::files;
use super::judge::{Stored, named};
use super::{CLONES, History};
use crate::world::{MANIFEST, Place, oid};

/// How long a proof is believed (design.md, section 4, "Fresh record").
const BELIEVED: u64 = 3 * 24 * 3600;

/// What is known of a clone from the last look at it.
#[derive(Default)]
pub struct Known {
    /// What its cache had.
    copies: BTreeSet<String>,
    /// Copies that the history itself has damaged, and nobody has read since.
    damaged: BTreeSet<String>,
}

fn name(place: &Place<'_>) -> String {
    place.dir.file_name().unwrap().to_string_lossy().into_owned()
}

impl History<'_> {
    /// Every clone, after each step.
    pub fn check_clones(&mut self) {
        for clone in CLONES {
            let place = self.stage.at(clone);
            self.check_clone(&place);
            self.check_worktree(&place);
        }
    }

    /// After anything that was done in this one.
    pub fn check_clone(&mut self, place: &Place<'_>) {
        let stored = self.stored();
        self.check_cache(place, &stored);
        check_records(place, &stored);
    }

    /// A copy is what its name says, and none goes that is the only one of what is named here.
    fn check_cache(&mut self, place: &Place<'_>, stored: &Stored) {
        let caches = self.caches(place);
        let known = self.clones.entry(name(place)).or_default();
        let mut copies = BTreeSet::new();
        for file in caches.iter().flat_map(|cache| files(cache)) {
            let named = file.file_name().unwrap().to_string_lossy().into_owned();
            let is_right = oid(&fs::read(&file).unwrap()) == named;
            if is_right {
                known.damaged.remove(&named);
            }
            assert!(
                is_right || known.damaged.contains(&named),
                "{}: the copy of {named} is other content",
                name(place)
            );
            copies.insert(named);
        }
        known.damaged.retain(|damaged| copies.contains(damaged));
        let gone: BTreeSet<String> = known.copies.difference(&copies).cloned().collect();
        known.copies = copies;
        if gone.iter().any(|gone| !stored.contains_key(gone)) {
            let own = named(place, &["--all", "--reflog", "--indexed-objects"]);
            let lost: Vec<&String> =
                gone.iter().filter(|oid| own.contains(*oid) && !stored.contains_key(*oid)).collect();
            assert!(lost.is_empty(), "{}: named here, and the only copy is gone: {lost:?}", name(place));
        }
    }

    /// A file has content that somebody wrote, or still is a pointer.
    fn check_worktree(&self, place: &Place<'_>) {
        for file in files(&place.dir).iter().filter(|file| file.extension().is_some_and(|name| name == "bin")) {
            let text = String::from_utf8_lossy(&fs::read(file).unwrap()).into_owned();
            let is_right = text.starts_with("content number ") || text.starts_with("version s3lfs/1\n");
            assert!(is_right, "{}: {} was delivered as {text:?}", name(place), file.display());
        }
    }

    /// The user has lost this copy by his own hand.
    pub fn give_up(&mut self, place: &Place<'_>, oid: &str) {
        self.clones.entry(name(place)).or_default().copies.remove(oid);
    }

    /// This copy gets other bytes, as many as it had.
    pub fn damage(&mut self, place: &Place<'_>, oid: &str) {
        let copies = self.caches(place).into_iter().map(|cache| cache.join(&oid[..2]).join(oid));
        let copy = copies.into_iter().find(|copy| copy.exists()).expect("it was added just now");
        let len = fs::metadata(&copy).unwrap().len() as usize;
        fs::write(&copy, vec![b'x'; len]).unwrap();
        // Others may share it.
        for clone in CLONES {
            let known = self.clones.entry(clone.to_owned()).or_default();
            known.copies.remove(oid);
            known.damaged.insert(oid.to_owned());
        }
    }

    /// What was committed just now: its manifest is what its pointers are.
    pub fn check_projection(&self, place: &Place<'_>) {
        let mut pointers = BTreeMap::new();
        for path in place.git(&["ls-tree", "-r", "--name-only", "HEAD"]).ok().stdout.lines() {
            let Some(name) = path.strip_suffix(".bin") else { continue };
            let blob = place.blob(&format!("HEAD:{path}"));
            let named = blob.lines().find_map(|line| line.strip_prefix("oid sha256:")).unwrap_or_default();
            pointers.insert(format!("{name}.bin"), named.to_owned());
        }
        let manifest: serde_json::Value = serde_json::from_str(&place.blob(&format!("HEAD:{MANIFEST}"))).unwrap();
        let files = manifest["files"].as_object().unwrap().iter().filter(|(path, _)| path.ends_with(".bin"));
        let recorded: BTreeMap<String, String> =
            files.map(|(path, oid)| (path.clone(), oid.as_str().unwrap().to_owned())).collect();
        assert_eq!(recorded, pointers, "{}: the manifest of a commit is what its pointers are", name(place));
    }

    /// What a manifest alone names is named by all that comes after it: nobody here removes such a file.
    pub fn check_manifests(&mut self, place: &Place<'_>, revisions: &[&str]) {
        let tips = place.git(&[&["rev-parse"][..], revisions].concat()).ok().stdout;
        for tip in tips.lines() {
            if place.git(&["rev-parse", "-q", "--verify", &format!("{tip}:{MANIFEST}")]).code != 0 {
                continue;
            }
            if !self.manifests.insert(tip.to_owned()) {
                continue;
            }
            let by_hand = |text: &str| -> BTreeSet<String> {
                let path = |line: &str| line.trim_start_matches(['+', ' ']).strip_prefix("\"hand").map(str::to_owned);
                let entries = text.lines().filter(|line| line.contains("\": \"")).filter_map(path);
                entries.filter_map(|entry| Some(entry.split_once('"')?.0.to_owned())).collect()
            };
            let log = place.git(&["log", "-m", "-p", "--format=", tip, "--", MANIFEST]).ok().stdout;
            let added: Vec<&str> = log.lines().filter(|line| line.starts_with('+')).collect();
            let now = by_hand(&place.blob(&format!("{tip}:{MANIFEST}")));
            let before = by_hand(&added.join("\n"));
            let lost: Vec<&String> = before.difference(&now).collect();
            assert!(
                lost.is_empty(),
                "{}: manifests alone named these files, and name them no more: {lost:?}",
                name(place)
            );
        }
    }
}

/// What a fresh record says to be in the store is there.
fn check_records(place: &Place<'_>, stored: &Stored) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    for file in files(&place.join(".git/s3lfs/uploaded")).iter().filter(|file| file.extension().is_none()) {
        for record in fs::read(file).unwrap().chunks_exact(40) {
            let proved = u64::from_be_bytes(record[32..].try_into().unwrap());
            let oid: String = record[..32].iter().map(|byte| format!("{byte:02x}")).collect();
            let is_fresh = proved <= now && now - proved < BELIEVED;
            let there = !is_fresh || stored.contains_key(&oid);
            assert!(there, "{}: its record has {oid} in the store, which has it not", name(place));
        }
    }
}
