//! Any sequence of git commands: the manifest of every commit that the hooks saw names exactly the
//! pointers of that commit (design.md, section 3), whatever was deleted, restored and moved before.
//!
//! What is done is drawn by lot from fixed seeds. Commands may fail, as they do for people; what counts
//! is the commit after. Rebases, picks and reverts fire no pre-commit: what they leave behind is mended
//! by the next commit, which is looked at like every other.

use std::collections::BTreeMap;

use crate::world::{MANIFEST, Place, Ran, World, oid};

const PATHS: [&str; 7] = ["a.bin", "b.bin", "d/c.bin", "d/e.bin", "sp ace.bin", "f.txt", "d/g.txt"];
const BRANCHES: [&str; 3] = ["main", "side", "third"];
const STEPS: usize = 45;
/// Present, and in the manifest only: no sequence may lose its entry.
const ONLY: &str = "only.dat";

/// Knuth's linear congruential generator (MMIX).
struct Lot(u64);

impl Lot {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n
    }

    fn one_of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len())]
    }
}

/// One repository, and what was done in it.
struct Walk<'a> {
    work: Place<'a>,
    lot: Lot,
    log: Vec<String>,
}

/// Path to oid: the pointers of a commit under the filter.
fn pointers(work: &Place<'_>, commit: &str) -> BTreeMap<String, String> {
    let listed = work.git(&["ls-tree", "-r", "-z", "--name-only", commit]).ok().stdout;
    let filtered = listed.split('\0').filter(|path| path.ends_with(".bin"));
    let pointer = |path: &str| {
        let blob = work.blob(&format!("{commit}:{path}"));
        let oid = blob.strip_prefix("version s3lfs/1\noid sha256:")?.split('\n').next()?.to_owned();
        Some((path.to_owned(), oid))
    };
    filtered.filter_map(pointer).collect()
}

fn entries(manifest: &str) -> BTreeMap<String, String> {
    let manifest: serde_json::Value = serde_json::from_str(manifest).expect("the manifest is JSON");
    serde_json::from_value(manifest["files"].clone()).expect("its files are texts")
}

