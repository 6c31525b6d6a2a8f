//! The hooks directory: the one place where hooks are read from and written to a disk.
//!
//! Apart from the editing of a hook's text, which knows nothing of links and modes.

use std::fs::{self, Permissions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::block::{Installed, Uninstalled, calls_us, has_block, install, uninstall};
use super::{Hook, managers};
use crate::error::chain;
use crate::fs::{PathError, is_executable, is_temporary, replace_program};

/// What [`apply`] is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Put our blocks in.
    Install,
    /// Take them out.
    Uninstall,
    /// Report what `Install` would do; nothing is written.
    Inspect,
}

/// What became of one hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Which one.
    pub hook: Hook,
    /// Its file.
    pub path: PathBuf,
    /// What was done with it, or would be.
    pub outcome: Outcome,
    /// What the user should know about this file besides.
    pub note: Option<&'static str>,
}

/// See [`Report`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A file was made that was not there.
    Created,
    /// A file that was there has other bytes or a new mode.
    Updated,
    /// The file is gone: it was wholly ours.
    Removed,
    /// Nothing was to be done.
    Unchanged,
    /// It was left alone for this reason; [`Hook::command`] is the line to add or to take out.
    Foreign(&'static str),
    /// The disk refused, for this reason.
    Failed(String),
}

const LINK: &str = "it is a link, or something else that is not a regular file";
const NOT_EXECUTABLE: &str = "it is not executable, so Git does not run it; delete it or 'chmod +x' it";
/// A temporary file of this age was left by a killed process.
const ABANDONED: Duration = Duration::from_secs(24 * 3600);

