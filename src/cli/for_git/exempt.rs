//! What may be pushed without its content, because the user said so.
//!
//! Apart because it is a setting, and no part of what a push brings.

use bstr::{BStr, ByteSlice};
use globset::{GlobBuilder, GlobMatcher};

use crate::cli::error::CliError;
use crate::config::GitConfig;

/// The paths whose content may be missing: the globs of `s3lfs.allowmissing`.
pub struct Exempt(Vec<GlobMatcher>);

impl Exempt {
    /// As the user's settings say.
    pub fn new(config: &GitConfig) -> Result<Self, CliError> {
        let mut globs = Vec::new();
        for pattern in config.all("s3lfs.allowmissing") {
            let glob = GlobBuilder::new(&pattern.to_str_lossy()).literal_separator(true).build();
            globs.push(glob.map_err(|e| CliError::user(format!("s3lfs.allowmissing: {e}")))?.compile_matcher());
        }
        Ok(Exempt(globs))
    }

    /// Whether the content of this path may be missing.
    pub fn covers(&self, path: &BStr) -> bool {
        self.0.iter().any(|glob| glob.is_match(path.to_str_lossy().as_ref()))
    }
}
