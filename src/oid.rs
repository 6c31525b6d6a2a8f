//! The object id: SHA-256 of a file's content, and a hasher that computes it while bytes pass by.
//!
//! Apart from everything else because every layer names content by it, and none may name it otherwise.

mod beside;
pub mod sorted;

use std::fmt;
use std::io::{self, Read, Write};
use std::str::FromStr;

use sha2::{Digest, Sha256};

pub use beside::{CopyError, HasherBeside, PIECE, copy_hashing};

/// SHA-256 of content: 32 bytes, written as 64 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Oid([u8; 32]);

impl Oid {
    /// Number of hex digits in the text form.
    pub const HEX_LEN: usize = 64;

    /// The id with exactly these bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Oid(bytes)
    }

    /// The 32 bytes of the digest.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The id of `content`, hashed in one go.
    pub fn of(content: &[u8]) -> Self {
        Oid(Sha256::digest(content).into())
    }

    /// 64 lower-case hex digits.
    pub fn hex(&self) -> String {
        self.to_string()
    }

    /// The first eight hex digits, for people.
    pub fn short(&self) -> String {
        self.hex()[..8].to_owned()
    }

    /// Parse 64 *lower-case* hex digits. Pointers and keys have one spelling only (design.md, section 3),
    /// so upper case is refused here.
    pub fn from_hex(hex: &[u8]) -> Option<Self> {
        let mut bytes = [0u8; 32];
        (hex.len() == Self::HEX_LEN && from_hex(hex, &mut bytes)).then_some(Oid(bytes))
    }
}

/// The bytes of lower-case hex digits, two for each of `bytes`. `false`: some are no such digits, or they are not so
/// many. By a table, without a branch for each: a manifest has 100,000 hashes.
pub fn from_hex(hex: &[u8], bytes: &mut [u8]) -> bool {
    if hex.len() != 2 * bytes.len() {
        return false;
    }
    let mut seen = 0;
    for (byte, pair) in bytes.iter_mut().zip(hex.chunks_exact(2)) {
        let (high, low) = (VALUES[usize::from(pair[0])], VALUES[usize::from(pair[1])]);
        seen |= high | low;
        *byte = high << 4 | low;
    }
    seen < 16
}

/// What each byte stands for as a digit; 255: it is none.
const VALUES: [u8; 256] = {
    let mut values = [255; 256];
    let mut value = 0;
    while value < 16 {
        values[b"0123456789abcdef"[value] as usize] = value as u8;
        value += 1;
    }
    values
};

impl fmt::Display for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut hex = [0; Self::HEX_LEN];
        for (pair, byte) in hex.chunks_exact_mut(2).zip(self.0) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        f.write_str(std::str::from_utf8(&hex).expect("hex digits are ASCII"))
    }
}

impl fmt::Debug for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Oid({self})")
    }
}

/// The text was not 64 lower-case hex digits.
#[derive(Debug, thiserror::Error)]
#[error("an oid is 64 lower-case hex digits")]
pub struct ParseOidError;

impl FromStr for Oid {
    type Err = ParseOidError;

    fn from_str(text: &str) -> Result<Self, ParseOidError> {
        Oid::from_hex(text.as_bytes()).ok_or(ParseOidError)
    }
}

/// Computes an [`Oid`] and counts bytes, in constant memory.
#[derive(Clone, Default)]
pub struct OidHasher {
    sha: Sha256,
    len: u64,
}

impl OidHasher {
    /// Nothing hashed yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Hash the next bytes of the content.
    pub fn update(&mut self, bytes: &[u8]) {
        self.sha.update(bytes);
        self.len += bytes.len() as u64;
    }

    /// Bytes hashed so far.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether nothing was hashed yet.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The id of all bytes seen, and their number.
    pub fn finish(self) -> (Oid, u64) {
        (Oid(self.sha.finalize().into()), self.len)
    }
}

/// A reader that hashes what passes through it.
pub struct HashingReader<R> {
    inner: R,
    hasher: OidHasher,
}

impl<R: Read> HashingReader<R> {
    /// Hash whatever is read from `inner` from now on.
    pub fn new(inner: R) -> Self {
        HashingReader { inner, hasher: OidHasher::new() }
    }

    /// The id and number of the bytes read so far.
    pub fn finish(self) -> (Oid, u64) {
        self.hasher.finish()
    }
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.hasher.update(&buf[..n]);
        Ok(n)
    }
}

/// A writer that hashes what passes through it.
pub struct HashingWriter<W> {
    inner: W,
    hasher: OidHasher,
}

impl<W: Write> HashingWriter<W> {
    /// Hash whatever is written to `inner` from now on.
    pub fn new(inner: W) -> Self {
        HashingWriter { inner, hasher: OidHasher::new() }
    }

    /// Bytes written so far.
    pub fn len(&self) -> u64 {
        self.hasher.len()
    }

    /// Whether nothing was written yet.
    pub fn is_empty(&self) -> bool {
        self.hasher.is_empty()
    }

    /// The writer, and the id and number of the bytes written through this one.
    pub fn finish(self) -> (W, Oid, u64) {
        let (oid, len) = self.hasher.finish();
        (self.inner, oid, len)
    }
}

impl<W: Write> Write for HashingWriter<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(buf)?;
        self.hasher.update(&buf[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 180-2, appendix B.1.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn text_form_is_lower_case_hex_and_round_trips() {
        let oid = Oid::of(b"abc");
        assert_eq!(oid.hex(), ABC);
        assert_eq!(ABC.parse::<Oid>().unwrap(), oid, "parsing is the inverse of printing");
        assert!(Oid::from_hex(ABC.to_uppercase().as_bytes()).is_none(), "one spelling only");
        assert!(Oid::from_hex(&ABC.as_bytes()[..63]).is_none(), "64 digits, not fewer");
    }

    #[test]
    fn hashing_in_pieces_equals_hashing_at_once() {
        let mut writer = HashingWriter::new(Vec::new());
        writer.write_all(b"a").unwrap();
        writer.write_all(b"bc").unwrap();
        let (bytes, oid, len) = writer.finish();
        assert_eq!((bytes.as_slice(), oid.hex().as_str(), len), (b"abc".as_slice(), ABC, 3));

        let mut reader = HashingReader::new(b"abc".as_slice());
        io::copy(&mut reader, &mut io::sink()).unwrap();
        assert_eq!(reader.finish(), (oid, 3));
    }
}
