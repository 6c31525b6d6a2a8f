//! One builder for all `git` children.
//!
//! Apart so that every child is started alike: no pager, no prompt, no optional lock, output taken
//! as bytes, errors with the command line and what Git said.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bstr::{BString, ByteSlice};
use tracing::Span;

use super::path_from_bytes;

/// A `git` child that could not be started, or that failed.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// There is no `git`, or it can't be run.
    #[error("cannot run '{command}'; is git on PATH?")]
    Start {
        /// The command line.
        command: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The current directory is in no repository.
    #[error("this is not inside a Git repository")]
    NoRepository,
    /// Git said no.
    #[error("'{command}' failed ({status}): {stderr}")]
    Failed {
        /// The command line.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// What it said, trimmed.
        stderr: BString,
    },
    /// Something beside the child failed: a temporary file, a pipe.
    #[error("cannot {action}")]
    Local {
        /// What was attempted.
        action: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file of the Git directory can't be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A blob that a commit brought, and that is read whole, is too large for that.
    #[error("{object} has {size} bytes, and is not read: no such file has to be larger than 256 MiB")]
    TooLarge {
        /// As it was asked for.
        object: BString,
        /// Its bytes.
        size: u64,
    },
    /// Git's answer has a form that this program does not know.
    #[error("'{command}' answered in an unknown form: {answer:?}")]
    Answer {
        /// The command line.
        command: &'static str,
        /// The part that was not understood.
        answer: BString,
    },
}

impl GitError {
    /// What Git itself said, if it did.
    pub fn stderr(&self) -> &[u8] {
        match self {
            GitError::Failed { stderr, .. } => stderr,
            _ => b"",
        }
    }

    /// A child that was run and ended badly.
    pub(crate) fn failed(args: &[&str], output: Output) -> Self {
        let stderr = output.stderr.trim().into();
        GitError::Failed { command: format!("git {}", args.join(" ")), status: output.status, stderr }
    }

    pub(crate) fn answer(command: &'static str, answer: impl Into<BString>) -> Self {
        GitError::Answer { command, answer: answer.into() }
    }
}

/// A `git` child in the making. It inherits the environment (`GIT_DIR`, `GIT_INDEX_FILE` of a hook):
/// it is about *this* repository.
#[derive(Debug)]
pub struct Git {
    command: Command,
    input: Option<Vec<u8>>,
    /// How long another process may hold the lock of the index.
    patience: Duration,
}

impl Git {
    /// `git <args>`.
    pub fn new<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Self {
        let mut command = Command::new("git");
        command.args(args).env("GIT_OPTIONAL_LOCKS", "0").env("LC_ALL", "C").stdin(Stdio::null());
        // Whoever set one of these for his own paths would make other questions of ours (git(1)).
        for name in PATHSPEC_VARS {
            command.env_remove(name);
        }
        Git { command, input: None, patience: Duration::ZERO }
    }

    /// `git <args>`, which writes the index: again while another process does, which Git does not wait for.
    pub fn on_index<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Self {
        Git { patience: INDEX_PATIENCE, ..Git::new(args) }
    }

    /// Ask for the path of a part of the repository, by options of `git rev-parse`: absolute, and without links
    /// in it.
    pub fn locate<S: AsRef<OsStr>>(options: impl IntoIterator<Item = S>) -> Self {
        Self::new(["rev-parse", "--path-format=absolute"]).args(options)
    }

    /// More arguments.
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.command.args(args);
        self
    }

    /// Run it in `dir`.
    pub fn in_dir(mut self, dir: &Path) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// Set an environment variable.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Forget everything that points at this repository, to ask about another (`git rev-parse
    /// --local-env-vars` lists what Git itself clears for submodules).
    pub fn elsewhere(mut self) -> Self {
        forget_repository(&mut self.command);
        self
    }

    /// Bytes for its standard input.
    pub fn input(mut self, bytes: Vec<u8>) -> Self {
        self.input = Some(bytes);
        self
    }

    /// Run it; standard output, if it ends with 0.
    pub fn output(self) -> Result<Vec<u8>, GitError> {
        let line = self.line();
        let output = self.run()?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let said = if output.stderr.is_empty() && is_index_locked(&output) { LOCKED } else { output.stderr.trim() };
        Err(GitError::Failed { command: line, status: output.status, stderr: said.into() })
    }

    /// Run it, a [`Git::locate`]: the path that it tells.
    pub fn path(self) -> Result<PathBuf, GitError> {
        let answer = self.output()?;
        Ok(path_from_bytes(answer.strip_suffix(b"\n").unwrap_or(&answer)))
    }

    /// Run it; the first line of standard output, if it ends with 0, or `None` if it ends with 1
    /// without a word (the way in which Git's plumbing says "there is none").
    pub fn line_if_any(self) -> Result<Option<BString>, GitError> {
        let line = self.line();
        let output = self.run()?;
        match output.status.code() {
            Some(0) => Ok(Some(output.stdout.lines().next().unwrap_or_default().into())),
            Some(1) if output.stderr.is_empty() => Ok(None),
            _ => Err(GitError::Failed { command: line, status: output.status, stderr: output.stderr.trim().into() }),
        }
    }

    /// Run it and collect everything, whatever its exit status.
    pub fn run(mut self) -> Result<Output, GitError> {
        let line = self.line();
        tracing::debug!("{line}");
        let _span = self.span();
        let start = |source| GitError::Start { command: line.clone(), source };
        self.command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let started = Instant::now();
        loop {
            let output = self.run_once().map_err(start)?;
            if !is_index_locked(&output) || started.elapsed() >= self.patience {
                return Ok(output);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn run_once(&mut self) -> io::Result<Output> {
        let Some(input) = &self.input else { return self.command.output() };
        let mut child = self.command.stdin(Stdio::piped()).spawn()?;
        let mut stdin = child.stdin.take().expect("stdin was asked to be a pipe");
        std::thread::scope(|scope| {
            // A child that ends early closes the pipe: its exit status tells why.
            scope.spawn(move || drop(stdin.write_all(input)));
            child.wait_with_output()
        })
    }

    /// Run it with our standard streams: for commands that the user is to see.
    pub fn status(mut self) -> Result<ExitStatus, GitError> {
        let line = self.line();
        // Its arguments are the user's (`s3lfs clone`), who may have given it a password.
        let _span = tracing::debug_span!("git", title = self.title());
        self.command.stdin(Stdio::inherit());
        for name in ["LC_ALL", "GIT_OPTIONAL_LOCKS"] {
            match std::env::var_os(name) {
                Some(value) => self.command.env(name, value),
                None => self.command.env_remove(name),
            };
        }
        self.command.status().map_err(|source| GitError::Start { command: line, source })
    }

    /// Run it with all that it says on our standard error: for commands whose progress the user is to see, while standard
    /// output is for an answer.
    pub fn shown(mut self) -> Result<ExitStatus, GitError> {
        let line = self.line();
        let _span = self.span();
        self.command.stdout(io::stderr()).stderr(Stdio::inherit());
        self.command.status().map_err(|source| GitError::Start { command: line, source })
    }

    /// Start it with its output as a pipe, to be read while it runs: for what may be larger than
    /// memory. Its standard input is what was given with [`Git::input`], else `stdin`.
    pub fn start(mut self, stdin: Stdio) -> Result<Running, GitError> {
        let line = self.line();
        tracing::debug!("{line}");
        let span = self.span();
        let start = |source| GitError::Start { command: line.clone(), source };
        let input = self.input.take();
        self.command.stdin(if input.is_some() { Stdio::piped() } else { stdin });
        let mut child = self.command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(start)?;
        if let (Some(input), Some(mut stdin)) = (input, child.stdin.take()) {
            // A child that ends early closes the pipe: its exit status tells why.
            std::thread::spawn(move || drop(stdin.write_all(&input)));
        }
        let mut pipe = child.stderr.take().expect("stderr was asked to be a pipe");
        let stderr = std::thread::spawn(move || {
            let mut text = Vec::new();
            // What can't be read is not shown; the exit status counts.
            let _ = pipe.read_to_end(&mut text);
            text
        });
        Ok(Running { child, line, stderr, _span: span })
    }

    /// Start it with pipes to ask and to be answered; what it says on standard error is dropped.
    pub fn converse(mut self) -> Result<Child, GitError> {
        let line = self.line();
        tracing::debug!("{line}");
        // It goes on for as long as there are questions; only its start takes time of ours.
        let _span = self.span();
        self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        self.command.spawn().map_err(|source| GitError::Start { command: line, source })
    }

    /// For as long as the child is waited for, in a trace.
    fn span(&self) -> Span {
        tracing::debug_span!("git", title = self.title(), line = self.line())
    }

    /// `git` and its command.
    fn title(&self) -> String {
        let command = self.command.get_args().find(|word| !word.as_encoded_bytes().starts_with(b"-"));
        format!("git {}", command.unwrap_or_default().to_string_lossy())
    }

    fn line(&self) -> String {
        let args: Vec<OsString> = self.command.get_args().map(OsStr::to_owned).collect();
        format!("git {}", args.join(OsStr::new(" ")).to_string_lossy())
    }
}

/// How long another process may hold the lock of the index: an add or a commit of many files, no editor.
const INDEX_PATIENCE: Duration = Duration::from_secs(10);

/// Of a Git that failed without a word.
const LOCKED: &[u8] = b"another process holds the lock of the index; if no Git command runs, one was killed: \
    remove index.lock in Git's directory, and run the command again";

/// Whether it failed because another process holds the lock. `update-index -q --refresh` says nothing of it
/// (builtin/update-index.c, 2.47).
fn is_index_locked(output: &Output) -> bool {
    output.stderr.contains_str("index.lock': File exists")
        || (output.status.code() == Some(128) && output.stderr.is_empty())
}

/// A `git` child that is running.
#[derive(Debug)]
pub struct Running {
    child: Child,
    line: String,
    stderr: JoinHandle<Vec<u8>>,
    _span: Span,
}

impl Running {
    /// Its output, once.
    pub fn stdout(&mut self) -> ChildStdout {
        self.child.stdout.take().expect("stdout is a pipe, and is taken once")
    }

    /// Wait for its end: what it said, if it ends with 0.
    pub fn finish(mut self) -> Result<BString, GitError> {
        let source = |source| GitError::Start { command: self.line.clone(), source };
        let status = self.child.wait().map_err(source)?;
        let stderr: BString = self.stderr.join().unwrap_or_default().trim().into();
        if status.success() { Ok(stderr) } else { Err(GitError::Failed { command: self.line, status, stderr }) }
    }
}

const PATHSPEC_VARS: [&str; 4] =
    ["GIT_LITERAL_PATHSPECS", "GIT_GLOB_PATHSPECS", "GIT_NOGLOB_PATHSPECS", "GIT_ICASE_PATHSPECS"];

/// Let a child find its repository by where it runs alone, as [`Git::elsewhere`] does.
pub fn forget_repository(command: &mut Command) {
    for name in LOCAL_ENV_VARS {
        command.env_remove(name);
    }
}

const LOCAL_ENV_VARS: [&str; 16] = [
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_CONFIG",
    "GIT_CONFIG_PARAMETERS",
    "GIT_CONFIG_COUNT",
    "GIT_OBJECT_DIRECTORY",
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_GRAFT_FILE",
    "GIT_INDEX_FILE",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_REPLACE_REF_BASE",
    "GIT_PREFIX",
    "GIT_SHALLOW_FILE",
    "GIT_COMMON_DIR",
    "GIT_INTERNAL_SUPER_PREFIX",
];
