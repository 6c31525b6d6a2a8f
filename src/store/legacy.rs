//! Objects of the Python s3lfs: `<prefix>/assets/<oid>/<path>`, perhaps gzip (`.gz`), perhaps in chunks
//! (`.chunk0`, `.chunk1`, ...), found by listing `assets/<oid>/` (design.md, section 3).
//!
//! Apart because this layout is only ever read. It names an object by hash *and* path, so that one
//! content may be there several times; and since a path may itself end in `.gz` or `.chunk0`, a key can
//! be read in more than one way. Which one is right, only the hash tells: here are the candidates.
//! (It compressed first and cut the result, so `x.gz.chunk1` is no gzip by itself.)

use std::collections::BTreeMap;
use std::time::SystemTime;

use object_store::path::Path;

use super::key::{self, Asset};
use super::{Found, Store, StoreError};
use crate::oid::Oid;

/// One key of the Python layout.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LegacyPart {
    /// The whole key.
    pub key: Path,
    /// Bytes stored there.
    pub len: u64,
    /// When it was written, by the store's clock.
    pub modified: SystemTime,
}

/// What may be the content of an oid: one key, or all chunks of one object.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LegacyObject {
    /// The key's part after the oid, without a chunk's number: the path, with `.gz` if it was compressed.
    pub name: String,
    /// One key, or the chunks in the order in which they are joined.
    pub parts: Vec<LegacyPart>,
}

impl LegacyObject {
    /// Bytes of all parts together.
    pub fn len(&self) -> u64 {
        self.parts.iter().map(|part| part.len).sum()
    }

    /// Whether there is not a byte.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the joined parts may be gzip; they may always be the content itself, of a path that ends
    /// in `.gz`.
    pub fn may_be_gzip(&self) -> bool {
        self.name.strip_suffix(".gz").is_some_and(|path| !path.is_empty())
    }

    /// Whether its being there proves that all of it is: an upload that was broken off can leave chunks
    /// without the last ones, and nothing tells how many there should be.
    pub fn is_surely_whole(&self) -> bool {
        matches!(self.parts.as_slice(), [part] if chunk(part.key.as_ref()).is_none())
    }
}

/// Where a store has the content of an oid, as far as names tell.
#[derive(Clone, Debug)]
pub enum Located {
    /// At the key of this version.
    Ours(Found),
    /// In the layout of the Python tool only; never empty.
    Legacy(Vec<LegacyObject>),
}

impl Store {
    /// The objects that the Python tool may have written for `oid`, the likeliest first. One LIST (more
    /// only for more than 1,000 keys).
    pub async fn legacy_objects(&self, oid: &Oid) -> Result<Vec<LegacyObject>, StoreError> {
        let prefix = self.remote.prefix();
        let under = key::legacy(prefix, oid);
        let mut parts = Vec::new();
        for meta in self.list(&under).await? {
            // What has no byte is the marker of a directory, made by a console; only the empty content
            // has an object like that.
            if let Some(Asset::Legacy(found, name)) = Asset::parse(prefix, &meta.location)
                && found == *oid
                && (meta.size > 0 || *oid == Oid::of(b""))
            {
                let name = name.into_string();
                parts.push((
                    name,
                    LegacyPart { key: meta.location, len: meta.size, modified: meta.last_modified.into() },
                ));
            }
        }
        Ok(candidates(parts))
    }

    /// Look for `oid` at our key, and only where that is not there in the Python tool's layout.
    pub async fn locate(&self, oid: &Oid) -> Result<Option<Located>, StoreError> {
        if let Some(found) = self.head(oid).await? {
            return Ok(Some(Located::Ours(found)));
        }
        let legacy = self.legacy_objects(oid).await?;
        Ok((!legacy.is_empty()).then_some(Located::Legacy(legacy)))
    }
}

/// Whether a key may be a chunk, and so no proof that all of the object is there.
pub fn is_chunk(name: &str) -> bool {
    chunk(name).is_some()
}

/// A name without the number of a chunk, if it may have one.
pub fn without_chunk(name: &str) -> &str {
    chunk(name).map_or(name, |(base, _)| base)
}

