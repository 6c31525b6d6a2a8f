//! What `status` says of a file beyond what stands there: of manifest-only ones, and of those that Git alone takes for changed.
//!
//! Apart because Git can't tell: the history and the notes of this worktree do, or what form a pointer has.

use std::collections::{BTreeMap, BTreeSet};

use bstr::{BString, ByteSlice};

use crate::cli::check::status::{MODIFIED, OF_LFS, States};
use crate::cli::check::tracked::Tracked;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::out_of_date::{Depth, out_of_date};
use crate::cli::tracking::at_odds::AtOdds;
use crate::cli::tracking::manifest_only::{is_changed_there, vouched};
use crate::git::index;
use crate::git::objects::{self, Look};
use crate::manifest::Manifest;
use crate::oid::Oid;
use crate::pointer::{Form, Sniffed};
use crate::repo_path::RepoPath;
use crate::vouched::Vouched;
use crate::worktree::present_oid;

/// It differs, with content that the manifest recorded for it before.
const OUT_OF_DATE: &str = "out of date";

/// It differs, and nobody here shared or fetched it: only a commit lists it.
const PRIVATE: &str = "listed, not shared";

/// It differs from what was fetched or recorded here, and so does the manifest.
const CHANGED_TWICE: &str = "modified, and recorded anew by another";

/// Say which of the manifest-only files that differ were changed, which are only older than the manifest, and which
/// nobody here ever shared.
pub(super) fn tell_of_manifest_only(
    context: &Context,
    files: &[Tracked],
    states: &mut [Result<States, CliError>],
) -> Result<(), CliError> {
    if !files.iter().any(|file| file.manifest_only) {
        return Ok(());
    }
    let with_states = files.iter().zip(states);
    let mut modified: BTreeMap<String, (&mut States, Oid)> = BTreeMap::new();
    let (mut present, mut same) = (BTreeMap::new(), Vec::new());
    for (file, state) in with_states.filter(|(file, _)| file.manifest_only) {
        let (Ok(state), Ok(path)) = (state, file.path.to_str()) else { continue };
        if state.here.is_none() {
            same.push((path.to_owned(), Some(file.item.oid)));
        }
        if state.here == Some(MODIFIED)
            && let Some(oid) = present_oid(&context.worktree, &RepoPath::new(path)?)?
        {
            present.insert(path.to_owned(), oid);
            modified.insert(path.to_owned(), (state, file.item.oid));
        }
    }
    let older = out_of_date(present.clone(), Depth::Recent)?;
    for path in &older {
        if let Some((state, _)) = modified.remove(path) {
            state.here = Some(OUT_OF_DATE);
        }
    }
    if !modified.is_empty() || !Vouched::new(context.repo.git_dir()).is_begun() {
        let older = older.into_iter().map(|path| (path.clone(), present.get(&path).copied()));
        let noted = vouched(context, older.chain(same))?;
        for (path, (state, recorded)) in modified {
            match noted.get(&path) {
                None => state.here = Some(PRIVATE),
                base if base != Some(&present.get(&path).copied()) && is_changed_there(base, &recorded) => {
                    state.here = Some(CHANGED_TWICE);
                }
                Some(_) => {}
            }
        }
    }
    Ok(())
}

/// Say which of the files that differ for Git are as they should be, under a pointer of git-lfs: ours is another one for the
/// same content. Whether there is any.
pub(super) fn tell_of_lfs(
    differing: &BTreeSet<BString>,
    files: &[Tracked],
    states: &mut [Result<States, CliError>],
) -> Result<bool, CliError> {
    let mut same: BTreeMap<&BString, &mut States> = BTreeMap::new();
    for (file, state) in files.iter().zip(states) {
        if let (Ok(state), false, Form::Ours) = (state, file.manifest_only, file.form)
            && state.here.is_none()
            && differing.contains(&file.path)
        {
            same.insert(&file.path, state);
        }
    }
    if same.is_empty() {
        return Ok(false);
    }
    let entries = index::entries(&[])?;
    let entries: Vec<_> = entries.iter().filter(|entry| same.contains_key(&entry.path)).collect();
    let looks = objects::looks_of(&entries.iter().map(|entry| entry.id.as_bstr()).collect::<Vec<_>>())?;
    let mut any = false;
    for (entry, look) in entries.into_iter().zip(looks) {
        if let (Look::Small(Sniffed::Lfs(_)), Some(state)) = (look, same.get_mut(&entry.path)) {
            state.here = Some(OF_LFS);
            any = true;
        }
    }
    Ok(any)
}

/// Paths of which the index and the manifest have different contents; `files` is sorted by path.
pub(super) fn at_odds(
    context: &Context,
    manifest: Option<&Manifest>,
    files: &[Tracked],
) -> Result<BTreeSet<BString>, CliError> {
    let Some(manifest) = manifest else { return Ok(BTreeSet::new()) };
    let pointer = |path: &str| {
        let at = files.binary_search_by(|file| file.path.as_slice().cmp(path.as_bytes())).ok()?;
        (!files[at].manifest_only).then_some(files[at].item.oid)
    };
    Ok(AtOdds::find(context, manifest, pointer)?.paths.into_keys().map(BString::from).collect())
}
