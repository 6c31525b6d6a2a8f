//! Which manifest `migrate` goes by, and whether the later Python tool's may go.
//!
//! Apart because all tracking of a repository hangs on it: a YAML manifest is taken out only when each of
//! its paths is named elsewhere with the same content, and where two manifests disagree without either
//! being a mere backup, the user has to say which one counts.

use std::collections::{BTreeMap, BTreeSet};

use bstr::{BString, ByteSlice};

use crate::cli::error::CliError;
use crate::cli::manifest_file::{self, Staged};
use crate::cli::ui;
use crate::git::index;
use crate::git::objects::{self, BlobKind};
use crate::manifest::{Manifest, PATH, python_yaml};
use crate::oid::Oid;
use crate::remote::Remote;
use crate::repo_path::Printable;

/// What a migration goes by.
pub struct Source {
    /// The manifest whose files are migrated.
    pub manifest: Manifest,
    /// The later Python tool's, if it stands in the worktree.
    pub yaml: Option<Manifest>,
}

impl Source {
    /// Look which manifests there are. The later Python tool reads YAML first, and left JSON behind as a
    /// backup; only JSON that this program made is more than that.
    pub fn find() -> Result<Self, CliError> {
        let Some(yaml) = manifest_file::python_yaml()? else {
            return Ok(Source { manifest: manifest_file::required()?, yaml: None });
        };
        let in_git = InGit::at_paths_of(&yaml)?;
        in_git.refuse_others(&yaml)?;
        let manifest = match manifest_file::for_writing()? {
            Some(json) if is_made_here(&json) => joined(json, &yaml, &in_git)?,
            _ => yaml.clone(),
        };
        Ok(Source { manifest, yaml: Some(yaml) })
    }
}

/// `init` and `migrate` write these keys, and no other command does: a backup of the Python tool's has
/// none of them, also where an earlier version added `manifest_only` to it at a commit.
fn is_made_here(json: &Manifest) -> bool {
    json.format.is_some() || json.repository_id.is_some()
}

/// JSON that was made here, beside YAML: of a migration that was stopped, of an `init`, or of a merge.
fn joined(mut json: Manifest, yaml: &Manifest, in_git: &InGit) -> Result<Manifest, CliError> {
    let store = |manifest: &Manifest| {
        Remote::new(&manifest.bucket_name, &manifest.repo_prefix, manifest.endpoint_url.as_deref()).ok()
    };
    if store(&json) != store(yaml) && !yaml.files.is_empty() {
        return Err(ambiguous("they name different stores".to_owned()));
    }
    if missing(yaml, &json, in_git).is_empty() {
        return Ok(json);
    }
    // What has a pointer in the index stays tracked by that.
    let tracked: BTreeSet<_> =
        index::filtered(&[])?.into_iter().filter_map(|file| Some((file.pointer()?.oid, file.entry.path))).collect();
    let own = json.files.iter().filter(|(path, oid)| {
        yaml.files.get(*path) != Some(*oid) && !tracked.contains(&(**oid, BString::from(path.as_str())))
    });
    let own: Vec<&String> = own.map(|(path, _)| path).collect();
    if !own.is_empty() {
        return Err(ambiguous(format!("{} {} otherwise there", some(&own), if own.len() == 1 { "is" } else { "are" })));
    }
    json.files.clone_from(&yaml.files);
    // As in any of the Python tool's: only Git can tell.
    json.manifest_only = None;
    Ok(json)
}

fn ambiguous(how: String) -> CliError {
    let yaml = python_yaml::PATH;
    CliError::user(format!("{PATH} and {yaml} stand beside each other and disagree: {how}"))
        .hint(format!("to go by {yaml}: git rm --cached {PATH}; move the file away; s3lfs migrate"))
        .hint(format!("to go by {PATH}: git rm -r {yaml} {}; s3lfs migrate", python_yaml::SHARDS))
}

/// Make sure that the staged manifest and the index name all that `yaml` does.
pub fn require_taken_over(yaml: &Manifest) -> Result<(), CliError> {
    let staged = match manifest_file::staged()? {
        Staged::Blob(bytes) => Manifest::parse(&bytes)?,
        Staged::Unmerged | Staged::Absent => return Err(CliError::user(format!("{PATH} is not staged any more"))),
    };
    let missing = missing(yaml, &staged, &InGit::at_paths_of(yaml)?);
    if missing.is_empty() {
        return Ok(());
    }
    let yaml = python_yaml::PATH;
    Err(CliError::user(format!("{yaml} is kept, since {PATH} does not say what it says of {}", some(&missing)))
        .hint("'s3lfs migrate' again goes on"))
}

/// The paths of `yaml` that neither `json` nor the index names with the same content.
fn missing<'a>(yaml: &'a Manifest, json: &Manifest, in_git: &InGit) -> Vec<&'a String> {
    let is_named = |path: &str, oid: &Oid| json.files.get(path) == Some(oid) || in_git.0.get(path) == Some(&true);
    yaml.files.iter().filter(|(path, oid)| !is_named(path, oid)).map(|(path, _)| path).collect()
}

/// The paths of a manifest that the index has, and whether with the content that the manifest names: as a
/// pointer, or as it is.
struct InGit(BTreeMap<String, bool>);

impl InGit {
    fn at_paths_of(manifest: &Manifest) -> Result<Self, CliError> {
        let named = |entry: &index::Entry| manifest.files.get(entry.path.to_str().ok()?).copied();
        let mut entries = index::entries(&[])?;
        entries.retain(|entry| named(entry).is_some());
        let kinds = objects::kinds(entries.iter().map(|entry| entry.id.as_bstr()))?;
        let mut found = BTreeMap::new();
        for entry in &entries {
            let (Ok(path), Some(oid)) = (entry.path.to_str(), named(entry)) else { continue };
            let is_same = match kinds.get(&entry.id) {
                Some(BlobKind::Pointer(pointer)) => pointer.oid == oid,
                Some(BlobKind::Empty) => oid == Oid::of(b""),
                Some(BlobKind::Raw) => {
                    objects::read(entry.id.as_bstr())?.is_some_and(|content| Oid::of(&content) == oid)
                }
                Some(BlobKind::Missing | BlobKind::Extended) | None => false,
            };
            found.insert(path.to_owned(), is_same && entry.stage == 0);
        }
        Ok(InGit(found))
    }

    /// Nothing is begun where Git and the manifest have two contents for a path.
    fn refuse_others(&self, yaml: &Manifest) -> Result<(), CliError> {
        let others: Vec<&String> = yaml.files.keys().filter(|path| self.0.get(*path) == Some(&false)).collect();
        let Some(first) = others.first() else { return Ok(()) };
        let first = Printable(first.as_bytes());
        Err(CliError::user(format!("Git has {} with other content than {} names", some(&others), python_yaml::PATH))
            .hint(format!("to migrate what the manifest names: git rm --cached -- {first}"))
            .hint("to keep what Git has: take the path's line out of the manifest"))
    }
}

fn some(paths: &[&String]) -> String {
    let first = paths.first().map(|path| Printable(path.as_bytes()).to_string()).unwrap_or_default();
    match paths.len() {
        1 => first,
        n => format!("{} ({first} ...)", ui::count(n, "file")),
    }
}
