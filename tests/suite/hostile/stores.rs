//! Ways in which a commit could choose where bytes and signed requests go (design.md, section 4, the accepted store).

use std::fs;

use crate::world::{MANIFEST, World, snapshot};

/// What a manifest may say of its store, and what is said of that.
fn hostile() -> Vec<(&'static str, serde_json::Value)> {
    let endpoint = |url: &str| serde_json::json!({"bucket_name": "my-bucket", "endpoint_url": url});
    let mut cases = vec![
        ("no directory on this machine", serde_json::json!({"bucket_name": "file://host/share"})),
        ("no directory on this machine", serde_json::json!({"bucket_name": "file://../share"})),
        ("no directory on this machine", serde_json::json!({"bucket_name": "file:///srv/../etc"})),
        ("no directory on this machine", serde_json::json!({"bucket_name": "file:///srv/%2e%2e/etc"})),
        ("no directory on this machine", serde_json::json!({"bucket_name": "file:///a\u{202e}b"})),
        ("no bucket", serde_json::json!({"bucket_name": "//host/share"})),
        ("no bucket", serde_json::json!({"bucket_name": "bucket.evil.example/x"})),
        ("no bucket", serde_json::json!({"bucket_name": "bucket@evil.example"})),
        ("no bucket", serde_json::json!({"bucket_name": "https://evil.example/bucket"})),
        ("no repository prefix", serde_json::json!({"repo_prefix": "../other"})),
        ("no repository prefix", serde_json::json!({"repo_prefix": "a/../../other"})),
        ("no repository prefix", serde_json::json!({"repo_prefix": "a//b"})),
        ("no repository prefix", serde_json::json!({"repo_prefix": "proj\u{1b}[2J"})),
        ("no repository prefix", serde_json::json!({"repo_prefix": "proj?endpoint=http://evil.example"})),
        ("region", serde_json::json!({"bucket_name": "my-bucket", "region": "evil.example/"})),
        ("server_side_encryption", serde_json::json!({"bucket_name": "my-bucket", "server_side_encryption": "x"})),
    ];
    for url in [
        "http://169.254.169.254",
        "http://169.254.169.254:80/latest/meta-data",
        "http://0xa9fea9fe",
        "http://2852039166:80",
        "http://[fe80::1]",
        "http://[::ffff:169.254.169.254]",
        "http://127.1",
        "http://user:pass@evil.example",
        "http://good.example#@evil.example",
        "http://good.example?x=evil",
        "http://good.example\\@evil.example",
        "ftp://evil.example",
        "http://good.example:99999",
        "http://good.example:8333x",
        "http://good.example:-1",
        "http://[::1",
        "http://good\u{202e}elpmaxe.live",
    ] {
        cases.push(("is no endpoint", endpoint(url)));
    }
    cases
}

#[test]
fn a_cloned_manifest_can_not_name_what_is_no_store() {
    let world = World::with_a();
    let work = world.at("work");
    let good = work.manifest();
    world.at("").git(&["clone", "-q", "remote.git", "cloned"]).ok();
    let cloned = world.at("cloned");
    for (says, changes) in hostile() {
        let mut manifest = good.clone();
        for (key, value) in changes.as_object().unwrap() {
            manifest[key] = value.clone();
        }
        for place in [&cloned, &work] {
            place.write(MANIFEST, serde_json::to_string_pretty(&manifest).unwrap());
        }
        // As somebody does who has just cloned it; and as somebody who accepted another store before.
        cloned.s3lfs(&["git-setup"]).fails(1).says(&[says]);
        cloned.s3lfs(&["trust"]).fails(1).says(&[says]);
        assert_eq!(cloned.git(&["config", "s3lfs.store"]).code, 1, "{changes}: it is not accepted");
        fs::write(work.join("new.bin"), "new").unwrap();
        let ran = work.s3lfs(&["upload", "new.bin"]).fails(1);
        assert!(!ran.stderr.contains(|c: char| c.is_control() && c != '\n'), "{ran:#?}");
        work.s3lfs(&["download", "--force", "a.bin"]);
    }
    assert!(!world.object(b"new").exists(), "nothing was sent anywhere");
}

#[test]
fn each_part_of_a_store_is_part_of_what_was_accepted() {
    let world = World::with_a();
    let work = world.at("work");
    let good = work.manifest();
    let before = snapshot(&world.path("store"));
    for changes in [
        serde_json::json!({"repo_prefix": "other"}),
        serde_json::json!({"repo_prefix": ""}),
        serde_json::json!({"repo_prefix": "proj/x"}),
        serde_json::json!({"bucket_name": world.url("elsewhere")}),
        serde_json::json!({"bucket_name": "my-bucket"}),
        serde_json::json!({"bucket_name": "my-bucket", "endpoint_url": "http://127.0.0.1:1"}),
    ] {
        let mut manifest = good.clone();
        for (key, value) in changes.as_object().unwrap() {
            manifest[key] = value.clone();
        }
        work.write(MANIFEST, serde_json::to_string_pretty(&manifest).unwrap());
        work.write("new.bin", "new");
        work.s3lfs(&["upload", "new.bin"]).fails(1).says(&["s3lfs trust"]);
        for args in [&["verify"][..], &["cleanup", "--force"], &["prune"], &["fsck", "--fix"]] {
            let ran = work.s3lfs(args);
            assert!(ran.code != 0 || ran.stderr.contains("s3lfs trust") || args[0] == "fsck", "{changes}: {ran:#?}");
        }
    }
    assert_eq!(snapshot(&world.path("store")), before, "nothing was sent or deleted");
    assert!(!world.path("elsewhere").exists(), "nor made");
}
