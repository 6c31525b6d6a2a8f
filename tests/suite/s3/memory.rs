//! Memory: 128 MiB at the most, whatever is moved (design.md, section 7).

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::bench::{Bench, compressible, random};
use super::fault::Fault;
use super::server::Op;
use super::tls::{Front, with_bundle};
use crate::world::{Place, World};

const LIMIT_KIB: u64 = 128 << 10;
/// Far more than any of these takes; jobs that wait for each other's memory would wait for ever.
const STUCK: Duration = Duration::from_secs(300);

/// Run s3lfs to its end: the most memory it ever had, in KiB (VmHWM in proc_pid_status(5)).
pub fn high_water(place: &Place<'_>, args: &[&str]) -> u64 {
    let (most, code) = high_water_and_code(place, args);
    assert_eq!(code, Some(0), "{args:?} must succeed");
    most
}

/// As [`high_water`], with the exit code, of what may fail.
pub fn high_water_and_code(place: &Place<'_>, args: &[&str]) -> (u64, Option<i32>) {
    let mut command = place.command("s3lfs");
    high_water_of(command.args(args))
}

/// As [`high_water_and_code`], of a command whose standard input is told already.
pub fn high_water_of(command: &mut Command) -> (u64, Option<i32>) {
    let what = format!("{command:?}");
    let mut child: Child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let path = format!("/proc/{}/status", child.id());
    let mut most = 0;
    let begun = Instant::now();
    let status = loop {
        if begun.elapsed() > STUCK {
            child.kill().unwrap();
            panic!("{what} does not come to an end");
        }
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let now = line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0);
        most = most.max(now);
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    assert!(most > 0, "it was measured");
    (most, status.code())
}

fn there_and_back(files: &[(String, Vec<u8>)]) {
    let bench = Bench::ready();
    there_and_back_at(&bench, &bench.work(), &["-j", "64"], files);
}

fn there_and_back_at(bench: &Bench, work: &Place<'_>, jobs: &[&str], files: &[(String, Vec<u8>)]) {
    work.git(&["config", "s3lfs.uploadon", "push"]).ok();
    for (path, content) in files {
        work.write(path, content);
    }
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-qm", "200 MiB"]).ok();
    let up = high_water(work, &[jobs, &["track-modified"]].concat());
    for (path, _) in files {
        work.remove(path);
    }
    work.env("S3LFS_SKIP_SMUDGE", "1").git(&["checkout", "-q", "."]).ok();
    work.drop_cache();
    let down = high_water(work, &[jobs, &["download-all"]].concat());
    for (path, content) in files {
        assert!(bench.has(content) && work.read(path) == *content, "{path} went there and back");
    }
    let (up_mib, down_mib) = (up >> 10, down >> 10);
    eprintln!("{} files: {up_mib} MiB up, {down_mib} MiB down", files.len());
    assert!(up < LIMIT_KIB && down < LIMIT_KIB, "{} files: {up_mib} MiB up, {down_mib} MiB down", files.len());
}

#[test]
#[cfg(target_os = "linux")]
fn one_file_of_200_mib() {
    there_and_back(&[("large.bin".to_owned(), random(200 << 20, 70))]);
}

#[test]
#[cfg(target_os = "linux")]
fn many_files_of_200_mib_together() {
    // More than there are jobs.
    let file = |i: u64| (format!("f{i}.bin"), random(2 << 20, 71 + i));
    there_and_back(&(0..100).map(file).collect::<Vec<_>>());
}

