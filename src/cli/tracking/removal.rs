//! Taking files out of tracking: out of the index, the manifest, and the attribute lines that name only
//! them. The files on disk stay, with their content.
//!
//! Apart from the commands so that whoever removes more (the objects in the store) does this part the
//! same way. The order of the steps lets a command that was killed find its work again: as long as
//! index, manifest or attributes name a path, it can be removed.

use std::collections::{BTreeMap, HashSet};
use std::ops::Bound;

use bstr::{BString, ByteSlice};

use crate::attributes::{AttributesFile, Pattern};
use crate::cli::Global;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::fetch::download::{Asked, Failed, fetch};
use crate::cli::manifest_file::{self, Staged};
use crate::cli::tracking::staging::Staging;
use crate::cli::tracking::track::{attributes_now, edit_attributes, stage_attributes, staged_attributes};
use crate::cli::tracking::track_modified::{Decided, project_staged};
use crate::cli::ui;
use crate::error::chain;
use crate::git::attr::{self, Source};
use crate::git::index::{self, Entry};
use crate::git::objects::{self, BlobKind};
use crate::git::push;
use crate::manifest::Manifest;
use crate::oid::Oid;
use crate::repo_path::RepoPath;
use crate::transfer::Item;
use crate::vouched::Vouched;
use crate::worktree::{FileState, Overwrite, Target, state_of};

/// What is removed.
#[derive(Clone, Debug)]
pub enum Scope {
    /// One file.
    File(RepoPath),
    /// Everything beneath a directory.
    Beneath(RepoPath),
}

impl Scope {
    /// The file or directory.
    pub fn path(&self) -> &RepoPath {
        let (Scope::File(path) | Scope::Beneath(path)) = self;
        path
    }

    /// Those of the manifest's entries that may be within: of 100,000, most are not.
    fn among<'a>(&self, files: &'a BTreeMap<String, Oid>) -> impl Iterator<Item = (&'a String, &'a Oid)> {
        // What is no text stands in no manifest.
        let name = self.path().to_str().map(str::to_owned);
        let first = name.clone().map_or(Bound::Unbounded, Bound::Included);
        let within = move |path: &String| name.as_ref().is_some_and(|name| path.starts_with(name.as_str()));
        files.range::<String, _>((first, Bound::Unbounded)).take_while(move |(path, _)| within(path))
    }

    fn covers(&self, path: &RepoPath) -> bool {
        match self {
            Scope::File(file) => file == path,
            Scope::Beneath(dir) => path != dir && path.starts_with(dir),
        }
    }
}

/// A file that can be removed.
#[derive(Debug)]
pub struct Candidate {
    /// Where.
    pub path: RepoPath,
    /// The content that index or manifest name; none if Git has it raw.
    pub item: Option<Item>,
    /// What stands in the index.
    entry: Option<Entry>,
}

/// What comes of it.
#[derive(Debug, Default)]
pub struct Removed {
    /// Files that can go, and in the end are no longer tracked.
    pub files: Vec<Candidate>,
    /// Those of them that a wider pattern would give to the filter again.
    pub still_covered: HashSet<BString>,
    /// Files that stay as they were, and why.
    pub failed: Vec<Failed>,
    /// These files.
    pub kept: Vec<Candidate>,
}

/// All that index, manifest and attributes name within `scope`. A path outside the repository's tracked
/// files gives nothing.
pub fn candidates(scope: &Scope, manifest: Option<&Manifest>) -> Result<Vec<Candidate>, CliError> {
    let mut found = BTreeMap::new();
    let entries = index::entries(&[scope.path().as_bstr().to_owned()])?;
    let kinds = objects::kinds(entries.iter().map(|entry| entry.id.as_bstr()))?;
    let filtered = attr::filtered(entries.iter().map(|entry| entry.path.as_bstr()), Source::Worktree)?;
    for entry in entries {
        let item = match kinds.get(&entry.id) {
            Some(BlobKind::Pointer(pointer)) => Some(Item::from(*pointer)),
            _ if filtered.contains(&entry.path) => None,
            _ => continue,
        };
        let path = RepoPath::new(entry.path.clone())?;
        if scope.covers(&path) {
            found.insert(path.clone(), Candidate { path, item, entry: Some(entry) });
        }
    }
    for (path, oid) in manifest.into_iter().flat_map(|manifest| scope.among(&manifest.files)) {
        let path = RepoPath::new(path.as_str())?;
        if scope.covers(&path) {
            let item = Some(Item::from(*oid));
            found.entry(path.clone()).or_insert(Candidate { path, item, entry: None });
        }
    }
    if found.is_empty() && !own_lines(scope)?.is_empty() {
        // What a removal that was killed left behind.
        let path = scope.path().clone();
        found.insert(path.clone(), Candidate { path, item: None, entry: None });
    }
    Ok(found.into_values().collect())
}

