//! The store: which one, whether it was accepted, with which credentials, and who is registered there.
//!
//! Apart from the permissions (`permissions`), which need a store that answers. Nothing is sent to a store that
//! only a commit chose.

use std::time::{Duration, SystemTime};

use chrono::{DateTime, SecondsFormat, Utc};

use super::finding::{Finding, Findings};
use super::permissions::{Probing, examine as permissions, registration_refused, removal};
use super::unanswered::{self, NamedBy};
use super::{Use, settings};
use crate::cache::LocalCache;
use crate::cli::Global;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::own_choice;
use crate::cli::session::{FORGOTTEN, Registered, not_accepted};
use crate::config::{Acceptance, BUCKET, ConfigError, ENDPOINT, GitConfig, Overrides, Place, Settings};
use crate::manifest::Manifest;
use crate::remote::{Bucket, Remote};
use crate::shell_word::quoted;
use crate::store::key::RepositoryId;
use crate::store::{
    Access, Kind, OTHER_PROFILE, Origin, Signing, Store, StoreError, half_a_key, profile_of_environment,
};
use crate::transfer::{Options, Patience, Transfer};

/// Look at the store that the settings name, and at those that are only read.
pub fn examine(
    global: &Global,
    config: &GitConfig,
    context: Option<&Context>,
    manifest: Option<&Manifest>,
    way: Use,
    findings: &mut Findings,
) -> Result<(), CliError> {
    let settings = match Settings::resolve(&global.overrides(), config, manifest) {
        Ok(settings) => settings,
        // What is missing for it was told before.
        Err(ConfigError::NoStore) => return Ok(()),
        Err(e) => return wrong_settings(e, &global.overrides(), config.clone(), manifest, findings),
    };
    let remote = &settings.remote;
    if let (Some(named), Some(manifest)) = (&settings.instead_of, manifest) {
        for own in own_choice::settings(global, config, manifest)? {
            let found = format!(
                "{own}; the manifest names {named}, where everybody else looks: a push that brings pointers is refused"
            );
            findings.add(Finding::warning("store", found, own.taken_back()))?;
        }
    }
    let signing = settings.access.signing;
    let way = match settings.acceptance {
        Acceptance::NotAccepted => {
            let CliError { message, .. } = not_accepted(&settings);
            return findings.add(Finding::stops("store", format!("{message}; nothing was sent there"), "s3lfs trust"));
        }
        Acceptance::ForReading => {
            findings.add(Finding::note("store", format!("{remote}, which you accepted for reading only")))?;
            Use::Reading
        }
        Acceptance::NotItsEncryption => {
            let CliError { message, .. } = not_accepted(&settings);
            findings.add(Finding::stops("store", message, "s3lfs trust"))?;
            Use::Reading
        }
        Acceptance::Accepted if signing == Signing::Anonymous => {
            findings.add(Finding::note("store", format!("{remote}; without signatures only reading is looked at")))?;
            Use::Reading
        }
        Acceptance::Accepted => {
            findings.add(Finding::fine("store", remote.to_string()))?;
            way
        }
    };
    let own = global.overrides();
    let named_by = match manifest.is_none() && own.bucket.is_none() && config.get("s3lfs.bucket").is_none() {
        true => named_by_key("s3lfs.store"),
        false => NamedBy {
            bucket: BUCKET.place(own.bucket.as_deref(), config),
            endpoint: ENDPOINT.place(own.endpoint_url.as_deref(), config),
            endpoint_of_all: manifest.and_then(|manifest| manifest.endpoint_url.clone()),
        },
    };
    if let Some(mut probing) = opened("store", remote, &settings.access, named_by, findings)?
        && credentials(&mut probing, signing, findings)?
    {
        let answers = permissions(&mut probing, &settings.access, way, findings)?;
        if let (true, Some(context), Some(id)) = (answers, context, manifest.and_then(|m| m.repository_id.as_deref())) {
            registration(&mut probing, context, id, way, findings)?;
        }
    }
    for remote in &settings.reading {
        findings.add(Finding::fine("reading store", remote.to_string()))?;
        if let Some(mut probing) =
            opened("reading store", remote, &settings.access, named_by_key("s3lfs.readstore"), findings)?
        {
            permissions(&mut probing, &settings.access, Use::Reading, findings)?;
        }
    }
    Ok(())
}

