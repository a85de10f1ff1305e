//! What `keep.rs` keeps: instead of mappings, memory that is overwritten when it goes.

use std::cell::UnsafeCell;
use std::sync::Arc;

use crate::heap::Heap;
use crate::keep::PinUses;
use crate::slots;
use crate::sync::AtomicU32;

/// Stands in `memory` for as long as the attachment is there.
const MAPPED: u64 = 0x6d61_7070_6564;

/// A subscriber's hold on the stream, shared with its frames.
pub(crate) struct Attachment {
    pub pin_uses: PinUses,
    pub heap: Arc<Heap>,
    pub place: usize,
    /// Read by whoever uses the attachment, written when it goes, as unmapping would.
    memory: UnsafeCell<u64>,
}

// SAFETY: `memory` is only written by Drop, when nobody uses the attachment any more; that this is so is what is tested.
unsafe impl Send for Attachment {}
// SAFETY: as above.
unsafe impl Sync for Attachment {}

impl Attachment {
    pub fn new(heap: Arc<Heap>) -> Self {
        let place = heap.claim_place();
        // What an earlier holder left.
        heap.places[place].pins.iter().for_each(slots::release);
        Self { pin_uses: PinUses::new(), heap, place, memory: UnsafeCell::new(MAPPED) }
    }

    pub fn pin(&self, pin: usize) -> &AtomicU32 {
        // SAFETY: see Sync.
        assert_eq!(unsafe { *self.memory.get() }, MAPPED, "the attachment is gone");
        &self.heap.places[self.place].pins[pin]
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        *self.memory.get_mut() = 0;
        self.heap.give_back(self.place);
    }
}
