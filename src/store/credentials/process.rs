//! The program that a profile names as its `credential_process`: what of it can be shown, and what came of it.
//!
//! Apart because its command and its last words may have secrets in them, and everything else in them is what a user has
//! to read.

use std::error::Error;

/// Words in the names of options and variables whose values are secrets.
const SECRET_NAMES: [&str; 6] = ["pass", "pwd", "secret", "token", "key", "credential"];

/// The name of the program that a command runs.
pub fn program(command: &str) -> String {
    // `NAME=value` before it is the program's environment.
    let program = words(command).into_iter().find(|word| !word.contains('='));
    // What has a blank in it may be more than a name.
    program.filter(|word| !word.contains(char::is_whitespace)).unwrap_or_else(|| "a program".to_owned())
}

/// As a shell splits them.
fn words(command: &str) -> Vec<String> {
    shlex::split(command).unwrap_or_else(|| command.split_whitespace().map(str::to_owned).collect())
}

/// What came of the program, with the last line that it said: without what is secret, and not if a key may be in it.
pub fn outcome(command: &str, error: &(dyn Error + 'static)) -> String {
    const KEYS: [&str; 2] = ["SecretAccessKey", "SessionToken"];
    let program = program(command);
    let whole = crate::error::chain(error);
    if let Some((status, stderr)) =
        whole.split_once("exited with code ").and_then(|(_, rest)| rest.split_once(". Stderr:"))
    {
        let last = stderr.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("it said nothing");
        let last = match KEYS.iter().any(|name| last.contains(name)) {
            true => "its last line has a key in it, and is not shown".to_owned(),
            false => secrets(command).iter().fold(last.to_owned(), |last, secret| masked(&last, secret)),
        };
        return format!("its credential_process ({program} ...) ended with {status}: {last}");
    }
    let why = whole.rsplit_once("could not parse response: ").map_or(whole.as_str(), |(_, why)| why);
    format!("what its credential_process ({program} ...) said is no answer: {}", why.trim_end())
}

/// What in a command is secret: by the name before it, or since it looks like a key. The longest first, since one may be
/// a part of another.
fn secrets(command: &str) -> Vec<String> {
    let mut secrets = Vec::new();
    let mut is_next = false;
    for word in &words(command) {
        // The value of an option may be padded with `=`: it is no name then.
        let named = word.split_once('=').filter(|_| !is_next || word.starts_with('-'));
        let (name, value) = named.unwrap_or(("", word));
        let is_option = word.starts_with('-');
        if !name.is_empty() && names_secret(name) || is_next && !is_option || looks_like_key(value) {
            secrets.push(value.to_owned());
        }
        if looks_like_key(word) {
            secrets.push(word.clone());
        }
        // A command within the command, as `sh -c` has it.
        if word.contains(char::is_whitespace) {
            secrets.extend(self::secrets(word));
        }
        // `-pSECRET`, as some programs have it.
        secrets.extend(word.strip_prefix("-p").filter(|rest| !rest.is_empty()).map(str::to_owned));
        secrets.extend(password_of_url(word));
        is_next = is_option && name.is_empty() && (names_secret(word) || word == "-p");
    }
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    secrets
}

fn names_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_NAMES.iter().any(|word| name.contains(word))
}

/// Long, of letters and digits, and no path, address or name of a resource.
fn looks_like_key(word: &str) -> bool {
    const SHORTEST: usize = 16;
    let plain = |c: char| c.is_ascii_alphanumeric() || "+/=_".contains(c);
    word.len() >= SHORTEST
        && word.chars().all(plain)
        && word.contains(|c: char| c.is_ascii_digit())
        && word.contains(|c: char| c.is_ascii_alphabetic())
        && !word.starts_with('/')
}

fn password_of_url(word: &str) -> Option<String> {
    let (_, rest) = word.split_once("://")?;
    let (user, _) = rest.split('/').next()?.rsplit_once('@')?;
    user.split_once(':').map(|(_, password)| password.to_owned()).filter(|password| !password.is_empty())
}

/// Without `secret`, where it stands as a word of its own: letters within another one tell nothing.
fn masked(text: &str, secret: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut from = 0;
    let is_within = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    let starts_word = !secret.is_empty() && is_within(secret.chars().next());
    let ends_word = is_within(secret.chars().next_back());
    for (at, _) in text.match_indices(secret).filter(|_| !secret.is_empty()) {
        let end = at + secret.len();
        let before = starts_word && is_within(text[..at].chars().next_back());
        let after = ends_word && is_within(text[end..].chars().next());
        if at >= from && !before && !after {
            masked.push_str(&text[from..at]);
            masked.push_str("***");
            from = end;
        }
    }
    masked + &text[from..]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(command: &str, text: &str) -> String {
        secrets(command).iter().fold(text.to_owned(), |text, secret| masked(&text, secret))
    }

    #[test]
    fn secrets_of_a_command_are_not_shown() {
        for command in [
            "give --password geheim",
            "give --password=geheim",
            "give -p geheim",
            "give -pgeheim",
            "TOKEN=geheim give",
            "env 'MY_SECRET=geheim' give --x",
            "give --api-key 'geheim'",
            "give https://me:geheim@host/x",
            "sh -c 'give --password geheim'",
        ] {
            assert_eq!(shown(command, "no login with geheim."), "no login with ***.", "{command}");
        }
        for key in ["wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "Z2VoZWltZ2VoZWlt=="] {
            assert_eq!(shown(&format!("give {key}"), key), "***", "by its looks");
            assert_eq!(shown(&format!("give --token {key}"), &format!("no {key}")), "no ***", "padded or not");
        }
        assert_eq!(shown("give --password a=geheim", "a=geheim"), "***", "the whole value");
        assert_eq!(program("PASSWORD='my geheim phrase' give --x"), "give");
        assert_eq!(program("'give me' x"), "a program");
        assert_eq!(shown("give --secret a --token ab", "ab a"), "*** ***", "one is the beginning of another");
    }

    #[test]
    fn other_words_of_a_command_are_shown() {
        for command in [
            "aws-vault export team --format=json --profile team",
            "/opt/corp/bin/give-credentials-2024 --role arn:aws:iam::123456789012:role/dev team",
            "give -profile team",
        ] {
            let text = "profile team of role arn:aws:iam::123456789012:role/dev: format json, log in by aws-vault";
            assert_eq!(shown(command, text), text, "{command}");
        }
        assert_eq!(shown("give --password in", "log in first: ending"), "log *** first: ending", "no part of a word");
    }
}
