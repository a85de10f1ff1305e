//! Keeping an attachment alive for the frames that were taken through it, without counting every frame.
//!
//! A frame may outlive its subscriber, so it has to keep the mappings. An `Arc` a frame would do, at two locked
//! instructions a frame, half the price of an acquisition. Instead, one count belongs to the subscriber, and a frame
//! gets its own only in the rare case that the subscriber goes first:
//!
//! | pin's use | who sets it | meaning |
//! |---|---|---|
//! | `FREE` | the frame, when it is dropped (swap) | no frame |
//! | `HELD` | the subscriber, when it acquires | a frame that lives on the subscriber's count |
//! | `ORPHANED` | the subscriber, when it goes (compare and swap from `HELD`) | a frame with a count of its own |
//!
//! # Invariants
//!
//! * **K1** Of the frame's swap and the subscriber's compare-and-swap on the same pin, one comes first: either the
//!   subscriber sees that the frame is gone and gives it no count, or the frame sees that it has one and drops it.
//! * **K2** After a swap that found `HELD`, the frame does not touch the attachment any more.

use std::ops::Deref;
use std::ptr::NonNull;

use crate::attach::Attachment;
use crate::layout::MAX_HELD;
use crate::sync::Ordering::{AcqRel, Acquire, Relaxed};
use crate::sync::{Arc, PlainU64};

const FREE: u64 = 0;
const HELD: u64 = 1;
const ORPHANED: u64 = 2;
/// From here up stands the sequence of the frame, which has 48 bits; it tells a frame from the one after it, too.
const SEQUENCE_SHIFT: u32 = 2;

/// A pin's use without the sequence.
const fn state(pin_use: u64) -> u64 {
    pin_use & ((1 << SEQUENCE_SHIFT) - 1)
}

/// How this process uses the pins of its place. The shared pins say the same to the publisher; but others could
/// overwrite those, and not these.
pub(crate) struct PinUses([PlainU64; MAX_HELD as usize]);

impl PinUses {
    pub(crate) fn new() -> Self {
        Self(std::array::from_fn(|_| PlainU64::new(FREE)))
    }

    /// The first of `pins` pins that no frame uses.
    #[inline]
    pub(crate) fn first_free(&self, pins: usize) -> Option<usize> {
        // Acquire: what the pin's last frame did with it came before.
        self.0[..pins].iter().position(|pin| pin.load(Acquire) == FREE)
    }

    /// Pins that frames use.
    pub(crate) fn count(&self) -> usize {
        self.0.iter().filter(|pin| pin.load(Relaxed) != FREE).count()
    }
}

/// The subscriber's attachment.
pub(crate) struct Kept(Arc<Attachment>);

impl Kept {
    pub(crate) fn new(attachment: Attachment) -> Self {
        Self(Arc::new(attachment))
    }

    /// A count of its own, for who watches the stream in the subscriber's name.
    pub(crate) fn share(&self) -> Arc<Attachment> {
        self.0.clone()
    }

    /// Uses a free pin for the frame `sequence` in a slot.
    #[inline]
    pub(crate) fn lend(&self, pin: usize, slot: u16, sequence: u64) -> Lent {
        self.0.pin_uses.0[pin].store(sequence << SEQUENCE_SHIFT | HELD, Relaxed);
        Lent { attachment: NonNull::from(&*self.0), pin_and_slot: (pin as u32) << 16 | u32::from(slot) }
    }
}

impl Deref for Kept {
    type Target = Attachment;

    #[inline]
    fn deref(&self) -> &Attachment {
        &self.0
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        for pin in &self.0.pin_uses.0 {
            let held = pin.load(Acquire);
            if state(held) == HELD {
                let count = self.0.clone();
                let orphaned = held - HELD + ORPHANED;
                if pin.compare_exchange(held, orphaned, AcqRel, Acquire).is_ok() {
                    // It is the frame's now. (K1)
                    std::mem::forget(count);
                }
            }
        }
    }
}

/// A frame's hold on the attachment, on one pin of it, and on the slot that is pinned.
///
/// Two words, which travel in registers: through memory, moving a frame of 40 bytes from `latest` to its user cost three
/// times as much as taking it.
pub(crate) struct Lent {
    attachment: NonNull<Attachment>,
    pin_and_slot: u32,
}

// SAFETY: an Attachment is Send and Sync, and a Lent refers to it as an Arc does.
unsafe impl Send for Lent {}
// SAFETY: as above.
unsafe impl Sync for Lent {}

impl Lent {
    #[inline]
    pub(crate) fn pin(&self) -> usize {
        (self.pin_and_slot >> 16) as usize
    }

    #[inline]
    pub(crate) fn slot(&self) -> u16 {
        self.pin_and_slot as u16
    }

    /// Of the frame that the slot holds.
    pub(crate) fn sequence(&self) -> u64 {
        // Relaxed: stored before the frame was handed out; only its state may have changed since.
        self.pin_uses.0[self.pin()].load(Relaxed) >> SEQUENCE_SHIFT
    }
}

impl Deref for Lent {
    type Target = Attachment;

    #[inline]
    fn deref(&self) -> &Attachment {
        // SAFETY: the attachment lives as long as the subscriber's count or our own, and one of them is there until we
        // are dropped (K1).
        unsafe { self.attachment.as_ref() }
    }
}

impl Drop for Lent {
    #[inline]
    fn drop(&mut self) {
        // AcqRel: all that the frame did with the pin and the mappings comes before, for who uses or frees them next.
        if state(self.pin_uses.0[self.pin()].swap(FREE, AcqRel)) == ORPHANED {
            // SAFETY: the subscriber made this count of the Arc for us, and forgot it (K1).
            drop(unsafe { Arc::from_raw(self.attachment.as_ptr()) });
        }
    }
}

const _: () = {
    const fn is_shared<T: Send + Sync>() {}
    is_shared::<Attachment>();
};
