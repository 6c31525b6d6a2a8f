//! `trust`: accept the store that the manifest names.
//!
//! Apart because `init`, `clone` and `git-setup` accept a store too, in the same words, and the profile with it.

use bstr::{BString, ByteSlice};
use clap::Args;
use serde_json::json;

use crate::cli::Global;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::manifest_file;
use crate::cli::session::settings_for_reading;
use crate::cli::ui;
use crate::config::{GitConfig, encryption};
use crate::git;
use crate::remote::Remote;
use crate::repo_path::Printable;
use crate::shell_word::quoted;
use crate::store::Encryption;

/// Arguments of `trust`.
#[derive(Args, Debug)]
pub struct Trust {
    /// The store that is accepted, if it is the one that the manifest names
    #[arg(value_name = "STORE", hide = true, conflicts_with_all = ["list", "remove"])]
    store: Option<String>,
    /// List the accepted stores of this clone; accept none
    #[arg(long)]
    list: bool,
    /// Take back that this store was accepted, written as --list shows it
    #[arg(long, value_name = "STORE", conflicts_with = "list")]
    remove: Option<String>,
}

/// The key under which accepted stores stand, one a value.
pub const KEY: &str = "s3lfs.store";

/// The key of this clone's profile.
pub const PROFILE: &str = "s3lfs.profile";

/// Show the store that is in force, and accept it for this clone.
pub fn run(global: &Global, args: &Trust) -> Result<(), CliError> {
    // Also in a bare repository, where HEAD's manifest is the one.
    let _context = Context::open_also_bare()?;
    match &args.remove {
        Some(store) => remove(store)?,
        None if args.list => {}
        None => {
            args.store.as_deref().map_or(Ok(()), |store| require_named(global, store))?;
            accept_named(global)?;
        }
    }
    name_patterns(args)?;
    if args.list && !global.json {
        let lines: String = accepted()?.iter().map(|store| format!("{store}\n")).collect();
        return ui::answer(lines.as_bytes());
    }
    if global.json {
        let stores = accepted()?.into_iter().map(|store| json!({ "store": store }));
        let choices = choices()?.into_iter().map(|choice| json!({ "encryption": choice }));
        return ui::answer_json("trust", stores.chain(choices), Vec::new());
    }
    Ok(())
}

/// Stores may also be accepted by patterns, which are not this clone's to take back.
fn name_patterns(args: &Trust) -> Result<(), CliError> {
    let config = GitConfig::load()?;
    let patterns: Vec<String> = config.all("s3lfs.trust").iter().map(|p| p.to_str_lossy().into_owned()).collect();
    let where_they_are = "git config --show-origin --get-all s3lfs.trust";
    for choice in choices()?.iter().filter(|_| args.list) {
        let choice = quoted(&Printable(choice.as_bytes()).to_string());
        ui::say(format!("Accepted encryption of objects: {choice} (to take it back: s3lfs trust --remove {choice})"));
    }
    if args.list && !patterns.is_empty() {
        ui::say(format!("Also accepted, by s3lfs.trust: {} (see: {where_they_are})", patterns.join(", ")));
    }
    let Some(remote) = args.remove.as_ref().and_then(|store| Remote::from_url(store).ok()) else { return Ok(()) };
    for pattern in patterns {
        if remote.is_covered_by(&pattern)? {
            ui::warn(format!(
                "warning: {remote} is accepted all the same, by the pattern {pattern} of s3lfs.trust (see: {where_they_are})"
            ));
        }
    }
    Ok(())
}

/// Refuse to accept another store than the user said.
fn require_named(global: &Global, store: &str) -> Result<(), CliError> {
    let named = settings_for_reading(global)?.remote.to_string();
    if named == store {
        return Ok(());
    }
    let shown = Printable(store.as_bytes());
    Err(CliError::user(format!("{shown} is not the store of this repository, which is {named}"))
        .hint(format!("to accept {named}: s3lfs trust"))
        .hint(format!(
            "to accept {shown} wherever a manifest names it: git config --add s3lfs.trust {}",
            quoted(store)
        )))
}

/// Accept the store that the manifest names.
pub fn accept_named(global: &Global) -> Result<(), CliError> {
    // One that does not parse is not passed over here: what is accepted must be what the user sees.
    if manifest_file::for_writing()?.is_none() && manifest_file::for_reading(None)?.is_none() {
        manifest_file::required()?;
    }
    let settings = settings_for_reading(global)?;
    accept(&settings.remote, &settings.access.encryption)?;
    keep_profile(global)
}

