//! The login of an SSO session, as `aws sso login` left it on this machine.
//!
//! Apart because the library reads it too, and says neither that nobody has logged in nor when a login ended; of a
//! session that a profile names by its URL alone it does not even look at the time.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde::de::IgnoredAny;
use sha1::{Digest, Sha1};

use super::files::is_plain;
use crate::fs::is_absent;

/// What became of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Login {
    /// Nobody has logged in here.
    Never,
    /// The file that should say is no such file.
    Damaged(PathBuf),
    /// It is over since then.
    Ended(DateTime<Utc>),
    /// What it gave is over since then, and could be had anew without a login.
    Renewable(DateTime<Utc>),
    /// By its own words it still lasts.
    Lasts,
}

/// Where it stands, in part; the rest are secrets.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Cached {
    expires_at: String,
    /// That it is there is all that matters.
    refresh_token: Option<IgnoredAny>,
}

impl Login {
    /// Of the session with this name, or this URL where it has no name ("Configuring IAM Identity Center
    /// authentication" in the AWS CLI user guide).
    pub fn of(session: &str) -> Self {
        match std::env::home_dir() {
            Some(home) => Self::at(&home.join(".aws/sso/cache"), session),
            None => Login::Never,
        }
    }

    fn at(cache: &Path, session: &str) -> Self {
        let name: String = Sha1::digest(session.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
        let file = cache.join(format!("{name}.json"));
        if file.symlink_metadata().is_err_and(|e| is_absent(&e)) {
            return Login::Never;
        }
        let text = if is_plain(&file) { std::fs::read(&file).unwrap_or_default() } else { Vec::new() };
        let Ok(cached) = serde_json::from_slice::<Cached>(&text) else { return Login::Damaged(file) };
        match DateTime::parse_from_rfc3339(&cached.expires_at) {
            Err(_) => Login::Damaged(file),
            Ok(end) if SystemTime::from(end) > SystemTime::now() => Login::Lasts,
            Ok(end) if cached.refresh_token.is_some() => Login::Renewable(end.to_utc()),
            Ok(end) => Login::Ended(end.to_utc()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_found_by_the_name_of_its_session() {
        let dir = tempfile::tempdir().unwrap();
        let at = || Login::at(dir.path(), "corp");
        assert_eq!(at(), Login::Never);
        // The SHA-1 of "corp" (`echo -n corp | sha1sum`).
        let file = dir.path().join("ee0bfd2552fbd840c02cc48b6e823320543c450f.json");
        for (text, login) in [
            ("{}", Login::Damaged(file.clone())),
            ("{\"expiresAt\": \"2099-01-01T00:00:00Z\"}", Login::Lasts),
            ("{\"expiresAt\": \"2020-01-01T00:00:00Z\"}", Login::Ended("2020-01-01T00:00:00Z".parse().unwrap())),
            (
                "{\"expiresAt\": \"2020-01-01T00:00:00Z\", \"refreshToken\": \"x\"}",
                Login::Renewable("2020-01-01T00:00:00Z".parse().unwrap()),
            ),
            ("{\"expiresAt\": \"2020-01-01T00:00:00UTC\"}", Login::Damaged(file.clone())),
        ] {
            std::fs::write(&file, text).unwrap();
            assert_eq!(at(), login, "{text}");
        }
    }
}
