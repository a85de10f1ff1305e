//! A place from outside: who has it, and what it counted.

use crate::error::PlaceHolder;
use crate::layout::{Account, Place};
use crate::lease::{Holder, LeaseSet};
use crate::region::{FramesView, read_text};
use crate::sync::AtomicU64;
use crate::sync::Ordering::Relaxed;
use crate::words::pin;

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

/// How long the place has held the slot that it has held longest, ns, and how many it holds; `None`: it holds none.
///
/// When a frame was taken is not always noted; but it was not before it was published.
pub(crate) fn holding(frames: &FramesView, place: &Place, account: &Account, now_ns: u64) -> (usize, Option<u64>) {
    let pins = place.pins.iter().zip(&account.held_since_ns).take(frames.geometry().max_held);
    let since = pins.filter_map(|(word, since)| {
        let slot = pin::slot(word.load(Relaxed), frames.geometry().slots)?;
        Some(since.load(Relaxed).max(frames.observe_publish_ns(slot)))
    });
    let since: Vec<u64> = since.collect();
    (since.len(), since.iter().min().map(|since| now_ns.saturating_sub(*since)))
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
        Some(PlaceHolder { place: index, pid: leases.holder_pid(Holder::Place(index)), label, held_ns: None })
    };
    which.filter_map(holder).collect()
}
