//! The manifest of the later Python s3lfs (0.2 to 0.6): `.s3_manifest.yaml`, perhaps with its files in shards under
//! `.s3lfs_manifest/`, and that tool's `.s3lfsconfig`.
//!
//! Apart because it is only ever read: what comes out is a [`Manifest`] without `manifest_only`, like one that was read
//! from the Python tool's JSON. Pure: bytes in, manifest out.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, ScalarStyle};

use super::Manifest;
use crate::oid::Oid;
use crate::repo_path::{Printable, RepoPath};

/// Where it is, from the top of the worktree.
pub const PATH: &str = ".s3_manifest.yaml";
/// The directory of its shards: one `<name>.yaml` for each directory at the top of the worktree.
pub const SHARDS: &str = ".s3lfs_manifest";
/// Settings that were shared by a commit.
pub const CONFIG: &str = ".s3lfsconfig";
/// What the tool took for a `repo_prefix` that is not there.
const DEFAULT_PREFIX: &str = "s3lfs";
/// Its files are flat; whatever is deeper than this is not one of them.
const MAX_DEPTH: usize = 8;

/// A file of the Python tool that can't be read.
#[derive(Debug, thiserror::Error)]
#[error("{file} can't be read (line {line}): {why}")]
pub struct YamlError {
    file: String,
    line: usize,
    why: String,
}

/// One of its files: name and bytes.
pub type File<'a> = (&'a str, &'a [u8]);

/// Put the manifest together from its root, its shards, and the shared settings if there are any.
pub fn parse(root: &[u8], shards: &[File<'_>], config: Option<&[u8]>) -> Result<Manifest, YamlError> {
    let mut manifest = Manifest::new("", DEFAULT_PREFIX);
    manifest.manifest_only = None;
    for entry in top(PATH, root)? {
        let Entry { key, value, line } = entry;
        match (key.as_str(), value) {
            ("bucket_name", Node::Text(text)) => manifest.bucket_name = text,
            ("repo_prefix", Node::Text(text)) => manifest.repo_prefix = text,
            ("endpoint_url", Node::Text(text)) => manifest.endpoint_url = Some(text),
            ("files", Node::Map(entries)) => add_files(PATH, &mut manifest, entries)?,
            ("bucket_name" | "files", Node::Other) => {
                return Err(wrong(PATH, line, format!("`{key}` has no such value")));
            }
            _ => {}
        }
    }
    if manifest.bucket_name.is_empty() {
        return Err(wrong(PATH, 1, "it names no bucket".to_owned()));
    }
    for (name, bytes) in shards {
        add_files(name, &mut manifest, top(name, bytes)?)?;
    }
    for Entry { key, value, .. } in config.map_or(Ok(Vec::new()), |bytes| top(CONFIG, bytes))? {
        match (key.as_str(), value) {
            ("endpoint_url", Node::Text(text)) => drop(manifest.endpoint_url.get_or_insert(text)),
            ("encryption", Node::Text(text)) if text.eq_ignore_ascii_case("false") => {
                manifest.server_side_encryption = Some("none".to_owned());
            }
            _ => {}
        }
    }
    Ok(manifest)
}

/// Whether a path is that of the root, or of a shard.
pub fn is_part(path: &[u8]) -> bool {
    let shard = path.strip_prefix(SHARDS.as_bytes()).and_then(|rest| rest.strip_prefix(b"/"));
    path == PATH.as_bytes() || shard.is_some_and(|name| name.ends_with(b".yaml") && !name.contains(&b'/'))
}

/// What one of its files names by itself, the root or a shard: a history may have changed only that one.
pub fn named_in(bytes: &[u8]) -> Result<BTreeMap<String, Oid>, YamlError> {
    let (mut files, mut beside) = (Vec::new(), Vec::new());
    for entry in top(PATH, bytes)? {
        match entry.value {
            Node::Map(entries) if entry.key == "files" => files.extend(entries),
            _ => beside.push(entry),
        }
    }
    let named = files.into_iter().chain(beside).filter_map(|Entry { key, value, .. }| match value {
        Node::Text(hex) => Some((key, hex.parse().ok()?)),
        Node::Map(_) | Node::Other => None,
    });
    Ok(named.collect())
}

fn add_files(file: &str, manifest: &mut Manifest, entries: Vec<Entry>) -> Result<(), YamlError> {
    for Entry { key, value, line } in entries {
        let name = || Printable(key.as_bytes()).to_string();
        RepoPath::new(key.as_str()).map_err(|e| wrong(file, line, e.to_string()))?;
        let oid = match &value {
            Node::Text(hex) => hex.parse().ok(),
            Node::Map(_) | Node::Other => None,
        };
        let Some(oid) = oid else { return Err(wrong(file, line, format!("the hash of `{}` is none", name()))) };
        if manifest.files.insert(key.clone(), oid).is_some_and(|other| other != oid) {
            return Err(wrong(file, line, format!("`{}` is there twice, with two hashes", name())));
        }
    }
    Ok(())
}

fn wrong(file: &str, line: usize, why: String) -> YamlError {
    YamlError { file: file.to_owned(), line, why }
}

/// A value, as far as that tool writes them.
enum Node {
    Text(String),
    Map(Vec<Entry>),
    /// null, a list, an alias.
    Other,
}

struct Entry {
    key: String,
    value: Node,
    line: usize,
}

/// The mapping that a file is; an empty file is an empty one.
fn top(file: &str, bytes: &[u8]) -> Result<Vec<Entry>, YamlError> {
    let text = std::str::from_utf8(bytes).map_err(|_| wrong(file, 1, "it is not UTF-8".to_owned()))?;
    let mut events = Events { file, parser: Parser::new_from_str(text), line: 1 };
    loop {
        match events.next()? {
            Event::StreamStart | Event::DocumentStart(_) | Event::Nothing => {}
            Event::MappingStart(..) => return events.map(0),
            Event::StreamEnd | Event::DocumentEnd => return Ok(Vec::new()),
            Event::Scalar(text, ScalarStyle::Plain, ..) if is_null(&text) => {}
            _ => return Err(events.wrong("it is no mapping")),
        }
    }
}

fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

struct Events<'a> {
    file: &'a str,
    parser: Parser<'a, saphyr_parser::StrInput<'a>>,
    line: usize,
}

