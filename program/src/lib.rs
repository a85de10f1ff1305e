//! What the programs have in common: the log on standard error, Ctrl-C, errors and exit codes.
#![forbid(unsafe_code)]

mod failure;
mod interrupt;

pub use failure::{UsageError, exit_code, finish};
pub use interrupt::{on_interrupt, start_log};
