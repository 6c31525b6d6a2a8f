//! What the team shares in commits: the manifest, and `.gitattributes`.
//!
//! Apart because it is mended by a commit, for everyone.

use bstr::ByteSlice;

use super::finding::{Finding, Findings};
use crate::attributes::{AttributesFile, Pattern};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::fetch::download::pointer_files;
use crate::cli::manifest_file::{self, Staged};
use crate::cli::tracking::bare_pointers;
use crate::cli::tracking::track::{ATTRIBUTES, attributes_now};
use crate::cli::ui;
use crate::fs::{read_committed, read_optional};
use crate::git::attr::{self, Source};
use crate::git::committed_attr;
use crate::git::{Git, index};
use crate::manifest::{Manifest, PATH, python_yaml};
use crate::repo_path::{Printable, RepoPath};
use crate::shell_word::quoted;

/// The manifest, as far as one can be read.
pub fn manifest(context: &Context, findings: &mut Findings) -> Result<Option<Manifest>, CliError> {
    const CHECK: &str = "manifest";
    if context.repo.worktree().is_none() {
        return Ok(manifest_file::for_reading(None)?);
    }
    if manifest_file::is_pythons() {
        let found = format!("{} is the Python s3lfs's: it is read, and not written", python_yaml::PATH);
        findings.add(Finding::warning(CHECK, found, "s3lfs migrate"))?;
        return Ok(manifest_file::for_reading(None)?);
    }
    let manifest = match manifest_file::for_writing() {
        Ok(Some(manifest)) => manifest,
        Ok(None) => {
            let other = manifest_file::for_reading(None)?;
            findings.add(match &other {
                Some(_) => Finding::warning(
                    CHECK,
                    format!("{PATH} is not in the worktree; that of Git is read"),
                    format!("git checkout HEAD -- {}", context.pathspec(PATH.into())),
                ),
                None => none_here()?,
            })?;
            return Ok(other);
        }
        Err(e) => {
            let spec = context.pathspec(PATH.into());
            let back = format!("git checkout HEAD -- {spec}");
            let finding = Finding::refused(CHECK, e, back.clone()).mend_instead(back);
            findings.add(match manifest_file::is_unmerged()? {
                // The lines of both sides stand there.
                true => {
                    let [ours, theirs] = manifest_file::conflict_commands(&spec);
                    finding.mend_instead(ours).mend(theirs)
                }
                false => finding,
            })?;
            return Ok(manifest_file::for_reading(None)?);
        }
    };
    let files = ui::count(manifest.files.len(), "file");
    findings.add(Finding::fine(CHECK, format!("{PATH} names {files}")))?;
    if manifest.format.is_some_and(|format| format > 1) {
        let found = format!("{PATH} has a later format: it is read as far as it goes, and not written");
        findings.add(Finding::warning(CHECK, found, "cargo install s3lfs # or however you have it: a newer one"))?;
    }
    let add = || format!("git add {}", context.pathspec(PATH.into()));
    match manifest_file::staged()? {
        Staged::Blob(_) => {}
        Staged::Absent => {
            let is_ignored = Git::new(["check-ignore", "-q", "--", PATH]).run()?.status.success();
            let (why, add) = match is_ignored {
                true => (" (a line of .gitignore names it)", add().replacen("git add", "git add -f", 1)),
                false => ("", add()),
            };
            findings.add(Finding::warning(CHECK, format!("{PATH} is not in Git{why}, so nobody else has it"), add))?;
        }
        Staged::Unmerged => {
            let found = format!("{PATH} is in conflict: take one side whole, or edit it and add it");
            let [first, others @ ..] = manifest_file::conflict_commands(&context.pathspec(PATH.into()));
            findings.add(others.into_iter().fold(Finding::warning(CHECK, found, first), Finding::mend))?;
        }
    }
    Ok(Some(manifest))
}

/// There is no manifest. A commit from before the store was chosen has none, and needs none.
fn none_here() -> Result<Finding, CliError> {
    let head = Git::new(["rev-parse", "--verify", "--quiet", "HEAD"]).line_if_any()?;
    if head.is_some()
        && let Some(commit) = manifest_file::last_commit("HEAD")?
    {
        let found = format!("there is no {PATH}, and commit {commit} had one: it was lost since");
        return Ok(Finding::stops("manifest", found, format!("git checkout {commit} -- ':(top){PATH}'")));
    }
    Ok(match manifest_file::last_commit("--all")? {
        Some(commit) => {
            let found = format!("this commit has no {PATH}, and commit {commit} has one: nothing is tracked here yet");
            Finding::note("manifest", found).mend(format!("git log --all -- {PATH}"))
        }
        None => {
            let found = format!("there is no {PATH}: no store was chosen");
            Finding::stops("manifest", found, "s3lfs init <bucket> <repo-prefix>")
        }
    })
}

