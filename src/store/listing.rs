//! Listing and deleting: what is in the store, a page at a time, and how it goes.
//!
//! Apart because only `verify` and `cleanup` look at a store as a whole. A listing that can't be
//! had whole is an error, never a shorter answer: what is not listed would be taken for missing.

use std::collections::HashSet;
use std::time::SystemTime;
use std::{fs, io};

use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryStreamExt};
use object_store::list::{PaginatedListOptions, PaginatedListStore};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore};

use super::connect::{Backend, S3};
use super::key::{self, Asset};
use super::{Kind, Store, StoreError};
use crate::oid::Oid;

/// An object, or a file of the Python tool's layout, as the store lists it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listed {
    /// What it is.
    pub asset: Asset,
    /// Encoded length in bytes.
    pub len: u64,
    /// When it was written, by the store's clock.
    pub modified: SystemTime,
}

impl Listed {
    /// Whether it is an object, and no file of the Python tool's layout.
    pub fn is_object(&self) -> bool {
        matches!(self.asset, Asset::Object(_))
    }
}

/// Which part of a store is listed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shard {
    /// All of it.
    All,
    /// The oids that begin with this byte.
    Of(u8),
}

impl Shard {
    /// The two hex digits, or nothing.
    fn digits(self) -> String {
        match self {
            Shard::All => String::new(),
            Shard::Of(byte) => format!("{byte:02x}"),
        }
    }
}

/// A part of a listing.
#[derive(Debug, Default)]
pub struct Page {
    /// What was found, in no order. Foreign keys are left out.
    pub found: Vec<Listed>,
    /// With what the next page is asked for, if there is one.
    pub next: Option<String>,
}

/// The pages of one listing so far. A service that lies could turn them for ever.
#[derive(Debug, Default)]
pub struct Pages(HashSet<Oid>);

impl Pages {
    /// Of 1,000 keys each: ten million keys in a single shard, or in what should hold a few.
    const MOST: usize = 10_000;

    /// Note that there is another page, which is asked for with `token`.
    pub fn turn(&mut self, store: &Store, token: &str) -> Result<(), StoreError> {
        let why = match self.0.insert(Oid::of(token.as_bytes())) {
            true if self.0.len() < Self::MOST => return Ok(()),
            true => "the service's listing does not come to an end",
            false => "the service gives the same page again and again",
        };
        let assets = key::assets(store.remote.prefix());
        Err(StoreError::about_key("list", &assets, &store.url, Kind::Failed, why))
    }
}

/// Keys that one request deletes ("DeleteObjects" in the S3 API reference).
pub const BATCH: usize = 1000;

impl Store {
    /// One page of a listing: up to 1,000 keys of a service; a directory has a single one.
    pub async fn list_page(&self, shard: Shard, token: Option<String>) -> Result<Page, StoreError> {
        let assets = key::assets(self.remote.prefix());
        let failed = |e: object_store::Error| self.error("list", &assets, &e);
        let (metas, next) = match &self.backend {
            Backend::Local(local) => {
                return Ok(Page { found: self.list_directory(local, shard).await?, next: None });
            }
            Backend::S3(s3) => {
                let prefix = format!("{assets}/{}", shard.digits());
                let options = PaginatedListOptions { page_token: token, ..Default::default() };
                let answer = s3.reads.list_paginated(Some(&prefix), options).await.map_err(failed)?;
                (answer.result.objects, answer.page_token)
            }
        };
        Ok(Page { found: metas.iter().filter_map(|meta| self.listed(meta)).collect(), next })
    }

    /// All that lies beneath a directory-like prefix of few keys.
    pub(super) async fn list(&self, under: &Path) -> Result<Vec<ObjectMeta>, StoreError> {
        let failed = |e: object_store::Error| self.error("list", under, &e);
        let Backend::S3(s3) = &self.backend else {
            return self.reads().list(Some(under)).map(|meta| meta.map_err(failed)).try_collect().await;
        };
        let prefix = format!("{under}/");
        let (mut found, mut pages, mut token) = (Vec::new(), Pages::default(), None);
        loop {
            let options = PaginatedListOptions { page_token: token, ..Default::default() };
            let answer = s3.reads.list_paginated(Some(&prefix), options).await.map_err(failed)?;
            found.extend(answer.result.objects);
            let Some(next) = answer.page_token else { return Ok(found) };
            pages.turn(self, &next)?;
            token = Some(next);
        }
    }

    /// The error of an answer of which a part never came.
    pub fn incomplete_answer(&self, action: &'static str) -> StoreError {
        StoreError::about_store(action, &self.url, Kind::Failed, "a part of the answer never came")
    }

    fn listed(&self, meta: &ObjectMeta) -> Option<Listed> {
        let asset = Asset::parse(self.remote.prefix(), &meta.location)?;
        // An object without a byte is none (`Store::head`); the Python tool has them for empty files.
        let is_object = matches!(asset, Asset::Object(_));
        (!is_object || meta.size > 0).then(|| Listed { asset, len: meta.size, modified: meta.last_modified.into() })
    }

