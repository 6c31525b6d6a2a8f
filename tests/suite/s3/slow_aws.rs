//! Whoever gives credentials takes long, reads what is not his, or never answers.
//!
//! Apart from `broken_aws`: there somebody says no, here somebody is waited for.

use std::fs;

use super::bench::Bench;
use crate::doctor::{finds, stopped};
use crate::world::Place;

/// With a profile whose keys this script gives; it notes each run in `runs`.
fn given_by<'a>(bench: &'a Bench, script: &str) -> Place<'a> {
    let away = bench.world.at("");
    let (id, secret) = bench.server.credentials();
    let keys = format!("{{\"Version\": 1, \"AccessKeyId\": \"{id}\", \"SecretAccessKey\": \"{secret}\"}}");
    let runs = away.join("runs").display().to_string();
    away.script("give", &format!("#!/bin/sh\necho run >>'{runs}'\n{script}\necho '{keys}'\n"));
    away.write(".aws/config", format!("[profile team]\ncredential_process = {}\n", away.join("give").display()));
    bench.world.at("work").env("AWS_PROFILE", "team").env("AWS_EC2_METADATA_DISABLED", "true")
}

fn runs(bench: &Bench) -> usize {
    bench.world.at("").text("runs").lines().count()
}

#[test]
fn a_process_that_reads_its_input_takes_nothing_from_git() {
    let bench = Bench::with(b"content");
    let work = given_by(&bench, "cat >/dev/null");
    for n in 0..20 {
        work.commit(&format!("{n}.bin"), format!("content {n}").as_bytes());
    }
    work.git(&["push", "-q"]).ok();
    work.drop_cache();
    work.sh("rm -f *.bin && timeout 120 git checkout -q -- '*.bin'").ok();
    for n in 0..20 {
        assert_eq!(work.read(&format!("{n}.bin")), format!("content {n}").as_bytes(), "Git was answered");
    }
    work.drop_cache();
    let pointer = work.blob("HEAD:0.bin");
    work.write("pointer", pointer);
    let one = work.sh("timeout 120 s3lfs smudge 0.bin <pointer").ok();
    assert_eq!(one.stdout, "content 0", "and so is the single command");
}

#[test]
fn one_who_takes_long_is_asked_once_and_is_the_one_that_is_named() {
    let bench = Bench::ready();
    // Longer than a hook waits for the service.
    let work = given_by(&bench, "sleep 12");
    let answer = work.s3lfs(&["doctor", "--json"]).ok().json("doctor");
    finds(&answer, "credentials", "ok", &["credential_process"]);
    assert_eq!(runs(&bench), 1, "nobody is asked a second time while the first one is at it");
}

#[test]
fn one_who_never_answers_is_the_one_that_is_named() {
    let bench = Bench::ready();
    let work = given_by(&bench, "exec sleep 70");
    let answer = stopped(work.s3lfs(&["doctor", "--json"]));
    let texts = ["its credential_process (", "gave no answer within 60 seconds, and may still run"];
    finds(&answer, "credentials", "stops", &texts);
    assert!(!answer.to_string().contains("endpoint is right"), "the service is not blamed: {answer}");
}

#[test]
#[cfg(unix)]
fn a_file_without_an_end_is_not_read() {
    let bench = Bench::ready();
    let work = given_by(&bench, "true");
    let config = bench.world.path(".aws/config");
    fs::remove_file(&config).unwrap();
    work.sh("mkfifo ../.aws/config").ok();
    let answer = stopped(work.sh("timeout 60 s3lfs doctor --json"));
    let mend = finds(&answer, "credentials", "stops", &["it is no regular file"]);
    assert_eq!(mend, [format!("ls -ld {}", config.display())]);
    work.commit("a.bin", b"content").says(&["not uploaded", "it is no regular file"]);
}

#[test]
fn what_stands_before_the_program_is_not_said() {
    let bench = Bench::ready();
    let work = given_by(&bench, "echo 'not today' >&2; exit 3");
    let give = bench.world.path("give");
    bench.world.at("").write(
        ".aws/config",
        format!("[profile team]\ncredential_process = TOKEN=geheim {} --password geheim\n", give.display()),
    );
    let answer = stopped(work.s3lfs(&["doctor", "--json"]));
    finds(&answer, "credentials", "stops", &["give ...) ended with exit status: 3: not today"]);
    assert!(!answer.to_string().contains("geheim"), "no secret is said: {answer}");
    let url = "http://user:geheim@127.0.0.1:9/role?token=geheim";
    bench.world.at("").write(".aws/config", "");
    let work = bench.world.at("work").env("AWS_CONTAINER_CREDENTIALS_FULL_URI", url);
    let answer = stopped(work.env("AWS_EC2_METADATA_DISABLED", "true").s3lfs(&["doctor", "--json"]));
    finds(&answer, "credentials", "stops", &["the container's endpoint http://127.0.0.1:9/role"]);
    assert!(!answer.to_string().contains("geheim"), "nor here: {answer}");
}
