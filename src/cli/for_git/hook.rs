//! `hook <name>`: what the installed hooks call, beyond `track-modified --staged`.

use std::ffi::OsString;
use std::io::Read;

use bstr::ByteSlice;
use clap::{Args, Subcommand};

use crate::cli::Global;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::fetch::deferred::{Which, fill};
use crate::cli::for_git::after_commit::AfterCommit;
use crate::cli::for_git::pre_push;
use crate::cli::manifest_file::{self, Staged};
use crate::cli::tracking::staging::Staging;
use crate::cli::tracking::uploads::Believe;
use crate::cli::tracking::uploads::{How, upload_all};
use crate::cli::ui;
use crate::config::{GitConfig, Settings};
use crate::deferred::Deferred;
use crate::fs::replace;
use crate::git::attr::{self, Source};
use crate::git::objects::{self, BlobKind};
use crate::git::{self, Git, GitError, push};
use crate::hooks::{self, Hook};
use crate::manifest::PATH;
use crate::oid::Oid;
use crate::repo_path::Printable;
use crate::transfer::{Item, Patience};
use crate::uploaded::Uploaded;

/// Arguments of `hook`.
#[derive(Args, Debug)]
pub struct HookArgs {
    #[command(subcommand)]
    hook: HookName,
}

#[derive(Subcommand, Debug)]
enum HookName {
    /// After a commit: upload what pre-commit could not, repair the index
    PostCommit,
    /// After a checkout: fill the files that smudge deferred
    PostCheckout {
        /// What Git passes: old and new HEAD, and whether a branch or files were checked out
        arguments: Vec<String>,
    },
    /// After a merge: the same
    PostMerge {
        /// What Git passes: whether it was a squash merge
        arguments: Vec<String>,
    },
    /// Before a push: upload what is missing, refuse what can't be
    PrePush {
        /// The remote's name, or its URL
        remote: Option<OsString>,
        /// The remote's URL
        url: Option<OsString>,
    },
}

/// Do what the hook is for.
pub fn run(global: &Global, args: HookArgs) -> Result<(), CliError> {
    match args.hook {
        HookName::PostCommit => post_commit(global),
        HookName::PostCheckout { .. } => fill(global, Which::Noted),
        HookName::PostMerge { .. } => {
            tell_of_manifest()?;
            fill(global, Which::Noted)
        }
        HookName::PrePush { remote, url } => pre_push(global, remote, url),
    }
}

fn pre_push(global: &Global, remote: Option<OsString>, url: Option<OsString>) -> Result<(), CliError> {
    let (remote, url, updates) = match (remote, url) {
        (Some(remote), Some(url)) => {
            let mut stdin = Vec::new();
            let read = std::io::stdin().lock().read_to_end(&mut stdin);
            read.map_err(|e| CliError::user(format!("cannot read what Git pushes: {e}")))?;
            (remote, url, stdin)
        }
        _ => from_framework()?.ok_or_else(|| {
            CliError::user("'hook pre-push' needs what Git gives that hook: the remote's name and URL")
                .hint("in the hook, the line is: s3lfs hook pre-push \"$@\"")
        })?,
    };
    if was_done(&[Hook::PrePush])? {
        return Ok(());
    }
    let updates = push::parse_updates(&updates)?;
    let (remote, url) = (remote.to_string_lossy(), url.to_string_lossy());
    pre_push::run(global, &pre_push::Push { remote: &remote, url: &url, updates: &updates })
}

/// Whether we are called a second time for the same: by the older hook of the pre-commit framework.
pub fn was_done(hooks: &[Hook]) -> Result<bool, GitError> {
    Ok(hooks::is_chained() && hooks::was_done(&git::hooks_dir()?, hooks))
}

/// The pre-commit framework keeps Git's arguments and standard input for itself, and gives its hooks
/// the first ref that has something new, in variables (`_pre_push_ns` in its hook_impl.py).
fn from_framework() -> Result<Option<(OsString, OsString, Vec<u8>)>, CliError> {
    let variable = |name: &str| std::env::var_os(format!("PRE_COMMIT_{name}"));
    let (Some(remote), Some(url)) = (variable("REMOTE_NAME"), variable("REMOTE_URL")) else { return Ok(None) };
    let (Some(from), Some(to)) = (variable("LOCAL_BRANCH"), variable("REMOTE_BRANCH")) else { return Ok(None) };
    let local = match variable("TO_REF") {
        Some(id) => id.into_encoded_bytes(),
        // All of a new history.
        None => {
            let parse = Git::new(["rev-parse", "--verify", "--end-of-options"]).args([&from]);
            parse.output()?.trim_end().to_vec()
        }
    };
    let published = variable("FROM_REF").map_or_else(|| b"0".to_vec(), OsString::into_encoded_bytes);
    let fields = [from.into_encoded_bytes(), local, to.into_encoded_bytes(), published];
    Ok(Some((remote, url, fields.join(&b' '))))
}

