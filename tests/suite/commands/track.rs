//! `track` and `untrack`: attribute lines, said in the user's terms.

use crate::world::{MANIFEST, World, pointer};

const LINE: &str = "filter=s3lfs diff=s3lfs merge=binary -text";

#[test]
fn patterns_are_added_above_the_protected_lines_and_listed() {
    let world = World::ready();
    let work = world.at("work");
    work.sub("art").s3lfs(&["track", "*.psd", "/top file.raw"]).ok();
    work.s3lfs(&["track", "with space/**"]).ok();
    let expected = format!(
        "*.bin {LINE}\nart/**/*.psd {LINE}\n\"art/top file.raw\" {LINE}\n\"with space/**\" {LINE}\n.gitattributes -filter\n\
         .gitignore -filter\n.gitmodules -filter\n.s3_manifest.json -filter -text merge=s3lfs-manifest\n"
    );
    assert_eq!(work.text(".gitattributes"), expected, "the protected lines stay last");
    let filter = |path: &str| work.git(&["check-attr", "filter", "--", path]).ok().stdout.contains("filter: s3lfs");
    for path in ["art/x.psd", "art/deep/x.psd", "art/top file.raw", "with space/x", "a.bin"] {
        assert!(filter(path), "{path} is tracked");
    }
    for path in ["x.psd", "top file.raw", ".gitattributes", "with space/.gitignore"] {
        assert!(!filter(path), "{path} is not");
    }
    assert_eq!(work.s3lfs(&["track"]).ok().stdout, "*.bin\nart/**/*.psd\nart/top file.raw\nwith space/**\n");
    let json = work.s3lfs(&["track", "--json"]).ok().json("track");
    assert_eq!(json["items"][2]["pattern"], "art/top file.raw", "unquoted, as it was meant");
    assert_eq!(work.git(&["diff", "--cached", "--name-only"]).stdout, "", "nothing is staged");
    let before = work.read(".gitattributes");
    work.s3lfs(&["track", "*.bin"]).ok().says(&["Already tracked"]);
    assert_eq!(work.read(".gitattributes"), before, "tracking twice changes nothing");
}

#[test]
fn the_git_add_line_works_where_it_was_printed() {
    for dir in ["", "art"] {
        let world = World::ready();
        let place = world.at("work").sub(dir);
        for args in [["track", "*.psd"], ["untrack", "*.psd"]] {
            let ran = place.s3lfs(&args).ok();
            let (_, rest) = ran.stderr.split_once("git add ").expect("the line to commit it is printed");
            place.sh(&format!("git add {}", rest.lines().next().unwrap())).ok();
            assert_eq!(
                world.at("work").git(&["diff", "--name-only"]).ok().stdout,
                "",
                "pasted in {dir:?}, it stages the attributes"
            );
        }
    }
}

#[test]
fn untrack_takes_back_what_track_did() {
    let world = World::ready();
    let work = world.at("work");
    let before = work.read(".gitattributes");
    work.sub("art").s3lfs(&["track", "*.psd", "a b"]).ok();
    work.sub("art").s3lfs(&["untrack", "*.psd", "a b"]).ok();
    assert_eq!(work.read(".gitattributes"), before, "in the same terms, from the same place");
    work.sub("art").s3lfs(&["track", "*.psd"]).ok();
    work.s3lfs(&["untrack", "art/**/*.psd"]).ok();
    assert_eq!(work.read(".gitattributes"), before, "and as it is listed, from the top");
    work.s3lfs(&["untrack", "*.psd"]).fails(1).says(&["*.psd", "s3lfs track"]);
    assert_eq!(work.read(".gitattributes"), before);
    work.s3lfs(&["track", "*.psd"]).ok();
    work.sub("art").s3lfs(&["untrack", "*.psd"]).fails(1).says(&["*.psd", "s3lfs track"]);
    assert_ne!(work.read(".gitattributes"), before, "the pattern of the whole repository is not meant");
}

#[test]
fn a_pattern_that_git_would_ignore_is_refused() {
    let world = World::ready();
    let work = world.at("work");
    let before = work.read(".gitattributes");
    for bad in ["", "!x", "dir/", "a//b", "../x"] {
        work.s3lfs(&["track", bad]).fails(1);
        assert_eq!(work.read(".gitattributes"), before, "{bad:?} changes nothing");
    }
}

