//! Paths at which the manifest and Git's pointer name different contents, and nobody has said which is right: one
//! side of a merge had let Git track a manifest-only file (`migrate`), while the other recorded a new version of it.
//!
//! Apart because everywhere else the manifest just follows the pointers; here that would lose a version without a word.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use bstr::{BString, ByteSlice};

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::ui;
use crate::git::batch::Batch;
use crate::git::objects;
use crate::manifest::{Manifest, PATH, only};
use crate::oid::Oid;
use crate::repo_path::Printable;

/// Such paths.
#[derive(Debug, Default)]
pub struct AtOdds {
    /// What the manifest names, and what the pointer does.
    pub paths: BTreeMap<String, (Oid, Oid)>,
    /// A merge, rebase or pick is going on, whose result is about to be committed.
    pub merging: bool,
}

/// What an operation that is going on brings (gitrevisions(7)).
const BROUGHT: [&str; 4] = ["MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "REBASE_HEAD"];

impl AtOdds {
    /// Look for them in `manifest`; `pointer` tells what the index has at a path.
    ///
    /// A file that Git did not have before, and has now, was given to Git by the user: then the pointer is right. But in
    /// a merge it may come from one side, and what the other side recorded beside Git is as good.
    pub fn find(
        context: &Context,
        manifest: &Manifest,
        pointer: impl Fn(&str) -> Option<Oid>,
    ) -> Result<Self, CliError> {
        let mut found = AtOdds::default();
        // The Python tool's lists nothing.
        if manifest.manifest_only.is_none() {
            return Ok(found);
        }
        let brought = brought(context)?;
        found.merging = !brought.is_empty();
        let mut head = None;
        for (path, oid) in manifest.beside_git() {
            let Some(other) = pointer(path).filter(|other| other != oid) else { continue };
            if found.merging || in_head(&mut head, path)?.is_some_and(|before| before != *oid) {
                found.paths.insert(path.clone(), (*oid, other));
            }
        }
        if found.merging {
            for commit in brought.iter().map(|id| id.as_bstr()).chain(["HEAD".into()]) {
                let blob = objects::read([commit.as_bytes(), b":", PATH.as_bytes()].concat().as_bstr())?;
                let side = blob.filter(|blob| !only::has_none(blob)).and_then(|blob| Manifest::parse(&blob).ok());
                for (path, oid) in
                    side.iter().filter(|side| side.manifest_only.is_some()).flat_map(Manifest::beside_git)
                {
                    // Whoever resolved the conflict by hand need not have listed it.
                    let chosen = manifest.files.get(path) == Some(oid);
                    if let Some(other) = pointer(path).filter(|other| chosen && other != oid) {
                        found.paths.insert(path.clone(), (*oid, other));
                    }
                }
            }
        }
        Ok(found)
    }

    /// The names alone, but for those that the user decides by naming them.
    pub fn names(self, decided: &BTreeSet<String>) -> BTreeSet<String> {
        self.paths.into_keys().filter(|path| !decided.contains(path)).collect()
    }

    /// Each path in words.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        let line = |(path, (recorded, pointer)): (&String, &(Oid, Oid))| {
            format!("{}: {}", Printable(path.as_bytes()), why(recorded, pointer))
        };
        self.paths.iter().map(line)
    }

    /// Name them. The error says that they are still to be decided, and how.
    pub fn tell(&self, context: &Context) -> Option<CliError> {
        let first = self.paths.keys().next()?;
        let severity = if self.merging { "" } else { "warning: " };
        self.lines().for_each(|line| ui::warn(format!("{severity}{line}")));
        let files = ui::count(self.paths.len(), "file");
        let error = match self.merging {
            true => CliError::user(format!("{files} to be decided before this can be committed")),
            false => CliError::partial(format!("{files} to be decided: the manifest and Git disagree")),
        };
        let first = first.as_bytes().as_bstr();
        let hints = match self.paths.len() {
            1 => hints(&context.argument(first), &context.pathspec(first)),
            _ => hints("<file>", "<file>"),
        };
        Some(hints.into_iter().fold(error, CliError::hint))
    }
}

/// What is said of one.
pub fn why(recorded: &Oid, pointer: &Oid) -> String {
    format!("the manifest names another content ({recorded}) than the pointer in Git ({pointer}); both are kept")
}

/// The commands that decide for one side; `file` as an argument of ours, `spec` as one of Git's.
pub fn hints(file: &str, spec: &str) -> [String; 2] {
    [
        format!("for the pointer's content: git checkout -- {spec} && s3lfs upload {file}"),
        format!("for the manifest's: s3lfs download --from-manifest {file} && s3lfs upload {file}"),
    ]
}

/// The commits that are being brought to HEAD.
fn brought(context: &Context) -> Result<Vec<BString>, CliError> {
    let mut ids = Vec::new();
    let dir = context.repo.git_dir();
    let rebasing = dir.join("rebase-merge").exists() || dir.join("rebase-apply").exists();
    // Git leaves that one behind when the rebase is over.
    for name in BROUGHT.iter().filter(|name| rebasing || **name != "REBASE_HEAD") {
        // Not there, as a rule. Of what can't be read, Git will speak itself.
        let Ok(text) = fs::read(dir.join(name)) else { continue };
        let is_id = |word: &&[u8]| word.len() >= 40 && word.iter().all(u8::is_ascii_hexdigit);
        ids.extend(text.fields().filter(is_id).map(BString::from));
    }
    Ok(ids)
}

/// The pointer that HEAD has at a path.
fn in_head(head: &mut Option<Batch>, path: &str) -> Result<Option<Oid>, CliError> {
    let head = match head {
        Some(head) => head,
        None => head.insert(Batch::start()?),
    };
    Ok(head.pointer([b"HEAD:", path.as_bytes()].concat().as_bstr()).map(|pointer| pointer.oid))
}
