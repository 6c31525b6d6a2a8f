//! `migrate`: files that only a manifest named become pointers, and nothing is lost on the way.

use std::fs;

use super::old::{self, FILES, fixture, has_all, known_oid};
use crate::world::{MANIFEST, Place, World, oid, snapshot};

const PYTHON_HOOK: &str = "# >>> s3lfs hook >>>\ns3lfs pre-commit || exit 1\n# <<< s3lfs hook <<<\n";

/// The Python tool's repository of `version` in a clone that is set up; `.gitignore` is that tool's.
fn ready(version: &str) -> World {
    let world = old::repository(version);
    let work = world.at("work");
    work.write(".gitignore", fs::read(fixture("0.6.3/gitignore")).unwrap());
    work.git(&["commit", "-qam", "ignored"]).ok();
    work.git(&["push", "-q"]).ok();
    work.s3lfs(&["git-setup"]).ok();
    world
}

/// Commit, push, and look at all of it from a fresh clone.
fn publish(world: &World, work: &Place<'_>) {
    work.git(&["commit", "-qm", "migrated"]).ok();
    work.is_clean();
    work.git(&["push", "-q"]).ok();
    world.at("").git(&["clone", "-q", "remote.git", "plain"]).ok();
    let plain = world.at("plain");
    plain.s3lfs(&["git-setup"]).ok();
    plain.s3lfs(&["download-all"]).ok();
    has_all(&plain);
    plain.is_clean();
    fs::rename(world.path("plain"), world.path(&format!("plain-{}", work.head()))).unwrap();
}

/// Every file is a pointer in the index, or empty.
#[track_caller]
fn all_staged(work: &Place<'_>) {
    for path in FILES {
        let blob = work.blob(&format!(":{path}"));
        let expected = format!("version s3lfs/1\noid sha256:{}\nsize ", known_oid(path));
        assert!(blob.starts_with(&expected) || path == "assets/empty.bin" && blob.is_empty(), "{path}: {blob}");
    }
}

#[test]
fn files_that_are_here_become_pointers_and_stay_as_they_are() {
    for version in ["seed", "0.6.3"] {
        let world = ready(version);
        let work = world.at("work");
        work.s3lfs(&["download-all"]).ok();
        work.sh("chmod 755 assets/fake.zip").ok();
        let old_objects = snapshot(&world.path("store"));
        work.drop_cache();
        work.s3lfs(&["migrate"]).ok().says(&["7 files migrated", "git commit"]);
        has_all(&work);
        all_staged(&work);
        let status = work.git(&["status", "--porcelain"]).ok().stdout;
        assert!(
            status.lines().all(|line| line.starts_with("A  ") || line.starts_with("M  ") || line.starts_with("D  ")),
            "all of it is staged: {status}"
        );
        assert!(!work.exists(".gitignore"), "every line of it was the old tool's");
        assert!(work.index().contains("100755"), "the mode is the file's");
        for path in FILES.iter().filter(|path| **path != "assets/empty.bin") {
            let oid = known_oid(path);
            assert!(world.path("store/proj/assets").join(&oid[..2]).join(&oid).is_file(), "{path} is at our key");
        }
        let now = snapshot(&world.path("store"));
        assert!(old_objects.iter().all(|file| now.contains(file)), "nothing is deleted or changed in the bucket");
        assert_eq!(work.manifest()["manifest_only"], serde_json::json!([]));
        assert_eq!(
            work.text(".gitattributes").lines().next(),
            Some("assets/** filter=s3lfs diff=s3lfs merge=binary -text")
        );
        publish(&world, &work);
        let registered = work.manifest()["repository_id"].as_str().unwrap().to_owned();
        assert!(
            world.path(&format!("store/proj/repositories/{registered}.json")).exists(),
            "cleanup knows whose it is"
        );

        let before = (work.index(), work.text(MANIFEST), snapshot(&world.path("store")));
        work.s3lfs(&["migrate"]).ok().says(&["0 files migrated"]);
        assert_eq!(
            (work.index(), work.text(MANIFEST), snapshot(&world.path("store"))),
            before,
            "a second time is nothing"
        );
        work.is_clean();
    }
}

