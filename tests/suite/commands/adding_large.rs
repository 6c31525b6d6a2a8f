//! `add` of one large file: how far it is, in bytes.
//!
//! Apart from `adding` because here nothing is compared with Git: it is about who waits.

use crate::world::{Place, World};

/// What `add` of a large file says that is held up for longer than anybody waits without a word: stopped while it reads
/// (some of it is in the cache's temporary file), and let go again. On a machine that is fast enough to be done before, it is tried once more.
fn held_up(work: &Place<'_>, attempts: usize, show: impl Fn(&str) -> String) -> String {
    let line = |words: &str| {
        format!(
            "s3lfs {words} & pid=$!
             until find .git/s3lfs/tmp -size +2048k 2>/dev/null | grep -q . || ! kill -0 $pid 2>/dev/null; do :; done
             kill -STOP $pid 2>/dev/null; sleep 1.5; kill -CONT $pid 2>/dev/null; wait $pid"
        )
    };
    work.sh("truncate -s 200M big.bin && sleep 0.1").ok();
    let mut shown = String::new();
    for _ in 0..attempts {
        shown = show(&line("add big.bin"));
        if shown.contains("Storing") {
            break;
        }
        work.git(&["rm", "-q", "--cached", "-f", "--ignore-unmatch", "big.bin"]).ok();
        work.drop_cache();
    }
    shown
}

#[test]
fn its_bytes_are_shown_on_a_terminal() {
    let world = World::ready();
    let work = world.at("work");
    let shown = held_up(&work, 10, |line| {
        let (code, shown) = work.program_on_terminal("sh", &["-c", line]).ends();
        assert_eq!(code, 0, "{shown}");
        shown
    });
    assert!(shown.contains("Storing files: 0 of 1 [") && shown.contains("/200.00 MiB, "), "a bar of bytes: {shown}");
    let last = shown.rsplit("\x1b[2K").next().unwrap();
    assert!(!last.contains("Storing"), "it is taken away: {shown}");
    assert!(work.blob(":big.bin").ends_with("size 209715200\n"), "and it is staged");
}

#[test]
fn without_a_terminal_a_line_says_them_and_quiet_says_nothing() {
    let world = World::ready();
    let work = world.at("work").env("S3LFS_PROGRESS", "1");
    let shown = held_up(&work, 10, |line| work.sh(line).ok().stderr);
    assert!(shown.contains("Storing files: 0 of 1, ") && shown.contains(" of 200.0 MiB, "), "{shown}");
    work.git(&["rm", "-q", "--cached", "-f", "big.bin"]).ok();
    work.drop_cache();
    let quiet = held_up(&work, 1, |line| work.sh(&line.replace("s3lfs add", "s3lfs -q add")).ok().stderr);
    assert_eq!(quiet, "", "-q");
}
