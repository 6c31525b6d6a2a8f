//! The terminal: messages on stderr, answers on stdout, questions where there is somebody to ask.
//!
//! Apart because it is the only file that may write to stdout; Git reads ours when it calls the filter.

pub mod colour;
pub mod progress;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use bstr::BString;
use serde::ser::{Error as _, SerializeSeq};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use crate::cli::error::CliError;
use crate::repo_path::{bytes_in_json, deceives, in_json};

static QUIET: AtomicBool = AtomicBool::new(false);

/// The one JSON object of this command was given.
static ANSWERED: AtomicBool = AtomicBool::new(false);

/// Say nothing but errors and warnings from now on.
pub fn be_quiet() {
    QUIET.store(true, Ordering::Relaxed);
}

/// Whether only warnings and errors are said.
fn is_quiet() -> bool {
    QUIET.load(Ordering::Relaxed)
}

/// A line of news to the user, on stderr.
pub fn say(line: impl AsRef<str>) {
    if !is_quiet() {
        to_stderr(line.as_ref());
    }
}

/// A warning or an error about one of many things, on stderr.
pub fn warn(line: impl AsRef<str>) {
    to_stderr(&format!("s3lfs: {}", line.as_ref()));
}

/// As [`warn`], for what is met again and again in one run.
pub fn warn_once(line: impl AsRef<str>) {
    static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let line = line.as_ref();
    if SAID.lock().unwrap_or_else(PoisonError::into_inner).insert(line.to_owned()) {
        warn(line);
    }
}

/// The end of a failed command.
pub fn fail(error: &CliError) {
    warn(&error.message);
    for hint in &error.hints {
        to_stderr(&format!("  hint: {hint}"));
    }
}

/// Names come from commits, remotes and stores: none of them speaks to the terminal.
pub fn harmless(line: &str) -> String {
    let bad = |c: char| c.is_control() && c != '\n' && c != '\t' || deceives(c);
    line.chars().map(|c| if bad(c) { '?' } else { c }).collect()
}

fn to_stderr(line: &str) {
    let line = harmless(line);
    // Nobody is left to be told when stderr is gone.
    let _ = progress::past(|| writeln!(anstream::stderr().lock(), "{line}"));
}

/// Answer on stdout. A reader that has seen enough (`| head`) is no error.
pub fn answer(bytes: &[u8]) -> Result<(), CliError> {
    write_out(anstream::stdout().lock(), bytes)
}

/// As [`answer`], byte by byte: what is for people loses NULs and escape sequences on its way to a file.
pub fn answer_raw(bytes: &[u8]) -> Result<(), CliError> {
    write_out(io::stdout().lock(), bytes)
}

/// Answer with paths alone, for programs that can't read JSON: no path holds a NUL.
pub fn answer_nul_ended<'a>(paths: impl Iterator<Item = &'a BString>) -> Result<(), CliError> {
    answer_raw(&paths.flat_map(|path| [path.as_slice(), b"\0"].concat()).collect::<Vec<u8>>())
}

fn write_out(mut stdout: impl Write, bytes: &[u8]) -> Result<(), CliError> {
    gone_out(stdout.write_all(bytes).and_then(|()| stdout.flush()))
}

/// What came of writing to stdout. A pipe that nobody reads any more is no error.
fn gone_out(written: io::Result<()>) -> Result<(), CliError> {
    match written {
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => {
            Err(CliError::user(format!("cannot write to standard output: {e}")))
        }
        _ => Ok(()),
    }
}

/// What came of an answer that clap has written, of which the end may still be on its way.
pub fn answered(written: io::Result<()>) -> Result<(), CliError> {
    gone_out(written.and_then(|()| io::stdout().flush()))
}

/// The lists of an answer in JSON.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum List {
    /// What is told of each thing.
    Items,
    /// What went wrong.
    Errors,
}

/// Takes an entry of a list.
type Put<'a> = &'a mut dyn FnMut(Value) -> Result<(), CliError>;

/// Goes through a list.
type Go<'a> = dyn FnMut(List, Put<'_>) -> Result<(), CliError> + 'a;

