//! The pointer: the few lines that stand in Git for a large file (design.md, section 3).
//!
//! Apart because its recognition decides whether bytes are content or a name of content; a mistake
//! here loses data. Pure: bytes in, an answer out.

pub mod lfs;

use std::fmt;

use crate::oid::Oid;

/// Content named by its oid and size.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Pointer {
    /// SHA-256 of the content.
    pub oid: Oid,
    /// Length of the content in bytes: 1 to 2^63-1. Empty content has no pointer.
    pub size: u64,
}

/// A blob of this many bytes or more is never a pointer.
pub const MAX_POINTER_LEN: usize = 1024;

/// And one of fewer bytes than this is none: ours with a size of one digit.
pub const MIN_POINTER_LEN: usize = OURS.len() + "oid sha256:".len() + Oid::HEX_LEN + "\nsize 1\n".len();

const OURS: &[u8] = b"version s3lfs/1\n";
const OURS_ANY_VERSION: &[u8] = b"version s3lfs/";
const LFS: &[u8] = lfs::FIRST_LINE;

/// Whose pointers stand in Git for content.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Form {
    /// Ours, under `filter=s3lfs`.
    #[default]
    Ours,
    /// Those of Git LFS, under `filter=lfs`, where s3lfs answers in that tool's place.
    Lfs,
}

impl Form {
    /// The filter under which they stand (gitattributes(5), `filter`).
    pub fn filter(self) -> &'static str {
        match self {
            Form::Ours => "s3lfs",
            Form::Lfs => "lfs",
        }
    }
}

/// What some bytes are, read as strictly as Git LFS reads its own pointers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sniffed {
    /// Our canonical pointer.
    Ours(Pointer),
    /// A canonical Git LFS v1 pointer; its content is looked for in our store.
    Lfs(Pointer),
    /// Our pointer with CRLF line ends (a checkout with `core.autocrlf` and without `-text`).
    Crlf(Pointer),
    /// A pointer of a later version of s3lfs.
    Newer,
    /// Content that begins like a pointer, or like a conflict between pointers, but is none.
    Resembles,
    /// Ordinary content.
    Content,
}

impl Sniffed {
    /// The pointer, in whichever form it was met.
    pub fn pointer(&self) -> Option<Pointer> {
        match self {
            Sniffed::Ours(p) | Sniffed::Lfs(p) | Sniffed::Crlf(p) => Some(*p),
            Sniffed::Newer | Sniffed::Resembles | Sniffed::Content => None,
        }
    }
}

impl Pointer {
    /// The pointer to `content`, or `None` for empty content.
    pub fn to(content: &[u8]) -> Option<Self> {
        (!content.is_empty()).then(|| Pointer { oid: Oid::of(content), size: content.len() as u64 })
    }

    /// The canonical bytes: three lines, one LF after each.
    pub fn encode(&self) -> Vec<u8> {
        self.to_string().into_bytes()
    }

    /// Whether a text of this length may be this pointer, in any form that smudge accepts.
    pub fn may_have_length(&self, len: u64) -> bool {
        let digits = self.size.checked_ilog10().unwrap_or(0) as usize;
        let ours = MIN_POINTER_LEN + digits;
        let (crlf, lfs) = (ours + 3, ours - OURS.len() + LFS.len());
        // git-lfs reads older names of its version (11 bytes less), no last line feed, and CRLF.
        [ours, crlf].iter().any(|form| *form as u64 == len) || (lfs as u64 - 12..=lfs as u64 + 3).contains(&len)
    }

    /// The canonical bytes in this form.
    pub fn encode_as(&self, form: Form) -> Vec<u8> {
        match form {
            Form::Ours => self.encode(),
            Form::Lfs => lfs::encode(self),
        }
    }

    /// The pointer that `blob` holds, in any form that smudge accepts.
    pub fn parse(blob: &[u8]) -> Option<Self> {
        sniff(blob).pointer()
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "version s3lfs/1\noid sha256:{}\nsize {}\n", self.oid, self.size)
    }
}

