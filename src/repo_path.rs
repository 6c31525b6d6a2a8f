//! A path inside a repository: the only way into the worktree for a name that came from a commit.
//!
//! Apart because repository content is untrusted (design.md, invariant 6): a manifest key or a
//! pathname that leads elsewhere must not become a `PathBuf` anywhere else.

use std::fmt;
use std::path::{Path, PathBuf};

use bstr::{BStr, BString, ByteSlice};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

/// Raw bytes as in Git's index: `/` between components, relative to the top of the worktree; not
/// empty, not absolute, without empty, `.` or `..` components and without anything that a
/// filesystem takes for `.git`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RepoPath(BString);

/// Why bytes are not a path inside a repository.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{path:?} is not a path inside a repository: {why}")]
pub struct BadPath {
    path: BString,
    why: &'static str,
}

impl RepoPath {
    /// Check bytes that came from Git's index or from a manifest.
    pub fn new(path: impl Into<BString>) -> Result<Self, BadPath> {
        let path = path.into();
        Self::check(&path)?;
        Ok(RepoPath(path))
    }

    /// As [`RepoPath::new`], where the answer alone is wanted: of 100,000 paths no copy is made.
    pub fn check(path: &[u8]) -> Result<(), BadPath> {
        objection(path, HERE).map_or(Ok(()), |why| Err(BadPath { path: path.into(), why }))
    }

    /// The raw bytes.
    pub fn as_bstr(&self) -> &BStr {
        self.0.as_bstr()
    }

    /// Whether Git, or s3lfs itself, reads the file by this name (`.gitattributes`, the manifest ...): nobody else decides
    /// what it holds.
    pub fn stays_in_git(&self) -> bool {
        let name = self.components().last().unwrap_or_default().to_ascii_lowercase();
        name.starts_with(b".git") || self.0.to_ascii_lowercase().starts_with(b".s3_manifest.")
    }

    /// The text, if the bytes are UTF-8: only then can it be a key of the manifest.
    pub fn to_str(&self) -> Option<&str> {
        self.0.to_str().ok()
    }

    /// Where it is on disk, relative to the top of the worktree. Symbolic links on the way are not
    /// looked at here; [`crate::fs::Beneath`] does that.
    pub fn to_path(&self) -> PathBuf {
        #[cfg(unix)]
        {
            use std::os::unix::ffi::OsStrExt;
            Path::new(std::ffi::OsStr::from_bytes(&self.0)).to_owned()
        }
        #[cfg(not(unix))]
        {
            Path::new(&*self.0.to_str_lossy()).to_owned()
        }
    }

    /// The components, outermost first.
    pub fn components(&self) -> impl Iterator<Item = &BStr> {
        self.0.split_str("/").map(ByteSlice::as_bstr)
    }

    /// Whether it is `dir` or lies beneath it.
    pub fn starts_with(&self, dir: &RepoPath) -> bool {
        self.0.strip_prefix(dir.0.as_slice()).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
    }
}

/// Whose names a path has to be able to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum System {
    Posix,
    Windows,
}

const HERE: System = if cfg!(windows) { System::Windows } else { System::Posix };

fn objection(path: &[u8], system: System) -> Option<&'static str> {
    if path.is_empty() {
        return Some("it is empty");
    }
    if path.contains(&0) {
        return Some("it holds a NUL byte");
    }
    if path[0] == b'/' {
        return Some("it is absolute");
    }
    // By the byte: a search for a text is prepared anew for each path, of which a manifest has 100,000.
    path.split(|&byte| byte == b'/').find_map(|component| match component {
        b"" => Some("a part of it is empty"),
        b"." | b".." => Some("a part of it is '.' or '..'"),
        part if is_dot_git(part) => Some("it leads into .git"),
        part if system == System::Windows => no_name_on_windows(part),
        _ => None,
    })
}

