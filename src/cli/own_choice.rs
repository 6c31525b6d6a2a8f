//! The user's own bucket and prefix, where they are not what the manifest names.
//!
//! Apart because the push gate, whatever uploads, and `doctor` tell of it. Everybody else looks where the manifest
//! says: content that goes elsewhere is found by nobody.

use std::fmt;

use crate::cli::Global;
use crate::cli::error::{CliError, one_line};
use crate::cli::place::take_back;
use crate::cli::ui;
use crate::config::{BUCKET, GitConfig, PREFIX, Place, Settings, is_one_place};
use crate::error::chain;
use crate::manifest::Manifest;
use crate::remote::Remote;
use crate::store::Kind;
use crate::transfer::TransferError;

/// A setting that goes before what the manifest says.
pub struct OwnSetting {
    what: &'static str,
    value: String,
    place: Place,
}

impl OwnSetting {
    /// The command that takes it back.
    pub fn taken_back(&self) -> String {
        take_back(&self.place)
    }
}

impl fmt::Display for OwnSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let OwnSetting { what, value, place } = self;
        write!(f, "the {what} {value:?} is your own choice ({place})")
    }
}

/// Which settings make the store another one than the manifest names.
pub fn settings(global: &Global, config: &GitConfig, manifest: &Manifest) -> Result<Vec<OwnSetting>, CliError> {
    let told = global.overrides();
    let Manifest { bucket_name: bucket, repo_prefix: prefix, .. } = manifest;
    let named = Remote::new(bucket, prefix, None)?;
    let choices =
        [("bucket", told.bucket, BUCKET, "s3lfs.bucket"), ("prefix", told.repo_prefix, PREFIX, "s3lfs.repoprefix")];
    let mut own = Vec::new();
    for (what, told, choice, key) in choices {
        let place = choice.place(told.as_deref(), config);
        let Some(value) = told.map_or_else(|| config.text(key), |told| Ok(Some(told)))? else { continue };
        let instead = match what {
            "bucket" => Remote::new(&value, prefix, None)?,
            _ => Remote::new(bucket, &value, None)?,
        };
        if !is_one_place(&instead, &named) {
            own.push(OwnSetting { what, value, place });
        }
    }
    Ok(own)
}

/// Say before an upload that nobody else will look where it goes.
pub fn warn(settings: &Settings) {
    if let Some(named) = &settings.instead_of {
        ui::warn_once(format!(
            "warning: this goes to {}, by your own settings; the manifest names {named}, where everybody else looks: \
             'git push' will refuse it, and 's3lfs doctor' says what to unset",
            settings.remote
        ));
    }
}

/// What is said of content that was looked for by the user's own settings, and is not there: nobody else sends it there.
pub fn misled(global: &Global, config: &GitConfig, manifest: Option<&Manifest>) -> Option<String> {
    let manifest = manifest?;
    let settings = Settings::resolve(&global.overrides(), config, Some(manifest)).ok()?;
    let named = settings.instead_of?;
    let own = self::settings(global, config, manifest).ok()?;
    let (which, back): (Vec<_>, Vec<_>) = own.iter().map(|own| (own.to_string(), own.taken_back())).unzip();
    Some(format!(
        "{}, and the manifest names {named}, where everybody else looks: to look there: {}",
        which.join(", and "),
        back.join("; ")
    ))
}

/// Why content could not be fetched, with what to do; `misled`: asked where it is not there.
pub fn explained(error: TransferError, misled: impl FnOnce() -> Option<String>) -> String {
    let is_missing = matches!(&error, TransferError::Store(e) if e.kind() == Kind::NotFound);
    match is_missing.then(misled).flatten() {
        Some(misled) => format!("{} ({misled})", chain(&error)),
        None => one_line(error),
    }
}

/// Refuse to push pointers of a commit whose manifest names another store than the one where their content is looked for.
pub fn refuse(
    global: &Global,
    config: &GitConfig,
    settings: &Settings,
    named: &Remote,
    (whose, manifest): (String, &Manifest),
) -> Result<(), CliError> {
    let own = self::settings(global, config, manifest)?;
    let which: Vec<String> = own.iter().map(OwnSetting::to_string).collect();
    let error = CliError::user(format!(
        "push refused: the manifest of {whose} names the store {named}, where everybody else looks for the content; \
         here it would go to {}: {}",
        settings.remote,
        which.join(", and ")
    ));
    let error = own.iter().fold(error, |error, own| error.hint(own.taken_back()));
    Err(error
        .hint(
            "to move the store for everybody, push without it first; then 's3lfs init --force' with the new bucket and \
             prefix, and commit the manifest",
        )
        .hint("or, if both are one store under two names: git -c s3lfs.samestore=true push")
        .hint("to read from a copy, s3lfs.readstore is meant: s3lfs help stores"))
}
