//! A world for one test: a `file://` store, a bare remote, and repositories in which the real Git
//! runs the s3lfs of this build.
//!
//! Apart from `scratch` because here s3lfs is on PATH, and every failure of it is held to the same
//! rules, whatever the test is about.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::scratch::{Scratch, run};

/// Where everything is. `store`, `remote.git`, `work` and what tests add lie side by side.
pub struct World {
    scratch: Scratch,
}

impl World {
    /// An empty bare remote, and a repository `work` with it as its origin; no s3lfs yet.
    pub fn new() -> Self {
        let world = World { scratch: Scratch::new() };
        fs::create_dir(world.path("work")).unwrap();
        world.at("").git(&["init", "-q", "--bare", "-b", "main", "remote.git"]).ok();
        let work = world.at("work");
        work.git(&["init", "-q", "-b", "main", "."]).ok();
        work.git(&["remote", "add", "origin", &world.url("remote.git")]).ok();
        world
    }

    /// With a store, set up, `*.bin` tracked, and that committed and pushed.
    pub fn ready() -> Self {
        let world = World::new();
        world.set_up();
        world
    }

    fn set_up(&self) {
        let work = self.at("work");
        work.s3lfs(&["init", &self.url("store"), "proj"]).ok();
        work.s3lfs(&["git-setup", "--track", "*.bin"]).ok();
        work.git(&["add", "."]).ok();
        work.git(&["commit", "-qm", "set up"]).ok();
        work.git(&["push", "-qu", "origin", "main"]).ok();
    }

    /// As [`World::ready`], with `a.bin` (content `a`) committed and pushed too.
    pub fn with_a() -> Self {
        let world = World::ready();
        world.at("work").commit("a.bin", b"content of a\n");
        world.at("work").git(&["push", "-q"]).ok();
        world
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.scratch.join(path)
    }

    pub fn url(&self, path: &str) -> String {
        format!("file://{}", self.path(path).display())
    }

    /// A directory to run commands in.
    pub fn at(&self, dir: &str) -> Place<'_> {
        Place { world: self, dir: self.path(dir), env: Vec::new() }
    }

    /// Another clone by `s3lfs clone`.
    pub fn cloned(&self, dir: &str) -> Place<'_> {
        self.at("").s3lfs(&["clone", "-q", "remote.git", dir]).ok();
        self.at(dir)
    }

    /// Where content lies in the store.
    pub fn object(&self, content: &[u8]) -> PathBuf {
        self.object_in("store", content)
    }

    /// Where content lies in another store.
    pub fn object_in(&self, store: &str, content: &[u8]) -> PathBuf {
        let oid = oid(content);
        self.path(store).join("proj/assets").join(&oid[..2]).join(oid)
    }

    /// The store can't be reached.
    pub fn unplug(&self) {
        fs::rename(self.path("store"), self.path("unplugged")).unwrap();
    }

    /// And can again.
    pub fn plug(&self) {
        fs::rename(self.path("unplugged"), self.path("store")).unwrap();
    }

    /// The commit of a branch on the remote.
    pub fn remote_head(&self, branch: &str) -> String {
        self.at("remote.git").git(&["rev-parse", "--verify", "-q", branch]).stdout.trim().to_owned()
    }
}

/// A directory, and the environment of commands in it.
#[derive(Clone)]
pub struct Place<'a> {
    pub world: &'a World,
    pub dir: PathBuf,
    env: Vec<(String, String)>,
}

