//! What the other clones need that share a cache: asked of each, or nothing is told at all.
//!
//! Apart because it looks into repositories that are not this one. Each is asked by a process of its own, which finds
//! everything as if the user had typed it there; Git refuses in a repository of another user's that this one does
//! not trust (git-config(1), `safe.directory`).

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use bstr::ByteSlice;

use super::prune::names;
use crate::cache::{LocalCache, Registered, this_machine};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::ui;
use crate::error::chain;
use crate::fs::{PathError, is_absent};
use crate::git::Git;
use crate::git::plumbing::forget_repository;
use crate::oid::Oid;
use crate::shell_word::quoted;

/// The clones in the register, but for this one.
pub struct Clones {
    there: Vec<(Registered, PathBuf)>,
    gone: Vec<Registered>,
}

impl Clones {
    /// Look where each of them is. Of one that may come back it can't be told what it needs.
    pub fn others(context: &Context, shared: &LocalCache) -> Result<Self, CliError> {
        let own = context.repo.common_dir().canonicalize().ok();
        let registered = shared.registered().map_err(|e| {
            CliError::from(e).hint("nothing was dropped: remove the file if no clone that uses the cache is its owner")
        })?;
        let mut clones = Clones { there: Vec::new(), gone: Vec::new() };
        let here = this_machine();
        for clone in registered {
            if clone.machine != here {
                return Err(untold(&clone, "it is on another machine, which has to be asked there"));
            }
            if Some(&clone.git_dir) == own.as_ref() {
                continue;
            }
            match is_there(&clone.git_dir) {
                Ok(true) => {
                    let place = place_of(&clone).map_err(|why| untold(&clone, &why))?;
                    clones.there.push((clone, place));
                }
                Ok(false) => clones.gone.push(clone),
                Err(why) => return Err(untold(&clone, &why)),
            }
        }
        Ok(clones)
    }

    /// What they need, by the same rule as this one.
    pub fn needed(&self) -> Result<HashSet<Oid>, CliError> {
        let mut needed = HashSet::new();
        for (clone, place) in &self.there {
            needed.extend(ask(place).map_err(|why| untold(clone, &why))?);
        }
        Ok(needed)
    }

    /// Say which are not there any more, and with `forget` take them out of the register.
    pub fn tell_gone(&self, forget: Option<&LocalCache>) -> Result<(), PathError> {
        for clone in &self.gone {
            let name = name_of(clone);
            match forget {
                Some(shared) => {
                    shared.forget(clone)?;
                    ui::say(format!("The clone {name} is not there any more, and is not asked again."));
                }
                None => ui::say(format!("The clone {name} is not there any more.")),
            }
        }
        Ok(())
    }
}

/// Forget the clone at `path` (its top, or its Git directory; one of another machine by the name that it is told by),
/// whatever it needs.
pub fn forget(shared: &LocalCache, path: &Path) -> Result<(), CliError> {
    let given = path.to_owned();
    let named = |clone: &Registered| Path::new(&name_of(clone)) == given;
    let path = std::path::absolute(path).unwrap_or(path.to_owned());
    let real = path.canonicalize().unwrap_or_else(|_| path.clone());
    let here = this_machine();
    let is_meant = |clone: &Registered| {
        let git_dir = &clone.git_dir;
        clone.machine == here && [&path, &real].into_iter().any(|path| path == git_dir || path.join(".git") == *git_dir)
    };
    let registered = shared.registered()?;
    let Some(clone) = registered.iter().find(|clone| named(clone) || is_meant(clone)) else {
        let message = format!("no clone {} uses the shared cache", path.display());
        let known = registered.iter().map(|clone| format!("this one does: {}", name_of(clone)));
        return Err(CliError { hints: known.collect(), ..CliError::user(message) });
    };
    shared.forget(clone)?;
    ui::say(format!("The clone {} is forgotten until it uses the shared cache again.", name_of(clone)));
    Ok(())
}

/// The answer to another clone that prunes what it shares with this one: an oid a line.
pub fn answer() -> Result<(), CliError> {
    let context = Context::open_also_bare()?;
    let lines = names(&context)?.into_iter().map(|oid| format!("{}\n", oid.hex()));
    ui::answer_raw(lines.collect::<String>().as_bytes())
}

