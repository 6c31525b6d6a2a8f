//! A scenario, and the ways to run it: as it is, killed at each step, failing at each step.

use std::path::Path;
use std::process::Command;

use super::injected::{Fault, Step, Tracing};
use super::judge::{State, leftovers_go, nothing_is_torn};
use super::synced::names_come_after_bytes;
use crate::world::{Ran, World};

/// What somebody types, and where.
pub struct Scenario {
    pub name: &'static str,
    /// What was there before.
    pub prepare: fn() -> World,
    /// Runs in `work`. Typed again after a failure, it must lead to the same end.
    pub line: &'static str,
    /// What the end must be, besides what it is without a fault.
    pub right: fn(&World),
}

/// Errors of a disk. The full ones last: a disk does not empty itself.
const ERRORS: [(&str, &str); 5] = [
    ("ENOSPC+", "No space left on device"),
    ("EIO", "Input/output error"),
    ("EACCES", "Permission denied"),
    ("EDQUOT+", "quota exceeded"),
    ("EROFS+", "Read-only file system"),
];

/// How many steps of a scenario the ordinary run takes, for each kind of fault, and the full one.
const SOME: [usize; 2] = [4, 12];

/// Of a scenario with no more steps than these the full run takes every one.
const FEW: usize = 60;

struct Bench<'a> {
    scenario: &'a Scenario,
    world: &'a World,
    tracing: Tracing<'a>,
    saved: tempfile::TempDir,
    before: State,
    after: State,
    steps: Vec<Step>,
}

impl<'a> Bench<'a> {
    fn new(scenario: &'a Scenario, world: &'a World) -> Option<Self> {
        let tracing = Tracing::of(world)?;
        // So that Git takes the copies for the files that it knows.
        world.at("").git(&["config", "--global", "core.checkStat", "minimal"]).ok();
        let saved = tempfile::tempdir().unwrap();
        copy(&world.path(""), saved.path());
        let before = State::of(world);
        let (ran, steps) = tracing.run(&world.at("work"), scenario.line, Fault::Nothing);
        ran.ok();
        (scenario.right)(world);
        let after = State::of(world);
        assert!(!steps.is_empty(), "{} changes something", scenario.name);
        let synced = names_come_after_bytes(&world.at("work").dir, &steps).unwrap();
        eprintln!("steps: {}: {synced} names were given after an fsync", scenario.name);
        if std::env::var_os("S3LFS_TEST_SHOW").is_some() {
            steps.iter().enumerate().for_each(|(n, step)| eprintln!("{}: {} {step:?}", scenario.name, n + 1));
        }
        Some(Bench { scenario, world, tracing, saved, before, after, steps })
    }

    fn put_back(&self) {
        for dir in ["work", "other", "store", "remote.git", "cache"] {
            let _ = std::fs::remove_dir_all(self.world.path(dir));
        }
        copy(self.saved.path(), &self.world.path(""));
    }

    fn run(&self, fault: Fault) -> (Ran, Option<Step>) {
        self.put_back();
        let (ran, steps) = self.tracing.run(&self.world.at("work"), self.scenario.line, fault);
        let what = format!("{} {fault:?}", self.scenario.name);
        nothing_is_torn(self.world, &self.before, &self.after, &what);
        (ran, steps.into_iter().find(|step| step.hit))
    }

    /// The same line again leads to the same end.
    fn goes_on(&self, fault: Fault, step: &Step) {
        let what = format!("{} {fault:?} {step:?}", self.scenario.name);
        let work = self.world.at("work");
        let ran = work.sh(self.scenario.line);
        assert_eq!(ran.code, 0, "{what}: the same line again succeeds: {ran:#?}");
        (self.scenario.right)(self.world);
        let now = State::of(self.world);
        assert_eq!(self.after.difference(&now), None, "{what}: the end is the same");
        work.git(&["fsck", "--no-progress"]).ok();
        work.s3lfs(&["fsck"]).ok();
        leftovers_go(&work, &what);
    }
}

/// Killed at each step, the line leaves nothing torn, and typed again it completes. An error at each step is said,
/// or costs nothing; and then the line completes, too.
pub fn survives(scenario: &Scenario) {
    let world = (scenario.prepare)();
    let Some(bench) = Bench::new(scenario, &world) else { return };
    let (kills, errors) = (bench.survives_kills(), bench.survives_errors());
    eprintln!("steps: {}: {kills} kills and {errors} errors, of {} steps", scenario.name, bench.steps.len());
    assert!(kills > 0, "{}: it was killed somewhere", scenario.name);
}