impl Place<'_> {
    pub fn join(&self, path: &str) -> PathBuf {
        self.dir.join(path)
    }

    /// A directory beneath this one, made if it is not there.
    pub fn sub(&self, dir: &str) -> Self {
        fs::create_dir_all(self.join(dir)).unwrap();
        Place { dir: self.join(dir), ..self.clone() }
    }

    pub fn env(&self, name: &str, value: impl AsRef<str>) -> Self {
        let mut place = self.clone();
        place.env.push((name.to_owned(), value.as_ref().to_owned()));
        place
    }

    /// The same environment in the directory of another place.
    pub fn in_dir(&self, other: &Place<'_>) -> Self {
        Place { dir: other.dir.clone(), ..self.clone() }
    }

    /// A command that is not started yet.
    pub fn command(&self, program: &str) -> Command {
        let mut command = self.world.scratch.command(program);
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            if name.starts_with("S3LFS_") || name.starts_with("AWS_") || name.to_lowercase().ends_with("_proxy") {
                command.env_remove(&*name);
            }
        }
        let bin = Path::new(env!("CARGO_BIN_EXE_s3lfs")).parent().unwrap();
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
        command.current_dir(&self.dir).env("PATH", path).env("LC_ALL", "C");
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    fn ran(&self, program: &str, args: &[&str], stdin: &[u8]) -> Ran {
        let output = run(self.command(program).args(args), stdin);
        Ran::new(format!("{program} {}", args.join(" ")), output)
    }

    pub fn s3lfs(&self, args: &[&str]) -> Ran {
        self.ran("s3lfs", args, b"")
    }

    pub fn git(&self, args: &[&str]) -> Ran {
        self.ran("git", args, b"")
    }

    pub fn git_with_input(&self, args: &[&str], stdin: &[u8]) -> Ran {
        self.ran("git", args, stdin)
    }

    /// A line as a user would type or paste it.
    pub fn sh(&self, line: &str) -> Ran {
        self.ran("sh", &["-c", line], b"")
    }

    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Write a file that can be run. By a child: a descriptor of ours, open for writing, could be
    /// inherited by a child that another test starts at this moment (ETXTBSY).
    pub fn script(&self, path: &str, text: &str) {
        let path = self.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let write = ["-c", "cat >\"$0\" && chmod 755 \"$0\"", path.to_str().unwrap()];
        self.ran("sh", &write, text.as_bytes()).ok();
    }

    pub fn read(&self, path: &str) -> Vec<u8> {
        fs::read(self.join(path)).unwrap_or_else(|e| panic!("{path} can be read: {e}"))
    }

    pub fn text(&self, path: &str) -> String {
        String::from_utf8(self.read(path)).unwrap()
    }

    pub fn exists(&self, path: &str) -> bool {
        fs::symlink_metadata(self.join(path)).is_ok()
    }

    pub fn remove(&self, path: &str) {
        fs::remove_file(self.join(path)).unwrap();
    }

    /// Write a file, add it, commit it.
    pub fn commit(&self, path: &str, content: &[u8]) -> Ran {
        self.write(path, content);
        self.git(&["add", "--", path]).ok();
        self.git(&["commit", "-qm", path]).ok()
    }

    /// What `:path` or `HEAD:path` holds.
    pub fn blob(&self, expression: &str) -> String {
        self.git(&["cat-file", "blob", expression]).ok().stdout
    }

    pub fn manifest(&self) -> Value {
        serde_json::from_slice(&self.read(MANIFEST)).expect("the manifest is JSON")
    }

    /// All that Git has staged, with modes and stages.
    pub fn index(&self) -> String {
        self.git(&["ls-files", "-s", "-v"]).ok().stdout
    }

    pub fn head(&self) -> String {
        self.git(&["rev-parse", "HEAD"]).ok().stdout.trim().to_owned()
    }

    /// `git status` has nothing to say.
    #[track_caller]
    pub fn is_clean(&self) {
        let status = self.git(&["status", "--porcelain"]).ok().stdout;
        assert_eq!(status, "", "git status must be empty");
    }

    /// `git status` says this, and nothing else.
    #[track_caller]
    pub fn is_clean_but(&self, lines: &[&str]) {
        let status = self.git(&["status", "--porcelain"]).ok().stdout;
        assert_eq!(status.lines().collect::<Vec<_>>(), lines, "git status must say no more than this");
    }

    /// Forget cached content, so that it has to come from the store.
    pub fn drop_cache(&self) {
        let common = self.git(&["rev-parse", "--path-format=absolute", "--git-common-dir"]).ok();
        let _ = fs::remove_dir_all(Path::new(common.stdout.trim()).join("s3lfs/objects"));
    }

    /// As after a checkout that filled nothing: the pointer in place of the content, nothing cached.
    pub fn leave_pointer(&self, path: &str) {
        self.remove(path);
        self.env("S3LFS_SKIP_SMUDGE", "1").git(&["checkout", "-q", "--", path]).ok();
        assert!(self.text(path).starts_with("version s3lfs/1\n"), "S3LFS_SKIP_SMUDGE leaves the pointer");
        self.drop_cache();
    }
}

