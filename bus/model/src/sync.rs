//! Loom's atomics in the place of std's.

pub(crate) use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
