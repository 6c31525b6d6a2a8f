//! Taking out what the Python s3lfs left in files that are not its own, and its YAML manifest.
//!
//! Apart because each of these is done again on every run, and is nothing where it was done: a killed
//! migration ends the same.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use bstr::{BStr, BString, ByteSlice};

use crate::cli::error::CliError;
use crate::cli::ui;
use crate::fs::{PathContext, read_committed, read_optional, replace};
use crate::git::{Git, common_dir, hooks_dir, index, objects};
use crate::manifest::{PATH, python_yaml};
use crate::python_traces::{self, HOOKS, HookLeft, LEFTOVERS};
use crate::repo_path::Printable;

const IGNORE: &str = ".gitignore";

/// How many paths are named before the rest is counted.
const NAMES: usize = 10;

/// The directories that its lines in `.gitignore` hide.
pub fn ignored_dirs() -> Result<Vec<BString>, CliError> {
    Ok(python_traces::ignored_dirs(&read_committed(IGNORE.as_ref())?.unwrap_or_default()))
}

/// Take its lines out of `.gitignore`, and stage that; `left` are files that are still only in the
/// manifest, and stay ignored if they are.
pub fn ignore_file(left: &[BString]) -> Result<(), CliError> {
    let keep = ignored(left)?;
    let before = read_committed(IGNORE.as_ref())?;
    let after = before.as_deref().map(|text| python_traces::gitignore(text, &keep));
    let changed = after != before;
    if let Some(after) = after.filter(|_| changed) {
        let visible = untracked()?;
        exclude_leftovers()?;
        if after.trim().is_empty() {
            fs::remove_file(IGNORE).context("remove", IGNORE.as_ref())?;
        } else {
            replace(IGNORE.as_ref(), &after)?;
        }
        ui::say(format!("Took the old tool's lines out of {IGNORE}."));
        name_visible(&visible)?;
    }
    if changed || is_to_be_staged(&keep)? {
        stage_ignore_file()?;
    }
    Ok(())
}

/// Whether the worktree has just what this makes of the index's `.gitignore`: a run that was stopped did not
/// stage it any more.
fn is_to_be_staged(keep: &[BString]) -> Result<bool, CliError> {
    let Some(entry) = index::entries(&[IGNORE.into()])?.into_iter().find(|entry| entry.stage == 0) else {
        return Ok(false);
    };
    let staged = objects::read(entry.id.as_bstr())?.unwrap_or_default();
    let after = python_traces::gitignore(&staged, keep);
    let present = read_committed(IGNORE.as_ref())?.unwrap_or_default();
    Ok(!entry.skip_worktree && after != staged && present.trim() == after.trim())
}

/// One that Git never had stays the user's own.
fn stage_ignore_file() -> Result<(), CliError> {
    if !index::entries(&[IGNORE.into()])?.is_empty() {
        Git::new(["add", "--update", "--", IGNORE]).output()?;
    }
    Ok(())
}

fn ignored(paths: &[BString]) -> Result<Vec<BString>, CliError> {
    if paths.is_empty() {
        return Ok(Vec::new());
    }
    let input: Vec<u8> = paths.iter().flat_map(|path| [path.as_slice(), b"\0"].concat()).collect();
    // 1: none of them is (git-check-ignore(1)).
    let listed = Git::new(["check-ignore", "-z", "--stdin"]).input(input).run()?;
    Ok(listed.stdout.split_str("\0").filter(|path| !path.is_empty()).map(BString::from).collect())
}

/// Name the lines that still hide what is tracked now: they are the user's.
pub fn name_own_lines<'a>(tracked: impl Iterator<Item = &'a BStr>) -> Result<(), CliError> {
    let input: Vec<u8> = tracked.flat_map(|path| [path.as_bytes(), b"\0"].concat()).collect();
    if input.is_empty() {
        return Ok(());
    }
    let listed = Git::new(["check-ignore", "--no-index", "--verbose", "-z", "--stdin"]).input(input).run()?;
    // Source, line, pattern, path (git-check-ignore(1)).
    let fields: Vec<&[u8]> = listed.stdout.split_str("\0").collect();
    let rules: BTreeSet<String> = fields
        .chunks_exact(4)
        .filter(|rule| !rule[2].starts_with(b"!"))
        .map(|rule| format!("{}:{}: {}", Printable(rule[0]), Printable(rule[1]), Printable(rule[2])))
        .collect();
    if !rules.is_empty() {
        let shown = rules.into_iter().take(5).collect::<Vec<_>>().join(", ");
        ui::say(format!(
            "Lines of your own still hide new files beside the migrated ones ({shown}); take them out to track those, too."
        ));
    }
    Ok(())
}

