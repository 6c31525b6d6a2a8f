//! The user's wishes about when content moves: at smudge, at commit, at push.
//!
//! Apart because each is one key, with one default, read by one consumer.

use bstr::ByteSlice;

use super::{ConfigError, GitConfig, bad, truth};
use crate::filter::Policy;

/// The user's standing wishes about smudge: environment, then git config. What can't be meant is told to `say`, and
/// the default holds: a checkout goes on.
pub fn policy(config: &GitConfig, mut say: impl FnMut(ConfigError)) -> Policy {
    let wish = |variable: &str, key: &str| match std::env::var(variable) {
        Ok(value) => Ok(truth(value.as_bytes()).unwrap_or(true)),
        Err(_) => config.bool(key).map(|value| value.unwrap_or(false)),
    };
    let mut wished = |variable: &str, key: &str| {
        wish(variable, key).unwrap_or_else(|e| {
            say(e);
            false
        })
    };
    let skip_smudge = wished("S3LFS_SKIP_SMUDGE", "s3lfs.skipsmudge");
    let skip_download_errors = wished("S3LFS_SKIP_DOWNLOAD_ERRORS", "s3lfs.skipdownloaderrors");
    let smudge_limit = smudge_limit(config).unwrap_or_else(|e| {
        say(e);
        Some(memory() / 4)
    });
    Policy { skip_smudge, skip_download_errors, smudge_limit }
}

/// Refuse settings of [`policy`] that can't be meant: in a command, somebody is there to mend them.
pub fn check_policy(config: &GitConfig) -> Result<(), ConfigError> {
    let mut wrong = Vec::new();
    policy(config, |e| wrong.push(e));
    wrong.into_iter().next().map_or(Ok(()), Err)
}

/// `s3lfs.smudgelimit`; default: a quarter of the machine's memory.
fn smudge_limit(config: &GitConfig) -> Result<Option<u64>, ConfigError> {
    limit(config, "s3lfs.smudgelimit", || memory() / 4)
}

/// From which size on a file that enters Git as it is is named (`s3lfs.warnabove`); default: 10 MiB.
pub fn warn_above(config: &GitConfig) -> Result<Option<u64>, ConfigError> {
    limit(config, "s3lfs.warnabove", || 10 << 20)
}

/// A number of bytes, with Git's suffixes k, m, g; 0 is no limit.
fn limit(config: &GitConfig, key: &str, default: impl FnOnce() -> u64) -> Result<Option<u64>, ConfigError> {
    let Some(text) = config.text(key)? else { return Ok(Some(default())) };
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" => Some(0),
        "k" => Some(10),
        "m" => Some(20),
        "g" => Some(30),
        _ => None,
    };
    let bytes = shift.and_then(|shift| digits.parse::<u64>().ok()?.checked_mul(1 << shift));
    let bytes = bytes.ok_or_else(|| bad(key, text.as_bytes(), "a number of bytes, like 500m"))?;
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
    use super::super::tests::config;
    use super::*;

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
}
