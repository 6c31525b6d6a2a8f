//! `status`: the tracked files, by what is here and what is known. No connection is opened.
//!
//! Apart from `ls` because the worktree is looked at.

use std::collections::BTreeSet;

use bstr::{BString, ByteSlice};
use clap::Args;
use serde_json::json;

use crate::cli::Global;
use crate::cli::check::beside_git::{at_odds, tell_of_lfs, tell_of_manifest_only};
use crate::cli::check::submodules::submodules;
use crate::cli::check::tracked::{InConflict, Listing, Tracked, entry, entry_in_conflict, read, shown, whose};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::manifest_file;
use crate::cli::threads::joined;
use crate::cli::tracking::bare_pointers::{self, Bare};
use crate::cli::ui;
use crate::cli::ui::colour::{Colour, paint};
use crate::config::{Acceptance, ConfigError, GitConfig, Settings};
use crate::deferred::Deferred;
use crate::git::index;
use crate::manifest::PATH;
use crate::oid::Oid;
use crate::pointer::Form;
use crate::repo_path::RepoPath;
use crate::sparse::SparseSet;
use crate::uploaded::Uploaded;
use crate::worktree::{FileState, Target, is_no_pointer, state_of};

/// Arguments of `status`.
#[derive(Args, Debug)]
pub struct Status {
    /// Paths alone, as they are, each ended by a NUL
    #[arg(short = 'z')]
    nul: bool,
}