fn opened(
    check: &'static str,
    remote: &Remote,
    access: &Access,
    named_by: NamedBy,
    findings: &mut Findings,
) -> Result<Option<Probing>, CliError> {
    let store = match Store::open(remote, access) {
        Ok(store) => store,
        Err(e) => {
            findings.add(unanswered::refused(check, remote, &named_by, e))?;
            return Ok(None);
        }
    };
    if let Bucket::File(dir) = remote.bucket() {
        let room = crate::fs::free_space(dir).map(|room| format!(", {} free", crate::cli::ui::bytes(room)));
        findings.add(Finding::fine("directory", format!("{}{}", dir.display(), room.unwrap_or_default())))?;
    }
    let options = Options { jobs: Some(1), compression: Default::default(), patience: Patience::Short };
    let transfer = Transfer::new(LocalCache::keeping_nothing(std::env::temp_dir()), store.clone(), Vec::new(), options);
    Ok(Some(Probing { transfer, store, named_by }))
}

/// Each value that can't be meant: the first hides the next.
fn wrong_settings(
    first: ConfigError,
    overrides: &Overrides,
    mut config: GitConfig,
    manifest: Option<&Manifest>,
    findings: &mut Findings,
) -> Result<(), CliError> {
    let mut next = Some(first);
    while let Some(error) = next {
        let is_left_out = error.key().is_some_and(|key| config.leave_out(key));
        findings.add(settings::refused(error))?;
        let resolved = is_left_out.then(|| Settings::resolve(overrides, &config, manifest));
        next = resolved.and_then(Result::err).filter(|error| !matches!(error, ConfigError::NoStore));
    }
    Ok(())
}

/// A URL that says it all.
fn named_by_key(key: &str) -> NamedBy {
    let place = || Place::Key(key.to_owned());
    NamedBy { bucket: place(), endpoint: place(), endpoint_of_all: None }
}

/// `false`: there are none, and the store can't be asked anything.
fn credentials(probing: &mut Probing, signing: Signing, findings: &mut Findings) -> Result<bool, CliError> {
    let store = probing.store.clone();
    // Whoever gives them has a time of his own, and has it everywhere.
    match probing.transfer.ask_once(store.origin(signing)) {
        Ok(None) => Ok(true),
        Ok(Some(origin)) => {
            findings.add(told(&origin))?;
            if let Some((has, lacks)) = half_a_key() {
                let found = format!("{has} is set without {lacks}, and passed over");
                findings.add(Finding::warning("credentials", found, format!("unset {has}")))?;
            }
            profile_passed_over(&origin, findings)?;
            Ok(true)
        }
        Err(e) => {
            findings.add(unanswered::refused("credentials", probing.store.remote(), &probing.named_by, e))?;
            Ok(false)
        }
    }
}

/// As in the AWS CLI, keys in the environment go before the profile that it names; and of two names, one decides. The
/// mend takes back what has no effect, since the other one works.
fn profile_passed_over(origin: &Origin, findings: &mut Findings) -> Result<(), CliError> {
    let note = |found: String, name: &str| Finding::note("credentials", found).mend(format!("unset {name}"));
    let Some((variable, name)) = profile_of_environment() else { return Ok(()) };
    if origin.is_of_environment() {
        let found = format!("{variable} = {name} is passed over: AWS_ACCESS_KEY_ID stands in the environment");
        return findings.add(note(found, variable));
    }
    match std::env::var(OTHER_PROFILE).ok().filter(|other| !other.is_empty() && *other != name) {
        Some(other) => {
            let found = format!("{OTHER_PROFILE} = {other} is passed over: {variable} = {name} goes before it");
            findings.add(note(found, OTHER_PROFILE))
        }
        None => Ok(()),
    }
}

