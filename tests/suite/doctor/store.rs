//! A directory as the store: not accepted, not mounted, not writable, with a probe that was left.

use std::fs;
use std::time::{Duration, SystemTime};

use super::{about, finds, fine, run_all, stopped};
use crate::world::{MANIFEST, World, snapshot};

#[test]
fn to_a_store_that_was_not_accepted_nothing_is_sent() {
    let world = World::with_a();
    let work = world.at("work");
    fs::create_dir(world.path("evil")).unwrap();
    work.write(MANIFEST, work.text(MANIFEST).replace(&world.url("store"), &world.url("evil")));
    let answer = stopped(work.s3lfs(&["doctor", "--json"]));
    let mend = finds(&answer, "store", "stops", &["evil", "not accepted", "nothing was sent"]);
    assert_eq!(mend, ["s3lfs trust"]);
    assert_eq!(about(&answer, "list"), [], "it was asked nothing");
    assert_eq!(snapshot(&world.path("evil")), [], "nor written to");
}

#[test]
fn a_disk_that_is_not_mounted_is_said() {
    let world = World::with_a();
    let work = world.at("work");
    world.unplug();
    let answer = stopped(work.s3lfs(&["doctor", "--json"]));
    let mend = finds(&answer, "store", "stops", &["does not exist", "not mounted"]);
    assert!(mend[0].starts_with("mount ") && mend[1].starts_with("s3lfs init --force"), "{mend:?}");
    assert!(!world.path("store").exists(), "it is not made");
    // The place where it would be mounted.
    fs::create_dir(world.path("store")).unwrap();
    let answer = stopped(work.s3lfs(&["doctor", "--json"]));
    finds(&answer, "registration", "stops", &["does not know this repository", "not mounted"]);
    fs::remove_dir_all(world.path("store")).unwrap();
    world.plug();
    fine(&work);
}

#[test]
fn what_names_a_wrong_store_is_what_the_command_changes() {
    let world = World::with_a();
    let work = world.at("work");
    let variable = |name: &str, value: &str| work.env(name, value);
    for (place, says, mend) in [
        (variable("S3LFS_BUCKET", "a"), "S3LFS_BUCKET names no store", "unset S3LFS_BUCKET"),
        (variable("S3LFS_REPO_PREFIX", "a//b"), "S3LFS_REPO_PREFIX names no store", "unset S3LFS_REPO_PREFIX"),
        (variable("S3LFS_REGION", "EU WEST"), "S3LFS_REGION = ", "unset S3LFS_REGION"),
        (variable("AWS_REGION", "EU WEST"), "AWS_REGION = ", "unset AWS_REGION"),
        (variable("AWS_DEFAULT_REGION", "EU WEST"), "AWS_DEFAULT_REGION = ", "unset AWS_DEFAULT_REGION"),
    ] {
        let found = finds(&stopped(place.s3lfs(&["doctor", "--json"])), "setting", "stops", &[says]);
        assert_eq!(found, [mend], "what is wrong stands there");
        place.s3lfs(&["verify"]).fails(1).says(&[says, mend]);
        place.sh(&format!("{mend}; s3lfs doctor")).ok();
    }
    for variable in ["S3LFS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"] {
        let place = work.env("S3LFS_BUCKET", "team-bucket").env(variable, "foo");
        let found = finds(&stopped(place.s3lfs(&["doctor", "--json"])), "setting", "stops", &[variable, "no endpoint"]);
        assert_eq!(found, [format!("unset {variable}")]);
    }
    let option = work.s3lfs(&["doctor", "--json", "--region", "EU WEST"]);
    assert_eq!(finds(&stopped(option), "setting", "stops", &["--region = "]), ["run it without --region"]);
    for (scope, key, value) in [
        ("--global", "s3lfs.bucket", "a"),
        ("--local", "s3lfs.repoprefix", "a//b"),
        ("--global", "s3lfs.region", "EU WEST"),
        ("--global", "s3lfs.jobs", "many"),
        ("--global", "s3lfs.trust", "a{b"),
    ] {
        work.git(&["config", scope, key, value]).ok();
        if key == "s3lfs.trust" {
            work.s3lfs(&["trust", "--remove"]);
        }
        let found = finds(&stopped(work.s3lfs(&["doctor", "--json"])), "setting", "stops", &[key]);
        run_all(&work, &found);
        fine(&work);
    }
    // A directory that is not there, named by a variable: nobody else's store is to be changed.
    let nowhere = work.env("S3LFS_BUCKET", "file:///nowhere/at/all");
    let found = finds(&stopped(nowhere.s3lfs(&["doctor", "--json"])), "store", "stops", &["does not exist"]);
    assert_eq!(found[1], "export S3LFS_BUCKET=file:///<directory>");
}

#[test]
fn a_store_in_which_nothing_can_be_written() {
    let world = World::with_a();
    let work = world.at("work");
    // Also root can't make a directory where a file is.
    fs::write(world.path("store/proj/doctor"), "in the way").unwrap();
    let ran = work.s3lfs(&["doctor", "--json"]);
    let answer = stopped(ran);
    finds(&answer, "put", "stops", &["proj/doctor/"]);
    finds(&answer, "list", "ok", &[]);
    let answer = work.s3lfs(&["doctor", "--json", "--read-only"]).ok().json("doctor");
    assert_eq!(about(&answer, "put"), [], "a reader does not write");
}

