//! How a program begins: its log, and what Ctrl-C does.

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use tracing_subscriber::filter::LevelFilter;

/// Sends events of `level` and above to standard error; `FRAMEBUS_LOG=debug` says another level.
pub fn start_log(level: LevelFilter) {
    let level = std::env::var("FRAMEBUS_LOG").ok().and_then(|level| level.parse().ok()).unwrap_or(level);
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_target(false)
        .init();
}

/// From now on, the first SIGINT or SIGTERM sets the flag, so that the program can end cleanly, and the second ends it at
/// once: a write to a pipe that nobody empties never comes back to look at the flag.
///
/// # Errors
/// The handlers could not be installed.
pub fn on_interrupt(flag: &Arc<AtomicBool>) -> io::Result<()> {
    for signal in [SIGINT, SIGTERM] {
        // In this order: the handler that kills looks at the flag before the other one sets it.
        flag::register_conditional_shutdown(signal, 128 + signal, flag.clone())?;
        flag::register(signal, flag.clone())?;
    }
    Ok(())
}
