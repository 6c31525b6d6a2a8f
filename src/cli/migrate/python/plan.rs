//! Which files are migrated, and what stands at each path now.
//!
//! Apart because it only looks: `--dry-run` ends after it.

use std::collections::{BTreeMap, BTreeSet};

use bstr::{BStr, BString, ByteSlice};

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::manifest_file;
use crate::cli::out_of_date::{self, Depth, out_of_date};
use crate::cli::tracking::manifest_only::{CHANGED_TWICE, PRIVATE, is_changed_there, vouched};
use crate::error::chain;
use crate::fs::PathError;
use crate::git::objects::BlobKind;
use crate::git::{Git, index};
use crate::manifest::Manifest;
use crate::oid::Oid;
use crate::repo_path::{Printable, RepoPath};
use crate::worktree::{FileState, Target, present_oid, state_of};

/// What stands in the worktree.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Here {
    /// The content that the manifest names.
    Content,
    /// A pointer to it, or nothing: there will be a pointer.
    Pointer,
    /// Something else: it is kept, as a change that is not staged.
    Modified,
    /// Nothing, since Git's sparse checkout leaves it out.
    LeftOut,
}

impl Here {
    /// For `--json`, and for people.
    pub fn name(self) -> &'static str {
        match self {
            Here::Content => "content",
            Here::Pointer => "pointer",
            Here::Modified => "modified",
            Here::LeftOut => "left out",
        }
    }
}

/// A file that only the manifest names.
#[derive(Clone, Debug)]
pub struct File {
    /// Where.
    pub path: RepoPath,
    /// What.
    pub oid: Oid,
    /// What stands there.
    pub here: Here,
    /// Its mode in the worktree, as far as Git looks at it.
    pub executable: bool,
}

/// All of them.
#[derive(Debug, Default)]
pub struct Plan {
    /// By oid, so that equal content is handled once.
    pub files: Vec<File>,
    /// Paths that can't be migrated, and why.
    pub failed: Vec<(String, String)>,
}

impl Plan {
    /// Look at every file that only `manifest` names.
    pub fn new(context: &Context, manifest: &Manifest) -> Result<Self, CliError> {
        let tracked: BTreeMap<BString, BlobKind> =
            index::filtered(&[])?.into_iter().map(|file| (file.entry.path, file.kind)).collect();
        let taken: BTreeSet<BString> = index::entries(&[])?.into_iter().map(|entry| entry.path).collect();
        let mut plan = Plan::default();
        let mut wanted = Vec::new();
        for (path, oid) in &manifest.files {
            let bytes = path.as_bytes().as_bstr();
            // Of the Python tool's manifest, what the index has was never in its care.
            let only = manifest.manifest_only.is_none() && !taken.contains(bytes) || manifest.is_manifest_only(path);
            if !only || matches!(tracked.get(bytes), Some(BlobKind::Pointer(_) | BlobKind::Empty)) {
                continue;
            }
            match in_the_way(bytes, &taken) {
                Some(why) => plan.failed.push((path.clone(), why)),
                None => wanted.push((RepoPath::new(path.as_str())?, *oid)),
            }
        }
        let within = index::in_sparse_checkout(wanted.iter().map(|(path, _)| path.as_bstr()))?;
        let modes = Git::new(["config", "--bool", "core.fileMode"]).line_if_any()?.is_none_or(|value| value == "true");
        for (path, oid) in wanted {
            let name = path.as_bstr().to_string();
            match File::look(context, path, oid, modes, &within) {
                Ok(file) => plan.files.push(file),
                Err(e) => plan.failed.push((name, chain(&e))),
            }
        }
        plan.leave_out_of_date(context)?;
        // Of the Python tool's manifest, which lists nothing apart, all was its user's.
        if manifest.manifest_only.is_some() {
            plan.leave_private(context)?;
        }
        plan.files.sort_by(|a, b| (a.oid, &a.path).cmp(&(b.oid, &b.path)));
        Ok(plan)
    }
}

