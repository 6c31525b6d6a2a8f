//! The tracked files, as the index and the manifest have them: what `status` and `ls` show.
//!
//! Apart because neither the worktree nor any content is looked at.

use bstr::BString;
use serde_json::{Value, json};

use crate::cli::error::CliError;
use crate::cli::manifest_file;
use crate::cli::set_up::lfs_driver;
use crate::cli::threads::joined;
use crate::cli::ui;
use crate::config::GitConfig;
use crate::git::index::{self, Entry, Filtered};
use crate::git::objects::BlobKind;
use crate::manifest::Manifest;
use crate::pointer::{Form, Pointer};
use crate::repo_path::Printable;
use crate::transfer::Item;

/// A tracked file.
pub(super) struct Tracked {
    pub(super) path: BString,
    pub(super) item: Item,
    pub(super) executable: bool,
    pub(super) manifest_only: bool,
    /// Left out of the worktree by Git's own sparse checkout.
    pub(super) left_out: bool,
    /// Git LFS's, for which s3lfs answers here.
    pub(super) form: Form,
}

/// A file of which the index has several versions, until the conflict is resolved.
pub(super) struct InConflict {
    pub(super) path: BString,
    /// Stage (1: base, 2: ours, 3: theirs) and pointer of each version that has one.
    pub(super) versions: Vec<(u8, Pointer)>,
    pub(super) form: Form,
}

/// A file of the index, and under whose filter it is.
pub(super) type Listed = (Filtered, Form);

/// All that is tracked.
#[derive(Default)]
pub(super) struct Listing {
    /// Pointer-tracked and manifest-only files, sorted by path.
    pub(super) files: Vec<Tracked>,
    /// Sorted by path.
    pub(super) in_conflict: Vec<InConflict>,
    /// Paths that hold raw content where a pointer is wanted, sorted.
    pub(super) raw: Vec<BString>,
}

impl InConflict {
    /// What the file is taken for meanwhile: ours, else theirs.
    pub(super) fn item(&self) -> Item {
        let of = |stage| self.versions.iter().find(|(version, _)| *version == stage);
        let (_, pointer) = of(2).or_else(|| of(3)).unwrap_or(&self.versions[0]);
        (*pointer).into()
    }
}

/// Whose version that is.
pub(super) fn whose(stage: u8) -> &'static str {
    match stage {
        1 => "base",
        2 => "ours",
        _ => "theirs",
    }
}

impl Listing {
    /// As the index and the manifest have it; nothing but what lies beneath `pathspecs`, if there are any.
    pub(super) fn of(listed: Vec<Listed>, manifest: Option<&Manifest>, pathspecs: &[BString]) -> Self {
        let mut files = Vec::with_capacity(listed.len());
        let (mut in_conflict, mut raw): (Vec<InConflict>, Vec<BString>) = Default::default();
        for (file, form) in listed {
            let (pointer, kind) = (file.pointer(), file.kind);
            let Entry { path, stage, executable, skip_worktree, .. } = file.entry;
            match pointer {
                Some(pointer) if stage == 0 => files.push(Tracked {
                    path,
                    item: pointer.into(),
                    executable,
                    manifest_only: false,
                    left_out: skip_worktree,
                    form,
                }),
                // Git lists the stages of a path one after the other.
                Some(pointer) => match in_conflict.last_mut().filter(|last| last.path == path) {
                    Some(last) => last.versions.push((stage, pointer)),
                    None => in_conflict.push(InConflict { path, versions: vec![(stage, pointer)], form }),
                },
                None if kind == BlobKind::Raw => raw.push(path),
                None => {}
            }
        }
        // Git lists in this order, and so it costs nothing.
        files.sort_by(|a: &Tracked, b| a.path.cmp(&b.path));
        in_conflict.sort_by(|a, b| a.path.cmp(&b.path));
        let beneath =
            |path: &str| pathspecs.is_empty() || pathspecs.iter().any(|dir| lies_beneath(path.as_bytes(), dir));
        let mut beside = Vec::new();
        for (path, oid) in manifest.into_iter().flat_map(Manifest::beside_git) {
            let in_index = files.binary_search_by(|file| file.path.as_slice().cmp(path.as_bytes())).is_ok()
                || in_conflict.binary_search_by(|file| file.path.as_slice().cmp(path.as_bytes())).is_ok();
            if beneath(path) && !in_index {
                beside.push(Tracked {
                    path: path.as_str().into(),
                    item: (*oid).into(),
                    executable: false,
                    manifest_only: true,
                    left_out: false,
                    form: Form::Ours,
                });
            }
        }
        files.append(&mut beside);
        files.sort_by(|a, b| a.path.cmp(&b.path));
        raw.sort();
        raw.dedup();
        Listing { files, in_conflict, raw }
    }

