//! Whether every pointer of the new history is under the filter: an attributes file further down, or a line of an old
//! commit, may say otherwise, and whoever checks that commit out would get the pointer.
//!
//! Apart because it is asked of attributes files, of which a history has few, and not of commits.

use std::collections::BTreeSet;

use bstr::{BStr, BString, ByteSlice};

use super::choice::{Choice, Chosen};
use super::rewrite::{ATTRIBUTES, Rewritten};
use crate::attributes::AttributesFile;
use crate::cli::error::CliError;
use crate::git::batch::Batch;
use crate::git::objects::{self, ObjectId};
use crate::git::{committed_attr, push};
use crate::pointer::Form;
use crate::repo_path::Printable;

/// An attributes file that keeps some of the chosen paths from the filter, by itself.
struct Suspect<'a> {
    path: &'a BString,
    bytes: Vec<u8>,
    kept: Vec<&'a BString>,
}

/// Refuse a history in which a commit has a pointer that nothing turns into content there.
pub fn require_tracked(choice: &Choice, chosen: &Chosen, rewritten: &Rewritten) -> Result<(), CliError> {
    let suspects = suspects(choice, chosen, rewritten)?;
    if suspects.is_empty() {
        return Ok(());
    }
    let mut batch = Batch::start()?;
    for (old, new) in &rewritten.commits {
        for suspect in &suspects {
            let at = |path: &BString| [new.as_slice(), b":", path].concat();
            if batch.blob(at(suspect.path).as_bstr())?.as_ref() != Some(&suspect.bytes) {
                continue;
            }
            // Of a path with a line feed Git can't be asked here: it counts as being there.
            let there =
                suspect.kept.iter().filter(|path| path.contains(&b'\n') || batch.pointer(at(path).as_bstr()).is_some());
            let there: Vec<&BStr> = there.map(|path| path.as_bstr()).collect();
            if let Some(path) = kept_in(new, &there)? {
                let path = Printable(path);
                return Err(CliError::user(format!(
                    "nothing was changed: in commit {old}, an attributes file keeps {path} from s3lfs"
                ))
                .hint(format!(
                    "see which: git --attr-source={old} check-attr --all -- {path}; leave the file out with --exclude, or \
                     change that line first"
                )));
            }
        }
    }
    Ok(())
}

/// The attributes files of which at least one commit may be affected. If each by itself, with our lines at the top,
/// gives the paths beneath it to the filter, then all of them together do: the deepest that speaks of it decides. But
/// a macro of a file at the top may mean anything further down (gitattributes(5), "DEFINING MACRO ATTRIBUTES").
fn suspects<'a>(choice: &Choice, chosen: &'a Chosen, rewritten: &'a Rewritten) -> Result<Vec<Suspect<'a>>, CliError> {
    let mut own = AttributesFile::default();
    choice.track(chosen, &mut own)?;
    let own = (BString::from(ATTRIBUTES), objects::write(&own.to_bytes())?);
    let mut has_macros = false;
    for (_, id) in rewritten.attributes.iter().filter(|(path, _)| path == ATTRIBUTES) {
        has_macros |= objects::read(id.as_bstr())?.is_some_and(|bytes| bytes.contains_str("[attr]"));
    }
    let mut suspects = Vec::new();
    for file in &rewritten.attributes {
        let (path, id) = file;
        let beneath = path.strip_suffix(ATTRIBUTES.as_bytes()).unwrap_or_default();
        let paths = || chosen.paths.iter().filter(|path| path.starts_with(beneath));
        let files = if beneath.is_empty() { vec![file.clone()] } else { vec![own.clone(), file.clone()] };
        let given = committed_attr::under(Form::Ours, paths().map(|path| path.as_bstr()), &files)?;
        let unknown = has_macros && !beneath.is_empty();
        let kept: Vec<&BString> = paths().filter(|path| unknown || !given.contains(*path)).collect();
        if !kept.is_empty() {
            let bytes = objects::read(id.as_bstr())?.unwrap_or_default();
            suspects.push(Suspect { path, bytes, kept });
        }
    }
    Ok(suspects)
}

/// The first of these paths that all attributes of a commit together keep from the filter.
fn kept_in<'a>(commit: &ObjectId, paths: &[&'a BStr]) -> Result<Option<&'a BStr>, CliError> {
    if paths.is_empty() {
        return Ok(None);
    }
    let attributes: BTreeSet<(BString, ObjectId)> = push::all_blobs(commit)?
        .into_iter()
        .filter(|blob| blob.path.rsplit_str("/").next() == Some(ATTRIBUTES.as_bytes()))
        .map(|blob| (blob.path, blob.id))
        .collect();
    let given = committed_attr::under(Form::Ours, paths.iter().copied(), &attributes.into_iter().collect::<Vec<_>>())?;
    Ok(paths.iter().find(|path| !given.contains(**path)).copied())
}
