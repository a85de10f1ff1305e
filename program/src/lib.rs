//! What the programs have in common: the log on standard error, Ctrl-C, errors and exit codes, the list of streams, their
//! rates, latencies, and times as words.
#![forbid(unsafe_code)]

mod accounting;
mod duration;
mod failure;
mod interrupt;
mod latency;
mod pace;
mod streams;

pub use accounting::{stream_lines, subscriber_lines};
pub use duration::{duration, fine_duration};
pub use failure::{UsageError, exit_code, finish};
pub use interrupt::{on_interrupt, start_log};
pub use latency::Latencies;
pub use pace::{Pace, Progress, Seen};
pub use streams::{backends, list, no_streams, publisher_state, stream_json};
