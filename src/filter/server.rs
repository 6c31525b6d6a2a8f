//! The long-running filter process: one loop that reads a request, does it, answers.
//!
//! Apart because the order of reading and writing is the whole difficulty: all input of a request is
//! read before the first byte of its answer, or both sides block for ever on full pipes. Source:
//! `gitattributes.txt`, "Long Running Filter Process".

use std::io::{self, Read, Write};
use std::time::Duration;

use bstr::{BStr, BString, ByteSlice};

use super::clean::{CleanError, clean_guessing};
use super::delayed::{Delayed, Outcome, Ready};
use super::pktline::{PktReader, PktWriter};
use super::request::{Delay, OfRef, Request, RequestError, read_capabilities, read_request, read_welcome};
use super::smudge::{Blob, SmudgeError, Spool, deliver};
use super::watched::Watched;
use super::{Fetch, Next, Policy, Start, TOO_LARGE, Wanted};
use crate::cache::LocalCache;
use crate::error::advised;
use crate::oid::Oid;
use crate::pointer::{Form, Pointer};
use crate::repo_path::Printable;

/// Why the conversation had to be broken off. A single file's failure is not among these: it is
/// answered with `status=error`.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// What came is not the protocol, or ended in the middle.
    #[error("the conversation with Git broke off")]
    Request(#[from] RequestError),
    /// Reading content broke off.
    #[error("reading content from Git broke off")]
    Input(#[source] io::Error),
    /// Git no longer reads.
    #[error("answering Git failed")]
    Output(#[source] io::Error),
    /// Git went away while we waited for the network.
    #[error("Git went away")]
    HungUp,
}

/// What the user should hear once Git is done.
#[derive(Debug, Default)]
pub struct Summary {
    /// Files that kept their pointers, each with the reason.
    pub left: Vec<(BString, String)>,
    /// Files whose bytes begin like a pointer and are none.
    pub resembling: Vec<BString>,
    /// A file of a commit that is checked out could not be had: Git stops there.
    pub broke_off: bool,
}

/// The surroundings of a server.
pub struct Surroundings<'a> {
    /// Where content is put and looked for.
    pub cache: &'a LocalCache,
    /// Whose pointers clean answers with.
    pub form: Form,
    /// Whether Git has closed its end of our input; asked while waiting for downloads.
    pub hung_up: &'a dyn Fn() -> bool,
    /// One line to the user about a failure.
    pub say: &'a dyn Fn(&str),
    /// How much of a large file was read so far, for which Git waits; `None`: all of it.
    pub reading: &'a dyn Fn(&BStr, Option<u64>),
}

/// How often a waiting server looks whether Git is still there.
const PATIENCE: Duration = Duration::from_millis(100);

/// Talk to Git until it closes the pipe.
pub fn serve<R: Read, W: Write, F: Fetch>(
    input: R,
    output: W,
    fetch: &mut F,
    around: Surroundings<'_>,
) -> Result<Summary, ServeError> {
    let mut input = PktReader::new(input);
    let mut output = PktWriter::new(output);
    read_welcome(&mut input)?;
    output
        .list(["git-filter-server".into(), "version=2".into()])
        .and_then(|()| output.send())
        .map_err(ServeError::Output)?;
    let capabilities = read_capabilities(&mut input)?;
    let lines: Vec<_> = capabilities.iter().map(|name| format!("capability={name}")).collect();
    output
        .list(lines.iter().map(|l| l.as_bytes().as_bstr()))
        .and_then(|()| output.send())
        .map_err(ServeError::Output)?;
    let may_delay = capabilities.contains(&"delay");
    let mut server = Server {
        input,
        output,
        fetch,
        around,
        may_delay,
        policy: None,
        delayed: Delayed::default(),
        of_commit: false,
        summary: Summary::default(),
    };
    while let Some(request) = read_request(&mut server.input)? {
        let _span = request.span().entered();
        server.handle(request)?;
        server.output.send().map_err(ServeError::Output)?;
    }
    Ok(server.summary)
}

struct Server<'a, R, W: Write, F> {
    input: PktReader<R>,
    output: PktWriter<W>,
    fetch: &'a mut F,
    around: Surroundings<'a>,
    may_delay: bool,
    policy: Option<Policy>,
    delayed: Delayed,
    /// Git has named a commit: it checks out more than single files.
    of_commit: bool,
    summary: Summary,
}

