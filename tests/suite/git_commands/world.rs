//! The world of one row: a home, a store and a repository that is set up, and what should stand in
//! its worktree.
//!
//! It always lies at the same absolute path of its worker, so that a copy of the template is a copy
//! of a working world: store URL and linked worktrees are absolute.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, SystemTime};

use super::trees::{Tree, copy, join, main, oid, side, walk, write_file};
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
        copy(&self.root(), &self.scratch.join("template"));
    }

    /// Back to the template, for the next row.
    pub fn reset(&mut self) {
        fs::remove_dir_all(self.root()).unwrap();
        copy(&self.scratch.join("template"), &self.root());
        self.log.clear();
        self.tree = main();
        self.git(&["update-index", "-q", "--refresh"]);
    }

    /// All of it.
    pub fn root(&self) -> PathBuf {
        self.scratch.join("world")
    }

    pub fn home(&self) -> PathBuf {
        self.join("home")
    }

    /// A place beside the repository.
    pub fn join(&self, name: &str) -> PathBuf {
        self.root().join(name)
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
}
