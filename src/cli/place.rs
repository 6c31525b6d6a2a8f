//! The commands that take a setting back, or give it another value, in the place where it stands.
//!
//! Apart because a command for another place runs well and changes nothing.

use bstr::ByteSlice;

use crate::config::Place;
use crate::git::Git;
use crate::manifest::PATH;
use crate::shell_word::edit;

/// Take back what stands there.
pub fn take_back(place: &Place) -> String {
    match place {
        Place::Flag(flag) => format!("run it without {flag}"),
        Place::Variable(name) => format!("unset {name}"),
        Place::Key(key) => unset(key),
        Place::Manifest => edit(PATH.as_ref()),
    }
}

/// Give it another value. `in_manifest`: the command that does so for everybody.
pub fn change(place: &Place, value: &str, in_manifest: String) -> String {
    match place {
        Place::Flag(flag) => format!("run it with {flag} {value}"),
        Place::Variable(name) => format!("export {name}={value}"),
        Place::Key(key) => match scope(key) {
            COMMAND => format!("run it with 'git -c {key}={value}'"),
            scope => format!("git config{scope} {key} {value}"),
        },
        Place::Manifest => in_manifest,
    }
}

/// Take a key out of Git's configuration, all values of it.
pub fn unset(key: &str) -> String {
    match scope(key) {
        COMMAND => format!("run it without 'git -c {key}=...' (or GIT_CONFIG_COUNT)"),
        scope => format!("git config{scope} --unset-all {key}"),
    }
}

/// The scope of what was said for one command alone.
const COMMAND: &str = " --command";

/// As an option of git-config(1): where the last value stands, if that is not the repository's own file.
pub fn scope(key: &str) -> &'static str {
    let asked = Git::new(["config", "--show-scope", "--get", key]).line_if_any().ok().flatten().unwrap_or_default();
    match asked.split_str("\t").next() {
        Some(b"global") => " --global",
        Some(b"system") => " --system",
        Some(b"worktree") => " --worktree",
        Some(b"command") => COMMAND,
        _ => "",
    }
}
