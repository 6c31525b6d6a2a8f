//! Deflate states that are used again.
//!
//! Apart because a state takes 300 KiB: made anew for each of many small files it costs more than compressing
//! them, and what is freed stays in each thread's part of the allocator. There are as many as were at work at
//! once (`Engine::coding`), not one for each of the many threads that take turns.

use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

use flate2::{Compress, Compression, FlushCompress, Status};

/// Bytes that leave the state at once.
const ROOM: usize = 32 << 10;

/// Those that nobody uses, each with its level.
static IDLE: Mutex<Vec<(u32, Compress)>> = Mutex::new(Vec::new());

/// A stream of raw deflate blocks (RFC 1951) on its way.
pub(super) struct Deflating<'a, W: Write + ?Sized> {
    level: u32,
    state: Compress,
    out: &'a mut W,
    room: Box<[u8]>,
}

impl<'a, W: Write + ?Sized> Deflating<'a, W> {
    /// Begin at this level.
    pub fn to(out: &'a mut W, level: u32) -> Self {
        let idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner).pop().filter(|(idle, _)| *idle == level);
        let state = idle.map_or_else(|| Compress::new(Compression::new(level), false), |(_, state)| state);
        Deflating { level, state, out, room: vec![0; ROOM].into() }
    }

    /// Compress the last of the content.
    ///
    /// # Errors
    /// Those of the sink.
    pub fn finish(mut self) -> io::Result<()> {
        while self.step(&[], FlushCompress::Finish)?.1 != Status::StreamEnd {}
        self.state.reset();
        IDLE.lock().unwrap_or_else(PoisonError::into_inner).push((self.level, self.state));
        Ok(())
    }

    /// Bytes taken in, and how the state is now.
    fn step(&mut self, input: &[u8], flush: FlushCompress) -> io::Result<(usize, Status)> {
        let (before_in, before_out) = (self.state.total_in(), self.state.total_out());
        let status = self.state.compress(input, &mut self.room, flush).map_err(io::Error::other)?;
        let made = (self.state.total_out() - before_out) as usize;
        self.out.write_all(&self.room[..made])?;
        Ok(((self.state.total_in() - before_in) as usize, status))
    }
}

impl<W: Write + ?Sized> Write for Deflating<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            // With room for what it makes, it takes something each time.
            match self.step(bytes, FlushCompress::None)?.0 {
                0 if !bytes.is_empty() => {}
                taken => return Ok(taken),
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
