//! How a run that failed ends: what is printed, and the exit code.

use std::io::Write;
use std::process::ExitCode;

use framebus::OpenError;
use framebus_config::{BusError, ConfigError};

/// Arguments, a config and a source that do not go together: exit code 2.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub(crate) String);

/// A [`UsageError`] as `anyhow` has it.
macro_rules! usage {
    ($($text:tt)*) => { anyhow::Error::new($crate::failure::UsageError(format!($($text)*))) };
}
pub(crate) use usage;

/// 2 where the arguments or the config are at fault, 1 for everything else.
pub fn exit_code(error: &anyhow::Error) -> u8 {
    let asked_wrongly = error.chain().any(|cause| {
        let open = cause.downcast_ref::<OpenError>();
        cause.is::<UsageError>()
            || cause.is::<ConfigError>()
            || cause.is::<BusError>()
            || matches!(open, Some(OpenError::Geometry { .. } | OpenError::TypeName { .. }))
    });
    if asked_wrongly { 2 } else { 1 }
}

/// The end of a program: prints the error with all its causes to standard error, and maps it to the exit code.
pub fn finish(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // There is nobody left to tell when standard error is closed.
            let _ = writeln!(std::io::stderr(), "error: {}", chain(&error));
            ExitCode::from(exit_code(&error))
        }
    }
}

/// All causes in one line; those that an error's own text has already are not said twice.
fn chain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
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
        let usage: anyhow::Result<()> = Err(usage!("no stream {}", "x"));
        let usage = usage.context("can not start").unwrap_err();
        assert_eq!((exit_code(&usage), chain(&usage).as_str()), (2, "can not start: no stream x"));
        let run = anyhow::Error::new(std::io::Error::other("disk on fire"));
        assert_eq!((exit_code(&run), chain(&run).as_str()), (1, "disk on fire"));
    }

    #[test]
    fn a_cause_is_not_said_twice() {
        #[derive(Debug, thiserror::Error)]
        #[error("can not read it: {source}")]
        struct Outer {
            source: std::io::Error,
        }
        let error = anyhow::Error::new(Outer { source: std::io::Error::other("disk on fire") });
        assert_eq!(chain(&error), "can not read it: disk on fire");
    }
}
