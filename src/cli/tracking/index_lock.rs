//! Who holds the lock of the index while a hook runs.
//!
//! Apart because it is all that a hook is told of how the commit was made.

/// Whether Git holds the lock of the real index while we run (`commit -a`, `commit <path>`): nothing
/// slow belongs there. Git then names a lock file as the index (observed with 2.47).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IndexLock {
    /// Until the commit is made, or given up.
    HeldByGit,
    /// Anybody may take it.
    Free,
}

impl IndexLock {
    /// By the environment that Git gives its hooks.
    pub fn observe() -> Self {
        let held = std::env::var_os("GIT_INDEX_FILE").is_some_and(|name| name.as_encoded_bytes().ends_with(b".lock"));
        if held { IndexLock::HeldByGit } else { IndexLock::Free }
    }
}
