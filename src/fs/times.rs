//! What tells whether a file was touched since it was looked at.
//!
//! Apart because several trust a file by it, as Git does (git-filter-reference.md, part 2, "Stat cache").

use std::fs::Metadata;

use serde::{Deserialize, Serialize};

/// What tells whether a file was touched: device, inode, length, and times to the nanosecond.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Times {
    device: u64,
    inode: u64,
    len: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Times {
    /// `None` on a system without inodes.
    #[cfg(unix)]
    pub fn of(file: &Metadata) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        Some(Times {
            device: file.dev(),
            inode: file.ino(),
            len: file.len(),
            modified: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
        })
    }

    /// `None` on a system without inodes.
    #[cfg(not(unix))]
    pub fn of(_: &Metadata) -> Option<Self> {
        None
    }

    /// Whether the content is the same; the name may have changed (a rename sets `changed`).
    pub fn same_content(&self, other: &Times) -> bool {
        *self == Times { changed: self.changed, ..*other }
    }
}
