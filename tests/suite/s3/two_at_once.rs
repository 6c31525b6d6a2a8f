//! Two commands of one clone at once, each held where the other one matters: no update is lost, no lock is held
//! while the network is asked, and nobody waits for the other one's network.

use std::process::{Child, Stdio};

use super::bench::Bench;
use super::fault::Fault;
use super::server::Op;
use crate::world::{Place, oid, pointer};

/// Started, and not waited for.
fn spawn(place: &Place<'_>, program: &str, args: &[&str]) -> Child {
    let mut command = place.command(program);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

#[track_caller]
fn succeeds(child: Child) {
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "it succeeds: {}", String::from_utf8_lossy(&output.stderr));
}

/// The command whose first such request is held until `file` is there.
fn held(bench: &Bench, op: Op, file: &'static str, program: &str, args: &[&str]) -> Child {
    bench.server.take();
    bench.server.fault(op, 1, Fault::Until(file));
    let child = spawn(&bench.work(), program, args);
    bench.waits_for("its request is held", || bench.server.count(op) >= 1);
    child
}

#[track_caller]
fn records(work: &Place<'_>, files: &[(&str, &[u8])]) {
    let staged: serde_json::Value = serde_json::from_str(&work.blob(":.s3_manifest.json")).unwrap();
    for (path, content) in files {
        assert_eq!(work.manifest()["files"][path], oid(content), "{path} is in the manifest");
        assert_eq!(staged["files"][path], oid(content), "{path} is in the staged manifest");
    }
}

#[test]
fn two_uploads_of_what_git_ignores() {
    let bench = Bench::ready();
    let work = bench.work();
    work.commit(".gitignore", b"out/\n");
    work.write("out/one", "one");
    work.write("out/two", "two");
    let first = held(&bench, Op::Put, "go", "s3lfs", &["upload", "out/one"]);
    work.s3lfs(&["upload", "out/two"]).ok();
    bench.release("go");
    succeeds(first);
    records(&work, &[("out/one", b"one"), ("out/two", b"two")]);
    assert_eq!(work.manifest()["manifest_only"], serde_json::json!(["out/one", "out/two"]));
}

#[test]
fn track_modified_and_an_upload() {
    let bench = Bench::ready();
    let work = bench.work();
    work.commit(".gitignore", b"out/\n");
    work.commit("a.bin", b"old");
    work.write("a.bin", "changed");
    work.write("out/one", "one");
    work.write("b.bin", "new");
    let first = held(&bench, Op::Put, "go", "s3lfs", &["track-modified"]);
    work.s3lfs(&["upload", "out/one", "b.bin"]).ok();
    bench.release("go");
    succeeds(first);
    records(&work, &[("a.bin", b"changed"), ("out/one", b"one"), ("b.bin", b"new")]);
    assert_eq!(work.blob(":b.bin"), pointer(b"new"));
}

#[test]
fn a_commit_and_an_upload() {
    let bench = Bench::ready();
    let work = bench.work();
    work.commit(".gitignore", b"out/\n");
    work.write("a.bin", "content of a");
    work.git(&["add", "."]).ok();
    work.write("out/one", "one");
    let commit = held(&bench, Op::Put, "go", "git", &["commit", "-qm", "a"]);
    work.s3lfs(&["upload", "out/one"]).ok();
    bench.release("go");
    succeeds(commit);
    // Git reads the index anew after the hook, so the commit may have it already.
    records(&work, &[("a.bin", b"content of a"), ("out/one", b"one")]);
    assert_eq!(work.blob("HEAD:a.bin"), pointer(b"content of a"));
    work.git(&["commit", "-qm", "rest"]);
    work.is_clean();
}

#[test]
fn two_subtrees_of_which_one_can_not_be_sent() {
    let bench = Bench::ready();
    let work = bench.work();
    work.write("one/file", "one");
    work.write("two/file", "two");
    let first = held(&bench, Op::Put, "go", "s3lfs", &["track-subtree", "one"]);
    work.s3lfs(&["track-subtree", "two"]).ok();
    bench.server.fault(Op::Put, 1000, Fault::Refuse(403, "AccessDenied"));
    bench.release("go");
    drop(first.wait_with_output());
    let tracked = work.s3lfs(&["track"]).ok().stdout;
    assert!(tracked.contains("two/**"), "its line stays, whatever became of the other: {tracked}");
    work.git(&["add", "two/file"]).ok();
    assert_eq!(work.blob(":two/file"), pointer(b"two"));
}

