//! What `fsck` hashes: the clone's own cache, the one that clones share, and the files of the worktree.
//!
//! Apart from what is done about it: nothing is changed here.

use std::collections::{BTreeSet, HashMap, HashSet};

use bstr::{BString, ByteSlice};

use crate::cache::{Health, LocalCache};
use crate::cli::check::fsck::Finding;
use crate::cli::context::Context;
use crate::cli::error::{CliError, one_line};
use crate::cli::threads::each;
use crate::cli::ui::progress::Count;
use crate::fs::PathError;
use crate::git::index::{self, Entry, Filtered};
use crate::git::objects::Look;
use crate::oid::Oid;
use crate::pointer::{Pointer, Sniffed};
use crate::repo_path::RepoPath;
use crate::worktree::{FileState, Target, has_content, is_sound, state_of};

/// A damaged object of the clone's own cache.
pub const CACHE: &str = "cache";

/// A damaged object of the shared directory (`s3lfs.cachedir`).
pub const SHARED: &str = "shared-cache";

/// Objects that are not what their names say.
#[derive(Default)]
pub struct Damaged {
    /// In the clone's own cache.
    pub own: BTreeSet<Oid>,
    /// In the shared directory.
    pub shared: BTreeSet<Oid>,
    /// Those that are sound, with their lengths: of the clone's own cache, and of the shared directory.
    sound: [HashMap<Oid, u64>; 2],
}

impl Damaged {
    /// Whether a sound copy was found.
    pub fn has_sound(&self, oid: &Oid) -> bool {
        self.sound.iter().any(|sound| sound.contains_key(oid))
    }

    /// The length of the content, if that is not what the pointer says. A damaged copy tells nothing of it.
    fn other_size(&self, pointer: &Pointer) -> Option<u64> {
        self.sound.iter().find_map(|sound| sound.get(&pointer.oid).copied()).filter(|len| *len != pointer.size)
    }
}

/// Hash all that is cached.
pub fn caches(context: &Context, findings: &mut Vec<Finding>) -> Result<Damaged, CliError> {
    let cache = context.cache();
    let (own, sound) = damaged_in(&cache, CACHE, "its cached copy is damaged", findings)?;
    let (shared, sound_in_shared) = match cache.shared_directory() {
        Some(shared) => {
            let why = format!("its copy in the shared cache ({}) is damaged", shared.root().display());
            damaged_in(&shared, SHARED, &why, findings)?
        }
        None => Default::default(),
    };
    Ok(Damaged { own, shared, sound: [sound, sound_in_shared] })
}

fn damaged_in(
    cache: &LocalCache,
    kind: &'static str,
    damaged: &str,
    findings: &mut Vec<Finding>,
) -> Result<(BTreeSet<Oid>, HashMap<Oid, u64>), CliError> {
    let oids = cache.oids()?;
    let count = Count::new("Hashing the cache", oids.len());
    // Of clones that share it, another may have dropped or added one since it was listed.
    let looked = each(oids, |oid| {
        let health = cache.examine(&oid);
        count.add(1);
        (oid, health)
    });
    let (mut found, mut sound) = (BTreeSet::new(), HashMap::with_capacity(looked.len()));
    for (oid, health) in looked {
        let why = match health {
            Ok(Health::Sound(len)) => {
                sound.insert(oid, len);
                continue;
            }
            Ok(Health::Absent) => continue,
            Ok(Health::Damaged) => damaged.to_owned(),
            Err(e) => one_line(e),
        };
        found.insert(oid);
        findings.push(Finding { kind, path: None, commit: None, oid: Some(oid), why, fixed: false });
    }
    Ok((found, sound))
}

/// Files that one thread takes at a time: most lie in one directory, which is opened once. But no more than so many bytes.
const RUN: (usize, u64) = (128, 64 << 20);

