//! The text of a file in `~/.aws`, in the form from which the library reads what the AWS CLI reads.
//!
//! Apart because the AWS CLI reads these files by Python's configparser and shlex (botocore, configloader.py), and the
//! library more strictly: names in quotes, keys that are indented, a colon in the place of '=', and a byte order mark are
//! nothing to it. Each line stays where it is, so that the library's errors name the right one.

use std::borrow::Cow;

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Which of the two files it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Profiles are `[profile NAME]` there, and there is more than profiles.
    Config,
    /// Profiles are `[NAME]` there.
    Credentials,
}

/// Before a name that the library would not take as it is.
const MARK: &str = "s3lfs:";
/// What stands before a name in the config file.
const SECTIONS: [&str; 3] = ["profile", "services", "sso-session"];
/// Keys whose values are such names. A session of SSO is not among them: its login is found by its name, and the AWS CLI
/// makes none with a name that the library would not take.
const REFER: [&str; 2] = ["source_profile", "services"];

/// The whole text.
pub fn normal(text: &str, kind: Kind) -> String {
    let mut normal = String::with_capacity(text.len());
    // How far the last key was indented: what is indented further goes on with its value.
    let mut key_at = None;
    for line in text.trim_start_matches('\u{feff}').lines() {
        let bare = line.trim();
        let at = line.len() - line.trim_start().len();
        if bare.is_empty() || bare.starts_with(['#', ';']) {
            // A comment that is indented is none to the library.
        } else if key_at.is_some_and(|key| at > key) {
            normal.push_str("  ");
            normal.push_str(bare);
        } else {
            key_at = None;
            if let Some((name, _)) = bare.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
                normal.push_str(&format!("[{}]", section(name, kind)));
            } else if let Some((key, value)) = bare.split_once(['=', ':']).filter(|(key, _)| !key.is_empty()) {
                key_at = Some(at);
                let (key, value) = (key.trim(), value.trim());
                normal.push_str(key);
                // Without blanks: after one, '#' would begin a comment.
                normal.push('=');
                match REFER.iter().any(|refers| key.eq_ignore_ascii_case(refers)) {
                    true => normal.push_str(&to_library(without_comment(value))),
                    false => normal.push_str(value),
                }
            } else {
                normal.push_str(bare);
            }
        }
        normal.push('\n');
    }
    normal
}

/// What stands between the brackets of a section.
fn section(name: &str, kind: Kind) -> String {
    let name = name.trim();
    let words = if kind == Kind::Config { words(name) } else { None };
    match words.as_deref() {
        Some([word, name]) if SECTIONS.contains(&word.as_str()) => format!("{word} {}", to_library(name)),
        // The AWS CLI passes over others in the config file; so does the library, without a word before the name.
        _ => to_library(name).into_owned(),
    }
}

/// As Python's shlex has them, to which '#' is a character like others.
fn words(text: &str) -> Option<Vec<String>> {
    const STAND_IN: &str = "\u{1}";
    let words = shlex::split(&text.replace('#', STAND_IN))?;
    Some(words.into_iter().map(|word| word.replace(STAND_IN, "#")).collect())
}

/// As the library does it.
fn without_comment(value: &str) -> &str {
    let ends = [" #", " ;", "\t#", "\t;"].iter().filter_map(|begin| value.find(begin)).min();
    value[..ends.unwrap_or(value.len())].trim_end()
}

/// A name as the library takes it ("validate_identifier" in aws-runtime 1.6).
pub fn to_library(name: &str) -> Cow<'_, str> {
    let is_taken = |c: char| c.is_ascii_alphanumeric() || "_-/.%@:+".contains(c);
    match name.chars().all(is_taken) {
        true => Cow::Borrowed(name),
        false => Cow::Owned(format!("{MARK}{}", utf8_percent_encode(name, NON_ALPHANUMERIC))),
    }
}

/// A name that the library has, as the user wrote it.
pub fn from_library(name: &str) -> Cow<'_, str> {
    match name.strip_prefix(MARK) {
        Some(encoded) => percent_decode_str(encoded).decode_utf8_lossy(),
        None => Cow::Borrowed(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn reads(text: &str, wanted: &str) {
        let normal = normal(text, Kind::Config);
        assert_eq!(normal, wanted, "{text:?}");
        assert_eq!(normal.lines().count(), text.lines().count(), "each line stays where it is");
    }

    #[test]
    fn names_in_quotes_and_what_refers_to_them() {
        reads("[profile \"my team\"]", "[profile s3lfs:my%20team]\n");
        reads("[profile 'my team']", "[profile s3lfs:my%20team]\n");
        reads("[ profile  \"team\" ] # x", "[profile team]\n");
        reads("[profile #1]", "[profile s3lfs:%231]\n");
        reads("[profile 'team #1']", "[profile s3lfs:team%20%231]\n");
        reads(
            "[a]\nsource_profile = my team # x\nServices: the s",
            "[a]\nsource_profile=s3lfs:my%20team\nServices=s3lfs:the%20s\n",
        );
        assert_eq!(normal("[my team]", Kind::Credentials), "[s3lfs:my%20team]\n", "'aws configure' writes it so there");
        assert_eq!(normal("[it's]", Kind::Credentials), "[s3lfs:it%27s]\n");
        for name in ["my team", "é", "a%20b", "it's", "s3lfs"] {
            assert_eq!(from_library(&to_library(name)), name);
        }
    }

    #[test]
    fn what_the_aws_cli_passes_over_is_no_profile() {
        for name in ["profile my team", "team", "profile \"my team", "profiles x"] {
            let normal = normal(&format!("[{name}]\n"), Kind::Config);
            assert!(!normal.starts_with("[profile ") && !normal.contains(" "), "{name}: {normal}");
        }
    }

    #[test]
    fn a_key_is_what_is_not_indented_further_than_the_key_above() {
        reads("\u{feff}[default]\n  region = x\n  output: json\n", "[default]\nregion=x\noutput=json\n");
        reads("  [default]\n\tregion = x\n", "[default]\nregion=x\n");
        reads("[default]\nregion = x\n  output = json\n", "[default]\nregion=x\n  output = json\n");
        reads(
            "[services a]\n s3 =\n   # why\n   endpoint_url = http://x\n sts =\n",
            "[services a]\ns3=\n\n  endpoint_url = http://x\nsts=\n",
        );
        reads("[a]\nx = 1\n\n ; no\n  go on\n", "[a]\nx=1\n\n\n  go on\n");
    }

    #[test]
    fn what_is_no_line_stays_one() {
        reads("[default\n= x\nnothing\n", "[default\n= x\nnothing\n");
        reads("[a]\nkey = #no comment\n", "[a]\nkey=#no comment\n");
    }
}