/// Why a component would be another file there than the one that it names: another drive or directory, a stream of
/// another file, a device. As Git for Windows refuses it (`is_valid_win32_path`, compat/mingw.c); the rules are
/// Microsoft's, "Naming Files, Paths, and Namespaces".
fn no_name_on_windows(part: &[u8]) -> Option<&'static str> {
    if part.iter().any(|b| b"\\:".contains(b)) {
        return Some("it holds a backslash or a colon");
    }
    if part.iter().any(|b| *b < b' ' || b"<>\"|?*".contains(b)) {
        return Some("it holds a character that no file name has on Windows");
    }
    if part.ends_with(b".") || part.ends_with(b" ") {
        return Some("a part of it ends in a dot or a space, which Windows leaves out");
    }
    is_device(part).then_some("a part of it is a device on Windows")
}

/// A device by whatever extension: `NUL`, `nul.txt`, `COM1 .x`.
fn is_device(part: &[u8]) -> bool {
    let name = part.split(|&b| b == b'.').next().unwrap_or_default().trim_end_with(|c| c == ' ');
    let name = name.to_ascii_uppercase();
    // COM and LPT count with the digits 1 to 9, also where these are superscripts.
    let is_port = |rest: &[u8]| {
        matches!(rest, [b'1'..=b'9']) || ["\u{b9}", "\u{b2}", "\u{b3}"].iter().any(|digit| rest == digit.as_bytes())
    };
    match name.as_slice() {
        b"CON" | b"PRN" | b"AUX" | b"NUL" | b"CONIN$" | b"CONOUT$" => true,
        [b'C', b'O', b'M', rest @ ..] | [b'L', b'P', b'T', rest @ ..] => is_port(rest),
        _ => false,
    }
}

/// What some filesystem takes for `.git`: any case, trailing dots, spaces and NTFS streams, NTFS's
/// short name, HFS+'s ignorable code points. As Git's `verify_path` (read-cache.c) with
/// `core.protectNTFS` and `core.protectHFS` both on, wherever we run: the clone may be shared.
fn is_dot_git(part: &[u8]) -> bool {
    // All of these begin so; a code point that HFS+ ignores begins with e2 or ef.
    if !matches!(part[0], b'.' | b'g' | b'G' | 0xe2 | 0xef) {
        return false;
    }
    let visible: Vec<u8> = match part.to_str() {
        Ok(text) => text.chars().filter(|c| !ignored_by_hfs(*c)).collect::<String>().into_bytes(),
        Err(_) => part.to_vec(),
    };
    let name = visible.split(|&b| b == b':').next().unwrap_or_default();
    let name = name.trim_end_with(|c| c == '.' || c == ' ');
    name.eq_ignore_ascii_case(b".git") || name.eq_ignore_ascii_case(b"git~1")
}

fn ignored_by_hfs(c: char) -> bool {
    matches!(c, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}')
}

/// Characters that are not seen and turn round what follows (Unicode's UAX 9, table 4), or that
/// make two names look alike.
pub fn deceives(c: char) -> bool {
    ignored_by_hfs(c) || matches!(c, '\u{061c}' | '\u{2066}'..='\u{2069}')
}

/// For people: control characters and invalid UTF-8 are escaped, so that a file name can't drive a terminal.
impl fmt::Display for RepoPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        escape(&self.0, f)
    }
}

impl fmt::Debug for RepoPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_bstr(), f)
    }
}

/// Bytes for people, see [`RepoPath`]'s `Display`.
pub struct Printable<'a>(pub &'a [u8]);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        escape(self.0, f)
    }
}

/// A path as a JSON string: as it is, since JSON has its own escapes. Bytes that are no text stand as
/// [`Printable`] shows them, and then [`bytes_in_json`] tells which they are.
pub fn in_json(path: &[u8]) -> String {
    path.to_str().map_or_else(|_| Printable(path.as_bstr()).to_string(), str::to_owned)
}

/// The bytes of a path that is no text, escaped as in a URL (RFC 3986, section 2.1).
pub fn bytes_in_json(path: &[u8]) -> Option<String> {
    const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    path.to_str().is_err().then(|| percent_encode(path, PLAIN).to_string())
}

