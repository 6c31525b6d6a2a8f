//! An error and all that it rests on, as one line of text.
//!
//! Apart because every `Display` in this program says only its own part (what was attempted), and
//! leaves the reason to its source.

use std::error::Error;
use std::io::{self, ErrorKind};

/// `what was attempted: why: why that`. A part that repeats the one before it is said once.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut last = text.clone();
    let mut source = error.source();
    while let Some(e) = source {
        let part = e.to_string();
        if part != last {
            text.push_str(": ");
            text.push_str(&part);
        }
        last = part;
        source = e.source();
    }
    text
}

/// Whether it is a disk, or what may be used of it, that is full.
pub fn is_full(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(e) = next {
        let kind = e.downcast_ref().map(io::Error::kind);
        if matches!(kind, Some(ErrorKind::StorageFull | ErrorKind::QuotaExceeded)) {
            return true;
        }
        next = e.source();
    }
    false
}

/// What a user can do about the disk, if it is the disk that refused.
pub fn advice(error: &(dyn Error + 'static)) -> Option<&'static str> {
    let mut next = Some(error);
    while let Some(e) = next {
        let advice = match e.downcast_ref().map(io::Error::kind) {
            Some(ErrorKind::StorageFull) => Some("make room on that disk, then run the same command again"),
            Some(ErrorKind::QuotaExceeded) => Some("make room in that quota, then run the same command again"),
            Some(ErrorKind::ReadOnlyFilesystem) => Some("make it writable, then run the same command again"),
            Some(ErrorKind::PermissionDenied) => Some("give this user the permission, then run the same command again"),
            _ => None,
        };
        if advice.is_some() {
            return advice;
        }
        next = e.source();
    }
    None
}

/// As [`chain`], with [`advice`] behind it.
pub fn advised(error: &(dyn Error + 'static)) -> String {
    match advice(error) {
        Some(advice) => format!("{} ({advice})", chain(error)),
        None => chain(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn the_chain_is_one_line_from_attempt_to_cause() {
        assert_eq!(chain(&Outer(std::io::Error::other("inner"))), "outer: inner");
    }

    #[test]
    fn a_disk_that_refuses_is_told_from_other_failures() {
        let full = Outer(ErrorKind::StorageFull.into());
        assert!(advised(&full).contains("make room"), "{}", advised(&full));
        assert_eq!(advice(&Outer(io::Error::other("inner"))), None);
    }
}
