//! Why a profile gives no credentials, and the command that changes that.
//!
//! Apart from the other givers (`missing`) because a profile comes to credentials in many ways, each with its own mend.

use std::time::Duration;

use aws_credential_types::provider::error::CredentialsError;
use chrono::SecondsFormat;

use super::asked::{Asked, option, run_process};
use super::files::{Astray, Files, Led, Unreadable, Way, place};
use super::lines::{Misread, misnamed, swallowed};
use super::login::Login;
use super::missing::{NoCredentials, is_silent, plain, sts_elsewhere};
use super::normal::from_library;
use super::process;
use crate::shell_word::{edit, quoted};

/// Which of these can be a `credential_source`.
const SOURCES: [&str; 3] = ["Environment", "Ec2InstanceMetadata", "EcsContainer"];

/// The profile that was asked did not give any. `error`: what the library says.
pub fn explain(error: &CredentialsError, asked: &Asked) -> NoCredentials {
    match Files::read() {
        Err(unreadable) => unreadable.into(),
        Ok(files) => match files.follow(asked.name_there()) {
            Err(astray) => gone_astray(&files, astray, asked),
            Ok(led) => of_way(&files, &led, error, asked),
        },
    }
}

/// Nobody gave any: what the files say about that. `None`: nothing.
pub fn silent(asked: &Asked) -> Option<NoCredentials> {
    let files = match Files::read() {
        Err(unreadable) => return Some(unreadable.into()),
        Ok(files) => files,
    };
    match (asked.name(), files.follow(asked.name_there())) {
        (None, Err(Astray::Gone { by: None, .. })) => (!files.names().is_empty()).then(|| {
            let why = format!("no profile is chosen, and there is no [default] in ~/.aws; {}", those(&files));
            NoCredentials::new(why, files.names().into_iter().take(1).map(|name| asked.choose(&name)))
        }),
        (_, Err(astray)) => Some(gone_astray(&files, astray, asked)),
        (Some(_), Ok(led)) => Some(of_way(&files, &led, &CredentialsError::not_loaded("nothing was found"), asked)),
        (None, Ok(_)) => {
            if let Some(misread) = swallowed("default") {
                return Some(misread.into());
            }
            let other = files.names().into_iter().find(|name| name != "default");
            let why =
                format!("the profile default in ~/.aws has no keys, and nothing that gives any; {}", those(&files));
            let choose = other.map(|name| asked.choose(&name));
            Some(NoCredentials::new(why, choose.into_iter().chain([asked.type_keys()])))
        }
    }
}

impl From<Unreadable> for NoCredentials {
    fn from(Unreadable { file, variable, line, why }: Unreadable) -> Self {
        let shown = file.display().to_string();
        let (at, line) = line.map(|n| (format!(", line {n}"), format!(" # line {n}"))).unwrap_or_default();
        let mend = match variable {
            _ if file.is_file() => format!("{}{line}", edit(&file)),
            Some(variable) => format!("unset {variable} # or name a file that is there"),
            None => format!("ls -ld {}", quoted(&shown)),
        };
        NoCredentials::new(format!("{shown}{at}: {why}"), [mend])
    }
}

impl From<Misread> for NoCredentials {
    fn from(Misread { why, mend }: Misread) -> Self {
        NoCredentials::new(why, [mend])
    }
}

/// Which profiles there are.
fn those(files: &Files) -> String {
    match files.names().as_slice() {
        [] => "there is none".to_owned(),
        names => format!("there {}: {}", if names.len() > 1 { "are" } else { "is" }, names.join(", ")),
    }
}

/// The command that shows what is wrong with a profile's keys, or has them typed in anew.
pub fn shows_keys(asked: &Asked) -> Option<String> {
    let files = Files::read().ok()?;
    let base = files.follow(asked.name_there()).ok()?.base;
    let of_base = option(&from_library(base.name()));
    match files.way(base) {
        Way::Process(_) => Some(run_process(&of_base)),
        Way::Keys => Some(format!("aws configure{of_base}")),
        _ => None,
    }
}

