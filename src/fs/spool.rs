//! What would be too much for memory: bytes that are written in order, and read again from any place.
//!
//! Apart because a push of a million files is to take no more memory than one of ten. A little stays in memory; more
//! goes to a temporary file without a name, which is gone with the process, however that ends.

use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};

use tempfile::SpooledTempFile;

/// Bytes that stay in memory.
const HELD: usize = 256 << 10;

/// Bytes that are written or read at once.
const PIECE: usize = 64 << 10;

/// The bytes.
#[derive(Debug)]
pub struct Spool {
    file: SpooledTempFile,
    /// What is not written yet.
    filling: Vec<u8>,
    /// How many there are, with those.
    len: u64,
}

impl Default for Spool {
    fn default() -> Self {
        Spool { file: SpooledTempFile::new(HELD), filling: Vec::new(), len: 0 }
    }
}

impl Spool {
    /// How many bytes were written.
    pub fn written(&self) -> u64 {
        self.len
    }

    /// Write these behind all others; where they begin.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<u64> {
        let at = self.len;
        self.filling.extend_from_slice(bytes);
        self.len += bytes.len() as u64;
        if self.filling.len() >= PIECE {
            self.flush()?;
        }
        Ok(at)
    }

    /// Write a field that tells its own length, as [`next_field`] reads it; where it begins.
    pub fn write_field(&mut self, bytes: &[u8]) -> io::Result<u64> {
        let len = u32::try_from(bytes.len()).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
        let at = self.write(&len.to_be_bytes())?;
        self.write(bytes)?;
        Ok(at)
    }

    /// Everything from this place on.
    pub fn read_from(&mut self, at: u64) -> io::Result<impl BufRead + '_> {
        self.flush()?;
        self.file.seek(SeekFrom::Start(at))?;
        let piece = usize::try_from(self.len.saturating_sub(at)).unwrap_or(PIECE).clamp(1, PIECE);
        Ok(BufReader::with_capacity(piece, &mut self.file))
    }

    /// Fill `buf` from this place on.
    pub fn read_exact_at(&mut self, buf: &mut [u8], at: u64) -> io::Result<()> {
        self.flush()?;
        self.file.seek(SeekFrom::Start(at))?;
        self.file.read_exact(buf)
    }

    /// The field that begins at this place, as [`Spool::write_field`] wrote it, and where the next one begins.
    pub fn field_at(&mut self, at: u64) -> io::Result<(Vec<u8>, u64)> {
        let mut len = [0; 4];
        self.read_exact_at(&mut len, at)?;
        let mut field = vec![0; u32::from_be_bytes(len) as usize];
        self.read_exact_at(&mut field, at + 4)?;
        let next = at + 4 + field.len() as u64;
        Ok((field, next))
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.filling.is_empty() {
            self.file.seek(SeekFrom::End(0)).map_err(named)?;
            self.file.write_all(&self.filling).map_err(named)?;
            self.filling.clear();
        }
        Ok(())
    }
}

/// The file has no name; where it is, somebody may have to make room.
fn named(e: io::Error) -> io::Error {
    io::Error::new(e.kind(), format!("{} (TMPDIR): {e}", std::env::temp_dir().display()))
}

/// Read what [`Spool::write_field`] wrote. `None`: that was all.
pub fn next_field(from: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    if from.fill_buf()?.is_empty() {
        return Ok(None);
    }
    let mut len = [0; 4];
    from.read_exact(&mut len)?;
    let mut field = vec![0; u32::from_be_bytes(len) as usize];
    from.read_exact(&mut field)?;
    Ok(Some(field))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_from_every_place() {
        let mut spool = Spool::default();
        let mut places = Vec::new();
        // Beyond what stays in memory.
        for n in 0..20_000u32 {
            let text = format!("{n}{}", " ".repeat(n as usize % 50));
            places.push((spool.write_field(text.as_bytes()).unwrap(), text));
            if n % 7000 == 0 {
                let first = next_field(&mut spool.read_from(0).unwrap()).unwrap();
                assert_eq!(first.as_deref(), Some(&b"0"[..]), "it can be read before all is written");
            }
        }
        assert!(spool.written() > HELD as u64 && spool.file.is_rolled(), "it is no longer in memory");
        for (at, text) in places.iter().step_by(777) {
            assert_eq!(next_field(&mut spool.read_from(*at).unwrap()).unwrap().as_deref(), Some(text.as_bytes()));
            assert_eq!(spool.field_at(*at).unwrap(), (text.clone().into_bytes(), at + 4 + text.len() as u64));
        }
        let mut all = spool.read_from(0).unwrap();
        for (_, text) in &places {
            assert_eq!(next_field(&mut all).unwrap().as_deref(), Some(text.as_bytes()));
        }
        assert_eq!(next_field(&mut all).unwrap(), None);
    }
}