fn escape(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c.is_control() || deceives(c) {
                write!(f, "{}", c.escape_default())?;
            } else {
                write!(f, "{c}")?;
            }
        }
        chunk.invalid().iter().try_for_each(|b| write!(f, "\\x{b:02x}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_git_and_s3lfs_read_by_name_stays() {
        for (path, stays) in [
            (".gitattributes", true),
            ("sub/.gitattributes", true),
            (".GITMODULES", true),
            (".s3_manifest.json", true),
            (".S3_Manifest.yaml", true),
            ("sub/.s3_manifest.json", false),
            ("art/git.bin", false),
        ] {
            assert_eq!(RepoPath::new(path).unwrap().stays_in_git(), stays, "{path}");
        }
    }

    #[test]
    fn odd_but_honest_names_are_kept_byte_for_byte() {
        for name in ["a", "a/b", " lead", "trail ", "a\nb", "=x", "...", ".gitattributes", "git", "-x", "é/ü", "a~1"]
        {
            assert_eq!(RepoPath::new(name).unwrap().as_bstr(), name);
        }
        assert!(RepoPath::new(b"\xff\xfe".as_slice()).unwrap().to_str().is_none());
        assert_eq!(bytes_in_json(b"a/b%\xff c").as_deref(), Some("a/b%25%FF%20c"), "each byte can be told");
        assert_eq!(bytes_in_json("a/\u{fc}".as_bytes()), None, "text speaks for itself");
    }

    #[test]
    fn nothing_leads_out_of_the_worktree_or_into_git() {
        for name in [
            "",
            "/",
            "/etc/passwd",
            "..",
            "../x",
            "a/../b",
            "a//b",
            "a/",
            "./a",
            "a/.",
            ".git",
            "a/.git/hooks/x",
            ".GIT/config",
            ".git./x",
            ".git /x",
            ".git . ./x",
            "git~1/x",
            "GIT~1",
            ".git::$INDEX_ALLOCATION/x",
            ".g\u{200c}it/x",
            "a\0b",
        ] {
            assert!(RepoPath::new(name).is_err(), "{name:?} must be refused");
        }
    }

    /// Everywhere, since the rule is the same wherever it is asked.
    #[test]
    fn on_windows_no_name_is_another_drive_a_stream_or_a_device() {
        let refused = [
            r"C:\x",
            "C:/x",
            "C:x",
            r"\x",
            r"..\x",
            r"a\..\..\x",
            r"\\server\share\x",
            r"\\?\C:\x",
            "file.txt:stream",
            "a/b::$DATA",
            "a./x",
            "a /x",
            "x.",
            "x ",
            "...",
            "NUL",
            "nul",
            "a/con/b",
            "CON.txt",
            "aux.tar.gz",
            "prn .x",
            "COM1",
            "com9.log",
            "LPT\u{b9}",
            "lpt1/x",
            "CONIN$",
            "conout$",
            "a\tb",
            "what?",
            "a*",
            "<x>",
            "\"x\"",
            "a|b",
            ".git:x",
        ];
        for name in refused {
            assert!(objection(name.as_bytes(), System::Windows).is_some(), "{name:?} must be refused");
        }
        let honest = [
            "a", "a b/c.d", ".x", "...x", "console", "NULL", "com", "com0", "com10", "a.nul", "aux-1", "é", "x~1", "$x",
        ];
        for name in honest {
            assert_eq!(objection(name.as_bytes(), System::Windows), None, "{name:?} is a name like any other");
        }
        for name in [r"C:\x", "a:b", "NUL", "x.", "what?"] {
            assert_eq!(objection(name.as_bytes(), System::Posix), None, "{name:?} leads nowhere else on other systems");
        }
    }

    #[test]
    fn printing_cannot_drive_a_terminal() {
        let path = RepoPath::new(b"a\x1b[31m\xff\n".as_slice()).unwrap();
        assert_eq!(path.to_string(), "a\\u{1b}[31m\\xff\\n");
    }

    #[test]
    fn a_directory_contains_what_lies_beneath_it_only() {
        let dir = RepoPath::new("a/b").unwrap();
        assert!(RepoPath::new("a/b").unwrap().starts_with(&dir));
        assert!(RepoPath::new("a/b/c").unwrap().starts_with(&dir));
        assert!(!RepoPath::new("a/bc").unwrap().starts_with(&dir));
    }
}
