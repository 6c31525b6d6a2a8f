//! What Git 2.47.3 said and was answered, replayed.
//!
//! Recorded with `tee $T.in | s3lfs filter-process | tee $T.out` as `filter.s3lfs.process`: a `git
//! add` of four files, and a `git clone` (not `required`) for which the store had no content but that
//! of `a.bin`. So the order of the lists is no chance.

use std::fs;
use std::path::Path;

use s3lfs::pointer::Pointer;

use super::bench::Bench;
use crate::scratch::run;

fn transcript(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/transcripts").join(name)).unwrap()
}

fn replay(bench: &Bench, name: &str) {
    let output = run(&mut bench.s3lfs(&["filter-process"]), &transcript(&format!("{name}.in")));
    let (got, expected) = (output.stdout, transcript(&format!("{name}.out")));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert_eq!(text(&got), text(&expected), "{name}: {}", text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{name}: Git closed the pipe between requests");
}

#[test]
fn an_add() {
    let bench = Bench::new();
    replay(&bench, "add");
    for content in ["the content of two files\n", "another content\n"] {
        let pointer = Pointer::to(content.as_bytes()).unwrap();
        assert_eq!(bench.in_cache(&pointer).as_deref(), Some(content.as_bytes()), "it is cached");
    }
    assert_eq!(bench.state_files().len(), 2, "equal files once, the empty one not at all");
}

#[test]
fn a_clone() {
    let bench = Bench::new();
    bench.stored("another content\n");
    replay(&bench, "clone");
}
