//! A service that lies: wrong bytes, wrong lengths, other objects, bodies and listings without an end,
//! XML bombs, errors that come with 200. No panic, no hang, no wrong byte, and no memory for nothing.

use super::bench::{Bench, compressible, key, random};
use super::fault::Fault;
use super::server::{BUCKET, Op};
use crate::world::{MANIFEST, Place, Ran, oid, pointer};

/// No body that is not content is read further than this.
const READ_AT_MOST: usize = 40 << 20;

fn list(contents: &str) -> String {
    format!("<?xml version=\"1.0\"?><ListBucketResult><Name>{BUCKET}</Name>{contents}</ListBucketResult>")
}

fn another_page(token: &str) -> String {
    list(&format!("<IsTruncated>true</IsTruncated><NextContinuationToken>{token}</NextContinuationToken>"))
}

/// It fails with one message, and what the service said is not repeated.
#[track_caller]
fn fails_once(ran: Ran) -> Ran {
    let ran = ran.fails(1).never_says(&["<Error", "<html", "<a>", "The secret body"]);
    let lines = ran.stderr.lines().filter(|line| line.contains("s3lfs: ")).count();
    assert_eq!(lines, 1, "one message: {ran:#?}");
    ran
}

/// A large and a small new file in a repository where `a.bin` is not here.
fn with_new_files(bench: &Bench) -> Place<'_> {
    let work = bench.work();
    work.write("small.bin", "small");
    work.write("large.bin", random(9 << 20, 90));
    work
}

#[track_caller]
fn init(bench: &Bench) -> Ran {
    let fresh = bench.world.at("").sub("fresh");
    fresh.git(&["init", "-q", "."]).ok();
    let ran = bench.work().in_dir(&fresh).s3lfs(&["init", "--endpoint-url", &bench.server.url(), BUCKET, "other"]);
    if ran.code != 0 {
        assert!(!fresh.exists(MANIFEST), "init leaves no manifest behind");
    }
    ran
}

#[test]
fn an_endless_object_is_not_read_on() {
    for content in [b"content".to_vec(), compressible(3 << 20), random(20 << 20, 91)] {
        let bench = Bench::with(&content);
        bench.server.fault(Op::Get, 1000, Fault::Endless);
        let work = bench.work();
        work.s3lfs(&["download", "a.bin"]).fails(1).says(&[&oid(&content), "answered with more"]);
        assert_eq!(work.text("a.bin"), pointer(&content));
        let requests = bench.server.count(Op::Get);
        let (sent, most) = (bench.server.sent_without_end(), requests * (24 << 20));
        assert!(sent < most, "each is cut where its range ends: {sent} bytes in {requests} requests");
    }
}

#[test]
fn an_endless_document_is_not_read_on() {
    let listed = |op: Op, fault: Fault| {
        let bench = Bench::with(b"content");
        bench.server.fault(op, 1000, fault);
        bench
    };
    let cut = |bench: &Bench, requests: usize| {
        let sent = bench.server.sent_without_end();
        assert!(sent > 0 && sent < requests * READ_AT_MOST, "{sent} bytes in {requests} requests");
    };
    let bench = listed(Op::List, Fault::Endless);
    fails_once(init(&bench)).says(&["list", "goes on after"]);
    cut(&bench, 1);
    let bench = listed(Op::Begin, Fault::Endless);
    fails_once(with_new_files(&bench).s3lfs(&["upload", "large.bin"])).says(&["goes on after"]);
    cut(&bench, 1);
    let bench = listed(Op::Complete, Fault::Endless);
    fails_once(with_new_files(&bench).s3lfs(&["upload", "large.bin"])).says(&["goes on after"]);
    cut(&bench, 1);
    for status in [400, 403, 404] {
        for op in [Op::Get, Op::Put, Op::Begin, Op::List] {
            let bench = listed(op, Fault::EndlessRefusal(status));
            let work = with_new_files(&bench);
            match op {
                Op::Get => fails_once(work.s3lfs(&["download", "a.bin"])),
                Op::Put => fails_once(work.s3lfs(&["upload", "small.bin"])),
                Op::Begin => fails_once(work.s3lfs(&["upload", "large.bin"])),
                _ => fails_once(init(&bench)),
            };
            cut(&bench, bench.server.count(op));
        }
    }
}

#[test]
fn an_endless_refusal_that_may_pass_is_tried_again() {
    let bench = Bench::with(b"content");
    bench.server.fault(Op::Get, 2, Fault::EndlessRefusal(503));
    bench.work().s3lfs(&["download", "a.bin"]).ok();
    assert_eq!(bench.work().read("a.bin"), b"content");
    assert!(bench.server.sent_without_end() < READ_AT_MOST);
}