/// A hook, or their directory, that could not be dealt with.
#[derive(Debug, thiserror::Error)]
pub enum HooksError {
    /// The directory was missing and can't be made.
    #[error("cannot make the hooks directory {}", path.display())]
    CreateDir {
        /// The directory.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The hook is there but can't be read.
    #[error("cannot read the hook {}", path.display())]
    Read {
        /// Its file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The hook can't be written.
    #[error("its hook can't be changed")]
    Write(#[from] PathError),
    /// The hook can't be removed.
    #[error("cannot remove the hook {}", path.display())]
    Remove {
        /// Its file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// Install, take out or look at all hooks in `dir`, which `git rev-parse --git-path hooks` names; the
/// caller has made sure that it is ours to write. One hook that fails does not stop the others, and
/// running it again is safe.
pub fn apply(dir: &Path, action: Action) -> Result<Vec<Report>, HooksError> {
    if action == Action::Install {
        fs::create_dir_all(dir).map_err(|source| HooksError::CreateDir { path: dir.into(), source })?;
    }
    if action != Action::Inspect {
        sweep(dir);
    }
    let places = Hook::ALL.into_iter().flat_map(|hook| places(dir, hook, action).into_iter().map(move |p| (hook, p)));
    let reports = places.map(|(hook, path)| {
        let existing = read(&path).map_err(|source| HooksError::Read { path: path.clone(), source });
        let note = existing.as_ref().ok().and_then(|existing| note(existing, action));
        let done = existing.and_then(|existing| apply_one(&path, &existing, hook, action));
        let outcome = done.unwrap_or_else(|e| Outcome::Failed(chain(&e)));
        Report { hook, path, outcome, note }
    });
    Ok(reports.collect())
}

/// Hooks in a directory that others write: those that lack our line, or to [`Action::Uninstall`],
/// those that have it.
pub fn by_hand(dir: &Path, action: Action) -> Vec<Hook> {
    let calls = |hook: &Hook| fs::read(dir.join(hook.name())).is_ok_and(|bytes| calls_us(&bytes, *hook));
    Hook::ALL.into_iter().filter(|hook| calls(hook) == (action == Action::Uninstall)).collect()
}

/// Where the block of `hook` belongs: in the hook, and also in the older hook which that of the
/// pre-commit framework calls: `pre-commit install` writes the first anew, and `pre-commit uninstall`
/// brings the second back. To be taken out, it is looked for in both.
fn places(dir: &Path, hook: Hook, action: Action) -> Vec<PathBuf> {
    let (own, chained) = (dir.join(hook.name()), dir.join(format!("{}.legacy", hook.name())));
    let is_foreign = |path: &Path| match read(path) {
        Ok(existing) => matches!(plan(&existing, hook, action), Plan::Leave(Outcome::Foreign(_))),
        Err(_) => false,
    };
    let wanted = match action {
        Action::Uninstall => chained.exists(),
        _ => matches!(read(&own), Ok(Existing::File(bytes, _)) if managers::chains_legacy(&bytes)),
    };
    match wanted && !is_foreign(&chained) {
        // Older versions write their hook in Python: the other will do.
        true if is_foreign(&own) => vec![chained],
        true => vec![own, chained],
        false => vec![own],
    }
}

/// Whether the pre-commit framework runs us as the older hook.
pub fn is_chained() -> bool {
    std::env::var_os(managers::RUNNING_LEGACY).is_some()
}

/// Whether the framework's own `hooks` are in `dir` and have our block, and so have done already what the
/// older ones are to do.
pub fn was_done(dir: &Path, hooks: &[Hook]) -> bool {
    let mut chaining = hooks.iter().filter_map(|hook| match read(&dir.join(hook.name())) {
        Ok(Existing::File(bytes, _)) if managers::chains_legacy(&bytes) => Some(has_block(&bytes)),
        _ => None,
    });
    // Without such a hook here, the framework runs in another repository (a superproject), and we are
    // the first to be asked in this one.
    chaining.next().is_some_and(|done| done && chaining.all(|done| done))
}

fn note(existing: &Existing, action: Action) -> Option<&'static str> {
    match existing {
        Existing::File(bytes, _) if action != Action::Uninstall => managers::note(bytes),
        _ => None,
    }
}

fn apply_one(path: &Path, existing: &Existing, hook: Hook, action: Action) -> Result<Outcome, HooksError> {
    let remove = |source| HooksError::Remove { path: path.into(), source };
    match (plan(existing, hook, action), action) {
        (Plan::Leave(outcome), _) => Ok(outcome),
        (Plan::Remove, _) => fs::remove_file(path).map(|()| Outcome::Removed).map_err(remove),
        (Plan::Write(_, outcome), Action::Inspect) => Ok(outcome),
        // Git never runs half a hook, and the user's own lines are in it.
        (Plan::Write(bytes, outcome), _) => Ok(replace_program(path, &bytes).map(|()| outcome)?),
    }
}

/// Take away what a killed process left. What can't be removed stays for the next time.
fn sweep(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let age = entry.metadata().and_then(|m| m.modified()).ok().and_then(|time| time.elapsed().ok());
        if is_temporary(entry.file_name().as_encoded_bytes()) && age.is_some_and(|age| age > ABANDONED) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

enum Existing {
    Absent,
    File(Vec<u8>, Permissions),
    /// With what can be read through the link.
    Foreign(Vec<u8>),
}

enum Plan {
    Leave(Outcome),
    Remove,
    Write(Vec<u8>, Outcome),
}

fn plan(existing: &Existing, hook: Hook, action: Action) -> Plan {
    let Existing::File(bytes, mode) = existing else {
        return match (existing, action, install(None, hook)) {
            (_, Action::Uninstall, _) => Plan::Leave(Outcome::Unchanged),
            (Existing::Foreign(bytes), _, _) if calls_us(bytes, hook) => Plan::Leave(Outcome::Unchanged),
            (Existing::Absent, _, Installed::Write(script)) => Plan::Write(script, Outcome::Created),
            _ => Plan::Leave(Outcome::Foreign(LINK)),
        };
    };
    if action == Action::Uninstall {
        return match uninstall(bytes, hook) {
            Uninstalled::Remove => Plan::Remove,
            Uninstalled::Write(bytes) => Plan::Write(bytes, Outcome::Updated),
            Uninstalled::Unchanged => Plan::Leave(Outcome::Unchanged),
            Uninstalled::Foreign(reason) => Plan::Leave(Outcome::Foreign(reason)),
        };
    }
    match install(Some(bytes), hook) {
        Installed::Foreign(reason) => Plan::Leave(Outcome::Foreign(reason)),
        // What the user disabled is not ours to enable; a hook that has our block did run before.
        _ if !is_executable(mode) && !has_block(bytes) => Plan::Leave(Outcome::Foreign(NOT_EXECUTABLE)),
        Installed::Write(bytes) => Plan::Write(bytes, Outcome::Updated),
        Installed::Unchanged if is_executable(mode) => Plan::Leave(Outcome::Unchanged),
        Installed::Unchanged => Plan::Write(bytes.clone(), Outcome::Updated),
    }
}

/// A link is not followed: what it leads to may be committed, or shared by other repositories.
fn read(path: &Path) -> io::Result<Existing> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Existing::Absent),
        Err(error) => Err(error),
        Ok(metadata) if !metadata.is_file() => {
            // A pipe would never end.
            let behind = fs::metadata(path).is_ok_and(|m| m.is_file()).then(|| fs::read(path).ok()).flatten();
            Ok(Existing::Foreign(behind.unwrap_or_default()))
        }
        Ok(metadata) => Ok(Existing::File(fs::read(path)?, metadata.permissions())),
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn outcome(dir: &Path, action: Action, hook: Hook) -> Outcome {
        let reports = apply(dir, action).unwrap();
        reports.into_iter().find(|report| report.hook == hook).unwrap().outcome
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn chmod(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn hooks_come_and_go_and_leave_the_directory_as_it_was() {
        let tmp = tempfile::tempdir().unwrap();
        let dir = tmp.path().join("new/hooks");
        assert_eq!(outcome(&dir, Action::Inspect, Hook::PrePush), Outcome::Created);
        assert_eq!(outcome(&dir, Action::Uninstall, Hook::PrePush), Outcome::Unchanged);
        assert!(!dir.exists(), "to inspect writes nothing, nor does it to uninstall nothing");
        assert_eq!(outcome(&dir, Action::Install, Hook::PrePush), Outcome::Created);
        assert_eq!(outcome(&dir, Action::Install, Hook::PrePush), Outcome::Unchanged);
        assert_eq!(mode(&dir.join("pre-push")) & 0o500, 0o500, "Git runs what is executable");
        assert_eq!(fs::read_dir(&dir).unwrap().count(), Hook::ALL.len(), "nothing is left beside the hooks");
        assert_eq!(outcome(&dir, Action::Uninstall, Hook::PrePush), Outcome::Removed);
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 0);
    }

    #[test]
    fn a_users_hook_keeps_bytes_and_mode() {
        let tmp = tempfile::tempdir().unwrap();
        let (dir, hook) = (tmp.path(), tmp.path().join("pre-push"));
        let text = "#!/bin/sh\nexit 0";
        fs::write(&hook, text).unwrap();
        chmod(&hook, 0o640);
        let disabled = Outcome::Foreign(NOT_EXECUTABLE);
        assert_eq!(outcome(dir, Action::Install, Hook::PrePush), disabled, "what was disabled stays so");
        assert_eq!((fs::read_to_string(&hook).unwrap().as_str(), mode(&hook)), (text, 0o640));

        chmod(&hook, 0o750);
        assert_eq!(outcome(dir, Action::Install, Hook::PrePush), Outcome::Updated);
        chmod(&hook, 0o640);
        assert_eq!(outcome(dir, Action::Install, Hook::PrePush), Outcome::Updated, "ours runs again");
        assert_eq!(mode(&hook), 0o750, "who may read may run");
        assert_eq!(outcome(dir, Action::Uninstall, Hook::PrePush), Outcome::Updated);
        assert_eq!((fs::read_to_string(&hook).unwrap().as_str(), mode(&hook)), (text, 0o750));
    }

    #[test]
    fn links_are_not_followed() {
        let tmp = tempfile::tempdir().unwrap();
        let (dir, shared) = (tmp.path().join("hooks"), tmp.path().join("shared"));
        fs::create_dir(&dir).unwrap();
        fs::write(&shared, "#!/bin/sh\n").unwrap();
        symlink("../shared", dir.join("pre-commit")).unwrap();
        symlink("../absent", dir.join("pre-push")).unwrap();
        assert_eq!(outcome(&dir, Action::Install, Hook::PreCommit), Outcome::Foreign(LINK));
        assert_eq!(outcome(&dir, Action::Install, Hook::PrePush), Outcome::Foreign(LINK), "also when dangling");
        assert_eq!(fs::read_to_string(&shared).unwrap(), "#!/bin/sh\n");
    }

    #[test]
    fn errors_name_the_path() {
        let tmp = tempfile::tempdir().unwrap();
        let (file, read_only) = (tmp.path().join("file"), tmp.path().join("read-only"));
        fs::write(&file, "").unwrap();
        let error = apply(&file.join("hooks"), Action::Install).unwrap_err().to_string();
        assert!(error.ends_with("file/hooks"), "{error}");
        fs::create_dir(&read_only).unwrap();
        chmod(&read_only, 0o555);
        // Root may write anywhere.
        if fs::write(read_only.join("x"), "").is_err() {
            let Outcome::Failed(error) = outcome(&read_only, Action::Install, Hook::PreCommit) else { panic!() };
            assert!(error.contains("read-only/pre-commit"), "{error}");
        }
    }
}
