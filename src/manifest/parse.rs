//! Bytes to [`Manifest`]: strict where guessing could lose an entry, and every refusal names key and line.
//!
//! Apart because of serde: `files` may have 200,000 entries and goes straight into its map, and what is wrong with
//! an entry is noted beside serde's own error, which has no room for it but knows the line.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::num::NonZeroU64;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::{FORMAT, Manifest, ManifestError};
use crate::oid::{Oid, ParseOidError};
use crate::repo_path::RepoPath;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// Bytes of the value of a key that this version does not know.
const MAX_UNKNOWN: usize = 1 << 20;
const REQUIRED: [&str; 3] = ["bucket_name", "files", "repo_prefix"];

impl Manifest {
    /// Read a manifest, ours or the Python tool's. A key that stands twice is an error, since either value may be the
    /// one that matters. A path in `manifest_only` that `files` lacks names no content and is dropped: refusing the
    /// whole manifest for it would cost more than it could save. A `format` above [`FORMAT`] is read if what is known
    /// of it still has the known shape.
    pub fn parse(bytes: &[u8]) -> Result<Manifest, ManifestError> {
        read(bytes).map_err(|error| match (marker_line(bytes), newer_format(bytes)) {
            // JSON has no line that begins like a marker, so this is what is really wrong, wherever reading stopped.
            (Some(line), _) => ManifestError::ConflictMarkers { line },
            (None, Some(format)) => ManifestError::NewerToRead { format, source: Box::new(error) },
            (None, None) => error,
        })
    }
}

fn read(bytes: &[u8]) -> Result<Manifest, ManifestError> {
    if bytes.starts_with(BYTE_ORDER_MARK) {
        return Err(ManifestError::ByteOrderMark);
    }
    let text = std::str::from_utf8(bytes).map_err(|source| {
        let newlines = bytes[..source.valid_up_to()].iter().filter(|&&b| b == b'\n').count();
        ManifestError::NotUtf8 { line: newlines + 1, source }
    })?;
    let complaint = Complaint::default();
    let mut json = serde_json::Deserializer::from_str(text);
    let manifest = json.deserialize_map(Top(&complaint)).and_then(|manifest| json.end().map(|()| manifest));
    let mut manifest = manifest.map_err(|source| {
        let line = source.line();
        match complaint.0.take() {
            _ if !source.is_data() => ManifestError::Json { line, source },
            Some(complaint) => complaint(line),
            None => ManifestError::NotAnObject { line },
        }
    })?;
    if manifest.beside_git().count() < manifest.manifest_only.as_ref().map_or(0, BTreeSet::len) {
        manifest.manifest_only = Some(manifest.beside_git().map(|(path, _)| path.clone()).collect());
    }
    Ok(manifest)
}

/// Line of the first conflict marker.
fn marker_line(bytes: &[u8]) -> Option<usize> {
    let markers: [&[u8]; 4] = [b"<<<<<<<", b"|||||||", b"=======", b">>>>>>>"];
    let at = bytes.split(|&b| b == b'\n').position(|line| markers.iter().any(|marker| line.starts_with(marker)))?;
    Some(at + 1)
}

/// The `format` of a manifest, if it is JSON and the format is above ours.
fn newer_format(bytes: &[u8]) -> Option<u64> {
    #[derive(serde::Deserialize)]
    struct Probe {
        format: u64,
    }
    serde_json::from_slice(bytes).ok().map(|probe: Probe| probe.format).filter(|&format| format > FORMAT)
}

/// The first thing that was found wrong; it waits for its line.
#[derive(Default)]
struct Complaint(RefCell<Option<AtLine>>);

type AtLine = Box<dyn FnOnce(usize) -> ManifestError>;

impl Complaint {
    fn note(&self, complaint: impl FnOnce(usize) -> ManifestError + 'static) {
        self.0.borrow_mut().get_or_insert_with(|| Box::new(complaint));
    }

    fn raise<E: Error>(&self, complaint: impl FnOnce(usize) -> ManifestError + 'static) -> E {
        self.note(complaint);
        E::custom("see the complaint")
    }

