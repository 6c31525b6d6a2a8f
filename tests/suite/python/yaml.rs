//! The later Python tool's YAML manifest counts until `migrate` took it over, and never goes before all
//! that it names is named elsewhere.

use std::fs;

use serde_json::{Value, json};

use super::old::{self, FILES, has_all, known_oid};
use crate::world::{MANIFEST, Place, World, oid};

const YAML: &str = ".s3_manifest.yaml";
const SHARD: &str = ".s3lfs_manifest/assets.yaml";

/// JSON in our form for the store of `world`.
fn json_of(world: &World, files: Value) -> String {
    json!({ "bucket_name": world.url("store"), "files": files, "repo_prefix": "proj" }).to_string()
}

/// JSON that the Python tool left as a backup beside its YAML: it names old content of `assets/big.bin`,
/// and not all files. `key` is what a commit with an earlier version of this program added.
fn stale_backup(world: &World, key: bool) {
    let work = world.at("work");
    let old = b"the old content\n";
    let dir = world.path("store/proj/assets").join(oid(old)).join("assets");
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join("big.bin"), old).unwrap();
    let mut manifest: Value = serde_json::from_str(&json_of(world, json!({ "assets/big.bin": oid(old) }))).unwrap();
    if key {
        manifest["manifest_only"] = json!(["assets/big.bin"]);
    }
    work.write(MANIFEST, manifest.to_string());
    work.git(&["add", "-f", MANIFEST]).ok();
    work.git(&["commit", "-qm", "a backup", "--no-verify"]).ok();
    work.git(&["push", "-q", "--no-verify"]).ok();
}

/// Every file is staged as what the YAML names, and the YAML is gone.
#[track_caller]
fn is_taken_over(work: &Place<'_>) {
    for path in FILES {
        let blob = work.blob(&format!(":{path}"));
        let expected = format!("version s3lfs/1\noid sha256:{}\nsize ", known_oid(path));
        assert!(blob.starts_with(&expected) || path == "assets/empty.bin" && blob.is_empty(), "{path}: {blob}");
    }
    assert!(!work.exists(YAML) && !work.exists(".s3lfs_manifest"), "one manifest is enough");
    assert!(!work.index().contains(".s3lfs_manifest"), "also in the index");
}

#[test]
fn migrate_goes_by_yaml_where_json_is_an_older_versions_init() {
    let world = old::with_yaml();
    let work = world.at("work");
    let mut manifest: Value = serde_json::from_str(&json_of(&world, json!({}))).unwrap();
    manifest["manifest_only"] = json!([]);
    manifest["format"] = json!(1);
    manifest["repository_id"] = json!("6f1c2a1e-6f0b-4d7e-9d6e-111111111111");
    manifest["endpoint_url"] = json!("http://127.0.0.1:9000");
    work.write(MANIFEST, manifest.to_string());
    work.s3lfs(&["git-setup"]).ok();
    work.s3lfs(&["migrate"]).ok().says(&["7 files migrated"]);
    is_taken_over(&work);
    assert_eq!(work.manifest()["repository_id"], manifest["repository_id"], "what init chose stays");
}

#[test]
fn migrate_goes_by_yaml_where_json_is_an_old_backup() {
    for key in [false, true] {
        let world = old::with_yaml();
        let work = world.at("work");
        stale_backup(&world, key);
        work.s3lfs(&["git-setup"]).ok();
        work.commit("x.txt", b"an ordinary commit");
        work.s3lfs(&["migrate"]).ok().says(&["7 files migrated"]);
        is_taken_over(&work);
    }
}

#[test]
fn migrate_asks_where_json_of_ours_and_yaml_disagree() {
    let world = old::with_yaml();
    let work = world.at("work");
    work.s3lfs(&["git-setup"]).ok();
    let ours = json!({
        "bucket_name": world.url("store"), "endpoint_url": "http://127.0.0.1:9000", "files": { "mine.bin": oid(b"mine") },
        "format": 1, "manifest_only": ["mine.bin"], "repo_prefix": "proj",
    });
    let mut elsewhere = ours.clone();
    elsewhere["repo_prefix"] = json!("other");
    elsewhere["files"] = json!({});
    for (manifest, why) in [(ours, "mine.bin is otherwise"), (elsewhere, "different stores")] {
        work.write(MANIFEST, manifest.to_string());
        let before = (work.index(), crate::world::worktree_files(&work));
        work.s3lfs(&["migrate"]).fails(1).says(&["disagree", why, "git rm --cached", YAML]);
        assert!((work.index(), crate::world::worktree_files(&work)) == before, "nothing is begun");
    }
    work.remove(MANIFEST);
    work.git(&["rm", "-q", "--cached", "--ignore-unmatch", MANIFEST]).ok();
    work.s3lfs(&["migrate"]).ok();
    is_taken_over(&work);
}

