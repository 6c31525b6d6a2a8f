//! Clean: content in, pointer out. Never touches the network, the index or the manifest.
//!
//! Apart because Git calls it from `status`, `diff` and `stash` too (design.md, invariant 5): it has
//! no effect but on the cache, and gives the same answer to its own output.

use std::io::{self, Read};

use crate::cache::{IN_MEMORY, LocalCache, Staged};
use crate::fs::PathError;
use crate::oid::{Oid, PIECE};
use crate::pointer::{Form, MAX_POINTER_LEN, Sniffed, lfs, sniff};

/// Why content could not be turned into a pointer. Git then refuses the path (`required = true`).
#[derive(Debug, thiserror::Error)]
pub enum CleanError {
    /// Reading what Git sent failed.
    #[error("reading the content failed")]
    Input(#[source] io::Error),
    /// The content could not be kept, so there must be no pointer to it.
    #[error("the content could not be kept in the local cache")]
    Cache(#[from] PathError),
    /// As above, while it was written.
    #[error("the content could not be written to the local cache")]
    Write(#[source] io::Error),
}

/// The answer to a clean.
#[derive(Debug)]
pub struct Cleaned {
    /// What Git is to store: a pointer, or nothing for empty content. Below [`MAX_POINTER_LEN`] bytes.
    pub blob: Vec<u8>,
    /// The content looked like a pointer, or a conflict between pointers, and was taken as content.
    pub resembles_pointer: bool,
}

/// Read all of `input`; put content into the cache.
pub fn clean(input: &mut impl Read, cache: &LocalCache, form: Form) -> Result<Cleaned, CleanError> {
    clean_guessing(input, cache, form, &mut || None)
}

/// As [`clean`]; `guess` is asked once, if there is much content, which cached object it may be.
pub fn clean_guessing(
    input: &mut impl Read,
    cache: &LocalCache,
    form: Form,
    guess: &mut dyn FnMut() -> Option<Oid>,
) -> Result<Cleaned, CleanError> {
    let mut head = Vec::with_capacity(SMALL);
    input.by_ref().take(MAX_POINTER_LEN as u64).read_to_end(&mut head).map_err(CleanError::Input)?;
    let sniffed = sniff(&head);
    let blob = match sniffed {
        // Under filter=lfs other clones have git-lfs, which knows its own pointers alone, and passes through what it
        // reads as one.
        Sniffed::Ours(pointer) if form == Form::Lfs => pointer.encode_as(form),
        Sniffed::Resembles | Sniffed::Content if form == Form::Lfs && lfs::read(&head) != lfs::Read::Other => {
            return Ok(Cleaned { blob: head, resembles_pointer: false });
        }
        Sniffed::Ours(_) | Sniffed::Lfs(_) | Sniffed::Newer => head,
        Sniffed::Crlf(pointer) => pointer.encode_as(form),
        Sniffed::Resembles | Sniffed::Content => {
            // Most files are small: what stays in memory is read to where it stays.
            input.by_ref().take(IN_MEMORY - head.len() as u64).read_to_end(&mut head).map_err(CleanError::Input)?;
            let is_all = (head.len() as u64) < IN_MEMORY;
            let mut staged = cache.stage_guessing(guess);
            staged.begin(head);
            if !is_all {
                copy(input, &mut staged)?;
            }
            staged.commit()?.map(|pointer| pointer.encode_as(form)).unwrap_or_default()
        }
    };
    Ok(Cleaned { blob, resembles_pointer: sniffed == Sniffed::Resembles })
}

/// Bytes that there is room for at first.
const SMALL: usize = 16 << 10;

/// All that is left of `input`, in buffers that are not copied to be hashed. Tells a failing source from a failing sink.
fn copy(input: &mut impl Read, out: &mut Staged<'_>) -> Result<(), CleanError> {
    let mut buf = vec![0; PIECE];
    loop {
        let mut filled = 0;
        while filled < PIECE {
            match input.read(&mut buf[filled..]) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(CleanError::Input(e)),
            }
        }
        buf.truncate(filled);
        buf = out.write_shared(buf).map_err(CleanError::Write)?;
        if filled < PIECE {
            return Ok(());
        }
        buf.resize(PIECE, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pointer::Pointer;

    fn cleaned(content: &[u8]) -> (Vec<u8>, bool, LocalCache, tempfile::TempDir) {
        let dir = tempfile::tempdir().unwrap();
        let cache = LocalCache::new(dir.path());
        let answer = clean(&mut { content }, &cache, Form::Ours).unwrap();
        (answer.blob, answer.resembles_pointer, cache, dir)
    }

    #[test]
    fn content_of_any_length_becomes_its_pointer_and_is_cached() {
        for len in [1, 1023, 1024, 1025, 65516, 1 << 20, (1 << 20) + 1, 3 << 20] {
            let content = vec![b'x'; len];
            let pointer = Pointer::to(&content).unwrap();
            let (blob, _, cache, _dir) = cleaned(&content);
            assert_eq!(blob, pointer.encode(), "{len} bytes become their pointer");
            assert!(cache.contains(&pointer), "{len} bytes are in the cache");
            assert_eq!(cleaned(&blob).0, blob, "clean is idempotent");
        }
    }

    #[test]
    fn empty_stays_empty_and_pointers_pass() {
        let (blob, _, _, dir) = cleaned(b"");
        assert!(blob.is_empty() && std::fs::read_dir(dir.path()).unwrap().next().is_none(), "no object for nothing");
        let pointer = Pointer::to(b"abc").unwrap().to_string();
        let lfs = pointer.replace("s3lfs/1", "https://git-lfs.github.com/spec/v1");
        for passed in [pointer.clone(), lfs, "version s3lfs/2\nx\n".to_owned()] {
            assert_eq!(cleaned(passed.as_bytes()).0, passed.as_bytes());
        }
        assert_eq!(cleaned(pointer.replace('\n', "\r\n").as_bytes()).0, pointer.as_bytes());
    }

    #[test]
    fn in_place_of_git_lfs_the_answer_is_its_pointer() {
        let dir = tempfile::tempdir().unwrap();
        let cache = LocalCache::new(dir.path());
        let answer = |content: &[u8]| clean(&mut { content }, &cache, Form::Lfs).unwrap().blob;
        let pointer = Pointer::to(b"abc").unwrap();
        let lfs = pointer.encode_as(Form::Lfs);
        assert_eq!(answer(b"abc"), lfs, "content becomes its pointer");
        assert!(cache.contains(&pointer), "and is cached");
        assert_eq!(answer(&pointer.encode()), lfs, "ours would be content for everybody else");
        for passed in [lfs.clone(), String::from_utf8(lfs).unwrap().replace('\n', "\r\n").into_bytes(), Vec::new()] {
            assert_eq!(answer(&passed), passed, "as git-lfs does");
        }
    }

    #[test]
    fn what_only_resembles_a_pointer_is_content_and_said() {
        let text = format!("{}extra\n", Pointer::to(b"abc").unwrap());
        let (blob, resembles, cache, _dir) = cleaned(text.as_bytes());
        let pointer = Pointer::to(text.as_bytes()).unwrap();
        assert_eq!(blob, pointer.encode());
        assert!(resembles && cache.contains(&pointer));
    }
}
