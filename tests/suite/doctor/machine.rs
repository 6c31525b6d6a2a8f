//! Git, the program on PATH, Git's configuration, the disk.

use super::{about, bad, finds, fine, run_all, stopped};
use crate::world::{World, oid};

/// PATH as it is outside the tests, without any s3lfs on it.
fn path_without_us() -> String {
    let path = std::env::var("PATH").unwrap();
    let dirs = path.split(':').filter(|dir| !std::path::Path::new(dir).join("s3lfs").exists());
    dirs.collect::<Vec<_>>().join(":")
}

#[test]
fn outside_a_repository_it_says_so() {
    let world = World::new();
    let away = world.at("").sub("away");
    let answer = stopped(away.s3lfs(&["doctor", "--json"]));
    finds(&answer, "repository", "stops", &["not inside a Git repository"]);
    finds(&answer, "git", "ok", &["."]);
    finds(&answer, "program", "ok", &["s3lfs"]);
    let global = finds(&answer, "filter", "note", &["not set up for this user"]);
    run_all(&away, &global);
    let answer = stopped(away.s3lfs(&["doctor", "--json"]));
    finds(&answer, "filter", "ok", &["are set"]);
}

#[test]
fn a_program_that_git_does_not_find() {
    let world = World::with_a();
    let work = world.at("work");
    let s3lfs = env!("CARGO_BIN_EXE_s3lfs");
    let system = work.env("PATH", path_without_us());
    let ran = system.sh(&format!("{s3lfs} doctor --json"));
    let mend = finds(&stopped(ran), "program", "stops", &["Git finds no s3lfs"]);
    system.sh(&format!("{}\ns3lfs doctor", mend[0])).ok();
}

#[test]
fn another_version_on_path_is_named() {
    let world = World::with_a();
    let work = world.at("work");
    let other = world.at("").sub("other");
    other.script("s3lfs", "#!/bin/sh\necho 's3lfs 0.0.1'\n");
    let path = format!("{}:{}", other.dir.display(), path_without_us());
    let system = work.env("PATH", path);
    let ran = system.sh(&format!("{} doctor --json", env!("CARGO_BIN_EXE_s3lfs")));
    let found = ran.ok().json("doctor");
    let mend = finds(&found, "program", "warning", &["other/s3lfs", "0.0.1"]);
    system.sh(&format!("{}\ns3lfs doctor", mend[0])).ok().says(&["Everything is as it should be"]);
}

#[test]
fn each_key_of_the_filter_is_looked_at_and_mended() {
    for (key, value, state) in [
        ("filter.s3lfs.process", "cat", "stops"),
        ("filter.s3lfs.process", "/opt/bin/s3lfs filter-process", "stops"),
        ("filter.s3lfs.clean", "cat", "warning"),
        ("filter.s3lfs.smudge", "s3lfs smudge", "warning"),
        ("filter.s3lfs.required", "false", "warning"),
        ("merge.s3lfs-manifest.driver", "true", "warning"),
    ] {
        let world = World::with_a();
        let work = world.at("work");
        work.git(&["config", key, value]).ok();
        let ran = work.s3lfs(&["doctor", "--json"]);
        assert_eq!(ran.code, i32::from(state == "stops"), "{key} = {value}: {ran:#?}");
        let mend = finds(&ran.json("doctor"), "filter", state, &[key, value, "local"]);
        run_all(&work, &mend);
        fine(&work);
    }
}

#[test]
fn a_filter_that_is_missing_is_one_finding_and_a_missing_key_another() {
    let world = World::with_a();
    let work = world.at("work");
    work.git(&["config", "--unset", "filter.s3lfs.process"]).ok();
    let answer = stopped(work.s3lfs(&["doctor", "--json"]));
    finds(&answer, "filter", "stops", &["filter.s3lfs.process is not set"]);
    work.git(&["config", "--remove-section", "filter.s3lfs"]).ok();
    work.git(&["config", "--remove-section", "merge.s3lfs-manifest"]).ok();
    let answer = stopped(work.s3lfs(&["doctor", "--json"]));
    let mend = finds(&answer, "filter", "stops", &["not set up"]);
    run_all(&work, &mend);
    fine(&work);
}

