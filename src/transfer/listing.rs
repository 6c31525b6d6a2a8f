//! Listing a whole store, and deleting: shards and batches in parallel, each request sent again when it
//! fails for the moment.
//!
//! Apart because it moves no content. A listing succeeds only if every page of every shard was had.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant, SystemTime};

use futures_util::stream::{self, StreamExt};
use tokio::sync::mpsc::{self, Sender};

use super::{Engine, Transfer, retry};
use crate::store::StoreError;
use crate::store::key::Asset;
use crate::store::listing::{BATCH, Listed, Page, Pages, Shard};

/// Pages that wait to be looked at, of 1,000 keys each: what bounds the memory.
const WAITING: usize = 4;

/// Shards that are listed at a time, for the same reason: each holds a page until it is wanted.
const LISTINGS: usize = 16;

/// Until when something may be done.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    from: (Instant, SystemTime),
    within: Duration,
}

impl Deadline {
    /// So long after now.
    pub fn after(within: Duration) -> Self {
        Deadline { from: (Instant::now(), SystemTime::now()), within }
    }

    /// What is left. A machine that sleeps does not count the time; its clock tells afterwards.
    pub fn left(&self) -> Duration {
        let elapsed = self.from.0.elapsed().max(self.from.1.elapsed().unwrap_or_default());
        self.within.saturating_sub(elapsed)
    }
}

type Sink = Sender<Result<Vec<Listed>, StoreError>>;

impl Transfer {
    /// Look at everything in the store, in no order.
    pub fn list(&mut self, visit: impl FnMut(Listed)) -> Result<(), StoreError> {
        self.list_shards(0..=u8::MAX, visit)
    }

    /// Look at everything of which the oid begins with one of these bytes, in no order.
    pub fn list_shards(
        &mut self,
        shards: impl IntoIterator<Item = u8>,
        mut visit: impl FnMut(Listed),
    ) -> Result<(), StoreError> {
        let shards: BTreeSet<u8> = shards.into_iter().collect();
        // Most stores are small: one request tells.
        let store = self.store().clone();
        if store.is_service() {
            let first = self.ask(|| store.list_page(Shard::All, None))?;
            if first.next.is_none() {
                let wanted = |listed: &Listed| shards.contains(&listed.asset.oid().as_bytes()[0]);
                first.found.into_iter().filter(wanted).for_each(visit);
                return Ok(());
            }
        }
        let (sender, mut pages) = mpsc::channel(WAITING);
        let (engine, count) = (Arc::clone(&self.engine), shards.len());
        let at_once = engine.window.most().min(LISTINGS);
        self.runtime().spawn(stream::iter(shards).for_each_concurrent(at_once, move |byte| {
            let (engine, sender) = (Arc::clone(&engine), sender.clone());
            let listing = tokio::spawn(async move { list_shard(&engine, Shard::Of(byte), sender).await });
            async move { drop(listing.await) }
        }));
        let mut ended = 0;
        while let Some(page) = pages.blocking_recv() {
            let found = page?;
            ended += usize::from(found.is_empty());
            found.into_iter().for_each(&mut visit);
        }
        // A task that ended without a word (a panic) leaves its shard unlisted.
        if ended == count { Ok(()) } else { Err(self.store().incomplete_answer("list")) }
    }

    /// How long to wait before each further try of what may go better then.
    pub fn waits(&self) -> impl Iterator<Item = Duration> + use<> {
        self.engine.options.patience.waits()
    }

    /// Delete objects, up to [`BATCH`] in a request: those that are still there, and why. Each request is sent
    /// once: it may be carried out although its answer is lost, and sent again it would delete what somebody
    /// has written since. Whoever tries again looks first. After `deadline` no request is on its way.
    pub fn delete(&mut self, assets: &[Asset], deadline: Deadline) -> Vec<(Asset, StoreError)> {
        let (sender, ended) = channel();
        for (number, batch) in assets.chunks(BATCH).map(<[Asset]>::to_vec).enumerate() {
            let (engine, sender) = (Arc::clone(&self.engine), sender.clone());
            self.runtime().spawn(async move {
                let _request = engine.request().await;
                let deleted = tokio::time::timeout(deadline.left(), engine.store.delete(&batch)).await;
                let deleted = deleted.unwrap_or_else(|_| Err(engine.store.sweep_too_slow()));
                // Nobody listens any more only when the engine is being dropped.
                let _ = sender.send((number, deleted));
            });
        }
        drop(sender);
        // A task that ends without a word (a panic) has deleted nothing for certain.
        let mut outcomes: BTreeMap<usize, _> = ended.iter().collect();
        let mut failed = Vec::new();
        for (number, batch) in assets.chunks(BATCH).enumerate() {
            let outcome = outcomes.remove(&number).unwrap_or_else(|| Err(self.store().incomplete_answer("delete")));
            match outcome {
                Ok(each) => {
                    failed.extend(batch.iter().zip(each).filter_map(|(a, done)| Some((a.clone(), done.err()?))))
                }
                Err(e) => failed.extend(batch.iter().map(|asset| (asset.clone(), e.clone()))),
            }
        }
        failed
    }
}

/// Sends each page that has something, and an empty one at the end. Nobody listens any more after an
/// error.
async fn list_shard(engine: &Arc<Engine>, shard: Shard, pages: Sink) {
    let mut token = None;
    let mut turned = Pages::default();
    while !pages.is_closed() {
        let ask = || engine.send(engine.store.list_page(shard, token.clone()));
        let page = retry::retrying(engine.options.patience, ask).await;
        let Page { found, next } = match page {
            Ok(page) => page,
            Err(e) => {
                let _ = pages.send(Err(e)).await;
                return;
            }
        };
        if !found.is_empty() && pages.send(Ok(found)).await.is_err() {
            return;
        }
        let Some(next) = next else {
            let _ = pages.send(Ok(Vec::new())).await;
            return;
        };
        if let Err(e) = turned.turn(&engine.store, &next) {
            let _ = pages.send(Err(e)).await;
            return;
        }
        token = Some(next);
    }
}
