//! `init`: the manifest's exact bytes, what it refuses, what it leaves in the store.

use std::fs;

use serde_json::Value;

use crate::world::{MANIFEST, World, snapshot};

fn store_files(world: &World) -> Vec<String> {
    let files = snapshot(&world.path("store")).into_iter();
    files.map(|(path, _)| path.strip_prefix(world.path("store")).unwrap().to_str().unwrap().to_owned()).collect()
}

fn registration(world: &World) -> Value {
    let id = world.at("work").manifest()["repository_id"].as_str().unwrap().to_owned();
    let path = world.path("store").join("proj/repositories").join(format!("{id}.json"));
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn it_writes_the_manifest_makes_the_directory_and_registers() {
    let world = World::new();
    let work = world.at("work");
    let ran = work.s3lfs(&["init", &world.url("store"), "proj"]).ok();
    assert_eq!(ran.stdout, "", "nothing was asked for on stdout");
    let id = work.manifest()["repository_id"].as_str().unwrap().to_owned();
    let uuid = id.split('-').map(str::len).collect::<Vec<_>>();
    assert_eq!(uuid, [8, 4, 4, 4, 12], "the repository gets an id of its own: {id}");
    let expected = format!(
        "{{\n    \"bucket_name\": \"{}\",\n    \"files\": {{}},\n    \"format\": 1,\n    \"manifest_only\": [],\n    \
         \"repo_prefix\": \"proj\",\n    \"repository_id\": \"{id}\"\n}}\n",
        world.url("store")
    );
    assert_eq!(work.text(MANIFEST), expected, "these bytes, and no others");
    assert_eq!(store_files(&world), [format!("proj/repositories/{id}.json")], "one registration and no probe object");
    let registration = registration(&world);
    assert_eq!((&registration["format"], &registration["keep_newer"]), (&1.into(), &"14d".into()));
    assert_eq!(registration["git_urls"], serde_json::json!([world.url("remote.git")]), "by the URL of origin");
    let created = registration["created"].as_str().unwrap();
    assert!(created.len() == 20 && created.ends_with('Z') && created.contains('T'), "RFC 3339, UTC: {created}");
    let accepted = work.git(&["config", "--local", "s3lfs.store"]).ok().stdout;
    assert_eq!(accepted.trim(), format!("{}/proj", world.url("store")), "init accepts the store that it names");
    let status = work.git(&["status", "--porcelain"]).ok().stdout;
    assert_eq!(status, format!("?? {MANIFEST}\n"), "and stages nothing");
}

#[test]
fn urls_in_the_registration_have_no_user_or_password() {
    let world = World::new();
    world.at("work").git(&["remote", "set-url", "origin", "https://me:secret@host.example/x.git"]).ok();
    world.at("work").s3lfs(&["init", &world.url("store"), "proj"]).ok();
    assert_eq!(registration(&world)["git_urls"], serde_json::json!(["https://host.example/x.git"]));
    for (path, bytes) in snapshot(&world.path("store")) {
        assert!(!String::from_utf8_lossy(&bytes).contains("secret"), "no password in {}", path.display());
    }
}

#[test]
fn a_second_time_changes_nothing_and_works_from_a_subdirectory() {
    let world = World::new();
    let work = world.at("work");
    let sub = work.sub("deep/er");
    sub.s3lfs(&["init", &world.url("store"), "/proj/"]).ok();
    assert!(!sub.exists(MANIFEST), "the manifest is at the top of the worktree");
    let (manifest, store) = (work.read(MANIFEST), snapshot(&world.path("store")));
    work.s3lfs(&["init", &format!("{}/", world.url("store")), "proj"]).ok();
    assert_eq!(work.read(MANIFEST), manifest, "the same store in another spelling is the same store");
    assert_eq!(snapshot(&world.path("store")), store);
    let dir = work.join("deep");
    world.at("").s3lfs(&["-C", dir.to_str().unwrap(), "init", &world.url("store"), "proj"]).ok();
    assert_eq!(work.read(MANIFEST), manifest, "-C is as being there");
}

#[test]
fn another_store_wants_force_and_another_repository_wants_join() {
    let world = World::ready();
    let work = world.at("work");
    let before = work.read(MANIFEST);
    let refused = work.s3lfs(&["init", &world.url("other"), "proj"]).fails(1);
    refused.says(&["another store", &format!("{}/proj", world.url("store")), "hint:", "--force"]);
    assert_eq!(work.read(MANIFEST), before, "a refusal changes nothing");
    assert!(!world.path("other").exists(), "and makes no directory");
    work.s3lfs(&["init", &world.url("other"), "proj", "--force"]).ok();
    let manifest = work.manifest();
    assert_eq!(manifest["bucket_name"], world.url("other").as_str());
    let old: Value = serde_json::from_slice(&before).unwrap();
    assert_eq!(manifest["repository_id"], old["repository_id"], "it is still the same repository");

    let second = world.at("second");
    fs::create_dir(&second.dir).unwrap();
    second.git(&["init", "-q", "."]).ok();
    let refused = second.s3lfs(&["init", &world.url("store"), "proj"]).fails(1);
    refused.says(&["another repository", old["repository_id"].as_str().unwrap(), "--join"]);
    assert!(!second.exists(MANIFEST), "a refusal writes nothing");
    second.s3lfs(&["init", &world.url("store"), "proj", "--join"]).ok();
    assert_eq!(store_files(&world).len(), 2, "both are registered now");
    second.s3lfs(&["init", &world.url("store"), "own"]).fails(1);
    second.s3lfs(&["init", &world.url("store"), "own", "--force"]).ok();
}

#[test]
fn choices_are_recorded() {
    let world = World::new();
    let work = world.at("work");
    let store = world.url("store");
    work.s3lfs(&["init", &store, "", "--sse", "aws:kms", "--kms-key-id", "key-1", "--no-project"]).ok();
    let manifest = work.manifest();
    assert_eq!(manifest["repo_prefix"], "");
    assert_eq!((&manifest["server_side_encryption"], &manifest["kms_key_id"]), (&"aws:kms".into(), &"key-1".into()));
    assert_eq!(manifest["project"], false);
    assert!(store_files(&world)[0].starts_with("repositories/"), "with an empty prefix keys begin without a slash");
    work.s3lfs(&["init", &store, "", "--sse", "AES256"]).ok();
    assert_eq!(work.manifest()["server_side_encryption"], "AES256");
    assert_eq!(work.manifest()["project"], false, "what was not said stays");
    work.s3lfs(&["init", &store, "", "--sse", "none"]).ok();
    assert_eq!(work.manifest()["server_side_encryption"], "none");
    assert_eq!(work.s3lfs(&["init", &store, "", "--sse", "rot13"]).code, 2, "that is a usage error");
}

#[test]
fn the_endpoint_and_a_bucket_are_recorded_without_asking_anybody_with_no_check() {
    let world = World::new();
    let work = world.at("work");
    work.s3lfs(&["init", "my-bucket", "proj", "--no-check", "--endpoint-url", "http://127.0.0.1:9/"]).ok();
    let manifest = work.manifest();
    assert_eq!(
        (&manifest["bucket_name"], &manifest["endpoint_url"]),
        (&"my-bucket".into(), &"http://127.0.0.1:9".into())
    );
    let accepted = work.git(&["config", "s3lfs.store"]).ok().stdout;
    assert_eq!(accepted, "s3://my-bucket/proj?endpoint=http://127.0.0.1:9\n", "one URL says it all");
    work.s3lfs(&["init", "s3://my-bucket", "proj", "--no-check", "--endpoint-url", "http://127.0.0.1:9"]).ok();
    assert_eq!(work.manifest()["bucket_name"], "my-bucket", "the plain name is what the Python tool reads");
}

#[test]
fn what_names_no_store_is_refused_and_nothing_is_written() {
    let world = World::new();
    let work = world.at("work");
    fs::write(world.path("file"), "x").unwrap();
    let in_file = world.url("file");
    let under_file = world.url("file/store");
    for (bucket, prefix) in [
        ("", "p"),
        ("a b", "p"),
        ("../x", "p"),
        ("https://host/x", "p"),
        ("file://relative/x", "p"),
        ("file:///tmp/../etc", "p"),
        ("my-bucket", "a//b"),
        ("my-bucket", "../b"),
        ("my-bucket", "a/./b"),
        (&in_file, "p"),
        (&under_file, "p"),
    ] {
        work.s3lfs(&["init", bucket, prefix]).fails(1);
        assert!(!work.exists(MANIFEST), "init {bucket:?} {prefix:?} writes no manifest");
        assert_eq!(work.git(&["config", "s3lfs.store"]).code, 1, "and accepts no store");
    }
    assert_eq!(fs::read(world.path("file")).unwrap(), b"x", "what was there stays");
}

#[test]
fn a_manifest_of_the_python_tool_is_taken_over() {
    let world = World::new();
    let work = world.at("work");
    let files = format!(
        r#"{{"bucket_name": "{}", "repo_prefix": "proj", "files": {{"data/x": "{}"}}}}"#,
        world.url("store"),
        "ab".repeat(32)
    );
    work.write(MANIFEST, &files);
    work.s3lfs(&["init", &world.url("store"), "proj"]).ok();
    let manifest = work.manifest();
    assert_eq!(manifest["files"]["data/x"], "ab".repeat(32), "what it names is kept");
    assert!(manifest["repository_id"].is_string(), "and it gets an id");
    assert!(manifest.get("manifest_only").is_none(), "only Git can tell which paths it does not know");
}

/// What another command records while `init` asks the store is not lost.
#[test]
#[cfg(target_os = "linux")]
fn it_writes_over_nobody() {
    let world = World::with_a();
    let work = world.at("work");
    work.commit(".gitignore", b"out/\n");
    let lock = fs::File::create(work.join(".git/s3lfs/staging")).unwrap();
    lock.lock().unwrap();
    let mut init = work.command("s3lfs");
    let init = init.args(["init", "-q", "--region", "eu-west-1", &world.url("store"), "proj"]);
    let mut init = init.stderr(std::process::Stdio::null()).spawn().unwrap();
    // Until it waits for whoever is staging, or has ended without waiting.
    let waits = || {
        let locks = fs::read_to_string("/proc/locks").unwrap();
        locks.lines().any(|line| line.contains("->") && line.split(' ').any(|word| word == init.id().to_string()))
    };
    while !waits() && fs::read_to_string(format!("/proc/{}/stat", init.id())).is_ok_and(|stat| !stat.contains(") Z")) {
        std::thread::yield_now();
    }
    let mut manifest = work.manifest();
    manifest["files"]["out/x"] = crate::world::oid(b"x").into();
    manifest["manifest_only"] = serde_json::json!(["out/x"]);
    work.write(MANIFEST, manifest.to_string());
    drop(lock);
    assert!(init.wait().unwrap().success());
    let now = work.manifest();
    assert_eq!(now["files"]["out/x"], crate::world::oid(b"x"), "what was recorded meanwhile stays");
    assert_eq!((&now["region"], &now["repository_id"]), (&"eu-west-1".into(), &manifest["repository_id"]));
}
