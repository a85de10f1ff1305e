//! How a program ends: what is printed, and the exit code.

use std::io;
use std::process::ExitCode;

use framebus::{NameError, OpenError};
use framebus_config::{BusError, ConfigError};

use crate::interrupt::was_hung_up;
use crate::words::{Level, say};

/// An error of input or output: errno(3).
const EIO: i32 = 5;

/// Arguments, a config and a source that do not go together: exit code 2.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub String);

/// A [`UsageError`] as `anyhow` has it, from a format string.
#[macro_export]
macro_rules! usage {
    ($($text:tt)*) => { ::anyhow::Error::new($crate::UsageError(format!($($text)*))) };
}

/// 2 where the arguments or the config are at fault, 1 for everything else.
pub fn exit_code(error: &anyhow::Error) -> u8 {
    let asked_wrongly = error.chain().any(|cause| {
        let open = cause.downcast_ref::<OpenError>();
        cause.is::<UsageError>()
            || cause.is::<ConfigError>()
            || cause.is::<BusError>()
            || cause.is::<NameError>()
            || matches!(open, Some(OpenError::Geometry { .. } | OpenError::TypeName { .. }))
    });
    if asked_wrongly { 2 } else { 1 }
}

/// The end of a program: its exit code, or an error, which is printed with all its causes to standard error.
///
/// A standard output that its reader closed is no failure: who has seen enough may go.
pub fn finish(result: anyhow::Result<u8>) -> ExitCode {
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            say(Level::Error, format_args!("error: {}", chain(&error)));
            ExitCode::from(exit_code(&error))
        }
    }
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(has_no_reader)
}

/// Whether an error says that the other end of standard input or output is gone, which is no failure: the reader of a pipe
/// has seen enough, or the user has closed the terminal.
pub fn has_no_reader(error: &io::Error) -> bool {
    match error.kind() {
        io::ErrorKind::BrokenPipe => true,
        // What a terminal says that is being closed, and one that is closed; a disk may say so, too.
        kind => (error.raw_os_error() == Some(EIO) || kind == io::ErrorKind::UnexpectedEof) && was_hung_up(),
    }
}

/// All causes in one line; those that an error's own text has already are not said twice.
pub(crate) fn chain(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn wrong_usage_is_2_and_a_failed_run_is_1_whatever_the_context() {
        let usage: anyhow::Result<()> = Err(crate::usage!("no stream {}", "x"));
        let usage = usage.context("can not start").unwrap_err();
        assert_eq!((exit_code(&usage), chain(&usage).as_str()), (2, "can not start: no stream x"));
        let run = anyhow::Error::new(io::Error::other("disk on fire"));
        assert_eq!((exit_code(&run), chain(&run).as_str()), (1, "disk on fire"));
    }

    #[test]
    fn a_chain_is_told_whole_and_without_repetition() {
        let error =
            anyhow::anyhow!("disk is full").context("writing failed: disk is full").context("can not save a.png");
        assert_eq!(chain(&error), "can not save a.png: writing failed: disk is full");
    }
}
