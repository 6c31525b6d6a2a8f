//! Random histories of three clones that share a remote and a store, with a cleanup after any step:
//! whatever is published can always be checked out.
//!
//! The clones know nothing of each other but what the remote tells: they fetch late, upload without
//! pushing, add old content again, throw commits away, commit without the network, prune (`keeping`). Between the steps of chance stand scenes
//! (`scenes`): each brings about, in a few steps of its own, what one rule of cleanup is for. Each seed is
//! one history, for ever; a failure tells the seed and the steps. `S3LFS_TEST_SEED` tries one seed alone,
//! `S3LFS_TEST_FULL=1` tries more of them, and `S3LFS_TEST_SEEDS=100` a hundred. Each scene is played in each
//! history; `tests/rules/run` shows that no rule can be missing, by a patch for each that switches it off:
//!
//! | what keeps content alive | what is asserted of it, after each step | patches |
//! |---|---|---|
//! | cache: what is added stays, and what goes out is hashed | `edit`, `check_cache`, `check_worktree`, `prune`, `prune_shared` | `cache-*`, `prune-*` |
//! | uploaded record: only what is there, for three days | `check_records` | `records-*` |
//! | manifest: it is what the pointers are, and merges to both | `check_projection`, `check_manifests` | `manifest-*` |
//! | push gate: what is published is in the store | `check_published` | `push-*` (`uploads-are-hashed`: by an example) |
//! | commits without the network go, and are uploaded later | `commit_without_network` | `offline-commits`, `push-uploads` |
//! | cleanup and its age; the other clones, which it sees | `clean_up_with`, `check_ages`, `check_published` | all others |

mod clones;
mod elsewhere;
mod judge;
mod keeping;
mod purging;
mod scenes;
mod stage;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use crate::world::{Place, Ran};
pub use stage::Stage;

const CLONES: [&str; 3] = ["work", "second", "third"];

/// Steps of a history, a scene being one.
const STEPS: usize = 40;

/// Few, since each history takes half a minute.
const SEEDS: [u64; 2] = [1, 2];

/// After everything that is real, so that Git, too, takes every commit to be younger than its parents.
const FIRST_DATE: u64 = 4_000_000_000;

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

