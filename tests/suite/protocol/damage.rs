//! Design, invariant 3: what is delivered is what was stored. Objects and cached copies that are not.

use std::fs;
use std::io::Cursor;

use s3lfs::pointer::Pointer;
use s3lfs::store::codec::{Compression, MEMBER_LEN, Sample, decide, encode_range};

use super::bench::{Bench, MIB, text};
use super::filter::{Answer, success};

/// As `upload` would write it.
fn gzip(content: &[u8]) -> Vec<u8> {
    let len = content.len() as u64;
    let encoding = decide(&Sample::take(&mut Cursor::new(content), len).unwrap(), Compression::Gzip);
    let mut object = Vec::new();
    encode_range(&mut &*content, len, encoding, &mut object).unwrap();
    object
}

fn changed(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut changed = bytes.to_vec();
    changed[at] ^= 1;
    changed
}

/// Objects that do not hold `content`, each with the way in which they don't.
fn bad_objects(content: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let packed = gzip(content);
    let half = content.len() / 2;
    vec![
        ("another byte", changed(content, half)),
        ("cut short", content[..half].to_vec()),
        ("one byte short", content[..content.len() - 1].to_vec()),
        ("too long", [content, b"x"].concat()),
        ("empty", Vec::new()),
        ("one byte", b"x".to_vec()),
        ("gzip of another byte", gzip(&changed(content, half))),
        ("gzip of more", gzip(&[content, b"x"].concat())),
        ("gzip of less", gzip(&content[..half])),
        ("gzip, cut short", packed[..packed.len() / 2].to_vec()),
        ("gzip without its last byte", packed[..packed.len() - 1].to_vec()),
        ("gzip with a flipped bit", changed(&packed, packed.len() / 2)),
        ("gzip with garbage after it", [packed.as_slice(), b"garbage"].concat()),
        ("gzip with a zero after it", [packed.as_slice(), b"\0"].concat()),
        ("gzip twice", [packed.as_slice(), &packed].concat()),
        ("gzip in gzip", gzip(&packed)),
        ("gzip's first bytes alone", b"\x1f\x8b".to_vec()),
        ("gzip bomb", gzip(&vec![0; 32 * MIB])),
        ("a later s3lfs", [b"s3lfs/2\n", content].concat()),
        ("zstd", [b"\x28\xb5\x2f\xfd", content].concat()),
        ("age", [b"age-encryption.org/v1\n", content].concat()),
        ("a later s3lfs as long as the content", [b"s3lfs/2\n", &content[8..]].concat()),
        ("gzip's mark on something as long as the content", [b"\x1f\x8b", &content[2..]].concat()),
    ]
}

#[test]
fn a_bad_object_is_an_error_that_names_it_and_costs_only_itself() {
    for content in [text("small", 5000), text("large", MIB + 77)] {
        let bench = Bench::new();
        let pointer = Pointer::to(&content).unwrap();
        let good = bench.stored("good");
        let mut filter = bench.filter();
        for (name, object) in bad_objects(&content) {
            bench.put(&pointer, &object);
            assert_eq!(filter.smudge(format!("at once/{name}"), pointer.encode()), Answer::Error, "{name}");
            assert_eq!(filter.smudge_can_delay(format!("later/{name}"), pointer.encode()), Answer::Delayed, "{name}");
            assert_eq!(filter.collect_delayed(), [(format!("later/{name}"), Answer::Error)], "{name}");
            assert_eq!(bench.state_files(), Vec::<std::path::PathBuf>::new(), "{name}: nothing enters the cache");
            let stderr = filter.stderr();
            let said = stderr.lines().rev().find(|line| line.contains(name)).expect("the path is named");
            assert!(said.contains(&bench.key(&pointer)), "{name}: the key is named: {said}");
        }
        bench.put(&pointer, &content);
        assert_eq!(filter.smudge("mended", pointer.encode()), success(&content), "nothing bad is remembered");
        assert_eq!(filter.smudge("good", good.encode()), success("good"), "the process lived on");
        filter.finish().well();
    }
}

#[test]
fn a_later_format_says_that_a_newer_s3lfs_is_needed() {
    let bench = Bench::new();
    for mark in [b"s3lfs/2\n".as_slice(), b"\x28\xb5\x2f\xfd", b"age-encryption.org/v1\n"] {
        let pointer = Pointer::to(b"sealed").unwrap();
        bench.put(&pointer, &[mark, b"some bytes"].concat());
        let mut filter = bench.filter();
        assert_eq!(filter.smudge("f", pointer.encode()), Answer::Error);
        let stderr = filter.finish().well();
        assert!(stderr.contains("newer s3lfs"), "{mark:?}: {stderr}");
    }
}

