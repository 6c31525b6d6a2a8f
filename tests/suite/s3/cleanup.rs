//! `cleanup` in a service: pages and shards, batches that fail in part, what happens meanwhile, and
//! uploads that nobody finished.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Barrier;

use super::bench::{Bench, key};
use super::fault::Fault;
use super::server::{BUCKET, Op, Seen};
use crate::cleanup::time::{clones_age, store_ages};
use crate::world::{Ran, oid, snapshot};

const GARBAGE: &[u8] = b"nobody needs this";

impl Bench {
    fn put(&self, content: &[u8]) -> PathBuf {
        let path = self.object(content);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    fn days_pass(&self, days: u64) {
        let by = Duration::from_secs(days * 24 * 3600);
        store_ages(&self.server.file("proj"), by);
        clones_age(&self.world, by);
    }

    fn cleanup(&self) -> Ran {
        self.work().s3lfs(&["cleanup", "--force"])
    }

    /// With `a.bin` pushed, and garbage that the next cleanup deletes.
    fn ripe() -> Self {
        let bench = Bench::with(b"needed");
        bench.put(GARBAGE);
        bench.cleanup().ok();
        assert!(bench.object(GARBAGE).exists(), "the first run only marks");
        bench.days_pass(15);
        bench.server.take();
        bench
    }

    /// It says why, and deletes and writes nothing.
    #[track_caller]
    fn refuses(&self, says: &[&str]) {
        let before = snapshot(&self.server.file("proj"));
        let ran = self.cleanup().fails(1).says(says);
        assert!(snapshot(&self.server.file("proj")) == before, "nothing is deleted, nothing is written: {ran:#?}");
    }
}

fn numbered(n: usize) -> Vec<u8> {
    format!("garbage {n}").into_bytes()
}

#[test]
fn the_whole_story_with_more_than_one_page() {
    let bench = Bench::with(b"needed");
    const MANY: usize = 2300;
    // So that one shard has more than a page, too, the last ones are files of one Python oid.
    let legacy = bench.server.file(&format!("proj/assets/{}", oid(b"an old file")));
    fs::create_dir_all(&legacy).unwrap();
    let files: Vec<PathBuf> = (0..1100).map(|n| legacy.join(format!("file.gz.chunk{n}"))).collect();
    files.iter().for_each(|path| fs::write(path, "x").unwrap());
    let objects: Vec<PathBuf> = (0..MANY).map(|n| bench.put(&numbered(n))).collect();
    bench.days_pass(100);
    bench.cleanup().ok();
    assert!(files.iter().chain(&objects).all(|path| path.exists()), "the first run only marks");
    let requests = bench.server.seen(Op::List);
    assert!(requests.iter().any(|list| list.query("continuation-token").is_some()), "pages are followed");
    assert!(requests.len() > 256, "and shards are listed by themselves");
    bench.days_pass(14);
    let young = bench.put(b"young garbage");
    let again = bench.put(&numbered(7));
    bench.server.take();
    let ran = bench.work().s3lfs(&["cleanup", "--force", "--python-layout"]);
    ran.ok().says(&["Deleted 3399 objects"]);
    let left = files.iter().chain(&objects).filter(|path| path.exists()).collect::<Vec<_>>();
    assert_eq!(left, [&again], "all that is old went, in {} batches", bench.server.count(Op::DeleteMany));
    assert_eq!(bench.server.count(Op::DeleteMany), 4, "a thousand keys in each request");
    assert!(young.exists() && bench.object(b"needed").exists());
    bench.work().s3lfs(&["download", "a.bin"]).ok();
}

/// A request is answered only when as many have come as may be on their way: one after the other, none would be.
#[test]
fn batches_are_deleted_at_the_same_time_and_no_more_than_asked_for() {
    const MANY: usize = 3100;
    let bench = Bench::with(b"needed");
    let objects: Vec<PathBuf> = (0..MANY).map(|n| bench.put(&numbered(n))).collect();
    bench.server.take();
    bench.server.fault(Op::DeleteMany, 4, Fault::Together(Arc::new(Barrier::new(2))));
    let args = ["-j", "2", "cleanup", "--force", "--keep-newer", "0s"];
    bench.work().s3lfs(&args).ok().says(&["Deleted 3100 objects"]);
    assert!(!objects.iter().any(|path| path.exists()), "all of it went");
    // Marks that are not needed any more are deleted one by one.
    let long = |seen: &&Seen| seen.header("content-length").is_some_and(|len| len.len() > 3);
    let batches = bench.server.seen(Op::DeleteMany).iter().filter(long).count();
    assert_eq!(batches, 4, "each batch was sent once");
    assert_eq!(bench.server.most_at_once(Op::DeleteMany), 2, "two at once, and no more");
}

#[test]
fn listings_that_fail() {
    let bench = Bench::ripe();
    let list = |contents: &str| {
        format!(
            "<?xml version=\"1.0\"?><ListBucketResult><Name>{BUCKET}</Name><IsTruncated>false</IsTruncated>{contents}</ListBucketResult>"
        )
    };
    let one = "<Contents><Key>proj/assets/a//b</Key><LastModified>2020-01-01T00:00:00.000Z</LastModified><Size>1</Size></Contents>";
    for fault in [
        Fault::Refuse(403, "AccessDenied"),
        Fault::ErrorIn200("AccessDenied"),
        Fault::Html(200),
        Fault::Answer(list(one)),
    ] {
        // The registration, the objects, the marks.
        for passed in 0..3 {
            bench.server.fault(Op::List, passed, Fault::Nothing);
            bench.server.fault(Op::List, 1000, fault.clone());
            eprintln!("{fault:?} after {passed}");
            bench.refuses(&["list"]);
            bench.server.mend();
        }
    }
    bench.server.fault(Op::List, 1, Fault::Refuse(503, "SlowDown"));
    bench.server.fault(Op::List, 1, Fault::Nothing);
    bench.server.fault(Op::List, 1, Fault::Truncate);
    bench.cleanup().ok();
    assert!(!bench.object(GARBAGE).exists(), "a moment's failure is tried again");
}

#[test]
fn one_shard_that_cannot_be_listed_is_enough_to_refuse() {
    let bench = Bench::with(b"needed");
    (0..1100).for_each(|n| drop(bench.put(&numbered(n))));
    bench.cleanup().ok();
    bench.days_pass(15);
    let registration_and_first_page = 2;
    bench.server.fault(Op::List, registration_and_first_page + 100, Fault::Nothing);
    bench.server.fault(Op::List, 1, Fault::Refuse(403, "AccessDenied"));
    bench.refuses(&["list", "AccessDenied"]);
    bench.cleanup().ok().says(&["Deleted 1100 objects"]);
}

#[test]
fn keys_that_are_refused_are_named_and_the_rest_goes() {
    let bench = Bench::ripe();
    bench.put(b"held back");
    bench.cleanup_at_once_with(
        Fault::Answer(format!(
            "<DeleteResult><Deleted><Key>{}</Key></Deleted><Error><Key>{}</Key><Code>AccessDenied</Code><Message>Access Denied</Message></Error></DeleteResult>",
            key(GARBAGE),
            key(b"held back")
        )),
        &[&key(b"held back"), "1 object could not be deleted"],
    );
}

impl Bench {
    fn cleanup_at_once_with(&self, fault: Fault, says: &[&str]) {
        self.server.fault(Op::DeleteMany, 1, fault);
        let ran = self.work().s3lfs(&["cleanup", "--force", "--keep-newer", "0s", "--json"]).fails(3).says(says);
        let value = ran.json("cleanup");
        assert_eq!(value["items"][0]["key"], key(GARBAGE), "what went is reported");
        assert_eq!(value["errors"][0]["key"], key(b"held back"), "and what did not");
        assert_eq!((value["items"].as_array().unwrap().len(), value["errors"].as_array().unwrap().len()), (1, 1));
    }
}

#[test]
fn a_service_without_a_request_for_many_keys() {
    let bench = Bench::ripe();
    bench.put(b"more");
    bench.server.fault(Op::DeleteMany, 1000, Fault::Refuse(501, "NotImplemented"));
    bench.work().s3lfs(&["cleanup", "--force", "--keep-newer", "0s"]).ok();
    assert!(!bench.object(GARBAGE).exists() && !bench.object(b"more").exists(), "each key goes by itself");
    assert_eq!(bench.server.count(Op::Delete), 2);
}

#[test]
fn nothing_that_cannot_be_deleted_is_said_to_be_gone() {
    let bench = Bench::ripe();
    bench.server.fault(Op::DeleteMany, 1000, Fault::Refuse(403, "AccessDenied"));
    bench.server.fault(Op::Delete, 1000, Fault::Refuse(403, "AccessDenied"));
    bench.cleanup().fails(3).says(&[&key(GARBAGE), "1 object could not be deleted"]).never_says(&["Deleted 1 "]);
    assert!(bench.object(GARBAGE).exists());
    bench.server.mend();
    bench.server.fault(Op::DeleteMany, 2, Fault::Refuse(503, "SlowDown"));
    bench.cleanup().ok();
    assert!(!bench.object(GARBAGE).exists(), "a moment's failure is tried again");
}

/// Lists of a cleanup, in order: the registrations, the objects, the marks; then, before the batch,
/// the registrations and the objects again.
const BEFORE_THE_BATCH: usize = 3;

#[test]
fn what_is_written_after_the_survey_is_spared() {
    let bench = Bench::ripe();
    bench.put(b"old too");
    store_ages(&bench.server.file("proj/assets"), Duration::from_secs(1));
    bench.server.fault(Op::List, BEFORE_THE_BATCH, Fault::Nothing);
    bench.server.fault(
        Op::List,
        1,
        Fault::Meanwhile(|bucket| fs::write(bucket.join(key(GARBAGE)), "uploaded again").unwrap()),
    );
    let ran = bench.work().s3lfs(&["cleanup", "--force", "--keep-newer", "0s", "--json"]).ok();
    let items = ran.json("cleanup")["items"].as_array().unwrap().clone();
    let states: Vec<(&str, &str)> =
        items.iter().map(|item| (item["oid"].as_str().unwrap(), item["state"].as_str().unwrap())).collect();
    assert_eq!(states, [(oid(b"old too").as_str(), "deleted"), (&oid(GARBAGE), "spared")]);
    ran.says(&["Deleted 1 object", "spared 1 that changed meanwhile"]);
    assert!(bench.object(GARBAGE).exists(), "somebody is about to push it");
    assert!(!bench.object(b"old too").exists());
}

#[test]
fn what_another_cleanup_saw_reachable_is_spared() {
    let bench = Bench::ripe();
    bench.server.fault(Op::List, BEFORE_THE_BATCH, Fault::Nothing);
    bench.server.fault(
        Op::List,
        1,
        Fault::Meanwhile(|bucket| {
            let marks = bucket.join(format!("proj/cleanup/{}.json", &oid(GARBAGE)[..2]));
            fs::write(marks, r#"{"format": 1, "unreachable": {}}"#).unwrap();
        }),
    );
    let ran = bench.cleanup();
    assert!(bench.object(GARBAGE).exists(), "it took the mark back");
    ran.ok().says(&["spared 1"]);
}

type Happens = fn(&Path);

fn registrations(bucket: &Path) -> PathBuf {
    bucket.join("proj/repositories")
}

#[test]
fn whoever_comes_meanwhile_stops_it() {
    let comes: [(Happens, &str); 3] = [
        (|bucket| fs::write(registrations(bucket).join("another.json"), "{}").unwrap(), "2 repositories"),
        (|bucket| fs::remove_dir_all(registrations(bucket)).unwrap(), "changed meanwhile"),
        (
            |bucket| {
                let path = fs::read_dir(registrations(bucket)).unwrap().next().unwrap().unwrap().path();
                let text = fs::read_to_string(&path).unwrap();
                fs::write(&path, text.replace("\"git_urls\": [", "\"git_urls\": [\"https://host/new\",")).unwrap();
            },
            "changed meanwhile",
        ),
    ];
    for (happens, says) in comes {
        let bench = Bench::ripe();
        bench.server.fault(Op::List, BEFORE_THE_BATCH, Fault::Nothing);
        bench.server.fault(Op::List, 1, Fault::Meanwhile(happens));
        bench.cleanup().fails(1).says(&[says]);
        assert!(bench.object(GARBAGE).exists(), "the new one may need it");
    }
}

#[test]
fn uploads_that_nobody_finished_are_aborted_when_they_are_old() {
    let bench = Bench::with(b"needed");
    let upload = |key: &str, id: &str, begun: &str| {
        format!("<Upload><Key>{key}</Key><UploadId>{id}</UploadId><Initiated>{begun}</Initiated></Upload>")
    };
    let page = |truncated: bool, marker: &str, uploads: &str| {
        Fault::Answer(format!(
            "<ListMultipartUploadsResult><Bucket>{BUCKET}</Bucket><NextKeyMarker>{marker}</NextKeyMarker>\
             <NextUploadIdMarker>m</NextUploadIdMarker><IsTruncated>{truncated}</IsTruncated>{uploads}</ListMultipartUploadsResult>"
        ))
    };
    let (long_ago, lately) = ("2020-01-01T00:00:00.000Z", &chrono::Utc::now().to_rfc3339());
    let answers = || {
        let first = upload(&key(b"abandoned"), "old-1", long_ago) + &upload(&key(b"under way"), "young", lately);
        let foreign =
            upload("proj/other/file", "foreign-1", long_ago) + &upload("proj2/assets/x", "foreign-2", long_ago);
        let second = upload(&key(b"abandoned"), "old-2", long_ago) + &foreign;
        bench.server.fault(Op::ListUploads, 1, page(true, "next", &first));
        bench.server.fault(Op::ListUploads, 1, page(false, "", &second));
    };
    answers();
    let ran = bench.work().s3lfs(&["cleanup", "--dry-run"]).ok();
    assert!(ran.stdout.contains("Would be aborted: 2 unfinished uploads"), "{ran:#?}");
    assert_eq!(bench.server.count(Op::Abort), 0);
    assert!(bench.server.seen(Op::ListUploads)[1].query("key-marker") == Some("next"), "pages are followed");
    answers();
    bench.work().s3lfs(&["cleanup"]).fails(1).says(&["no terminal"]);
    assert_eq!(bench.server.count(Op::Abort), 0, "nobody said yes");
    answers();
    let ran = bench.work().s3lfs(&["cleanup", "--force", "--json"]).ok().says(&["aborted 2 unfinished uploads"]);
    let items = ran.json("cleanup")["items"].as_array().unwrap().clone();
    let aborts: Vec<(&str, &str)> =
        items.iter().map(|item| (item["key"].as_str().unwrap(), item["state"].as_str().unwrap())).collect();
    assert_eq!(aborts, [(key(b"abandoned").as_str(), "aborted"); 2]);
    assert!(items.iter().all(|item| item["age"].as_u64().unwrap() > 1_000_000 && item["size"].is_null()), "{items:?}");
    let aborted: Vec<(String, String)> = bench
        .server
        .seen(Op::Abort)
        .iter()
        .map(|seen| (seen.uri.path().to_owned(), seen.query("uploadId").unwrap().to_owned()))
        .collect();
    let path = format!("/{BUCKET}/{}", key(b"abandoned"));
    assert_eq!(aborted, [(path.clone(), "old-1".to_owned()), (path, "old-2".to_owned())], "these, and no other");
}

#[test]
fn a_service_that_cannot_list_its_uploads_is_cleaned_up_all_the_same() {
    let bench = Bench::ripe();
    bench.server.fault(Op::ListUploads, 1000, Fault::Refuse(403, "AccessDenied"));
    bench.cleanup().ok().says(&["unfinished uploads are left alone"]);
    assert!(!bench.object(GARBAGE).exists());
}
