//! What Git itself has to be able to read and write: its settings, HEAD, the index, temporary files.
//!
//! Apart because without one of them everything else fails, or looks as if it were wrong.

use bstr::ByteSlice;

use super::finding::{Finding, Findings};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::config::GitConfig;
use crate::git::{Git, index};
use crate::manifest::PATH;
use crate::shell_word::{edit, quoted};

/// Git's settings. `None`: they can't be read, and nothing else can be told.
pub fn settings(findings: &mut Findings) -> Result<Option<GitConfig>, CliError> {
    match GitConfig::load() {
        Ok(config) => Ok(Some(config)),
        Err(e) => {
            let finding = Finding::refused("settings", e, "git config --list --show-origin # says which file it is");
            // `fatal: bad config line 22 in file .git/config`
            let file = finding.text().rsplit_once(" in file ").map(|(_, file)| edit(file.trim().as_ref()));
            findings.add(file.into_iter().fold(finding, Finding::mend_instead))?;
            Ok(None)
        }
    }
}

/// Git does not open what is here. In the repository of another user (a container's, often) it says itself what helps
/// (`safe.directory` in git-config(1)).
pub fn repository(error: CliError) -> Finding {
    of_another_user(&error.message)
        .unwrap_or_else(|| Finding::refused("repository", error, "git status # says what Git makes of it"))
}

fn of_another_user(text: &str) -> Option<Finding> {
    const TRUST: &str = "git config --global --add safe.directory";
    let mend = text.lines().map(str::trim).find(|line| line.starts_with(TRUST))?;
    Some(Finding::stops("repository", text.lines().next().unwrap_or_default(), mend))
}

/// Without a HEAD that it understands, Git takes a repository for none.
pub fn head(context: &Context) -> Option<Finding> {
    let why = refusal(Git::new(["rev-parse", "--git-dir"]))?;
    if let Some(found) = of_another_user(&why) {
        return Some(found);
    }
    let head = context.repo.git_dir().join("HEAD");
    let is_hex = |text: &[u8]| text.len() >= 40 && text.iter().all(u8::is_ascii_hexdigit);
    let is_whole = std::fs::read(&head).is_ok_and(|text| text.starts_with(b"ref: refs/") || is_hex(text.trim()));
    let head = quoted(&head.to_string_lossy());
    let mend = match is_whole {
        true => format!(
            "ls -ld {} # objects, refs and config are all wanted",
            quoted(&context.repo.git_dir().to_string_lossy())
        ),
        false => format!("echo 'ref: refs/heads/main' > {head} # or the branch that you were on"),
    };
    Some(Finding::stops("repository", why, mend))
}

/// An index that is damaged keeps all that is staged to itself.
pub fn index(context: &Context) -> Option<Finding> {
    let why = refusal(Git::new(["ls-files", "-z", "--", PATH]))?;
    let file = quoted(&index::file(context.repo.git_dir()).to_string_lossy());
    let again = "git reset --quiet # no file is touched; what was staged is to be added again";
    Some(Finding::stops("index", why, format!("mv {file} {file}.bad")).mend(again))
}

/// What Git says, if it does not answer.
fn refusal(git: Git) -> Option<String> {
    let asked = git.run().ok()?;
    (!asked.status.success()).then(|| asked.stderr.trim().to_str_lossy().into_owned())
}

/// The push gate and other questions to Git are written into temporary files.
pub fn temporary_files() -> Option<Finding> {
    let error = tempfile::tempdir().err()?;
    let place = std::env::temp_dir();
    let found = format!("nothing can be written in {}: {error}", place.display());
    let mend = "export TMPDIR=/tmp # or another directory that can be written";
    Some(Finding::stops("temporary", found, mend))
}