impl Walk<'_> {
    fn git(&mut self, args: &[&str]) -> Ran {
        let ran = self.work.git(args);
        self.log.push(format!("git {} -> {} {}", args.join(" "), ran.code, ran.stderr.trim().replace('\n', " / ")));
        ran
    }

    fn write(&mut self, path: &str) {
        let content = format!("content {}\n", self.lot.below(12));
        if self.work.join(path).is_dir() {
            return;
        }
        self.log.push(format!("write {path}: {}", content.trim()));
        self.work.write(path, content);
    }

    /// Mostly one that Git has: else most commands would only fail.
    fn path(&mut self) -> String {
        let listed = self.work.git(&["ls-files", "-z", "--", "*.bin", "*.txt"]).ok().stdout;
        let tracked: Vec<&str> = listed.split('\0').filter(|path| !path.is_empty()).collect();
        let known = !tracked.is_empty() && self.lot.below(3) > 0;
        self.lot.one_of(if known { &tracked } else { &PATHS }).to_owned()
    }

    fn branch(&mut self) -> &'static str {
        self.lot.one_of(&BRANCHES)
    }

    fn in_the_middle(&self) -> Option<&'static str> {
        let states = [
            ("MERGE_HEAD", "merge"),
            ("CHERRY_PICK_HEAD", "cherry-pick"),
            ("REVERT_HEAD", "revert"),
            ("rebase-merge", "rebase"),
        ];
        states.iter().find(|(file, _)| self.work.exists(&format!(".git/{file}"))).map(|(_, command)| *command)
    }

    fn unmerged(&self) -> Vec<String> {
        let listed = self.work.git(&["diff", "--name-only", "--diff-filter=U", "-z"]).ok().stdout;
        listed.split('\0').filter(|path| !path.is_empty()).map(str::to_owned).collect()
    }

    /// Decide every conflict, as somebody might.
    fn resolve(&mut self) {
        for path in self.unmerged() {
            let side = self.lot.one_of(&["--ours", "--theirs"]);
            if self.git(&["checkout", side, "--", &path]).code == 0 {
                self.git(&["add", "--", &path]);
            } else {
                self.git(&["rm", "-q", "--cached", "--", &path]);
            }
        }
    }

    /// Nobody leaves a conflict alone for long.
    fn come_to_an_end(&mut self) {
        if let Some(command) = self.in_the_middle() {
            if self.lot.below(3) == 0 || command == "rebase" {
                self.git(&[command, "--abort"]);
            } else {
                self.resolve();
                let committed = self.git(&["commit", "-q", "--allow-empty", "-m", "resolved"]);
                self.look(&committed);
            }
            if self.in_the_middle().is_some() {
                self.git(&["reset", "-q", "--hard"]);
                self.git(&[command, "--quit"]);
            }
        } else if !self.unmerged().is_empty() {
            self.resolve();
        }
    }

    /// One thing that people do.
    fn step(&mut self) {
        let (path, other, branch) = (self.path(), self.lot.one_of(&PATHS), self.branch());
        let path = path.as_str();
        match self.lot.below(45) {
            0..=5 => self.write(path),
            6 | 7 => drop(self.git(&["add", "-A"])),
            8 => drop(self.git(&["add", "--", path])),
            9 => drop(self.git(&["rm", "-q", "--", path])),
            10 => drop(self.git(&["rm", "-q", "--cached", "--", path])),
            11 => drop(self.git(&["rm", "-qf", "--", path])),
            12 => drop(self.git(&["mv", "--", path, other])),
            13 => drop(self.git(&["mv", "-f", "--", path, other])),
            14 => drop(self.git(&["mv", "d", "moved"])),
            15 => drop(self.git(&["mv", "moved", "d"])),
            16 => drop(self.git(&["restore", "--", path])),
            17 => drop(self.git(&["restore", "--staged", "--", path])),
            18 => drop(self.git(&["restore", "--source", branch, "--staged", "--worktree", "--", path])),
            19 => drop(self.git(&["checkout", "HEAD~1", "--", path])),
            20 => {
                let _ = std::fs::remove_file(self.work.join(path));
                self.log.push(format!("rm {path}"));
            }
            21 => drop(self.git(&["checkout", "--", path])),
            22 => drop(self.git(&["stash", "-q"])),
            23 => drop(self.git(&["stash", "-q", "-u"])),
            24 => drop(self.git(&["stash", "pop", "-q"])),
            25 => drop(self.git(&["stash", "apply", "-q", "--index"])),
            26 => {
                let how = self.lot.one_of(&["--soft", "--mixed", "--hard", "--keep"]);
                drop(self.git(&["reset", "-q", how, "HEAD~1"]));
            }
            27 => drop(self.git(&["reset", "-q", "--", path])),
            28 | 29 => {
                if self.git(&["switch", "-q", branch]).code != 0 {
                    drop(self.git(&["switch", "-qc", branch]));
                }
            }
            30 => {
                let how = self.lot.one_of(&["--no-edit", "--no-ff", "--squash"]);
                let merged = self.git(&["merge", "-q", how, branch]);
                self.look_at_merge(&merged);
            }
            31 => drop(self.git(&["cherry-pick", branch])),
            // To take the root back takes the manifest with it, which is as it should be.
            32 if self.git(&["rev-parse", "--verify", "-q", "HEAD~1"]).code == 0 => {
                drop(self.git(&["revert", "--no-edit", "HEAD"]))
            }
            33 => drop(self.git(&["rebase", "-q", branch])),
            _ => self.commit(path),
        }
    }

    fn commit(&mut self, path: &str) {
        if self.lot.below(2) == 0 {
            self.write(path);
        }
        let args: &[&str] = match self.lot.below(8) {
            0 | 1 => &["commit", "-qm", "index"],
            2 | 3 => &["commit", "-qam", "all"],
            4 => &["commit", "-qm", "only", "--", path],
            5 => &["commit", "-qm", "include", "-i", "--", path],
            6 => &["commit", "-q", "--amend", "--no-edit"],
            _ => &["commit", "-qa", "--amend", "--no-edit"],
        };
        let committed = self.git(args);
        self.look(&committed);
    }

    /// A merge that made a commit of its own ran pre-merge-commit.
    fn look_at_merge(&mut self, merged: &Ran) {
        let own = self.work.git(&["log", "-1", "-g", "--format=%gs", "HEAD"]).stdout;
        let parents = self.work.git(&["rev-parse", "--verify", "-q", "HEAD^2"]).code == 0;
        if merged.code == 0 && parents && own.contains("Merge made") {
            self.look(merged);
        }
    }

    fn context(&self) -> String {
        self.log.join("\n")
    }

    /// After a commit that the hooks saw.
    fn look(&mut self, committed: &Ran) {
        if committed.code != 0 {
            return;
        }
        let text = self.work.git(&["cat-file", "blob", &format!("HEAD:{MANIFEST}")]);
        assert_eq!(text.code, 0, "the commit has a manifest:\n{}", self.context());
        let mut files = entries(&text.stdout);
        assert_eq!(files.remove(ONLY), Some(oid(b"only")), "it is kept:\n{}", self.context());
        assert_eq!(files, pointers(&self.work, "HEAD"), "files are HEAD's pointers:\n{}", self.context());
        let staged = self.work.git(&["diff", "--cached", "--name-only", "--", MANIFEST]).ok().stdout;
        assert_eq!(staged, "", "nothing of the manifest stays staged:\n{}", self.context());
        self.log.push("(as it should be)".to_owned());
    }
}

