//! What stands in the way of a rewriting is said before anything is changed.

use super::{large, raw};
use crate::world::{Place, World};

fn with_large() -> World {
    let world = raw();
    world.at("work").commit("a.psd", &large("a", 1));
    world
}

const IMPORT: [&str; 4] = ["migrate", "import", "--above", "1k"];

/// It is refused, with these words, and no ref moves.
#[track_caller]
fn refused(place: &Place<'_>, says: &[&str]) {
    let refs = |place: &Place<'_>| place.git(&["for-each-ref"]).ok().stdout + &place.head();
    let before = refs(place);
    place.s3lfs(&IMPORT).fails(1).says(says);
    assert_eq!(refs(place), before, "no ref moves");
}

#[test]
fn nothing_of_the_users_own_is_touched() {
    let world = with_large();
    let work = world.at("work");
    work.write("README", "changed");
    refused(&work, &["changes that are not committed", "git stash"]);
    work.git(&["checkout", "-q", "--", "README"]).ok();
    work.write(".gitattributes", "*.txt text\n");
    refused(&work, &[".gitattributes is here and not in Git"]);
    work.remove(".gitattributes");
    work.git(&["worktree", "add", "-q", "-b", "other", "../linked"]).ok();
    refused(&work, &["refs/heads/other is checked out in another worktree"]);
    work.git(&["worktree", "remove", "../linked"]).ok();
    work.git(&["checkout", "-q", "--detach"]).ok();
    refused(&work, &["HEAD is at a commit"]);
    work.git(&["checkout", "-q", "main"]).ok();
    work.git(&["replace", "HEAD", "HEAD~1"]).ok();
    refused(&work, &["replaced objects"]);
    work.sh("git replace --delete \"$(git rev-parse HEAD)\"").ok();
    work.write("untracked", "stays");
    work.s3lfs(&IMPORT).ok();
    assert_eq!(work.text("untracked"), "stays");
}

#[test]
fn what_is_large_has_to_be_said() {
    let world = with_large();
    let work = world.at("work");
    for args in [&["migrate", "import"][..], &["migrate", "import", "--dry-run"], &["migrate", "import", "main"]] {
        let ran = work.s3lfs(args);
        assert_eq!(ran.code, 2, "{ran:#?}");
        ran.says(&["--include <PATTERN>|--above <SIZE>"]);
    }
    work.s3lfs(&["migrate", "import", "--include", "*.psd", "--above", "1k", "--dry-run"]).ok();
}

#[test]
fn what_a_remote_has_is_rewritten_only_when_that_is_agreed() {
    let world = with_large();
    let work = world.at("work");
    work.git(&["-c", "s3lfs.allowraw=true", "push", "-q", "origin", "main"]).ok();
    work.commit("b.psd", &large("b", 1));
    refused(&work, &["a remote has 1 commit", "--yes"]);
    work.s3lfs(&[&IMPORT[..], &["--yes"]].concat()).ok();
    work.is_clean();
}

#[test]
fn an_attributes_file_that_would_keep_a_file_from_us_is_named() {
    let world = with_large();
    let work = world.at("work");
    work.write("dir/.gitattributes", "*.psd -filter\n");
    work.write("dir/b.psd", large("b", 1));
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-qm", "exception"]).ok();
    refused(&work, &["keeps dir/b.psd from s3lfs", "--exclude"]);
    work.s3lfs(&[&IMPORT[..], &["--exclude", "dir/**"]].concat()).ok();
    work.is_clean();
}

#[test]
fn a_clone_that_has_not_everything_is_refused_and_so_is_nonsense() {
    let world = with_large();
    let work = world.at("work");
    work.commit("b", b"more");
    world.at("").git(&["clone", "-q", "--depth", "1", &world.url("work"), "shallow"]).ok();
    world.at("shallow").s3lfs(&["git-setup"]).ok();
    world.at("shallow").s3lfs(&IMPORT).fails(1).says(&["shallow"]);
    assert_eq!(work.s3lfs(&["migrate", "import"]).code, 2, "everything is never meant");
    assert_eq!(work.s3lfs(&["migrate", "import", "--above", "much"]).code, 2);
    work.s3lfs(&[&IMPORT[..], &["nowhere"]].concat()).fails(1).says(&["nowhere is no branch or tag"]);
    work.git(&["config", "--remove-section", "filter.s3lfs"]).ok();
    work.s3lfs(&IMPORT).fails(1).says(&["git-setup"]);
}

