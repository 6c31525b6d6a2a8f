//! Reference, 1.7: delayed answers, lists, retries.

use std::fs;

use s3lfs::pointer::Pointer;

use super::bench::{Bench, MIB, text};
use super::filter::{Answer, success};

/// A pointer to content that is nowhere.
fn missing(seed: &str) -> Pointer {
    Pointer::to(format!("{seed}, which nobody has").as_bytes()).unwrap()
}

fn nothing() -> Vec<Vec<u8>> {
    Vec::new()
}

#[test]
fn delayed_listed_retried_and_over() {
    let bench = Bench::new();
    for len in [1, 1000, MIB, 2 * MIB + 1] {
        let content = text("delay", len);
        let pointer = bench.stored(&content);
        let mut filter = bench.filter();
        assert_eq!(filter.smudge_can_delay("f", pointer.encode()), Answer::Delayed, "it is not here");
        assert_eq!(filter.list(), [b"f"], "the list waits until something is ready");
        assert_eq!(filter.retry("f"), success(&content), "{len} bytes");
        assert_eq!(filter.list(), nothing(), "an empty list ends the round");
        assert!(bench.in_cache(&pointer) == Some(content), "{len} bytes are kept");
        filter.finish().well();
    }
}

#[test]
fn a_list_with_nothing_pending_is_empty() {
    let bench = Bench::new();
    let mut filter = bench.filter();
    assert_eq!(filter.list(), nothing());
    assert_eq!(filter.list(), nothing());
    assert_eq!(filter.smudge_can_delay("f", b"raw"), success(b"raw"));
    assert_eq!(filter.list(), nothing());
    filter.finish().well();
}

#[test]
fn successes_are_listed_before_failures_and_each_path_once() {
    let bench = Bench::new();
    let mut filter = bench.filter();
    // The failures come first, and are decided at once: the objects are not there.
    let bad: Vec<String> = (0..5).map(|n| format!("bad/{n}")).collect();
    let good: Vec<String> = (0..20).map(|n| format!("good/{n}")).collect();
    for path in &bad {
        assert_eq!(filter.smudge_can_delay(path, missing(path).encode()), Answer::Delayed);
    }
    for path in &good {
        let pointer = bench.stored(text(path, 200_000));
        assert_eq!(filter.smudge_can_delay(path, pointer.encode()), Answer::Delayed);
    }
    let answers = filter.collect_delayed();
    let (first, last) = answers.split_at(good.len());
    for (path, answer) in first {
        assert_eq!(*answer, success(text(path, 200_000)), "{path}: no good file suffers for a bad one");
    }
    assert!(last.iter().all(|(_, answer)| *answer == Answer::Error), "failures are last: {last:?}");
    let mut listed: Vec<_> = answers.iter().map(|(path, _)| path.clone()).collect();
    listed.sort();
    let mut expected = [bad.clone(), good].concat();
    expected.sort();
    assert_eq!(listed, expected, "every delayed path is listed exactly once");
    let stderr = filter.finish().well();
    for path in &bad {
        assert!(stderr.contains(path) && stderr.contains(&bench.key(&missing(path))), "{path} and its key: {stderr}");
    }
}

#[test]
fn many_paths_are_each_listed_once() {
    let bench = Bench::new();
    let mut filter = bench.filter();
    let paths: Vec<String> = (0..500).map(|n| format!("{n:03}")).collect();
    for path in &paths {
        let pointer = bench.stored(format!("content of {path}"));
        assert_eq!(filter.smudge_can_delay(path, pointer.encode()), Answer::Delayed);
    }
    let mut answers = filter.collect_delayed();
    answers.sort_by(|a, b| a.0.cmp(&b.0));
    let expected: Vec<_> = paths.iter().map(|p| (p.clone(), success(format!("content of {p}")))).collect();
    assert_eq!(answers, expected);
    assert_eq!(filter.list(), nothing(), "and never again");
    filter.finish().well();
}

