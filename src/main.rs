//! Parse, run, exit code; no logic.

use std::process::ExitCode;

fn main() -> ExitCode {
    s3lfs::cli::main()
}
