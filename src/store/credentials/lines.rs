//! Lines of `~/.aws` that nobody reads as they were meant, and the line in which a key stands.
//!
//! Apart from the reading (`files`) because whatever reads these files passes over such lines: only who looks for a
//! profile in vain, or for its keys, wants to know of them.

use std::path::PathBuf;

use super::files::{is_plain, place};
use super::normal::{Kind, normal, to_library};
use crate::shell_word::{edit, quoted};

/// A line that is not read as it was meant.
pub struct Misread {
    /// Where it is, and what is wrong there.
    pub why: String,
    /// The command that mends it.
    pub mend: String,
}

/// What of a profile makes credentials, or leads to them.
const KEYS: [&str; 9] = [
    "aws_access_key_id",
    "aws_secret_access_key",
    "aws_session_token",
    "credential_process",
    "credential_source",
    "role_arn",
    "source_profile",
    "sso_session",
    "sso_account_id",
];

/// The file, and its text as the library has it: line by line as it is.
fn config() -> Option<(PathBuf, String)> {
    text(Kind::Config, place("AWS_CONFIG_FILE", "config"))
}

fn credentials() -> Option<(PathBuf, String)> {
    text(Kind::Credentials, place("AWS_SHARED_CREDENTIALS_FILE", "credentials"))
}

fn text(kind: Kind, file: PathBuf) -> Option<(PathBuf, String)> {
    let text = std::fs::read_to_string(&file).ok().filter(|_| is_plain(&file))?;
    Some((file, normal(&text, kind)))
}

/// The section that is meant to be the profile `name`, and is none: without or with the word before it.
pub fn misnamed(name: &str) -> Option<Misread> {
    let is_easy = name.bytes().all(|b| b.is_ascii_alphanumeric() || b" ._-".contains(&b));
    let says = |(file, text): (PathBuf, String), found: &str, wanted: &str| {
        let header = format!("[{}]", to_library(found));
        let line = text.lines().position(|line| line == header)? + 1;
        let shown = quoted(&file.display().to_string());
        let mend = match is_easy {
            true => format!("sed -i.bak {} {shown}", quoted(&format!("{line}s/.*/[{wanted}]/"))),
            false => format!("{} # line {line}: [{wanted}]", edit(&file)),
        };
        let why = format!("{}, line {line}: [{found}] is read by nobody, it has to be [{wanted}]", file.display());
        Some(Misread { why, mend })
    };
    if name == "default" {
        return None;
    }
    let wanted = if name.contains(' ') { format!("profile \"{name}\"") } else { format!("profile {name}") };
    let with_word = format!("profile {name}");
    let in_config = |found: &str| config().and_then(|file| says(file, found, &wanted));
    in_config(name).or_else(|| in_config(&with_word)).or_else(|| says(credentials()?, &with_word, name))
}

/// Keys of the profile `name` that are indented, and so belong to the value above them.
pub fn swallowed(name: &str) -> Option<Misread> {
    let of_config = match name {
        "default" => "[default]".to_owned(),
        name => format!("[profile {}]", to_library(name)),
    };
    let of_credentials = format!("[{}]", to_library(name));
    let in_file = |(file, text): (PathBuf, String), header: &str| {
        let (mut is_inside, mut has_value) = (false, false);
        let mut found = Vec::new();
        for (n, line) in text.lines().enumerate() {
            if line.starts_with('[') {
                is_inside = line == header;
                has_value = false;
            } else if let Some(more) = line.strip_prefix("  ") {
                let key = more.split(['=', ':']).next().unwrap_or_default().trim();
                if is_inside && has_value && KEYS.contains(&key.to_ascii_lowercase().as_str()) {
                    found.push((n + 1, key));
                }
            } else if let Some((_, value)) = line.split_once('=') {
                has_value = !value.is_empty();
            }
        }
        let (line, key) = found.first()?;
        let why =
            format!("{}, line {line}: {key} is indented, and so read as a part of the value above it", file.display());
        let lines: Vec<String> = found.iter().map(|(line, _)| format!("{line}s/^[[:space:]]*//")).collect();
        let mend = format!("sed -i.bak {} {}", quoted(&lines.join(";")), quoted(&file.display().to_string()));
        Some(Misread { why, mend })
    };
    let in_config = config().and_then(|file| in_file(file, &of_config));
    in_config.or_else(|| in_file(credentials()?, &of_credentials))
}

/// The line of the credentials file in which a profile has this key: the AWS CLI, too, writes secrets there.
pub fn line_of(profile: &str, key: &str) -> Option<(PathBuf, usize)> {
    let (file, text) = credentials()?;
    let header = format!("[{}]", to_library(profile));
    let mut is_inside = false;
    for (n, line) in text.lines().enumerate() {
        if line.starts_with('[') {
            is_inside = line == header;
        } else if is_inside && line.split_once('=').is_some_and(|(name, _)| name.eq_ignore_ascii_case(key)) {
            return Some((file, n + 1));
        }
    }
    None
}

/// The line of the config file in which endpoints of these services begin.
pub fn line_of_services(name: &str) -> Option<(PathBuf, usize)> {
    let (file, text) = config()?;
    let header = format!("[services {}]", to_library(name));
    let line = text.lines().position(|line| line == header)? + 1;
    Some((file, line))
}
