//! What is written down to be copied: the topics of `s3lfs help`, and the jobs of fixtures/ci. Their shell lines are run.
//!
//! Apart because the text is what is tested: examples that nobody runs are wrong some day.

use std::fs;
use std::path::Path;

use crate::lfs::{content, lfs_pointer};
use crate::world::{Place, Ran, World, oid};

const TOPICS: [&str; 13] = [
    "how-it-works",
    "settings",
    "scripts",
    "hooks",
    "push-gate",
    "stores",
    "operations",
    "cleaning-up",
    "migration",
    "troubleshooting",
    "limits",
    "faq",
    "ci",
];

fn source(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The examples of a Markdown file.
fn fenced(text: &str) -> Vec<String> {
    let blocks = text.split("\n```sh\n").skip(1);
    blocks.map(|block| block.split("\n```").next().unwrap().to_owned()).collect()
}

/// The blocks of a YAML file: what is indented deeper after a line that ends with `|`.
fn piped(text: &str) -> Vec<String> {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let lines: Vec<&str> = text.lines().collect();
    let begins = (0..lines.len()).filter(|i| lines[*i].ends_with("run: |") || lines[*i].trim_end().ends_with("- |"));
    let block = |begin: usize| {
        let within = lines[begin + 1..].iter().take_while(|line| indent(line) > indent(lines[begin]));
        within.map(|line| format!("{}\n", line.trim_start())).collect::<String>()
    };
    begins.map(block).collect()
}

fn shell(place: &Place<'_>, lines: &str) -> Ran {
    place.sh(&format!("set -eu\n{lines}"))
}

/// The repository that examples stand for: `model.bin` is pushed.
fn world() -> World {
    let world = World::ready();
    world.at("work").commit("model.bin", &[b'm'; 100_000]);
    world.at("work").git(&["push", "-q"]).ok();
    world
}

#[test]
fn help_prints_each_topic_and_goes_on_to_explain_commands() {
    let world = World::new();
    let work = world.at("work");
    for topic in TOPICS {
        assert_eq!(
            work.s3lfs(&["help", topic]).ok().stdout,
            source(&format!("src/help/{topic}.md")),
            "as it is written"
        );
    }
    let ls = work.s3lfs(&["help", "ls"]).ok().stdout;
    assert!(ls.contains("Usage: s3lfs ls"), "clap explains a command: {ls}");
    let all = work.s3lfs(&["help"]).ok().stdout;
    assert!(all.contains("how-it-works, settings"), "the topics are named beneath the commands: {all}");
    // With options of every command, wherever they stand.
    let faq = source("src/help/faq.md");
    for words in [
        &["-q", "help", "faq"][..],
        &["--json", "help", "faq"],
        &["help", "-v", "faq"],
        &["help", "faq", "--quiet"],
        &["-j", "4", "-qC", "nowhere", "--bucket", "b", "help", "faq"],
        &["-j4", "--region=r", "help", "faq"],
    ] {
        assert_eq!(work.s3lfs(words).ok().stdout, faq, "{words:?}");
    }
    for words in [&["--odd", "help", "faq"][..], &["-q", "help", "faq", "ci"], &["-j", "help", "faq"]] {
        assert_eq!(work.s3lfs(words).code, 2, "{words:?} is no such question");
    }
    assert_eq!(work.s3lfs(&["help", "nothing"]).code, 2, "what is neither is an error of use");
}

#[test]
fn examples_of_each_topic_run() {
    for topic in TOPICS {
        let world = world();
        let blocks = fenced(&source(&format!("src/help/{topic}.md")));
        assert!(!blocks.is_empty(), "{topic} has examples");
        for block in blocks {
            prepare(&world.at("work"), &block);
            shell(&world.at("work"), &block).ok();
        }
    }
}

/// What an example finds there, as its text says.
fn prepare(work: &Place<'_>, block: &str) {
    if block.contains("migrate lfs") {
        let content = content("old", 1);
        let oid = oid(&content);
        work.write(&format!(".git/lfs/objects/{}/{}/{oid}", &oid[..2], &oid[2..4]), &content);
        work.commit("old/.gitattributes", b"*.dat filter=lfs diff=lfs merge=lfs -text\n");
        work.commit("old/a.dat", lfs_pointer(&content).as_bytes());
    }
}

/// Source with the strings that go on in the next line in one piece.
fn unbroken(source: &str) -> String {
    let mut pieces = source.split("\\\n");
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |whole, piece| whole + piece.trim_start())
}

