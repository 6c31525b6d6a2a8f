//! Which files become pointers: by pattern, by size, or by both.
//!
//! Apart because nothing is rewritten here. Patterns are those of `.gitattributes`, and what they match is asked of Git.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io::BufReader;
use std::process::Stdio;

use bstr::io::BufReadExt;
use bstr::{BString, ByteSlice};

use super::trees::{Dirs, Trees};
use crate::attributes::{AttributesFile, Keeper, PROTECTED, Pattern};
use crate::cli::error::CliError;
use crate::cli::ui;
use crate::fs::PathError;
use crate::git::attr::{self, Source};
use crate::git::history::git;
use crate::git::objects::{self, Look, ObjectId};
use crate::git::reader::Reader;
use crate::git::{Git, GitError};
use crate::pointer::Sniffed;
use crate::repo_path::{Printable, RepoPath};

/// What the user asked for.
#[derive(Debug)]
pub struct Choice {
    /// Files that match one of these; all, if there are none.
    pub include: Vec<Pattern>,
    /// But for those that match one of these.
    pub exclude: Vec<Pattern>,
    /// Files of which at least one version is larger than so many bytes.
    pub above: Option<u64>,
}

/// What that is in a history.
#[derive(Debug, Default)]
pub struct Chosen {
    /// The paths; all versions at each of them become pointers.
    pub paths: BTreeSet<BString>,
    /// Each blob there, with its size.
    pub blobs: BTreeMap<ObjectId, u64>,
    /// How many blobs and bytes there are by kind of file: its extension.
    pub kinds: BTreeMap<BString, (usize, u64)>,
}

impl Choice {
    /// Look through all of the history of `tips`.
    pub fn look(&self, reader: &mut Reader, tips: &[ObjectId]) -> Result<Chosen, CliError> {
        let roots = roots(tips)?;
        let large = match self.above {
            Some(above) => Some(large(tips, above)?),
            None => None,
        };
        let mut paths = BTreeSet::new();
        Trees::new(reader, None).walk(&roots, |path, id| {
            if large.as_ref().is_none_or(|large| large.contains(id)) {
                paths.insert(path.to_owned());
            }
        })?;
        let mut chosen = Chosen { paths: self.matching(paths)?, ..Chosen::default() };
        chosen.paths.retain(|path| match RepoPath::new(path.clone()) {
            Ok(_) => true,
            Err(e) => {
                ui::warn(format!("left as it is: {e}"));
                false
            }
        });
        let dirs = Dirs::of(&chosen.paths);
        let mut blobs: BTreeMap<ObjectId, BString> = BTreeMap::new();
        Trees::new(reader, Some(&dirs)).walk(&roots, |path, id| {
            if chosen.paths.contains(path) {
                blobs.entry(id.to_owned()).or_insert_with(|| kind(path));
            }
        })?;
        let looks = objects::looks(blobs.keys().map(|id| id.as_bstr()))?;
        let is_pointer = |look: &Look| matches!(look, Look::Small(sniffed) if sniffed.pointer().is_some() || *sniffed == Sniffed::Newer);
        blobs.retain(|id, _| !looks.get(id).is_some_and(is_pointer));
        let sizes = objects::sizes(blobs.keys().map(|id| id.as_bstr()))?;
        for (id, kind) in blobs {
            let size = sizes.get(&id).copied().ok_or_else(|| GitError::answer("git cat-file", id.clone()))?;
            if size > 0 {
                let of_kind = chosen.kinds.entry(kind).or_default();
                *of_kind = (of_kind.0 + 1, of_kind.1 + size);
                chosen.blobs.insert(id, size);
            }
        }
        Ok(chosen)
    }

    /// Those of `paths` that the patterns match. Git's own files and the manifest never are.
    fn matching(&self, paths: BTreeSet<BString>) -> Result<BTreeSet<BString>, CliError> {
        let mut lines = Vec::new();
        if self.include.is_empty() {
            lines.extend_from_slice(b"* filter=s3lfs\n");
        }
        for (patterns, word) in [(&self.include, " filter=s3lfs\n"), (&self.exclude, " -filter\n")] {
            for pattern in patterns {
                lines.extend_from_slice(&[pattern.quoted().as_slice(), word.as_bytes()].concat());
            }
        }
        PROTECTED.iter().for_each(|line| lines.extend_from_slice(&[line.as_bytes(), b"\n"].concat()));
        let dir = tempfile::tempdir().map_err(|e| PathError::new("make", "a temporary directory", e))?;
        let index = dir.path().join("index");
        let put = [b"100644 ", objects::write(&lines)?.as_slice(), b" 0\t.gitattributes\0"].concat();
        Git::new(["update-index", "-z", "--index-info"]).env("GIT_INDEX_FILE", &index).input(put).output()?;
        let found = attr::filtered(paths.iter().map(|path| path.as_bstr()), Source::Index(&index))?;
        Ok(paths.into_iter().filter(|path| found.contains(path)).collect())
    }

