//! Threads beside the main one, for questions to Git that take their time.
//!
//! Apart because each command that asks several at once waits for them in the same way.

use std::thread::ScopedJoinHandle;

/// What a thread came to. Its panic is ours.
pub fn joined<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
