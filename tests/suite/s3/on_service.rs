//! Deleting, verifying and the Python tool's layout at a service, whichever it is: nothing here looks into its files.
//!
//! Apart because `.ci/run` plays these against a real one, too (`S3LFS_TEST_ENDPOINT`): listings by shard, requests that
//! delete many keys, conditions and times are each service's own.

use std::fs;
use std::path::Path;

use super::bench::{Bench, compressible, key};
use crate::python::old;
use crate::world::{MANIFEST, Place, oid};

const NOW: [&str; 4] = ["cleanup", "--force", "--keep-newer", "0s"];

fn numbered(n: usize) -> Vec<u8> {
    format!("garbage {n}").into_bytes()
}

/// A commit that nothing reaches any more.
fn commit_and_forget(work: &Place<'_>, content: &[u8]) {
    work.commit("gone.bin", content);
    work.git(&["reset", "-q", "--hard", "HEAD~1"]).ok();
    work.git(&["reflog", "expire", "--expire=now", "--expire-unreachable=now", "--all"]).ok();
    work.git(&["update-ref", "-d", "ORIG_HEAD"]).ok();
}

#[test]
fn cleanup_deletes_what_nothing_names_and_no_more() {
    const MANY: usize = 1100;
    let bench = Bench::ready();
    let work = bench.work();
    let needed = compressible(50_000);
    work.commit("a.bin", &needed);
    work.git(&["push", "-q"]).ok();
    commit_and_forget(&work, b"of a commit that was given up");
    (0..MANY).for_each(|n| bench.server.place(&key(&numbered(n)), &numbered(n)));
    bench.server.place("proj/assets/README", b"no object");
    bench.server.place(&format!("proj2/{}", &key(&numbered(0))["proj/".len()..]), b"another prefix");

    let looked = work.s3lfs(&["cleanup", "--dry-run", "--json"]).ok().json("cleanup");
    assert_eq!(looked["items"].as_array().unwrap().len(), MANY + 1, "all of it is young");
    work.s3lfs(&["cleanup", "--force"]).ok();
    assert!(bench.has(&numbered(0)) && bench.has(b"of a commit that was given up"), "the first run marks");
    let deleted = work.s3lfs(&NOW).ok();
    deleted.says(&[&format!("Deleted {} objects", MANY + 1)]);
    for n in [0, 1, 999, 1000, MANY - 1] {
        assert!(!bench.has(&numbered(n)), "garbage {n} is gone");
    }
    assert!(!bench.has(b"of a commit that was given up"));
    assert_eq!(bench.server.stored("proj/assets/README").as_deref(), Some(&b"no object"[..]), "it has no object's key");
    assert!(bench.server.stored(&format!("proj2/{}", &key(&numbered(0))["proj/".len()..])).is_some(), "not ours");
    assert!(bench.cloned("two").read("a.bin") == needed, "what is needed is there");
    work.s3lfs(&NOW).ok();
    assert_eq!(work.s3lfs(&["cleanup", "--dry-run"]).ok().stdout, "nothing to delete\n");
    // Written again, it is an object like any other.
    commit_and_forget(&work, &numbered(7));
    assert!(bench.has(&numbered(7)), "nobody believes any more that it is there");
}

#[test]
fn purge_deletes_the_object_of_one_file() {
    let bench = Bench::ready();
    let work = bench.work();
    work.commit("a.bin", b"purged");
    work.commit("b.bin", b"kept");
    work.git(&["push", "-q"]).ok();
    work.s3lfs(&["remove", "a.bin", "--purge-from-s3"]).fails(1).says(&["--force"]);
    assert!(bench.has(b"purged"));
    work.s3lfs(&["remove", "a.bin", "--purge-from-s3", "--force"]).ok().says(&["Deleted 1 object"]);
    assert!(!bench.has(b"purged") && bench.has(b"kept"));
}

