//! `cleanup`: delete from the store what nothing names any more (design.md, section 6).
//!
//! Apart in a folder of its own because it is the one command that deletes. Read top down: what must
//! be so, what is garbage (`survey`), what the user is shown, what goes (`sweep`). Whatever is unsure
//! ends it before the first deletion.

pub mod age;
mod announced;
mod garbage;
pub mod purge;
pub mod reachable;
pub mod sight;
mod survey;
mod sweep;

use std::collections::BTreeSet;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use crate::believed::BELIEVED;
use crate::cli::Global;
use crate::cli::cleanup::reachable::Reachable;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::manifest_file;
use crate::cli::session::{Session, settings};
use crate::cli::ui;
use crate::config::GitConfig;
use crate::store::key::RepositoryId;
use crate::store::registration::Registration;
use crate::transfer::Patience;
use garbage::Garbage;
use sight::Scope;
use survey::{PythonLayout, Survey};
use sweep::{Owner, Swept};

/// How old garbage must be where no registration says otherwise.
const KEEP_NEWER: Duration = Duration::from_secs(14 * DAY.as_secs());

const DAY: Duration = Duration::from_secs(24 * 3600);

/// An upload record is believed for so long, and what it rests on may be as old; a day for clocks that differ.
const SAFE: Duration = Duration::from_secs(2 * BELIEVED.as_secs() + DAY.as_secs());

/// Arguments of `cleanup`.
#[derive(Args, Debug)]
pub struct Cleanup {
    /// Delete without asking; also allows what is risky
    #[arg(long)]
    force: bool,
    /// Delete and mark nothing; show what would go
    #[arg(long)]
    dry_run: bool,
    /// Spare what is younger, like 14d or 12h (less than the registration says wants --force)
    #[arg(long, value_name = "AGE", value_parser = age::parse)]
    keep_newer: Option<Duration>,
    /// Fetch what the remotes have and this clone has not, into refs of its own
    #[arg(long)]
    fetch: bool,
    /// Ask no remote: only what this clone knows is spared (wants --force)
    #[arg(long, conflicts_with = "fetch")]
    local_refs_only: bool,
    /// Delete garbage in the layout of the Python s3lfs too: only if no other repository uses that tool in
    /// this prefix, since nothing tells whose it is
    #[arg(long)]
    python_layout: bool,
}

impl Cleanup {
    fn scope(&self) -> Result<Scope, CliError> {
        match (self.local_refs_only, self.force) {
            (true, true) => Ok(Scope::LocalOnly),
            (true, false) => Err(CliError::user("--local-refs-only deletes what only others still need")
                .hint("if this clone has every branch that anybody needs, say --force too")),
            (false, _) => Ok(if self.fetch { Scope::Fetch } else { Scope::Everybody }),
        }
    }

    /// How old garbage must be.
    fn floor(&self, registration: Option<&Registration>) -> Result<Duration, CliError> {
        let registered = match registration {
            Some(registration) => age::parse(&registration.keep_newer)
                .map_err(|why| CliError::user(format!("keep_newer in the registration: {why}")))?,
            None => KEEP_NEWER,
        };
        match self.keep_newer {
            Some(wanted) if wanted < registered && !self.force => {
                let (wanted, registered) = (age::show(wanted), age::show(registered));
                Err(CliError::user(format!("--keep-newer {wanted} is less than the {registered} of this repository"))
                    .hint("it may delete what somebody has uploaded and not pushed yet; to do so all the same, say --force"))
            }
            wanted => Ok(wanted.unwrap_or(registered)),
        }
    }
}

