//! Waiting: for one stream or for the first of many, asleep or looking without pause.
//!
//! ```text
//! Subscriber::wait ─┐
//! WaitSet::wait ────┴─► any: who is behind? whose epoch has ended? ─► spin ─► look at all of them until T
//!                                                                 └─► sleep ─► waitv: until T, or a word is woken
//!                                                                                └─► futex: where there is one word
//! ```
//!
//! Who lives in an event loop can not sleep: the helper, a thread, sleeps for it, and makes an eventfd readable
//! ([`EventSubscriber`]) or wakes a task (`AsyncSubscriber`).
//!
//! Times are `CLOCK_MONOTONIC` in ns, and absolute, as the kernel takes them.

pub(crate) mod any;
mod events;
mod futex;
mod helper;
pub(crate) mod predict;
#[cfg(feature = "async")]
mod tasks;
mod waitv;

pub use any::WaitSet;
pub use events::EventSubscriber;
pub(crate) use futex::{sleep, wake_all};
pub use predict::PredictionCounters;
#[cfg(feature = "async")]
pub use tasks::{AsyncSubscriber, FrameStream};
