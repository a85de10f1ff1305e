//! The last few events of one who writes them, for any number of others who may come too late for some.
//!
//! One writer, who never waits. A reader asks for all from some number on, and learns how many of them were overwritten before it
//! came.
//!
//! ```text
//! writer, event n                                reader
//!   fence(Release)                 ── E ──         h = head                      (Acquire)
//!   words of event n % L           (Relaxed)       words of event m, m > h − L   (Relaxed)
//!   head = n + 1                   (Release)       fence(Acquire)                ── E ──
//!                                                  head < m + L ? else: overwritten, the words mean nothing
//! ```
//!
//! **E.** Event n takes the room of event n − L, and is written while `head` is n. Who has read one of its words for an older one sees,
//! behind its fence, all that came before the writer's: a `head` of n at least. So of L events the last L − 1 can be read. `bus/model` runs this file under loom.

use crate::layout::{EVENT_WORDS, EventWords};
use crate::sync::Ordering::{Acquire, Relaxed, Release};
use crate::sync::{PlainU64, fence};

/// The words of an event; [`fate`](crate::fate) says what they mean.
pub(crate) type Event = [u64; EVENT_WORDS];

/// A ring of events in shared memory.
#[derive(Clone, Copy)]
pub(crate) struct Ring<'a> {
    /// Events written so far.
    pub head: &'a PlainU64,
    /// Event n is in n % their number.
    pub events: &'a [EventWords],
}

impl Ring<'_> {
    /// Writes the next event. One writer at a time: the holder of the lease that the ring belongs to.
    pub(crate) fn write(&self, event: Event) {
        let number = self.head.load(Relaxed);
        let words = &self.events[(number % self.events.len() as u64) as usize].0;
        fence(Release);
        for (word, value) in words.iter().zip(event) {
            word.store(value, Relaxed);
        }
        self.head.store(number.wrapping_add(1), Release);
    }

    /// Hands out the events from number `from` on that are still there; returns the number of the next one, and how many
    /// were gone.
    pub(crate) fn read(&self, from: u64, mut each: impl FnMut(Event)) -> (u64, u64) {
        let (head, len) = (self.head.load(Acquire), self.events.len() as u64);
        // The room of the oldest one may be written to at any time. Another process writes the head: whatever it is, there are no more
        // events than the ring has room for.
        let first = from.min(head).max(head.saturating_sub(len - 1));
        let mut lost = first.saturating_sub(from);
        for number in first..head {
            let words = &self.events[(number % len) as usize].0;
            let event = std::array::from_fn(|at| words[at].load(Relaxed));
            fence(Acquire);
            // Wrapping: who scribbles there may have taken the head back.
            if self.head.load(Relaxed).wrapping_sub(number) < len { each(event) } else { lost += 1 }
        }
        (head, lost)
    }
}
