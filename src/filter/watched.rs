//! A reader that tells how much went through it.
//!
//! Apart because clean itself has no interest in that: whoever waits for a large file has.

use std::io::{self, Read};

/// How often that is told, in bytes.
const STEP: u64 = 4 << 20;

/// Tells every few megabytes how many bytes were read so far.
pub struct Watched<R, F> {
    inner: R,
    so_far: u64,
    told: u64,
    tell: F,
}

impl<R: Read, F: FnMut(u64)> Watched<R, F> {
    /// Nothing was read yet.
    pub fn new(inner: R, tell: F) -> Self {
        Watched { inner, so_far: 0, told: 0, tell }
    }
}

impl<R: Read, F: FnMut(u64)> Read for Watched<R, F> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buf)?;
        self.so_far += read as u64;
        if self.so_far - self.told >= STEP {
            self.told = self.so_far;
            (self.tell)(self.so_far);
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_few_megabytes_are_told_and_no_byte_is_changed() {
        let content: Vec<u8> = (0..(10 << 20) + 3_u32).map(|n| n as u8).collect();
        let (mut told, mut read) = (Vec::new(), Vec::new());
        Watched::new(content.as_slice(), |so_far| told.push(so_far)).read_to_end(&mut read).unwrap();
        assert!(read == content, "what comes out is what goes in");
        assert!(told.len() == 2 && told.is_sorted() && told[0] >= STEP, "not each read is worth a word: {told:?}");
        told.clear();
        Watched::new(&content[..1000], |so_far| told.push(so_far)).read_to_end(&mut read).unwrap();
        assert!(told.is_empty(), "a small file is none");
    }
}
