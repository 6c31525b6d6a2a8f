//! Sight and solitude: whoever may need content is seen, or nothing is deleted.

use std::fs;

use super::bench::{GARBAGE, cleanup, commit_of, put, ready, refuses, refuses_with, ripe, works_again};
use super::time::days_pass;
use crate::world::{MANIFEST, World, snapshot};

/// Where `work` is registered.
fn registration(world: &World) -> std::path::PathBuf {
    let dir = fs::read_dir(world.path("store/proj/repositories")).unwrap();
    dir.map(|entry| entry.unwrap().path()).find(|path| path.extension().is_some_and(|x| x == "json")).unwrap()
}

#[test]
fn a_registered_url_that_is_no_remote_here() {
    let world = ready();
    let work = world.at("work");
    let path = registration(&world);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(&world.url("remote.git")), "pushing registered the remote: {text}");
    fs::write(&path, text.replace("\"git_urls\": [", "\"git_urls\": [ \"https://me@host/other.git\",")).unwrap();
    refuses(&work, &["host/other.git", "git remote add", "nothing was deleted"]);
    work.git(&["remote", "set-url", "--add", "--push", "origin", "https://host/other"]).ok();
    work.git(&["config", "url.file:///nowhere/.insteadOf", "https://host/"]).ok();
    refuses(&work, &["other.git"]);
    fs::write(&path, text).unwrap();
    work.git(&["remote", "set-url", "--delete", "--push", "origin", "https://host/other"]).ok();
    works_again(&work);
}

#[test]
fn a_remote_that_does_not_answer() {
    let world = ready();
    let work = world.at("work");
    fs::rename(world.path("remote.git"), world.path("unplugged.git")).unwrap();
    refuses(&work, &["remote.git", "does not answer", "nothing was deleted"]);
    refuses_with(&work, &["cleanup", "--force", "--fetch"], &["can't be fetched", "nothing was deleted"]);
    fs::rename(world.path("unplugged.git"), world.path("remote.git")).unwrap();
    work.git(&["remote", "add", "gone", "/nowhere/at/all.git"]).ok();
    refuses(&work, &["the remote gone does not answer", "git remote remove"]);
    work.git(&["remote", "remove", "gone"]).ok();
    works_again(&work);
}

#[test]
fn branches_of_others_are_fetched_into_refs_of_our_own() {
    let world = World::with_a();
    let other = world.cloned("other");
    other.git(&["switch", "-qc", "topic"]).ok();
    other.commit("b.bin", b"of another clone");
    other.git(&["push", "-q", "origin", "topic"]).ok();
    ripe_but_for_sight(&world);
    let work = world.at("work");
    refuses(&work, &["refs/heads/topic", "--fetch", "nothing was deleted"]);
    work.s3lfs(&["cleanup", "--force", "--fetch"]).ok();
    assert!(!world.object(GARBAGE).exists(), "now everybody is seen");
    assert!(world.object(b"of another clone").exists(), "and spared");
    let seen = work.git(&["for-each-ref", "--format=%(refname)", "refs/s3lfs/seen"]).ok().stdout;
    assert!(seen.contains("heads/topic"), "it is kept in a ref of our own: {seen}");
    assert_eq!(work.git(&["branch", "-a", "--list", "*topic*"]).ok().stdout, "", "and is in nobody's way");
}

/// As `ripe`, where a clean-up sees everybody only with `--fetch`.
fn ripe_but_for_sight(world: &World) {
    put(world, GARBAGE);
    days_pass(world, 15);
    world.at("other").git(&["fetch", "-q"]).ok();
    cleanup(&world.at("other")).ok();
    days_pass(world, 15);
}

#[test]
fn pull_requests_on_the_remote() {
    let world = ready();
    let (work, remote) = (world.at("work"), world.at("remote.git"));
    let commit = commit_of(&remote, b"of a pull request");
    remote.git(&["update-ref", "refs/pull/1/head", &commit]).ok();
    refuses(&work, &["refs/pull/1/head", "--fetch"]);
    work.s3lfs(&["cleanup", "--force", "--fetch"]).ok();
    days_pass(&world, 30);
    cleanup(&work).ok();
    assert!(world.object(b"of a pull request").exists(), "a pull request is somebody's, too");
    remote.git(&["update-ref", "-d", "refs/pull/1/head"]).ok();
    work.s3lfs(&["cleanup", "--force", "--fetch"]).ok();
    days_pass(&world, 15);
    cleanup(&work).ok();
    assert!(!world.object(b"of a pull request").exists(), "once it is gone there, nobody needs it");
}

/// It is here, but nothing here names it: only the remote does.
#[test]
fn what_only_the_remote_names_is_needed() {
    let world = ready();
    let (work, remote) = (world.at("work"), world.at("remote.git"));
    let commit = commit_of(&work, b"named over there");
    work.git(&["-c", "core.hooksPath=/dev/null", "push", "-q", "origin", &format!("{commit}:refs/meta/x")]).ok();
    days_pass(&world, 30);
    cleanup(&work).ok();
    days_pass(&world, 30);
    cleanup(&work).ok();
    assert!(world.object(b"named over there").exists());
    remote.git(&["update-ref", "-d", "refs/meta/x"]).ok();
    cleanup(&work).ok();
    days_pass(&world, 15);
    cleanup(&work).ok();
    assert!(!world.object(b"named over there").exists());
}

