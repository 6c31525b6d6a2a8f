//! Reference, 1.3: who may speak, in which order, and what is agreed on.

use super::bench::{Bench, text};
use super::filter::{CAPABILITIES, End, Filter, WELCOME, WELCOME_BACK, list, success};
use crate::scratch::Scratch;

/// Say this and no more.
fn told(bench: &Bench, bytes: &[u8]) -> End {
    let mut filter = bench.silent_filter();
    filter.send(bytes);
    filter.finish()
}

#[test]
fn each_half_is_answered_when_it_is_complete_and_not_before() {
    let bench = Bench::new();
    let mut filter = bench.silent_filter();
    assert!(filter.is_silent(), "Git speaks first");
    filter.send(&WELCOME[..WELCOME.len() - 1]);
    assert!(filter.is_silent(), "the welcome is not complete");
    filter.send(&WELCOME[WELCOME.len() - 1..]);
    assert_eq!(filter.read_list(), [b"git-filter-server".as_slice(), b"version=2"]);
    assert!(filter.is_silent(), "Git names its capabilities first");
    filter.send(CAPABILITIES);
    assert_eq!(filter.read_list(), [b"capability=clean".as_slice(), b"capability=smudge", b"capability=delay"]);
    filter.finish().well();
}

#[test]
fn the_whole_conversation_byte_for_byte() {
    let end = told(&Bench::new(), &[WELCOME, CAPABILITIES].concat());
    assert_eq!(end.rest, [WELCOME_BACK, CAPABILITIES].concat());
    assert_eq!(end.code, Some(0), "an end after the handshake is no failure");
}

#[test]
fn of_several_versions_ours_is_chosen() {
    let bench = Bench::new();
    for versions in [&[b"version=2".as_slice(), b"version=3"][..], &[b"version=1", b"version=42", b"version=2"]] {
        let welcome = list(&[&[b"git-filter-client".as_slice()], versions].concat());
        let end = told(&bench, &[&welcome, CAPABILITIES].concat());
        assert_eq!(end.rest, [WELCOME_BACK, CAPABILITIES].concat(), "{versions:?} hold version 2");
    }
}

#[test]
fn capabilities_are_the_intersection() {
    let bench = Bench::new();
    for (offered, agreed) in [
        (&["clean", "smudge", "delay", "teleport", "not-invented"][..], &["clean", "smudge", "delay"][..]),
        (&["teleport", "smudge", "clean"], &["clean", "smudge"]),
        (&["clean"], &["clean"]),
        (&["CLEAN", "clean ", "delay=1", "teleport"], &[]),
        (&[], &[]),
    ] {
        let mut filter = bench.silent_filter();
        assert_eq!(filter.handshake(offered), agreed, "of {offered:?}: nothing that Git does not know");
        filter.finish().well();
    }
}

#[test]
fn lines_without_lf_are_understood_as_gix_sends_them() {
    let bench = Bench::new();
    let mut filter = bench.silent_filter();
    filter.send(b"0015git-filter-client000dversion=20000");
    assert_eq!(filter.read_list(), [b"git-filter-server".as_slice(), b"version=2"]);
    filter.send(b"0014capability=clean0000");
    assert_eq!(filter.read_list(), [b"capability=clean"]);
    filter.send(b"0011command=clean0010pathname= a 00000007abc0000");
    assert!(matches!(filter.answer(), super::filter::Answer::Success(_)));
    filter.finish().well();
}

#[test]
fn whoever_is_not_git_gets_no_byte() {
    let bench = Bench::new();
    let cases: [(&str, Vec<u8>); 14] = [
        ("nothing", b"".to_vec()),
        ("a flush", b"0000".to_vec()),
        ("a person", b"help me\n\n".to_vec()),
        ("a browser", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec()),
        ("ones", vec![0xff; 100]),
        ("zeros", vec![0; 100]),
        ("a delimiter", b"0001".to_vec()),
        ("an impossible length", b"fff1".to_vec()),
        ("a server", list(&[b"git-filter-server", b"version=2"])),
        ("another welcome", list(&[b"git-filter-client-2", b"version=2"])),
        ("no version", list(&[b"git-filter-client"])),
        ("version 1", list(&[b"git-filter-client", b"version=1"])),
        ("versions 3 and 22", list(&[b"git-filter-client", b"version=3", b"version=22"])),
        ("the wrong order", list(&[b"version=2", b"git-filter-client"])),
    ];
    for (name, bytes) in cases {
        let stderr = told(&bench, &[bytes.as_slice(), CAPABILITIES].concat()).badly();
        assert!(stderr.starts_with("s3lfs: "), "{name} is told why: {stderr:?}");
        let stderr = told(&bench, &bytes).badly();
        assert!(stderr.starts_with("s3lfs: "), "{name} is told why: {stderr:?}");
    }
}

