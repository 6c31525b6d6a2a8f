//! Blobs by their Git object ids: which of them are pointers.
//!
//! Apart because reading many blobs has one right way: sizes first, and only what is small enough to
//! be a pointer is read.

use std::collections::HashMap;
use std::io::{self, BufReader, Read};
use std::process::Stdio;

use bstr::{BStr, BString, ByteSlice};

use super::batch::Batch;
use super::remembered::Remembered;
use super::{Git, GitError};
use crate::fs::{MAX_COMMITTED, temp_dir};
use crate::pointer::{Form, MAX_POINTER_LEN, Pointer, Sniffed, lfs, sniff};

/// Blobs that one child is asked for: what it answers is held in memory.
const AT_ONCE: usize = 50_000;

/// A Git object id in hex: 40 or 64 digits.
pub type ObjectId = BString;

/// What a blob is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BlobKind {
    /// A pointer, in any form that smudge accepts.
    Pointer(Pointer),
    /// No byte at all.
    Empty,
    /// Content that stands in Git itself.
    Raw,
    /// Under the filter of git-lfs alone: a pointer to what programs of the user's turn into the file's content.
    Extended,
    /// It is not here, or can't be read.
    Missing,
}

impl BlobKind {
    /// The pointer, if it is one.
    pub fn pointer(&self) -> Option<Pointer> {
        match self {
            BlobKind::Pointer(pointer) => Some(*pointer),
            BlobKind::Empty | BlobKind::Raw | BlobKind::Extended | BlobKind::Missing => None,
        }
    }
}

/// What a blob is, in every shade.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Look {
    /// It is not here, or can't be read.
    Missing,
    /// No byte at all.
    Empty,
    /// Too long to be a pointer.
    Large,
    /// Below [`MAX_POINTER_LEN`], and what that is.
    Small(Sniffed),
}

impl Look {
    /// In fewer words.
    pub fn kind(self) -> BlobKind {
        match self {
            Look::Missing => BlobKind::Missing,
            Look::Empty => BlobKind::Empty,
            Look::Large => BlobKind::Raw,
            Look::Small(sniffed) => sniffed.pointer().map_or(BlobKind::Raw, BlobKind::Pointer),
        }
    }
}

/// Look at each blob once. Missing ones are not fetched from a promisor remote.
pub fn kinds<'a>(ids: impl IntoIterator<Item = &'a BStr>) -> Result<HashMap<ObjectId, BlobKind>, GitError> {
    Ok(looks(ids)?.into_iter().map(|(id, look)| (id, look.kind())).collect())
}

/// As [`kinds`], in the order of `ids`.
pub fn kinds_of(ids: &[&BStr]) -> Result<Vec<BlobKind>, GitError> {
    Ok(looks_of(ids)?.into_iter().map(Look::kind).collect())
}

/// As [`kinds_of`], of what stands under the filter of git-lfs, which takes more for a pointer than its canonical form.
pub fn kinds_for_lfs(ids: &[&BStr]) -> Result<Vec<BlobKind>, GitError> {
    for_lfs(ids, looks_of(ids)?)
}

/// Looks at so many blobs that they come in parts: what is known of them is read and written once.
#[derive(Debug)]
pub struct Looker(Remembered);

impl Looker {
    /// For so many.
    pub fn for_many(blobs: usize) -> Self {
        Looker(Remembered::for_many(blobs))
    }

    /// What some of them are, under the filter of this form, in the order of `ids`.
    pub fn kinds_of(&mut self, form: Form, ids: &[&BStr]) -> Result<Vec<BlobKind>, GitError> {
        let looks = looks_by(&mut self.0, ids)?;
        match form {
            Form::Ours => Ok(looks.into_iter().map(Look::kind).collect()),
            Form::Lfs => for_lfs(ids, looks),
        }
    }

    /// As [`looks_of`], of some of them.
    pub fn looks_of(&mut self, ids: &[&BStr]) -> Result<Vec<Look>, GitError> {
        looks_by(&mut self.0, ids)
    }

    /// Those were all.
    pub fn keep(self) {
        self.0.keep();
    }
}

fn for_lfs(ids: &[&BStr], looks: Vec<Look>) -> Result<Vec<BlobKind>, GitError> {
    let mut batch = None;
    let mut kinds = Vec::with_capacity(ids.len());
    for (id, look) in ids.iter().zip(looks) {
        let Look::Small(sniffed) = look else {
            kinds.push(look.kind());
            continue;
        };
        if let Some(pointer) = sniffed.pointer() {
            kinds.push(BlobKind::Pointer(pointer));
            continue;
        }
        let batch = match &mut batch {
            Some(batch) => batch,
            None => batch.insert(Batch::start()?),
        };
        kinds.push(match batch.blob(id)?.map(|blob| lfs::read(&blob)) {
            Some(lfs::Read::Pointer(pointer)) => BlobKind::Pointer(pointer),
            Some(lfs::Read::Extended(_)) => BlobKind::Extended,
            Some(lfs::Read::Other) => BlobKind::Raw,
            None => BlobKind::Missing,
        });
    }
    Ok(kinds)
}