#[test]
fn a_value_of_the_command_line_is_not_blamed_on_a_file() {
    let world = World::with_a();
    let work = world.at("work").env("GIT_CONFIG_COUNT", "1").env("GIT_CONFIG_KEY_0", "filter.s3lfs.process");
    let answer = stopped(work.env("GIT_CONFIG_VALUE_0", "cat").s3lfs(&["doctor", "--json"]));
    let mend = finds(&answer, "filter", "stops", &["command"]);
    assert!(mend[0].contains("GIT_CONFIG_COUNT"), "{mend:?}");
}

#[test]
fn settings_that_cannot_be_meant_are_named_with_what_takes_them_back() {
    for (key, value) in [
        ("s3lfs.jobs", "many"),
        ("s3lfs.smudgelimit", "zz"),
        ("s3lfs.uploadon", "never"),
        ("s3lfs.offlinecommit", "maybe"),
        ("s3lfs.skipsmudge", "perhaps"),
        ("s3lfs.addressing", "left"),
    ] {
        let world = World::with_a();
        let work = world.at("work");
        work.git(&["config", key, value]).ok();
        let mend = finds(&stopped(work.s3lfs(&["doctor", "--json"])), "setting", "stops", &[key, value]);
        run_all(&work, &mend);
        fine(&work);
    }
    // All of them in one run.
    let world = World::with_a();
    let work = world.at("work");
    let keys = ["jobs", "region", "addressing", "dualstack", "requesterpays", "storageclass", "readstore", "bucket"];
    for key in keys {
        work.git(&["config", &format!("s3lfs.{key}"), "no such thing"]).ok();
    }
    let found = about(&stopped(work.s3lfs(&["doctor", "--json"])), "setting");
    for key in keys {
        assert!(found.iter().any(|(_, text, _)| text.contains(&format!("s3lfs.{key} "))), "{key}: {found:?}");
    }
    assert_eq!(found.len(), keys.len(), "each once: {found:?}");
    let world = World::with_a();
    let work = world.at("work");
    work.git(&["config", "s3lfs.skipsmugde", "true"]).ok();
    let answer = work.s3lfs(&["doctor", "--json"]).ok().json("doctor");
    run_all(&work, &finds(&answer, "setting", "warning", &["s3lfs.skipsmugde", "nothing reads it"]));
    fine(&work);
}

#[test]
fn forms_of_repositories_are_told() {
    let world = World::with_a();
    let (work, away) = (world.at("work"), world.at(""));
    work.git(&["worktree", "add", "-q", "../linked"]).ok();
    finds(&fine(&world.at("linked")), "repository", "ok", &["a linked worktree"]);
    away.git(&["clone", "-q", "--depth=1", &world.url("remote.git"), "shallow"]).ok();
    let shallow = world.at("shallow");
    shallow.s3lfs(&["git-setup", "-q"]).ok();
    let mend = finds(&fine(&shallow), "repository", "note", &["shallow", "cleanup"]);
    assert_eq!(mend, ["git fetch --unshallow"]);
    let bare = world.at("remote.git");
    let answer = bare.s3lfs(&["doctor", "--json"]).json("doctor");
    finds(&answer, "repository", "note", &["bare"]);
    assert!(about(&answer, "filter").is_empty(), "it has no files to filter: {answer}");
    assert_eq!(about(&answer, "hook"), [], "hooks are for clones of it");
}

#[test]
fn a_cache_that_cannot_be_written_stops_work() {
    let world = World::with_a();
    let work = world.at("work");
    std::fs::rename(work.join(".git/s3lfs"), work.join(".git/aside")).unwrap();
    work.write(".git/s3lfs", "in the way");
    let answer = stopped(work.s3lfs(&["doctor", "--json"]));
    let mend = finds(&answer, "cache", "stops", &[".git/s3lfs"]);
    run_all(&work, &mend);
    assert!(!bad(&fine(&work)).iter().any(|found| found.starts_with("cache")), "a cache that is not there yet is fine");
}

#[test]
fn a_shared_cache_is_looked_at_too() {
    let world = World::with_a();
    let work = world.at("work");
    work.git(&["config", "s3lfs.cachedir", "../shared"]).ok();
    finds(&fine(&work), "shared cache", "ok", &["shared", "free"]);
    work.git(&["config", "s3lfs.cachedir", "../no/such/parent"]).ok();
    let answer = work.s3lfs(&["doctor", "--json"]).ok().json("doctor");
    finds(&answer, "shared cache", "warning", &["../no/such/parent"]);
}