    /// If `value` is an error it is because `key` is not `expected` (or because of JSON's syntax, which goes first).
    fn expect<T, E>(&self, key: &str, expected: &'static str, value: Result<T, E>) -> Result<T, E> {
        value.inspect_err(|_| {
            let key = key.to_owned();
            self.note(move |line| ManifestError::Type { line, key, expected });
        })
    }
}

/// The whole manifest.
struct Top<'a>(&'a Complaint);

impl<'de> Visitor<'de> for Top<'_> {
    type Value = Manifest;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Manifest, A::Error> {
        let complaint = self.0;
        let mut manifest = Manifest::new("", "");
        manifest.manifest_only = None;
        let mut seen = BTreeSet::new();
        while let Some(key) = map.next_key::<String>()? {
            if !seen.insert(key.clone()) {
                return Err(complaint.raise(move |line| ManifestError::DuplicateKey { line, key }));
            }
            if let Some(text) = manifest.text_mut(&key) {
                *text = Some(complaint.expect(&key, "a string", map.next_value())?);
                continue;
            }
            match key.as_str() {
                "bucket_name" => manifest.bucket_name = complaint.expect(&key, "a string", map.next_value())?,
                "repo_prefix" => manifest.repo_prefix = complaint.expect(&key, "a string", map.next_value())?,
                "project" => manifest.project = complaint.expect(&key, "true or false", map.next_value())?,
                "format" => {
                    let format = complaint.expect(&key, "a whole number from 1", map.next_value::<NonZeroU64>())?;
                    manifest.format = Some(format.get());
                }
                "files" => {
                    let files = map.next_value_seed(Files(complaint));
                    manifest.files = complaint.expect(&key, "an object of paths and hashes", files)?;
                }
                "manifest_only" => {
                    let only = map.next_value_seed(ManifestOnly(complaint));
                    manifest.manifest_only = Some(complaint.expect(&key, "an array of paths", only)?);
                }
                _ => {
                    // A value in memory may take 30 times its text.
                    let text: &RawValue = map.next_value()?;
                    if text.get().len() > MAX_UNKNOWN {
                        return Err(complaint.raise(move |line| ManifestError::UnknownTooLarge { line, key }));
                    }
                    let mut value: Value = serde_json::from_str(text.get()).map_err(A::Error::custom)?;
                    value.sort_all_objects();
                    manifest.unknown.insert(key, value);
                }
            }
        }
        let keys: Vec<_> = REQUIRED.into_iter().filter(|key| !seen.contains(*key)).collect();
        if !keys.is_empty() {
            return Err(complaint.raise(move |_| ManifestError::Missing { keys }));
        }
        Ok(manifest)
    }
}

/// The object `files`.
struct Files<'a>(&'a Complaint);

impl<'de> DeserializeSeed<'de> for Files<'_> {
    type Value = BTreeMap<String, Oid>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Files<'_> {
    type Value = BTreeMap<String, Oid>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        // Whoever wrote it sorted it, nearly always; and what is sorted becomes a map in one go.
        let mut sorted: Vec<(String, Oid)> = Vec::new();
        let mut files = BTreeMap::new();
        while let Some(path) = map.next_key_seed(PathIn("files", self.0))? {
            let ascending = files.is_empty() && sorted.last().is_none_or(|(last, _)| *last < path);
            if !ascending && files.is_empty() {
                files = std::mem::take(&mut sorted).into_iter().collect();
            }
            if files.contains_key(&path) {
                return Err(self.0.raise(move |line| ManifestError::DuplicateFile { line, path }));
            }
            match map.next_value::<OidText>() {
                Ok(OidText(oid)) if ascending => sorted.push((path, oid)),
                Ok(OidText(oid)) => drop(files.insert(path, oid)),
                Err(error) => {
                    self.0.note(move |line| ManifestError::BadOid { line, path, source: ParseOidError });
                    return Err(error);
                }
            }
        }
        if files.is_empty() {
            files = sorted.into_iter().collect();
        }
        Ok(files)
    }
}

/// The array `manifest_only`.
struct ManifestOnly<'a>(&'a Complaint);

