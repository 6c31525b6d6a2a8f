//! Whether a manifest-only file that differs from the manifest is a change of the user's, or only out of date: the
//! version that a commit recorded for that very path before another one did.
//!
//! Apart because Git, which ignores such a file, can't tell: `status` names it so, and what would record it anew
//! leaves it alone. The history decides, and no record of ours: whatever a commit never recorded for the path is the
//! user's own work.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use bstr::ByteSlice;

use crate::cli::error::CliError;
use crate::git::batch::Batch;
use crate::git::history;
use crate::manifest::{Manifest, python_yaml};
use crate::oid::Oid;

/// How much of the history is looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Depth {
    /// All of it: something is to be recorded.
    Whole,
    /// As much as nobody has to wait for.
    Recent,
}

/// Bytes of manifests that [`Depth::Recent`] stands for: Git gives about as many in half a second.
const RECENT: u64 = 256 << 20;

/// What is said of such a file.
pub const WHY: &str = "it is out of date here: it has the content that an earlier commit recorded, and another one is \
                       recorded by now";

/// Of `present` (path, and what stands there) the paths for which a commit of any ref recorded exactly that.
pub fn out_of_date(present: BTreeMap<String, Oid>, depth: Depth) -> Result<BTreeSet<String>, CliError> {
    let mut found = BTreeSet::new();
    let mut wanted = present;
    if wanted.is_empty() {
        return Ok(found);
    }
    let mut looked_at = 0;
    let mut objects = Batch::start()?;
    for id in history::versions_of_manifests()? {
        if wanted.is_empty() || depth == Depth::Recent && looked_at > RECENT {
            break;
        }
        // A partial clone need not have it.
        let Some(bytes) = objects.blob(id.as_bstr())? else { continue };
        looked_at += bytes.len() as u64;
        // To look for the hashes takes a tenth of the time.
        let hashes: HashSet<String> = wanted.values().map(Oid::hex).collect();
        let mut words = bytes.split(|byte| !byte.is_ascii_alphanumeric()).filter(|word| word.len() == 64);
        if !words.any(|word| word.to_str().is_ok_and(|word| hashes.contains(word))) {
            continue;
        }
        let recorded = files(&bytes);
        let older = wanted.iter().filter(|(path, oid)| recorded.get(*path) == Some(*oid));
        let older: BTreeSet<String> = older.map(|(path, _)| path.clone()).collect();
        wanted.retain(|path, _| !older.contains(path));
        found.extend(older);
    }
    Ok(found)
}

/// What a manifest records, ours or the later Python tool's. One that does not parse records nothing.
fn files(bytes: &[u8]) -> BTreeMap<String, Oid> {
    match Manifest::parse(bytes) {
        Ok(manifest) => manifest.files,
        Err(_) => python_yaml::named_in(bytes).unwrap_or_default(),
    }
}

/// What takes the new version, and what records the old one on purpose; `file` as it is written on the command line.
pub fn hints(file: &str) -> [String; 2] {
    [
        format!("to take the version that is recorded now: s3lfs download --force {file}"),
        format!("to record the one that is here all the same: s3lfs upload {file}"),
    ]
}
