//! Progress: bars on a terminal, lines without one, and a summary of what travelled.

use std::time::Duration;

use super::bench::{Bench, compressible};
use super::fault::Fault;
use super::server::Op;

/// Requests of this kind take longer than anybody waits for a bar.
fn slow(bench: &Bench, op: Op) {
    bench.server.fault(op, 1000, Fault::Delay(Duration::from_secs(2)));
}

#[test]
fn a_download_shows_a_bar_on_a_terminal() {
    let bench = Bench::with(b"content");
    slow(&bench, Op::Get);
    let (code, shown) = bench.work().on_terminal(&["download-all"]).ends();
    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("Downloading: 0 of 1 [") && shown.contains("0 B/7 B, 0 B/s"), "{shown}");
    let last = shown.rsplit("\x1b[2K").next().unwrap();
    assert!(
        last.starts_with("Fetched 1 object (7 B, in ") && !last.contains("Downloading"),
        "it is taken away: {shown}"
    );
    bench.work().is_clean();
}

/// One of two has come, and the other is on its way: one bar has both.
#[test]
fn several_at_once_share_a_bar_that_says_how_long_it_will_be() {
    let bench = Bench::ready();
    let work = bench.work();
    for (path, content) in [("a.bin", "content"), ("b.bin", "another")] {
        work.commit(path, content.as_bytes());
    }
    work.git(&["push", "-q"]).ok();
    ["a.bin", "b.bin"].iter().for_each(|path| work.leave_pointer(path));
    bench.server.fault(Op::Get, 1, Fault::Nothing);
    bench.server.fault(Op::Get, 1, Fault::Until("go"));
    let mut terminal = work.on_terminal(&["download-all"]);
    terminal.waits_with("Downloading: 1 of 2 [");
    terminal.waits_with("7 B/14 B, ");
    terminal.waits_with(" left");
    bench.release("go");
    let (code, shown) = terminal.ends();
    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("Fetched 2 objects (14 B, in "), "{shown}");
}

#[test]
fn an_upload_of_a_hook_shows_one_too() {
    let bench = Bench::ready();
    let work = bench.work();
    work.write("new.bin", "new content");
    work.git(&["add", "."]).ok();
    slow(&bench, Op::Put);
    let (code, shown) = work.program_on_terminal("git", &["commit", "-qm", "new"]).ends();
    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("Uploading: 0 of 1 ["), "{shown}");
    assert!(shown.contains("Uploaded 1 object (11 B, in "), "{shown}");
}

#[test]
fn a_checkout_that_waits_shows_one_too() {
    let bench = Bench::with(b"content");
    let work = bench.work();
    work.remove("a.bin");
    slow(&bench, Op::Get);
    let (code, shown) = work.program_on_terminal("git", &["checkout", "--", "a.bin"]).ends();
    assert_eq!((code, work.text("a.bin").as_str()), (0, "content"), "{shown}");
    assert!(shown.contains("Downloading: 0 of 1 ["), "{shown}");
}

#[test]
fn quiet_and_json_show_none() {
    let bench = Bench::with(b"content");
    slow(&bench, Op::Get);
    for option in ["-q", "--json"] {
        let (code, shown) = bench.work().on_terminal(&["download-all", option]).ends();
        assert!(code == 0 && !shown.contains("Downloading"), "{option}: {shown}");
        bench.work().leave_pointer("a.bin");
    }
}

#[test]
fn without_a_terminal_a_line_comes_now_and_then() {
    let bench = Bench::with(b"content");
    bench.server.fault(Op::Get, 1000, Fault::Delay(Duration::from_secs(3)));
    let often = bench.work().env("S3LFS_PROGRESS", "1").s3lfs(&["download-all"]).ok();
    assert!(often.stderr.contains("Downloading: 0 of 1, 0 B of 7 B, 0 B/s\n"), "{often:#?}");
    assert!(often.stdout.is_empty() && !often.stderr.contains('\x1b'), "never on stdout, and plain: {often:#?}");
    bench.work().leave_pointer("a.bin");
    let never = bench.work().env("S3LFS_PROGRESS", "0").s3lfs(&["download-all"]).ok();
    assert!(!never.stderr.contains("Downloading"), "{never:#?}");
    bench.work().leave_pointer("a.bin");
    let usual = bench.work().s3lfs(&["download-all"]).ok();
    assert!(!usual.stderr.contains("Downloading"), "three seconds are not long: {usual:#?}");
}

#[test]
fn the_summary_has_both_sizes() {
    let bench = Bench::ready();
    let work = bench.work();
    work.write("text.bin", compressible(1 << 20));
    let sent = work.s3lfs(&["upload", "text.bin"]).ok();
    let line = sent.stderr.lines().find(|line| line.starts_with("Uploaded 1 object (1.0 MiB, ")).unwrap_or_default();
    assert!(line.contains(" moved, in ") && line.contains(" s) to "), "{sent:#?}");
}

/// Content that comes slowly stands for content that is large.
#[test]
fn a_large_file_that_git_waits_for_shows_how_much_was_read() {
    let bench = Bench::ready();
    let work = bench.work();
    let hashing = |command: &str| {
        let line = format!("(head -c 5000000 /dev/zero; sleep 2; head -c 5000000 /dev/zero) | {command}");
        let (code, shown) = work.program_on_terminal("sh", &["-c", &line]).ends();
        assert_eq!(code, 0, "{command}: {shown}");
        shown
    };
    for command in ["git hash-object --path big.bin --stdin >id", "s3lfs clean -- big.bin >pointer"] {
        let shown = hashing(command);
        assert!(shown.contains("Hashing big.bin: ") && shown.contains(" MiB "), "{command}: {shown}");
        let last = shown.rsplit("\x1b[2K").next().unwrap();
        assert!(!last.contains("Hashing"), "it is taken away: {shown}");
    }
    for command in [
        "git hash-object --path big.bin --stdin >id 2>said",
        "GIT_PAGER_IN_USE=1 git hash-object --path big.bin --stdin >id",
        "s3lfs -q clean -- big.bin >pointer",
    ] {
        let shown = hashing(command);
        assert_eq!(shown, "", "nobody looks, or somebody looks at something else: {command}");
    }
    assert_eq!(work.text("said"), "", "nor is a line written");
}
