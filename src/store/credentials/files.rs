//! What stands in `~/.aws` about a profile: whether it is there, and how it is to come to credentials.
//!
//! Apart because the library, which makes credentials of it, does not tell users which file and line is wrong, which
//! profiles there are, or whom a profile refers to. Only asked when nobody gave credentials.

#![expect(deprecated)] // by their other names, these types of aws-config 1.8 are those of one more crate

use std::borrow::Cow;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use aws_config::profile::profile_file::{ProfileFileKind, ProfileFiles};
use aws_config::profile::{self, Profile, ProfileSet};
use futures_util::FutureExt;

use super::normal::{Kind, from_library, normal, to_library};
use crate::error::chain;

/// The files, read.
pub struct Files {
    profiles: ProfileSet,
    /// The config file, as the library has it.
    config: String,
}

/// A file that says nothing to anybody.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unreadable {
    /// Which one.
    pub file: PathBuf,
    /// The variable that names it.
    pub variable: Option<&'static str>,
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
    /// A role, and it is not said by whom.
    NoSource(String),
    /// A role, and two are said.
    TwoSources(String),
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
    /// A program is run, by this command, in which secrets may be.
    Process(String),
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
const FILES: [(Kind, &str, &str); 2] =
    [(Kind::Config, "AWS_CONFIG_FILE", "config"), (Kind::Credentials, "AWS_SHARED_CREDENTIALS_FILE", "credentials")];

/// The keys of a profile of its own.
const KEYS: [&str; 2] = ["aws_access_key_id", "aws_secret_access_key"];
/// Whatever of these a profile has, it means SSO.
const SSO: [&str; 5] = ["sso_session", "sso_start_url", "sso_account_id", "sso_role_name", "sso_region"];

/// For the library: what stands in the files, as it understands it. One that can't be read is empty to it.
pub fn in_memory() -> ProfileFiles {
    let texts = FILES.map(|(kind, variable, name)| (kind, normal(&text(variable, name).unwrap_or_default(), kind)));
    texts
        .into_iter()
        .fold(ProfileFiles::builder(), |files, (kind, text)| files.with_contents(of_library(kind), text))
        .build()
}

fn of_library(kind: Kind) -> ProfileFileKind {
    match kind {
        Kind::Config => ProfileFileKind::Config,
        Kind::Credentials => ProfileFileKind::Credentials,
    }
}

/// What stands in a file: nothing, if it is not there and nobody named it.
fn text(variable: &'static str, name: &str) -> Result<String, Unreadable> {
    let file = place(variable, name);
    let variable = std::env::var_os(variable).is_some().then_some(variable);
    if is_none(&file) {
        return Ok(String::new());
    }
    if is_odd(&file) {
        return Err(Unreadable { file, variable, line: None, why: ODD.to_owned() });
    }
    match std::fs::read_to_string(&file) {
        Ok(text) => Ok(text),
        Err(e) if e.kind() == ErrorKind::NotFound && variable.is_none() => Ok(String::new()),
        Err(e) => {
            let named = variable.map(|variable| format!(" ({variable})")).unwrap_or_default();
            Err(Unreadable { file, variable, line: None, why: format!("can't be read{named}: {e}") })
        }
    }
}

impl Files {
    /// Read them. What the library takes for empty is an error here: it can't be read, or was named and is not there.
    pub fn read() -> Result<Self, Unreadable> {
        look()?;
        let mut all = ProfileFiles::builder();
        let mut config = String::new();
        for (kind, variable, name) in FILES {
            let text = normal(&text(variable, name)?, kind);
            let with = |files: aws_config::profile::profile_file::Builder| files.with_contents(of_library(kind), &text);
            // By itself, since the library does not tell of which text it speaks.
            parsed(with(ProfileFiles::builder()).build()).map_err(|why| Unreadable::parsed(variable, name, &why))?;
            all = with(all);
            if kind == Kind::Config {
                config = text;
            }
        }
        let (_, variable, name) = FILES[0];
        let profiles = parsed(all.build()).map_err(|why| Unreadable::parsed(variable, name, &why))?;
        Ok(Files { profiles, config })
    }

