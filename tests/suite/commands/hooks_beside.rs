//! `git-setup` beside hooks that are there: each is made to fire by the real Git, and both effects
//! are seen, the user's and ours.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::setup::{initialised, set_up_files};
use crate::world::{MANIFEST, Place, World, snapshot};

const MODE: u32 = 0o777;

pub fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & MODE
}

/// Commit and push new content: pre-commit has to upload it, and pre-push to let it through.
#[track_caller]
pub fn commit_and_push(work: &Place<'_>, content: &[u8]) {
    work.git(&["add", "."]).ok();
    work.commit("a.bin", content);
    assert!(work.world.object(content).exists(), "our pre-commit uploaded the content");
    fs::remove_dir_all(work.world.path("store/proj/assets")).unwrap();
    let _ = fs::remove_dir_all(work.join(".git/s3lfs/uploaded"));
    work.git(&["push", "-q", "origin", "HEAD:refs/heads/main"]).ok();
    assert!(work.world.object(content).exists(), "our pre-push uploaded what was missing");
}

/// Shell hooks as people write them. Each notes in `log` that it ran, and pre-push what it read.
const SHELL: [(&str, &str); 9] = [
    ("it ends in exit", "#!/bin/sh\ncat >>../read\necho ran >>../log\nexit 0\n"),
    ("it ends in exec", "#!/bin/sh\necho ran >>../log\nexec tee -a ../read >/dev/null\n"),
    ("set -e", "#!/bin/sh\nset -e\ncat >>../read\necho ran >>../log\n"),
    ("options in the shebang", "#!/bin/sh -eu\ncat >>../read\necho ran >>../log\n"),
    ("another shell", "#!/usr/bin/env bash\nlog=(ran)\ncat >>../read\necho \"${log[0]}\" >>../log\nexit 0\n"),
    ("no line end", "#!/bin/sh\ncat >>../read; echo ran >>../log"),
    ("no shebang", "cat >>../read\necho ran >>../log\nexit\n"),
    ("it reads a part", "#!/bin/sh\nread -r line\necho \"$line\" >>../read\necho ran >>../log\n"),
    ("Git LFS", "#!/bin/sh\ncommand -v git-lfs >/dev/null 2>&1 || exit 2\ngit lfs pre-push \"$@\"\n"),
];

#[test]
fn shell_hooks_of_every_kind_run_beside_ours_and_come_back() {
    for (kind, text) in SHELL {
        let world = initialised();
        let work = world.at("work");
        // What `git lfs pre-push` runs: a stand-in that reads everything.
        work.script("../bin/git-lfs", "#!/bin/sh\ncat >>../read\necho ran >>../log\n");
        let path = format!("{}:{}", world.path("bin").display(), inherited_path());
        let work = work.env("PATH", path);
        for name in ["pre-commit", "pre-push"] {
            work.script(&format!(".git/hooks/{name}"), text);
            fs::set_permissions(work.join(".git/hooks").join(name), fs::Permissions::from_mode(0o750)).unwrap();
        }
        let before = snapshot(&work.join(".git/hooks"));
        work.s3lfs(&["git-setup", "--track", "*.bin"]).ok();
        commit_and_push(&work, b"content");
        assert_eq!(fs::read_to_string(world.path("log")).unwrap(), "ran\nran\n", "{kind}: his hooks ran, once each");
        let read = fs::read_to_string(world.path("read")).unwrap();
        let refs = read.trim_start_matches('\n');
        assert!(refs.starts_with("HEAD ") && refs.lines().count() == 1, "{kind}: he reads what Git pushes: {read:?}");
        work.s3lfs(&["git-setup", "--uninstall"]).ok();
        assert_eq!(snapshot(&work.join(".git/hooks")), before, "{kind}: his hooks come back byte for byte");
        assert_eq!(mode(&work.join(".git/hooks/pre-push")), 0o750, "{kind}: and with their mode");
    }
}

/// PATH as [`Place::command`] would set it.
pub fn inherited_path() -> String {
    let bin = Path::new(env!("CARGO_BIN_EXE_s3lfs")).parent().unwrap();
    format!("{}:{}", bin.display(), std::env::var("PATH").unwrap())
}

