//! Receiving: the bytes of an object, decoded and hashed, into the cache.
//!
//! Apart because it is where a wrong byte of a store must stop (design.md, invariant 3), whichever
//! layout it came from.

use std::cmp::Ordering;
use std::io::{self, BufRead, Read, Seek, Write};

use super::behind::Failed;
use super::filling::Filling;
use super::twin::Twin;
use super::{Engine, Item, TransferError};
use crate::cache::{CacheError, Staged};
use crate::error::chain;
use crate::fs::{PathContext, PathError};
use crate::oid::{HashingWriter, Oid, OidHasher};
use crate::store::codec::{DecodeError, MARK_LEN, Mark, decode, mark};
use crate::store::legacy::LegacyObject;
use crate::store::{Key, Store};

/// Bytes in a store that may be the content asked for.
#[derive(Clone)]
pub(super) struct Candidate {
    /// Where they are.
    pub store: Store,
    /// One object, or chunks in the order in which they are joined.
    pub keys: Vec<Key>,
    /// Bytes of all of them, where that is known before reading.
    pub len: Option<u64>,
    form: Form,
}

/// What tells how the bytes encode the content (design.md, section 3).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Their first bytes.
    Marked,
    /// The Python tool's key: they are the content, whatever they begin with.
    Raw,
    /// Its key ends in `.gz`: gzip of a path, or a path that ends so.
    GzipOrRaw,
}

impl Candidate {
    /// The object at our key.
    pub(super) fn ours(store: &Store, oid: &Oid) -> Self {
        Candidate { store: store.clone(), keys: vec![store.key(oid)], len: None, form: Form::Marked }
    }

    /// An object of the Python tool.
    pub(super) fn legacy(store: &Store, object: LegacyObject) -> Self {
        let form = if object.may_be_gzip() { Form::GzipOrRaw } else { Form::Raw };
        let len = Some(object.len());
        Candidate { store: store.clone(), keys: object.parts.into_iter().map(|part| part.key).collect(), len, form }
    }

    /// Bytes of all its chunks, where there are several.
    pub(super) fn joined_len(&self) -> Option<u64> {
        self.len.filter(|_| self.keys.len() > 1)
    }

    /// Whether the lengths alone rule it out.
    pub(super) fn is_too_long_or_short(&self, item: Item) -> bool {
        self.form == Form::Raw && item.size.is_some_and(|size| self.len.is_some_and(|len| len != size))
    }

    /// Whether so many bytes can't be the content, however they are encoded: what would not end is not
    /// read. Gzip adds little to what it can't compress, and no service holds an object of 50 TiB.
    pub(super) fn is_absurd(&self, item: Item, len: u64) -> bool {
        const MOST: u64 = 50 << 40;
        len > item.size.map_or(MOST, |size| size.saturating_mul(2).saturating_add(1 << 20))
    }

    /// The error of bytes that are not the content.
    pub(super) fn wrong_content(&self, why: impl Into<String>) -> TransferError {
        let key = self.keys.first().map(Key::to_string).unwrap_or_default();
        TransferError::WrongContent { key, store: self.store.remote().to_string(), why: why.into() }
    }

    /// The error of bytes that are the content, of a pointer that names another size.
    fn wrong_size(&self, named: u64, right: u64) -> TransferError {
        let key = self.keys.first().map(Key::to_string).unwrap_or_default();
        TransferError::WrongSize { key, store: self.store.remote().to_string(), named, right }
    }

    /// The error of an object that is not read, since it has so many bytes.
    pub(super) fn absurd(&self, item: Item, len: u64) -> TransferError {
        let or = if item.size.is_some() {
            ", unless the pointer's size line is wrong ('s3lfs verify --deep' tells)"
        } else {
            ""
        };
        self.wrong_content(format!("{len} bytes can't be its encoding{or}"))
    }
}

/// Decode the `len` bytes of a candidate into the cache.
pub(super) fn receive(
    engine: &Engine,
    from: &Candidate,
    item: Item,
    len: u64,
    mut bytes: impl Read,
) -> Result<(), TransferError> {
    let may_be_content = item.size.is_none_or(|size| size == len);
    match from.form {
        Form::Marked => {
            let mut head = Vec::new();
            let read = bytes.by_ref().take(MARK_LEN as u64).read_to_end(&mut head);
            read.map_err(|e| from.wrong_content(e.to_string()))?;
            let ambiguous = mark(&head) != Mark::Content && may_be_content;
            let object = Read::chain(io::Cursor::new(head), bytes);
            if ambiguous {
                receive_ambiguous(engine, from, item, len, object)
            } else {
                decoded(engine, from, item, object)
            }
        }
        Form::GzipOrRaw if may_be_content => receive_ambiguous(engine, from, item, len, bytes),
        Form::GzipOrRaw => decoded(engine, from, item, bytes),
        Form::Raw => {
            let mut staged = engine.cache.stage();
            copy(&mut bytes, &mut staged, item.size.unwrap_or(len)).map_err(|e| undecodable(engine, from, e))?;
            commit(from, item, staged)
        }
    }
}