fn told(origin: &Origin) -> Finding {
    const CHECK: &str = "credentials";
    let Origin { from, key, expires, renewal } = origin;
    let who = format!("from {from}, access key {key}");
    let Some(at) = expires else { return Finding::fine(CHECK, format!("{who}; they do not say when they end")) };
    let date = DateTime::<Utc>::from(*at).to_rfc3339_opts(SecondsFormat::Secs, true);
    let span = |time: Duration| match time.as_secs() / 3600 {
        hours @ 0..100 => format!("{hours} h {} min", time.as_secs() % 3600 / 60),
        hours => format!("{} days", hours / 24),
    };
    match at.duration_since(SystemTime::now()) {
        Ok(left) => Finding::fine(CHECK, format!("{who}; they end at {date}, in {}", span(left))),
        // A service has the last word on that: what it refuses is a finding of its own.
        Err(past) => {
            let found =
                format!("{who}; they ended at {date}, {} ago, and are handed out all the same", span(past.duration()));
            Finding::warning(CHECK, found, renewal)
        }
    }
}

/// Whether this repository is known there, and alone.
fn registration(
    probing: &mut Probing,
    context: &Context,
    id: &str,
    way: Use,
    findings: &mut Findings,
) -> Result<(), CliError> {
    const CHECK: &str = "registration";
    let store = probing.store.clone();
    let known = match probing.transfer.ask(|| store.registered()) {
        Ok(known) => known,
        Err(e) => return findings.add(registration_refused(probing, e)),
    };
    let others = known.iter().filter(|other| *other != id).count();
    let was_known = Registered::new(&context.repo.state_dir(), store.remote(), id, None).is_known()?;
    let ours = known.iter().any(|other| other == id);
    findings.add(match ours {
        true => match RepositoryId::new(id).map(|id| probing.transfer.ask(|| store.registration(&id))) {
            Ok(Err(e)) if e.kind() == Kind::Failed => damaged(store.remote(), id, e),
            Ok(Err(e)) => registration_refused(probing, e),
            _ => Finding::fine(CHECK, format!("{id} is registered")),
        },
        false if was_known => {
            let found = format!("{} {FORGOTTEN}", store.remote());
            let again = register_again(store.remote());
            match store.remote().bucket() {
                Bucket::S3(_) => Finding::stops(CHECK, found, again),
                Bucket::File(dir) => {
                    let mount = format!("mount {} # if a disk belongs there", quoted(&dir.to_string_lossy()));
                    Finding::stops(CHECK, found, mount).mend(again)
                }
            }
        }
        false if way == Use::Reading => Finding::note(CHECK, format!("{id} is not registered there")),
        false => Finding::note(CHECK, format!("{id} is not registered yet: the first upload does it")),
    })?;
    if others > 0 {
        let found =
            format!("{others} more of them in this prefix: 'cleanup' refuses, since they may need what we do not");
        findings.add(Finding::note(CHECK, found))?;
    }
    Ok(())
}

/// Nobody can tell from it who needs what is there; written anew, it has to be told of every Git URL.
fn damaged(remote: &Remote, id: &str, error: StoreError) -> Finding {
    let key = [remote.prefix(), "repositories", &format!("{id}.json")].join("/");
    let removed = removal(remote, key.trim_start_matches('/'));
    let finding = Finding::refused("registration", error, removed).mend(register_again(remote));
    finding.mend("git push # to each remote, so that it is known there again")
}

/// The command that chooses this store anew, and registers the repository there.
pub fn register_again(remote: &Remote) -> String {
    let bucket = match remote.bucket() {
        Bucket::File(dir) => format!("file://{}", dir.display()),
        Bucket::S3(bucket) => bucket.clone(),
    };
    let endpoint = remote.endpoint().map(|url| format!(" --endpoint-url {}", quoted(url))).unwrap_or_default();
    format!("s3lfs init {} {}{endpoint}", quoted(&bucket), quoted(remote.prefix()))
}
