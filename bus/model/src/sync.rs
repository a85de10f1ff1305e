//! Loom's atomics in the place of std's.

pub(crate) use loom::sync::Arc;
pub(crate) use loom::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering, fence};
