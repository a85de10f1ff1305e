//! How a run ends: what is said, and the exit code.

use crate::run::Outcome;
use std::io::Write;
use std::process::ExitCode;

/// The command line asks for something that can not be; exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub String);

/// The exit code of a run: 0 all is well, 1 it failed or a frame was torn, 2 command line or config are at fault.
pub fn exit_code(result: &anyhow::Result<Outcome>) -> u8 {
    match result {
        Ok(outcome) if outcome.summary.torn > 0 => 1,
        Ok(_) => 0,
        Err(error) if error.chain().any(is_usage) => 2,
        Err(_) => 1,
    }
}

fn is_usage(cause: &(dyn std::error::Error + 'static)) -> bool {
    cause.is::<UsageError>() || cause.is::<framebus_config::ConfigError>() || cause.is::<framebus::NameError>()
}

/// Says on standard error why a run failed, where it did, and turns its result into the process's exit code.
pub fn conclude(result: anyhow::Result<Outcome>) -> ExitCode {
    if let Err(error) = &result {
        // Nobody is left to be told that standard error is closed.
        let _ = writeln!(std::io::stderr(), "error: {}", whole_chain(error));
    }
    ExitCode::from(exit_code(&result))
}

/// An error with all its causes, each once: some errors have their cause in their own text.
fn whole_chain(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::anyhow;

    #[test]
    fn a_chain_is_told_whole_and_without_repetition() {
        let error = anyhow!("disk is full").context("writing failed: disk is full").context("can not save a.png");
        assert_eq!(whole_chain(&error), "can not save a.png: writing failed: disk is full");
    }

    #[test]
    fn usage_is_found_under_its_context() {
        let usage = anyhow::Error::new(UsageError("no".into())).context("in the end");
        assert_eq!(exit_code(&Err(usage)), 2);
        assert_eq!(exit_code(&Err(anyhow!("it broke"))), 1);
    }
}
