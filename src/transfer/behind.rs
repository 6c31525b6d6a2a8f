//! The reader behind the streams of an object that is being filled: its bytes in order, each when it is here.
//!
//! Apart because it stands on the other side of the disk: what is still in memory it takes from there, and the
//! rest it reads back.

use std::fs::File;
use std::io::{self, BufRead, Read};
use std::ops::Range;
use std::path::Path;

use bytes::{Buf, Bytes};
use tokio::sync::OwnedSemaphorePermit;

use super::filling::{Filling, Next};
use crate::fs::{PathError, read_at};

/// Bytes that are read back at once.
const BUFFER: usize = 256 << 10;

/// All bytes of an object, from the first one.
pub(super) struct Behind<'a> {
    filling: &'a Filling,
    file: &'a File,
    path: &'a Path,
    /// The bytes at hand begin here.
    at: u64,
    at_hand: AtHand,
    buffer: Vec<u8>,
    failed: Option<Failed>,
}

/// Bytes that were not yet consumed.
enum AtHand {
    /// In memory since they came.
    Held { piece: Bytes, next: std::vec::IntoIter<Bytes>, _reserved: OwnedSemaphorePermit },
    /// In the buffer.
    ReadBack(Range<usize>),
}

/// Why there was nothing more to read.
pub(super) enum Failed {
    /// The streams ended before the object.
    Early,
    /// This machine's disk did not give back what it took.
    Unreadable(PathError),
}

impl<'a> Behind<'a> {
    /// The bytes of `filling`, which lie in `file`.
    pub fn new(filling: &'a Filling, file: &'a File, path: &'a Path) -> Self {
        Behind { filling, file, path, at: 0, at_hand: AtHand::ReadBack(0..0), buffer: Vec::new(), failed: None }
    }

    /// Why reading failed, if it did.
    pub fn failed(self) -> Option<Failed> {
        self.failed
    }

    fn fetch(&mut self) -> io::Result<()> {
        self.at_hand = AtHand::ReadBack(0..0);
        if self.at == self.filling.len() {
            return Ok(());
        }
        match self.filling.wait_for(self.at) {
            Next::Held(held, before) => {
                let (mut next, mut before) = (held.pieces.into_iter(), before as usize);
                let mut piece = next.next().unwrap_or_default();
                while piece.len() <= before && next.len() > 0 {
                    before -= piece.len();
                    piece = next.next().unwrap_or_default();
                }
                piece.advance(before);
                self.at_hand = AtHand::Held { piece, next, _reserved: held.reserved };
                Ok(())
            }
            Next::OnDisk(end) => {
                let read = self.read_back((end - self.at).min(BUFFER as u64) as usize);
                self.at_hand = AtHand::ReadBack(0..read?);
                Ok(())
            }
            Next::Nowhere => {
                self.failed = Some(Failed::Early);
                Err(io::Error::other("the connection was lost"))
            }
        }
    }

    fn read_back(&mut self, most: usize) -> io::Result<usize> {
        self.buffer.resize(BUFFER, 0);
        let read = loop {
            match read_at(self.file, &mut self.buffer[..most], self.at) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Ok(0) => break Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
                read => break read,
            }
        };
        read.map_err(|e| {
            let kind = e.kind();
            self.failed = Some(Failed::Unreadable(PathError::new("read", self.path, e)));
            kind.into()
        })
    }
}

impl BufRead for Behind<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let is_empty = match &mut self.at_hand {
            AtHand::Held { piece, next, .. } => {
                while piece.is_empty() && next.len() > 0 {
                    *piece = next.next().unwrap_or_default();
                }
                piece.is_empty()
            }
            AtHand::ReadBack(left) => left.start == left.end,
        };
        if is_empty {
            self.fetch()?;
        }
        Ok(match &self.at_hand {
            AtHand::Held { piece, .. } => piece,
            AtHand::ReadBack(left) => &self.buffer[left.clone()],
        })
    }

    fn consume(&mut self, n: usize) {
        self.at += n as u64;
        match &mut self.at_hand {
            AtHand::Held { piece, .. } => piece.advance(n),
            AtHand::ReadBack(left) => left.start += n,
        }
    }
}

impl Read for Behind<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.fill_buf()?.read(buf)?;
        self.consume(n);
        Ok(n)
    }
}
