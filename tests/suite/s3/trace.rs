//! `S3LFS_TRACE`: what it holds, of which processes, and what it never holds.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::bench::{Bench, compressible, key};

fn events(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{} is a trace: {e}", path.display()));
    let events: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("it is JSON ({e}): {text}"));
    events.as_array().expect("an array of events").clone()
}

/// Beginnings in a category, each held to having its end.
fn begun<'a>(events: &'a [Value], category: &str) -> Vec<&'a Value> {
    let of = |phase: &'static str| events.iter().filter(move |e| e["ph"] == phase && e["cat"] == category);
    for begin in of("b") {
        let ends = of("e").filter(|end| end["id"] == begin["id"] && end["ts"].as_u64() >= begin["ts"].as_u64());
        assert_eq!(ends.count(), 1, "each span ends once: {begin}");
    }
    of("b").collect()
}

#[test]
fn a_trace_of_a_download_has_its_requests_its_children_and_its_objects() {
    let content = compressible(300_000);
    let bench = Bench::with(&content);
    let file = bench.world.path("trace.json");
    let work = bench.work();
    work.env("S3LFS_TRACE", file.to_str().unwrap()).s3lfs(&["download", "a.bin"]).ok();
    let events = events(&file);
    assert_eq!(events[0]["args"]["name"], "s3lfs download", "the process has a name");
    let gets: Vec<&Value> = begun(&events, "request").into_iter().filter(|e| e["name"] == "GET").collect();
    assert_eq!(gets.len(), 1, "one request for the object: {events:#?}");
    assert!(gets[0]["args"]["path"].as_str().unwrap().ends_with(&key(&content)), "it names the key: {}", gets[0]);
    let end = events.iter().find(|e| e["ph"] == "e" && e["id"] == gets[0]["id"]).unwrap();
    let stored = bench.stored(&content).unwrap().len();
    assert_eq!(end["args"]["received"], stored, "and tells the bytes that came: {end}");
    assert!(end["args"]["status"].as_u64().is_some_and(|status| (200..300).contains(&status)), "and the answer: {end}");
    assert!(begun(&events, "git").iter().any(|e| e["name"] == "git config"), "children are there: {events:#?}");
    assert!(begun(&events, "job").iter().any(|e| e["name"] == "download"), "and the job");
    let objects: Vec<&Value> = begun(&events, "object").iter().map(|e| &e["name"]).collect();
    assert!(
        objects.contains(&&"decode and hash".into()) && objects.contains(&&"write to the cache".into()),
        "{objects:?}"
    );
    assert_eq!(work.read("a.bin"), content, "and the file is there");
}

#[test]
fn processes_of_one_git_command_have_a_file_each_without_secrets() {
    let content = compressible(50_000);
    let bench = Bench::with(&content);
    let traces = bench.world.path("traces");
    fs::create_dir(&traces).unwrap();
    let work = bench.work().env("S3LFS_TRACE", traces.join("t.json").to_str().unwrap());
    work.remove("a.bin");
    work.git(&["checkout", "-q", "--", "a.bin"]).ok();
    work.write("b.bin", "content of b");
    work.git(&["add", "b.bin"]).ok();
    work.git(&["commit", "-qm", "b"]).ok();
    work.git(&["push", "-q"]).ok();
    work.s3lfs(&["clone", "http://me:gitpassword@127.0.0.1:1/x.git", "elsewhere"]).fails(1);
    let files: Vec<_> = fs::read_dir(&traces).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() >= 5, "filter and hooks have a file each: {files:?}");
    assert!(files.contains(&traces.join("t.json")), "the first has the name that was asked for");
    let all: Vec<Value> = files.iter().flat_map(|file| events(file)).collect();
    for name in ["smudge", "clean"] {
        let asked = begun(&all, "filter").into_iter().any(|e| e["name"] == name);
        assert!(asked, "the filter was asked to {name}");
    }
    assert!(begun(&all, "request").iter().any(|e| e["name"] == "PUT"), "the upload is there");
    assert!(begun(&all, "object").iter().any(|e| e["name"] == "hash and encode"), "and what was done for it");
    let text: String = files.iter().map(|file| fs::read_to_string(file).unwrap().to_lowercase()).collect();
    let (access, secret) = bench.server.credentials();
    for hidden in [access, secret, "gitpassword", "signature=", "authorization", "credential="] {
        assert!(!text.contains(&hidden.to_lowercase()), "no trace holds {hidden}");
    }
}

#[test]
fn each_process_has_its_id_in_the_name_if_asked_and_what_cant_be_written_stops_nothing() {
    let bench = Bench::with(b"content");
    let work = bench.work();
    let traces = bench.world.path("traces");
    fs::create_dir(&traces).unwrap();
    work.env("S3LFS_TRACE", traces.join("%p.json").to_str().unwrap()).s3lfs(&["download", "a.bin"]).ok();
    let name = fs::read_dir(&traces).unwrap().next().expect("a trace").unwrap().file_name();
    let id = name.to_str().unwrap().strip_suffix(".json").expect("the end of the name stays");
    assert!(id.parse::<u32>().is_ok(), "%p is the process id: {id}");
    let nowhere = bench.world.path("nowhere/t.json");
    work.env("S3LFS_TRACE", nowhere.to_str().unwrap()).s3lfs(&["ls"]).ok().says(&["no trace (S3LFS_TRACE)", "nowhere"]);
}

#[test]
fn without_the_variable_there_is_no_trace() {
    let bench = Bench::with(b"content");
    let work = bench.work();
    let before = fs::read_dir(bench.world.path("")).unwrap().count();
    work.s3lfs(&["download", "a.bin"]).ok();
    work.env("S3LFS_TRACE", "").s3lfs(&["ls"]).ok();
    assert_eq!(fs::read_dir(bench.world.path("")).unwrap().count(), before, "nothing new beside the repository");
    work.is_clean();
    let out = work.env("S3LFS_LOG", "debug").s3lfs(&["ls"]).ok();
    assert!(!out.stderr.contains("title="), "the log is as it was, without spans: {out:#?}");
}