#[test]
fn a_probe_that_was_left_goes_and_nothing_else() {
    let world = World::with_a();
    let work = world.at("work");
    let dir = world.path("store/proj/doctor");
    fs::create_dir(&dir).unwrap();
    let names = ["0e3b9f5c-4a3e-4d89-9d57-1f7f1f2a3b4c", "2e3b9f5c-4a3e-4d89-9d57-1f7f1f2a3b4d", "notes.txt"];
    for name in names {
        fs::write(dir.join(name), name).unwrap();
    }
    let old = SystemTime::now() - Duration::from_secs(7200);
    for name in [names[0], names[2]] {
        fs::File::options().write(true).open(dir.join(name)).unwrap().set_modified(old).unwrap();
    }
    fine(&work);
    let left: Vec<_> = snapshot(&dir).into_iter().map(|(path, _)| path).collect();
    assert_eq!(left, [dir.join(names[1]), dir.join(names[2])], "a running doctor's stays, and what is not ours");
    work.s3lfs(&["verify"]).ok();
    let swept = work.s3lfs(&["cleanup", "--dry-run", "--json"]).ok().json("cleanup");
    assert_eq!(swept["items"], serde_json::json!([]), "a probe is nothing that cleanup knows");
}

#[test]
fn reading_stores_are_looked_at_for_reading() {
    let world = World::with_a();
    let work = world.at("work");
    fs::create_dir_all(world.path("upstream/proj")).unwrap();
    work.git(&["config", "s3lfs.readstore", &format!("{}/proj", world.url("upstream"))]).ok();
    let answer = fine(&work);
    finds(&answer, "reading store", "ok", &["upstream"]);
    assert_eq!(snapshot(&world.path("upstream")), [], "it is never written");
    fs::remove_dir_all(world.path("upstream")).unwrap();
    let answer = stopped(work.s3lfs(&["doctor", "--json"]));
    finds(&answer, "reading store", "stops", &["does not exist"]);
}

#[test]
fn before_init_a_store_can_be_named_on_the_command_line() {
    let world = World::new();
    fs::create_dir(world.path("store")).unwrap();
    let away = world.at("").sub("away");
    let ran = away.s3lfs(&["doctor", "--json", "--bucket", &world.url("store"), "--repo-prefix", "new"]);
    let answer = ran.ok().json("doctor");
    finds(&answer, "repository", "note", &["not inside a Git repository", "only the store"]);
    finds(&answer, "put", "ok", &["permitted"]);
    assert_eq!(snapshot(&world.path("store")), [], "no probe object is left");
}

#[test]
fn a_policy_is_printed_wherever_it_is_asked_for() {
    let world = World::new();
    let away = world.at("").sub("away");
    let print = |purpose: &str| {
        let ran = away.s3lfs(&["init", "my-bucket", "my/prefix", "--print-policy", purpose]).ok();
        let policy: serde_json::Value = serde_json::from_str(&ran.stdout).expect("one JSON object");
        policy["Statement"].as_array().unwrap().iter().map(|s| s["Action"].to_string()).collect::<Vec<_>>().join(" ")
    };
    assert!(!print("read").contains("PutObject") && print("write").contains("PutObject"));
    assert!(!away.exists(MANIFEST), "nothing else is done");
    away.s3lfs(&["init", &world.url("store"), "p", "--print-policy", "read"]).fails(1).says(&["directory"]);
    run_all(&away, &["s3lfs init b-b '' --print-policy cleanup | grep -q DeleteObject".to_owned()]);
}

#[test]
fn a_registration_that_is_gone_or_damaged_is_written_anew() {
    let world = World::with_a();
    let work = world.at("work");
    let id = work.manifest()["repository_id"].as_str().unwrap().to_owned();
    let registration = world.path("store/proj/repositories").join(format!("{id}.json"));
    // A second remote.
    world.at("").git(&["init", "-q", "--bare", "mirror.git"]).ok();
    work.git(&["remote", "add", "mirror", &world.url("mirror.git")]).ok();
    work.git(&["push", "-q", "mirror", "main"]).ok();
    let before = fs::read_to_string(&registration).unwrap();
    let urls = [world.url("remote.git"), world.url("mirror.git")].map(|url| format!("{url:?}"));
    assert!(urls.iter().all(|url| before.contains(url)), "both are known there: {before}");
    fs::remove_file(&registration).unwrap();
    let mend = finds(&stopped(work.s3lfs(&["doctor", "--json"])), "registration", "stops", &["does not know"]);
    let (words, commands): (Vec<_>, Vec<_>) = mend.into_iter().partition(|line| line.starts_with("mount "));
    assert_eq!(words.len(), 1, "a disk may be meant");
    run_all(&work, &commands);
    fine(&work);
    for damaged in ["", "{\"format\": 1", "[]"] {
        fs::write(&registration, damaged).unwrap();
        let mend = finds(&stopped(work.s3lfs(&["doctor", "--json"])), "registration", "stops", &[&id, "is damaged"]);
        // Without the push, which is for remotes of which this clone knows nothing.
        let (pushes, mend): (Vec<_>, Vec<_>) = mend.into_iter().partition(|command| command.starts_with("git push"));
        assert_eq!(pushes.len(), 1);
        run_all(&work, &mend);
        fine(&work);
        let now = fs::read_to_string(&registration).unwrap();
        assert!(urls.iter().all(|url| now.contains(url)), "all remotes are known there again: {now}");
    }
}