/// `false`: it was deleted. A folder above it that is not there either, or empty, may be where a disk is mounted.
fn is_there(git_dir: &Path) -> Result<bool, String> {
    match fs::metadata(git_dir) {
        Ok(_) => return Ok(true),
        Err(e) if is_absent(&e) => {}
        Err(e) => return Err(e.to_string()),
    }
    let above = git_dir.parent().unwrap_or(git_dir);
    // A whole clone is deleted with its worktree.
    let above = match above.try_exists() {
        Ok(false) if git_dir.ends_with(".git") => above.parent().unwrap_or(above),
        _ => above,
    };
    let not_there = |why: &str| Err(format!("it is not there, and {}{why}", above.display()));
    match fs::read_dir(above).map(|mut entries| entries.next()) {
        Ok(Some(Ok(_))) => Ok(false),
        Ok(Some(Err(e))) => not_there(&format!(" can't be read: {e}")),
        Ok(None) => not_there(" is empty, as where a disk is not mounted"),
        Err(e) if e.kind() == io::ErrorKind::NotFound => not_there(" is not there either"),
        Err(e) => not_there(&format!(" can't be read: {e}")),
    }
}

/// Where to ask: in a worktree of it, or in a bare repository.
fn place_of(clone: &Registered) -> Result<PathBuf, String> {
    let beside = clone.git_dir.parent().filter(|_| clone.git_dir.ends_with(".git")).map(Path::to_owned);
    let mut why = "another repository stands in its place".to_owned();
    for place in clone.worktree.clone().into_iter().chain(beside).chain([clone.git_dir.clone()]) {
        if !place.is_dir() {
            continue;
        }
        match Git::locate(["--git-common-dir"]).elsewhere().in_dir(&place).path() {
            Ok(found) if found.canonicalize().is_ok_and(|found| found == clone.git_dir) => {
                if place != clone.git_dir || is_bare(&place)? {
                    return Ok(place);
                }
                why = "where its worktree is can't be told, and the manifest there may name content".to_owned();
            }
            Ok(_) => {}
            Err(e) => why = chain(&e),
        }
    }
    Err(why)
}

fn is_bare(git_dir: &Path) -> Result<bool, String> {
    let answer = Git::new(["rev-parse", "--is-bare-repository"]).elsewhere().in_dir(git_dir).line_if_any();
    answer.map(|bare| bare.is_some_and(|bare| bare == "true")).map_err(|e| chain(&e))
}

fn ask(place: &Path) -> Result<Vec<Oid>, String> {
    let ourselves = std::env::current_exe().map_err(|e| format!("this program can't be found: {e}"))?;
    let mut command = Command::new(ourselves);
    forget_repository(&mut command);
    let asked = command.args(["prune", "--needed"]).current_dir(place).output();
    let output = asked.map_err(|e| format!("it can't be asked: {e}"))?;
    if !output.status.success() {
        let said = output.stderr.to_str_lossy();
        return Err(said.lines().map(|line| line.trim().trim_start_matches("s3lfs: ")).collect::<Vec<_>>().join("; "));
    }
    let oid = |line: &[u8]| Oid::from_hex(line).ok_or_else(|| "its answer was not understood".to_owned());
    output.stdout.lines().map(oid).collect()
}

fn untold(clone: &Registered, why: &str) -> CliError {
    let name = name_of(clone);
    CliError::user(format!("it can't be told what the clone {name} needs of the shared cache: {why}"))
        .hint("nothing was dropped")
        .hint(format!(
            "if it is deleted, or nothing in it is unpushed: s3lfs prune --shared --forget {}",
            quoted(&name)
        ))
}

/// As the user knows it: without the `.git` in it.
fn name_of(clone: &Registered) -> String {
    let git_dir = &clone.git_dir;
    let path = git_dir.parent().filter(|_| git_dir.ends_with(".git")).unwrap_or(git_dir).display();
    if clone.machine == this_machine() { path.to_string() } else { format!("{}:{path}", clone.machine) }
}
