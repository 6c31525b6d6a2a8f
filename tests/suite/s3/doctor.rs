//! `doctor` at an S3 service: each permission refused by itself, and the probe gone whatever happened.

use super::bench::Bench;
use super::fault::Fault;
use super::server::Op;
use crate::doctor::{about, bad, finds, fine, stopped};
use crate::world::MANIFEST;

const DENIED: Fault = Fault::Refuse(403, "AccessDenied");

/// Probes in the bucket.
fn probes(bench: &Bench) -> Vec<String> {
    let dir = bench.server.file("proj/doctor");
    let names = std::fs::read_dir(dir).into_iter().flatten().flatten();
    names.filter(|entry| entry.path().is_file()).map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn a_bucket_that_permits_everything() {
    let bench = Bench::ready();
    let answer = fine(&bench.work());
    for check in ["credentials", "clock", "list", "put", "put if absent", "head", "get", "multipart", "speed", "delete"]
    {
        finds(&answer, check, "ok", &[]);
    }
    finds(&answer, "credentials", "ok", &["the environment", "...MPLE"]);
    finds(&answer, "put", "ok", &["AES256"]);
    finds(&answer, "speed", "ok", &[" ms; ", "/s up", "/s down"]);
    let puts = bench.server.seen(Op::Put);
    assert!(puts.iter().all(|put| put.header("x-amz-server-side-encryption") == Some("AES256")), "as uploads are sent");
    assert!(puts.iter().all(|put| put.key().starts_with("proj/doctor/")), "nothing but the probe is written");
    assert_eq!(probes(&bench), [""; 0], "and it is gone");
    let (begun, made) = (bench.server.count(Op::Begin), bench.server.count(Op::Complete));
    assert_eq!((begun, made, bench.server.count(Op::Abort)), (2, 1, 1), "no upload is left, either");
    let (_, secret) = bench.server.credentials();
    let shown = bench.work().s3lfs(&["doctor", "-v"]).ok();
    assert!(!shown.stdout.contains(secret) && !shown.stderr.contains(secret), "no secret is shown");
}

#[test]
fn each_permission_is_refused_by_itself() {
    for (op, check, state, permission) in [
        (Op::Put, "put", "stops", "s3:PutObject"),
        (Op::Get, "get", "stops", "s3:GetObject"),
        (Op::Head, "head", "stops", "s3:GetObject"),
        (Op::Begin, "multipart", "stops", "s3:PutObject"),
        (Op::UploadPart, "multipart", "stops", "s3:PutObject"),
        (Op::Complete, "multipart", "stops", "s3:PutObject"),
        (Op::List, "list", "stops", "s3:ListBucket"),
    ] {
        let bench = Bench::ready();
        bench.server.fault(op, 1000, DENIED);
        let answer = stopped(bench.work().s3lfs(&["doctor", "--json"]));
        let found: Vec<_> = about(&answer, check).into_iter().filter(|(found, ..)| found == state).collect();
        assert_eq!(found.len(), 1, "{op:?}: {answer:#}");
        // To HEAD no code can be told, and yet it is known.
        assert!(found[0].1.contains(permission) && found[0].1.contains("permission denied"), "{op:?}: {found:?}");
        assert_eq!(found[0].2, [format!("s3lfs init --print-policy write {} proj", bench.server.bucket())]);
        let others = ["list", "put", "get", "head", "multipart"].into_iter().filter(|other| *other != check);
        for other in others.filter(|other| !(check == "put" && *other == "multipart")) {
            finds(&answer, other, "ok", &[]);
        }
        assert_eq!(probes(&bench), [""; 0], "{op:?}: the probe is gone");
    }
}

#[test]
fn why_a_look_is_refused_is_told_in_the_services_words() {
    let bench = Bench::ready();
    bench.server.fault(Op::Head, 1000, DENIED);
    bench.server.fault(Op::Get, 1000, DENIED);
    let answer = stopped(bench.work().s3lfs(&["doctor", "--json"]));
    // The answer to HEAD has no body: GET was asked for it.
    for check in ["head", "get"] {
        finds(
            &answer,
            check,
            "stops",
            &["403 AccessDenied: User: arn:aws:iam::123456789012:user/me is not authorized"],
        );
    }
}

#[test]
fn a_probe_that_comes_back_otherwise_is_no_set_up_that_is_well() {
    let bench = Bench::ready();
    bench.server.fault(Op::Get, 1, Fault::Answer("something else".to_owned()));
    let answer = stopped(bench.work().s3lfs(&["doctor", "--json"]));
    finds(&answer, "get", "stops", &["permitted, but 46 bytes were written, and 14 bytes came back"]);
    finds(&answer, "head", "ok", &["permitted"]);
    assert_eq!(probes(&bench), [""; 0], "the probe is gone");
}

#[test]
fn an_upload_that_may_not_be_given_up_is_named() {
    let bench = Bench::ready();
    bench.server.fault(Op::Abort, 1000, DENIED);
    let answer = bench.work().s3lfs(&["doctor", "--json"]).ok().json("doctor");
    let found = about(&answer, "multipart");
    assert!(found[0].1.contains("s3:AbortMultipartUpload") && found[0].0 == "warning", "{found:?}");
    assert!(found[1].1.contains("remains: proj/doctor/"), "{found:?}");
    assert_eq!(probes(&bench), [""; 0]);
}

#[test]
fn a_probe_that_may_not_be_deleted_is_named() {
    let bench = Bench::ready();
    bench.server.fault(Op::DeleteMany, 1000, DENIED);
    bench.server.fault(Op::Delete, 1000, DENIED);
    let answer = bench.work().s3lfs(&["doctor", "--json"]).ok().json("doctor");
    let left = probes(&bench);
    assert_eq!(left.len(), 1, "it could not be deleted");
    let mend = finds(&answer, "delete", "warning", &["remains: proj/doctor/", &left[0]]);
    assert!(mend[0].starts_with("aws s3 rm s3://") && mend[0].contains(&left[0]), "{mend:?}");
    assert!(mend[0].contains("--endpoint-url http://127.0.0.1"), "{mend:?}");
    bench.server.mend();
    bench.work().s3lfs(&["verify"]).ok();
    bench.work().s3lfs(&["cleanup", "--keep-newer", "0s", "--force"]).ok();
    assert_eq!(probes(&bench), left, "a probe is nothing that cleanup touches");
}

#[test]
fn a_write_that_is_denied_for_its_encryption() {
    let bench = Bench::ready_with(&["--sse", "aws:kms", "--kms-key-id", "1-2-3"]);
    bench.server.fault(Op::Put, 1, DENIED);
    let answer = stopped(bench.work().s3lfs(&["doctor", "--json"]));
    let mend = finds(&answer, "encryption", "stops", &["without encryption", "aws:kms", "1-2-3"]);
    assert!(mend[0].ends_with(" --sse aws:kms --kms-key-id 1-2-3"), "the policy has to name the key: {mend:?}");
    for check in ["head", "get"] {
        finds(&answer, check, "ok", &["permitted"]);
        assert!(!answer.to_string().contains("came back"), "what was written without encryption is there: {answer}");
    }
    let puts = bench.server.seen(Op::Put);
    assert_eq!(puts[0].header("x-amz-server-side-encryption-aws-kms-key-id"), Some("1-2-3"));
    assert_eq!(probes(&bench), [""; 0], "the second probe is gone, too");
}

#[test]
fn a_key_that_is_disabled_is_no_reason_to_do_without() {
    let bench = Bench::ready_with(&["--sse", "aws:kms", "--kms-key-id", "1-2-3"]);
    bench.server.fault(Op::Put, 1000, Fault::Refuse(400, "KMS.DisabledException"));
    let answer = stopped(bench.work().s3lfs(&["doctor", "--json"]));
    let mend = finds(&answer, "put", "stops", &["the key that encrypts there can't be used", "KMS"]);
    assert!(mend[0].starts_with("aws kms describe-key"), "{mend:?}");
    assert!(!answer.to_string().contains("--sse none"), "nobody is told to go on without encryption: {answer}");
}

#[test]
fn encryption_and_conditions_that_a_service_does_not_know() {
    let bench = Bench::ready();
    bench.server.fault(Op::Put, 1000, Fault::Refuse(501, "NotImplemented"));
    let answer = stopped(bench.work().s3lfs(&["doctor", "--json"]));
    let mend = finds(&answer, "put", "stops", &["server-side encryption"]);
    assert!(mend[0].contains("--sse none"), "{mend:?}");
    bench.server.mend();
    bench.server.fault(Op::Put, 1, Fault::Nothing);
    bench.server.fault(Op::Put, 1, Fault::Refuse(501, "NotImplemented"));
    let answer = fine(&bench.work());
    finds(&answer, "put if absent", "note", &["If-None-Match", "cleanup"]);
}

#[test]
fn a_store_that_is_full_stops_work() {
    let bench = Bench::ready();
    // The small probe has room, and so has the question whether conditions are kept.
    bench.server.fault(Op::Put, 2, Fault::Nothing);
    bench.server.fault(Op::Put, 1000, Fault::Refuse(507, "XMinioStorageFull"));
    let mend = finds(&stopped(bench.work().s3lfs(&["doctor", "--json"])), "speed", "stops", &["XMinioStorageFull"]);
    assert!(mend[0].starts_with("s3lfs cleanup"), "{mend:?}");
    assert_eq!(probes(&bench), [""; 0]);
}

#[test]
fn a_bucket_that_a_variable_names_and_that_is_not_there() {
    let bench = Bench::ready();
    bench.server.fault(Op::List, 1000, Fault::Refuse(404, "NoSuchBucket"));
    let trusted = format!("s3://other-bucket/*?endpoint={}", bench.server.url());
    bench.work().git(&["config", "s3lfs.trust", &trusted]).ok();
    let work = bench.work().env("S3LFS_BUCKET", "other-bucket");
    let mend = finds(&stopped(work.s3lfs(&["doctor", "--json"])), "list", "stops", &["NoSuchBucket"]);
    assert!(mend[0].starts_with("unset S3LFS_BUCKET"), "what names it is to be changed: {mend:?}");
    assert!(!mend.concat().contains("init --force"), "and not what everybody has: {mend:?}");
}

#[test]
fn a_clock_that_is_off() {
    let bench = Bench::ready();
    bench.server.fault(Op::List, 1000, Fault::Skewed);
    let answer = stopped(bench.work().s3lfs(&["doctor", "--json"]));
    let mend = finds(&answer, "clock", "stops", &["behind", "900 s"]);
    assert_eq!(mend, ["timedatectl set-ntp true"]);
    assert_eq!(bench.server.count(Op::Put), 0, "nothing more is asked");
}

#[test]
fn a_service_that_does_not_answer() {
    let mut bench = Bench::ready();
    bench.server.stop();
    let answer = stopped(bench.work().s3lfs(&["doctor", "--json"]));
    let mend = finds(&answer, "list", "stops", &["can't be reached"]);
    let url = bench.server.url();
    let anybody = format!("curl -sS -o /dev/null {url} # does anything answer there?");
    let elsewhere =
        format!("s3lfs init --force {} proj --endpoint-url <url> # another endpoint", bench.server.bucket());
    assert_eq!(mend[1..], [anybody, elsewhere], "{mend:?}");
    let nobody = "http://127.0.0.1:9";
    bench.work().git(&["config", "s3lfs.endpointurl", nobody]).ok();
    bench.work().git(&["config", "s3lfs.trust", &format!("s3://team-bucket/*?endpoint={nobody}")]).ok();
    for (work, back) in [
        (bench.work(), "git config --unset-all s3lfs.endpointurl"),
        (bench.work().env("AWS_ENDPOINT_URL", nobody), "unset AWS_ENDPOINT_URL"),
        (bench.work().env("S3LFS_ENDPOINT_URL", nobody), "unset S3LFS_ENDPOINT_URL"),
    ] {
        let mend = finds(&stopped(work.s3lfs(&["doctor", "--json"])), "list", "stops", &[nobody, "can't be reached"]);
        assert_eq!(mend[0], format!("{back} # the manifest names {url}"), "what goes before it is to go: {mend:?}");
    }
    // Where the manifest names none, another one has to be said.
    let manifest = bench.work().text(MANIFEST);
    let without: String =
        manifest.lines().filter(|line| !line.contains("endpoint_url")).map(|line| format!("{line}\n")).collect();
    bench.work().write(MANIFEST, without);
    let mend = finds(&stopped(bench.work().s3lfs(&["doctor", "--json"])), "list", "stops", &[nobody]);
    assert_eq!(mend[2], "git config s3lfs.endpointurl <url> # another endpoint", "{mend:?}");
    bench.work().write(MANIFEST, manifest);
    bench.work().git(&["config", "--unset", "s3lfs.endpointurl"]).ok();
    assert_eq!(about(&answer, "put"), [], "nothing more is asked");
    bench.server.resume();
    std::fs::rename(bench.server.file(""), bench.server.file("../elsewhere")).unwrap();
    let answer = stopped(bench.work().s3lfs(&["doctor", "--json"]));
    let mend = finds(&answer, "list", "stops", &["NoSuchBucket"]);
    let (bucket, by) = (bench.server.bucket(), format!(" --endpoint-url {url}"));
    let another = format!("s3lfs init --force <bucket> proj{by} # if it is another one");
    assert_eq!(mend, [format!("aws s3 mb s3://{bucket}{by}"), another]);
}

#[test]
fn without_credentials_nothing_is_sent() {
    let bench = Bench::ready();
    let work = bench.world.at("work").env("AWS_EC2_METADATA_DISABLED", "true").env("NO_PROXY", "127.0.0.1");
    let answer = stopped(work.s3lfs(&["doctor", "--json"]));
    let mend = finds(&answer, "credentials", "stops", &["there are none"]);
    assert!(mend[0].starts_with("aws configure") && mend[1].contains("AWS_PROFILE"), "{mend:?}");
    assert_eq!(bench.server.take().len(), 0);
}

#[test]
fn credentials_of_a_process_say_where_they_come_from_and_when_they_end() {
    let bench = Bench::ready();
    let (key, secret) = bench.server.credentials();
    let answer = format!(
        "{{\\\"Version\\\": 1, \\\"AccessKeyId\\\": \\\"{key}\\\", \\\"SecretAccessKey\\\": \\\"{secret}\\\", \\\"Expiration\\\": \\\"$(date -u -d '+1 hour' +%Y-%m-%dT%H:%M:%SZ)\\\"}}"
    );
    let away = bench.world.at("");
    away.script("login", &format!("#!/bin/sh\necho \"{answer}\"\n"));
    let login = away.join("login");
    away.write("aws", format!("[profile team]\ncredential_process = {}\n", login.display()));
    let work = bench.world.at("work").env("NO_PROXY", "127.0.0.1").env("AWS_PROFILE", "team");
    let found = fine(&work.env("AWS_CONFIG_FILE", away.join("aws").to_str().unwrap()));
    finds(&found, "credentials", "ok", &["credential_process", "profile team", "end at", "in 0 h 59 min"]);
}

#[test]
fn a_store_that_a_commit_chose_gets_no_request() {
    let bench = Bench::ready();
    let work = bench.work();
    work.write(MANIFEST, work.text(MANIFEST).replace("\"proj\"", "\"other\""));
    let answer = stopped(work.s3lfs(&["doctor", "--json"]));
    assert_eq!(finds(&answer, "store", "stops", &["not accepted"]), ["s3lfs trust"]);
    assert_eq!(bench.server.take().len(), 0, "not a single request");
}

#[test]
fn who_only_reads_writes_nothing() {
    let bench = Bench::ready();
    let writes = [Op::Put, Op::Begin, Op::Delete, Op::DeleteMany];
    let answer = bench.work().s3lfs(&["doctor", "--json", "--read-only"]).ok().json("doctor");
    assert_eq!(bad(&answer), [""; 0]);
    finds(&answer, "get", "ok", &[]);
    assert!(writes.iter().all(|op| bench.server.count(*op) == 0), "--read-only writes nothing");
    bench.server.make_public();
    let public = bench.world.at("work").env("NO_PROXY", "127.0.0.1");
    let answer = public.s3lfs(&["doctor", "--json", "--no-sign-request"]).ok().json("doctor");
    finds(&answer, "store", "note", &["without signatures"]);
    assert!(writes.iter().all(|op| bench.server.count(*op) == 0), "nor without signatures");
    bench.server.fault(Op::Get, 1000, DENIED);
    let answer = stopped(bench.work().s3lfs(&["doctor", "--json", "--read-only"]));
    finds(&answer, "get", "stops", &["s3:GetObject"]);
}
