//! The pointer of Git LFS, as it is written and as that tool reads it.
//!
//! Apart because it is another one's format (<https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md>), of which old
//! commits are full: our own clean and smudge know its canonical form alone, and what takes a repository over, or
//! answers in its place, has to read whatever git-lfs reads (lfs/pointer.go, `DecodeFrom`, version 3.3).

use super::{MAX_POINTER_LEN, Pointer, decimal};
use crate::oid::Oid;

/// The first line of a canonical pointer.
pub(super) const FIRST_LINE: &[u8] = b"version https://git-lfs.github.com/spec/v1\n";

/// Versions that git-lfs takes for the same: before its launch it had other names.
const VERSIONS: [&[u8]; 3] =
    [b"https://git-lfs.github.com/spec/v1", b"https://hawser.github.com/spec/v1", b"http://git-media.io/v/2"];

/// What git-lfs makes of a blob.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Read {
    /// A pointer to content.
    Pointer(Pointer),
    /// A pointer to content that programs of the user's own have to turn into the file's (`lfs.extension.*`).
    Extended(Pointer),
    /// No pointer, or one to nothing.
    Other,
}

/// Read a whole blob as git-lfs does: blank lines, CRLF, spaces around it, older names of the version and upper-case
/// digits do not matter.
pub fn read(blob: &[u8]) -> Read {
    if blob.len() >= MAX_POINTER_LEN {
        return Read::Other;
    }
    fields(blob).unwrap_or(Read::Other)
}

fn fields(blob: &[u8]) -> Option<Read> {
    let lines = blob.trim_ascii().split(|&byte| byte == b'\n');
    let lines = lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line)).filter(|line| !line.is_empty());
    let (mut values, mut extended) = (Vec::new(), false);
    for line in lines {
        let at = line.iter().position(|&byte| byte == b' ')?;
        let (key, value) = (&line[..at], &line[at + 1..]);
        match [b"version".as_slice(), b"oid", b"size"].get(values.len()) {
            Some(expected) if key == *expected => values.push(value),
            // Its programs stand before the oid; git-lfs takes them anywhere.
            Some(_) if is_extension(key) => extended = true,
            _ => return None,
        }
    }
    let [version, oid, size] = values[..] else { return None };
    if !VERSIONS.contains(&version) {
        return None;
    }
    let hex = oid.strip_prefix(b"sha256:")?.to_ascii_lowercase();
    let pointer = Pointer { oid: Oid::from_hex(&hex)?, size: decimal(size)? };
    Some(if extended { Read::Extended(pointer) } else { Read::Pointer(pointer) })
}

/// `ext-0-name`.
fn is_extension(key: &[u8]) -> bool {
    let Some([digit, b'-', name @ ..]) = key.strip_prefix(b"ext-") else { return false };
    digit.is_ascii_digit() && name.first().is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
}

/// The canonical bytes, as git-lfs writes them.
pub(super) fn encode(pointer: &Pointer) -> Vec<u8> {
    [FIRST_LINE, format!("oid sha256:{}\nsize {}\n", pointer.oid, pointer.size).as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical() -> (Pointer, String) {
        let pointer = Pointer::to(b"abc").unwrap();
        (pointer, String::from_utf8(encode(&pointer)).unwrap())
    }

    #[test]
    fn what_git_lfs_reads_is_read() {
        let (pointer, text) = canonical();
        for loose in [
            text.clone(),
            text.replace('\n', "\r\n"),
            text.trim_end().to_owned(),
            format!("\n {text}\n\n"),
            text.replace("git-lfs.github.com", "hawser.github.com"),
            text.replace("https://git-lfs.github.com/spec/v1", "http://git-media.io/v/2"),
            text.replace(&pointer.oid.hex(), &pointer.oid.hex().to_uppercase()),
        ] {
            assert_eq!(read(loose.as_bytes()), Read::Pointer(pointer), "{loose:?}");
        }
        let line = format!("ext-0-foo sha256:{}\noid", pointer.oid);
        assert_eq!(read(text.replace("oid", &line).as_bytes()), Read::Extended(pointer));
    }

    #[test]
    fn what_names_no_content_is_none() {
        let (_, text) = canonical();
        for other in [
            String::new(),
            text.replace("size 3", "size 0"),
            text.replace("size 3", "size 9223372036854775808"),
            text.replace("size 3", "size -3"),
            text.replace("size 3\n", ""),
            format!("{text}extra line\n"),
            format!("{text}size 3\n"),
            text.replace("spec/v1", "spec/v2"),
            text.replace("sha256:", "sha512:"),
            text.replace("oid", "ext-10-foo sha256:00\noid"),
            text.replace("oid", "extra x\noid"),
            format!("{text}{}", " ".repeat(MAX_POINTER_LEN)),
        ] {
            assert_eq!(read(other.as_bytes()), Read::Other, "{other:?}");
        }
    }
}
