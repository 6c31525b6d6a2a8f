//! Sight and solitude: what must be so before anything in a store may be deleted (design.md,
//! section 6).
//!
//! Apart because `cleanup` and `--purge-from-s3` stand on the same two questions. Does this clone see
//! everybody's refs? Is this repository the only one in the prefix? Whatever can't be answered is a no.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use bstr::{BString, ByteSlice};

use crate::cli::cleanup::reachable;
use crate::cli::error::CliError;
use crate::cli::ui;
use crate::git::history::manifest_with;
use crate::git::objects::ObjectId;
use crate::git::{Git, path_from_bytes};
use crate::oid::Oid;
use crate::repo_path::Printable;
use crate::shell_word::quoted;
use crate::store::key::RepositoryId;
use crate::store::registration::{Registration, without_credentials};
use crate::transfer::Transfer;

/// Whose refs are asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    /// Those of every remote, which must be here.
    Everybody,
    /// Those of every remote; what is not here is fetched into refs of our own.
    Fetch,
    /// Those of this clone alone: the user takes the risk.
    LocalOnly,
}

/// Where fetched refs are kept: so that they are roots, and in nobody's way.
const OWN_REFS: &str = "refs/s3lfs/seen";

/// How many missing refs are named.
const NAMES: usize = 10;

/// Require that the prefix is ours alone: our registration, or `None` if nobody is registered.
pub fn require_alone(transfer: &mut Transfer, repository_id: Option<&str>) -> Result<Option<Registration>, CliError> {
    let store = transfer.store().clone();
    let registered = transfer.ask(|| store.registered())?;
    let remote = store.remote();
    match (registered.as_slice(), repository_id) {
        ([], _) => Ok(None),
        ([only], Some(id)) if only == id => {
            let id = RepositoryId::new(id)?;
            let registration = transfer.ask(|| store.registration(&id))?;
            registration.map(Some).ok_or_else(|| CliError::user(format!("the registration in {remote} went away meanwhile")))
        }
        ([other], None) => Err(unknown(other, &remote.to_string())?),
        ([other], Some(_)) => Err(foreign(other, &remote.to_string())),
        (several, _) => Err(CliError::user(format!(
            "{} repositories are registered in {remote}: {}",
            several.len(),
            several.join(", ")
        ))
        .hint("nothing was deleted: nobody can tell which objects the others need; cleanup wants a prefix for each repository")
        .hint("if one of them is only another name of this repository, which no commit's manifest has (it was migrated, or \
               set up, twice): delete repositories/<that name>.json beneath the prefix")),
    }
}

fn foreign(other: &str, remote: &str) -> CliError {
    CliError::user(format!("another repository ({other}) is registered in {remote}"))
        .hint("nothing was deleted: run cleanup in the repository that owns this prefix")
}

/// Nothing that is checked out says who we are: it may be ours all the same.
fn unknown(registered: &str, remote: &str) -> Result<CliError, CliError> {
    let Some(commit) = commit_with(registered)? else { return Ok(foreign(registered, remote)) };
    Ok(CliError::user(format!(
        "the manifest that is checked out, if there is one, does not say whether the repository registered in {remote} is \
         this one; other commits say so"
    ))
    .hint(format!("nothing was deleted: run cleanup where the manifest is, as after: git switch {commit}")))
}

/// What to say to `git switch` for a commit whose manifest has this id: a branch, if one has it.
fn commit_with(id: &str) -> Result<Option<String>, CliError> {
    let Some(commit) = manifest_with(id)? else { return Ok(None) };
    let branches = ["for-each-ref", "--count=1", "--format=%(refname:short)", "--contains"];
    let branch = Git::new(branches).args([commit.to_str_lossy().as_ref(), "refs/heads"]).line_if_any()?;
    let branch = branch.filter(|name| !name.is_empty()).map(|name| quoted(&name.to_str_lossy()));
    Ok(Some(branch.unwrap_or_else(|| format!("--detach {commit}"))))
}

