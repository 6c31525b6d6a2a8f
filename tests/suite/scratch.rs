//! A scratch directory with the real Git in it, deaf to the machine's configuration.
//!
//! Apart because the text-only modules are tried against Git before there is an s3lfs to run.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

pub struct Scratch {
    dir: tempfile::TempDir,
}

impl Scratch {
    pub fn new() -> Self {
        Scratch { dir: tempfile::tempdir().unwrap() }
    }

    /// With a repository in it.
    pub fn repo() -> Self {
        let scratch = Self::new();
        scratch.git(&["init", "-q", "-b", "main", "."], b"");
        scratch
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn join(&self, path: &str) -> PathBuf {
        self.path().join(path)
    }

    /// A command in the scratch directory whose environment says nothing of the user or the repository around.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("GIT_")) {
            command.env_remove(name);
        }
        command.current_dir(self.path()).env("HOME", self.path()).env("GIT_CONFIG_NOSYSTEM", "1");
        command.env_remove("XDG_CONFIG_HOME").env("GIT_CEILING_DIRECTORIES", self.path().parent().unwrap());
        for role in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{role}_NAME"), "a").env(format!("GIT_{role}_EMAIL"), "a@example.com");
        }
        command
    }

    /// Run Git; it must succeed.
    pub fn git(&self, args: &[&str], stdin: &[u8]) -> Vec<u8> {
        let output = run(self.command("git").args(args), stdin);
        assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }
}

/// Run a command with these bytes on its standard input.
pub fn run(command: &mut Command, stdin: &[u8]) -> Output {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut pipe = child.stdin.take().unwrap();
    let bytes = stdin.to_owned();
    let feeder = std::thread::spawn(move || drop(pipe.write_all(&bytes)));
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap();
    output
}
