//! The Python tool's layout and reading stores at a service: what they cost, and that they cost nothing
//! where they are not needed.

use std::fs;

use super::bench::{Bench, compressible, random};
use super::fault::Fault;
use super::server::{BUCKET, Op, Server};
use crate::python::old;
use crate::world::{MANIFEST, Place, oid, snapshot};

/// Put an object of the Python tool into a bucket.
fn put(server: &Server, content: &[u8], name: &str, bytes: &[u8]) {
    let path = server.file(&format!("proj/assets/{}/{name}", oid(content)));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

fn requests(server: &Server) -> Vec<Op> {
    server.take().into_iter().map(|seen| seen.op).collect()
}

/// The store at `server` in the words of `s3lfs.readstore`.
fn url(server: &Server) -> String {
    format!("s3://team-bucket/proj?endpoint={}", server.url())
}

fn read_from(place: &Place<'_>, server: &Server) {
    place.git(&["config", "--add", "s3lfs.readstore", &url(server)]).ok();
}

#[test]
fn only_what_is_not_there_is_looked_for_in_the_old_layout() {
    let content = random(5_000, 1);
    let bench = Bench::with(&content);
    let work = bench.work();
    work.s3lfs(&["download", "a.bin"]).ok();
    assert_eq!(requests(&bench.server), [Op::Get], "an object at our key costs one request");
    work.leave_pointer("a.bin");
    fs::remove_file(bench.object(&content)).unwrap();
    put(&bench.server, &content, "dir/a.bin", &content);
    bench.server.take();
    work.s3lfs(&["download", "a.bin"]).ok();
    assert_eq!(requests(&bench.server), [Op::Get, Op::List, Op::Get], "else one LIST finds it");
    assert!(work.read("a.bin") == content);
    work.is_clean();
    work.leave_pointer("a.bin");
    fs::create_dir_all(bench.object(&content).parent().unwrap()).unwrap();
    fs::write(bench.object(&content), b"").unwrap();
    work.s3lfs(&["download", "a.bin"]).ok();
    assert!(work.read("a.bin") == content, "an object without a byte is none");
}

#[test]
fn a_bucket_of_the_python_tool_is_read_and_migrated() {
    let bench = Bench::new();
    old::copy(&old::fixture("seed/bucket"), &bench.server.file(""));
    let before = snapshot(&bench.server.file(""));
    let work = bench.work().env("AWS_ENDPOINT_URL", bench.server.url());
    let manifest = fs::read_to_string(old::fixture("seed/.s3_manifest.json")).unwrap();
    work.write(MANIFEST, manifest.replace("oldb", BUCKET));
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-qm", "by the Python s3lfs"]).ok();
    work.s3lfs(&["git-setup"]).ok();
    bench.server.take();
    work.s3lfs(&["migrate"]).ok();
    let content_gets = bench.server.seen(Op::Get).iter().filter(|get| get.key().contains("/assets/")).count();
    let asked = requests(&bench.server);
    let count = |op: Op| asked.iter().filter(|seen| **seen == op).count();
    assert_eq!(count(Op::Put), 5, "each content once, and the empty one never");
    assert_eq!(content_gets, 5 + 7, "ours is not there; then one object each, and three chunks");
    assert!(count(Op::List) <= 5 + 1, "a LIST each, and one for the registrations");
    work.git(&["commit", "-qm", "migrated"]).ok();
    work.is_clean();
    work.s3lfs(&["download-all"]).ok();
    old::has_all(&work);
    work.is_clean();
    let after = snapshot(&bench.server.file(""));
    assert!(before.iter().all(|file| after.contains(file)), "nothing is deleted in the bucket");
}

#[test]
fn large_chunks_are_streamed_and_joined() {
    let content = random(30 << 20, 2);
    let bench = Bench::with(&content);
    let work = bench.work();
    fs::remove_file(bench.object(&content)).ok();
    for (number, chunk) in content.chunks(17 << 20).enumerate() {
        put(&bench.server, &content, &format!("a.bin.chunk{number}"), chunk);
    }
    bench.server.fault(Op::Get, 1, Fault::Refuse(503, "SlowDown"));
    work.s3lfs(&["download", "a.bin"]).ok();
    assert!(work.read("a.bin") == content);
    let ranged = bench.server.seen(Op::Get).iter().filter(|seen| seen.header("range").is_some()).count();
    assert!(ranged >= 6, "in ranges of 8 MiB: {ranged}");
    work.leave_pointer("a.bin");
    bench.server.fault(Op::Get, 1, Fault::Nothing);
    bench.server.fault(Op::Get, 1, Fault::WholeObject);
    work.s3lfs(&["download", "a.bin"]).ok();
    assert!(work.read("a.bin") == content, "also from a service that knows no ranges");
}

#[test]
fn a_reading_store_is_asked_after_the_store_and_never_written() {
    let content = compressible(100_000);
    let bench = Bench::with(&content);
    let upstream = Server::start();
    let work = bench.work();
    read_from(&work, &upstream);
    work.s3lfs(&["download", "a.bin"]).ok();
    assert_eq!(requests(&bench.server), [Op::Get]);
    assert_eq!(upstream.connections(), 0, "what the store has is not asked for elsewhere");
    work.commit("b.bin", b"new");
    work.git(&["push", "-q"]).ok();
    assert_eq!(upstream.connections(), 0, "nor is what a commit uploads");

    work.leave_pointer("a.bin");
    let own = bench.object(&content);
    let there = upstream.file(own.strip_prefix(bench.server.file("")).unwrap().to_str().unwrap());
    fs::create_dir_all(there.parent().unwrap()).unwrap();
    fs::rename(&own, &there).unwrap();
    let packed = fs::read(&there).unwrap();
    bench.server.take();
    work.s3lfs(&["download", "a.bin"]).ok().says(&["from s3://team-bucket/proj?endpoint="]);
    assert!(work.read("a.bin") == content);
    assert_eq!(requests(&bench.server), [Op::Get, Op::List]);
    assert_eq!(requests(&upstream), [Op::Get], "only read");
    assert_eq!(fs::read(&there).unwrap(), packed);
    work.is_clean();

    work.leave_pointer("a.bin");
    fs::remove_file(&there).unwrap();
    put(&upstream, &content, "a.bin", &content);
    work.git(&["checkout", "-q", "--", "a.bin"]).ok();
    work.remove("a.bin");
    work.git(&["checkout", "-q", "--", "a.bin"]).ok();
    assert!(work.read("a.bin") == content, "a reading store may be the Python tool's");
}

#[test]
fn a_reading_store_that_can_not_be_asked_is_not_one_that_does_not_have_it() {
    let content = b"some content";
    let bench = Bench::with(content);
    let mut upstream = Server::start();
    let work = bench.work();
    read_from(&work, &upstream);
    fs::remove_file(bench.object(content)).unwrap();
    work.s3lfs(&["download", "a.bin"]).fails(1).says(&["there is no such object"]);
    upstream.stop();
    work.s3lfs(&["download", "a.bin"]).fails(1).says(&[
        "is not in s3://team-bucket/proj",
        "a reading store could not be asked",
        &upstream.url(),
        "can't be reached",
    ]);
    work.sh("rm -rf .git/s3lfs/uploaded").ok();
    work.git(&["mv", "a.bin", "b.bin"]).ok();
    work.git(&["commit", "-qm", "rename"]).ok();
    let pushed = work.git(&["push", "-q"]).says(&["b.bin", "a reading store could not be asked"]);
    assert_eq!(pushed.code, 1, "nobody knows whether it is there");
    upstream.resume();
    put(&upstream, content, "a.bin", content);
    work.git(&["push", "-q"]).ok().says(&["1 object only in s3://team-bucket/proj?endpoint="]);
}

/// What deletes writes and deletes in the store alone, whatever the reading store has: garbage, marks, unfinished
/// uploads, the very content that is purged.
#[test]
fn cleanup_and_purge_change_nothing_in_a_reading_store() {
    let content = compressible(100_000);
    let bench = Bench::with(&content);
    let upstream = Server::start();
    let work = bench.work();
    let key = |content: &[u8]| format!("proj/assets/{}/{}", &oid(content)[..2], oid(content));
    for server in [&bench.server, &upstream] {
        server.place(&key(b"garbage"), b"garbage");
        server.place(&format!("proj/assets/{}/old.bin.gz", oid(b"old garbage")), b"old garbage");
    }
    upstream.place(&key(&content), &bench.stored(&content).unwrap());
    upstream.place("proj/repositories/0b54e1ae-6a7d-4d3f-8f0c-5b8a3f8f0c5b.json", b"{}");
    work.commit("only-there.bin", b"only there");
    work.git(&["push", "-q"]).ok();
    upstream.place(&key(b"only there"), b"only there");
    read_from(&work, &upstream);
    fs::remove_file(bench.object(b"only there")).unwrap();
    let before = snapshot(&upstream.file(""));
    bench.server.take();
    for args in [
        &["cleanup", "--dry-run"][..],
        &["cleanup", "--force", "--keep-newer", "0s", "--python-layout"],
        &["remove", "a.bin", "--purge-from-s3", "--force"],
        &["remove", "only-there.bin", "--purge-from-s3", "--force"],
    ] {
        work.s3lfs(args).ok();
        let changing: Vec<_> =
            upstream.take().into_iter().filter(|seen| !["GET", "HEAD"].contains(&seen.method.as_str())).collect();
        assert!(changing.is_empty(), "{args:?} sends only questions there: {changing:?}");
    }
    assert!(!bench.has(b"garbage") && !bench.has(&content), "in the store itself they do what they are for");
    assert!(bench.server.count(Op::DeleteMany) >= 3, "garbage, and what was purged");
    assert!(snapshot(&upstream.file("")) == before, "nothing there is another than before");
}
