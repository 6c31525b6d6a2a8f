//! Properties of the parsers, on bytes that nobody chose: arbitrary ones, and the samples of `fixtures/corpus` with
//! pieces cut out, doubled and put in.
//!
//! Apart because no case is written down. The normal run draws the same few hundred in every run;
//! `S3LFS_TEST_CASES=<n>` draws so many others. Bytes that once broke a parser belong into its corpus, which is
//! always replayed.

use std::collections::HashSet;
use std::fs;
use std::path::{Component, Path};

use bstr::{BStr, BString, ByteSlice};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};

use s3lfs::attributes::{AttributesFile, Pattern};
use s3lfs::filter::pktline::{MAX_DATA_LEN, Packet, PktReader, PktWriter};
use s3lfs::manifest::{Manifest, python_yaml};
use s3lfs::names;
use s3lfs::oid::Oid;
use s3lfs::pointer::{Form, MAX_POINTER_LEN, Pointer, Sniffed, lfs, sniff};
use s3lfs::remote::{Bucket, Remote};
use s3lfs::repo_path::RepoPath;
use s3lfs::store::codec::decode;
use s3lfs::store::{key, legacy};

fn corpus(parser: &str) -> Vec<Vec<u8>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/corpus").join(parser);
    let mut files: Vec<_> = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{parser} has samples");
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

fn runner() -> TestRunner {
    let asked = std::env::var("S3LFS_TEST_CASES").ok();
    let cases = asked.as_ref().map_or(256, |cases| cases.parse().expect("S3LFS_TEST_CASES is a number"));
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    match asked {
        Some(_) => TestRunner::new(config),
        None => TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha)),
    }
}

fn holds<S: Strategy>(what: &str, strategy: &S, property: impl Fn(S::Value))
where
    S::Value: Clone + std::fmt::Debug,
{
    let outcome = runner().run(strategy, |value| {
        property(value);
        Ok(())
    });
    match outcome {
        Ok(()) => {}
        Err(TestError::Fail(why, value)) => panic!("{what}: {why}\nfor {value:?}"),
        Err(e) => panic!("{what}: {e}"),
    }
}

/// `property` holds for the samples, for what they become by a few edits, and for arbitrary bytes.
fn of_all_bytes(parser: &str, property: impl Fn(&[u8])) {
    let samples = corpus(parser);
    samples.iter().for_each(|bytes| property(bytes));
    let edit = (any::<Index>(), 0..20_usize, vec(any::<u8>(), 0..6), any::<bool>());
    let edited = (any::<Index>(), vec(edit, 1..6)).prop_map(move |(sample, edits)| {
        let mut bytes = samples[sample.index(samples.len())].clone();
        for (at, cut, put, twice) in edits {
            let at = at.index(bytes.len() + 1);
            let end = bytes.len().min(at + cut);
            let piece = if twice { bytes[at..end].repeat(2) } else { put };
            bytes.splice(at..end, piece);
        }
        bytes
    });
    let bytes = prop_oneof![3 => edited, 1 => vec(any::<u8>(), 0..1500)];
    holds(parser, &bytes, |bytes| property(&bytes));
}

#[test]
fn pointers() {
    of_all_bytes("pointer", |bytes| match sniff(bytes) {
        Sniffed::Ours(pointer) => assert_eq!(pointer.encode(), bytes, "one form"),
        Sniffed::Crlf(pointer) => assert_eq!(pointer.encode().replace("\n", "\r\n"), bytes, "one form with CRLF"),
        Sniffed::Lfs(pointer) => {
            let (lfs, ours) = ("version https://git-lfs.github.com/spec/v1\n", "version s3lfs/1\n");
            assert_eq!(pointer.encode(), bytes.replacen(lfs, ours, 1), "the same lines");
        }
        Sniffed::Newer => assert!(bytes.len() < MAX_POINTER_LEN),
        Sniffed::Resembles | Sniffed::Content => {}
    });
    holds("every pointer", &(any::<[u8; 32]>(), 1..=i64::MAX as u64), |(content, size)| {
        let pointer = Pointer { oid: Oid::of(&content), size };
        assert_eq!(sniff(&pointer.encode()), Sniffed::Ours(pointer));
    });
}

