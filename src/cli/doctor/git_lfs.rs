//! Files that are git-lfs's: of a commit from before s3lfs came, or of a project that has both.
//!
//! Apart because nobody may have noticed: without git-lfs, such a checkout is pointers, and Git finds nothing wrong.

use super::finding::{Finding, Findings};
use crate::cli::error::CliError;
use crate::cli::set_up::lfs_driver;
use crate::cli::ui;
use crate::config::GitConfig;
use crate::git::{Git, index};
use crate::repo_path::Printable;
use crate::shell_word::quoted;

/// Whether somebody turns the pointers of git-lfs into content.
pub fn examine(config: &GitConfig, findings: &mut Findings) -> Result<(), CliError> {
    if lfs_driver::answers(config) {
        return refused_by_its_hook(findings);
    }
    let mut files = index::filtered_by_lfs()?;
    files.retain(|file| file.pointer().is_some());
    let Some(first) = files.first() else { return Ok(()) };
    let count = ui::count(files.len(), "file");
    let found = format!("{count} ({} ...) under filter=lfs: pointers of git-lfs", Printable(&first.entry.path));
    let set_up = "s3lfs git-setup --lfs";
    let is_there = || Git::new(["lfs", "version"]).run().is_ok_and(|ran| ran.status.success());
    let unfilled = |found: String| Finding::warning("git-lfs", found, set_up).mend("s3lfs download-all");
    findings.add(match config.get("filter.lfs.process") {
        Some(_) if is_there() => {
            Finding::note("git-lfs", format!("{found}, which is left to git-lfs; or let s3lfs answer")).mend(set_up)
        }
        Some(_) => unfilled(format!("{found}, for which git-lfs is set up, and it is not there")),
        None => unfilled(format!("{found}, and nothing turns them into content here")),
    })
}

/// What s3lfs takes in place of git-lfs is not where git-lfs looks for it before a push.
fn refused_by_its_hook(findings: &mut Findings) -> Result<(), CliError> {
    let (dir, hooks) = lfs_driver::hooks_of_lfs()?;
    if !hooks.contains(&"pre-push") {
        return Ok(());
    }
    let hook = dir.join("pre-push");
    let found = format!(
        "s3lfs answers for filter=lfs here, and {} calls git-lfs, which refuses to push what it has not taken itself",
        hook.display()
    );
    let mend = format!("sed -i '/git[- ]lfs/d' {}", quoted(&hook.to_string_lossy()));
    findings.add(Finding::warning("git-lfs", found, mend))
}