#[test]
fn files_that_are_not_here_become_pointers_without_filling_the_disk() {
    let world = ready("seed");
    let work = world.at("work");
    let json = work.s3lfs(&["migrate", "--json"]).ok().json("migrate");
    let items = json["items"].as_array().unwrap();
    assert_eq!((items.len(), json["errors"].as_array().unwrap().len()), (7, 0));
    let big = items.iter().find(|item| item["path"] == "assets/big.bin").unwrap();
    assert_eq!((&big["oid"], &big["size"]), (&known_oid("assets/big.bin").into(), &9000.into()), "the size is learned");
    all_staged(&work);
    let cached =
        snapshot(&work.join(".git/s3lfs")).into_iter().filter(|(path, _)| path.to_string_lossy().contains("/objects/"));
    assert_eq!(cached.count(), 0, "what was fetched only to be brought does not stay");
    assert!(work.text("assets/big.bin").starts_with("version s3lfs/1\n"));
    publish(&world, &work);
    work.s3lfs(&["download-all"]).ok();
    has_all(&work);
    work.is_clean();
}

#[test]
fn changes_of_ones_own_are_kept_and_said() {
    let world = ready("seed");
    let work = world.at("work");
    work.s3lfs(&["download-all"]).ok();
    work.write("assets/big.bin", "my own work");
    let ran = work.s3lfs(&["migrate"]).ok().says(&["assets/big.bin has changes of your own"]);
    assert!(ran.stderr.contains("7 files migrated"), "the others are migrated too");
    assert_eq!(work.text("assets/big.bin"), "my own work");
    all_staged(&work);
    work.git(&["commit", "-qm", "migrated"]).ok();
    assert_eq!(work.git(&["status", "--porcelain"]).ok().stdout, " M assets/big.bin\n", "a change like any other");
    work.git(&["checkout", "-q", "--", "assets/big.bin"]).ok();
    has_all(&work);
}

#[test]
fn content_that_is_nowhere_leaves_its_file_as_it_was() {
    let world = ready("seed");
    let work = world.at("work");
    let lost = known_oid("assets/noise.bin");
    fs::rename(world.path("store/proj/assets").join(&lost), world.path("lost")).unwrap();
    let ran = work.s3lfs(&["migrate"]).fails(3).says(&["assets/noise.bin", "there is no such object"]);
    assert!(ran.stderr.contains("6 files migrated"), "one that fails does not stop the others");
    assert_eq!(work.manifest()["manifest_only"], serde_json::json!(["assets/noise.bin"]));
    assert_eq!(work.manifest()["files"]["assets/noise.bin"], lost, "it is still recorded");
    assert_eq!(work.text(".gitignore").lines().nth(1), Some("/assets/noise.bin"), "and still ignored");
    work.git(&["commit", "-qm", "most of it"]).ok();
    work.is_clean();
    fs::rename(world.path("lost"), world.path("store/proj/assets").join(&lost)).unwrap();
    work.s3lfs(&["migrate"]).ok().says(&["1 file migrated"]);
    assert!(!work.exists(".gitignore"));
    all_staged(&work);
    publish(&world, &work);
}

#[test]
fn what_was_never_uploaded_is_uploaded() {
    let world = ready("seed");
    let work = world.at("work");
    work.s3lfs(&["download-all"]).ok();
    fs::remove_dir_all(world.path("store/proj/assets").join(known_oid("assets/noise.bin"))).unwrap();
    work.drop_cache();
    work.s3lfs(&["migrate"]).ok();
    publish(&world, &work);
}

#[test]
fn a_dry_run_changes_nothing() {
    let world = ready("seed");
    let work = world.at("work");
    let state = || (work.index(), crate::world::worktree_files(&work), snapshot(&world.path("store")));
    let before = state();
    let ran = work
        .s3lfs(&["migrate", "--dry-run"])
        .ok()
        .says(&["Would become a pointer: assets/big.bin", "7 files to migrate"]);
    assert_eq!(ran.stdout, "");
    assert_eq!(
        work.s3lfs(&["migrate", "--dry-run", "--json"]).ok().json("migrate")["items"].as_array().unwrap().len(),
        7
    );
    assert!(state() == before);
}

