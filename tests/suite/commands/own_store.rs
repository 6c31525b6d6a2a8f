//! A user's own bucket or prefix, where the manifest names another: nobody else looks there, so no pointer is pushed.
//!
//! Apart from `gate`, where the store is the one that the manifest names.

use std::fs;
use std::os::unix::fs::symlink;

use crate::world::{MANIFEST, Place, World};

/// The push is refused, and says which commit names which store.
#[track_caller]
fn refused(place: &Place<'_>, named: &str) -> String {
    let head = place.head();
    let before = place.world.remote_head("main");
    let ran = place.git(&["push"]);
    assert_ne!(ran.code, 0, "the push must be refused: {ran:#?}");
    let ran = ran.says(&["push refused: ", &format!("commit {}", &head[..12]), named]);
    assert_eq!(place.world.remote_head("main"), before, "nothing was published");
    ran.stderr
}

#[test]
fn pointers_whose_content_would_be_where_nobody_looks_are_not_pushed() {
    let world = World::with_a();
    let work = world.at("work");
    let (named, other) = (format!("{}/proj", world.url("store")), world.url("other"));
    fs::create_dir(world.path("other")).unwrap();
    let settings = [
        ("s3lfs.bucket", other.as_str(), "git config --unset-all s3lfs.bucket"),
        ("s3lfs.repoprefix", "mine", "git config --unset-all s3lfs.repoprefix"),
        ("S3LFS_BUCKET", other.as_str(), "unset S3LFS_BUCKET"),
        ("S3LFS_REPO_PREFIX", "mine", "unset S3LFS_REPO_PREFIX"),
    ];
    for (setting, value, mend) in settings {
        let in_git = setting.starts_with("s3lfs.");
        if in_git {
            work.git(&["config", setting, value]).ok();
        }
        let place = if in_git { work.clone() } else { work.env(setting, value) };
        let content = format!("content under {setting}");
        place.write("b.bin", &content);
        place.git(&["add", "b.bin"]).ok();
        place.git(&["commit", "-qm", "b"]).ok().says(&["warning: ", &named, "'git push' will refuse it"]);
        let said = refused(&place, &named);
        assert!(said.contains(&format!("({setting})")) && said.contains(mend), "what to do: {said}");
        let doctor = place.s3lfs(&["doctor"]).ok().stdout;
        assert!(doctor.contains(&format!("the manifest names {named}")) && doctor.contains(mend), "{doctor}");
        assert!(!world.object(content.as_bytes()).exists(), "it went to the user's own store");
        if in_git {
            work.sh(mend).ok();
        }
        work.git(&["push", "-q"]).ok().never_says(&["warning"]);
        assert!(world.object(content.as_bytes()).exists(), "{setting} is taken back, and it is where everybody looks");
    }
    let doctor = work.s3lfs(&["doctor"]);
    assert!(!doctor.stdout.contains("your own choice"), "nothing is left to say: {doctor:#?}");
}

#[test]
fn what_is_recorded_in_the_own_store_is_not_taken_for_there() {
    let world = World::with_a();
    let work = world.at("work");
    work.git(&["config", "s3lfs.repoprefix", "mine"]).ok();
    work.commit("b.bin", b"content of b");
    assert!(world.path("store/mine/assets").exists(), "the commit uploaded it there");
    work.drop_cache();
    refused(&work, "store/proj");
}

#[test]
fn a_push_without_pointers_passes_and_leaves_no_trace_in_the_own_store() {
    let world = World::with_a();
    let work = world.at("work");
    fs::create_dir(world.path("mirror")).unwrap();
    work.git(&["config", "s3lfs.bucket", &world.url("mirror")]).ok();
    work.git(&["config", "s3lfs.uploadon", "push"]).ok();
    work.commit("README", b"text");
    work.git(&["push", "-q"]).ok().never_says(&["s3lfs"]);
    assert_eq!(world.remote_head("main"), work.head());
    assert_eq!(fs::read_dir(world.path("mirror")).unwrap().count(), 0, "a mirror that is read is not written");
    work.commit("b.bin", b"content of b");
    refused(&work, "store/proj");
    work.git(&["-c", "s3lfs.allowmissing=*.bin", "push", "-q"]).ok();
}