/// What HEAD names within `scope` and the index does not any more: of a removal that was killed before
/// it purged, this is left.
pub fn removed_since_head(scope: &Scope) -> Result<Vec<Candidate>, CliError> {
    let Some(head) = index::head()? else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    let blobs = push::all_blobs(&head)?;
    let kinds = objects::kinds(blobs.iter().map(|blob| blob.id.as_bstr()))?;
    for blob in blobs {
        let path = RepoPath::new(blob.path)?;
        if let (true, Some(BlobKind::Pointer(pointer))) = (scope.covers(&path), kinds.get(&blob.id)) {
            found.push(Candidate { path, item: Some((*pointer).into()), entry: None });
        }
    }
    Ok(found)
}

/// Look which of `candidates` can go, and fill those of which only the pointer is here: the first half of a
/// removal, which takes nothing out yet.
pub fn prepare(context: &Context, global: &Global, candidates: Vec<Candidate>) -> Result<Removed, CliError> {
    require_manifest_that_parses()?;
    let mut removed = Removed::default();
    removed.files = keep_content(context, global, candidates, &mut removed)?;
    Ok(removed)
}

impl Removed {
    /// Keep each file of which `why_not` tells why it can't go.
    pub fn keep(&mut self, why_not: impl Fn(&Candidate) -> Option<String>) {
        for file in std::mem::take(&mut self.files) {
            match why_not(&file) {
                Some(why) => {
                    self.failed.push((file.path.as_bstr().to_owned(), why));
                    self.kept.push(file);
                }
                None => self.files.push(file),
            }
        }
    }

    /// Stop tracking what was prepared, which lies within `scopes`: the second half.
    pub fn take_out(mut self, context: &Context, scopes: &[Scope]) -> Result<Self, CliError> {
        let candidates = &self.files;
        if candidates.is_empty() {
            return Ok(self);
        }
        let _staging = Staging::begin(context)?;
        let in_index: Vec<&Entry> = candidates.iter().filter_map(|file| file.entry.as_ref()).collect();
        if !in_index.is_empty() {
            index::take_out(in_index.into_iter())?;
        }
        let gone = candidates.iter().filter_map(|file| file.path.to_str().map(str::to_owned)).collect();
        Vouched::new(context.repo.git_dir()).forget(&gone)?;
        project_staged(context, &Decided { gone, ..Decided::default() })?;
        let failed: HashSet<&BString> = self.failed.iter().map(|(path, _)| path).collect();
        // A line stays as long as a file that it names does.
        let done = |scope: &&Scope| match scope {
            Scope::File(path) => !failed.contains(&path.as_bstr().to_owned()),
            Scope::Beneath(_) => failed.is_empty(),
        };
        let mut lines = HashSet::new();
        for scope in scopes.iter().filter(done) {
            lines.extend(own_lines(scope)?);
        }
        drop_lines(&lines)?;
        self.still_covered = attr::filtered(candidates.iter().map(|file| file.path.as_bstr()), Source::Worktree)?;
        Ok(self)
    }
}

/// Nothing is begun that a broken manifest would stop half-way.
fn require_manifest_that_parses() -> Result<(), CliError> {
    let staged = manifest_file::staged()?;
    match &staged {
        // As a rule they are the same, and to parse one of 100,000 lines takes its time.
        Staged::Blob(bytes) if manifest_file::is_in_worktree(bytes)? => {}
        _ => drop(manifest_file::for_writing()?),
    }
    match staged {
        Staged::Blob(bytes) => Ok(Manifest::parse(&bytes).map(drop)?),
        Staged::Absent => Ok(()),
        Staged::Unmerged => Err(manifest_file::in_conflict()),
    }
}

/// So many paths are asked of Git by name.
const FEW: usize = 500;

