//! `verify --fix`: whole copies for what the store lacks or holds damaged.
//!
//! Apart from `verify`, which only looks. A copy comes from the cache, from the file in the worktree or
//! from a reading store; each is hashed on its way, so that nothing that was not checked ever takes
//! an object's place. What is in the store is written over only after `verify` found it damaged.

use std::collections::BTreeMap;

use crate::cache::Health;
use crate::cli::check::names::{Group, Places};
use crate::cli::context::Context;
use crate::cli::error::{CliError, one_line};
use crate::cli::manifest_file;
use crate::cli::session::Session;
use crate::cli::tracking::uploads::{Way, note};
use crate::cli::ui::progress;
use crate::config::Settings;
use crate::filter::clean::clean;
use crate::oid::Oid;
use crate::pointer::Form;
use crate::repo_path::RepoPath;
use crate::transfer::{Item, Job, Moved, Patience};
use crate::worktree::{open, present_oid};

/// One who mends.
pub struct Mender<'a> {
    context: &'a Context,
    session: Session,
}

impl<'a> Mender<'a> {
    /// With the store at hand.
    pub fn open(context: &'a Context, settings: &'a Settings) -> Result<Self, CliError> {
        let manifest = manifest_file::for_reading(None)?;
        let mut session = Session::open(context, settings, Patience::Long)?;
        session.register(manifest.as_ref().and_then(|manifest| manifest.repository_id.as_deref()), None)?;
        Ok(Mender { context, session })
    }

    /// Look for a whole copy of this content here: if the cache has none, in the files that it is named by.
    pub fn find(&self, group: &Group, places: &mut Places) -> Result<(), CliError> {
        let (cache, oid) = (self.context.cache(), group.item.oid);
        if matches!(cache.examine(&oid), Ok(Health::Damaged)) {
            cache.set_aside(&oid)?;
        }
        if self.context.repo.worktree().is_none() {
            return Ok(());
        }
        // A file that was never changed since still has the content.
        group.each_name(places, |name| {
            // What no worktree can have, or what can't be read, is no help.
            let Ok(path) = RepoPath::new(name.path.clone()) else { return Ok(()) };
            if cache.find(&oid, None).is_none()
                && matches!(present_oid(&self.context.worktree, &path), Ok(Some(present)) if present == oid)
            {
                clean(&mut open(&self.context.worktree, &path)?, &cache, Form::Ours)?;
            }
            Ok(())
        })
    }

    /// Write `items` into the store: those that could not be, and why.
    pub fn write(&mut self, items: &[Item]) -> Result<BTreeMap<Item, String>, CliError> {
        let session = &mut self.session;
        let report = progress::run(&mut session.transfer, "Uploading", items.iter().copied().map(Job::Renew));
        let done: Vec<(Oid, Moved)> = report.done.iter().map(|(item, moved)| (item.oid, *moved)).collect();
        note(&mut session.uploaded, &done, Way::Up)?;
        session.share();
        Ok(report.failed.into_iter().map(|(item, e)| (item, one_line(e))).collect())
    }
}
