//! The hooks of a clone, for `git-setup` and `clone`: whose directory it is, what happened to each,
//! and the lines that the user has to write himself.
//!
//! Apart because the directory may belong to the team, to another program, or to all repositories of
//! this user; then nothing is written, and what is missing is said (design.md, section 4).

use std::path::{Path, PathBuf};

use bstr::{BStr, BString, ByteSlice};

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::migrate::take_out_old_hooks;
use crate::cli::ui;
use crate::git::worktrees::set_up::SetUp;
use crate::git::{self, Git, GitError};
use crate::hooks::{self, Action, Hook, Outcome, Report};

/// Install the hook blocks, and say what happened to each.
pub fn install_hooks(context: &Context) -> Result<(), CliError> {
    take_out_old_hooks()?;
    let scope = hooks_path_scope()?;
    in_dir(context, &git::hooks_dir()?, scope.as_ref().map(|line| line.as_bstr()), Action::Install)
}

/// Take the hook blocks out: where Git looks for hooks now, and where it does without `core.hooksPath`,
/// which may have been set since. What worktrees `in_use` need stays.
pub fn take_out_hooks(context: &Context, in_use: &[SetUp]) -> Result<(), CliError> {
    let same = |a: &Path, b: &Path| a == b || a.canonicalize().is_ok_and(|a| b.canonicalize().is_ok_and(|b| a == b));
    let (now, scope) = (git::hooks_dir()?, hooks_path_scope()?);
    let own = context.repo.common_dir().join("hooks");
    let earlier = (own.is_dir() && !same(&own, &now)).then_some((own, None));
    let mut result = Ok(());
    for (dir, scope) in std::iter::once((now, scope)).chain(earlier) {
        let needed = in_use.iter().any(|other| same(&other.hooks, &dir));
        if !needed && let Err(e) = in_dir(context, &dir, scope.as_ref().map(|line| line.as_bstr()), Action::Uninstall) {
            // One that can't be written does not keep the other.
            match result {
                Ok(()) => result = Err(e),
                Err(_) => ui::fail(&e),
            }
        }
    }
    result
}

/// Which of Git's configurations names the hooks directory, if one does.
fn hooks_path_scope() -> Result<Option<BString>, GitError> {
    Git::new(["config", "--show-scope", "--get", "core.hooksPath"]).line_if_any()
}

fn in_dir(context: &Context, dir: &Path, scope: Option<&BStr>, action: Action) -> Result<(), CliError> {
    if let Some((dir, why)) = belongs_to_others(context, dir, scope)? {
        name_lines(&dir, why, action);
        return Ok(());
    }
    let reports = match hooks::apply(dir, action) {
        Ok(reports) => reports,
        Err(e) => return Err(failed(dir, CliError::from(e), &hooks::by_hand(dir, action), action)),
    };
    reports.iter().for_each(|report| tell(report, action));
    let mut refused = reports.into_iter().filter_map(|report| match report.outcome {
        Outcome::Failed(why) => Some((report.hook, why)),
        _ => None,
    });
    let Some((first, why)) = refused.next() else { return Ok(()) };
    let hooks: Vec<Hook> = std::iter::once(first).chain(refused.map(|(hook, _)| hook)).collect();
    Err(failed(dir, CliError::user(why), &hooks, action))
}

/// Some hooks are not as they should be: each line that somebody has to see to.
fn failed(dir: &Path, error: CliError, hooks: &[Hook], action: Action) -> CliError {
    let what = if action == Action::Install { "have these lines in" } else { "take the blocks of s3lfs out of" };
    let error = error.hint(format!("make it writable and run it again, or {what} the hooks in {}:", dir.display()));
    hooks.iter().fold(error, |error, hook| error.hint(format!("{}: {}", hook.name(), hook.command())))
}

