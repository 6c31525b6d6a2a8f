//! `remove --purge-from-s3` against a service that refuses: a file is tracked as long as its object is there, so that
//! the same command finds it again.

use super::bench::{Bench, key};
use super::fault::Fault;
use super::server::Op;

/// An answer of DeleteObjects that deletes nothing, and says so of one key alone.
fn refuses(content: &[u8]) -> Fault {
    Fault::Answer(format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><DeleteResult><Error><Key>{}</Key><Code>AccessDenied</Code>\
         <Message>no</Message></Error></DeleteResult>",
        key(content)
    ))
}

#[test]
fn what_the_store_does_not_delete_stays_tracked_and_the_same_command_completes() {
    let bench = Bench::with(b"needed");
    let work = bench.work();
    // No commit names it: when the index forgets it, nobody can tell any more what was to be purged.
    work.write("new.bin", "never committed");
    work.s3lfs(&["upload", "new.bin"]).ok();
    let before = (work.index(), work.manifest());
    let args = ["remove", "new.bin", "--purge-from-s3"];
    for op in [Op::DeleteMany, Op::Delete] {
        bench.server.fault(op, 100, Fault::Refuse(403, "AccessDenied"));
    }
    work.s3lfs(&args).fails(1).says(&["new.bin", &key(b"never committed"), "AccessDenied"]).never_says(&["No longer"]);
    assert_eq!(before, (work.index(), work.manifest()), "it is tracked as before");
    bench.server.mend();
    // What comes before the deletion fails: the sweep can't be announced.
    bench.server.fault(Op::Put, 100, Fault::Refuse(403, "AccessDenied"));
    work.s3lfs(&args).fails(1).says(&["cleanup/sweep"]).never_says(&["No longer"]);
    assert_eq!(before, (work.index(), work.manifest()), "it is tracked as before");
    bench.server.mend();
    assert!(bench.has(b"never committed"));
    work.s3lfs(&args).ok().says(&["Deleted 1 object", "No longer tracking new.bin"]);
    assert!(!bench.has(b"never committed"), "now it is gone");
    assert_eq!(work.text("new.bin"), "never committed", "the file stays");
    work.s3lfs(&["ls"]).ok().never_says(&["new.bin"]);
}

#[test]
fn of_many_files_those_stay_tracked_whose_objects_do() {
    let bench = Bench::with(b"needed");
    let work = bench.work();
    for (path, content) in [("art/x.bin", "x"), ("art/y.bin", "y")] {
        work.write(path, content);
        work.s3lfs(&["upload", path]).ok();
    }
    bench.server.fault(Op::DeleteMany, 1, refuses(b"y"));
    let args = ["remove-subtree", "art", "--purge-from-s3", "--json"];
    let json = work.s3lfs(&args).fails(3).json("remove-subtree");
    assert_eq!(json["items"][0]["path"], "art/x.bin", "the other one is done");
    assert_eq!(json["errors"][0]["path"], "art/y.bin");
    assert!(json["errors"][0]["error"].as_str().unwrap().contains(&key(b"y")));
    assert_eq!(work.git(&["ls-files", "art"]).ok().stdout, "art/y.bin\n");
    work.s3lfs(&["remove-subtree", "art", "--purge-from-s3"]).ok();
    assert!(!bench.has(b"y") && work.exists("art/y.bin"));
    assert_eq!(work.git(&["ls-files", "art"]).ok().stdout, "");
}

#[test]
fn a_pointer_is_filled_before_its_object_goes() {
    let bench = Bench::with(b"needed");
    let work = bench.work();
    bench.server.fault(Op::Get, 100, Fault::Refuse(404, "NoSuchKey"));
    let args = ["remove", "a.bin", "--purge-from-s3", "--force"];
    work.s3lfs(&args).fails(1);
    assert!(bench.has(b"needed"), "nothing is deleted that this clone could not get");
    bench.server.mend();
    work.s3lfs(&args).ok();
    assert!(!bench.has(b"needed"));
    assert_eq!(work.text("a.bin"), "needed", "the file has it now");
}
