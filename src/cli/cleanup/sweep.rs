//! The sweep: delete what a survey found, looking again before each batch.
//!
//! Apart because between survey and deletion anything may have happened: somebody wrote the object
//! anew, another cleanup saw it reachable again, another repository was registered. What happens between
//! the look and the deletion is kept away by what is announced (`announced`).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::announced::{Announced, Leave};
use super::garbage::{Garbage, Moment, Place};
use super::survey::Survey;
use crate::cli::cleanup::sight;
use crate::cli::error::CliError;
use crate::cli::ui;
use crate::cli::ui::progress::Count;
use crate::store::StoreError;
use crate::store::key::Asset;
use crate::store::listing::BATCH;
use crate::store::marks::Marks;
use crate::store::registration::Registration;
use crate::store::sweeping::DELETES;
use crate::store::unfinished::Unfinished;
use crate::transfer::{Deadline, Transfer};

/// Objects between two looks: eight requests' worth, which go in parallel.
const AT_ONCE: usize = 8 * BATCH;

/// After so many failures no more is tried: it is the same cause again and again.
const FAILURES: usize = 10_000;

/// What was done.
#[derive(Default)]
pub struct Swept {
    /// Objects that are gone, and their bytes.
    pub deleted: (usize, u64),
    /// Old garbage that is still there, in order once all is done.
    pub kept: Vec<Place>,
    /// Objects that changed since the survey.
    pub spared: Vec<Garbage>,
    /// Objects that nothing in the store tells to be garbage, since their mark could not be written.
    pub unmarked: Vec<Garbage>,
    /// Uploads whose parts are gone.
    pub aborted: Vec<Unfinished>,
    /// Keys that could not be deleted, and why.
    pub failed: Vec<(String, String)>,
    /// Objects that were left after too many failures.
    pub untried: usize,
}

impl Swept {
    fn spare(&mut self, place: Place, garbage: &Garbage) {
        self.spared.push(garbage.clone());
        self.kept.push(place);
    }

    /// One line for people.
    pub fn summary(&self) -> String {
        let (count, bytes) = self.deleted;
        let mut line = format!("Deleted {} ({})", ui::count(count, "object"), ui::bytes(bytes));
        if !self.aborted.is_empty() {
            line.push_str(&format!(", aborted {}", ui::count(self.aborted.len(), "unfinished upload")));
        }
        if !self.spared.is_empty() {
            line.push_str(&format!(", spared {} that changed meanwhile", self.spared.len()));
        }
        if !self.unmarked.is_empty() {
            line.push_str(&format!(", left {} that could not be marked", self.unmarked.len()));
        }
        line
    }
}

/// Who may use the store, as it was when the survey began.
pub struct Owner<'a> {
    /// Our id, if the manifest has one.
    pub repository_id: Option<&'a str>,
    /// Our registration, if there is one.
    pub registration: Option<&'a Registration>,
}

impl Owner<'_> {
    /// Require that nobody came, and that nobody pushed to a place which the survey did not see.
    fn require_unchanged(&self, transfer: &mut Transfer) -> Result<(), CliError> {
        if sight::require_alone(transfer, self.repository_id)?.as_ref() == self.registration {
            return Ok(());
        }
        let store = transfer.store().remote().to_string();
        Err(CliError::user(format!("the registration in {store} changed meanwhile"))
            .hint("nothing more was deleted: run cleanup again"))
    }
}

/// Delete what is old in `survey`.
pub fn sweep(transfer: &mut Transfer, owner: &Owner<'_>, survey: &Survey) -> Result<Swept, CliError> {
    let mut swept = Swept::default();
    let mut announced = Announced::default();
    let done = batches(transfer, owner, survey, &mut announced, &mut swept);
    announced.end(transfer);
    done?;
    let store = transfer.store().clone();
    for upload in &survey.abandoned {
        match transfer.ask(|| store.abort_unfinished(upload)) {
            Ok(()) => swept.aborted.push(upload.clone()),
            Err(e) => swept.failed.push((upload.key.to_string(), e.to_string())),
        }
    }
    Ok(swept)
}

/// Whether a full store was given room, without a word.
#[derive(PartialEq)]
enum Room {
    NotMade,
    Made,
}

fn batches(
    transfer: &mut Transfer,
    owner: &Owner<'_>,
    survey: &Survey,
    announced: &mut Announced,
    swept: &mut Swept,
) -> Result<(), CliError> {
    let mut waits = transfer.waits();
    let mut places = survey.places();
    let mut tried = Tried::Never;
    loop {
        let failed = round(transfer, owner, survey, announced, swept, &places, tried)?;
        // What may pass is tried again, with a new look: a request that got no answer may have been carried
        // out, and the object written anew.
        let (again, for_good): (Vec<_>, Vec<_>) = failed.into_iter().partition(|(_, e)| e.is_transient());
        let wait = if again.is_empty() { None } else { waits.next() };
        let given_up = if wait.is_none() { again.as_slice() } else { &[] };
        for (place, e) in for_good.iter().chain(given_up) {
            swept.failed.push((survey.key(survey.at(*place)), e.to_string()));
            swept.kept.push(*place);
        }
        let Some(wait) = wait else { break };
        std::thread::sleep(again.iter().filter_map(|(_, e)| e.retry_after()).fold(wait, Duration::max));
        places = again.into_iter().map(|(place, _)| place).collect();
        tried = Tried::Before;
    }
    swept.kept.sort_unstable();
    Ok(())
}