/// As [`survives`], killed and failing in the midst of each long row of steps that do the same to the same file.
pub fn survives_in_the_midst(scenario: &Scenario) {
    let world = (scenario.prepare)();
    let Some(bench) = Bench::new(scenario, &world) else { return };
    let mut begin = 0;
    let mut rows = 0;
    for row in bench.steps.chunk_by(|one, two| one.is_like(two)) {
        let middle = begin + row.len() / 2;
        begin += row.len();
        if row.len() < LONG_ROW {
            continue;
        }
        rows += 1;
        let (_, hit) = bench.run(Fault::Kill(middle));
        let step = hit.unwrap_or_else(|| panic!("{}: it is killed at step {middle}", scenario.name));
        bench.goes_on(Fault::Kill(middle), &step);
        let (errno, text) = ERRORS[0];
        let (ran, hit) = bench.run(Fault::Error(middle, errno));
        let step = hit.unwrap_or_else(|| panic!("{}: it fails at step {middle}", scenario.name));
        bench.is_said(Fault::Error(middle, errno), &step, text, &ran);
        bench.goes_on(Fault::Error(middle, errno), &step);
    }
    eprintln!("steps: {}: {rows} rows of steps", scenario.name);
    assert!(rows > 0, "{}: something long is written", scenario.name);
}

/// So many steps in a row write a long file.
const LONG_ROW: usize = 50;

impl Bench<'_> {
    fn survives_kills(&self) -> usize {
        let mut kills = 0;
        for at in sample(&self.steps, |_| true) {
            let (_, hit) = self.run(Fault::Kill(at));
            // The last steps may come in another order, or be fewer.
            let Some(step) = hit else { continue };
            kills += 1;
            self.goes_on(Fault::Kill(at), &step);
        }
        kills
    }

    fn survives_errors(&self) -> usize {
        let mut errors = 0;
        for (round, at) in sample(&self.steps, |step| !step.is_no_disk()).into_iter().enumerate() {
            let some = if steps_are("all") { &ERRORS[..] } else { std::slice::from_ref(&ERRORS[round % ERRORS.len()]) };
            for (errno, text) in some {
                let fault = Fault::Error(at, errno);
                let (ran, hit) = self.run(fault);
                let Some(step) = hit else { continue };
                errors += 1;
                self.is_said(fault, &step, text, &ran);
                self.goes_on(fault, &step);
            }
        }
        errors
    }

    fn is_said(&self, fault: Fault, step: &Step, text: &str, ran: &Ran) {
        let what = format!("{} {fault:?} {step:?}", self.scenario.name);
        if std::env::var_os("S3LFS_TEST_SHOW").is_some() {
            eprintln!("{what}: {}\n{}", ran.code, ran.stderr);
        }
        if ran.code == 0 {
            let difference = self.after.difference(&State::of(self.world));
            assert!(difference.is_none() || ran.stderr.contains(text), "{what}: {difference:?} is not said: {ran:#?}");
        } else {
            assert!(ran.stderr.contains(text), "{what}: it says why: {ran:#?}");
            assert!(ran.stderr.contains("s3lfs: "), "{what}: in the name of s3lfs: {ran:#?}");
            // Nobody can be told what to do about EIO.
            let says_what_to_do =
                ["again", "hint: ", "(make", "(give", "(check"].iter().any(|hint| ran.stderr.contains(hint));
            assert!(says_what_to_do || text.contains("Input/output"), "{what}: it says what to do: {ran:#?}");
        }
    }
}

/// `each`: every step, with one of the errors at it. `all`: with each of the errors, which takes a day.
fn steps_are(value: &str) -> bool {
    std::env::var_os("S3LFS_TEST_STEPS").is_some_and(|set| set == value)
}

fn is_full() -> bool {
    std::env::var_os("S3LFS_TEST_FULL").is_some_and(|value| value == "1")
}

/// The numbers of all such steps, or of some of them. Of steps in a row that do the same to the same file those in the
/// middle are the first to be left out; the first and the last stay.
fn sample(steps: &[Step], such: impl Fn(&Step) -> bool) -> Vec<usize> {
    if steps_are("each") || steps_are("all") || (is_full() && steps.len() <= FEW) {
        return (1..=steps.len()).filter(|at| such(&steps[at - 1])).collect();
    }
    let same = |one: usize, two: usize| {
        steps.get(one).is_some_and(|step| steps.get(two).is_some_and(|other| step.is_like(other)))
    };
    let ends: Vec<usize> = (0..steps.len())
        .filter(|&at| such(&steps[at]) && (at == 0 || !same(at - 1, at) || !same(at, at + 1)))
        .collect();
    let some = SOME[usize::from(is_full())].min(ends.len());
    (0..some).map(|n| 1 + ends[n * (ends.len() - 1) / (some - 1).max(1)]).collect()
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").arg(from.join(".")).arg(to).status().unwrap();
    assert!(copied.success(), "{} can be copied", from.display());
}
