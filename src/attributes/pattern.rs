//! A pattern of a `.gitattributes` line: made from what a user gave or from a pathname, and written
//! so that Git reads the same pattern back.
//!
//! Apart from the file that holds it, because two escapes are in play and must not be mixed up: the
//! backslash of the glob, which is part of the pattern, and C quoting, which is part of the line.

use bstr::{BStr, BString, ByteSlice};

use super::{PROTECTED, TRACKING};
use crate::repo_path::{Printable, RepoPath};

/// Whether it separates words, in attr.c.
pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// What begins the definition of a macro, in attr.c.
pub(super) const MACRO: &[u8] = b"[attr]";
/// Skipped by Git at the beginning of a file.
pub(super) const BOM: &[u8] = b"\xef\xbb\xbf";
/// Git passes over lines of 2,048 bytes and more (`ATTR_MAX_LINE_LENGTH`, attr.h), without CR or with it.
const MAX_LINE: usize = 2046;

/// A pattern, not quoted, that Git takes in a `.gitattributes` line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pattern(BString);

/// Why a pattern would do nothing, or not what it seems to say.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadPattern {
    /// No pattern at all.
    #[error("an empty pattern matches nothing")]
    Empty,
    /// A NUL byte, which neither a pathname nor a `.gitattributes` file can hold.
    #[error("the pattern '{}' holds a NUL byte", Printable(.0))]
    Nul(BString),
    /// It begins with `!`, which Git ignores in attributes.
    #[error("Git ignores the pattern '{}', since it begins with '!': write '\\!' for a name that does; to leave files out, add a line '<pattern> -filter' by hand", Printable(.0))]
    Negative(BString),
    /// It ends in `/`: a directory itself has no content, and attributes are not inherited from it.
    #[error("the pattern '{}' matches nothing inside the directory: use '{}**'", Printable(.0), Printable(.0))]
    Directory(BString),
    /// It has an empty, `.` or `..` part, and no pathname has.
    #[error("the pattern '{}' matches nothing: a part of it is empty, '.' or '..'", Printable(.0))]
    DotPart(BString),
    /// It names what Git keeps nothing of.
    #[error("the pattern '{}' matches nothing: Git tracks nothing that lies in '.git'", Printable(.0))]
    GitDir(BString),
    /// It names a file that Git, or s3lfs, reads as it is.
    #[error("the pattern '{}' would do nothing: that file has to stay in Git itself, and is never filtered", Printable(.0))]
    Protected(BString),
    /// It ends in a backslash that escapes nothing.
    #[error("the pattern '{}' matches nothing: its last backslash escapes nothing; write '\\\\' for a backslash", Printable(.0))]
    LoneBackslash(BString),
    /// It begins like the definition of a macro.
    #[error("Git takes the pattern '{}' for the definition of a macro: write '**/{}'", Printable(.0), Printable(.0))]
    Macro(BString),
    /// Git ignores lines as long as this.
    #[error("the pattern '{}' is too long: Git ignores lines of .gitattributes of 2,048 bytes or more", Printable(.0))]
    TooLong(BString),
}

impl Pattern {
    /// A pattern as a user gives it, relative to the top of the worktree.
    pub fn new(pattern: impl Into<BString>) -> Result<Self, BadPattern> {
        let pattern = pattern.into();
        match objection(&pattern) {
            None => Ok(Pattern(pattern)),
            Some(bad) => Err(bad(pattern)),
        }
    }

    /// A pattern as a user gives it in the directory `subdir`, for the file at the top: it means
    /// there what it would mean in a `.gitattributes` of that directory (gitignore(5)).
    pub fn in_subdir(pattern: impl Into<BString>, subdir: &RepoPath) -> Result<Self, BadPattern> {
        let pattern = Self::new(pattern)?.0;
        let mut prefixed = escaped(subdir);
        match pattern.strip_prefix(b"/") {
            Some(anchored) => prefixed.extend_from_slice(&[b"/", anchored].concat()),
            None if pattern.contains(&b'/') => prefixed.extend_from_slice(&[b"/", pattern.as_slice()].concat()),
            None => prefixed.extend_from_slice(&[b"/**/", pattern.as_slice()].concat()),
        }
        Self::new(prefixed)
    }