/// Make sure that what only the index names is not forgotten, and that no pointer is left on disk where
/// the user expects the file.
fn keep_content(
    context: &Context,
    global: &Global,
    candidates: Vec<Candidate>,
    removed: &mut Removed,
) -> Result<Vec<Candidate>, CliError> {
    let staged = index::changed_since_head()?;
    // Of many, Git is faster with all at once.
    let few: Vec<BString> = match candidates.len() {
        1..=FEW => candidates.iter().map(|file| file.path.as_bstr().to_owned()).collect(),
        _ => Vec::new(),
    };
    let changed: HashSet<BString> = index::changed_in_worktree(&few)?.into_iter().collect();
    let (mut ready, mut pointers) = (Vec::new(), Vec::new());
    for file in candidates {
        let path = file.path.as_bstr();
        let state = match target_of(&file) {
            // Whether a manifest-only file was changed does not matter here: it need not be read.
            Some(target) => {
                let probe = Target { tracked: true, ..target };
                state_of(&context.worktree, &probe, changed.contains(path))
            }
            None => Ok(FileState::Present),
        };
        let why = match (&state, &file.entry) {
            (Err(e), _) => Some(chain(e)),
            (_, Some(entry)) if entry.stage != 0 => Some("it has a conflict; resolve it first".to_owned()),
            (Ok(FileState::Changed), Some(_)) if staged.contains(path) => {
                Some("what is staged differs from both the file and HEAD; commit it, or 'git add' the file".to_owned())
            }
            _ => None,
        };
        match why {
            Some(why) => {
                removed.failed.push((file.path.as_bstr().to_owned(), why));
                removed.kept.push(file);
            }
            None => {
                if matches!(state, Ok(FileState::PointerOnly)) {
                    pointers.extend(target_of(&file));
                }
                ready.push(file);
            }
        }
    }
    if !pointers.is_empty() {
        ui::say(format!("Fetching {}, since only the pointer is here.", ui::count(pointers.len(), "file")));
        let manifest = manifest_file::for_reading(None)?;
        let report = fetch(context, global, manifest.as_ref(), pointers, Asked::ByName, Overwrite::PointersOnly)?;
        let lost: HashSet<&BString> = report.failed.iter().map(|(path, _)| path).collect();
        let (without, with): (Vec<_>, Vec<_>) =
            ready.into_iter().partition(|file| lost.contains(&file.path.as_bstr().to_owned()));
        ready = with;
        removed.kept.extend(without);
        removed.failed.extend(report.failed);
    }
    Ok(ready)
}

fn target_of(file: &Candidate) -> Option<Target> {
    Some(Target {
        path: file.path.clone(),
        item: file.item?,
        executable: file.entry.as_ref().is_some_and(|entry| entry.executable),
        tracked: file.entry.is_some(),
    })
}

/// The patterns of `.gitattributes` that name nothing outside `scope`, in each way of writing them that
/// `upload`, `track-subtree` and people use.
fn own_lines(scope: &Scope) -> Result<HashSet<BString>, CliError> {
    let mut lines = own_lines_of(attributes_now()?, scope)?;
    // A removal that was killed may have done all but to stage what it wrote.
    lines.extend(own_lines_of(staged_attributes()?, scope)?);
    Ok(lines)
}

fn own_lines_of(attributes: Option<Vec<u8>>, scope: &Scope) -> Result<HashSet<BString>, CliError> {
    let attributes = AttributesFile::parse(&attributes.unwrap_or_default());
    let anchored = |pattern: &BString| -> BString {
        // A slash in the middle anchors a pattern as one in front does (gitignore(5)).
        if pattern.contains(&b'/') && !pattern.starts_with(b"/") {
            [b"/", pattern.as_slice()].concat().into()
        } else {
            pattern.clone()
        }
    };
    let own = match scope {
        Scope::File(path) => Pattern::for_file(path)?,
        Scope::Beneath(dir) => Pattern::for_dir(dir)?,
    };
    let own = anchored(&own.as_bstr().to_owned());
    let beneath = own.strip_suffix(b"**").map(BString::from);
    let is_own = |pattern: &BString| {
        let pattern = anchored(pattern);
        pattern == own || beneath.as_ref().is_some_and(|dir| pattern.starts_with(dir))
    };
    Ok(attributes.tracked().into_iter().filter(is_own).collect())
}

fn drop_lines(lines: &HashSet<BString>) -> Result<(), CliError> {
    let untrack = |attributes: &mut AttributesFile| {
        attributes.untrack_each(lines);
    };
    if lines.is_empty() {
        return Ok(());
    }
    let staged = AttributesFile::parse(&staged_attributes()?.unwrap_or_default());
    if edit_attributes(untrack)? || staged.tracked().iter().any(|line| lines.contains(line)) {
        stage_attributes()?;
    }
    Ok(())
}
