//! Settings: flags and environment, then git config, then the manifest, then defaults, resolved once.
//!
//! Apart so that which one wins is decided in one place (design.md, section 5), and whether a store
//! was chosen by the user or by a commit (section 4, "the accepted store").

use std::collections::HashMap;

use bstr::{BStr, BString, ByteSlice};

use crate::filter::Policy;
use crate::git::{Git, GitError, nul_separated};
use crate::manifest::Manifest;
use crate::remote::{Remote, RemoteError};
use crate::store::codec::Compression;

/// Requests in flight unless the user says otherwise.
const DEFAULT_JOBS: usize = 16;

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
    /// Bucket, prefix and endpoint name no store.
    #[error("the settings name no store")]
    Remote(#[from] RemoteError),
    /// Nothing says where the store is.
    #[error("no store is set: there is no .s3_manifest.json, and no accepted store")]
    NoStore,
}

/// Git's configuration as Git itself sees it (`-c` and `GIT_CONFIG_*` too).
#[derive(Debug, Default)]
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

    /// The last value of `key`, written as Git lists it: section and name in lower case.
    pub fn get(&self, key: &str) -> Option<&BStr> {
        self.all(key).last().map(|value| value.as_bstr())
    }

    /// All values of `key`, first to last.
    pub fn all(&self, key: &str) -> &[BString] {
        self.values.get(key).map(Vec::as_slice).unwrap_or_default()
    }

    /// The text of `key`; an empty one counts as none.
    fn text(&self, key: &str) -> Result<Option<String>, ConfigError> {
        let Some(value) = self.get(key).filter(|value| !value.is_empty()) else { return Ok(None) };
        value.to_str().map(|text| Some(text.to_owned())).map_err(|_| bad(key, value, "UTF-8"))
    }

    /// The truth of `key`; without it, `None`.
    pub fn bool(&self, key: &str) -> Result<Option<bool>, ConfigError> {
        self.get(key).map(|value| truth(value).ok_or_else(|| bad(key, value, "true or false"))).transpose()
    }
}

/// As git-config(1), "boolean".
fn truth(value: &[u8]) -> Option<bool> {
    match value.to_ascii_lowercase().as_slice() {
        b"1" | b"true" | b"yes" | b"on" => Some(true),
        b"" | b"0" | b"false" | b"no" | b"off" => Some(false),
        _ => None,
    }
}

fn bad(key: &str, value: &[u8], expected: &'static str) -> ConfigError {
    ConfigError::Value { key: key.to_owned(), value: value.into(), expected }
}

/// What flags and `S3LFS_*` variables say.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// Bucket or URL.
    pub bucket: Option<String>,
    /// Prefix.
    pub repo_prefix: Option<String>,
    /// Endpoint.
    pub endpoint_url: Option<String>,
    /// Requests in flight.
    pub jobs: Option<usize>,
}

/// Whether the user agreed to this store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Acceptance {
    /// Chosen or accepted by the user.
    Accepted,
    /// Named by a commit only: nothing is sent there.
    NotAccepted,
}

/// Everything that a transfer needs to know, resolved.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The store.
    pub remote: Remote,
    /// Whether it may be used without asking.
    pub acceptance: Acceptance,
    /// Requests in flight at the most.
    pub jobs: usize,
    /// How new objects are encoded.
    pub compression: Compression,
}

impl Settings {
    /// Put the layers on top of each other. Without a manifest, the accepted store is the store.
    pub fn resolve(
        overrides: &Overrides,
        config: &GitConfig,
        manifest: Option<&Manifest>,
    ) -> Result<Self, ConfigError> {
        let own = |flag: &Option<String>, key: &str| match flag {
            Some(value) => Ok(Some(value.clone())),
            None => config.text(key),
        };
        let own_bucket = own(&overrides.bucket, "s3lfs.bucket")?;
        let own_prefix = own(&overrides.repo_prefix, "s3lfs.repoprefix")?;
        let own_endpoint = own_endpoint(overrides, config)?;
        let accepted = config.text("s3lfs.store")?;
        let jobs = jobs(overrides, config)?;
        let compression = compression(manifest)?;
        let done = |remote, acceptance| Ok(Settings { remote, acceptance, jobs, compression });

        let bucket = own_bucket.as_deref().or(manifest.map(|m| m.bucket_name.as_str()));
        let Some(bucket) = bucket else {
            let url = accepted.ok_or(ConfigError::NoStore)?;
            return done(Remote::from_url(&url)?, Acceptance::Accepted);
        };
        let prefix = own_prefix.as_deref().or(manifest.map(|m| m.repo_prefix.as_str())).unwrap_or("");
        let named_endpoint = manifest.and_then(|m| m.endpoint_url.as_deref());
        let remote = Remote::new(bucket, prefix, own_endpoint.as_deref().or(named_endpoint))?;
        let own_choice = own_bucket.is_some() && (own_endpoint.is_some() || remote.endpoint().is_none());
        // The user may have accepted what the manifest says, and chosen another endpoint since.
        let as_named = match manifest {
            Some(m) => Some(Remote::new(&m.bucket_name, &m.repo_prefix, named_endpoint)?),
            None => None,
        };
        let candidates = [Some(&remote), as_named.as_ref()];
        let mut covered = own_choice;
        for candidate in candidates.into_iter().flatten() {
            covered |= accepted.as_deref() == Some(candidate.to_string().as_str());
            for pattern in config.all("s3lfs.trust") {
                covered |= candidate.is_covered_by(&pattern.to_str_lossy())?;
            }
        }
        done(remote, if covered { Acceptance::Accepted } else { Acceptance::NotAccepted })
    }
}