/// Find what is unreachable, mark it, and delete what has been so for long enough.
pub fn run(global: &Global, args: Cleanup) -> Result<(), CliError> {
    let scope = args.scope()?;
    let context = Context::open()?;
    let manifest = manifest_file::for_reading(None)?;
    let settings = settings(global, &GitConfig::load()?, manifest.as_ref())?;
    crate::cli::cleanup::reachable::require_whole_history()?;
    let mut session = Session::open(&context, &settings, Patience::Long)?;
    let repository_id = manifest.as_ref().and_then(|manifest| manifest.repository_id.as_deref());
    let registration = sight::require_alone(&mut session.transfer, repository_id)?;
    // To find nothing to delete in an empty place would sound as if all were well.
    if let (None, Some(id), true) = (&registration, repository_id, session.transfer.store().is_bare()) {
        session.require_registered(&RepositoryId::new(id)?)?;
    }
    let floor = args.floor(registration.as_ref())?;
    if floor < SAFE && !args.dry_run {
        ui::warn(format!(
            "warning: {} is less than {}: a push that goes by a proof of the last days may publish what is deleted now",
            age::show(floor),
            age::show(SAFE)
        ));
    }
    if registration.is_none() {
        ui::warn(format!(
            "warning: no repository is registered in {}: nobody can tell whether another one uses it, too",
            settings.remote
        ));
    }
    let urls = registration.as_ref().map_or_else(BTreeSet::new, |registration| registration.git_urls.clone());
    let tips = sight::everybody(scope, &urls)?;
    let reachable = Reachable::of(&context.repo, &tips)?;
    // Where nobody is registered, the prefix is the Python tool's, and that was said above (design.md, section 6).
    let python = if args.python_layout || registration.is_none() { PythonLayout::Delete } else { PythonLayout::Keep };
    let mut survey = Survey::take(&mut session.transfer, &reachable, floor, python)?;
    tell_held(&survey);
    if args.dry_run {
        let would = Swept { aborted: survey.abandoned.clone(), ..Swept::default() };
        return report(global, &survey, &would, Mode::DryRun, Vec::new());
    }
    // A full store must not keep us from making room: what can't be marked is not deleted (`sweep` looks
    // at the marks in the store), and the run fails in the end.
    let unmarked = survey.mark(&mut session.transfer).err();
    match unmarked {
        Some(e) if !survey.has_work() => return Err(e),
        None if !survey.has_work() => return report(global, &survey, &Swept::default(), Mode::Done, Vec::new()),
        _ => {}
    }
    if !global.json {
        list(&survey, survey.old(), "To be deleted")?;
    }
    agreed(&args, &survey, &settings.remote.to_string())?;
    // The listing may have taken minutes, and the user hours: somebody may have pushed or committed.
    let tips = sight::everybody(scope, &urls)?;
    let spared = survey.spare(&Reachable::of(&context.repo, &tips)?);
    // Nobody may believe any more that this is there.
    session.uploaded.forget(|oid| survey.has_old(oid))?;
    let owner = Owner { repository_id, registration: registration.as_ref() };
    let mut swept = sweep::sweep(&mut session.transfer, &owner, &survey)?;
    swept.spared.extend(spared);
    if let Err(e) = survey.take_marks_back(&mut session.transfer, &swept.kept) {
        ui::warn(format!("warning: marks of what was deleted are still there: {}", e.message));
    }
    let failed = swept.failed.len();
    let errors = swept.failed.iter().map(|(key, why)| json!({ "key": key, "error": why })).collect();
    for (key, why) in &swept.failed {
        ui::warn(format!("{key} was not deleted: {why}"));
    }
    ui::say(swept.summary());
    if global.json {
        survey.leave(&swept.kept);
        report(global, &survey, &swept, Mode::Done, errors)?;
    }
    if let Some(e) = unmarked {
        let error = CliError::partial(format!("the marks of what was found today could not be kept: {}", e.message));
        return Err(error.hint("run cleanup again when there is room: until then the age of that does not count"));
    }
    if failed > 0 {
        let untried = match swept.untried {
            0 => String::new(),
            n => format!(", and after that {} more not tried", ui::count(n, "object")),
        };
        let message = format!("{} could not be deleted{untried}", ui::count(failed, "object"));
        return Err(CliError::partial(message).hint("run cleanup again when what stood in the way is mended"));
    }
    Ok(())
}