#[test]
fn what_s3lfs_itself_keeps_there_is_not_read_without_end() {
    let bench = Bench::with(b"content");
    bench.server.fault(Op::Registration, 1000, Fault::Endless);
    let work = bench.work();
    work.sh("rm -rf .git/s3lfs/registered").ok();
    work.commit("new.bin", b"new").says(&["not uploaded", "longer than"]);
    assert_ne!(work.git(&["push", "-q"]).code, 0, "a push has to be sure");
    bench.server.mend();
    work.git(&["push", "-q"]).ok();
    assert!(bench.has(b"new"));
}

#[test]
fn a_listing_that_goes_in_circles_is_an_error() {
    for tokens in [&["same"][..], &["one", "other"], &["a", "b", "c"]] {
        let bench = Bench::with(b"content");
        for token in tokens.iter().cycle().take(50) {
            bench.server.fault(Op::List, 1, Fault::Answer(another_page(token)));
        }
        fails_once(init(&bench)).says(&["same page again"]);
        assert_eq!(bench.server.count(Op::List), tokens.len() + 1, "as soon as it shows");
        let work = bench.work();
        bench.server.fault(Op::Head, 1000, Fault::Refuse(404, "NoSuchKey"));
        for args in [&["verify"][..], &["cleanup", "--force"]] {
            work.s3lfs(args).fails(1).says(&["list"]);
        }
        // It is looked for in the Python tool's layout.
        std::fs::remove_file(bench.object(b"content")).unwrap();
        work.s3lfs(&["download", "a.bin"]).fails(1).says(&["list"]);
    }
}

#[test]
fn xml_bombs_do_not_go_off() {
    let deep = format!("<ListBucketResult>{}", "<a>".repeat(1 << 17));
    let closed = format!("{deep}{}</ListBucketResult>", "</a>".repeat(1 << 17));
    let entities = "<?xml version=\"1.0\"?><!DOCTYPE l [<!ENTITY a \"aaaaaaaaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\">]>\
        <ListBucketResult><Name>&b;</Name></ListBucketResult>";
    let attributes = format!("<ListBucketResult {}/>", (0..200_000).map(|n| format!("a{n}='x' ")).collect::<String>());
    for bomb in [&deep, &closed, &entities.to_owned()] {
        let bench = Bench::with(b"content");
        bench.server.fault(Op::List, 1000, Fault::Answer(bomb.clone()));
        fails_once(init(&bench)).says(&["list", "XML that no S3 service sends"]);
        for op in [Op::Begin, Op::Complete] {
            let bomb = bomb.replace("ListBucketResult", "InitiateMultipartUploadResult");
            bench.server.fault(op, 1000, Fault::Answer(bomb));
            fails_once(with_new_files(&bench).s3lfs(&["upload", "large.bin"])).says(&["XML"]);
            bench.server.mend();
        }
    }
    let bench = Bench::with(b"content");
    bench.server.fault(Op::List, 1000, Fault::Answer(attributes));
    init(&bench).ok();
    for bomb in [deep, closed] {
        let bench = Bench::with(b"content");
        bench.server.fault(
            Op::ListUploads,
            1000,
            Fault::Answer(bomb.replace("ListBucketResult", "ListMultipartUploadsResult")),
        );
        bench.work().s3lfs(&["cleanup", "--force"]).says(&["uploads"]);
    }
}

#[test]
fn foreign_keys_are_left_out_and_left_alone() {
    let bench = Bench::with(b"content");
    let (present, missing) = (oid(b"content"), oid(b"another"));
    let foreign = [
        format!("proj/assets/{}", &missing[..2]),
        format!("proj/assets/{}/{}.tmp", &missing[..2], missing),
        format!("proj/assets/{}/{}", &missing[..2], missing.to_uppercase()),
        format!("proj/assets/00/{missing}"),
        format!("elsewhere/assets/{}/{missing}", &missing[..2]),
        "x".repeat(1024),
        "proj/assets/\u{202e}\u{fffd}".to_owned(),
    ];
    let contents = |keys: &[String]| {
        let one = |key: &String| {
            format!(
                "<Contents><Key>{key}</Key><LastModified>2020-01-01T00:00:00.000Z</LastModified><Size>7</Size></Contents>"
            )
        };
        list(&keys.iter().map(one).collect::<String>())
    };
    let mut keys = foreign.to_vec();
    keys.push(format!("proj/assets/{}/{present}", &present[..2]));
    let work = bench.work();
    // One that is not there, so that the listing is what tells.
    work.git(&["config", "s3lfs.uploadon", "push"]).ok();
    work.commit("b.bin", b"another");
    bench.server.fault(Op::Head, 1000, Fault::Refuse(404, "NoSuchKey"));
    bench.server.fault(Op::List, 1000, Fault::Answer(contents(&keys)));
    let ran = work.s3lfs(&["verify"]).fails(3);
    assert!(format!("{ran:?}").contains("b.bin"), "what only foreign keys name is missing");
    assert!(!ran.stdout.contains("a.bin") && !ran.stderr.contains("a.bin: "), "what is listed is there: {ran:#?}");
    bench.server.mend();
    // A key that can't be written as one is named, and ends the listing: what follows it is unknown.
    for malformed in ["proj/assets/a//b", "proj/assets/../x", "proj/assets/a&#x1b;[31mb"] {
        bench.server.fault(Op::Head, 1000, Fault::Refuse(404, "NoSuchKey"));
        bench.server.fault(Op::List, 1000, Fault::Answer(contents(&[malformed.to_owned()])));
        let ran = work.s3lfs(&["verify"]).fails(1).says(&["list"]);
        assert!(!ran.stderr.contains('\u{1b}'), "it does not speak to the terminal: {ran:#?}");
        bench.server.mend();
    }
}

