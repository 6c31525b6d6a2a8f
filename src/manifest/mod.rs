//! The manifest `.s3_manifest.json`: where the store is, and which content belongs to which path (design.md, section 3).
//!
//! Apart because it is a committed file format, shared with the Python tool: its bytes are fixed, while what is done
//! with them is not. Pure: bytes in, bytes out; who reads and stages the file is elsewhere. Its rooms are the verbs of
//! its life: read (`parse`; `python_yaml` for the later Python tool's), write (`write`), follow Git's index (`project`),
//! follow a merge (`merge`).

mod along;
mod merge;
pub mod only;
mod parse;
mod project;
pub mod python_yaml;
mod write;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

pub use merge::{Conflict, Merged, merge};
pub use project::{IndexPointers, Projection, ProjectionError};

use crate::oid::{Oid, ParseOidError};
use crate::repo_path::{BadPath, Printable};

/// Where the manifest is, from the top of the worktree.
pub const PATH: &str = ".s3_manifest.json";

/// The highest `format` that this version writes.
pub const FORMAT: u64 = 1;

/// No manifest is longer: who reads one knows nothing of who wrote it.
pub const MAX_LEN: usize = 256 << 20;

/// What the manifest says. The texts of settings are kept as they stand; whoever uses one judges it.
#[derive(Clone, PartialEq, Debug)]
pub struct Manifest {
    /// A bucket, or the URL of a store.
    pub bucket_name: String,
    /// What the keys of all objects begin with; may be empty.
    pub repo_prefix: String,
    /// Content by path. Each key is a [`RepoPath`](crate::repo_path::RepoPath) that is UTF-8. May name the empty
    /// content, which the Python tool recorded.
    pub files: BTreeMap<String, Oid>,
    /// The paths in `files` that are never in Git. `None`: the key is absent, so this is the Python tool's manifest,
    /// and only Git can tell which paths those are (see [`Manifest::project`]). A path that `files` lacks means nothing.
    pub manifest_only: Option<BTreeSet<String>>,
    /// Whether pointer-tracked paths are recorded in `files`; true unless the manifest says otherwise.
    pub project: bool,
    /// The version of the manifest's format, if it names one.
    pub format: Option<u64>,
    /// The name under which the repository is registered in the store.
    pub repository_id: Option<String>,
    /// The endpoint, for stores other than AWS.
    pub endpoint_url: Option<String>,
    /// The bucket's region.
    pub region: Option<String>,
    /// `AES256`, `aws:kms` or `none`.
    pub server_side_encryption: Option<String>,
    /// The key for `aws:kms`.
    pub kms_key_id: Option<String>,
    /// `auto`, `gzip` or `none`.
    pub compression: Option<String>,
    /// Keys of other versions, which writing keeps.
    unknown: BTreeMap<String, Value>,
}

impl Manifest {
    /// A manifest without files. It has `manifest_only`, so it is never taken for the Python tool's.
    pub fn new(bucket_name: impl Into<String>, repo_prefix: impl Into<String>) -> Self {
        Manifest {
            bucket_name: bucket_name.into(),
            repo_prefix: repo_prefix.into(),
            files: BTreeMap::new(),
            manifest_only: Some(BTreeSet::new()),
            project: true,
            format: None,
            repository_id: None,
            endpoint_url: None,
            region: None,
            server_side_encryption: None,
            kms_key_id: None,
            compression: None,
            unknown: BTreeMap::new(),
        }
    }

    /// Whether the Python tool wrote objects under this prefix that nobody else can name: it took the
    /// prefix as it stands, so that keys begin with `/` or have an empty part.
    pub fn has_unreachable_prefix(&self) -> bool {
        let outer_slash = self.repo_prefix.starts_with('/') || self.repo_prefix.ends_with('/');
        self.manifest_only.is_none() && !self.files.is_empty() && (self.repo_prefix.is_empty() || outer_slash)
    }

    /// Whether `path` is listed as never in Git. False for every path of the Python tool's manifest.
    pub fn is_manifest_only(&self, path: &str) -> bool {
        self.files.contains_key(path) && self.manifest_only.as_ref().is_some_and(|only| only.contains(path))
    }