impl<'de> DeserializeSeed<'de> for ManifestOnly<'_> {
    type Value = BTreeSet<String>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for ManifestOnly<'_> {
    type Value = BTreeSet<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        // Sorted, nearly always: then it becomes a set in one go.
        let mut only = Vec::new();
        while let Some(path) = seq.next_element_seed(PathIn("manifest_only", self.0))? {
            only.push(path);
        }
        Ok(only.into_iter().collect())
    }
}

/// A path, in the key named.
struct PathIn<'a>(&'static str, &'a Complaint);

impl<'de> DeserializeSeed<'de> for PathIn<'_> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for PathIn<'_> {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a path")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<String, E> {
        let PathIn(key, complaint) = self;
        match RepoPath::check(text.as_bytes()) {
            Ok(()) => Ok(text.to_owned()),
            Err(source) => Err(complaint.raise(move |line| ManifestError::BadPath { line, key, source })),
        }
    }
}

/// An oid's text.
struct OidText(Oid);

impl<'de> Deserialize<'de> for OidText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Hex;
        impl Visitor<'_> for Hex {
            type Value = OidText;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a hash")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<OidText, E> {
                text.parse().map(OidText).map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Hex)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PYTHON: &[u8] = include_bytes!("../../fixtures/manifests/python-seed.json");
    const HEX: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    /// A manifest with `more` on line 3 and `files` on line 4 and after.
    fn with(more: &str, files: &str) -> String {
        let more = more.replace("HEX", HEX);
        let files = files.replace("HEX", HEX);
        format!("{{\n\"bucket_name\": \"b\", \"repo_prefix\": \"p\",\n{more}\n\"files\": {{\n{files}\n}}\n}}\n")
    }

    fn refusal(bytes: impl AsRef<[u8]>) -> (ManifestError, String) {
        let error = Manifest::parse(bytes.as_ref()).expect_err("this must be refused");
        let message = error.to_string();
        (error, message)
    }

    #[test]
    fn the_python_tools_manifest_is_read_as_it_is() {
        let manifest = Manifest::parse(PYTHON).unwrap();
        assert_eq!((manifest.bucket_name.as_str(), manifest.repo_prefix.as_str()), ("oldb", "proj"));
        assert_eq!(manifest.manifest_only, None, "only Git can tell which of its paths are manifest-only");
        assert_eq!(manifest.files.len(), 7);
        assert_eq!(manifest.files["assets/é/copie.csv"], manifest.files["assets/numbers.csv"], "escapes are read");
        assert_eq!(manifest.files["assets/empty.bin"], Oid::of(b""), "the empty content's hash is legal");
        let ours = String::from_utf8(manifest.to_bytes().unwrap()).unwrap();
        let theirs = String::from_utf8(PYTHON.to_vec()).unwrap();
        assert_eq!(ours, theirs.replace("\\u00e9", "é") + "\n", "writing changes escapes and the last LF, no more");
    }

    #[test]
    fn every_known_key_is_read() {
        let more = r#""format": 1, "project": false, "manifest_only": ["x", "gone"], "repository_id": "1", "region": "4",
            "endpoint_url": "2", "server_side_encryption": "3", "kms_key_id": "5", "compression": "6", "later": 7,"#;
        let manifest = Manifest::parse(with(more, r#""x": "HEX""#).as_bytes()).unwrap();
        assert_eq!((manifest.format, manifest.project), (Some(1), false));
        assert_eq!(manifest.manifest_only, Some(["x".to_owned()].into()), "a listed path without content is dropped");
        let texts = manifest.texts().map(|(_, text)| text.as_deref().unwrap());
        assert_eq!(texts, ["1", "2", "4", "3", "5", "6"]);
        assert_eq!(manifest.unknown["later"], 7);
        assert_eq!(manifest.unknown.len(), 1, "what is known is not kept twice");
    }

    #[test]
    fn a_refusal_names_key_and_line() {
        let cases: &[(&str, &str, &[&str])] = &[
            (r#""region": 1,"#, "", &["`region`", "a string", "line 3"]),
            (r#""region": null,"#, "", &["`region`", "a string", "line 3"]),
            (r#""project": "no","#, "", &["`project`", "true or false", "line 3"]),
            (r#""format": 0,"#, "", &["`format`", "whole number", "line 3"]),
            (r#""format": -1,"#, "", &["`format`", "whole number", "line 3"]),
            (r#""manifest_only": {},"#, "", &["`manifest_only`", "an array of paths", "line 3"]),
            (r#""manifest_only": [1],"#, "", &["`manifest_only`", "an array of paths", "line 3"]),
            (r#""manifest_only": ["/x"],"#, "", &["`manifest_only`", "path", "line 3"]),
            (r#""files": [],"#, "", &["`files`", "an object of paths and hashes", "line 3"]),
            (r#""bucket_name": "c","#, "", &["`bucket_name`", "twice", "line 3"]),
            (r#""later": 1, "later": 1,"#, "", &["`later`", "twice", "line 3"]),
            (r#""files": {},"#, "", &["`files`", "twice", "line 4"]),
            ("", "\"x\": \"HEX\",\n\"x\": \"HEX\"", &["`x`", "twice", "line 6"]),
            ("", "\"x\": \"HEX\",\n\"../x\": \"HEX\"", &["`files`", "line 6"]),
            ("", "\"x\": \"HEX0\"", &["`x`", "hash", "line 5"]),
            ("", "\"a\\n\\u001b\": 1", &["`a\\n\\u{1b}`", "hash", "line 5"]),
            ("", "\"x\": {\"oid\": \"HEX\"}", &["`x`", "hash", "line 5"]),
            ("", "\"x\": \"HEX\",", &["not valid JSON", "line 6"]),
            ("", "\"x\": \"HEX\"\n\"y\": \"HEX\"", &["not valid JSON", "line 6"]),
            ("", "\"x\": nulx", &["not valid JSON", "line 5"]),
        ];
        for (more, files, parts) in cases {
            let (_, message) = refusal(with(more, files));
            for part in *parts {
                assert!(message.contains(part), "{message:?} must name {part:?}");
            }
        }
        let upper = with("", "\"x\": \"HEX\"").replace(HEX, &HEX.to_uppercase());
        assert!(matches!(refusal(upper).0, ManifestError::BadOid { path, line: 5, .. } if path == "x"));
    }

    #[test]
    fn the_source_says_which_path_and_why() {
        let (error, _) = refusal(with("", "\"a/../x\": \"HEX\""));
        let ManifestError::BadPath { source, .. } = error else { panic!("{error:?} must be about the path") };
        assert!(source.to_string().contains("a/../x"), "{source} names the path");
    }

    #[test]
    fn what_is_no_manifest_at_all_is_told_apart() {
        assert!(matches!(refusal("\n[]").0, ManifestError::NotAnObject { line: 2 }));
        assert!(matches!(refusal("").0, ManifestError::Json { .. }));
        assert!(matches!(refusal("{} x").0, ManifestError::Missing { .. }));
        assert!(matches!(refusal(with("", "") + "x").0, ManifestError::Json { line: 8, .. }));
        assert!(refusal(r#"{"repo_prefix": "p"}"#).1.contains("`bucket_name` and `files`"), "all that is missing");
        assert!(matches!(refusal(b"\xef\xbb\xbf{}").0, ManifestError::ByteOrderMark));
        assert!(matches!(refusal(b"{\n\"\xff\": 1}").0, ManifestError::NotUtf8 { line: 2, .. }));
    }

    #[test]
    fn conflict_markers_are_named_whatever_else_is_wrong() {
        let ours = "\"x\": \"HEX\"\n<<<<<<< ours\n=======\n,\"y\": \"HEX\"\n>>>>>>> theirs";
        assert!(matches!(refusal(with("", ours)).0, ManifestError::ConflictMarkers { line: 6 }));
        assert!(matches!(refusal(with("\"region\": 1,", ours)).0, ManifestError::ConflictMarkers { line: 6 }));
    }

    #[test]
    fn a_newer_format_is_read_as_far_as_it_goes() {
        let newer = with(r#""format": 2, "later": {},"#, r#""x": "HEX""#);
        assert_eq!(Manifest::parse(newer.as_bytes()).unwrap().format, Some(2));
        let (error, _) = refusal(with(r#""format": 2,"#, r#""x": {"oid": "HEX", "size": 3}"#));
        assert!(
            matches!(error, ManifestError::NewerToRead { format: 2, source } if source.to_string().contains("`x`"))
        );
    }
}
