//! Git's configuration: the filter and the merge driver as `git-setup` writes them, and the user's own settings.
//!
//! Apart because these stand in files that others write too, in several places of which one wins.

use bstr::ByteSlice;

use super::finding::{Finding, Findings, Level};
use crate::cli::error::CliError;
use crate::cli::place::unset;
use crate::cli::set_up::lfs_driver;
use crate::cli::set_up::setup::CONFIG;
use crate::config::{ConfigError, GitConfig, Place, commit_uploads, encryption, offline_commit, policy, warn_above};
use crate::git::Git;
use crate::store::profile_of_environment;

/// Every setting of ours in Git's configuration (src/help/settings.md).
const KNOWN: [&str; 24] = [
    "addressing",
    "allowmissing",
    "allowraw",
    "bucket",
    "cachedir",
    "dualstack",
    "encryption",
    "endpointurl",
    "jobs",
    "offlinecommit",
    "profile",
    "readstore",
    "region",
    "repoprefix",
    "requesterpays",
    "samestore",
    "skipdownloaderrors",
    "skipsmudge",
    "smudgelimit",
    "storageclass",
    "store",
    "trust",
    "uploadon",
    "warnabove",
];

/// The filter's and the merge driver's configuration. Outside a repository, only what the user has.
pub fn filter(config: &GitConfig, in_repository: bool, findings: &mut Findings) -> Result<(), CliError> {
    if !in_repository && config.get("filter.s3lfs.process").is_none() {
        let found = Finding::note("filter", "not set up for this user; 'git-setup' sets up single clones");
        return findings.add(found.mend("s3lfs git-setup --global"));
    }
    if CONFIG.iter().all(|(key, _)| config.get(key).is_none()) {
        return findings.add(Finding::stops("filter", "it is not set up here", "s3lfs git-setup"));
    }
    let mut right = true;
    for (key, wanted) in CONFIG {
        let finding = match config.get(key) {
            Some(value) if value == wanted => continue,
            Some(value) => wrong(key, wanted, &value.to_str_lossy()),
            None => Finding::new("filter", level(key), format!("{key} is not set"), "s3lfs git-setup"),
        };
        right = false;
        findings.add(finding)?;
    }
    if lfs_driver::answers(config) {
        let other = lfs_driver::CONFIG.iter().find(|(key, wanted)| config.get(key).is_none_or(|value| value != wanted));
        findings.add(match other {
            None => Finding::note("filter", "s3lfs answers for filter.lfs, in the place of git-lfs"),
            Some((key, wanted)) => {
                Finding::warning("filter", format!("{key} is not {wanted:?}"), "s3lfs git-setup --lfs")
            }
        })?;
    }
    if right {
        findings.add(Finding::fine("filter", "filter.s3lfs and merge.s3lfs-manifest are set"))?;
    }
    Ok(())
}

/// Without the process there is no filter; the others are for special cases.
fn level(key: &str) -> Level {
    if key == "filter.s3lfs.process" { Level::Stops } else { Level::Warning }
}

fn wrong(key: &str, wanted: &str, value: &str) -> Finding {
    let scope = Git::new(["config", "--show-scope", "--get", key]).line_if_any().ok().flatten().unwrap_or_default();
    let scope = scope.split_str("\t").next().unwrap_or_default().to_str_lossy().into_owned();
    let text = format!("{key} = {value:?} ({scope}), and not {wanted:?}");
    // By its full path, it does what it should until the program is moved.
    let program = value.strip_suffix(wanted.trim_start_matches("s3lfs")).filter(|_| value.ends_with(wanted));
    let is_there = program.is_some_and(|path| std::path::Path::new(path).is_file());
    let level = if is_there { Level::Warning } else { level(key) };
    let mend = match scope.as_str() {
        "worktree" => "s3lfs git-setup --worktree",
        "command" => "unset GIT_CONFIG_COUNT GIT_CONFIG_PARAMETERS # and leave out 'git -c'",
        "global" => "s3lfs git-setup --global",
        _ => "s3lfs git-setup",
    };
    Finding::new("filter", level, text, mend)
}