#[test]
fn a_hook_that_fails_still_stops_and_ours_stops_before_his() {
    let world = initialised();
    let work = world.at("work");
    work.script(".git/hooks/pre-commit", "#!/bin/sh\necho ran >>../log\nexit 1\n");
    work.s3lfs(&["git-setup", "--track", "*.bin"]).ok();
    work.write("a.bin", "content");
    work.git(&["add", "."]).ok();
    assert_eq!(work.git(&["commit", "-qm", "x"]).code, 1, "his refusal counts");
    work.git(&["config", "s3lfs.offlinecommit", "fail"]).ok();
    fs::remove_file(world.path("log")).unwrap();
    world.unplug();
    work.write("b.bin", "other content");
    work.git(&["add", "."]).ok();
    assert_eq!(work.git(&["commit", "-qm", "x"]).code, 1, "and ours");
    assert!(!world.path("log").exists(), "his did not run after ours refused");
}

#[test]
fn a_hook_that_the_user_edits_meanwhile_loses_only_our_block() {
    let world = initialised();
    let work = world.at("work");
    work.script(".git/hooks/pre-push", "#!/bin/sh\nexit 0\n");
    work.s3lfs(&["git-setup"]).ok();
    let edited = work.text(".git/hooks/pre-push").replace("exit 0", "make check\nexit 0");
    work.script(".git/hooks/pre-push", &edited);
    work.script(".git/hooks/post-merge", &format!("{}make\n", work.text(".git/hooks/post-merge")));
    work.s3lfs(&["git-setup", "--uninstall"]).ok();
    assert_eq!(work.text(".git/hooks/pre-push"), "#!/bin/sh\nmake check\nexit 0\n", "his edit stays, our block goes");
    let left = work.text(".git/hooks/post-merge");
    assert!(left.ends_with("make\n") && !left.contains("s3lfs hook"), "so do lines below a hook of ours: {left}");
}

#[test]
fn a_hook_that_no_system_can_run_is_named() {
    let world = initialised();
    let work = world.at("work");
    work.script(".git/hooks/pre-commit", "#!/bin/sh\r\necho mine\r\n");
    work.s3lfs(&["git-setup"]).ok().says(&["pre-commit", "carriage return"]);
    work.s3lfs(&["git-setup", "--uninstall"]).ok();
    assert_eq!(work.text(".git/hooks/pre-commit"), "#!/bin/sh\r\necho mine\r\n", "byte for byte");
    work.script(".git/hooks/pre-commit", "echo mine >>../log\r\n");
    work.s3lfs(&["git-setup", "--track", "*.bin"]).ok().never_says(&["carriage return"]);
    commit_and_push(&work, b"content");
    assert!(world.at("").exists("log\r"), "without a shebang it runs, as it did before");
}

#[test]
fn disabled_hooks_links_and_programs_are_left_alone_and_named() {
    let world = initialised();
    let work = world.at("work");
    work.write(".git/hooks/pre-push", "#!/bin/sh\nexit 1\n");
    work.script("scripts/check", "#!/bin/sh\necho ran >>../log\n");
    work.git(&["add", "scripts"]).ok();
    symlink("../../scripts/check", work.join(".git/hooks/pre-commit")).unwrap();
    work.sh("cp \"$(command -v ls)\" .git/hooks/post-commit").ok();
    let ran = work.s3lfs(&["git-setup", "--track", "*.bin"]).ok();
    ran.says(&["pre-push is left alone (it is not executable", "pre-commit is left alone (it is a link"]);
    assert_eq!(work.text("scripts/check"), "#!/bin/sh\necho ran >>../log\n", "what a link leads to is not ours");
    work.git(&["add", "."]).ok();
    work.commit("a.bin", b"content");
    assert_eq!(fs::read_to_string(world.path("log")).unwrap(), "ran\n", "the linked script runs");
    work.git(&["push", "-q", "origin", "main"]).ok(); // What was disabled stays so.
    // With the line in it, the script does both, and nothing more is asked for.
    work.script("scripts/check", "#!/bin/sh\necho ran >>../log\ns3lfs track-modified --staged\n");
    work.s3lfs(&["git-setup"]).ok().never_says(&["pre-commit is left alone"]);
    work.commit("b.bin", b"more");
    assert!(world.object(b"more").exists(), "the line in the user's script uploads");
}