    /// Write what tracks the chosen files into the attributes of a commit.
    pub fn track(&self, chosen: &Chosen, attributes: &mut AttributesFile) -> Result<(), CliError> {
        if self.above.is_none() {
            for pattern in &self.include {
                attributes.track(pattern);
            }
            for pattern in &self.exclude {
                attributes.give_pattern(pattern, Keeper::Git);
            }
        } else {
            // Other files that match the patterns are not large, and stay Git's.
            for path in &chosen.paths {
                attributes.track(&Pattern::for_file(&RepoPath::new(path.clone())?)?);
            }
        }
        attributes.ensure_protected();
        Ok(())
    }
}

/// A number of bytes as people write it: `500k`, `10MB`, `1GiB`.
pub fn bytes(text: &str) -> Result<u64, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor: Option<u64> = match unit.trim_start().to_ascii_lowercase().as_str() {
        "" | "b" => Some(1),
        "kb" => Some(1000),
        "mb" => Some(1_000_000),
        "gb" => Some(1_000_000_000),
        "tb" => Some(1_000_000_000_000),
        "k" | "kib" => Some(1 << 10),
        "m" | "mib" => Some(1 << 20),
        "g" | "gib" => Some(1 << 30),
        "t" | "tib" => Some(1 << 40),
        _ => None,
    };
    let size = factor.and_then(|factor| number.parse::<u64>().ok()?.checked_mul(factor));
    size.ok_or_else(|| format!("{text:?} is no size, like 500k, 10MB or 1GiB"))
}

/// The trees of all commits, each once.
fn roots(tips: &[ObjectId]) -> Result<BTreeSet<ObjectId>, CliError> {
    let list = git(&["rev-list", "--no-commit-header", "--format=%T", "--stdin"]).input(lines(tips));
    let mut list = list.start(Stdio::null())?;
    let mut roots = BTreeSet::new();
    for line in BufReader::new(list.stdout()).byte_lines() {
        roots.insert(line.map_err(|source| GitError::Local { action: "read from 'git rev-list'", source })?.into());
    }
    list.finish()?;
    Ok(roots)
}

/// The blobs of more than `above` bytes.
fn large(tips: &[ObjectId], above: u64) -> Result<HashSet<ObjectId>, CliError> {
    let mut list =
        git(&["rev-list", "--objects", "--no-object-names", "--stdin"]).input(lines(tips)).start(Stdio::null())?;
    let format = "--batch-check=%(objectname) %(objecttype) %(objectsize)";
    let mut check = git(&["cat-file", "--buffer", format]).start(Stdio::from(list.stdout()))?;
    let mut large = HashSet::new();
    for line in BufReader::new(check.stdout()).byte_lines() {
        let line = line.map_err(|source| GitError::Local { action: "read from 'git cat-file'", source })?;
        match line.split_str(" ").collect::<Vec<_>>()[..] {
            [id, b"blob", size] => {
                if size.to_str().ok().and_then(|size| size.parse::<u64>().ok()).is_some_and(|size| size > above) {
                    large.insert(id.into());
                }
            }
            [_, b"commit" | b"tree" | b"tag", _] => {}
            _ => return Err(GitError::answer("git cat-file --batch-check", line).into()),
        }
    }
    check.finish()?;
    list.finish()?;
    Ok(large)
}

/// Ids, a line each.
pub fn lines(ids: &[ObjectId]) -> Vec<u8> {
    ids.iter().flat_map(|id| [id.as_slice(), b"\n"].concat()).collect()
}

/// `*.psd`, or the name of a file without an extension.
fn kind(path: &bstr::BStr) -> BString {
    let name = path.rsplit_str("/").next().unwrap_or_default();
    let kind = match name.rfind_byte(b'.').filter(|at| *at > 0) {
        Some(at) => [b"*", &name[at..]].concat(),
        None => name.to_vec(),
    };
    Printable(&kind).to_string().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, size) in [("0", 0), ("10MB", 10_000_000), ("500k", 512_000), ("1 GiB", 1 << 30), ("7b", 7)] {
            assert_eq!(bytes(text), Ok(size), "{text}");
        }
        for bad in ["", "MB", "-1", "1.5M", "1x", "99999999999999999999", "99999999999T"] {
            assert!(bytes(bad).is_err(), "{bad:?} is no size");
        }
    }
}
