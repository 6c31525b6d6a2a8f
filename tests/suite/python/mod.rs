//! Repositories and buckets of the Python s3lfs, as that tool left them (fixtures/python-s3lfs).

mod commands;
mod migrate;
pub mod old;
mod reading;
mod yaml;
