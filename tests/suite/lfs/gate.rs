//! Where s3lfs answers for `filter.lfs`: nothing is pushed there that nobody could check out, and the commands that look
//! know these files too.

use serde_json::json;

use super::driver::ready;
use super::{content, lfs_pointer, without_git_lfs};
use crate::world::{Place, World, oid};

/// Put a blob into the index as it is, past all filters.
fn stage_raw(place: &Place<'_>, path: &str, blob: &[u8]) {
    let id = place.git_with_input(&["hash-object", "-w", "--stdin", "--no-filters"], blob).ok().stdout;
    place.git(&["update-index", "--add", "--cacheinfo", &format!("100644,{},{path}", id.trim())]).ok();
}

fn commit(place: &Place<'_>) {
    place.git(&["commit", "-qm", "as it is"]).ok();
}

#[test]
fn raw_content_under_that_filter_is_not_pushed() {
    let world = ready();
    let work = without_git_lfs(&world.at("work"));
    work.git(&["push", "-q"]).ok();
    stage_raw(&work, "raw.psd", &content("raw", 1));
    commit(&work);
    let push = work.git(&["push", "-q"]);
    assert_ne!(push.code, 0, "the push must be refused: {push:#?}");
    push.says(&["raw.psd holds its content in Git", "push refused: 1 file under filter=lfs with raw content"]);
    work.git(&["-c", "s3lfs.allowraw=true", "push", "-q"]).ok();
}

#[test]
fn a_pointer_to_content_that_is_nowhere_is_not_pushed() {
    let world = ready();
    let work = without_git_lfs(&world.at("work"));
    work.git(&["push", "-q"]).ok();
    stage_raw(&work, "lost.psd", lfs_pointer(b"lost").as_bytes());
    // As git-lfs reads it too: no canonical pointer, and none of ours.
    stage_raw(&work, "loose.psd", lfs_pointer(b"loose").replace('\n', "\r\n").as_bytes());
    commit(&work);
    let push = work.git(&["push", "-q"]);
    assert_ne!(push.code, 0, "the push must be refused: {push:#?}");
    push.says(&["lost.psd", &oid(b"lost"), "loose.psd", "push refused: the content of 2 files is not in the store"]);
    let allowed = work.git(&["-c", "s3lfs.allowmissing=lost.psd", "push", "-q"]);
    assert_ne!(allowed.code, 0, "the other one is still missing: {allowed:#?}");
    // Where the content is here, it goes along.
    work.write("loose.psd", "loose");
    work.write("lost.psd", "lost");
    work.git(&["add", "."]).ok();
    work.git(&["push", "-q"]).ok();
    assert!(world.object(b"lost").exists() && world.object(b"loose").exists(), "both are in the store");
}

#[test]
fn what_colleagues_published_with_git_lfs_stops_no_push() {
    let world = ready();
    let work = without_git_lfs(&world.at("work"));
    stage_raw(&work, "theirs.psd", lfs_pointer(b"in their server").as_bytes());
    commit(&work);
    work.git(&["push", "-q", "--no-verify"]).ok();
    // As if it had come from them: the file itself was never here.
    work.env("S3LFS_SKIP_SMUDGE", "1").git(&["checkout", "-q", "--", "theirs.psd"]).ok();
    work.write(".gitattributes", format!("*.txt text\n{}", work.text(".gitattributes")));
    work.write("mine.psd", content("mine", 1));
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-qm", "mine"]).ok();
    work.git(&["push", "-q"]).ok();
    assert!(world.object(&content("mine", 1)).exists(), "what is new is sent");
    // What this clone last saw of the remote is not believed to be in the store for ever; published it stays.
    work.sh("rm -rf .git/logs/refs/remotes").ok();
    work.git(&["switch", "-qc", "topic"]).ok();
    work.write("more.psd", content("more", 1));
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-qm", "more"]).ok();
    work.git(&["push", "-qu", "origin", "topic"]).ok();
    assert!(world.object(&content("more", 1)).exists(), "what is new is sent");
}

#[test]
fn what_needs_programs_of_git_lfs_is_left_to_it() {
    let world = ready();
    let work = without_git_lfs(&world.at("work"));
    let line = format!("ext-0-foo sha256:{}\noid", oid(b"before"));
    stage_raw(&work, "extended.psd", lfs_pointer(b"after").replace("oid", &line).as_bytes());
    stage_raw(&work, "empty.psd", b"");
    commit(&work);
    work.git(&["push", "-q"]).ok();
    work.s3lfs(&["fsck", "--pointers"]).ok();
}