#[test]
fn another_object_is_not_taken_for_ours() {
    let (small, large) = (b"content".to_vec(), random(20 << 20, 92));
    for (wanted, other) in
        [(&small, &b"CONTENT".to_vec()), (&small, &large), (&large, &random(20 << 20, 93)), (&large, &small)]
    {
        let bench = Bench::with(wanted);
        let work = bench.work();
        std::fs::create_dir_all(bench.object(other).parent().unwrap()).unwrap();
        std::fs::write(bench.object(other), other).unwrap();
        bench.server.fault(Op::Get, 1000, Fault::Swapped(key(other)));
        work.s3lfs(&["download", "a.bin"]).fails(1).says(&[&oid(wanted)]);
        assert_eq!(work.text("a.bin"), pointer(wanted), "not a byte of it is delivered");
        let tmp = std::fs::read_dir(work.join(".git/s3lfs/tmp")).map_or(0, |left| left.count());
        assert_eq!(tmp, 0, "nor lies about");
        bench.server.mend();
        work.s3lfs(&["download", "a.bin"]).ok();
        assert!(work.read("a.bin") == *wanted, "nothing wrong was kept");
    }
}

#[test]
fn an_object_of_another_length_is_not_taken_for_ours() {
    let content = random(9 << 20, 94);
    let longer = [content.clone(), b"!".to_vec()].concat();
    let zeros = [content.clone(), vec![0; 12 << 20]].concat();
    for wrong in [&content[..content.len() - 1], &content[..0], &longer, &zeros] {
        let bench = Bench::with(&content);
        let work = bench.work();
        std::fs::write(bench.object(&content), wrong).unwrap();
        work.s3lfs(&["download", "a.bin"]).fails(1).says(&[&oid(&content)]);
        assert_eq!(work.text("a.bin"), pointer(&content));
    }
}

#[test]
fn headers_that_lie_are_an_error() {
    for content in [b"content".to_vec(), random(20 << 20, 95)] {
        for (name, value) in [
            ("content-range", Some("bytes 0-18446744073709551615/18446744073709551615")),
            ("content-range", Some("bytes 5-3/7")),
            ("content-range", Some("bytes 1-7/9")),
            ("content-range", Some("bytes 0-6/9223372036854775807")),
            ("content-range", Some("nonsense")),
            ("content-range", None),
            ("last-modified", Some("the day before yesterday")),
            ("date", Some("Thu, 01 Jan 9999 00:00:00 GMT")),
        ] {
            let bench = Bench::with(&content);
            let work = bench.work();
            bench.server.fault(Op::Get, 1000, Fault::Header(name, value));
            let ran = work.s3lfs(&["download", "a.bin"]);
            if ran.code == 0 {
                assert!(work.read("a.bin") == content, "{name}: {value:?} does not matter, or is an error");
            } else {
                ran.fails(1).says(&[&oid(&content)]);
                assert_eq!(work.text("a.bin"), pointer(&content), "{name}: {value:?}");
            }
        }
    }
}

#[test]
fn an_error_that_comes_with_200_is_an_error_wherever_it_comes() {
    let bench = Bench::with(b"content");
    let work = with_new_files(&bench);
    bench.server.fault(Op::Begin, 1000, Fault::ErrorIn200("AccessDenied"));
    fails_once(work.s3lfs(&["upload", "large.bin"])).says(&["AccessDenied"]);
    bench.server.mend();
    bench.server.fault(Op::UploadPart, 1000, Fault::ErrorIn200("AccessDenied"));
    fails_once(work.s3lfs(&["upload", "large.bin"]));
    bench.server.mend();
    bench.server.fault(Op::Put, 1000, Fault::ErrorIn200("AccessDenied"));
    fails_once(work.s3lfs(&["upload", "small.bin"]));
    bench.server.mend();
    bench.server.fault(Op::Get, 1000, Fault::ErrorIn200("AccessDenied"));
    work.s3lfs(&["download", "a.bin"]).fails(1);
    assert_eq!(work.text("a.bin"), pointer(b"content"));
    bench.server.mend();
    assert_eq!(work.git(&["ls-files", "large.bin", "small.bin"]).stdout, "", "what is not there is not staged");
    work.s3lfs(&["upload", "large.bin", "small.bin"]).ok();
}
