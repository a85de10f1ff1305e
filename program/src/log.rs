//! The log: events on standard error, for a person, a file, or the journal of systemd.
//!
//! The journal keeps time and level itself, and shows no colours. A line for it begins with its level as sd-daemon(3) has
//! it, so `journalctl -p warning` finds what is wrong.

use std::fmt;
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::{FmtContext, Subscriber as Fmt};
use tracing_subscriber::registry::LookupSpan;

/// Sends events of `level` and above to standard error; `FRAMEBUS_LOG=debug` says another level.
pub fn start_log(level: LevelFilter) {
    let level = std::env::var("FRAMEBUS_LOG").ok().and_then(|level| level.parse().ok()).unwrap_or(level);
    let log = Fmt::builder()
        .with_max_level(level)
        .with_writer(io::stderr)
        .with_target(false)
        // There is nobody left to tell when standard error is closed, and trying to would panic.
        .log_internal_errors(false);
    match is_journal() {
        true => log.with_ansi(false).event_format(Journal).init(),
        false => log.with_ansi(io::stderr().is_terminal()).init(),
    }
}

/// Whether standard error is the journal of systemd: systemd.exec(5), `$JOURNAL_STREAM`. A program that the service started
/// with another standard error has the variable too, so its device and inode are compared.
pub fn is_journal() -> bool {
    std::env::var("JOURNAL_STREAM").is_ok_and(|stream| same_file(&stream, io::stderr().as_fd()).unwrap_or(false))
}

fn same_file(stream: &str, file: impl AsFd) -> io::Result<bool> {
    let file = std::fs::File::from(file.as_fd().try_clone_to_owned()?).metadata()?;
    Ok(stream == format!("{}:{}", file.dev(), file.ino()))
}

/// A line of the journal.
struct Journal;

impl<S, N> FormatEvent<S, N> for Journal
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let priority = match *event.metadata().level() {
            Level::ERROR => 3,
            Level::WARN => 4,
            Level::INFO => 6,
            Level::DEBUG | Level::TRACE => 7,
        };
        write!(out, "<{priority}>")?;
        context.format_fields(out.by_ref(), event)?;
        writeln!(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    #[test]
    fn the_journal_is_known_by_device_and_inode() {
        let (journal, other) = UnixStream::pair().unwrap();
        let of = |socket: &UnixStream| {
            let file = std::fs::File::from(std::os::fd::OwnedFd::from(socket.try_clone().unwrap())).metadata().unwrap();
            format!("{}:{}", file.dev(), file.ino())
        };
        assert!(same_file(&of(&journal), &journal).unwrap());
        assert!(!same_file(&of(&journal), &other).unwrap());
        assert!(!same_file("", &journal).unwrap());
        assert!(!same_file("9:x", &journal).unwrap());
    }
}