/// The tips of everybody's refs, all of them here. `urls`: where the registration says that this
/// repository is pushed to.
pub fn everybody(scope: Scope, urls: &BTreeSet<String>) -> Result<Vec<ObjectId>, CliError> {
    if scope == Scope::LocalOnly {
        ui::warn(
            "warning: only the refs of this clone are looked at: content that others have pushed, or have in branches \
             that were never fetched here, is deleted",
        );
        return Ok(Vec::new());
    }
    let remotes = remotes()?;
    for url in urls {
        if !remotes.values().flatten().any(|own| same_place(own, url)) {
            return Err(CliError::user(format!(
                "this repository is also pushed to {url}, which is no remote of this clone"
            ))
            .hint(format!("add it, so that its branches are seen: git remote add <name> {url}"))
            .hint("nothing was deleted"));
        }
    }
    let mut tips = BTreeSet::new();
    for (name, urls) in &remotes {
        for source in sources(name, urls) {
            if scope == Scope::Fetch {
                fetch(&source)?;
            }
            tips.extend(advertised(&source)?);
        }
    }
    Ok(tips.into_iter().collect())
}

/// The remotes of this clone, each with the URLs that it is fetched from and pushed to.
pub fn remotes() -> Result<BTreeMap<String, BTreeSet<String>>, CliError> {
    let names = Git::new(["remote"]).output()?;
    let mut remotes = BTreeMap::new();
    for name in names.lines().map(|name| name.to_str_lossy().into_owned()) {
        let mut urls = BTreeSet::new();
        for direction in [&["--all"][..], &["--push", "--all"]] {
            let listed = Git::new(["remote", "get-url"]).args(direction).args([&name]).run()?;
            urls.extend(listed.stdout.lines().map(|url| url.to_str_lossy().into_owned()));
        }
        // A name that only has settings (a refspec in the user's own config) is no remote.
        if !urls.is_empty() {
            remotes.insert(name, urls);
        }
    }
    Ok(remotes)
}

/// What has to be asked for one remote: its name (for the URL that Git fetches from, with all settings
/// of the remote), and every other URL.
fn sources(name: &str, urls: &BTreeSet<String>) -> Vec<String> {
    let fetched_from = Git::new(["remote", "get-url", name]).output().unwrap_or_default();
    let fetched_from = fetched_from.trim().to_str_lossy().into_owned();
    let others = urls.iter().filter(|url| !same_place(url, &fetched_from)).cloned();
    std::iter::once(name.to_owned()).chain(others).collect()
}

/// What a remote has at this moment, as far as it is here. A remote that does not answer has nothing.
pub fn advertised_and_here(url: &str) -> Result<Vec<ObjectId>, CliError> {
    let answer = Git::new(["ls-remote", "--quiet", url]).env("GIT_TERMINAL_PROMPT", "0").run()?;
    let ids: Vec<ObjectId> =
        answer.stdout.lines().filter_map(|line| Some(line.split_once_str("\t")?.0.into())).collect();
    let absent: BTreeSet<BString> = reachable::absent(&ids)?.into_iter().collect();
    Ok(ids.into_iter().filter(|id| !absent.contains(id)).collect())
}

