//! The world of one row: a home, a store and a repository that is set up, what should stand in its
//! worktree, and the checks that follow each step.
//!
//! It always lies at the same absolute path of its worker, so that a copy of the template is a copy
//! of a working world: store URL and linked worktrees are absolute.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant, SystemTime};

use sha2::{Digest, Sha256};

use crate::scratch::{Scratch, run};

/// The kinds of repository in which the table runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// SHA-1, refs as files.
    Usual,
    Sha256,
    Reftable,
    /// Everything happens inside a linked worktree.
    Linked,
}

impl Form {
    /// What `git init` has to be told.
    pub fn init_options(self) -> &'static [&'static str] {
        match self {
            Form::Usual | Form::Linked => &[],
            Form::Sha256 => &["--object-format=sha256"],
            Form::Reftable => &["--ref-format=reftable"],
        }
    }

    /// What `git clone` has to be told to make one of this form.
    pub fn clone_options(self) -> &'static [&'static str] {
        if self == Form::Reftable { &["--ref-format=reftable"] } else { &[] }
    }
}

/// Path to content; which of them are executable is told by their names (`*.x.bin`).
pub type Tree = BTreeMap<Vec<u8>, Vec<u8>>;

/// Files that are ours, and in no [`Tree`].
const OURS: [&[u8]; 2] = [b".gitattributes", b".s3_manifest.json"];

/// Files that a command may take a moment to leave behind: a filter has a second to see that Git is gone.
const PATIENCE: Duration = Duration::from_secs(1);

pub struct World {
    scratch: Scratch,
    pub form: Form,
    /// Commands so far, each with what it said on stderr.
    pub log: Vec<String>,
    /// What should stand in the worktree now.
    pub tree: Tree,
}

impl World {
    /// An empty place for one worker.
    pub fn new(form: Form) -> Self {
        World { scratch: Scratch::new(), form, log: Vec::new(), tree: Tree::new() }
    }

    /// Make the template: branch `main` is checked out, and branch `side` has other content.
    pub fn prepare(&mut self) {
        for dir in [self.home(), self.repo()] {
            fs::create_dir_all(dir).unwrap();
        }
        let config = "[user]\n name = a\n email = a@example.com\n[init]\n defaultBranch = main\n\
             [protocol \"file\"]\n allow = always\n[gc]\n auto = 0\n[maintenance]\n auto = false\n[advice]\n detachedHead = false\n";
        fs::write(self.home().join(".gitconfig"), config).unwrap();
        let repo = self.repo();
        self.git_in(&repo, &[&["init", "-q"], self.form.init_options(), &["."]].concat());
        let store = self.store_url();
        self.s3lfs_in(&repo, &["init", &store, "proj"]);
        self.s3lfs_in(&repo, &["git-setup", "--track", "*.bin"]);
        for (branch, tree) in [("main", main()), ("side", side())] {
            if branch != "main" {
                self.git_in(&repo, &["switch", "-q", "-c", branch]);
            }
            for path in self.tree.keys().filter(|path| !tree.contains_key(*path)) {
                fs::remove_file(join(&repo, path)).unwrap();
            }
            for (path, content) in &tree {
                write_file(&repo, path, content);
            }
            self.git_in(&repo, &["add", "-A", "."]);
            self.git_in(&repo, &["commit", "-q", "-m", branch]);
            self.tree = tree;
        }
        self.tree = main();
        if self.form == Form::Linked {
            let top = self.top();
            self.git_in(&repo, &["switch", "-q", "--detach"]);
            self.git_in(&repo, &["worktree", "add", "-q", top.to_str().unwrap(), "main"]);
        } else {
            self.git_in(&repo, &["switch", "-q", "main"]);
        }
        self.clean();
        copy(&self.world(), &self.scratch.join("template"));
    }

    /// Back to the template, for the next row.
    pub fn reset(&mut self) {
        fs::remove_dir_all(self.world()).unwrap();
        copy(&self.scratch.join("template"), &self.world());
        self.log.clear();
        self.tree = main();
        self.git(&["update-index", "-q", "--refresh"]);
    }

    fn world(&self) -> PathBuf {
        self.scratch.join("world")
    }

    pub fn home(&self) -> PathBuf {
        self.join("home")
    }

    /// A place beside the repository.
    pub fn join(&self, name: &str) -> PathBuf {
        self.world().join(name)
    }

    fn repo(&self) -> PathBuf {
        self.join("repo")
    }

    /// The top of the worktree in which everything happens.
    pub fn top(&self) -> PathBuf {
        self.join(if self.form == Form::Linked { "linked" } else { "repo" })
    }

    /// Where this repository is cloned from.
    pub fn url(&self) -> String {
        format!("file://{}", self.repo().display())
    }