#[test]
fn an_older_commit_in_which_a_line_keeps_a_file_from_the_filter_is_named() {
    let world = with_large();
    let work = world.at("work");
    let start = work.head();
    // The exception and the file, but never both of them.
    work.write("other/.gitattributes", "*.psd -filter\n");
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-qm", "an exception for nothing"]).ok();
    work.git(&["rm", "-q", "other/.gitattributes"]).ok();
    work.commit("other/b.psd", &large("b", 1));
    work.git(&["branch", "good"]).ok();
    // And one that counted for a while.
    work.write("dir/.gitattributes", "*.psd -filter\n");
    work.write("dir/b.psd", large("b", 2));
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-qm", "exception"]).ok();
    let bad = work.head();
    work.git(&["rm", "-q", "dir/.gitattributes"]).ok();
    work.git(&["commit", "-qm", "none any more"]).ok();
    refused(&work, &["keeps dir/b.psd from s3lfs", &bad, "--exclude"]);
    work.git(&["switch", "-q", "good"]).ok();
    work.s3lfs(&[&IMPORT[..], &["good"]].concat()).ok();
    work.is_clean();
    assert_eq!(work.read("other/b.psd"), large("b", 1));
    assert!(work.blob("good:other/b.psd").starts_with("version s3lfs/1\n"), "{start}");
}

#[test]
fn an_exception_to_an_exception_keeps_nothing_from_the_filter() {
    let world = with_large();
    let work = world.at("work");
    let file = |path: &str, text: &str| format!("M 100644 inline {path}\ndata {}\n{text}\n", text.len());
    let content = String::from_utf8(large("c", 1)).unwrap();
    let stream = "commit refs/heads/twice\ncommitter n <n@e> 1700000000 +0000\ndata 1\nx\n".to_owned()
        + &file("twice/.gitattributes", "*.psd -filter\n")
        + &file("twice/deep/.gitattributes", "*.psd filter=s3lfs\n")
        + &file("twice/deep/c.psd", &content);
    work.git_with_input(&["fast-import", "--quiet"], stream.as_bytes()).ok();
    work.s3lfs(&[&IMPORT[..], &["twice"]].concat()).ok();
    assert!(work.blob("twice:twice/deep/c.psd").starts_with("version s3lfs/1\n"));
    work.git(&["switch", "-q", "twice"]).ok();
    assert_eq!(work.read("twice/deep/c.psd"), large("c", 1));
    work.is_clean();
}

#[test]
fn a_tree_that_is_deeper_than_any_path_ends_in_an_error() {
    for depth in [1000, 10_000] {
        let world = with_large();
        let work = world.at("work");
        let path = "d/".repeat(depth) + "deep.psd";
        let stream = format!(
            "commit refs/heads/deep\ncommitter n <n@e> 1700000000 +0000\ndata 1\nx\nM 100644 inline {path}\ndata 5\nlarge\n\n"
        );
        work.git_with_input(&["-c", "core.maxTreeDepth=20000", "fast-import", "--quiet"], stream.as_bytes()).ok();
        for words in [&["--include", "*.psd"][..], &["--above", "1", "--include", "*.psd"]] {
            let before = work.git(&["for-each-ref"]).ok().stdout;
            let ran = work.s3lfs(&[&["migrate", "import", "--yes"], words, &["deep"]].concat());
            if depth > 1024 {
                ran.fails(1);
                assert_eq!(work.git(&["for-each-ref"]).ok().stdout, before, "nothing was changed");
            } else {
                ran.ok();
                work.git(&["update-ref", "-d", "refs/original/refs/heads/deep"]).ok();
                break;
            }
        }
    }
}

/// The word of a file further down means what a file at the top says that it means.
#[test]
fn a_macro_that_keeps_a_file_from_the_filter_is_seen_through() {
    let world = with_large();
    let work = world.at("work");
    work.write(".gitattributes", "[attr]plain -filter\n");
    work.write("raw/.gitattributes", "*.psd plain\n");
    work.write("raw/b.psd", large("b", 1));
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-qm", "raw by a macro"]).ok();
    refused(&work, &["keeps raw/b.psd from s3lfs", "--exclude"]);
    work.write("raw/.gitattributes", "*.txt plain\n");
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-q", "--amend", "-m", "a macro for others"]).ok();
    work.s3lfs(&IMPORT).ok();
    assert!(work.blob("HEAD:raw/b.psd").starts_with("version s3lfs/1\n"));
    work.is_clean();
}
