//! What a running Git writes, one field after the other, as it comes.
//!
//! Apart because a listing of a million files is never held in memory as a whole.

use std::io::{BufRead, BufReader, Read};

use super::GitError;

/// As much as a pipe holds: the fewer the turns with Git, the sooner both are done.
const AT_ONCE: usize = 64 << 10;

/// Fields with a NUL behind each.
#[derive(Debug)]
pub struct Fields<R> {
    output: BufReader<R>,
    command: &'static str,
    field: Vec<u8>,
}

impl<R: Read> Fields<R> {
    /// `command` is named in errors.
    pub fn of(output: R, command: &'static str) -> Self {
        Fields { output: BufReader::with_capacity(AT_ONCE, output), command, field: Vec::new() }
    }

    /// The next one, without its NUL. `None`: that was all.
    pub fn read(&mut self) -> Result<Option<&[u8]>, GitError> {
        self.field.clear();
        let read = self.output.read_until(b'\0', &mut self.field);
        read.map_err(|source| GitError::Local { action: "read what Git lists", source })?;
        match self.field.pop() {
            None => Ok(None),
            Some(b'\0') => Ok(Some(&self.field)),
            // Git was killed in the middle of it.
            Some(_) => Err(GitError::answer(self.command, self.field.as_slice())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_field_is_none() {
        let mut fields = Fields::of(&b"a\0\0b c\0"[..], "git");
        for field in [&b"a"[..], b"", b"b c"] {
            assert_eq!(fields.read().unwrap(), Some(field));
        }
        assert_eq!(fields.read().unwrap(), None);
        let mut fields = Fields::of(&b"a\0b"[..], "git");
        assert!(fields.read().is_ok() && fields.read().is_err(), "whoever wrote it was killed");
    }
}