/// Tell what a whole blob is. For a blob of [`MAX_POINTER_LEN`] bytes or more its beginning is enough,
/// as long as at least that many bytes are given.
pub fn sniff(blob: &[u8]) -> Sniffed {
    if blob.len() < MAX_POINTER_LEN {
        if let Some(rest) = blob.strip_prefix(OURS)
            && let Some(pointer) = oid_and_size(rest)
        {
            return Sniffed::Ours(pointer);
        }
        if let Some(rest) = blob.strip_prefix(LFS)
            && let Some(pointer) = oid_and_size(rest)
        {
            return Sniffed::Lfs(pointer);
        }
        if let Some(pointer) = crlf(blob) {
            return Sniffed::Crlf(pointer);
        }
        if is_newer(blob) {
            return Sniffed::Newer;
        }
    }
    if resembles(blob) { Sniffed::Resembles } else { Sniffed::Content }
}

/// `oid sha256:<64 hex>\nsize <decimal>\n` and nothing else.
fn oid_and_size(rest: &[u8]) -> Option<Pointer> {
    let rest = rest.strip_prefix(b"oid sha256:")?;
    let (hex, rest) = rest.split_at_checked(Oid::HEX_LEN)?;
    let size = rest.strip_prefix(b"\nsize ")?.strip_suffix(b"\n")?;
    Some(Pointer { oid: Oid::from_hex(hex)?, size: decimal(size)? })
}

/// 1 to 2^63-1 without sign or leading zeros.
fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits[0] == b'0' || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    (value <= i64::MAX as u64).then_some(value)
}

/// Our pointer in which every line, and no other place, ends in CRLF.
fn crlf(blob: &[u8]) -> Option<Pointer> {
    let mut lf = Vec::with_capacity(blob.len());
    for line in blob.split_inclusive(|&b| b == b'\n') {
        lf.extend_from_slice(line.strip_suffix(b"\r\n")?);
        lf.push(b'\n');
    }
    oid_and_size(lf.strip_prefix(OURS)?)
}

/// First line `version s3lfs/<n>` with n >= 2.
fn is_newer(blob: &[u8]) -> bool {
    let Some(rest) = blob.strip_prefix(OURS_ANY_VERSION) else { return false };
    let line = rest.split(|&b| b == b'\n').next().unwrap_or_default();
    let version = line.strip_suffix(b"\r").unwrap_or(line);
    decimal(version).is_some_and(|n| n >= 2)
}

