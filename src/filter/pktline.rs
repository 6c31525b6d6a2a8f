//! pkt-line framing as the filter protocol uses it: text lines, content packets, flush.
//!
//! Apart because this is the one file that knows `gix-packetline`. Source:
//! `Documentation/gitprotocol-common.txt` and `gitattributes.txt`, "Long Running Filter Process".

use std::io::{self, BufReader, IoSlice, Read, Write};
use std::thread::yield_now;

use bstr::{BStr, BString, ByteSlice};
use gix_packetline::PacketLineRef;
use gix_packetline::blocking_io::encode;
use gix_packetline::decode::{PacketLineOrWantedSize, hex_prefix};

/// `LARGE_PACKET_DATA_MAX` and `LARGE_PACKET_MAX` of Git's pkt-line.h.
pub const MAX_DATA_LEN: usize = 65516;
const MAX_LINE_LEN: usize = MAX_DATA_LEN + 4;
/// The four bytes before a packet of that length.
const FULL: &[u8; 4] = b"fff0";

/// Why the other side's bytes are not the protocol.
#[derive(Debug, thiserror::Error)]
pub enum PktError {
    /// Git died, or never spoke the protocol.
    #[error("the input ended in the middle of a request")]
    UnexpectedEnd,
    /// The four bytes are no length that the protocol allows.
    #[error("{:?} is no packet length", .0.as_bstr())]
    BadLength([u8; 4]),
    /// A packet that other protocols know and this one does not.
    #[error("an unexpected delimiter packet")]
    Delimiter,
    /// The pipe failed.
    #[error("the pipe to Git failed")]
    Io(#[source] io::Error),
}

/// One packet from Git.
#[derive(Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// Up to 65,516 bytes; an empty one is no end of anything.
    Data(&'a [u8]),
    /// `0000`: the end of a list or of content.
    Flush,
}

/// The four bytes before a packet.
enum Header {
    /// How many bytes of data follow.
    Data(usize),
    Flush,
}

/// Large reads from Git's pipe; packets are 64 KiB.
const INPUT_BUFFER: usize = 256 << 10;

/// How often Git is let go on before we sleep in the middle of a request. Once is enough where it has to be given our
/// processor; where it has its own, it writes a packet in the time of a few.
const YIELDS: usize = 8;

/// So many reads of a request stay awake: its list, its content, and the flush behind a content that Git writes by
/// itself. Much content takes more of them, which may sleep.
const AWAKE: usize = 4;

/// Reads packets from Git.
pub struct PktReader<R> {
    inner: BufReader<Patient<R>>,
    packet: Vec<u8>,
}

/// Git writes a request packet by packet, and who sleeps for the next one is woken by each of them: two switches of
/// processes a packet. Whoever stays awake until Git waits for the answer costs it nothing, and reads all at once.
struct Patient<R> {
    inner: R,
    /// So many reads find the rest of a small request on its way; those of much content may sleep.
    awake: usize,
}

impl<R: Read> Read for Patient<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.awake > 0 {
            self.awake -= 1;
            (0..YIELDS).for_each(|_| yield_now());
        }
        self.inner.read(buf)
    }
}

impl<R: Read> PktReader<R> {
    /// Read from `inner`, which need not be buffered.
    pub fn new(inner: R) -> Self {
        let inner = BufReader::with_capacity(INPUT_BUFFER, Patient { inner, awake: 0 });
        PktReader { inner, packet: Vec::with_capacity(MAX_LINE_LEN) }
    }

