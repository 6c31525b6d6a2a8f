//! `git s3lfs ...`: Git runs a program of this name for a command that it does not know (git(1)).
//!
//! Apart, and without the library, because it only hands over to `s3lfs`: a second copy of that would be as
//! large as the first.
#![allow(clippy::print_stderr)]

use std::ffi::OsString;
use std::process::{Command, ExitCode};

/// The `s3lfs` beside this one, which was installed with it; else that of PATH.
fn s3lfs() -> OsString {
    let name = format!("s3lfs{}", std::env::consts::EXE_SUFFIX);
    let beside = std::env::current_exe().ok().and_then(|exe| Some(exe.canonicalize().ok()?.with_file_name(&name)));
    beside.filter(|file| file.is_file()).map_or_else(|| name.into(), Into::into)
}

fn main() -> ExitCode {
    let mut command = Command::new(s3lfs());
    command.args(std::env::args_os().skip(1));
    #[cfg(unix)]
    let failed = std::os::unix::process::CommandExt::exec(&mut command);
    #[cfg(not(unix))]
    let failed = match command.status() {
        Ok(status) => return ExitCode::from(status.code().and_then(|code| code.try_into().ok()).unwrap_or(1)),
        Err(e) => e,
    };
    eprintln!("git-s3lfs: cannot run {}: {failed}", command.get_program().to_string_lossy());
    ExitCode::FAILURE
}