    /// How many files that are, raw ones left out.
    pub(super) fn len(&self) -> usize {
        self.files.len() + self.in_conflict.len()
    }
}

/// The index's files, and the manifest that reading goes by, read side by side: each takes a twentieth of a second
/// where there are 100,000.
pub(super) fn read(pathspecs: &[BString]) -> Result<(Vec<Listed>, Option<Manifest>), CliError> {
    let (listed, (manifest, config)) = std::thread::scope(|scope| {
        let others = scope.spawn(|| (manifest_file::for_reading(None), GitConfig::load()));
        let listed = index::filtered(pathspecs);
        (listed, joined(others))
    });
    // What the manifest has to say comes first.
    let manifest = manifest?;
    let mut listed: Vec<_> = listed?.into_iter().map(|file| (file, Form::Ours)).collect();
    if lfs_driver::answers(&config?) {
        let wanted = |path: &BString| pathspecs.is_empty() || pathspecs.iter().any(|dir| lies_beneath(path, dir));
        let theirs = index::filtered_by_lfs()?.into_iter().filter(|file| wanted(&file.entry.path));
        listed.extend(theirs.map(|file| (file, Form::Lfs)));
    }
    Ok((listed, manifest))
}

pub(super) fn lies_beneath(path: &[u8], dir: &[u8]) -> bool {
    path.strip_prefix(dir).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
}

/// A path as it is shown: with a word if it is git-lfs's.
pub(super) fn shown(path: &BString, form: Form) -> String {
    match form {
        Form::Ours => Printable(path).to_string(),
        Form::Lfs => format!("{} (git-lfs)", Printable(path)),
    }
}

/// A file, as `--json` has it.
pub(super) fn entry(file: &Tracked, states: Option<&[&str]>) -> Value {
    let value = json!({
        "oid": file.item.oid.hex(), "size": file.item.size, "manifest_only": file.manifest_only,
    });
    finished(&file.path, file.form, value, states)
}

/// As [`entry`], with all versions of a file in conflict. `more` is what is known of each of them.
pub(super) fn entry_in_conflict(
    file: &InConflict,
    states: Option<&[&str]>,
    more: impl Fn(&Pointer, &mut Value),
) -> Value {
    let item = file.item();
    let versions = file.versions.iter().map(|(stage, pointer)| {
        let mut value = json!({ "version": whose(*stage), "oid": pointer.oid.hex(), "size": pointer.size });
        more(pointer, &mut value);
        value
    });
    let value = json!({
        "oid": item.oid.hex(), "size": item.size, "manifest_only": false, "in_conflict": versions.collect::<Vec<_>>(),
    });
    finished(&file.path, file.form, value, states)
}

fn finished(path: &BString, form: Form, mut value: Value, states: Option<&[&str]>) -> Value {
    if form == Form::Lfs {
        value["filter"] = json!(form.filter());
    }
    if let Some(states) = states {
        value["states"] = json!(states);
    }
    ui::with_path(path, value)
}