/// The endpoint that the user chose, if any: flag, `S3LFS_ENDPOINT_URL`, `AWS_ENDPOINT_URL_S3`,
/// `AWS_ENDPOINT_URL`, git config.
pub fn own_endpoint(overrides: &Overrides, config: &GitConfig) -> Result<Option<String>, ConfigError> {
    let env = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let own = overrides.endpoint_url.clone();
    match own.or_else(|| env("AWS_ENDPOINT_URL_S3")).or_else(|| env("AWS_ENDPOINT_URL")) {
        Some(url) => Ok(Some(url)),
        None => config.text("s3lfs.endpointurl"),
    }
}

fn jobs(overrides: &Overrides, config: &GitConfig) -> Result<usize, ConfigError> {
    if let Some(jobs) = overrides.jobs {
        return Ok(jobs);
    }
    let Some(text) = config.text("s3lfs.jobs")? else { return Ok(DEFAULT_JOBS) };
    text.parse().ok().filter(|n| (1..=1024).contains(n)).ok_or_else(|| bad("s3lfs.jobs", text.as_bytes(), "1 to 1024"))
}

fn compression(manifest: Option<&Manifest>) -> Result<Compression, ConfigError> {
    let Some(text) = manifest.and_then(|m| m.compression.as_deref()) else { return Ok(Compression::Auto) };
    text.parse().map_err(|_| bad("compression in .s3_manifest.json", text.as_bytes(), "auto, gzip or none"))
}

/// The user's standing wishes about smudge: environment, then git config.
pub fn policy(config: &GitConfig) -> Result<Policy, ConfigError> {
    let wish = |variable: &str, key: &str| match std::env::var(variable) {
        Ok(value) => Ok(truth(value.as_bytes()).unwrap_or(true)),
        Err(_) => config.bool(key).map(|value| value.unwrap_or(false)),
    };
    Ok(Policy {
        skip_smudge: wish("S3LFS_SKIP_SMUDGE", "s3lfs.skipsmudge")?,
        skip_download_errors: wish("S3LFS_SKIP_DOWNLOAD_ERRORS", "s3lfs.skipdownloaderrors")?,
        smudge_limit: smudge_limit(config)?,
    })
}

/// `s3lfs.smudgelimit` in bytes, with Git's suffixes k, m, g; 0 is no limit. Default: a quarter of the
/// machine's memory.
fn smudge_limit(config: &GitConfig) -> Result<Option<u64>, ConfigError> {
    let Some(text) = config.text("s3lfs.smudgelimit")? else { return Ok(Some(memory() / 4)) };
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" => Some(0),
        "k" => Some(10),
        "m" => Some(20),
        "g" => Some(30),
        _ => None,
    };
    let bytes = shift.and_then(|shift| digits.parse::<u64>().ok()?.checked_mul(1 << shift));
    let bytes = bytes.ok_or_else(|| bad("s3lfs.smudgelimit", text.as_bytes(), "a number of bytes, like 500m"))?;
    Ok((bytes > 0).then_some(bytes))
}

/// Bytes of memory of this machine.
#[cfg(target_os = "linux")]
fn memory() -> u64 {
    let info = rustix::system::sysinfo();
    // The fields' types differ between architectures.
    #[allow(clippy::useless_conversion)]
    u64::from(info.totalram).saturating_mul(u64::from(info.mem_unit))
}

/// A modest guess where the system is not asked.
#[cfg(not(target_os = "linux"))]
fn memory() -> u64 {
    8 << 30
}

/// When content is uploaded that a commit brings (`s3lfs.uploadon`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CommitUploads {
    /// With the commit; the push sends what could not be sent then.
    AtCommit,
    /// With the push only.
    AtPush,
}

/// The value of `s3lfs.uploadon`.
pub fn commit_uploads(config: &GitConfig) -> Result<CommitUploads, ConfigError> {
    match config.get("s3lfs.uploadon").map(|value| value.as_bytes()) {
        None | Some(b"commit") => Ok(CommitUploads::AtCommit),
        Some(b"push") => Ok(CommitUploads::AtPush),
        Some(other) => Err(bad("s3lfs.uploadon", other, "commit or push")),
    }
}