/// What `.gitattributes` gives to the filter.
pub fn attributes(context: &Context, manifest: Option<&Manifest>, findings: &mut Findings) -> Result<(), CliError> {
    const CHECK: &str = "attributes";
    let bytes = match read_committed(ATTRIBUTES.as_ref()) {
        Ok(bytes) => bytes,
        Err(e) => {
            let aside = format!("mv {ATTRIBUTES} {ATTRIBUTES}.aside");
            let finding = Finding::refused(CHECK, e, aside.clone()).mend_instead(aside);
            let in_git = !index::entries(&[ATTRIBUTES.into()])?.is_empty();
            let back = in_git.then(|| format!("git checkout -- {}", context.pathspec(ATTRIBUTES.into())));
            return findings.add(back.into_iter().fold(finding, Finding::mend));
        }
    };
    let now = attributes_now()?;
    let in_index = index::entries(&[ATTRIBUTES.into()])?;
    if bytes.is_none() && in_index.iter().any(|entry| entry.stage == 0 && !entry.skip_worktree) {
        let found = format!("{ATTRIBUTES} is not in the worktree; that of the index counts, until a commit loses it");
        let back = format!("git checkout -- {}", context.pathspec(ATTRIBUTES.into()));
        findings.add(Finding::warning(CHECK, found, back))?;
    }
    let file = AttributesFile::parse(now.as_deref().unwrap_or_default());
    let patterns = file.tracked();
    if !patterns.is_empty() {
        let shown: Vec<_> = patterns.iter().take(5).map(|pattern| pattern.to_str_lossy()).collect();
        let more = patterns.len() - shown.len();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        findings.add(Finding::fine(CHECK, format!("tracked: {}{more}", shown.join(", "))))?;
    } else {
        findings.add(no_pattern()?)?;
    }
    // Until it is migrated, the Python tool's repository needs none, nor does a commit in which nothing is tracked.
    let is_old = match manifest {
        Some(manifest) => manifest.manifest_only.is_none() && now.is_none(),
        None => patterns.is_empty(),
    };
    if !is_old && file.clone().ensure_protected() {
        const THOSE: &str = "lines that keep Git's own files and the manifest from the filter";
        let found = match (file.has_protected(), file.last_other()) {
            (true, Some(line)) => {
                format!(
                    "the {THOSE} are not the last in {ATTRIBUTES}: line {line} stands below them, and the last word wins"
                )
            }
            (true, None) => format!("the {THOSE} stand more than once in {ATTRIBUTES}"),
            (false, _) => format!("{ATTRIBUTES} lacks the {THOSE}"),
        };
        findings.add(Finding::warning(CHECK, found, "s3lfs git-setup"))?;
    }
    let own = [ATTRIBUTES, ".gitignore", ".gitmodules", PATH].map(|path| path.as_bytes().as_bstr());
    for path in attr::filtered(own, Source::Worktree)? {
        let found = format!("{path} goes through the filter, where it must not");
        let look = format!("git check-attr --all -- {path}");
        findings.add(Finding::stops(CHECK, found, look).mend("s3lfs git-setup"))?;
    }
    overridden(findings)?;
    if bytes.is_some() && in_index.is_empty() {
        let found = format!("{ATTRIBUTES} is not in Git, so nobody else has it");
        let add = format!("git add {}", context.pathspec(ATTRIBUTES.into()));
        findings.add(Finding::warning(CHECK, found, add))?;
    }
    Ok(())
}

/// Nothing is tracked; pointers of ours that stand there all the same want to be.
/// Files of which only the pointer is here: as it should be, if that was wanted.
pub fn pointers(findings: &mut Findings) -> Result<(), CliError> {
    let files = match pointer_files()? {
        0 => return Ok(()),
        1 => "1 file is here as its pointer only".to_owned(),
        n => format!("{n} files are here as their pointers only"),
    };
    findings.add(Finding::note("content", files).mend("s3lfs download-all"))
}

fn no_pattern() -> Result<Finding, CliError> {
    /// In one command.
    const MOST: usize = 20;
    let found = format!("no pattern is tracked in {ATTRIBUTES} at the top");
    let bare = bare_pointers::in_index()?;
    let Some(first) = bare.first() else {
        return Ok(Finding::note("attributes", found).mend("s3lfs track '<pattern>' # like '*.bin': which files"));
    };
    let mut patterns: Vec<String> = Vec::new();
    for bare in &bare {
        let path = RepoPath::new(bare.path.clone())?;
        let pattern = match path.to_path().extension().and_then(|extension| extension.to_str()) {
            Some(extension) if extension.bytes().all(|b| b.is_ascii_alphanumeric()) => format!("*.{extension}"),
            _ => Pattern::for_file(&path)?.as_bstr().to_string(),
        };
        if !patterns.contains(&pattern) {
            patterns.push(pattern);
        }
    }
    let files = ui::count(bare.len(), "file");
    let found =
        format!("{found}, and {files} ({} ...) are pointers in Git: nothing fills them", Printable(&first.path));
    let patterns: Vec<_> = patterns.iter().take(MOST).map(|pattern| quoted(pattern)).collect();
    let track = format!("s3lfs track {}", patterns.join(" "));
    Ok(Finding::warning("attributes", found, track).mend("s3lfs download-all"))
}

/// What this clone alone says has the last word here, and is nothing to those who check out what is pushed.
fn overridden(findings: &mut Findings) -> Result<(), CliError> {
    let taken = index::taken_from_filter()?;
    let (Some(first), Some(file)) = (taken.first(), committed_attr::overriding()?) else { return Ok(()) };
    let files = ui::count(taken.len(), "file");
    let path = quoted(&file.display().to_string());
    let found = format!(
        "{path} takes the filter from {files} ({} ...) that {ATTRIBUTES} gives to it: what is added goes into Git \
         itself, and can't be pushed",
        Printable(&first.path)
    );
    let bytes = read_optional(&file)?.unwrap_or_default();
    let lines = AttributesFile::parse(&bytes).without_filter();
    let delete: Vec<String> = lines.iter().map(|line| format!("{line}d")).collect();
    let mend = match delete.is_empty() {
        true => format!("mv {path} {path}.off"),
        false => format!("sed -i.bak '{}' {path}", delete.join(";")),
    };
    findings.add(Finding::stops("attributes", found, mend))
}
