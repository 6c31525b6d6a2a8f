//! `init`: choose the store of a repository.

use std::path::Path;

use bstr::ByteSlice;
use clap::{Args, ValueEnum};
use serde_json::json;

use crate::cli::Global;
use crate::cli::cleanup::sight;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::manifest_file;
use crate::cli::session::{Registered, engine};
use crate::cli::set_up::policy::{Partition, Purpose, policy};
use crate::cli::set_up::trust;
use crate::cli::tracking::staging::Staging;
use crate::cli::ui;
use crate::config::{Acceptance, GitConfig, Settings, access, names_none, own_endpoint};
use crate::fs::{PathContext, read_optional, replace};
use crate::git::Git;
use crate::manifest::{Manifest, PATH};
use crate::remote::{Bucket, Remote, RemoteError};
use crate::store::codec::Compression;
use crate::store::key::RepositoryId;
use crate::store::{NoCredentials, ProfileEndpoint, profile_endpoint, profile_region};
use crate::transfer::{Patience, Transfer};

/// Arguments of `init`.
#[derive(Args, Debug)]
pub struct Init {
    /// A bucket, s3://bucket, or file:///absolute/directory (made if it is not there)
    #[arg(value_name = "BUCKET")]
    store: String,
    /// What the keys of all objects begin with; "" for none
    #[arg(value_name = "REPO-PREFIX")]
    prefix: String,
    /// Encryption on the server
    #[arg(long, value_enum)]
    sse: Option<Sse>,
    /// The key for --sse aws:kms
    #[arg(long, value_name = "ID", requires = "sse")]
    kms_key_id: Option<String>,
    /// Leave files that Git tracks out of the manifest
    #[arg(long)]
    no_project: bool,
    /// Do not ask the store whether it answers
    #[arg(long)]
    no_check: bool,
    /// Use a prefix in which another repository is registered
    #[arg(long)]
    join: bool,
    /// Replace another store in an existing manifest
    #[arg(long)]
    force: bool,
    /// Print the smallest IAM policy for this bucket and prefix, and do nothing else
    #[arg(long, value_enum, value_name = "PURPOSE")]
    print_policy: Option<Purpose>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Sse {
    #[value(name = "AES256")]
    Aes256,
    #[value(name = "aws:kms")]
    Kms,
    #[value(name = "none")]
    None,
}

impl Sse {
    fn as_manifest_value(self) -> &'static str {
        match self {
            Sse::Aes256 => "AES256",
            Sse::Kms => "aws:kms",
            Sse::None => "none",
        }
    }
}

/// Write the manifest, make or ask the store, accept it.
pub fn run(global: &Global, args: Init) -> Result<(), CliError> {
    if let Some(purpose) = args.print_policy {
        return print_policy(global, &args, purpose);
    }
    let context = Context::open()?;
    manifest_file::refuse_pythons()?;
    let config = GitConfig::load()?;
    let own = own_endpoint(&global.overrides(), &config)?;
    let of_profile = match (&own, args.store.starts_with("file:")) {
        (None, false) => {
            profile_endpoint(access(&global.overrides(), &config, None)?.profile.as_ref()).map_err(no_services)?
        }
        _ => None,
    };
    let endpoint = own.as_deref().or(of_profile.as_ref().map(|of_profile| of_profile.url.as_str()));
    let remote = Remote::new(&args.store, &args.prefix, endpoint).map_err(|e| match (e, &of_profile) {
        (e @ (RemoteError::Endpoint(_) | RemoteError::LinkLocal(_)), Some(ProfileEndpoint { place, change, .. })) => {
            CliError::user(format!("{place} names no store: {e}")).hint(change)
        }
        (e @ (RemoteError::Endpoint(_) | RemoteError::LinkLocal(_)), None) => {
            names_none(&global.overrides(), &config, e).into()
        }
        (e, _) => CliError::from(e),
    })?;
    let (mut manifest, _) = existing(&remote, &args)?;
    describe(&mut manifest, global, &args, &remote);

    if let Bucket::File(dir) = remote.bucket() {
        std::fs::create_dir_all(dir).context("make the store's directory", dir)?;
    }
    let alone = if args.no_check { None } else { Some(check(&context, global, &args, &remote, &manifest)?) };
    // Asking takes its time, and others may have written meanwhile: this is read, changed and written as one.
    let staging = Staging::begin(&context)?;
    let id = manifest.repository_id.take();
    let (mut manifest, left) = existing(&remote, &args)?;
    manifest.repository_id = manifest.repository_id.or(id);
    describe(&mut manifest, global, &args, &remote);
    // First the name is kept, then it is registered: after a kill in between, the same command goes on.
    let before = read_optional(Path::new(PATH))?;
    manifest_file::write(&manifest)?;
    drop(staging);
    if let Some(transfer) = alone
        && let Err(e) = register(&context, transfer, &manifest)
    {
        take_back(&context, before, &manifest)?;
        return Err(e);
    }
    trust::accept(&remote, &access(&global.overrides(), &GitConfig::load()?, Some(&manifest))?.encryption)?;
    trust::keep_profile(global)?;
    // Who moves to another store does not mean to write to the old one any more.
    if let Some(left) = left {
        trust::forget(&left.to_string())?;
    }
    ui::say(format!("Wrote {PATH}. Next: 's3lfs git-setup', then 's3lfs track PATTERN'."));
    if global.json {
        let item = json!({ "path": PATH, "store": remote.to_string(), "repository_id": manifest.repository_id });
        ui::answer_json("init", [item], Vec::new())?;
    }
    Ok(())
}