/// The settings of our own: values that can't be meant, and names that nothing reads.
pub fn values(config: &GitConfig, findings: &mut Findings) -> Result<(), CliError> {
    let mut wrong = Vec::new();
    policy(config, |e| wrong.push(e));
    let read = [
        commit_uploads(config).map(drop),
        offline_commit(config).map(drop),
        config.bool("s3lfs.allowraw").map(drop),
        warn_above(config).map(drop),
    ];
    for error in wrong.into_iter().chain(read.into_iter().filter_map(Result::err)) {
        findings.add(refused(error))?;
    }
    in_force(config, findings)?;
    for name in config.names("s3lfs.").into_iter().filter(|name| !KNOWN.contains(name)) {
        let key = format!("s3lfs.{name}");
        let found = format!("{key} is set, and nothing reads it");
        findings.add(Finding::warning("setting", found, unset(&key)))?;
    }
    Ok(())
}

/// Settings that do what they say, and that somebody may have forgotten.
fn in_force(config: &GitConfig, findings: &mut Findings) -> Result<(), CliError> {
    for pattern in config.all("s3lfs.allowmissing") {
        let pattern = pattern.to_str_lossy();
        let found = format!("s3lfs.allowmissing = {pattern}: a push may go without the content of what this matches");
        let all = pattern.chars().all(|c| matches!(c, '*' | '/'));
        let level = if all { Level::Warning } else { Level::Note };
        findings.add(Finding::new("setting", level, found, unset("s3lfs.allowmissing")))?;
    }
    let wishes = policy(config, drop);
    let skips = [
        (wishes.skip_smudge, "S3LFS_SKIP_SMUDGE", "s3lfs.skipsmudge", "checkouts leave pointers in place of content"),
        (
            wishes.skip_download_errors,
            "S3LFS_SKIP_DOWNLOAD_ERRORS",
            "s3lfs.skipdownloaderrors",
            "what can't be fetched stays a pointer, and the checkout goes on",
        ),
    ];
    for (_, variable, key, what) in skips.into_iter().filter(|(on, ..)| *on) {
        let (name, mend) = match std::env::var_os(variable) {
            Some(_) => (variable, format!("unset {variable}")),
            None => (key, unset(key)),
        };
        findings.add(Finding::warning("setting", format!("{name} is set: {what}"), mend))?;
    }
    if config.bool("s3lfs.allowraw").is_ok_and(|on| on == Some(true)) {
        let found = "s3lfs.allowraw is set: a push may bring content that stands in Git itself";
        findings.add(Finding::warning("setting", found, unset("s3lfs.allowraw")))?;
    }
    for value in config.all(encryption::KEY) {
        let value = value.to_str_lossy();
        let is_key = value.strip_prefix("aws:kms ").is_some_and(|key| !key.trim().is_empty());
        if value != "none" && !is_key {
            let found =
                format!("{} = {value} accepts nothing: it is neither 'none' nor 'aws:kms <key>'", encryption::KEY);
            let mend = format!("{} '^{}$'", unset(encryption::KEY), escaped(&value));
            findings.add(Finding::warning("setting", found, mend))?;
        }
    }
    if let Some(profile) = config.get("s3lfs.profile").map(|value| value.to_str_lossy()) {
        let keys = || std::env::var_os("AWS_ACCESS_KEY_ID").filter(|id| !id.is_empty()).map(|_| "AWS_ACCESS_KEY_ID");
        if let Some(before) = profile_of_environment().map(|(name, _)| name).or_else(keys) {
            let found = format!(
                "s3lfs.profile = {profile} is passed over: {before} stands in the environment ('--profile {profile}' goes \
                 before both)"
            );
            // What decides may be what works.
            findings.add(Finding::note("setting", found).mend(unset("s3lfs.profile")))?;
        }
    }
    Ok(())
}

/// For a regular expression of Git's (git-config(1), "value-pattern"), in single quotes.
fn escaped(value: &str) -> String {
    value.chars().map(|c| if c.is_ascii_alphanumeric() || c == ' ' { c.to_string() } else { ".".to_owned() }).collect()
}

/// A setting whose value can't be meant: its hint is the command that takes it back.
pub fn refused(error: ConfigError) -> Finding {
    let in_manifest = matches!(&error, ConfigError::Remote { place: Place::Manifest, .. });
    let finding = Finding::refused("setting", error, "git config --list --show-origin");
    if in_manifest { finding.mend_instead("s3lfs init --force <bucket> <repo-prefix>") } else { finding }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_that_help_explains_is_known() {
        let named: Vec<&str> = include_str!("../../help/settings.md")
            .split('`')
            .filter_map(|word| word.strip_prefix("s3lfs."))
            .filter(|name| name.bytes().all(|b| b.is_ascii_lowercase()))
            .collect();
        assert!(named.len() > 10, "the table was found: {named:?}");
        for name in named {
            assert!(KNOWN.contains(&name), "s3lfs.{name} stands in src/help/settings.md");
        }
    }
}