/// Each connection holds about as much of a small object as it is long.
#[test]
#[cfg(target_os = "linux")]
fn as_many_at_once_as_a_far_service_bears_over_tls() {
    let bench = Bench::new();
    let front = Front::before(&bench.server.url(), "localhost");
    let work = with_bundle(&bench, &front.authority);
    work.s3lfs(&["init", "--endpoint-url", &front.url(), bench.server.bucket(), "proj"]).ok();
    work.s3lfs(&["git-setup", "--track", "*.bin"]).ok();
    for op in [Op::Put, Op::Get] {
        bench.server.fault(op, usize::MAX, Fault::Delay(Duration::from_millis(300)));
    }
    let file = |i: u64| (format!("f{i}.bin"), random(100_000, 300 + i));
    there_and_back_at(&bench, &work, &[], &(0..1200).map(file).collect::<Vec<_>>());
    let (up, down) = (bench.server.most_at_once(Op::Put), bench.server.most_at_once(Op::Get));
    eprintln!("{up} at once up, {down} down");
    assert!(up > 64 && down > 64, "{up} at once up, {down} down: this was to be about many");
}

#[test]
#[cfg(target_os = "linux")]
fn compressible_files_of_200_mib_together() {
    let file = |i: usize| (format!("f{i}.bin"), compressible((40 << 20) + i));
    there_and_back(&(0..5).map(file).collect::<Vec<_>>());
}

#[test]
#[cfg(target_os = "linux")]
fn many_objects_of_several_ranges_do_not_wait_for_each_others_memory() {
    let file = |i: u64| (format!("r{i}.bin"), random(17 << 20, 131 + i));
    there_and_back(&(0..12).map(file).collect::<Vec<_>>());
}

/// What a debug build takes by itself with its threads and all jobs that wait, and what each new file may add: its path,
/// its pointer, its line of the manifest, and what came of it. A release build takes a third less of both, and stays
/// below 128 MiB with 100,000 files (`tests/bench --growth`).
const BASE_KIB: u64 = 72 << 10;
const EACH_BYTES: u64 = 1100;

/// `S3LFS_TEST_FULL=1` makes 30,000, and without it there are 10,000; `S3LFS_TEST_FILES=100000` makes as many as it says.
#[test]
#[cfg(target_os = "linux")]
fn very_many_new_small_files() {
    let full = std::env::var_os("S3LFS_TEST_FULL").is_some_and(|value| value == "1");
    let told = std::env::var("S3LFS_TEST_FILES").ok().and_then(|text| text.parse().ok());
    let many: usize = told.unwrap_or(if full { 30_000 } else { 10_000 });
    let world = World::with_a();
    let work = world.at("work");
    work.git(&["config", "s3lfs.uploadon", "push"]).ok();
    let name = |n: usize| format!("d{}/f{n}.bin", n / 1000);
    for n in 0..many {
        work.write(&name(n), n.to_le_bytes());
    }
    work.s3lfs(&["add", "."]).ok();
    work.git(&["commit", "-qm", "many"]).ok();
    let up = high_water(&work, &["track-modified"]);
    for n in 0..many {
        work.remove(&name(n));
    }
    work.env("S3LFS_SKIP_SMUDGE", "1").git(&["checkout", "-q", "."]).ok();
    work.drop_cache();
    let down = high_water(&work, &["download-all"]);
    for n in [0, many / 2, many - 1] {
        assert_eq!(work.read(&name(n)), n.to_le_bytes(), "{} went there and back", name(n));
    }
    let limit = BASE_KIB + many as u64 * EACH_BYTES / 1024;
    eprintln!("{many} files: {} MiB up, {} MiB down, of {} MiB", up >> 10, down >> 10, limit >> 10);
    assert!(up < limit && down < limit, "{many} files: {up} KiB up, {down} KiB down, of {limit}");
}

#[test]
fn what_is_written_and_waits_for_others_holds_no_memory() {
    let bench = Bench::ready();
    let work = bench.work();
    let contents: Vec<Vec<u8>> = (0..12).map(|seed| random(8 << 20, 900 + seed)).collect();
    for (number, content) in contents.iter().enumerate() {
        work.write(&format!("{number}.bin"), content);
    }
    // More of them than fit in memory at a time, and few turns: each must let the next one go on.
    work.sh("timeout 300 s3lfs -j 4 upload *.bin").ok();
    assert!(contents.iter().all(|content| bench.has(content)), "all are there");
}
