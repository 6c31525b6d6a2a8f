//! What was moved, for the line at the end.
//!
//! Apart from what is shown on the way, because it is said once, also where nothing is shown.

use std::time::{Duration, Instant};

use super::span;
use crate::cli::ui::{bytes, count};
use crate::transfer::Item;

/// What was moved, for the line at the end.
#[derive(Clone, Copy, Default)]
pub struct Travelled {
    objects: usize,
    encoded: u64,
    content: u64,
    /// Of some, nobody knows how long their content is.
    unknown: bool,
}

impl Travelled {
    /// One more, which took so many bytes on its way.
    pub fn add(&mut self, item: &Item, encoded: u64) {
        self.objects += 1;
        self.encoded += encoded;
        self.content = self.content.saturating_add(item.size.unwrap_or(0));
        self.unknown |= item.size.is_none();
    }

    /// Whether there is anything to tell.
    pub fn is_empty(&self) -> bool {
        self.objects == 0
    }

    /// `3 objects (12.0 MiB, 4.1 MiB moved, in 1.2 s)`: compressed, or the rest of what an earlier command began.
    pub fn summary(&self, begun: Instant) -> String {
        self.in_words(begun.elapsed())
    }

    fn in_words(&self, took: Duration) -> String {
        let size = match self.content {
            _ if self.unknown => bytes(self.encoded),
            content if content > self.encoded => format!("{}, {} moved", bytes(content), bytes(self.encoded)),
            content => bytes(content),
        };
        format!("{} ({size}, in {})", count(self.objects, "object"), span(took.as_secs_f64()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oid::Oid;

    #[test]
    fn a_summary_has_both_sizes_where_they_differ() {
        let words = |items: &[(Option<u64>, u64)]| {
            let mut travelled = Travelled::default();
            for &(size, encoded) in items {
                travelled.add(&Item { oid: Oid::of(b"x"), size }, encoded);
            }
            travelled.in_words(Duration::from_millis(1200))
        };
        assert_eq!(words(&[(Some(3 << 20), 1 << 20)]), "1 object (3.0 MiB, 1.0 MiB moved, in 1.2 s)");
        assert_eq!(words(&[(Some(5), 20), (Some(5), 13)]), "2 objects (10 B, in 1.2 s)", "gzip may add a little");
        assert_eq!(words(&[(Some(99), 20), (None, 13)]), "2 objects (33 B, in 1.2 s)");
    }
}
