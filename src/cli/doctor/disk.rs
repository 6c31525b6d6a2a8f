//! The local cache: where it is, whether it can be written, and how much room there is.
//!
//! Apart because everything that `git add` takes has to fit there first.

use std::error::Error;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bstr::ByteSlice;

use super::finding::{Finding, Findings, Level};
use crate::cache::LocalCache;
use crate::cli::check::prune::names;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::place::unset;
use crate::cli::ui;
use crate::config::GitConfig;
use crate::fs::{PathError, free_space, temp_in};
use crate::git::Git;
use crate::git::path_from_bytes;
use crate::git::worktrees::base;
use crate::shell_word::quoted;

/// Less than this fills up with a few files.
const LITTLE: u64 = 1 << 30;

/// The clone's own cache, and the directory that clones share.
pub fn cache(context: &Context, config: &GitConfig, findings: &mut Findings) -> Result<(), CliError> {
    let state = context.repo.state_dir();
    findings.add(place("cache", &state, Level::Stops, || frees(context, &context.cache()).then_some("s3lfs prune")))?;
    if config.get("s3lfs.cachedir").is_none() {
        return Ok(());
    }
    let answer = Git::new(["config", "--type=path", "-z", "--get", "s3lfs.cachedir"]).run()?;
    let value = path_from_bytes(answer.stdout.strip_suffix(b"\0").unwrap_or(&answer.stdout));
    if !answer.status.success() {
        let found = format!("s3lfs.cachedir is not used: {}", answer.stderr.trim().to_str_lossy());
        return findings.add(Finding::warning("cache", found, unset("s3lfs.cachedir")));
    }
    // Asked as the commands do: it is made, and what is wrong with it is said.
    match context.cache().shared_directory() {
        Some(shared) if writable(shared.root()).is_err() => {
            let found = format!("{} is only read: nothing can be written there", shared.root().display());
            findings.add(Finding::note("shared cache", found))
        }
        // What can't be written there is only read.
        Some(shared) => {
            let prune = || frees(context, &shared).then_some("s3lfs prune --shared");
            findings.add(place("shared cache", shared.root(), Level::Warning, prune))
        }
        None if value.as_os_str().is_empty() => Ok(()),
        None => findings.add(unusable(&base(&context.repo).join(&value))),
    }
}

/// Why the shared directory can't be used, and what does something about that.
fn unusable(dir: &Path) -> Finding {
    let quoted = quoted(&dir.to_string_lossy());
    let what = format!("s3lfs.cachedir = {} can't be used", dir.display());
    let in_the_way = dir.ancestors().find(|dir| dir.symlink_metadata().is_ok()).filter(|dir| !dir.is_dir());
    match in_the_way {
        // A file may be somebody's; another place costs nobody anything.
        Some(file) => {
            let found = format!("{what}: {} is no directory", file.display());
            Finding::warning("shared cache", found, format!("{} # or name another directory", unset("s3lfs.cachedir")))
        }
        None => {
            let found = format!("{what}: it is not there, and can't be made");
            Finding::warning("shared cache", found, format!("mkdir -p {quoted}"))
        }
    }
}

/// The directories of a cache that are there and can't be written, of which one would stop a single file.
fn unwritable_within(root: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root.join("objects")).into_iter().flatten().flatten();
    // Others are none of ours.
    let shards = entries.filter(|entry| entry.file_name().len() == 2).map(|entry| entry.path());
    let fixed = ["tmp", "objects", "uploaded", "uploads", "downloads", "bad"].map(|name| root.join(name));
    let there = |dir: &PathBuf| dir.symlink_metadata().is_ok();
    fixed.into_iter().chain(shards).filter(|dir| there(dir) && writable(dir).is_err()).collect()
}

/// One command, however many there are: directories are made writable, all else is put aside.
fn make_writable(dirs: &[PathBuf], root: &Path) -> String {
    let quoted = |dir: &Path| quoted(&dir.to_string_lossy());
    let aside = dirs.iter().filter(|dir| !dir.is_dir()).map(|dir| format!("mv {0} {0}.aside", quoted(dir)));
    let mut commands: Vec<String> = aside.collect();
    match dirs.len() - commands.len() {
        0 => {}
        1 => commands.extend(dirs.iter().filter(|dir| dir.is_dir()).map(|dir| format!("chmod u+rwx {}", quoted(dir)))),
        // No file: cached content is not to be written to.
        _ => commands.push(format!("find {} -type d -exec chmod u+rwx {{}} \\;", quoted(root))),
    }
    commands.join("; ")
}