    /// What Git's pointers do not have: the manifest-only entries. Of the Python tool's manifest, which does not tell,
    /// every entry.
    pub fn beside_git(&self) -> Box<dyn Iterator<Item = (&String, &Oid)> + '_> {
        match &self.manifest_only {
            Some(only) => {
                let mut files = along::map(&self.files);
                Box::new(only.iter().filter_map(move |path| Some((path, files.at(path)?))))
            }
            None => Box::new(self.files.iter()),
        }
    }

    /// Take these paths out, of either kind.
    pub fn forget(&mut self, paths: &BTreeSet<String>) {
        for path in paths {
            self.files.remove(path);
            if let Some(only) = &mut self.manifest_only {
                only.remove(path);
            }
        }
    }

    /// The settings that are optional texts, by key.
    fn texts(&self) -> [(&'static str, &Option<String>); 6] {
        [
            ("repository_id", &self.repository_id),
            ("endpoint_url", &self.endpoint_url),
            ("region", &self.region),
            ("server_side_encryption", &self.server_side_encryption),
            ("kms_key_id", &self.kms_key_id),
            ("compression", &self.compression),
        ]
    }

    /// The optional text with this key, if the key is one of those of [`Manifest::texts`].
    fn text_mut(&mut self, key: &str) -> Option<&mut Option<String>> {
        Some(match key {
            "repository_id" => &mut self.repository_id,
            "endpoint_url" => &mut self.endpoint_url,
            "region" => &mut self.region,
            "server_side_encryption" => &mut self.server_side_encryption,
            "kms_key_id" => &mut self.kms_key_id,
            "compression" => &mut self.compression,
            _ => return None,
        })
    }
}

