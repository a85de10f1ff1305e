//! What `keep.rs` keeps: instead of mappings, a cell that notices who touches it when.

use loom::cell::UnsafeCell;

use super::keep::PinUses;
use crate::sync::{Arc, AtomicU32, Ordering::Relaxed};

pub(crate) struct Attachment {
    pub pin_uses: PinUses,
    /// Read by whoever holds a frame, written when the attachment goes.
    pub memory: UnsafeCell<u32>,
    /// How often an attachment went.
    pub gone: Arc<AtomicU32>,
}

// SAFETY: loom checks every access to the cell.
unsafe impl Send for Attachment {}
// SAFETY: as above.
unsafe impl Sync for Attachment {}

impl Drop for Attachment {
    fn drop(&mut self) {
        self.memory.with_mut(|memory| {
            // SAFETY: loom reports a panic where this access races with another one.
            unsafe { *memory = 0 }
        });
        self.gone.fetch_add(1, Relaxed);
    }
}
