//! What `fsck` finds in Git itself: what stands at filtered paths, in the index or in commits, and what the manifest says
//! of them.
//!
//! Apart because it needs neither store nor cache nor worktree.

use bstr::{BStr, ByteSlice};

use crate::cli::check::fsck::Finding;
use crate::cli::check::verify::revision;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::set_up::lfs_driver;
use crate::cli::tracking::at_odds::{self, AtOdds};
use crate::cli::tracking::bare_pointers::{self, Bare};
use crate::config::GitConfig;
use crate::git::index::{self, Entry, Filtered};
use crate::git::new_blobs::{NewBlob, NewBlobs};
use crate::git::objects::{self, BlobKind, Look, Looker, ObjectId};
use crate::git::push;
use crate::git::revision::{self as rev, Revision};
use crate::manifest::Manifest;
use crate::oid::Oid;
use crate::pointer::{Form, Sniffed};

/// Commits that are compared with their parents at a time.
const CHUNK: usize = 500;

/// What filtered paths hold in commits.
pub(super) fn pointers(text: &str) -> Result<Vec<Finding>, CliError> {
    let config = GitConfig::load()?;
    if text == "HEAD" && rev::head()?.is_none() {
        return staged(&config, &index::looked()?);
    }
    let forms = lfs_driver::forms(&config);
    let mut findings = Vec::new();
    match revision(text)? {
        Revision::Single(id) => judge(forms, push::list_all(&id)?, std::slice::from_ref(&id), &mut findings)?,
        Revision::Range { commits, tips } => {
            for chunk in commits.chunks(CHUNK) {
                judge(forms, push::list_of_commits(chunk)?, &tips, &mut findings)?;
            }
        }
    }
    Ok(findings)
}

/// Blobs that are looked at together: what is known of them is held in memory.
const AT_ONCE: usize = 20_000;

fn judge(forms: &[Form], mut blobs: NewBlobs, tips: &[ObjectId], findings: &mut Vec<Finding>) -> Result<(), CliError> {
    let mut looker = Looker::for_many(blobs.len());
    for form in forms {
        let is_under = push::all_under_filter(*form, &mut blobs, tips)?;
        let mut is_under = is_under.into_iter();
        blobs.chunks(AT_ONCE, |some| {
            let under = some.iter().zip(&mut is_under).filter(|(_, is_under)| *is_under);
            let mut guarded: Vec<&NewBlob> = under.map(|(blob, _)| blob).collect();
            if *form == Form::Lfs {
                leave_to_lfs(&mut guarded, |blob| &blob.id)?;
            }
            let looks = looker.looks_of(&guarded.iter().map(|blob| blob.id.as_bstr()).collect::<Vec<_>>())?;
            for (blob, look) in guarded.into_iter().zip(looks) {
                findings.extend(finding(blob.path.as_bstr(), Some(&blob.commit), look));
            }
            Ok::<(), CliError>(())
        })?;
    }
    looker.keep();
    Ok(())
}

/// Take out what git-lfs takes for a pointer, in whichever form.
fn leave_to_lfs<T>(found: &mut Vec<T>, id: impl Fn(&T) -> &ObjectId) -> Result<(), CliError> {
    let kinds = objects::kinds_for_lfs(&found.iter().map(|one| id(one).as_bstr()).collect::<Vec<_>>())?;
    let mut kinds = kinds.into_iter();
    found.retain(|_| !matches!(kinds.next(), Some(BlobKind::Pointer(_) | BlobKind::Extended)));
    Ok(())
}

/// What filtered paths hold in the index.
pub(super) fn staged(config: &GitConfig, filtered: &[(Entry, Look)]) -> Result<Vec<Finding>, CliError> {
    // Here they pass by the filter; where others check them out they do not.
    let mut others = index::taken_from_filter()?;
    if lfs_driver::answers(config) {
        let mut theirs = index::all_filtered_by_lfs()?;
        leave_to_lfs(&mut theirs, |entry| &entry.id)?;
        others.extend(theirs);
    }
    let looks = objects::looks_of(&others.iter().map(|entry| entry.id.as_bstr()).collect::<Vec<_>>())?;
    // What Git's sparse checkout leaves out, a partial clone has not, and is promised to get (git-fsck.txt).
    let is_partial = !objects::promisors()?.is_empty();
    let promised = |entry: &Entry, look: Look| is_partial && entry.skip_worktree && look == Look::Missing;
    let all = filtered.iter().map(|(entry, look)| (entry, *look)).chain(others.iter().zip(looks));
    let here = all.filter(|(entry, look)| !promised(entry, *look));
    Ok(here.filter_map(|(entry, look)| finding(entry.path.as_bstr(), None, look)).collect())
}

fn finding(path: &BStr, commit: Option<&ObjectId>, look: Look) -> Option<Finding> {
    let (kind, why) = match look {
        Look::Empty | Look::Small(Sniffed::Ours(_) | Sniffed::Lfs(_)) => return None,
        Look::Small(Sniffed::Content) | Look::Large => ("raw", "raw content in Git, where a pointer is wanted"),
        Look::Small(Sniffed::Resembles) => ("malformed", "it begins like a pointer and is none"),
        Look::Small(Sniffed::Crlf(_)) => ("malformed", "a pointer with CRLF line ends"),
        Look::Small(Sniffed::Newer) => ("newer", "a pointer of a newer s3lfs; update s3lfs to judge it"),
        Look::Missing => ("unreadable", "its blob is not here; fetch it: git fetch --refetch"),
    };
    let (path, commit) = (Some(path.to_owned()), commit.cloned());
    Some(Finding { kind, path, commit, oid: None, why: why.to_owned(), fixed: false })
}

/// Pointers that nothing turns into content.
pub(super) fn untracked() -> Result<Vec<Finding>, CliError> {
    let finding = |Bare { path, pointer }| {
        let why = "its pointer stands in Git, and no pattern turns it into content".to_owned();
        Finding { kind: "untracked", path: Some(path), commit: None, oid: Some(pointer.oid), why, fixed: false }
    };
    Ok(bare_pointers::in_index()?.into_iter().map(finding).collect())
}

/// Where the manifest and a pointer name different contents. `files` is in Git's order.
pub(super) fn at_odds(context: &Context, manifest: &Manifest, files: &[Filtered]) -> Result<Vec<Finding>, CliError> {
    let pointer = |path: &str| {
        let at = files.partition_point(|file| file.entry.path.as_slice() < path.as_bytes());
        let file = files.get(at).filter(|file| file.entry.path == path && file.entry.stage == 0)?;
        file.pointer().map(|pointer| pointer.oid)
    };
    let found = AtOdds::find(context, manifest, pointer)?;
    let finding = |(path, (recorded, pointer)): (String, (Oid, Oid))| {
        let why = at_odds::why(&recorded, &pointer);
        Finding { kind: "at-odds", path: Some(path.into()), commit: None, oid: Some(pointer), why, fixed: false }
    };
    Ok(found.paths.into_iter().map(finding).collect())
}