/// Why bytes are not a manifest, or a manifest can't become bytes. Lines count from 1.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it; fields are the line, the key or path, and the source")]
pub enum ManifestError {
    #[error("{PATH} holds conflict markers, the first on line {line}: resolve the conflict, then `git add {PATH}`")]
    ConflictMarkers { line: usize },
    #[error("{PATH} begins with a byte order mark: save it as UTF-8 without one")]
    ByteOrderMark,
    #[error("{PATH} is not UTF-8 (line {line})")]
    NotUtf8 { line: usize, source: std::str::Utf8Error },
    #[error("{PATH} is not valid JSON (line {line})")]
    Json { line: usize, source: serde_json::Error },
    #[error("{PATH} must be a JSON object (line {line})")]
    NotAnObject { line: usize },
    #[error("in {PATH}, `{}` must be {expected} (line {line})", Printable(key.as_bytes()))]
    Type { line: usize, key: String, expected: &'static str },
    #[error("{PATH} lacks `{}`", keys.join("` and `"))]
    Missing { keys: Vec<&'static str> },
    /// Also when both values are equal: one rule, and nobody has to know which of the two would win.
    #[error("{PATH} has the key `{}` twice, the second time on line {line}: keep one", Printable(key.as_bytes()))]
    DuplicateKey { line: usize, key: String },
    #[error("{PATH} has the file `{}` twice, the second time on line {line}: keep one", Printable(path.as_bytes()))]
    DuplicateFile { line: usize, path: String },
    #[error("in {PATH}, the hash of `{}` can't be used (line {line})", Printable(path.as_bytes()))]
    BadOid { line: usize, path: String, source: ParseOidError },
    #[error("in {PATH}, a path in `{key}` can't be used (line {line})")]
    BadPath { line: usize, key: &'static str, source: BadPath },
    #[error("in {PATH}, the value of the unknown key `{}` is too large (line {line})", Printable(key.as_bytes()))]
    UnknownTooLarge { line: usize, key: String },
    #[error("{PATH} would have {len} bytes, more than the 256 MiB that are read: set `project` to false in it")]
    TooLargeToWrite { len: usize },
    #[error("{PATH} has format {format}, which this version of s3lfs can't read: install a newer s3lfs")]
    NewerToRead { format: u64, source: Box<ManifestError> },
    #[error("{PATH} has format {format}, which this version of s3lfs never writes: install a newer s3lfs")]
    NewerToWrite { format: u64 },
    /// What could not be read back is not written.
    #[error("a path can't be recorded in {PATH}")]
    UnwritablePath { source: BadPath },
    #[error("can't write {PATH} as JSON")]
    Encode { source: serde_json::Error },
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A linear congruential generator (Knuth's MMIX constants): the same numbers in every run.
    pub(super) struct Random(pub u64);

    impl Random {
        pub fn below(&mut self, n: u64) -> u64 {
            self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (self.0 >> 33) % n
        }

        fn some<T>(&mut self, value: impl Fn(u64) -> T) -> Option<T> {
            let n = self.below(3);
            (n > 0).then(|| value(n))
        }
    }

    /// Few paths, contents and settings, so that two of these often agree and often don't.
    pub(super) fn random_manifest(random: &mut Random) -> Manifest {
        let mut manifest = Manifest::new(format!("b{}", random.below(2)), "p");
        for path in ["a", "b/c", "d e", "é", "f\n", "g"] {
            manifest.files.extend(random.some(|n| (path.to_owned(), Oid::of(&[n as u8]))));
        }
        let paths: Vec<_> = manifest.files.keys().cloned().collect();
        let only = paths.into_iter().filter(|_| random.below(2) == 0).collect();
        manifest.manifest_only = (random.below(4) > 0).then_some(only);
        manifest.project = random.below(2) == 0;
        manifest.region = random.some(|n| n.to_string());
        manifest.format = random.some(|_| 1);
        manifest.unknown.extend(random.some(|n| ("later".to_owned(), Value::from(n))));
        manifest
    }

    #[test]
    fn a_new_manifest_is_not_the_python_tools() {
        let manifest = Manifest::new("b", "p");
        assert_eq!(manifest.manifest_only, Some(BTreeSet::new()), "nothing in it may be guessed to be manifest-only");
        assert!(manifest.project, "projection is the default");
    }

    #[test]
    fn every_optional_text_is_reached_by_its_own_key() {
        let mut manifest = Manifest::new("b", "p");
        for key in Manifest::new("", "").texts().map(|(key, _)| key) {
            *manifest.text_mut(key).unwrap() = Some(key.to_owned());
        }
        for (key, text) in manifest.texts() {
            assert_eq!(text.as_deref(), Some(key), "reading and writing agree on the field of a key");
        }
        assert!(manifest.text_mut("bucket_name").is_none(), "required keys are no optional texts");
    }

    #[test]
    fn files_in_any_order_are_the_same_manifest_and_a_name_that_comes_twice_is_told() {
        let lines: Vec<String> = (0..30).map(|n| format!("\"{n:02}\": \"{}\"", Oid::of(&[n]))).collect();
        let text = |lines: &[String]| {
            format!("{{\"bucket_name\": \"b\", \"repo_prefix\": \"\", \"files\": {{\n{}\n}}}}", lines.join(",\n"))
        };
        let sorted = Manifest::parse(text(&lines).as_bytes()).unwrap();
        assert_eq!(sorted.files.len(), 30);
        let mut random = Random(3);
        for _ in 0..100 {
            let (from, to) = (random.below(30) as usize, random.below(30) as usize);
            let mut moved = lines.clone();
            let line = moved.remove(from);
            moved.insert(to, line);
            assert_eq!(Manifest::parse(text(&moved).as_bytes()).unwrap(), sorted, "{from} to {to}");
            let mut twice = moved;
            twice.insert(to, lines[from].clone());
            let error = Manifest::parse(text(&twice).as_bytes()).unwrap_err();
            let told = matches!(&error, ManifestError::DuplicateFile { line, path } if *line == to + 3 && *path == format!("{from:02}"));
            assert!(told, "{from} once more at {to}: {error}");
        }
    }

    #[test]
    fn manifest_only_means_listed_and_present() {
        let mut manifest = Manifest::new("b", "p");
        manifest.files.insert("a".into(), Oid::of(b"a"));
        manifest.manifest_only = Some(BTreeSet::from(["a".into(), "gone".into()]));
        assert!(manifest.is_manifest_only("a"));
        assert!(!manifest.is_manifest_only("gone"), "a listed path without content means nothing");
        manifest.files.insert("b".into(), Oid::of(b"b"));
        let beside = |manifest: &Manifest| manifest.beside_git().map(|(path, _)| path.clone()).collect::<Vec<_>>();
        assert_eq!(beside(&manifest), ["a"]);
        manifest.manifest_only = None;
        assert_eq!(beside(&manifest), ["a", "b"], "of the Python tool's, Git alone can tell");
    }
}
