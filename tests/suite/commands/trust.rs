//! Where private bytes go is accepted by the user, not chosen by a commit (design.md, invariant 6).

use std::fs;

use crate::world::{MANIFEST, World, oid, pointer, snapshot};

/// A world in which a commit has moved the store from `store` to `other`, which exists and holds
/// the same objects.
fn moved() -> World {
    let world = World::with_a();
    let work = world.at("work");
    world.at("").sh("cp -R store other").ok();
    let text = work.text(MANIFEST).replace(&world.url("store"), &world.url("other"));
    work.write(MANIFEST, text);
    work.git(&["-c", "core.hooksPath=/nowhere", "commit", "-qam", "the store is elsewhere"]).ok();
    world
}

#[test]
fn nothing_goes_to_a_store_that_a_commit_chose() {
    let world = moved();
    let work = world.at("work");
    let before = snapshot(&world.path("other"));
    let other = format!("{}/proj", world.url("other"));

    work.write("new.bin", "new content");
    let refused = work.s3lfs(&["upload", "new.bin"]).fails(1);
    refused.says(&[&other, "s3lfs trust"]);
    assert_eq!(work.git(&["ls-files", "new.bin"]).stdout, "", "upload stages nothing");

    work.git(&["add", "new.bin"]).ok();
    let committed = work.git(&["commit", "-qm", "new"]).ok();
    committed.says(&["warning", &other, "s3lfs trust"]);
    let on_remote = world.remote_head("main");
    let pushed = work.git(&["push", "-q"]);
    assert_ne!(pushed.code, 0, "a push would publish a pointer to nowhere");
    pushed.says(&[&other, "s3lfs trust"]);
    assert_eq!(world.remote_head("main"), on_remote, "the remote is as it was");
    assert_eq!(snapshot(&world.path("other")), before, "and that store was sent nothing");
}

#[test]
fn reading_leaves_pointers_until_the_store_is_trusted() {
    let world = moved();
    let work = world.at("work");
    work.leave_pointer("a.bin");
    work.s3lfs(&["download", "a.bin"]).fails(1).says(&["s3lfs trust"]);
    assert_eq!(work.text("a.bin"), pointer(b"content of a\n"), "download leaves the pointer");
    work.remove("a.bin");
    work.git(&["checkout", "--", "a.bin"]).ok().says(&["a.bin", "s3lfs trust"]);
    assert_eq!(work.text("a.bin"), pointer(b"content of a\n"), "checkout leaves the pointer");
    work.s3lfs(&["status"]).ok();

    let trusted = work.sub("deep").s3lfs(&["trust"]).ok();
    trusted.says(&[&format!("{}/proj", world.url("other"))]);
    work.s3lfs(&["download", "a.bin"]).ok();
    assert_eq!(work.read("a.bin"), b"content of a\n");
    work.is_clean();
}

#[test]
fn trust_makes_everything_go() {
    let world = moved();
    let work = world.at("work");
    work.write("new.bin", "new content");
    work.git(&["add", "new.bin"]).ok();
    work.git(&["commit", "-qm", "new"]).ok();
    work.s3lfs(&["trust"]).ok();
    work.git(&["push", "-q"]).ok();
    assert!(world.object_in("other", b"new content").exists(), "the push uploads what the commit could not");
    assert!(!world.object(b"new content").exists(), "to the new store only");
    work.is_clean();
}

#[test]
fn git_setup_does_not_accept_a_second_store_by_itself() {
    let world = moved();
    let work = world.at("work");
    let before = work.read(".git/config");
    work.s3lfs(&["git-setup"]).fails(1).says(&["s3lfs trust"]);
    assert_eq!(work.read(".git/config"), before, "without a terminal nobody can say yes");
}

#[test]
fn patterns_in_the_users_own_config_need_no_asking() {
    let world = moved();
    let work = world.at("work");
    let dir = world.url("other");
    let attempt = |pattern: &str| {
        work.git(&["config", "--global", "s3lfs.trust", pattern]).ok();
        work.leave_pointer("a.bin");
        let code = work.s3lfs(&["download", "a.bin"]).code;
        work.git(&["config", "--global", "--unset-all", "s3lfs.trust"]).ok();
        code
    };
    let parent = dir.trim_end_matches("/other").to_owned();
    for pattern in [format!("{dir}/proj"), format!("{dir}/*"), format!("{parent}/**")] {
        assert_eq!(attempt(&pattern), 0, "{pattern} covers {dir}/proj");
    }
    for pattern in [dir.clone(), format!("{parent}/*"), format!("{dir}/p"), format!("{dir}/proj?endpoint=**")] {
        assert_eq!(attempt(&pattern), 1, "{pattern} does not cover {dir}/proj");
    }
}