#[test]
fn every_good_form_of_an_object_is_content() {
    let long = text("long", MEMBER_LEN as usize + MIB);
    let (one, two) = long.split_at(MEMBER_LEN as usize);
    // Content that itself bears a mark: wrapped as upload does, or copied in by hand as it is.
    let marked: [&[u8]; 4] = [b"\x1f\x8b, not gzip", b"s3lfs/ in a text", b"\x28\xb5\x2f\xfd", b"age-encryption.org/"];
    let mut cases = vec![
        (long.clone(), gzip(&long)),
        (long.clone(), [gzip(one), gzip(two)].concat()),
        (long.clone(), long.clone()),
        (gzip(&long), gzip(&long)),
        (b"x".to_vec(), gzip(b"x")),
    ];
    cases.extend(
        marked.iter().flat_map(|content| [(content.to_vec(), gzip(content)), (content.to_vec(), content.to_vec())]),
    );
    let bench = Bench::new();
    let mut filter = bench.filter();
    for (n, (content, object)) in cases.into_iter().enumerate() {
        let pointer = Pointer::to(&content).unwrap();
        fs::remove_dir_all(bench.state()).ok();
        bench.put(&pointer, &object);
        assert_eq!(filter.smudge("f", pointer.encode()), success(&content), "case {n}");
        assert!(bench.in_cache(&pointer) == Some(content), "case {n} is cached as the content, not as the object");
    }
    filter.finish().well();
}

#[test]
fn a_pointer_that_lies_about_the_size_is_an_error() {
    let bench = Bench::new();
    let content = text("honest", 5000);
    let honest = bench.stored(&content);
    let cached = bench.cached(text("cached", 5000));
    let mut filter = bench.filter();
    for pointer in [honest, cached] {
        for size in [1, 4999, 5001, 1 << 20, i64::MAX as u64] {
            let liar = Pointer { size, ..pointer };
            let answer = filter.smudge(format!("size {size}"), liar.encode());
            let deferred = size > 1 << 40;
            assert_eq!(answer, if deferred { success(liar.encode()) } else { Answer::Error }, "size {size}");
        }
    }
    assert!(bench.in_cache(&cached).is_some(), "the good copy is not thrown away for a liar");
    assert_eq!(filter.smudge("f", honest.encode()), success(&content));
    assert_eq!(filter.smudge("g", cached.encode()), success(text("cached", 5000)));
    filter.finish().well();
}

#[test]
fn a_damaged_small_copy_in_the_cache_is_fetched_anew() {
    let bench = Bench::new();
    let content = text("small", 5000);
    let pointer = bench.stored(&content);
    let mut filter = bench.filter();
    for damaged in [changed(&content, 4000), content[..4999].to_vec(), [&content[..], b"x"].concat(), Vec::new()] {
        bench.put_cached(&pointer, &damaged);
        assert_eq!(filter.smudge("f", pointer.encode()), success(&content), "wrong bytes are never delivered");
        bench.put_cached(&pointer, &damaged);
        assert_eq!(filter.smudge_can_delay("f", pointer.encode()), Answer::Delayed, "as if it were not here");
        assert_eq!(filter.collect_delayed(), [("f".to_owned(), success(&content))]);
        assert!(bench.in_cache(&pointer).as_ref() == Some(&content), "the cache is mended");
        assert!(bench.state().join("bad").join(pointer.oid.hex()).exists(), "the damaged copy is kept aside");
    }
    filter.finish().well();
}

#[test]
fn a_damaged_copy_without_the_store_is_an_error_and_kept_aside() {
    let bench = Bench::new();
    let content = text("only copy", 5000);
    let pointer = bench.cached(&content);
    bench.put_cached(&pointer, &changed(&content, 17));
    let mut filter = bench.filter();
    assert_eq!(filter.smudge("f", pointer.encode()), Answer::Error);
    let kept = fs::read(bench.state().join("bad").join(pointer.oid.hex())).unwrap();
    assert!(kept == changed(&content, 17), "what may be left of the content is not thrown away");
    filter.finish().well();
}

#[test]
fn a_damaged_large_copy_is_taken_back_at_its_end() {
    let bench = Bench::new();
    let content = text("large", 3 * MIB);
    let pointer = bench.stored(&content);
    let mut filter = bench.filter();
    for at in [0, MIB + 5, 3 * MIB - 1] {
        let damaged = changed(&content, at);
        bench.put_cached(&pointer, &damaged);
        let answer = filter.smudge_can_delay("dir/f", pointer.encode());
        assert_eq!(answer, Answer::TakenBack(damaged), "Git throws away what ends in an error");
        assert_eq!(bench.in_cache(&pointer), None, "it is out of the way");
        assert!(bench.state().join("bad").join(pointer.oid.hex()).exists(), "but kept aside");
        assert_eq!(filter.smudge("dir/f", pointer.encode()), success(&content), "the next try fetches it");
    }
    let stderr = filter.finish().well();
    assert!(stderr.contains("dir/f") && stderr.contains(&pointer.oid.hex()), "{stderr}");
}

#[test]
fn a_large_copy_of_another_length_is_fetched_anew() {
    let bench = Bench::new();
    let content = text("large", 2 * MIB);
    let pointer = bench.stored(&content);
    let mut filter = bench.filter();
    for damaged in [&content[..MIB], &[content.as_slice(), b"x"].concat()] {
        bench.put_cached(&pointer, damaged);
        assert_eq!(filter.smudge("f", pointer.encode()), success(&content), "known before the first byte is sent");
    }
    filter.finish().well();
}
