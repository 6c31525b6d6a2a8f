//! Content on its way out of the cache: our own copy, else the shared one, and never a damaged one.
//!
//! Apart from the way in because a reader trusts nobody: the name is compared with the bytes each time.

use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};

use super::{Content, IN_MEMORY, LocalCache, create_parent};
use crate::fs::{PathContext, PathError, is_absent, reflink};
use crate::oid::{CopyError, HashingReader, Oid, copy_hashing};
use crate::pointer::Pointer;

impl LocalCache {
    /// Open the content that `pointer` names. `None`: it is not there, or it was damaged and has been
    /// set aside, so that it can be fetched again.
    pub fn load(&self, pointer: &Pointer) -> Result<Option<Content>, PathError> {
        let own = self.load_own(pointer)?;
        Ok(own.or_else(|| self.read_shared(&pointer.oid, |shared| shared.load_own(pointer))))
    }

    fn load_own(&self, pointer: &Pointer) -> Result<Option<Content>, PathError> {
        let Some(mut file) = self.open_own(pointer)? else { return Ok(None) };
        if pointer.size > IN_MEMORY {
            return Ok(Some(Content::Unverified(file)));
        }
        let path = self.object_path(&pointer.oid);
        let mut bytes = Vec::with_capacity(pointer.size as usize);
        (&mut file).take(IN_MEMORY + 1).read_to_end(&mut bytes).context("read", &path)?;
        if Pointer::to(&bytes) == Some(*pointer) {
            return Ok(Some(Content::Verified(bytes)));
        }
        self.set_aside_own(&pointer.oid)?;
        Ok(None)
    }

    /// Copy the content of `pointer` to the empty file `out`, hashing on the way, unless
    /// this process has hashed that very file. `Ok(false)`: not there, or damaged
    /// and set aside; what `out` received then must be thrown away.
    pub fn copy_to(&self, pointer: &Pointer, out: &mut File) -> Result<bool, PathError> {
        let Some(mut file) = self.open(pointer)? else { return Ok(false) };
        let path = self.object_path(&pointer.oid);
        let shares = reflink(&file, out);
        if self.hashed.knows(&pointer.oid, &file) {
            let copied = if shares { Ok(pointer.size) } else { io::copy(&mut file, out) };
            if copied.context("copy from the cache", &path)? == pointer.size && self.hashed.knows(&pointer.oid, &file) {
                return Ok(true);
            }
            // Somebody wrote to it meanwhile.
            if !shares {
                out.set_len(0).and_then(|()| out.rewind()).context("write the copy of", &path)?;
            }
            file.rewind().context("read", &path)?;
        }
        let write = |bytes: &[u8]| if shares { Ok(()) } else { out.write_all(bytes) };
        let copied = copy_hashing(&mut file, write).map_err(|e| match e {
            CopyError::Read(e) => PathError::new("read", &path, e),
            CopyError::Write(e) => PathError::new("copy from the cache", &path, e),
        })?;
        if copied == (pointer.oid, pointer.size) {
            return Ok(true);
        }
        self.set_aside(&pointer.oid)?;
        Ok(false)
    }

    /// Open a file of the right length; one of another length is set aside.
    pub fn open(&self, pointer: &Pointer) -> Result<Option<File>, PathError> {
        let own = self.open_own(pointer)?;
        Ok(own.or_else(|| self.read_shared(&pointer.oid, |shared| shared.open_own(pointer))))
    }

    fn open_own(&self, pointer: &Pointer) -> Result<Option<File>, PathError> {
        let path = self.object_path(&pointer.oid);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(e) if is_absent(&e) => return Ok(None),
            Err(e) => return Err(PathError::new("open", path, e)),
        };
        if file.metadata().context("look at", &path)?.len() == pointer.size {
            return Ok(Some(file));
        }
        // A pointer may lie about the size: only what is damaged by its own name is set aside.
        let mut reader = HashingReader::new(file);
        io::copy(&mut reader, &mut io::sink()).context("read", &path)?;
        if reader.finish().0 != pointer.oid {
            self.set_aside_own(&pointer.oid)?;
        }
        Ok(None)
    }

    /// Move a damaged object out of the way, to `bad/<oid>`: nobody reads it again, and nobody loses
    /// what may be left in it.
    pub fn set_aside(&self, oid: &Oid) -> Result<(), PathError> {
        // Our own is read first, so it was that one if it is there.
        if self.shared.is_some() && !self.object_path(oid).exists() {
            self.in_shared(|shared| shared.set_aside_own(oid));
            return Ok(());
        }
        self.set_aside_own(oid)
    }

    fn set_aside_own(&self, oid: &Oid) -> Result<(), PathError> {
        let from = self.object_path(oid);
        let to = self.root.join("bad").join(oid.hex());
        tracing::warn!("the cached copy of {oid} is damaged; moved to {}", to.display());
        create_parent(&to)?;
        match fs::rename(&from, &to) {
            Err(e) if !is_absent(&e) => Err(PathError::new("set aside the damaged", from, e)),
            _ => Ok(()),
        }
    }
}
