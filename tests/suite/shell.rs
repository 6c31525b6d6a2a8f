//! What shells and manuals get: completion asked of the real bash, manual pages, `git s3lfs`.

use std::path::Path;

use crate::world::{Place, World};

/// Press Tab behind these words, in a bash that has read the script: what it offers.
fn offered(place: &Place<'_>, words: &[&str]) -> Vec<String> {
    let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    let line = format!(
        "source '{}'; COMP_WORDS=({}); COMP_CWORD={}; _clap_complete_s3lfs s3lfs \
         \"${{COMP_WORDS[COMP_CWORD]}}\" ''; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        packaged("s3lfs"),
        quoted.join(" "),
        words.len() - 1
    );
    ask_bash(place, &line)
}

/// A shell that `.ci/run` installs, and not every machine has.
fn is_here(shell: &str) -> bool {
    Path::new("/usr/bin").join(shell).exists()
}

/// What a package puts where that shell looks for completions.
fn packaged(script: &str) -> String {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/completions");
    fixtures.join(script).display().to_string()
}

fn ask_bash(place: &Place<'_>, line: &str) -> Vec<String> {
    place.world.at("").script("ask.bash", line);
    let ran = place.sh(&format!("bash '{}'", place.world.path("ask.bash").display())).ok();
    ran.stdout.lines().filter(|line| !line.is_empty()).map(|line| line.trim_end().to_owned()).collect()
}

fn many() -> World {
    let world = World::ready();
    let work = world.at("work");
    for path in ["art/deep/b.bin", "art/a.bin", "art/two words.bin", "top.bin", "notes.txt"] {
        work.write(path, path);
    }
    work.write(".gitignore", "out/\n");
    work.git(&["add", "."]).ok();
    work.git(&["commit", "-qm", "files"]).ok();
    work.write("out/only", "only in the manifest");
    work.s3lfs(&["upload", "out/only"]).ok();
    world
}

#[test]
fn commands_and_options_are_completed() {
    let world = World::new();
    let work = world.at("work");
    assert_eq!(offered(&work, &["s3lfs", "doc"]), ["doctor"]);
    let all = offered(&work, &["s3lfs", ""]);
    assert!(all.contains(&"doctor".to_owned()) && !all.contains(&"clean".to_owned()), "what Git calls is not: {all:?}");
    assert_eq!(offered(&work, &["s3lfs", "verify", "--de"]), ["--deep"]);
    assert_eq!(offered(&work, &["s3lfs", "init", "--sse", "aws"]), ["aws:kms"]);
    assert_eq!(offered(&work, &["s3lfs", "help", "trou"]), ["troubleshooting"], "a chapter");
    assert_eq!(offered(&work, &["s3lfs", "help", "doc"]), ["doctor"], "a command");
}

#[test]
fn tracked_paths_are_completed_directory_by_directory() {
    let world = many();
    let work = world.at("work");
    let mut all = offered(&work, &["s3lfs", "download", ""]);
    all.retain(|one| !one.starts_with('-'));
    assert_eq!(all, ["art/", "out/", "top.bin"], "no notes.txt");
    assert_eq!(offered(&work, &["s3lfs", "download", "art/"]), ["art/a.bin", "art/deep/", "art/two words.bin"]);
    assert_eq!(offered(&work, &["s3lfs", "remove", "art/deep/"]), ["art/deep/b.bin"]);
    assert_eq!(offered(&work, &["s3lfs", "ls", "*"]), [""; 0], "a star is only itself");
    assert_eq!(offered(&work, &["s3lfs", "ls", "out/"]), ["out/only"], "what only the manifest names, too");
    assert_eq!(offered(&work, &["s3lfs", "sparse-checkout", "art/"]), ["art/deep/"], "directories alone");
    let deep = work.sub("art");
    assert_eq!(offered(&deep, &["s3lfs", "download", "d"]), ["deep/"]);
    assert_eq!(offered(&deep, &["s3lfs", "download", "../t"]), ["../top.bin"]);
    // (The script for bash would expand the pattern.)
    let asked = work.env("S3LFS_COMPLETE", "fish").s3lfs(&["--", "s3lfs", "untrack", ""]).ok();
    assert_eq!(asked.stdout.lines().next(), Some("*.bin"));
    let store = format!("{}/proj", world.url("store"));
    assert_eq!(offered(&work, &["s3lfs", "trust", "--remove", "f"]).concat(), store);
    work.is_clean_but(&["M  .s3_manifest.json"]);
}

#[test]
fn outside_a_repository_nothing_is_offered_and_nothing_is_said() {
    let world = World::new();
    let away = world.at("").sub("away");
    assert_eq!(offered(&away, &["s3lfs", "remove", "x"]), [""; 0]);
}