#[test]
fn the_same_store_by_another_name_is_no_other_store() {
    let world = World::with_a();
    let work = world.at("work");
    symlink(world.path("store"), world.path("mounted")).unwrap();
    let ways = [
        [("s3lfs.bucket", world.url("mounted")), ("s3lfs.repoprefix", "proj".to_owned())],
        [("s3lfs.bucket", world.url("")), ("s3lfs.repoprefix", "store/proj".to_owned())],
    ];
    for way in ways {
        for (key, value) in &way {
            work.git(&["config", key, value]).ok();
        }
        let content = format!("content by {way:?}");
        work.write("b.bin", &content);
        work.git(&["add", "b.bin"]).ok();
        work.git(&["commit", "-qm", "b"]).ok().never_says(&["warning"]);
        work.git(&["push", "-q"]).ok();
        assert!(world.object(content.as_bytes()).exists(), "{way:?}");
    }
    // A disk that this machine has elsewhere.
    fs::rename(world.path("store"), world.path("moved")).unwrap();
    work.git(&["config", "s3lfs.bucket", &world.url("")]).ok();
    work.git(&["config", "s3lfs.repoprefix", "moved/proj"]).ok();
    work.commit("b.bin", b"content of b");
    refused(&work, "store/proj");
    work.git(&["-c", "s3lfs.samestore=true", "push", "-q"]).ok();
    assert!(world.object_in("moved", b"content of b").exists());
}

#[test]
fn a_store_that_was_moved_for_everybody_is_the_manifests() {
    let world = World::with_a();
    let work = world.at("work");
    work.git(&["config", "s3lfs.bucket", &world.url("new")]).ok();
    work.commit("b.bin", b"content of b");
    refused(&work, "store/proj");
    work.s3lfs(&["init", "--force", &world.url("new"), "proj"]).ok();
    work.git(&["add", MANIFEST]).ok();
    work.git(&["commit", "-qm", "move"]).ok();
    work.git(&["push", "-q"]).ok();
    assert!(world.object_in("new", b"content of a\n").exists() && world.object_in("new", b"content of b").exists());
}

#[test]
fn content_that_the_own_store_lacks_is_said_to_be_looked_for_there() {
    let world = World::with_a();
    let work = world.at("work");
    let named = format!("{}/proj", world.url("store"));
    for (setting, mend) in [
        ("s3lfs.repoprefix", "git config --unset-all s3lfs.repoprefix"),
        ("S3LFS_REPO_PREFIX", "unset S3LFS_REPO_PREFIX"),
    ] {
        let place = match setting.strip_prefix("s3lfs.") {
            Some(_) => {
                work.git(&["config", setting, "mine"]).ok();
                work.clone()
            }
            None => work.env(setting, "mine"),
        };
        place.leave_pointer("a.bin");
        let texts = ["no such object", "the prefix \"mine\" is your own choice", setting, &named, mend];
        let ran = place.s3lfs(&["download", "a.bin"]).fails(1).says(&texts);
        ran.never_says(&["whoever has the content"]);
        place.s3lfs(&["download-all"]).fails(3).says(&texts).never_says(&["whoever has the content"]);
        place.remove("a.bin");
        let checkout = place.git(&["checkout", "-q", "--", "a.bin"]);
        assert_ne!(checkout.code, 0, "Git's checkout has it from nowhere else: {checkout:#?}");
        checkout.says(&texts).never_says(&["whoever has the content"]);
        place.write("a.bin", place.git(&["show", ":a.bin"]).ok().stdout);
        if setting.starts_with("s3lfs.") {
            work.sh(mend).ok();
        }
        work.s3lfs(&["download", "a.bin"]).ok();
    }
    fs::remove_file(world.object(b"content of a\n")).unwrap();
    work.leave_pointer("a.bin");
    work.s3lfs(&["download", "a.bin"]).fails(1).says(&["whoever has the content"]).never_says(&["your own choice"]);
}