/// The ids that a remote advertises; all must be here.
fn advertised(source: &str) -> Result<Vec<ObjectId>, CliError> {
    let shown = without_credentials(source);
    let answer = git(&["ls-remote", "--quiet"]).args([source]).output().map_err(|e| {
        CliError::user(format!("the remote {shown} does not answer: {}", crate::error::chain(&e))).hint(
            "nothing was deleted: its branches must be seen; remove a remote that is no more with 'git remote remove'",
        )
    })?;
    let refs: Vec<(BString, BString)> = answer
        .lines()
        .filter_map(|line| line.split_once_str("\t"))
        .map(|(id, name)| (id.into(), name.into()))
        .collect();
    let ids: Vec<ObjectId> = refs.iter().map(|(id, _)| id.clone()).collect();
    let absent: BTreeSet<BString> = reachable::absent(&ids)?.into_iter().collect();
    if absent.is_empty() {
        return Ok(ids);
    }
    let missing: Vec<&BString> = refs.iter().filter(|(id, _)| absent.contains(id)).map(|(_, name)| name).collect();
    for name in missing.iter().take(NAMES) {
        ui::warn(format!("{shown} has {}, which is not here", Printable(name)));
    }
    let count = ui::count(missing.len(), "ref");
    Err(CliError::user(format!("{count} of {shown} {} not here", if missing.len() == 1 { "is" } else { "are" }))
        .hint("run cleanup with --fetch, which brings them into refs of its own; 'git fetch' does not bring all")
        .hint("nothing was deleted"))
}

/// Bring all refs of a remote (pull and merge requests too) under [`OWN_REFS`], and forget those that
/// it has no more.
fn fetch(source: &str) -> Result<(), CliError> {
    let shown = without_credentials(source);
    let place = &Oid::of(shown.as_bytes()).hex()[..16];
    let refspec = format!("+refs/*:{OWN_REFS}/{place}/*");
    // Without `--refmap=` Git would also move the refs that the remote's own refspec names: in a mirror
    // those are the user's branches.
    let options = ["fetch", "--quiet", "--prune", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head"];
    let fetch =
        git(&["-c", "gc.auto=0", "-c", "maintenance.auto=false"]).args(options).args(["--refmap=", source, &refspec]);
    fetch.output().map(drop).map_err(|e| {
        CliError::user(format!("the refs of {shown} can't be fetched: {}", crate::error::chain(&e)))
            .hint("nothing was deleted")
    })
}

/// Git may ask for a password on a terminal, and only there.
fn git(args: &[&str]) -> Git {
    let git = Git::new(args);
    if ui::somebody_is_there() { git } else { git.env("GIT_TERMINAL_PROMPT", "0") }
}

/// The URL under which others know a remote: without user and password, and a directory from the root
/// on, since `../remote.git` is another one elsewhere.
pub fn known_as(url: &str) -> String {
    let plain = without_credentials(url);
    let is_relative = !plain.contains("://") && !Path::new(&plain).is_absolute();
    match directory(&plain).filter(|dir| is_relative && dir.is_dir()) {
        Some(dir) => dir.to_string_lossy().into_owned(),
        None => plain,
    }
}

/// Whether two URLs are the same repository for certain. Local ones are compared as directories.
pub fn same_place(a: &str, b: &str) -> bool {
    let (a, b) = (without_credentials(a), without_credentials(b));
    let plain = |url: &str| {
        let url = url.strip_prefix("file://").unwrap_or(url).trim_end_matches('/');
        url.strip_suffix(".git").unwrap_or(url).trim_end_matches('/').to_owned()
    };
    plain(&a) == plain(&b) || directory(&a).is_some_and(|dir| directory(&b) == Some(dir))
}

fn directory(url: &str) -> Option<std::path::PathBuf> {
    let path = url.strip_prefix("file://").unwrap_or(url);
    Path::new(&path_from_bytes(path.as_bytes())).canonicalize().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_the_same_place_only_when_that_is_certain() {
        assert!(same_place("https://me:x@host/team/x.git", "https://host/team/x"));
        assert!(same_place("git@host:team/x.git/", "host:team/x.git"));
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_str().unwrap();
        assert!(same_place(path, &format!("file://{path}/")), "a directory, spelled in two ways");
        assert!(!same_place("https://host/team/x", "ssh://host/team/x"), "it might be another one");
        assert!(same_place("file:///nowhere/at/all", "/nowhere/at/all"), "also while it is not there");
        assert!(!same_place("/nowhere/at/all", "/nowhere/else"));
    }
}
