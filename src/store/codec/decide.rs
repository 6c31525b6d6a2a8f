//! The encoding of an object: what the user asked for, what a sample of the content says, and which
//! content is never stored bare.
//!
//! Apart from the encoder because the choice is made once for a whole object, before its first part.

use std::fmt;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::str::FromStr;

use super::decode::{Mark, mark};
use super::encode::gzip;

/// The setting `compression`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Compression {
    /// Compress where a sample of the content says that it pays.
    #[default]
    Auto,
    /// Always compress.
    Gzip,
    /// Never compress; what can't be stored bare is wrapped in stored blocks.
    None,
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Compression::Auto => "auto",
            Compression::Gzip => "gzip",
            Compression::None => "none",
        })
    }
}

/// The text names no way of compressing.
#[derive(Debug, thiserror::Error)]
#[error("compression is one of auto, gzip, none")]
pub struct ParseCompressionError;

impl FromStr for Compression {
    type Err = ParseCompressionError;

    fn from_str(text: &str) -> Result<Self, ParseCompressionError> {
        match text {
            "auto" => Ok(Compression::Auto),
            "gzip" => Ok(Compression::Gzip),
            "none" => Ok(Compression::None),
            _ => Err(ParseCompressionError),
        }
    }
}

/// How the bytes of one object are made from its content.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Encoding {
    /// The content itself.
    Raw,
    /// Gzip members.
    Gzip {
        /// Deflate's level, 1 to 9; 0 makes stored blocks, which do not compress.
        level: u32,
    },
}

impl Encoding {
    /// The encoding of content that compresses. Figures of zlib-rs 0.6.8 on one slow core, MB/s and
    /// size: CSV level 1 287 to 0.45, 2 158 to 0.33, 3 129 to 0.31, 6 61 to 0.30; an ELF library 146 to
    /// 0.53, 82 to 0.44, 75 to 0.42, 52 to 0.41; sources 358 to 0.24, 239 to 0.19, 195 to 0.17, 100 to 0.16.
    /// An object is written once, in parallel parts, and then kept and fetched for years: 3 is where
    /// more time stops to pay. Level 1 has fixed Huffman codes and *grows* what only they could
    /// shrink: 16-bit audio to 1.04 (level 3: 0.85), bfloat16 weights to 1.05 (0.78).
    pub const COMPRESSED: Encoding = Encoding::Gzip { level: LEVEL };

    /// Gzip around content that does not compress but can't be stored bare: a hundredth of a percent
    /// longer, and nearly as fast as copying.
    pub const WRAPPED: Encoding = Encoding::Gzip { level: 0 };
}

const LEVEL: u32 = 3;

/// Auto compresses when the sample shrinks to at most this many hundredths. Between the kinds of
/// content met there is a gap: audio 85 and less; camera noise, float32 and float16 weights 91 to 94.
/// The latter save little, for compressing at 40 MB/s and decoding at 300 MB/s whenever they are fetched.
const PAYS_AT_PERCENT: u64 = 90;

/// Length of one slice of a sample in bytes.
const SLICE_LEN: usize = 64 * 1024;

/// Parts of some content, to judge all of it by.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The whole content if it is short, else slices from its beginning, middle and end.
    bytes: Vec<u8>,
    len: u64,
}

impl Sample {
    /// Take up to 3 x 64 KiB from `content`, which is `len` bytes long, and leave it rewound.
    ///
    /// # Errors
    /// Those of `content`, and `UnexpectedEof` if it is shorter than `len`.
    pub fn take(content: &mut (impl Read + Seek), len: u64) -> io::Result<Self> {
        let slice = SLICE_LEN as u64;
        let mut bytes = Vec::new();
        let mut append = |at: u64, n: u64| {
            content.seek(SeekFrom::Start(at))?;
            if content.by_ref().take(n).read_to_end(&mut bytes)? as u64 != n {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the content is shorter than its length"));
            }
            Ok(())
        };
        if len <= 3 * slice {
            append(0, len)?;
        } else {
            append(0, slice)?;
            append((len - slice) / 2, slice)?;
            append(len - slice, slice)?;
        }
        content.rewind()?;
        Ok(Sample { bytes, len })
    }

    /// The content's first bytes: all of them, or 64 KiB at least.
    pub fn head(&self) -> &[u8] {
        &self.bytes
    }

    /// What gzip makes of it, in hundredths, rounded up. It is tried at the level that would be used, since
    /// level 1 misjudges (see [`Encoding::COMPRESSED`]); 192 KiB take 4 ms at most. Header and trailer
    /// count: they decide on content of a few bytes.
    ///
    /// What looks like noise is not tried: of many pictures that took most of all the work of an upload.
    pub fn percent(&self) -> u64 {
        if is_noise(&self.bytes) {
            return 100;
        }
        let mut count = Count(0);
        let written = gzip(&mut self.bytes.as_slice(), self.bytes.len() as u64, LEVEL, &mut count);
        written.expect("a sink that counts never fails");
        (count.0 * 100).div_ceil(self.bytes.len().max(1) as u64)
    }
}

