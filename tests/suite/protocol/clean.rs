//! Reference, 1.4, 1.5 and 1.8, and design.md, section 3, "Pointer": content in, pointer out.

use std::fs;

use s3lfs::pointer::Pointer;

use super::bench::{Bench, MIB, files_under, text};
use super::filter::{Answer, MAX_DATA, packet, success};

fn pointer_to(content: &[u8]) -> Vec<u8> {
    Pointer::to(content).unwrap().encode()
}

/// A pointer of ours, made longer without ceasing to begin like one.
fn padded(first_line: &str, len: usize) -> Vec<u8> {
    let mut bytes = first_line.as_bytes().to_vec();
    bytes.resize(len - 1, b'p');
    bytes.push(b'\n');
    bytes
}

#[test]
fn content_of_any_length_becomes_its_pointer_and_is_cached() {
    let bench = Bench::new();
    let mut filter = bench.filter();
    let lengths =
        [1, 2, 1023, 1024, 1025, MAX_DATA - 1, MAX_DATA, MAX_DATA + 1, 2 * MAX_DATA, MIB - 1, MIB, MIB + 1, 3 * MIB];
    for len in lengths {
        let content = text("clean", len);
        let pointer = Pointer::to(&content).unwrap();
        assert_eq!(filter.clean("f", &content), success(pointer.encode()), "{len} bytes become their pointer");
        assert!(bench.in_cache(&pointer) == Some(content), "{len} bytes are in the cache");
    }
    filter.finish().well();
}

#[test]
fn empty_stays_empty() {
    let bench = Bench::new();
    let mut filter = bench.filter();
    assert_eq!(filter.clean("f", b""), success(b""), "no pointer to nothing");
    filter.request("clean", "g", &[]);
    filter.send(b"000400040000");
    assert_eq!(filter.answer(), success(b""), "empty packets hold nothing");
    assert_eq!(bench.state_files().len(), 0, "no object for nothing");
    filter.finish().well();
}

#[test]
fn the_packets_do_not_matter() {
    let bench = Bench::new();
    let mut filter = bench.filter();
    let content = text("packets", 5000);
    let by = |len: usize| content.chunks(len).flat_map(packet).collect::<Vec<u8>>();
    let (one, two) = content.split_at(2000);
    let packetings = [
        ("single bytes", by(1)),
        ("short packets", by(7)),
        ("an empty packet inside", [packet(one), b"0004".to_vec(), packet(two)].concat()),
        ("empty packets around", [b"0004".to_vec(), packet(&content), b"00040004".to_vec()].concat()),
        ("a pointer's size, then the rest", [packet(&content[..1024]), packet(&content[1024..])].concat()),
    ];
    for (name, packets) in packetings {
        filter.request("clean", "f", &[]);
        filter.send(&packets);
        filter.flush();
        assert_eq!(filter.answer(), success(pointer_to(&content)), "{name}: only a flush ends content");
    }
    filter.finish().well();
}

#[test]
fn upper_case_lengths_are_lengths_too() {
    let bench = Bench::new();
    let mut filter = bench.filter();
    filter.request("clean", "f", &[]);
    filter.send(b"000Eten bytes.0000");
    assert_eq!(filter.answer(), success(pointer_to(b"ten bytes.")), "Git reads either case, so it may write either");
    filter.finish().well();
}

#[test]
fn pointers_pass_unchanged_and_touch_nothing() {
    let bench = Bench::new();
    let mut filter = bench.filter();
    let ours = Pointer::to(b"abc").unwrap().to_string();
    let lfs = ours.replace("s3lfs/1", "https://git-lfs.github.com/spec/v1");
    for blob in [ours, lfs, "version s3lfs/2\nwhatever\n".into(), "version s3lfs/10\n".into()] {
        assert_eq!(filter.clean("f", &blob), success(&blob));
    }
    let longest = padded("version s3lfs/2\n", 1023);
    assert_eq!(filter.clean("f", &longest), success(&longest), "1,023 bytes of a newer version are a pointer");
    assert_eq!(bench.state_files().len(), 0, "nothing is cached for a pointer");
    assert_eq!(filter.finish().well(), "", "and nothing is said");
}

#[test]
fn a_pointer_split_over_packets_is_a_pointer() {
    let bench = Bench::new();
    let mut filter = bench.filter();
    let blob = Pointer::to(b"abc").unwrap().encode();
    filter.request("clean", "f", &[]);
    blob.chunks(10).for_each(|piece| filter.send_packet(piece));
    filter.flush();
    assert_eq!(filter.answer(), success(&blob));
    filter.finish().well();
}

#[test]
fn a_pointer_with_crlf_becomes_canonical() {
    let bench = Bench::new();
    let mut filter = bench.filter();
    let canonical = Pointer::to(b"abc").unwrap().to_string();
    assert_eq!(filter.clean("f", canonical.replace('\n', "\r\n")), success(&canonical));
    filter.finish().well();
}