#[test]
fn without_the_filter_nothing_begins() {
    let world = old::repository("seed");
    let work = world.at("work");
    work.s3lfs(&["trust"]).ok();
    let before = (work.index(), crate::world::worktree_files(&work));
    work.s3lfs(&["migrate"]).fails(1).says(&["the filter is not set up", "s3lfs git-setup"]);
    assert!((work.index(), crate::world::worktree_files(&work)) == before);
    world.at("").git(&["init", "-q", "empty"]).ok();
    world.at("empty").s3lfs(&["migrate"]).fails(1).says(&["there is no .s3_manifest.json"]);
}

#[test]
fn the_later_tools_yaml_and_shards_are_taken_over() {
    let world = old::with_yaml();
    let work = world.at("work");

    // It works as it is: cloned, fetched, committed to and pushed.
    let other = world.at("");
    other.git(&["clone", "-q", "remote.git", "bare-minimum"]).ok();
    let other = world.at("bare-minimum").env("S3LFS_ENDPOINT_URL", "http://127.0.0.1:9");
    other.s3lfs(&["trust"]).ok();
    other.s3lfs(&["download-all"]).ok();
    has_all(&other);
    other.s3lfs(&["status"]).ok();
    world.at("").s3lfs(&["clone", "-q", "remote.git", "cloned"]).ok();
    has_all(&world.at("cloned"));
    world.at("cloned").commit("x.txt", b"x");
    world.at("cloned").git(&["push", "-q"]).ok();
    work.git(&["pull", "-q"]).ok();

    work.s3lfs(&["git-setup"]).ok();
    work.s3lfs(&["download", "assets/numbers.csv"]).ok();
    work.s3lfs(&["download-all"]).ok();
    has_all(&work);
    work.is_clean();
    work.s3lfs(&["upload", "assets/big.bin"]).fails(1).says(&["s3lfs migrate"]);
    work.s3lfs(&["migrate"]).ok();
    all_staged(&work);
    assert!(!work.exists(".s3_manifest.yaml") && !work.exists(".s3lfs_manifest"), "one manifest is enough");
    assert_eq!(work.manifest()["endpoint_url"], "http://127.0.0.1:9000", "its settings come along");
    publish(&world, &work);
}

#[test]
fn what_the_old_tool_left_in_hooks_attributes_and_the_worktree_goes_or_is_hidden() {
    let world = ready("seed");
    let work = world.at("work");
    work.write(".git/hooks/pre-push", format!("#!/bin/sh\necho mine\n\n{PYTHON_HOOK}"));
    work.write(".git/hooks/post-rewrite", format!("#!/bin/sh\n\n{PYTHON_HOOK}"));
    work.sh("chmod +x .git/hooks/pre-push .git/hooks/post-rewrite").ok();
    work.git(&["config", "merge.s3lfs.driver", "s3lfs merge-driver %O %A %B %P"]).ok();
    work.write(
        ".gitattributes",
        "*.txt text\n\n# >>> s3lfs manifest merge >>>\n.gitignore merge=s3lfs\n# <<< s3lfs manifest merge <<<\n",
    );
    let ignore = [b"/build/\n".to_vec(), fs::read(fixture("0.6.3/gitignore")).unwrap()].concat();
    work.write(".gitignore", ignore);
    work.git(&["add", "."]).ok();
    work.write(".s3lfs_temp/x", "x");
    work.write("assets/notes.txt", "hidden so far");
    let ran = work.s3lfs(&["migrate"]).ok();
    assert_eq!(work.text(".gitignore"), "/build/\n", "the user's lines stay");
    assert!(ran.stderr.contains("untracked now: assets/notes.txt. 'git add'"), "what was hidden is named: {ran:#?}");
    assert!(
        !work.text(".gitattributes").contains("merge=s3lfs\n")
            && work.text(".gitattributes").starts_with("*.txt text\n")
    );
    assert_eq!(work.text(".git/hooks/pre-push"), "#!/bin/sh\necho mine\n");
    assert!(!work.exists(".git/hooks/post-rewrite"));
    work.s3lfs(&["git-setup"]).ok();
    work.git(&["commit", "-qm", "migrated"]).ok();
    work.is_clean_but(&["?? assets/notes.txt"]);

    // A clone that is only set up must be able to commit, too.
    work.write(".git/hooks/pre-commit", format!("#!/bin/sh\n\n{PYTHON_HOOK}"));
    work.s3lfs(&["git-setup"]).ok();
    work.commit("x.txt", b"x");
}

