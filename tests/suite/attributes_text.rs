//! What `s3lfs::attributes` writes, read by the real `git check-attr`.

use bstr::{BString, ByteSlice};
use s3lfs::attributes::{AttributesFile, Pattern};
use s3lfs::repo_path::RepoPath;

use crate::scratch::Scratch;

const ODD_NAMES: &[&[u8]] = &[
    b"plain.bin",
    b"two words",
    b" lead",
    b"trail ",
    b"#hash",
    b"!bang",
    b"\\!x",
    b"na[me].bin",
    b"[attr]x",
    b"]",
    b"st*r",
    b"**",
    b"wh?t",
    b"back\\slash",
    b"end\\",
    b"\"quoted\"",
    b"q\"",
    "\u{e9}t\u{e9}".as_bytes(),
    "\u{feff}bom".as_bytes(),
    b"\xff\xfe",
    b"line\nfeed",
    b"tab\there",
    b"cr\r",
    b"\x01\x0b\x0c\x1b\x7f",
    b"-dash",
    b"--",
    b"a=b",
    b"-filter",
];

/// The paths that have `filter=s3lfs`, under these bytes of `.gitattributes`, of those asked for.
fn filtered(repo: &Scratch, attributes: &[u8], paths: &[BString]) -> Vec<BString> {
    std::fs::write(repo.join(".gitattributes"), attributes).unwrap();
    let mut stdin = paths.join(&b'\0');
    stdin.push(b'\0');
    let answer = repo.git(&["check-attr", "-z", "--stdin", "filter"], &stdin);
    let fields: Vec<_> = answer.split_str("\0").collect();
    fields.chunks_exact(3).filter(|field| field[2] == b"s3lfs").map(|field| field[0].into()).collect()
}

fn tracking(pattern: &Pattern) -> Vec<u8> {
    let mut file = AttributesFile::parse(b"# the team's\n* text=auto\n");
    assert!(file.track(pattern));
    file.to_bytes()
}

fn odd(prefix: &str, suffix: &str) -> Vec<BString> {
    ODD_NAMES.iter().map(|name| [prefix.as_bytes(), name, suffix.as_bytes()].concat().into()).collect()
}

/// Every odd name, alone and in directories, and what a glob that was not escaped would match too.
fn all_paths() -> Vec<BString> {
    let mut paths = [odd("", ""), odd("d/", ""), odd("", "/x"), odd("", "/d/x"), odd("d/", "/x")].concat();
    paths.extend(
        ["nam.bin", "nae.bin", "star", "st/r", "what", "a", "x", "tx", "d/e/f", "q", "line", "tab"].map(BString::from),
    );
    paths
}

#[test]
fn a_files_own_pattern_matches_that_file_alone() {
    let (repo, paths) = (Scratch::repo(), all_paths());
    for name in [odd("", ""), odd("d/", ""), odd("", "/x")].concat() {
        let pattern = Pattern::for_file(&RepoPath::new(name.clone()).unwrap()).unwrap();
        assert_eq!(
            filtered(&repo, &tracking(&pattern), &paths),
            std::slice::from_ref(&name),
            "{pattern:?} is {name:?} and no other"
        );
        let file = AttributesFile::parse(&tracking(&pattern));
        assert_eq!(file.tracked(), [pattern.as_bstr()], "we read the line as Git does");
    }
}

#[test]
fn a_directorys_pattern_matches_everything_beneath_it() {
    let (repo, paths) = (Scratch::repo(), all_paths());
    for dir in [odd("", ""), odd("d/", "")].concat() {
        let pattern = Pattern::for_dir(&RepoPath::new(dir.clone()).unwrap()).unwrap();
        let beneath = [dir.as_slice(), b"/"].concat();
        let expected: Vec<_> = paths.iter().filter(|path| path.starts_with(&beneath)).cloned().collect();
        assert_eq!(filtered(&repo, &tracking(&pattern), &paths), expected, "{pattern:?} is what lies beneath {dir:?}");
    }
}

#[test]
fn a_pattern_given_in_a_subdirectory_means_what_it_would_in_a_file_there() {
    let repo = Scratch::repo();
    for dir in odd("", "") {
        let subdir = RepoPath::new(dir.clone()).unwrap();
        let beneath = ["a.psd", "b/a.psd", "b/c/a.psd", "x/y", "b/x/y"]
            .map(|path| [dir.as_slice(), b"/", path.as_bytes()].concat());
        let paths: Vec<_> =
            [vec!["a.psd".into(), "x/y".into(), "z/a.psd".into()], beneath.map(BString::from).to_vec()].concat();
        for (given, expected) in [("*.psd", &[3, 4, 5][..]), ("/*.psd", &[3]), ("x/*", &[6]), ("**/x/*", &[6, 7])] {
            let pattern = Pattern::in_subdir(given, &subdir).unwrap();
            let expected: Vec<_> = expected.iter().map(|at| paths[*at].clone()).collect();
            assert_eq!(filtered(&repo, &tracking(&pattern), &paths), expected, "{given:?} in {dir:?}");
        }
    }
}

#[test]
fn patterns_of_users_reach_git_unchanged() {
    let repo = Scratch::repo();
    let paths: Vec<BString> = ["a b.psd", "#x", "!x", "d/e f/g", "[attr]", "a"].map(BString::from).to_vec();
    for (given, expected) in
        [("* b.psd", 0), ("#*", 1), ("\\!x", 2), ("d/e f/**", 3), ("\\[attr]", 4), ("**/[attr]", 5)]
    {
        let pattern = Pattern::new(given).unwrap();
        assert_eq!(filtered(&repo, &tracking(&pattern), &paths), [paths[expected].clone()], "{given:?}");
    }
}

#[test]
fn the_longest_pattern_that_is_taken_is_one_that_git_reads() {
    let repo = Scratch::repo();
    let name = (1..2100).rev().map(|len| "x".repeat(len)).find(|name| Pattern::new(name.as_str()).is_ok()).unwrap();
    let crlf = tracking(&Pattern::new(name.as_str()).unwrap()).replace("\n", "\r\n");
    assert_eq!(filtered(&repo, &crlf, &[name.as_str().into()]), [name.as_str()]);
}

#[test]
fn no_pattern_reaches_gits_own_files_or_the_manifest() {
    let repo = Scratch::repo();
    let own = [".gitattributes", "d/.gitattributes", ".gitignore", "d/.gitignore", ".gitmodules", ".s3_manifest.json"];
    let paths = own.map(BString::from);
    for pattern in ["**", "*", ".git*", "*.json"] {
        let mut file = AttributesFile::parse(&tracking(&Pattern::new("first").unwrap()));
        file.track(&Pattern::new(pattern).unwrap());
        assert!(filtered(&repo, &file.to_bytes(), &paths).is_empty(), "{pattern} must not filter Git's own files");
    }
    for own in ["/.s3_manifest.json", ".gitattributes"] {
        assert!(Pattern::new(own).is_err(), "{own} can't be asked for");
    }
}
