//! `clone`: a clone that is set up, with its large files.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::Global;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::fetch::download;
use crate::cli::set_up::setup;
use crate::cli::set_up::setup_hooks;
use crate::cli::set_up::trust;
use crate::cli::ui;
use crate::git::Git;
use crate::shell_word::quoted;

/// Arguments of `clone`.
#[derive(Args, Debug)]
pub struct Clone {
    /// What `git clone` takes
    url: OsString,
    /// Where to; as `git clone` does if it is not given
    directory: Option<PathBuf>,
    /// More options for `git clone`
    #[arg(last = true)]
    options: Vec<OsString>,
}

const COMMAND: &str = "clone";

/// Variables that say which repository is meant; they must not outlive the clone.
const WHICH_REPOSITORY: [&str; 4] = ["GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_INDEX_FILE"];

/// Clone without content, accept the store, set up, then fetch all content in parallel.
pub fn run(global: &Global, args: Clone) -> Result<(), CliError> {
    if let Some(name) = WHICH_REPOSITORY.iter().find(|name| std::env::var_os(name).is_some()) {
        return Err(CliError::user(format!("{name} is set, which says that another repository is meant"))
            .hint(format!("unset {name} and run it again")));
    }
    let directory = args.directory.clone().unwrap_or_else(|| default_directory(&args.url));
    refuse_begun(&args.url, &directory)?;
    let git = Git::new(["clone"]).elsewhere().env("S3LFS_SKIP_SMUDGE", "1").args(&args.options);
    let status = git.args([OsString::from("--"), args.url, directory.clone().into_os_string()]).status()?;
    if !status.success() {
        return Err(CliError::user("git clone failed"));
    }
    std::env::set_current_dir(&directory)
        .map_err(|e| CliError::user(format!("cannot go to the new clone {}: {e}", directory.display())))?;
    fill(global).map_err(|e| begun(e, &directory))
}

/// Set up the clone that is there now, and fetch its content.
fn fill(global: &Global) -> Result<(), CliError> {
    setup::configure_clone()?;
    // Whatever comes of the hooks, the content is fetched.
    let hooks = setup_hooks::install_hooks(&Context::open()?);
    if crate::cli::manifest_file::for_reading(None)?.is_none() {
        if crate::cli::manifest_file::in_head()? {
            // It is there, and broken: said by the one who must read it.
            crate::cli::manifest_file::required()?;
        }
        ui::say("This repository has no .s3_manifest.json: there is nothing to fetch.");
        if global.json && hooks.is_ok() {
            ui::answer_json(COMMAND, Vec::new(), Vec::new())?;
        }
        return hooks;
    }
    trust::accept_named(global)?;
    download::run_all_for(COMMAND, global, download::DownloadAll::default())?;
    hooks
}

/// What failed after the clone was made: cloning again would be refused.
fn begun(error: CliError, directory: &Path) -> CliError {
    let again = |hint: String| {
        let hint = hint.replace("run the command again", "go on in the clone");
        hint.replace("run the same command again", "go on in the clone")
    };
    let hints = error.hints.into_iter().map(again).collect();
    CliError { hints, ..error }.hint(go_on(directory))
}

/// The command that does the rest.
fn go_on(directory: &Path) -> String {
    let place = quoted(&directory.to_string_lossy());
    format!("to go on with it: cd {place} && s3lfs git-setup && s3lfs trust && s3lfs download-all")
}

/// A directory that is a clone of the same URL already, perhaps by a command that was killed: it is not
/// ours to decide whether that is wanted, but how to go on can be said.
fn refuse_begun(url: &OsString, directory: &Path) -> Result<(), CliError> {
    if !directory.join(".git").is_dir() {
        return Ok(());
    }
    let ask = |args: &[&str]| Git::new(args).elsewhere().in_dir(directory).line_if_any();
    let origin = ask(&["config", "--local", "--get", "remote.origin.url"]).ok().flatten().unwrap_or_default();
    let given = Path::new(url);
    let full = given.canonicalize().unwrap_or_else(|_| given.to_owned());
    let same = |place: &Path| origin == place.as_os_str().as_encoded_bytes();
    if !same(given) && !same(&full) {
        return Ok(());
    }
    let place = directory.display();
    let checked_out = directory.join(".git/index").exists()
        && !directory.join(".git/index.lock").exists()
        && ask(&["rev-parse", "--verify", "--quiet", "HEAD^{commit}"]).is_ok_and(|id| id.is_some());
    let error = CliError::user(format!("{place} is a clone of that already"));
    Err(match checked_out {
        true => error.hint(go_on(directory)),
        false => error.hint(format!("it was never finished: delete {place}, and run it again")),
    })
}

/// The last part of the URL without `.git`, as git-clone(1) has it.
fn default_directory(url: &OsString) -> PathBuf {
    let text = url.to_string_lossy();
    let trimmed = text.trim_end_matches('/').trim_end_matches("/.git").trim_end_matches('/');
    let name = trimmed.rsplit(['/', ':']).next().unwrap_or(trimmed);
    Path::new(name.strip_suffix(".git").unwrap_or(name)).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directory_is_named_as_git_names_it() {
        for (url, expected) in [
            ("https://host/team/art.git", "art"),
            ("git@host:team/art", "art"),
            ("host:art.git", "art"),
            ("/srv/art/.git", "art"),
            ("../art/", "art"),
        ] {
            assert_eq!(default_directory(&url.into()), Path::new(expected), "{url}");
        }
    }
}