/// A `git` that fails from its `limit`th call on, as if the disk were full or the user had lost patience.
pub fn failing_git<'a>(work: &Place<'a>, limit: usize) -> Place<'a> {
    let bin = work.world.path("bin");
    fs::create_dir_all(&bin).unwrap();
    let calls = work.world.path("calls");
    fs::write(&calls, "").unwrap();
    let real = work.sh("command -v git").ok().stdout;
    let script = format!(
        "#!/bin/sh\necho >>'{0}'\n[ $(wc -l <'{0}') -lt {limit} ] || exit 9\nexec {1} \"$@\"\n",
        calls.display(),
        real.trim()
    );
    work.world.at("").write("bin/git", script);
    work.sh(&format!("chmod +x '{}/git'", bin.display())).ok();
    let path = work.sh("echo $PATH").ok().stdout;
    work.env("PATH", format!("{}:{}", bin.display(), path.trim()))
}

#[test]
fn a_stop_at_any_step_is_survived() {
    let world = ready("seed");
    let work = world.at("work");
    work.s3lfs(&["download-all"]).ok();
    let there = |path: &&&str| !["assets/noise.bin", "assets/é/copie.csv"].contains(*path);
    for path in FILES.iter().filter(|path| !there(path)) {
        work.remove(path);
    }
    work.drop_cache();
    let mut stops = 0;
    while failing_git(&work, stops + 1).s3lfs(&["migrate"]).code != 0 {
        stops += 1;
        assert!(stops < 200, "it comes to an end");
        for path in FILES.iter().filter(there) {
            assert_eq!(oid(&work.read(path)), known_oid(path), "stop {stops}: {path} is untouched");
        }
        for path in FILES.iter().filter(|path| !there(path) && work.exists(path)) {
            assert!(work.text(path).starts_with("version s3lfs/1\n"), "stop {stops}: {path} is a pointer, whole");
        }
        let entries: serde_json::Value = serde_json::from_str(&work.blob(&format!(":{MANIFEST}"))).unwrap();
        for path in FILES.iter().filter(|path| **path != "assets/empty.bin") {
            assert_eq!(entries["files"][path], known_oid(path), "stop {stops}: a commit now would record {path}");
        }
    }
    assert!(stops > 15, "every call of Git was a stop: {stops}");
    all_staged(&work);
    let status = work.git(&["status", "--porcelain"]).ok().stdout;
    assert!(status.lines().all(|line| line.as_bytes()[1] == b' '), "nothing is left unstaged: {status}");
    publish(&world, &work);
}

#[test]
fn a_committing_user_between_two_runs_loses_nothing() {
    let world = ready("seed");
    let work = world.at("work");
    let lost: Vec<String> = FILES[4..].iter().map(|path| known_oid(path)).collect();
    for oid in &lost {
        let _ = fs::rename(world.path("store/proj/assets").join(oid), world.path(oid));
    }
    work.s3lfs(&["migrate"]).fails(3);
    work.commit("other.txt", b"x");
    for oid in &lost {
        let _ = fs::rename(world.path(oid), world.path("store/proj/assets").join(oid));
    }
    work.s3lfs(&["migrate"]).ok();
    all_staged(&work);
    publish(&world, &work);
}

#[test]
fn within_gits_sparse_checkout_nothing_is_written_outside() {
    let world = ready("seed");
    let work = world.at("work");
    work.write("src/main.c", "int main;");
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-qm", "code"]).ok();
    work.git(&["sparse-checkout", "set", "src"]).ok();
    work.s3lfs(&["migrate"]).ok();
    assert!(!work.exists("assets/big.bin"), "what Git leaves out is not written");
    all_staged(&work);
    work.git(&["commit", "-qm", "migrated"]).ok();
    work.is_clean();
    work.git(&["sparse-checkout", "disable"]).ok();
    has_all(&work);
    work.is_clean();
}

