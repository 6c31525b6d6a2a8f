//! A terminal with somebody at it: the other end of a pseudo-terminal.
//!
//! Apart because it alone can be asked: s3lfs asks nobody whose input or messages go elsewhere.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Stdio};

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::world::Place;

/// A command that runs on a terminal of its own.
pub struct Terminal {
    child: Child,
    master: File,
    shown: Vec<u8>,
}

impl Place<'_> {
    /// Start `s3lfs` on a terminal.
    pub fn on_terminal(&self, args: &[&str]) -> Terminal {
        self.program_on_terminal("s3lfs", args)
    }

    /// Start a program on a terminal.
    pub fn program_on_terminal(&self, program: &str, args: &[&str]) -> Terminal {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let end: OwnedFd = rustix::fs::open(name.as_c_str(), flags, Mode::empty()).unwrap();
        let stdio = || Stdio::from(end.try_clone().unwrap());
        let mut command = self.command(program);
        command.args(args).env("TERM", "xterm").stdin(stdio()).stdout(stdio()).stderr(stdio());
        let child = command.spawn().unwrap();
        Terminal { child, master: File::from(master), shown: Vec::new() }
    }
}

impl Terminal {
    /// Read until this is shown.
    #[track_caller]
    pub fn waits_with(&mut self, text: &str) {
        while !self.text().contains(text) {
            assert!(self.more(), "it must ask {text:?}, and ended with: {}", self.text());
        }
    }

    /// Hit these keys.
    pub fn hits(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).unwrap();
    }

    /// The exit code, and all that was shown.
    pub fn ends(mut self) -> (i32, String) {
        while self.more() {}
        (self.child.wait().unwrap().code().unwrap_or(-1), self.text())
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.shown).into_owned()
    }

    /// A terminal that nobody writes to any more ends with an error (EIO) on Linux, elsewhere with nothing.
    fn more(&mut self) -> bool {
        let mut bytes = [0; 4096];
        match self.master.read(&mut bytes) {
            Ok(n) => {
                self.shown.extend_from_slice(&bytes[..n]);
                n > 0
            }
            Err(_) => false,
        }
    }
}
