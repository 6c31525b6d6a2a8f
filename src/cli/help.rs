//! `help <topic>`: the chapters that are too long for README.md and for `--help`.
//!
//! Apart because clap's `help` knows commands only; what is no topic stays with it. Each topic is a Markdown file of
//! `src/help`, readable as it is.

use std::ffi::OsString;

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

/// Beneath the list of commands.
pub const TOPICS_LINE: &str = "Topics (s3lfs help <topic>): how-it-works, settings, scripts, hooks, push-gate, stores, operations, cleaning-up, migration, \
     troubleshooting, limits, faq, ci";

/// The text that is asked for, if these arguments are `help` and a topic.
pub fn asked(mut arguments: impl Iterator<Item = OsString>) -> Option<&'static str> {
    let (help, name) = (arguments.nth(1)?, arguments.next()?);
    if help != "help" || arguments.next().is_some() {
        return None;
    }
    TOPICS.iter().find(|(topic, _)| name == *topic).map(|(_, text)| *text)
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