struct History<'a> {
    stage: &'a Stage,
    lot: Lot,
    log: Vec<String>,
    /// Contents that there were so far.
    contents: usize,
    /// Dates of commits and times of files come from here: the same in every run.
    ticks: u64,
    /// How many days have passed.
    today: u32,
    /// The day since when cleanups have found an object to be named by nothing.
    unnamed: BTreeMap<String, u32>,
    deleted: usize,
    /// Scenes that were not played yet.
    deck: Vec<usize>,
    /// Where else somebody has published, at the moment.
    remotes: Vec<String>,
    /// Files of somebody whom nobody sees.
    foreign: Vec<PathBuf>,
    /// What was seen in each clone.
    clones: BTreeMap<String, clones::Known>,
    /// Commits whose manifests were looked at.
    manifests: BTreeSet<String>,
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
    fn new(stage: &'a Stage, seed: u64) -> Self {
        History {
            stage,
            lot: Lot(seed),
            log: Vec::new(),
            contents: 0,
            ticks: 0,
            today: 0,
            unnamed: BTreeMap::new(),
            deleted: 0,
            deck: Vec::new(),
            remotes: Vec::new(),
            foreign: Vec::new(),
            clones: BTreeMap::new(),
            manifests: BTreeSet::new(),
        }
    }

    fn clone(&self, number: usize) -> Place<'a> {
        self.clone_at(self.stage.at(CLONES[number % CLONES.len()]))
    }

    fn clone_at(&self, place: Place<'a>) -> Place<'a> {
        // What is lost to others must not stop a clone: it keeps the pointer.
        place.env("S3LFS_SKIP_DOWNLOAD_ERRORS", "1").env("GIT_EDITOR", "true")
    }

    fn place(&mut self) -> Place<'a> {
        let number = self.lot.below(CLONES.len());
        self.clone(number)
    }

    fn note(&mut self, place: &Place<'_>, what: String) {
        let clone = place.dir.file_name().unwrap().to_string_lossy().into_owned();
        self.log.push(format!("{clone}: {what}"));
        self.check_clone(place);
    }

    fn tick(&mut self) -> u64 {
        self.ticks += 1;
        self.ticks
    }

    /// Git, whatever comes of it: a rebase may conflict, a push may be refused.
    fn git(&mut self, place: &Place<'_>, args: &[&str]) -> Ran {
        let date = format!("@{} +0000", FIRST_DATE + 60 * self.tick());
        let ran = match args[0] {
            // The reflogs of these tell s3lfs how lately a remote was seen: by the real clock.
            "fetch" | "push" => place.git(args),
            _ => place.env("GIT_AUTHOR_DATE", &date).env("GIT_COMMITTER_DATE", &date).git(args),
        };
        // A repository has an id of its own, so no commit has the same id in two runs.
        let args_shown: Vec<&str> = args.iter().map(|arg| if arg.len() == 40 { "<commit>" } else { arg }).collect();
        self.note(place, format!("git {} [{}]", args_shown.join(" "), ran.code));
        if std::env::var_os("S3LFS_TEST_LOG").is_some() && ran.code != 0 {
            eprintln!("{ran:#?}");
        }
        match args[0] {
            "push" if ran.code == 0 => self.check_published(&self.stored()),
            "commit" if ran.code == 0 => self.check_projection(place),
            _ => {}
        }
        ran
    }

    /// One of the refs beneath `under`, in the order of their names.
    fn pick(&mut self, place: &Place<'_>, under: &str) -> Option<String> {
        let refs = place.git(&["for-each-ref", "--format=%(refname:lstrip=2)", under]).ok().stdout;
        let refs: Vec<&str> = refs.lines().filter(|name| !name.ends_with("/HEAD") && *name != "origin").collect();
        if refs.is_empty() { None } else { Some(refs[self.lot.below(refs.len())].to_owned()) }
    }

    /// Content that never was.
    fn fresh(&mut self) -> usize {
        self.contents += 1;
        self.contents - 1
    }

    /// Content of any kind: old content is added again.
    fn any(&mut self) -> usize {
        if self.contents == 0 || self.lot.below(2) == 0 { self.fresh() } else { self.lot.below(self.contents) }
    }

    fn edit(&mut self, place: &Place<'_>, n: usize) -> String {
        let path = format!("f{}.bin", self.lot.below(4));
        self.edit_at(place, &path, n);
        path
    }

    fn edit_at(&mut self, place: &Place<'_>, path: &str, n: usize) {
        place.write(path, content(n));
        self.settle(place, path);
        self.note(place, format!("{path} = content {n}"));
        place.git(&["add", "--", path]).ok();
        let named = crate::world::oid(&content(n));
        let is_kept = self.cached(place).contains(&named) || self.stored().contains_key(&named);
        assert!(is_kept, "{path} was added, and its content is nowhere");
    }

    fn commit(&mut self, place: &Place<'_>, n: usize) -> String {
        let path = self.edit(place, n);
        self.git(place, &["commit", "-qm", "change"]);
        path
    }

    /// A file that is as old as its index entry makes Git read it again, or not, as chance has it.
    fn settle(&mut self, place: &Place<'_>, path: &str) {
        let yesterday = SystemTime::now() - Duration::from_secs(24 * 3600);
        let time = yesterday + Duration::from_secs(self.tick());
        fs::File::options().append(true).open(place.join(path)).unwrap().set_modified(time).unwrap();
    }

    /// Nothing but what is in no store is left in the cache.
    fn lose_cache(&mut self, place: &Place<'_>) {
        for path in place.git(&["ls-files", "*.bin"]).ok().stdout.lines() {
            if place.exists(path) {
                self.settle(place, path);
            }
        }
        place.git(&["update-index", "-q", "--refresh"]);
        let stored = self.stored();
        for copy in self.cached(place) {
            let own = place.join(".git/s3lfs/objects").join(&copy[..2]).join(&copy);
            if stored.contains_key(&copy) && own.exists() {
                fs::remove_file(own).unwrap();
            }
        }
        self.note(place, "loses its cache".to_owned());
    }

    fn days(&mut self, days: usize) {
        self.log.push(format!("{days} days pass"));
        self.today += days as u32;
        self.stage.days_pass(days as u32);
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

    fn step(&mut self) {
        match self.lot.below(12) {
            0..4 => self.scene(),
            4 | 5 => self.keeping(),
            _ => self.chance(),
        }
        // Whatever the step was.
        self.check_published(&self.stored());
        self.check_clones();
        let remote = self.stage.world().at("remote.git");
        self.check_manifests(&remote, &["--branches"]);
    }

    /// A step that has nothing to do with what was before.
    fn chance(&mut self) {
        let place = self.place();
        match self.lot.below(44) {
            0..6 => {
                let n = self.any();
                self.commit(&place, n);
            }
            6 => {
                let n = self.any();
                self.edit(&place, n);
            }
            7 => {
                let n = self.any();
                self.edit(&place, n);
                self.git(&place, &["commit", "-q", "--amend", "-m", "amended"]);
            }
            8 => {
                let n = self.any();
                self.edit(&place, n);
                self.git(&place, &["stash", "-q"]);
            }
            9 => drop(self.git(&place, &["stash", "drop", "-q"])),
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
            18..22 => drop(self.git(&place, &["push", "-q", "-f", "origin", "HEAD"])),
            22 | 23 => {
                if let Some(branch) = self.pick(&place, "refs/remotes/origin") {
                    self.git(&place, &["push", "-q", "-d", "origin", branch.trim_start_matches("origin/")]);
                }
            }
            24 => {
                if let Some(branch) = self.pick(&place, "refs/heads") {
                    self.git(&place, &["switch", "-q", "--detach"]);
                    self.git(&place, &["branch", "-D", &branch]);
                }
            }
            25..28 => drop(self.git(&place, &["fetch", "-q", "--prune", "--tags", "--force"])),
            28 => self.forget(&place),
            29 | 30 => self.lose_cache(&place),
            31..33 => drop(self.git(&place, &["reset", "-q", "--hard", "HEAD~1"])),
            33..38 => {
                let days = 1 + self.lot.below(20);
                self.days(days);
            }
            _ => {
                if self.lot.below(2) == 0 {
                    self.forget(&place);
                }
                self.clean_up(&place);
            }
        }
    }
}

