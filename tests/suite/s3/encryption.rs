//! Encryption on the server, as a commit names it: what was accepted counts.

use super::bench::Bench;
use super::server::Op;
use crate::world::{MANIFEST, Place};

/// A commit of a stranger's: other encryption, nothing else.
fn commit_of_a_stranger(bench: &Bench, lines: &str) {
    let other = bench.cloned("stranger");
    let text = other.text(MANIFEST).replacen('{', &format!("{{\n{lines}"), 1);
    other.write(MANIFEST, text);
    other.git(&["-c", "core.hooksPath=/nowhere", "commit", "-qam", "other encryption"]).ok();
    other.git(&["-c", "core.hooksPath=/nowhere", "push", "-q"]).ok();
    other.sh("rm -rf ../stranger").ok();
}

fn sent(bench: &Bench) -> usize {
    bench.server.count(Op::Put) + bench.server.count(Op::Begin)
}

fn cipher(bench: &Bench) -> Vec<Option<String>> {
    let header = "x-amz-server-side-encryption";
    let put = bench.server.seen(Op::Put);
    put.iter().map(|seen| seen.headers.get(header).map(|value| value.to_str().unwrap().to_owned())).collect()
}

#[track_caller]
fn sends_nothing(bench: &Bench, work: &Place<'_>, choice: &str) {
    bench.server.take();
    work.commit("new.bin", b"new").says(&["warning", choice, "s3lfs trust"]);
    let push = work.git(&["push", "-q"]);
    assert_ne!(push.code, 0, "the hook refuses: {push:#?}");
    push.says(&[choice, "s3lfs trust"]);
    work.write("more.dat", "more");
    work.s3lfs(&["upload", "more.dat"]).fails(1).says(&[choice, "s3lfs trust"]);
    work.remove("more.dat");
    work.git(&["checkout", "-q", "HEAD", "--", ".gitattributes"]).ok();
    assert_eq!(sent(bench), 0, "nothing is sent");
    assert!(!bench.has(b"new"));
    // Reading needs no encryption of ours.
    work.leave_pointer("a.bin");
    work.s3lfs(&["download-all"]);
    assert_eq!(work.read("a.bin"), b"content of a");
    let status = work.s3lfs(&["status"]).ok().stdout;
    assert!(status.contains("encryption is not accepted"), "{status}");
}

#[test]
fn a_commit_can_not_turn_it_off() {
    let bench = Bench::with(b"content of a");
    let work = bench.work();
    work.commit("first.bin", b"first");
    assert_eq!(cipher(&bench), [Some("AES256".to_owned())]);
    work.git(&["push", "-q"]).ok();
    commit_of_a_stranger(&bench, "    \"server_side_encryption\": \"none\",");
    work.git(&["pull", "-q"]).ok();
    sends_nothing(&bench, &work, "encrypted with none");
    work.s3lfs(&["trust"]).ok().says(&["Accepted encryption", "none"]);
    // The cache was dropped; whether Git has cleaned the file again since then, its clock decides.
    work.write("new.bin", "new");
    work.git(&["add", "new.bin"]).ok();
    work.git(&["push", "-q"]).ok();
    assert_eq!(cipher(&bench), [None], "the user's choice now");
    // A clone accepts what it shows; and taking s3lfs out takes that back.
    let clone = bench.at("").s3lfs(&["clone", "remote.git", "clone"]).ok();
    clone.says(&["Accepted encryption", "none"]);
    let clone = bench.at("clone");
    clone.commit("clone.bin", b"of the clone");
    clone.git(&["push", "-q"]).ok();
    clone.s3lfs(&["trust", "--list"]).ok().says(&["Accepted encryption of objects: none", "trust --remove none"]);
    let listed = clone.s3lfs(&["trust", "--list", "--json"]).ok().json("trust")["items"].clone();
    assert_eq!(listed[1]["encryption"], "none", "{listed}");
    clone.s3lfs(&["trust", "--remove", "none"]).ok();
    let push = clone.commit("later.bin", b"later");
    push.says(&["encrypted with none, which you have not accepted"]);
    clone.s3lfs(&["trust"]).ok();
    clone.s3lfs(&["git-setup", "--uninstall"]).ok();
    assert_eq!(clone.git(&["config", "--local", "--get-all", "s3lfs.encryption"]).stdout, "");
}

#[test]
fn nor_take_a_key_of_its_own() {
    let bench = Bench::with(b"content of a");
    let work = bench.work();
    let key = "arn:aws:kms:eu-central-1:666666666666:key/theirs";
    let lines = format!("    \"kms_key_id\": \"{key}\",\n    \"server_side_encryption\": \"aws:kms\",");
    commit_of_a_stranger(&bench, &lines);
    work.git(&["pull", "-q"]).ok();
    sends_nothing(&bench, &work, key);
    // Another key than the accepted one is another choice.
    work.git(&["config", "s3lfs.encryption", &format!("aws:kms {key}2")]).ok();
    let push = work.git(&["push", "-q"]);
    assert_ne!(push.code, 0);
    push.says(&[key, "s3lfs trust"]);
}

#[test]
fn what_init_was_told_is_the_users_choice() {
    let bench = Bench::ready_with(&["--sse", "none"]);
    bench.work().commit("a.bin", b"content of a");
    assert_eq!(cipher(&bench), [None]);
    bench.work().git(&["push", "-q"]).ok();
    // For all repositories, where the service has none.
    let other = bench.cloned("other");
    other.git(&["config", "--local", "--unset-all", "s3lfs.encryption"]).ok();
    other.git(&["config", "--global", "s3lfs.encryption", "none"]).ok();
    other.commit("b.bin", b"content of b").never_says(&["s3lfs trust"]);
    assert!(bench.has(b"content of b"));
}