#[test]
fn gits_own_completion_knows_us() {
    let gits = "/usr/share/bash-completion/completions/git";
    if !Path::new(gits).exists() {
        return;
    }
    let world = many();
    let tab = |words: &[&str]| {
        let line = words.join(" ");
        let script = format!(
            "source {gits}; source <(s3lfs completions bash); COMP_LINE='{line}'; COMP_POINT=${{#COMP_LINE}}; \
             COMP_WORDS=({}); COMP_CWORD={}; __git_wrap__git_main; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" "),
            words.len() - 1
        );
        ask_bash(&world.at("work"), &script)
    };
    assert_eq!(tab(&["git", "s3lfs", "doc"]), ["doctor"]);
    assert_eq!(tab(&["git", "-c", "x.y=z", "s3lfs", "download", "art/d"]), ["art/deep/"]);
}

#[test]
fn each_shell_gets_a_script() {
    let world = World::new();
    let away = world.at("").sub("away");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = away.s3lfs(&["completions", shell]).ok().stdout;
        assert!(script.contains("s3lfs") && script.contains("S3LFS_COMPLETE"), "{shell}: {script}");
    }
    away.sh("s3lfs completions bash | bash -n").ok();
    assert_eq!(away.s3lfs(&["completions", "cmd"]).code, 2, "a usage error");
}

#[test]
fn fish_offers_tracked_paths() {
    if !is_here("fish") {
        return;
    }
    let world = many();
    let offered = |source: &str, line: &str| {
        world.at("").script("ask.fish", &format!("{source}\ncomplete -C \"{line}\"\n"));
        let ran = world.at("work").sh(&format!("fish '{}'", world.path("ask.fish").display())).ok();
        let lines = ran.stdout.lines().map(|line| line.split('\t').next().unwrap_or_default().trim_end().to_owned());
        let mut offered: Vec<String> = lines.filter(|line| !line.is_empty()).collect();
        offered.sort_unstable();
        offered
    };
    let packaged = format!("source '{}'", packaged("s3lfs.fish"));
    assert_eq!(offered(&packaged, "s3lfs download art/"), ["art/a.bin", "art/deep/", "art/two words.bin"]);
    let own = "s3lfs completions fish | source";
    for line in ["git s3lfs download art/d", "git -c x.y=z s3lfs download art/d"] {
        assert_eq!(offered(own, line), ["art/deep/"], "{line}");
    }
}

#[test]
fn zsh_offers_tracked_paths() {
    if !is_here("zsh") {
        return;
    }
    let world = many();
    // What the script offers goes to `_describe`; the line editor itself needs a terminal.
    let ask = format!(
        "compdef() {{ :; }}\n_describe() {{ local name=$3; print -rl -- ${{(P)name}}; }}\n\
         words=(s3lfs download art/); CURRENT=3\nsource '{}'\n",
        packaged("_s3lfs")
    );
    world.at("").script("ask.zsh", &ask);
    let ran = world.at("work").sh(&format!("zsh -f '{}'", world.path("ask.zsh").display())).ok();
    let mut offered: Vec<&str> = ran.stdout.lines().collect();
    offered.sort_unstable();
    assert_eq!(offered, ["art/a.bin", "art/deep", "art/two words.bin"], "(zsh puts the stroke itself)");
}

#[test]
fn every_command_that_users_type_has_a_manual_page() {
    let world = World::new();
    let away = world.at("").sub("away");
    away.s3lfs(&["man", "--dir", "man1"]).ok();
    let help = away.s3lfs(&["help"]).ok().stdout;
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let commands: Vec<&str> = commands.filter_map(|line| line.strip_prefix("  ")?.split(' ').next()).collect();
    assert!(commands.len() > 20 && commands.contains(&"doctor"), "{commands:?}");
    for command in commands.into_iter().filter(|name| !["", "help"].contains(name)) {
        let page = away.text(&format!("man1/s3lfs-{command}.1"));
        assert!(page.contains(".SH NAME") && page.contains(".SH SYNOPSIS"), "{command}: {page}");
        assert!(page.contains("\nBucket or store URL"), "{command}: every option is explained: {page}");
        assert!(away.s3lfs(&["man", command]).ok().stdout.contains(".SH OPTIONS"), "{command} can be printed, too");
    }
    assert!(away.text("man1/s3lfs.1").contains("doctor"));
    assert_eq!(away.text("man1/git-s3lfs.1"), ".so man1/s3lfs.1\n", "for git s3lfs --help");
    // Where no page is installed (README.md).
    for (args, text) in [(["s3lfs", "-h"], "Usage: s3lfs"), (["s3lfs", "help"], "troubleshooting")] {
        let answer = away.git(&args).ok().stdout;
        assert!(answer.contains(text), "git {args:?} answers without a manual: {answer}");
    }
    assert!(!away.exists("man1/s3lfs-filter-process.1"), "what Git calls has none");
    away.s3lfs(&["man", "nothing"]).fails(2).says(&["there is no command nothing"]);
}

