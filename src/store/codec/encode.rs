//! Encoding: a range of content to raw bytes, or to whole gzip members.
//!
//! Apart from the uploader because what a range becomes depends on nothing but its bytes and the
//! encoding: parts of one upload are made in parallel, and again by another process.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::thread::{Builder, ScopedJoinHandle, scope};

use flate2::write::GzEncoder;
use flate2::{Compression, CrcReader, GzBuilder};

use super::decide::Encoding;
use super::deflating::Deflating;
use crate::buffer::Buffer;
use crate::oid::OidHasher;

/// Bytes of content in one gzip member; the last of a range may hold fewer. Ranges that are whole
/// multiples of it are cut at the same places as the content encoded in one go.
pub const MEMBER_LEN: u64 = 4 * 1024 * 1024;

/// Deflate is fed in pieces of this size whatever `content` returns from a read, so that the same
/// range always becomes the same bytes.
const PIECE_LEN: usize = 64 * 1024;

/// Bytes of the sample that tells encoders apart.
const SAMPLE: u64 = 64 << 10;

/// The name of what makes gzip's members here: where two names are equal, so is what ranges become. It is the length of a
/// member, and the hash of what a sample becomes, since the library chooses its matches by its version and by what the
/// processor can do. `None`: content goes as it is, which all do alike.
///
/// # Errors
/// That of the library.
pub fn encoder(encoding: Encoding) -> io::Result<Option<String>> {
    if encoding == Encoding::Raw {
        return Ok(None);
    }
    // Long and short matches, and bytes that have none.
    let sample: Vec<u8> = (0..SAMPLE).map(|i| ((i * i) >> 11) as u8).collect();
    let mut hasher = OidHasher::new();
    encode_range(&mut sample.as_slice(), SAMPLE, encoding, &mut Hashing(&mut hasher))?;
    let (hash, _) = hasher.finish();
    Ok(Some(format!("{MEMBER_LEN}-{}", hash.short())))
}

/// Hashes what is written.
struct Hashing<'a>(&'a mut OidHasher);

impl Write for Hashing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Encode the next `len` bytes of `content` and append them to `out`. What consecutive ranges
/// become, one after another, is an object of the content; each with an encoding of its own if all
/// of them are gzip (raw and gzip do not mix). Nothing in it tells of the time or of a file's name.
///
/// `len` 0 appends nothing.
///
/// # Errors
/// Those of `content` and `out`, and `UnexpectedEof` if `content` ends before `len` bytes. Part of the
/// range may then be in `out`.
pub fn encode_range(
    content: &mut impl Read,
    len: u64,
    encoding: Encoding,
    out: &mut (impl Write + ?Sized),
) -> io::Result<()> {
    let level = match encoding {
        Encoding::Raw => return copy(content, len, out),
        Encoding::Gzip { level } => level,
    };
    let mut left = len;
    while left > 0 {
        let len = left.min(MEMBER_LEN);
        gzip(content, len, level, out)?;
        left -= len;
    }
    Ok(())
}

/// As [`encode_range`], and the same bytes come of it, with so many members at once. The caller's thread
/// reads; what is read ahead and not yet compressed is at most `threads` x [`MEMBER_LEN`] bytes.
///
/// # Errors
/// Those of [`encode_range`].
pub fn encode_range_on(
    threads: usize,
    content: &mut impl Read,
    len: u64,
    encoding: Encoding,
    out: &mut (impl Write + ?Sized),
) -> io::Result<()> {
    encode_range_by(Builder::new, threads, content, len, encoding, out)
}

/// As [`encode_range_on`], by threads that this makes.
fn encode_range_by(
    mut thread: impl FnMut() -> Builder,
    threads: usize,
    content: &mut impl Read,
    len: u64,
    encoding: Encoding,
    out: &mut (impl Write + ?Sized),
) -> io::Result<()> {
    if threads < 2 || len <= MEMBER_LEN || encoding == Encoding::Raw {
        return encode_range(content, len, encoding, out);
    }
    scope(|threads_of_this| {
        let mut compressing = VecDeque::new();
        let mut left = len;
        while left > 0 {
            if compressing.len() == threads
                && let Some(first) = compressing.pop_front()
            {
                out.write_all(ended(first)?.as_ref())?;
            }
            let len = left.min(MEMBER_LEN);
            let mut read = Buffer::with_room(len as usize)?;
            encode_range(content, len, Encoding::Raw, &mut read)?;
            left -= len;
            let read = Arc::new(read);
            let theirs = Arc::clone(&read);
            let compress = move || {
                let mut compressed = room_for(len, encoding)?;
                encode_range(&mut Buffer::as_ref(&theirs), len, encoding, &mut compressed)?;
                Ok(compressed)
            };
            match thread().spawn_scoped(threads_of_this, compress) {
                Ok(thread) => compressing.push_back(thread),
                // Without more threads it is only slower.
                Err(_) => {
                    compressing.drain(..).try_for_each(|first| out.write_all(ended(first)?.as_ref()))?;
                    encode_range(&mut Buffer::as_ref(&read), len, encoding, out)?;
                }
            }
        }
        compressing.drain(..).try_for_each(|first| out.write_all(ended(first)?.as_ref()))
    })
}

