//! The login of an SSO session, as `aws sso login` left it on this machine.
//!
//! Apart because the library reads it too, and says neither that nobody has logged in nor when a login ended; of a
//! session that a profile names by its URL alone it does not even look at the time.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use sha1::{Digest, Sha1};

/// What became of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Login {
    /// Nobody has logged in here.
    Never,
    /// The file that should say is no such file.
    Damaged(PathBuf),
    /// It is over since then.
    Ended(DateTime<Utc>),
    /// By its own words it still lasts.
    Lasts,
}

/// Where it stands, in part; the rest are secrets.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Cached {
    expires_at: String,
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
        let Ok(text) = std::fs::read(&file) else { return Login::Never };
        let end = serde_json::from_slice::<Cached>(&text).ok();
        match end.and_then(|cached| DateTime::parse_from_rfc3339(&cached.expires_at).ok()) {
            None => Login::Damaged(file),
            Some(end) if SystemTime::from(end) <= SystemTime::now() => Login::Ended(end.to_utc()),
            Some(_) => Login::Lasts,
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
            ("{\"expiresAt\": \"2020-01-01T00:00:00UTC\"}", Login::Damaged(file.clone())),
        ] {
            std::fs::write(&file, text).unwrap();
            assert_eq!(at(), login, "{text}");
        }
    }
}
