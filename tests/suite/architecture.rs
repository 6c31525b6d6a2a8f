//! The house rules of the source, read from the source: who may use whom, what each file opens with,
//! how long it may be.
//!
//! Apart because nothing is run: it guards the shape, which no behaviour would show.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Which top-level module may use which others. Core first, then storage, the engine, the filter,
/// Git, and what puts them together.
const MAY_USE: &[(&str, &[&str])] = &[
    ("error", &[]),
    ("believed", &[]),
    ("buffer", &[]),
    ("oid", &[]),
    ("pointer", &["oid"]),
    ("repo_path", &[]),
    ("shell_word", &[]),
    ("remote", &["repo_path"]),
    ("manifest", &["oid", "repo_path"]),
    ("names", &["oid", "pointer", "manifest"]),
    ("attributes", &["repo_path"]),
    ("fs", &["error", "repo_path"]),
    ("cache", &["error", "oid", "pointer", "fs"]),
    ("store", &["buffer", "error", "oid", "remote", "fs", "shell_word"]),
    ("uploaded", &["believed", "error", "oid", "remote", "fs"]),
    ("deferred", &["error", "fs"]),
    ("vouched", &["fs", "oid"]),
    ("python_traces", &[]),
    ("sparse", &["error", "fs", "repo_path"]),
    ("transfer", &["believed", "buffer", "error", "oid", "pointer", "remote", "fs", "cache", "store"]),
    ("filter", &["error", "oid", "pointer", "repo_path", "fs", "cache"]),
    ("git", &["believed", "error", "oid", "pointer", "repo_path", "fs", "written"]),
    ("written", &["fs", "pointer"]),
    ("hooks", &["error", "fs"]),
    ("worktree", &["error", "oid", "pointer", "repo_path", "fs", "cache", "transfer", "written"]),
    // The filter says what it wants to be told (`Policy`), and the settings are where it is known.
    ("config", &["error", "remote", "manifest", "git", "store", "filter"]),
    ("cli", &["*"]),
    ("lib", &[]),
    ("main", &["cli"]),
    ("bin", &[]),
];

/// A crate, and the only places that may name it. A directory ends in `/`.
const CONFINED: &[(&str, &[&str])] = &[
    ("gix_packetline", &["src/filter/pktline.rs"]),
    ("object_store", &["src/store/"]),
    ("aws_config", &["src/store/credentials/"]),
    ("aws_credential_types", &["src/store/credentials/"]),
    ("aws_smithy_http_client", &["src/store/credentials/"]),
    ("aws_types", &["src/store/credentials/"]),
    ("git2", &["src/git/"]),
    ("tokio", &["src/transfer/", "src/store/"]),
    ("clap", &["src/cli/"]),
    ("clap_complete", &["src/cli/shell/"]),
    ("clap_mangen", &["src/cli/shell/"]),
    ("dialoguer", &["src/cli/"]),
    ("indicatif", &["src/cli/"]),
    ("anstream", &["src/cli/"]),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every source file by its path from the top, with its text.
fn sources() -> BTreeMap<String, String> {
    let mut sources = BTreeMap::new();
    let mut dirs: Vec<PathBuf> = vec![root().join("src")];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else if path.extension().is_some_and(|ext| ext == "rs") {
                let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
                sources.insert(name, fs::read_to_string(&path).unwrap());
            }
        }
    }
    sources
}

/// `src/store/codec/mod.rs` and `src/store.rs` belong to `store`.
fn module(file: &str) -> &str {
    let inner = file.strip_prefix("src/").unwrap();
    inner.split('/').next().unwrap().trim_end_matches(".rs")
}

/// Source without comments: what is only talked about is not used.
fn code(text: &str) -> String {
    text.lines().filter(|line| !line.trim_start().starts_with("//")).map(|line| format!("{line}\n")).collect()
}

/// The identifiers that follow each `name` + `::` as whole words: `crate::fs::read` gives `fs`, and
/// `crate::{fs::read, oid}` gives `fs` and `oid`.
fn uses(code: &str, name: &str) -> BTreeSet<String> {
    let pattern = format!("{name}::");
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices(&pattern) {
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':') {
            continue;
        }
        let rest = &code[at + pattern.len()..];
        match rest.strip_prefix('{') {
            None => drop(found.insert(identifier(rest))),
            Some(group) => found.extend(members(group)),
        }
    }
    found
}

fn identifier(text: &str) -> String {
    text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// The first identifier of each member of a use group, up to its closing brace.
fn members(group: &str) -> Vec<String> {
    let mut members = vec![identifier(group)];
    let mut depth = 0;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => members.push(identifier(&group[at + 1..])),
            _ => {}
        }
    }
    members.retain(|name| !name.is_empty());
    members
}