fn tell(report: &Report, action: Action) {
    let (name, path, line) =
        (report.path.file_name().unwrap_or_default(), report.path.display(), report.hook.command());
    let name = name.to_string_lossy();
    match &report.outcome {
        Outcome::Created | Outcome::Updated if action == Action::Uninstall => {
            ui::say(format!("Hook {name}: ours is out."))
        }
        Outcome::Created | Outcome::Updated => ui::say(format!("Hook {name}: installed.")),
        Outcome::Removed => ui::say(format!("Hook {name}: removed.")),
        Outcome::Unchanged | Outcome::Failed(_) => {}
        Outcome::Foreign(why) if action == Action::Install => {
            ui::warn(format!("{path} is left alone ({why}); add this line to it: {line}"));
        }
        Outcome::Foreign(why) => ui::warn(format!("{path} is left alone ({why})")),
    }
    if let Some(note) = report.note {
        ui::warn(format!("{path}: {note}: {line}"));
    }
}

/// The hooks are written by somebody else: what he has to add, or to take out.
fn name_lines(dir: &Path, why: &str, action: Action) {
    let hooks = hooks::by_hand(dir, action);
    if hooks.is_empty() {
        return;
    }
    let what = if action == Action::Install { "Lines to have there" } else { "Lines to take out there" };
    let lines: String = hooks.iter().map(|hook| format!("\n  {}: {}", hook.name(), hook.command())).collect();
    ui::warn(format!("the hooks in {} are left alone: {why}. {what}:{lines}", dir.display()));
}

/// A hooks directory that is not this clone's own: where the user's own lines belong, and why.
pub type Others = (PathBuf, &'static str);

/// The hooks directory, and whose it is, if it is not this clone's own.
pub fn whose(context: &Context) -> Result<(PathBuf, Option<Others>), CliError> {
    let (dir, scope) = (git::hooks_dir()?, hooks_path_scope()?);
    let others = belongs_to_others(context, &dir, scope.as_ref().map(|line| line.as_bstr()))?;
    Ok((dir, others))
}

/// Where the user's own lines belong and why, if the hooks directory is not this clone's own.
/// `scope`: of the configuration that names the directory.
fn belongs_to_others(
    context: &Context,
    dir: &Path,
    scope: Option<&BStr>,
) -> Result<Option<(PathBuf, &'static str)>, CliError> {
    if dir.exists() && !dir.is_dir() {
        return Ok(Some((dir.to_owned(), "that is no directory, so Git runs no hooks")));
    }
    if let Some(parent) = dir.parent().filter(|parent| parent.ends_with(".husky")) {
        return Ok(Some((parent.to_owned(), "they are husky's, which are committed")));
    }
    if is_committed(dir)? {
        return Ok(Some((dir.to_owned(), "they are committed, or made by a tool from what is")));
    }
    if scope.is_some_and(|line| line.starts_with(b"global") || line.starts_with(b"system")) {
        return Ok(Some((dir.to_owned(), "core.hooksPath is set for all repositories of this user")));
    }
    // Git's answer follows links, as far as there is something to follow.
    let real = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    let within = |place: &Path| place.canonicalize().is_ok_and(|place| real.starts_with(place));
    let own = within(context.repo.common_dir()) || within(context.repo.git_dir()) || within(context.worktree.root());
    let linked = scope.is_none() && dir.exists() && !own;
    Ok(linked.then(|| (dir.to_owned(), "a link leads there, out of this repository, and others may use them")))
}

/// Whether Git tracks files in the hooks directory (husky; a repository of hooks): they are the team's.
fn is_committed(dir: &Path) -> Result<bool, GitError> {
    let tracks = |git: Git| -> Result<bool, GitError> {
        let listed = git.run()?;
        Ok(listed.status.success() && !listed.stdout.is_empty())
    };
    if tracks(Git::new(["ls-files", "-z", "--"]).args([dir]))? {
        return Ok(true);
    }
    if !dir.is_dir() {
        return Ok(false);
    }
    // Another repository's worktree. (Within .git, 'ls-files' would list the whole index.)
    let inside = Git::new(["rev-parse", "--is-inside-work-tree"]).in_dir(dir).elsewhere().run()?;
    Ok(inside.stdout.starts_with(b"true") && tracks(Git::new(["ls-files", "-z", "--", "."]).in_dir(dir).elsewhere())?)
}
