//! `git-setup`: make a clone ready, idempotently, and take it back.
//!
//! Apart because it changes four things that others own too: git config, the hooks directory,
//! `.gitattributes`, and which store is accepted.

use std::ffi::OsString;

use bstr::{BStr, ByteSlice};
use clap::Args;
use serde_json::json;

use crate::attributes::AttributesFile;
use crate::cli::Global;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::fetch::download;
use crate::cli::manifest_file;
use crate::cli::session::{require_accepted, settings};
use crate::cli::set_up::lfs_driver;
use crate::cli::set_up::setup_hooks::{install_hooks, take_out_hooks};
use crate::cli::set_up::trust;
use crate::cli::tracking::track::{ATTRIBUTES, edit_attributes, patterns};
use crate::cli::ui;
use crate::config::{GitConfig, encryption};
use crate::fs::read_committed;
use crate::git::worktrees::set_up::{self, SetUp, Whose};
use crate::git::{self, Git};
use crate::manifest::{Manifest, PATH};

/// Arguments of `git-setup`.
#[derive(Args, Debug)]
pub struct GitSetup {
    /// Track files that match this pattern
    #[arg(long, value_name = "PATTERN")]
    track: Vec<OsString>,
    /// Write the configuration for this user; works outside a repository too
    #[arg(long = "global", conflicts_with = "worktree")]
    global_config: bool,
    /// Write the configuration for this worktree only
    #[arg(long)]
    worktree: bool,
    /// Let s3lfs answer for filter.lfs too, in the place of git-lfs, so that commits with the pointers of
    /// git-lfs can be checked out
    #[arg(long)]
    lfs: bool,
    /// Take everything back but .gitattributes
    #[arg(long, conflicts_with_all = ["track", "lfs"])]
    uninstall: bool,
}

/// Git's configuration of the filter and the merge driver; by PATH, never absolute.
pub const CONFIG: [(&str, &str); 6] = [
    ("filter.s3lfs.process", "s3lfs filter-process"),
    ("filter.s3lfs.clean", "s3lfs clean -- %f"),
    ("filter.s3lfs.smudge", "s3lfs smudge -- %f"),
    ("filter.s3lfs.required", "true"),
    ("merge.s3lfs-manifest.name", "s3lfs manifest"),
    ("merge.s3lfs-manifest.driver", "s3lfs merge-manifest %O %A %B %P"),
];

/// Set up, or take back.
pub fn run(global: &Global, args: GitSetup) -> Result<(), CliError> {
    let scope = match (args.global_config, args.worktree) {
        (true, _) => "--global",
        (_, true) => "--worktree",
        _ => "--local",
    };
    let context = match Context::open() {
        // Outside a repository, Git's own configuration is all there is to set up.
        Err(_) if args.global_config && args.track.is_empty() => None,
        opened => Some(opened?),
    };
    let done = if args.uninstall { uninstall(scope, context.as_ref()) } else { set_up(global, &args, scope, context) };
    if global.json && done.is_ok() {
        let store = GitConfig::load()?.get(trust::KEY).map(|store| store.to_str_lossy().into_owned());
        let item = json!({ "scope": scope.trim_start_matches('-'), "set_up": !args.uninstall, "store": store });
        ui::answer_json("git-setup", [item], Vec::new())?;
    }
    done
}

fn set_up(global: &Global, args: &GitSetup, scope: &str, context: Option<Context>) -> Result<(), CliError> {
    configure(scope)?;
    if args.lfs {
        lfs_driver::set(scope)?;
    }
    let Some(context) = context else { return Ok(()) };
    let manifest = manifest_file::for_reading(None)?;
    // Whoever configures Git for himself is not thereby asking for hooks in every repository.
    if args.global_config && manifest.is_none() && args.track.is_empty() {
        return Ok(());
    }
    // Whatever comes of the hooks, the rest is done first: a second run then has only them left.
    let hooks = install_hooks(&context);
    // Before anything lies in a shared cache that only this clone needs.
    context.cache().is_registered();
    set_up_repository(global, &context, manifest.as_ref(), &args.track)?;
    hooks
}