/// As [`kinds`], telling apart what is no pointer.
pub fn looks<'a>(ids: impl IntoIterator<Item = &'a BStr>) -> Result<HashMap<ObjectId, Look>, GitError> {
    let mut ids: Vec<&BStr> = ids.into_iter().collect();
    ids.sort_unstable();
    ids.dedup();
    let looks = looks_of(&ids)?;
    Ok(ids.into_iter().map(BStr::to_owned).zip(looks).collect())
}

/// As [`looks`], in the order of `ids`.
pub fn looks_of(ids: &[&BStr]) -> Result<Vec<Look>, GitError> {
    let mut remembered = Remembered::for_many(ids.len());
    let looks = looks_by(&mut remembered, ids)?;
    remembered.keep();
    Ok(looks)
}

fn looks_by(remembered: &mut Remembered, ids: &[&BStr]) -> Result<Vec<Look>, GitError> {
    let mut looks = vec![Look::Missing; ids.len()];
    let mut unknown = Vec::new();
    for (at, id) in ids.iter().enumerate() {
        match remembered.pointer(id) {
            Some(pointer) => looks[at] = Look::Small(Sniffed::Ours(pointer)),
            None => unknown.push(at),
        }
    }
    let mut asked: Vec<&BStr> = unknown.iter().map(|&at| ids[at]).collect();
    asked.sort_unstable();
    asked.dedup();
    let mut seen = Vec::with_capacity(asked.len());
    for some in asked.chunks(AT_ONCE) {
        look_at(some, &mut seen)?;
    }
    for at in unknown {
        looks[at] = asked.binary_search(&ids[at]).map_or(Look::Missing, |asked| seen[asked]);
    }
    for (id, look) in asked.iter().zip(&seen) {
        if let Look::Small(Sniffed::Ours(pointer)) = look {
            remembered.learn(id, pointer);
        }
    }
    Ok(looks)
}

/// The length of each blob in bytes. Missing ones have none, and are not fetched from a promisor remote.
pub fn sizes<'a>(ids: impl IntoIterator<Item = &'a BStr>) -> Result<HashMap<ObjectId, u64>, GitError> {
    let ids: Vec<&BStr> = ids.into_iter().collect();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let git = Git::new(["cat-file", "--buffer", "--batch-check=%(objectsize)"]).env("GIT_NO_LAZY_FETCH", "1");
    let answer = git.input(ids.iter().flat_map(|id| [id.as_bytes(), b"\n"].concat()).collect()).output()?;
    let known = ids.iter().zip(answer.lines());
    Ok(known.filter_map(|(id, line)| Some(((*id).to_owned(), line.to_str().ok()?.parse().ok()?))).collect())
}

/// As [`kinds`], of a command that may use the network: what a partial clone left out is fetched first.
pub fn kinds_fetching<'a>(
    ids: impl IntoIterator<Item = &'a BStr> + Clone,
) -> Result<HashMap<ObjectId, BlobKind>, GitError> {
    let found = kinds(ids.clone())?;
    let absent: Vec<&BStr> =
        found.iter().filter(|(_, kind)| **kind == BlobKind::Missing).map(|(id, _)| id.as_bstr()).collect();
    if absent.is_empty() {
        return Ok(found);
    }
    fetch_promised(absent)?;
    kinds(ids)
}

/// The remotes that promise to give what a partial clone left out.
pub fn promisors() -> Result<Vec<BString>, GitError> {
    let set = Git::new(["config", "--type=bool", "-z", "--get-regexp", r"^remote\..*\.promisor$"]).run()?;
    let names = super::nul_separated(&set.stdout)
        .filter_map(|entry| entry.strip_suffix(b"\ntrue"))
        .filter_map(|key| key.strip_prefix(b"remote.")?.strip_suffix(b".promisor"))
        .map(BString::from);
    Ok(names.collect())
}

/// Bring blobs from the promisor remotes of a partial clone, in one request each (as Git does for a
/// checkout; promisor-remote.c, fetch_objects); nothing happens in any other clone.
pub fn fetch_promised<'a>(ids: impl IntoIterator<Item = &'a BStr>) -> Result<(), GitError> {
    let names = promisors()?;
    if names.is_empty() {
        return Ok(());
    }
    let input: Vec<u8> = ids.into_iter().flat_map(|id| [id.as_bytes(), b"\n"].concat()).collect();
    // Asked for nothing, Git would fetch whatever the remote's refspec says, and move refs.
    if input.is_empty() {
        return Ok(());
    }
    for name in names {
        let fetch =
            Git::new(["-c", "fetch.negotiationAlgorithm=noop", "-c", "gc.auto=0", "-c", "maintenance.auto=false"])
                .args(["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules"])
                .args(["--filter=blob:none", "--stdin", &name.to_str_lossy()]);
        // What could not be had is missed by whoever asked for it.
        fetch.input(input.clone()).run()?;
    }
    Ok(())
}