    /// The next packet, or `None` at an end of input between packets.
    pub fn next_packet(&mut self) -> Result<Option<Packet<'_>>, PktError> {
        let wanted = match self.header()? {
            None => return Ok(None),
            Some(Header::Flush) => return Ok(Some(Packet::Flush)),
            Some(Header::Data(wanted)) => wanted,
        };
        self.packet.resize(wanted, 0);
        if read_full(&mut self.inner, &mut self.packet)? != wanted {
            return Err(PktError::UnexpectedEnd);
        }
        Ok(Some(Packet::Data(&self.packet)))
    }

    /// What follows; `None` at an end of input between packets.
    fn header(&mut self) -> Result<Option<Header>, PktError> {
        let mut prefix = [0; 4];
        match read_full(&mut self.inner, &mut prefix)? {
            0 => return Ok(None),
            4 => {}
            _ => return Err(PktError::UnexpectedEnd),
        }
        if &prefix == b"0004" {
            return Ok(Some(Header::Data(0)));
        }
        let wanted = match hex_prefix(&prefix).map_err(|_| PktError::BadLength(prefix))? {
            PacketLineOrWantedSize::Line(PacketLineRef::Flush) => return Ok(Some(Header::Flush)),
            PacketLineOrWantedSize::Line(_) => return Err(PktError::Delimiter),
            PacketLineOrWantedSize::Wanted(wanted) => usize::from(wanted),
        };
        if wanted > MAX_DATA_LEN { Err(PktError::BadLength(prefix)) } else { Ok(Some(Header::Data(wanted))) }
    }

    /// Text lines up to the next flush, each without the one LF that Git puts at its end (gix puts
    /// none); everything else stays, blanks too. `None` at an end of input before the first line.
    pub fn list(&mut self) -> Result<Option<Vec<BString>>, PktError> {
        let mut lines = Vec::new();
        self.inner.get_mut().awake = 0;
        loop {
            match self.next_packet()? {
                None if lines.is_empty() => return Ok(None),
                None => return Err(PktError::UnexpectedEnd),
                Some(Packet::Flush) => return Ok(Some(lines)),
                Some(Packet::Data(line)) => lines.push(line.strip_suffix(b"\n").unwrap_or(line).into()),
            }
            if lines.len() == 1 {
                self.inner.get_mut().awake = AWAKE;
            }
        }
    }

    /// The content packets up to the next flush, as a reader.
    pub fn content(&mut self) -> ContentReader<'_, R> {
        ContentReader { packets: self, left: 0, ended: false }
    }
}

/// Fill `buf` unless the input ends; the number of bytes read.
fn read_full(input: &mut impl Read, buf: &mut [u8]) -> Result<usize, PktError> {
    let mut n = 0;
    while n < buf.len() {
        match input.read(&mut buf[n..]) {
            Ok(0) => break,
            Ok(more) => n += more,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(PktError::Io(e)),
        }
    }
    Ok(n)
}

/// One blob's content, packet after packet. It ends at the flush, never at a short packet. Bytes go straight
/// into the reader's buffer.
pub struct ContentReader<'a, R> {
    packets: &'a mut PktReader<R>,
    /// Bytes of the current packet that were not read yet.
    left: usize,
    ended: bool,
}

impl<R: Read> ContentReader<'_, R> {
    /// Read and drop what is left, so that the next request can be read.
    pub fn drain(mut self) -> Result<(), PktError> {
        if self.next_bytes(&mut [0; 512])? == 0 {
            return Ok(());
        }
        let mut dropped = vec![0; MAX_DATA_LEN];
        while self.next_bytes(&mut dropped)? > 0 {}
        Ok(())
    }

    /// As [`Read::read`].
    fn next_bytes(&mut self, buf: &mut [u8]) -> Result<usize, PktError> {
        while !self.ended && self.left == 0 {
            match self.packets.header()? {
                None => return Err(PktError::UnexpectedEnd),
                Some(Header::Flush) => self.ended = true,
                Some(Header::Data(len)) => self.left = len,
            }
        }
        let n = buf.len().min(self.left);
        if read_full(&mut self.packets.inner, &mut buf[..n])? != n {
            return Err(PktError::UnexpectedEnd);
        }
        self.left -= n;
        Ok(n)
    }
}

impl<R: Read> Read for ContentReader<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.next_bytes(buf).map_err(io::Error::other)
    }
}

/// Writes packets to Git. Nothing reaches Git before [`PktWriter::send`], unless it fills a packet.
pub struct PktWriter<W: Write> {
    inner: io::BufWriter<W>,
}

impl<W: Write> PktWriter<W> {
    /// Write to `inner`, which need not be buffered.
    pub fn new(inner: W) -> Self {
        PktWriter { inner: io::BufWriter::with_capacity(2 * MAX_LINE_LEN, inner) }
    }