/// What becomes of a commit whose content can't be uploaded (`s3lfs.offlinecommit`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OfflineCommit {
    /// It goes, with a warning.
    Warn,
    /// It is refused.
    Fail,
}

/// The value of `s3lfs.offlinecommit`.
pub fn offline_commit(config: &GitConfig) -> Result<OfflineCommit, ConfigError> {
    match config.get("s3lfs.offlinecommit").map(|value| value.as_bytes()) {
        None | Some(b"warn") => Ok(OfflineCommit::Warn),
        Some(b"fail") => Ok(OfflineCommit::Fail),
        Some(other) => Err(bad("s3lfs.offlinecommit", other, "warn or fail")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(pairs: &[(&str, &str)]) -> GitConfig {
        let mut config = GitConfig::default();
        for (key, value) in pairs {
            config.values.entry((*key).to_owned()).or_default().push((*value).into());
        }
        config
    }

    fn resolve(overrides: &Overrides, pairs: &[(&str, &str)], manifest: Option<&Manifest>) -> (String, Acceptance) {
        let settings = Settings::resolve(overrides, &config(pairs), manifest).unwrap();
        (settings.remote.to_string(), settings.acceptance)
    }

    #[test]
    fn a_store_named_by_a_commit_is_used_only_when_accepted() {
        let manifest = Manifest::new("team-bucket", "proj");
        let none = Overrides::default();
        let url = "s3://team-bucket/proj";
        let expect = |pairs: &[(&str, &str)], acceptance| {
            assert_eq!(resolve(&none, pairs, Some(&manifest)), (url.to_owned(), acceptance), "{pairs:?}");
        };
        expect(&[], Acceptance::NotAccepted);
        expect(&[("s3lfs.store", "s3://other/proj")], Acceptance::NotAccepted);
        expect(&[("s3lfs.store", url)], Acceptance::Accepted);
        expect(&[("s3lfs.trust", "s3://x/*"), ("s3lfs.trust", "s3://team-bucket/*")], Acceptance::Accepted);
        let mut elsewhere = manifest.clone();
        elsewhere.endpoint_url = Some("https://evil.example".into());
        let (_, acceptance) = resolve(&none, &[("s3lfs.store", url)], Some(&elsewhere));
        assert_eq!(acceptance, Acceptance::NotAccepted, "another endpoint is another store");
        let chosen = Overrides { bucket: Some("mine".into()), ..Overrides::default() };
        assert_eq!(resolve(&chosen, &[], Some(&manifest)).1, Acceptance::Accepted, "a flag is the user's own choice");
        assert_eq!(resolve(&chosen, &[], Some(&elsewhere)).1, Acceptance::NotAccepted, "but not the commit's endpoint");
    }

    #[test]
    fn the_smudge_limit_takes_gits_suffixes() {
        let limit = |text: &str| smudge_limit(&config(&[("s3lfs.smudgelimit", text)])).ok();
        assert_eq!(limit("100"), Some(Some(100)));
        assert_eq!(
            (limit("2k"), limit("3M"), limit("1g")),
            (Some(Some(2048)), Some(Some(3 << 20)), Some(Some(1 << 30)))
        );
        assert_eq!(limit("0"), Some(None), "0 is no limit");
        for bad in ["x", "1t", "-1", "1 k", "99999999999g"] {
            assert_eq!(limit(bad), None, "{bad:?} is no size");
        }
        assert!(smudge_limit(&config(&[])).unwrap().is_some_and(|n| n > 64 << 20), "a quarter of the memory");
    }

    #[test]
    fn flags_win_over_git_config_over_the_manifest() {
        let manifest = Manifest::new("from-manifest", "m");
        let flag = Overrides { bucket: Some("from-flag".into()), ..Overrides::default() };
        let pairs = [("s3lfs.bucket", "from-config"), ("s3lfs.repoprefix", "c")];
        assert_eq!(resolve(&flag, &pairs, Some(&manifest)).0, "s3://from-flag/c");
        assert_eq!(resolve(&Overrides::default(), &pairs, Some(&manifest)).0, "s3://from-config/c");
        let accepted = [("s3lfs.store", "file:///srv/x")];
        assert_eq!(resolve(&Overrides::default(), &accepted, None), ("file:///srv/x".to_owned(), Acceptance::Accepted));
        let nothing = Settings::resolve(&Overrides::default(), &config(&[]), None);
        assert!(matches!(nothing, Err(ConfigError::NoStore)));
        assert!(Settings::resolve(&flag, &config(&[("s3lfs.jobs", "0")]), None).is_err());
    }
}
