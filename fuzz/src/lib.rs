//! What the fuzz targets share. `.ci/fuzz` runs them.
//!
//! Targets `attach` (System V segments) and `files` (mapped files) do the same. There is a handful of streams, made by
//! the library itself. An input names one of them and a list of steps: bytes of its headers, words and records are
//! overwritten, and a subscriber or a publisher does something with it. Nothing of that may panic, crash, hang, take
//! much memory, or leave anything behind. Afterwards the stream is written back as it was, in place: making a new one
//! for each input would cost many times as much as the input itself.

pub mod guardian;
pub mod input;
pub mod kinds;
pub mod seeds;
pub mod session;
pub mod store;
pub mod world;
