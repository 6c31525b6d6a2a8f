//! The name by which a repository that the Python tool made is registered in its store: without one, nobody can
//! clean up there later.
//!
//! Apart because several people may migrate clones of one repository, and it has to get one name.

use bstr::ByteSlice;

use crate::cli::cleanup::sight;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::manifest_file::{self, Staged};
use crate::cli::session::Session;
use crate::cli::tracking::staging::Staging;
use crate::cli::ui;
use crate::git::Git;
use crate::manifest::Manifest;
use crate::store::key::RepositoryId;

/// Give the manifest a name, and register it.
pub fn name_the_repository(context: &Context, session: &mut Session) -> Result<(), CliError> {
    let both = || -> Result<(Manifest, Option<Manifest>), CliError> {
        let staged = match manifest_file::staged()? {
            Staged::Blob(bytes) => Some(Manifest::parse(&bytes)?),
            _ => None,
        };
        Ok((manifest_file::required_beside_pythons()?, staged))
    };
    let (manifest, staged) = both()?;
    let named = |manifest: &Manifest| manifest.repository_id.clone();
    if named(&manifest).is_none() || staged.as_ref().is_some_and(|staged| named(staged).is_none()) {
        // A run that was stopped has named one of them: both get the same name.
        let known = |manifest: &Manifest, staged: Option<&Manifest>| named(manifest).or_else(|| staged.and_then(named));
        let Some(id) =
            known(&manifest, staged.as_ref()).map_or_else(|| choose(session, &manifest), |id| Ok(Some(id)))?
        else {
            return Ok(());
        };
        // Asking takes its time, and others may have written meanwhile.
        let _staging = Staging::begin(context)?;
        let (mut manifest, staged) = both()?;
        let id = known(&manifest, staged.as_ref()).unwrap_or(id);
        let name = |manifest: &mut Manifest| {
            manifest.format.get_or_insert(1);
            manifest.repository_id.get_or_insert_with(|| id.clone());
        };
        if let Some(mut staged) = staged {
            name(&mut staged);
            manifest_file::stage(&staged.to_bytes()?)?;
        }
        name(&mut manifest);
        manifest_file::write(&manifest)?;
    }
    let id = manifest_file::required_beside_pythons()?.repository_id;
    // Whoever migrates another clone of it knows it by this.
    session.register(id.as_deref(), origin()?.as_deref())
}

/// A new name, or the one that it has already. `None`: where another repository is registered, it is left to the
/// user.
fn choose(session: &mut Session, manifest: &Manifest) -> Result<Option<String>, CliError> {
    let store = session.transfer.store().clone();
    let registered = session.transfer.ask(|| store.registered())?;
    let Some(first) = registered.first() else { return Ok(Some(uuid::Uuid::new_v4().to_string())) };
    if registered.len() == 1 {
        // A migration of before that was not committed.
        if session.has_registered(first)? {
            return Ok(Some(first.clone()));
        }
        let id = RepositoryId::new(first)?;
        let urls = session.transfer.ask(|| store.registration(&id))?.map(|known| known.git_urls).unwrap_or_default();
        let remotes = sight::remotes()?;
        let is_ours = |url: &String| remotes.values().flatten().any(|own| sight::same_place(own, url));
        if urls.iter().any(is_ours) {
            ui::say("The store knows this repository already, from another clone: it keeps that name.");
            return Ok(Some(first.clone()));
        }
    }
    ui::say(format!("Another repository ({}) is registered in the store.", registered.join(", ")));
    ui::say(
        "  If somebody has migrated another clone of this one: take his commit instead of yours (git reset --hard, after \
         your changes are saved elsewhere; git pull).",
    );
    ui::say(format!(
        "  If they are to share the store: s3lfs init --join {} {}; cleanup then refuses to run there.",
        in_shell(&manifest.bucket_name),
        in_shell(&manifest.repo_prefix)
    ));
    Ok(None)
}

/// Where this clone pushes to, as others know it.
fn origin() -> Result<Option<String>, CliError> {
    let url = Git::new(["remote", "get-url", "--push", "origin"]).run()?;
    Ok(url.status.success().then(|| sight::known_as(&url.stdout.trim().to_str_lossy())))
}

fn in_shell(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._/-+@%,:".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}
