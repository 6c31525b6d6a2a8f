//! Which content the blobs of a history name.
//!
//! Apart because cleanup deletes what nothing names (design.md, section 6): it must see a name in
//! more places than any reader would look in, and must know when it meets what it can't read.

use std::ops::Range;

use bstr::ByteSlice;

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
    if !is_plain(blob, 0..blob.len()) {
        oids.extend(parsed(blob)?);
    }
    oids.sort_unstable();
    oids.dedup();
    Ok(oids)
}

/// What a blob names that a ref itself names, so that no path tells whether it is a manifest: every run of
/// 64 hex digits, and if it has the keys of one, what a manifest names.
pub fn in_named_blob(blob: &[u8]) -> Result<Vec<Oid>, Newer> {
    let is_manifest = ["\"bucket_name\"", "\"repo_prefix\""].iter().any(|key| blob.contains_str(key));
    if is_manifest { in_manifest(blob) } else { Ok(any_hex(blob)) }
}

/// The hashes of a manifest that parses.
fn parsed(blob: &[u8]) -> Result<Vec<Oid>, Newer> {
    let newer = |format: u64| Newer(format!("a manifest with format {format}"));
    match Manifest::parse(blob) {
        Ok(manifest) if manifest.format.is_some_and(|format| format > FORMAT) => {
            Err(newer(manifest.format.unwrap_or_default()))
        }
        Ok(manifest) => Ok(manifest.files.into_values().collect()),
        Err(ManifestError::NewerToRead { format, .. }) => Err(newer(format)),
        Err(_) => Ok(Vec::new()),
    }
}

/// Whether parsing can tell nothing that a search for hex digits does not find: no hash is written with
/// escapes, and no `format` is another than 1. Only what begins within `part` is looked at.
fn is_plain(blob: &[u8], part: Range<usize>) -> bool {
    let until = |extra: usize| &blob[part.start..blob.len().min(part.end + extra)];
    // JSON has no other escape that stands for a letter or a digit (RFC 8259, section 7).
    if until(1).contains_str(r"\u") {
        return false;
    }
    const KEY: &[u8] = br#""format""#;
    let text = until(KEY.len());
    text.find_iter(KEY).all(|at| {
        let after = blob[part.start + at + KEY.len()..].trim_ascii_start();
        let Some(value) = after.strip_prefix(b":").map(<[u8]>::trim_ascii_start) else { return true };
        // A file may be called so: then a hash follows.
        match value {
            [b'"', ..] => true,
            [b'1', rest @ ..] => !rest.first().is_some_and(|b| b.is_ascii_alphanumeric() || b"+-.".contains(b)),
            _ => false,
        }
    })
}

/// The manifests of a history, one after another: each is mostly the one before it, and of that only
/// what differs is looked at.
#[derive(Debug, Default)]
pub struct Manifests {
    last: Vec<u8>,
    /// Whether the last one is plain ([`is_plain`]): parsing may fail for one and not for the next.
    plain: bool,
}

impl Manifests {
    /// What the next manifest names and the one before it did not; it may be more.
    pub fn next(&mut self, blob: &[u8]) -> Result<Vec<Oid>, Newer> {
        let start = common_start(&self.last, blob);
        let rest = self.last.len().min(blob.len()) - start;
        let same = common_end(&self.last[self.last.len() - rest..], &blob[blob.len() - rest..]);
        let end = blob.len() - same;
        // A `format` that ends in what differs begins before it: two quotes stand between.
        let quote = |before: usize| blob[..before].rfind_byte(b'"').unwrap_or(0);
        let begin = quote(quote(start));
        let is_like_the_last = self.plain && is_plain(blob, begin..end);
        let oids = if is_like_the_last {
            // A run of digits that is in neither of the parts that are alike reaches into what differs.
            any_hex(&blob[start.saturating_sub(Oid::HEX_LEN - 1)..blob.len().min(end + Oid::HEX_LEN - 1)])
        } else {
            in_manifest(blob)?
        };
        self.plain = is_like_the_last || is_plain(blob, 0..blob.len());
        self.last.clear();
        self.last.extend_from_slice(blob);
        Ok(oids)
    }
}

/// Every place where 64 hex digits stand in a row. Of a longer run, each beginning counts.
pub fn any_hex(blob: &[u8]) -> Vec<Oid> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(window) = blob.get(at..at + Oid::HEX_LEN) {
        match window.iter().rposition(|byte| !byte.is_ascii_hexdigit()) {
            // Whatever begins before that byte has it in its midst.
            Some(other) => at += other + 1,
            None => {
                found.extend(hex_at(blob, at));
                at += 1;
            }
        }
    }
    found
}

