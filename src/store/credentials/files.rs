//! What stands in `~/.aws` about a profile: whether it is there, and how it is to come to credentials.
//!
//! Apart because the library, which makes credentials of it, does not tell users which file and line is wrong, which
//! profiles there are, or whom a profile refers to. Only asked when nobody gave credentials.

use std::cmp::Reverse;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use aws_config::profile::{self, Profile, ProfileSet};

use crate::error::chain;

/// The files, read.
pub struct Files(ProfileSet);

/// A file that says nothing to anybody.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unreadable {
    /// Which one.
    pub file: PathBuf,
    /// Where it goes wrong, if that is known.
    pub line: Option<usize>,
    /// In words.
    pub why: String,
}

/// Where a profile leads by `source_profile`.
pub struct Led<'a> {
    /// The profile whose own words make credentials.
    pub base: &'a Profile,
    /// Only somebody who types a code may assume it (`mfa_serial`).
    pub wants_code: bool,
}

/// Why it leads nowhere.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Astray {
    /// There is no such profile, to which another one refers.
    Gone { name: String, by: Option<String> },
    /// A role, and it is not said by whom, or said twice.
    NoSource(String),
    /// In a circle, to this profile again.
    Circle(String),
}

/// How a profile comes to credentials ("Configuration and credential file settings" in the AWS CLI user guide).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Way {
    /// The keys stand there.
    Keys,
    /// One of them does.
    HalfAKey { has: &'static str, lacks: &'static str },
    /// A program is run. One of its arguments may be a secret.
    Process {
        /// Its name, which can be shown.
        program: String,
        /// What stands beside it, which can't.
        others: Vec<String>,
    },
    /// By `aws sso login`. The session, by its name or its URL.
    Sso(Option<String>),
    /// By `aws login`.
    Login,
    /// With the token in this file.
    WebIdentity(PathBuf),
    /// `credential_source`.
    Source(String),
    /// Nothing is said.
    Nothing,
}

/// What names them, and their names where nothing does.
const FILES: [(&str, &str); 2] = [("AWS_CONFIG_FILE", "config"), ("AWS_SHARED_CREDENTIALS_FILE", "credentials")];

/// The keys of a profile of its own.
const KEYS: [&str; 2] = ["aws_access_key_id", "aws_secret_access_key"];
/// Whatever of these a profile has, it means SSO.
const SSO: [&str; 5] = ["sso_session", "sso_start_url", "sso_account_id", "sso_role_name", "sso_region"];

impl Files {
    /// Read them. What the library takes for empty is an error here: it can't be read, or was named and is not there.
    pub async fn read() -> Result<Self, Unreadable> {
        look()?;
        for (variable, name) in FILES {
            let file = place(variable, name);
            let is_named = std::env::var_os(variable).is_some();
            match std::fs::read_to_string(&file) {
                Err(e) if e.kind() != ErrorKind::NotFound || is_named => {
                    let named = if is_named { format!(" ({variable})") } else { String::new() };
                    return Err(Unreadable { file, line: None, why: format!("can't be read{named}: {e}") });
                }
                _ => {}
            }
        }
        let read = profile::load(&Default::default(), &Default::default(), &Default::default(), None).await;
        read.map(Files).map_err(|e| Unreadable::parsed(&chain(&e)))
    }

    /// The names of all profiles, sorted.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.0.profiles().collect();
        names.sort_unstable();
        names
    }

    /// Whom this profile refers to in the end, as the library goes.
    pub fn follow(&self, name: &str) -> Result<Led<'_>, Astray> {
        let mut passed: Vec<&str> = Vec::new();
        let mut wants_code = false;
        let mut at = name.to_owned();
        loop {
            let by = passed.last().map(|name| (*name).to_owned());
            let Some(profile) = self.0.get_profile(&at) else { return Err(Astray::Gone { name: at, by }) };
            if passed.contains(&profile.name()) {
                return Err(Astray::Circle(at));
            }
            // After the first, a profile's own keys go before the role that it could assume.
            let has_keys = !passed.is_empty() && KEYS.iter().all(|key| profile.get(key).is_some());
            passed.push(profile.name());
            let is_role = profile.get("role_arn").is_some() && profile.get("web_identity_token_file").is_none();
            if has_keys || !is_role {
                return Ok(Led { base: profile, wants_code });
            }
            wants_code |= profile.get("mfa_serial").is_some();
            match (profile.get("source_profile"), profile.get("credential_source")) {
                (Some(source), None) if source != profile.name() => at = source.to_owned(),
                (Some(_), None) | (None, Some(_)) => return Ok(Led { base: profile, wants_code }),
                _ => return Err(Astray::NoSource(at)),
            }
        }
    }

    /// How this profile alone comes to credentials.
    pub fn way(&self, profile: &Profile) -> Way {
        let has = |key: &str| profile.get(key).map(str::to_owned);
        if let Some(source) = has("credential_source") {
            return Way::Source(source);
        }
        if let Some(file) = has("web_identity_token_file") {
            return Way::WebIdentity(file.into());
        }
        if SSO.iter().any(|key| profile.get(key).is_some()) {
            return Way::Sso(has("sso_session").or_else(|| has("sso_start_url")));
        }
        if profile.get("login_session").is_some() {
            return Way::Login;
        }
        if let Some(command) = has("credential_process") {
            // `NAME=value` before it is the program's environment, and may be a secret, too.
            let program = command.split_whitespace().find(|word| !word.contains('=')).unwrap_or("a program").to_owned();
            let values = command.split_whitespace().map(|word| word.split_once('=').map_or(word, |(_, value)| value));
            let values = values.map(|word| word.trim_matches(['"', '\''])).filter(|word| *word != program);
            // `-pSECRET` is an option with its value, `--name` the name of one.
            let values = values.map(|word| match word.strip_prefix('-') {
                Some(option) if !option.starts_with('-') => option.get(1..).unwrap_or_default(),
                Some(_) => "",
                None => word,
            });
            let mut others: Vec<String> = values.filter(|word| word.len() > 3).map(str::to_owned).collect();
            // One may be the beginning of another.
            others.sort_by_key(|word| Reverse(word.len()));
            return Way::Process { program, others };
        }
        match KEYS.map(|key| profile.get(key).is_some()) {
            [true, true] => Way::Keys,
            [true, false] => Way::HalfAKey { has: KEYS[0], lacks: KEYS[1] },
            [false, true] => Way::HalfAKey { has: KEYS[1], lacks: KEYS[0] },
            [false, false] => Way::Nothing,
        }
    }
}

