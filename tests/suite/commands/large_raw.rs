//! `s3lfs.warnabove`: a large file that is about to enter Git as it is.

use crate::world::World;

const WARNS: &str = "enters Git as it is";

#[test]
fn a_large_file_that_nobody_tracks_is_named_and_the_commit_goes() {
    let world = World::with_a();
    let work = world.at("work");
    let large = vec![b'x'; (10 << 20) + 1];
    let committed = work.commit("my film.mov", &large).says(&["'my film.mov'", "10.0 MiB", WARNS, "s3lfs upload"]);
    assert_eq!(committed.stderr.matches(WARNS).count(), 1, "once: {committed:#?}");
    work.commit("small.txt", b"small").never_says(&[WARNS]);
    work.commit("tracked.bin", &large).never_says(&[WARNS]);
    // What is said helps.
    work.s3lfs(&["upload", "my film.mov"]).ok();
    work.git(&["commit", "-q", "--amend", "--no-edit"]).ok().never_says(&[WARNS]);
    assert!(work.blob("HEAD:my film.mov").starts_with("version s3lfs/1\n"));
}

#[test]
fn a_file_that_was_a_pointer_is_named_whatever_its_size() {
    let world = World::with_a();
    let work = world.at("work");
    work.commit("b.bin", b"content of b");
    let attributes = work.text(".gitattributes");
    work.write(".gitattributes", format!("{attributes}*.bin -filter\n"));
    work.git(&["add", "--renormalize", "."]).ok();
    let committed =
        work.git(&["commit", "-qam", "raw"]).ok().says(&["a.bin and 1 more", "a pointer until now", "s3lfs track"]);
    assert_eq!(committed.stderr.matches("a pointer until now").count(), 1, "{committed:#?}");
    work.commit("c.bin", b"never was one").never_says(&["a pointer until now"]);
}

#[test]
fn the_size_is_a_setting() {
    let world = World::with_a();
    let work = world.at("work");
    work.git(&["config", "s3lfs.warnabove", "1k"]).ok();
    work.commit("exact.txt", &[b'x'; 1024]).never_says(&[WARNS]);
    work.commit("more.txt", &[b'x'; 1025]).says(&["more.txt", WARNS]);
    work.git(&["mv", "more.txt", "moved.txt"]).ok();
    work.remove("exact.txt");
    work.git(&["commit", "-qam", "a file that is deleted is not brought"]).ok().never_says(&["exact.txt"]);
    work.git(&["config", "s3lfs.warnabove", "0"]).ok();
    work.commit("most.txt", &[b'x'; 4096]).never_says(&[WARNS]);
    work.git(&["config", "s3lfs.warnabove", "zz"]).ok();
    work.commit("any.txt", &[b'x'; 4096]).says(&["s3lfs.warnabove", "zz"]);
}

#[test]
fn of_many_a_few_are_named_and_raw_content_under_a_pattern_too() {
    let world = World::with_a();
    let work = world.at("work");
    work.git(&["config", "s3lfs.warnabove", "1k"]).ok();
    for number in 0..600 {
        work.write(&format!("dir/{number}.txt"), [b'x'; 2000]);
    }
    work.git(&["add", "."]).ok();
    let committed = work.git(&["commit", "-qm", "many"]).ok().says(&["and 590 such files more"]);
    assert_eq!(committed.stderr.matches(WARNS).count(), 10, "{committed:#?}");
    work.write("raw.bin", [b'y'; 2000]);
    let off = ["process=", "clean=", "required=false"].map(|key| format!("filter.s3lfs.{key}"));
    work.git(&["-c", &off[0], "-c", &off[1], "-c", &off[2], "add", "raw.bin"]).ok();
    work.git(&["commit", "-qm", "raw"]).ok().says(&["raw.bin", WARNS]);
}