/// How many commits were looked at.
fn walk(seed: u64) -> usize {
    let world = World::ready();
    let work = world.at("work");
    work.write(".gitignore", "*.dat\n");
    work.write(ONLY, "only");
    work.git(&["add", ".gitignore"]).ok();
    work.s3lfs(&["upload", ONLY]).ok();
    work.write("a.bin", "content 1\n");
    work.write("d/c.bin", "content 2\n");
    work.write("f.txt", "text\n");
    work.git(&["add", "-A"]).ok();
    work.git(&["commit", "-q", "--amend", "-m", "the only root"]).ok();
    let mut walk = Walk { work, lot: Lot(seed), log: vec![format!("seed {seed}")] };
    for _ in 0..STEPS {
        walk.step();
        walk.come_to_an_end();
    }
    // Whatever came before, the next commit is right, and leaves nothing of its own behind.
    walk.write("last.bin");
    walk.git(&["add", "-A"]);
    let last = walk.git(&["commit", "-qm", "last"]).ok();
    walk.look(&last);
    let status = walk.work.git(&["status", "--porcelain"]).ok().stdout;
    assert_eq!(status, "", "everything was committed:\n{}", walk.context());
    walk.log.iter().filter(|line| line.starts_with("(as")).count()
}

/// Each on its own, two at a time. `S3LFS_TEST_FULL=1` walks six times as many; `S3LFS_TEST_SEED` names one.
#[test]
fn the_manifest_names_heads_pointers_after_every_commit() {
    let full = std::env::var_os("S3LFS_TEST_FULL").is_some_and(|value| value == "1");
    let first = std::env::var("S3LFS_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seeds = match first {
        Some(seed) => seed..seed + 1,
        None => 1..if full { 25 } else { 5 },
    };
    let half = |half: u64| seeds.clone().filter(move |seed| seed % 2 == half).map(walk).sum::<usize>();
    let looked = std::thread::scope(|scope| {
        let other = scope.spawn(|| half(1));
        half(0) + other.join().expect("the other half, too")
    });
    assert!(looked as u64 >= 4 * (seeds.end - seeds.start), "many commits were looked at: {looked}");
}
