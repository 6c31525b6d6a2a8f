//! What `fsck` hashes: the clone's own cache, the one that clones share, and the files of the worktree.
//!
//! Apart from what is done about it: nothing is changed here.

use std::collections::{BTreeSet, HashSet};

use bstr::BString;

use crate::cache::{Health, LocalCache};
use crate::cli::check::fsck::Finding;
use crate::cli::context::Context;
use crate::cli::error::{CliError, one_line};
use crate::cli::set_up::lfs_driver;
use crate::cli::threads::each;
use crate::cli::ui::progress::Count;
use crate::config::GitConfig;
use crate::fs::PathError;
use crate::git::index::{self, Entry};
use crate::oid::Oid;
use crate::pointer::Pointer;
use crate::repo_path::RepoPath;
use crate::worktree::{FileState, Target, is_no_pointer, is_sound, state_of};

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
}

/// Hash all that is cached.
pub fn caches(context: &Context, findings: &mut Vec<Finding>) -> Result<Damaged, CliError> {
    let cache = context.cache();
    let own = damaged_in(&cache, CACHE, "its cached copy is damaged", findings)?;
    let shared = match cache.shared_directory() {
        Some(shared) => {
            let why = format!("its copy in the shared cache ({}) is damaged", shared.root().display());
            damaged_in(&shared, SHARED, &why, findings)?
        }
        None => BTreeSet::new(),
    };
    Ok(Damaged { own, shared })
}

fn damaged_in(
    cache: &LocalCache,
    kind: &'static str,
    damaged: &str,
    findings: &mut Vec<Finding>,
) -> Result<BTreeSet<Oid>, CliError> {
    let objects = cache.objects()?;
    let count = Count::new("Hashing the cache", objects.len());
    // Of clones that share it, another may have dropped or added one since it was listed.
    let looked = each(objects, |cached| {
        let health = cache.examine(&cached.oid);
        count.add(1);
        (cached.oid, health)
    });
    let mut found = BTreeSet::new();
    for (oid, health) in looked {
        let why = match health {
            Ok(Health::Sound | Health::Absent) => continue,
            Ok(Health::Damaged) => damaged.to_owned(),
            Err(e) => one_line(e),
        };
        found.insert(oid);
        findings.push(Finding { kind, path: None, commit: None, oid: Some(oid), why, fixed: false });
    }
    Ok(found)
}

/// Hash the files that Git takes for unchanged: those that differ all the same are damaged. What Git
/// knows to be changed is the user's.
pub fn worktree(context: &Context, damaged: &Damaged, findings: &mut Vec<Finding>) -> Result<Vec<Target>, CliError> {
    let changed: HashSet<BString> = index::changed_in_worktree(&[])?.into_iter().collect();
    let mut files = Vec::new();
    for file in lfs_driver::filtered(&GitConfig::load()?)? {
        let Some(pointer) = file.pointer().filter(|_| file.entry.stage == 0) else { continue };
        if let Some(size) = other_size(&context.cache(), damaged, &pointer) {
            let why = format!(
                "its pointer says {} bytes, its content has {size}: it is the pointer that is wrong",
                pointer.size
            );
            let (path, oid) = (Some(file.entry.path), Some(pointer.oid));
            findings.push(Finding { kind: "size", path, commit: None, oid, why, fixed: false });
        } else if !changed.contains(&file.entry.path) {
            let path = RepoPath::new(file.entry.path.clone())?;
            let target = Target { path, item: pointer.into(), executable: file.entry.executable, tracked: true };
            files.push((file.entry, target, pointer));
        }
    }
    let count = Count::new("Hashing files", files.len());
    let mut browse = context.worktree.browse();
    let files = files.into_iter().map(|(entry, target, pointer)| {
        let content = is_no_pointer(&mut browse, &target.path, &target.item);
        (entry, target, pointer, content)
    });
    let looked = each(files.collect::<Vec<_>>(), |(entry, target, pointer, content)| {
        let sound = match content {
            true => is_sound(&context.worktree, &target.path, &pointer),
            false => sound(context, &target, &pointer),
        };
        count.add(1);
        (entry, target, sound)
    });
    let mut wrong = Vec::new();
    for (entry, target, sound) in looked {
        let (kind, why) = match (sound, unwatched(&entry)) {
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
        let (path, oid) = (Some(entry.path), Some(target.item.oid));
        findings.push(Finding { kind, path, commit: None, oid, why, fixed: false });
        if kind == "worktree" {
            wrong.push(target);
        }
    }
    Ok(wrong)
}

/// The length of the content, if that is not what the pointer says. A damaged copy tells nothing of it.
fn other_size(cache: &LocalCache, damaged: &Damaged, pointer: &Pointer) -> Option<u64> {
    let own = cache.find_own(&pointer.oid, None).filter(|_| !damaged.own.contains(&pointer.oid));
    let shared = || cache.shared_directory()?.find_own(&pointer.oid, None);
    let sound = own.or_else(|| shared().filter(|_| !damaged.shared.contains(&pointer.oid)))?;
    (sound.size != pointer.size).then_some(sound.size)
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