    /// The pattern that matches exactly this pathname: anchored, globs escaped.
    pub fn for_file(path: &RepoPath) -> Result<Self, BadPattern> {
        let mut pattern = BString::from("/");
        pattern.extend_from_slice(&glob_escaped(path));
        Self::new(pattern)
    }

    /// The pattern that matches everything beneath this directory, at any depth. The `/` in its
    /// middle anchors it, so none is needed in front.
    pub fn for_dir(path: &RepoPath) -> Result<Self, BadPattern> {
        let mut pattern = escaped(path);
        pattern.extend_from_slice(b"/**");
        Self::new(pattern)
    }

    /// The pattern itself, not quoted.
    pub fn as_bstr(&self) -> &BStr {
        self.0.as_bstr()
    }

    /// The pattern as it is written in a line.
    pub fn quoted(&self) -> BString {
        quote(&self.0)
    }
}

fn objection(pattern: &[u8]) -> Option<fn(BString) -> BadPattern> {
    let lone_backslash = pattern.iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1;
    let mut parts = pattern.strip_prefix(b"/").unwrap_or(pattern).split_str("/");
    if pattern.is_empty() {
        Some(|_| BadPattern::Empty)
    } else if pattern.contains(&0) {
        Some(BadPattern::Nul)
    } else if pattern[0] == b'!' {
        Some(BadPattern::Negative)
    } else if pattern.ends_with(b"/") {
        Some(BadPattern::Directory)
    } else if parts.any(|part| matches!(part, b"" | b"." | b"..")) {
        Some(BadPattern::DotPart)
    } else if pattern.split_str("/").any(|part| part.eq_ignore_ascii_case(b".git")) {
        Some(BadPattern::GitDir)
    } else if is_protected(pattern) {
        Some(BadPattern::Protected)
    } else if lone_backslash {
        Some(BadPattern::LoneBackslash)
    } else if pattern.starts_with(MACRO) && pattern.len() > MACRO.len() {
        Some(BadPattern::Macro)
    } else if quote(pattern).len() + 1 + TRACKING.len() > MAX_LINE {
        Some(BadPattern::TooLong)
    } else {
        None
    }
}

/// Whether it is the name of a file of [`PROTECTED`], in whichever directory.
fn is_protected(pattern: &[u8]) -> bool {
    let name = pattern.rsplit_str("/").next().unwrap_or_default();
    PROTECTED.iter().any(|line| line.as_bytes().split_str(" ").next() == Some(name))
}

/// A literal that begins a pattern: there a `!` must be escaped too.
fn escaped(path: &RepoPath) -> BString {
    let mut pattern = glob_escaped(path);
    if pattern.starts_with(b"!") {
        pattern.insert(0, b'\\');
    }
    pattern
}

fn glob_escaped(path: &RepoPath) -> BString {
    let mut pattern = BString::default();
    for &byte in path.as_bstr().iter() {
        if b"*?[]\\".contains(&byte) {
            pattern.push(b'\\');
        }
        pattern.push(byte);
    }
    pattern
}

/// The pattern as it is written in a line: as it is, or in C quotes (Git's `quote_c_style`) where
/// Git would read something else, or an editor could not show it.
pub fn quote(pattern: &[u8]) -> BString {
    let plain = |byte: u8| byte > b' ' && byte != b'"' && byte != 0x7f;
    if pattern.iter().all(|byte| plain(*byte))
        && pattern.is_utf8()
        && !pattern.starts_with(b"#")
        && !pattern.starts_with(BOM)
    {
        return pattern.into();
    }
    let mut quoted = BString::from("\"");
    for chunk in pattern.utf8_chunks() {
        for byte in chunk.valid().bytes() {
            match LETTERS.iter().find(|(_, meant)| *meant == byte) {
                Some((letter, _)) => quoted.extend_from_slice(&[b'\\', *letter]),
                None if byte < b' ' || byte == 0x7f => quoted.extend_from_slice(format!("\\{byte:03o}").as_bytes()),
                None => quoted.push(byte),
            }
        }
        chunk.invalid().iter().for_each(|byte| quoted.extend_from_slice(format!("\\{byte:03o}").as_bytes()));
    }
    quoted.push(b'"');
    quoted
}

