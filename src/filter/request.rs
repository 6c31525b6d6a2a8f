//! What Git asks of a filter process: the handshake, and one request after another.
//!
//! Apart because it is the part of the protocol that can be read and judged without any content.
//! Source: `gitattributes.txt`, "Long Running Filter Process"; unknown keys are passed over.

use std::io::Read;

use bstr::{BStr, BString, ByteSlice};
use tracing::Span;

use super::pktline::{PktError, PktReader};

/// Capabilities that we offer, in the order in which we name them.
pub const CAPABILITIES: [&str; 3] = ["clean", "smudge", "delay"];

/// Why a handshake or a request can't be answered at all.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The framing is wrong or the input ended.
    #[error("Git's request can't be read")]
    Packet(#[from] PktError),
    /// It is not Git that is speaking, or a Git that we don't know.
    #[error(
        "this is no handshake of Git's filter protocol, version 2 ({0}); 's3lfs filter-process' is for Git to call"
    )]
    Handshake(&'static str),
}

/// Whether Git lets us answer later.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Delay {
    /// `can-delay=1` was given.
    Allow,
    /// The answer must come now.
    Forbid,
}

/// Whether Git names the ref that it checks out: `switch`, `checkout <branch>`, `clone`, `worktree add` and `reset --hard`
/// do, and then they are done. A rebase or a merge, which goes on with the files, names none (observed with 2.47).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OfRef {
    /// `ref` was given.
    Named,
    /// It was not.
    Unnamed,
}

/// One request. For all but [`Request::ListAvailable`] and [`Request::Unreadable`], content packets follow.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Request {
    /// Content to pointer.
    Clean {
        /// Where the content belongs, for messages only.
        pathname: BString,
    },
    /// Pointer to content.
    Smudge {
        /// Where the content belongs; names a delayed answer.
        pathname: BString,
        /// Whether the answer may come later.
        delay: Delay,
        /// The commit or tree that is checked out, where Git knows it; a hint for finding the manifest.
        treeish: Option<BString>,
        /// Whether a whole branch or HEAD is checked out, by its name.
        of_ref: OfRef,
    },
    /// Which delayed paths are ready?
    ListAvailable,
    /// A command that this version does not know, or one that names no path, with content after it.
    Unknown {
        /// Its name.
        command: BString,
    },
    /// A list without a path, and without a command that has content after it.
    Unreadable {
        /// What was given as the command.
        command: BString,
    },
}

impl Request {
    /// For as long as it is worked on, in a trace.
    pub fn span(&self) -> Span {
        let (title, path) = match self {
            Request::Clean { pathname } => ("clean", pathname.as_bstr()),
            Request::Smudge { pathname, .. } => ("smudge", pathname.as_bstr()),
            Request::ListAvailable => ("list_available_blobs", BStr::new("")),
            Request::Unknown { command } | Request::Unreadable { command } => ("unknown", command.as_bstr()),
        };
        tracing::debug_span!("filter", title, path = %path)
    }
}

/// First half of the handshake: Git's welcome, before we may answer.
pub fn read_welcome<R: Read>(input: &mut PktReader<R>) -> Result<(), RequestError> {
    let lines = input.list()?.ok_or(RequestError::Handshake("the input is empty"))?;
    if lines.first().is_none_or(|line| line != "git-filter-client") {
        return Err(RequestError::Handshake("it does not begin with git-filter-client"));
    }
    if !lines[1..].iter().any(|line| line == "version=2") {
        return Err(RequestError::Handshake("version 2 is not offered"));
    }
    Ok(())
}

/// Second half: the capabilities that Git offers and we have.
pub fn read_capabilities<R: Read>(input: &mut PktReader<R>) -> Result<Vec<&'static str>, RequestError> {
    let lines = input.list()?.ok_or(RequestError::Handshake("no capabilities are offered"))?;
    let offered = |name: &str| lines.iter().any(|line| line.strip_prefix(b"capability=") == Some(name.as_bytes()));
    Ok(CAPABILITIES.into_iter().filter(|name| offered(name)).collect())
}

