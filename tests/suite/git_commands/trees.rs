//! What worktrees hold: the contents of the two branches, and trees read back and compared.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

/// Path to content; which of them are executable is told by their names (`*.x.bin`).
pub type Tree = BTreeMap<Vec<u8>, Vec<u8>>;

/// Files that are ours, and in no [`Tree`].
const OURS: [&[u8]; 2] = [b".gitattributes", b".s3_manifest.json"];

/// What `main` holds.
pub fn main() -> Tree {
    let same = noise(20, 3_000);
    let files: [(&str, Vec<u8>); 9] = [
        ("a.bin", noise(1, 5_000)),
        ("b.bin", b"b: short, and text\n".to_vec()),
        ("copy.bin", same.clone()),
        ("dir/c.bin", noise(2, 70_000)),
        ("dir/same.bin", same),
        ("dir/sub/big.bin", noise(3, 2 << 20)),
        ("empty.bin", Vec::new()),
        ("note.txt", b"one\ntwo\nthree\n".to_vec()),
        ("run.x.bin", b"#!/bin/sh\necho main\n".to_vec()),
    ];
    files.into_iter().map(|(path, content)| (path.into(), content)).collect()
}

/// What `side` holds: changed, added, removed, filled, emptied.
pub fn side() -> Tree {
    let mut tree = main();
    let files: [(&str, Vec<u8>); 7] = [
        ("a.bin", noise(11, 6_000)),
        ("copy.bin", Vec::new()),
        ("dir/sub/big.bin", noise(13, (2 << 20) + 1)),
        ("empty.bin", b"no longer empty\n".to_vec()),
        ("new/n.bin", noise(14, 1_000)),
        ("note.txt", b"one\ntwo\nthree and more\n".to_vec()),
        ("run.x.bin", b"#!/bin/sh\necho side\n".to_vec()),
    ];
    tree.extend(files.into_iter().map(|(path, content)| (path.into(), content)));
    tree.remove(b"dir/c.bin".as_slice()).unwrap();
    tree
}

/// How many paths a switch from `main` to `side` fetches: all but the emptied one.
pub const TO_SIDE: usize = 5;
/// And back: all but the one that becomes empty.
pub const TO_MAIN: usize = 5;

/// Bytes that do not compress and hold every byte value: xorshift64.
pub fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut x = 0x2545_f491_4f6c_dd1d_u64 ^ (seed << 20);
    let mut next = || {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        (x >> 32) as u8
    };
    (0..len).map(|_| next()).collect()
}

pub fn oid(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What Git holds for `content` (design.md, section 3).
pub fn pointer(content: &[u8]) -> Vec<u8> {
    if content.is_empty() {
        return Vec::new();
    }
    format!("version s3lfs/1\noid sha256:{}\nsize {}\n", oid(content), content.len()).into_bytes()
}

/// The oid in a canonical pointer.
pub fn oid_of_pointer(blob: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(blob).ok()?;
    let (oid, size) = text.strip_prefix("version s3lfs/1\noid sha256:")?.strip_suffix('\n')?.split_once("\nsize ")?;
    let canonical = oid.len() == 64
        && oid.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        && size.bytes().all(|b| b.is_ascii_digit())
        && !size.starts_with('0');
    canonical.then(|| oid.to_owned())
}

/// A path of bytes beneath `dir`.
pub fn join(dir: &Path, path: &[u8]) -> PathBuf {
    dir.join(OsStr::from_bytes(path))
}

/// The same as an argument.
pub fn arg(path: &[u8]) -> OsString {
    OsString::from_vec(path.to_owned())
}

pub fn write_file(top: &Path, path: &[u8], content: &[u8]) {
    let full = join(top, path);
    fs::create_dir_all(full.parent().unwrap()).unwrap();
    fs::write(&full, content).unwrap();
    if path.ends_with(b".x.bin") {
        fs::set_permissions(&full, fs::Permissions::from_mode(0o755)).unwrap();
    }
}

/// Whether `path` has `filter=s3lfs` in the worlds of this table.
pub fn is_tracked(path: &[u8]) -> bool {
    path.ends_with(b".bin") || path.starts_with(b"odd/")
}

/// What stands in a worktree. Modes are checked on the way.
pub fn files_of(top: &Path) -> Tree {
    let mut there = Tree::new();
    walk(top, &mut Vec::new(), &mut |path, file| {
        let executable = file.metadata().unwrap().permissions().mode() & 0o111 != 0;
        assert_eq!(executable, path.ends_with(b".x.bin"), "{} is executable", show(path));
        there.insert(path.to_owned(), fs::read(file).unwrap());
    });
    there.retain(|path, _| !OURS.contains(&path.as_slice()));
    there
}

/// Every file beneath `dir` but Git's own; a directory with a `.git` of its own is left out.
pub fn walk(dir: &Path, prefix: &mut Vec<u8>, found: &mut impl FnMut(&[u8], &Path)) {
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let name = entry.file_name();
        if name == ".git" {
            continue;
        }
        let len = prefix.len();
        prefix.extend_from_slice(name.as_bytes());
        if !entry.file_type().unwrap().is_dir() {
            found(prefix, &entry.path());
        } else if !entry.path().join(".git").exists() {
            prefix.push(b'/');
            walk(&entry.path(), prefix, found);
        }
        prefix.truncate(len);
    }
}

/// Bytes for a message, not too many.
pub fn show(bytes: &[u8]) -> String {
    let head = &bytes[..bytes.len().min(200)];
    head.escape_ascii().to_string()
}

pub fn compare(what: &str, there: &Tree, expected: &Tree) {
    let mut wrong = Vec::new();
    let paths: BTreeSet<&Vec<u8>> = there.keys().chain(expected.keys()).collect();
    for path in paths {
        match (there.get(path), expected.get(path)) {
            (Some(there), Some(expected)) if there == expected => {}
            (Some(there), Some(expected)) => wrong.push(format!(
                "{}: {} bytes, expected {}; it begins: {}",
                show(path),
                there.len(),
                expected.len(),
                show(&there[..there.len().min(40)])
            )),
            (Some(_), None) => wrong.push(format!("{} should not be there", show(path))),
            (None, _) => wrong.push(format!("{} is missing", show(path))),
        }
    }
    assert!(wrong.is_empty(), "{what}:\n{}", wrong.join("\n"));
}

/// A copy with all times and modes.
pub fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").args([from, to]).status().unwrap();
    assert!(status.success(), "cp -a {} {}", from.display(), to.display());
}
