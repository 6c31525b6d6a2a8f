//! Giving files to Git: attribute lines that cover them, pointers in the index, and in the worktree
//! where nothing stands.
//!
//! Apart because its order is what a kill at any moment is survived by: the attributes first, then the
//! pointer files, then the index. Whatever is done is not done again.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use bstr::{BStr, BString, ByteSlice};

use super::plan::{File, Here, dirs};
use crate::attributes::Pattern;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::tracking::track::{ATTRIBUTES, edit_attributes, stage_attributes};
use crate::fs::{read_committed, replace};
use crate::git::attr::{self, Source};
use crate::git::{index, objects};
use crate::oid::Oid;
use crate::pointer::Pointer;
use crate::python_traces;
use crate::repo_path::RepoPath;
use crate::worktree::write_new;

/// A directory with as many files gets one line, if Git has nothing else in it.
const MANY: usize = 4;

/// Write lines that give `files` to s3lfs, and stage them. Those that another attributes file takes away
/// again are returned.
pub fn track(files: &[File], ignored_dirs: &[BString]) -> Result<HashSet<BString>, CliError> {
    let before = read_committed(ATTRIBUTES.as_ref())?.unwrap_or_default();
    let without = python_traces::gitattributes(&before);
    if without != before {
        replace(ATTRIBUTES.as_ref(), &without)?;
    }
    let paths = || files.iter().map(|file| file.path.as_bstr());
    let covered = attr::filtered(paths(), Source::Worktree)?;
    let open: Vec<&RepoPath> =
        files.iter().map(|file| &file.path).filter(|path| !covered.contains(path.as_bstr())).collect();
    let others: Vec<BString> = index::entries(&[])?.into_iter().map(|entry| entry.path).collect();
    let patterns = patterns(&open, &others, &ignored_dirs.iter().map(|dir| dir.as_bstr()).collect())?;
    if !files.is_empty() {
        edit_attributes(|attributes| {
            for pattern in &patterns {
                attributes.track(pattern);
            }
            attributes.ensure_protected();
        })?;
    }
    // Where there is nothing to do, nothing of the user's is staged either.
    if without != before || !files.is_empty() {
        stage_attributes()?;
    }
    let covered = attr::filtered(paths(), Source::Worktree)?;
    Ok(paths().filter(|path| !covered.contains(*path)).map(BStr::to_owned).collect())
}

/// The lines for `files`: of each, the outermost directory in which Git has nothing of its own, if many
/// are in it or the Python tool had all of it; else the file. `others`: what the index has.
fn patterns(files: &[&RepoPath], others: &[BString], whole: &HashSet<&BStr>) -> Result<BTreeSet<Pattern>, CliError> {
    let mut counts: BTreeMap<&BStr, usize> = BTreeMap::new();
    for file in files {
        dirs(file.as_bstr()).for_each(|dir| *counts.entry(dir).or_default() += 1);
    }
    let shared: HashSet<&BStr> = others.iter().flat_map(|path| dirs(path.as_bstr())).collect();
    let mut patterns = BTreeSet::new();
    for file in files {
        let own = |dir: &&BStr| !shared.contains(dir) && (counts[*dir] >= MANY || whole.contains(*dir));
        patterns.insert(match dirs(file.as_bstr()).find(own) {
            Some(dir) => Pattern::for_dir(&RepoPath::new(dir.to_owned())?)?,
            None => Pattern::for_file(file)?,
        });
    }
    Ok(patterns)
}

/// Put the pointers of `files` into the index, and into the worktree where nothing stands. Files without
/// a pointer among `pointers` are empty ones.
pub fn stage(context: &Context, files: &[&File], pointers: &BTreeMap<Oid, Pointer>) -> Result<(), CliError> {
    let bytes_of = |file: &File| pointers.get(&file.oid).map(Pointer::encode).unwrap_or_default();
    let cache = context.cache();
    for file in files.iter().filter(|file| file.here == Here::Pointer) {
        // What came there meanwhile is the user's, and Git will call it modified.
        write_new(&context.worktree, &cache, &file.path, &bytes_of(file))?;
    }
    let by_oid: BTreeMap<Oid, Vec<u8>> = files.iter().map(|file| (file.oid, bytes_of(file))).collect();
    let (oids, blobs): (Vec<Oid>, Vec<Vec<u8>>) = by_oid.into_iter().unzip();
    let ids: BTreeMap<Oid, BString> = oids.into_iter().zip(objects::write_all(&blobs)?).collect();
    index::put_all(files.iter().map(|file| (file.path.as_bstr(), ids[&file.oid].as_bstr(), file.executable)))?;
    let paths = |here: Here| files.iter().filter(move |file| file.here == here).map(|file| file.path.as_bstr());
    index::leave_out(paths(Here::LeftOut))?;
    index::refresh(paths(Here::Content).chain(paths(Here::Pointer)))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(files: &[&str], others: &[&str], whole: &[&str]) -> Vec<String> {
        let files: Vec<RepoPath> = files.iter().map(|path| RepoPath::new(*path).unwrap()).collect();
        let others: Vec<BString> = others.iter().map(|path| BString::from(*path)).collect();
        let whole = whole.iter().map(|dir| BStr::new(*dir)).collect();
        let patterns = patterns(&files.iter().collect::<Vec<_>>(), &others, &whole).unwrap();
        patterns.iter().map(|pattern| pattern.as_bstr().to_string()).collect()
    }

    #[test]
    fn a_directory_gets_one_line_where_git_has_nothing_of_its_own() {
        let many = ["a/1", "a/2", "a/b/3", "a/b/4"];
        assert_eq!(lines(&many, &["README", "c/x"], &[]), ["a/**"]);
        assert_eq!(lines(&many, &["a/README"], &[]), ["/a/1", "/a/2", "/a/b/3", "/a/b/4"], "Git's own stay Git's");
        assert_eq!(lines(&["a/1", "x"], &[], &["a"]), ["/x", "a/**"], "the Python tool had all of it");
        assert_eq!(lines(&["a/b/1", "a/b/2", "a/b/3", "a/b/4"], &["a/x"], &[]), ["a/b/**"]);
        assert_eq!(lines(&["a/[1]"], &[], &[]), ["/a/\\[1\\]"]);
    }
}
