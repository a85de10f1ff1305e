//! The slot protocol under real threads, on the heap.
//!
//! `slots.rs`, `words.rs`, `keep.rs` and `layout.rs` are compiled here a second time, from the same files. In a real stream
//! publisher and subscribers have the memory mapped at different addresses, and ThreadSanitizer, which knows memory
//! by its address, sees neither their races nor what orders them. Here all threads use one address, payloads are plain
//! memory of some kilobytes, and every access counts: `.ci/tsan` runs this with ThreadSanitizer. Without it, the frames'
//! bytes tell whether one was torn.
//!
//! Compared with `bus/model`: real threads, real sizes and millions of frames here, on the order of memory that this
//! machine happens to have; every interleaving and every permitted order there, of a handful of steps.
#![allow(dead_code)] // what the four files have for others

mod attach;
mod heap;
#[path = "../../../src/keep.rs"]
mod keep;
#[path = "../../../src/layout.rs"]
mod layout;
#[path = "../../../src/slots.rs"]
mod slots;
mod subscriber;
#[path = "../../../src/sync.rs"]
mod sync;
#[path = "../../../src/words.rs"]
mod words;

#[cfg(test)]
mod tests;