/// What a letter after a backslash means in C quotes.
const LETTERS: [(u8, u8); 9] = [
    (b'a', 7),
    (b'b', 8),
    (b't', b'\t'),
    (b'n', b'\n'),
    (b'v', 11),
    (b'f', 12),
    (b'r', b'\r'),
    (b'"', b'"'),
    (b'\\', b'\\'),
];

/// The C-quoted word that `line` begins with, unquoted, and what follows it. None if there is none,
/// or it is not well formed: Git then takes the quote for an ordinary character.
pub(super) fn unquote_prefix(line: &[u8]) -> Option<(BString, &[u8])> {
    let mut rest = line.strip_prefix(b"\"")?;
    let mut word = BString::default();
    loop {
        let (&byte, after) = rest.split_first()?;
        rest = after;
        match (byte, after) {
            (b'"', _) => return Some((word, rest)),
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..]) => {
                word.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest = &after[3..];
            }
            (b'\\', [escape, ..]) => {
                word.push(LETTERS.iter().find(|(letter, _)| letter == escape)?.1);
                rest = &after[1..];
            }
            (byte, _) => word.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(path: &str) -> RepoPath {
        RepoPath::new(path).unwrap()
    }

    #[test]
    fn quoting_is_undone_by_unquoting() {
        let every_byte: Vec<u8> = (1..=255).collect();
        for pattern in
            [b"a b".as_slice(), b"#x", b"\"", b"a\\b c", b"\t\n\r", b"\xff ", "\u{feff}x".as_bytes(), &every_byte]
        {
            let quoted = quote(pattern);
            assert!(quoted.starts_with(b"\"") && !quoted.contains(&b'\n'), "{quoted:?} is one quoted word");
            let (word, rest) = unquote_prefix(&quoted).unwrap();
            assert_eq!((word.as_slice(), rest), (pattern, b"".as_slice()), "the inverse of quoting");
        }
        for plain in ["*.psd", "a\\*b", "dir/**", "-x", "é", "x#", "\\!x"] {
            assert_eq!(quote(plain.as_bytes()), plain, "what needs no quotes gets none");
        }
        assert!(unquote_prefix(b"\"a\\q\" x").is_none() && unquote_prefix(b"\"a").is_none(), "not well formed");
    }

    #[test]
    fn paths_become_literal_patterns() {
        let file = |name| Pattern::for_file(&path(name)).unwrap().0;
        let dir = |name| Pattern::for_dir(&path(name)).unwrap().0;
        assert_eq!(file("dir/na[me].bin"), "/dir/na\\[me\\].bin");
        assert_eq!(file("!a"), "/!a");
        assert_eq!(dir("a b"), "a b/**");
        assert_eq!(dir("!d*"), "\\!d\\*/**");
    }

    #[test]
    fn patterns_of_a_subdirectory_keep_their_meaning_at_the_top() {
        let at = |pattern: &str, dir| Pattern::in_subdir(pattern, &path(dir)).unwrap().0;
        assert_eq!(at("*.psd", "a/b"), "a/b/**/*.psd");
        assert_eq!(at("/x", "a"), "a/x");
        assert_eq!(at("x/*", "a[1]"), "a\\[1\\]/x/*");
        assert_eq!(at("x/**", "!a"), "\\!a/x/**");
    }

    #[test]
    fn patterns_that_would_do_nothing_are_refused() {
        for (pattern, says) in [
            ("", "empty"),
            ("!x", "'\\!'"),
            ("dir/", "use 'dir/**'"),
            ("./x", "'.'"),
            ("a/../b", "'..'"),
            ("a//b", "empty"),
            ("a\0", "NUL"),
            ("a\\", "backslash"),
            ("[attr]x", "'**/[attr]x'"),
        ] {
            let error = Pattern::new(pattern).unwrap_err().to_string();
            assert!(error.contains(says), "{pattern:?}: {error}");
        }
        assert!(Pattern::new("x".repeat(2000)).is_ok());
        assert!(Pattern::new("x".repeat(2001)).is_ok(), "2046 bytes with the attributes");
        assert!(matches!(Pattern::new("x".repeat(2048)), Err(BadPattern::TooLong(_))));
        for fine in ["*", "/x", "a\\\\", "\\!x", "#x", ".x", "**/x", "[attr]", "-x", "..."] {
            assert!(Pattern::new(fine).is_ok(), "{fine:?} is a pattern");
        }
    }
}
