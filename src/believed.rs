//! How long a proof is believed: that content is in a store, that a remote has a commit.
//!
//! Apart because the upload record, the push gate and the transfer engine rest on the same 3 days, and
//! cleanup's safety on the sum of them.

use std::time::Duration;

/// A proof is believed for this long (design.md, section 4, "Fresh record").
pub const BELIEVED: Duration = Duration::from_secs(3 * 24 * 3600);
