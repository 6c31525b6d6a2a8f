//! `--json` of commands that change something: one object, also when all is well.

use serde_json::json;

use crate::world::{MANIFEST, World, oid};

#[test]
fn each_command_that_sets_up_answers_with_one_object() {
    let world = World::new();
    let work = world.at("work");
    let store = format!("{}/proj", world.url("store"));
    let init = work.s3lfs(&["init", &world.url("store"), "proj", "--json"]).ok().json("init");
    let item = &init["items"][0];
    assert_eq!((&item["path"], &item["store"]), (&json!(MANIFEST), &json!(store)));
    assert_eq!(item["repository_id"], work.manifest()["repository_id"]);
    let setup = work.s3lfs(&["git-setup", "--json"]).ok().json("git-setup");
    assert_eq!(setup["items"], json!([{ "scope": "local", "set_up": true, "store": store }]));
    assert_eq!(work.s3lfs(&["trust", "--json"]).ok().json("trust")["items"], json!([{ "store": store }]));
    let track = work.s3lfs(&["track", "*.bin", "--json"]).ok().json("track");
    assert_eq!(track["items"], json!([{ "pattern": "*.bin" }]));
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-qm", "set up"]).ok();
    work.write("a.bin", "a");
    work.git(&["add", "a.bin"]).ok();
    let modified = work.s3lfs(&["track-modified", "--json"]).ok().json("track-modified");
    assert_eq!(modified["items"], json!([{ "path": "a.bin", "oid": oid(b"a"), "size": 1 }]));
    work.git(&["commit", "-qm", "a"]).ok();
    assert_eq!(work.s3lfs(&["track-modified", "--json"]).ok().json("track-modified")["items"], json!([]));
    let ran = work.s3lfs(&["untrack", "*.bin", "*.psd", "--json"]).fails(1);
    let untrack = ran.json("untrack");
    assert_eq!(untrack["items"], json!([{ "pattern": "*.bin" }]));
    assert_eq!(untrack["errors"], json!([{ "pattern": "*.psd", "error": "it is not tracked" }]));
    let setup = work.s3lfs(&["git-setup", "--uninstall", "--json"]).ok().json("git-setup");
    assert_eq!(setup["items"], json!([{ "scope": "local", "set_up": false, "store": null }]));
}

#[cfg(target_os = "linux")]
#[test]
fn a_path_that_is_no_text_has_its_bytes_beside_it() {
    let world = World::ready();
    let work = world.at("work");
    work.sh(r#"printf x >"$(printf 'n\377.bin')" && printf y >'n\xff.bin' && git add . && git commit -qm odd"#).ok();
    for command in ["ls", "status", "verify"] {
        let items = work.s3lfs(&[command, "--json"]).ok().json(command)["items"].clone();
        let of = |content: &[u8]| items.as_array().unwrap().iter().find(|item| item["oid"] == oid(content)).unwrap();
        assert_eq!(of(b"x")["path_bytes"], "n%FF.bin", "{command}");
        assert_eq!(of(b"y")["path"], r"n\xff.bin", "{command}");
        assert_eq!(of(b"y").get("path_bytes"), None, "{command}: text speaks for itself");
    }
}