#[test]
fn an_end_inside_the_welcome_gets_no_byte() {
    let bench = Bench::new();
    for len in [1, 3, 4, 5, 21, 22, 23, 26, 35, 36, 37, 39] {
        assert!(len < WELCOME.len());
        told(&bench, &WELCOME[..len]).badly();
    }
}

#[test]
fn an_end_inside_the_capabilities_gets_no_answer_to_them() {
    let bench = Bench::new();
    for len in [0, 1, 4, 20, 21, 22, CAPABILITIES.len() - 1] {
        let end = told(&bench, &[WELCOME, &CAPABILITIES[..len]].concat());
        assert_eq!(end.rest, WELCOME_BACK, "{len} bytes of capabilities are not answered");
        assert!(end.code != Some(0), "Git ended half-way: {end:?}");
    }
}

#[test]
fn delay_is_not_used_where_it_was_not_agreed_on() {
    let bench = Bench::new();
    let pointer = bench.stored("content");
    let mut filter = bench.silent_filter();
    assert_eq!(filter.handshake(&["clean", "smudge"]), ["clean", "smudge"]);
    assert_eq!(filter.smudge_can_delay("f", pointer.encode()), success("content"), "without the capability: at once");
    filter.finish().well();
}

#[test]
fn outside_a_repository_there_is_no_byte() {
    let nowhere = Scratch::new();
    let mut command = nowhere.command(super::bench::S3LFS);
    command.arg("filter-process");
    let mut filter = Filter::start(command);
    filter.send(&[WELCOME, CAPABILITIES].concat());
    let stderr = filter.finish().badly();
    assert!(stderr.contains("not inside a Git repository"), "{stderr}");
}

#[test]
fn every_kind_of_repository_is_served() {
    let formats: [&[&str]; 3] =
        [&["--object-format=sha256"], &["--ref-format=reftable"], &["--object-format=sha256", "--ref-format=reftable"]];
    for format in formats {
        let scratch = Scratch::new();
        scratch.git(&[&["init", "-q", "-b", "main"], format, &["."]].concat(), b"");
        let bench = Bench::of(scratch);
        let content = text("any", 3000);
        let pointer = bench.stored("content of the store");
        let mut filter = bench.filter();
        let answer = filter.clean("f", &content);
        assert_eq!(answer, success(s3lfs::pointer::Pointer::to(&content).unwrap().encode()), "{format:?}");
        assert_eq!(filter.smudge("g", pointer.encode()), success("content of the store"), "{format:?}");
        assert!(bench.in_cache(&pointer).is_some(), "the cache is in the Git directory, {format:?}");
        filter.finish().well();
    }
}

#[test]
fn a_linked_worktree_shares_the_cache() {
    let bench = Bench::new();
    bench.repo.git(&["commit", "-q", "--allow-empty", "-m", "x"], b"");
    bench.repo.git(&["worktree", "add", "-q", "linked"], b"");
    for git_dir in [None, Some(bench.repo.join(".git/worktrees/linked"))] {
        let content = text(&format!("{git_dir:?}"), 100);
        let mut command = bench.s3lfs(&["filter-process"]);
        command.current_dir(bench.repo.join("linked"));
        git_dir.map(|dir| command.env("GIT_DIR", dir));
        let mut filter = Filter::start(command);
        filter.handshake(&["clean", "smudge"]);
        let pointer = s3lfs::pointer::Pointer::to(&content).unwrap();
        assert_eq!(filter.clean("f", &content), success(pointer.encode()));
        assert_eq!(bench.in_cache(&pointer), Some(content), "one cache for all worktrees");
        filter.finish().well();
    }
}
