//! The profile that is asked, who named it, and the commands in which it stands.
//!
//! Apart because every piece of advice about credentials names the profile, and most of it is right only for this one.

use crate::shell_word::quoted;

/// A profile in `~/.aws`, or none in particular.
#[derive(Clone, Default, Debug)]
pub struct Asked {
    name: Option<String>,
    /// By `AWS_PROFILE`, which goes before git config.
    by_variable: bool,
}

impl Asked {
    /// The one that the user named for s3lfs alone, or else the environment's.
    pub fn new(chosen: Option<&str>) -> Self {
        let variable = || std::env::var("AWS_PROFILE").ok().filter(|name| !name.is_empty());
        match chosen {
            Some(name) => Asked { name: Some(name.to_owned()), by_variable: false },
            None => Asked { name: variable(), by_variable: variable().is_some() },
        }
    }

    /// If it has one: nobody has to name the default profile.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Its name in the files.
    pub fn name_there(&self) -> &str {
        self.name().unwrap_or("default")
    }

    /// For a command of the AWS CLI: ` --profile NAME`, or nothing.
    pub fn option(&self) -> String {
        self.name().map(option).unwrap_or_default()
    }

    /// The command that has another one asked.
    pub fn choose(&self, other: &str) -> String {
        match (self.by_variable, self.name()) {
            (false, Some(_)) => format!("git config s3lfs.profile {}", quoted(other)),
            _ => format!("export AWS_PROFILE={}", quoted(other)),
        }
    }

    /// Log in by SSO.
    pub fn log_in(&self) -> String {
        format!("aws sso login{}", self.option())
    }

    /// See in the AWS CLI whom the service takes it for.
    pub fn try_it(&self) -> String {
        format!("aws sts get-caller-identity{}", self.option())
    }

    /// Type the keys in; they don't come into the shell's history.
    pub fn type_keys(&self) -> String {
        format!("aws configure{}", self.option())
    }

    /// What only the AWS CLI can do: it hands the keys on, to a second profile.
    pub fn by_the_cli(&self) -> Vec<String> {
        let second = format!("{}-s3lfs", self.name_there());
        let option_there = option(self.name_there());
        let process = format!("aws configure export-credentials{option_there} --format process");
        vec![
            format!("aws configure set credential_process {} --profile {}", quoted(&process), quoted(&second)),
            self.choose(&second),
        ]
    }
}

/// The name that the library is to go by, where it would go wrong by itself: it takes an empty `AWS_PROFILE` for a name.
pub fn by_name(chosen: Option<&str>) -> Option<String> {
    let is_empty = || std::env::var_os("AWS_PROFILE").is_some_and(|name| name.is_empty());
    chosen.map(str::to_owned).or_else(|| is_empty().then(|| "default".to_owned()))
}

/// For the AWS CLI.
pub fn option(name: &str) -> String {
    format!(" --profile {}", quoted(name))
}

/// Run a profile's program and see what it says, without what is secret in an answer. `option`: which profile's.
pub fn run_process(option: &str) -> String {
    let hide = r#"tr '\n\t' '  ' | sed -E 's/(Key|Token)" *: *"[^"]*/\1": "***/g'"#;
    format!("sh -c \"$(aws configure get credential_process{option})\" | {hide}")
}
