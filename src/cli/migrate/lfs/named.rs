//! Which content the pointers of Git LFS name, in all of history.
//!
//! Apart because it only looks: at each small blob that a ref, a `HEAD` or an index reaches, as `git lfs fetch --all`
//! does.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use bstr::BString;

use super::NAMES;
use crate::cli::error::CliError;
use crate::cli::ui;
use crate::error::chain;
use crate::git::Repo;
use crate::git::history::{Roots, Seen, paths_of, walk};
use crate::git::objects::ObjectId;
use crate::oid::Oid;
use crate::pointer::{Pointer, lfs};
use crate::repo_path::Printable;

/// What all of history names.
#[derive(Debug, Default)]
pub struct Named {
    /// Each with a blob that names it.
    pointers: BTreeMap<Pointer, ObjectId>,
    /// Blobs with pointers to what programs of the user's own make files of.
    extended: BTreeSet<ObjectId>,
}

impl Named {
    /// Look at everything; it is whole, or there is none.
    pub fn in_history(repo: &Repo) -> Result<Self, CliError> {
        let mut named = Named::default();
        let seen = walk(&Roots::refs_and_indexes(repo)?, |seen| -> Result<(), Infallible> {
            if let Seen::Small(id, blob) = seen {
                match lfs::read(blob) {
                    lfs::Read::Pointer(pointer) => {
                        named.pointers.entry(pointer).or_insert_with(|| id.to_owned());
                    }
                    lfs::Read::Extended(_) => drop(named.extended.insert(id.to_owned())),
                    lfs::Read::Other => {}
                }
            }
            Ok(())
        });
        seen.map_err(|e| {
            CliError::user(format!("the history can't be read whole: {}", chain(&e)))
                .hint("'git fsck' shows what is missing or damaged; a partial clone needs 'git fetch --refetch'")
        })?;
        Ok(named)
    }

    /// In the order of their oids.
    pub fn pointers(&self) -> impl Iterator<Item = &Pointer> {
        self.pointers.keys()
    }

    /// A path of each, for people.
    pub fn paths_of(&self, pointers: &BTreeSet<Pointer>) -> Result<BTreeMap<Oid, String>, CliError> {
        if pointers.is_empty() {
            return Ok(BTreeMap::new());
        }
        let blobs: BTreeMap<&ObjectId, Oid> =
            pointers.iter().filter_map(|pointer| Some((self.pointers.get(pointer)?, pointer.oid))).collect();
        let paths = paths_of(&blobs.keys().map(|id| (*id).clone()).collect())?;
        let named = |(id, path): (BString, BString)| Some((*blobs.get(&id)?, Printable(&path).to_string()));
        Ok(paths.into_iter().filter_map(named).collect())
    }

    /// Programs of the user's own are not known here.
    pub fn tell_extended(&self) {
        for id in self.extended.iter().take(NAMES) {
            ui::warn(format!(
                "blob {id} is a Git LFS pointer with an extension (lfs.extension.*), which s3lfs does not have: it stays \
                 as it is, and git-lfs alone checks it out"
            ));
        }
    }
}
