//! Answering for `filter.lfs`, in the place of git-lfs: in this clone, and only when asked to.
//!
//! Apart because that filter is another program's, whose own settings must be there again when ours are taken back.

use std::path::PathBuf;

use bstr::ByteSlice;

use crate::cli::error::CliError;
use crate::cli::ui;
use crate::config::GitConfig;
use crate::git::index::{self, Filtered};
use crate::git::{self, Git, GitError};
use crate::pointer::Form;

/// Another command line than our own filter's: Git has one process for each.
pub const CONFIG: [(&str, &str); 4] = [
    ("filter.lfs.process", "s3lfs filter-process --lfs"),
    ("filter.lfs.clean", "s3lfs clean --lfs -- %f"),
    ("filter.lfs.smudge", "s3lfs smudge --lfs -- %f"),
    ("filter.lfs.required", "true"),
];

const SECTION: &str = "filter.lfs";

/// Where the settings of git-lfs wait that stood in the same file (`git lfs install --local`).
const ASIDE: &str = "filter.lfs-before-s3lfs";

/// Whether s3lfs answers for `filter.lfs` here.
pub fn answers(config: &GitConfig) -> bool {
    let (key, ours) = CONFIG[0];
    config.get(key).is_some_and(|value| value == ours)
}

/// The pointers that this clone's filters make, and turn into content.
pub fn forms(config: &GitConfig) -> &'static [Form] {
    if answers(config) { &[Form::Ours, Form::Lfs] } else { &[Form::Ours] }
}

/// What stands under these filters, in the whole index.
pub fn filtered(config: &GitConfig) -> Result<Vec<Filtered>, GitError> {
    let mut files = index::filtered(&[])?;
    if answers(config) {
        files.extend(index::filtered_by_lfs()?);
    }
    Ok(files)
}

/// Set it, in the file of `scope`.
pub fn set(scope: &str) -> Result<(), CliError> {
    if !is_ours(scope)? && has(scope, SECTION)? {
        // Of a run that was killed between the two: what was first there is what is kept.
        if has(scope, ASIDE)? {
            section(scope, &["--remove-section", SECTION])?;
        } else {
            section(scope, &["--rename-section", SECTION, ASIDE])?;
        }
    }
    for (key, value) in CONFIG {
        git::config::set(scope, key, value)?;
    }
    ui::say(format!("Git configuration ({scope}): s3lfs answers for filter.lfs, in the place of git-lfs."));
    ui::say(
        "Under filter=lfs, files get the pointers that git-lfs makes, and their content goes to the store of s3lfs \
         alone: colleagues need s3lfs for what you commit there.",
    );
    name_hooks()
}

/// Take it back, if it is ours; what stood there before stands there again.
pub fn take_back(scope: &str) -> Result<(), CliError> {
    if is_ours(scope)? {
        section(scope, &["--remove-section", SECTION])?;
    }
    if !has(scope, SECTION)? && has(scope, ASIDE)? {
        section(scope, &["--rename-section", ASIDE, SECTION])?;
        ui::say(format!("Git configuration ({scope}): {SECTION} is as it was before."));
    }
    Ok(())
}

fn is_ours(scope: &str) -> Result<bool, GitError> {
    let (key, ours) = CONFIG[0];
    let value = Git::new(["config", scope, "--get", key]).run()?;
    Ok(value.status.success() && value.stdout.trim() == ours.as_bytes())
}

fn has(scope: &str, section: &str) -> Result<bool, GitError> {
    let pattern = format!("^{}\\.", section.replace('.', "\\."));
    Ok(Git::new(["config", scope, "--get-regexp", &pattern]).run()?.status.success())
}

fn section(scope: &str, args: &[&str]) -> Result<(), CliError> {
    let args = [&["config", scope], args].concat();
    let changed = git::config::change(&args)?;
    if changed.status.success() { Ok(()) } else { Err(GitError::failed(&args, changed).into()) }
}

/// The hooks of git-lfs that are here, and their directory: they upload to its own server, or refuse to go on where git-lfs
/// is not installed.
pub fn hooks_of_lfs() -> Result<(PathBuf, Vec<&'static str>), CliError> {
    let dir = git::hooks_dir()?;
    let calls = |name: &&str| std::fs::read(dir.join(name)).is_ok_and(|text| text.contains_str("git lfs"));
    let hooks = ["pre-push", "post-checkout", "post-commit", "post-merge"].into_iter().filter(calls).collect();
    Ok((dir, hooks))
}

/// Say that they are here.
pub fn name_hooks() -> Result<(), CliError> {
    let (dir, hooks) = hooks_of_lfs()?;
    if !hooks.is_empty() {
        ui::say(format!(
            "The hooks of git-lfs are here too ({}): they ask for git-lfs and its server. Where that is gone, or s3lfs \
             answers in place of git-lfs, take their lines out of {}.",
            hooks.join(", "),
            dir.display()
        ));
    }
    Ok(())
}
