//! A subscriber and its frames, as `subscriber.rs` and `frame.rs` of the library have them.

use std::sync::Arc;

use crate::attach::Attachment;
use crate::heap::Heap;
use crate::keep::{Kept, Lent};
use crate::slots::{self, Overwritten};

pub(crate) struct Subscriber {
    kept: Kept,
    last: u64,
}

impl Subscriber {
    pub fn new(heap: &Arc<Heap>) -> Self {
        Self { kept: Kept::new(Attachment::new(heap.clone())), last: 0 }
    }

    /// The newest frame; `None` where there is none, or all pins are in use.
    pub fn latest(&mut self) -> Option<Frame> {
        let pin = self.kept.pin_uses.first_free(self.kept.heap.size.max_held)?;
        let slot = slots::pin_latest(self.kept.heap.words(), self.kept.pin(pin));
        self.finish(pin, slot)
    }

    /// The next frame in order; `None` where there is none, or all pins are in use.
    pub fn next(&mut self) -> Option<Frame> {
        let pin = self.kept.pin_uses.first_free(self.kept.heap.size.max_held)?;
        let before = self.last;
        let slot = slots::pin_next(self.kept.heap.words(), self.kept.pin(pin), self.last + 1, 1);
        let frame = self.finish(pin, slot)?;
        assert!(frame.sequence() > before, "next goes forward");
        Some(frame)
    }

    fn finish(&mut self, pin: usize, slot: Result<Option<u16>, Overwritten>) -> Option<Frame> {
        let slot = slot.expect("nobody else writes this place")?;
        let sequence = slots::sequence_of(self.kept.heap.words(), slot);
        assert!(sequence >= self.last, "time ran backwards");
        self.last = sequence;
        Some(Frame(self.kept.lend(pin, slot, sequence)))
    }
}

pub(crate) struct Frame(Lent);

impl Frame {
    pub fn sequence(&self) -> u64 {
        self.0.sequence()
    }

    pub fn verify(&self) {
        self.0.heap.verify(self.0.slot(), self.sequence());
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        // It did not change for as long as it was held.
        if !std::thread::panicking() {
            self.verify();
        }
        slots::release(self.0.pin_word());
    }
}

impl Lent {
    fn pin_word(&self) -> &crate::sync::AtomicU32 {
        // Through Deref: the attachment's, not the Lent's.
        Attachment::pin(self, Lent::pin(self))
    }
}