impl<'a> Events<'a> {
    fn next(&mut self) -> Result<Event<'a>, YamlError> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => {
                self.line = span.start.line();
                Ok(event)
            }
            Some(Err(e)) => Err(wrong(self.file, e.marker().line(), e.info().to_owned())),
            None => Ok(Event::StreamEnd),
        }
    }

    fn wrong(&self, why: &str) -> YamlError {
        wrong(self.file, self.line, why.to_owned())
    }

    /// What is left of a mapping.
    fn map(&mut self, depth: usize) -> Result<Vec<Entry>, YamlError> {
        let mut entries = Vec::new();
        let mut seen = BTreeMap::new();
        loop {
            let key = match self.next()? {
                Event::MappingEnd => return Ok(entries),
                Event::Scalar(text, ..) => text.into_owned(),
                _ => return Err(self.wrong("a key is no text")),
            };
            let line = self.line;
            if seen.insert(key.clone(), line).is_some() {
                return Err(self.wrong(&format!("`{}` is there twice", Printable(key.as_bytes()))));
            }
            let first = self.next()?;
            entries.push(Entry { key, value: self.value(first, depth + 1)?, line });
        }
    }

    fn value(&mut self, first: Event<'a>, depth: usize) -> Result<Node, YamlError> {
        if depth > MAX_DEPTH {
            return Err(self.wrong("it is nested too deeply"));
        }
        match first {
            Event::Scalar(text, ScalarStyle::Plain, ..) if is_null(&text) => Ok(Node::Other),
            Event::Scalar(text, ..) => Ok(Node::Text(text.into_owned())),
            Event::MappingStart(..) => Ok(Node::Map(self.map(depth)?)),
            Event::SequenceStart(..) => loop {
                match self.next()? {
                    Event::SequenceEnd => return Ok(Node::Other),
                    item => drop(self.value(item, depth + 1)?),
                }
            },
            Event::Alias(_) => Ok(Node::Other),
            _ => Err(self.wrong("it ends in the middle")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &[u8] = include_bytes!("../../fixtures/python-s3lfs/0.6.3/.s3_manifest.yaml");
    const SHARD: &[u8] = include_bytes!("../../fixtures/python-s3lfs/0.6.3/.s3lfs_manifest/assets.yaml");
    const SEED: &[u8] = include_bytes!("../../fixtures/manifests/python-seed.json");

    #[test]
    fn the_last_versions_manifest_says_what_the_first_ones_does() {
        let manifest = parse(ROOT, &[("assets.yaml", SHARD)], None).unwrap();
        let seed = Manifest::parse(SEED).unwrap();
        assert_eq!(manifest.files, seed.files, "shards hold the files, with their escapes");
        assert_eq!((manifest.bucket_name.as_str(), manifest.repo_prefix.as_str()), ("newb", "proj"));
        assert_eq!(manifest.endpoint_url.as_deref(), Some("http://127.0.0.1:9000"));
        assert_eq!(manifest.manifest_only, None, "only Git can tell which of its paths are manifest-only");
    }

    #[test]
    fn each_of_its_files_names_what_is_in_it() {
        let seed = Manifest::parse(SEED).unwrap().files;
        assert_eq!(named_in(SHARD).unwrap(), seed, "a shard without its root");
        assert!(named_in(ROOT).unwrap().is_empty() && named_in(b"{}\n").unwrap().is_empty());
        let hex = Oid::of(b"abc").hex();
        let whole = format!("bucket_name: b-b\nfiles:\n  x: {hex}\n");
        assert_eq!(named_in(whole.as_bytes()).unwrap(), BTreeMap::from([("x".to_owned(), Oid::of(b"abc"))]));
        for path in [".s3_manifest.yaml", ".s3lfs_manifest/assets.yaml"] {
            assert!(is_part(path.as_bytes()), "{path}");
        }
        for path in ["x/.s3_manifest.yaml", ".s3lfs_manifest/a", ".s3lfs_manifest/a/b.yaml", ".s3lfs_manifest.yaml"] {
            assert!(!is_part(path.as_bytes()), "{path}");
        }
    }

    #[test]
    fn one_file_with_all_that_pyyaml_writes() {
        let hex = Oid::of(b"abc").hex();
        let long = "d/".repeat(70) + "x";
        let text = format!(
            "bucket_name: b-b\nendpoint_url: null\nfiles:\n  'it''s #1': {hex}\n  ? {long}\n  : {hex}\n  ? \"a\\\n    \\ b\"\n  : '{hex}'\nlist:\n- 1\n- {{a: b}}\n"
        );
        let config = b"encryption: false\nendpoint_url: https://minio.example\nworkers: 4\n";
        let manifest = parse(text.as_bytes(), &[], Some(config)).unwrap();
        let paths: Vec<&str> = manifest.files.keys().map(String::as_str).collect();
        assert_eq!(paths, ["a b", &long, "it's #1"], "quotes, long keys and folded lines");
        assert_eq!(manifest.repo_prefix, "s3lfs", "the tool's default");
        assert_eq!(manifest.endpoint_url.as_deref(), Some("https://minio.example"), "null is none");
        assert_eq!(manifest.server_side_encryption.as_deref(), Some("none"));
        assert!(parse(b"bucket_name: bbb\n", &[("x.yaml", b""), ("y.yaml", b"{}\n")], None).unwrap().files.is_empty());
    }

    #[test]
    fn what_can_not_be_meant_is_refused_with_file_and_line() {
        let hex = Oid::of(b"abc").hex();
        for (shard, expected) in [
            (format!("a: {hex}\n../b: {hex}\n"), "line 2"),
            ("a: 12\n".to_owned(), "the hash of `a`"),
            (format!("a: {hex}\na: {hex}\n"), "twice"),
            ("<<<<<<< HEAD\n".to_owned(), "no mapping"),
            ("a: [".to_owned(), "line"),
            ("[[[[[[[[[[[[[[[[".to_owned(), "no mapping"),
            (format!("a: {}", "[".repeat(20)), "nested"),
        ] {
            let error = parse(ROOT, &[("s.yaml", shard.as_bytes())], None).unwrap_err().to_string();
            assert!(error.contains("s.yaml") && error.contains(expected), "{shard:?}: {error}");
        }
        let other = parse(
            ROOT,
            &[("one", format!("a: {hex}").as_bytes()), ("two", format!("a: {}", "0".repeat(64)).as_bytes())],
            None,
        );
        assert!(other.unwrap_err().to_string().contains("two hashes"));
        assert!(parse(b"repo_prefix: p\n", &[], None).unwrap_err().to_string().contains("bucket"));
    }
}
