//! Why nobody gave credentials, and what to do: in a line.
//!
//! Apart from the asking because the library's errors are written for developers (whole responses, names of types),
//! and no user is to read those.

use std::error::Error;
use std::fmt;
use std::path::Path;
use std::time::Duration;

use aws_credential_types::provider::error::CredentialsError;

use super::asked::Asked;
use super::files::is_plain;
use super::profile;
use crate::error::chain;
use crate::shell_word::{edit, quoted};

/// No credentials could be had.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{why}")]
pub struct NoCredentials {
    why: String,
    mend: Vec<String>,
}

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
            Giver::Container => "the container's endpoint",
            Giver::Instance => "the instance's metadata",
        })
    }
}

impl NoCredentials {
    /// For this reason; `mend`: what to do, a command each where there is one.
    pub fn new(why: impl Into<String>, mend: impl IntoIterator<Item = String>) -> Self {
        NoCredentials { why: why.into(), mend: mend.into_iter().collect() }
    }

    /// What to do about it.
    pub fn mend(&self) -> &[String] {
        &self.mend
    }

    /// Nobody has any.
    pub fn anywhere(asked: &Asked) -> Self {
        if let Some((has, lacks)) = half_a_key() {
            return NoCredentials::new(
                format!("{has} is set, and {lacks} is not"),
                [format!("export {lacks}=<{}>", its(lacks))],
            );
        }
        if let Some(why) = profile::silent(asked) {
            return why;
        }
        let set = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN for temporary ones), or name a \
                   profile with AWS_PROFILE or 'git config s3lfs.profile'";
        let type_keys = "aws configure # asks for keys; 'aws configure sso' for SSO".to_owned();
        NoCredentials::new("there are none, neither in the environment nor in ~/.aws", [type_keys, set.to_owned()])
    }

    /// This one was to give them, and did not.
    pub fn from(giver: Giver, error: &CredentialsError, asked: &Asked) -> Self {
        let gives_none = |mend: String| NoCredentials::new(format!("{giver} gives none: {}", plain(error)), [mend]);
        match giver {
            Giver::Profile => profile::explain(error, asked),
            Giver::Environment => gives_none(LIST.to_owned()),
            Giver::WebIdentity => {
                web_identity().unwrap_or_else(|| {
                    gives_none(sts_elsewhere(error).unwrap_or_else(|| {
                        format!("{} # is the token fresh, and does the role trust it?", asked.try_it())
                    }))
                })
            }
            Giver::Container => {
                let (variable, url) = container();
                let why = format!("{giver} {url} ({variable}) gives none: {}", plain(error));
                let away = format!("unset {variable} # where this is no container");
                NoCredentials::new(why, [format!("{} # has the container a role?", asked.try_it()), away])
            }
            // It was asked since nobody else gave any, and where no AWS is, something else may answer there.
            Giver::Instance => {
                let NoCredentials { why, mut mend } = Self::anywhere(asked);
                mend.push(format!("{} # on a machine of AWS: has the instance a role?", asked.try_it()));
                NoCredentials::new(format!("{why}; {giver} gives none: {}", plain(error)), mend)
            }
        }
    }

    /// Whoever was asked did not answer.
    pub fn late(waited: Duration, asked: &Asked) -> Self {
        if let Some(late) = profile::late_process(waited, asked) {
            return late;
        }
        let who = asked.name().map_or_else(String::new, |name| format!("the profile {name}: "));
        let why = format!("{who}no answer within {} seconds to the question for credentials", waited.as_secs());
        NoCredentials::new(why, [asked.try_it()])
    }

    /// What was given can't be sent: `what` of it, since it is given so.
    pub fn unusable(giver: Giver, (what, how): (&str, &str), asked: &Asked) -> Self {
        let why = format!("{giver} gives {what} {how}");
        let mend = match giver {
            Giver::Environment => cleaned(what),
            Giver::Profile => profile::shows_keys(asked).unwrap_or_else(|| LIST.to_owned()),
            _ => LIST.to_owned(),
        };
        NoCredentials::new(why, [mend])
    }
}

/// What the AWS CLI has, and where it comes from, with no secret in it.
const LIST: &str = "aws configure list";

/// The command that takes out of a variable what belongs to no key.
fn cleaned(variable: &str) -> String {
    format!("export {variable}=\"$(printf %s \"${variable}\" | tr -d '[:space:][:cntrl:]\"\\047')\"")
}

/// Where something other than AWS was named for STS, and does not answer as STS.
pub fn sts_elsewhere(error: &CredentialsError) -> Option<String> {
    let names = ["AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL"];
    let name = names.into_iter().find(|name| std::env::var_os(name).is_some_and(|url| !url.is_empty()))?;
    // What STS itself answers has a code.
    let is_unanswered = chain(error).contains("dispatch failure") || plain(error) == NO_REASON;
    is_unanswered.then(|| format!("unset {name} # it says where STS is asked, too"))
}

/// The environment's keys.
const KEYS: [&str; 2] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];

/// One of the environment's keys is set, and the other one is not.
pub fn half_a_key() -> Option<(&'static str, &'static str)> {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.to_string_lossy().trim().is_empty());
    match KEYS.map(is_set) {
        [true, false] => Some((KEYS[0], KEYS[1])),
        [false, true] => Some((KEYS[1], KEYS[0])),
        _ => None,
    }
}

/// What stands in a variable, for whoever sets it.
fn its(variable: &str) -> &'static str {
    if variable == KEYS[0] { "id" } else { "key" }
}