#[test]
fn a_clone_in_which_git_lfs_answers_is_not_touched() {
    let world = World::ready();
    let work = world.at("work");
    work.write(".gitattributes", format!("*.psd filter=lfs -text\n{}", work.text(".gitattributes")));
    stage_raw(&work, "raw.psd", &content("raw", 1));
    stage_raw(&work, "lost.psd", lfs_pointer(b"lost").as_bytes());
    work.git(&["add", ".gitattributes"]).ok();
    commit(&work);
    work.git(&["push", "-q"]).ok();
    work.s3lfs(&["fsck", "--pointers"]).ok();
    assert_eq!(work.s3lfs(&["ls"]).ok().stdout, "", "they are no files of ours");
}

#[test]
fn fsck_judges_them() {
    let world = ready();
    let work = without_git_lfs(&world.at("work"));
    work.commit("good.psd", &content("good", 1));
    work.s3lfs(&["fsck", "--pointers"]).ok();
    let before = work.head();
    stage_raw(&work, "raw.psd", &content("raw", 1));
    work.s3lfs(&["fsck"]).fails(3).says(&["raw.psd: raw content in Git"]);
    commit(&work);
    for range in [vec!["fsck", "--pointers"], vec!["fsck", "--pointers", &format!("{before}..HEAD")]] {
        let found = work.s3lfs(&range).fails(3).says(&["raw.psd", "raw content in Git"]);
        found.never_says(&["good.psd"]);
    }
    work.git(&["reset", "-q", "--hard", &before]).ok();
    // Content that is damaged, and Git takes for unchanged.
    work.git(&["push", "-q"]).ok();
    // Its time has to be older than the index, or Git looks at the content (racy-git in Git's documentation).
    work.git(&["config", "core.trustctime", "false"]).ok();
    work.sh("touch -d '1 hour ago' good.psd && git update-index -q --refresh").ok();
    let touched = work.sh("touch -r good.psd ../times && printf x | dd of=good.psd conv=notrunc status=none && touch -r ../times good.psd");
    touched.ok();
    work.s3lfs(&["fsck"]).fails(3).says(&["good.psd", "its bytes are not what the index names"]);
    work.s3lfs(&["fsck", "--fix"]).ok();
    assert_eq!(work.read("good.psd"), content("good", 1), "mended by the store");
    work.drop_cache();
    std::fs::remove_file(world.object(&content("good", 1))).unwrap();
    work.remove("good.psd");
    work.s3lfs(&["fsck"]).fails(3).says(&["good.psd", "its content is nowhere"]);
    work.s3lfs(&["verify"]).fails(3).says(&["good.psd"]);
    work.s3lfs(&["verify", "HEAD"]).fails(3).says(&["good.psd"]);
}

#[test]
fn status_and_ls_list_them() {
    let world = ready();
    let work = without_git_lfs(&world.at("work"));
    work.commit("a.psd", &content("a", 1));
    work.commit("b.bin", &content("b", 1));
    let line = |name: &str, shown: &str| {
        let size = format!("{:.1} KiB", content(name, 1).len() as f64 / 1024.0);
        format!("{} {size:>10}  {shown}\n", &oid(&content(name, 1))[..8])
    };
    let listed = work.s3lfs(&["ls"]).ok().stdout;
    assert_eq!(listed, line("a", "a.psd (git-lfs)") + &line("b", "b.bin"));
    assert_eq!(work.s3lfs(&["ls", "-z"]).ok().stdout, "a.psd\0b.bin\0");
    assert_eq!(work.s3lfs(&["ls", "a.psd"]).ok().stdout, line("a", "a.psd (git-lfs)"));
    let json = work.s3lfs(&["ls", "--json"]).ok().json("ls");
    assert_eq!((&json["items"][0]["filter"], &json["items"][1]["filter"]), (&json!("lfs"), &json!(null)));
    work.s3lfs(&["status"]).ok();
    work.git(&["push", "-q"]).ok();
    work.write("a.psd", "other");
    work.git(&["add", "a.psd"]).ok();
    work.remove("a.psd");
    let status = work.s3lfs(&["status"]).ok().stdout;
    assert!(status.contains("missing, not uploaded       a.psd (git-lfs)\n"), "{status}");
    assert!(status.contains("2 tracked files"), "{status}");
}

/// git-lfs reads more than it writes, and so does who answers in its place.
#[test]
fn a_pointer_in_another_form_is_filled_like_any_other() {
    let world = ready();
    let work = without_git_lfs(&world.at("work"));
    work.write("known.psd", "known");
    work.git(&["add", "known.psd"]).ok();
    let loose = lfs_pointer(b"known").replace('\n', "\r\n");
    stage_raw(&work, "loose.psd", loose.as_bytes());
    commit(&work);
    work.git(&["push", "-q"]).ok();
    for standing in [None, Some(&loose)] {
        if let Some(text) = standing {
            work.write("loose.psd", text);
        }
        work.s3lfs(&["download-all"]).ok();
        assert_eq!(work.text("loose.psd"), "known", "where {standing:?} stood");
    }
}