    /// The names of all profiles, sorted.
    pub fn names(&self) -> Vec<Cow<'_, str>> {
        let mut names: Vec<Cow<'_, str>> = self.profiles.profiles().map(from_library).collect();
        names.sort_unstable();
        names
    }

    /// The profile of this name.
    pub fn get(&self, name: &str) -> Option<&Profile> {
        self.profiles.get_profile(&to_library(name))
    }

    /// Where the profile's endpoints of services stand, if it names such a section and there is none.
    pub fn lacking_services(&self, name: &str) -> Option<String> {
        let services = self.get(name)?.get("services")?;
        let header = format!("[services {services}]");
        (!self.config.lines().any(|line| line == header)).then(|| from_library(services).into_owned())
    }

    /// Whom this profile refers to in the end, as the library goes.
    pub fn follow(&self, name: &str) -> Result<Led<'_>, Astray> {
        let mut passed: Vec<&str> = Vec::new();
        let mut wants_code = false;
        let mut at = name.to_owned();
        loop {
            let by = passed.last().map(|name| from_library(name).into_owned());
            let Some(profile) = self.get(&at) else { return Err(Astray::Gone { name: at, by }) };
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
                (Some(source), None) if source != profile.name() => at = from_library(source).into_owned(),
                (Some(_), None) | (None, Some(_)) => return Ok(Led { base: profile, wants_code }),
                (Some(_), Some(_)) => return Err(Astray::TwoSources(at)),
                (None, None) => return Err(Astray::NoSource(at)),
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
            return Way::Process(command);
        }
        match KEYS.map(|key| profile.get(key).is_some()) {
            [true, true] => Way::Keys,
            [true, false] => Way::HalfAKey { has: KEYS[0], lacks: KEYS[1] },
            [false, true] => Way::HalfAKey { has: KEYS[1], lacks: KEYS[0] },
            [false, false] => Way::Nothing,
        }
    }
}

/// As the library reads it; texts in memory are not waited for.
fn parsed(files: ProfileFiles) -> Result<ProfileSet, String> {
    let (fs, env) = Default::default();
    let read = profile::load(&fs, &env, &files, None);
    read.now_or_never().expect("nothing but texts in memory is read").map_err(|e| chain(&e))
}

impl Unreadable {
    /// Of `...: error parsing FILE on line N: WHY`, as the library has it; what is in memory has no name there.
    fn parsed(variable: &'static str, name: &str, text: &str) -> Self {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let parts = text.split_once("on line ").and_then(|(_, rest)| {
            let (line, why) = rest.split_once(": ")?;
            Some((line.parse().ok()?, why.to_owned()))
        });
        let (line, why) = parts.map_or((None, text), |(line, why)| (Some(line), why));
        Unreadable { file: place(variable, name), variable: None, line, why }
    }
}

/// Whether the files can be read at all, also by the library: a pipe would be waited for, for ever.
pub fn look() -> Result<(), Unreadable> {
    for (_, variable, name) in FILES {
        let file = place(variable, name);
        if is_odd(&file) && !is_none(&file) {
            let variable = std::env::var_os(variable).is_some().then_some(variable);
            return Err(Unreadable { file, variable, line: None, why: ODD.to_owned() });
        }
    }
    Ok(())
}

const ODD: &str = "it is no regular file, or has more than 16 MiB";

fn is_odd(file: &Path) -> bool {
    file.metadata().is_ok_and(|file| !file.is_dir()) && !is_plain(file)
}

/// Who names these says that there is no file.
fn is_none(file: &Path) -> bool {
    file.as_os_str().is_empty() || file == Path::new("/dev/null")
}

/// Whether it is a file that can be read to its end at once.
pub fn is_plain(file: &Path) -> bool {
    const MOST: u64 = 16 << 20;
    file.metadata().is_ok_and(|file| file.is_file() && file.len() <= MOST)
}

/// Where a file is ("Location of the shared config and credentials files" in the AWS SDKs reference guide).
pub fn place(variable: &str, name: &str) -> PathBuf {
    match std::env::var_os(variable).map(PathBuf::from) {
        None => home().join(".aws").join(name),
        Some(path) => expanded(&path),
    }
}

/// A path in which `~` stands for the user's own directory.
pub fn expanded(path: &Path) -> PathBuf {
    path.strip_prefix("~").map_or_else(|_| path.to_owned(), |rest| home().join(rest))
}

fn home() -> PathBuf {
    std::env::home_dir().unwrap_or_else(|| "~".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_taken_from_the_librarys_words() {
        let of = |text: &str| Unreadable::parsed("S3LFS_TEST_NOBODY", "config", text);
        let found = of("could not parse profile file: error parsing  on line 12:\n  Expected an '=' sign");
        assert_eq!((found.line, found.why.as_str()), (Some(12), "Expected an '=' sign"));
        assert_eq!(of("something else").line, None);
    }

    #[test]
    fn the_library_says_the_line_of_the_file() {
        let text = normal("\u{feff}[default]\n\n  x = 1\n  nothing\n", Kind::Config);
        let files = ProfileFiles::builder().with_contents(ProfileFileKind::Config, text).build();
        let why = parsed(files).expect_err("the last line is none");
        assert_eq!(Unreadable::parsed("S3LFS_TEST_NOBODY", "config", &why).line, Some(4), "{why}");
    }
}
