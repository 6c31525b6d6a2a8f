//! Whether objects that are in the store, and not here, have the sizes that their pointers name.
//!
//! Apart because it is a question of the push gate alone: a pointer that somebody edited names content that is there,
//! and that nobody could check out. A glance at the first and last bytes tells which pointers are suspect; those are
//! read, as far as that is little.

use super::{Item, Job, Transfer, TransferError};
use crate::store::codec::{MARK_LEN, MEMBER_LEN, Mark, mark};
use crate::store::{Store, StoreError};

/// Objects of up to so many bytes are read for a proof.
const READ: u64 = 64 << 20;

/// What a glance tells of an object.
enum Glance {
    /// It may well have that size; or nothing can be told.
    Plausible,
    /// It has so many bytes, and they are no encoding of that size.
    Suspect(u64),
}

impl Transfer {
    /// Of `items` in the store those that nobody could check out, each with the reason. What can't be told is not
    /// among them.
    pub fn wrong_sizes(&mut self, items: &[Item]) -> Vec<(Item, TransferError)> {
        let cache = self.engine.cache.clone();
        // What is here was judged by that.
        let unknown = |item: &&Item| item.size.is_some() && cache.find(&item.oid, None).is_none();
        let unknown: Vec<Item> = items.iter().filter(unknown).copied().collect();
        let glances = match self.ask_each(&unknown, |store, item| async move { glance(&store, item).await }) {
            Ok(glances) => glances,
            Err(e) => {
                tracing::info!("sizes could not be compared: {e}");
                return Vec::new();
            }
        };
        let (mut wrong, mut to_read) = (Vec::new(), Vec::new());
        for (item, glance) in unknown.into_iter().zip(glances) {
            match glance {
                Glance::Plausible => {}
                Glance::Suspect(len) if len <= READ => to_read.push(Job::Download(item)),
                Glance::Suspect(len) => wrong.push((item, self.disagreement(item, len))),
            }
        }
        if !to_read.is_empty() {
            let judged = self.run(to_read).failed.into_iter();
            let proved =
                |e: &TransferError| matches!(e, TransferError::WrongSize { .. } | TransferError::WrongContent { .. });
            wrong.extend(judged.filter(|(_, e)| proved(e)));
        }
        wrong
    }

    fn disagreement(&self, item: Item, len: u64) -> TransferError {
        let size = item.size.unwrap_or_default();
        let (key, store) = self.engine.names(&item.oid);
        let why = format!(
            "it holds {len} bytes, and the pointer's size line says {size}: one of them is wrong ('s3lfs verify --deep' \
             tells which)"
        );
        TransferError::WrongContent { key, store, why }
    }
}

/// Content that is stored as it is has its size. Of gzip, the last four bytes are the length of the last member's
/// content (RFC 1952, ISIZE), and little content has one member.
async fn glance(store: &Store, item: Item) -> Result<Glance, StoreError> {
    let (key, size) = (store.key(&item.oid), item.size.unwrap_or_default());
    let head = match store.get_range(&key, 0..MARK_LEN as u64, None).await {
        Err(e) if e.is_transient() => return Err(e),
        // Not there in this layout, or no ranges are given there.
        Err(_) => return Ok(Glance::Plausible),
        Ok(head) => head,
    };
    let suspect = match mark(&head.bytes) {
        _ if head.len == size => false,
        Mark::Content => true,
        Mark::Later => false,
        // Gzip adds little to what it can't compress.
        Mark::Gzip if head.len > size.saturating_add(size / 1000 + 1024) => true,
        Mark::Gzip if size > MEMBER_LEN || head.len < 4 => false,
        Mark::Gzip => match store.get_range(&key, head.len - 4..head.len, head.etag.as_deref()).await {
            Err(e) if e.is_transient() => return Err(e),
            Err(_) => false,
            Ok(tail) => {
                <[u8; 4]>::try_from(&tail.bytes[..]).is_ok_and(|tail| u64::from(u32::from_le_bytes(tail)) != size)
            }
        },
    };
    Ok(if suspect { Glance::Suspect(head.len) } else { Glance::Plausible })
}