#[test]
fn twice_is_once_for_bytes_modes_and_times() {
    let world = initialised();
    let work = world.at("work");
    work.script(".git/hooks/pre-push", "#!/bin/sh\nexit 0\n");
    work.s3lfs(&["git-setup", "--track", "*.bin"]).ok();
    let long_ago = SystemTime::now() - Duration::from_secs(86_400);
    let files: Vec<_> = set_up_files(&work).into_iter().map(|(path, _)| path).collect();
    for path in files.iter().chain([&work.join(MANIFEST)]) {
        fs::File::options().append(true).open(path).unwrap().set_modified(long_ago).unwrap();
    }
    let before = (set_up_files(&work), files.iter().map(|path| mode(path)).collect::<Vec<_>>());
    work.sub("deep").s3lfs(&["git-setup", "--track", "/../*.bin"]).fails(1);
    work.s3lfs(&["git-setup", "--track", "*.bin"]).ok();
    let after = (set_up_files(&work), files.iter().map(|path| mode(path)).collect::<Vec<_>>());
    assert_eq!(after, before, "neither bytes nor modes");
    for path in files.iter().chain([&work.join(MANIFEST)]) {
        assert_eq!(fs::metadata(path).unwrap().modified().unwrap(), long_ago, "{} is not written", path.display());
    }
}

