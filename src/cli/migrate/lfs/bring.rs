//! Bringing the content of git-lfs into the store.
//!
//! Apart because it moves what may be terabytes: a batch at a time goes through the cache, where it is hashed, and leaves
//! it again when the store has it.

use std::collections::{BTreeMap, BTreeSet};

use crate::cli::context::Context;
use crate::cli::error::{CliError, one_line};
use crate::cli::lfs_objects::Objects;
use crate::cli::session::Session;
use crate::cli::tracking::uploads::{self, Believe};
use crate::cli::ui;
use crate::oid::Oid;
use crate::pointer::Pointer;
use crate::transfer::Item;

/// Objects that are brought together.
const BATCH: usize = 1024;

/// As many bytes, unless one object alone has more: so much of the disk is needed besides.
const BATCH_BYTES: u64 = 1 << 30;

/// What came of it.
#[derive(Debug, Default)]
pub struct Brought {
    /// Content that the store has now.
    pub done: BTreeSet<Oid>,
    /// Content that it has not, and why.
    pub failed: BTreeMap<Oid, String>,
}

/// Bring `pointers`, batch after batch.
pub fn bring(
    context: &Context,
    session: &mut Session,
    pointers: &BTreeSet<Pointer>,
    objects: &Objects,
) -> Result<Brought, CliError> {
    let all: Vec<Pointer> = pointers.iter().copied().collect();
    let (mut brought, mut rest) = (Brought::default(), all.as_slice());
    while !rest.is_empty() {
        let (batch, later) = rest.split_at(batch_len(rest));
        rest = later;
        brought.batch(context, session, batch, objects)?;
        if all.len() > batch.len() {
            ui::say(format!("{} of {}", all.len() - rest.len(), ui::count(all.len(), "object")));
        }
    }
    Ok(brought)
}

fn batch_len(pointers: &[Pointer]) -> usize {
    let mut bytes = 0_u64;
    let fits = pointers.iter().take(BATCH).take_while(|pointer| {
        bytes = bytes.saturating_add(pointer.size);
        bytes <= BATCH_BYTES
    });
    fits.count().max(1)
}

impl Brought {
    fn batch(
        &mut self,
        context: &Context,
        session: &mut Session,
        batch: &[Pointer],
        objects: &Objects,
    ) -> Result<(), CliError> {
        let cache = context.cache();
        let mut borrowed = BTreeSet::new();
        let mut ready = BTreeSet::new();
        for pointer in batch {
            if cache.contains(pointer) {
                ready.insert(Item::from(*pointer));
                continue;
            }
            let took = objects.take(&cache, pointer)?.unwrap_or_else(|| Err("it is not here any more".to_owned()));
            match took {
                Ok(()) => {
                    borrowed.insert(pointer.oid);
                    ready.insert(Item::from(*pointer));
                }
                Err(why) => drop(self.failed.insert(pointer.oid, why)),
            }
        }
        let oids: BTreeSet<Oid> = ready.iter().map(|item| item.oid).collect();
        let sent = uploads::upload(session, ready, Believe::Records)?;
        self.failed.extend(sent.failed.into_iter().map(|(oid, e)| (oid, one_line(e))));
        for oid in oids.into_iter().filter(|oid| !self.failed.contains_key(oid)) {
            self.done.insert(oid);
            // git-lfs has it, and so has the store.
            if borrowed.contains(&oid) && session.uploaded.is_fresh_in_store(&oid) {
                cache.remove(&oid)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_bounded_and_never_empty() {
        let pointers = |sizes: &[u64]| -> Vec<Pointer> {
            sizes.iter().map(|&size| Pointer { oid: Oid::of(&size.to_le_bytes()), size }).collect()
        };
        assert_eq!(batch_len(&pointers(&[1 << 40, 1])), 1, "one alone may be larger");
        assert_eq!(batch_len(&pointers(&[1, 2, 1 << 40])), 2);
        assert_eq!(batch_len(&pointers(&[i64::MAX as u64; 4])), 1, "sums do not overflow");
        assert_eq!(batch_len(&pointers(&vec![1; BATCH + 7])), BATCH);
    }
}