/// From here on a lock is no command that is just running.
const STALE: Duration = Duration::from_secs(600);

/// The lock of the index, which every Git command that writes the index wants.
pub fn index_lock(context: &Context) -> Option<Finding> {
    // The second is that of a hook which changes the index that 'git commit -a' has locked.
    let locks = ["index.lock", "index.lock.lock"].map(|name| context.repo.git_dir().join(name));
    let made = |lock: &PathBuf| lock.symlink_metadata().ok()?.modified().ok();
    let (made, lock) = locks.into_iter().find_map(|lock| Some((made(&lock)?, lock)))?;
    let age = made.elapsed().unwrap_or_default();
    let place = lock.display();
    Some(if age < STALE {
        Finding::note("index", format!("a Git command has locked the index ({place})"))
    } else {
        let found = format!(
            "{place} is {} min old: until it is gone, Git refuses to add, commit or switch",
            age.as_secs() / 60
        );
        let mend = format!("rm {} # if no Git command runs here", quoted(&lock.to_string_lossy()));
        Finding::stops("index", found, mend)
    })
}

/// Whether something can be written at `dir`, or where it will be made, and in all that it has; `level`: how bad it is
/// that in some of that it can't; `prune`: what would make room. One cause is one finding.
fn place(check: &'static str, dir: &Path, level: Level, prune: impl Fn() -> Option<&'static str>) -> Finding {
    let room = free_space(dir);
    let shown = room.map(|room| format!(", {} free", ui::bytes(room))).unwrap_or_default();
    let text = format!("{}{shown}", dir.display());
    if let Ok(target) = dir.read_link()
        && !dir.exists()
    {
        let target = dir.parent().unwrap_or(dir).join(target);
        let found = format!("{} is a link to {}, which is not there", dir.display(), target.display());
        return Finding::new(check, level, found, format!("mkdir -p {}", quoted(&target.to_string_lossy())));
    }
    let quoted = quoted(&dir.to_string_lossy());
    let make_room = |finding: Finding| prune().into_iter().fold(finding, Finding::mend);
    if let Err(e) = writable(dir) {
        let command = match dir.symlink_metadata() {
            _ if is_full(&e) => {
                let finding = Finding::stops(check, crate::error::chain(&e), format!("df -h {quoted}"));
                return make_room(finding);
            }
            // What it has is like that, too, where somebody took the permission from all of it.
            Ok(_) => make_writable(&[vec![dir.to_owned()], unwritable_within(dir)].concat(), dir),
            Err(_) => format!("ls -ld {quoted}"),
        };
        return Finding::stops(check, crate::error::chain(&e), command);
    }
    match unwritable_within(dir).as_slice() {
        [] if room.is_some_and(|room| room < LITTLE) => {
            make_room(Finding::warning(check, text, format!("df -h {quoted}")))
        }
        [] => Finding::fine(check, text),
        [first, others @ ..] => {
            let more = if others.is_empty() { String::new() } else { format!(", nor in {} others", others.len()) };
            let found = format!("nothing can be written in {}{more}", first.display());
            let all: Vec<PathBuf> = std::iter::once(first).chain(others).cloned().collect();
            Finding::new(check, level, found, make_writable(&all, dir))
        }
    }
}

/// Whether this cache has content that nothing here needs: a prune asks the store, and may drop it.
fn frees(context: &Context, cache: &LocalCache) -> bool {
    match (cache.oids(), names(context)) {
        (Ok(all), Ok(needed)) => all.iter().any(|oid| !needed.contains(oid)),
        _ => false,
    }
}

/// Nothing that a permission would change.
fn is_full(error: &PathError) -> bool {
    let kind = error.source().and_then(|e| e.downcast_ref().map(std::io::Error::kind));
    matches!(kind, Some(ErrorKind::StorageFull | ErrorKind::QuotaExceeded))
}

fn writable(dir: &Path) -> Result<(), PathError> {
    if dir.exists() && !dir.is_dir() {
        return Err(PathError::new("write in", dir, std::io::ErrorKind::NotADirectory.into()));
    }
    let nearest = dir.ancestors().find(|dir| dir.is_dir()).unwrap_or(dir);
    temp_in(nearest).map(drop)
}