/// The manifest's name.
pub const MANIFEST: &str = ".s3_manifest.json";

/// A command that has ended.
#[derive(Debug)]
#[allow(dead_code, reason = "the line is shown by Debug when an assertion fails")]
pub struct Ran {
    pub line: String,
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    fn new(line: String, output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let code = output.status.code().unwrap_or(-1);
        let ran = Ran { line, code, stdout: text(output.stdout), stderr: text(output.stderr) };
        // Whatever a test is about: no Rust debug output ever reaches a user.
        for raw in ["panicked at", "RUST_BACKTRACE", "Error {", "Some(", "Os { code", "unwrap()"] {
            assert!(!ran.stderr.contains(raw), "raw debug output ({raw}): {ran:#?}");
        }
        ran
    }

    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.code, 0, "it must succeed: {self:#?}");
        self
    }

    /// It fails with this exit code, and says why in its own name.
    #[track_caller]
    pub fn fails(self, code: i32) -> Self {
        assert_eq!(self.code, code, "it must fail with {code}: {self:#?}");
        assert!(self.stderr.contains("s3lfs: "), "an error is said by s3lfs: {self:#?}");
        self
    }

    /// Each of these stands in stderr.
    #[track_caller]
    pub fn says(self, texts: &[&str]) -> Self {
        for text in texts {
            assert!(self.stderr.contains(text), "stderr must say {text:?}: {self:#?}");
        }
        self
    }

    /// None of these does.
    #[track_caller]
    pub fn never_says(self, texts: &[&str]) -> Self {
        for text in texts {
            assert!(!self.stderr.contains(text), "stderr must not say {text:?}: {self:#?}");
        }
        self
    }

    /// The JSON object of a command that failed as a whole: it has the error that stderr has.
    #[track_caller]
    pub fn refused_in_json(&self, command: &str) -> Value {
        let value: Value =
            serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("one JSON object ({e}): {self:#?}"));
        let keys: Vec<&String> = value.as_object().expect("an object").keys().collect();
        assert_eq!(keys, ["command", "error", "errors", "hints", "items", "version"], "these keys, no more");
        assert_eq!((&value["version"], &value["command"]), (&Value::from(1), &Value::from(command)));
        assert_eq!((&value["items"], &value["errors"]), (&Value::Array(vec![]), &Value::Array(vec![])));
        let error = value["error"].as_str().expect("a message");
        assert!(!error.is_empty() && self.stderr.contains(&format!("s3lfs: {error}\n")), "the same error: {self:#?}");
        for hint in value["hints"].as_array().expect("a list") {
            assert!(self.stderr.contains(hint.as_str().expect("a text")), "the same hints: {self:#?}");
        }
        value
    }

    /// The one JSON object on stdout, held to its shape (design.md, section 5).
    #[track_caller]
    pub fn json(&self, command: &str) -> Value {
        let value: Value =
            serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("one JSON object ({e}): {self:#?}"));
        let keys: Vec<&String> = value.as_object().expect("an object").keys().collect();
        assert_eq!(keys, ["command", "errors", "items", "version"], "these keys, no more");
        assert_eq!((&value["version"], &value["command"]), (&Value::from(1), &Value::from(command)));
        assert!(value["items"].is_array() && value["errors"].is_array(), "items and errors are lists");
        value
    }
}

/// The hex of the SHA-256.
pub fn oid(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The pointer to content (design.md, section 3).
pub fn pointer(content: &[u8]) -> String {
    format!("version s3lfs/1\noid sha256:{}\nsize {}\n", oid(content), content.len())
}

/// Every file beneath `dir` with its bytes, sorted: to see that nothing changed.
pub fn snapshot(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            if fs::symlink_metadata(&path).unwrap().is_dir() {
                dirs.push(path);
            } else {
                let bytes = fs::read(&path).unwrap_or_default();
                files.push((path, bytes));
            }
        }
    }
    files.sort();
    files
}

/// The worktree's files, without Git's own directory.
pub fn worktree_files(place: &Place<'_>) -> Vec<(PathBuf, Vec<u8>)> {
    snapshot(&place.dir).into_iter().filter(|(path, _)| !path.starts_with(place.join(".git"))).collect()
}