#[test]
fn migrate_does_not_choose_between_git_and_the_manifest() {
    let world = old::with_yaml();
    let work = world.at("work");
    work.s3lfs(&["git-setup"]).ok();
    work.write("assets/big.bin", "Git's own");
    work.git(&["add", "-f", "assets/big.bin"]).ok();
    let before = (work.index(), crate::world::worktree_files(&work));
    work.s3lfs(&["migrate"]).fails(1).says(&["Git has assets/big.bin with other content", "git rm --cached"]);
    assert!((work.index(), crate::world::worktree_files(&work)) == before, "nothing is begun");
    work.git(&["rm", "-q", "--cached", "assets/big.bin"]).ok();
    work.s3lfs(&["migrate"]).ok();
    is_taken_over(&work);
    assert_eq!(work.text("assets/big.bin"), "Git's own", "a change that is not staged");
}

#[test]
fn yaml_that_git_has_no_copy_of_is_kept_under_another_name() {
    let world = old::with_yaml();
    let work = world.at("work");
    work.s3lfs(&["git-setup"]).ok();
    let lost = format!("assets/numbers.csv: {}\n", known_oid("assets/numbers.csv"));
    let shard = work.text(SHARD);
    work.write(SHARD, shard.replace(&lost, ""));
    work.git(&["commit", "-qm", "without one", SHARD]).ok();
    work.write(SHARD, &shard);
    work.s3lfs(&["migrate"]).ok().says(&["is .s3lfs_manifest.migrated now"]);
    is_taken_over(&work);
    assert_eq!(work.text(".s3lfs_manifest.migrated/assets.yaml"), shard);
    work.s3lfs(&["download-all"]).ok();
    has_all(&work);
}

/// Others who stage wait for the lock, and must not see a manifest that is just being written.
#[test]
fn the_first_manifest_is_written_under_the_lock() {
    let world = old::with_yaml();
    let work = world.at("work");
    work.s3lfs(&["git-setup"]).ok();
    let git = work.sh("command -v git").ok().stdout;
    let looks = "case \"$*\" in *'add --force -- .s3_manifest.json'*) \
                 if flock -n .git/s3lfs/staging true; then echo free; else echo held; fi >>\"$LOOKED\";; esac";
    work.script("../bin/git", &format!("#!/bin/sh\n{looks}\nexec {} \"$@\"\n", git.trim()));
    let path = work.sh("printf %s \"$PATH\"").stdout;
    let looked = world.path("looked");
    let watched = work.env("PATH", format!("{}:{path}", world.path("bin").display()));
    watched.env("LOOKED", looked.to_str().unwrap()).s3lfs(&["migrate"]).ok();
    assert_eq!(fs::read_to_string(looked).unwrap(), "held\n");
    is_taken_over(&work);
}

#[test]
fn a_stop_at_any_step_is_survived_beside_yaml() {
    let world = old::with_yaml();
    let work = world.at("work");
    work.s3lfs(&["git-setup"]).ok();
    let mut stops = 0;
    while super::migrate::failing_git(&work, stops + 1).s3lfs(&["migrate"]).code != 0 {
        stops += 1;
        assert!(stops < 200, "it comes to an end");
        if work.exists(YAML) {
            assert!(work.exists(SHARD) || work.manifest()["files"]["assets/big.bin"] == known_oid("assets/big.bin"));
        }
    }
    assert!(stops > 15, "every call of Git was a stop: {stops}");
    is_taken_over(&work);
}

#[test]
fn shards_that_the_sparse_checkout_leaves_out_are_read_and_migrated() {
    let world = old::with_yaml();
    let work = world.at("work");
    work.commit("src/main.c", b"int main;");
    work.s3lfs(&["git-setup"]).ok();
    work.git(&["sparse-checkout", "set", "src"]).ok();
    assert!(!work.exists(SHARD), "Git left it out");
    assert!(work.s3lfs(&["ls"]).ok().stdout.contains("assets/big.bin"));
    work.s3lfs(&["migrate"]).ok();
    is_taken_over(&work);
}

#[test]
fn init_beside_yaml_is_refused() {
    let world = old::with_yaml();
    let work = world.at("work");
    let store = world.url("store");
    for args in [&["init"][..], &["init", "--force"]] {
        let args = [args, &["--no-check", &store, "proj"]].concat();
        work.s3lfs(&args).fails(1).says(&[YAML, "s3lfs migrate"]);
    }
    assert!(!work.exists(MANIFEST));
}

