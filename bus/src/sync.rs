//! The atomics of the slot protocol, in one place.
//!
//! `slots.rs` takes its atomics from `crate::sync` and its records from `crate::layout`. The crate `bus/model`
//! compiles the very same `slots.rs` against a `sync` of loom's atomics, so what is model-checked is the code that
//! runs, not a copy of it.

pub(crate) use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
