//! The slot protocol under loom: every interleaving, and every value that the memory model lets a load return.
//!
//! `slots.rs`, `words.rs` and `keep.rs` are compiled here a second time, from the same files, against the loom versions of the
//! modules that they use: `sync` and `layout`. So what is checked is the code that runs.
//!
//! A run of a model is one *execution*; loom goes through all of them, or through all with a bounded number of
//! preemptions where that is said. Payloads are loom cells: an access that races with another one fails the check, so
//! "no torn frame" is not a matter of unlucky timing here.
#![allow(dead_code)] // what slots.rs and words.rs have for others
#![allow(clippy::duplicate_mod)] // each changed copy of slots.rs has its own world and checks

mod attach;
#[path = "../../src/keep.rs"]
mod keep;
mod layout;
#[path = "../../src/slots.rs"]
mod slots;
mod sync;
#[path = "../../src/words.rs"]
mod words;

#[cfg(test)]
mod checks;
#[cfg(test)]
mod variants;
#[cfg(test)]
mod world;

/// A frame and its subscriber end at the same time: the attachment goes once, behind the last use of it.
#[cfg(test)]
mod keeping {
    use crate::attach::Attachment;
    use crate::keep::{Kept, Lent, PinUses};
    use crate::sync::{Arc, AtomicU32, Ordering::Relaxed};
    use loom::thread;

    fn look(frame: &Lent) {
        frame.memory.with(|memory| {
            // SAFETY: loom reports a panic where this access races with another one.
            assert_eq!(unsafe { *memory }, 7, "the memory is gone");
        });
    }

    #[test]
    fn the_attachment_goes_once_behind_its_last_use() {
        crate::checks::explore("a frame and its subscriber end", None, || {
            let gone = Arc::new(AtomicU32::new(0));
            let memory = loom::cell::UnsafeCell::new(7);
            let kept = Kept::new(Attachment { pin_uses: PinUses::new(), memory, gone: gone.clone() });
            let frame = kept.lend(0);
            let reader = thread::spawn(move || look(&frame));
            // The pin is free again when the frame is gone, and may be used for the next one.
            if kept.pin_uses.first_free(1).is_some() {
                look(&kept.lend(0));
            }
            drop(kept);
            reader.join().unwrap();
            assert_eq!(gone.load(Relaxed), 1);
        });
    }
}

/// Each check on the code as it is.
#[cfg(test)]
mod as_it_is {
    use crate::checks;

    macro_rules! holds {
        ($($check:ident)*) => { $( #[test] fn $check() { checks::$check() } )* };
    }

    holds! {
        latest_of_one_reader_is_never_torn
        next_of_one_reader_is_never_torn
        a_reader_that_holds_two_frames_keeps_both
        two_readers_do_not_disturb_each_other
        a_dead_readers_place_is_used_again_safely
        a_publisher_that_died_in_a_loan_is_succeeded
        a_successor_of_a_dead_publisher_goes_on
        no_wake_up_is_lost
    }

    #[test]
    #[should_panic(expected = "a slot is always free")]
    fn one_slot_fewer_is_too_few() {
        checks::one_slot_fewer();
    }
}
