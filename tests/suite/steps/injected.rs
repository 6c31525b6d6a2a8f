//! Running a line with the s3lfs of this build under `tracer.py`.

use std::fs;
use std::path::{Path, PathBuf};

use crate::world::{Place, Ran, World};

const TRACER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/suite/steps/tracer.py");

/// What happens, and at which step of those that all s3lfs processes of a line do together.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    Nothing,
    /// SIGKILL before the step is done.
    Kill(usize),
    /// The step fails with this errno; with a `+` behind it, all later ones do, too.
    Error(usize, &'static str),
}

/// A step: its call and its paths.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step {
    pub process: String,
    pub call: String,
    pub paths: Vec<PathBuf>,
    pub hit: bool,
}

impl Step {
    /// The same call on the same files.
    pub fn is_like(&self, other: &Step) -> bool {
        self.call == other.call && self.paths == other.paths
    }

    /// Whether it starts another process, Git for instance, or writes to it: no disk can fail there.
    pub fn is_no_disk(&self) -> bool {
        let begins = |path: &PathBuf| ["pipe:", "process:"].iter().any(|it| path.to_string_lossy().starts_with(it));
        self.paths.first().is_some_and(begins)
    }
}

/// Where the line runs, and what is known of the run.
pub struct Tracing<'a> {
    world: &'a World,
}

impl<'a> Tracing<'a> {
    /// `None`, and a word about it, where nothing can be traced.
    pub fn of(world: &'a World) -> Option<Self> {
        let home = world.at("");
        let real = env!("CARGO_BIN_EXE_s3lfs");
        home.script("traced/s3lfs", &format!("#!/bin/sh\nexec python3 '{TRACER}' '{real}' \"$@\"\n"));
        let tracing = Tracing { world };
        let probe = cfg!(all(target_os = "linux", target_arch = "x86_64"))
            .then(|| tracing.run(&home, "s3lfs --version", Fault::Nothing).0);
        if probe.is_some_and(|ran| ran.code == 0 && ran.stdout.starts_with("s3lfs ")) {
            return Some(tracing);
        }
        eprintln!("steps: nothing can be traced here (x86-64 Linux, python3, ptrace), so it was left out");
        None
    }

    /// Run the line with this fault; what it did, in order.
    pub fn run(&self, place: &Place<'_>, line: &str, fault: Fault) -> (Ran, Vec<Step>) {
        let dir = self.world.path("traced/run");
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir(&dir).unwrap();
        let (at, how) = match fault {
            Fault::Nothing => (0, "KILL"),
            Fault::Kill(at) => (at, "KILL"),
            Fault::Error(at, how) => (at, how),
        };
        let path = format!("{}:{}", self.world.path("traced").display(), std::env::var("PATH").unwrap());
        let traced = place.env("PATH", path).env("STEPS_DIR", dir.to_str().unwrap());
        let ran = traced.env("STEPS_AT", at.to_string()).env("STEPS_HOW", how).sh(line);
        (ran, steps(&dir.join("log")))
    }
}

fn steps(log: &Path) -> Vec<Step> {
    let text = String::from_utf8_lossy(&fs::read(log).unwrap_or_default()).into_owned();
    let mut steps: Vec<(usize, Step)> = text
        .lines()
        .map(|line| {
            let fields: Vec<&str> = line.split('\t').collect();
            let [number, process, mark, call, paths @ ..] = &fields[..] else { panic!("a step is {line:?}") };
            let paths = paths.iter().map(PathBuf::from).collect();
            let step = Step { process: (*process).to_owned(), call: (*call).to_owned(), paths, hit: *mark != "-" };
            (number.parse().unwrap(), step)
        })
        .collect();
    // Two processes may write their lines the other way round.
    steps.sort_by_key(|(number, _)| *number);
    steps.into_iter().map(|(_, step)| step).collect()
}
