//! The filter process, byte for byte: Git's side of the long-running filter protocol, spoken to the
//! real binary over pipes (git-filter-reference.md, part 1).
//!
//! Every packet that any of these tests reads is checked on the way (`filter.rs`): a length in lower
//! case hex, at most 65,520 bytes, never the empty packet `0004`.

mod bench;
mod clean;
mod damage;
mod delay;
mod filter;
mod handshake;
#[cfg(target_os = "linux")]
mod life;
mod random;
mod requests;
mod single;
mod smudge;
mod transcripts;
