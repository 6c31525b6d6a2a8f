//! Why nobody gave credentials, and what to do: in a line.
//!
//! Apart from the asking because the library's errors are written for developers (whole responses, names of types),
//! and no user is to read those.

use std::error::Error;
use std::fmt;

use aws_credential_types::provider::error::CredentialsError;

/// No credentials could be had.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct NoCredentials(String);

/// Who was asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Giver {
    /// The environment's keys.
    Environment,
    /// Files in `~/.aws`, and whatever a profile there refers to.
    Profile,
    /// STS, with a token in a file that the environment names.
    WebIdentity,
    /// The endpoint that the environment names.
    Container,
    /// The metadata of a machine at AWS.
    Instance,
}

impl fmt::Display for Giver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Giver::Environment => "the environment",
            Giver::Profile => "the profile",
            Giver::WebIdentity => "STS, asked with AWS_WEB_IDENTITY_TOKEN_FILE,",
            Giver::Container => "the container's endpoint (AWS_CONTAINER_CREDENTIALS_*)",
            Giver::Instance => "the instance's metadata",
        })
    }
}

impl NoCredentials {
    /// Nobody has any.
    pub fn anywhere() -> Self {
        NoCredentials("there are none, neither in the environment nor in ~/.aws".to_owned())
    }

    /// This one was to give them, and did not. `profile`: the name of one that was asked for.
    pub fn from(giver: Giver, error: &CredentialsError, profile: Option<&str>) -> Self {
        if matches!((error, giver), (CredentialsError::CredentialsNotLoaded(_), Giver::Profile)) {
            let named = profile.map(|name| format!("{name} ")).unwrap_or_default();
            return NoCredentials(format!("the profile {named}in ~/.aws has none"));
        }
        let raw = crate::error::chain(error);
        let option = profile.map(|name| format!(" --profile {name}")).unwrap_or_default();
        let advice = match giver {
            Giver::Profile if raw.contains("credentials-login") => format!(
                "of 'aws login' s3lfs takes them by a second profile with the line: \
                 credential_process = aws configure export-credentials{option} --format process"
            ),
            Giver::Profile if raw.to_lowercase().contains("sso") => format!("log in with: aws sso login{option}"),
            Giver::Environment => "look at AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY".to_owned(),
            Giver::Profile => format!("try it with: aws sts get-caller-identity{option}"),
            Giver::WebIdentity => "look whether the token is fresh and the role (AWS_ROLE_ARN) trusts it".to_owned(),
            Giver::Container => "look whether the container has a role".to_owned(),
            Giver::Instance => "look whether the instance has a role, or name a profile".to_owned(),
        };
        NoCredentials(format!("{giver} gives none: {}; {advice}", plain(error)))
    }
}

/// What the library says, without what it says to developers.
fn plain(error: &(dyn Error + 'static)) -> String {
    /// These say that there is an error, and the next ones which.
    const FRAMES: [&str; 7] = [
        "an error occurred while loading credentials",
        "unexpected credentials error",
        "service error",
        "unhandled error",
        "dispatch failure",
        "io error",
        "client error",
    ];
    let mut parts: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(e) = next {
        let text = e.to_string();
        let is_frame = FRAMES.iter().any(|frame| text.starts_with(frame)) && e.source().is_some();
        let part = said(&text);
        if !is_frame && !part.is_empty() && parts.last() != Some(&part) {
            parts.push(part);
        }
        next = e.source();
    }
    parts.join(": ")
}

/// One error's text: `AccessDenied: why` of a service's answer, and nothing in Rust's notation.
fn said(text: &str) -> String {
    let quoted = |key: &str| {
        let (_, rest) = text.split_once(&format!("{key}: \""))?;
        rest.split_once('"').map(|(value, _)| value)
    };
    if let (true, Some(code)) = (text.starts_with("Error {"), quoted("code")) {
        return match quoted("message") {
            Some(message) => format!("{code}: {message}"),
            None => code.to_owned(),
        };
    }
    // Where the library goes on in Rust's notation, or about the parser.
    const BEGINS: [&str; 4] = [". Response {", " got StartEl {", ": Error at offset", "{"];
    let end = BEGINS.iter().filter_map(|begin| text.find(begin)).min().unwrap_or(text.len());
    let text = text[..end].trim_end();
    match text.split_once("StatusCode(") {
        Some((before, rest)) => format!("{before}{}", rest.replacen(')', "", 1)),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(giver: Giver, error: impl Into<Box<dyn Error + Send + Sync>>) -> String {
        NoCredentials::from(giver, &CredentialsError::provider_error(error), Some("team")).to_string()
    }

    #[test]
    fn what_the_library_says_to_developers_is_left_out() {
        let said = line(
            Giver::Instance,
            "error response from IMDS (code: 403). Response { status: StatusCode(403), body: \"secret\" }",
        );
        assert_eq!(
            said,
            "the instance's metadata gives none: error response from IMDS (code: 403); look whether the instance has a \
             role, or name a profile"
        );
        let said =
            line(Giver::Profile, "Error { code: \"AccessDenied\", message: \"not for you\", aws_request_id: \"x\" }");
        assert_eq!(
            said,
            "the profile gives none: AccessDenied: not for you; try it with: aws sts get-caller-identity --profile team"
        );
        let said = line(Giver::Container, "Non-success status from HTTP credential provider: StatusCode(403)");
        assert!(said.contains("provider: 403; "), "{said}");
    }
}