/// Answer with one JSON object: `{"version": 1, "command": ..., "items": [...], "errors": [...]}`. Both lists
/// are written as they come, the errors first: there may be a million of either.
pub fn answer_json(
    command: &str,
    items: impl IntoIterator<Item = Value>,
    errors: impl IntoIterator<Item = Value>,
) -> Result<(), CliError> {
    let (mut items, mut errors) = (items.into_iter(), errors.into_iter());
    answer_json_by(command, |list, put| match list {
        List::Items => items.by_ref().try_for_each(put),
        List::Errors => errors.by_ref().try_for_each(put),
    })
}

/// As [`answer_json`]. `each` is asked for one list after the other.
pub fn answer_json_by(
    command: &str,
    mut each: impl FnMut(List, Put<'_>) -> Result<(), CliError>,
) -> Result<(), CliError> {
    ANSWERED.store(true, Ordering::Relaxed);
    let stopped = RefCell::new(None);
    let each: RefCell<&mut Go<'_>> = RefCell::new(&mut each);
    let part = |list| Part { list, each: &each, stopped: &stopped };
    let mut stdout = BufWriter::new(anstream::stdout().lock());
    let answer = Answer { command, errors: part(List::Errors), items: part(List::Items), version: 1 };
    let written = serde_json::to_writer_pretty(&mut stdout, &answer);
    let ended = written.map_err(io::Error::from).and_then(|()| stdout.write_all(b"\n")).and_then(|()| stdout.flush());
    if let Some(e) = stopped.take() {
        return Err(e);
    }
    gone_out(ended)
}

/// An item about a path: `path`, and `path_bytes` where that is no text.
pub fn with_path(path: &[u8], mut item: Value) -> Value {
    item["path"] = in_json(path).into();
    if let Some(bytes) = bytes_in_json(path) {
        item["path_bytes"] = bytes.into();
    }
    item
}

#[derive(Serialize)]
struct Answer<'a> {
    command: &'a str,
    errors: Part<'a>,
    items: Part<'a>,
    version: u64,
}

/// A list that is written as it comes.
struct Part<'a> {
    list: List,
    each: &'a RefCell<&'a mut Go<'a>>,
    /// Why the list came to no end, if that was not the fault of who reads it.
    stopped: &'a RefCell<Option<CliError>>,
}

impl Serialize for Part<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut entries = serializer.serialize_seq(None)?;
        let mut failed = None;
        let listed = (self.each.borrow_mut())(self.list, &mut |value| {
            entries.serialize_element(&value).map_err(|e| {
                let why = CliError::user(e.to_string());
                failed = Some(e);
                why
            })
        });
        match (failed, listed) {
            (Some(e), _) => Err(e),
            (None, Err(e)) => {
                let why = S::Error::custom(&e.message);
                *self.stopped.borrow_mut() = Some(e);
                Err(why)
            }
            (None, Ok(())) => entries.end(),
        }
    }
}

/// The answer of a command that failed as a whole: the object of [`answer_json`] with `error` and
/// `hints`, unless there was an answer before.
pub fn refuse_in_json(command: &str, error: &CliError) {
    if ANSWERED.load(Ordering::Relaxed) {
        return;
    }
    let object = json!({
        "version": 1, "command": command, "items": [], "errors": [],
        "error": error.message, "hints": error.hints,
    });
    // The error itself was said on stderr.
    let _ = answer(format!("{object:#}\n").as_bytes());
}

/// Whether questions can be asked on a terminal.
pub fn somebody_is_there() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Ask yes or no. `None`: there is no terminal to ask on.
pub fn ask(question: &str) -> Option<bool> {
    if !somebody_is_there() {
        return None;
    }
    dialoguer::Confirm::new().with_prompt(harmless(question)).default(false).interact().ok()
}

/// A number of bytes for people: `1.5 MiB`.
pub fn bytes(n: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if n < 1024 {
        return format!("{n} B");
    }
    let mut value = n as f64;
    let mut unit = "";
    for next in UNITS {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    format!("{value:.1} {unit}")
}

/// `1 file`, `2 files`.
pub fn count(n: usize, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_people_write_them() {
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(5 << 40), "5.0 TiB");
        assert_eq!((count(1, "file"), count(0, "file")), ("1 file".to_owned(), "0 files".to_owned()));
    }
}
