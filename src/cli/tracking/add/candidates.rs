//! Which files `add` takes off Git's hands: those that are sure to be nothing but content for our filter.
//!
//! Apart because the decision is Git's, asked in the words of its plumbing; where it hesitates (a conflict, a path outside
//! the sparse checkout, a pathspec that matches nothing) `git add` itself is to say so.

use std::collections::{BTreeSet, HashMap};
use std::ffi::OsString;

use bstr::{BString, ByteSlice};

use super::Add;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::config::GitConfig;
use crate::git::objects::{self, ObjectId};
use crate::git::{Git, attr, index, nul_separated};
use crate::oid::Oid;
use crate::repo_path::RepoPath;

/// A file that differs from the index.
#[derive(Debug)]
pub struct Candidate {
    /// Where it is.
    pub path: RepoPath,
    /// Whether it is to be executable, where the file does not tell.
    pub executable: Option<bool>,
    /// The content that the index names now: a touched file still has it.
    pub guess: Option<Oid>,
    /// What the index has of it.
    pub known: Option<Known>,
}

/// What the index has of a file.
#[derive(Debug)]
pub struct Known {
    /// Mode 100755.
    pub executable: bool,
    /// Its blob.
    pub id: ObjectId,
}

/// The files that the arguments mean, as far as they are candidates.
pub fn candidates(context: &Context, args: &Add, config: &GitConfig) -> Result<Vec<Candidate>, CliError> {
    if names_a_file_like_a_glob(context, args)? {
        return Ok(Vec::new());
    }
    let is_off = |key| matches!(config.bool(key), Ok(Some(false)));
    // A name that differs in case only is an old file's.
    let folds = matches!(config.bool("core.ignorecase"), Ok(Some(true)));
    let Some(new) = new_files(context, args)? else { return Ok(Vec::new()) };
    let mut known = modified(context, args)?;
    let new = new.into_iter().filter(|_| !folds).map(|path| (path, None));
    let mut found: Vec<(BString, Option<Known>)> = new.collect();
    found.extend(known.drain().map(|(path, known)| (path, Some(known))));
    let ours = attr::through_filter_alone(found.iter().map(|(path, _)| path.as_bstr()))?;
    found.retain(|(path, _)| ours.contains(path));
    let wanted = index::in_sparse_checkout(found.iter().map(|(path, _)| path.as_bstr()))?;
    found.retain(|(path, _)| wanted.contains(path));
    let ids = found.iter().filter_map(|(_, known)| Some(known.as_ref()?.id.as_bstr()));
    let kinds = objects::kinds(ids)?;
    // Modes of the filesystem mean nothing there (git-config(1), `core.fileMode`).
    let by_index = is_off("core.filemode") || is_off("core.symlinks");
    let candidate = |(path, known): (BString, Option<Known>)| {
        let guess = known.as_ref().and_then(|known| Some(kinds.get(&known.id)?.pointer()?.oid));
        let executable = by_index.then(|| known.as_ref().is_some_and(|known| known.executable));
        Some(Candidate { path: RepoPath::new(path).ok()?, executable, guess, known })
    };
    Ok(found.into_iter().filter_map(candidate).collect())
}

/// Whether a pathspec with a wildcard is also the name of a file. What Git takes it for then depends on the order in
/// which it meets the files, and on the command (`seen` in dir.c, do_match_pathspec).
fn names_a_file_like_a_glob(context: &Context, args: &Add) -> Result<bool, CliError> {
    let is_glob = |path: &&OsString| path.as_encoded_bytes().iter().any(|byte| b"*?[\\".contains(byte));
    let mut literals = Vec::new();
    for path in args.paths.iter().filter(is_glob) {
        let text = path.to_string_lossy();
        // Its magic is left out, but for the place from which it counts (gitglossary(7), "pathspec").
        let (magic, name) = match text.strip_prefix(":(").and_then(|rest| rest.split_once(')')) {
            Some((magic, name)) => (magic.contains("top"), name),
            None => match text.strip_prefix(':') {
                Some(rest) => (rest.starts_with('/'), rest.trim_start_matches(['/', '!', '^', ':'])),
                None => (false, &*text),
            },
        };
        literals.push(format!(":({}literal){name}", if magic { "top," } else { "" }));
    }
    if literals.is_empty() {
        return Ok(false);
    }
    let listed = Git::new(["ls-files", "-z", "--cached", "--others", "--"]).args(literals);
    // What it refuses, 'git add' is to refuse.
    let listed = listed.in_dir(context.started_in()).run()?;
    Ok(!listed.status.success() || !listed.stdout.is_empty())
}

fn git(context: &Context, words: &[&str], args: &Add) -> Git {
    Git::new(words).args(["--"]).args(args.pathspecs()).in_dir(context.started_in())
}

/// What Git does not know yet. `None`: it would object to a pathspec.
fn new_files(context: &Context, args: &Add) -> Result<Option<Vec<BString>>, CliError> {
    let mut words = vec!["ls-files", "-z", "-t", "--full-name", "--cached"];
    if !args.update {
        words.push("--others");
        if !args.force {
            words.push("--exclude-standard");
        }
    }
    if !args.paths.is_empty() {
        words.push("--error-unmatch");
    }
    let output = git(context, &words, args).run()?;
    if !output.status.success() {
        return Ok(None);
    }
    // A repository in this one is listed as a directory.
    let new = nul_separated(&output.stdout).filter_map(|line| line.strip_prefix(b"? "));
    Ok(Some(new.filter(|path| !path.ends_with(b"/")).map(BString::from).collect()))
}

/// Regular files that stay such, and differ from the index by their times at least.
fn modified(context: &Context, args: &Add) -> Result<HashMap<BString, Known>, CliError> {
    let output = git(context, &["diff-files", "-z", "--ignore-submodules"], args).output()?;
    let mut fields = nul_separated(&output);
    let (mut known, mut odd) = (HashMap::new(), BTreeSet::new());
    // `:100644 100755 <id> 0000... M`, then the path; an unmerged path comes twice.
    while let (Some(line), Some(path)) = (fields.next(), fields.next()) {
        let words: Vec<&[u8]> = line.split_str(" ").collect();
        let is_file = |mode: &[u8]| mode == b"100644" || mode == b"100755";
        match words[..] {
            [old, new, id, _, b"M"] if is_file(&old[1..]) && is_file(new) => {
                known.insert(BString::from(path), Known { executable: old == b":100755", id: id.into() });
            }
            _ => drop(odd.insert(BString::from(path))),
        }
    }
    known.retain(|path, _| !odd.contains(path));
    Ok(known)
}
