//! Decoding: an object's bytes to content, by the mark that they begin with.
//!
//! Apart because it alone reads bytes that anybody with write access to the bucket may have made:
//! it believes nothing of them, holds a fixed amount of memory and stops at the pointer's size.

use std::io::{self, BufRead, BufReader, Read, Write};

use flate2::bufread::MultiGzDecoder;

/// What an object is, by its first bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mark {
    /// Gzip members up to the object's end.
    Gzip,
    /// A format of a later s3lfs.
    Later,
    /// The content itself.
    Content,
}

/// As many first bytes as [`mark`] looks at.
pub const MARK_LEN: usize = AGE.len();

const GZIP: &[u8] = b"\x1f\x8b";
const ZSTD: &[u8] = b"\x28\xb5\x2f\xfd";
const AGE: &[u8] = b"age-encryption.org/";
const OURS: &[u8] = b"s3lfs/";

/// Tell what an object is by its first [`MARK_LEN`] bytes, or all of them if they are fewer.
pub fn mark(head: &[u8]) -> Mark {
    if head.starts_with(GZIP) {
        Mark::Gzip
    } else if [OURS, ZSTD, AGE].iter().any(|later| head.starts_with(later)) {
        Mark::Later
    } else {
        Mark::Content
    }
}

/// Why an object did not give content of the size that was asked for.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The object's bytes could not be had; they may be fine.
    #[error("can't read the object")]
    Read(#[source] io::Error),
    /// The content could not be put where it goes.
    #[error("can't write the decoded content")]
    Write(#[source] io::Error),
    /// The object is no complete series of gzip members, though it begins like one.
    #[error("the object is corrupt")]
    Corrupt(#[source] io::Error),
    /// The object holds more than the pointer says. Decoding stopped there.
    #[error("the object holds more than {size} bytes of content")]
    TooLong {
        /// The pointer's size in bytes.
        size: u64,
    },
    /// The object holds less than the pointer says.
    #[error("the object holds {decoded} bytes of content instead of {size}")]
    TooShort {
        /// The pointer's size in bytes.
        size: u64,
        /// Bytes that the object held.
        decoded: u64,
    },
    /// The object begins with the mark of a later format.
    #[error("the object is in a format that needs a newer s3lfs")]
    NewerFormat,
}

/// Write the content that `object` holds to `out`: `size` bytes, or an error.
///
/// What is in `out` after an error is not the content, and after a success it is so only by length:
/// hashing it (as with [`HashingWriter`](crate::oid::HashingWriter)) is up to the caller, who also
/// applies the rule that an object exactly as long as the pointer's size may be the raw content
/// after all. For that rule stage the raw bytes first: this reads `object` once.
///
/// # Errors
/// See [`DecodeError`]. Never are more than `size` bytes written.
pub fn decode(object: impl Read, out: &mut (impl Write + ?Sized), size: u64) -> Result<(), DecodeError> {
    let mut source = Source { bytes: BufReader::with_capacity(BUFFER_LEN, object), failure: None };
    let mut head = Vec::with_capacity(MARK_LEN);
    let outcome = match source.by_ref().take(MARK_LEN as u64).read_to_end(&mut head) {
        Err(error) => Err(DecodeError::Corrupt(error)),
        Ok(_) => {
            let whole = head.as_slice().chain(&mut source);
            match mark(&head) {
                Mark::Gzip => copy(MultiGzDecoder::new(whole), out, size),
                Mark::Later => Err(DecodeError::NewerFormat),
                Mark::Content => copy(whole, out, size),
            }
        }
    };
    match (outcome, source.failure) {
        (Err(DecodeError::Corrupt(_)), Some(failure)) => Err(DecodeError::Read(failure)),
        (outcome, _) => outcome,
    }
}

const BUFFER_LEN: usize = 64 * 1024;

/// All of `content` to `out`, if it is `size` bytes. It is read to its end, where gzip has its checksum.
fn copy(mut content: impl Read, out: &mut (impl Write + ?Sized), size: u64) -> Result<(), DecodeError> {
    let mut buffer = vec![0; BUFFER_LEN];
    let mut decoded = 0;
    loop {
        let n = content.read(&mut buffer).map_err(DecodeError::Corrupt)?;
        match n as u64 {
            0 if decoded < size => return Err(DecodeError::TooShort { size, decoded }),
            0 => return Ok(()),
            n if n > size - decoded => return Err(DecodeError::TooLong { size }),
            n => decoded += n,
        }
        out.write_all(&buffer[..n]).map_err(DecodeError::Write)?;
    }
}

/// The object's bytes. It keeps the error that reading them failed with, since what a gzip decoder
/// returns does not tell that from corruption.
struct Source<R> {
    bytes: BufReader<R>,
    failure: Option<io::Error>,
}

impl<R: Read> BufRead for Source<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while let Err(error) = self.bytes.fill_buf() {
            if error.kind() != io::ErrorKind::Interrupted {
                let kind = error.kind();
                self.failure = Some(error);
                return Err(kind.into());
            }
        }
        Ok(self.bytes.buffer())
    }

    fn consume(&mut self, n: usize) {
        self.bytes.consume(n);
    }
}