#[test]
fn messages_of_troubleshooting_are_what_the_program_prints() {
    let mut program = String::new();
    let mut dirs = ["src", "hooks"].map(|dir| Path::new(env!("CARGO_MANIFEST_DIR")).join(dir)).to_vec();
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => dirs.push(path),
                false if path.extension().is_none_or(|ext| ext == "rs") => {
                    program.push_str(&fs::read_to_string(path).unwrap());
                }
                false => {}
            }
        }
    }
    let text = source("src/help/troubleshooting.md");
    let heads = text.lines().filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`'));
    let cells = text.lines().filter_map(|line| line.strip_prefix("| `")?.split(" | ").next());
    let rows = cells.flat_map(|cell| cell.split('`').step_by(2).filter(|part| part.len() > 2));
    let messages: Vec<&str> = heads.chain(rows).collect();
    assert!(messages.len() >= 30, "they were found: {messages:?}");
    let program = unbroken(&program);
    let parts = messages.iter().flat_map(|message| message.split("...")).map(str::trim);
    let absent: Vec<&str> = parts.filter(|part| !program.contains(part)).collect();
    assert!(absent.is_empty(), "no message of the program has {absent:#?}");
}

/// A job of fixtures/ci in a plain clone and a home of its own: its blocks after the one that installs, one by one, up
/// to the first that fails.
fn job(world: &World, file: &str) -> Option<Ran> {
    let head = world.at("work").head();
    fs::create_dir_all(world.path("home")).unwrap();
    world.at("").git(&["clone", "-q", "remote.git", "checkout"]).ok();
    let checkout = world.at("checkout");
    let base = checkout.git(&["rev-parse", "HEAD~1"]).ok().stdout.trim().to_owned();
    let path = |name: &str| world.path(name).display().to_string();
    let set = [
        ("HOME", path("home")),
        ("STORE", format!("{}/proj", world.url("store"))),
        ("PATTERN", "models/*".to_owned()),
        ("GITHUB_OUTPUT", path("output")),
        ("BASE", base.clone()),
        ("HEAD", head.clone()),
        ("CI_COMMIT_BEFORE_SHA", base),
        ("CI_COMMIT_SHA", head),
    ];
    let place = set.iter().fold(checkout, |place, (name, value)| place.env(name, value));
    let blocks = piped(&source(file));
    assert!(blocks.len() >= 4 && blocks[0].starts_with("cargo install"), "{file}: {blocks:?}");
    blocks[1..].iter().map(|block| shell(&place, block)).find(|ran| ran.code != 0)
}

const JOBS: [&str; 2] = ["fixtures/ci/github.yml", "fixtures/ci/gitlab.yml"];

#[test]
fn a_ci_job_fetches_what_it_needs_and_no_more() {
    for file in JOBS {
        let world = world();
        let work = world.at("work");
        work.write("models/a.bin", "content of a");
        work.write("models/text.txt", "no large file");
        work.git(&["add", "."]).ok();
        work.git(&["commit", "-qm", "models"]).ok();
        work.git(&["push", "-q"]).ok();
        let failed = job(&world, file);
        assert!(failed.is_none(), "{file}: {failed:#?}");
        let checkout = world.at("checkout");
        assert_eq!(checkout.text("models/a.bin"), "content of a", "{file}: the pattern's files are there");
        assert!(checkout.text("model.bin").starts_with("version s3lfs/1"), "{file}: the others stay pointers");
        let accepted = checkout.git(&["config", "--local", "--get", "s3lfs.store"]);
        assert_eq!(accepted.code, 1, "{file}: the manifest's store is not accepted, the pattern is");
        if file.contains("github") {
            let output = fs::read_to_string(world.path("output")).unwrap();
            assert!(output.starts_with("key=") && output.len() == 4 + 64 + 1, "the cache has its key: {output}");
        }
    }
}

#[test]
fn a_ci_job_fails_for_raw_content_and_for_a_dangling_pointer() {
    for file in JOBS {
        let world = world();
        let work = world.at("work");
        work.write("raw.bin", "raw content");
        let off = ["-c", "filter.s3lfs.process=", "-c", "filter.s3lfs.clean=", "-c", "filter.s3lfs.required=false"];
        work.git(&[&off[..], &["add", "raw.bin"]].concat()).ok();
        work.git(&["-c", "core.hooksPath=/dev/null", "commit", "-qm", "raw"]).ok();
        work.git(&["push", "-q", "--no-verify"]).ok();
        job(&world, file).expect("raw content fails the job").fails(3).says(&["raw.bin", "raw content in Git"]);

        let world = self::world();
        world.at("work").commit("gone.bin", b"gone");
        world.at("work").git(&["push", "-q"]).ok();
        fs::remove_file(world.object(b"gone")).unwrap();
        job(&world, file).expect("a dangling pointer fails the job").fails(3).says(&["missing: gone.bin"]);
    }
}

#[test]
fn a_ci_job_sends_nothing_to_a_store_that_it_was_not_told_to_trust() {
    for file in JOBS {
        let world = world();
        let work = world.at("work");
        work.s3lfs(&["init", "--force", "--no-check", &world.url("strange"), "proj"]).ok();
        work.git(&["commit", "-qam", "another store"]).ok();
        work.git(&["push", "-q", "--no-verify"]).ok();
        job(&world, file).expect("it ends there").fails(1).says(&["which you have not accepted"]);
    }
}