#[test]
fn a_separate_push_url_is_asked_too() {
    let world = ready();
    let (work, mirror) = (world.at("work"), world.at("mirror.git"));
    world.at("").git(&["clone", "-q", "--mirror", "remote.git", "mirror.git"]).ok();
    work.git(&["remote", "set-url", "--push", "origin", &world.url("mirror.git")]).ok();
    let commit = commit_of(&mirror, b"only in the mirror");
    mirror.git(&["update-ref", "refs/heads/there", &commit]).ok();
    refuses(&work, &["mirror.git", "refs/heads/there"]);
    work.s3lfs(&["cleanup", "--force", "--fetch"]).ok();
    assert!(!world.object(GARBAGE).exists() && world.object(b"only in the mirror").exists());
}

#[test]
fn local_refs_alone_only_by_force_and_after_a_warning() {
    let world = ready();
    let (work, remote) = (world.at("work"), world.at("remote.git"));
    remote.git(&["update-ref", "refs/pull/1/head", &commit_of(&remote, b"of a pull request")]).ok();
    refuses_with(&work, &["cleanup", "--local-refs-only"], &["--force"]);
    refuses_with(&work, &["cleanup", "--local-refs-only", "--dry-run"], &["--force"]);
    fs::rename(world.path("remote.git"), world.path("unplugged.git")).unwrap();
    work.s3lfs(&["cleanup", "--local-refs-only", "--force"]).ok().says(&["warning", "others"]);
    assert!(!world.object(GARBAGE).exists());
    let ran = work.s3lfs(&["cleanup", "--local-refs-only", "--fetch"]);
    assert_eq!(ran.code, 2, "one or the other: {ran:#?}");
}

#[test]
fn a_repository_on_its_own_has_its_own_refs() {
    let world = World::new();
    let work = world.at("work");
    work.git(&["remote", "remove", "origin"]).ok();
    work.s3lfs(&["init", &world.url("store"), "proj"]).ok();
    work.s3lfs(&["git-setup", "--track", "*.bin"]).ok();
    work.git(&["add", "."]).ok();
    work.commit("a.bin", b"mine");
    ripe(&world);
    works_again(&work);
    assert!(world.object(b"mine").exists());
    let path = registration(&world);
    let text = fs::read_to_string(&path).unwrap().replace("\"git_urls\": []", "\"git_urls\": [\"https://host/x\"]");
    fs::write(&path, text).unwrap();
    refuses(&work, &["https://host/x", "no remote of this clone"]);
}

#[test]
fn other_repositories_in_the_prefix() {
    let world = ready();
    let work = world.at("work");
    let own = registration(&world);
    let text = fs::read_to_string(&own).unwrap();
    let other = own.with_file_name("another.json");
    fs::write(&other, &text).unwrap();
    refuses(&work, &["2 repositories", "another", "nothing was deleted"]);
    fs::remove_file(&own).unwrap();
    refuses(&work, &["another repository (another)", "nothing was deleted"]);
    fs::remove_file(&other).unwrap();
    fs::write(&own, text.replace("\"format\": 1", "\"format\": 2")).unwrap();
    refuses(&work, &["format 2", "update s3lfs"]);
    for damaged in ["", "{", "[]", &text[..text.len() / 2], "{\"format\": 1}"] {
        fs::write(&own, damaged).unwrap();
        refuses(&work, &["damaged"]);
    }
    fs::write(&own, text.replace("14d", "fortnight")).unwrap();
    refuses(&work, &["keep_newer", "fortnight"]);
    fs::write(&own, &text).unwrap();
    works_again(&work);
}

#[test]
fn a_prefix_without_a_registration_is_said_before_anything_goes() {
    let world = ready();
    let work = world.at("work");
    fs::remove_file(registration(&world)).unwrap();
    let before = snapshot(&world.path("store"));
    work.s3lfs(&["cleanup"]).fails(1).says(&["no repository is registered", "nothing was deleted"]);
    work.s3lfs(&["cleanup", "--dry-run"]).ok().says(&["no repository is registered"]);
    assert!(snapshot(&world.path("store")) == before);
    cleanup(&work).ok().says(&["no repository is registered"]);
    assert!(!world.object(GARBAGE).exists());
}

#[test]
fn a_manifest_without_an_id_is_not_the_registered_repository() {
    let world = ready();
    let work = world.at("work");
    let mut manifest = work.manifest();
    manifest.as_object_mut().unwrap().remove("repository_id");
    work.write(MANIFEST, manifest.to_string());
    refuses(&work, &["does not say", "nothing was deleted", "git switch main"]);
}