/// The profile's program was waited for, and goes on: the library does not end it.
pub fn late_process(waited: Duration, asked: &Asked) -> Option<NoCredentials> {
    let files = Files::read().ok()?;
    let base = files.follow(asked.name_there()).ok()?.base;
    let Way::Process(command) = files.way(base) else { return None };
    let (base, program) = (from_library(base.name()), process::program(&command));
    let why = format!(
        "the profile {base}: its credential_process ({program} ...) gave no answer within {} seconds, and may still run; \
         it can't ask anybody here",
        waited.as_secs()
    );
    Some(NoCredentials::new(why, [run_process(&option(&base))]))
}

fn gone_astray(files: &Files, astray: Astray, asked: &Asked) -> NoCredentials {
    let set_source = |of: &str, to: &str| format!("aws configure set source_profile {to}{}", option(of));
    match astray {
        Astray::Gone { name, by: None } => {
            if let Some(misread) = misnamed(&name) {
                return misread.into();
            }
            let choose = files.names().first().map(|other| asked.choose(other));
            let why = format!("there is no profile {name} in ~/.aws; {}", those(files));
            NoCredentials::new(why, choose.into_iter().chain(asked.choose_none()).chain([asked.type_keys()]))
        }
        Astray::Gone { name, by: Some(by) } => {
            let why = format!(
                "the profile {by} names {name} as its source_profile, which is not in ~/.aws; {}",
                those(files)
            );
            let other = files.names().into_iter().find(|other| *other != by).map(|other| quoted(&other));
            NoCredentials::new(
                why,
                other
                    .map(|other| set_source(&by, &other))
                    .into_iter()
                    .chain([format!("aws configure{}", option(&name))]),
            )
        }
        Astray::NoSource(name) => {
            let why = format!(
                "the profile {name} has a role_arn, and needs either source_profile or credential_source with it"
            );
            NoCredentials::new(why, [set_source(&name, "<profile>")])
        }
        Astray::TwoSources(name) => {
            let why =
                format!("the profile {name} has both source_profile and credential_source: one of them has to go");
            let file = place("AWS_CONFIG_FILE", "config");
            NoCredentials::new(why, [edit(&file)])
        }
        Astray::Circle(name) => {
            let why = format!("the profile {name} comes back to itself by source_profile");
            NoCredentials::new(why, [set_source(&name, "<profile>")])
        }
    }
}

/// What the profile says of where it asks.
fn asks_at<'a>(files: &'a Files, asked: &Asked) -> Vec<(&'static str, &'a str)> {
    let profile = files.get(asked.name_there());
    let said = |key: &'static str| Some((key, profile?.get(key)?.lines().next()?));
    ["region", "endpoint_url"].into_iter().filter_map(said).collect()
}

