//! Listing a whole store: shards in parallel, each page asked for again when it fails for the moment.
//!
//! Apart because it moves no content. It succeeds only if every page of every shard was had.

use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};

use super::{Engine, Transfer, retry};
use crate::store::StoreError;
use crate::store::listing::{Listed, Page, Shard};

/// Pages that wait to be looked at, of 1,000 keys each: what bounds the memory.
const WAITING: usize = 16;

type Pages = SyncSender<Result<Vec<Listed>, StoreError>>;

impl Transfer {
    /// Look at everything in the store, in no order.
    pub fn list(&mut self, mut visit: impl FnMut(Listed)) -> Result<(), StoreError> {
        // Most stores are small: one request tells.
        let store = self.store().clone();
        let first = if store.is_service() { self.ask(|| store.list_page(Shard::All, None))? } else { unlisted() };
        if first.next.is_none() {
            first.found.into_iter().for_each(visit);
            return Ok(());
        }
        let (sender, pages) = sync_channel(WAITING);
        for byte in 0..=u8::MAX {
            let (engine, sender) = (Arc::clone(&self.engine), sender.clone());
            self.runtime().spawn(async move { list_shard(&engine, Shard::Of(byte), sender).await });
        }
        drop(sender);
        let mut shards = 0;
        for page in pages {
            let found = page?;
            shards += usize::from(found.is_empty());
            found.into_iter().for_each(&mut visit);
        }
        // A task that ended without a word (a panic) leaves its shard unlisted.
        if shards == 256 { Ok(()) } else { Err(self.store().incomplete_listing()) }
    }

    /// Look at everything of one shard.
    pub fn list_shard(&mut self, shard: u8) -> Result<Vec<Listed>, StoreError> {
        let store = self.store().clone();
        let mut found = Vec::new();
        let mut token = None;
        loop {
            let page = self.ask(|| store.list_page(Shard::Of(shard), token.clone()))?;
            found.extend(page.found);
            token = page.next;
            if token.is_none() {
                return Ok(found);
            }
        }
    }
}

/// As if a first page had told that there is more.
fn unlisted() -> Page {
    Page { found: Vec::new(), next: Some(String::new()) }
}

/// Sends each page that has something, and an empty one at the end. Nobody listens any more after an
/// error.
async fn list_shard(engine: &Arc<Engine>, shard: Shard, pages: Pages) {
    let mut token = None;
    loop {
        let page = {
            let _request = engine.request().await;
            let ask = || engine.store.list_page(shard, token.clone());
            retry::retrying(engine.options.patience, ask).await
        };
        let (found, next) = match page {
            Ok(Page { found, next }) => (Ok(found), next),
            Err(e) => (Err(e), None),
        };
        let failed = found.is_err();
        let empty = found.as_ref().is_ok_and(Vec::is_empty);
        if (!empty && !send(&pages, found).await) || failed {
            return;
        }
        token = next;
        if token.is_none() {
            send(&pages, Ok(Vec::new())).await;
            return;
        }
    }
}

/// The channel blocks, which a worker must not.
async fn send(pages: &Pages, page: Result<Vec<Listed>, StoreError>) -> bool {
    let pages = pages.clone();
    tokio::task::spawn_blocking(move || pages.send(page).is_ok()).await.unwrap_or(false)
}
