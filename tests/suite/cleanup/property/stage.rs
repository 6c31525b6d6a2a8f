//! Where a history is played: a world, with its store in a directory or on the S3 service of this process.
//!
//! Apart because the rules are the same for both, and a service differs in all that a cleanup goes by: how it
//! lists, how exact its times are, what it answers to a condition.

use std::path::PathBuf;

use super::super::time::{clones_age, store_ages};
use crate::s3::bench::Bench;
use crate::world::{Place, World};

/// See above.
pub enum Stage {
    Files(World),
    Service(Box<Bench>),
}

impl Stage {
    /// The store is a directory.
    pub fn files() -> Self {
        Stage::Files(World::ready())
    }

    /// It is a bucket.
    pub fn service() -> Self {
        Stage::Service(Box::new(Bench::ready()))
    }

    pub fn world(&self) -> &World {
        match self {
            Stage::Files(world) => world,
            Stage::Service(bench) => &bench.world,
        }
    }

    /// A directory in which the store can be used.
    pub fn at(&self, dir: &str) -> Place<'_> {
        match self {
            Stage::Files(world) => world.at(dir),
            Stage::Service(bench) => bench.at(dir),
        }
    }

    pub fn cloned(&self, dir: &str) {
        self.at("").s3lfs(&["clone", "-q", "remote.git", dir]).ok();
    }

    /// Name the store in another repository.
    pub fn init(&self, place: &Place<'_>, options: &[&str]) {
        let store = match self {
            Stage::Files(world) => vec!["init".to_owned(), world.url("store")],
            Stage::Service(bench) => {
                ["init", "--endpoint-url", &bench.server.url(), bench.server.bucket()].map(str::to_owned).to_vec()
            }
        };
        let store: Vec<&str> = store.iter().map(String::as_str).collect();
        place.s3lfs(&[&store[..], &["proj"], options].concat()).ok();
    }

    /// Where something lies that is stored beneath the prefix.
    pub fn stored(&self, key: &str) -> PathBuf {
        match self {
            Stage::Files(world) => world.path("store/proj").join(key),
            Stage::Service(bench) => bench.server.file("proj").join(key),
        }
    }

    pub fn days_pass(&self, days: u32) {
        let by = std::time::Duration::from_secs(24 * 3600) * days;
        store_ages(&self.stored(""), by);
        clones_age(self.world(), by);
    }
}