/// Hash the files that Git takes for unchanged: those that differ all the same are damaged. What Git
/// knows to be changed is the user's.
pub fn worktree(
    context: &Context,
    damaged: &Damaged,
    files: &[Filtered],
    changed: &HashSet<BString>,
    findings: &mut Vec<Finding>,
) -> Result<Vec<Target>, CliError> {
    let mut unchanged = Vec::new();
    for file in files {
        let Some(pointer) = file.pointer().filter(|_| file.entry.stage == 0) else { continue };
        if let Some(size) = damaged.other_size(&pointer) {
            let why = format!(
                "its pointer says {} bytes, its content has {size}: it is the pointer that is wrong",
                pointer.size
            );
            let (path, oid) = (Some(file.entry.path.clone()), Some(pointer.oid));
            findings.push(Finding { kind: "size", path, commit: None, oid, why, fixed: false });
        } else if !changed.contains(&file.entry.path) {
            let path = RepoPath::new(file.entry.path.clone())?;
            let target = Target { path, item: pointer.into(), executable: file.entry.executable, tracked: true };
            unchanged.push((&file.entry, target, pointer));
        }
    }
    let count = Count::new("Hashing files", unchanged.len());
    let (mut files, mut bytes) = (0, 0);
    // It compares neighbours: whether the second still goes with the first.
    let together = |_: &_, (_, _, next): &(_, _, Pointer)| {
        (files, bytes) = (files + 1, bytes + next.size);
        let goes = files < RUN.0 && bytes < RUN.1;
        if !goes {
            (files, bytes) = (0, 0);
        }
        goes
    };
    let looked = each(unchanged.chunk_by(together), |run| {
        let mut browse = context.worktree.browse();
        let mut wrong = Vec::new();
        for (entry, target, pointer) in run {
            let sound = match has_content(&mut browse, &target.path, pointer) {
                true => Ok(true),
                false => sound(context, target, pointer),
            };
            count.add(1);
            if !matches!(sound, Ok(true)) {
                wrong.push((*entry, target.clone(), sound));
            }
        }
        wrong
    });
    let looked: Vec<_> = looked.into_iter().flatten().collect();
    // Hashing took its time: what the user changed meanwhile is his.
    let now: HashSet<BString> = match looked.is_empty() {
        true => HashSet::new(),
        false => index::changed_in_worktree(&[])?.into_iter().collect(),
    };
    let mut wrong = Vec::new();
    for (entry, target, sound) in looked.into_iter().filter(|(entry, ..)| !now.contains(&entry.path)) {
        let (kind, why) = match (sound, unwatched(entry)) {
            (Ok(true), _) => continue,
            // Git would not tell a change of the user's: it may be one.
            (Ok(false), Some(bit)) => (
                "unwatched",
                format!(
                    "its bytes are not what the index names; Git was told not to look at it ({bit}), so it may be your \
                     work, and is left alone; to let Git look: git update-index --no-{bit} <file>"
                ),
            ),
            (Ok(false), None) => {
                ("worktree", "its bytes are not what the index names, although Git takes it for unchanged".to_owned())
            }
            (Err(e), _) => ("worktree", one_line(e)),
        };
        let (path, oid) = (Some(entry.path.clone()), Some(target.item.oid));
        findings.push(Finding { kind, path, commit: None, oid, why, fixed: false });
        if kind == "worktree" {
            wrong.push(target);
        }
    }
    Ok(wrong)
}

/// A pointer of git-lfs for content that is here: no fault.
pub const OF_LFS: &str = "git-lfs";

/// Files that Git takes for changed, and that have the content which their pointer names: it is one of git-lfs, as in a
/// version from before the migration, and ours would be another.
pub fn of_lfs(
    context: &Context,
    looked: &[(Entry, Look)],
    changed: &HashSet<BString>,
) -> Result<Vec<Finding>, CliError> {
    let mut findings = Vec::new();
    let is_changed = |entry: &Entry| entry.stage == 0 && changed.contains(&entry.path);
    for (entry, look) in looked.iter().filter(|(entry, _)| is_changed(entry)) {
        let Look::Small(Sniffed::Lfs(pointer)) = look else { continue };
        let path = RepoPath::new(entry.path.clone())?;
        // One that can't be read is changed in another way.
        if is_sound(&context.worktree, &path, pointer).unwrap_or(false) {
            let spec = context.pathspec(entry.path.as_bstr());
            let why = format!(
                "Git shows it as modified, and it is not: its pointer in Git is git-lfs's; to have ours: git add \
                 --renormalize -- {spec}"
            );
            let (path, oid) = (Some(entry.path.clone()), Some(pointer.oid));
            findings.push(Finding { kind: OF_LFS, path, commit: None, oid, why, fixed: false });
        }
    }
    Ok(findings)
}

/// The bit that keeps Git from looking at the file.
fn unwatched(entry: &Entry) -> Option<&'static str> {
    match (entry.skip_worktree, entry.assume_unchanged) {
        (true, _) => Some("skip-worktree"),
        (false, true) => Some("assume-unchanged"),
        (false, false) => None,
    }
}

fn sound(context: &Context, target: &Target, pointer: &Pointer) -> Result<bool, PathError> {
    match state_of(&context.worktree, target, false)? {
        FileState::Missing | FileState::PointerOnly => Ok(true),
        FileState::Present | FileState::Changed => is_sound(&context.worktree, &target.path, pointer),
    }
}