#[test]
fn commits_leave_json_beside_yaml_as_it_is() {
    let world = old::with_yaml();
    let work = world.at("work");
    stale_backup(&world, false);
    let before = work.text(MANIFEST);
    work.s3lfs(&["git-setup", "--track", "*.psd"]).ok();
    work.git(&["add", "."]).ok();
    work.commit("x.txt", b"no pointer").never_says(&["warning"]);
    work.write("new.psd", "new");
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-qm", "a pointer"]).ok().says(&["was not taken over", "s3lfs migrate"]).never_says(&["init"]);
    work.write("new.psd", "newer");
    work.git(&["commit", "-qam", "with the index locked"]).ok();
    work.s3lfs(&["track-modified"]).fails(1).says(&[YAML, "s3lfs migrate"]);
    work.s3lfs(&["upload", "x.txt"]).fails(1).says(&["s3lfs migrate"]);
    work.s3lfs(&["track-subtree", "assets"]).fails(1).says(&["s3lfs migrate"]);
    assert_eq!(work.text(MANIFEST), before, "it is the Python tool's backup");
    assert_eq!(work.blob(&format!(":{MANIFEST}")), before, "also in the index");
    work.git(&["rm", "-q", "--cached", MANIFEST]).ok();
    work.remove(MANIFEST);
    work.write("other.psd", "other");
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-qm", "without JSON"]).ok().says(&["s3lfs migrate"]).never_says(&["s3lfs init"]);
}

#[test]
fn reading_goes_by_yaml_where_an_old_backup_stands_beside_it() {
    let world = old::with_yaml();
    let work = world.at("work");
    stale_backup(&world, true);
    work.s3lfs(&["git-setup"]).ok();
    work.s3lfs(&["download-all"]).ok();
    has_all(&work);
    work.s3lfs(&["download-all"]).ok();
    has_all(&work);
    let listed = work.s3lfs(&["ls"]).ok().stdout;
    assert!(FILES.iter().filter(|path| path.is_ascii()).all(|path| listed.contains(path)), "{listed}");
    let status = work.s3lfs(&["status", "--json"]).ok().json("status");
    assert!(!status.to_string().contains(&oid(b"the old content\n")), "{status}");
}

#[test]
fn a_yaml_manifest_that_is_broken_does_not_give_way_to_the_old_backup() {
    let world = old::with_yaml();
    let work = world.at("work");
    stale_backup(&world, true);
    work.s3lfs(&["git-setup"]).ok();
    work.s3lfs(&["download-all"]).ok();
    work.write(SHARD, "<<<<<<< HEAD\n");
    let _ = work.s3lfs(&["download-all"]).says(&[SHARD]);
    has_all(&work);
}

#[test]
fn remove_is_refused_and_purges_nothing() {
    let world = old::with_yaml();
    let work = world.at("work");
    work.s3lfs(&["git-setup"]).ok();
    let before = crate::world::snapshot(&world.path("store"));
    for args in [
        &["remove", "assets/big.bin"][..],
        &["remove", "--purge-from-s3", "--force", "assets/big.bin"],
        &["remove-subtree", "assets"],
        &["remove-subtree", "--purge-from-s3", "--force", "assets"],
    ] {
        work.s3lfs(args).fails(1).says(&[YAML, "s3lfs migrate"]);
    }
    assert!(crate::world::snapshot(&world.path("store")) == before, "nothing is deleted");
    work.is_clean();
}

#[test]
fn verify_reads_the_yaml_of_commits() {
    let world = old::with_yaml();
    let work = world.at("work");
    work.s3lfs(&["git-setup"]).ok();
    for args in [&["verify", "HEAD"][..], &["verify", "HEAD~1..HEAD"]] {
        work.s3lfs(args).ok().never_says(&["0 objects"]);
    }
    let lost = known_oid("assets/big.bin");
    fs::remove_dir_all(world.path("store/proj/assets").join(&lost)).unwrap();
    for args in [&["verify", "HEAD"][..], &["verify", "HEAD~1..HEAD"]] {
        work.s3lfs(args).fails(3).says(&["assets/big.bin"]);
    }
    // What only an older commit names is found in the history.
    work.write(SHARD, "{}\n");
    work.git(&["rm", "-q", "--cached", SHARD]).ok();
    work.git(&["commit", "-qm", "all of it removed"]).ok();
    work.s3lfs(&["verify", "HEAD"]).ok();
    work.s3lfs(&["verify", "--all"]).fails(3).says(&["assets/big.bin"]);
}

#[test]
fn the_push_gate_reads_yaml_and_its_shards() {
    let world = old::with_yaml();
    let work = world.at("work");
    work.s3lfs(&["git-setup"]).ok();
    let content = b"never uploaded";
    work.write(SHARD, format!("{}assets/new.bin: {}\n", work.text(SHARD), oid(content)));
    work.git(&["commit", "-qam", "by the Python s3lfs"]).ok();
    let ran = work.git(&["push", "-q"]);
    assert_eq!(ran.code, 1, "what a shard names has to be in the store: {ran:#?}");
    let _ = ran.says(&["assets/new.bin", &oid(content)]);
    let dir = world.path("store/proj/assets").join(oid(content)).join("assets");
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join("new.bin"), content).unwrap();
    work.git(&["push", "-q"]).ok();
}
