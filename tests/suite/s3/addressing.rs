//! How the bucket is named: in the host, or in the path.
//!
//! The service is the client's proxy here, so that names need no name server (RFC 9112, 3.2.2).

use super::bench::{Bench, random};
use super::server::DOMAIN;
use crate::world::MANIFEST;

/// A whole round over the service's name: every request's Host header, and whether its signature was
/// good, since the service checks it.
fn round(addressing: &str) -> Vec<String> {
    let bench = Bench::new();
    let proxied = |dir: &str| bench.at(dir).env("HTTP_PROXY", bench.server.url());
    let work = proxied("work");
    work.git(&["config", "--global", "s3lfs.addressing", addressing]).ok();
    work.s3lfs(&["--endpoint-url", &format!("http://{DOMAIN}"), "init", bench.server.bucket(), "team/art 1"]).ok();
    work.s3lfs(&["git-setup", "--track", "*.bin"]).ok();
    let large = random(9 << 20, 110);
    work.write("small.bin", "small");
    work.write("large.bin", &large);
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-qm", "two"]).ok();
    work.git(&["push", "-qu", "origin", "main"]).ok();
    assert!(!work.text(MANIFEST).contains(&bench.server.url()), "a proxy is no endpoint");
    let other = proxied("");
    other.s3lfs(&["clone", "-q", "remote.git", "other"]).ok();
    let other = proxied("other");
    assert!(other.read("small.bin") == b"small" && other.read("large.bin") == large, "{addressing}: there and back");
    let seen = bench.server.take();
    assert!(seen.len() > 8, "{addressing}: all of it went through the proxy: {seen:?}");
    let mut hosts: Vec<String> = seen.iter().map(|seen| seen.header("host").unwrap().to_owned()).collect();
    hosts.sort();
    hosts.dedup();
    hosts
}

#[test]
fn in_the_host() {
    assert_eq!(round("virtual"), [format!("team-bucket.{DOMAIN}")], "of every request");
}

#[test]
fn in_the_path() {
    assert_eq!(round("path"), [DOMAIN], "of every request");
    assert_eq!(round("auto"), [DOMAIN], "an endpoint of one's own need not know other names");
}

#[test]
fn before_an_address_there_is_no_name() {
    let bench = Bench::with(b"content");
    let work = bench.work();
    for (addressing, why) in [("virtual", "before an address"), ("accelerate", "only AWS")] {
        work.git(&["config", "s3lfs.addressing", addressing]).ok();
        work.s3lfs(&["download", "a.bin"]).fails(1).says(&["s3lfs.addressing", why]).never_says(&["panicked"]);
        work.commit(&format!("{addressing}.bin"), addressing.as_bytes()).says(&["warning", why]);
        let doctor = work.s3lfs(&["doctor", "--read-only"]).fails(1).never_says(&["panicked"]).stdout;
        assert!(doctor.contains(why), "{doctor}");
    }
}
