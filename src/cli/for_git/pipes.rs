//! Git's two pipes, taken away from the rest of the program before anything else happens.
//!
//! Apart because they are Git's alone: a stray byte on stdout would be an answer, and a program that is run for
//! credentials would read Git's questions from stdin, or keep Git waiting for the end of an answer for as long as it
//! runs itself.

#[cfg(not(unix))]
pub use others::Pipes;
#[cfg(unix)]
pub use unix::Pipes;

#[cfg(unix)]
mod unix {
    use std::fs::File;
    use std::io::BufReader;

    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::io::fcntl_dupfd_cloexec;
    use rustix::stdio;

    use crate::cli::error::CliError;
    use crate::fs::{PathContext, PathError};

    /// What Git asks, and what it is answered. No child inherits them.
    pub struct Pipes {
        input: File,
        /// For answers.
        pub output: File,
    }

    /// The first that is none of the standard three.
    const FREE: i32 = 3;

    impl Pipes {
        /// From now on stdin is empty, and what is written to stdout goes to stderr.
        pub fn take() -> Result<Self, CliError> {
            const NOTHING: &str = "/dev/null";
            let nothing = File::open(NOTHING).context("open", NOTHING.as_ref())?;
            let taken = || -> rustix::io::Result<Pipes> {
                let input = fcntl_dupfd_cloexec(stdio::stdin(), FREE)?;
                let output = fcntl_dupfd_cloexec(stdio::stdout(), FREE)?;
                stdio::dup2_stdin(&nothing)?;
                stdio::dup2_stdout(stdio::stderr())?;
                Ok(Pipes { input: input.into(), output: output.into() })
            };
            let redirected = |e: rustix::io::Errno| PathError::new("redirect", "standard input and output", e.into());
            Ok(taken().map_err(redirected)?)
        }

        /// What Git asks, with room for so many bytes.
        pub fn reader(&self, room: usize) -> BufReader<&File> {
            BufReader::with_capacity(room, &self.input)
        }

        /// Whether Git has closed its end, so that waiting for a download is in vain.
        pub fn hung_up(&self) -> bool {
            let mut fds = [PollFd::new(&self.input, PollFlags::IN)];
            let now = Timespec { tv_sec: 0, tv_nsec: 0 };
            poll(&mut fds, Some(&now)).is_ok() && fds[0].revents().contains(PollFlags::HUP)
        }

        /// Pipes of 1 MiB spare switches between Git and us (git-filter-reference.md, part 3), and let us hash while
        /// Git writes. Where they can't be had, nothing is lost.
        pub fn widen(&self) {
            #[cfg(target_os = "linux")]
            for pipe in [&self.input, &self.output] {
                let _ = rustix::pipe::fcntl_setpipe_size(pipe, 1 << 20);
            }
        }
    }
}

/// The lint `clippy::print_stdout` is all that guards stdout here.
#[cfg(not(unix))]
mod others {
    use std::io::{self, BufReader, StdinLock, Stdout};

    use crate::cli::error::CliError;

    pub struct Pipes {
        pub output: Stdout,
    }

    impl Pipes {
        pub fn take() -> Result<Self, CliError> {
            Ok(Pipes { output: io::stdout() })
        }

        pub fn reader(&self, room: usize) -> BufReader<StdinLock<'static>> {
            BufReader::with_capacity(room, io::stdin().lock())
        }

        pub fn hung_up(&self) -> bool {
            false
        }

        pub fn widen(&self) {}
    }
}