/// Write `s3lfs.profile`, if one was named on the command line: later commands go by it too, and so do filter and hooks,
/// whose command lines are Git's.
pub fn keep_profile(global: &Global) -> Result<(), CliError> {
    let Some(name) = global.overrides().profile else { return Ok(()) };
    if GitConfig::load()?.get(PROFILE).is_some_and(|known| known == name) {
        return Ok(());
    }
    git::config::set("--local", PROFILE, &name)?;
    ui::say(format!("Profile of this clone: {name} (git config {PROFILE})"));
    Ok(())
}

/// Write `s3lfs.store`, after showing it, and `s3lfs.encryption` where that takes agreement. What was accepted before
/// stays so: a branch may name it.
pub fn accept(remote: &Remote, encryption: &Encryption) -> Result<(), CliError> {
    ui::say(format!("Accepted store of this clone: {remote}"));
    if let Some(choice) = encryption::unaccepted(&GitConfig::load()?, remote, encryption) {
        ui::say(format!("Accepted encryption of objects there: {}", Printable(choice.as_bytes())));
        let args = ["config", "--local", "--add", encryption::KEY, &choice];
        let added = git::config::change(&args)?;
        if !added.status.success() {
            return Err(git::GitError::failed(&args, added).into());
        }
    }
    let url = remote.to_string();
    let known = accepted()?;
    if known.last() == Some(&url) {
        return Ok(());
    }
    // It has to be the last, which is the store where no manifest names one.
    if known.contains(&url) {
        forget(&url)?;
    }
    let args = ["config", "--local", "--add", KEY, &url];
    let added = git::config::change(&args)?;
    if added.status.success() { Ok(()) } else { Err(git::GitError::failed(&args, added).into()) }
}

/// The accepted stores, the one accepted last at the end.
fn accepted() -> Result<Vec<String>, CliError> {
    Ok(GitConfig::load()?.all(KEY).iter().map(|url| url.to_str_lossy().into_owned()).collect())
}

/// The accepted encryptions that are not the default.
fn choices() -> Result<Vec<String>, CliError> {
    Ok(GitConfig::load()?.all(encryption::KEY).iter().map(|choice| choice.to_str_lossy().into_owned()).collect())
}

fn remove(store: &str) -> Result<(), CliError> {
    if choices()?.iter().any(|choice| choice == store) {
        if !forget_value(encryption::KEY, store)? {
            return Err(CliError::user(format!("{store} is accepted by your own git config, not by this clone's"))
                .hint(format!("see where: git config --show-origin --get-all {}", encryption::KEY)));
        }
        ui::say(format!("No longer accepted: encryption of objects by {store}"));
        return Ok(());
    }
    if !accepted()?.iter().any(|url| url == store) {
        let covers = |pattern: &BString| {
            Remote::from_url(store).is_ok_and(|remote| remote.is_covered_by(&pattern.to_str_lossy()).unwrap_or(false))
        };
        let error = CliError::user(format!("{store} is no accepted store of this clone"));
        return Err(match GitConfig::load()?.all("s3lfs.trust").iter().find(|pattern| covers(pattern)) {
            Some(pattern) => error.hint(format!(
                "it is accepted by the pattern {} of s3lfs.trust; see where: git config --show-origin --get-all s3lfs.trust",
                Printable(pattern)
            )),
            None => {
                let back = |store: &String| format!("to take this one back: s3lfs trust --remove {}", quoted(store));
                let error = accepted()?.iter().fold(error, |error, store| error.hint(back(store)));
                error.hint("to see what is accepted: s3lfs trust --list")
            }
        });
    }
    if !forget(store)? {
        return Err(CliError::user(format!("{store} is accepted by your own git config, not by this clone's"))
            .hint("see where: git config --show-origin --get-all s3lfs.store"));
    }
    ui::say(format!("No longer accepted: {store}"));
    Ok(())
}

/// Take back that `store` was accepted. `false`: this clone's configuration did not have it.
pub fn forget(store: &str) -> Result<bool, CliError> {
    forget_value(KEY, store)
}

fn forget_value(key: &str, value: &str) -> Result<bool, CliError> {
    let args = ["config", "--local", "--fixed-value", "--unset-all", key, value];
    let unset = git::config::change(&args)?;
    match unset.status.code() {
        Some(0) => Ok(true),
        // git-config(1): there is no such value.
        Some(5) => Ok(false),
        _ => Err(git::GitError::failed(&args, unset).into()),
    }
}