/// Whether deflate would find nothing in these bytes: all values are about as frequent, and nothing comes again. Of
/// fewer than 4 KiB nobody can tell.
fn is_noise(bytes: &[u8]) -> bool {
    let len = bytes.len() as u64;
    if len < 4 << 10 {
        return false;
    }
    let mut counts = [0_u64; 256];
    bytes.iter().for_each(|&byte| counts[usize::from(byte)] += 1);
    // For throws of a die with 256 sides, the expectation is this (to 1 in len); of deflated or encrypted content as well.
    let (squares, even) = (counts.iter().map(|n| n * n).sum::<u64>(), len + len * len / 256);
    squares < even + even / 20 && !has_repeats(bytes)
}

/// Whether 16 bytes or more come twice: every eighth window of 8 bytes is looked for at all places behind it.
fn has_repeats(bytes: &[u8]) -> bool {
    const BITS: u32 = 13;
    let mut seen = [0_u64; 1 << BITS];
    for (at, window) in bytes.windows(8).enumerate() {
        let window = u64::from_ne_bytes(window.try_into().expect("a window has 8 bytes"));
        let slot = &mut seen[(window.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - BITS)) as usize];
        if *slot == window {
            return true;
        }
        if at % 8 == 0 {
            *slot = window;
        }
    }
    false
}

/// A sink that counts; it never fails.
struct Count(u64);

