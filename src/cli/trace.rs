//! `S3LFS_TRACE`: where the time went, as a file that Perfetto and chrome://tracing open.
//!
//! Apart because it is a second reader of what the program tells tracing: spans, where the log has events. Format:
//! "Trace Event Format", its array form, with asynchronous events, since one thread works on many requests at once.

use std::fmt::Debug;
use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use serde_json::{Map, Value, json};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// Names the file; `%p` in it is the process id.
const VARIABLE: &str = "S3LFS_TRACE";

/// What ends the file, whenever it is looked at: a process that is killed leaves valid JSON.
const END: &[u8] = b"]\n";

/// The layer that writes spans into a file.
pub struct Trace {
    file: Mutex<Written>,
    /// When the trace began, by both clocks: times of one process never go back, and those of several fit together.
    began: (Instant, u64),
    spans: AtomicU64,
}

struct Written {
    file: File,
    /// What comes before the next event.
    between: &'static str,
}

/// The trace that the environment asks for, or why there is none although it does.
pub fn from_environment() -> Option<Result<Trace, String>> {
    let asked = PathBuf::from(std::env::var_os(VARIABLE).filter(|name| !name.is_empty())?);
    Some(Trace::new(&asked).map_err(|e| format!("no trace ({VARIABLE}): cannot write {}: {e}", asked.display())))
}

/// What is traced: our own spans. Those of libraries may hold what is secret.
pub fn is_ours(told: &Metadata<'_>) -> bool {
    told.is_span() && told.target().starts_with("s3lfs")
}

impl Trace {
    fn new(asked: &Path) -> io::Result<Self> {
        let mut file = create(asked)?;
        file.write_all(b"[\n")?;
        file.write_all(END)?;
        let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let began = (Instant::now(), since_1970.as_micros() as u64);
        let trace = Trace { file: Mutex::new(Written { file, between: "" }), began, spans: AtomicU64::new(0) };
        let first = std::env::args_os().nth(1).map(|word| word.to_string_lossy().into_owned());
        let command = first.filter(|word| !word.starts_with('-')).unwrap_or_default();
        let name = format!("s3lfs {command}");
        trace.write(json!({"ph": "M", "name": "process_name", "args": {"name": name.trim_end()}}));
        Ok(trace)
    }

    fn write(&self, mut event: Value) {
        let (began, since_1970) = self.began;
        event["ts"] = (since_1970 + began.elapsed().as_micros() as u64).into();
        event["pid"] = process::id().into();
        event["tid"] = 1.into();
        let mut written = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let text = [written.between.as_bytes(), event.to_string().as_bytes(), b"\n", END].concat();
        // What can't be written is not there: the command itself goes on.
        let at_end = written.file.seek(SeekFrom::End(-(END.len() as i64)));
        if at_end.and_then(|_| written.file.write_all(&text)).is_ok() {
            written.between = ",";
        }
    }
}

/// A file that was not there. One Git command starts several processes of ours: the first has the name that was asked
/// for, and each other one its process id at the end.
fn create(asked: &Path) -> io::Result<File> {
    let name = asked.to_string_lossy().replace("%p", &process::id().to_string());
    let own = format!("{name}.{}", process::id());
    let again = (2..100).map(|n| format!("{own}.{n}"));
    for name in [name, own.clone()].into_iter().chain(again) {
        match OpenOptions::new().write(true).create_new(true).open(&name) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            opened => return opened,
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// A span that is open.
struct Open {
    begun: Value,
    late: Map<String, Value>,
}

/// The fields of a span, by their names.
struct Fields<'a>(&'a mut Map<String, Value>);

impl Fields<'_> {
    fn set(&mut self, field: &Field, value: Value) {
        self.0.insert(field.name().to_owned(), value);
    }
}

impl Visit for Fields<'_> {
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field, without_user(value).into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.set(field, without_user(&format!("{value:?}")).into());
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Trace {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let kind = attributes.metadata().name();
        let mut fields = Map::new();
        attributes.record(&mut Fields(&mut fields));
        let title = fields.remove("title").unwrap_or_else(|| kind.into());
        // Ids of tracing are used again.
        let number = self.spans.fetch_add(1, Ordering::Relaxed);
        let begun = json!({"cat": kind, "name": title, "id": format!("{}.{number}", process::id())});
        let mut event = begun.clone();
        event["ph"] = "b".into();
        event["args"] = fields.into();
        self.write(event);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(Open { begun, late: Map::new() });
        }
    }

    fn on_record(&self, id: &Id, record: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(open) = span.extensions_mut().get_mut::<Open>()
        {
            record.record(&mut Fields(&mut open.late));
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let open = context.span(&id).and_then(|span| span.extensions_mut().remove::<Open>());
        if let Some(Open { begun: mut event, late }) = open {
            event["ph"] = "e".into();
            event["args"] = late.into();
            self.write(event);
        }
    }
}

/// Without user and password in URLs: remotes of Git often have them.
fn without_user(text: &str) -> String {
    let mut parts = text.split("://");
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let authority = part.find(|c: char| c == '/' || c.is_whitespace()).unwrap_or(part.len());
        let from = part[..authority].rfind('@').map_or(0, |at| at + 1);
        shown.push_str("://");
        shown.push_str(&part[from..]);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_user_is_shown() {
        let line = "git fetch https://me:secret@host/a.git ssh://git@other/b @ x://y";
        assert_eq!(without_user(line), "git fetch https://host/a.git ssh://other/b @ x://y");
        assert_eq!(without_user("https://me:p@ss@host"), "https://host");
        assert_eq!(without_user("a@b: plain"), "a@b: plain");
    }
}
