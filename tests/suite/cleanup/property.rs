//! Random histories of three clones that share a remote and a store, with a cleanup after any step:
//! whatever is published can always be checked out.
//!
//! The clones know nothing of each other but what the remote tells: they fetch late, upload without
//! pushing, add old content again, throw commits away. Each seed is one history, for ever; a failure
//! tells the seed and the steps. `S3LFS_TEST_FULL=1` tries more seeds.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;

use super::time::{days_pass, files};
use crate::world::{Place, Ran, World, oid};

const CLONES: [&str; 3] = ["work", "second", "third"];
const CONTENTS: usize = 12;
const STEPS: usize = 110;

/// Knuth's linear congruential generator (MMIX).
struct Lot(u64);

impl Lot {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n
    }
}

fn content(n: usize) -> Vec<u8> {
    format!("content number {n}\n").into_bytes()
}

/// The contents that the pointers of these objects name, read by nothing of s3lfs.
fn named(place: &Place<'_>, revisions: &[&str]) -> BTreeSet<String> {
    let objects = place.git(&[&["rev-list", "--objects", "--no-object-names"], revisions].concat()).ok().stdout;
    let blobs = place.git_with_input(&["cat-file", "--batch"], objects.as_bytes()).ok().stdout;
    let oid = |line: &str| line.strip_prefix("oid sha256:").map(str::to_owned);
    blobs.lines().filter_map(oid).collect()
}

struct History<'a> {
    world: &'a World,
    lot: Lot,
    log: Vec<String>,
    deleted: usize,
}

/// Says where a failed history was.
struct Told<'a>(History<'a>, u64);

impl Drop for Told<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("seed {}, {} steps:\n{}", self.1, self.0.log.len(), self.0.log.join("\n"));
        }
    }
}

