//! The manifest and `.gitattributes`.

use super::{about, finds, fine, run_all, stopped};
use crate::world::{MANIFEST, World};

#[test]
fn without_a_manifest_there_is_no_store() {
    let world = World::new();
    let work = world.at("work");
    work.s3lfs(&["git-setup", "-q"]).ok();
    let answer = stopped(work.s3lfs(&["doctor", "--json"]));
    let mend = finds(&answer, "manifest", "stops", &[MANIFEST, "no store was chosen"]);
    assert!(mend[0].starts_with("s3lfs init"), "{mend:?}");
}

#[test]
fn a_commit_from_before_the_store_was_chosen_needs_none() {
    let world = World::new();
    let work = world.at("work");
    // Its pointers are those of git-lfs.
    work.write(".gitattributes", "*.psd filter=lfs diff=lfs merge=lfs -text\n");
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-qm", "before"]).ok();
    work.s3lfs(&["init", &world.url("store"), "proj"]).ok();
    work.s3lfs(&["git-setup", "-q", "--track", "*.bin"]).ok();
    work.commit("a.bin", b"content");
    work.git(&["switch", "-q", "--detach", "HEAD~1"]).ok();
    let answer = work.s3lfs(&["doctor", "--json"]).ok().json("doctor");
    let mend = finds(&answer, "manifest", "note", &["this commit has no .s3_manifest.json, and commit"]);
    assert!(!mend.concat().contains("init"), "nothing is to be set up anew: {mend:?}");
    assert!(!answer.to_string().contains("lacks the lines"), "nor are lines to be added: {answer:#}");
}

#[test]
fn a_manifest_that_does_not_parse_is_named_with_its_line() {
    let world = World::with_a();
    let work = world.at("work");
    work.write(MANIFEST, "{\n  \"bucket_name\": }\n");
    let answer = stopped(work.s3lfs(&["doctor", "--json"]));
    let mend = finds(&answer, "manifest", "stops", &["line 2"]);
    assert!(mend[0].contains("git checkout HEAD -- .s3_manifest.json"), "{mend:?}");
    work.remove(MANIFEST);
    let answer = work.s3lfs(&["doctor", "--json"]).ok().json("doctor");
    run_all(&work, &finds(&answer, "manifest", "warning", &["not in the worktree"]));
    fine(&work);
}

#[test]
fn what_nobody_else_has_is_said() {
    let world = World::new();
    let work = world.at("work");
    work.s3lfs(&["init", &world.url("store"), "proj"]).ok();
    work.s3lfs(&["git-setup", "--track", "*.bin"]).ok();
    let answer = work.s3lfs(&["doctor", "--json"]).ok().json("doctor");
    run_all(&work, &finds(&answer, "manifest", "warning", &["not in Git"]));
    run_all(&work, &finds(&answer, "attributes", "warning", &["not in Git"]));
    fine(&work);
    work.git(&["rm", "-q", "--cached", MANIFEST]).ok();
    work.write(".gitignore", "*.json\n");
    let answer = work.s3lfs(&["doctor", "--json"]).ok().json("doctor");
    run_all(&work, &finds(&answer, "manifest", "warning", &["not in Git (a line of .gitignore names it)"]));
    fine(&work);
}

#[test]
fn lines_that_give_our_own_files_to_the_filter_are_found() {
    let world = World::with_a();
    let work = world.at("work");
    let lines = work.text(".gitattributes");
    work.write(".gitattributes", format!("{lines}* filter=s3lfs\n"));
    let answer = stopped(work.s3lfs(&["doctor", "--json"]));
    let count = lines.lines().count() + 1;
    let below = format!("not the last in .gitattributes: line {count} stands below them");
    run_all(&work, &finds(&answer, "attributes", "warning", &[&below]));
    fine(&work);
    // A line that takes nothing from them is no less below them.
    work.write(".gitattributes", format!("{lines}*.txt text\n"));
    let answer = work.s3lfs(&["doctor", "--json"]).ok().json("doctor");
    run_all(&work, &finds(&answer, "attributes", "warning", &[&below]));
    fine(&work);
    work.write(".gitattributes", lines.replace(".gitmodules -filter\n", ""));
    let answer = work.s3lfs(&["doctor", "--json"]).ok().json("doctor");
    run_all(&work, &finds(&answer, "attributes", "warning", &["lacks the lines"]));
    fine(&work);
    work.write(".git/info/attributes", ".gitignore filter=s3lfs\n");
    let answer = stopped(work.s3lfs(&["doctor", "--json"]));
    finds(&answer, "attributes", "stops", &[".gitignore"]);
}

#[test]
fn attributes_of_this_clone_that_switch_the_filter_off_are_found() {
    let world = World::with_a();
    let work = world.at("work");
    let info = ".git/info/attributes";
    work.write(info, "# mine\n*.txt -filter\n");
    fine(&work);
    work.write(info, "# mine\n*.bin -filter\n*.txt text\na.bin !filter\n");
    let answer = stopped(work.s3lfs(&["doctor", "--json"]));
    run_all(&work, &finds(&answer, "attributes", "stops", &["info/attributes", "a.bin"]));
    assert_eq!(work.text(info), "# mine\n*.txt text\n", "those lines, and no others");
    fine(&work);
    work.write(info, "[attr]off -filter\n*.bin off\n");
    let answer = stopped(work.s3lfs(&["doctor", "--json"]));
    run_all(&work, &finds(&answer, "attributes", "stops", &["info/attributes", "a.bin"]));
    fine(&work);
}

