//! The streams of a framebus in a browser: a page, its WebSocket, and addresses for scripts.
//!
//! ```text
//!            ┌ access    who may see anything                 ┌ watch     one thread a stream that somebody looks at:
//!            │ page      the page itself                      │           figures, and the newest frame where one is wanted
//! browser ──▸┤ client    a WebSocket: wants and answers ──▸ watches ──▸ encoders   few threads that read frames, make
//!  server    │ mjpeg, snapshot   pictures without a page      │                    JPEGs, and give slots back in between
//!            │ metrics   for Prometheus                       └ samples   the last records of a stream
//!            └ streams   what there is, looked at while somebody asks
//! ```
//! * A stream is subscribed to only while somebody looks at it, and a little longer.
//! * A slot is held by the frame that is newest, or by the one that an encoder reads, some milliseconds; never while a
//!   JPEG is made of it, or while a browser takes its time.
//! * A browser asks for one picture at a time and gets the newest then. So each has its own pace, and none a queue.
//! * With nobody connected, nothing is looked at and nothing is done.
//!
//! The addresses and messages stand in docs/web.md and docs/json.md.
#![forbid(unsafe_code)]
#![deny(clippy::print_stderr, clippy::print_stdout)]

mod access;
mod arguments;
mod client;
mod encoders;
mod figures;
mod frozen;
mod metrics;
mod mjpeg;
mod page;
mod picture;
mod routes;
mod run;
mod samples;
mod server;
mod snapshot;
mod still;
mod streams;
mod token;
mod visitors;
mod wants;
mod watch;
mod watcher;
mod watches;

pub use arguments::{Arguments, DEFAULT_ADDRESS, address};
pub use run::run;
pub use server::{Server, Settings};
pub use streams::Scope;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks; what a thread that panicked has left is as good as any: all that stands under our locks is always whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
