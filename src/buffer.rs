//! Memory for a piece of an object, which goes back to the system when nobody holds it any more.
//!
//! Apart because the allocator does not do that: once glibc has freed a large block, it takes the next
//! one from its heap (mallopt(3), `M_MMAP_THRESHOLD`), and pieces of uneven sizes, made and freed by many
//! threads, leave holes there that come to as much again as is in use.

use std::io::{self, Write};

use bytes::Bytes;
use memmap2::MmapMut;

/// Less than this is the allocator's, which never maps so little by itself.
const SMALL: usize = 64 << 10;

/// Bytes that are written one after another, up to a bound that is given first.
pub struct Buffer {
    memory: Memory,
    len: usize,
}

enum Memory {
    Heap(Box<[u8]>),
    Mapped(MmapMut),
}

impl Buffer {
    /// Room for `most` bytes. What is not written takes no memory.
    ///
    /// # Errors
    /// The system has no room for them.
    pub fn with_room(most: usize) -> io::Result<Self> {
        let memory = match most {
            0..SMALL => Memory::Heap(vec![0; most].into()),
            _ => Memory::Mapped(MmapMut::map_anon(most)?),
        };
        Ok(Buffer { memory, len: 0 })
    }

    /// Bytes written.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Nothing is written.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Forget what was written after the first `len` bytes.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// What was written, to be shared.
    pub fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        match &self.memory {
            Memory::Heap(bytes) => &bytes[..self.len],
            Memory::Mapped(bytes) => &bytes[..self.len],
        }
    }
}

impl Write for Buffer {
    /// # Errors
    /// `OutOfMemory`: more than there is room for; nothing of it is written.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let memory: &mut [u8] = match &mut self.memory {
            Memory::Heap(memory) => memory,
            Memory::Mapped(memory) => memory,
        };
        let room = memory.len();
        let Some(place) = memory.get_mut(self.len..self.len + bytes.len()) else {
            let why = format!("{} bytes do not fit behind {} in a buffer of {room}", bytes.len(), self.len);
            return Err(io::Error::new(io::ErrorKind::OutOfMemory, why));
        };
        place.copy_from_slice(bytes);
        self.len += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_what_was_written_and_never_more_than_its_room() {
        for most in [0, 10, SMALL - 1, SMALL, 3 * SMALL + 1] {
            let mut buffer = Buffer::with_room(most).unwrap();
            assert!(buffer.is_empty(), "{most}: nothing yet");
            let content: Vec<u8> = (0..most).map(|i| i as u8).collect();
            for piece in content.chunks(1000) {
                buffer.write_all(piece).unwrap();
            }
            assert_eq!(buffer.len(), most, "all of it fits");
            let more = buffer.write_all(b"x").map_err(|e| e.kind());
            assert_eq!(more, Err(io::ErrorKind::OutOfMemory), "{most}: no byte more");
            assert!(*buffer.as_ref() == content, "{most}: the refused byte changed nothing");
            buffer.truncate(most / 2);
            buffer.truncate(most);
            assert!(buffer.freeze() == content[..most / 2], "{most}: cut, and not grown again");
        }
    }
}