/// Its own caches stay where they are, out of Git's sight in this clone.
fn exclude_leftovers() -> Result<(), CliError> {
    let there: Vec<&str> =
        LEFTOVERS.iter().filter(|(name, _)| fs::symlink_metadata(name).is_ok()).map(|(_, pattern)| *pattern).collect();
    if there.is_empty() {
        return Ok(());
    }
    // Behind a link, if it is one: Git reads it there, and the user's own lines are there.
    let path = Git::locate(["--git-path", "info/exclude"]).path()?;
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).context("create directory", dir)?;
    }
    let mut text = read_optional(&path)?.unwrap_or_default();
    if !text.is_empty() && !text.ends_with(b"\n") {
        text.push(b'\n');
    }
    let known: BTreeSet<BString> = text.lines().map(|line| line.trim_end().into()).collect();
    let new: Vec<&str> = there.into_iter().filter(|pattern| !known.contains(pattern.as_bytes().as_bstr())).collect();
    if new.is_empty() {
        return Ok(());
    }
    text.extend(new.iter().flat_map(|pattern| format!("{pattern}\n").into_bytes()));
    Ok(replace(&path, &text)?)
}

/// What Git neither has nor ignores.
fn untracked() -> Result<BTreeSet<BString>, CliError> {
    let listed = Git::new(["ls-files", "-z", "--others", "--exclude-standard", "--directory"]).output()?;
    Ok(listed.split_str("\0").filter(|path| !path.is_empty()).map(BString::from).collect())
}

/// Name the files that its lines hid, and that it never had. `before`: what nothing hid.
fn name_visible(before: &BTreeSet<BString>) -> Result<(), CliError> {
    let now = untracked()?;
    let paths: Vec<String> = now.difference(before).map(|path| Printable(path).to_string()).collect();
    if paths.is_empty() {
        return Ok(());
    }
    let more = if paths.len() > NAMES { format!(" and {} more", paths.len() - NAMES) } else { String::new() };
    ui::say(format!(
        "Its lines also hid what is not in its manifest, and Git shows as untracked now: {}{more}. 'git add' it, or \
         ignore it by lines of your own.",
        paths[..paths.len().min(NAMES)].join(", ")
    ));
    Ok(())
}

/// Take its blocks out of the hooks, which would call commands that this program does not have, and its
/// merge driver out of this clone's configuration.
pub fn hooks() -> Result<(), CliError> {
    let dir = hooks_dir()?;
    let common = common_dir()?;
    let top = std::env::current_dir().and_then(|dir| dir.canonicalize()).context("find", Path::new("."))?;
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    // A directory of all repositories of this user, or of this machine: others go by it, too.
    let is_own = real(&dir).starts_with(real(&common)) || real(&dir).starts_with(top);
    for name in HOOKS {
        let path = dir.join(name);
        // A link leads to what is others'; what can't be read is no script of that tool.
        if !fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_file()) {
            continue;
        }
        let Some(text) = read_optional(&path).ok().flatten() else { continue };
        match python_traces::hook(&text) {
            HookLeft::Foreign => continue,
            _ if !is_own => {
                ui::warn(format!(
                    "{} has a block of the Python s3lfs, and is left as it is, since it is not this repository's alone \
                     (core.hooksPath): take the block out when no other repository needs it",
                    path.display()
                ));
                continue;
            }
            HookLeft::Nothing => fs::remove_file(&path).context("remove", &path)?,
            HookLeft::Rest(rest) => replace(&path, &rest)?,
        }
        ui::say(format!("Hook {name}: took out the block of the Python s3lfs."));
    }
    let driver = Git::new(["config", "--local", "merge.s3lfs.driver"]).line_if_any()?;
    if driver.is_some_and(|line| line.starts_with(b"s3lfs merge-driver")) {
        Git::new(["config", "--local", "--remove-section", "merge.s3lfs"]).output()?;
    }
    Ok(())
}

/// Take its YAML manifest out of the index and the worktree; history keeps it. What Git has no copy of is
/// kept under another name: while it stands, it counts before ours.
pub fn yaml() -> Result<(), CliError> {
    let paths = [python_yaml::PATH, python_yaml::SHARDS];
    Git::new(["rm", "-r", "--quiet", "--ignore-unmatch", "--"]).args(paths).run()?;
    // What has changes, or lies outside of Git's sparse checkout, is still there.
    let left = index::entries(&paths.map(BString::from))?;
    if !left.is_empty() {
        index::take_out(left.iter())?;
    }
    ui::say(format!("Took {} out of Git: {PATH} says what it said.", python_yaml::PATH));
    // The root last: without it, nothing would look here again.
    for name in [python_yaml::SHARDS, python_yaml::PATH] {
        if fs::symlink_metadata(name).is_ok() {
            let aside = free_name(name);
            fs::rename(name, &aside).context("rename", name.as_ref())?;
            ui::say(format!(
                "{name} is {aside} now, since Git had no copy of it as it was; nothing reads it any more."
            ));
        }
    }
    Ok(())
}

fn free_name(name: &str) -> String {
    let mut aside = format!("{name}.migrated");
    for number in 2.. {
        if fs::symlink_metadata(&aside).is_err() {
            break;
        }
        aside = format!("{name}.migrated-{number}");
    }
    aside
}