fn hex_at(blob: &[u8], at: usize) -> Option<Oid> {
    let mut digits: [u8; Oid::HEX_LEN] = blob.get(at..at + Oid::HEX_LEN)?.try_into().ok()?;
    digits.make_ascii_lowercase();
    Oid::from_hex(&digits)
}

/// Bytes that are compared at once.
const BLOCK: usize = 4096;

/// How many bytes both begin with.
fn common_start(a: &[u8], b: &[u8]) -> usize {
    let blocks = a.chunks_exact(BLOCK).zip(b.chunks_exact(BLOCK)).take_while(|(a, b)| a == b).count() * BLOCK;
    blocks + a[blocks..].iter().zip(&b[blocks..]).take_while(|(a, b)| a == b).count()
}

/// How many bytes both end with.
fn common_end(a: &[u8], b: &[u8]) -> usize {
    let blocks = a.rchunks_exact(BLOCK).zip(b.rchunks_exact(BLOCK)).take_while(|(a, b)| a == b).count() * BLOCK;
    let (a, b) = (&a[..a.len() - blocks], &b[..b.len() - blocks]);
    blocks + a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count()
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

    /// Whatever is changed where: no name is lost, and no later format is passed over.
    #[test]
    fn manifests_one_after_another_name_what_each_names_by_itself() {
        let hash = |n: usize| Oid::of(&n.to_be_bytes());
        let lines: Vec<String> = (0..300).map(|n| format!("\"f{n}\": \"{}\"", hash(n))).collect();
        let text = |lines: &[String], end: &str| format!("{{\"files\": {{{}}}, {end}}}", lines.join(",\n"));
        let ends =
            ["\"format\": 1", "\"format\" :\n1 ", "\"bucket_name\": \"b\"", "\"format\": 1, \"x\": [\"format\"]"];
        let mut blobs = Vec::new();
        let mut random = 1_u64;
        let mut next = |below: usize| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) as usize % below
        };
        for _ in 0..300 {
            let mut changed = lines.clone();
            match next(5) {
                0 => drop(changed.remove(next(300))),
                1 => changed.insert(next(300), format!("\"new\": \"{}\"", hash(1000 + next(1000)))),
                2 => changed[next(300)] = format!("\"esc\": \"\\u0061{}\"", &hash(2000).hex()[1..]),
                3 => drop(changed.drain(next(100)..200)),
                _ => changed[next(300)] = format!("\"format\": \"{}\"", hash(3000)),
            }
            let mut blob = text(&changed, ends[next(4)]).into_bytes();
            if next(3) == 0 {
                let at = next(blob.len());
                blob.splice(at..(at + next(200)).min(blob.len()), b"0a".repeat(next(40)));
            }
            blobs.push(blob);
        }
        let (mut one_by_one, mut together) = (BTreeSet::new(), BTreeSet::new());
        let mut manifests = Manifests::default();
        for blob in &blobs {
            one_by_one.extend(in_manifest(blob).unwrap());
            together.extend(manifests.next(blob).unwrap());
            assert!(one_by_one.is_subset(&together), "{}", blob.as_bstr());
        }
        let hash = format!("{}\\u0061{}", "b".repeat(32), "b".repeat(31));
        let escaped = format!("{{\"files\": {{\"x\": \"{hash}\"}}, \"bucket_name\": \"b\", \"repo_prefix\": \"\"}}");
        let mut manifests = Manifests::default();
        assert_eq!(manifests.next(format!("{escaped}<").as_bytes()).unwrap(), [], "it does not parse");
        assert_eq!(manifests.next(escaped.as_bytes()).unwrap().len(), 1, "and now it does");
        for later in ["\"format\": 2", "\"format\":\n12", "\"f\\u006frmat\": 2", "\"format\" : 10"] {
            let mut manifests = Manifests::default();
            for end in ["\"format\": 1", "\"format\" : 1", "\"format\":\n1", "\"f\\u006frmat\": 1"] {
                let with = |end: &str| text(&lines, &format!("\"bucket_name\": \"b\", \"repo_prefix\": \"\", {end}"));
                assert!(manifests.next(with(end).as_bytes()).is_ok());
                assert!(manifests.next(with(later).as_bytes()).is_err(), "{later} after {end}");
            }
        }
    }
}