impl Unreadable {
    /// Of `...: error parsing FILE on line N: WHY`, as the library has it.
    fn parsed(text: &str) -> Self {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let parts = text.split_once("error parsing ").and_then(|(_, rest)| {
            let (file, rest) = rest.rsplit_once(" on line ")?;
            let (line, why) = rest.split_once(": ")?;
            Some((file.to_owned(), line.parse().ok()?, why.to_owned()))
        });
        match parts {
            Some((file, line, why)) => Unreadable { file: file.into(), line: Some(line), why },
            None => Unreadable { file: place("AWS_CONFIG_FILE", "config"), line: None, why: text },
        }
    }
}

/// The line of the config file that has `[name]` where `[profile name]` is wanted: nothing reads it there.
pub fn line_without_word(name: &str) -> Option<(PathBuf, usize)> {
    let file = place("AWS_CONFIG_FILE", "config");
    let text = std::fs::read_to_string(&file).ok()?;
    let is_bare = |line: &str| {
        let inner = line.trim().strip_prefix('[').and_then(|rest| rest.split_once(']'));
        inner.is_some_and(|(inner, _)| inner.trim() == name)
    };
    let at = text.lines().position(is_bare)?;
    (name != "default").then_some((file, at + 1))
}

/// The line of the credentials file in which a profile has this key: the AWS CLI, too, writes secrets there.
pub fn line_of(profile: &str, key: &str) -> Option<(PathBuf, usize)> {
    let file = place("AWS_SHARED_CREDENTIALS_FILE", "credentials");
    let text = std::fs::read_to_string(&file).ok().filter(|_| is_plain(&file))?;
    let mut is_inside = false;
    for (n, line) in text.lines().enumerate() {
        let line = line.trim();
        if let Some((name, _)) = line.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            is_inside = name.trim() == profile;
        } else if is_inside && line.split_once('=').is_some_and(|(name, _)| name.trim() == key) {
            return Some((file, n + 1));
        }
    }
    None
}

/// Whether the files can be read at all, also by the library: a pipe would be waited for, for ever.
pub fn look() -> Result<(), Unreadable> {
    const WHY: &str = "it is no regular file, or has more than 16 MiB";
    let mut files = FILES.iter().map(|(variable, name)| place(variable, name));
    match files.find(|file| file.metadata().is_ok_and(|file| !file.is_dir()) && !is_plain(file)) {
        Some(file) => Err(Unreadable { file, line: None, why: WHY.to_owned() }),
        None => Ok(()),
    }
}

/// Whether it is a file that can be read to its end at once.
pub fn is_plain(file: &Path) -> bool {
    const MOST: u64 = 16 << 20;
    file.metadata().is_ok_and(|file| file.is_file() && file.len() <= MOST)
}

/// Where a file is ("Location of the shared config and credentials files" in the AWS SDKs reference guide).
fn place(variable: &str, name: &str) -> PathBuf {
    let home = || std::env::home_dir().unwrap_or_else(|| "~".into());
    match std::env::var_os(variable).map(PathBuf::from) {
        None => home().join(".aws").join(name),
        Some(path) => path.strip_prefix("~").map_or_else(|_| path.clone(), |rest| home().join(rest)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_and_line_are_taken_from_the_librarys_words() {
        let text =
            "could not parse profile file: error parsing /home/a on line 3/config on line 12:\n  Expected an '=' sign";
        let found = Unreadable::parsed(text);
        let wanted = Unreadable {
            file: "/home/a on line 3/config".into(),
            line: Some(12),
            why: "Expected an '=' sign".to_owned(),
        };
        assert_eq!(found, wanted);
        assert_eq!(Unreadable::parsed("something else").line, None);
    }
}