/// Git writes the tree of a merge without conflicts before `pre-merge-commit` runs (builtin/merge.c), so what that hook
/// stages is not in it: the new name of a file that one side renamed and the other changed.
fn tell_of_manifest() -> Result<(), CliError> {
    let Staged::Blob(staged) = manifest_file::staged()? else { return Ok(()) };
    let committed = objects::read(format!("HEAD:{PATH}").as_bytes().as_bstr())?;
    let is_merge = || Git::new(["rev-parse", "--quiet", "--verify", "HEAD^2"]).output().is_ok();
    if committed.is_some_and(|committed| committed != staged) && is_merge() {
        ui::say(format!(
            "{PATH} follows the merge, and is staged. To put it into the merge: git commit --amend --no-edit"
        ));
    }
    Ok(())
}

fn post_commit(global: &Global) -> Result<(), CliError> {
    let context = Context::open()?;
    // Beside the later Python tool's, a manifest of ours is left alone.
    let writes = !manifest_file::is_pythons();
    let staging = Staging::begin(&context)?;
    if writes {
        repair_index()?;
    }
    name_deferred(&context)?;
    let left = AfterCommit::new(&context.repo).take()?;
    if let Some(oid) = left.manifest.filter(|_| writes) {
        follow_in_worktree(&oid)?;
    }
    drop(staging);
    if !left.upload {
        return Ok(());
    }
    if let Err(e) = upload_commit(&context, global) {
        ui::warn(format!("warning: not uploaded yet: {}; 'git push' will upload it", e.message));
        e.hints.iter().for_each(|hint| ui::warn(format!("  {hint}")));
    }
    Ok(())
}

/// The worktree's manifest becomes the commit's, unless somebody changed it meanwhile.
fn follow_in_worktree(before: &Oid) -> Result<(), CliError> {
    let present = manifest_file::in_worktree()?;
    let committed = objects::read(format!("HEAD:{PATH}").as_bytes().as_bstr())?;
    match (present, committed) {
        (Some(present), Some(committed)) if Oid::of(&present) == *before => {
            replace(PATH.as_ref(), &committed)?;
            manifest_file::settle();
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Files that are still to be filled, so that nobody takes their pointers for content.
fn name_deferred(context: &Context) -> Result<(), CliError> {
    let noted = Deferred::new(context.repo.git_dir()).list()?;
    if let Some(first) = noted.first() {
        let files = ui::count(noted.len(), "file");
        ui::warn(format!("{files} ({} ...) still to be fetched: 's3lfs download-all' does it", Printable(first)));
    }
    Ok(())
}

/// `commit <path>` commits a manifest that the real index never saw: there it would stand as a staged
/// revert (git-filter-reference.md, part 2, "Hooks"). If the index still has what the commit before
/// had, the user has no staged change of his own, and the entry follows HEAD.
fn repair_index() -> Result<(), CliError> {
    let head = objects::read(format!("HEAD:{PATH}").as_bytes().as_bstr())?;
    let staged = match manifest_file::staged()? {
        Staged::Blob(bytes) => Some(bytes),
        Staged::Absent => None,
        Staged::Unmerged => return Ok(()),
    };
    if head == staged || head.is_none() {
        return Ok(());
    }
    let before = objects::read(format!("{}:{PATH}", commit_before()?).as_bytes().as_bstr())?;
    if before == staged {
        Git::on_index(["reset", "--quiet", "HEAD", "--", PATH]).output()?;
    }
    Ok(())
}

/// The commit before, which the reflog knows also when this one amended it. Without an older entry
/// (the first commit, no reflogs at all), Git dies rather than say that there is none.
fn commit_before() -> Result<String, GitError> {
    let before = Git::new(["rev-parse", "--verify", "--quiet", "HEAD@{1}^{commit}"]).run()?;
    let id = before.stdout.trim().to_str_lossy().into_owned();
    Ok(if before.status.success() && !id.is_empty() { id } else { "HEAD^".to_owned() })
}

/// Upload the pointers that HEAD's commit brings, if pre-commit could not: no request where a fresh
/// record knows them all.
fn upload_commit(context: &Context, global: &Global) -> Result<(), CliError> {
    let config = GitConfig::load()?;
    let Some(manifest) = manifest_file::for_reading(None)? else { return Ok(()) };
    let blobs = push::blobs_of_head()?;
    let paths = attr::filtered(blobs.iter().map(|blob| blob.path.as_bstr()), Source::Worktree)?;
    let kinds = objects::kinds(blobs.iter().filter(|b| paths.contains(&b.path)).map(|blob| blob.id.as_bstr()))?;
    let settings = Settings::resolve(&global.overrides(), &config, Some(&manifest))?;
    let uploaded = Uploaded::open(&context.repo.state_dir(), &settings.remote, &settings.reading)?;
    let pending = blobs.iter().filter_map(|blob| match kinds.get(&blob.id) {
        Some(BlobKind::Pointer(pointer)) if !uploaded.is_fresh(&pointer.oid) => {
            Some((Item::from(*pointer), blob.path.clone()))
        }
        _ => None,
    });
    let pending = pending.collect::<std::collections::BTreeMap<_, _>>();
    if pending.is_empty() {
        return Ok(());
    }
    upload_all(context, &settings, &manifest, &pending, How { patience: Patience::Short, believe: Believe::Records })
}