    /// Lines with an LF each, then a flush packet.
    pub fn list<'l>(&mut self, lines: impl IntoIterator<Item = &'l BStr>) -> io::Result<()> {
        for line in lines {
            encode::text_to_write(line, &mut self.inner)?;
        }
        self.flush_packet()
    }

    /// `0000`.
    pub fn flush_packet(&mut self) -> io::Result<()> {
        encode::flush_to_write(&mut self.inner).map(drop)
    }

    /// Hand everything written so far to Git.
    pub fn send(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<W: Write> PktWriter<W> {
    /// Packets of the full length, as many as there are, straight from where they are.
    fn full_packets(&mut self, data: &[u8]) -> io::Result<()> {
        self.inner.flush()?;
        let packets = data.chunks_exact(MAX_DATA_LEN).flat_map(|data| [IoSlice::new(FULL), IoSlice::new(data)]);
        let mut slices: Vec<IoSlice<'_>> = packets.collect();
        let mut left = slices.as_mut_slice();
        while !left.is_empty() {
            match self.inner.get_mut().write_vectored(left) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => IoSlice::advance_slices(&mut left, n),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}

/// Content becomes packets of at most 65,516 bytes; never an empty one, which Git takes for the end.
impl<W: Write> Write for PktWriter<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let full = buf.len() - buf.len() % MAX_DATA_LEN;
        if full > 0 {
            self.full_packets(&buf[..full])?;
            return Ok(full);
        }
        let n = buf.len();
        if n > 0 {
            encode::data_to_write(&buf[..n], &mut self.inner)?;
        }
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(bytes: &[u8]) -> PktReader<&[u8]> {
        PktReader::new(bytes)
    }

    #[test]
    fn a_list_loses_at_most_one_lf_a_line_and_nothing_else() {
        let mut r = reader(b"0007a \n0006 b0007c\n\n000000040000");
        assert_eq!(r.list().unwrap().unwrap(), ["a ", " b", "c\n"]);
        assert_eq!(r.list().unwrap().unwrap(), [""], "an empty packet is an empty line, not an end");
        assert!(r.list().unwrap().is_none(), "end of input between lists is an end");
    }

    #[test]
    fn content_ends_at_the_flush_and_survives_short_and_empty_packets() {
        let mut r = reader(b"0006ab0004" as &[u8]);
        assert!(io::copy(&mut r.content(), &mut Vec::new()).is_err(), "an end inside content is an error");
        let mut r = reader(b"0006ab00040005c00000005d");
        let mut out = Vec::new();
        io::copy(&mut r.content(), &mut out).unwrap();
        assert_eq!(out, b"abc");
        assert_eq!(r.next_packet().unwrap(), Some(Packet::Data(b"d")));
    }

    #[test]
    fn draining_leaves_the_next_request_readable() {
        let mut r = reader(b"0006ab0005c00000006x\n0000");
        let mut one = [0];
        let mut content = r.content();
        content.read_exact(&mut one).unwrap();
        content.drain().unwrap();
        assert_eq!(r.list().unwrap().unwrap(), ["x"]);
    }

    #[test]
    fn impossible_lengths_are_refused() {
        for bad in [b"zzzz".as_slice(), b"0003", b"0001", b"0002", b"fff5", b"ffff", b"+005", b"00"] {
            let mut r = reader(bad);
            assert!(r.next_packet().is_err(), "{bad:?} is no packet");
        }
        let mut largest = b"fff0".to_vec();
        largest.extend(vec![1; 65516]);
        assert!(matches!(reader(&largest).next_packet(), Ok(Some(Packet::Data(d))) if d.len() == 65516));
    }

    #[test]
    fn content_is_cut_into_packets_that_git_accepts() {
        let mut out = Vec::new();
        let mut writer = PktWriter::new(&mut out);
        writer.write_all(&vec![b'x'; 65517]).unwrap();
        writer.write_all(b"").unwrap();
        writer.flush_packet().unwrap();
        writer.send().unwrap();
        drop(writer);
        assert!(out.starts_with(b"fff0xxx") && out.ends_with(b"0005x0000"), "65,516 bytes, one byte, flush");
        assert_eq!(out.len(), 65520 + 5 + 4);
    }
}
