//! `help <topic>`: the chapters that are too long for README.md and for `--help`.
//!
//! Apart because clap's `help` knows commands only; what is no topic stays with it. Each topic is a Markdown file of
//! `src/help`, readable as it is.

use std::ffi::OsString;

use clap::error::ContextKind;
use clap::{Arg, ArgAction, Command};

/// Each topic, and its text.
const TOPICS: [(&str, &str); 13] = [
    ("how-it-works", include_str!("../help/how-it-works.md")),
    ("settings", include_str!("../help/settings.md")),
    ("scripts", include_str!("../help/scripts.md")),
    ("hooks", include_str!("../help/hooks.md")),
    ("push-gate", include_str!("../help/push-gate.md")),
    ("stores", include_str!("../help/stores.md")),
    ("operations", include_str!("../help/operations.md")),
    ("cleaning-up", include_str!("../help/cleaning-up.md")),
    ("migration", include_str!("../help/migration.md")),
    ("troubleshooting", include_str!("../help/troubleshooting.md")),
    ("limits", include_str!("../help/limits.md")),
    ("faq", include_str!("../help/faq.md")),
    ("ci", include_str!("../help/ci.md")),
];

/// What users of git-lfs and of others type, and how that is done here.
const HABITS: [(&str, &str); 9] = [
    ("push", "'git push' sends content by itself; 's3lfs upload <file>' sends a file now"),
    ("pull", "s3lfs download-all"),
    ("fetch", "s3lfs download-all"),
    ("checkout", "s3lfs download-all"),
    ("install", "s3lfs git-setup"),
    ("env", "s3lfs doctor"),
    ("config", "s3lfs help settings"),
    ("lock", "there are no locks: conflicts are told when you merge (s3lfs help faq)"),
    ("version", "s3lfs --version"),
];

/// What to type in place of a command that there is not.
pub fn instead(error: &clap::Error) -> Option<String> {
    let name = error.get(ContextKind::InvalidSubcommand)?.to_string();
    let habit = HABITS.iter().find(|(habit, _)| *habit == name).map(|(_, here)| format!("hint: {here}"));
    let asks_for_help = || std::env::args_os().nth(1).is_some_and(|first| first == "help");
    habit.or_else(|| asks_for_help().then(|| TOPICS_LINE.to_owned()))
}

/// The command line as it is completed: behind `help`, where clap knows of commands, topics stand as well.
pub fn with_topics(definition: Command) -> Command {
    let commands = definition.get_subcommands().filter(|command| !command.is_hide_set()).cloned();
    let commands: Vec<Command> = commands.collect();
    let help = Command::new("help").about("Print this message or the help of a command, or a chapter");
    let topics = TOPICS.iter().map(|(topic, _)| Command::new(*topic).about("Chapter"));
    let help = help.disable_help_subcommand(true).disable_help_flag(true).subcommands(commands).subcommands(topics);
    definition.disable_help_subcommand(true).subcommand(help)
}

/// Beneath the list of commands.
pub const TOPICS_LINE: &str = "Topics (s3lfs help <topic>): how-it-works, settings, scripts, hooks, push-gate, stores, operations, cleaning-up, migration, \
     troubleshooting, limits, faq, ci";

/// The text that is asked for, if these arguments are `help` and a topic, with whatever options of every command
/// (those of `definition`) between them.
pub fn asked(definition: &Command, arguments: impl Iterator<Item = OsString>) -> Option<&'static str> {
    let mut words = Vec::new();
    let mut arguments = arguments.skip(1);
    while let Some(argument) = arguments.next() {
        let text = argument.to_str()?;
        match text.strip_prefix('-') {
            None => words.push(text.to_owned()),
            Some(option) => {
                if takes_the_next(definition, option)? {
                    arguments.next()?;
                }
            }
        }
    }
    let [help, name] = &words[..] else { return None };
    let topic = TOPICS.iter().find(|(topic, _)| help == "help" && name == topic);
    topic.map(|(_, text)| *text)
}

/// Whether an option, without its first dash, has its value in the next argument. `None`: there is no such option.
fn takes_the_next(definition: &Command, option: &str) -> Option<bool> {
    let takes = |arg: &Arg| matches!(arg.get_action(), ArgAction::Set | ArgAction::Append);
    if let Some(long) = option.strip_prefix('-') {
        let (name, value) = long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value)));
        let arg = definition.get_arguments().find(|arg| arg.get_long() == Some(name))?;
        return Some(takes(arg) && value.is_none());
    }
    let mut letters = option.chars();
    // `-qv`, `-j4`, `-qC dir`: what stands behind one that takes a value is that.
    loop {
        let letter = letters.next()?;
        let arg = definition.get_arguments().find(|arg| arg.get_short() == Some(letter))?;
        match (takes(arg), letters.as_str().is_empty()) {
            (true, at_the_end) => return Some(at_the_end),
            (false, true) => return Some(false),
            (false, false) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_names_each_topic() {
        let names: Vec<&str> = TOPICS.iter().map(|(name, _)| *name).collect();
        assert_eq!(TOPICS_LINE.rsplit(": ").next(), Some(names.join(", ").as_str()));
    }
}
