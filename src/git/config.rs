//! Git's configuration, changed.
//!
//! Apart because a setting that is right already must not be written (the file would be another one),
//! and because Git itself does not wait for another process that holds the file.

use std::process::Output;
use std::time::{Duration, Instant};

use bstr::ByteSlice;

use super::{Git, GitError};

/// How long another process may hold the file: Git writes it in an instant.
const PATIENCE: Duration = Duration::from_secs(5);

/// Give `key` exactly this value in the file of `scope` (`--local`, `--global`, `--worktree`).
/// `false`: it had it.
pub fn set(scope: &str, key: &str, value: &str) -> Result<bool, GitError> {
    let present = Git::new(["config", scope, "-z", "--get-all", key]).run()?;
    if present.status.success() && present.stdout == [value.as_bytes(), b"\0"].concat() {
        return Ok(false);
    }
    let args = ["config", scope, "--replace-all", key, value];
    let output = change(&args)?;
    if output.status.success() { Ok(true) } else { Err(GitError::failed(&args, output)) }
}

/// `git config <args>`, which changes a file; again while another process changes it.
pub fn change(args: &[&str]) -> Result<Output, GitError> {
    let started = Instant::now();
    loop {
        let output = Git::new(args).run()?;
        if !output.stderr.contains_str("could not lock config file") || started.elapsed() > PATIENCE {
            return Ok(output);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
