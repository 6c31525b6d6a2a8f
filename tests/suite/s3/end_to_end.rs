//! The whole way with the real Git and the real binary: over S3 it is as over a directory.

use super::bench::{Bench, compressible, random};
use super::server::Op;
use crate::world::{oid, pointer};

#[test]
fn a_repository_from_init_to_a_clone() {
    let bench = Bench::new();
    let work = bench.work();
    let endpoint = bench.server.url();
    let bucket = bench.server.bucket();
    let ran = work.s3lfs(&["init", "--endpoint-url", &endpoint, bucket, "proj"]).ok();
    assert_eq!(ran.stdout, "", "nothing was asked for on stdout");
    let manifest = work.manifest();
    assert_eq!((&manifest["bucket_name"], &manifest["endpoint_url"]), (&bucket.into(), &endpoint.clone().into()));
    let id = manifest["repository_id"].as_str().unwrap();
    assert!(bench.server.stored(&format!("proj/repositories/{id}.json")).is_some(), "init registers the repository");

    work.s3lfs(&["git-setup", "--track", "*.bin"]).ok();
    let (small, large) = (b"small\n".to_vec(), random(3 << 20, 1));
    work.write("small.bin", &small);
    work.write("deep/large.bin", &large);
    work.write("empty.bin", "");
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-qm", "content"]).ok();
    assert!(bench.has(&small) && bench.has(&large), "the commit uploads");
    assert_eq!(work.blob("HEAD:small.bin"), pointer(&small));
    assert_eq!(work.manifest()["files"]["deep/large.bin"], oid(&large));
    work.git(&["push", "-qu", "origin", "main"]).ok();
    work.is_clean();

    let other = bench.cloned("other");
    assert_eq!(other.read("small.bin"), small);
    assert!(other.read("deep/large.bin") == large, "a clone has the large file");
    assert_eq!(other.read("empty.bin"), b"");
    other.is_clean();
    work.s3lfs(&["download-all"]).ok();
}

#[test]
fn a_switch_fetches_what_it_needs_with_delay() {
    let bench = Bench::ready();
    let work = bench.work();
    work.git(&["switch", "-qc", "side"]).ok();
    let contents: Vec<Vec<u8>> = (0..20).map(|i| compressible(1000 + i)).collect();
    for (i, content) in contents.iter().enumerate() {
        work.write(&format!("f{i}.bin"), content);
    }
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-qm", "side"]).ok();
    work.git(&["switch", "-q", "main"]).ok();
    work.drop_cache();
    bench.server.take();
    work.git(&["switch", "-q", "side"]).ok();
    for (i, content) in contents.iter().enumerate() {
        assert!(work.read(&format!("f{i}.bin")) == *content, "f{i}.bin is there with its content");
    }
    assert_eq!(bench.server.count(Op::Get), contents.len(), "one request for each small object");
    assert_eq!(bench.server.take().len(), contents.len(), "and none besides");
    work.is_clean();
}

#[test]
fn a_plain_clone_fills_its_files_once_the_user_is_set_up() {
    let bench = Bench::ready();
    let work = bench.work();
    let (large, packed) = (random(20 << 20, 2), compressible(300_000));
    let files: Vec<(String, &[u8])> = (0..12)
        .map(|i| (format!("f{i:02}.bin"), if i % 2 == 0 { &b"the same"[..] } else { &packed[i * 1000..] }))
        .chain([("deep/large.bin".to_owned(), &large[..])])
        .collect();
    for (path, content) in &files {
        work.write(path, content);
    }
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-qm", "content"]).ok();
    work.git(&["push", "-q"]).ok();
    bench.server.take();

    let home = bench.at("");
    home.s3lfs(&["git-setup", "--global"]).ok();
    let before = bench.server.connections();
    home.git(&["clone", "-q", "remote.git", "strange"]).ok().says(&["s3lfs trust"]);
    assert_eq!(bench.server.connections(), before, "a store that nobody accepted is not asked");
    assert_eq!(bench.at("strange").text("f00.bin"), pointer(b"the same"), "its files are pointers");

    let pattern = format!("s3://{}/**?endpoint={}", bench.server.bucket(), bench.server.url());
    home.git(&["config", "--global", "s3lfs.trust", &pattern]).ok();
    home.git(&["clone", "-q", "remote.git", "plain"]).ok();
    let plain = bench.at("plain");
    for (path, content) in &files {
        assert!(plain.read(path) == *content, "{path} is filled by smudge");
    }
    plain.is_clean();
    let gets = bench.server.seen(Op::Get);
    let mut asked: Vec<_> = gets.iter().map(|get| (get.key(), get.header("range"))).collect();
    let of_large = asked.iter().filter(|(key, _)| key.ends_with(&oid(&large))).count();
    assert_eq!(of_large, 6, "the large one comes by its beginning and five streams of 4 MiB");
    assert_eq!(asked.len(), 7 + of_large, "and one request for each of the others: two files of one content are one");
    asked.sort_unstable();
    asked.dedup();
    assert_eq!(asked.len(), gets.len(), "nothing is asked for twice");
    assert_eq!(bench.server.take().len(), gets.len(), "and nothing else is asked");
}

#[test]
fn download_all_fills_what_was_skipped() {
    let bench = Bench::ready();
    let work = bench.work();
    work.commit("a.bin", b"content of a");
    work.commit("b.bin", b"content of b");
    work.git(&["push", "-q"]).ok();
    let other = bench.at("other");
    bench.at("").env("S3LFS_SKIP_SMUDGE", "1").git(&["clone", "-q", "remote.git", "other"]).ok();
    other.s3lfs(&["git-setup"]).ok();
    assert_eq!(other.text("a.bin"), pointer(b"content of a"));
    bench.server.take();
    other.s3lfs(&["download", "a.bin"]).ok();
    assert_eq!(bench.server.count(Op::Get), 1, "only what was asked for");
    other.s3lfs(&["download-all"]).ok();
    assert_eq!((other.read("a.bin"), other.read("b.bin")), (b"content of a".to_vec(), b"content of b".to_vec()));
    other.is_clean();
}

#[test]
fn keys_are_as_the_contract_says_and_objects_say_what_they_are() {
    let bench = Bench::ready();
    let work = bench.work();
    let (plain, packed) = (random(100_000, 7), compressible(100_000));
    work.commit("plain.bin", &plain);
    work.commit("packed.bin", &packed);
    assert!(bench.stored(&plain).unwrap() == plain, "what does not compress is the content itself");
    let object = bench.stored(&packed).unwrap();
    assert_eq!(object[..2], [0x1f, 0x8b], "what compresses is gzip");
    assert!(object.len() < packed.len() / 4);
    let puts = bench.server.seen(Op::Put);
    assert_eq!(puts.len(), 2);
    for put in puts {
        assert_eq!(put.header("content-type"), Some("application/octet-stream"));
        assert_eq!(put.header("content-encoding"), None, "no intermediary may decode it");
    }
    work.git(&["push", "-q"]).ok();
    work.leave_pointer("packed.bin");
    work.s3lfs(&["download", "packed.bin"]).ok();
    let got = bench.server.seen(Op::Get);
    assert_eq!(got[0].header("accept-encoding"), Some("identity"));
}
