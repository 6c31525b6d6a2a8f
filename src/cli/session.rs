//! A session with the store: the settings in force, the engine, the records.
//!
//! Apart from the repository's context because most commands never open one, and because whether the
//! store is accepted is asked here, before anything is sent.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use bstr::ByteSlice;

use crate::cache::LocalCache;
use crate::cli::Global;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::manifest_file;
use crate::cli::ui;
use crate::config::{Acceptance, GitConfig, Settings, encryption};
use crate::fs::{read_optional, replace_state};
use crate::git::objects::ObjectId;
use crate::manifest::Manifest;
use crate::remote::Remote;
use crate::repo_path::Printable;
use crate::store::Store;
use crate::store::key::RepositoryId;
use crate::transfer::{Options, Patience, ReadingStore, Transfer};
use crate::uploaded::{Uploaded, store_name};

/// A store that may be used, with everything around it.
pub struct Session {
    /// The engine.
    pub transfer: Transfer,
    /// What is known to be in the store.
    pub uploaded: Uploaded,
    /// Commits that a remote has at this moment, as far as the caller was told.
    pub published: Vec<ObjectId>,
    /// The remote that can be asked for all that it has.
    pub pushed_to: Option<String>,
    /// Where the repository's state is.
    state_dir: PathBuf,
    cache: LocalCache,
}

impl Session {
    /// Connect to the store that `settings` name, if the user accepted it.
    pub fn open(context: &Context, settings: &Settings, patience: Patience) -> Result<Self, CliError> {
        require_accepted(settings)?;
        Self::connect(context, settings, patience)
    }

    /// As [`Session::open`], for a command that writes nothing to the store.
    pub fn open_for_reading(context: &Context, settings: &Settings, patience: Patience) -> Result<Self, CliError> {
        require_readable(settings)?;
        Self::connect(context, settings, patience)
    }

    fn connect(context: &Context, settings: &Settings, patience: Patience) -> Result<Self, CliError> {
        let (cache, repo) = (context.cache(), &context.repo);
        let transfer = engine(cache.clone(), settings, patience)?;
        let uploaded = Uploaded::open(&repo.state_dir(), &settings.remote, &settings.reading)?;
        Ok(Session { transfer, uploaded, published: Vec::new(), pushed_to: None, state_dir: repo.state_dir(), cache })
    }

    /// Let the shared cache, if there is one, take what our store is now known to have.
    pub fn share(&self) {
        self.cache.share(|oid| self.uploaded.is_fresh_in_store(oid));
    }

    /// Make sure that this repository is registered in the store, and `git_url` with it. What was
    /// confirmed once is remembered, so that this opens a connection only for something new.
    pub fn register(&mut self, repository_id: Option<&str>, git_url: Option<&str>) -> Result<(), CliError> {
        // The Python tool's manifests have no id; cleanup knows how to treat such a prefix.
        let Some(text) = repository_id else { return Ok(()) };
        let id = &RepositoryId::new(text)?;
        let registered = Registered::new(&self.state_dir, self.transfer.store().remote(), text, git_url);
        if registered.is_known()? {
            return self.require_registered(id);
        }
        self.write_registration(id, registered, git_url)
    }

    /// As [`Session::register`], looking whether `git_url` is still there: another clone's first push may
    /// have written the registration at the same moment, and cleanup goes by what it says.
    pub fn register_anew(&mut self, repository_id: Option<&str>, git_url: &str) -> Result<(), CliError> {
        let Some(text) = repository_id else { return Ok(()) };
        let id = &RepositoryId::new(text)?;
        let registered = Registered::new(&self.state_dir, self.transfer.store().remote(), text, Some(git_url));
        if registered.is_known()? {
            self.require_registered(id)?;
        }
        self.write_registration(id, registered, Some(git_url))
    }

    /// Whether this clone itself once registered that id in the store.
    pub fn has_registered(&self, id: &str) -> Result<bool, CliError> {
        Registered::new(&self.state_dir, self.transfer.store().remote(), id, None).is_known()
    }

    fn write_registration(
        &mut self,
        id: &RepositoryId,
        registered: Registered,
        git_url: Option<&str>,
    ) -> Result<(), CliError> {
        let store = self.transfer.store().clone();
        let before = Registered::urls(&self.state_dir, store.remote(), id.as_str())?;
        self.transfer.ask(|| store.register(id, git_url, &before))?;
        if registered.is_known()? { Ok(()) } else { registered.note() }
    }
}

impl Session {
    /// A directory that has forgotten us is another one: the place where a disk is not mounted. (A
    /// service is not asked: that would be a request for each commit.)
    pub fn require_registered(&mut self, id: &RepositoryId) -> Result<(), CliError> {
        let store = self.transfer.store().clone();
        if store.is_service() || self.transfer.ask(|| store.registered())?.iter().any(|known| known == id.as_str()) {
            return Ok(());
        }
        Err(CliError::user(format!("{} {FORGOTTEN}", store.remote())).hint(MOUNT))
    }
}

