//! [`Manifest`] to bytes: one canonical form, so that equal manifests are equal blobs and a changed file is a changed line.
//!
//! Apart because these bytes are a contract with Git's line merge and with every other version.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::ser::PrettyFormatter;
use serde_json::{Error, Value};

use super::{FORMAT, MAX_LEN, Manifest, ManifestError, along};
use crate::oid::Oid;
use crate::repo_path::RepoPath;

impl Manifest {
    /// The canonical bytes: keys sorted by bytes, indented by 4, one file a line, only `"`, `\` and control characters
    /// (below U+0020) escaped, LF at the end. What [`Manifest::parse`] would refuse is refused here, and so is a
    /// `format` above [`FORMAT`]; of `manifest_only` what `files` has is written.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ManifestError> {
        let mut bytes = Vec::with_capacity(256 + self.files.len() * 128);
        self.write(&mut bytes)?;
        if bytes.len() > MAX_LEN {
            return Err(ManifestError::TooLargeToWrite { len: bytes.len() });
        }
        Ok(bytes)
    }

    /// Whether these are the canonical bytes; takes no memory for them.
    pub fn is_written_as(&self, bytes: &[u8]) -> bool {
        let mut rest = Same(bytes);
        bytes.len() <= MAX_LEN && self.write(&mut rest).is_ok() && rest.0.is_empty()
    }

    fn write(&self, mut to: impl Write) -> Result<(), ManifestError> {
        if let Some(format) = self.format.filter(|&format| format > FORMAT) {
            return Err(ManifestError::NewerToWrite { format });
        }
        for path in self.files.keys() {
            RepoPath::check(path.as_bytes()).map_err(|source| ManifestError::UnwritablePath { source })?;
        }
        let formatter = PrettyFormatter::with_indent(b"    ");
        let mut json = serde_json::Serializer::with_formatter(&mut to, formatter);
        let written = self.fields().serialize(&mut json).and_then(|()| to.write_all(b"\n").map_err(Error::io));
        written.map_err(|source| ManifestError::Encode { source })
    }

    /// What is written, by key.
    fn fields(&self) -> BTreeMap<&str, Field<'_>> {
        let mut fields: BTreeMap<&str, Field<'_>> =
            self.unknown.iter().map(|(key, value)| (key.as_str(), Field::Unknown(value))).collect();
        fields.insert("bucket_name", Field::Text(&self.bucket_name));
        fields.insert("repo_prefix", Field::Text(&self.repo_prefix));
        fields.insert("files", Field::Files(&self.files));
        for (key, text) in self.texts() {
            fields.extend(text.as_deref().map(|text| (key, Field::Text(text))));
        }
        fields.extend(self.format.map(|format| ("format", Field::Format(format))));
        fields.extend(self.manifest_only.as_ref().map(|only| ("manifest_only", Field::Only(only, &self.files))));
        if !self.project {
            fields.insert("project", Field::Project(false));
        }
        fields
    }
}

/// Takes what begins as it does, and stops at the first difference.
struct Same<'a>(&'a [u8]);

impl Write for Same<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.strip_prefix(bytes).ok_or(io::ErrorKind::InvalidData)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

enum Field<'a> {
    Text(&'a str),
    Format(u64),
    Project(bool),
    Files(&'a BTreeMap<String, Oid>),
    Only(&'a BTreeSet<String>, &'a BTreeMap<String, Oid>),
    Unknown(&'a Value),
}

impl Serialize for Field<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Field::Text(text) => text.serialize(serializer),
            Field::Format(format) => format.serialize(serializer),
            Field::Project(project) => project.serialize(serializer),
            Field::Unknown(value) => value.serialize(serializer),
            Field::Only(only, files) => {
                let mut files = along::map(files);
                serializer.collect_seq(only.iter().filter(|path| files.at(path).is_some()))
            }
            Field::Files(files) => {
                let mut map = serializer.serialize_map(Some(files.len()))?;
                for (path, oid) in *files {
                    let mut digits = [0; Oid::HEX_LEN];
                    map.serialize_entry(path, hex(oid, &mut digits))?;
                }
                map.end()
            }
        }
    }
}

/// As `Oid::hex`, which takes half of the time of writing when there are many files.
fn hex<'a>(oid: &Oid, digits: &'a mut [u8; Oid::HEX_LEN]) -> &'a str {
    for (pair, byte) in digits.as_chunks_mut().0.iter_mut().zip(oid.as_bytes()) {
        *pair = DIGITS[usize::from(*byte)];
    }
    std::str::from_utf8(digits).expect("hex digits are ASCII")
}

/// The two digits of each byte.
const DIGITS: [[u8; 2]; 256] = {
    let mut digits = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        digits[byte] = [b"0123456789abcdef"[byte >> 4], b"0123456789abcdef"[byte & 15]];
        byte += 1;
    }
    digits
};

#[cfg(test)]
mod tests {
    use super::super::tests::{Random, random_manifest};
    use super::*;

    fn text(manifest: &Manifest) -> String {
        String::from_utf8(manifest.to_bytes().unwrap()).unwrap()
    }

