//! Hashing on a thread of its own, while the caller moves the same bytes.
//!
//! Apart because SHA-256 is the slowest step of reading or writing a large file: beside the pipe and
//! the disk it costs no time of its own where there is a second core.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread::{Builder, JoinHandle};

use super::{Oid, OidHasher};

/// Bytes handed to the thread at once.
const CHUNK: usize = 256 << 10;

/// Chunks that may wait for the thread: with those in either hand, the memory is six times [`CHUNK`].
const WAITING: usize = 4;

/// Bytes that are copied at once: four packets of Git's, so that none of them is cut short.
pub const PIECE: usize = 4 * 65516;

/// Bytes that are read first: of 100,000 small files, none is to cost the making of more room than it takes.
const FIRST: usize = 16 << 10;

/// An [`OidHasher`] of which the work is done by a thread.
pub struct HasherBeside {
    filling: Vec<u8>,
    full: SyncSender<Arc<Vec<u8>>>,
    empty: Receiver<Vec<u8>>,
    thread: JoinHandle<OidHasher>,
}

impl HasherBeside {
    /// Go on from what `hasher` has seen. Fails where no thread can be started.
    pub fn from(mut hasher: OidHasher) -> io::Result<Self> {
        let (full, filled) = sync_channel::<Arc<Vec<u8>>>(WAITING);
        let (emptied, empty) = channel();
        let thread = Builder::new().name("hasher".into()).spawn(move || {
            for chunk in filled {
                hasher.update(&chunk);
                // Whoever lets go of it last gives it back.
                if let Some(chunk) = Arc::into_inner(chunk) {
                    // Nobody takes it back when this was the last one.
                    let _ = emptied.send(chunk);
                }
            }
            hasher
        })?;
        Ok(HasherBeside { filling: Vec::with_capacity(CHUNK), full, empty, thread })
    }

    /// Hash the next bytes of the content, soon.
    pub fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let n = bytes.len().min(CHUNK - self.filling.len());
            self.filling.extend_from_slice(&bytes[..n]);
            bytes = &bytes[n..];
            if self.filling.len() == CHUNK {
                self.hand_over();
            }
        }
    }

    /// As [`HasherBeside::update`], of bytes that somebody else still reads: they are not copied.
    pub fn share(&mut self, bytes: Arc<Vec<u8>>) {
        if !self.filling.is_empty() {
            self.hand_over();
        }
        // It can only have ended by a panic, which `join` passes on.
        let _ = self.full.send(bytes);
    }

    fn hand_over(&mut self) {
        let next = self.recycled().map(|mut chunk| {
            chunk.clear();
            chunk
        });
        let chunk = std::mem::replace(&mut self.filling, next.unwrap_or_else(|| Vec::with_capacity(CHUNK)));
        let _ = self.full.send(Arc::new(chunk));
    }

    /// A buffer of which all bytes were hashed.
    pub fn recycled(&self) -> Option<Vec<u8>> {
        self.empty.try_recv().ok()
    }

    /// What the hasher knows when it has seen everything.
    pub fn join(self) -> OidHasher {
        let HasherBeside { filling, full, thread, .. } = self;
        drop(full);
        match thread.join() {
            Ok(mut hasher) => {
                hasher.update(&filling);
                hasher
            }
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }

    /// The id of all bytes seen, and their number.
    pub fn finish(self) -> (Oid, u64) {
        self.join().finish()
    }
}

/// Hand all bytes of `from` to `out`; their id and number. Many are hashed beside.
pub fn copy_hashing(
    from: &mut impl Read,
    mut out: impl FnMut(&[u8]) -> io::Result<()>,
) -> Result<(Oid, u64), CopyError> {
    let mut buf = vec![0; FIRST];
    let mut here = OidHasher::new();
    let mut beside: Option<HasherBeside> = None;
    loop {
        if here.len() >= FIRST as u64 {
            buf.resize(PIECE, 0);
        }
        let n = match from.read(&mut buf) {
            Ok(0) => break,
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(CopyError::Read(e)),
        };
        // Without a thread it is only slower.
        if beside.is_none() && here.len() >= CHUNK as u64 {
            beside = HasherBeside::from(here.clone()).ok();
        }
        match &mut beside {
            Some(beside) => {
                buf.truncate(n);
                let shared = Arc::new(buf);
                beside.share(Arc::clone(&shared));
                out(&shared).map_err(CopyError::Write)?;
                buf = Arc::into_inner(shared).or_else(|| beside.recycled()).unwrap_or_default();
            }
            None => {
                here.update(&buf[..n]);
                out(&buf[..n]).map_err(CopyError::Write)?;
            }
        }
    }
    Ok(beside.map_or_else(|| here.finish(), HasherBeside::finish))
}

/// Which side of a copy failed.
#[derive(Debug)]
pub enum CopyError {
    /// What was read.
    Read(io::Error),
    /// What was written.
    Write(io::Error),
}

impl From<CopyError> for io::Error {
    fn from(error: CopyError) -> Self {
        let (CopyError::Read(e) | CopyError::Write(e)) = error;
        e
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_whole_and_named() {
        for len in [0, 1, CHUNK, CHUNK + 1, 5 * CHUNK + 3] {
            let content: Vec<u8> = (0..len).map(|n| (n % 251) as u8).collect();
            let mut out = Vec::new();
            let named = copy_hashing(&mut content.as_slice(), |piece| {
                out.extend_from_slice(piece);
                Ok(())
            });
            assert_eq!(named.unwrap(), (Oid::of(&content), len as u64));
            assert!(out == content, "{len} bytes come through");
        }
        let full = copy_hashing(&mut [1].as_slice(), |_| Err(io::ErrorKind::StorageFull.into()));
        assert!(matches!(full, Err(CopyError::Write(_))), "a full disk is told from what was read");
    }

    #[test]
    fn it_knows_what_a_hasher_knows() {
        let content: Vec<u8> = (0..CHUNK * 12 + 7).map(|n| (n % 251) as u8).collect();
        for len in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, content.len()] {
            for step in [1 << 10, 65516, CHUNK, CHUNK + 1, content.len()] {
                let mut hasher = OidHasher::new();
                hasher.update(&content[..len / 3]);
                let mut beside = HasherBeside::from(hasher).unwrap();
                content[len / 3..len].chunks(step).for_each(|piece| beside.update(piece));
                assert_eq!(beside.finish(), (Oid::of(&content[..len]), len as u64), "{len} bytes, {step} at a time");
            }
        }
    }
}
