//! The profile that is asked, who named it, and the commands in which it stands.
//!
//! Apart because every piece of advice about credentials names the profile, and most of it is right only for this one.

use crate::shell_word::quoted;
use crate::store::access::Chosen;

/// A profile in `~/.aws`, or none in particular.
#[derive(Clone, Default, Debug)]
pub struct Asked {
    name: Option<String>,
    by: By,
}

/// Who named it.
#[derive(Clone, Copy, Default, Debug)]
enum By {
    Flag,
    /// Git's configuration.
    Key,
    /// A variable, or nobody.
    #[default]
    Environment,
}

/// What names a profile in the environment. botocore looks at the second one first, which the AWS SDKs do not know at
/// all: where both are set, the one that everybody knows decides.
const VARIABLES: [&str; 2] = ["AWS_PROFILE", OTHER_PROFILE];
/// The older of the two.
pub const OTHER_PROFILE: &str = "AWS_DEFAULT_PROFILE";

/// The profile that the environment names, and by which variable. An empty one says nothing.
pub fn profile_of_environment() -> Option<(&'static str, String)> {
    let said = |name| std::env::var(name).ok().filter(|value| !value.is_empty()).map(|value| (name, value));
    VARIABLES.into_iter().find_map(said)
}

impl Asked {
    /// The one that the user named for s3lfs alone, or else the environment's.
    pub fn new(chosen: Option<&Chosen>) -> Self {
        let by = match chosen {
            Some(Chosen::Flag(_)) => By::Flag,
            Some(Chosen::Key(_)) => By::Key,
            None => By::Environment,
        };
        let own = chosen.map(|chosen| chosen.name().to_owned());
        Asked { name: own.or_else(|| profile_of_environment().map(|(_, name)| name)), by }
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
        let other = quoted(other);
        match self.by {
            By::Flag => format!("run it with --profile {other}"),
            By::Key => format!("git config s3lfs.profile {other}"),
            By::Environment => format!("export AWS_PROFILE={other}"),
        }
    }

    /// The command that has none asked in particular, where one was named for this command alone.
    pub fn choose_none(&self) -> Option<String> {
        matches!(self.by, By::Flag).then(|| "run it without --profile".to_owned())
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

    /// What only the AWS CLI can do: it hands the keys on, to a second profile. `settings`: what else the first one says
    /// of where it asks.
    pub fn by_the_cli(&self, settings: &[(&str, &str)]) -> Vec<String> {
        let second = format!("{}-s3lfs", self.name_there());
        let option_there = option(self.name_there());
        let process = format!("aws configure export-credentials{option_there} --format process");
        let process = ("credential_process", process.as_str());
        let set = |(key, value): (&str, &str)| {
            format!("aws configure set {key} {} --profile {}", quoted(value), quoted(&second))
        };
        let settings = [process].into_iter().chain(settings.iter().copied());
        settings.map(set).chain([self.choose(&second)]).collect()
    }
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