/// Whether bytes that are no pointer deserve a word to the user: they begin with a pointer's first
/// line, or with a conflict marker right before one.
fn resembles(blob: &[u8]) -> bool {
    let begins = |b: &[u8]| b.starts_with(OURS_ANY_VERSION) || b.starts_with(LFS.strip_suffix(b"\n").unwrap_or(LFS));
    if begins(blob) {
        return true;
    }
    blob.starts_with(b"<<<<<<< ")
        && blob[..blob.len().min(MAX_POINTER_LEN)].split(|&b| b == b'\n').nth(1).is_some_and(begins)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_pointer_is_shorter_than_the_shortest() {
        let shortest = Pointer::to(b"x").unwrap().encode();
        assert_eq!(shortest.len(), MIN_POINTER_LEN);
        let lfs = [LFS, &shortest[OURS.len()..]].concat();
        assert!(matches!(sniff(&lfs), Sniffed::Lfs(_)) && lfs.len() > MIN_POINTER_LEN, "no other form is shorter");
        assert!(Pointer::parse(&shortest[..shortest.len() - 1]).is_none());
    }

    const HEX: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn ours(size: &str) -> Vec<u8> {
        format!("version s3lfs/1\noid sha256:{HEX}\nsize {size}\n").into_bytes()
    }

    #[test]
    fn encode_is_the_canonical_form_and_parse_its_inverse() {
        let pointer = Pointer::to(b"abc").unwrap();
        assert_eq!(pointer.encode(), ours("3"));
        assert_eq!(sniff(&pointer.encode()), Sniffed::Ours(pointer));
        assert_eq!(Pointer::to(b""), None, "empty content has no pointer");
    }

    #[test]
    fn sizes_are_one_to_i64_max_without_leading_zeros() {
        for good in ["1", "9223372036854775807"] {
            assert!(matches!(sniff(&ours(good)), Sniffed::Ours(_)), "{good} is a size");
        }
        for bad in ["0", "01", "+1", "-1", "", " 1", "1 ", "9223372036854775808", "99999999999999999999999", "0x1"] {
            assert_eq!(sniff(&ours(bad)), Sniffed::Resembles, "{bad:?} is no size");
        }
    }

    #[test]
    fn only_the_exact_bytes_are_a_pointer() {
        let canonical = String::from_utf8(ours("3")).unwrap();
        let cases = [
            canonical.trim_end().to_owned(),
            format!("{canonical}\n"),
            format!("{canonical}x"),
            canonical.replace("sha256:", "sha256: "),
            canonical.replace("oid", "Oid"),
            canonical.replace(HEX, &HEX.to_uppercase()),
            canonical.replace("size 3\n", "size 3\nsize 3\n"),
            format!("version s3lfs/1\nsize 3\noid sha256:{HEX}\n"),
            canonical.replacen('\n', "\r\n", 1),
            canonical.replace("s3lfs/1", "s3lfs/1.0"),
            canonical.replace("s3lfs/1", "s3lfs/02"),
            format!("<<<<<<< ours\n{canonical}=======\n{canonical}>>>>>>> theirs\n"),
        ];
        for case in cases {
            assert_eq!(sniff(case.as_bytes()), Sniffed::Resembles, "{case:?} only resembles a pointer");
        }
        assert_eq!(sniff(format!("\u{feff}{canonical}").as_bytes()), Sniffed::Content);
        assert_eq!(sniff(format!(" {canonical}").as_bytes()), Sniffed::Content);
        assert_eq!(sniff(b""), Sniffed::Content);
    }

    #[test]
    fn git_lfs_crlf_and_newer_forms_are_told_apart() {
        let pointer = Pointer::to(b"abc").unwrap();
        let lfs = format!("version https://git-lfs.github.com/spec/v1\noid sha256:{HEX}\nsize 3\n");
        assert_eq!(sniff(lfs.as_bytes()), Sniffed::Lfs(pointer));
        assert_eq!(sniff(lfs.replace("oid", "ext-0-x sha256:00\noid").as_bytes()), Sniffed::Resembles);
        let crlf = String::from_utf8(ours("3")).unwrap().replace('\n', "\r\n");
        assert_eq!(sniff(crlf.as_bytes()), Sniffed::Crlf(pointer));
        assert_eq!(sniff(b"version s3lfs/2\nanything"), Sniffed::Newer);
        assert_eq!(sniff(b"version s3lfs/17\r\nanything"), Sniffed::Newer);
        let long = [b"version s3lfs/2\n".as_slice(), &[b'x'; MAX_POINTER_LEN]].concat();
        assert_eq!(sniff(&long), Sniffed::Resembles, "at 1,024 bytes it is content");
    }

    #[test]
    fn only_the_lengths_of_its_forms_may_be_a_pointer() {
        for size in [1, 9, 10, 99, 100, 12345, i64::MAX as u64] {
            let pointer = Pointer { size, ..Pointer::to(b"content").unwrap() };
            let ours = pointer.encode();
            let crlf = String::from_utf8(ours.clone()).unwrap().replace('\n', "\r\n").into_bytes();
            let lfs = [LFS, &ours[OURS.len()..]].concat();
            let lengths = [&ours, &crlf, &lfs].map(|form| {
                assert_eq!(Pointer::parse(form), Some(pointer), "it is a form of it");
                form.len() as u64
            });
            // What git-lfs reads besides.
            let loose = lengths[2] - 12..=lengths[2] + 3;
            for len in 0..2 * MAX_POINTER_LEN as u64 {
                let may = lengths.contains(&len) || loose.contains(&len);
                assert_eq!(pointer.may_have_length(len), may, "{len} bytes, size {size}");
            }
        }
    }
}