/// Whose it is that is kept, nobody can tell.
fn tell_held(survey: &Survey) {
    let (count, bytes) = survey.held().fold((0, 0), |(count, bytes), held| (count + 1, bytes + held.len));
    if count > 0 {
        ui::warn(format!(
            "warning: {} ({}) in the layout of the Python s3lfs, which nothing here names, may belong to another \
             repository: that tool registers nowhere, so they are kept; if no other repository uses it in this \
             prefix, say --python-layout",
            ui::count(count, "object"),
            ui::bytes(bytes)
        ));
    }
}

/// The user's word, or `--force`.
fn agreed(args: &Cleanup, survey: &Survey, store: &str) -> Result<(), CliError> {
    if args.force {
        return Ok(());
    }
    let question = format!("Delete {} from {store}? There is no way back.", survey.work());
    match ui::ask(&question) {
        Some(true) => Ok(()),
        Some(false) => Err(CliError::user("nothing was deleted")),
        None => Err(CliError::user("nothing was deleted: there is no terminal to ask on")
            .hint("look at the list with --dry-run; to delete without being asked, say --force")),
    }
}

/// Whether what is reported has happened.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    DryRun,
    Done,
}

impl Mode {
    /// For what goes, and for uploads.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Mode::DryRun => ("would be deleted", "would be aborted"),
            Mode::Done => ("deleted", "aborted"),
        }
    }
}

/// What goes, and apart from it what is still too young.
fn report(global: &Global, survey: &Survey, swept: &Swept, mode: Mode, errors: Vec<Value>) -> Result<(), CliError> {
    if global.json {
        let (deleted, aborted) = mode.words();
        let item = |garbage: &Garbage, state: &str| {
            json!({
                "oid": garbage.oid().hex(), "key": survey.key(garbage), "size": garbage.len,
                "age": survey.age(garbage).as_secs(), "state": state,
            })
        };
        let gone = survey.old().map(|garbage| item(garbage, deleted));
        let young = survey.young().map(|garbage| item(garbage, "too young"));
        let spared = swept.spared.iter().map(|garbage| item(garbage, "spared"));
        let unmarked = swept.unmarked.iter().map(|garbage| item(garbage, "not marked"));
        let held = survey.held().map(|garbage| item(garbage, "kept"));
        let aborted = swept.aborted.iter().map(|upload| {
            let age = survey.now.since(upload.begun.into());
            json!({
                "oid": null, "key": upload.key.to_string(), "size": null, "age": age.as_secs(), "state": aborted,
            })
        });
        let items = gone.chain(young).chain(held).chain(spared).chain(unmarked).chain(aborted);
        return ui::answer_json("cleanup", items, errors);
    }
    let (has_old, has_young) = (survey.old().next().is_some(), survey.young().next().is_some());
    if has_old {
        list(survey, survey.old(), "Would be deleted")?;
    }
    if has_young {
        list(survey, survey.young(), &format!("Unreachable, but younger than {}", age::show(survey.floor)))?;
    }
    let aborts = !survey.abandoned.is_empty() && mode == Mode::DryRun;
    if aborts {
        let count = ui::count(survey.abandoned.len(), "unfinished upload");
        ui::answer(format!("Would be aborted: {count}\n").as_bytes())?;
    }
    if !has_old && !has_young && !aborts {
        ui::answer(b"nothing to delete\n")?;
    }
    Ok(())
}

/// What is written to the terminal at a time.
const PIECE: usize = 64 << 10;

/// A line an object: full oid, size, age. Written in pieces, since there may be a million.
fn list<'a>(survey: &Survey, garbage: impl Iterator<Item = &'a Garbage>, title: &str) -> Result<(), CliError> {
    let mut text = format!("{title}:\n");
    let (mut count, mut bytes) = (0, 0);
    for one in garbage {
        let (size, age) = (ui::bytes(one.len), age::show(survey.age(one)));
        text.push_str(&format!("  {} {size:>10} {age:>5}\n", one.oid()));
        count += 1;
        bytes += one.len;
        if text.len() > PIECE {
            ui::answer(text.as_bytes())?;
            text.clear();
        }
    }
    text.push_str(&format!("  total: {}, {}\n", ui::count(count, "object"), ui::bytes(bytes)));
    ui::answer(text.as_bytes())
}
