//! Reference, 1.4, 1.5 and 1.8: pointer in, content out, at once.

use std::fs;

use s3lfs::pointer::Pointer;

use super::bench::{Bench, MIB, text};
use super::filter::{Answer, MAX_DATA, success};

/// A pointer to content that is nowhere.
fn missing() -> Pointer {
    Pointer::to(b"content that nobody has").unwrap()
}

#[test]
fn cached_content_is_delivered_at_once() {
    let bench = Bench::new();
    let mut filter = bench.filter();
    for len in [1, MAX_DATA - 1, MAX_DATA, MAX_DATA + 1, 2 * MAX_DATA, MIB - 1, MIB, MIB + 1, 3 * MIB] {
        let content = text("cached", len);
        let pointer = bench.cached(&content);
        assert_eq!(filter.smudge("f", pointer.encode()), success(&content), "{len} bytes");
        assert_eq!(filter.smudge_can_delay("f", pointer.encode()), success(&content), "{len} bytes are never delayed");
    }
    assert!(filter.list().is_empty(), "nothing was delayed");
    filter.finish().well();
}

#[test]
fn missing_content_is_fetched_at_once_where_it_may_not_be_delayed() {
    let bench = Bench::new();
    let mut filter = bench.filter();
    for len in [1, 1000, MAX_DATA + 1, MIB, MIB + 1] {
        let content = text("stored", len);
        let pointer = bench.stored(&content);
        assert_eq!(filter.smudge("f", pointer.encode()), success(&content), "{len} bytes");
        assert!(bench.in_cache(&pointer) == Some(content), "{len} bytes are kept");
    }
    filter.finish().well();
}

#[test]
fn what_is_no_pointer_passes_through() {
    let bench = Bench::new();
    let mut filter = bench.filter();
    let contents = [1, 1023, 1024, MAX_DATA + 1, MIB - 1, MIB, MIB + 1, 3 * MIB].map(|len| text("raw", len));
    for content in contents.iter().chain([&b"version 2\n".to_vec(), &vec![0; 100], &b"\r\n".to_vec()]) {
        let len = content.len();
        assert_eq!(filter.smudge("f", content), success(content), "{len} bytes");
        assert_eq!(filter.smudge_can_delay("f", content), success(content), "{len} bytes are not delayed");
    }
    assert_eq!(filter.finish().well(), "", "nothing is said of ordinary content");
    assert_eq!(bench.state_files().len(), 0, "no temporary file stays, nothing is cached");
}

#[test]
fn what_only_resembles_a_pointer_passes_through_and_is_named() {
    let bench = Bench::new();
    let mut filter = bench.filter();
    let pointer = missing().to_string();
    let cases = [
        ("extra-data", format!("{pointer}extra\n")),
        ("truncated", pointer[..50].to_owned()),
        ("markers", format!("<<<<<<< ours\n{pointer}=======\n{pointer}>>>>>>> theirs\n")),
        ("padded", format!("{pointer}{}", "\n".repeat(1024))),
    ];
    for (name, blob) in &cases {
        assert_eq!(
            filter.smudge_can_delay(name, blob),
            success(blob),
            "{name}: Git crashes when such a blob is delayed"
        );
        assert_eq!(filter.smudge(name, blob), success(blob), "{name}");
    }
    let stderr = filter.finish().well();
    assert!(cases.iter().all(|(name, _)| stderr.contains(name)), "{stderr}");
}

#[test]
fn empty_is_never_delayed() {
    let bench = Bench::new();
    let mut filter = bench.filter();
    assert_eq!(filter.smudge_can_delay("f", b""), success(b""));
    assert_eq!(filter.smudge("f", b""), success(b""));
    let pointer = bench.stored("content");
    assert_eq!(filter.smudge_can_delay("other", pointer.encode()), Answer::Delayed);
    assert_eq!(filter.smudge_can_delay("f", b""), success(b""), "nor while something else is");
    assert_eq!(filter.collect_delayed(), [("other".to_owned(), success("content"))]);
    filter.finish().well();
}

#[test]
fn a_newer_pointer_is_refused_and_costs_only_itself() {
    let bench = Bench::new();
    let pointer = bench.stored("content");
    let mut filter = bench.filter();
    assert_eq!(filter.smudge_can_delay("new.bin", "version s3lfs/2\noid blake3:00\n"), Answer::Error);
    assert_eq!(filter.smudge("new.bin", "version s3lfs/2\noid blake3:00\n"), Answer::Error);
    assert_eq!(filter.smudge("old.bin", pointer.encode()), success("content"), "the process lives on");
    let stderr = filter.finish().well();
    assert!(stderr.contains("new.bin") && stderr.contains("newer s3lfs"), "{stderr}");
}