/// What each of `ids` is goes to the end of `looks`.
fn look_at(ids: &[&BStr], looks: &mut Vec<Look>) -> Result<(), GitError> {
    tracing::debug!("{} blobs to look at", ids.len());
    let batch = |mode: &str, ids: &[&BStr]| {
        let git = Git::new(["cat-file", "--buffer", mode]).env("GIT_NO_LAZY_FETCH", "1");
        git.input(ids.iter().flat_map(|id| [id.as_bytes(), b"\n"].concat()).collect()).output()
    };
    let (mut small, mut places) = (Vec::new(), Vec::new());
    let checked = batch("--batch-check=%(objectsize)", ids)?;
    let first = looks.len();
    looks.resize(first + ids.len(), Look::Missing);
    for (at, line) in checked.lines().take(ids.len()).enumerate() {
        looks[first + at] = match line.to_str().ok().and_then(|text| text.parse::<usize>().ok()) {
            None => Look::Missing,
            Some(0) => Look::Empty,
            Some(size) if size < MAX_POINTER_LEN => {
                small.push(ids[at]);
                places.push(first + at);
                continue;
            }
            Some(_) => Look::Large,
        };
    }
    if small.is_empty() {
        return Ok(());
    }
    let contents = batch("--batch=%(objectsize)", &small)?;
    let mut rest = contents.as_slice();
    for at in places {
        let (header, after) = rest.split_once_str(b"\n").ok_or_else(|| short(rest))?;
        let size = header.to_str().ok().and_then(|text| text.parse::<usize>().ok());
        let Some(size) = size else {
            rest = after;
            continue;
        };
        let (blob, after) = after.split_at_checked(size).ok_or_else(|| short(rest))?;
        looks[at] = Look::Small(sniff(blob));
        rest = after.strip_prefix(b"\n").ok_or_else(|| short(after))?;
    }
    Ok(())
}

fn short(rest: &[u8]) -> GitError {
    GitError::answer("git cat-file --batch", &rest[..rest.len().min(80)])
}

/// The bytes of one blob named by an expression like `:0:path` or `HEAD:path`; `None` where there is none. A commit
/// may bring a blob of any size: what is larger than [`MAX_COMMITTED`] is not read.
pub fn read(expression: &BStr) -> Result<Option<Vec<u8>>, GitError> {
    use std::io::BufRead;

    let git = Git::new(["cat-file", "--batch=%(objecttype) %(objectsize)"]).env("GIT_NO_LAZY_FETCH", "1");
    let mut running = git.input([expression.as_bytes(), b"\n"].concat()).start(Stdio::null())?;
    let mut answer = BufReader::new(running.stdout());
    let pipe = |source| GitError::Local { action: "read from 'git cat-file'", source };
    let mut header = Vec::new();
    answer.by_ref().take(1 << 16).read_until(b'\n', &mut header).map_err(pipe)?;
    let size = header.trim_end().strip_prefix(b"blob ").and_then(|size| size.to_str().ok()?.parse::<u64>().ok());
    let Some(size) = size else {
        // Another object, or none: what is said of it is not wanted.
        io::copy(&mut answer, &mut io::sink()).map_err(pipe)?;
        running.finish()?;
        return Ok(None);
    };
    if size > MAX_COMMITTED {
        drop(answer);
        // Its pipe is gone, and so it ends.
        let _ = running.finish();
        return Err(GitError::TooLarge { object: expression.to_owned(), size });
    }
    let mut blob = Vec::with_capacity(size as usize + 1);
    answer.read_to_end(&mut blob).map_err(pipe)?;
    running.finish()?;
    blob.truncate(size as usize);
    Ok((blob.len() as u64 == size).then_some(blob))
}

/// Write many blobs into Git's object store; their ids, in order.
pub fn write_all(blobs: &[Vec<u8>]) -> Result<Vec<ObjectId>, GitError> {
    if blobs.is_empty() {
        return Ok(Vec::new());
    }
    // Only from files does one child take many.
    let failed = |source| GitError::Local { action: "write temporary files for 'git hash-object'", source };
    let dir = temp_dir().map_err(failed)?;
    let mut names = Vec::new();
    for (number, blob) in blobs.iter().enumerate() {
        let path = dir.path().join(number.to_string());
        std::fs::write(&path, blob).map_err(failed)?;
        names.extend_from_slice(path.as_os_str().as_encoded_bytes());
        names.push(b'\n');
    }
    let ids = Git::new(["hash-object", "-w", "--no-filters", "--stdin-paths"]).input(names).output()?;
    let ids: Vec<ObjectId> = ids.lines().map(ObjectId::from).collect();
    if ids.len() == blobs.len() { Ok(ids) } else { Err(short(b"git hash-object --stdin-paths")) }
}

/// Write a blob into Git's object store.
pub fn write(bytes: &[u8]) -> Result<ObjectId, GitError> {
    let id = Git::new(["hash-object", "-w", "--stdin", "--no-filters"]).input(bytes.to_vec()).output()?;
    Ok(id.trim().into())
}