/// What is wrong before STS is even asked.
fn web_identity() -> Option<NoCredentials> {
    const FILE: &str = "AWS_WEB_IDENTITY_TOKEN_FILE";
    const ROLE: &str = "AWS_ROLE_ARN";
    let file = std::env::var(FILE).ok()?;
    if std::env::var_os(ROLE).is_none() {
        let why = format!("{FILE} is set, and {ROLE} is not");
        return Some(NoCredentials::new(why, [format!("export {ROLE}=arn:aws:iam::<account>:role/<role>")]));
    }
    if Path::new(&file).exists() && !is_plain(Path::new(&file)) {
        return None;
    }
    let error = std::fs::read(&file).err()?;
    let why = format!("{FILE} names {file}, which can't be read: {error}");
    let away = format!("unset {FILE} # where the platform puts no token");
    Some(NoCredentials::new(why, [format!("ls -l {}", quoted(&file)), away]))
}

/// Either names the container's endpoint.
const RELATIVE: &str = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI";
const FULL: &str = "AWS_CONTAINER_CREDENTIALS_FULL_URI";

/// The variable that names the container's endpoint, and where that is.
fn container() -> (&'static str, String) {
    match std::env::var(RELATIVE) {
        // "Container credential provider" in the AWS SDKs reference guide.
        Ok(path) => (RELATIVE, bare(&format!("http://169.254.170.2{path}"))),
        Err(_) => (FULL, bare(&std::env::var(FULL).unwrap_or_default())),
    }
}

/// A URL without what may be secret in it: user, password, query.
fn bare(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

/// The container's own word can't be sent: the library would say it, secret as it is.
pub fn container_token() -> Option<NoCredentials> {
    const FILE: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE";
    const TOKEN: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN";
    if [RELATIVE, FULL].iter().all(|name| std::env::var_os(name).is_none()) {
        return None;
    }
    let (what, token) = match std::env::var(FILE) {
        // A pipe is read once: that is for the library.
        Ok(file) if Path::new(&file).exists() && !is_plain(Path::new(&file)) => return None,
        Ok(file) => match std::fs::read(&file) {
            Ok(token) => (format!("{FILE} names {file}, and what is in it"), token),
            Err(e) => {
                let why = format!("{FILE} names {file}, which can't be read: {e}");
                return Some(NoCredentials::new(why, [format!("ls -l {}", quoted(&file))]));
            }
        },
        Err(_) => (TOKEN.to_owned(), std::env::var(TOKEN).ok()?.into_bytes()),
    };
    let why = || {
        let mend = std::env::var_os(FILE).map_or_else(|| cleaned(TOKEN), |file| edit(Path::new(&file)));
        NoCredentials::new(format!("{what} has a line break, or something else that no request can carry"), [mend])
    };
    http::HeaderValue::from_bytes(&token).is_err().then(why)
}

/// Nobody was asked, since it was not said whom to ask: deep down in what the library says.
pub fn is_silent(error: &CredentialsError) -> bool {
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(e) = next {
        if let Some(CredentialsError::CredentialsNotLoaded(_)) = e.downcast_ref() {
            return true;
        }
        next = e.source();
    }
    false
}

const NO_REASON: &str = "without a reason";

/// What the library says, without what it says to developers.
pub fn plain(error: &(dyn Error + 'static)) -> String {
    /// These say that there is an error, and the next ones which.
    const FRAMES: [&str; 9] = [
        "the credentials provider was not properly configured",
        "the credential provider was not enabled",
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
    if parts.is_empty() { NO_REASON.to_owned() } else { parts.join(": ") }
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
    if text == "Error" {
        return String::new();
    }
    const BEGINS: [&str; 4] = [". Response {", " got StartEl {", ": Error at offset", "{"];
    let end = BEGINS.iter().filter_map(|begin| text.find(begin)).min().unwrap_or(text.len());
    let text = text[..end].trim_end();
    let text = text.strip_prefix("ProfileFile provider could not be built: ").unwrap_or(text);
    match text.split_once("StatusCode(") {
        Some((before, rest)) => format!("{before}{}", rest.replacen(')', "", 1)),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(error: impl Into<Box<dyn Error + Send + Sync>>) -> String {
        plain(&CredentialsError::provider_error(error))
    }

    #[test]
    fn a_url_is_shown_without_what_may_be_secret() {
        assert_eq!(bare("http://user:secret@127.0.0.1:80/a/b?token=secret"), "http://127.0.0.1:80/a/b");
        assert_eq!(bare("http://host?secret"), "http://host");
        assert_eq!(bare("nonsense"), "nonsense");
    }

    #[test]
    fn what_the_library_says_to_developers_is_left_out() {
        let text = "error response from IMDS (code: 403). Response { status: StatusCode(403), body: \"secret\" }";
        assert_eq!(said(text), "error response from IMDS (code: 403)");
        let text = "Error { code: \"AccessDenied\", message: \"not for you\", aws_request_id: \"x\" }";
        assert_eq!(said(text), "AccessDenied: not for you");
        let text = "Non-success status from HTTP credential provider: StatusCode(403)";
        assert_eq!(said(text), "Non-success status from HTTP credential provider: 403");
        let text = "ProfileFile provider could not be built: profile formed an infinite loop";
        assert_eq!(plain(&CredentialsError::invalid_configuration(text)), "profile formed an infinite loop");
    }
}
