//! What is looked at after each step.
//!
//! Apart because it is the same for all rows: they say what they expect, and this holds the world against it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

use super::trees::{Tree, compare, files_of, is_tracked, oid_of_pointer, pointer, show};
use super::world::World;

/// Files that a command may take a moment to leave behind: a filter has a second to see that Git is gone.
const PATIENCE: Duration = Duration::from_secs(5);

impl World {
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
        let mut pending = vec![self.root()];
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
