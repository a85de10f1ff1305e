//! The viewer: takes a stream's frames to eyes, pipes and files, and says how the stream is doing.
//!
//! It is a library so that the front door `framebus viewer …` runs the very code of the program `viewer`: the first
//! flattens [`Arguments`] into its own command line, both call [`run`].
//!
//! ```text
//! target ── which stream ──▸ attach ── wait for it ──▸ session ── one frame at a time, read in place ──▸ last words
//!                                                        ├─ verify    every byte against the frame's mark
//!                                                        ├─ pipe      y4m or raw bytes to standard output
//!                                                        ├─ snapshot  one frame to a picture file
//!                                                        ├─ record    every frame to files, with an index
//!                                                        ├─ face      a window, or the picture in the terminal
//!                                                        └─ figures ─▸ status: a live line, JSON, the last words
//! ```
//! With `--web` it is [`framebus_web`] that shows the streams, in browsers.
//!
//! Data goes to standard output, words go to standard error. Exit codes: 0 all is well (a reader that closed the pipe
//! is well, too), 1 something failed, a frame was torn, or, with `--enforce`, the contract was not kept, 2 the command line or the config is at fault.
#![forbid(unsafe_code)]
#![deny(clippy::print_stderr, clippy::print_stdout)]

mod arguments;
mod attach;
mod contract;
mod face;
mod figures;
mod pipe;
mod record;
mod run;
mod session;
mod snapshot;
mod status;
mod target;
mod terminal;
mod usual;
mod verify;
mod web;
#[cfg(feature = "window")]
mod window;

pub use arguments::{Arguments, GraphicsKind, Mode, PipeFormat, RecordKind, WaitKind};
pub use contract::{Limit, Violations};
pub use figures::Summary;
pub use run::{End, Outcome, run};
