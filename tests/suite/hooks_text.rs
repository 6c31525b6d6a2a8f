//! The hooks that `s3lfs::hooks` writes, run by the real Git and by each shell that is here, with a
//! stand-in for s3lfs on PATH.

use std::fs;
use std::process::{Command, Output};

use s3lfs::hooks::{Action, Hook, Installed, apply, install};

use crate::scratch::{Scratch, run};

/// Records its arguments and standard input, and exits with what the file `status` says.
const STAND_IN: &str = "#!/bin/sh\necho \"$*\" >>\"$LOG/args\"\ncat >\"$LOG/ours\"\nexit $(cat \"$LOG/status\")\n";
const MINE: &str = "cat >\"$LOG/mine\"\n";

/// Written by a child: a descriptor of ours, open for writing, could be inherited by a child that
/// another test starts at this moment, and running the file would then fail with ETXTBSY.
fn executable(path: &std::path::Path, text: &[u8]) {
    let output = run(Command::new("sh").args(["-c", "cat >\"$0\" && chmod 755 \"$0\""]).arg(path), text);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A scratch directory with the stand-in in `bin`.
fn with_stand_in() -> Scratch {
    let scratch = Scratch::repo();
    for dir in ["bin", "log"] {
        fs::create_dir(scratch.join(dir)).unwrap();
    }
    executable(&scratch.join("bin/s3lfs"), STAND_IN.as_bytes());
    scratch
}

fn reset(scratch: &Scratch, status: u8) {
    for name in ["args", "ours", "mine"] {
        let _ = fs::remove_file(scratch.join("log").join(name));
    }
    fs::write(scratch.join("log/status"), status.to_string()).unwrap();
}

fn logged(scratch: &Scratch, name: &str) -> Option<String> {
    fs::read_to_string(scratch.join("log").join(name)).ok()
}

fn command(scratch: &Scratch, program: &str) -> Command {
    let mut command = scratch.command(program);
    let path = format!("{}:{}", scratch.join("bin").display(), std::env::var("PATH").unwrap());
    command.env("PATH", path).env("LOG", scratch.join("log"));
    command
}

fn git(scratch: &Scratch, args: &[&str]) -> Output {
    run(command(scratch, "git").args(args), b"")
}

fn written(installed: Installed) -> Vec<u8> {
    match installed {
        Installed::Write(bytes) => bytes,
        other => panic!("a shell script takes our block: {other:?}"),
    }
}

/// Shebangs whose shell is on this machine, and none at all.
fn shebangs() -> Vec<String> {
    let shells = ["/bin/sh", "/bin/sh -eu", "/usr/bin/env bash", "/bin/bash -eu", "/bin/dash", "/bin/zsh", "/bin/ksh"];
    let here = shells.into_iter().filter(|shell| {
        let shell = shell.trim_end_matches(" -eu").replace("/usr/bin/env bash", "/bin/bash");
        std::path::Path::new(&shell).exists()
    });
    here.map(|shell| format!("#!{shell}\n")).chain([String::new()]).collect()
}

#[test]
fn pre_push_gives_git_s_list_to_s3lfs_and_to_the_users_own_hook() {
    for shebang in shebangs() {
        let repo = with_stand_in();
        repo.git(&["init", "-q", "--bare", "remote.git"], b"");
        repo.git(&["remote", "add", "origin", "./remote.git"], b"");
        repo.git(&["commit", "-q", "--allow-empty", "-m", "x"], b"");
        let hook = written(install(Some(format!("{shebang}{MINE}").as_bytes()), Hook::PrePush));
        executable(&repo.join(".git/hooks/pre-push"), &hook);

        reset(&repo, 1);
        assert!(!git(&repo, &["push", "-q", "origin", "main"]).status.success(), "s3lfs refuses, so Git does");
        assert_eq!(logged(&repo, "mine"), None, "and what follows is not run");

        reset(&repo, 0);
        let output = git(&repo, &["push", "-q", "origin", "main", "main:other"]);
        assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        let refs = logged(&repo, "ours").unwrap();
        assert!(refs.lines().count() == 2 && refs.ends_with('\n'), "Git's list: {refs:?}");
        assert_eq!(logged(&repo, "mine").unwrap(), refs, "both see the same bytes under {shebang:?}");
        assert_eq!(logged(&repo, "args").unwrap(), "hook pre-push origin ./remote.git\n");

        reset(&repo, 0);
        assert!(git(&repo, &["push", "-q", "origin", "main"]).status.success());
        assert_eq!(
            (logged(&repo, "ours"), logged(&repo, "mine")),
            (Some("".into()), Some("".into())),
            "up to date: empty"
        );
    }
}

#[test]
fn pre_push_hands_on_long_lists_and_odd_refs_byte_for_byte() {
    let line = |n: usize| format!("refs/heads/$(id)`id`$HOME'\"*é-{n} {n:040} refs/heads/%s-{n} {:040}\n", 0);
    let long: String = (0..2_000).map(line).collect();
    for shebang in shebangs() {
        let scratch = with_stand_in();
        let hook = scratch.join("hook");
        executable(&hook, &written(install(Some(format!("{shebang}{MINE}").as_bytes()), Hook::PrePush)));
        for list in ["", &line(1), &long] {
            reset(&scratch, 0);
            // As Git runs it, also without a shebang.
            let program = if shebang.is_empty() { "sh" } else { hook.to_str().unwrap() };
            let args = if shebang.is_empty() { vec![hook.to_str().unwrap(), "r", "u"] } else { vec!["r", "u"] };
            let output = run(command(&scratch, program).args(args), list.as_bytes());
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            assert!(logged(&scratch, "ours").unwrap() == list, "ours, {} bytes under {shebang:?}", list.len());
            assert!(logged(&scratch, "mine").unwrap() == list, "mine, {} bytes under {shebang:?}", list.len());
        }
    }
}

/// Exit status, stderr, and whether the user's own lines ran.
fn run_hook(scratch: &Scratch, hook: Hook, shebang: &str, path: Option<&str>) -> (i32, String, bool) {
    let file = scratch.join("hook");
    executable(&file, &written(install(Some(format!("{shebang}: >\"$LOG/mine\"\n").as_bytes()), hook)));
    let mut command = command(scratch, if shebang.is_empty() { "/bin/sh" } else { file.to_str().unwrap() });
    if shebang.is_empty() {
        command.arg(&file);
    }
    path.map(|path| command.env("PATH", path));
    let output = run(command.args(["one", "two words"]), b"");
    let stderr = String::from_utf8(output.stderr).unwrap();
    (output.status.code().unwrap(), stderr, logged(scratch, "mine").is_some())
}

#[test]
fn a_failure_stops_pre_hooks_and_nothing_stops_in_post_hooks() {
    let scratch = with_stand_in();
    for (hook, shebang) in Hook::ALL.into_iter().flat_map(|hook| shebangs().into_iter().map(move |s| (hook, s))) {
        let name = hook.name();
        reset(&scratch, 0);
        assert_eq!(run_hook(&scratch, hook, &shebang, None), (0, "".into(), true), "{name} under {shebang:?}");
        let args = hook.command().trim_start_matches("s3lfs ").replace("\"$@\"", "one two words");
        assert_eq!(logged(&scratch, "args").unwrap(), format!("{args}\n"));

        reset(&scratch, 7);
        let expected = if name.starts_with("pre-") { (7, "".into(), false) } else { (0, "".into(), true) };
        assert_eq!(run_hook(&scratch, hook, &shebang, None), expected, "{name} under {shebang:?}");
    }
}

#[test]
fn without_s3lfs_there_is_one_line_and_pre_hooks_stop() {
    let scratch = with_stand_in();
    fs::create_dir(scratch.join("path")).unwrap();
    for hook in Hook::ALL {
        reset(&scratch, 0);
        // An empty PATH: what is not built into the shell is not run, so this shows that nothing else is needed.
        let (status, stderr, mine) = run_hook(&scratch, hook, "#!/bin/sh\n", scratch.join("path").to_str());
        let stops = hook.name().starts_with("pre-");
        assert_eq!((status, mine), if stops { (2, false) } else { (0, true) }, "{}", hook.name());
        assert!(stderr.lines().count() == 1 && stderr.contains("s3lfs is not on PATH"), "{stderr}");
    }
}

#[test]
fn git_runs_what_apply_installs() {
    let repo = with_stand_in();
    reset(&repo, 0);
    apply(&repo.join(".git/hooks"), Action::Install).unwrap();
    assert!(git(&repo, &["commit", "-q", "--allow-empty", "-m", "x"]).status.success());
    assert!(git(&repo, &["checkout", "-q", "-b", "b"]).status.success());
    let args = logged(&repo, "args").unwrap();
    let commands: Vec<_> =
        args.lines().map(|line| line.split_whitespace().take(2).collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(commands, ["track-modified --staged", "hook post-commit", "hook post-checkout"]);
    reset(&repo, 1);
    assert!(!git(&repo, &["commit", "-q", "--allow-empty", "-m", "y"]).status.success(), "pre-commit refuses");
}