fn of_way(files: &Files, led: &Led<'_>, error: &CredentialsError, asked: &Asked) -> NoCredentials {
    let base = &*from_library(led.base.name());
    let by =
        if base == asked.name_there() { String::new() } else { format!(" (source_profile of {})", asked.name_there()) };
    let who = format!("the profile {base}{by}");
    let of_base = option(base);
    let said = plain(error);
    let way = files.way(led.base);
    if matches!(way, Way::Nothing | Way::HalfAKey { .. })
        && let Some(misread) = swallowed(base)
    {
        return misread.into();
    }
    match way {
        Way::Nothing => NoCredentials::new(
            format!("{who} in ~/.aws has no keys, and nothing that gives any"),
            [format!("aws configure{of_base}")],
        ),
        Way::HalfAKey { has, lacks } => {
            NoCredentials::new(format!("{who} has {has} without {lacks}"), [format!("aws configure{of_base}")])
        }
        Way::Login => {
            let why = format!("{who} is of 'aws login', whose keys s3lfs takes from the AWS CLI alone");
            NoCredentials::new(why, asked.by_the_cli(&asks_at(files, asked)))
        }
        Way::Process(command) if said.contains("external process") => {
            NoCredentials::new(format!("{who}: {}", process::outcome(&command, error)), [run_process(&of_base)])
        }
        Way::Sso(session) => sso(session, &who, led, &said, &of_base),
        Way::WebIdentity(file) if std::fs::File::open(&file).is_err() => {
            let why = format!("{who}: its web_identity_token_file can't be read ({})", file.display());
            NoCredentials::new(why, [format!("ls -l {}", quoted(&file.display().to_string()))])
        }
        Way::Source(source) if !SOURCES.iter().any(|known| known.eq_ignore_ascii_case(&source)) => {
            let why = format!("{who}: credential_source = {source} is none of {}", SOURCES.join(", "));
            let begins_so =
                |known: &&&str| known.as_bytes()[..3].eq_ignore_ascii_case(source.as_bytes().get(..3).unwrap_or(b""));
            let meant = SOURCES.iter().find(begins_so).unwrap_or(&SOURCES[1]);
            NoCredentials::new(why, [format!("aws configure set credential_source {meant}{of_base}")])
        }
        Way::Source(source) if is_silent(error) => {
            let (lacks, mend) = match source.to_ascii_lowercase().as_str() {
                "environment" => (
                    "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set",
                    "export AWS_ACCESS_KEY_ID=<id> AWS_SECRET_ACCESS_KEY=<key>".to_owned(),
                ),
                "ecscontainer" => (
                    "no AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or _FULL_URI is set",
                    format!("aws configure set credential_source Ec2InstanceMetadata{of_base}"),
                ),
                _ => {
                    ("no instance of AWS answers", format!("aws configure set credential_source EcsContainer{of_base}"))
                }
            };
            NoCredentials::new(format!("{who} takes them from its credential_source = {source}, and {lacks}"), [mend])
        }
        _ if led.wants_code => {
            let why = format!(
                "{who}: the role wants a code of your device (mfa_serial), for which the AWS CLI asks and s3lfs can't, \
                 since Git runs it: {said}"
            );
            NoCredentials::new(why, asked.by_the_cli(&asks_at(files, asked)))
        }
        // Keys are there: it is STS that gives no role for them.
        Way::Keys if base != asked.name_there() => {
            let of = asked.name_there();
            let why =
                format!("STS, asked with the keys of the profile {base} for the role of {of}, gives none: {said}");
            NoCredentials::new(why, [sts_elsewhere(error).unwrap_or_else(|| asked.try_it())])
        }
        _ => NoCredentials::new(format!("{who} gives none: {said}"), [asked.try_it()]),
    }
}

fn sso(session: Option<String>, who: &str, led: &Led<'_>, said: &str, of_base: &str) -> NoCredentials {
    let log_in = format!("aws sso login{of_base}");
    let configure = format!("aws configure sso{of_base}");
    // What stands in the files is wrong, and no login mends that.
    let lacks = ["sso-session", "sso_account_id", "sso_role_name", "sso_region", "sso_start_url"];
    let is_wrong = lacks.iter().any(|word| said.contains(word));
    let Some(session) = session.filter(|_| !is_wrong) else {
        return NoCredentials::new(format!("{who}: {said}"), [configure]);
    };
    match Login::of(&session) {
        Login::Never => NoCredentials::new(
            format!("{who} takes them from SSO ({session}), and nobody has logged in there on this machine"),
            [log_in],
        ),
        Login::Damaged(file) => {
            let why = format!("{who}: its SSO login ({session}) can't be read in {}", file.display());
            NoCredentials::new(why, [log_in])
        }
        Login::Ended(at) => {
            let at = at.to_rfc3339_opts(SecondsFormat::Secs, true);
            NoCredentials::new(format!("{who}: its SSO session ({session}) ended at {at}"), [log_in])
        }
        Login::Renewable(at) => {
            let at = at.to_rfc3339_opts(SecondsFormat::Secs, true);
            let why =
                format!("{who}: what its SSO login ({session}) gave ended at {at}, and SSO did not renew it: {said}");
            NoCredentials::new(why, [log_in])
        }
        Login::Lasts if said.contains("UnauthorizedException") => {
            NoCredentials::new(format!("{who}: SSO does not take the login ({session}) any more: {said}"), [log_in])
        }
        Login::Lasts if said.contains("ForbiddenException") => {
            let of = |key: &str| led.base.get(key).unwrap_or("?").to_owned();
            let (role, account) = (of("sso_role_name"), of("sso_account_id"));
            let why = format!("{who}: SSO does not give you the role {role} of the account {account}: {said}");
            NoCredentials::new(why, [configure])
        }
        Login::Lasts => NoCredentials::new(
            format!("{who} has an SSO login ({session}) that lasts, and gives none: {said}"),
            [format!("aws sts get-caller-identity{of_base}")],
        ),
    }
}