/// How many objects were deleted, in so many steps; the scenes that were not played by then, too, if they are
/// `all` to be played.
pub fn history(stage: &Stage, seed: u64, steps: usize, all: bool) -> usize {
    CLONES[1..].iter().for_each(|clone| stage.cloned(clone));
    let mut told = Told(History::new(stage, seed), seed);
    for _ in 0..steps {
        told.0.step();
    }
    while all && !told.0.deck.is_empty() {
        told.0.scene();
    }
    told.0.marked_before();
    told.0.check_published(&told.0.stored());
    told.0.check_out_everything();
    if std::env::var_os("S3LFS_TEST_LOG").is_some() {
        eprintln!("seed {seed}:\n{}", told.0.log.join("\n"));
    }
    told.0.deleted
}

#[test]
fn whatever_is_published_can_always_be_checked_out() {
    let mut seeds = SEEDS.to_vec();
    if std::env::var_os("S3LFS_TEST_FULL").is_some() {
        seeds.extend(101..109);
    }
    let number = |name: &str| std::env::var(name).ok().and_then(|number| number.parse::<u64>().ok());
    if let Some(count) = number("S3LFS_TEST_SEEDS") {
        seeds = (1..=count).collect();
    }
    if let Some(seed) = number("S3LFS_TEST_SEED") {
        seeds = vec![seed];
    }
    for seed in seeds {
        assert!(
            history(&Stage::files(), seed, STEPS, true) > 0,
            "seed {seed}: a history in which nothing is deleted shows nothing"
        );
    }
}
