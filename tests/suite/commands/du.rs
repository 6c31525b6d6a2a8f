//! `du`: what files and history take in the store, each object once.

use serde_json::Value;

use crate::world::{Place, World, oid};

/// Content that does not compress, so that it is stored as it is.
fn noise(len: usize, seed: u8) -> Vec<u8> {
    let mut state = u64::from(seed) + 1;
    let next = |state: &mut u64| {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*state >> 33) as u8
    };
    std::iter::once(b'n').chain(std::iter::repeat_with(|| next(&mut state))).take(len).collect()
}

fn history() -> World {
    let world = World::ready();
    let work = world.at("work");
    work.commit("art/one.bin", &noise(10_000, 1));
    work.commit("art/one.bin", &noise(20_000, 2));
    work.commit("deep/a/two.bin", &noise(40_000, 3));
    work.commit("same.bin", &noise(40_000, 3));
    work.git(&["push", "-q"]).ok();
    world
}

fn rows(place: &Place<'_>, args: &[&str]) -> Vec<(String, u64, u64, u64)> {
    let answer = place.s3lfs(&[&["du", "--json"], args].concat()).ok().json("du");
    // Of a part of the history, the index was not asked.
    let number = |item: &Value, key: &str| item[key].as_u64().unwrap_or(0);
    let row = |item: &Value| {
        let name = item["name"].as_str().unwrap().to_owned();
        (name, number(item, "objects"), number(item, "stored"), number(item, "now"))
    };
    answer["items"].as_array().unwrap().iter().map(row).collect()
}

fn row(name: &str, objects: u64, stored: u64, now: u64) -> (String, u64, u64, u64) {
    (name.to_owned(), objects, stored, now)
}

#[test]
fn each_object_is_summed_up_once() {
    let world = history();
    let work = world.at("work");
    let expected = [row("deep/", 1, 40_000, 40_000), row("art/", 2, 30_000, 20_000)];
    assert_eq!(rows(&work, &[]), expected, "same.bin is the content of deep/a/two.bin");
    assert_eq!(rows(&work, &["--depth", "2"])[0].0, "deep/a/");
    assert_eq!(rows(&work, &["--by", "kind"]), [row(".bin", 3, 70_000, 60_000)]);
    assert_eq!(rows(&work, &["HEAD~3"]), [row("art/", 1, 10_000, 0)], "one commit, with its tree");
    assert_eq!(rows(&work, &["HEAD~2..HEAD"]), [row("deep/", 1, 40_000, 0)], "what a range adds");
}

#[test]
fn by_commit_the_first_one_that_brought_it_counts() {
    let world = history();
    let work = world.at("work");
    let id = |name: &str| work.git(&["rev-parse", "--short=12", name]).ok().stdout.trim().to_owned();
    let mut expected = vec![row(&id("HEAD~1"), 1, 40_000, 40_000), row(&id("HEAD~2"), 1, 20_000, 20_000)];
    expected.push(row(&id("HEAD~3"), 1, 10_000, 0));
    assert_eq!(rows(&work, &["--by", "commit"]), expected);
}

#[test]
fn the_table_has_bars_money_and_what_nobody_names() {
    let world = history();
    let work = world.at("work");
    let shown = work.s3lfs(&["du", "--cost", "1000"]).ok();
    assert!(shown.stdout.contains("a month") && shown.stdout.contains("####"), "{shown:#?}");
    assert!(shown.stdout.lines().last().unwrap().ends_with(" total"), "{shown:#?}");
    assert!(shown.stderr.contains("3 objects named here in 68.4 KiB"), "{shown:#?}");
    // Another object, that nobody names, and one that is gone.
    let stray = world.object(b"stray");
    std::fs::create_dir_all(stray.parent().unwrap()).unwrap();
    std::fs::write(stray, "stray").unwrap();
    std::fs::remove_file(world.object(&noise(10_000, 1))).unwrap();
    let shown =
        work.s3lfs(&["du"]).ok().says(&["1 object more (5 B)", "s3lfs cleanup", "1 object named and not there"]);
    assert!(!shown.stdout.contains("a month"));
    let answer = work.s3lfs(&["du", "--json"]).ok().json("du");
    let gone = oid(&noise(10_000, 1));
    assert_eq!(answer["errors"].as_array().unwrap().len(), 1);
    assert_eq!(answer["errors"][0]["oid"], gone, "what is missing is no success for a program either");
    let missing: u64 = answer["items"].as_array().unwrap().iter().map(|item| item["missing"].as_u64().unwrap()).sum();
    assert_eq!(missing, 1);
    for part in ["HEAD", "HEAD~1..HEAD"] {
        let shown = work.s3lfs(&["du", part]).ok();
        let shown = shown.says(&[&format!("named by {part} in ")]).never_says(&["the index names"]);
        assert!(shown.stdout.contains("stored"), "{shown:#?}");
        assert!(work.s3lfs(&["du", part, "--json"]).ok().json("du")["items"][0]["now"].is_null(), "it was not asked");
    }
}

#[test]
fn a_price_is_a_number_of_its_own() {
    let world = history();
    let work = world.at("work");
    for price in ["nan", "inf", "-1", "-0.0", "1e999", "much", ""] {
        let refused = work.s3lfs(&["du", &format!("--cost={price}")]);
        assert!(refused.code == 2 && refused.stderr.contains("a price is wanted"), "{refused:#?}");
    }
    work.s3lfs(&["du", "--cost", "0"]).ok();
}

#[test]
fn a_store_that_was_not_accepted_is_not_asked() {
    let world = history();
    let work = world.at("work");
    work.git(&["config", "--unset-all", "s3lfs.store"]).ok();
    work.s3lfs(&["du"]).fails(1).says(&["s3lfs trust"]);
}
