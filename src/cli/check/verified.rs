//! What `verify` tells of what it found.
//!
//! Apart from looking. The lists are gone through once for each thing that is told, since they lie on the disk.

use serde_json::{Value, json};

use crate::cli::Global;
use crate::cli::check::findings::{Findings, State, wrong_size};
use crate::cli::check::names::{Group, Name, Names, Places};
use crate::cli::check::status::BARE;
use crate::cli::error::{CliError, MEND_POINTER};
use crate::cli::ui;
use crate::repo_path::Printable;
use crate::store::Store;
use crate::transfer::Item;

/// Content that is named, and what is wrong with it.
pub struct Verified {
    /// All of it.
    pub names: Names,
    /// Of what is not well. It may hold more than is named.
    pub findings: Findings,
}

/// How many objects there are, and in which state. What is named with its size by a pointer and without one by a manifest
/// is one object.
#[derive(Default)]
pub struct Counts {
    objects: usize,
    /// What something was said of.
    pub findings: usize,
    /// What the store does not give back.
    pub broken: usize,
    elsewhere: usize,
    mended: usize,
    missing: usize,
    damaged: usize,
    unknown: usize,
    wrong_size: usize,
    /// `--fix` could not mend something that is missing.
    tried: bool,
}

impl Verified {
    /// Show all content in its order, and what is wrong with it.
    pub fn each(
        &mut self,
        mut see: impl FnMut(&Group, Option<&State>, &mut Places) -> Result<(), CliError>,
    ) -> Result<(), CliError> {
        let mut found = self.findings.read()?;
        self.names.each(|group, places| see(group, found.of(&group.item)?.as_ref(), places))
    }

    /// Count it.
    pub fn count(&mut self) -> Result<Counts, CliError> {
        let mut counts = Counts::default();
        let mut before = None;
        // In which states the last object was found already: it may have several sizes.
        let mut said: Vec<&str> = Vec::new();
        self.each(|group, state, _| {
            if before.replace(group.item.oid) != Some(group.item.oid) {
                counts.objects += 1;
                said.clear();
            }
            let Some(state) = state else { return Ok(()) };
            counts.tried |= matches!(state, State::Missing(Some(_)));
            if said.contains(&state.word()) {
                return Ok(());
            }
            said.push(state.word());
            counts.findings += 1;
            counts.broken += usize::from(state.is_broken());
            *match state {
                State::Elsewhere => &mut counts.elsewhere,
                State::Missing(_) => &mut counts.missing,
                State::Damaged(_) => &mut counts.damaged,
                State::WrongSize(_) => &mut counts.wrong_size,
                State::Unknown(_) => &mut counts.unknown,
                State::Mended => &mut counts.mended,
            } += 1;
            Ok(())
        })?;
        Ok(counts)
    }

    /// Tell of each.
    pub fn report(&mut self, global: &Global, store: &Store) -> Result<(), CliError> {
        if global.json {
            return ui::answer_json_by("verify", |list, put| {
                self.each(|group, state, places| {
                    let word = state.map_or("ok", State::word);
                    if list == ui::List::Items {
                        if !group.is_named() {
                            put(entry(store, &group.item, None, word))?;
                        }
                        return group.each_name(places, |name| put(entry(store, &group.item, Some(name), word)));
                    }
                    let Some(state) = state.filter(|state| state.is_fault()) else { return Ok(()) };
                    group.each_name(places, |name| {
                        let mut error = entry(store, &group.item, Some(name), word);
                        error["error"] = state.why().into();
                        put(error)
                    })
                })?;
                if list == ui::List::Errors {
                    return Ok(());
                }
                self.names.each_bare(|item, name| put(entry(store, &item, Some(name), BARE)).map(|()| true))
            });
        }
        let bare = ui::count(self.names.bare_count(), "pointer");
        self.names.each_bare(|_, first| {
            ui::warn(format!(
                "warning: {bare} under no pattern not looked at, since nothing turns them into content (the first: {})",
                Printable(&first.path)
            ));
            Ok(false)
        })?;
        self.each(|group, state, places| {
            let Some(state) = state.filter(|state| state.is_fault()) else { return Ok(()) };
            let key = store.key(&group.item.oid);
            group.each_name(places, |name| {
                ui::warn(line(key.as_ref(), &group.item, name, state));
                Ok(())
            })
        })
    }
}

impl Counts {
    /// What came of it in all.
    pub fn judge(&self, store: &Store) -> Result<(), CliError> {
        let (store, objects) = (store.remote(), self.objects);
        if self.elsewhere > 0 {
            ui::say(format!("{} only in a reading store (s3lfs.readstore)", ui::count(self.elsewhere, "object")));
        }
        if self.mended > 0 {
            ui::say(format!("{} mended in {store}", ui::count(self.mended, "object")));
        }
        let Counts { missing, damaged, unknown, wrong_size, .. } = self;
        if missing + damaged + unknown + wrong_size == 0 {
            let here = ui::count(objects - self.elsewhere, "object");
            let all = if self.elsewhere == 0 { "all in" } else { "in" };
            ui::say(format!("{here} named, {all} {store}"));
            return Ok(());
        }
        let mut parts = vec![format!("{missing} of {} missing", ui::count(objects, "named object"))];
        parts.extend((*wrong_size > 0).then(|| format!("{wrong_size} under a pointer with a wrong size")));
        parts.extend((*damaged > 0).then(|| format!("{damaged} damaged")));
        parts.extend((*unknown > 0).then(|| format!("{unknown} could not be looked at")));
        let error = CliError::partial(format!("{store}: {}", parts.join(", ")));
        let error = if *wrong_size == 0 { error } else { error.hint(MEND_POINTER) };
        Err(match missing + damaged {
            0 if *unknown == 0 => error,
            0 => error.hint("run the command again when the cause is mended"),
            _ if self.tried => error.hint(
                "run it again when the cause is mended, or in a clone that has the content, in its cache or its worktree",
            ),
            _ => error.hint("in a clone that has the content, in its cache or its worktree: 's3lfs verify --deep --fix', with the --all or the commit that was said here"),
        })
    }
}

fn entry(store: &Store, item: &Item, name: Option<&Name>, state: &str) -> Value {
    let item = json!({
        "path": null,
        "commit": name.and_then(|name| name.commit.as_ref()).map(ToString::to_string),
        "oid": item.oid.hex(),
        "size": item.size,
        "key": store.key(&item.oid).to_string(),
        "state": state,
    });
    match name {
        Some(name) => ui::with_path(&name.path, item),
        None => item,
    }
}

fn line(key: &str, item: &Item, name: &Name, state: &State) -> String {
    let commit = name.commit.as_ref().map_or(String::new(), |commit| format!(", commit {commit}"));
    let (path, oid) = (Printable(&name.path), item.oid);
    match state {
        State::Missing(None) | State::Elsewhere => {
            format!("missing: {path} (oid {oid}{commit}): there is no object {key}")
        }
        State::Missing(Some(why)) => format!(
            "missing: {path} (oid {oid}{commit}): there is no object {key}; it can't be mended from here: {why}"
        ),
        State::WrongSize(size) => {
            let named = item.size.map_or(String::new(), |size| format!(" {size} bytes"));
            format!("wrong size: {path} (oid {oid}{commit}): the pointer names{named}, but {}", wrong_size(*size))
        }
        State::Damaged(why) => format!("damaged: {path} (oid {oid}{commit}): {why}"),
        State::Unknown(why) => format!("not looked at: {path} (oid {oid}{commit}): {why}"),
        State::Mended => format!("mended: {path} (oid {oid}{commit})"),
    }
}