/// As [`receive`], of an object that is being filled. Its bytes stay when not all of them came, or could not be
/// decoded here; they are of no more use when they are the content, or no content, or decoded.
pub(super) fn receive_filling(
    engine: &Engine,
    from: &Candidate,
    item: Item,
    filling: &Filling,
) -> Result<(), TransferError> {
    let mut bytes = filling.reader();
    let mut head = Vec::new();
    let read = bytes.by_ref().take(MARK_LEN as u64).read_to_end(&mut head);
    let is_content = match from.form {
        Form::Marked => mark(&head) == Mark::Content,
        Form::Raw => true,
        Form::GzipOrRaw => false,
    };
    let mut hasher = is_content.then(OidHasher::new);
    let mut twin = None;
    let received = match (read, &mut hasher) {
        (Err(e), _) => Err(from.wrong_content(e.to_string())),
        (Ok(_), Some(hasher)) => {
            twin = Twin::begin(engine, item, filling.len());
            let object = io::Cursor::new(head).chain(&mut bytes);
            hash_all(object, hasher, &mut twin).map_err(|e| from.wrong_content(e.to_string()))
        }
        (Ok(_), None) => receive(engine, from, item, filling.len(), io::Cursor::new(head).chain(&mut bytes)),
    };
    match bytes.failed() {
        Some(Failed::Unreadable(e)) => {
            filling.take_no_more();
            return Err(e.into());
        }
        // What is here is a part, and the rest may still come.
        Some(Failed::Early) => return received.and_then(|()| Err(from.wrong_content("it ends early"))),
        None => {}
    }
    let whole = filling.is_whole();
    match (filling.take(), hasher) {
        (Some(partial), Some(hasher)) if whole => {
            let file = partial.move_to(engine.cache.temp_file()?)?;
            commit(from, item, engine.cache.stage_file(file, hasher))?;
            twin.into_iter().for_each(Twin::whole);
            Ok(())
        }
        // This machine's disk did not take what was decoded: the object need not be fetched again.
        (Some(_), _) if matches!(received, Err(TransferError::Cache(_))) => received,
        (Some(partial), _) => {
            partial.discard();
            received
        }
        (None, _) => received,
    }
}

fn hash_all(mut bytes: impl BufRead, hasher: &mut OidHasher, twin: &mut Option<Twin<'_>>) -> io::Result<()> {
    loop {
        let piece = match bytes.fill_buf()? {
            [] => return Ok(()),
            // What was just hashed is near at hand for the twin.
            bytes => &bytes[..bytes.len().min(256 << 10)],
        };
        hasher.update(piece);
        *twin = twin.take().and_then(|twin| twin.write(piece));
        let n = piece.len();
        bytes.consume(n);
    }
}

fn decoded(engine: &Engine, from: &Candidate, item: Item, object: impl Read) -> Result<(), TransferError> {
    let _span = tracing::debug_span!("object", title = "decode and hash", oid = %item.oid);
    let size = item.size.unwrap_or(u64::MAX);
    let mut within = Within { size, at: At::Content(engine.cache.stage()) };
    // Without a known length, the hash alone has to do: there is no bound to stop at.
    let judged = decode(object, &mut within, size.saturating_add(LOOKED_ON));
    let error = match (judged, item.size) {
        (Ok(()) | Err(DecodeError::TooShort { .. }), None) => None,
        (Ok(()) | Err(DecodeError::TooShort { .. }), Some(size)) => {
            let decoded = within.at.len();
            match decoded.cmp(&size) {
                Ordering::Less => Some(DecodeError::TooShort { size, decoded }),
                Ordering::Equal => None,
                Ordering::Greater => Some(DecodeError::TooLong { size }),
            }
        }
        (Err(DecodeError::TooLong { .. }), Some(size)) => {
            return Err(undecodable(engine, from, DecodeError::TooLong { size }));
        }
        (Err(e), _) => return Err(undecodable(engine, from, e)),
    };
    match (error, within.at) {
        (None, At::Content(staged)) => commit(from, item, staged),
        (error, at) => {
            let (oid, right) = at.into_hasher().finish();
            match (item.size, error) {
                (Some(named), _) if oid == item.oid => Err(from.wrong_size(named, right)),
                (_, Some(e)) => Err(undecodable(engine, from, e)),
                (_, None) => Err(from.wrong_content("its content is longer than any")),
            }
        }
    }
}