#[test]
fn listed_paths_are_retried_in_any_order() {
    let bench = Bench::new();
    let mut filter = bench.filter();
    for path in ["b", "a", "c"] {
        let pointer = bench.stored(format!("content of {path}"));
        assert_eq!(filter.smudge_can_delay(path, pointer.encode()), Answer::Delayed);
    }
    let mut listed = Vec::new();
    while listed.len() < 3 {
        listed.extend(filter.list());
    }
    listed.sort();
    assert_eq!(listed, [b"a", b"b", b"c"]);
    for path in ["c", "a", "b"] {
        assert_eq!(filter.retry(path), success(format!("content of {path}")), "Git retries in its own order");
    }
    assert_eq!(filter.list(), nothing());
    filter.finish().well();
}

#[test]
fn two_paths_with_one_content_are_both_delivered() {
    let bench = Bench::new();
    let mut filter = bench.filter();
    let content = text("twice", 2 * MIB);
    let (twice, gone) = (bench.stored(&content).encode(), missing("twice").encode());
    let mut answers = Vec::new();
    for (path, blob) in [("a", &twice), ("b", &twice), ("x", &gone), ("y", &gone)] {
        match filter.smudge_can_delay(path, blob) {
            Answer::Delayed => {}
            // The first path's download has ended already.
            answer => answers.push((path.to_owned(), answer)),
        }
    }
    answers.extend(filter.collect_delayed());
    answers.sort_by(|one, other| one.0.cmp(&other.0));
    let expected = [("a", success(&content)), ("b", success(&content)), ("x", Answer::Error), ("y", Answer::Error)];
    assert_eq!(answers, expected.map(|(path, answer)| (path.to_owned(), answer)));
    let stderr = filter.finish().well();
    assert!(stderr.contains("x: ") && stderr.contains("y: "), "both paths are named: {stderr}");
}

#[test]
fn a_pointer_that_lies_about_the_size_harms_no_other() {
    // Which of the two downloads ends first is chance, so both orders, often.
    for round in 0..10 {
        let bench = Bench::new();
        let mut filter = bench.filter();
        let honest = bench.stored(text("honest", 100_000));
        let liar = Pointer { size: 5, ..honest };
        let mut requests = [("honest", honest), ("liar", liar)];
        if round % 2 == 1 {
            requests.reverse();
        }
        for (path, pointer) in requests {
            assert_eq!(filter.smudge_can_delay(path, pointer.encode()), Answer::Delayed);
        }
        let answers = filter.collect_delayed();
        let expected = [("honest".to_owned(), success(text("honest", 100_000))), ("liar".to_owned(), Answer::Error)];
        assert_eq!(answers, expected, "each path is judged by its own pointer");
        let stderr = filter.finish().well();
        assert!(stderr.contains("liar: ") && !stderr.contains("honest: "), "{stderr}");
    }
}

#[test]
fn a_retry_answers_the_first_pointer_whatever_blob_it_names() {
    let bench = Bench::new();
    let (ours, theirs) = (bench.stored("ours"), bench.stored("theirs"));
    let mut filter = bench.filter();
    for more in [&["blob=1111111111111111111111111111111111111111"][..], &[], &["blob="], &["ref=refs/heads/x"]] {
        fs::remove_dir_all(bench.state()).ok();
        assert_eq!(filter.smudge_can_delay("f", ours.encode()), Answer::Delayed);
        assert_eq!(filter.smudge_can_delay("g", theirs.encode()), Answer::Delayed);
        let mut listed = filter.list();
        if listed.len() == 1 {
            listed.extend(filter.list());
        }
        for path in listed {
            filter.request("smudge", &path, more);
            filter.flush();
            let expected = if path == b"f" { "ours" } else { "theirs" };
            assert_eq!(filter.answer(), success(expected), "{more:?}: the name alone tells");
        }
        assert_eq!(filter.list(), nothing());
    }
    filter.finish().well();
}

