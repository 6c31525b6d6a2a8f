//! Settings: flags and environment, then git config, then the manifest, then defaults, resolved once.
//!
//! Apart so that which one wins is decided in one place (design.md, section 5), and whether a store
//! was chosen by the user or by a commit (section 4, "the accepted store").

pub mod encryption;
mod place;
mod settings;
mod wishes;

use std::collections::HashMap;

use bstr::{BStr, BString, ByteSlice};

pub use place::{BUCKET, Choice, ENDPOINT, PREFIX, Place, REGION};
pub use settings::{Acceptance, Overrides, Settings, access, is_one_place, is_passed_over, names_none, own_endpoint};
pub use wishes::{CommitUploads, OfflineCommit, check_policy, commit_uploads, offline_commit, policy, warn_above};

use crate::git::{Git, GitError, nul_separated};
use crate::manifest::Manifest;
use crate::remote::RemoteError;

/// Why settings can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Git could not tell its configuration.
    #[error("cannot read Git's configuration")]
    Git(#[from] GitError),
    /// A value that can't be meant.
    #[error("{key} = {value:?} is not {expected}")]
    Value {
        /// Where it stands.
        key: String,
        /// What stands there.
        value: BString,
        /// What would do.
        expected: &'static str,
    },
    /// What stands in this place names no store.
    #[error("{place} names no store")]
    Remote {
        /// Where it stands.
        place: Place,
        /// What is wrong with it.
        source: RemoteError,
    },
    /// The Python tool's keys begin with a slash, or have an empty part.
    #[error(
        "repo_prefix {0:?} in .s3_manifest.json can't be used: the Python s3lfs named its objects {0}/assets/..., {why}, \
         and other programs can't ask for such keys", why = if .0.is_empty() || .0.starts_with('/') { "which begins with '/'" } else { "which has an empty part" }
    )]
    PythonPrefix(String),
    /// Nothing says where the store is.
    #[error("no store is set: there is no .s3_manifest.json, and no accepted store")]
    NoStore,
}

impl ConfigError {
    /// The key of Git's configuration that is wrong, if it is one.
    pub fn key(&self) -> Option<&str> {
        match self {
            ConfigError::Value { key, .. } | ConfigError::Remote { place: Place::Key(key), .. } => Some(key),
            _ => None,
        }
    }
}

/// Git's configuration as Git itself sees it (`-c` and `GIT_CONFIG_*` too).
#[derive(Clone, Debug, Default)]
pub struct GitConfig {
    values: HashMap<String, Vec<BString>>,
}

impl GitConfig {
    /// Ask Git. One child process; not done on the way of a clean.
    pub fn load() -> Result<Self, GitError> {
        let output = Git::new(["config", "-z", "--list"]).output()?;
        let mut values: HashMap<String, Vec<BString>> = HashMap::new();
        for field in nul_separated(&output) {
            // A key without '=' stands for true.
            let (key, value) = field.split_once_str(b"\n").unwrap_or((field, b"true"));
            values.entry(key.to_str_lossy().into_owned()).or_default().push(value.into());
        }
        Ok(GitConfig { values })
    }

    /// Go on as if `key` were not there. `false`: it is not.
    pub fn leave_out(&mut self, key: &str) -> bool {
        self.values.remove(key).is_some()
    }

    /// The last value of `key`, written as Git lists it: section and name in lower case.
    pub fn get(&self, key: &str) -> Option<&BStr> {
        self.all(key).last().map(|value| value.as_bstr())
    }

    /// All values of `key`, first to last.
    pub fn all(&self, key: &str) -> &[BString] {
        self.values.get(key).map(Vec::as_slice).unwrap_or_default()
    }

    /// The keys that begin with `section`, without it, sorted.
    pub fn names(&self, section: &str) -> Vec<&str> {
        let mut names: Vec<&str> = self.values.keys().filter_map(|key| key.strip_prefix(section)).collect();
        names.sort_unstable();
        names
    }

    /// The text of `key`; an empty one counts as none.
    pub fn text(&self, key: &str) -> Result<Option<String>, ConfigError> {
        let Some(value) = self.get(key).filter(|value| !value.is_empty()) else { return Ok(None) };
        value.to_str().map(|text| Some(text.to_owned())).map_err(|_| bad(key, value, "UTF-8"))
    }

    /// The truth of `key`; without it, `None`.
    pub fn bool(&self, key: &str) -> Result<Option<bool>, ConfigError> {
        self.get(key).map(|value| truth(value).ok_or_else(|| bad(key, value, "true or false"))).transpose()
    }
}

/// Refuse a manifest of the Python tool whose objects can't be reached. Writing it anew would hide that.
pub fn refuse_python_prefix(manifest: &Manifest) -> Result<(), ConfigError> {
    if manifest.has_unreachable_prefix() {
        return Err(ConfigError::PythonPrefix(manifest.repo_prefix.clone()));
    }
    Ok(())
}

/// As git-config(1), "boolean".
fn truth(value: &[u8]) -> Option<bool> {
    match value.to_ascii_lowercase().as_slice() {
        b"1" | b"true" | b"yes" | b"on" => Some(true),
        b"" | b"0" | b"false" | b"no" | b"off" => Some(false),
        _ => None,
    }
}

/// A variable that is empty says nothing.
fn env(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn bad(key: &str, value: &[u8], expected: &'static str) -> ConfigError {
    ConfigError::Value { key: key.to_owned(), value: value.into(), expected }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub fn config(pairs: &[(&str, &str)]) -> GitConfig {
        let mut config = GitConfig::default();
        for (key, value) in pairs {
            config.values.entry((*key).to_owned()).or_default().push((*value).into());
        }
        config
    }

    #[test]
    fn truth_is_written_as_git_writes_it() {
        let config = config(&[("a.b", "Yes"), ("a.c", ""), ("a.d", "maybe"), ("a.e", "0")]);
        assert_eq!((config.bool("a.b").unwrap(), config.bool("a.c").unwrap()), (Some(true), Some(false)));
        assert_eq!((config.bool("a.e").unwrap(), config.bool("a.z").unwrap()), (Some(false), None));
        assert!(config.bool("a.d").is_err(), "what is neither is an error, not a guess");
    }
}