fn set_up_repository(
    global: &Global,
    context: &Context,
    manifest: Option<&Manifest>,
    track: &[OsString],
) -> Result<(), CliError> {
    let patterns = patterns(context, track)?;
    // Its manifest has no list yet, and nothing is tracked by attributes.
    let is_old = manifest_file::is_pythons()
        || manifest.is_some_and(|manifest| manifest.manifest_only.is_none())
            && std::fs::symlink_metadata(ATTRIBUTES).is_err();
    let config = GitConfig::load()?;
    // A commit from before the store was chosen: nothing is ours there, and it is not to be edited.
    let elsewhere = match manifest {
        None if patterns.is_empty() && !is_tracking()? => manifest_file::last_commit("--all")?,
        _ => None,
    };
    if let Some(commit) = elsewhere {
        return before_the_store(global, &config, commit.as_bstr());
    }
    if patterns.is_empty() && is_old {
        // An untracked file would stand in the way of the commit in which somebody else migrates the repository.
        ui::say(format!("{ATTRIBUTES} is left as it is: 's3lfs migrate' writes what is needed there."));
    } else if edit_attributes(|attributes| {
        for pattern in &patterns {
            attributes.track(pattern);
        }
        attributes.ensure_protected();
    })? {
        let pathspec = context.pathspec(ATTRIBUTES.into());
        ui::say(format!("Changed {ATTRIBUTES}. To commit it: git add {pathspec}"));
    }
    let Some(manifest) = manifest else {
        ui::say("No store yet: choose one with 's3lfs init <bucket> <repo-prefix>'.");
        return Ok(());
    };
    let settings = settings(global, &config, Some(manifest))?;
    match config.get("s3lfs.store") {
        None => trust::accept(&settings.remote, &settings.access.encryption)?,
        Some(_) => require_accepted(&settings)?,
    }
    trust::keep_profile(global)?;
    if matches!(manifest_file::staged()?, manifest_file::Staged::Absent) && manifest_file::in_worktree()?.is_some() {
        ui::say(format!("{PATH} is not in Git yet. To commit it: git add {}", context.pathspec(PATH.into())));
    }
    offer_download(global)
}

/// Whether this worktree's attributes give anything to our filter.
fn is_tracking() -> Result<bool, CliError> {
    let bytes = read_committed(ATTRIBUTES.as_ref())?.unwrap_or_default();
    Ok(!AttributesFile::parse(&bytes).tracked().is_empty())
}

/// Nothing here names a store; `commit` does.
fn before_the_store(global: &Global, config: &GitConfig, commit: &BStr) -> Result<(), CliError> {
    let here = format!("{ATTRIBUTES} is left as it is: this commit has no {PATH}");
    let Some(store) = config.get(trust::KEY) else {
        ui::say(format!("{here}. Commit {commit} is one that has: 'git-setup' there accepts its store."));
        return Ok(());
    };
    ui::say(format!("{here}, and content comes from the store that you accepted, {}.", store.to_str_lossy()));
    offer_download(global)
}

/// Set Git's configuration.
fn configure(scope: &str) -> Result<(), CliError> {
    if scope == "--worktree" {
        require_worktree_config()?;
    }
    for (key, value) in CONFIG {
        git::config::set(scope, key, value)?;
    }
    ui::say(format!("Git configuration ({scope}): filter.s3lfs and merge.s3lfs-manifest are set."));
    Ok(())
}

/// With several worktrees, Git keeps settings for one only where it was told to (git-config(1), `--worktree`).
fn require_worktree_config() -> Result<(), CliError> {
    if keeps_worktree_config()? {
        return Ok(());
    }
    Err(CliError::user(NO_OWN_CONFIG).hint("turn that on: git config extensions.worktreeConfig true"))
}

/// Why nothing is set for one worktree alone.
const NO_OWN_CONFIG: &str =
    "this repository has several worktrees, and Git does not keep settings for one of them alone yet";

