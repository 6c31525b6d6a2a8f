//! A commit with very many pointers: to nothing, since the stranger's store has none of it.
//!
//! Apart because each run is measured, and the repository is made by `git fast-import`. `S3LFS_TEST_FULL=1` makes
//! 100,000 of them, and without it there are 10,000; `S3LFS_TEST_POINTERS=1000000` makes as many as it says.

use std::fmt::Write as _;
use std::fs::File;

use crate::s3::memory::high_water_of;
use crate::world::{World, oid};

/// What a debug build takes by itself, with its threads.
const BASE: u64 = 50 << 20;

/// What a push of however many, or fsck of a commit, may take beside what it takes for ten: they are looked at in batches,
/// the lists are on the disk, and the first alone are named.
const PUSHED: u64 = 48 << 20;

/// What verify of however many may take: less than a process is meant to (design.md, section 7).
const VERIFIED: u64 = 110 << 20;

fn count() -> usize {
    let full = std::env::var_os("S3LFS_TEST_FULL").is_some_and(|value| value == "1");
    let told = std::env::var("S3LFS_TEST_POINTERS").ok().and_then(|text| text.parse().ok());
    told.unwrap_or(if full { 100_000 } else { 10_000 })
}

/// The commit of a branch on top of `main`: a pointer to other content in each file.
pub fn import(world: &World, branch: &str, many: usize) {
    let mut text = String::new();
    for n in 0..many {
        let pointer = format!("version s3lfs/1\noid sha256:{}\nsize {}\n", oid(&n.to_le_bytes()), n % 1000 + 1);
        write!(text, "blob\nmark :{}\ndata {}\n{pointer}\n", n + 1, pointer.len()).unwrap();
    }
    writeln!(text, "commit refs/heads/{branch}").unwrap();
    text.push_str("committer a <a@example.com> 1700000000 +0000\ndata 4\nmany\nfrom main\n");
    for n in 0..many {
        writeln!(text, "M 100644 :{} d{}/f{n}.bin", n + 1, n / 1000).unwrap();
    }
    text.push_str("\ndone\n");
    world.at("work").git_with_input(&["fast-import", "--quiet", "--done"], text.as_bytes()).ok();
}

#[test]
#[cfg(target_os = "linux")]
fn very_many_pointers_to_nothing() {
    let many = count();
    let world = World::with_a();
    let work = world.at("work");
    import(&world, "few", 10);
    import(&world, "many", many);
    work.git(&["config", "s3lfs.smudgelimit", "1"]).ok();
    let measured = |args: &[&str], code: i32, stdin: &str| {
        let mut command = work.command("s3lfs");
        work.write(".git/stdin", stdin);
        command.args(args).stdin(File::open(work.join(".git/stdin")).unwrap());
        let (most, ended) = high_water_of(&mut command);
        eprintln!("{many} pointers: {args:?} took {} MiB", most >> 10);
        assert_eq!(ended, Some(code), "{args:?} comes to its end");
        most << 10
    };
    let push = |branches: &[&str]| {
        let line = |branch: &&str| {
            let tip = work.git(&["rev-parse", branch]).ok().stdout.trim().to_owned();
            format!("refs/heads/{branch} {tip} refs/heads/{branch} {}\n", "0".repeat(tip.len()))
        };
        let stdin: String = branches.iter().map(line).collect();
        measured(&["hook", "pre-push", "origin", &world.url("remote.git")], 1, &stdin)
    };
    let few = push(&["few"]);
    let fsck = |branch: &str| measured(&["fsck", "--pointers", branch], 0, "");
    let (few_looked_at, looked_at) = (fsck("few"), fsck("many"));
    assert!(looked_at < few_looked_at + PUSHED, "fsck of {many}: {} MiB", looked_at >> 20);
    work.env("S3LFS_SKIP_SMUDGE", "1").git(&["switch", "-q", "many"]).ok();
    // What a command holds of each pointer at the most, in bytes: its path, its oid, its blob's id, and what is said of it.
    let run = |args: &[&str], code: i32, each: u64| {
        let (most, bound) = (measured(args, code, ""), BASE + each * many as u64);
        assert!(most < bound, "{args:?}, {many} pointers: {} of {} MiB", most >> 20, bound >> 20);
    };
    run(&["status"], 0, 600);
    run(&["ls"], 0, 450);
    run(&["du"], 0, 600);
    run(&["fsck"], 3, 1000);
    // What it found of so many lies on the disk, too.
    for args in [&["verify"][..], &["verify", "--json"], &["verify", "HEAD"], &["verify", "main..HEAD"]] {
        let most = measured(args, 3, "");
        assert!(most < VERIFIED, "{args:?}, {many} pointers: {} MiB", most >> 20);
    }
    let most = measured(&["verify", "--all"], 3, "");
    assert!(most < VERIFIED, "verify --all, {many} pointers: {} MiB", most >> 20);
    // Again when what was seen before is remembered.
    for _ in 0..2 {
        let pushed = push(&["many"]);
        assert!(pushed < few + PUSHED, "a push of {many}: {} MiB, of ten: {}", pushed >> 20, few >> 20);
    }
    // Where attributes change, all that the tips have counts anew.
    for branch in ["one", "two"] {
        work.git(&["switch", "-q", "-c", branch, "many"]).ok();
        work.write(".gitattributes", format!("{}*.{branch} filter=s3lfs -text\n", work.text(".gitattributes")));
        work.git(&["-c", "core.hooksPath=/dev/null", "commit", "-qam", branch]).ok();
    }
    let pushed = push(&["one", "two"]);
    assert!(pushed < few + PUSHED, "a push of two branches: {} MiB, of ten files: {}", pushed >> 20, few >> 20);
    work.git(&["switch", "-q", "many"]).ok();
    // Why each can't be had is told in the end.
    run(&["download-all"], 3, 1450);
    run(&["track-modified", "--staged"], 0, 650);
    run(&["prune"], 0, 750);
}
