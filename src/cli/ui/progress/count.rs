//! Things that are done one after another, perhaps by several threads; where they are files, with their bytes.
//!
//! Apart from content on its way (`Meter`) because here nothing travels, and nobody waits for a store.

use std::io::{self, Read};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Far, Pace, Shown};

/// How many of them are done.
pub struct Count {
    shown: Mutex<Shown>,
    done: AtomicU64,
    all: u64,
    bytes: AtomicU64,
    /// `None`: nobody knows, or they are not what is waited for.
    of_bytes: Option<u64>,
}

impl Count {
    /// `all`: how many there are; 0: nobody knows.
    pub fn new(what: &'static str, all: usize) -> Self {
        Self::of_bytes(what, all, None)
    }

    /// As [`Count::new`], of files that have so many bytes, which are read through [`Count::reading`].
    pub fn of_bytes(what: &'static str, all: usize, of_bytes: Option<u64>) -> Self {
        let (done, bytes) = (AtomicU64::new(0), AtomicU64::new(0));
        Count { shown: Mutex::new(Shown::new(what)), done, all: all as u64, bytes, of_bytes }
    }

    /// So many more are done.
    pub fn add(&self, more: usize) {
        self.done.fetch_add(more as u64, Ordering::Relaxed);
        self.show();
    }

    /// What is read through it counts.
    pub fn reading<R: Read>(&self, file: R) -> Counted<'_, R> {
        Counted { file, count: self, unsaid: 0 }
    }

    fn show(&self) {
        // Whoever finds it taken leaves the showing to the other.
        let Ok(mut shown) = self.shown.try_lock() else { return };
        let (things, bytes) = (self.done.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed));
        // A file may have grown since it was measured.
        let bytes = self.of_bytes.map_or(bytes, |all| bytes.min(all));
        let pace = Pace { travelled: bytes, content: bytes };
        shown.update(Far { things, of_things: self.all, bytes, of_bytes: self.of_bytes, pace });
    }
}

/// A file that is read, piece by piece.
pub struct Counted<'a, R> {
    file: R,
    count: &'a Count,
    unsaid: u64,
}

/// Bytes that are read before anybody is told: a small file's are only counted when it is done.
const PIECE: u64 = 1 << 20;

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = self.file.read(buf)?;
        self.unsaid += len as u64;
        if self.unsaid >= PIECE {
            self.count.bytes.fetch_add(std::mem::take(&mut self.unsaid), Ordering::Relaxed);
            self.count.show();
        }
        Ok(len)
    }
}

impl<R> Drop for Counted<'_, R> {
    fn drop(&mut self) {
        self.count.bytes.fetch_add(self.unsaid, Ordering::Relaxed);
    }
}
