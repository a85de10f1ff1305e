//! The words of the shared records that the protocol uses, on the heap.

use crate::sync::{AtomicU32, AtomicU64, PlainU64};

pub(crate) struct Control {
    pub latest: AtomicU64,
    pub futex: AtomicU32,
}

pub(crate) struct SlotRecord {
    pub generation: AtomicU64,
}

pub(crate) struct PlacesHeader {
    pub release_futex: AtomicU32,
    pub publisher_waiting: AtomicU32,
}

pub(crate) struct Place {
    pub waiting: AtomicU32,
    pub cursor: AtomicU64,
    pub pins: Vec<AtomicU32>,
}

/// Words of an event; two can be torn.
pub(crate) const EVENT_WORDS: usize = 2;

pub(crate) struct EventWords(pub [PlainU64; EVENT_WORDS]);

/// Pins that `keep.rs` looks after.
pub(crate) const MAX_HELD: u32 = 1;