#[test]
fn lines_of_the_users_own_that_hide_the_files_are_named() {
    let world = old::repository("seed");
    let work = world.at("work");
    work.s3lfs(&["git-setup"]).ok();
    work.s3lfs(&["migrate"]).ok().says(&["Lines of your own", ".gitignore:1: /assets/"]);
    assert_eq!(work.text(".gitignore"), "/assets/\n", "they are the user's");
    publish(&world, &work);
    work.write("assets/big.bin", "changed");
    work.git(&["commit", "-qam", "changed"]).ok();
    work.git(&["push", "-q"]).ok();
    assert_eq!(world.cloned("other").text("assets/big.bin"), "changed", "what is tracked is tracked all the same");
}

#[test]
fn a_path_that_git_has_otherwise_is_named_and_left() {
    let world = ready("seed");
    let work = world.at("work");
    let mut manifest = work.manifest();
    manifest["files"]["src/x/big"] = known_oid("assets/big.bin").into();
    manifest["files"]["src"] = known_oid("assets/big.bin").into();
    work.write(MANIFEST, manifest.to_string());
    work.write("src/x", "Git's own");
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-qm", "code"]).ok();
    work.s3lfs(&["migrate"]).fails(3).says(&["src/x/big", "Git has a file src/x", "files beneath a directory"]);
    assert_eq!(work.text("src/x"), "Git's own");
    all_staged(&work);
}

#[test]
fn hooks_that_others_share_are_named_and_left() {
    let world = ready("seed");
    let work = world.at("work");
    let shared = world.at("").sub("hooks of all");
    shared.script("pre-push", &format!("#!/bin/sh\necho mine\n\n{PYTHON_HOOK}"));
    let before = shared.text("pre-push");
    work.git(&["config", "core.hooksPath", shared.dir.to_str().unwrap()]).ok();
    work.s3lfs(&["migrate"]).ok().says(&["pre-push has a block of the Python s3lfs", "core.hooksPath"]);
    assert_eq!(shared.text("pre-push"), before, "other repositories go by it, too");
}

#[test]
fn a_migration_that_was_discarded_and_done_again_registers_once() {
    let world = ready("seed");
    let work = world.at("work");
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-qm", "before", "--no-verify", "--allow-empty"]).ok();
    let registered = || fs::read_dir(world.path("store/proj/repositories")).unwrap().count();
    work.s3lfs(&["migrate"]).ok();
    let first = work.manifest()["repository_id"].clone();
    assert_eq!(registered(), 1);
    work.git(&["reset", "-q", "--hard"]).ok();
    assert!(work.manifest()["repository_id"].is_null(), "it was discarded");
    let again = work.s3lfs(&["migrate"]).ok().never_says(&["Another repository", "--join"]);
    assert_eq!(work.manifest()["repository_id"], first, "it is the same repository: {again:#?}");
    assert_eq!(registered(), 1, "and is registered once");
}

#[test]
fn a_file_of_the_old_tool_that_is_out_of_date_is_left_alone() {
    for yaml in [false, true] {
        let world = if yaml { old::with_yaml() } else { ready("seed") };
        let work = world.at("work");
        work.s3lfs(&["git-setup"]).ok();
        let (big, mine) = (known_oid("assets/big.bin"), oid(b"as it was before"));
        // A colleague recorded another version; here the one from before still stands.
        for (from, to, whose) in [(&big, &mine, "before"), (&mine, &big, "the colleague's")] {
            work.sh(&format!("git grep -l {from} -- .s3_manifest.* .s3lfs_manifest | xargs sed -i s/{from}/{to}/"))
                .ok();
            work.git(&["commit", "-qam", whose]).ok();
        }
        work.s3lfs(&["download-all"]).ok();
        work.write("assets/big.bin", "as it was before");
        let ran = work.s3lfs(&["migrate"]).fails(3);
        ran.says(&["assets/big.bin: it is out of date here", "s3lfs download --force assets/big.bin"]);
        assert_eq!(work.text("assets/big.bin"), "as it was before", "nothing is lost");
        assert_eq!(work.manifest()["manifest_only"], serde_json::json!(["assets/big.bin"]), "yaml: {yaml}");
        work.s3lfs(&["download", "--force", "assets/big.bin"]).ok();
        work.s3lfs(&["migrate"]).ok();
        all_staged(&work);
        has_all(&work);
    }
}