#[test]
fn the_python_tools_manifest_wants_migration() {
    let world = World::with_a();
    let work = world.at("work");
    work.write(".s3_manifest.yaml", "bucket_name: x\nrepo_prefix: y\nfiles: {}\n");
    let answer = work.s3lfs(&["doctor", "--json"]).json("doctor");
    let mend = finds(&answer, "manifest", "warning", &[".s3_manifest.yaml"]);
    assert_eq!(mend, ["s3lfs migrate"]);
}

#[test]
fn a_manifest_that_the_history_lost_is_an_error() {
    let world = World::with_a();
    let work = world.at("work");
    work.git(&["rm", "-q", MANIFEST]).ok();
    work.git(&["-c", "core.hooksPath=/dev/null", "commit", "-qm", "lost"]).ok();
    let found = work.s3lfs(&["doctor"]).fails(1).stdout;
    assert!(found.contains("it was lost since") && found.contains("mend: git checkout"), "{found}");
}

#[test]
fn a_manifest_with_the_lines_of_both_sides_is_mended_by_one_command() {
    let world = World::with_a();
    let work = world.at("work");
    let conflicted = |work: &crate::world::Place<'_>| {
        work.git(&["switch", "-qc", "other"]).ok();
        work.write(MANIFEST, work.text(MANIFEST).replace("\"proj\"", "\"theirs\""));
        work.git(&["-c", "core.hooksPath=/dev/null", "commit", "-qam", "theirs"]).ok();
        work.git(&["switch", "-q", "main"]).ok();
        work.write(MANIFEST, work.text(MANIFEST).replace("\"proj\"", "\"ours\""));
        work.git(&["-c", "core.hooksPath=/dev/null", "commit", "-qam", "ours"]).ok();
        let merge = work.git(&["merge", "-q", "other"]);
        assert_eq!(merge.code, 1, "a conflict: {merge:#?}");
    };
    // As where nobody set up the merge driver.
    work.write(".git/info/attributes", format!("{MANIFEST} merge\n"));
    conflicted(&work);
    assert!(work.text(MANIFEST).contains("<<<<<<<"), "as Git alone leaves it");
    let mend = finds(&stopped(work.s3lfs(&["doctor", "--json"])), "manifest", "stops", &[MANIFEST]);
    let sides = ["ours", "theirs"].map(|side| format!("git checkout --{side} -- {MANIFEST} && git add {MANIFEST}"));
    assert_eq!(mend, sides, "each is a command");
    run_all(&work, &mend[..1]);
    assert!(work.text(MANIFEST).contains("\"ours\""));
    let answer = work.s3lfs(&["doctor", "--json"]).json("doctor");
    finds(&answer, "manifest", "ok", &["names"]);
}

#[test]
fn pointers_that_no_pattern_tracks_name_their_patterns() {
    let world = World::with_a();
    let work = world.at("work");
    let pointer = work.git(&["show", ":a.bin"]).ok().stdout;
    for path in ["art/b.psd", "LICENSE-image", "c.bin"] {
        work.write(path, &pointer);
    }
    work.git(&["rm", "-q", "--cached", ".gitattributes"]).ok();
    work.remove(".gitattributes");
    work.write("a.bin", &pointer);
    work.git(&["add", "-A"]).ok();
    let answer = work.s3lfs(&["doctor", "--json"]).json("doctor");
    let found = about(&answer, "attributes");
    let (_, text, mend) =
        found.iter().find(|(_, text, _)| text.contains("no pattern is tracked")).expect("it is found");
    assert!(text.contains("4 files (LICENSE-image ...)"), "{text}");
    assert_eq!(*mend, ["s3lfs track /LICENSE-image '*.bin' '*.psd'", "s3lfs download-all"]);
    run_all(&work, mend);
    for path in ["a.bin", "art/b.psd", "LICENSE-image", "c.bin"] {
        assert_eq!(work.text(path), "content of a\n", "{path} is filled");
    }
    // Without such files there is no name to give.
    let world = World::new();
    let work = world.at("work");
    work.s3lfs(&["init", &world.url("store"), "proj"]).ok();
    work.s3lfs(&["git-setup", "-q"]).ok();
    let answer = work.s3lfs(&["doctor", "--json"]).json("doctor");
    finds(&answer, "attributes", "note", &["no pattern is tracked"]);
}

#[test]
fn files_that_are_here_as_pointers_are_counted() {
    let world = World::with_a();
    let work = world.at("work");
    work.remove("a.bin");
    world.at("work").env("S3LFS_SKIP_SMUDGE", "1").git(&["checkout", "--", "a.bin"]).ok();
    let mend = finds(&fine(&work), "content", "note", &["1 file is here as its pointer only"]);
    assert_eq!(mend, ["s3lfs download-all"]);
    work.sh(&mend[0]).ok();
    assert!(about(&fine(&work), "content").is_empty(), "it is here");
}