#[test]
fn several_at_once_lose_nothing() {
    let world = initialised();
    let work = world.at("work");
    for round in 0..3 {
        let patterns: Vec<String> = (0..4).map(|n| format!("*.r{round}n{n}")).collect();
        let setup = |pattern: &String| work.s3lfs(&["git-setup", "-q", "--track", pattern]);
        std::thread::scope(|scope| {
            let running: Vec<_> = patterns.iter().map(|pattern| scope.spawn(move || setup(pattern))).collect();
            running.into_iter().for_each(|ran| drop(ran.join().unwrap().ok()));
        });
        let tracked = work.s3lfs(&["track"]).ok().stdout;
        assert!(patterns.iter().all(|pattern| tracked.contains(pattern)), "each pattern is there: {tracked}");
        for name in ["pre-commit", "pre-push", "post-checkout"] {
            let ours = fs::read(format!("{}/hooks/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap();
            assert_eq!(work.read(&format!(".git/hooks/{name}")), ours, "{name} is whole");
        }
        assert_eq!(work.git(&["config", "--get-all", "filter.s3lfs.process"]).stdout, "s3lfs filter-process\n");
        let left: Vec<_> = snapshot(&work.join(".git")).into_iter().map(|(path, _)| path).collect();
        assert!(!left.iter().any(|path| path.to_string_lossy().contains("/.s3lfs-")), "{left:?}");
        work.s3lfs(&["git-setup", "-q", "--uninstall"]).ok();
    }
}

#[test]
fn killed_anywhere_it_can_be_run_again() {
    let world = initialised();
    let work = world.at("work");
    work.script(".git/hooks/pre-push", "#!/bin/sh\nexit 0\n");
    world.at("").sh("cp -a work template").ok();
    work.s3lfs(&["git-setup", "--track", "*.bin"]).ok();
    let whole = set_up_files(&work);
    // A git that kills s3lfs when it is called for the n-th time.
    let git = work.sh("command -v git").ok().stdout;
    let wrapper =
        "#!/bin/sh\nn=$(($(cat \"$COUNT\") + 1))\necho $n >\"$COUNT\"\n[ $n != \"$KILL_AT\" ] || kill -9 $PPID\nexec ";
    work.script("../wrapped/git", &format!("{wrapper}{} \"$@\"\n", git.trim()));
    let path = format!("{}:{}", world.path("wrapped").display(), inherited_path());
    let mut killed = 0;
    for at in 1.. {
        world.at("").sh("rm -rf work && cp -a template work && echo 0 >count").ok();
        let place = work.env("PATH", &path).env("COUNT", world.path("count").to_str().unwrap());
        let ran = place.env("KILL_AT", at.to_string()).s3lfs(&["git-setup", "--track", "*.bin"]);
        if ran.code == 0 {
            break;
        }
        killed += 1;
        // A child that was killed with it, or not, may still be writing.
        while work.exists(".git/config.lock") {
            std::thread::sleep(Duration::from_millis(5));
        }
        work.s3lfs(&["git-setup", "--track", "*.bin"]).ok();
        assert_eq!(set_up_files(&work), whole, "killed at its {at}th call of git, run again");
    }
    assert!(killed > 5, "it was killed at each call of git: {killed}");
}

#[test]
fn a_hooks_directory_that_can_not_be_written_is_named_with_the_lines_and_the_rest_is_done() {
    let world = initialised();
    let work = world.at("work");
    // Even root can make nothing here.
    work.git(&["config", "core.hooksPath", "/proc/sys/fs"]).ok();
    let ran = work.s3lfs(&["git-setup", "--track", "*.bin"]).fails(1);
    ran.says(&["/proc/sys/fs", "s3lfs hook pre-push \"$@\"", "s3lfs track-modified --staged"]);
    assert!(work.exists(".gitattributes"), "attributes are written all the same");
    assert!(work.git(&["config", "s3lfs.store"]).stdout.starts_with("file://"), "and the store is accepted");
    work.s3lfs(&["git-setup", "--uninstall"]).ok();

    work.git(&["config", "core.hooksPath", "/dev/null"]).ok();
    work.s3lfs(&["git-setup"]).ok().says(&["/dev/null", "no directory", "s3lfs hook pre-push \"$@\""]);
    // A clone fetches its content even so.
    let world = World::with_a();
    world.at("").git(&["config", "--global", "core.hooksPath", "/dev/null"]).ok();
    let clone = world.cloned("two");
    assert_eq!(clone.read("a.bin"), b"content of a\n");
}

#[test]
fn the_hooks_path_of_one_repository_is_where_hooks_go() {
    for path in ["~/my hooks", ".hooks", "absolute"] {
        let world = initialised();
        let work = world.at("work");
        let value = if path == "absolute" { world.path(path).display().to_string() } else { path.to_owned() };
        work.git(&["config", "core.hooksPath", &value]).ok();
        work.write(".git/info/exclude", ".hooks\n");
        work.s3lfs(&["git-setup", "--track", "*.bin"]).ok();
        assert!(!work.exists(".git/hooks/pre-push"), "{path}: Git does not look there");
        commit_and_push(&work, b"content");
        let dir = work.git(&["rev-parse", "--path-format=absolute", "--git-path", "hooks"]).ok().stdout;
        assert!(Path::new(dir.trim()).join("pre-push").exists(), "{path}");
        work.s3lfs(&["git-setup", "--uninstall"]).ok();
        assert_eq!(fs::read_dir(dir.trim()).unwrap().count(), 0, "{path}: and it is empty again");
    }
}

#[test]
fn hooks_that_others_use_too_are_left_alone_until_the_user_adds_the_line() {
    let world = initialised();
    let work = world.at("work");
    fs::create_dir(world.path("shared")).unwrap();
    // For all repositories of this user.
    work.git(&["config", "--global", "core.hooksPath", "~/shared"]).ok();
    let ran = work.s3lfs(&["git-setup", "--track", "*.bin"]).ok();
    ran.says(&["all repositories of this user", "pre-commit: s3lfs track-modified --staged", "s3lfs hook pre-push"]);
    assert_eq!(fs::read_dir(world.path("shared")).unwrap().count(), 0, "nothing is written there");
    work.script("../shared/pre-commit", "#!/bin/sh\necho ran >>\"$HOME/log\"\ns3lfs track-modified --staged\n");
    work.script("../shared/pre-push", "#!/bin/sh\ns3lfs hook pre-push \"$@\"\n");
    let ran = work.s3lfs(&["git-setup"]).ok();
    ran.says(&["s3lfs hook post-checkout"]).never_says(&["pre-commit:", "pre-push:"]);
    commit_and_push(&work, b"content");
    // In a repository without s3lfs, a bare one too, the lines do no harm.
    let home = world.at("");
    home.git(&["init", "-q", "-b", "main", "plain"]).ok();
    home.git(&["init", "-q", "--bare", "-b", "main", "plain.git"]).ok();
    world.at("plain").commit("a.bin", b"raw");
    world.at("plain").git(&["push", "-q", &world.url("plain.git"), "main"]).ok();
    home.git(&["init", "-q", "--bare", "mirror.git"]).ok();
    world.at("plain.git").git(&["push", "-q", &world.url("mirror.git"), "main"]).ok();
    assert_eq!(fs::read_to_string(world.path("log")).unwrap(), "ran\nran\n");

    // Through a link, out of the repository.
    let world = initialised();
    let work = world.at("work");
    fs::create_dir(world.path("shared")).unwrap();
    fs::remove_dir_all(work.join(".git/hooks")).unwrap();
    symlink(world.path("shared"), work.join(".git/hooks")).unwrap();
    work.s3lfs(&["git-setup"]).ok().says(&["out of this repository", "s3lfs hook pre-push"]);
    assert_eq!(fs::read_dir(world.path("shared")).unwrap().count(), 0, "nothing is written there");

    // Through a link, to what is committed here, or in another repository.
    for dir in ["../hooks-repository", "githooks"] {
        let world = initialised();
        let work = world.at("work");
        work.script(&format!("{dir}/pre-commit"), "#!/bin/sh\n");
        let theirs = if dir == "githooks" { work.clone() } else { world.at("hooks-repository") };
        theirs.git(&["init", "-q"]).ok();
        theirs.git(&["add", "."]).ok();
        work.git(&["config", "core.hooksPath", world.path("link").to_str().unwrap()]).ok();
        symlink(work.join(dir), world.path("link")).unwrap();
        work.s3lfs(&["git-setup"]).ok().says(&["committed", "s3lfs hook pre-push"]);
        assert_eq!(work.text(&format!("{dir}/pre-commit")), "#!/bin/sh\n", "{dir}: the team's file stays as it is");
        assert!(!work.exists(&format!("{dir}/pre-push")));
    }
}

#[test]
fn linked_worktrees_share_the_hooks_and_a_worktree_may_have_its_own() {
    let world = World::with_a();
    let work = world.at("work");
    work.git(&["worktree", "add", "-q", "../linked"]).ok();
    let linked = world.at("linked");
    let common = snapshot(&work.join(".git/hooks"));
    linked.s3lfs(&["git-setup"]).ok();
    assert_eq!(snapshot(&work.join(".git/hooks")), common, "they are installed already");
    linked.commit("b.bin", b"from the linked worktree");
    assert!(world.object(b"from the linked worktree").exists(), "the common hooks run there");

    work.git(&["config", "extensions.worktreeConfig", "true"]).ok();
    linked.git(&["config", "--worktree", "core.hooksPath", world.path("own").to_str().unwrap()]).ok();
    linked.s3lfs(&["git-setup"]).ok();
    assert!(world.path("own/pre-push").exists(), "its own directory is filled");
    linked.commit("c.bin", b"by its own hooks");
    assert!(world.object(b"by its own hooks").exists());
    linked.git(&["config", "--worktree", "filter.s3lfs.process", "s3lfs filter-process"]).ok();
    linked.s3lfs(&["git-setup", "--worktree", "--uninstall"]).ok().says(&["all worktrees", "--uninstall"]);
    assert_eq!(snapshot(&work.join(".git/hooks")), common, "the common ones are not this worktree's to take");
    linked.s3lfs(&["git-setup", "--uninstall"]).ok();
    assert_eq!(hooks_of_ours(&work.join(".git/hooks")), 0, "but go with the configuration that is common");
    assert_eq!(fs::read_dir(world.path("own")).unwrap().count(), 0, "and so do its own");
}

/// How many files of a hooks directory have our block.
fn hooks_of_ours(dir: &Path) -> usize {
    let ours = |(_, bytes): &(_, Vec<u8>)| String::from_utf8_lossy(bytes).contains("s3lfs hook");
    snapshot(dir).iter().filter(|file| ours(file)).count()
}

#[test]
fn a_hooks_path_that_came_later_hides_no_hook_from_uninstall() {
    let world = initialised();
    let work = world.at("work");
    work.script(".git/hooks/pre-push", "#!/bin/sh\ncat >pushed\nexit 0\n");
    let before = snapshot(&work.join(".git/hooks"));
    work.s3lfs(&["git-setup", "--track", "*.bin"]).ok();
    for (scope, later) in [("--local", "../later"), ("--global", "~/shared")] {
        work.s3lfs(&["git-setup"]).ok();
        assert_ne!(snapshot(&work.join(".git/hooks")), before, "the hooks are set up");
        work.git(&["config", scope, "core.hooksPath", later]).ok();
        work.s3lfs(&["git-setup", "--uninstall"]).ok().says(&["pre-push"]);
        assert_eq!(snapshot(&work.join(".git/hooks")), before, "{scope}: the user's bytes come back, ours go");
        work.git(&["config", scope, "--unset", "core.hooksPath"]).ok();
    }
}