#[test]
fn what_only_resembles_a_pointer_is_content_and_named() {
    let bench = Bench::new();
    let mut filter = bench.filter();
    let pointer = Pointer::to(b"abc").unwrap().to_string();
    let other = Pointer::to(b"other").unwrap();
    let cases = [
        ("extra-data", format!("{pointer}extra\n")),
        ("extra-lf", format!("{pointer}\n")),
        ("no-lf", pointer.trim_end().to_owned()),
        ("truncated", pointer[..60].to_owned()),
        ("upper-case", pointer.to_uppercase().replace("VERSION S3LFS/1\nOID SHA", "version s3lfs/1\noid sha")),
        ("one-crlf", pointer.replacen('\n', "\r\n", 1)),
        ("size-0", pointer.replace("size 3", "size 0")),
        ("size-sign", pointer.replace("size 3", "size +3")),
        ("two-pointers", format!("{pointer}{other}")),
        ("markers", format!("<<<<<<< HEAD\n{pointer}=======\n{other}>>>>>>> branch\n")),
        ("newer-1024", String::from_utf8(padded("version s3lfs/2\n", 1024)).unwrap()),
    ];
    for (name, content) in &cases {
        let answer = filter.clean(name, content);
        assert_eq!(answer, success(pointer_to(content.as_bytes())), "{name} is content");
        let cached = bench.in_cache(&Pointer::to(content.as_bytes()).unwrap());
        assert_eq!(cached.as_deref(), Some(content.as_bytes()), "{name} is kept");
    }
    let stderr = filter.finish().well();
    for (name, _) in &cases[..10] {
        assert!(stderr.contains(name), "{name} is named: {stderr}");
    }
}

#[test]
fn a_cleaned_file_cleans_to_itself() {
    let bench = Bench::new();
    let mut filter = bench.filter();
    for content in [text("a", 10), text("b", MIB + 1), padded("version s3lfs/1\n", 1024)] {
        let Answer::Success(blob) = filter.clean("f", &content) else { panic!("a clean succeeds") };
        assert_eq!(filter.clean("f", &blob), success(&blob), "status and add may clean in any order");
        assert_eq!(filter.clean("f", &content), success(&blob), "and again");
    }
    filter.finish().well();
}

#[test]
fn the_stream_counts_not_the_file_on_disk() {
    let bench = Bench::new();
    fs::write(bench.repo.join("f"), "other bytes on disk").unwrap();
    let mut filter = bench.filter();
    assert_eq!(filter.clean("f", b"the stream"), success(pointer_to(b"the stream")));
    assert_eq!(filter.clean("not/there", b"the stream"), success(pointer_to(b"the stream")));
    filter.finish().well();
}

#[test]
fn nothing_but_the_cache_changes() {
    let bench = Bench::new();
    bench.repo.git(&["add", ".s3_manifest.json"], b"");
    let read = |paths: Vec<std::path::PathBuf>| paths.into_iter().map(|p| (fs::read(&p).unwrap(), p)).collect();
    let around = || -> Vec<(Vec<u8>, std::path::PathBuf)> {
        let mut files = files_under(bench.repo.path());
        files.retain(|path| !path.starts_with(bench.state()));
        read(files)
    };
    let before = around();
    let mut filter = bench.filter();
    for len in [10, MIB + 1] {
        let content = text("quiet", len);
        assert_eq!(filter.clean("../../outside/f", &content), success(pointer_to(&content)));
    }
    assert_eq!(filter.finish().well(), "", "nothing is said");
    assert!(around() == before, "index, manifest and worktree stay as they were");
    let cached = bench.state_files();
    assert!(cached.len() == 2 && cached.iter().all(|p| p.starts_with(bench.state().join("objects"))), "{cached:?}");
}

#[test]
fn clean_needs_neither_manifest_nor_store_nor_settings() {
    let bench = Bench::new().config("s3lfs.skipsmudge", "perhaps").config("s3lfs.jobs", "many");
    fs::write(bench.repo.join(".s3_manifest.json"), "<<<<<<< HEAD\n{").unwrap();
    bench.repo.git(&["config", "s3lfs.store", "not a store"], b"");
    bench.remove_store();
    let mut filter = bench.filter();
    for len in [1, 5000, MIB + 1] {
        let content = text("offline", len);
        assert_eq!(filter.clean("f", &content), success(pointer_to(&content)), "{len} bytes without the network");
    }
    assert_eq!(filter.finish().well(), "", "what clean does not need, it does not look at");
}

#[test]
fn content_that_cannot_be_kept_gets_no_pointer() {
    let bench = Bench::new();
    fs::write(bench.state(), "a file where the cache should be").unwrap();
    let mut filter = bench.filter();
    for (path, len) in [("small", 10), ("large", 3 * MIB)] {
        assert_eq!(filter.clean(path, text("lost", len)), Answer::Error, "{len} bytes");
    }
    let pointer = pointer_to(b"abc");
    assert_eq!(filter.clean("pointer", &pointer), success(&pointer), "the process lives on");
    let stderr = filter.finish().well();
    assert!(stderr.contains("small: ") && stderr.contains("large: "), "both paths are named: {stderr}");
}

#[test]
fn a_damaged_copy_in_the_cache_is_replaced() {
    let bench = Bench::new();
    for len in [1000, MIB, MIB + 1] {
        let content = text("good", len);
        let pointer = Pointer::to(&content).unwrap();
        for damaged in [vec![0; len], content[..len - 1].to_vec()] {
            bench.put_cached(&pointer, &damaged);
            let mut filter = bench.filter();
            assert_eq!(filter.clean("f", &content), success(pointer.encode()));
            assert!(bench.in_cache(&pointer).as_ref() == Some(&content), "{len} bytes that are pointed to are kept");
            filter.finish().well();
        }
    }
}
