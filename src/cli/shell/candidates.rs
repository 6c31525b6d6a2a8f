//! What may stand where the cursor is, beside commands and options: tracked files, their directories, patterns,
//! stores.
//!
//! Apart from the commands because it is asked for at a press of Tab only: what fails has no candidates, and
//! says nothing.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};

use bstr::{BString, ByteSlice, ByteVec};
use clap::{Command, ValueHint};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};

use crate::attributes::AttributesFile;
use crate::cli::help::with_topics;
use crate::cli::manifest_file;
use crate::cli::tracking::track::ATTRIBUTES;
use crate::config::GitConfig;
use crate::fs::read_committed;
use crate::git::{Git, nul_separated, path_from_bytes};

/// Which arguments of which commands name what.
pub fn with_candidates(definition: Command) -> Command {
    let files = ArgValueCompleter::new(|current: &OsStr| tracked(current, Kind::Files));
    let dirs = ArgValueCompleter::new(|current: &OsStr| tracked(current, Kind::Directories));
    let add = |definition: Command, name: &'static str, argument: &'static str, candidates: &ArgValueCompleter| {
        let candidates = candidates.clone();
        definition.mut_subcommand(name, |command| command.mut_arg(argument, |arg| arg.add(candidates)))
    };
    let hint = |definition: Command, name: &'static str, argument: &'static str, hint: ValueHint| {
        definition.mut_subcommand(name, |command| command.mut_arg(argument, |arg| arg.value_hint(hint)))
    };
    let mut definition = with_topics(definition);
    for (name, argument) in [("download", "files"), ("remove", "files"), ("ls", "paths")] {
        definition = add(definition, name, argument, &files);
    }
    for (name, argument) in [("remove-subtree", "dir"), ("sparse-checkout", "dirs")] {
        definition = add(definition, name, argument, &dirs);
    }
    definition = add(definition, "untrack", "patterns", &ArgValueCompleter::new(patterns));
    definition = add(definition, "trust", "remove", &ArgValueCompleter::new(stores));
    definition = hint(definition, "track-subtree", "dir", ValueHint::DirPath);
    definition = hint(definition, "add", "paths", ValueHint::AnyPath);
    hint(definition, "upload", "files", ValueHint::FilePath)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Files,
    Directories,
}

/// Tracked paths that begin with what is there, up to their next slash, as shells complete files.
fn tracked(current: &OsStr, kind: Kind) -> Vec<CompletionCandidate> {
    let begin = BString::from(current.as_encoded_bytes());
    let mut found: BTreeSet<BString> = BTreeSet::new();
    for path in in_git(&begin).into_iter().chain(manifest_only(&begin)) {
        let Some(rest) = path.strip_prefix(begin.as_slice()) else { continue };
        match (rest.find_byte(b'/'), kind) {
            (Some(at), _) => drop(found.insert(path[..begin.len() + at + 1].into())),
            (None, Kind::Files) => drop(found.insert(path)),
            (None, Kind::Directories) => {}
        }
    }
    candidates(found)
}

fn candidates(found: impl IntoIterator<Item = BString>) -> Vec<CompletionCandidate> {
    found.into_iter().map(|path| CompletionCandidate::new(path_from_bytes(&path).into_os_string())).collect()
}

/// Git's own matcher of attributes, on paths that begin so; relative to the current directory.
fn in_git(begin: &[u8]) -> Vec<BString> {
    let mut escaped = BString::default();
    for &byte in begin {
        if b"*?[\\".contains(&byte) {
            escaped.push_byte(b'\\');
        }
        escaped.push_byte(byte);
    }
    let spec =
        |end: &str| path_from_bytes(&[b":(attr:filter=s3lfs,glob)", escaped.as_slice(), end.as_bytes()].concat());
    let git = Git::new(["ls-files", "-z", "--"]).args([spec("*"), spec("*/**")]);
    git.output().map(|paths| nul_separated(&paths).map(BString::from).collect()).unwrap_or_default()
}

/// Those that Git does not have, where the user is.
fn manifest_only(begin: &[u8]) -> Vec<BString> {
    let ask = |what: &str| Git::new(["rev-parse", what]).line_if_any().ok().flatten();
    let (Some(up), Some(prefix)) = (ask("--show-cdup"), ask("--show-prefix")) else { return Vec::new() };
    if !up.is_empty() && std::env::set_current_dir(path_from_bytes(&up)).is_err() {
        return Vec::new();
    }
    let Ok(Some(manifest)) = manifest_file::for_writing() else { return Vec::new() };
    let here = |path: &String| Some(BString::from(path.as_bytes().strip_prefix(prefix.as_slice())?));
    let paths = manifest.manifest_only.unwrap_or_default();
    paths.iter().filter_map(here).filter(|path| path.starts_with(begin)).collect()
}

/// The patterns that `untrack` takes away.
fn patterns(current: &OsStr) -> Vec<CompletionCandidate> {
    let bytes = read_committed(ATTRIBUTES.as_ref()).ok().flatten().unwrap_or_default();
    beginning_with(current, AttributesFile::parse(&bytes).tracked())
}

/// The stores that were accepted.
fn stores(current: &OsStr) -> Vec<CompletionCandidate> {
    beginning_with(current, GitConfig::load().map(|config| config.all("s3lfs.store").to_vec()).unwrap_or_default())
}

fn beginning_with(current: &OsStr, found: Vec<BString>) -> Vec<CompletionCandidate> {
    let begin = OsString::from(current).into_encoded_bytes();
    candidates(found.into_iter().filter(|one| one.starts_with(&begin)))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn every_argument_that_has_candidates_is_there() {
        super::with_candidates(crate::cli::Cli::command()).debug_assert();
    }
}
