//! How much room a disk has.
//!
//! Apart because each system is asked in its own way.

use std::path::Path;

/// Bytes that this user can still write beneath `path`, or the nearest directory above it that is there.
/// `None`: the system does not tell.
#[cfg(unix)]
pub fn free_space(path: &Path) -> Option<u64> {
    let dir = path.ancestors().find(|dir| dir.is_dir())?;
    let told = rustix::fs::statvfs(dir).ok()?;
    told.f_bavail.checked_mul(told.f_frsize)
}

/// Not asked.
#[cfg(not(unix))]
pub fn free_space(_: &Path) -> Option<u64> {
    None
}
