//! What one clone says of attributes for itself, in `.git/info/attributes`: what is pushed is read without it.

use crate::world::{World, oid};

const INFO: &str = ".git/info/attributes";

#[test]
fn raw_content_is_found_although_this_clone_switched_the_filter_off() {
    let world = World::with_a();
    let work = world.at("work");
    work.write(".gitattributes", format!("{}[attr]big filter=s3lfs -text\n", work.text(".gitattributes")));
    work.write("art/.gitattributes", "*.psd big\n");
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-qm", "macro"]).ok();
    let before = world.remote_head("main");
    for (path, line) in [("b.bin", "# mine\n*.bin -filter\n"), ("art/c.psd", "art/*.psd !filter\n")] {
        work.write(INFO, line);
        work.write(path, "raw content");
        work.git(&["add", path]).ok();
        work.s3lfs(&["fsck"]).fails(3).says(&[path, "raw content in Git"]);
        work.git(&["commit", "-qm", path]).ok();
        work.s3lfs(&["fsck", "--pointers"]).fails(3).says(&[path]);
        let ran = work.git(&["push"]);
        assert_ne!(ran.code, 0, "others would have it raw: {ran:?}");
        ran.says(&["push refused", path]);
        assert_ne!(world.remote_head("main"), work.head());
        work.git(&["reset", "-q", "--hard", "HEAD~1"]).ok();
    }
    work.remove(INFO);
    work.git(&["push", "-q"]).ok();
    assert_ne!(world.remote_head("main"), before);
}

/// A pointer that is made while the filter was on is proved to be in the store whatever this clone says now.
#[test]
fn pointers_are_proved_although_this_clone_switched_the_filter_off() {
    let world = World::with_a();
    let work = world.at("work");
    work.git(&["config", "s3lfs.uploadon", "push"]).ok();
    work.commit("b.bin", b"b");
    work.write(INFO, "*.bin -filter\n");
    work.git(&["push", "-q"]).ok();
    assert!(world.object(b"b").exists(), "the push uploads it");
    // And the other way round: what only this clone gives to the filter is proved too.
    work.write(INFO, "*.dat filter=s3lfs\n");
    work.commit("c.dat", b"c");
    assert!(work.blob("HEAD:c.dat").contains(&oid(b"c")));
    work.git(&["push", "-q"]).ok();
    assert!(world.object(b"c").exists());
}