#[test]
fn a_push_during_a_commit_and_a_commit_during_a_push() {
    let bench = Bench::ready();
    let work = bench.work();
    work.git(&["config", "s3lfs.uploadon", "push"]).ok();
    work.commit("a.bin", b"content of a");
    work.git(&["config", "--unset", "s3lfs.uploadon"]).ok();
    work.write("b.bin", "content of b");
    work.git(&["add", "b.bin"]).ok();
    let commit = held(&bench, Op::Put, "go", "git", &["commit", "-qm", "b"]);
    // What an earlier commit brought goes without waiting for the one that is being made.
    let committed = work.head();
    work.git(&["push", "-q"]).ok();
    assert!(bench.has(b"content of a"), "the push uploads what it needs");
    assert_eq!(bench.world.remote_head("main"), committed, "and no more is pushed than was committed");
    bench.release("go");
    succeeds(commit);

    work.git(&["config", "s3lfs.uploadon", "push"]).ok();
    work.commit("c.bin", b"content of c");
    let pushed = work.head();
    let push = held(&bench, Op::Put, "go on", "git", &["push", "-q"]);
    work.commit("d.bin", b"content of d");
    assert!(!bench.has(b"content of d"));
    bench.release("go on");
    succeeds(push);
    assert_eq!(bench.world.remote_head("main"), pushed, "the push sends what was there when it began");
    for content in [&b"content of b"[..], b"content of c"] {
        assert!(bench.has(content), "and all of that is in the store");
    }
    work.git(&["push", "-q"]).ok();
    assert!(bench.has(b"content of d"));
    bench.cloned("clone").s3lfs(&["verify", "--all", "--deep"]).ok();
}

/// `main` has other content than `side`, which is checked out; nothing of `main` is cached.
fn two_branches() -> Bench {
    // The manifest would name what is checked out before the index does.
    let bench = Bench::ready_with(&["--no-project"]);
    let work = bench.work();
    for n in 0..3 {
        work.write(&format!("f{n}.bin"), format!("main {n}"));
    }
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-qm", "main"]).ok();
    work.git(&["switch", "-qc", "side"]).ok();
    for n in 0..3 {
        work.write(&format!("f{n}.bin"), format!("side {n}"));
    }
    work.git(&["commit", "-qam", "side"]).ok();
    work.git(&["push", "-q", "origin", "main", "side"]).ok();
    work.drop_cache();
    bench
}

#[track_caller]
fn is_main(work: &Place<'_>) {
    for n in 0..3 {
        assert_eq!(work.text(&format!("f{n}.bin")), format!("main {n}"), "the content, whole");
    }
    work.is_clean();
    work.s3lfs(&["fsck"]).ok();
}

#[test]
fn status_during_a_switch() {
    let bench = two_branches();
    let work = bench.work();
    let switch = held(&bench, Op::Get, "go", "git", &["switch", "-q", "main"]);
    for _ in 0..3 {
        let status = work.git(&["status", "--porcelain"]).ok();
        assert!(!status.stderr.contains("s3lfs"), "nothing fails and nothing is fetched: {status:?}");
        work.s3lfs(&["status"]);
    }
    bench.release("go");
    succeeds(switch);
    is_main(&work);
}

#[test]
fn prune_during_a_checkout() {
    let bench = two_branches();
    let work = bench.work();
    // One is in the cache, and would not be there any more when its turn comes.
    work.git(&["cat-file", "--filters", "main:f0.bin"]).ok();
    let oid = oid(b"main 0");
    let cached = format!(".git/s3lfs/objects/{}/{oid}", &oid[..2]);
    assert!(work.exists(&cached), "it was fetched");
    let switch = held(&bench, Op::Get, "go", "git", &["switch", "-q", "main"]);
    work.s3lfs(&["prune"]).fails(1).says(&["uses the cache right now", "nothing was dropped"]);
    assert!(work.exists(&cached));
    bench.release("go");
    succeeds(switch);
    is_main(&work);
}

/// The shared directory has no lock of this clone: what is dropped there under a filter is fetched again.
#[test]
fn a_shared_cache_that_is_pruned_during_a_checkout() {
    let bench = two_branches();
    let work = bench.work();
    bench.at("").git(&["config", "--global", "s3lfs.cachedir", bench.world.path("cache").to_str().unwrap()]).ok();
    let other = bench.cloned("other");
    other.git(&["switch", "-q", "side"]).ok();
    other.git(&["update-ref", "-d", "refs/heads/main"]).ok();
    other.git(&["reflog", "expire", "--expire=now", "--all"]).ok();
    bench.server.take();
    // Two of the three are there, one has to be fetched.
    std::fs::remove_file(bench.world.path("cache/objects").join(&oid(b"main 2")[..2]).join(oid(b"main 2"))).unwrap();
    bench.server.fault(Op::Get, 1, Fault::Until("go"));
    let switch = spawn(&work, "git", &["switch", "-q", "main"]);
    bench.waits_for("its request is held", || bench.server.count(Op::Get) >= 1);
    other.s3lfs(&["prune", "--shared"]).ok();
    for content in [b"main 0", b"main 1"] {
        let oid = oid(content);
        assert!(!bench.world.path("cache/objects").join(&oid[..2]).join(oid).exists(), "it was dropped");
    }
    bench.release("go");
    succeeds(switch);
    is_main(&work);
}
