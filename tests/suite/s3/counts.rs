//! How many requests things cost. Each of them is money and time for somebody.

use std::time::Duration;

use super::bench::{Bench, random};
use super::fault::Fault;
use super::server::Op;

#[test]
fn new_small_files_cost_one_put_each() {
    let bench = Bench::ready();
    let work = bench.work();
    for i in 0..30 {
        work.write(&format!("f{i}.bin"), format!("content {i}"));
    }
    work.git(&["add", "."]).ok();
    assert_eq!(bench.server.take().len(), 0, "git add sends nothing");
    work.git(&["commit", "-qm", "thirty"]).ok();
    assert_eq!(bench.server.count(Op::Put), 30, "a PUT each");
    assert_eq!(bench.server.count(Op::Head), 0, "and no HEAD before it");
    let looks = bench.server.count(Op::Get);
    assert!((1..=15).contains(&looks), "objects that are written together share a look for a cleanup: {looks}");
    assert_eq!(bench.server.take().len(), 30 + looks, "and nothing else: the registration is remembered");

    let before = bench.server.connections();
    work.s3lfs(&["track-modified"]).ok();
    work.git(&["commit", "-q", "--allow-empty", "-m", "again"]).ok();
    work.git(&["push", "-q"]).ok();
    assert_eq!(bench.server.take().len(), 0, "what a fresh record knows is not asked for");
    assert_eq!(bench.server.connections(), before, "and no connection is opened");
}

#[test]
fn everyday_commands_open_no_connection() {
    let bench = Bench::ready();
    let work = bench.work();
    work.commit("a.bin", b"first");
    work.commit("a.bin", b"second");
    work.git(&["push", "-q"]).ok();
    bench.server.take();
    let before = bench.server.connections();
    work.write("a.bin", "third");
    work.write("b.bin", "new");
    work.git(&["status"]).ok();
    work.git(&["diff"]).ok();
    work.git(&["add", "."]).ok();
    work.git(&["status"]).ok();
    work.git(&["stash"]).ok();
    work.git(&["checkout", "-q", "HEAD~1"]).ok();
    work.git(&["checkout", "-q", "main"]).ok();
    work.s3lfs(&["status"]).ok();
    work.s3lfs(&["ls"]).ok();
    work.git(&["push", "-q"]).ok();
    assert_eq!(bench.server.connections(), before, "all of that is done with what is here");
}

#[test]
fn an_object_that_is_there_already_costs_nothing_more() {
    let bench = Bench::ready();
    let content = random(100_000, 3);
    bench.work().commit("a.bin", &content);
    bench.work().git(&["push", "-q"]).ok();
    let other = bench.cloned("other");
    other.sh("rm -rf .git/s3lfs").ok();
    bench.server.take();
    other.write("copy.bin", &content);
    other.git(&["add", "."]).ok();
    other.git(&["commit", "-qm", "the same content"]).ok();
    let puts = bench.server.seen(Op::Put);
    assert_eq!(puts.len(), 1, "it is offered once");
    assert_eq!(puts[0].header("if-none-match"), Some("*"), "and only if it is not there");
    assert!(bench.server.count(Op::Head) <= 1, "one look at its age");
    assert_eq!(bench.server.count(Op::Get), 0);
}

#[test]
fn a_second_download_asks_for_nothing() {
    let bench = Bench::ready();
    for (path, content) in [("a.bin", random(9 << 20, 4)), ("b.bin", random(100, 5))] {
        bench.work().commit(path, &content);
    }
    bench.work().git(&["push", "-q"]).ok();
    let other = bench.cloned("other");
    bench.server.take();
    let before = bench.server.connections();
    for again in [&["download-all"][..], &["download", "a.bin"], &["track-modified"]] {
        other.s3lfs(again).ok();
        assert_eq!(bench.server.take().len(), 0, "{again:?}: all is here");
    }
    other.remove("a.bin");
    other.s3lfs(&["download-all"]).ok().says(&["1 file written"]);
    assert_eq!(bench.server.take().len(), 0, "the cache has it");
    assert_eq!(bench.server.connections(), before, "and no connection is opened");
}

#[test]
fn an_old_object_is_written_again_so_that_its_age_starts_anew() {
    let bench = Bench::ready();
    let work = bench.work();
    work.commit("a.bin", b"content");
    let file = std::fs::File::options().write(true).open(bench.object(b"content")).unwrap();
    let long_ago = std::time::SystemTime::now() - Duration::from_secs(5 * 24 * 3600);
    file.set_modified(long_ago).unwrap();
    work.sh("rm -rf .git/s3lfs/uploaded").ok();
    bench.server.take();
    work.git(&["push", "-q"]).ok();
    assert_eq!(bench.server.count(Op::Put), 2, "once if it were not there, and then in its place");
    let modified = std::fs::metadata(bench.object(b"content")).unwrap().modified().unwrap();
    assert!(modified > long_ago + Duration::from_secs(3600), "cleanup counts its age from now");
}

