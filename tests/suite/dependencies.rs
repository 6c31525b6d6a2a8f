//! What the release binary is built from: where it comes from, under which licences, how much of it there is twice.
//!
//! Apart because Cargo is asked, and nothing of ours runs. A change of the lock file that changes one of these has to be
//! looked at, and is then written down here or in README.md.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

/// All that our MIT licence allows beside it without a further duty than to name it.
const LICENCES: [&str; 13] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    // Data, not code: the certificates that platforms without a store of their own trust.
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Zlib",
];

/// In two versions each, and why.
const TWICE: [(&str, &str); 9] = [
    ("block-buffer", SHA2),
    ("cpufeatures", SHA2),
    ("crypto-common", SHA2),
    ("digest", SHA2),
    ("getrandom", "ring, of the AWS credential chain, is a version behind"),
    ("http", "the AWS credential chain speaks both"),
    ("http-body", "the AWS credential chain speaks both"),
    ("sha2", SHA2),
    ("syn", "runs in the compiler only"),
];

const SHA2: &str = "the AWS credential chain signs with the version before";

fn root() -> &'static std::path::Path {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn cargo(args: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO"));
    command.args(args).arg("--locked").current_dir(root());
    let output = command.output().unwrap();
    assert!(output.status.success(), "cargo {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Name, version, licence and source of each crate, as `format` of cargo-tree(1) has them.
fn crates(format: &str) -> BTreeSet<String> {
    listed(&["-e", "normal"], format)
}

fn listed(which: &[&str], format: &str) -> BTreeSet<String> {
    let tree = cargo(&[&["tree", "--prefix", "none", "-f", format], which].concat());
    tree.lines().map(|line| line.trim_end_matches(" (*)").to_owned()).filter(|line| !line.is_empty()).collect()
}

#[test]
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn readme_says_how_many_there_are() {
    let all = crates("{p}");
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let text = format!("built from {} crates, s3lfs itself", all.len());
    assert!(readme.contains(&text), "README.md says that it is {text:?}");
}

#[test]
fn each_comes_from_the_registry() {
    let lock = fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let package = |text: &str, key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = ").map(str::to_owned));
        line.map(|value| value.trim_matches('"').to_owned())
    };
    for text in lock.split("[[package]]").skip(1) {
        let name = package(text, "name").unwrap();
        if name == "s3lfs" {
            continue;
        }
        let source = package(text, "source");
        assert_eq!(source.as_deref(), Some("registry+https://github.com/rust-lang/crates.io-index"), "{name}");
        assert!(package(text, "checksum").is_some_and(|sum| sum.len() == 64), "{name} is what it was");
    }
}

#[test]
fn each_licence_is_one_that_goes_with_ours() {
    // Also what is only built for another platform, or to build.
    let all = listed(&["-e", "normal,build", "--target", "all"], "{p}|{l}");
    assert!(all.len() > crates("{p}").len(), "those of other platforms were found: {}", all.len());
    for line in all {
        let (name, licence) = line.split_once('|').unwrap();
        assert!(fits(licence), "{name} has the licence {licence:?}");
    }
}

/// SPDX: of alternatives one is enough, and of what is joined each counts. The old form of "or" is a slash. Of what stands
/// in brackets beside an "and", each counts, too: whoever has such a one gets a look.
fn fits(licence: &str) -> bool {
    let text = licence.replace('/', " OR ");
    let is_mixed = text.contains('(') && text.contains(" AND ");
    let text = text.replace(['(', ')'], " ");
    let fits = |one: &str| one.split(" AND ").all(|part| LICENCES.contains(&part.trim()));
    if is_mixed { text.split(" OR ").all(fits) } else { text.split(" OR ").any(fits) }
}

#[test]
fn licences_are_read_as_they_are_meant() {
    for licence in ["MIT", "MIT/GPL-3.0", "GPL-3.0 OR MIT", "(MIT OR Apache-2.0) AND ISC", "MIT AND Zlib"] {
        assert!(fits(licence), "{licence}");
    }
    for licence in ["", "GPL-3.0", "MIT AND GPL-3.0", "(MIT OR Apache-2.0) AND GPL-3.0", "GPL-3.0 OR LGPL-3.0"] {
        assert!(!fits(licence), "{licence}");
    }
}

#[test]
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn what_is_there_twice_is_known() {
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in crates("{p}") {
        let mut words = line.split(' ');
        let (name, version) = (words.next().unwrap(), words.next().unwrap());
        versions.entry(name.to_owned()).or_default().insert(version.to_owned());
    }
    let twice: Vec<&str> = versions.iter().filter(|(_, v)| v.len() > 1).map(|(name, _)| name.as_str()).collect();
    let known: Vec<&str> = TWICE.iter().map(|(name, _)| *name).collect();
    assert_eq!(twice, known, "{versions:?}");
}

#[test]
fn each_direct_one_has_its_reason_beside_it() {
    let text = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let mut section = "";
    let mut seen = 0;
    for line in text.lines() {
        if line.starts_with('[') {
            section = line;
        } else if section.contains("dependencies") && line.contains('=') && !line.starts_with('#') {
            seen += 1;
            let reason = line.rsplit_once(" # ").or_else(|| line.rsplit_once("\t# ")).map(|(_, reason)| reason.trim());
            assert!(reason.is_some_and(|reason| reason.len() >= 4), "{line}: a reason stands beside it");
        }
    }
    assert!(seen > 30, "they were found: {seen}");
}

/// What `cargo deb` packs is there, or is built by the command that README.md names for it.
#[test]
fn each_file_of_the_debian_package_is_there_or_built() {
    let text = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let (_, rest) = text.split_once("\nassets = [\n").expect("the package has a list of files");
    let (list, _) = rest.split_once("\n]").expect("the list ends");
    let built: Vec<String> = cargo(&["metadata", "--no-deps", "--format-version", "1"])
        .split("\"kind\":[\"bin\"]")
        .skip(1)
        .filter_map(|target| target.split_once("\"name\":\"")?.1.split_once('"').map(|(name, _)| name.to_owned()))
        .collect();
    let mut seen = 0;
    for line in list.lines() {
        let from = line.split('"').nth(1).expect("each line begins with a file");
        seen += 1;
        if let Some(name) = from.strip_prefix("target/release/") {
            assert!(built.iter().any(|built| built == name), "{name} is a binary of this package: {built:?}");
            continue;
        }
        let (dir, name) = from.rsplit_once('/').unwrap_or((".", from));
        let (begin, end) = name.split_once('*').unwrap_or((name, ""));
        let mut there =
            fs::read_dir(root().join(dir)).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let is_it = |file: String| match name.contains('*') {
            true => file.starts_with(begin) && file.ends_with(end),
            false => file == name,
        };
        assert!(there.any(is_it), "{from} is in the repository");
        let tracked = Command::new("git").args(["ls-files", "--", from]).current_dir(root()).output().unwrap();
        assert!(!tracked.stdout.is_empty(), "{from} is in Git, so that whoever clones it has it");
    }
    assert!(seen >= 6, "they were found: {seen}");
}
