//! Content that is named and not here: whether a store has it. What is nowhere, `fsck` has to name.
//!
//! Apart because it is the one part of `fsck` that asks others, and only where nothing here can answer.

use std::collections::{BTreeMap, HashSet};

use bstr::{BString, ByteSlice};

use crate::cli::Global;
use crate::cli::check::examine::Damaged;
use crate::cli::context::Context;
use crate::cli::error::{CliError, one_line};
use crate::cli::session::{engine, not_accepted, settings_for_reading};
use crate::config::{Acceptance, Settings};
use crate::git::index::Filtered;
use crate::manifest::Manifest;
use crate::oid::Oid;
use crate::repo_path::RepoPath;
use crate::transfer::Patience;
use crate::worktree::{FileState, Target, state_of};

/// What the index and the manifest name, by where its content is.
#[derive(Default)]
pub struct Whereabouts {
    /// Neither in the cache nor in the worktree.
    pub not_here: usize,
    /// Of that, what no store has: path, oid, and which stores were asked.
    pub nowhere: Vec<(BString, Oid, String)>,
    /// Why it could not be told of how many.
    pub unknown: Option<(usize, String)>,
}

impl Whereabouts {
    /// Look. No connection is opened if all of it is here.
    pub fn find(
        context: &Context,
        global: &Global,
        damaged: &Damaged,
        targets: Vec<Target>,
        changed: &HashSet<BString>,
    ) -> Result<Self, CliError> {
        let (cache, empty) = (context.cache(), Oid::of(b""));
        let mut absent: BTreeMap<Oid, Vec<Target>> = BTreeMap::new();
        for target in targets {
            // The empty content has no object.
            let oid = &target.item.oid;
            if *oid != empty && !damaged.has_sound(oid) && cache.find(oid, None).is_none() {
                absent.entry(target.item.oid).or_default().push(target);
            }
        }
        let stands = |target: &Target| {
            let state = state_of(&context.worktree, target, changed.contains(target.path.as_bstr()));
            matches!(state, Ok(FileState::Present))
        };
        absent.retain(|_, targets| !targets.iter().any(stands));
        let mut found = Whereabouts { not_here: absent.len(), ..Whereabouts::default() };
        if absent.is_empty() {
            return Ok(found);
        }
        let settings = match settings_for_reading(global) {
            Ok(settings) if settings.acceptance == Acceptance::NotAccepted => Err(not_accepted(&settings)),
            settings => settings,
        };
        let asked = settings.map(|settings| ask(context, &settings, absent.keys().copied().collect()));
        let Answer { missing, unknown, stores } = match asked {
            Ok(answer) => answer,
            Err(e) => {
                found.unknown = Some((absent.len(), e.in_one_line()));
                return Ok(found);
            }
        };
        found.unknown = unknown;
        for oid in missing {
            let targets = absent.remove(&oid).unwrap_or_default();
            let paths = targets.into_iter().map(|target| target.path.as_bstr().to_owned());
            found.nowhere.extend(paths.map(|path| (path, oid, stores.clone())));
        }
        Ok(found)
    }

    /// What was looked at, so that nobody takes it for more.
    pub fn looked_at(&self) -> String {
        let here = "Looked at: the index, the cache and the worktree";
        let commits = "older commits ('s3lfs verify --all')";
        match (&self.unknown, self.not_here) {
            (Some(_), _) => format!("{here}. Not looked at: the store, which could not be asked, and {commits}."),
            (None, 0) => format!("{here}. Not looked at: the store ('s3lfs verify' asks it), and {commits}."),
            (None, n) => format!(
                "{here}, and whether the store has {}. Not looked at: the bytes in the store ('s3lfs verify --deep'), and \
                 {commits}.",
                if n == 1 {
                    "the object that is not here".to_owned()
                } else {
                    format!("the {n} objects that are not here")
                }
            ),
        }
    }
}

/// All that the index and the manifest name, also what Git's sparse checkout leaves out.
pub fn targets(files: Vec<Filtered>, manifest: Option<&Manifest>) -> Result<Vec<Target>, CliError> {
    // Without any path of its own, the manifest has nothing to add.
    let manifest = manifest.filter(|manifest| manifest.beside_git().next().is_some());
    let (mut targets, mut in_index) = (Vec::with_capacity(files.len()), HashSet::new());
    for file in files {
        if manifest.is_some() {
            in_index.insert(file.entry.path.clone());
        }
        if let (Some(pointer), 0) = (file.pointer(), file.entry.stage) {
            let (path, executable) = (RepoPath::new(file.entry.path)?, file.entry.executable);
            targets.push(Target { path, item: pointer.into(), executable, tracked: true });
        }
    }
    for (path, oid) in manifest.into_iter().flat_map(Manifest::beside_git) {
        if !in_index.contains(path.as_bytes().as_bstr()) {
            let path = RepoPath::new(path.as_str())?;
            targets.push(Target { path, item: (*oid).into(), executable: false, tracked: false });
        }
    }
    Ok(targets)
}

struct Answer {
    missing: Vec<Oid>,
    unknown: Option<(usize, String)>,
    /// Who was asked.
    stores: String,
}

/// Which of these no store has: neither the store nor one that is only read. What one of them can't tell, another may.
fn ask(context: &Context, settings: &Settings, mut wanted: Vec<Oid>) -> Answer {
    let (mut untold, mut stores) = (BTreeMap::new(), Vec::new());
    for remote in std::iter::once(&settings.remote).chain(&settings.reading) {
        if wanted.is_empty() {
            break;
        }
        let only = Settings { remote: remote.clone(), reading: Vec::new(), ..settings.clone() };
        let asked = engine(context.cache(), &only, Patience::Short)
            .and_then(|mut transfer| Ok(transfer.which_are_there(wanted.clone())?));
        match asked {
            Ok(there) => {
                for (oid, e) in &there.unknown {
                    untold.entry(*oid).or_insert_with(|| one_line(e.clone()));
                }
                wanted.retain(|oid| !there.has(oid) && !there.has_chunks(oid));
                stores.push(remote.to_string());
            }
            Err(e) => {
                let why = e.in_one_line();
                for oid in &wanted {
                    untold.entry(*oid).or_insert_with(|| why.clone());
                }
            }
        }
    }
    let found_nowhere: HashSet<&Oid> = wanted.iter().collect();
    untold.retain(|oid, _| found_nowhere.contains(oid));
    wanted.retain(|oid| !untold.contains_key(oid));
    let unknown = untold.first_key_value().map(|(_, why)| (untold.len(), why.clone()));
    Answer { missing: wanted, unknown, stores: stores.join(", ") }
}