#[test]
fn rounds_follow_each_other_in_one_process() {
    let bench = Bench::new();
    let mut filter = bench.filter();
    for round in 0..5 {
        let content = format!("round {round}");
        let pointer = bench.stored(&content);
        assert_eq!(filter.smudge_can_delay("f", pointer.encode()), Answer::Delayed, "the same path with other content");
        assert_eq!(filter.smudge_can_delay("g", missing(&content).encode()), Answer::Delayed);
        let answers = filter.collect_delayed();
        assert_eq!(answers, [("f".to_owned(), success(&content)), ("g".to_owned(), Answer::Error)]);
        assert_eq!(filter.smudge_can_delay("f", pointer.encode()), success(&content), "now it is here");
        let raw = text("clean", 10);
        assert_eq!(filter.clean("f", &raw), success(Pointer::to(&raw).unwrap().encode()), "rebase cleans in between");
    }
    filter.finish().well();
}

#[test]
fn a_failure_is_not_remembered() {
    let bench = Bench::new();
    let pointer = Pointer::to(b"late").unwrap();
    let mut filter = bench.filter();
    assert_eq!(filter.smudge_can_delay("f", pointer.encode()), Answer::Delayed);
    assert_eq!(filter.collect_delayed(), [("f".to_owned(), Answer::Error)]);
    bench.stored("late");
    assert_eq!(filter.smudge_can_delay("f", pointer.encode()), Answer::Delayed);
    assert_eq!(filter.collect_delayed(), [("f".to_owned(), success("late"))], "it has come meanwhile");
    filter.finish().well();
}

#[test]
fn a_path_asked_for_anew_takes_its_new_content() {
    let bench = Bench::new();
    let (old, new) = (bench.stored("old"), bench.stored("new"));
    let mut filter = bench.filter();
    assert_eq!(filter.smudge_can_delay("f", old.encode()), Answer::Delayed);
    assert_eq!(filter.smudge_can_delay("f", new.encode()), Answer::Delayed);
    assert_eq!(filter.collect_delayed(), [("f".to_owned(), success("new"))], "listed once, with the last pointer");
    let (older, raw) = (bench.stored("older"), text("raw", 10));
    assert_eq!(filter.smudge_can_delay("f", older.encode()), Answer::Delayed);
    assert_eq!(filter.smudge("f", &raw), success(&raw));
    assert_eq!(filter.list(), nothing(), "nobody waits for it any more");
    filter.finish().well();
}

#[test]
fn immediate_and_delayed_requests_mix() {
    let bench = Bench::new();
    let (now, later) = (bench.stored("now"), bench.stored("later"));
    let cached = bench.cached("cached");
    let mut filter = bench.filter();
    assert_eq!(filter.smudge_can_delay("later", later.encode()), Answer::Delayed);
    assert_eq!(filter.smudge("now", now.encode()), success("now"), "answered although another waits");
    assert_eq!(filter.smudge("later too", later.encode()), success("later"), "the same object, without leave to delay");
    assert_eq!(filter.smudge_can_delay("cached", cached.encode()), success("cached"));
    assert_eq!(filter.smudge_can_delay("raw", b"raw"), success(b"raw"));
    assert_eq!(filter.collect_delayed(), [("later".to_owned(), success("later"))]);
    filter.finish().well();
}

#[test]
fn with_errors_skipped_every_path_is_a_success() {
    let bench = Bench::new().env("S3LFS_SKIP_DOWNLOAD_ERRORS", "1");
    let good = bench.stored("good");
    let gone = missing("object");
    let mut filter = bench.filter();
    assert_eq!(filter.smudge_can_delay("gone.bin", gone.encode()), Answer::Delayed);
    assert_eq!(filter.smudge_can_delay("good.bin", good.encode()), Answer::Delayed);
    let expected = [("good.bin", success("good")), ("gone.bin", success(gone.encode()))];
    assert_eq!(filter.collect_delayed(), expected.map(|(path, answer)| (path.to_owned(), answer)));
    let stderr = filter.finish().well();
    assert!(stderr.contains("gone.bin") && stderr.contains(&bench.key(&gone)), "the summary names it: {stderr}");
}

#[test]
fn an_end_of_input_with_paths_pending_is_no_failure() {
    let bench = Bench::new();
    let pointer = bench.stored("content");
    let mut filter = bench.filter();
    assert_eq!(filter.smudge_can_delay("f", pointer.encode()), Answer::Delayed);
    filter.finish().well();
}
