//! What the programs have in common: the log and words on standard error, Ctrl-C, errors and exit codes, the list of streams,
//! their rates, latencies, and times as words.
#![forbid(unsafe_code)]
// They panic where nobody reads: `say` and `Output` do not.
#![deny(clippy::print_stderr, clippy::print_stdout)]

mod accounting;
mod duration;
mod failure;
mod interrupt;
mod latency;
mod log;
mod pace;
mod streams;
mod users;
mod words;

pub use accounting::{stream_lines, subscriber_lines};
pub use duration::{duration, fine_duration};
pub use failure::{UsageError, exit_code, finish, has_no_reader};
pub use interrupt::{on_interrupt, signal_name};
pub use latency::Latencies;
pub use log::{is_journal, start_log};
pub use pace::{Pace, Progress, Seen};
pub use streams::{
    Listing, backends, list, list_each, no_streams, orphan_json, publisher_state, stream_json, survey_each, unlisted,
    unreadable_json,
};
pub use users::{group_name, owner, user_name};
pub use words::{Level, Output, say};
