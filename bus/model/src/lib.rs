//! The slot protocol under loom: every interleaving, and every value that the memory model lets a load return.
//!
//! `slots.rs` and `words.rs` are compiled here a second time, from the same files, against the loom versions of the two
//! modules that they use: `sync` and `layout`. So what is checked is the code that runs.
//!
//! A run of a model is one *execution*; loom goes through all of them, or through all with a bounded number of
//! preemptions where that is said. Payloads are loom cells: an access that races with another one fails the check, so
//! "no torn frame" is not a matter of unlucky timing here.
#![allow(dead_code)] // what slots.rs and words.rs have for others

mod layout;
#[path = "../../src/slots.rs"]
mod slots;
mod sync;
#[path = "../../src/words.rs"]
mod words;

#[cfg(test)]
mod checks;
#[cfg(test)]
mod world;