impl Plan {
    /// Git would take an older version for a change of the user's, and the next commit would bring it back.
    fn leave_out_of_date(&mut self, context: &Context) -> Result<(), CliError> {
        let mut present = BTreeMap::new();
        for file in self.files.iter().filter(|file| file.here == Here::Modified) {
            if let (Some(path), Some(oid)) = (file.path.to_str(), present_oid(&context.worktree, &file.path)?) {
                present.insert(path.to_owned(), oid);
            }
        }
        let left = out_of_date(present, Depth::Whole)?;
        self.files.retain(|file| file.path.to_str().is_none_or(|path| !left.contains(path)));
        self.failed.extend(left.into_iter().map(|path| {
            let [take, record] = out_of_date::hints(&context.argument(path.as_bytes().as_bstr()));
            // Beside the later Python tool's manifest nothing is recorded.
            let keep =
                if manifest_file::is_pythons() { "to keep this one: save it elsewhere before".into() } else { record };
            let why = format!("{}: {} ({take}; {keep})", Printable(path.as_bytes()), out_of_date::WHY);
            (path, why)
        }));
        Ok(())
    }
}

impl Plan {
    /// What a commit lists, and nobody here shared or fetched, would be sent with the next commit.
    fn leave_private(&mut self, context: &Context) -> Result<(), CliError> {
        let name = |file: &File| file.path.to_str().map(str::to_owned);
        let whole = self.files.iter().filter(|file| file.here == Here::Content);
        let noted = vouched(context, whole.filter_map(|file| Some((name(file)?, Some(file.oid)))))?;
        let base = |file: &File| name(file).and_then(|name| noted.get(&name));
        let is_modified = |file: &File| file.here == Here::Modified;
        for file in self.files.extract_if(.., |file| is_modified(file) && is_changed_there(base(file), &file.oid)) {
            let argument = context.argument(file.path.as_bstr());
            let why = format!("{}: {CHANGED_TWICE} (to record yours: s3lfs upload {argument})", file.path);
            self.failed.push((file.path.as_bstr().to_string(), why));
        }
        for file in self.files.extract_if(.., |file| is_modified(file) && base(file).is_none()) {
            let argument = context.argument(file.path.as_bstr());
            let why = format!("{}: {PRIVATE} (if it is to be shared: s3lfs upload {argument})", file.path);
            self.failed.push((file.path.as_bstr().to_string(), why));
        }
        Ok(())
    }
}

/// What the index has where `path` needs room.
fn in_the_way(path: &BStr, taken: &BTreeSet<BString>) -> Option<String> {
    if taken.contains(path) {
        return Some(format!("Git has the file itself; take it out first: git rm --cached -- {path}"));
    }
    if let Some(file) = dirs(path).find(|dir| taken.contains(*dir)) {
        return Some(format!("Git has a file {file}, where this needs a directory"));
    }
    let beneath = BString::from([path.as_bytes(), b"/"].concat());
    let next = taken.range(beneath.clone()..).next();
    next.is_some_and(|next| next.starts_with(&beneath))
        .then(|| "Git has files beneath a directory of this name".to_owned())
}

/// The directories of a path, outermost first.
pub fn dirs(path: &BStr) -> impl Iterator<Item = &BStr> {
    path.find_iter(b"/").map(move |at| path[..at].as_bstr())
}

impl File {
    fn look(
        context: &Context,
        path: RepoPath,
        oid: Oid,
        modes: bool,
        within: &BTreeSet<BString>,
    ) -> Result<Self, PathError> {
        let full = context.worktree.resolve(&path)?;
        let target = Target { path, item: oid.into(), executable: false, tracked: false };
        let here = match state_of(&context.worktree, &target, true)? {
            FileState::Present => Here::Content,
            FileState::Changed => Here::Modified,
            FileState::PointerOnly => Here::Pointer,
            FileState::Missing if within.contains(target.path.as_bstr()) => Here::Pointer,
            FileState::Missing => Here::LeftOut,
        };
        let executable = modes && is_executable(&full);
        Ok(File { path: target.path, oid, here, executable })
    }

    /// Empty content has no pointer, and no object.
    pub fn is_empty(&self) -> bool {
        self.oid == Oid::of(b"")
    }
}

#[cfg(unix)]
fn is_executable(path: &std::path::Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::symlink_metadata(path)
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o100 != 0)
}

#[cfg(not(unix))]
fn is_executable(_: &std::path::Path) -> bool {
    false
}