#[test]
fn pointers_of_git_lfs() {
    of_all_bytes("lfs", |bytes| match lfs::read(bytes) {
        lfs::Read::Pointer(pointer) | lfs::Read::Extended(pointer) => {
            assert!(bytes.len() < MAX_POINTER_LEN && (1..=i64::MAX as u64).contains(&pointer.size));
            assert_eq!(lfs::read(&pointer.encode_as(Form::Lfs)), lfs::Read::Pointer(pointer), "its canonical form");
            assert_eq!(sniff(&pointer.encode_as(Form::Lfs)), Sniffed::Lfs(pointer));
        }
        lfs::Read::Other => assert!(!matches!(sniff(bytes), Sniffed::Lfs(_)), "canonical is one of its forms"),
    });
}

#[test]
fn packets() {
    of_all_bytes("pktline", |bytes| {
        let mut reader = PktReader::new(bytes);
        let mut read = 0;
        while let Ok(Some(packet)) = reader.next_packet() {
            read += 4;
            if let Packet::Data(data) = packet {
                assert!(data.len() <= MAX_DATA_LEN, "no longer than Git's");
                read += data.len();
            }
        }
        assert!(read <= bytes.len(), "nothing is made up");
        let mut reader = PktReader::new(bytes);
        while let Ok(Some(_)) = reader.list() {}
        let mut content = Vec::new();
        let _ = std::io::Read::read_to_end(&mut PktReader::new(bytes).content(), &mut content);
        assert!(content.len() <= bytes.len());
    });
    let line = vec(any::<u8>(), 1..300).prop_filter("its own LF is added", |line| line.last() != Some(&b'\n'));
    holds("every list", &vec(vec(line, 0..5), 0..4), |lists| {
        let mut written = Vec::new();
        let mut writer = PktWriter::new(&mut written);
        for list in &lists {
            writer.list(list.iter().map(BStr::new)).unwrap();
        }
        writer.send().unwrap();
        drop(writer);
        let mut reader = PktReader::new(written.as_slice());
        for list in &lists {
            assert_eq!(reader.list().unwrap().unwrap(), *list, "what is written is read");
        }
        assert!(reader.list().unwrap().is_none());
    });
}

#[test]
fn manifests() {
    of_all_bytes("manifest", |bytes| {
        let Ok(manifest) = Manifest::parse(bytes) else { return };
        for path in manifest.files.keys() {
            assert!(RepoPath::new(path.as_str()).is_ok(), "{path:?} stays in the worktree");
        }
        if let Ok(named) = names::in_manifest(bytes) {
            assert!(manifest.files.values().all(|oid| named.contains(oid)), "cleanup sees all that readers see");
        }
        if let Ok(written) = manifest.to_bytes() {
            assert_eq!(Manifest::parse(&written).unwrap(), manifest, "what is written is read");
            assert_eq!(Manifest::parse(&written).unwrap().to_bytes().unwrap(), written, "one form");
        }
    });
    of_all_bytes("manifest", |bytes| {
        let _ = names::in_small_blob(&bytes[..bytes.len().min(MAX_POINTER_LEN - 1)]);
    });
}

#[test]
fn manifests_in_yaml() {
    of_all_bytes("yaml", |bytes| {
        for (root, config) in [(bytes, None), (b"bucket_name: b".as_slice(), Some(bytes))] {
            let Ok(manifest) = python_yaml::parse(root, &[("shard", bytes)], config) else { continue };
            assert!(manifest.files.keys().all(|path| RepoPath::new(path.as_str()).is_ok()), "within the worktree");
        }
    });
}

#[test]
fn objects() {
    of_all_bytes("object", |bytes| {
        for size in [0, 1, 3, 6, bytes.len() as u64, 1000] {
            let mut out = Vec::new();
            let outcome = decode(bytes, &mut out, size);
            assert!(out.len() as u64 <= size, "it stops at the pointer's size");
            assert!(outcome.is_err() || out.len() as u64 == size, "a success is the whole content");
        }
    });
}