    /// A directory can't be asked for names that begin with something: its entries are looked through.
    async fn list_directory(&self, local: &LocalFileSystem, shard: Shard) -> Result<Vec<Listed>, StoreError> {
        let assets = key::assets(self.remote.prefix());
        let failed = |e: object_store::Error| self.error("list", &assets, &e);
        let top = local.path_to_filesystem(&assets).map_err(failed)?;
        let named = tokio::task::spawn_blocking(move || directories(&top, &shard.digits())).await;
        let named = named.map_err(|_| self.incomplete_answer("list"))?;
        let named = named.map_err(|e| failed(object_store::Error::Generic { store: "directory", source: e.into() }))?;
        let mut found = Vec::new();
        for name in named {
            let mut listing = self.reads().list(Some(&assets.clone().join(name)));
            while let Some(meta) = listing.next().await {
                found.extend(self.listed(&meta.map_err(failed)?));
            }
        }
        Ok(found)
    }

    /// Delete up to [`BATCH`] objects: of each, whether it is gone. One that was not there is gone.
    pub async fn delete(&self, assets: &[Asset]) -> Result<Vec<Result<(), StoreError>>, StoreError> {
        let keys: Vec<Path> = assets.iter().map(|asset| asset.key(self.remote.prefix())).collect();
        self.delete_keys(&keys).await
    }

    /// As [`Store::delete`], by keys.
    pub(super) async fn delete_keys(&self, keys: &[Path]) -> Result<Vec<Result<(), StoreError>>, StoreError> {
        let answers = match &self.backend {
            Backend::Local(local) => deletions(local.as_ref(), keys).collect().await,
            Backend::S3(s3) => self.delete_at(s3, keys).await,
        };
        self.outcomes(keys, answers)
    }

    /// Delete a file of s3lfs's own. That it is not there is fine.
    pub(super) async fn delete_small(&self, key: &Path) -> Result<(), StoreError> {
        let keys = [key.clone()];
        let answers = deletions(self.writes(), &keys).collect().await;
        self.outcomes(&keys, answers)?.into_iter().collect()
    }

    /// Some services have no request for many keys: they are asked once, then each key by itself.
    async fn delete_at(&self, s3: &S3, keys: &[Path]) -> Vec<object_store::Result<Path>> {
        let answers: Vec<_> = deletions(&s3.writes, keys).collect().await;
        match answers.as_slice() {
            [Err(e)] if !self.error("delete", &keys[0], e).is_transient() => match s3.single_deletes() {
                Ok(client) => deletions(&client, keys).collect().await,
                Err(e) => vec![Err(e)],
            },
            _ => answers,
        }
    }

    /// A request that failed as a whole gives one error, whatever was asked.
    fn outcomes(
        &self,
        keys: &[Path],
        answers: Vec<object_store::Result<Path>>,
    ) -> Result<Vec<Result<(), StoreError>>, StoreError> {
        if answers.len() != keys.len() {
            let first = &keys[0];
            return Err(match answers.into_iter().find_map(Result::err) {
                Some(e) => self.error("delete", first, &e),
                None => StoreError::about_key("delete", first, &self.url, Kind::Failed, "the answer is incomplete"),
            });
        }
        // Of one key, both look alike: what may pass is tried again.
        if let ([key], [Err(e)]) = (keys, answers.as_slice()) {
            let e = self.error("delete", key, e);
            if e.is_transient() {
                return Err(e);
            }
        }
        let outcome = |(key, answer): (&Path, object_store::Result<Path>)| match answer {
            Ok(_) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(e) => Err(self.error("delete", key, &e)),
        };
        Ok(keys.iter().zip(answers).map(outcome).collect())
    }
}

/// The directories in `top` of which an object of ours or the Python tool's may have its name ([`Asset::parse`]),
/// those that begin with `digits`. By names alone: `top` is read for each of 256 shards, and to look at each entry
/// each time would be 65,536 looks.
fn directories(top: &std::path::Path, digits: &str) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(top) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let hex = |name: &str| matches!(name.len(), 2 | Oid::HEX_LEN) && name.bytes().all(|b| b.is_ascii_hexdigit());
    let mut names = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        let Some(name) = name.to_str().filter(|name| hex(name) && name.starts_with(digits)) else { continue };
        match fs::metadata(top.join(name)) {
            Ok(metadata) if metadata.is_dir() => names.push(name.to_owned()),
            // A file, or one that somebody deleted meanwhile.
            Ok(_) => {}
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
    }
    Ok(names)
}

fn deletions(store: &dyn ObjectStore, keys: &[Path]) -> BoxStream<'static, object_store::Result<Path>> {
    store.delete_stream(stream::iter(keys.to_vec()).map(Ok).boxed())
}
