//! Whether objects that are in the store, and not here, have the sizes that their pointers name.
//!
//! Apart because it is a question of the push gate alone: a pointer that somebody edited names content that is there,
//! and that nobody could check out. A glance at the first and last bytes tells which pointers are suspect; those are
//! read, as far as that is little.

use std::collections::BTreeSet;

use super::{Item, Job, Transfer, TransferError};
use crate::oid::Oid;
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

/// What was found of sizes.
#[derive(Debug, Default)]
pub struct Judged {
    /// Nobody could check these out.
    pub wrong: Vec<(Item, TransferError)>,
    /// The store did not answer, or what it gave could not be read.
    pub unjudged: Vec<(Item, TransferError)>,
}

impl Judged {
    /// All that may not be recorded.
    pub fn not_right(&self) -> BTreeSet<Oid> {
        self.wrong.iter().chain(&self.unjudged).map(|(item, _)| item.oid).collect()
    }
}

impl Transfer {
    /// Of `items` in the store those that nobody could check out, and those that could not be asked for, each with
    /// the reason.
    pub fn wrong_sizes(&mut self, items: &[Item]) -> Judged {
        let cache = self.engine.cache.clone();
        // What is here was judged by that.
        let unknown = |item: &&Item| item.size.is_some() && cache.find(&item.oid, None).is_none();
        let unknown: Vec<Item> = items.iter().filter(unknown).copied().collect();
        let mut judged = Judged::default();
        let mut to_read = Vec::new();
        // One that fails for good says nothing of the others.
        let glances = self.ask_each_by_itself(&unknown, |store, item| async move { glance(&store, item).await });
        for (item, glance) in unknown.into_iter().zip(glances) {
            match glance {
                Ok(Glance::Plausible) => {}
                Ok(Glance::Suspect(len)) if len <= READ => to_read.push(Job::Download(item)),
                Ok(Glance::Suspect(len)) => judged.wrong.push((item, self.disagreement(item, len))),
                Err(e) => judged.unjudged.push((item, e.into())),
            }
        }
        if !to_read.is_empty() {
            let proved =
                |e: &TransferError| matches!(e, TransferError::WrongSize { .. } | TransferError::WrongContent { .. });
            let (wrong, unread): (Vec<_>, Vec<_>) = self.run(to_read).failed.into_iter().partition(|(_, e)| proved(e));
            judged.wrong.extend(wrong);
            judged.unjudged.extend(unread);
        }
        judged
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
