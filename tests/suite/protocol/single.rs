//! The single commands `clean` and `smudge`: the same bytes as the process, and exit codes.

use std::process::Output;

use s3lfs::pointer::Pointer;

use super::bench::{Bench, MIB, text};
use super::filter::Answer;
use crate::scratch::run;

fn s3lfs(bench: &Bench, args: &[&str], stdin: &[u8]) -> Output {
    run(&mut bench.s3lfs(args), stdin)
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn both_answer_as_the_process_does() {
    let bench = Bench::new();
    let pointer = bench.stored(text("stored", 70_000));
    let cached = bench.cached(text("cached", MIB + 1));
    let mut filter = bench.filter();
    let ours = pointer.to_string();
    let inputs: [Vec<u8>; 11] = [
        Vec::new(),
        text("a", 1),
        text("a", 1024),
        text("a", MIB),
        text("a", 2 * MIB + 1),
        ours.clone().into_bytes(),
        ours.replace('\n', "\r\n").into_bytes(),
        ours.replace("s3lfs/1", "https://git-lfs.github.com/spec/v1").into_bytes(),
        format!("{ours}extra\n").into_bytes(),
        format!("<<<<<<< HEAD\n{ours}=======\n{ours}>>>>>>> x\n").into_bytes(),
        cached.encode(),
    ];
    for input in inputs {
        for command in ["clean", "smudge"] {
            let single = s3lfs(&bench, &[command, "--", "f"], &input);
            assert!(single.status.success(), "{command}: {}", stderr(&single));
            filter.request(command, "f", &[]);
            filter.send_content(&input);
            let Answer::Success(content) = filter.answer() else { panic!("the process succeeds, too") };
            assert!(single.stdout == content, "{command} of {} bytes", input.len());
        }
    }
    filter.finish().well();
}

#[test]
fn a_missing_object_is_a_failure_without_a_byte() {
    let bench = Bench::new();
    let pointer = Pointer::to(b"nobody has it").unwrap();
    let output = s3lfs(&bench, &["smudge", "--", "dir/f"], &pointer.encode());
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty(), "half an answer would look like a whole one");
    let said = stderr(&output);
    assert!(said.contains("dir/f") && said.contains(&bench.key(&pointer)), "{said}");
}

#[test]
fn a_bad_object_or_a_newer_pointer_is_a_failure_without_a_byte() {
    let bench = Bench::new();
    let pointer = Pointer::to(b"right").unwrap();
    bench.put(&pointer, b"wrong");
    for blob in [pointer.encode(), b"version s3lfs/2\n".to_vec()] {
        let output = s3lfs(&bench, &["smudge", "f"], &blob);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{}", stderr(&output));
    }
    assert_eq!(bench.state_files(), Vec::<std::path::PathBuf>::new(), "nothing enters the cache");
}

#[test]
fn a_damaged_large_copy_is_a_failure() {
    let bench = Bench::new();
    let mut content = text("large", 2 * MIB);
    let pointer = bench.stored(&content);
    content[MIB] ^= 1;
    bench.put_cached(&pointer, &content);
    let output = s3lfs(&bench, &["smudge", "f"], &pointer.encode());
    assert_eq!(output.status.code(), Some(1), "it shows only at the end, but it shows");
    let again = s3lfs(&bench, &["smudge", "f"], &pointer.encode());
    assert!(again.status.success() && again.stdout == text("large", 2 * MIB), "the next try fetches it");
}

#[test]
fn pathnames_are_only_names() {
    let bench = Bench::new();
    let content = text("any", 100);
    let expected = Pointer::to(&content).unwrap().encode();
    for args in [&["clean"][..], &["clean", "--", "-x"], &["clean", "--", "a b/../c\n"], &["clean", "not/there"]] {
        let output = s3lfs(&bench, args, &content);
        assert_eq!(output.stdout, expected, "{args:?}: {}", stderr(&output));
    }
}

#[test]
fn standing_wishes_are_honoured() {
    let pointer = Pointer::to(b"nobody has it").unwrap().encode();
    for bench in [
        Bench::new().env("S3LFS_SKIP_SMUDGE", "1"),
        Bench::new().config("s3lfs.skipsmudge", "true"),
        Bench::new().env("S3LFS_SKIP_DOWNLOAD_ERRORS", "1"),
        Bench::new().config("s3lfs.skipdownloaderrors", "true"),
        Bench::new().config("s3lfs.smudgelimit", "3"),
    ] {
        let output = s3lfs(&bench, &["smudge", "f"], &pointer);
        assert!(output.status.success() && output.stdout == pointer, "the pointer stays: {}", stderr(&output));
    }
}

#[test]
fn a_store_that_was_not_accepted_leaves_the_pointer() {
    let bench = Bench::new();
    let pointer = bench.stored("content");
    bench.repo.git(&["config", "s3lfs.store", "s3://another/store"], b"");
    let output = s3lfs(&bench, &["smudge", "f"], &pointer.encode());
    assert!(output.status.success() && output.stdout == pointer.encode());
    assert!(stderr(&output).contains("s3lfs trust"), "{}", stderr(&output));
}

#[test]
fn content_that_cannot_be_kept_gets_no_pointer() {
    let bench = Bench::new();
    std::fs::write(bench.state(), "a file where the cache should be").unwrap();
    for len in [10, 3 * MIB] {
        let output = s3lfs(&bench, &["clean", "--", "f"], &text("lost", len));
        assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{len} bytes: {}", stderr(&output));
    }
}

#[test]
fn trace_logs_stay_off_stdout() {
    let bench = Bench::new().env("S3LFS_LOG", "trace");
    let pointer = bench.stored("content");
    let output = s3lfs(&bench, &["smudge", "f"], &pointer.encode());
    assert_eq!(output.stdout, b"content");
    assert!(!output.stderr.is_empty(), "there is a log");
}