    pub fn store_url(&self) -> String {
        format!("file://{}", self.join("store").display())
    }

    /// Where the store has `content`.
    pub fn stored(&self, content: &[u8]) -> PathBuf {
        let oid = oid(content);
        self.join("store/proj/assets").join(&oid[..2]).join(oid)
    }

    /// Where the cache has `content`.
    pub fn cached(&self, content: &[u8]) -> PathBuf {
        let oid = oid(content);
        self.repo().join(".git/s3lfs/objects").join(&oid[..2]).join(oid)
    }

    /// Empty the cache: the next smudge has to fetch. All files are made old before, or else Git would clean
    /// those as young as the index once more, and their content would be back in the cache.
    pub fn cool(&mut self) {
        let (top, old) = (self.top(), SystemTime::now() - Duration::from_secs(60));
        walk(&top, &mut Vec::new(), &mut |_, file| fs::File::open(file).unwrap().set_modified(old).unwrap());
        // It fails where there are conflicts, having refreshed the rest.
        self.try_run("git", &top, &["update-index", "-q", "--refresh"], b"");
        let cache = self.repo().join(".git/s3lfs/objects");
        fs::remove_dir_all(&cache).unwrap();
        self.log.push("(the cache was emptied)".into());
    }

    /// A command of this world, in `dir`.
    fn command(&self, program: &str, dir: &Path) -> Command {
        let mut command = self.scratch.command(program);
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("S3LFS_")) {
            command.env_remove(name);
        }
        let binaries = Path::new(env!("CARGO_BIN_EXE_s3lfs")).parent().unwrap().to_owned();
        let inherited = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths(std::iter::once(binaries).chain(std::env::split_paths(&inherited))).unwrap();
        command.current_dir(dir).env("PATH", path).env("HOME", self.home()).env("LC_ALL", "C");
        command.env("GIT_EDITOR", "true").env("GIT_SEQUENCE_EDITOR", "true").env("GIT_TERMINAL_PROMPT", "0");
        command
    }

    /// Run a command, whatever comes of it.
    pub fn try_run<S: AsRef<OsStr>>(&mut self, program: &str, dir: &Path, args: &[S], stdin: &[u8]) -> Output {
        let mut command = self.command(program, dir);
        self.finish(command.args(args), stdin)
    }

    fn finish(&mut self, command: &mut Command, stdin: &[u8]) -> Output {
        let args: Vec<_> = command.get_args().map(|arg| arg.to_string_lossy().into_owned()).collect();
        let line = format!("{} {}", command.get_program().to_string_lossy(), args.join(" "));
        let output = run(command, stdin);
        let (code, stderr) = (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned());
        self.log.push(format!("$ {line}\n[exit {code:?}] {}", stderr.trim_end()));
        output
    }

    /// Run Git in the worktree; it must succeed.
    pub fn git<S: AsRef<OsStr>>(&mut self, args: &[S]) -> Vec<u8> {
        let top = self.top();
        self.git_in(&top, args)
    }

    pub fn git_in<S: AsRef<OsStr>>(&mut self, dir: &Path, args: &[S]) -> Vec<u8> {
        let output = self.try_run("git", dir, args, b"");
        assert!(output.status.success(), "git failed");
        output.stdout
    }

    /// Run Git with scripted answers; it must succeed.
    pub fn git_with(&mut self, args: &[&str], stdin: &[u8]) -> Vec<u8> {
        let top = self.top();
        let output = self.try_run("git", &top, args, stdin);
        assert!(output.status.success(), "git failed");
        output.stdout
    }

    /// Run Git in the worktree; it must end with `code`. What it said on stderr.
    pub fn git_fails(&mut self, code: i32, args: &[&str]) -> String {
        let top = self.top();
        let output = self.try_run("git", &top, args, b"");
        assert_eq!(output.status.code(), Some(code), "exit code of git");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// Run Git with an empty cache; it must succeed, and this many smudges must have been delayed. How many
    /// filter processes there were, for all children of Git together.
    pub fn git_delaying(&mut self, delayed: usize, args: &[&str]) -> usize {
        self.cool();
        let (packets, events, top) = (self.join("packets"), self.join("events"), self.top());
        let mut command = self.command("git", &top);
        command.args(args).env("GIT_TRACE_PACKET", &packets).env("GIT_TRACE2_EVENT", &events);
        let output = self.finish(&mut command, b"");
        assert!(output.status.success(), "git failed");
        let count = |file: &Path, word: &str| fs::read_to_string(file).unwrap().matches(word).count();
        assert_eq!(count(&packets, "status=delayed"), delayed, "delayed smudges");
        let starts = "\"event\":\"child_start\"";
        let trace = fs::read_to_string(&events).unwrap();
        let filters = trace.lines().filter(|line| line.contains(starts) && line.contains("filter-process")).count();
        fs::remove_file(packets).unwrap();
        fs::remove_file(events).unwrap();
        filters
    }

    pub fn s3lfs(&mut self, args: &[&str]) -> Vec<u8> {
        let top = self.top();
        self.s3lfs_in(&top, args)
    }

    pub fn s3lfs_in(&mut self, dir: &Path, args: &[&str]) -> Vec<u8> {
        let output = self.try_run("s3lfs", dir, args, b"");
        assert!(output.status.success(), "s3lfs failed");
        output.stdout
    }

    /// Write a file, and expect it.
    pub fn write(&mut self, path: impl AsRef<[u8]>, content: impl AsRef<[u8]>) {
        write_file(&self.top(), path.as_ref(), content.as_ref());
        self.expect(path, content);
    }

    /// Delete a file, and expect it to be gone.
    pub fn remove(&mut self, path: &str) {
        fs::remove_file(self.top().join(path)).unwrap();
        self.expect_none(path);
    }

    pub fn expect(&mut self, path: impl AsRef<[u8]>, content: impl AsRef<[u8]>) {
        self.tree.insert(path.as_ref().to_owned(), content.as_ref().to_owned());
    }

    pub fn expect_none(&mut self, path: &str) {
        assert!(self.tree.remove(path.as_bytes()).is_some(), "{path} was not expected before");
    }

    /// Everything is as expected, and `git status` has nothing to say.
    pub fn clean(&mut self) {
        self.dirty::<&str>(&[]);
    }

    /// As [`World::clean`], and HEAD's manifest says what HEAD's pointers say.
    pub fn committed(&mut self) {
        self.clean();
        self.manifest_follows();
    }

    /// Everything is as expected, and `git status --porcelain` has exactly these lines, in any order
    /// (of a rename: both paths, the new one first).
    pub fn dirty<S: AsRef<[u8]>>(&mut self, status: &[S]) {
        let (top, tree) = (self.top(), self.tree.clone());
        let status: Vec<&[u8]> = status.iter().map(AsRef::as_ref).collect();
        self.check(&top, &tree, &status);
    }

    /// As [`World::dirty`], in another worktree.
    pub fn check(&mut self, top: &Path, tree: &Tree, status: &[&[u8]]) {
        compare("the worktree", &files_of(top), tree);
        self.check_status(top, status);
        let status: BTreeSet<&[u8]> = status.iter().copied().collect();
        self.check_index(top, tree, &status);
        self.nothing_is_left();
    }

    /// As [`World::check`] without changes, where the worktree of a clone holds pointers only.
    pub fn check_filled_with_pointers(&mut self, top: &Path, pointers: &Tree) {
        compare("the worktree", &files_of(top), pointers);
        self.check_status(top, &[]);
        self.nothing_is_left();
    }

    fn check_status(&mut self, top: &Path, status: &[&[u8]]) {
        let output = self.git_in(top, &["status", "--porcelain", "-z", "-uall"]);
        let said: BTreeSet<&[u8]> = output.split(|&b| b == 0).filter(|line| !line.is_empty()).collect();
        let expected: BTreeSet<&[u8]> = status.iter().copied().collect();
        let lines = |set: &BTreeSet<&[u8]>| set.iter().map(|line| show(line)).collect::<Vec<_>>().join("\n");
        assert!(said == expected, "git status says:\n{}\nexpected was:\n{}", lines(&said), lines(&expected));
    }

    /// Tracked paths hold canonical pointers; where the worktree has no changes, to what is there.
    fn check_index(&mut self, top: &Path, tree: &Tree, status: &BTreeSet<&[u8]>) {
        let output = self.git_in(top, &["ls-files", "-z", "-s", "-t"]);
        let mut entries = Vec::new();
        for line in output.split(|&b| b == 0).filter(|line| !line.is_empty()) {
            let tab = line.iter().position(|&b| b == b'\t').unwrap();
            let meta = String::from_utf8(line[..tab].to_vec()).unwrap();
            let path = line[tab + 1..].to_vec();
            if is_tracked(&path) {
                entries.push((meta, path));
            }
        }
        let ids: Vec<String> = entries.iter().map(|(meta, _)| meta.split(' ').nth(2).unwrap().to_owned()).collect();
        for ((meta, path), blob) in entries.iter().zip(self.blobs(top, &ids)) {
            let name = show(path);
            assert!(blob.is_empty() || oid_of_pointer(&blob).is_some(), "{name} in the index: {}", show(&blob));
            let changed = |line: &&[u8]| line.ends_with(path) && line.len() == path.len() + 3 && line[1] != b' ';
            let skipped = meta.starts_with('S');
            if skipped || status.iter().any(changed) {
                continue;
            }
            let content = tree.get(path).unwrap_or_else(|| panic!("{name} is in the index, and nowhere else"));
            assert!(blob == pointer(content), "{name} in the index is not the pointer to its content: {}", show(&blob));
        }
    }

    /// No lock, no temporary file, no filter.
    fn nothing_is_left(&self) {
        let mut pending = vec![self.world()];
        while let Some(dir) = pending.pop() {
            for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
                let path = entry.path();
                if entry.file_type().unwrap().is_dir() {
                    pending.push(path);
                    continue;
                }
                // The record of uploads has a file that is locked, not made and removed.
                let is_lock =
                    path.extension() == Some("lock".as_ref()) && !path.parent().unwrap().ends_with("uploaded");
                assert!(!is_lock, "a lock is left: {}", path.display());
                assert!(!path.parent().unwrap().ends_with("s3lfs/tmp"), "a file is left: {}", path.display());
            }
        }
        let start = Instant::now();
        while let Some(process) = self.filter_process() {
            assert!(start.elapsed() < PATIENCE, "a filter process is left: {process}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// A filter of this world that is running.
    fn filter_process(&self) -> Option<String> {
        let home = [b"HOME=", self.home().as_os_str().as_bytes()].concat();
        for entry in fs::read_dir("/proc").ok()?.flatten() {
            let read = |name: &str| fs::read(entry.path().join(name)).unwrap_or_default();
            let command = read("cmdline");
            let is_filter = command.windows(14).any(|word| word == b"filter-process");
            if is_filter && read("environ").split(|&b| b == 0).any(|variable| variable == home) {
                return Some(format!("{:?} {}", entry.file_name(), show(&command)));
            }
        }
        None
    }

    /// `files` of HEAD's manifest are HEAD's pointers.
    pub fn manifest_follows(&mut self) {
        let output = self.git(&["ls-tree", "-r", "-z", "--full-tree", "HEAD"]);
        let mut entries: Vec<(String, String)> = Vec::new();
        for line in output.split(|&b| b == 0).filter(|line| !line.is_empty()) {
            // A path that is no UTF-8 has no entry.
            let Ok(line) = std::str::from_utf8(line) else { continue };
            let (meta, path) = line.split_once('\t').unwrap();
            if !is_tracked(path.as_bytes()) {
                continue;
            }
            entries.push((path.to_owned(), meta.split(' ').nth(2).unwrap().to_owned()));
        }
        let ids: Vec<String> = entries.iter().map(|(_, id)| id.clone()).collect();
        let top = self.top();
        let blobs = self.blobs(&top, &ids);
        let named = entries.into_iter().zip(blobs);
        let pointers: BTreeMap<String, String> =
            named.filter_map(|((path, _), blob)| Some((path, oid_of_pointer(&blob)?))).collect();
        let manifest: serde_json::Value =
            serde_json::from_slice(&self.git(&["cat-file", "blob", "HEAD:.s3_manifest.json"])).unwrap();
        let files = manifest["files"].as_object().unwrap();
        let files: BTreeMap<String, String> =
            files.iter().map(|(path, oid)| (path.clone(), oid.as_str().unwrap().to_owned())).collect();
        assert_eq!(files, pointers, "the manifest of HEAD (left) and its pointers (right)");
    }

    /// The blobs with these ids.
    fn blobs(&mut self, dir: &Path, ids: &[String]) -> Vec<Vec<u8>> {
        let input: String = ids.iter().map(|id| format!("{id}\n")).collect();
        let output = self.try_run("git", dir, &["cat-file", "--batch=%(objectsize)"], input.as_bytes()).stdout;
        let mut rest = output.as_slice();
        let mut blobs = Vec::new();
        for _ in ids {
            let line = rest.iter().position(|&b| b == b'\n').expect("a line for each blob");
            let size: usize = std::str::from_utf8(&rest[..line]).unwrap().parse().expect("the size of a blob");
            blobs.push(rest[line + 1..][..size].to_vec());
            rest = &rest[line + 2 + size..];
        }
        blobs
    }
}

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
fn oid_of_pointer(blob: &[u8]) -> Option<String> {
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
fn is_tracked(path: &[u8]) -> bool {
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
fn walk(dir: &Path, prefix: &mut Vec<u8>, found: &mut impl FnMut(&[u8], &Path)) {
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
fn show(bytes: &[u8]) -> String {
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
fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").args([from, to]).status().unwrap();
    assert!(status.success(), "cp -a {} {}", from.display(), to.display());
}
