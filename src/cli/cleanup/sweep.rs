//! The sweep: delete what a survey found, looking again before each batch.
//!
//! Apart because between survey and deletion anything may have happened: somebody wrote the object
//! anew, another cleanup saw it reachable again, another repository was registered.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use super::survey::{Garbage, Survey};
use crate::cli::cleanup::sight;
use crate::cli::error::CliError;
use crate::cli::ui;
use crate::store::key::Asset;
use crate::store::listing::BATCH;
use crate::store::marks::Marks;
use crate::store::registration::Registration;
use crate::store::unfinished::Unfinished;
use crate::transfer::Transfer;

/// Objects between two looks: eight requests' worth, which go in parallel.
const AT_ONCE: usize = 8 * BATCH;

/// What was done.
#[derive(Default)]
pub struct Swept {
    /// Objects that are gone.
    pub deleted: Vec<Garbage>,
    /// Objects that changed since the survey.
    pub spared: Vec<Garbage>,
    /// Uploads whose parts are gone.
    pub aborted: Vec<Unfinished>,
    /// Keys that could not be deleted, and why.
    pub failed: Vec<(String, String)>,
}

impl Swept {
    /// One line for people.
    pub fn summary(&self) -> String {
        let bytes: u64 = self.deleted.iter().map(|garbage| garbage.listed.len).sum();
        let mut line = format!("Deleted {} ({})", ui::count(self.deleted.len(), "object"), ui::bytes(bytes));
        if !self.aborted.is_empty() {
            line.push_str(&format!(", aborted {}", ui::count(self.aborted.len(), "unfinished upload")));
        }
        if !self.spared.is_empty() {
            line.push_str(&format!(", spared {} that changed meanwhile", self.spared.len()));
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
    let mut old: Vec<&Garbage> = survey.old.iter().collect();
    // Neighbours share a shard, and so a listing.
    old.sort_by(|a, b| a.listed.asset.cmp(&b.listed.asset));
    for batch in old.chunks(AT_ONCE) {
        let still = look_again(transfer, owner, survey, batch)?;
        let goes: BTreeSet<&Asset> = still.iter().map(|garbage| &garbage.listed.asset).collect();
        let stays = batch.iter().filter(|garbage| !goes.contains(&garbage.listed.asset));
        swept.spared.extend(stays.map(|garbage| (*garbage).clone()));
        let assets: Vec<Asset> = still.iter().map(|garbage| garbage.listed.asset.clone()).collect();
        let failed: BTreeMap<Asset, String> =
            transfer.delete(&assets).into_iter().map(|(asset, e)| (asset, e.to_string())).collect();
        for garbage in still {
            match failed.get(&garbage.listed.asset) {
                Some(why) => swept.failed.push((survey.key(garbage), why.clone())),
                None => swept.deleted.push(garbage.clone()),
            }
        }
    }
    let store = transfer.store().clone();
    for upload in &survey.abandoned {
        match transfer.ask(|| store.abort_unfinished(upload)) {
            Ok(()) => swept.aborted.push(upload.clone()),
            Err(e) => swept.failed.push((upload.key.to_string(), e.to_string())),
        }
    }
    Ok(swept)
}

/// Those of `batch` that are still as the survey saw them.
fn look_again<'a>(
    transfer: &mut Transfer,
    owner: &Owner<'_>,
    survey: &Survey,
    batch: &[&'a Garbage],
) -> Result<Vec<&'a Garbage>, CliError> {
    owner.require_unchanged(transfer)?;
    let shards: BTreeSet<u8> = batch.iter().map(|garbage| garbage.listed.asset.oid().as_bytes()[0]).collect();
    let numbers: Vec<u8> = shards.iter().copied().collect();
    let marks = transfer.ask_each(&numbers, |store, shard| async move { store.marks(shard).await })?;
    let marks: BTreeMap<u8, Marks> = numbers.into_iter().zip(marks).collect();
    let wanted: BTreeSet<&Asset> = batch.iter().map(|garbage| &garbage.listed.asset).collect();
    let mut now: BTreeMap<Asset, SystemTime> = BTreeMap::new();
    transfer.list_shards(shards, |listed| {
        if wanted.contains(&listed.asset) {
            now.insert(listed.asset, listed.modified);
        }
    })?;
    let unchanged = |garbage: &&Garbage| {
        let oid = garbage.listed.asset.oid();
        let mark = marks.get(&oid.as_bytes()[0]).and_then(|marks| marks.get(&oid)).copied();
        now.get(&garbage.listed.asset) == Some(&garbage.listed.modified) && same(mark, survey.mark_of(garbage))
    };
    Ok(batch.iter().copied().filter(unchanged).collect())
}

/// Marks are kept to the millisecond. One that moved forward was dropped and made anew.
fn same(now: Option<SystemTime>, then: Option<SystemTime>) -> bool {
    let millis = |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |t| t.as_millis());
    now.is_some() && now.map(millis) <= then.map(millis)
}