/// As after a kill right before Git was told.
#[test]
fn a_run_after_one_that_was_stopped_stages_the_rest_and_says_how_to_finish() {
    for own in ["", "/build/\n"] {
        let world = ready("seed");
        let work = world.at("work");
        work.write(".gitignore", format!("{own}{}", work.text(".gitignore")));
        work.git(&["add", "."]).ok();
        work.git(&["commit", "-qm", "own lines", "--no-verify", "--allow-empty"]).ok();
        work.s3lfs(&["migrate"]).ok().says(&["To finish: git commit"]);
        let staged = work.git(&["diff", "--cached", "--raw"]).ok().stdout;
        work.git(&["reset", "-q", "--", ".gitignore"]).ok();
        work.s3lfs(&["migrate"]).ok().says(&["0 files migrated", "To finish: git commit"]);
        assert_eq!(work.git(&["diff", "--cached", "--raw"]).ok().stdout, staged, "all of it is staged again: {own:?}");
        work.git(&["commit", "-qm", "migrated"]).ok();
        work.is_clean();
        work.s3lfs(&["migrate"]).ok().never_says(&["To finish"]);
        // What the user does with the file afterwards is his.
        work.write(".gitignore", "/mine/\n");
        work.git(&["add", ".gitignore"]).ok();
        work.git(&["commit", "-qm", "mine"]).ok();
        work.remove(".gitignore");
        work.s3lfs(&["migrate"]).ok();
        work.is_clean_but(&[" D .gitignore"]);
    }
}

#[test]
fn from_a_subdirectory_it_migrates_all_of_it() {
    let world = ready("seed");
    let work = world.at("work");
    work.s3lfs(&["download-all"]).ok();
    work.sub("assets/my dir").s3lfs(&["migrate", "--dry-run"]).ok().says(&["7 files to migrate"]);
    work.sub("assets/my dir").s3lfs(&["migrate"]).ok().says(&["7 files migrated"]);
    all_staged(&work);
    has_all(&work);
    publish(&world, &work);
}

#[test]
fn a_second_person_gives_the_repository_the_same_name() {
    for yaml in [false, true] {
        let world = if yaml { old::with_yaml() } else { ready("seed") };
        let work = world.at("work");
        let registered = || fs::read_dir(world.path("store/proj/repositories")).unwrap().count();
        world.at("").git(&["clone", "-q", "remote.git", "second"]).ok();
        world.at("").git(&["clone", "-q", "remote.git", "third"]).ok();
        let (second, third) = (world.at("second"), world.at("third"));
        for place in [&work, &second, &third] {
            place.s3lfs(&["git-setup"]).ok();
            assert!(!place.exists(".gitattributes"), "nothing is ours yet");
        }
        work.s3lfs(&["migrate"]).ok();
        let ran = second.s3lfs(&["migrate"]).ok().says(&["knows this repository already"]);
        assert_eq!(second.manifest()["repository_id"], work.manifest()["repository_id"], "{ran:?}");
        assert_eq!(registered(), 1, "it is registered once");
        publish(&world, &work);

        // Who only set up pulls that commit: nothing stands in its way.
        third.git(&["pull", "-q"]).ok();
        third.s3lfs(&["download-all"]).ok();
        has_all(&third);
        third.is_clean();

        // Of another repository nobody can know whether it is this one.
        third.git(&["reset", "-q", "--hard", "HEAD~1"]).ok();
        third.git(&["remote", "set-url", "origin", "https://elsewhere.example/x.git"]).ok();
        let bucket = world.url("store");
        third.s3lfs(&["migrate"]).ok().says(&[
            "Another repository",
            "git pull",
            &format!("s3lfs init --join {bucket} proj"),
        ]);
        assert_eq!(registered(), 1);
        third.s3lfs(&["init", "--join", &bucket, "proj"]).ok();
        assert_eq!(registered(), 2, "the command is whole");
        work.s3lfs(&["cleanup", "--force"]).fails(1).says(&["2 repositories", "delete repositories/"]);
    }
}
