//! Each hook: whether it is there, has our line, and would really run it.
//!
//! Apart because who may write them differs: this clone, a hook manager, the team, all repositories of a user.

use std::path::Path;

use super::finding::{Finding, Findings, Level};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::place::unset;
use crate::cli::set_up::setup_hooks::whose;
use crate::hooks::{self, Action, Hook, Outcome, obstacle};
use crate::shell_word::{edit, quoted};

const CHECK: &str = "hook";

/// Look at all of them; nothing is written.
pub fn examine(context: &Context, findings: &mut Findings) -> Result<(), CliError> {
    let (dir, others) = whose(context)?;
    if let Some((dir, why)) = others {
        let missing = hooks::by_hand(&dir, Action::Install);
        for hook in &missing {
            let text = format!("{} in {} lacks our line: {why}", hook.name(), dir.display());
            findings.add(match dir.is_dir() {
                true => Finding::new(CHECK, level(*hook), text, add_to(&dir.join(hook.name()), *hook)),
                false => Finding::new(CHECK, level(*hook), text, unset("core.hooksPath")).mend("s3lfs git-setup"),
            })?;
        }
        for hook in Hook::ALL.into_iter().filter(|hook| !missing.contains(hook)) {
            would_run(&dir.join(hook.name()), hook, findings)?;
        }
        return Ok(());
    }
    for report in hooks::apply(&dir, Action::Inspect)? {
        let (hook, path) = (report.hook, report.path.display());
        let bad = |text: String| Finding::new(CHECK, level(hook), text, "s3lfs git-setup");
        match report.outcome {
            Outcome::Unchanged | Outcome::Removed => would_run(&report.path, hook, findings)?,
            Outcome::Created => {
                findings.add(bad(format!("{} is not installed", hook.name())))?;
            }
            Outcome::Updated if hooks::has_block_at(&report.path) => {
                let text = format!("{path} has an older block of ours, or can't be run");
                findings.add(bad(text))?;
            }
            Outcome::Updated => {
                findings.add(bad(format!("{path} is there without our block")))?;
            }
            Outcome::Foreign(why) => {
                let text = format!("{path} lacks our line: {why}");
                findings.add(bad(text).mend_instead(add_to(&report.path, hook)))?;
            }
            Outcome::Failed(why) => {
                let quoted = quoted(&report.path.to_string_lossy());
                findings.add(bad(why).mend_instead(format!("chmod u+rwx {quoted}")).mend("s3lfs git-setup"))?;
            }
        }
        if let Some(note) = report.note {
            let found = format!("{path}: {note}");
            findings.add(Finding::warning(CHECK, found, add_to(&report.path, hook)))?;
        }
    }
    Ok(())
}

/// Without these two, content is not uploaded, or a push is not held back.
fn level(hook: Hook) -> Level {
    if matches!(hook, Hook::PreCommit | Hook::PrePush) { Level::Stops } else { Level::Warning }
}

fn add_to(path: &Path, hook: Hook) -> String {
    format!("add to {}: {}", path.display(), hook.command())
}

fn would_run(path: &Path, hook: Hook, findings: &mut Findings) -> Result<(), CliError> {
    findings.add(match obstacle(path, hook) {
        None => Finding::fine(CHECK, hook.name()),
        Some(why) => {
            let found = format!("{} does not run ours: {why}", path.display());
            Finding::new(CHECK, level(hook), found, edit(path))
        }
    })
}