impl<R: Read, W: Write, F: Fetch> Server<'_, R, W, F> {
    fn handle(&mut self, request: Request) -> Result<(), ServeError> {
        match request {
            Request::Clean { pathname } => self.clean(pathname),
            Request::Smudge { pathname, delay, treeish, of_ref } => {
                let delay = if self.may_delay { delay } else { Delay::Forbid };
                self.smudge(pathname, delay, treeish.as_ref().map(|t| t.as_bstr()), of_ref)
            }
            Request::ListAvailable => self.list_available(),
            Request::Unknown { command } => {
                self.input.content().drain().map_err(RequestError::from)?;
                self.unknown(command.as_bstr())
            }
            Request::Unreadable { command } => self.unknown(command.as_bstr()),
        }
    }

    fn unknown(&mut self, command: &BStr) -> Result<(), ServeError> {
        (self.around.say)(&format!("Git asked for '{}' in a way that this version does not know", Printable(command)));
        self.status("error")
    }

    fn clean(&mut self, pathname: BString) -> Result<(), ServeError> {
        let mut content = self.input.content();
        let fetch = &mut self.fetch;
        if let Some(pointer) = fetch.written(pathname.as_bstr()) {
            content.drain().map_err(RequestError::from)?;
            // Git opened it before it asked, and has read all of it by now.
            return match fetch.written(pathname.as_bstr()) {
                Some(still) if still == pointer => self.success(&pointer.encode_as(self.around.form)),
                _ => self.failure(pathname.as_bstr(), "it was changed while Git read it"),
            };
        }
        let reading = self.around.reading;
        let mut watched = Watched::new(&mut content, |so_far| reading(pathname.as_bstr(), Some(so_far)));
        let result = clean_guessing(&mut watched, self.around.cache, self.around.form, &mut || {
            fetch.tracked(pathname.as_bstr())
        });
        reading(pathname.as_bstr(), None);
        if let Err(CleanError::Input(e)) = result {
            return Err(ServeError::Input(e));
        }
        content.drain().map_err(RequestError::from)?;
        match result {
            Ok(cleaned) => {
                if cleaned.resembles_pointer {
                    self.summary.resembling.push(pathname);
                }
                self.success(&cleaned.blob)
            }
            Err(e) => self.failure(pathname.as_bstr(), &advised(&e)),
        }
    }

    fn smudge(
        &mut self,
        pathname: BString,
        delay: Delay,
        treeish: Option<&BStr>,
        of_ref: OfRef,
    ) -> Result<(), ServeError> {
        let mut content = self.input.content();
        let blob = Blob::read(&mut content, self.around.cache, self.around.form);
        if let Err(SmudgeError::Input(e)) = blob {
            return Err(ServeError::Input(e));
        }
        content.drain().map_err(RequestError::from)?;
        self.of_commit |= treeish.is_some();
        match blob {
            Err(e) => self.failure(pathname.as_bstr(), &advised(&e)),
            Ok(Blob::Newer(bytes)) => match self.policy() {
                Ok(policy) if policy.skip_smudge => self.success(&bytes),
                _ => self.failure(pathname.as_bstr(), "its pointer was written by a newer s3lfs; update s3lfs"),
            },
            // An empty blob is never delayed, so empty content without can-delay is a retry, if we
            // are waiting for one.
            Ok(Blob::Raw { bytes: Spool::Memory(bytes), .. }) if bytes.is_empty() => {
                if delay == Delay::Forbid {
                    while self.delayed.is_waiting(&pathname) {
                        self.wait()?;
                    }
                    if let Some(ready) = self.delayed.retry(&pathname) {
                        return self.finish(&pathname, ready);
                    }
                }
                self.delayed.forget(&pathname);
                self.success(&[])
            }
            Ok(Blob::Raw { bytes, resembles }) => {
                self.delayed.forget(&pathname);
                if resembles {
                    self.summary.resembling.push(pathname);
                }
                self.stream(|output| bytes.write_to(output))
            }
            Ok(Blob::Pointer { pointer, bytes, canonical }) => {
                self.delayed.forget(&pathname);
                let delay = if canonical { delay } else { Delay::Forbid };
                self.smudge_pointer(pathname, pointer, bytes, delay, treeish, of_ref)
            }
        }
    }

    fn smudge_pointer(
        &mut self,
        pathname: BString,
        pointer: Pointer,
        bytes: Vec<u8>,
        delay: Delay,
        treeish: Option<&BStr>,
        of_ref: OfRef,
    ) -> Result<(), ServeError> {
        let policy = match self.policy() {
            Ok(policy) => policy,
            Err(why) => return self.failure(pathname.as_bstr(), &why),
        };
        if policy.skip_smudge {
            return self.success(&bytes);
        }
        let wanted = Wanted { pointer: &pointer, pathname: pathname.as_bstr(), treeish };
        match self.fetch.leaves_out(&wanted) {
            Ok(true) => return self.success(&bytes),
            Ok(false) => {}
            Err(why) => return self.failure(pathname.as_bstr(), &why),
        }
        // Where Git is done when all are checked out, s3lfs itself writes the large ones then.
        let may_wait = delay == Delay::Allow
            && of_ref == OfRef::Named
            && policy.is_large(&pointer)
            && self.around.form == Form::Ours;
        if may_wait && self.around.cache.contains(&pointer) && self.fetch.place(pathname.as_bstr()) {
            return self.success(&bytes);
        }
        if self.deliver_cached(&pathname, &pointer)? {
            return Ok(());
        }
        if policy.defers(&pointer) {
            if let Err(why) = self.fetch.defer(pathname.as_bstr()) {
                return self.failure(pathname.as_bstr(), &why);
            }
            self.summary.left.push((pathname, TOO_LARGE.to_owned()));
            return self.success(&bytes);
        }
        let wanted = Wanted { pointer: &pointer, pathname: pathname.as_bstr(), treeish };
        match self.fetch.start(&wanted) {
            Start::LeavePointer(why) => {
                self.summary.left.push((pathname, why));
                self.success(&bytes)
            }
            Start::Impossible(why) => self.finish(&pathname, Ready { pointer, blob: bytes, outcome: Err(why) }),
            Start::Started => {
                self.delayed.delay(pathname.clone(), pointer, bytes);
                let bearable = treeish.is_some() || !self.fetch.is_conflicted(pathname.as_bstr());
                if delay == Delay::Allow && bearable {
                    return self.status("delayed");
                }
                while self.delayed.is_waiting(&pathname) {
                    self.wait()?;
                }
                let ready = self.delayed.retry(&pathname).expect("a path that no longer waits has its outcome");
                self.finish(&pathname, ready)
            }
        }
    }

    fn list_available(&mut self) -> Result<(), ServeError> {
        while self.delayed.must_wait() {
            self.wait()?;
        }
        // Whatever else has ended by now goes into the same list: many short lists are slow in Git.
        while let Next::Done(pointer, outcome) = self.fetch.next_done(Duration::ZERO) {
            self.delayed.done(&pointer, &outcome);
        }
        let lines: Vec<BString> =
            self.delayed.list().iter().map(|path| [b"pathname=".as_slice(), path].concat().into()).collect();
        self.output
            .list(lines.iter().map(|line| line.as_bstr()))
            .and_then(|()| self.output.list(["status=success".into()]))
            .map_err(ServeError::Output)
    }

    /// Wait until one more download has ended, as long as Git is there.
    fn wait(&mut self) -> Result<(), ServeError> {
        match self.fetch.next_done(PATIENCE) {
            Next::Done(pointer, outcome) => self.delayed.done(&pointer, &outcome),
            Next::Timeout if (self.around.hung_up)() => return Err(ServeError::HungUp),
            Next::Timeout => {}
            Next::Idle => {
                for pointer in self.delayed.awaited() {
                    self.delayed.done(&pointer, &Err("its download ended without an answer".to_owned()));
                }
            }
        }
        Ok(())
    }

    fn policy(&mut self) -> Result<Policy, String> {
        let policy = match self.policy {
            Some(policy) => policy,
            None => self.fetch.policy()?,
        };
        self.policy = Some(policy);
        Ok(policy)
    }

    /// Answer a path whose download has ended.
    fn finish(&mut self, pathname: &BString, ready: Ready) -> Result<(), ServeError> {
        let Ready { pointer, blob, outcome } = ready;
        let outcome: Outcome = match outcome {
            Ok(()) if self.deliver_cached(pathname, &pointer)? => return Ok(()),
            Ok(()) => Err(lost(&pointer.oid)),
            Err(why) => Err(why),
        };
        let why = outcome.err().unwrap_or_default();
        if self.policy().is_ok_and(|policy| policy.skip_download_errors) {
            self.summary.left.push((pathname.clone(), why));
            return self.success(&blob);
        }
        self.failure(pathname.as_bstr(), &why)
    }

    /// `false`: it is not in the cache, and nothing was answered.
    fn deliver_cached(&mut self, pathname: &BString, pointer: &Pointer) -> Result<bool, ServeError> {
        let cache = self.around.cache;
        match cache.load(pointer) {
            Ok(Some(content)) => {
                let say = self.around.say;
                self.stream(|output| {
                    let result = deliver(content, pointer, cache, output);
                    if let Err(e) = &result
                        && !matches!(e, SmudgeError::Output(_))
                    {
                        say(&format!("{}: {}", Printable(pathname), advised(e)));
                    }
                    result
                })?;
                Ok(true)
            }
            Ok(None) => Ok(false),
            Err(e) => self.failure(pathname.as_bstr(), &advised(&e)).map(|()| true),
        }
    }

    fn success(&mut self, content: &[u8]) -> Result<(), ServeError> {
        self.stream(|output| output.write_all(content).map_err(SmudgeError::Output))
    }

    /// `status=success`, content, and the last word: Git throws the content away if that is an error.
    fn stream(&mut self, write: impl FnOnce(&mut PktWriter<W>) -> Result<(), SmudgeError>) -> Result<(), ServeError> {
        self.output.list(["status=success".into()]).map_err(ServeError::Output)?;
        let result = write(&mut self.output);
        if let Err(SmudgeError::Output(e)) = result {
            return Err(ServeError::Output(e));
        }
        self.output.flush_packet().map_err(ServeError::Output)?;
        if result.is_ok() { self.output.flush_packet().map_err(ServeError::Output) } else { self.status("error") }
    }

    fn failure(&mut self, pathname: &BStr, why: &str) -> Result<(), ServeError> {
        (self.around.say)(&format!("{}: {why}", Printable(pathname)));
        self.summary.broke_off |= self.of_commit;
        self.status("error")
    }

    fn status(&mut self, status: &str) -> Result<(), ServeError> {
        self.output.list([format!("status={status}").as_bytes().as_bstr()]).map_err(ServeError::Output)
    }
}

fn lost(oid: &Oid) -> String {
    format!("object {oid} was fetched, but is no longer in the local cache; run the command again")
}
