//! `git-setup --lfs`: s3lfs in the place of git-lfs, in a clone that has none.

use super::{content, is_here, lfs_pointer, without_git_lfs};
use crate::doctor::{about, finds, run_all};
use crate::world::{World, pointer};

/// A clone with a store and the driver, and `*.psd` under `filter=lfs`; git-lfs is not there.
pub fn ready() -> World {
    let world = World::ready();
    let work = world.at("work");
    work.s3lfs(&["git-setup", "--lfs"]).ok().says(&["s3lfs answers for filter.lfs"]);
    work.write(".gitattributes", format!("*.psd filter=lfs diff=lfs merge=lfs -text\n{}", work.text(".gitattributes")));
    work.git(&["commit", "-qam", "lfs"]).ok();
    world
}

#[test]
fn what_is_committed_under_lfs_is_its_pointer_and_is_stored_before_it_is_pushed() {
    let world = ready();
    let work = without_git_lfs(&world.at("work"));
    work.commit("a.psd", &content("a", 1));
    assert_eq!(work.blob(":a.psd"), lfs_pointer(&content("a", 1)), "byte by byte what git-lfs makes");
    work.is_clean();
    work.commit("b.bin", &content("b", 1));
    assert_eq!(work.blob(":b.bin"), pointer(&content("b", 1)), "our own paths keep our own pointers");
    assert!(work.manifest()["files"].get("a.psd").is_none(), "the manifest has our own pointers alone");
    work.git(&["push", "-q"]).ok();
    assert!(world.object(&content("a", 1)).exists(), "it is in our store");
    work.drop_cache();
    work.remove("a.psd");
    work.git(&["checkout", "-q", "--", "."]).ok();
    assert_eq!(work.read("a.psd"), content("a", 1), "and comes back from there");
    work.is_clean();
    work.git(&["checkout", "-q", "HEAD~2"]).ok();
    work.drop_cache();
    work.git(&["checkout", "-q", "main"]).ok();
    assert_eq!((work.read("a.psd"), work.read("b.bin")), (content("a", 1), content("b", 1)), "both in one checkout");
    work.is_clean();
}

#[test]
fn single_commands_answer_as_git_lfs_does() {
    if !is_here() {
        return;
    }
    let world = ready();
    let work = world.at("work");
    let lfs = lfs_pointer(b"abc");
    for input in ["abc", "", &lfs, &lfs.replace('\n', "\r\n"), lfs.trim_end()] {
        let theirs = work.git_with_input(&["lfs", "clean", "--", "x.psd"], input.as_bytes()).ok().stdout;
        work.write("input", input);
        let ours = work.sh("s3lfs clean --lfs -- x.psd <input").ok().stdout;
        assert_eq!(ours, theirs, "clean of {input:?}");
    }
    for blob in [lfs.clone(), lfs.replace('\n', "\r\n"), lfs.replace("git-lfs.github", "hawser.github"), "plain".into()]
    {
        let theirs = work.git_with_input(&["lfs", "smudge", "--", "x.psd"], blob.as_bytes()).ok().stdout;
        work.write("input", &blob);
        let ours = work.sh("s3lfs smudge --lfs -- x.psd <input").ok().stdout;
        assert_eq!(ours, theirs, "smudge of {blob:?}");
    }
    let ours = work.git_with_input(&["hash-object", "-w", "--path", "x.psd", "--stdin"], pointer(b"abc").as_bytes());
    assert_eq!(work.blob(ours.ok().stdout.trim()), lfs, "our own pointer would be content for everybody else there");
}

#[test]
fn files_that_were_left_are_filled_by_download() {
    let world = ready();
    let work = without_git_lfs(&world.at("work"));
    work.commit("a.psd", &content("a", 1));
    work.commit("b.psd", &content("b", 1));
    work.git(&["push", "-q"]).ok();
    for fill in [vec!["download-all"], vec!["download", "a.psd", "b.psd"]] {
        for path in ["a.psd", "b.psd"] {
            work.remove(path);
        }
        work.env("S3LFS_SKIP_SMUDGE", "1").git(&["checkout", "-q", "--", "."]).ok();
        work.drop_cache();
        assert_eq!(work.text("a.psd"), lfs_pointer(&content("a", 1)));
        work.s3lfs(&fill).ok();
        assert_eq!((work.read("a.psd"), work.read("b.psd")), (content("a", 1), content("b", 1)), "{fill:?}");
        work.is_clean();
    }
    // Too large for Git's memory: the hook writes it.
    let large = vec![7; 3 << 20];
    work.commit("large.psd", &large);
    work.git(&["push", "-q"]).ok();
    work.git(&["checkout", "-q", "HEAD~1"]).ok();
    work.drop_cache();
    work.git(&["-c", "s3lfs.smudgelimit=1m", "checkout", "-q", "main"]).ok();
    assert!(work.read("large.psd") == large, "post-checkout filled what smudge left");
    work.is_clean();
}

#[test]
fn what_others_set_for_that_filter_is_there_again_after_uninstall() {
    let world = World::ready();
    let work = world.at("work");
    let settings = |scope: &str| work.git(&["config", scope, "--get-regexp", "^filter\\.lfs"]).stdout;
    work.git(&["config", "--global", "filter.lfs.process", "git-lfs filter-process"]).ok();
    let (global, nothing) = (settings("--global"), settings("--local"));
    assert_eq!(nothing, "");
    work.s3lfs(&["git-setup", "--lfs"]).ok();
    work.s3lfs(&["git-setup", "--lfs"]).ok();
    assert!(settings("--local").contains("filter.lfs.process s3lfs filter-process --lfs\n"));
    let doctor = work.s3lfs(&["doctor"]).ok().stdout;
    assert!(doctor.contains("s3lfs answers for filter.lfs"), "doctor says who answers: {doctor}");
    work.s3lfs(&["git-setup", "--uninstall"]).ok();
    assert_eq!((settings("--local"), settings("--global")), (nothing, global.clone()), "nothing of ours is left");

    work.sh("git config filter.lfs.clean 'git-lfs clean -- %f' && git config filter.lfs.required true").ok();
    let before = settings("--local");
    work.s3lfs(&["git-setup", "--lfs"]).ok();
    work.s3lfs(&["git-setup", "--uninstall"]).ok();
    assert_eq!((settings("--local"), settings("--global")), (before, global), "theirs is as it was");
}

#[test]
fn a_hook_of_git_lfs_that_would_refuse_is_named_with_what_takes_it_out() {
    if !is_here() {
        return;
    }
    let world = ready();
    let work = world.at("work");
    let ours = work.text(".git/hooks/pre-push");
    let theirs = "command -v git-lfs >/dev/null 2>&1 || { echo no git-lfs; exit 2; }\ngit lfs pre-push \"$@\"\n";
    work.script(".git/hooks/pre-push", &format!("{ours}{theirs}"));
    let mend = finds(&work.s3lfs(&["doctor", "--json"]).json("doctor"), "git-lfs", "warning", &["pre-push", "refuses"]);
    work.commit("a.psd", &content("a", 1));
    assert_ne!(work.git(&["push", "-q"]).code, 0, "git-lfs misses it");
    run_all(&work, &mend);
    assert_eq!(about(&work.s3lfs(&["doctor", "--json"]).json("doctor"), "git-lfs"), []);
    assert_eq!(work.text(".git/hooks/pre-push"), ours, "no other line goes");
    work.git(&["push", "-q"]).ok();
    assert!(world.object(&content("a", 1)).exists());
}
