//! A loan: write the slot, publish it.

use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};

use crate::clock::now_ns;
use crate::fate::Fate;
use crate::format::ImageShape;
use crate::layout::{FrameInfo, UserBytes};
use crate::steps;
use crate::sync::Ordering::Relaxed;
use crate::wait;

use super::{Publisher, set_shape};

/// The exclusive right to write one slot. Dereferences to the frame's bytes, in shared memory.
///
/// Publishing consumes it. Dropping it abandons the frame: nobody sees it, and its slot and sequence are used again; so
/// a panic never publishes half a frame. [`discard`](Self::discard) does the same, and counts nothing.
pub struct Loan<'a> {
    pub(super) publisher: &'a mut Publisher,
    pub(super) slot: u16,
}

impl Loan<'_> {
    /// The sequence that the frame will have.
    pub fn sequence(&self) -> u64 {
        self.publisher.next_sequence()
    }

    /// Most bytes that the frame may have.
    pub fn capacity_bytes(&self) -> usize {
        self.publisher.geometry().slot_capacity
    }

    fn info(&self) -> &FrameInfo {
        // SAFETY: as in `info_mut`.
        unsafe { self.publisher.stream.frames_view.claimed_info(self.slot) }
    }

    fn info_mut(&mut self) -> &mut FrameInfo {
        // SAFETY: the slot is claimed until this loan is published or dropped, the publisher can not claim another one
        // meanwhile (it is borrowed), and the borrow of self makes the reference unique.
        unsafe { self.publisher.stream.frames_view.claimed_info(self.slot) }
    }

    pub(super) fn begin_info(&mut self) {
        if std::mem::replace(&mut self.publisher.prepared[self.slot as usize], true) {
            self.info_mut().capture_ns = 0;
        } else {
            steps::store("frame info, from the template");
            *self.info_mut() = self.publisher.template;
        }
    }

    /// The info, to be made different from the template.
    fn custom_info(&mut self) -> &mut FrameInfo {
        self.publisher.prepared[self.slot as usize] = false;
        self.info_mut()
    }

    /// Sets the number of payload bytes; it begins as that of the stream's content.
    ///
    /// # Panics
    /// Where `bytes` is larger than the [capacity](Self::capacity_bytes).
    pub fn set_len(&mut self, bytes: usize) {
        assert!(bytes <= self.capacity_bytes(), "a frame of {bytes} bytes in slots of {}", self.capacity_bytes());
        self.custom_info().len = bytes as u64;
    }

    /// Gives this frame alone another shape than the stream's; its bytes must fit the slot. [`Publisher::set_content`] is for all that
    /// follow, of any size.
    ///
    /// # Panics
    /// Where the frame is larger than the [capacity](Self::capacity_bytes).
    pub fn set_shape(&mut self, shape: &ImageShape) {
        self.set_len(shape.frame_bytes());
        set_shape(self.custom_info(), shape);
    }

    /// Says when the data was taken, in `CLOCK_MONOTONIC` ns ([`now_ns`](crate::now_ns)).
    pub fn set_capture_ns(&mut self, capture_ns: u64) {
        self.info_mut().capture_ns = capture_ns;
    }

    /// The user's own bytes of the frame's info.
    pub fn user_mut(&mut self) -> &mut UserBytes {
        &mut self.custom_info().user
    }

    /// Makes the frame the newest, and wakes who sleeps for it; returns its sequence. No system call when nobody sleeps,
    /// but for a few in the first loan of each second.
    #[inline]
    pub fn publish(self) -> u64 {
        // Published is not abandoned.
        let mut loan = ManuallyDrop::new(self);
        let (sequence, now) = (loan.sequence(), now_ns());
        let info = loan.info_mut();
        steps::store("frame info");
        (info.sequence, info.publish_ns) = (sequence, now);
        if info.capture_ns == 0 {
            info.capture_ns = now;
        }
        let slot = loan.slot;
        let Publisher { ledger, stream, next_look_ns, look_is_due, .. } = &mut *loan.publisher;
        *look_is_due |= now >= *next_look_ns;
        let words = stream.frames_view.words();
        if ledger.publish(words, stream.places_view.places(), slot) {
            wait::wake_all(&words.control.futex);
        }
        sequence
    }

    /// Gives the slot back as if there had been no loan: nobody waits for this frame, as it was made ahead of a time that
    /// did not come. A frame that is missed is abandoned by dropping its loan, which the stream counts.
    pub fn discard(self) {
        // Dropping it would count it; there is nothing else to undo.
        let _ = ManuallyDrop::new(self);
    }
}

impl Deref for Loan<'_> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: the slot is claimed by this loan, and `set_len` bounds the length.
        unsafe { self.publisher.stream.frames_view.claimed_bytes(self.slot, self.info().len as usize) }
    }
}

impl DerefMut for Loan<'_> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`; the borrow of self makes the slice unique.
        unsafe { self.publisher.stream.frames_view.claimed_bytes(self.slot, self.info().len as usize) }
    }
}

impl Drop for Loan<'_> {
    fn drop(&mut self) {
        if self.publisher.process.is_current() {
            self.publisher.stream.frames_view.stats().abandoned.fetch_add(1, Relaxed);
            self.publisher.tell(Fate::Abandoned);
        }
    }
}