/// Whether somebody else than we must have deleted what is not there any more.
#[derive(Clone, Copy, PartialEq)]
enum Tried {
    Never,
    Before,
}

/// Delete `places`, batch after batch: those that could not be.
fn round(
    transfer: &mut Transfer,
    owner: &Owner<'_>,
    survey: &Survey,
    announced: &mut Announced,
    swept: &mut Swept,
    places: &[Place],
    tried: Tried,
) -> Result<Vec<(Place, StoreError)>, CliError> {
    let count = Count::new("Deleting", places.len());
    let mut rest = places;
    let mut room = Room::NotMade;
    let mut failed: Vec<(Place, StoreError)> = Vec::new();
    while !rest.is_empty() {
        if swept.failed.len() + failed.len() >= FAILURES {
            swept.untried += rest.len();
            swept.kept.extend(rest);
            break;
        }
        let (deadline, most) = match announced.batch(transfer)? {
            Leave::Until(deadline) => (deadline, AT_ONCE),
            // One request, before which nobody can write what it deletes; then there is room for a word.
            Leave::Full(_) if room == Room::NotMade => {
                room = Room::Made;
                (Deadline::after(DELETES), BATCH)
            }
            Leave::Full(e) => return Err(e),
        };
        let (batch, after) = rest.split_at(most.min(rest.len()));
        rest = after;
        let looked = look_again(transfer, owner, survey, batch)?;
        announced.require_ours(transfer)?;
        if deadline.left().is_zero() {
            return Err(transfer.store().sweep_too_slow().into());
        }
        let same = looked.iter().filter(|(_, now)| *now == Now::Same);
        let assets: Vec<Asset> = same.map(|&(place, _)| survey.at(place).asset.clone()).collect();
        let mut errors = announced.delete(transfer, &assets, deadline);
        count.add(batch.len());
        for (place, now) in looked {
            let garbage = survey.at(place);
            match now {
                Now::Same if errors.contains_key(&garbage.asset) => {
                    failed.extend(errors.remove(&garbage.asset).map(|e| (place, e)));
                }
                Now::Changed => swept.spare(place, garbage),
                Now::Unmarked => {
                    swept.unmarked.push(garbage.clone());
                    swept.kept.push(place);
                }
                Now::Gone if tried == Tried::Never => swept.spare(place, garbage),
                // What is gone now was deleted by the request that got no answer.
                Now::Same | Now::Gone => {
                    swept.deleted.0 += 1;
                    swept.deleted.1 += garbage.len;
                }
            }
        }
    }
    Ok(failed)
}

/// How an object is now, as against the survey.
#[derive(Clone, Copy, PartialEq)]
enum Now {
    /// As it was.
    Same,
    /// Written anew, or reachable again for another cleanup.
    Changed,
    /// As it was, without the mark that we could not write.
    Unmarked,
    /// Not there.
    Gone,
}

/// How each of `batch` is now.
fn look_again(
    transfer: &mut Transfer,
    owner: &Owner<'_>,
    survey: &Survey,
    batch: &[Place],
) -> Result<Vec<(Place, Now)>, CliError> {
    owner.require_unchanged(transfer)?;
    let shards: BTreeSet<u8> = batch.iter().map(|&place| survey.at(place).oid().as_bytes()[0]).collect();
    let wanted: BTreeSet<&Asset> = batch.iter().map(|&place| &survey.at(place).asset).collect();
    let oids: BTreeSet<_> = wanted.iter().map(|asset| asset.oid()).collect();
    let mut marks = Marks::new();
    // A few at a time: a shard's marks are many, those of the batch are not.
    for some in shards.iter().copied().collect::<Vec<u8>>().chunks(4) {
        let known = transfer.ask_each(some, |store, shard| async move { store.marks(shard).await })?;
        marks.extend(known.into_iter().flatten().filter(|(oid, _)| oids.contains(oid)));
    }
    let mut now: BTreeMap<Asset, Moment> = BTreeMap::new();
    transfer.list_shards(shards, |listed| {
        if wanted.contains(&listed.asset) {
            now.insert(listed.asset, listed.modified.into());
        }
    })?;
    let look = |place: &Place| {
        let garbage = survey.at(*place);
        let mark = marks.get(&garbage.oid()).map(|&time| Moment::from(time));
        match now.get(&garbage.asset) {
            None => Now::Gone,
            Some(modified) if *modified == garbage.modified && is_as_old(mark, garbage.mark) => Now::Same,
            Some(modified) if *modified == garbage.modified && mark.is_none() && !survey.marked => Now::Unmarked,
            Some(_) => Now::Changed,
        }
    };
    Ok(batch.iter().map(|place| (*place, look(place))).collect())
}

/// Marks are kept to the millisecond. One that moved forward was dropped and made anew.
fn is_as_old(now: Option<Moment>, then: Moment) -> bool {
    now.is_some_and(|now| now.millis() <= then.millis())
}