impl<'a> History<'a> {
    fn place(&mut self) -> Place<'a> {
        // What is lost to others must not stop a clone: it keeps the pointer.
        self.world
            .at(CLONES[self.lot.below(CLONES.len())])
            .env("S3LFS_SKIP_DOWNLOAD_ERRORS", "1")
            .env("GIT_EDITOR", "true")
    }

    fn note(&mut self, place: &Place<'_>, what: String) {
        let clone = place.dir.file_name().unwrap().to_string_lossy().into_owned();
        self.log.push(format!("{clone}: {what}"));
    }

    /// Git, whatever comes of it: a rebase may conflict, a push may be refused.
    fn git(&mut self, place: &Place<'_>, args: &[&str]) -> Ran {
        let ran = place.git(args);
        self.note(place, format!("git {} [{}]", args.join(" "), ran.code));
        ran
    }

    /// One of the refs beneath `under`, in the order of their names.
    fn pick(&mut self, place: &Place<'_>, under: &str) -> Option<String> {
        let refs = place.git(&["for-each-ref", "--format=%(refname:lstrip=2)", under]).ok().stdout;
        let refs: Vec<&str> = refs.lines().filter(|name| !name.ends_with("/HEAD")).collect();
        if refs.is_empty() { None } else { Some(refs[self.lot.below(refs.len())].to_owned()) }
    }

    fn edit(&mut self, place: &Place<'_>) {
        let (file, n) = (self.lot.below(4), self.lot.below(CONTENTS));
        let path = format!("f{file}.bin");
        place.write(&path, content(n));
        self.note(place, format!("{path} = content {n}"));
        place.git(&["add", "--", &path]).ok();
    }

    fn step(&mut self) {
        let place = self.place();
        match self.lot.below(48) {
            0..6 => {
                self.edit(&place);
                self.git(&place, &["commit", "-qm", "change"]);
            }
            6 => self.edit(&place),
            7 => {
                self.edit(&place);
                self.git(&place, &["commit", "-q", "--amend", "-m", "amended"]);
            }
            8 => {
                self.edit(&place);
                self.git(&place, &["stash", "-q"]);
            }
            9 => {
                self.git(&place, &["stash", "drop", "-q"]);
            }
            10 | 11 => {
                let name = format!("b{}", self.lot.below(3));
                self.git(&place, &["switch", "-q", "-C", &name]);
            }
            12 | 13 => {
                if let Some(branch) = self.pick(&place, "refs/remotes/origin") {
                    let local = branch.trim_start_matches("origin/").to_owned();
                    self.git(&place, &["switch", "-q", "-f", "-C", &local, &branch]);
                }
            }
            14 => {
                if let Some(branch) = self.pick(&place, "refs/heads") {
                    self.git(&place, &["switch", "-q", "-f", &branch]);
                }
            }
            15 => {
                if let Some(onto) = self.pick(&place, "refs/remotes/origin")
                    && self.git(&place, &["rebase", "-q", &onto]).code != 0
                    && self.lot.below(3) > 0
                {
                    self.git(&place, &["rebase", "--abort"]);
                }
            }
            16 => {
                if self.git(&place, &["reset", "-q", "--soft", "HEAD~2"]).code == 0 {
                    self.git(&place, &["commit", "-qm", "squashed"]);
                }
            }
            17 => {
                let name = format!("t{}", self.lot.below(2));
                self.git(&place, &["tag", "-f", &name]);
                self.git(&place, &["push", "-q", "-f", "origin", &format!("refs/tags/{name}")]);
            }
            18..22 => {
                self.git(&place, &["push", "-q", "-f", "origin", "HEAD"]);
            }
            22 => {
                if let Some(branch) = self.pick(&place, "refs/remotes/origin") {
                    self.git(&place, &["push", "-q", "-d", "origin", branch.trim_start_matches("origin/")]);
                }
            }
            23 => {
                if let Some(branch) = self.pick(&place, "refs/heads") {
                    self.git(&place, &["switch", "-q", "--detach"]);
                    self.git(&place, &["branch", "-D", &branch]);
                }
            }
            24..27 => {
                self.git(&place, &["fetch", "-q", "--prune", "--tags", "--force"]);
            }
            27 | 28 => self.forget(&place),
            29 => {
                place.drop_cache();
                self.note(&place, "loses its cache".to_owned());
            }
            30..33 => {
                self.git(&place, &["reset", "-q", "--hard", "HEAD~1"]);
            }
            33..39 => {
                let days = 1 + self.lot.below(20) as u32;
                self.log.push(format!("{days} days pass"));
                days_pass(self.world, days);
            }
            _ => self.clean_up(&place),
        }
    }

    fn forget(&mut self, place: &Place<'_>) {
        for all in ["HEAD", "--all"] {
            place.git(&["reflog", "expire", "--expire=all", "--expire-unreachable=all", all]).ok();
        }
        for file in ["ORIG_HEAD", "FETCH_HEAD"] {
            let _ = fs::remove_file(place.join(".git").join(file));
        }
        self.note(place, "forgets its reflogs".to_owned());
    }

    fn clean_up(&mut self, place: &Place<'_>) {
        if self.lot.below(2) == 0 {
            self.forget(place);
        }
        let fetch = self.lot.below(3) > 0;
        let args: &[&str] = if fetch { &["cleanup", "--force", "--fetch"] } else { &["cleanup", "--force"] };
        let before = self.stored();
        let ran = place.s3lfs(args);
        let after = self.stored();
        let gone: BTreeSet<String> = before.difference(&after).cloned().collect();
        self.note(place, format!("s3lfs {} [{}], {} deleted", args.join(" "), ran.code, gone.len()));
        self.deleted += gone.len();
        assert!(ran.code == 0 || !fetch && ran.code == 1, "it works, or does not see everybody: {ran:#?}");
        if ran.code != 0 {
            assert!(gone.is_empty(), "it refused: {ran:#?}");
        }
        let own = named(place, &["--all", "--reflog", "--indexed-objects"]);
        let lost: Vec<&String> = own.intersection(&gone).collect();
        assert!(lost.is_empty(), "this clone itself still names {lost:?}");
        self.check_published(&after);
    }

    /// What is in the store.
    fn stored(&self) -> BTreeSet<String> {
        let objects = files(&self.world.path("store/proj/assets"));
        objects.iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect()
    }

    /// Every commit that a ref of the remote reaches has its content.
    fn check_published(&self, stored: &BTreeSet<String>) {
        let published = named(&self.world.at("remote.git"), &["--all"]);
        let lost: Vec<&String> = published.difference(stored).collect();
        assert!(lost.is_empty(), "published, and not in the store: {lost:?}");
        for n in 0..CONTENTS {
            let content = content(n);
            if published.contains(&oid(&content)) {
                let object = fs::read(self.world.object(&content)).unwrap();
                let mut decoded = Vec::new();
                match object.starts_with(b"\x1f\x8b") {
                    true => drop(flate2::read::MultiGzDecoder::new(&object[..]).read_to_end(&mut decoded).unwrap()),
                    false => decoded = object,
                }
                assert_eq!(decoded, content, "the right bytes");
            }
        }
    }

    /// Somebody who never was here gets every branch and tag.
    fn check_out_everything(&self) {
        let fresh = self.world.cloned("fresh");
        let refs = fresh.git(&["for-each-ref", "--format=%(refname)", "refs/remotes/origin", "refs/tags"]).ok().stdout;
        for name in refs.lines() {
            fresh.git(&["checkout", "-q", "--detach", name]).ok();
            for path in fresh.git(&["ls-files", "*.bin"]).ok().stdout.lines() {
                assert!(fresh.text(path).starts_with("content number"), "{name}:{path} is filled");
            }
        }
    }
}

/// How many objects were deleted.
fn history(seed: u64) -> usize {
    let world = World::ready();
    CLONES[1..].iter().for_each(|clone| drop(world.cloned(clone)));
    let mut told = Told(History { world: &world, lot: Lot(seed), log: Vec::new(), deleted: 0 }, seed);
    for _ in 0..STEPS {
        told.0.step();
    }
    told.0.check_published(&told.0.stored());
    told.0.check_out_everything();
    told.0.deleted
}

#[test]
fn whatever_is_published_can_always_be_checked_out() {
    let seeds: u64 = if std::env::var_os("S3LFS_TEST_FULL").is_some() { 40 } else { 3 };
    let first: u64 = std::env::var("S3LFS_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let mut deleted = 0;
    for seed in first..first + seeds {
        let here = history(seed);
        eprintln!("seed {seed}: {here} objects deleted");
        deleted += here;
    }
    assert!(deleted > 0, "histories in which nothing is deleted show nothing");
}