/// The next request, or `None` when Git is done.
pub fn read_request<R: Read>(input: &mut PktReader<R>) -> Result<Option<Request>, RequestError> {
    let Some(lines) = input.list()? else { return Ok(None) };
    let value = |key: &str| -> Option<&BStr> {
        let of_key = |line: &'_ BString| line.split_once_str(b"=").is_some_and(|(k, _)| k == key.as_bytes());
        let line = lines.iter().find(|line| of_key(line))?;
        line.split_once_str(b"=").map(|(_, value)| value.as_bstr())
    };
    let command = value("command").unwrap_or_default();
    if command == "list_available_blobs" {
        return Ok(Some(Request::ListAvailable));
    }
    let Some(pathname) = value("pathname").map(BStr::to_owned) else {
        // Content follows these in any case: left unread, it would be taken for the next request.
        if command == "clean" || command == "smudge" {
            return Ok(Some(Request::Unknown { command: command.to_owned() }));
        }
        return Ok(Some(Request::Unreadable { command: command.to_owned() }));
    };
    Ok(Some(match command.as_bytes() {
        b"clean" => Request::Clean { pathname },
        b"smudge" => Request::Smudge {
            pathname,
            delay: if value("can-delay").is_some_and(|v| v == "1") { Delay::Allow } else { Delay::Forbid },
            treeish: value("treeish").map(BStr::to_owned),
            of_ref: if value("ref").is_some() { OfRef::Named } else { OfRef::Unnamed },
        },
        _ => Request::Unknown { command: command.to_owned() },
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packets(lines: &[&[u8]]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for line in lines {
            bytes.extend(format!("{:04x}", line.len() + 4).bytes());
            bytes.extend_from_slice(line);
        }
        bytes.extend_from_slice(b"0000");
        bytes
    }

    fn request(lines: &[&[u8]]) -> Request {
        read_request(&mut PktReader::new(packets(lines).as_slice())).unwrap().unwrap()
    }

    #[test]
    fn a_pathname_is_raw_bytes_up_to_one_lf() {
        let odd = b"pathname= a=b\r\n\xff\t\"\n\n";
        let expected = BString::from(b" a=b\r\n\xff\t\"\n".as_slice());
        assert_eq!(request(&[b"command=clean\n", odd]), Request::Clean { pathname: expected });
    }

    #[test]
    fn order_and_unknown_keys_do_not_matter() {
        let asked =
            request(&[b"zzz\n", b"blob=00\n", b"can-delay=1\n", b"treeish=T", b"pathname=p\n", b"command=smudge\n"]);
        let pathname = "p".into();
        let (delay, treeish) = (Delay::Allow, Some("T".into()));
        assert_eq!(asked, Request::Smudge { pathname, delay, treeish, of_ref: OfRef::Unnamed });
        let asked = request(&[b"command=smudge\n", b"pathname=p\n", b"ref=refs/heads/main\n"]);
        assert!(matches!(asked, Request::Smudge { of_ref: OfRef::Named, delay: Delay::Forbid, .. }));
        assert!(matches!(request(&[b"command=x\n", b"pathname=p\n"]), Request::Unknown { .. }));
        assert!(matches!(request(&[b"command=clean\n"]), Request::Unknown { .. }), "its content follows all the same");
        assert!(matches!(request(&[b"command=x\n"]), Request::Unreadable { .. }));
        assert_eq!(request(&[b"command=list_available_blobs\n"]), Request::ListAvailable);
    }

    #[test]
    fn handshakes_of_anyone_else_are_refused() {
        for lines in [[b"git-filter-server\n".as_slice(), b"version=2\n"], [b"git-filter-client\n", b"version=3\n"]] {
            assert!(read_welcome(&mut PktReader::new(packets(&lines).as_slice())).is_err());
        }
        assert!(read_welcome(&mut PktReader::new(b"".as_slice())).is_err());
        let several = packets(&[b"git-filter-client", b"version=3", b"version=2"]);
        assert!(read_welcome(&mut PktReader::new(several.as_slice())).is_ok());
        let offered = packets(&[b"capability=smudge", b"capability=clean", b"capability=zap"]);
        assert_eq!(read_capabilities(&mut PktReader::new(offered.as_slice())).unwrap(), ["clean", "smudge"]);
    }
}