impl<R: Read> Read for Source<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.fill_buf()?.read(buf)?;
        self.consume(n);
        Ok(n)
    }
}

/// Whether an object of `len` bytes may hold `size` bytes of content: as they are, or as gzip, which adds little to what it
/// can't compress, and takes a byte at the least for 1,032 ("Maximum Compression Factor" in zlib's technical details).
pub fn may_encode(len: u64, size: u64) -> bool {
    let most = size.saturating_add(size / 1000 + 1024);
    len == size || (len <= most && size <= len.saturating_mul(1032))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::codec::{Encoding, encode_range};

    fn gzip(content: &[u8], encoding: Encoding) -> Vec<u8> {
        let mut object = Vec::new();
        encode_range(&mut &*content, content.len() as u64, encoding, &mut object).unwrap();
        object
    }

    fn decoded(object: &[u8], size: u64) -> Result<Vec<u8>, DecodeError> {
        let mut out = Vec::new();
        let result = decode(object, &mut out, size);
        assert!(out.len() as u64 <= size, "never more than the pointer's size is written");
        result.map(|()| out)
    }

    #[test]
    fn marks_are_the_table_of_the_design() {
        for (head, expected) in [
            (b"\x1f\x8b".as_slice(), Mark::Gzip),
            (b"s3lfs/", Mark::Later),
            (b"\x28\xb5\x2f\xfd", Mark::Later),
            (b"age-encryption.org/", Mark::Later),
            (b"age-encryption.org", Mark::Content),
            (b"\x1f", Mark::Content),
            (b"", Mark::Content),
        ] {
            assert_eq!(mark(head), expected, "{head:02x?}");
            let size = head.len() as u64;
            if expected == Mark::Later {
                assert!(matches!(decoded(head, size), Err(DecodeError::NewerFormat)), "{head:02x?} is refused");
            }
        }
    }

    #[test]
    fn members_one_after_another_are_one_content() {
        let object = [gzip(b"abc", Encoding::COMPRESSED), gzip(b"def", Encoding::WRAPPED)].concat();
        assert_eq!(decoded(&object, 6).unwrap(), b"abcdef", "gzip does not stop after member one");
        assert_eq!(decoded(b"raw content", 11).unwrap(), b"raw content");
    }

    #[test]
    fn an_object_cut_short_anywhere_is_an_error() {
        for encoding in [Encoding::COMPRESSED, Encoding::WRAPPED] {
            let object = [gzip(b"abcabcabcabc", encoding), gzip(b"defdef", encoding)].concat();
            assert_eq!(decoded(&object, 18).unwrap(), b"abcabcabcabcdefdef");
            for len in 0..object.len() {
                let error = decoded(&object[..len], 18).expect_err("a cut object is no content");
                let ends_with_a_member = len == gzip(b"abcabcabcabc", encoding).len();
                match error {
                    DecodeError::Corrupt(_) => assert!(len >= 2 && !ends_with_a_member),
                    DecodeError::TooShort { .. } => assert!(len < 2 || ends_with_a_member),
                    other => panic!("cut at {len}: {other:?} is neither corrupt nor too short"),
                }
            }
        }
    }

    #[test]
    fn a_changed_byte_is_an_error_or_the_same_content() {
        let object = gzip(b"some content of no great length", Encoding::COMPRESSED);
        for at in 0..object.len() {
            let mut bad = object.clone();
            bad[at] ^= 0x55;
            if let Ok(out) = decoded(&bad, 31) {
                assert_eq!(out, b"some content of no great length", "byte {at} is checked or does not matter");
                assert!((4..10).contains(&at), "only mtime, XFL and OS do not matter, not byte {at}");
            }
        }
    }

    #[test]
    fn bytes_after_the_last_member_are_corruption() {
        for garbage in [b"\0".as_slice(), b"garbage", b"\x1f", b"\x1f\x8b", &[0; 512]] {
            let object = [gzip(b"abc", Encoding::COMPRESSED), garbage.to_vec()].concat();
            assert!(matches!(decoded(&object, 3), Err(DecodeError::Corrupt(_))), "{garbage:02x?} is not passed over");
        }
    }

    #[test]
    fn the_length_is_the_pointers() {
        for object in [b"abcdefgh".to_vec(), gzip(b"abcdefgh", Encoding::COMPRESSED)] {
            assert_eq!(decoded(&object, 8).unwrap(), b"abcdefgh");
            assert!(matches!(decoded(&object, 7), Err(DecodeError::TooLong { size: 7 })));
            assert!(matches!(decoded(&object, 9), Err(DecodeError::TooShort { size: 9, decoded: 8 })));
        }
    }

    /// Counts what is read from it, and fails where it is told to.
    struct Probe<'a> {
        bytes: &'a [u8],
        fail_with: io::ErrorKind,
        read: usize,
    }

    impl Read for &mut Probe<'_> {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            match self.bytes.read(&mut buf[..1])? {
                0 => Err(io::Error::new(self.fail_with, "the line is dead")),
                n => {
                    self.read += n;
                    Ok(n)
                }
            }
        }
    }

    #[test]
    fn a_bomb_stops_early() {
        let bomb = gzip(&vec![0; 8 << 20], Encoding::COMPRESSED);
        let mut probe = Probe { bytes: &bomb, fail_with: io::ErrorKind::Other, read: 0 };
        let error = decode(&mut probe, &mut io::sink(), 1000).unwrap_err();
        assert!(matches!(error, DecodeError::TooLong { size: 1000 }), "{error:?}");
        assert!(probe.read < bomb.len() / 16, "{} of {} bytes read: the rest is left alone", probe.read, bomb.len());
    }

    #[test]
    fn failures_of_source_and_sink_are_told_from_corruption() {
        let object = gzip(b"abcdefgh", Encoding::COMPRESSED);
        for bytes in [b"".as_slice(), b"raw", b"raw content, longer than a mark", &object[..1], &object[..12], &object]
        {
            // UnexpectedEof is also what the decoder says of a truncated object.
            for fail_with in [io::ErrorKind::ConnectionReset, io::ErrorKind::UnexpectedEof] {
                match decode(&mut Probe { bytes, fail_with, read: 0 }, &mut io::sink(), 1000) {
                    Err(DecodeError::Read(why)) => assert_eq!(why.to_string(), "the line is dead"),
                    other => panic!("{other:?}: the source failed, not the object"),
                }
            }
        }
        let mut full = [0u8; 4];
        for bytes in [b"abcdefgh".as_slice(), &object] {
            let result = decode(bytes, &mut full.as_mut_slice(), 8);
            assert!(matches!(result, Err(DecodeError::Write(_))), "{result:?}: the sink failed");
        }
    }

    #[test]
    fn a_length_alone_rules_some_objects_out() {
        for (len, size) in [(0, 0), (5, 5), (40, 5), (400_000, 400_000), (1 << 20, 1 << 30), (1_001_024, 1_000_000)] {
            assert!(may_encode(len, size), "{len} bytes may hold {size}");
        }
        for (len, size) in [(4, 400_000), (8, 150_000_000), (0, 5), (2_000_000, 1_000_000)] {
            assert!(!may_encode(len, size), "{len} bytes hold no {size}");
        }
    }
}