/// Show what is not as it should be.
pub fn run(global: &Global, args: Status) -> Result<(), CliError> {
    let context = Context::open()?;
    let (listing, at_odds, settings, differing, content, bare) = std::thread::scope(|scope| {
        let bare = scope.spawn(bare_pointers::in_index);
        // Git looks at every file: the longest of all, and all that is asked of others goes on meanwhile.
        let differing = scope.spawn(|| index::changed_in_worktree(&[]));
        let (listed, manifest) = read(&[])?;
        let settings = match Settings::resolve(&global.overrides(), &GitConfig::load()?, manifest.as_ref()) {
            Ok(settings) => Some(settings),
            Err(ConfigError::NoStore) => None,
            Err(e) => return Err(e.into()),
        };
        let listing = Listing::of(listed, manifest.as_ref(), &[]);
        let at_odds = at_odds(&context, manifest.as_ref(), &listing.files)?;
        let mut browse = context.worktree.browse();
        let mut is_content = |file: &Tracked| match RepoPath::new(file.path.clone()) {
            Ok(path) if !file.manifest_only => is_no_pointer(&mut browse, &path, &file.item),
            _ => false,
        };
        let content: Vec<bool> = listing.files.iter().map(&mut is_content).collect();
        Ok::<_, CliError>((listing, at_odds, settings, joined(differing), content, joined(bare)?))
    })?;
    let total = listing.len();
    let Listing { files, in_conflict, raw } = listing;
    let uploaded = match &settings {
        Some(settings) => Some(Uploaded::open(&context.repo.state_dir(), &settings.remote, &settings.reading)?),
        None => None,
    };
    let deferred = Deferred::new(context.repo.git_dir()).list()?;
    let sparse = SparseSet::load(context.repo.git_dir())?;
    let look = Look {
        context: &context,
        differing: differing?.into_iter().collect(),
        uploaded: uploaded.as_ref(),
        deferred: &deferred,
    };
    let mut states: Vec<Result<States, CliError>> =
        files.iter().zip(content).map(|(file, content)| look.at(file, content)).collect();
    tell_of_manifest_only(&context, &files, &mut states)?;
    for (file, state) in files.iter().zip(&mut states).filter(|(file, _)| at_odds.contains(&file.path)) {
        if let (Ok(state), false) = (state, file.manifest_only) {
            state.at_odds = true;
        }
    }
    let of_lfs = tell_of_lfs(&look.differing, &files, &mut states)?;
    let conflict = manifest_file::is_unmerged()?.then(manifest_file::in_conflict);
    if global.json {
        let with_states = || files.iter().zip(&states);
        let conflict = conflict.iter().map(|e| ui::with_path(PATH.as_bytes(), json!({ "error": e.message })));
        let errors = with_states().filter_map(|(file, states)| {
            let e = states.as_ref().err()?;
            Some(ui::with_path(&file.path, json!({ "error": e.message })))
        });
        let known = with_states().filter_map(|(file, states)| Some(entry(file, Some(&states.as_ref().ok()?.words()))));
        let conflicting = in_conflict.iter().map(|file| {
            entry_in_conflict(file, Some(&[IN_CONFLICT]), |pointer, value| {
                value["here"] = json!(context.cache().contains(pointer));
                value["uploaded"] = json!(look.is_uploaded(&pointer.oid));
            })
        });
        let raw = raw.iter().map(|path| {
            ui::with_path(path, json!({ "oid": null, "size": null, "manifest_only": false, "states": [RAW] }))
        });
        let bare = bare.iter().map(|Bare { path, pointer }| {
            let (oid, size) = (pointer.oid.hex(), pointer.size);
            ui::with_path(path, json!({ "oid": oid, "size": size, "manifest_only": false, "states": [BARE] }))
        });
        return ui::answer_json("status", known.chain(conflicting).chain(raw).chain(bare), conflict.chain(errors));
    }
    let mut outside = 0;
    let mut lines = Vec::new();
    let mut named = Vec::new();
    for (file, states) in files.iter().zip(&states) {
        let words = states.as_ref().map_or_else(|_| vec!["unreadable"], States::words);
        let left_out = || sparse.as_ref().is_some_and(|set| !set.includes(file.path.as_bstr()));
        if words == [POINTER_ONLY] && left_out() {
            outside += 1;
        } else if !words.is_empty() {
            lines.push(line(&words.join(", "), &shown(&file.path, file.form)));
            named.push(&file.path);
        }
    }
    for file in &in_conflict {
        lines.push(line(IN_CONFLICT, &shown(&file.path, file.form)));
        lines.push(format!("    {}", look.versions(file)));
        named.push(&file.path);
    }
    for path in &raw {
        lines.push(line(RAW, &shown(path, Form::Ours)));
        named.push(path);
    }
    for Bare { path, .. } in &bare {
        lines.push(line(BARE, &shown(path, Form::Ours)));
        named.push(path);
    }
    if args.nul {
        return ui::answer_nul_ended(named.into_iter());
    }
    let store = settings.map_or("no store is set ('s3lfs init')".to_owned(), |settings| {
        let accepted = match settings.acceptance {
            Acceptance::Accepted => "",
            Acceptance::ForReading => " (only read: s3lfs.readstore)",
            Acceptance::NotItsEncryption => " (its encryption is not accepted: 's3lfs trust')",
            Acceptance::NotAccepted => " (not accepted: 's3lfs trust')",
        };
        format!("store {}{accepted}", settings.remote)
    });
    let mut text = String::new();
    if let Some(error) = &conflict {
        text.push_str(&format!("{}\n", paint(error.message.clone(), Colour::Bad)));
        error.hints.iter().for_each(|hint| text.push_str(&format!("  {hint}\n")));
    }
    text.push_str(&format!("{}, {store}\n", ui::count(total, "tracked file")));
    let submodules = submodules()?;
    if !submodules.is_empty() {
        let (names, first) = (submodules.join(", "), &submodules[0]);
        text.push_str(&format!("submodules that use s3lfs by themselves: {names} (s3lfs -C {first} status)\n"));
    }
    if outside > 0 {
        let files = ui::count(outside, "file");
        text.push_str(&format!("{files} outside the sparse set left as pointers ('s3lfs sparse-checkout --list')\n"));
    }
    if lines.is_empty() && conflict.is_none() {
        text.push_str("nothing to do\n");
    }
    lines.iter().for_each(|line| text.push_str(&format!("{line}\n")));
    if lines.iter().any(|line| line.contains(NOT_UPLOADED)) {
        text.push_str(&format!(
            "'{NOT_UPLOADED}' by the records of this clone: 's3lfs verify' asks the store; a push sends what it pushes, \
             and 's3lfs verify --deep --fix' the rest\n"
        ));
    }
    if of_lfs {
        text.push_str(&format!("Git shows '{OF_LFS}' as modified, and nothing is: git add --renormalize <file>\n"));
    }
    ui::answer(text.as_bytes())
}

/// States, as words, and whose they are.
fn line(words: &str, path: &str) -> String {
    let colour = match words {
        POINTER_ONLY | DEFERRED => Colour::Known,
        NOT_UPLOADED | OF_LFS => Colour::Look,
        _ => Colour::Bad,
    };
    format!("  {}{path}", paint(format!("{words:<27} "), colour))
}

