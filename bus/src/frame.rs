//! A frame in a subscriber's hands.

use std::ops::Deref;

use crate::attach::Attachment;
use crate::clock::now_ns;
use crate::format::{ImageShape, PixelFormat};
use crate::image_view::ImageView;
use crate::keep::Lent;
use crate::layout::FrameInfo;
use crate::slots;
use crate::sync::Ordering::Relaxed;

/// A frame, read where the publisher wrote it. Dereferences to its payload bytes.
///
/// They do not change for as long as it lives, whatever the publisher does; dropping it gives the slot back. (Only a
/// process that overwrites other subscribers' records can break that: [`is_intact`](Self::is_intact).) It may be
/// sent to another thread, and outlive its [`Subscriber`](crate::Subscriber) and the stream.
pub struct Frame(Lent);

impl Frame {
    #[inline]
    pub(crate) fn new(pinned: Lent) -> Self {
        Self(pinned)
    }

    /// Sequence, times, shape and the publisher's own bytes.
    ///
    /// # Panics
    /// In a forked child of the process that took the frame: there is no memory there.
    #[inline]
    pub fn info(&self) -> &FrameInfo {
        self.refuse_fork();
        // SAFETY: the slot is pinned until this frame is dropped.
        unsafe { self.0.frames_view.pinned_info(self.0.slot()) }
    }

    /// The frame's image shape; `None` where it is no image. It is this frame's own: the next one may have another.
    pub fn shape(&self) -> Option<ImageShape> {
        shape_of(self.info()).filter(|shape| shape.frame_bytes() <= self.len())
    }

    /// The frame as an image; `None` where it is none.
    ///
    /// ```no_run
    /// # let mut camera = framebus::Subscriber::attach(&"robot/front".parse()?)?;
    /// # let frame = camera.latest()?.ok_or("no frame")?;
    /// let image = frame.image().ok_or("no image")?;
    /// let brightest_of_row_0 = image.row(0, 0).iter().max();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn image(&self) -> Option<ImageView<'_>> {
        ImageView::new(self.shape()?, self)
    }

    /// Whether all that was read of the frame so far are the bytes that its publisher wrote. A few loads; ask after reading.
    ///
    /// With correct neighbours it is always true. A process that may write the stream's places segment, and writes where
    /// it should not, can void this frame's pin; then the publisher may have used its slot again. Whoever does not trust
    /// all of his neighbours copies out what he needs, asks, and throws the copy away where it is false.
    ///
    /// # Panics
    /// In a forked child of the process that took the frame.
    pub fn is_intact(&self) -> bool {
        self.refuse_fork();
        slots::is_still(self.0.words(), self.0.slot(), self.0.sequence())
    }

    /// When it was published, for the process that took it.
    #[inline]
    pub(crate) fn publish_ns(&self) -> u64 {
        // SAFETY: the slot is pinned until this frame is dropped, and the mapping is there, as nobody has forked.
        unsafe { self.0.frames_view.pinned_info(self.0.slot()) }.publish_ns
    }

    /// The shape of the image in a slot that is pinned, and will be taken or let go of.
    pub(crate) fn shape_in(attachment: &Attachment, slot: u16) -> Option<ImageShape> {
        // SAFETY: the caller has pinned the slot, and the attachment has it mapped.
        shape_of(unsafe { attachment.frames_view.pinned_info(slot) })
    }

    /// How long it was held. Apart, because not each frame is measured.
    #[inline(never)]
    fn count_hold(&self, pin: usize, taken_ns: u64) {
        self.0.taken_ns[pin].store(0, Relaxed);
        self.0.account().holds.count_shared(now_ns().saturating_sub(taken_ns));
    }

    /// A child has neither the mapping nor the pin; better a word than a SIGSEGV.
    #[inline]
    fn refuse_fork(&self) {
        assert!(self.0.process.is_current(), "a frame was used in a forked child of the process that took it");
    }
}

fn shape_of(info: &FrameInfo) -> Option<ImageShape> {
    let format = PixelFormat::from_code(info.format)?;
    ImageShape::with_stride(info.width, info.height, format, info.stride_bytes).ok()
}

impl Deref for Frame {
    type Target = [u8];

    /// # Panics
    /// In a forked child of the process that took the frame.
    #[inline]
    fn deref(&self) -> &[u8] {
        self.refuse_fork();
        // SAFETY: the slot is pinned until this frame is dropped, and the length is bounded by the slot's capacity.
        unsafe {
            let len = self.0.frames_view.pinned_info(self.0.slot()).len as usize;
            self.0.frames_view.pinned_bytes(self.0.slot(), len.min(self.0.geometry().slot_capacity))
        }
    }
}

impl std::fmt::Debug for Frame {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Frame")
            .field("slot", &self.0.slot())
            .field("sequence", &self.0.sequence())
            .finish_non_exhaustive()
    }
}

impl Drop for Frame {
    #[inline]
    fn drop(&mut self) {
        if self.0.process.is_current() {
            let pin = self.0.pin();
            // Relaxed: stored before the frame was handed out, and nobody else uses the pin.
            let taken_ns = self.0.taken_ns[pin].load(Relaxed);
            if taken_ns != 0 {
                self.count_hold(pin, taken_ns);
            }
            slots::release(&self.0.place().pins[pin]);
            self.0.tell_publisher();
        }
    }
}
