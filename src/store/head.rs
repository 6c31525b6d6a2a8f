//! Looking for an object: HEAD, and where that is refused, why.
//!
//! Apart because the answer to HEAD has no body, and so not the code that tells a wrong key or a token that is over from
//! a permission that lacks ("Error responses" in the S3 API reference): whoever is told of the permission looks in vain.

use std::sync::atomic::Ordering;

use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStoreExt};

use super::{Kind, Store, StoreError};

const ACTION: &str = "look for";

impl Store {
    /// What is known of the object at a key, if one is there.
    pub(super) async fn look_for(&self, key: &Path) -> Result<Option<ObjectMeta>, StoreError> {
        match self.reads().head(key).await {
            Ok(meta) => Ok(Some(meta)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(e) => Err(self.why(key, self.error(ACTION, key, &e)).await),
        }
    }

    /// The same refusal, in the words that GET brings for it. Where those tell of a permission that lacks, too, nobody
    /// asks again for the next one; a token that is over is another refusal, and is asked for each time.
    async fn why(&self, key: &Path, refusal: StoreError) -> StoreError {
        let says_nothing = |error: &StoreError| matches!(error.kind(), Kind::Denied | Kind::Failed);
        let is_denied = refusal.kind() == Kind::Denied;
        let says_no_more = || is_denied && self.quirks.says_no_more.load(Ordering::Relaxed);
        if !self.is_service() || !says_nothing(&refusal) || says_no_more() {
            return refusal;
        }
        let first = GetOptions { range: Some(GetRange::Bounded(0..1)), ..GetOptions::default() };
        match self.reads().get_opts(key, first).await.map_err(|e| self.error(ACTION, key, &e)) {
            Err(e) if !says_nothing(&e) && !matches!(e.kind(), Kind::NotFound | Kind::NotPartial) => e,
            asked => {
                self.quirks.says_no_more.fetch_or(is_denied, Ordering::Relaxed);
                // It has a code, and perhaps words.
                asked.err().filter(|e| e.kind() == Kind::Denied).unwrap_or(refusal)
            }
        }
    }
}
