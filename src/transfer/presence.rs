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
    /// What was asked about, sorted.
    wanted: Vec<Oid>,
    /// In which form each of them is there. A byte each: there may be a million.
    forms: Vec<Form>,
    /// Of these it could not be told.
    pub unknown: Vec<(Oid, StoreError)>,
}

/// In which form content is in a store. The later one counts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Form {
    Nowhere,
    /// Chunks of the Python tool's; whether all of them are there, only reading tells.
    Chunks,
    /// In the Python tool's layout.
    Legacy,
    /// An object.
    Object,
}

impl Presence {
    fn form(&self, oid: &Oid) -> Form {
        self.wanted.binary_search(oid).map_or(Form::Nowhere, |at| self.forms[at])
    }

    /// Whether it is in the store in either layout.
    pub fn has(&self, oid: &Oid) -> bool {
        self.form(oid) >= Form::Legacy
    }

    /// Whether only chunks of the Python tool's are there; whether all of them are, only reading tells.
    pub fn has_chunks(&self, oid: &Oid) -> bool {
        self.form(oid) == Form::Chunks
    }

    /// What is there as an object.
    pub fn objects(&self) -> impl Iterator<Item = Oid> {
        self.wanted.iter().zip(&self.forms).filter(|(_, form)| **form == Form::Object).map(|(oid, _)| *oid)
    }
}

impl Transfer {
    /// Look for `wanted` in the store, now. An error: nothing can be told.
    pub fn which_are_there(&mut self, wanted: Vec<Oid>) -> Result<Presence, StoreError> {
        self.which_may_be_there(wanted, |_, _| true)
    }

    /// As [`Transfer::which_are_there`]; an object counts only if its length, in bytes, `may_be` that of the content.
    pub fn which_may_be_there(
        &mut self,
        mut wanted: Vec<Oid>,
        may_be: impl Fn(&Oid, u64) -> bool,
    ) -> Result<Presence, StoreError> {
        wanted.sort_unstable();
        wanted.dedup();
        let forms = vec![Form::Nowhere; wanted.len()];
        let mut presence = Presence { wanted, forms, unknown: Vec::new() };
        // What is told already; of few.
        let mut told = BTreeSet::new();
        if presence.wanted.len() <= FEW {
            for (at, (oid, found)) in self.heads(&presence.wanted)?.into_iter().enumerate() {
                match found {
                    Ok(Some(found)) if may_be(&oid, found.len) => presence.forms[at] = Form::Object,
                    Ok(Some(_)) => {}
                    // Not there in our layout; a listing knows the other one.
                    Ok(None) => continue,
                    Err(e) => presence.unknown.push((oid, e)),
                }
                told.insert(oid);
            }
        }
        let ask = presence.wanted.iter().filter(|oid| !told.contains(oid));
        let shards: BTreeSet<u8> = ask.map(|oid| oid.as_bytes()[0]).collect();
        if shards.is_empty() {
            return Ok(presence);
        }
        let empty = Oid::of(b"");
        self.list_shards(shards, |listed| {
            let oid = listed.asset.oid();
            // Without a byte it is a console's mark of a directory, but for the empty content.
            let Ok(at) = presence.wanted.binary_search(&oid) else { return };
            if !told.contains(&oid) && (listed.len > 0 || oid == empty) {
                let form = match &listed.asset {
                    Asset::Object(_) if !may_be(&oid, listed.len) => Form::Nowhere,
                    Asset::Object(_) => Form::Object,
                    Asset::Legacy(_, name) if is_chunk(name) => Form::Chunks,
                    Asset::Legacy(..) => Form::Legacy,
                };
                presence.forms[at] = form.max(presence.forms[at]);
            }
        })?;
        Ok(presence)
    }

    fn heads(&mut self, wanted: &[Oid]) -> Result<BTreeMap<Oid, Head>, StoreError> {
        let (sender, answers) = channel();
        for &oid in wanted {
            let (engine, sender) = (Arc::clone(&self.engine), sender.clone());
            self.runtime().spawn(async move {
                let head = retry::retrying(engine.options.patience, || engine.send(engine.store.head(&oid)));
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