#[test]
fn keys() {
    of_all_bytes("key", |bytes| {
        let text = bytes.to_str_lossy();
        let _ = legacy::is_chunk(&text);
        let Ok(path) = object_store::path::Path::parse(&text) else { return };
        for prefix in ["", "p"] {
            if let Some(asset) = key::Asset::parse(prefix, &path) {
                assert_eq!(asset.key(prefix), path, "what is recognised is named by its own key");
            }
            assert!(!key::is_ours(prefix, &path) || path.as_ref().starts_with(prefix));
        }
    });
}

#[test]
fn attributes() {
    of_all_bytes("attributes", |bytes| {
        let mut file = AttributesFile::parse(bytes);
        assert_eq!(file.to_bytes(), bytes, "every byte is kept");
        let before: HashSet<BString> = file.tracked().into_iter().collect();
        let pattern = Pattern::new("a b/*.é").unwrap();
        file.track(&pattern);
        assert!(!file.track(&pattern), "once is enough");
        assert!(file.tracked().contains(&pattern.as_bstr().to_owned()), "what is tracked is listed");
        assert!(!file.ensure_protected(), "the protected lines came with it");
        let again = AttributesFile::parse(&file.to_bytes());
        assert_eq!(again.tracked(), file.tracked(), "and is still when it is read again");
        file.untrack(pattern.as_bstr());
        let after: HashSet<BString> = file.tracked().into_iter().collect();
        assert!(!after.contains(pattern.as_bstr()) && after.is_subset(&before), "and taken back");
    });
    of_all_bytes("path", |bytes| {
        let Ok(path) = RepoPath::new(bytes) else { return };
        for pattern in [Pattern::for_file(&path), Pattern::for_dir(&path)].into_iter().flatten() {
            let mut file = AttributesFile::parse(b"");
            file.track(&pattern);
            let read = AttributesFile::parse(&file.to_bytes());
            assert_eq!(read.tracked(), [pattern.as_bstr()], "the line gives the pattern back");
        }
    });
}

fn is_harmless(shown: &str) -> bool {
    let turns = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}');
    !shown.contains(|c: char| c.is_control() || turns(c))
}

#[test]
fn paths() {
    of_all_bytes("path", |bytes| match RepoPath::new(bytes) {
        Ok(path) => {
            assert!(is_harmless(&path.to_string()), "it can be shown");
            assert!(!path.to_path().components().any(|part| !matches!(part, Component::Normal(_))), "it leads nowhere");
            for part in path.components() {
                let upper = part.to_uppercase();
                let bare = upper.split_str(":").next().unwrap_or_default().trim_end_with(|c| c == '.' || c == ' ');
                assert!(bare != b".GIT" && bare != b"GIT~1", "nor into .git");
            }
        }
        Err(e) => assert!(is_harmless(&e.to_string()), "nor does the error speak to the terminal"),
    });
}

#[test]
fn remotes() {
    let holds_for = |remote: &Remote| {
        let url = remote.to_string();
        assert!(is_harmless(&url), "{url:?} can be shown");
        let again = Remote::from_url(&url).unwrap_or_else(|e| panic!("{url:?} parses back: {e}"));
        assert_eq!(again.to_string(), url, "one spelling");
        if let (Bucket::S3(_), Bucket::S3(_)) = (remote.bucket(), again.bucket()) {
            assert_eq!(&again, remote, "one spelling names one store: {url}");
        }
        let key = key::object(remote.prefix(), &Oid::of(b"x"));
        assert!(key::is_ours(remote.prefix(), &key), "and its keys are keys");
    };
    of_all_bytes("remote", |bytes| {
        let text = bytes.to_str_lossy();
        match Remote::from_url(&text) {
            Ok(remote) => holds_for(&remote),
            Err(e) => assert!(is_harmless(&e.to_string()), "{e}"),
        }
        for (bucket, prefix, endpoint) in [
            ("my-bucket", &*text, None),
            ("my-bucket", "p", Some(&*text)),
            (&*text, "p", Some("https://h")),
            ("file:///srv", &*text, None),
        ] {
            if let Ok(remote) = Remote::new(bucket, prefix, endpoint) {
                holds_for(&remote);
            }
        }
    });
}
