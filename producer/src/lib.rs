//! The producer: frames from a source, or records of a synthetic sensor, onto a stream, at a fixed rate.
//!
//! ```text
//!  pattern, imu, lidar ┐
//!  images:, gif:       ┤             deadline n = start + n periods         ┌ viewer
//!  y4m:, raw:          ┼─► source ─► loan ─► write in place ─► publish ─► stream
//!  exec:, v4l2:        ┘                                                    └ viewer
//! ```
//!
//! The program `producer` is this library and nothing more; `framebus producer` is the same.
//!
//! * `arguments`: the command line.  `plan`: what it and the config come to, before anything is created.
//! * `source`: where frames come from, one file a source.  `paint`, `text`: drawing, for the pattern.
//! * `pace`: deadlines.  `realtime`: priority, CPU, memory.  `stop`: Ctrl-C, and the end of the time.
//! * `run`: the loop.  `report`, `summary`: what is said of it, on a thread of its own.
//!
//! What holds throughout: nothing is created before the source, the config and the arguments were found to go together,
//! so a failed start leaves an existing stream as it was; a frame that was not read or drawn to its end is abandoned and
//! never published; and printing never delays a frame.
#![forbid(unsafe_code)]
#![deny(clippy::print_stderr, clippy::print_stdout)]

mod arguments;
mod pace;
mod paint;
mod plan;
mod realtime;
mod report;
mod run;
mod source;
mod stop;
mod summary;
mod text;

pub use arguments::{Arguments, Full};
pub use run::run;
pub use source::{Scene, SourceSpec};
pub use summary::{Interval, Summary};