#[test]
fn a_pattern_for_what_is_never_filtered_is_refused_with_the_reason() {
    let world = World::ready();
    let work = world.at("work");
    let before = work.read(".gitattributes");
    for bad in [".gitattributes", "sub/.gitignore", "/.gitmodules", "**/.s3_manifest.json", MANIFEST] {
        work.s3lfs(&["track", bad]).fails(1).says(&[bad, "has to stay in Git itself"]).never_says(&["Tracking"]);
        work.s3lfs(&["git-setup", "--track", bad]).fails(1).says(&["has to stay in Git itself"]);
    }
    work.sub("deep").s3lfs(&["track", ".gitattributes"]).fails(1).says(&["has to stay in Git itself"]);
    for bad in [".git/x", "/.git/**", "sub/.GIT/config", ".git"] {
        work.s3lfs(&["track", bad]).fails(1).says(&[bad, "Git tracks nothing that lies in '.git'"]);
    }
    assert_eq!(work.read(".gitattributes"), before, "nothing was written");
    work.s3lfs(&["track", ".gitkeep", "x.git/**"]).ok();
}

/// The command after the colon on the line that offers it.
fn offered(stderr: &str) -> String {
    let line = stderr.lines().find(|line| line.contains("git add --renormalize")).expect("a command is offered");
    line[line.find("git add --renormalize").unwrap()..].to_owned()
}

#[test]
fn files_that_git_has_raw_are_named_and_the_command_converts_them() {
    for (dir, files) in [
        ("", &["a.raw"][..]),
        ("", &["it's a.raw"]),
        ("deep", &["deep/b.raw"]),
        ("deep", &["a.raw"]),
        ("deep", &["a.raw", "deep/b.raw", "deep/c.raw"]),
        ("", &["-x.raw", ":x.raw", "_x.raw"]),
        ("deep", &["-x.raw", ":x.raw", "_x.raw", "!x.raw"]),
    ] {
        let world = World::ready();
        let work = world.at("work");
        for file in files {
            work.write(file, file);
        }
        work.write("other", "unrelated");
        work.git(&["add", "--all"]).ok();
        work.git(&["commit", "-qm", "raw"]).ok();
        let place = work.sub(dir);
        // A pattern for all of the worktree can't be said from below; the files are named all the same.
        work.s3lfs(&["track", "*.raw"]).ok();
        let ran = place.s3lfs(&["track", "another"]).ok();
        work.git(&["add", ".gitattributes"]).ok();
        work.write("other", "changed by the user");
        for file in files {
            assert!(ran.stderr.contains(file), "{file} is named: {}", ran.stderr);
        }
        place.sh(&offered(&ran.stderr)).ok();
        for file in files {
            assert_eq!(work.blob(&format!(":0:{file}")), pointer(file.as_bytes()), "{file} is a pointer, from {dir:?}");
            assert_eq!(work.read(file), file.as_bytes(), "and its content stays in the worktree");
        }
        assert_eq!(work.git(&["diff", "--name-only"]).stdout, "other\n", "the user's other change is not staged");
        work.git(&["commit", "-qam", "converted"]).ok();
        work.is_clean();
    }
}

#[test]
fn untracking_a_file_puts_its_content_back_with_the_command_it_names() {
    let world = World::with_a();
    let work = world.at("work");
    let ran = work.s3lfs(&["untrack", "*.bin"]).ok();
    ran.says(&["git add --renormalize"]);
    work.git(&["add", "--renormalize", "a.bin"]).ok();
    assert_eq!(work.blob(":a.bin"), "content of a\n", "Git has the content itself again");
}

#[test]
fn nothing_is_said_to_be_tracked_before_it_is_written() {
    let world = World::ready();
    let work = world.at("work");
    work.remove(".gitattributes");
    std::fs::create_dir(work.join(".gitattributes")).unwrap();
    for command in ["track", "untrack"] {
        work.s3lfs(&[command, "*.psd"]).fails(1).never_says(&["Tracking", "No longer"]);
    }
}

#[test]
fn a_file_that_is_here_as_a_pointer_only_is_not_untracked() {
    let world = World::with_a();
    world.at("work").commit("b.bin", b"b");
    world.at("work").git(&["push", "-q"]).ok();
    let work = world.at("work");
    work.leave_pointer("a.bin");
    let before = work.read(".gitattributes");
    let ran = work.sub("deep").s3lfs(&["untrack", "/*.bin"]);
    assert_eq!(ran.code, 1, "the pattern is the subdirectory's: {ran:?}");
    let ran = work.sub("deep").s3lfs(&["-C", "..", "untrack", "*.bin"]).fails(1);
    ran.says(&["a.bin is here as a pointer only", "s3lfs download a.bin"]).never_says(&["b.bin", "No longer"]);
    assert_eq!(work.read(".gitattributes"), before, "nothing was changed");
    assert_eq!(work.s3lfs(&["untrack", "*.bin", "--json"]).fails(1).refused_in_json("untrack")["command"], "untrack");
    work.s3lfs(&["download", "a.bin"]).ok();
    work.s3lfs(&["untrack", "*.bin"]).ok();
    work.git(&["add", "--renormalize", "."]).ok();
    assert_eq!(work.blob(":a.bin"), "content of a\n", "what it says helps: Git has the content itself");
}