    #[test]
    fn the_canonical_form_is_known_by_its_bytes() {
        let mut random = Random(11);
        for _ in 0..200 {
            let manifest = random_manifest(&mut random);
            let bytes = manifest.to_bytes().unwrap();
            assert!(manifest.is_written_as(&bytes), "what is written");
            assert!(!manifest.is_written_as(&bytes[..bytes.len() - 1]), "less");
            assert!(!manifest.is_written_as(&[bytes.as_slice(), b"\n"].concat()), "more");
            let mut other = bytes.clone();
            other[bytes.len() / 2] ^= 1;
            assert!(!manifest.is_written_as(&other), "something else");
        }
        let mut newer = Manifest::new("b", "p");
        newer.format = Some(FORMAT + 1);
        assert!(!newer.is_written_as(b""), "what this version does not write");
    }

    #[test]
    fn the_canonical_form_is_the_one_of_the_design() {
        let mut manifest = Manifest::new("my-bucket", "my-project");
        manifest.manifest_only = None;
        let hex = Oid::of(b"abc").hex();
        manifest.files.insert("assets/hero.psd".into(), Oid::of(b"abc"));
        let three = format!(
            r#"{{
    "bucket_name": "my-bucket",
    "files": {{
        "assets/hero.psd": "{hex}"
    }},
    "repo_prefix": "my-project"
}}
"#
        );
        assert_eq!(text(&manifest), three, "defaults are not written");

        manifest.manifest_only = Some(["assets/hero.psd".into(), "absent".into()].into());
        manifest.format = Some(1);
        manifest.project = false;
        manifest.region = Some("eu-north-1".into());
        let all = format!(
            r#"{{
    "bucket_name": "my-bucket",
    "files": {{
        "assets/hero.psd": "{hex}"
    }},
    "format": 1,
    "manifest_only": [
        "assets/hero.psd"
    ],
    "project": false,
    "region": "eu-north-1",
    "repo_prefix": "my-project"
}}
"#
        );
        assert_eq!(text(&manifest), all, "keys are sorted; manifest_only names nothing that files lacks");
    }

    #[test]
    fn an_empty_list_is_written_since_its_absence_means_something_else() {
        assert!(text(&Manifest::new("b", "p")).contains("\n    \"manifest_only\": [],\n"));
    }

    #[test]
    fn paths_are_sorted_by_bytes_and_escaped_no_more_than_json_asks() {
        let mut manifest = Manifest::new("b", "p");
        for path in ["\u{1f600}", "\u{ffff}", "é/\u{7f}\u{2028}", "a\"\\\n\u{1}\u{1f}", "Z", "a/b", "a-b"] {
            manifest.files.insert(path.into(), Oid::of(b"abc"));
        }
        let bytes = text(&manifest);
        let keys: Vec<_> = bytes.lines().filter_map(|line| line.strip_prefix("        ")?.split_once("\": ")).collect();
        let keys: Vec<_> = keys.into_iter().map(|(key, _)| &key[1..]).collect();
        let expected = ["Z", r#"a\"\\\n\u0001\u001f"#, "a-b", "a/b", "é/\u{7f}\u{2028}", "\u{ffff}", "\u{1f600}"];
        assert_eq!(keys, expected, "bytes of UTF-8 decide the order, and only JSON's own escapes are used");
        assert_eq!(Manifest::parse(bytes.as_bytes()).unwrap(), manifest, "reading undoes writing");
    }

    #[test]
    fn unknown_keys_are_kept_in_canonical_form() {
        let source = br#"{"zeta":{"b":[1,{"y":null,"x":-1.5}],"a":"\u00e9/"},"repo_prefix":"p","files":{},"bucket_name":"b","Alpha":true}"#;
        let bytes = text(&Manifest::parse(source).unwrap());
        let expected = r#"{
    "Alpha": true,
    "bucket_name": "b",
    "files": {},
    "repo_prefix": "p",
    "zeta": {
        "a": "é/",
        "b": [
            1,
            {
                "x": -1.5,
                "y": null
            }
        ]
    }
}
"#;
        assert_eq!(bytes, expected);
    }

    #[test]
    fn a_newer_format_or_a_path_that_could_not_be_read_back_is_never_written() {
        let mut manifest = Manifest::new("b", "p");
        manifest.format = Some(2);
        assert!(matches!(manifest.to_bytes(), Err(ManifestError::NewerToWrite { format: 2 })));
        manifest.format = Some(1);
        manifest.files.insert("../x".into(), Oid::of(b"abc"));
        assert!(matches!(manifest.to_bytes(), Err(ManifestError::UnwritablePath { .. })));
    }

    #[test]
    fn reading_undoes_writing_and_writing_is_stable() {
        let mut random = Random(1);
        for _ in 0..500 {
            let manifest = random_manifest(&mut random);
            let bytes = manifest.to_bytes().unwrap();
            let read = Manifest::parse(&bytes).unwrap();
            assert_eq!(read, manifest);
            assert_eq!(read.to_bytes().unwrap(), bytes);
        }
    }
}
