//! A repository with a store to have the conversation in, and what stands in both.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use s3lfs::pointer::Pointer;

use super::filter::Filter;
use crate::scratch::Scratch;

pub const S3LFS: &str = env!("CARGO_BIN_EXE_s3lfs");
pub const MIB: usize = 1 << 20;

/// A repository whose manifest names an accepted `file://` store.
pub struct Bench {
    pub repo: Scratch,
    store: Scratch,
    env: Vec<(String, String)>,
    configured: usize,
}

impl Bench {
    pub fn new() -> Self {
        Self::of(Scratch::repo())
    }

    /// The same around a repository that was made otherwise.
    pub fn of(repo: Scratch) -> Self {
        let bench = Bench { repo, store: Scratch::new(), env: Vec::new(), configured: 0 };
        bench.write_manifest(&bench.repo.join(".s3_manifest.json"));
        bench.repo.git(&["config", "s3lfs.store", &bench.store_url()], b"");
        bench
    }

    pub fn write_manifest(&self, path: &Path) {
        let bucket = format!("file://{}", self.store.path().display());
        let text = format!("{{\"bucket_name\": {bucket:?}, \"repo_prefix\": \"proj\", \"files\": {{}}}}\n");
        fs::write(path, text).unwrap();
    }

    pub fn store_url(&self) -> String {
        format!("file://{}/proj", self.store.path().display())
    }

    /// With an environment variable.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With configuration as `git -c` hands it on.
    pub fn config(mut self, key: &str, value: &str) -> Self {
        let n = self.configured;
        self.configured += 1;
        self.env.retain(|(name, _)| name != "GIT_CONFIG_COUNT");
        self.env("GIT_CONFIG_COUNT", &(n + 1).to_string())
            .env(&format!("GIT_CONFIG_KEY_{n}"), key)
            .env(&format!("GIT_CONFIG_VALUE_{n}"), value)
    }

    /// A command at the top of the worktree, in this bench's environment.
    pub fn command(&self, program: &str) -> Command {
        let mut command = self.repo.command(program);
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("S3LFS_") || text.starts_with("AWS_") {
                command.env_remove(&name);
            }
        }
        command.envs(self.env.iter().cloned());
        command
    }

    /// `s3lfs <args>`.
    pub fn s3lfs(&self, args: &[&str]) -> Command {
        let mut command = self.command(S3LFS);
        command.args(args);
        command
    }

    /// A filter process that nothing was said to.
    pub fn silent_filter(&self) -> Filter {
        Filter::start(self.s3lfs(&["filter-process"]))
    }

    /// A filter process after the handshake.
    pub fn filter(&self) -> Filter {
        let mut filter = self.silent_filter();
        assert_eq!(filter.handshake(&["clean", "smudge", "delay"]), ["clean", "smudge", "delay"]);
        filter
    }

    /// The key of the object of `pointer`.
    pub fn key(&self, pointer: &Pointer) -> String {
        let hex = pointer.oid.hex();
        format!("proj/assets/{}/{hex}", &hex[..2])
    }

    pub fn object_path(&self, pointer: &Pointer) -> PathBuf {
        let path = self.store.join(&self.key(pointer));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }

    /// Put any bytes into the store as the object of `pointer`.
    pub fn put(&self, pointer: &Pointer, object: &[u8]) {
        fs::write(self.object_path(pointer), object).unwrap();
    }

    /// Put content into the store, as it is.
    pub fn stored(&self, content: impl AsRef<[u8]>) -> Pointer {
        let pointer = Pointer::to(content.as_ref()).unwrap();
        self.put(&pointer, content.as_ref());
        pointer
    }

    /// Take the whole store away.
    pub fn remove_store(&self) {
        fs::remove_dir_all(self.store.path()).unwrap();
    }

    pub fn state(&self) -> PathBuf {
        self.repo.join(".git/s3lfs")
    }

    pub fn cached_path(&self, pointer: &Pointer) -> PathBuf {
        let hex = pointer.oid.hex();
        self.state().join("objects").join(&hex[..2]).join(hex)
    }

    /// Put any bytes into the cache as the content of `pointer`.
    pub fn put_cached(&self, pointer: &Pointer, bytes: &[u8]) {
        let path = self.cached_path(pointer);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// Put content into the cache.
    pub fn cached(&self, content: impl AsRef<[u8]>) -> Pointer {
        let pointer = Pointer::to(content.as_ref()).unwrap();
        self.put_cached(&pointer, content.as_ref());
        pointer
    }

    /// The bytes in the cache for `pointer`, if any.
    pub fn in_cache(&self, pointer: &Pointer) -> Option<Vec<u8>> {
        fs::read(self.cached_path(pointer)).ok()
    }

    /// All files of the local state, temporary ones too.
    pub fn state_files(&self) -> Vec<PathBuf> {
        files_under(&self.state())
    }
}

pub fn files_under(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(files_under(&path)) } else { files.push(path) }
    }
    files.sort();
    files
}

/// Text of this length that is no pointer, no mark, and different for each `seed`.
pub fn text(seed: &str, len: usize) -> Vec<u8> {
    format!("{seed}: all work and no play makes Jack a dull boy.\n")
        .into_bytes()
        .into_iter()
        .cycle()
        .take(len)
        .collect()
}