/// The pattern was taken out by hand while only pointers were here.
#[test]
fn a_pointer_that_is_not_tracked_any_more_is_named() {
    let world = World::with_a();
    let work = world.at("work");
    work.write("fixture.txt", pointer(b"a text that is meant to be one"));
    work.write("lfs.psd", pointer(b"x").replace("s3lfs/1", "https://git-lfs.github.com/spec/v1"));
    work.write(".gitattributes", format!("fixture.txt -filter\n{}", work.text(".gitattributes")));
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-qm", "texts"]).ok();
    work.s3lfs(&["fsck"]).ok();
    let fine = work.s3lfs(&["status"]).ok().stdout;
    assert!(fine.contains("nothing to do"), "what is meant to be a text is no finding: {fine}");

    work.leave_pointer("a.bin");
    work.write(".gitattributes", work.text(".gitattributes").replace("*.bin", "*.other"));
    let status = work.s3lfs(&["status"]).ok().stdout;
    assert!(status.contains("pointer, not tracked") && status.contains("a.bin"), "{status}");
    assert!(!status.contains("fixture.txt") && !status.contains("lfs.psd"), "{status}");
    let json = work.s3lfs(&["status", "--json"]).ok().json("status");
    assert_eq!(json["items"][0]["states"], serde_json::json!(["pointer, not tracked"]), "{json}");
    // With the content in its place, Git sees no change: whoever clones has the pointer all the same.
    let attributes = work.text(".gitattributes");
    work.git(&["checkout", "-q", "--", ".gitattributes"]).ok();
    work.s3lfs(&["download", "a.bin"]).ok();
    work.write(".gitattributes", &attributes);
    work.git(&["mv", "a.bin", "renamed.txt"]).ok();
    assert_eq!(work.read("renamed.txt"), b"content of a\n");
    let names = |what: &str| {
        let status = work.s3lfs(&["status"]).ok().stdout;
        let is_named = |line: &str| line.contains("pointer, not tracked") && line.ends_with(" renamed.txt");
        assert!(status.lines().any(is_named) && !status.contains("nothing to do"), "{what}: {status}");
    };
    names("as a push and verify do");
    work.remove("renamed.txt");
    names("what Git has, also without the file");
    work.git(&["checkout", "-q", "--", "renamed.txt"]).ok();
    work.git(&["mv", "renamed.txt", "a.bin"]).ok();
    work.s3lfs(&["fsck"]).fails(3).says(&["a.bin: its pointer stands in Git", "s3lfs track", "1 fault"]);
    let ran = work.sub("deep").s3lfs(&["download", "../a.bin"]).fails(1);
    ran.says(&["a.bin is a pointer in Git", "no pattern", "s3lfs track", "s3lfs download ../a.bin"]);
    work.s3lfs(&["track", "a.bin"]).ok();
    work.s3lfs(&["download", "a.bin"]).ok();
    assert_eq!(work.read("a.bin"), b"content of a\n", "what it says helps");
    work.s3lfs(&["fsck"]).ok();
}

#[test]
fn lines_of_a_file_that_was_lost_are_those_of_the_index() {
    let world = World::with_a();
    let work = world.at("work");
    let before = work.text(".gitattributes");
    work.remove(".gitattributes");
    assert_eq!(work.s3lfs(&["track"]).ok().stdout, "*.bin\n", "as Git itself has it");
    let doctor = work.s3lfs(&["doctor"]).ok();
    let has = |text: &str| doctor.stdout.contains(text);
    assert!(has(".gitattributes is not in the worktree") && has("git checkout -- .gitattributes"), "{doctor:#?}");
    assert!(!has("no pattern is tracked"), "{doctor:#?}");
    work.s3lfs(&["track", "*.psd"]).ok();
    let now = work.text(".gitattributes");
    assert!(before.lines().all(|line| now.contains(line)) && now.contains("*.psd"), "no line is lost: {now}");
    work.write("a.bin", "changed");
    work.git(&["add", "-A"]).ok();
    assert!(work.git(&["cat-file", "-p", ":a.bin"]).ok().stdout.starts_with("version s3lfs/1\n"), "it stays tracked");

    work.git(&["rm", "-q", "-f", ".gitattributes"]).ok();
    assert_eq!(work.s3lfs(&["track"]).ok().stdout, "", "what was taken out of Git is no line any more");
}
