//! Blobs that commits add: one, and more of them than memory is meant for.
//!
//! Apart from the walk that finds them: a push may bring a million.

use std::io;
use std::rc::Rc;

use bstr::{BStr, BString, ByteSlice};

use super::GitError;
use super::objects::ObjectId;
use crate::fs::spool::{Spool, next_field};

/// A blob that a commit adds at a path.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct NewBlob {
    /// The commit that adds it, which a million blobs may share.
    pub commit: Rc<ObjectId>,
    /// Where.
    pub path: BString,
    /// The blob.
    pub id: ObjectId,
}

/// Many, in the order in which they were found.
#[derive(Debug, Default)]
pub struct NewBlobs {
    spool: Spool,
    count: usize,
    attributes: bool,
}

impl NewBlobs {
    /// One more.
    pub fn add(&mut self, commit: &ObjectId, path: &BStr, id: &BStr) -> Result<(), GitError> {
        self.attributes |= path.ends_with(b".gitattributes");
        let fields = [commit.as_bytes(), id.as_bytes(), path.as_bytes()];
        fields.iter().try_for_each(|field| self.spool.write_field(field).map(drop)).map_err(failed)?;
        self.count += 1;
        Ok(())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether one of them is an attributes file.
    pub fn have_attributes(&self) -> bool {
        self.attributes
    }

    /// Show all of them, `at_once` at a time.
    pub fn chunks<E: From<GitError>>(
        &mut self,
        at_once: usize,
        mut see: impl FnMut(&[NewBlob]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut reading = self.spool.read_from(0).map_err(failed)?;
        let mut some: Vec<NewBlob> = Vec::new();
        let mut field = || next_field(&mut reading).map_err(failed);
        while let Some(commit) = field()? {
            let (Some(id), Some(path)) = (field()?, field()?) else {
                return Err(failed(io::ErrorKind::UnexpectedEof.into()).into());
            };
            let commit = match some.last() {
                Some(last) if last.commit.as_slice() == commit => Rc::clone(&last.commit),
                _ => Rc::new(commit.into()),
            };
            some.push(NewBlob { commit, path: path.into(), id: id.into() });
            if some.len() == at_once {
                see(&some)?;
                some.clear();
            }
        }
        if some.is_empty() { Ok(()) } else { see(&some) }
    }

    /// Show each of them.
    pub fn each<E: From<GitError>>(&mut self, mut see: impl FnMut(&NewBlob) -> Result<(), E>) -> Result<(), E> {
        self.chunks(1000, |some| some.iter().try_for_each(&mut see))
    }
}

/// What became of the file in which they lie.
fn failed(source: io::Error) -> GitError {
    GitError::Local { action: "keep a list in a temporary file", source }
}

/// An id of 40 or 64 digits in half as many bytes; zeros behind the shorter ones.
pub fn packed(id: &BStr) -> [u8; 32] {
    let mut packed = [0; 32];
    if let Some(bytes) = packed.get_mut(..id.len() / 2) {
        crate::oid::from_hex(id.as_bytes(), bytes);
    }
    packed
}
