//! The authorities that are trusted besides the system's, and who names them.
//!
//! Apart because two clients want the same file: the one that asks the store, and the one that asks for credentials.
//! Behind a proxy that opens TLS, neither reaches anybody without it.

use std::path::PathBuf;

use super::access::Chosen;
use super::credentials::{expanded, profile_ca_bundle};

/// A file of certificates in PEM ("ca_bundle" and "AWS_CA_BUNDLE" in the AWS CLI user guide).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CaBundle {
    path: PathBuf,
    /// Who names it, in words.
    named_by: String,
    /// The command that takes the name back.
    mend: String,
}

/// Why a bundle can't be used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NoBundle {
    /// In words.
    pub why: String,
    /// The command that helps.
    pub mend: String,
}

const VARIABLE: &str = "AWS_CA_BUNDLE";

impl CaBundle {
    /// The one that the environment names, or else the profile.
    pub fn named(profile: Option<&Chosen>) -> Option<Self> {
        if let Some(path) = std::env::var_os(VARIABLE).filter(|path| !path.is_empty()) {
            let mend = format!("unset {VARIABLE} # or name a file in PEM");
            return Some(CaBundle { path: path.into(), named_by: VARIABLE.to_owned(), mend });
        }
        let (path, place, change) = profile_ca_bundle(profile)?;
        Some(CaBundle { path: expanded(path.as_ref()), named_by: place, mend: change })
    }

    /// What stands in it.
    pub fn pem(&self) -> Result<Vec<u8>, NoBundle> {
        std::fs::read(&self.path).map_err(|e| self.refused(format!("cannot read {}: {e}", self.path.display())))
    }

    /// That it can't be used, for this reason.
    pub fn refused(&self, why: impl AsRef<str>) -> NoBundle {
        NoBundle { why: format!("{}: {}", self.named_by, why.as_ref()), mend: self.mend.clone() }
    }

    /// That it has no certificates.
    pub fn empty(&self) -> NoBundle {
        self.refused(format!("{} holds no certificates in PEM", self.path.display()))
    }
}