/// `x.chunk10` is chunk 10 of `x`. The Python tool wrote no leading zeros.
fn chunk(name: &str) -> Option<(&str, usize)> {
    let (base, digits) = name.rsplit_once(".chunk")?;
    let plain = digits == "0" || !digits.starts_with(['0', '+']);
    let index = digits.parse().ok().filter(|_| plain && !base.is_empty())?;
    Some((base, index))
}

/// Put the keys of one oid together: whole objects, then joined chunks, then what looks like a chunk
/// taken by itself (a path may end so). Chunks with one missing are no object.
fn candidates(parts: Vec<(String, LegacyPart)>) -> Vec<LegacyObject> {
    let mut whole = Vec::new();
    let mut chunk_like = Vec::new();
    let mut groups: BTreeMap<String, BTreeMap<usize, LegacyPart>> = BTreeMap::new();
    for (name, part) in parts {
        match chunk(&name) {
            None => whole.push(LegacyObject { name, parts: vec![part] }),
            Some((base, index)) => {
                groups.entry(base.to_owned()).or_default().insert(index, part.clone());
                chunk_like.push(LegacyObject { name, parts: vec![part] });
            }
        }
    }
    let complete = |chunks: &BTreeMap<usize, LegacyPart>| chunks.keys().copied().eq(0..chunks.len());
    let joined = groups.into_iter().filter(|(_, chunks)| complete(chunks));
    let joined = joined.map(|(name, chunks)| LegacyObject { name, parts: chunks.into_values().collect() });
    whole.into_iter().chain(joined).chain(chunk_like).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(names: &[&str]) -> Vec<(String, Vec<String>)> {
        let part = |name: &str| LegacyPart {
            key: Path::parse(format!("p/assets/x/{name}")).unwrap(),
            len: 1,
            modified: SystemTime::UNIX_EPOCH,
        };
        let objects = candidates(names.iter().map(|name| ((*name).to_owned(), part(name))).collect());
        let keys = |object: &LegacyObject| object.parts.iter().map(|p| p.key.to_string()[11..].to_owned()).collect();
        objects.iter().map(|object| (object.name.clone(), keys(object))).collect()
    }

    fn object(name: &str, keys: &[&str]) -> (String, Vec<String>) {
        (name.to_owned(), keys.iter().map(|key| (*key).to_owned()).collect())
    }

    #[test]
    fn chunks_are_joined_by_number() {
        let names: Vec<String> = (0..12).map(|n| format!("a/big.gz.chunk{n}")).collect();
        let mut listed: Vec<&str> = names.iter().map(String::as_str).collect();
        listed.sort_unstable();
        assert_eq!(listed[2], "a/big.gz.chunk10", "as a bucket lists them");
        let objects = found(&listed);
        let in_order: Vec<&str> = names.iter().map(String::as_str).collect();
        assert_eq!(objects[0], object("a/big.gz", &in_order), "chunk10 comes after chunk9");
        assert_eq!(objects.len(), 13, "each may also be a file whose path ends so");
    }

    #[test]
    fn chunks_with_one_missing_are_no_object() {
        for names in [["x.chunk1", "x.chunk2"], ["x.chunk0", "x.chunk2"]] {
            assert!(found(&names).iter().all(|(name, _)| name != "x"), "{names:?} can't be joined");
        }
        assert_eq!(found(&["x.chunk0"])[0], object("x", &["x.chunk0"]), "one chunk is all there is, or a path");
    }

    #[test]
    fn a_path_may_end_like_a_chunk_or_like_gzip() {
        let objects = found(&["a.chunk0", "b.chunk0.gz", "c.gz", "d.chunk", "e.chunk01", "f.chunk+1", ".chunk0"]);
        let names: Vec<&str> = objects.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            ["b.chunk0.gz", "c.gz", "d.chunk", "e.chunk01", "f.chunk+1", ".chunk0", "a", "a.chunk0"],
            "whole objects first; what looks like a chunk is both"
        );
        let one = |name: &str| LegacyObject { name: name.into(), parts: Vec::new() };
        assert!(one("c.gz").may_be_gzip() && !one("c").may_be_gzip() && !one(".gz").may_be_gzip());
    }
}
