//! Encryption on the server that a user has to agree to.
//!
//! Apart because a commit names it, as it names the store: one that is weaker than the default, or a key that somebody
//! else may hold and take away, is not a commit's to choose (design.md, invariant 6).

use crate::config::GitConfig;
use crate::remote::{Bucket, Remote};
use crate::store::Encryption;

/// Where accepted choices stand, one a value.
pub const KEY: &str = "s3lfs.encryption";

/// A choice that needs the user's agreement, as it stands in [`KEY`]; `None`: it needs none. The default, and a key
/// of the store's own account, are nobody's trap; a directory encrypts nothing.
pub fn choice(remote: &Remote, encryption: &Encryption) -> Option<String> {
    match (remote.bucket(), encryption) {
        (Bucket::File(_), _) | (_, Encryption::Aes256 | Encryption::Kms(None)) => None,
        (_, Encryption::None) => Some("none".to_owned()),
        (_, Encryption::Kms(Some(key))) => Some(format!("aws:kms {key}")),
    }
}

/// The choice, unless the user has agreed to it.
pub fn unaccepted(config: &GitConfig, remote: &Remote, encryption: &Encryption) -> Option<String> {
    choice(remote, encryption).filter(|choice| !config.all(KEY).iter().any(|accepted| *accepted == choice.as_bytes()))
}
