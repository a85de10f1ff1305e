//! A place from outside: who has it, and what it counted.

use crate::error::PlaceHolder;
use crate::layout::Place;
use crate::lease::{Holder, LeaseSet};
use crate::region::read_text;
use crate::sync::AtomicU64;
use crate::sync::Ordering::Relaxed;

/// What a subscriber has counted since it attached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SubscriberCounters {
    /// Different frames acquired.
    pub seen: u64,
    /// Frames passed over because a newer one was taken.
    pub skipped: u64,
    /// Frames gone before they were asked for.
    pub missed: u64,
    /// Acquisitions refused because all pins were in use.
    pub refused: u64,
    /// Newest sequence acquired; 0 before the first.
    pub last_sequence: u64,
}

pub(crate) fn counters(place: &Place) -> SubscriberCounters {
    let counters = &place.counters;
    SubscriberCounters {
        seen: counters.seen.load(Relaxed),
        skipped: counters.skipped.load(Relaxed),
        missed: counters.missed.load(Relaxed),
        refused: counters.refused.load(Relaxed),
        last_sequence: counters.last_sequence.load(Relaxed),
    }
}

pub(crate) fn write_label(words: &[AtomicU64; 4], label: &str) {
    let bytes: [u8; 32] = crate::region::text(label);
    for (word, chunk) in words.iter().zip(bytes.chunks_exact(8)) {
        word.store(u64::from_ne_bytes(chunk.try_into().unwrap_or_default()), Relaxed);
    }
}

pub(crate) fn read_label(words: &[AtomicU64; 4]) -> String {
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.load(Relaxed).to_ne_bytes()).collect();
    // Another process wrote it: what is no printable text is not printed.
    read_text(&bytes).chars().filter(|c| !c.is_control()).collect()
}

/// Who has these places.
pub(crate) fn holders(places: &[Place], leases: &LeaseSet, which: impl Iterator<Item = usize>) -> Vec<PlaceHolder> {
    let holder = |index: usize| {
        let label = read_label(&places.get(index)?.counters.label);
        Some(PlaceHolder { place: index, pid: leases.holder_pid(Holder::Place(index)), label })
    };
    which.filter_map(holder).collect()
}