#[test]
fn a_crlf_pointer_is_content_but_never_delayed() {
    let bench = Bench::new();
    let pointer = bench.stored("content");
    let mut filter = bench.filter();
    let crlf = pointer.to_string().replace('\n', "\r\n");
    assert_eq!(filter.smudge_can_delay("f", crlf), success("content"));
    assert!(filter.list().is_empty());
    filter.finish().well();
}

#[test]
fn an_lfs_pointer_is_content_from_our_store() {
    let bench = Bench::new();
    let lfs = |pointer: Pointer| pointer.to_string().replace("s3lfs/1", "https://git-lfs.github.com/spec/v1");
    let mut filter = bench.filter();
    assert_eq!(filter.smudge("f", lfs(bench.stored("one"))), success("one"));
    assert_eq!(filter.smudge_can_delay("g", lfs(bench.stored("two"))), Answer::Delayed);
    assert_eq!(filter.collect_delayed(), [("g".to_owned(), success("two"))]);
    assert_eq!(filter.smudge("h", lfs(missing())), Answer::Error);
    filter.finish().well();
}

#[test]
fn a_missing_object_names_path_and_key() {
    let bench = Bench::new();
    let mut filter = bench.filter();
    assert_eq!(filter.smudge("dir/my file", missing().encode()), Answer::Error);
    let good = bench.stored("good");
    assert_eq!(filter.smudge("g", good.encode()), success("good"), "the process lives on");
    let stderr = filter.finish().well();
    assert!(stderr.contains("dir/my file") && stderr.contains(&bench.key(&missing())), "{stderr}");
}

#[test]
fn skip_smudge_leaves_pointers_whoever_says_it() {
    let benches = [
        ("variable", Bench::new().env("S3LFS_SKIP_SMUDGE", "1")),
        ("git -c", Bench::new().config("s3lfs.skipsmudge", "true")),
        ("git -c, another spelling", Bench::new().config("s3lfs.SkipSmudge", "yes")),
    ];
    for (name, bench) in benches {
        let (cached, stored) = (bench.cached("cached").encode(), bench.stored("stored").encode());
        let mut filter = bench.filter();
        for blob in [&cached, &stored, &missing().encode()] {
            assert_eq!(filter.smudge("f", blob), success(blob), "{name}");
            assert_eq!(filter.smudge_can_delay("f", blob), success(blob), "{name}: nothing to wait for");
        }
        assert_eq!(filter.smudge("f", b"raw"), success(b"raw"), "{name}");
        assert_eq!(filter.finish().well(), "", "{name}: as the user wished");
    }
    let bench = Bench::new().env("S3LFS_SKIP_SMUDGE", "0").config("s3lfs.skipsmudge", "true");
    let pointer = bench.stored("stored");
    assert_eq!(bench.filter().smudge("f", pointer.encode()), success("stored"), "the environment wins, also to say no");
}

#[test]
fn skip_download_errors_leaves_the_pointers_that_fail() {
    let benches = [
        ("variable", Bench::new().env("S3LFS_SKIP_DOWNLOAD_ERRORS", "1")),
        ("git -c", Bench::new().config("s3lfs.skipdownloaderrors", "true")),
    ];
    for (name, bench) in benches {
        let stored = bench.stored("stored");
        let mut filter = bench.filter();
        assert_eq!(filter.smudge("gone.bin", missing().encode()), success(missing().encode()), "{name}");
        assert_eq!(filter.smudge("here.bin", stored.encode()), success("stored"), "{name}");
        let stderr = filter.finish().well();
        assert!(stderr.contains("gone.bin") && !stderr.contains("here.bin"), "{name}: a summary names them: {stderr}");
    }
}

#[test]
fn a_store_that_was_not_accepted_gets_no_request() {
    let bench = Bench::new();
    let pointer = bench.stored("content");
    bench.repo.git(&["config", "s3lfs.store", "s3://another/store"], b"");
    let mut filter = bench.filter();
    assert_eq!(filter.smudge("f.bin", pointer.encode()), success(pointer.encode()), "pointers stay");
    assert_eq!(filter.smudge_can_delay("g.bin", pointer.encode()), success(pointer.encode()));
    assert_eq!(bench.in_cache(&pointer), None, "nothing was fetched");
    let content = text("clean", 10);
    assert_eq!(filter.clean("h", &content), success(Pointer::to(&content).unwrap().encode()), "clean does not mind");
    let stderr = filter.finish().well();
    for said in ["s3lfs trust", "f.bin", "g.bin", &bench.store_url()] {
        assert!(stderr.contains(said), "{said} is named: {stderr}");
    }
    let trusting = bench.config("s3lfs.trust", "file:///**");
    assert_eq!(trusting.filter().smudge("f.bin", pointer.encode()), success("content"), "a pattern accepts it");
}