#[test]
fn verify_finds_what_is_missing_or_damaged_and_mends_it() {
    const MANY: usize = 120;
    for count in [5, MANY] {
        let bench = Bench::ready();
        let work = bench.work();
        let content = |n: usize| [format!("content {n}\n").into_bytes(), compressible(200)].concat();
        (0..count).for_each(|n| work.write(&format!("d/{n}.bin"), content(n)));
        work.git(&["add", "."]).ok();
        work.git(&["commit", "-qm", "files"]).ok();
        work.git(&["push", "-q"]).ok();
        work.s3lfs(&["verify"]).ok().says(&[&format!("{count} objects"), "all in"]);
        work.s3lfs(&["verify", "--deep"]).ok();
        bench.server.take_away(&key(&content(3)));
        work.s3lfs(&["verify"]).fails(3).says(&["d/3.bin", &format!("1 of {count}")]).never_says(&["d/2.bin"]);
        let good = bench.stored(&content(4)).unwrap();
        bench.server.place(&key(&content(4)), &good[..good.len() / 2]);
        work.s3lfs(&["verify", "--deep"]).fails(3).says(&["d/3.bin", "d/4.bin"]).never_says(&["d/2.bin"]);
        work.s3lfs(&["verify", "--deep", "--fix"]).ok();
        work.s3lfs(&["verify", "--deep"]).ok().says(&["all"]);
        assert!(bench.cloned("two").read("d/4.bin") == content(4), "whoever clones has it whole");
    }
}

/// Every file beneath `dir`, by its key.
fn put_all(bench: &Bench, dir: &Path, prefix: &str) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let key = format!("{prefix}{}", path.file_name().unwrap().to_str().unwrap());
        match path.is_dir() {
            true => put_all(bench, &path, &format!("{key}/")),
            false => bench.server.place(&key, &fs::read(&path).unwrap()),
        }
    }
}

#[test]
fn a_bucket_of_the_python_tool_is_read_verified_migrated_and_cleaned_up() {
    let bench = Bench::new();
    put_all(&bench, &old::fixture("seed/bucket"), "");
    let work = bench.work().env("AWS_ENDPOINT_URL", bench.server.url());
    let manifest = fs::read_to_string(old::fixture("seed/.s3_manifest.json")).unwrap();
    let prefix =
        serde_json::from_str::<serde_json::Value>(&manifest).unwrap()["repo_prefix"].as_str().unwrap().to_owned();
    let garbage = format!("{prefix}/assets/{}/nobody/needs.this", oid(b"old garbage"));
    work.write(MANIFEST, manifest.replace("oldb", bench.server.bucket()));
    work.write(".gitignore", "/assets/\n");
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-qm", "by the Python s3lfs"]).ok();
    work.git(&["push", "-qu", "origin", "main"]).ok();
    work.s3lfs(&["trust"]).ok();
    work.s3lfs(&["download-all"]).ok();
    old::has_all(&work);
    work.s3lfs(&["verify", "--deep"]).ok();
    bench.server.place(&garbage, b"old garbage");
    work.s3lfs(&NOW).ok().says(&["Deleted 1 object"]);
    assert!(bench.server.stored(&garbage).is_none(), "what nothing names is gone");
    work.sh("rm -rf assets .git/s3lfs/objects").ok();
    work.s3lfs(&["download-all"]).ok();
    old::has_all(&work);

    work.s3lfs(&["git-setup"]).ok();
    work.s3lfs(&["migrate"]).ok();
    work.git(&["commit", "-qm", "migrated"]).ok();
    work.git(&["push", "-q"]).ok();
    let clone = bench.at("").env("AWS_ENDPOINT_URL", bench.server.url());
    clone.s3lfs(&["clone", "-q", "remote.git", "two"]).ok();
    let two = bench.at("two").env("AWS_ENDPOINT_URL", bench.server.url());
    old::has_all(&two);
    two.is_clean();
    two.s3lfs(&["verify", "--deep"]).ok();
}