/// The file is here as a pointer, since its content is too large for Git to pass through.
const DEFERRED: &str = "deferred";

/// No record says that its content is in the store.
const NOT_UPLOADED: &str = "not uploaded";
/// The file is here with other content.
pub(super) const MODIFIED: &str = "modified";

/// The file is here as a pointer.
const POINTER_ONLY: &str = "pointer only";

/// A path has content in Git where a pointer is wanted.
const RAW: &str = "raw in Git";

/// The file is as it should be, and Git would have another pointer for it: one of git-lfs stands in the index, as in a
/// version from before the migration.
pub(super) const OF_LFS: &str = "pointer of git-lfs";

/// Git has several versions of it.
const IN_CONFLICT: &str = "in conflict";

/// A path has a pointer in Git, and no attribute turns it into content.
pub(super) const BARE: &str = "pointer, not tracked";

/// The manifest lists it beside Git, with other content than the pointer names.
const AT_ODDS: &str = "manifest disagrees";

/// What is not as it should be with one file. No list: there may be 100,000 of them.
pub(super) struct States {
    pub(super) here: Option<&'static str>,
    uploaded: bool,
    at_odds: bool,
}

impl States {
    /// In words; none if all is well.
    fn words(&self) -> Vec<&'static str> {
        let uploaded = (!self.uploaded).then_some(NOT_UPLOADED);
        self.here.into_iter().chain(uploaded).chain(self.at_odds.then_some(AT_ODDS)).collect()
    }
}

/// What a file is judged by.
struct Look<'a> {
    context: &'a Context,
    /// Git says that they differ from the index.
    differing: BTreeSet<BString>,
    uploaded: Option<&'a Uploaded>,
    deferred: &'a BTreeSet<BString>,
}

impl Look<'_> {
    /// `is_content`: no pointer stands there.
    fn at(&self, file: &Tracked, is_content: bool) -> Result<States, CliError> {
        let differs = self.differing.contains(&file.path);
        let state = if is_content && !differs { FileState::Present } else { self.state_of(file, differs)? };
        let here = match state {
            FileState::Missing if file.left_out => None,
            FileState::Missing => Some("missing"),
            FileState::PointerOnly if self.deferred.contains(&file.path) => Some(DEFERRED),
            FileState::PointerOnly => Some(POINTER_ONLY),
            FileState::Changed => Some(MODIFIED),
            FileState::Present => None,
        };
        let uploaded = self.is_uploaded(&file.item.oid) || !self.is_held(file, state);
        Ok(States { here, uploaded, at_odds: false })
    }

    /// Which versions Git has of a file in conflict, and where their content is.
    fn versions(&self, file: &InConflict) -> String {
        let sides = file.versions.iter().filter(|(stage, _)| *stage > 1).map(|(stage, pointer)| {
            let place = match (self.context.cache().contains(pointer), self.is_uploaded(&pointer.oid)) {
                (true, _) => "here",
                (false, true) => "in the store",
                (false, false) => "not here",
            };
            format!("{} {} ({place})", whose(*stage), pointer.oid.short())
        });
        let sides: Vec<String> = sides.collect();
        match (sides.as_slice(), file.versions.first()) {
            // Both sides renamed it, or one did and the other deleted it.
            ([], Some((_, base))) => {
                format!("base {}, which neither side has under this name any more", base.oid.short())
            }
            _ => sides.join(", "),
        }
    }

    fn state_of(&self, file: &Tracked, differs: bool) -> Result<FileState, CliError> {
        let path = RepoPath::new(file.path.clone())?;
        let target = Target { path, item: file.item, executable: file.executable, tracked: !file.manifest_only };
        Ok(state_of(&self.context.worktree, &target, differs)?)
    }

    /// By the local record; the empty content needs no object.
    fn is_uploaded(&self, oid: &Oid) -> bool {
        self.uploaded.is_some_and(|uploaded| uploaded.has(oid)) || *oid == Oid::of(b"")
    }

    /// What is neither here nor recorded came from others, who have it in the store; so is what only a
    /// shared cache has.
    fn is_held(&self, file: &Tracked, state: FileState) -> bool {
        let cache = self.context.cache();
        cache.find_own(&file.item.oid, file.item.size).is_some()
            || state == FileState::Present && cache.find(&file.item.oid, file.item.size).is_none()
    }
}
