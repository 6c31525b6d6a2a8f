//! A `git pull` that stops at content which is not in the store: Git has written other files by then, and takes them for
//! the user's own changes. What s3lfs says about it is tried word by word.

use std::fs;

use crate::world::{Place, World};

const CONTENT: &[u8] = b"content that is gone for a while\n";

/// A clone that is one commit behind: it changed a file that sorts before the one without content, and one behind.
fn behind(world: &World) -> Place<'_> {
    let work = world.at("work");
    work.write("b.txt", "text\n");
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-qm", "text"]).ok();
    work.git(&["push", "-q"]).ok();
    let clone = world.cloned("clone");
    work.write("a.bin", CONTENT);
    work.write("b.txt", "another text\n");
    work.write("c.bin", "content of c\n");
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-qm", "changed"]).ok();
    work.git(&["push", "-q"]).ok();
    clone
}

#[test]
fn a_pull_says_the_way_out_and_that_is_one() {
    let world = World::with_a();
    let clone = behind(&world);
    let (object, aside) = (world.object(CONTENT), world.path("aside"));
    fs::rename(&object, &aside).unwrap();
    let pull = clone.git(&["pull", "-q"]).fails(128);
    pull.says(&["a.bin: cannot read", "smudge filter s3lfs failed", "may have written other files", "git stash -u"]);
    fs::rename(&aside, &object).unwrap();
    let again = clone.git(&["pull", "-q"]);
    assert!(again.code != 0 && again.stderr.contains(".s3_manifest.json"), "Git refuses its own files: {again:?}");
    clone.git(&["stash", "-u"]).ok();
    clone.git(&["pull", "-q"]).ok();
    assert_eq!(clone.read("a.bin"), CONTENT, "the same command succeeds");
    assert_eq!((clone.text("b.txt"), clone.text("c.bin")), ("another text\n".into(), "content of c\n".into()));
    clone.is_clean();
    clone.git(&["stash", "show", "-u"]).ok();
}

#[test]
fn what_git_does_not_leave_half_way_is_not_said_to_be() {
    let world = World::with_a();
    let clone = behind(&world);
    clone.git(&["fetch", "-q"]).ok();
    fs::remove_file(world.object(CONTENT)).unwrap();
    let single = clone.git(&["checkout", "-q", "-f", "--", "a.bin"]).ok();
    single.never_says(&["git stash -u"]);
    let set_up = ["filter.s3lfs.process=s3lfs filter-process", "filter.s3lfs.required=true"].map(str::to_owned);
    let options = set_up.into_iter().chain([format!("s3lfs.trust={}/**", world.url("store"))]);
    let options: Vec<String> = options.flat_map(|option| ["-c".to_owned(), option]).collect();
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let new = world.at("").git(&[&options[..], &["clone", "-q", "remote.git", "new"]].concat()).fails(128);
    new.says(&["a.bin: cannot read", "git restore"]).never_says(&["git stash -u"]);
}