/// So many bytes beyond the pointer's size are hashed, and not kept, to tell a pointer that names a wrong size from an
/// object that is other content. What goes on longer may not end at all.
const LOOKED_ON: u64 = 64 << 20;

/// Content on its way into the cache, as much of it as the pointer's size lets in.
struct Within {
    size: u64,
    at: At,
}

enum At {
    /// It may be the content.
    Content(Staged<'static>),
    /// It is longer: only its hash matters.
    Beyond(OidHasher),
}

impl At {
    fn len(&self) -> u64 {
        match self {
            At::Content(staged) => staged.len(),
            At::Beyond(hasher) => hasher.len(),
        }
    }

    fn into_hasher(self) -> OidHasher {
        match self {
            At::Content(staged) => staged.into_hasher(),
            At::Beyond(hasher) => hasher,
        }
    }
}

impl Write for Within {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if let At::Content(staged) = &mut self.at {
            if staged.len() + buf.len() as u64 <= self.size {
                return staged.write(buf);
            }
            let staged = std::mem::replace(&mut self.at, At::Beyond(OidHasher::new()));
            self.at = At::Beyond(staged.into_hasher());
        }
        if let At::Beyond(hasher) = &mut self.at {
            hasher.update(buf);
        }
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An object that is as long as the content may be the content itself, although it looks encoded:
/// somebody copied it in by hand, or the Python tool stored a path that ends in `.gz`. Its raw bytes
/// are looked at first, and the hash decides.
fn receive_ambiguous(
    engine: &Engine,
    from: &Candidate,
    item: Item,
    len: u64,
    mut object: impl Read,
) -> Result<(), TransferError> {
    let temp = engine.cache.temp_file()?;
    let path = temp.path().to_owned();
    let mut raw = HashingWriter::new(temp);
    copy(&mut object, &mut raw, len).map_err(|e| undecodable(engine, from, e))?;
    let (temp, oid, size) = raw.finish();
    let rewind = |mut file: std::fs::File| -> Result<_, PathError> {
        file.rewind().context("read", &path)?;
        Ok(file)
    };
    let mut file = rewind(temp.reopen().context("read", &path)?)?;
    if (oid, size) != (item.oid, item.size.unwrap_or(size)) {
        return decoded(engine, from, item, file);
    }
    let mut staged = engine.cache.stage();
    copy(&mut file, &mut staged, size).map_err(|e| undecodable(engine, from, e))?;
    commit(from, item, staged)
}

/// Exactly `len` bytes.
fn copy(from: &mut impl Read, out: &mut impl Write, len: u64) -> Result<(), DecodeError> {
    let mut buffer = vec![0; 64 << 10];
    let mut copied = 0;
    loop {
        let n = match from.read(&mut buffer) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            read => read.map_err(DecodeError::Read)?,
        };
        match n as u64 {
            0 if copied < len => return Err(DecodeError::TooShort { size: len, decoded: copied }),
            0 => return Ok(()),
            n if n > len - copied => return Err(DecodeError::TooLong { size: len }),
            n => copied += n,
        }
        out.write_all(&buffer[..n]).map_err(DecodeError::Write)?;
    }
}

fn undecodable(engine: &Engine, from: &Candidate, error: DecodeError) -> TransferError {
    // Our own disk failed, not the store.
    if let DecodeError::Write(e) = error {
        return PathError::new("write to the cache in", engine.cache.root_for_fetched(), e).into();
    }
    from.wrong_content(chain(&error))
}

fn commit(from: &Candidate, item: Item, staged: Staged) -> Result<(), TransferError> {
    staged.commit_as(&item.oid, item.size).map_err(|error| match error {
        CacheError::Path(e) => e.into(),
        CacheError::Mismatch { expected, expected_size: Some(named), got, got_size } if got == expected => {
            from.wrong_size(named, got_size)
        }
        CacheError::Mismatch { .. } => from.wrong_content(error.to_string()),
    })
}
