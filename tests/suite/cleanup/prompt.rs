//! What the user is asked and shown.

use serde_json::Value;

use super::bench::{GARBAGE, cleanup, put, ready, refuses_with};
use super::time::days_pass;
use crate::world::{World, oid, snapshot};

#[test]
fn without_a_terminal_nothing_goes_unless_forced() {
    let world = ready();
    let work = world.at("work");
    let before = snapshot(&world.path("store"));
    let ran = work.s3lfs(&["cleanup"]).fails(1).says(&["nothing was deleted", "no terminal", "--dry-run", "--force"]);
    assert!(ran.stdout.contains(&oid(GARBAGE)), "it shows what it would have asked about: {ran:#?}");
    let ran = work.git_with_input(&["-c", "alias.c=!s3lfs cleanup", "c"], b"y\ny\n");
    assert_eq!(ran.code, 1, "a yes from a pipe is nobody's: {ran:#?}");
    assert!(snapshot(&world.path("store")) == before);
    cleanup(&work).ok();
    assert!(!world.object(GARBAGE).exists());
}

#[test]
fn a_dry_run_wins_over_force_and_writes_nothing() {
    let world = World::with_a();
    let work = world.at("work");
    put(&world, GARBAGE);
    days_pass(&world, 30);
    let before = snapshot(&world.path("store"));
    for args in [&["cleanup", "--dry-run"][..], &["cleanup", "--dry-run", "--force"]] {
        let ran = work.s3lfs(args).ok();
        assert!(ran.stdout.contains("younger than 14d") && ran.stdout.contains(&oid(GARBAGE)), "too young: {ran:#?}");
        assert!(!ran.stdout.contains("Would be deleted"), "nothing is ripe: {ran:#?}");
    }
    work.s3lfs(&["cleanup", "--dry-run", "--force", "--keep-newer", "0s"]).ok();
    assert!(snapshot(&world.path("store")) == before, "a dry run marks nothing");
    cleanup(&work).ok();
    days_pass(&world, 14);
    put(&world, b"young garbage");
    let before = snapshot(&world.path("store"));
    let ran = work.s3lfs(&["cleanup", "--dry-run", "--force"]).ok();
    let (old, young) = ran.stdout.split_once("Unreachable, but younger than 14d").expect("two lists");
    assert!(old.starts_with("Would be deleted:\n"), "{ran:#?}");
    assert!(old.contains(&format!("{}       17 B   14d", oid(GARBAGE))), "full oid, size, age: {ran:#?}");
    assert!(old.contains("total: 1 object, 17 B") && young.contains("total: 1 object, 13 B"), "{ran:#?}");
    assert!(young.contains(&oid(b"young garbage")) && !old.contains(&oid(b"young garbage")), "apart: {ran:#?}");
    assert!(!ran.stdout.contains(&oid(b"content of a\n")), "what is needed is not listed");
    assert!(snapshot(&world.path("store")) == before);
}

#[test]
fn nothing_to_delete_is_no_error() {
    let world = World::with_a();
    let work = world.at("work");
    let before = snapshot(&world.path("store"));
    for args in [&["cleanup"][..], &["cleanup", "--force"], &["cleanup", "--dry-run"]] {
        assert_eq!(work.s3lfs(args).ok().stdout, "nothing to delete\n");
    }
    assert!(snapshot(&world.path("store")) == before, "and without garbage there are no marks");
    work.sub("deep/er").s3lfs(&["cleanup"]).ok();
    std::fs::remove_dir_all(world.path("store/proj/assets")).unwrap();
    work.s3lfs(&["cleanup"]).ok();
}

#[test]
fn json_for_each_outcome() {
    let world = ready();
    let work = world.at("work");
    put(&world, b"young garbage");
    let items = |args: &[&str]| {
        let value = work.s3lfs(args).ok().json("cleanup");
        assert_eq!(value["errors"], Value::Array(vec![]));
        let mut items = value["items"].as_array().unwrap().clone();
        items.sort_by_key(|item| item["state"].to_string());
        items
    };
    let item = |item: &Value, content: &[u8], state: &str| {
        let oid = oid(content);
        assert_eq!(item["oid"], Value::from(oid.as_str()));
        assert_eq!(item["key"], Value::from(format!("proj/assets/{}/{oid}", &oid[..2])));
        assert_eq!((&item["size"], &item["state"]), (&Value::from(content.len()), &Value::from(state)));
        item["age"].as_u64().expect("seconds") / (24 * 3600)
    };
    let dry = items(&["cleanup", "--dry-run", "--json"]);
    assert_eq!(dry.len(), 2);
    assert_eq!(item(&dry[0], b"young garbage", "too young"), 0);
    assert_eq!(item(&dry[1], GARBAGE, "would be deleted"), 15);
    let done = items(&["cleanup", "--force", "--json"]);
    assert_eq!(item(&done[0], GARBAGE, "deleted"), 15);
    assert_eq!(item(&done[1], b"young garbage", "too young"), 0);
    assert_eq!(items(&["cleanup", "--force", "--json"]).len(), 1, "only the young one is left");
    refuses_with(&work, &["cleanup", "--json", "--keep-newer", "1d"], &["--force"]);
}
