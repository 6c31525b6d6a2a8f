//! What is published for certain: content that commits name which a remote has.
//!
//! Apart because it is asked rarely: only of objects so old that a cleanup might take them. What a
//! remote had more than three days ago is not believed.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fs;

use bstr::ByteSlice;

use crate::believed::BELIEVED;
use crate::cli::cleanup::reachable::absent;
use crate::cli::cleanup::sight;
use crate::cli::error::CliError;
use crate::git::Repo;
use crate::git::history::{Roots, Seen, WalkError, walk};
use crate::git::objects::ObjectId;
use crate::git::push::published;
use crate::names;
use crate::oid::Oid;

/// Those of `oids` that something published names. `told`: commits that a remote has just now. A
/// history that can't be walked names nothing.
pub fn among(wanted: &BTreeSet<Oid>, told: &[ObjectId]) -> Result<BTreeSet<Oid>, CliError> {
    let mut tips = told.to_vec();
    let remotes = sight::remotes()?;
    for remote in remotes.keys() {
        tips.extend(published(remote)?);
    }
    let urls: Vec<String> = remotes.into_values().flatten().collect();
    tips.extend(
        fetched_lately()?
            .into_iter()
            .filter(|(_, from)| urls.iter().any(|url| sight::same_place(url, from)))
            .map(|(id, _)| id),
    );
    let gone: BTreeSet<ObjectId> = absent(&tips)?.into_iter().collect();
    tips.retain(|tip| !gone.contains(tip));
    let mut named = BTreeSet::new();
    if tips.is_empty() {
        return Ok(named);
    }
    let walked = walk(&Roots::of(tips), |seen| -> Result<(), Infallible> {
        let oids = match seen {
            Seen::Small(_, blob) => names::in_small_blob(blob).unwrap_or_default(),
            Seen::Manifest(_, blob) => names::in_manifest(blob).unwrap_or_default(),
            // No commit has it.
            Seen::Named(..) => return Ok(()),
        };
        named.extend(oids.into_iter().filter(|oid| wanted.contains(oid)));
        Ok(())
    });
    match walked {
        Ok(()) => Ok(named),
        Err(WalkError::Git(e)) => {
            tracing::info!("what is published can't be told: {e}");
            Ok(BTreeSet::new())
        }
    }
}

/// What the last fetch brought and from where, if that was lately (git-fetch(1), "FETCH_HEAD").
fn fetched_lately() -> Result<Vec<(ObjectId, String)>, CliError> {
    let path = Repo::discover()?.git_dir().join("FETCH_HEAD");
    let lately =
        fs::metadata(&path).and_then(|m| m.modified()).is_ok_and(|t| t.elapsed().is_ok_and(|age| age < BELIEVED));
    let text = if lately { fs::read(&path).unwrap_or_default() } else { Vec::new() };
    let fetched = |line: &[u8]| {
        let (id, rest) = line.split_once_str("\t")?;
        let from = rest.rsplit_once_str(" of ").map_or(rest, |(_, url)| url);
        Some((id.into(), from.trim().to_str_lossy().into_owned()))
    };
    Ok(text.lines().filter_map(fetched).collect())
}