#[test]
fn a_commands_own_options_come_first_and_the_short_help_has_few_others() {
    let world = World::new();
    let away = world.at("").sub("away");
    for (command, own) in [
        (&["cleanup"][..], "--keep-newer"),
        (&["upload"], "<FILE>..."),
        (&["status"], "-z"),
        (&["migrate", "import"], "--include"),
    ] {
        let short = away.s3lfs(&[command, &["-h"]].concat()).ok().stdout;
        let long = away.s3lfs(&[command, &["--help"]].concat()).ok().stdout;
        let at = |text: &str, what: &str| text.find(what).unwrap_or_else(|| panic!("{command:?}: {what} in {text}"));
        assert!(
            !short.contains("--bucket") && !short.contains("-C <DIR>"),
            "{command:?}: rarely said by hand: {short}"
        );
        assert!(short.contains("see more with '--help'"), "{command:?}: and where they are: {short}");
        assert!(at(&short, own) < at(&short, "Global options:"), "{command:?}: its own first: {short}");
        let order = [at(&long, own), at(&long, "Store options:"), at(&long, "--bucket"), at(&long, "Global options:")];
        assert!(order.is_sorted(), "{command:?}: its own, the store's, everybody's: {long}");
    }
    assert!(!away.s3lfs(&["-h"]).ok().stdout.contains("--bucket"), "nor before all commands");
    assert!(away.s3lfs(&["--help"]).ok().stdout.contains("--bucket <BUCKET>"));
}

#[test]
fn git_s3lfs_is_the_same_command() {
    let world = World::with_a();
    let (work, away) = (world.at("work"), world.at(""));
    assert_eq!(work.git(&["s3lfs", "ls"]).ok().stdout, work.s3lfs(&["ls"]).ok().stdout);
    assert_eq!(away.git(&["-C", "work", "s3lfs", "ls"]).ok().stdout, work.s3lfs(&["ls"]).ok().stdout);
    assert_eq!(work.git(&["s3lfs", "no-such-command"]).code, 2, "its exit code");
    work.git(&["-c", "s3lfs.jobs=many", "s3lfs", "verify"]).fails(1).says(&["s3lfs.jobs"]);
    work.git(&["s3lfs", "download", "no.bin"]).fails(1);
}

#[test]
fn help_that_nobody_got_is_an_error_and_a_reader_that_has_enough_is_none() {
    let world = World::new();
    let away = world.at("").sub("away");
    for command in ["help", "--help", "--version", "help init", "help faq", "man"] {
        let ran = away.sh(&format!("s3lfs {command} >/dev/full"));
        ran.fails(1).says(&["cannot write to standard output", "No space left"]);
        away.sh(&format!("exec 3>&1; s3lfs {command} | :; exit 0")).ok().never_says(&["cannot write"]);
    }
    assert_eq!(away.sh("s3lfs help nothing").code, 2, "what was typed means nothing, whoever notices it");
    assert_eq!(away.sh("s3lfs nothing 2>/dev/full").code, 2, "also if that can't be said");
}

#[test]
fn who_types_nothing_gets_help_and_who_types_what_others_have_a_hint() {
    let world = World::with_a();
    let work = world.at("work");
    let nothing = work.s3lfs(&[]);
    assert_eq!((nothing.code, nothing.stdout.as_str()), (2, ""), "{nothing:#?}");
    nothing.says(&["Usage: s3lfs", "download-all"]).never_says(&["filter-process", "merge-manifest"]);
    for (typed, here) in [("push", "git push"), ("pull", "s3lfs download-all"), ("install", "s3lfs git-setup")] {
        let ran = work.s3lfs(&[typed]);
        assert_eq!(ran.code, 2, "{ran:#?}");
        ran.says(&[&format!("unrecognized subcommand '{typed}'"), "hint: ", here]);
    }
    work.s3lfs(&["help", "troubleshoting"]).fails(2).says(&["Topics (s3lfs help <topic>): ", "troubleshooting, "]);
    let ran = work.s3lfs(&["du", "--cost", "-1"]);
    assert_eq!(ran.code, 2, "{ran:#?}");
    ran.says(&["--cost", "-1"]).never_says(&["-- -1"]);
}
