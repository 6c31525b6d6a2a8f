//! Ctrl-C: the command ends at once with 130, and says how to go on.
//!
//! Apart because it is the one way out of a command that its code does not take. Nothing is undone:
//! whatever is written is written beside its place and renamed (design.md, invariant 7), so that the end
//! may come at any moment. Git's children get the signal from the terminal too, and take away their locks.

use std::io;

use signal_hook::consts::SIGINT;

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
    let Ok(wait) = interrupt() else { return };
    std::thread::spawn(move || {
        wait();
        ui::progress::clear();
        ui::warn("interrupted");
        ui::warn(match repeat {
            Repeat::Ours => "  hint: run the same command again: it goes on, and what is done is not done twice",
            Repeat::Gits => "  hint: run the same git command again; what was sent already is not sent twice",
        });
        std::process::exit(INTERRUPTED);
    });
}

/// From now on SIGINT is heard; what is returned waits for it.
#[cfg(unix)]
fn interrupt() -> io::Result<impl FnOnce()> {
    let mut signals = signal_hook::iterator::Signals::new([SIGINT])?;
    Ok(move || {
        signals.forever().next();
    })
}

/// As above, of the C runtime, which has nothing that can be waited for.
#[cfg(not(unix))]
fn interrupt() -> io::Result<impl FnOnce()> {
    let heard = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    signal_hook::flag::register(SIGINT, std::sync::Arc::clone(&heard))?;
    Ok(move || {
        while !heard.load(std::sync::atomic::Ordering::Relaxed) {
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    })
}

/// Whether we inherited that SIGINT is ignored (proc(5), "SigIgn").
fn is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(0);
    mask & (1 << (SIGINT - 1)) != 0
}
