//! What has to be on this machine: Git, this program where Git looks for it, and a repository.
//!
//! Apart because it is looked at first: without it, nothing else can be told.

use std::path::Path;

use bstr::ByteSlice;

use super::finding::{Finding, Findings};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::error::chain;
use crate::git::Git;

/// The oldest Git that s3lfs is made for (README.md, "Prerequisites").
const OLDEST: (u64, u64) = (2, 41);

/// Every system has its own command.
const INSTALL: &str = "install Git, a newer one: https://git-scm.com/downloads";

const OWN_VERSION: &str = env!("CARGO_PKG_VERSION");

/// Git and its version. `false`: there is none, and nothing else can be looked at.
pub fn git(findings: &mut Findings) -> Result<bool, CliError> {
    let answer = match Git::new(["version"]).output() {
        Ok(answer) => answer,
        Err(e) => {
            findings.add(Finding::stops("git", chain(&e), INSTALL))?;
            return Ok(false);
        }
    };
    let text = answer.trim().to_str_lossy().into_owned();
    let named = text.strip_prefix("git version ").unwrap_or(&text).to_owned();
    findings.add(match version(&named) {
        Some(version) if version < OLDEST => {
            let why = format!("{named} is older than {}.{}", OLDEST.0, OLDEST.1);
            Finding::stops("git", why, INSTALL)
        }
        _ => Finding::fine("git", named),
    })?;
    Ok(true)
}

fn version(text: &str) -> Option<(u64, u64)> {
    let mut numbers = text.split('.').map(|part| part.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

/// This program on PATH, as Git's hooks and filters see it.
pub fn on_path(findings: &mut Findings) -> Result<(), CliError> {
    // An alias is run by the same shell, with the same PATH, as a hook (Git puts its own programs in front).
    let ask = "alias.s3lfs-asked=!command -v s3lfs && s3lfs --version";
    let asked = Git::new(["-c", ask, "s3lfs-asked"]).run().map(|output| output.stdout).unwrap_or_default();
    let mut lines = asked.lines().map(|line| line.to_str_lossy().into_owned());
    let ours = std::env::current_exe().ok();
    let Some(path) = lines.next() else {
        let found = "Git finds no s3lfs on PATH, so neither filter nor hooks run";
        return findings.add(Finding::stops("program", found, put_first(ours.as_deref())));
    };
    let version = lines.next().unwrap_or_default();
    let same_file = ours.as_ref().and_then(|exe| exe.canonicalize().ok()) == std::fs::canonicalize(&path).ok();
    let own = format!("s3lfs {OWN_VERSION}");
    findings.add(if version != own {
        let what = if version.is_empty() { "can't be run".to_owned() } else { format!("is {version}") };
        let found = format!("Git runs {path}, which {what}; this is {own}");
        Finding::warning("program", found, put_first(ours.as_deref()))
    } else if same_file {
        Finding::fine("program", format!("{own}, {path}"))
    } else {
        Finding::note("program", format!("{own}; Git runs another copy of the same version, {path}"))
    })
}

/// The command by which Git finds this very program.
fn put_first(ours: Option<&Path>) -> String {
    let dir = ours.and_then(|exe| exe.parent()).map(|dir| dir.display().to_string());
    let dir = dir.unwrap_or_else(|| "$HOME/.cargo/bin".to_owned());
    format!("export PATH=\"{dir}:$PATH\" # in your shell's profile")
}

/// The form of the repository.
pub fn repository(context: &Context, findings: &mut Findings) -> Result<(), CliError> {
    let ask = |args: &[&str]| Git::new(args).line_if_any().ok().flatten().unwrap_or_default().to_string();
    let is = |args: &[&str]| ask(args) == "true";
    let repo = &context.repo;
    let Some(top) = repo.worktree() else {
        let place = repo.git_dir().display();
        let found = format!("{place} is bare: it has no files; hooks and filter are for clones of it");
        return findings.add(Finding::note("repository", found));
    };
    let mut form = vec![top.display().to_string()];
    let hash = ask(&["rev-parse", "--show-object-format"]);
    if hash != "sha1" {
        form.push(format!("with {hash} object names"));
    }
    if repo.git_dir() != repo.common_dir() {
        form.push("a linked worktree".to_owned());
    }
    if is(&["config", "--type=bool", "--get", "core.sparseCheckout"]) {
        form.push("a sparse checkout".to_owned());
    }
    if !ask(&["config", "--get", "extensions.partialClone"]).is_empty() {
        form.push("a partial clone".to_owned());
    }
    findings.add(Finding::fine("repository", form.join(", ")))?;
    if is(&["rev-parse", "--is-shallow-repository"]) {
        let found =
            Finding::note("repository", "it is shallow: 'cleanup' refuses here, since it does not see all commits");
        findings.add(found.mend("git fetch --unshallow"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        assert_eq!(version("2.47.3"), Some((2, 47)));
        assert_eq!(version("2.9.0.windows.1"), Some((2, 9)));
        assert_eq!(version("2.39.5 (Apple Git-154)"), Some((2, 39)));
        assert_eq!(version("next"), None);
        assert!(version("2.9.1") < Some(OLDEST) && version("10.0") > Some(OLDEST));
    }
}