#[test]
fn without_any_store_smudge_fails_with_a_hint() {
    let bench = Bench::new();
    fs::remove_file(bench.repo.join(".s3_manifest.json")).unwrap();
    bench.repo.git(&["config", "--unset", "s3lfs.store"], b"");
    let cached = bench.cached("cached");
    let mut filter = bench.filter();
    assert_eq!(filter.smudge_can_delay("f", missing().encode()), Answer::Error);
    assert_eq!(filter.smudge("g", cached.encode()), success("cached"), "what is cached needs no store");
    let stderr = filter.finish().well();
    assert!(stderr.contains("f: ") && stderr.contains("s3lfs init"), "{stderr}");
}

#[test]
fn an_absent_store_directory_is_an_error_that_names_it() {
    let bench = Bench::new();
    let cached = bench.cached("cached");
    bench.remove_store();
    let mut filter = bench.filter();
    assert_eq!(filter.smudge_can_delay("f", missing().encode()), Answer::Error, "it is not made anew");
    assert_eq!(filter.smudge("g", cached.encode()), success("cached"));
    let stderr = filter.finish().well();
    assert!(stderr.contains("not mounted"), "{stderr}");
}

#[test]
fn the_manifest_is_found_where_the_checkout_has_it() {
    let bench = Bench::new();
    let manifest = bench.repo.join(".s3_manifest.json");
    bench.repo.git(&["config", "--unset", "s3lfs.store"], b"");
    let bench = bench.config("s3lfs.trust", "file:///**");
    let serves = |place: &str, more: &[&str]| {
        let content = format!("by the manifest of {place}");
        let pointer = bench.stored(&content);
        let mut filter = bench.filter();
        filter.request("smudge", "f", more);
        filter.send_content(&pointer.encode());
        assert_eq!(filter.answer(), success(content), "{}", filter.stderr());
    };
    bench.repo.git(&["add", ".s3_manifest.json"], b"");
    fs::write(&manifest, "<<<<<<< not JSON").unwrap();
    serves("the index, the worktree's being broken", &[]);
    bench.repo.git(&["commit", "-q", "-m", "with manifest"], b"");
    fs::remove_file(&manifest).unwrap();
    serves("the index", &[]);
    bench.repo.git(&["rm", "-q", "--cached", ".s3_manifest.json"], b"");
    serves("HEAD", &[]);
    bench.repo.git(&["branch", "elsewhere"], b"");
    bench.repo.git(&["commit", "-q", "-m", "without"], b"");
    let commit = String::from_utf8(bench.repo.git(&["rev-parse", "elsewhere"], b"")).unwrap();
    let (treeish, tree) = (format!("treeish={}", commit.trim()), format!("treeish={}^{{tree}}", commit.trim()));
    serves("the commit being checked out", &["ref=refs/heads/elsewhere", &treeish]);
    serves("the tree being checked out", &[&tree]);
    let pointer = bench.stored("no manifest anywhere");
    assert_eq!(bench.filter().smudge("f", pointer.encode()), Answer::Error);
}

#[test]
fn content_above_the_limit_stays_a_pointer_unless_it_is_cached() {
    let bench = Bench::new().config("s3lfs.smudgelimit", "10");
    let (small, large) = (bench.stored("0123456789"), bench.stored("0123456789a"));
    let mut filter = bench.filter();
    assert_eq!(filter.smudge("large", large.encode()), success(large.encode()));
    assert_eq!(filter.smudge_can_delay("large", large.encode()), success(large.encode()), "nothing to wait for");
    assert_eq!(filter.smudge("small", small.encode()), success("0123456789"));
    bench.cached("0123456789a");
    assert_eq!(filter.smudge("large", large.encode()), success("0123456789a"), "what is here is delivered");
    let stderr = filter.finish().well();
    assert!(stderr.contains("large") && stderr.contains("s3lfs.smudgelimit"), "{stderr}");
    let noted = fs::read(bench.state().join("deferred")).unwrap();
    assert!(noted.windows(5).any(|w| w == b"large"), "the path is noted, to be filled later");
}
