//! For shells and manuals: completion scripts, what may stand where the cursor is, man pages.
//!
//! Apart because all of it is made out of the definition of the command line, and none of it runs a command.

mod candidates;
pub mod completions;
pub mod man;

use clap::Command;
use clap_complete::CompleteEnv;

/// With this variable, the scripts of [`completions`] ask what may stand where the cursor is.
const COMPLETE: &str = "S3LFS_COMPLETE";

/// Answer a shell that asks; does not return if one does.
pub fn complete(definition: fn() -> Command) {
    if std::env::var_os(COMPLETE).is_some() {
        CompleteEnv::with_factory(move || candidates::with_candidates(definition())).var(COMPLETE).complete();
    }
}