impl Write for Count {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0 += buf.len() as u64;
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Below this many bytes content is always wrapped: BSD gzip, macOS's too, refuses standard input that
/// is shorter than the 4 or more bytes it tells formats by (`handle_stdin` in usr.bin/gzip/gzip.c).
const SHORTEST_BARE: u64 = 6;

/// Whether content of `len` bytes that begins with `head` (all of it, or [`MARK_LEN`](super::MARK_LEN)
/// bytes at least) must not be stored bare: a reader, or a tool that restores a file without s3lfs
/// (`gzip -dcf` of GNU, pigz and the BSDs), would take it for something encoded.
pub fn must_wrap(head: &[u8], len: u64) -> bool {
    // GNU gzip and pigz open 1f (gzip old and new, compress, pack, lzh) and PK; BSD gzip the rest too.
    const OPENED_BY_GZIP: [&[u8]; 5] = [b"\x1f", b"PK", b"BZh", b"\xfd7zX", b"LZIP"];
    len < SHORTEST_BARE
        || mark(head) != Mark::Content
        || OPENED_BY_GZIP.iter().any(|magic| head.starts_with(magic))
        || has_zlib_header(head)
}

/// RFC 1950, section 2.2: method 8 in the low nibble of byte 0, both bytes together divisible by 31.
fn has_zlib_header(head: &[u8]) -> bool {
    let [cmf, flg, ..] = *head else { return false };
    cmf & 0x0f == 8 && u16::from_be_bytes([cmf, flg]).is_multiple_of(31)
}

/// The encoding of the content that `sample` was taken from.
pub fn decide(sample: &Sample, compression: Compression) -> Encoding {
    let compress = match compression {
        Compression::Auto => sample.percent() <= PAYS_AT_PERCENT,
        Compression::Gzip => true,
        Compression::None => false,
    };
    if compress {
        Encoding::COMPRESSED
    } else if must_wrap(sample.head(), sample.len) {
        Encoding::WRAPPED
    } else {
        Encoding::Raw
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    /// Bytes that do not compress: xorshift64.
    fn noise(len: usize) -> Vec<u8> {
        let mut x = 0x9e37_79b9_7f4a_7c15_u64;
        std::iter::repeat_with(|| {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            (x >> 32) as u8
        })
        .take(len)
        .collect()
    }

    fn decided(content: &[u8], compression: Compression) -> Encoding {
        let mut content = Cursor::new(content);
        let len = content.get_ref().len() as u64;
        let sample = Sample::take(&mut content, len).unwrap();
        assert_eq!(content.position(), 0, "the content is left rewound");
        decide(&sample, compression)
    }

    #[test]
    fn text_form_round_trips() {
        for compression in [Compression::Auto, Compression::Gzip, Compression::None] {
            assert_eq!(compression.to_string().parse::<Compression>().unwrap(), compression);
        }
        assert!("GZIP".parse::<Compression>().is_err() && "".parse::<Compression>().is_err(), "one spelling only");
    }

    #[test]
    fn what_compresses_is_compressed_and_noise_is_not() {
        let (text, noise) = (b"a line of a log, again\n".repeat(40_000), noise(1 << 20));
        assert_eq!(decided(&text, Compression::Auto), Encoding::COMPRESSED);
        assert_eq!(decided(&noise, Compression::Auto), Encoding::Raw);
        assert_eq!(decided(&noise, Compression::Gzip), Encoding::COMPRESSED, "the user said always");
        assert_eq!(decided(&text, Compression::None), Encoding::Raw, "the user said never");
        let dense_head = [&noise[..200_000], &text].concat();
        assert_eq!(
            decided(&dense_head, Compression::Auto),
            Encoding::COMPRESSED,
            "the beginning alone does not decide"
        );
    }

    #[test]
    fn content_that_only_huffman_codes_shrink_is_compressed() {
        // As weights in bfloat16: one byte of each pair is noise, the other takes few values.
        let weights: Vec<u8> = noise(1 << 20).iter().enumerate().map(|(i, b)| b >> (i % 2 * 5)).collect();
        assert_eq!(decided(&weights, Compression::Auto), Encoding::COMPRESSED, "level 1 would not see it");
        let nearly_noise: Vec<u8> = noise(1 << 20).iter().map(|b| b % 160).collect();
        assert_eq!(decided(&nearly_noise, Compression::Auto), Encoding::Raw, "a few percent are not worth it");
    }

    #[test]
    fn content_is_taken_for_noise_only_if_deflate_finds_nothing() {
        for len in [4 << 10, 10 << 10, SLICE_LEN, 3 * SLICE_LEN] {
            let noise = noise(len);
            // No further back than deflate looks.
            let pieces = noise[..len / 2].chunks((len / 4).min(16 << 10));
            assert!(is_noise(&noise), "{len} bytes of noise");
            let shrinks: [(&str, Vec<u8>); 6] = [
                ("each piece comes twice", pieces.flat_map(|piece| [piece, piece].concat()).collect()),
                ("a block of it comes again and again", noise[..512].repeat(len / 512)),
                ("few ids come again", (0..len).map(|i| noise[i / 8 * 37 % 300 * 8 % (len - 8) + i % 8]).collect()),
                ("a quarter is zeros", [&noise[..len / 4 * 3], &vec![0; len / 4]].concat()),
                ("letters", noise.iter().map(|b| b % 64 + b' ').collect()),
                ("every other byte is small", noise.iter().enumerate().map(|(i, b)| b >> (i % 2 * 5)).collect()),
            ];
            for (why, content) in shrinks {
                assert!(!is_noise(&content), "{len} bytes: {why}");
                assert_eq!(decided(&content, Compression::Auto), Encoding::COMPRESSED, "{len} bytes: {why}");
            }
        }
        assert!(!is_noise(&noise(4095)), "too few to tell");
    }

    #[test]
    fn what_would_be_taken_for_an_encoding_is_wrapped() {
        let magics: [&[u8]; 11] = [
            b"\x1f\x8b",
            b"\x1f\x9d",
            b"\x1f",
            b"s3lfs/",
            b"\x28\xb5\x2f\xfd",
            b"age-encryption.org/",
            b"PK",
            b"BZh",
            b"\xfd7zX",
            b"LZIP",
            b"\x78\x9c",
        ];
        for magic in magics {
            let content = [magic, &noise(1000)].concat();
            for compression in [Compression::Auto, Compression::None] {
                assert_eq!(decided(&content, compression), Encoding::WRAPPED, "{magic:02x?} is never stored bare");
            }
        }
        for bare in [b"age-encryption.org".as_slice(), b"s3lfs-", b"P0000000", b"\x79\x9c0000", b"\x78\x9d0000"] {
            assert!(!must_wrap(bare, bare.len() as u64), "{bare:02x?} is no mark");
        }
    }

    #[test]
    fn short_content_is_wrapped() {
        for len in 1..SHORTEST_BARE {
            let content = &b"abcdefgh"[..len as usize];
            assert_eq!(decided(content, Compression::Auto), Encoding::WRAPPED, "{len} bytes are too few to be bare");
            assert_eq!(decided(content, Compression::None), Encoding::WRAPPED);
        }
        assert_eq!(decided(b"abcdef", Compression::Auto), Encoding::Raw, "gzip's header would cost more than it saves");
    }

    #[test]
    fn a_sample_is_bounded_and_needs_the_whole_content() {
        let content = noise(1 << 20);
        let sample = Sample::take(&mut Cursor::new(&content), content.len() as u64).unwrap();
        assert_eq!(sample.bytes.len(), 3 * SLICE_LEN);
        assert_eq!(sample.head()[..SLICE_LEN], content[..SLICE_LEN]);
        for len in [1, content.len()] {
            let error = Sample::take(&mut Cursor::new(&content[..len - 1]), len as u64).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "content that ended early is not judged");
        }
    }
}
