//! Which content the blobs of a history name.
//!
//! Apart because cleanup deletes what nothing names (design.md, section 6): it must see a name in
//! more places than any reader would look in, and must know when it meets what it can't read.

use crate::manifest::{FORMAT, Manifest, ManifestError};
use crate::oid::Oid;
use crate::pointer::MAX_POINTER_LEN;

/// A blob of a later version of s3lfs: what it names can't be known.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0} is of a later version")]
pub struct Newer(String);

/// What a blob below [`MAX_POINTER_LEN`] names: each `sha256:` with 64 hex digits after it, whatever
/// stands around it.
pub fn in_small_blob(blob: &[u8]) -> Result<Vec<Oid>, Newer> {
    debug_assert!(blob.len() < MAX_POINTER_LEN);
    if let Some(version) = blob.strip_prefix(b"version s3lfs/") {
        let digits: Vec<u8> = version.iter().copied().take_while(u8::is_ascii_digit).collect();
        let ended = version.get(digits.len()).is_none_or(|&byte| byte == b'\n' || byte == b'\r');
        if ended && !digits.is_empty() && digits != b"1" {
            return Err(Newer(format!("a pointer with version s3lfs/{}", String::from_utf8_lossy(&digits))));
        }
    }
    const MARK: &[u8] = b"sha256:";
    let starts = (0..blob.len()).filter(|&at| blob[at..].starts_with(MARK)).map(|at| at + MARK.len());
    Ok(starts.filter_map(|at| hex_at(blob, at)).collect())
}

/// What a manifest names: its hashes, and every run of 64 hex digits besides. It may not parse, or
/// have a path twice.
pub fn in_manifest(blob: &[u8]) -> Result<Vec<Oid>, Newer> {
    let mut oids = any_hex(blob);
    let newer = |format: u64| Newer(format!("a manifest with format {format}"));
    match Manifest::parse(blob) {
        Ok(manifest) if manifest.format.is_some_and(|format| format > FORMAT) => {
            return Err(newer(manifest.format.unwrap_or_default()));
        }
        Ok(manifest) => oids.extend(manifest.files.into_values()),
        Err(ManifestError::NewerToRead { format, .. }) => return Err(newer(format)),
        Err(_) => {}
    }
    oids.sort_unstable();
    oids.dedup();
    Ok(oids)
}

/// Every place where 64 hex digits stand in a row. Of a longer run, each beginning counts.
pub fn any_hex(blob: &[u8]) -> Vec<Oid> {
    let mut found = Vec::new();
    let mut run = 0;
    for (at, byte) in blob.iter().enumerate() {
        run = if byte.is_ascii_hexdigit() { run + 1 } else { 0 };
        if run >= Oid::HEX_LEN {
            found.extend(hex_at(blob, at + 1 - Oid::HEX_LEN));
        }
    }
    found
}

fn hex_at(blob: &[u8], at: usize) -> Option<Oid> {
    Oid::from_hex(&blob.get(at..at + Oid::HEX_LEN)?.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_pointer_like_text_names_its_content() {
        let (a, b) = (Oid::of(b"a"), Oid::of(b"b"));
        for blob in [
            format!("version s3lfs/1\noid sha256:{a}\nsize 1\n"),
            format!("version s3lfs/1\r\noid sha256:{a}\r\nsize 1\r\n"),
            format!("version https://git-lfs.github.com/spec/v1\noid sha256:{a}\nsize 1\n"),
            format!("<<<<<<< ours\noid sha256:{a}\n"),
            format!("xsha256:{}", a.hex().to_uppercase()),
            format!("version s3lfs/12x\nsha256:{a}"),
        ] {
            assert_eq!(in_small_blob(blob.as_bytes()).unwrap(), [a], "{blob:?} names it");
        }
        let both = format!("-oid sha256:{a}\n+oid sha256:{b}\n");
        assert_eq!(in_small_blob(both.as_bytes()).unwrap(), [a, b]);
        assert_eq!(in_small_blob(b"sha256:").unwrap(), [], "cut short");
        assert_eq!(in_small_blob(format!("sha256:{}", &a.hex()[..63]).as_bytes()).unwrap(), []);
    }

    #[test]
    fn a_later_version_is_told_not_guessed() {
        for blob in ["version s3lfs/2\nanything", "version s3lfs/10\r\n", "version s3lfs/2"] {
            assert!(in_small_blob(blob.as_bytes()).is_err(), "{blob:?}");
        }
        let manifest = r#"{"bucket_name": "bucket", "files": {}, "repo_prefix": "p", "format": 2}"#;
        assert!(in_manifest(manifest.as_bytes()).is_err());
        assert!(in_manifest(br#"{"format": 3, "files": []}"#).is_err(), "also one that can't be read at all");
    }

    #[test]
    fn a_broken_manifest_names_all_that_could_be_a_hash() {
        let (a, b) = (Oid::of(b"a"), Oid::of(b"b"));
        let good = format!(r#"{{"bucket_name": "bucket", "files": {{"x": "{a}"}}, "repo_prefix": "p"}}"#);
        assert_eq!(in_manifest(good.as_bytes()).unwrap(), [a]);
        let conflict = format!("<<<<<<<\n\"x\": \"{a}\"\n=======\n\"x\": \"{b}\"\n");
        assert_eq!(in_manifest(conflict.as_bytes()).unwrap(), BTreeSet::from([a, b]).into_iter().collect::<Vec<_>>());
        let glued = format!("0{a}");
        assert!(any_hex(glued.as_bytes()).contains(&a), "also within a longer run");
    }
}