#[test]
fn a_shared_cache_that_is_a_file_is_not_made_a_directory() {
    let world = World::with_a();
    let work = world.at("work");
    work.write("../taken", "somebody's");
    for place in ["../taken", "../taken/deeper"] {
        work.git(&["config", "s3lfs.cachedir", place]).ok();
        let answer = work.s3lfs(&["doctor", "--json"]).ok().json("doctor");
        let mend = finds(&answer, "shared cache", "warning", &["taken", "is no directory"]);
        run_all(&work, &mend);
        fine(&work);
        assert_eq!(work.text("../taken"), "somebody's", "a file may be somebody's");
    }
    work.git(&["config", "s3lfs.cachedir", "../no/such parent"]).ok();
    let answer = work.s3lfs(&["doctor", "--json"]).ok().json("doctor");
    run_all(&work, &finds(&answer, "shared cache", "warning", &["it is not there"]));
    fine(&work);
}

#[test]
fn a_cache_that_is_a_link_to_nowhere_is_found() {
    let world = World::with_a();
    let work = world.at("work");
    for (link, target) in [("../gone", ".git/../gone"), ("/nowhere/at all", "/nowhere/at all")] {
        work.sh(&format!("rm -rf .git/s3lfs; ln -s '{link}' .git/s3lfs")).ok();
        let mend = finds(
            &stopped(work.s3lfs(&["doctor", "--json"])),
            "cache",
            "stops",
            &["s3lfs is a link to", "is not there"],
        );
        assert!(mend[0].starts_with("mkdir -p ") && mend[0].contains(target), "{mend:?}");
        if link.starts_with("..") {
            run_all(&work, &mend);
            let answer = work.s3lfs(&["doctor", "--json"]).json("doctor");
            assert_eq!(about(&answer, "cache")[0].0, "ok", "{answer:#}");
        }
    }
}

#[test]
fn a_part_of_the_cache_that_cannot_be_written() {
    let world = World::with_a();
    let work = world.at("work");
    let shard = format!("objects/{}", &oid(b"content of a\n")[..2]);
    for part in ["tmp", "objects", &shard] {
        let place = work.join(".git/s3lfs").join(part);
        let aside = work.join("../aside");
        std::fs::rename(&place, &aside).unwrap();
        std::fs::write(&place, "in the way").unwrap();
        let mend = finds(&stopped(work.s3lfs(&["doctor", "--json"])), "cache", "stops", &[part]);
        run_all(&work, &mend);
        fine(&work);
        std::fs::remove_file(place.with_extension("aside")).unwrap();
        std::fs::rename(&aside, &place).unwrap();
    }
}

#[test]
fn one_cause_is_one_finding() {
    let world = World::with_a();
    let work = world.at("work");
    let parts = ["tmp", "objects"];
    for part in parts {
        work.sh(&format!("mv .git/s3lfs/{part} .git/{part} && touch .git/s3lfs/{part}")).ok();
    }
    let mend = finds(&stopped(work.s3lfs(&["doctor", "--json"])), "cache", "stops", &["nor in 1 others"]);
    run_all(&work, &mend);
    fine(&work);
}

#[test]
fn settings_that_somebody_may_have_forgotten_are_named() {
    let world = World::with_a();
    let work = world.at("work");
    for (key, value, says) in [
        ("s3lfs.allowmissing", "*", "a push may go without"),
        ("s3lfs.allowmissing", "**/*", "a push may go without"),
        ("s3lfs.allowraw", "true", "Git itself"),
        ("s3lfs.skipsmudge", "true", "pointers in place of content"),
        ("s3lfs.skipdownloaderrors", "yes", "stays a pointer"),
        ("s3lfs.encryption", "foo", "accepts nothing"),
        ("s3lfs.encryption", "aws:kms ", "accepts nothing"),
    ] {
        work.git(&["config", key, value]).ok();
        let answer = work.s3lfs(&["doctor", "--json"]).ok().json("doctor");
        run_all(&work, &finds(&answer, "setting", "warning", &[key, says]));
        fine(&work);
    }
    work.git(&["config", "s3lfs.encryption", "none"]).ok();
    work.git(&["config", "s3lfs.allowmissing", "old/**"]).ok();
    finds(&fine(&work), "setting", "note", &["old/**", "a push may go without"]);
    let skipping = work.env("S3LFS_SKIP_SMUDGE", "1");
    let answer = skipping.s3lfs(&["doctor", "--json"]).ok().json("doctor");
    let mend = finds(&answer, "setting", "warning", &["S3LFS_SKIP_SMUDGE"]);
    assert_eq!(mend, ["unset S3LFS_SKIP_SMUDGE"]);
}