/// A profile names endpoints that are not there: without them, requests would go to AWS, where nobody meant them to go.
fn no_services(why: NoCredentials) -> CliError {
    let error = CliError::user(why.to_string());
    why.mend().iter().fold(error, |error, mend| error.hint(mend))
}

/// The manifest becomes what it was before, unless somebody else has changed it since.
fn take_back(context: &Context, before: Option<Vec<u8>>, ours: &Manifest) -> Result<(), CliError> {
    let _staging = Staging::begin(context)?;
    if manifest_file::for_writing()?.as_ref() != Some(ours) {
        return Ok(());
    }
    match before {
        Some(bytes) => Ok(replace(Path::new(PATH), &bytes)?),
        None => Ok(std::fs::remove_file(PATH).context("remove", Path::new(PATH))?),
    }
}

/// The manifest that is there, or an empty one; and the store that it is to leave, if that is another one.
fn existing(remote: &Remote, args: &Init) -> Result<(Manifest, Option<Remote>), CliError> {
    let Some(manifest) = manifest_file::for_writing()? else { return Ok((Manifest::new("", ""), None)) };
    let named = Remote::new(&manifest.bucket_name, &manifest.repo_prefix, manifest.endpoint_url.as_deref());
    match named {
        Ok(named) if named != *remote && !args.force => {
            Err(CliError::user(format!("{PATH} already names another store: {named}"))
                .hint(format!("to move to {remote}, say --force; objects are not copied there")))
        }
        Ok(named) if named != *remote => Ok((manifest, Some(named))),
        _ => Ok((manifest, None)),
    }
}

/// Wherever it is asked for: no repository, no connection.
fn print_policy(global: &Global, args: &Init, purpose: Purpose) -> Result<(), CliError> {
    let remote = Remote::new(&args.store, &args.prefix, None)?;
    let Bucket::S3(bucket) = remote.bucket() else {
        return Err(CliError::user(format!("{remote} is a directory: an IAM policy is for a bucket")));
    };
    // Only which part of AWS it is comes from there.
    let config = GitConfig::load().unwrap_or_default();
    let manifest = Context::open_also_bare().ok().and_then(|_| manifest_file::for_reading(None).ok().flatten());
    let access = access(&global.overrides(), &config, manifest.as_ref())?;
    let region = access.region.or_else(|| profile_region(access.profile.as_ref()));
    let partition = region.as_deref().map_or(Partition::Aws, Partition::of);
    let policy = policy(partition, bucket, remote.prefix(), purpose, args.kms_key_id.as_deref());
    ui::answer(format!("{policy:#}\n").as_bytes())
}

/// Put the choices of the command line into the manifest; what was not said stays.
fn describe(manifest: &mut Manifest, global: &Global, args: &Init, remote: &Remote) {
    manifest.bucket_name = match remote.bucket() {
        // The plain name is what the Python tool reads.
        Bucket::S3(name) => name.clone(),
        Bucket::File(_) => args.store.trim_end_matches('/').to_owned(),
    };
    manifest.repo_prefix = remote.prefix().to_owned();
    manifest.endpoint_url = remote.endpoint().map(str::to_owned);
    if let Some(region) = &global.region {
        manifest.region = Some(region.clone());
    }
    if let Some(sse) = args.sse {
        manifest.server_side_encryption = Some(sse.as_manifest_value().to_owned());
    }
    if args.kms_key_id.is_some() {
        manifest.kms_key_id.clone_from(&args.kms_key_id);
    }
    if args.no_project {
        manifest.project = false;
    }
    manifest.format.get_or_insert(1);
    manifest.repository_id.get_or_insert_with(|| uuid::Uuid::new_v4().to_string());
}

/// Does the store answer, and is the prefix ours alone?
fn check(
    context: &Context,
    global: &Global,
    args: &Init,
    remote: &Remote,
    manifest: &Manifest,
) -> Result<Transfer, CliError> {
    let repository_id = manifest.repository_id.as_deref();
    let settings = Settings {
        remote: remote.clone(),
        instead_of: None,
        acceptance: Acceptance::Accepted,
        jobs: Some(1),
        compression: Compression::default(),
        access: access(&global.overrides(), &GitConfig::load()?, Some(manifest))?,
        reading: Vec::new(),
    };
    let mut transfer = engine(context.cache(), &settings, Patience::Short)?;
    let store = transfer.store().clone();
    let others: Vec<String> = transfer.ask(|| store.registered())?;
    let other = others.iter().find(|id| Some(id.as_str()) != repository_id);
    if let Some(other) = other
        && !args.join
    {
        return Err(CliError::user(format!("another repository ({other}) is registered in {remote}")).hint(
            "give each repository a prefix of its own, or share this one with --join; cleanup then refuses to run",
        ));
    }
    Ok(transfer)
}

/// Write our registration: that also shows that we can write there.
fn register(context: &Context, mut transfer: Transfer, manifest: &Manifest) -> Result<(), CliError> {
    let store = transfer.store().clone();
    let url = Git::new(["remote", "get-url", "--push", "origin"]).run()?;
    let url = url.status.success().then(|| sight::known_as(&url.stdout.trim().to_str_lossy()));
    if let Some(id) = manifest.repository_id.as_deref() {
        let id = RepositoryId::new(id)?;
        let before = Registered::urls(&context.repo.state_dir(), store.remote(), id.as_str())?;
        transfer.ask(|| store.register(&id, url.as_deref(), &before))?;
    }
    Ok(())
}