fn allowed() -> BTreeMap<&'static str, &'static [&'static str]> {
    MAY_USE.iter().copied().collect()
}

#[test]
fn no_module_uses_one_that_it_must_not_know() {
    let allowed = allowed();
    let mut wrong = Vec::new();
    for (file, text) in sources() {
        let module = module(&file);
        let Some(may) = allowed.get(module) else {
            wrong.push(format!("{file}: module `{module}` is not in the table of tests/suite/architecture.rs"));
            continue;
        };
        // From main.rs, the library is `s3lfs::`.
        let mut used = uses(&code(&text), "crate");
        used.extend(uses(&code(&text), "s3lfs"));
        for other in used {
            if other != module && may != &["*"] && !may.contains(&other.as_str()) {
                wrong.push(format!("{file} uses crate::{other}, which `{module}` must not know"));
            }
        }
    }
    assert!(wrong.is_empty(), "dependencies go one way only:\n{}", wrong.join("\n"));
}

#[test]
fn the_table_itself_keeps_the_direction() {
    let allowed = allowed();
    let reaches = |from: &str, to: &str| {
        let (mut seen, mut next) = (BTreeSet::new(), vec![from]);
        while let Some(module) = next.pop() {
            for other in allowed.get(module).into_iter().copied().flatten().filter(|other| **other != "*") {
                if seen.insert(*other) {
                    next.push(other);
                }
            }
        }
        seen.contains(to)
    };
    for (module, _) in MAY_USE.iter().filter(|(module, _)| *module != "lib") {
        assert!(!reaches(module, module), "`{module}` must not lead back to itself");
        assert!(*module == "main" || !reaches(module, "cli"), "nothing but main stands on cli, yet `{module}` does");
    }
    let rooms = ["filter", "transfer", "git"];
    for (a, b) in rooms.iter().flat_map(|a| rooms.iter().map(move |b| (a, b))) {
        assert!(a == b || !reaches(a, b), "`{a}` and `{b}` do not know each other");
    }
    for (core, others) in MAY_USE.iter().take(7) {
        for other in *others {
            let at = MAY_USE.iter().position(|(module, _)| module == other).unwrap();
            assert!(at < 7, "`{core}` is core, and `{other}` is not");
        }
    }
}

#[test]
fn each_crate_stays_in_its_room() {
    let mut wrong = Vec::new();
    for (file, text) in sources() {
        let code = code(&text);
        for (name, rooms) in CONFINED {
            let here = rooms.iter().any(|room| file == *room || room.ends_with('/') && file.starts_with(room));
            let used = !uses(&code, name).is_empty() || code.contains(&format!("use {name};"));
            if used && !here {
                wrong.push(format!("{file} names {name}, which belongs to {}", rooms.join(" and ")));
            }
        }
    }
    assert!(wrong.is_empty(), "a crate is known in one room:\n{}", wrong.join("\n"));
}

#[test]
fn stdout_belongs_to_git_and_to_ui() {
    for (file, text) in sources() {
        for name in ["println!", "print!", "eprintln!", "eprint!", "dbg!"] {
            let code = code(&text);
            let found = !file.starts_with("src/bin/")
                && code.match_indices(name).any(|(at, _)| !code[..at].ends_with(|c: char| c.is_alphanumeric()));
            assert!(!found, "{file} has {name}: messages go through cli/ui.rs");
        }
        let stdout = code(&text).contains("io::stdout(") || code(&text).contains("anstream::stdout(");
        let may = ["src/cli/ui.rs", "src/cli/for_git/pipes.rs"].contains(&file.as_str());
        assert!(!stdout || may, "{file} writes to stdout, which is Git's when the filter runs");
    }
}

#[test]
fn each_file_says_what_it_defines_and_is_short() {
    for (file, text) in sources() {
        assert!(text.starts_with("//! "), "{file} opens with //!: what it defines and why it is apart");
        let lines = text.lines().count();
        assert!(lines <= 400, "{file} has {lines} lines; one noun a file, 400 at the most");
    }
    for entry in fs::read_dir(root().join("hooks")).unwrap() {
        let path = entry.unwrap().path();
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines <= 12, "{} has {lines} lines; all logic is in the binary", path.display());
    }
}

#[test]
fn the_scan_sees_what_it_should() {
    let code = "use crate::fs::{read, write};\nuse crate::{oid::Oid, store::{Kind, Store}, cache};\nlet x = crate::error::chain(e);\nmycrate::nothing; a::crate::no;";
    let found: Vec<_> = uses(code, "crate").into_iter().collect();
    assert_eq!(found, ["cache", "error", "fs", "oid", "store"], "every form of use is seen, and nothing else");
}