fn keeps_worktree_config() -> Result<bool, CliError> {
    let extension = Git::new(["config", "--type=bool", "extensions.worktreeConfig"]).line_if_any()?;
    let worktrees = Git::new(["worktree", "list", "--porcelain"]).output()?;
    let several = worktrees.lines().filter(|line| line.starts_with(b"worktree ")).count() > 1;
    Ok(!several || extension.is_some_and(|value| value == "true"))
}

/// The filter of a fresh clone; its attributes are committed.
pub fn configure_clone() -> Result<(), CliError> {
    configure("--local")
}

/// Pointers that a plain `git clone` left in the worktree can be filled now.
fn offer_download(global: &Global) -> Result<(), CliError> {
    let waiting = download::pointer_files()?;
    if waiting == 0 {
        return Ok(());
    }
    let files = ui::count(waiting, "file");
    // Of two commands, only one can answer in JSON.
    let asked = if global.json { None } else { Some(()) };
    match asked.and_then(|()| ui::ask(&format!("The worktree has {files} as a pointer only. Fetch the content now?"))) {
        Some(true) => download::run_all(global, download::DownloadAll::default()),
        _ => {
            ui::say(format!("The worktree has {files} as a pointer only; fetch the content with: s3lfs download-all"));
            Ok(())
        }
    }
}

fn uninstall(scope: &str, context: Option<&Context>) -> Result<(), CliError> {
    if scope == "--worktree" && !keeps_worktree_config()? {
        return Err(CliError::user(format!("there is nothing to take back from this worktree alone: {NO_OWN_CONFIG}"))
            .hint("what is set up for all worktrees: s3lfs git-setup --uninstall"));
    }
    for section in ["filter.s3lfs", "merge.s3lfs-manifest"] {
        let result = git::config::change(&["config", scope, "--remove-section", section])?;
        // 128 with "no such section": it was not there.
        if !result.status.success() && !result.stderr.contains_str("no such section") {
            return Err(CliError::user(format!(
                "cannot remove {section} from Git's configuration: {}",
                result.stderr.trim().as_bstr()
            )));
        }
    }
    lfs_driver::take_back(scope)?;
    if scope == "--global" {
        ui::say(
            "The filter is no longer set up for this user; what 'git-setup' did in single repositories stays there.",
        );
        return Ok(());
    }
    let mut hooks = Ok(());
    if let Some(context) = context {
        let in_use = set_up::set_up(&context.repo)?;
        if in_use.is_empty() {
            for key in [trust::KEY, encryption::KEY, trust::PROFILE] {
                let unset = git::config::change(&["config", "--local", "--unset-all", key])?;
                // 5: there was none (git-config(1)).
                if !unset.status.success() && unset.status.code() != Some(5) {
                    return Err(CliError::user(format!("cannot unset {key}: {}", unset.stderr.trim().as_bstr())));
                }
            }
        }
        hooks = take_out_hooks(context, &in_use);
        ui::say(".gitattributes and .s3_manifest.json belong to the repository, and stay.");
        if !in_use.is_empty() {
            ui::say(what_stays(&in_use));
            return hooks;
        }
    }
    match GitConfig::load()?.get("filter.s3lfs.process") {
        None => ui::say("s3lfs is no longer set up here; files in the worktree stay as they are."),
        Some(_) => ui::warn(
            "warning: the filter is still set up for this user, but without hooks nothing is uploaded; \
             's3lfs git-setup --global --uninstall' takes it back",
        ),
    }
    hooks
}

/// Other worktrees upload by the hooks, and use the store that was accepted.
fn what_stays(in_use: &[SetUp]) -> String {
    let what = "the hooks and the accepted store stay, as far as they are shared";
    if in_use.iter().any(|other| other.by == Whose::Shared) {
        return format!(
            "s3lfs is still set up for all worktrees (git config --local), so {what}; to take that back: s3lfs git-setup --uninstall"
        );
    }
    let tops: String = in_use.iter().map(|other| format!("\n  {}", other.top.display())).collect();
    format!(
        "Worktrees with a configuration of their own still use s3lfs, so {what}; to take it back there: s3lfs git-setup --worktree --uninstall{tops}"
    )
}
