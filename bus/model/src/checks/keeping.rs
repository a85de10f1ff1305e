//! A frame and its subscriber end at the same time: the attachment goes once, behind the last use of it.

use loom::thread;

use super::super::attach::Attachment;
use super::super::keep::{Kept, Lent, PinUses};
use crate::explore::{Size, explore};
use crate::sync::{Arc, AtomicU32, Ordering::Relaxed};

fn look(frame: &Lent) {
    frame.memory.with(|memory| {
        // SAFETY: loom reports a panic where this access races with another one.
        assert_eq!(unsafe { *memory }, 7, "the memory is gone");
    });
}

pub(crate) fn the_attachment_goes_once_behind_its_last_use() {
    explore("a frame and its subscriber end", Size::new(1, 1, 1, 0, 2), None, |_| {
        let gone = Arc::new(AtomicU32::new(0));
        let memory = loom::cell::UnsafeCell::new(7);
        let kept = Kept::new(Attachment { pin_uses: PinUses::new(), memory, gone: gone.clone() });
        let frame = kept.lend(0, 0, 1);
        let reader = thread::spawn(move || look(&frame));
        // The pin is free again when the frame is gone, and may be used for the next one.
        if kept.pin_uses.first_free(1).is_some() {
            look(&kept.lend(0, 0, 1));
        }
        drop(kept);
        reader.join().unwrap();
        assert_eq!(gone.load(Relaxed), 1);
    });
}