/// What is said of a directory that has forgotten this repository.
pub const FORGOTTEN: &str = "does not know this repository any more; is a disk not mounted?";

/// The hint to it.
pub const MOUNT: &str =
    "mount the disk; if the store was emptied on purpose, 's3lfs init' with the same arguments registers it anew";

/// Whether a store once confirmed the registration of this repository under one Git URL.
pub struct Registered {
    path: PathBuf,
    line: String,
    /// What in the notes proves it: whoever registered a URL registered the repository.
    proof: String,
}

impl Registered {
    /// Under `git_url`, or at all.
    pub fn new(state_dir: &Path, remote: &Remote, repository_id: &str, git_url: Option<&str>) -> Self {
        let line = format!("{repository_id} {}\n", git_url.unwrap_or_default());
        let proof = if git_url.is_some() { line.clone() } else { format!("{repository_id} ") };
        Registered { path: state_dir.join("registered").join(store_name(remote)), line, proof }
    }

    /// The URLs that the store had confirmed: none of them has a user or a password.
    pub fn urls(state_dir: &Path, remote: &Remote, repository_id: &str) -> Result<BTreeSet<String>, CliError> {
        let lines = read_optional(&state_dir.join("registered").join(store_name(remote)))?.unwrap_or_default();
        let url = |line: &[u8]| {
            let url = line.strip_prefix(repository_id.as_bytes())?.strip_prefix(b" ")?.to_str().ok()?;
            (!url.is_empty()).then(|| url.to_owned())
        };
        Ok(lines.lines().filter_map(url).collect())
    }

    /// As far as it was noted here: this opens no connection.
    pub fn is_known(&self) -> Result<bool, CliError> {
        Ok(read_optional(&self.path)?.unwrap_or_default().contains_str(&self.proof))
    }

    fn note(&self) -> Result<(), CliError> {
        let mut lines = read_optional(&self.path)?.unwrap_or_default();
        lines.extend_from_slice(self.line.as_bytes());
        Ok(replace_state(&self.path, &lines)?)
    }
}

/// An engine between the cache and the store that `settings` name. Whether that store is accepted is
/// the caller's to ask.
pub fn engine(cache: LocalCache, settings: &Settings, patience: Patience) -> Result<Transfer, CliError> {
    let store = Store::open(&settings.remote, &settings.access)?;
    cache.sweep();
    let options = Options { jobs: settings.jobs, compression: settings.compression, patience };
    let reading = settings.reading.iter().map(|remote| ReadingStore::new(remote.clone(), settings.access.clone()));
    Ok(Transfer::new(cache.fetching(), store, reading.collect(), options))
}

/// The settings of a command that works on the present worktree: the manifest has to be readable.
pub fn settings(global: &Global, config: &GitConfig, manifest: Option<&Manifest>) -> Result<Settings, CliError> {
    Ok(Settings::resolve(&global.overrides(), config, manifest)?)
}

/// As [`settings`], with the manifest that reading goes by.
pub fn settings_for_reading(global: &Global) -> Result<Settings, CliError> {
    let config = GitConfig::load()?;
    let manifest = manifest_file::for_reading(None)?;
    settings(global, &config, manifest.as_ref())
}

/// Refuse a store that only a commit chose; on a terminal, ask.
pub fn require_accepted(settings: &Settings) -> Result<(), CliError> {
    if settings.acceptance == Acceptance::Accepted {
        return Ok(());
    }
    let question = match settings.acceptance {
        Acceptance::NotItsEncryption => {
            format!(
                "The manifest wants objects in {} encrypted with {}. Accept that?",
                settings.remote,
                wanted(settings)
            )
        }
        _ => format!("The manifest names the store {}, which was not accepted yet. Accept it?", settings.remote),
    };
    match ui::ask(&question) {
        Some(true) => crate::cli::set_up::trust::accept(&settings.remote, &settings.access.encryption),
        _ => Err(not_accepted(settings)),
    }
}

/// As [`require_accepted`], for what only reads.
pub fn require_readable(settings: &Settings) -> Result<(), CliError> {
    match settings.acceptance {
        Acceptance::ForReading | Acceptance::NotItsEncryption => Ok(()),
        Acceptance::Accepted | Acceptance::NotAccepted => require_accepted(settings),
    }
}

/// The encryption that the manifest names.
fn wanted(settings: &Settings) -> String {
    let choice = encryption::choice(&settings.remote, &settings.access.encryption).unwrap_or_default();
    Printable(choice.as_bytes()).to_string()
}

/// The refusal, with the command that changes it.
pub fn not_accepted(settings: &Settings) -> CliError {
    if settings.acceptance == Acceptance::NotItsEncryption {
        let (remote, wanted) = (&settings.remote, wanted(settings));
        return CliError::user(format!(
            "the manifest wants objects in {remote} encrypted with {wanted}, which you have not accepted"
        ))
        .hint("run 's3lfs trust' to accept it for this clone; nothing is sent there before");
    }
    CliError::user(format!("the manifest names the store {}, which you have not accepted", settings.remote))
        .hint("run 's3lfs trust' to accept it for this clone; nothing is sent there before")
}
