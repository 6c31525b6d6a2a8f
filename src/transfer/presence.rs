//! Which of many objects are in the store: by a request each for a few, by listing for many.
//!
//! Apart because it moves no content, and because "not there" must be a certain answer: what could
//! not be asked is neither there nor missing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc::channel;

use super::{Transfer, retry};
use crate::oid::Oid;
use crate::store::key::Asset;
use crate::store::legacy::is_chunk;
use crate::store::{Found, StoreError};

/// Up to this many objects are asked for one by one; a page of a listing has 1,000.
const FEW: usize = 100;

/// What the store said.
#[derive(Debug, Default)]
pub struct Presence {
    /// These are there, with content.
    pub there: BTreeSet<Oid>,
    /// These are there only in the Python tool's layout.
    pub legacy: BTreeSet<Oid>,
    /// Of these only chunks of the Python tool's are there; whether all of them are, only reading tells.
    pub chunks: BTreeSet<Oid>,
    /// Of these it could not be told.
    pub unknown: Vec<(Oid, StoreError)>,
}

impl Presence {
    /// Whether it is in the store in either layout.
    pub fn has(&self, oid: &Oid) -> bool {
        self.there.contains(oid) || self.legacy.contains(oid)
    }
}

impl Transfer {
    /// Look for `wanted` in the store, now. An error: nothing can be told.
    pub fn which_are_there(&mut self, wanted: &BTreeSet<Oid>) -> Result<Presence, StoreError> {
        let mut presence = Presence::default();
        let mut ask: BTreeSet<Oid> = wanted.clone();
        if wanted.len() <= FEW {
            for (oid, found) in self.heads(wanted)? {
                match found {
                    Ok(Some(_)) => drop((presence.there.insert(oid), ask.remove(&oid))),
                    // Not there in our layout; a listing knows the other one.
                    Ok(None) => {}
                    Err(e) => {
                        ask.remove(&oid);
                        presence.unknown.push((oid, e));
                    }
                }
            }
        }
        let shards: BTreeSet<u8> = ask.iter().map(|oid| oid.as_bytes()[0]).collect();
        if shards.is_empty() {
            return Ok(presence);
        }
        self.list_shards(shards, |listed| {
            let oid = listed.asset.oid();
            // Without a byte it is a console's mark of a directory, but for the empty content.
            if ask.contains(&oid) && (listed.len > 0 || oid == Oid::of(b"")) {
                let layout = match &listed.asset {
                    Asset::Object(_) => &mut presence.there,
                    Asset::Legacy(_, name) if is_chunk(name) => &mut presence.chunks,
                    Asset::Legacy(..) => &mut presence.legacy,
                };
                layout.insert(oid);
            }
        })?;
        let Presence { there, legacy, chunks, .. } = &mut presence;
        chunks.retain(|oid| !there.contains(oid) && !legacy.contains(oid));
        Ok(presence)
    }

    fn heads(&mut self, wanted: &BTreeSet<Oid>) -> Result<BTreeMap<Oid, Head>, StoreError> {
        let (sender, answers) = channel();
        for &oid in wanted {
            let (engine, sender) = (Arc::clone(&self.engine), sender.clone());
            self.runtime().spawn(async move {
                let head = retry::retrying(engine.options.patience, || async {
                    let _request = engine.request().await;
                    engine.store.head(&oid).await
                });
                // Nobody listens any more only when the engine is being dropped.
                let _ = sender.send((oid, head.await));
            });
        }
        drop(sender);
        let answers: BTreeMap<Oid, Head> = answers.iter().collect();
        // A task that ended without a word (a panic) leaves its object unasked.
        if answers.len() == wanted.len() { Ok(answers) } else { Err(self.store().incomplete_answer("look for")) }
    }
}

type Head = Result<Option<Found>, StoreError>;
