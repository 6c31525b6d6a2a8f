//! A world whose store is the S3 service of this process.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::server::Server;
use crate::world::{Place, World, oid};

/// The repository and its service.
pub struct Bench {
    pub world: World,
    pub server: Server,
}

impl Bench {
    /// An empty repository, an empty bucket; not set up.
    pub fn new() -> Self {
        Bench { world: World::new(), server: Server::start() }
    }

    /// Set up, `*.bin` tracked, pushed; the service's log is empty.
    pub fn ready() -> Self {
        Self::ready_with(&[])
    }

    /// With more options for `init`.
    pub fn ready_with(options: &[&str]) -> Self {
        let bench = Self::new();
        let work = bench.work();
        let url = bench.server.url();
        work.s3lfs(&[&["init", "--endpoint-url", &url, bench.server.bucket(), "proj"], options].concat()).ok();
        work.s3lfs(&["git-setup", "--track", "*.bin"]).ok();
        work.git(&["add", "."]).ok();
        work.git(&["commit", "-qm", "set up"]).ok();
        work.git(&["push", "-qu", "origin", "main"]).ok();
        bench.server.take();
        bench
    }

    /// With `a.bin` pushed, whose content is returned, and not cached.
    pub fn with(content: &[u8]) -> Self {
        let bench = Self::ready();
        bench.work().commit("a.bin", content);
        bench.work().git(&["push", "-q"]).ok();
        bench.work().leave_pointer("a.bin");
        bench.server.take();
        bench
    }

    /// A directory with good credentials.
    pub fn at(&self, dir: &str) -> Place<'_> {
        let (access_key, secret_key) = self.server.credentials();
        let place = self.world.at(dir).env("AWS_ACCESS_KEY_ID", access_key).env("AWS_SECRET_ACCESS_KEY", secret_key);
        place.env("NO_PROXY", "127.0.0.1")
    }

    pub fn work(&self) -> Place<'_> {
        self.at("work")
    }

    /// Another clone by `s3lfs clone`.
    pub fn cloned(&self, dir: &str) -> Place<'_> {
        self.at("").s3lfs(&["clone", "-q", "remote.git", dir]).ok();
        self.at(dir)
    }

    /// What the bucket has of content: its object's bytes.
    pub fn stored(&self, content: &[u8]) -> Option<Vec<u8>> {
        self.server.stored(&key(content))
    }

    /// Whether the bucket has content.
    pub fn has(&self, content: &[u8]) -> bool {
        self.stored(content).is_some()
    }

    /// Where content lies on this machine.
    pub fn object(&self, content: &[u8]) -> PathBuf {
        self.server.file(&key(content))
    }

    /// Let a request go on that waits for this file ([`super::fault::Fault::Until`]).
    pub fn release(&self, file: &str) {
        fs::write(self.server.file(file), "").unwrap();
    }

    pub fn waits_for(&self, what: &str, mut so: impl FnMut() -> bool) {
        let end = SystemTime::now() + Duration::from_secs(60);
        while !so() {
            assert!(SystemTime::now() < end, "it comes to this: {what}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// The key of content.
pub fn key(content: &[u8]) -> String {
    let oid = oid(content);
    format!("proj/assets/{}/{oid}", &oid[..2])
}

/// Bytes that do not compress: a xorshift generator's.
pub fn random(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// Bytes that do: numbered lines.
pub fn compressible(len: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(len + 64);
    for line in 0.. {
        if bytes.len() >= len {
            break;
        }
        bytes.extend_from_slice(format!("line {line:012} of a file that compresses well\n").as_bytes());
    }
    bytes.truncate(len);
    bytes
}