/// Small files for which a service that is far is asked, up and down.
fn far(bench: &Bench, jobs: &[&str], many: u64) -> (usize, usize) {
    let work = bench.work();
    work.git(&["config", "s3lfs.uploadon", "push"]).ok();
    for i in 0..many {
        work.write(&format!("f{i}.bin"), random(300, i));
    }
    work.s3lfs(&["add", "."]).ok();
    work.git(&["commit", "-qm", "many"]).ok();
    for op in [Op::Put, Op::Get] {
        bench.server.fault(op, usize::MAX, Fault::Delay(Duration::from_millis(300)));
    }
    bench.server.take();
    work.s3lfs(&[jobs, &["track-modified"]].concat()).ok();
    let up = bench.server.most_at_once(Op::Put);
    bench.server.take();
    work.sh("rm f*.bin").ok();
    work.env("S3LFS_SKIP_SMUDGE", "1").git(&["checkout", "-q", "."]).ok();
    work.drop_cache();
    work.s3lfs(&[jobs, &["download-all"]].concat()).ok();
    assert!((0..many).all(|i| work.read(&format!("f{i}.bin")) == random(300, i)), "all came back");
    (up, bench.server.most_at_once(Op::Get))
}

#[test]
fn a_service_that_is_far_is_sent_more_at_once() {
    let bench = Bench::ready();
    let (up, down) = far(&bench, &[], 800);
    assert!((65..=256).contains(&up), "{up} at once");
    assert!((65..=256).contains(&down), "{down} at once");
}

#[test]
fn a_number_of_jobs_is_the_most_at_any_distance() {
    let bench = Bench::ready();
    assert_eq!(far(&bench, &["-j", "40"], 200), (40, 40));
}

#[test]
fn a_service_that_is_sent_too_much_is_sent_less() {
    let bench = Bench::ready();
    let work = bench.work();
    for i in 0..400 {
        work.write(&format!("f{i}.bin"), random(300, i));
    }
    work.s3lfs(&["add", "."]).ok();
    bench.server.fault(Op::Put, 64, Fault::SlowDown(2));
    // All of the first are refused; what follows is slow enough to be counted.
    bench.server.fault(Op::Put, usize::MAX, Fault::Delay(Duration::from_millis(100)));
    let most = std::thread::scope(|scope| {
        let upload = scope.spawn(|| work.s3lfs(&["track-modified"]).ok());
        bench.waits_for("others follow those that were refused", || bench.server.count(Op::Put) >= 200);
        bench.server.take();
        upload.join().unwrap();
        bench.server.most_at_once(Op::Put)
    });
    assert!((1..64).contains(&most), "{most} at once");
    assert!((0..400).all(|i| bench.has(&random(300, i))), "and all is there");
}

#[test]
fn jobs_bounds_the_requests_in_flight() {
    let bench = Bench::ready();
    let work = bench.work();
    work.git(&["config", "s3lfs.uploadon", "push"]).ok();
    let mut files = Vec::new();
    for i in 0..24 {
        let path = format!("f{i}.bin");
        work.write(&path, random(20_000, i));
        files.push(path);
    }
    work.write("large.bin", random(36 << 20, 99));
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-qm", "many"]).ok();
    for op in [Op::Put, Op::UploadPart, Op::Get] {
        bench.server.fault(op, 1000, Fault::Delay(Duration::from_millis(20)));
    }
    work.s3lfs(&["-j", "2", "track-modified"]).ok();
    assert_eq!(bench.server.count(Op::Put), 24);
    assert!(bench.server.count(Op::UploadPart) >= 4);
    assert_eq!(bench.server.most_in_flight(), 2, "never more than asked for, and not less either");
    for path in &files {
        work.remove(path);
    }
    work.remove("large.bin");
    work.env("S3LFS_SKIP_SMUDGE", "1").git(&["checkout", "-q", "."]).ok();
    work.drop_cache();
    work.s3lfs(&["-j", "2", "download-all"]).ok();
    assert!(bench.server.count(Op::Get) >= 24 + 5);
    assert_eq!(bench.server.most_in_flight(), 2, "when downloading, too");
    work.is_clean();
}