#[test]
fn a_profile_that_the_environment_overrides_is_named() {
    let world = World::with_a();
    let work = world.at("work");
    work.git(&["config", "s3lfs.profile", "mine"]).ok();
    assert_eq!(about(&fine(&work), "setting"), [], "it holds");
    for name in ["AWS_PROFILE", "AWS_ACCESS_KEY_ID"] {
        let answer = fine(&work.env(name, "other"));
        let mend = finds(&answer, "setting", "note", &["s3lfs.profile = mine is passed over", name]);
        assert_eq!(mend, ["git config --unset-all s3lfs.profile"], "what decides may be what works, and stays");
    }
}

#[test]
fn a_lock_that_was_left_is_named_and_a_fresh_one_is_none() {
    let world = World::with_a();
    let work = world.at("work");
    work.write(".git/index.lock", "");
    finds(&fine(&work), "index", "note", &["index.lock"]);
    work.remove(".git/index.lock");
    work.write(".git/index.lock.lock", "");
    finds(&fine(&work), "index", "note", &["index.lock.lock"]);
    work.remove(".git/index.lock.lock");
    work.write(".git/index.lock", "");
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(3600);
    let lock = std::fs::File::options().write(true).open(work.join(".git/index.lock")).unwrap();
    lock.set_modified(old).unwrap();
    let mend = finds(&stopped(work.s3lfs(&["doctor", "--json"])), "index", "stops", &["index.lock", "60 min"]);
    run_all(&work, &mend);
    fine(&work);
}

#[test]
fn a_repository_of_another_user_is_named_with_what_git_wants_for_it() {
    let world = World::with_a();
    // Git's own seam for its tests of that (t/t0033).
    let work = world.at("work").env("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1");
    let answer = stopped(work.s3lfs(&["doctor", "--json"]));
    let mend = finds(&answer, "repository", "stops", &["dubious ownership"]);
    assert_eq!(mend, [format!("git config --global --add safe.directory {}", work.dir.display())]);
    run_all(&work, &mend);
    fine(&work);
}

#[test]
fn what_git_can_not_read_is_one_finding_and_the_rest_is_looked_at() {
    let world = World::with_a();
    let work = world.at("work");
    let config = work.read(".git/config");
    work.sh("echo '[bad' >>.git/config").ok();
    let answer = stopped(work.s3lfs(&["doctor", "--json"]));
    let mend = finds(&answer, "settings", "stops", &["bad config line"]);
    assert_eq!(mend, ["${EDITOR:-vi} .git/config"]);
    assert_eq!(about(&answer, "program"), [], "nothing is said to be wrong that only can't be asked");
    work.write(".git/config", config);
    fine(&work);

    work.write(".git/HEAD", "garbage\n");
    let mend = finds(&stopped(work.s3lfs(&["doctor", "--json"])), "repository", "stops", &["not a git repository"]);
    run_all(&work, &mend);
    fine(&work);

    work.write(".git/index", "garbage");
    let answer = stopped(work.s3lfs(&["doctor", "--json"]));
    finds(&answer, "registration", "ok", &["is registered"]);
    let mend = finds(&answer, "index", "stops", &["index file smaller than expected"]);
    run_all(&work, &mend);
    fine(&work);
    work.is_clean();

    let nowhere = work.env("TMPDIR", "/nonexistent/tmp");
    let mend = finds(&stopped(nowhere.s3lfs(&["doctor", "--json"])), "temporary", "stops", &["/nonexistent/tmp"]);
    assert!(mend[0].starts_with("export TMPDIR=/tmp"), "{mend:?}");
}

#[test]
fn attributes_that_are_no_file_are_put_aside() {
    let world = World::with_a();
    let work = world.at("work");
    work.remove(".gitattributes");
    work.write(".gitattributes/x", "");
    let mend = finds(&stopped(work.s3lfs(&["doctor", "--json"])), "attributes", "stops", &["no regular file"]);
    run_all(&work, &mend);
    work.sh("rm -r .gitattributes.aside").ok();
    fine(&work);
    work.is_clean();
}
