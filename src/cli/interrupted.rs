//! Ctrl-C: the command ends at once with 130, and says how to go on.
//!
//! Apart because it is the one way out of a command that its code does not take. Nothing is undone:
//! whatever is written is written beside its place and renamed (design.md, invariant 7), so that the end
//! may come at any moment; temporary files are taken away. Git's children get the signal from the terminal too, and take
//! away their locks. So does a command that is told to end (SIGTERM), or whose terminal goes (SIGHUP), without a word.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::SIGINT;

use super::ui;
use crate::fs::remove_temporary_files;

/// Exit code of a command that a signal ended: as a shell tells it (128 and the signal's number).
const ENDED_BY: i32 = 128;

/// Our temporary files go, and what fails by that is nobody's business.
static ENDING: AtomicBool = AtomicBool::new(false);

/// What the user has to repeat.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Repeat {
    /// The command of ours that he typed.
    Ours,
    /// The Git command whose hook we are.
    Gits,
    /// The Git command that we filter for: Git is interrupted too, and it is Git that says so.
    Filtering,
}

/// From now on Ctrl-C ends the process with 130. Where it can't be waited for, it ends as by default.
pub fn exit_on_interrupt(repeat: Repeat) {
    // Without a thread the end is the system's own.
    let waiting = std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        let again = Arc::new(AtomicBool::new(false));
        let Ok(wait) = interrupt() else { return };
        // Removing what was written of 100 GiB may take long: who asks twice does not wait for it.
        let _ = signal_hook::flag::register_conditional_shutdown(SIGINT, ENDED_BY + SIGINT, Arc::clone(&again));
        let Some(signal) = wait() else { return };
        again.store(true, Ordering::SeqCst);
        ENDING.store(true, Ordering::SeqCst);
        if signal == SIGINT && repeat != Repeat::Filtering {
            ui::progress::clear();
            ui::warn("interrupted");
            ui::warn(match repeat {
                Repeat::Ours => "  hint: run the same command again: it goes on, and what is done is not done twice",
                _ => "  hint: run the same git command again; what was sent already is not sent twice",
            });
        }
        remove_temporary_files();
        std::process::exit(ENDED_BY + signal);
    });
    if let Err(e) = waiting {
        tracing::debug!("signals are left to the system: {e}");
    }
}

/// Does not return if the process is ending: it is said already.
pub fn wait_for_the_end() {
    while ENDING.load(Ordering::SeqCst) {
        std::thread::park();
    }
}

/// From now on these signals are heard; what is returned waits for one. `None`: none is to be heard.
#[cfg(unix)]
fn interrupt() -> io::Result<impl FnOnce() -> Option<i32>> {
    use signal_hook::consts::{SIGHUP, SIGTERM};
    // Who started us in the background of a script does not want us to hear it (POSIX, "2.12 Asynchronous Lists"), nor
    // does nohup.
    let all = [SIGINT, SIGTERM, SIGHUP];
    // Where nobody tells, nohup goes before.
    let heard = match ignored() {
        Some(ignored) => all.iter().filter(|signal| ignored & (1 << (**signal - 1)) == 0).collect(),
        None => vec![&SIGINT],
    };
    let mut signals = signal_hook::iterator::Signals::new(heard)?;
    Ok(move || signals.forever().next())
}

/// As above, of the C runtime, which has nothing that can be waited for.
#[cfg(not(unix))]
fn interrupt() -> io::Result<impl FnOnce() -> Option<i32>> {
    let heard = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(SIGINT, Arc::clone(&heard))?;
    Ok(move || {
        while !heard.load(Ordering::Relaxed) {
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        Some(SIGINT)
    })
}

/// The signals that we inherited as ignored, a bit each (proc(5), "SigIgn"). `None`: the system has no such file.
#[cfg(unix)]
fn ignored() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}
