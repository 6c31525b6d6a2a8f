//! Ctrl-C: the command ends at once with 130, and says how to go on.
//!
//! Apart because it is the one way out of a command that its code does not take. Nothing is undone:
//! whatever is written is written beside its place and renamed (design.md, invariant 7), so that the end
//! may come at any moment. Git's children get the signal from the terminal too, and take away their locks.

use signal_hook::consts::SIGINT;
use signal_hook::iterator::Signals;

use super::ui;

/// Exit code of a command that was interrupted: as a shell tells it (128 and the signal's number).
const INTERRUPTED: i32 = 130;

/// What the user has to repeat.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Repeat {
    /// The command of ours that he typed.
    Ours,
    /// The Git command whose hook we are.
    Gits,
}

/// From now on Ctrl-C ends the process with 130. Where it can't be waited for, it ends as by default.
pub fn exit_on_interrupt(repeat: Repeat) {
    // Who started us in the background of a script does not want us to hear it (POSIX, "2.12 Asynchronous Lists").
    if is_ignored() {
        return;
    }
    let Ok(mut signals) = Signals::new([SIGINT]) else { return };
    std::thread::spawn(move || {
        if signals.forever().next().is_some() {
            ui::progress::clear();
            ui::warn("interrupted");
            ui::warn(match repeat {
                Repeat::Ours => "  hint: run the same command again: it goes on, and what is done is not done twice",
                Repeat::Gits => "  hint: run the same git command again; what was sent already is not sent twice",
            });
            std::process::exit(INTERRUPTED);
        }
    });
}

/// Whether we inherited that SIGINT is ignored (proc(5), "SigIgn").
fn is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(0);
    mask & (1 << (SIGINT - 1)) != 0
}
