//! What Ctrl-C does, and a termination signal, and a terminal that is closed.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

/// The signal that came last; 0: none so far.
static LAST: LazyLock<Arc<AtomicUsize>> = LazyLock::new(Arc::default);

/// How much later than a terminal's error SIGHUP may come.
const PATIENCE: Duration = Duration::from_millis(500);

/// From now on, the first SIGINT, SIGTERM or SIGHUP (the terminal was closed) sets the flag, so that the program can end
/// cleanly. A SIGINT or SIGTERM behind it ends the program at once, with exit code 128 + its number: a write to a pipe that
/// nobody empties never comes back to look at the flag.
///
/// A further SIGHUP does nothing: of a terminal that is closed, the kernel tells, and so does the shell that ran in it. One that is
/// ignored stays so: that is what nohup(1) is for.
///
/// # Errors
/// The handlers could not be installed.
pub fn on_interrupt(flag: &Arc<AtomicBool>) -> io::Result<()> {
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        if signal == SIGHUP && is_ignored(signal) {
            continue;
        }
        // In this order: the handler that kills looks at the flag before the other one sets it, and whoever sees the flag
        // knows the signal.
        if signal != SIGHUP {
            flag::register_conditional_shutdown(signal, 128 + signal, flag.clone())?;
        }
        flag::register_usize(signal, LAST.clone(), signal as usize)?;
        flag::register(signal, flag.clone())?;
    }
    Ok(())
}

/// The signal that asked this program to end, if one did.
pub fn signal_name() -> Option<&'static str> {
    match LAST.load(Ordering::Relaxed) as i32 {
        SIGINT => Some("SIGINT"),
        SIGTERM => Some("SIGTERM"),
        SIGHUP => Some("SIGHUP"),
        _ => None,
    }
}

/// Whether the terminal was closed. It fails first, and SIGHUP comes a moment later; so this is for who got an error.
pub(crate) fn was_hung_up() -> bool {
    let begun = Instant::now();
    while signal_name() != Some("SIGHUP") {
        if begun.elapsed() > PATIENCE {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    true
}

/// proc_pid_status(5): a mask of the ignored signals, in hexadecimal digits. Where it can not be read, none is.
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask >> (signal - 1) & 1 == 1
}