#[test]
fn a_store_from_a_flag_or_the_environment_is_the_users_own_choice() {
    let world = moved();
    let work = world.at("work");
    work.leave_pointer("a.bin");
    work.s3lfs(&["--bucket", &world.url("other"), "download", "a.bin"]).ok();
    assert_eq!(work.read("a.bin"), b"content of a\n", "a flag was typed by the user");
    work.leave_pointer("a.bin");
    work.env("S3LFS_BUCKET", world.url("other")).s3lfs(&["download", "a.bin"]).ok();
    work.leave_pointer("a.bin");
    work.git(&["config", "s3lfs.bucket", &world.url("other")]).ok();
    work.s3lfs(&["download", "a.bin"]).ok();
    assert_eq!(
        work.git(&["config", "s3lfs.store"]).stdout.trim(),
        format!("{}/proj", world.url("store")),
        "using is not accepting"
    );
}

#[test]
fn a_merge_or_checkout_of_another_manifest_reads_only_what_is_accepted() {
    let world = World::with_a();
    let work = world.at("work");
    work.git(&["checkout", "-qb", "side"]).ok();
    world.at("").sh("mkdir other").ok();
    work.write(MANIFEST, work.text(MANIFEST).replace(&world.url("store"), &world.url("other")));
    work.write("b.bin", "only elsewhere");
    work.git(&["add", "."]).ok();
    work.git(&["-c", "core.hooksPath=/nowhere", "commit", "-qm", "side"]).ok();
    work.git(&["checkout", "-q", "main"]).ok();
    let content = b"only elsewhere";
    fs::create_dir_all(world.object_in("other", content).parent().unwrap()).unwrap();
    fs::write(world.object_in("other", content), content).unwrap();
    work.drop_cache();
    work.git(&["checkout", "-q", "side"]).ok().says(&["b.bin", "s3lfs trust"]);
    assert_eq!(work.text("b.bin"), pointer(content), "b.bin ({}) stays a pointer", oid(content));
    work.is_clean();
}

#[test]
fn several_stores_may_be_accepted_and_each_taken_back() {
    let world = moved();
    let work = world.at("work");
    let url = |name: &str| format!("{}/proj", world.url(name));
    work.s3lfs(&["trust"]).ok();
    assert_eq!(work.s3lfs(&["trust", "--list"]).ok().stdout, format!("{}\n{}\n", url("store"), url("other")));
    // A branch with either store can be checked out and filled.
    for commit in ["HEAD~1", "main"] {
        work.drop_cache();
        work.remove("a.bin");
        work.git(&["checkout", "-q", "-f", commit]).ok().never_says(&["s3lfs trust"]);
        assert_eq!(work.read("a.bin"), b"content of a\n", "{commit}");
    }
    work.git(&["checkout", "-q", "HEAD~1"]).ok();
    work.s3lfs(&["trust"]).ok();
    assert_eq!(work.git(&["config", "s3lfs.store"]).stdout.trim(), url("store"), "the last one is the present one");
    work.git(&["checkout", "-q", "main"]).ok();
    let json = work.s3lfs(&["trust", "--remove", &url("other"), "--json"]).ok().json("trust");
    assert_eq!(json["items"], serde_json::json!([{ "store": url("store") }]));
    work.leave_pointer("a.bin");
    work.s3lfs(&["download", "a.bin"]).fails(1).says(&["s3lfs trust"]);
    work.s3lfs(&["trust", "--remove", &url("other")]).fails(1).says(&["no accepted store", "--list"]);
}

#[test]
fn who_names_a_store_is_told_the_command_for_it() {
    let world = World::with_a();
    let work = world.at("work");
    let named = format!("{}/proj", world.url("store"));
    work.git(&["config", "--unset-all", "s3lfs.store"]).ok();
    work.s3lfs(&["trust", &named]).ok().says(&["Accepted store of this clone", &named]);
    let other = "s3://team-bucket/other";
    let ran = work.s3lfs(&["trust", other]).fails(1).says(&[&format!("{other} is not the store"), &named]);
    ran.says(&[&format!("git config --add s3lfs.trust {other}"), ": s3lfs trust\n"]);
    let accepted = work.git(&["config", "--get-all", "s3lfs.store"]).ok().stdout;
    assert_eq!(accepted, format!("{named}\n"), "nothing else was accepted");
    let ran = work.s3lfs(&["trust", "--remove", other]).fails(1);
    ran.says(&["is no accepted store", &format!("s3lfs trust --remove {named}")]);
}