/// What a thread made. If it panicked, that goes on here.
fn ended(thread: ScopedJoinHandle<'_, io::Result<Buffer>>) -> io::Result<Buffer> {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Room for what `len` bytes of content become: literals of deflate's fixed code take 9 bits at the most
/// (RFC 1951, 3.2.6), and what lies around them is little.
pub fn room_for(len: u64, encoding: Encoding) -> io::Result<Buffer> {
    let len = len as usize;
    Buffer::with_room(match encoding {
        Encoding::Raw => len,
        Encoding::Gzip { .. } => len + len / 4 + (4 << 10),
    })
}

/// One member of `len` bytes (RFC 1952).
///
/// # Errors
/// Those of [`encode_range`].
pub(super) fn gzip(content: &mut impl Read, len: u64, level: u32, out: &mut (impl Write + ?Sized)) -> io::Result<()> {
    if level < 2 {
        // Blocks are as long as there is room for them, with which the library is generous.
        let mut gzip: GzEncoder<&mut _> = GzBuilder::new().mtime(0).write(out, Compression::new(level));
        copy(content, len, &mut gzip)?;
        return gzip.finish().map(drop);
    }
    out.write_all(&[0x1f, 0x8b, DEFLATE, 0, 0, 0, 0, 0, 0, UNKNOWN_SYSTEM])?;
    let mut sum = CrcReader::new(content);
    let mut deflating = Deflating::to(out, level);
    copy(&mut sum, len, &mut deflating)?;
    deflating.finish()?;
    let sum = sum.crc();
    out.write_all(&[sum.sum().to_le_bytes(), sum.amount().to_le_bytes()].concat())
}

/// CM and OS of RFC 1952, 2.3.1.
const DEFLATE: u8 = 8;
const UNKNOWN_SYSTEM: u8 = 255;

/// Exactly `len` bytes, in whole pieces and a rest.
fn copy(content: &mut impl Read, len: u64, out: &mut (impl Write + ?Sized)) -> io::Result<()> {
    let mut piece = vec![0; PIECE_LEN.min(usize::try_from(len).unwrap_or(PIECE_LEN))];
    let mut left = len;
    while left > 0 {
        let n = usize::try_from(left).map_or(piece.len(), |left| left.min(piece.len()));
        content.read_exact(&mut piece[..n])?;
        out.write_all(&piece[..n])?;
        left -= n as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::codec::decode;

    const ENCODINGS: [Encoding; 3] = [Encoding::Raw, Encoding::WRAPPED, Encoding::COMPRESSED];

    fn encoded(content: &[u8], encoding: Encoding) -> Vec<u8> {
        let mut out = Vec::new();
        encode_range(&mut &*content, content.len() as u64, encoding, &mut out).unwrap();
        out
    }

    /// Yields a few bytes at a time.
    struct Dribble<'a>(&'a [u8]);

    impl Read for Dribble<'_> {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            let n = buf.len().min(997);
            self.0.read(&mut buf[..n])
        }
    }

    #[test]
    fn the_header_tells_neither_time_nor_name() {
        let object = encoded(b"abc", Encoding::COMPRESSED);
        assert_eq!(object[..8], *b"\x1f\x8b\x08\0\0\0\0\0", "no flags, mtime 0");
        assert_eq!(object[9], 255, "operating system unknown");
        assert_eq!(encoded(b"abc", Encoding::WRAPPED)[10..18], *b"\x01\x03\0\xfc\xffabc", "level 0 is a stored block");
        assert!(encoded(b"", Encoding::COMPRESSED).is_empty(), "an empty range adds no member");
    }

    #[test]
    fn a_member_is_what_the_library_makes() {
        for len in [1, 10, 1 << 10, 70_000, 3 << 20] {
            for shape in [0, 7, 11] {
                let content: Vec<u8> = (0..len as u64).map(|i| ((i * i) >> shape) as u8).collect();
                for level in [0, 3, 6] {
                    let mut library = GzBuilder::new().mtime(0).write(Vec::new(), Compression::new(level));
                    content.chunks(PIECE_LEN).for_each(|piece| library.write_all(piece).unwrap());
                    let ours = encoded(&content, Encoding::Gzip { level });
                    assert!(ours == library.finish().unwrap(), "{len} bytes, shape {shape}, level {level}");
                }
            }
        }
    }

    #[test]
    fn encoders_that_make_other_bytes_have_other_names() {
        let name = |level| encoder(Encoding::Gzip { level }).unwrap().unwrap();
        assert_eq!(name(3), name(3), "one encoder has one name");
        assert!(name(3) != name(6) && name(0) != name(3), "the sample tells them apart");
        assert_eq!(encoder(Encoding::Raw).unwrap(), None, "as it is, content is the same for all");
    }

    #[test]
    fn content_that_ends_early_is_an_error_on_any_number_of_threads() {
        for threads in [1, 2, 5] {
            let content = vec![0; 2 * MEMBER_LEN as usize + 1];
            let len = 3 * MEMBER_LEN;
            let encoded = encode_range_on(threads, &mut content.as_slice(), len, Encoding::COMPRESSED, &mut io::sink());
            assert_eq!(encoded.map_err(|e| e.kind()), Err(io::ErrorKind::UnexpectedEof), "{threads} threads");
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn where_no_more_threads_can_be_started_the_same_bytes_are_made() {
        let content: Vec<u8> = (0..4 * MEMBER_LEN + 99).map(|i| ((i * i) >> 11) as u8).collect();
        let whole = encoded(&content, Encoding::COMPRESSED);
        for first in 0..5 {
            let mut asked = 0;
            // No machine has such a stack.
            let thread = || {
                asked += 1;
                if asked > first { Builder::new().stack_size(1 << 60) } else { Builder::new() }
            };
            let (mut out, len) = (Vec::new(), content.len() as u64);
            encode_range_by(thread, 3, &mut content.as_slice(), len, Encoding::COMPRESSED, &mut out).unwrap();
            assert!(out == whole && asked == 5, "after {first} threads");
        }
    }

    #[test]
    fn parts_joined_are_the_object() {
        let content: Vec<u8> = (0..2 * MEMBER_LEN + 4321).map(|i| ((i * i) >> 11) as u8).collect();
        for encoding in ENCODINGS {
            let whole = encoded(&content, encoding);
            for range in [MEMBER_LEN as usize, 2 * MEMBER_LEN as usize] {
                let joined: Vec<u8> = content.chunks(range).flat_map(|part| encoded(part, encoding)).collect();
                assert!(joined == whole, "{encoding:?}: ranges of {range} bytes give the same object");
                for threads in [2, 3, 9] {
                    let mut out = Vec::new();
                    encode_range_on(threads, &mut content.as_slice(), content.len() as u64, encoding, &mut out)
                        .unwrap();
                    assert!(out == whole, "{encoding:?}: {threads} threads give the same object");
                }
            }
            assert!(whole.len() < content.len() + content.len() / 5000, "{encoding:?}: wrapping costs next to nothing");
            let odd: Vec<u8> = content.chunks(3_000_001).flat_map(|part| encoded(part, encoding)).collect();
            let mut back = Vec::new();
            decode(odd.as_slice(), &mut back, content.len() as u64).unwrap();
            assert!(back == content, "{encoding:?}: any ranges give an object of the content");

            let mut again = Vec::new();
            encode_range(&mut Dribble(&content), content.len() as u64, encoding, &mut again).unwrap();
            assert!(again == whole, "{encoding:?}: how the content is read leaves no trace");
        }
    }

    #[test]
    fn content_that_ends_early_is_an_error() {
        for encoding in ENCODINGS {
            for len in [1, MEMBER_LEN + 1] {
                let content = vec![7; len as usize - 1];
                let error = encode_range(&mut content.as_slice(), len, encoding, &mut Vec::new()).unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{encoding:?}: {len} bytes were promised");
            }
        }
    }

    #[test]
    fn a_range_takes_no_byte_of_the_next() {
        let mut content = b"abcdef".as_slice();
        encode_range(&mut content, 4, Encoding::COMPRESSED, &mut Vec::new()).unwrap();
        assert_eq!(content, b"ef");
    }
}
