//! Where credentials came from, and how to have new ones: nothing in it is a secret.
//!
//! Apart because it is told when they work (`doctor`) and when the service does not take them.

use std::time::SystemTime;

use aws_credential_types::credential_feature::AwsCredentialFeature;

use super::asked::{Asked, run_process};
use super::lines::line_of;
use crate::shell_word::{edit, quoted};

/// Where credentials came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// In words.
    pub from: String,
    /// The last characters of the access key's id, as `aws configure list` shows them.
    pub key: String,
    /// When they end, if they do.
    pub expires: Option<SystemTime>,
    /// The command that brings other ones.
    pub renewal: String,
}

impl Origin {
    /// The environment's keys, for which no chain is asked.
    pub fn of_environment() -> Self {
        let id = std::env::var("AWS_ACCESS_KEY_ID").unwrap_or_default();
        let has_token = std::env::var_os("AWS_SESSION_TOKEN").is_some_and(|token| !token.is_empty());
        let renewal = match (id.get(..4), has_token) {
            (Some(TEMPORARY), false) => "export AWS_SESSION_TOKEN=<token> # a key that begins with ASIA has one",
            (Some(LASTING), true) => "unset AWS_SESSION_TOKEN # a key that begins with AKIA has none",
            _ => SET_KEYS,
        };
        Origin { from: ENVIRONMENT.to_owned(), key: shown(&id), expires: None, renewal: renewal.to_owned() }
    }

    /// Whether they are the environment's keys.
    pub fn is_of_environment(&self) -> bool {
        self.from == ENVIRONMENT
    }

    /// What `features`, the library's words, say of the key with this id.
    pub fn new(features: &[AwsCredentialFeature], asked: &Asked, key_id: &str, expires: Option<SystemTime>) -> Self {
        let mut from: Vec<String> = features.iter().filter_map(whence).map(str::to_owned).collect();
        if let Some(profile) = asked.name() {
            from.push(format!("profile {profile}"));
        }
        if from.is_empty() {
            from.push("the chain of AWS".to_owned());
        }
        Origin {
            from: from.join(", "),
            key: shown(key_id),
            expires,
            renewal: renewal(features, asked, key_id, expires.is_some()),
        }
    }
}

const ENVIRONMENT: &str = "the environment";
/// How the ids of keys begin that come with a session token, and of those that don't ("IAM identifiers" in the IAM
/// user guide).
const TEMPORARY: &str = "ASIA";
const LASTING: &str = "AKIA";
/// For keys in the environment.
const SET_KEYS: &str =
    "export AWS_ACCESS_KEY_ID=<id> AWS_SECRET_ACCESS_KEY=<key> # and AWS_SESSION_TOKEN, or unset that";

/// A session token that stands beside keys which it is not of, or is over with them: 'aws configure' asks for the keys
/// alone, and leaves it there.
fn stale_token(asked: &Asked, key_id: &str) -> Option<String> {
    let (file, line) = line_of(asked.name_there(), "aws_session_token")?;
    let shown = quoted(&file.display().to_string());
    Some(match key_id.starts_with(LASTING) {
        true => format!("sed -i.bak {line}d {shown} # its aws_session_token: a key that begins with AKIA has none"),
        false => {
            format!("{} # line {line}: aws_session_token, and the keys above it, are of one session", edit(&file))
        }
    })
}

fn shown(key_id: &str) -> String {
    let last: Vec<char> = key_id.chars().rev().take(4).collect();
    format!("...{}", last.into_iter().rev().collect::<String>())
}

/// The library's word for who gave credentials, in ours.
fn whence(feature: &AwsCredentialFeature) -> Option<&'static str> {
    Some(match feature {
        AwsCredentialFeature::CredentialsEnvVars => ENVIRONMENT,
        AwsCredentialFeature::CredentialsProfile => "~/.aws",
        AwsCredentialFeature::CredentialsProcess => "credential_process",
        AwsCredentialFeature::CredentialsSso => "SSO",
        AwsCredentialFeature::CredentialsStsAssumeRole => "an assumed role",
        AwsCredentialFeature::CredentialsEnvVarsStsWebIdToken
        | AwsCredentialFeature::CredentialsProfileStsWebIdToken
        | AwsCredentialFeature::CredentialsStsAssumeRoleWebId => "web identity",
        AwsCredentialFeature::CredentialsHttp => "the container",
        AwsCredentialFeature::CredentialsImds => "the instance",
        AwsCredentialFeature::CredentialsProfileLogin | AwsCredentialFeature::CredentialsLogin => "aws login",
        _ => return None,
    })
}

/// `end`: whether they do; those of a role say of themselves only that a profile gave them.
fn renewal(features: &[AwsCredentialFeature], asked: &Asked, key_id: &str, end: bool) -> String {
    let is = |feature: AwsCredentialFeature| features.contains(&feature);
    if is(AwsCredentialFeature::CredentialsSso) {
        asked.log_in()
    } else if is(AwsCredentialFeature::CredentialsProcess) {
        run_process(&asked.option())
    } else if is(AwsCredentialFeature::CredentialsEnvVars) {
        SET_KEYS.to_owned()
    } else if features == [AwsCredentialFeature::CredentialsProfile] && !end {
        stale_token(asked, key_id).unwrap_or_else(|| asked.type_keys())
    } else {
        asked.try_it()
    }
}
