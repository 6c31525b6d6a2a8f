//! Settings that can't be meant, and answers that left something out: each is said, and nothing is left behind.

use serde_json::json;

use crate::world::World;

#[test]
fn a_bad_smudge_limit_is_an_error_of_commands_and_stops_no_git() {
    let world = World::with_a();
    let work = world.at("work");
    for (key, value) in [("s3lfs.smudgelimit", "zz"), ("s3lfs.skipsmudge", "perhaps")] {
        work.git(&["config", key, value]).ok();
        for args in [&["status"][..], &["download-all"], &["track-modified"]] {
            work.s3lfs(args).fails(1).says(&[key, value]);
        }
        work.drop_cache();
        work.remove("a.bin");
        let ran = work.git(&["checkout", "--", "a.bin"]).ok().says(&["warning", key, "the default is taken"]);
        assert_eq!(ran.stderr.matches(key).count(), 1, "it is said once: {ran:?}");
        assert_eq!(work.read("a.bin"), b"content of a\n");
        work.git(&["switch", "-q", "--detach", "HEAD~1"]).ok();
        work.git(&["switch", "-q", "main"]).ok();
        work.write("a.bin", format!("changed under {value}"));
        work.git(&["commit", "-qam", value]).ok();
        work.git(&["push", "-q"]).ok();
        work.git(&["config", "--unset", key]).ok();
        work.git(&["reset", "-q", "--hard", "HEAD~1"]).ok();
        work.git(&["push", "-qf"]).ok();
    }
}

#[test]
fn a_bad_uploadon_says_what_becomes_of_the_commit() {
    let world = World::with_a();
    let work = world.at("work");
    work.git(&["config", "s3lfs.uploadon", "never"]).ok();
    let ran = work.commit("b.bin", b"b").says(&["s3lfs.uploadon = \"never\" is not commit or push", "'git push' will"]);
    ran.never_says(&["not uploaded yet", "cache"]);
    assert!(!world.object(b"b").exists(), "as it says");
    work.git(&["push", "-q"]).ok();
    assert!(world.object(b"b").exists(), "as it says");
}

#[test]
fn git_setup_for_one_worktree_says_what_git_needs() {
    let world = World::with_a();
    let work = world.at("work");
    work.git(&["worktree", "add", "-q", "../second"]).ok();
    let second = world.at("second");
    let ran = second.s3lfs(&["git-setup", "--worktree"]).fails(1);
    ran.says(&["hint: turn that on: git config extensions.worktreeConfig true"]).never_says(&["fatal"]);
    second.git(&["config", "extensions.worktreeConfig", "true"]).ok();
    second.s3lfs(&["git-setup", "--worktree"]).ok();
}

#[test]
fn an_upload_that_attributes_forbid_leaves_nothing_behind() {
    let world = World::with_a();
    let work = world.at("work");
    work.write("docs/.gitattributes", "x.dat -filter\n");
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-qm", "docs"]).ok();
    work.write("docs/x.dat", "x");
    let before = work.read(".gitattributes");
    work.s3lfs(&["upload", "docs/x.dat"]).fails(1).says(&["docs/x.dat", "another attributes file"]);
    assert_eq!(work.read(".gitattributes"), before);
    work.is_clean_but(&["?? docs/x.dat"]);
}

#[cfg(target_os = "linux")]
#[test]
fn errors_in_json_tell_the_bytes_of_a_name_that_is_no_text() {
    let world = World::with_a();
    let work = world.at("work");
    for command in ["upload", "download", "remove"] {
        let ran = work.sh(&format!(r#"s3lfs {command} --json a.txt "$(printf 'n\377.bin')""#));
        assert_eq!(ran.code, 3, "{ran:?}");
        let errors = ran.json(command)["errors"].as_array().unwrap().clone();
        let named =
            errors.iter().find(|e| e["path"] == "n\\xff.bin").unwrap_or_else(|| panic!("{command}: {errors:?}"));
        assert_eq!(named["path_bytes"], "n%FF.bin", "{command}");
        assert!(errors.iter().any(|e| e["path"] == "a.txt" && e.get("path_bytes").is_none()), "{command}: {errors:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_name_that_is_no_text_is_warned_of_when_it_is_committed_and_not_each_time() {
    let world = World::with_a();
    let work = world.at("work");
    work.sh(r#"printf x >"$(printf 'n\377.bin')" && git add ."#).ok();
    work.git(&["commit", "-qm", "odd"]).ok().says(&["not UTF-8"]);
    work.commit("b.bin", b"b").never_says(&["not UTF-8"]);
    work.s3lfs(&["track-modified"]).ok().never_says(&["not UTF-8"]);
}

#[test]
fn status_names_the_submodules_that_use_s3lfs() {
    let world = World::with_a();
    let work = world.at("work");
    work.git(&["push", "-q"]).ok();
    world.at("").git(&["init", "-q", "-b", "main", "super"]).ok();
    let above = world.at("super");
    above.git(&["-c", "protocol.file.allow=always", "submodule", "add", "-q", &world.url("remote.git"), "art"]).ok();
    above.git(&["commit", "-qm", "art"]).ok();
    let status = above.s3lfs(&["status"]).ok().stdout;
    assert!(status.contains("submodules that use s3lfs by themselves: art (s3lfs -C art status)"), "{status}");
    above.git(&["config", "-f", ".gitmodules", "submodule.evil.path", "../work"]).ok();
    let status = above.s3lfs(&["status"]).ok().stdout;
    assert!(!status.contains("../work"), "what a commit says leads nowhere else: {status}");
    assert!(!work.s3lfs(&["status"]).ok().stdout.contains("submodule"));
}

#[test]
fn trust_names_the_patterns_that_accept_stores() {
    let world = World::with_a();
    let work = world.at("work");
    let store = format!("{}/proj", world.url("store"));
    let pattern = format!("{}/*", world.url("store"));
    work.s3lfs(&["trust", "--list"]).ok().never_says(&["s3lfs.trust"]);
    work.git(&["config", "s3lfs.trust", &pattern]).ok();
    let ran = work.s3lfs(&["trust", "--list"]).ok().says(&["s3lfs.trust", &pattern]);
    assert_eq!(ran.stdout, format!("{store}\n"), "the list itself is as it was");
    work.s3lfs(&["trust", "--remove", &store]).ok().says(&["accepted all the same", &pattern]);
    work.s3lfs(&["trust", "--remove", &store]).fails(1).says(&["by the pattern", &pattern]);
    let json = work.s3lfs(&["trust", "--list", "--json"]).ok().json("trust");
    assert_eq!(json["items"], json!([]));
}
