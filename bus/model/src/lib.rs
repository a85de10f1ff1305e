//! The slot protocol under loom: every interleaving, and every value that the memory model lets a load return.
//!
//! `slots.rs`, `words.rs`, `keep.rs` and `ring.rs` are compiled here a second time, from the same files, against the loom versions of the
//! modules that they use: `sync` and `layout`. So what is checked is the code that runs.
//!
//! A run of a model is one *execution*; loom goes through all of them, or through all with a bounded number of
//! preemptions where that is said. Payloads are loom cells: an access that races with another one fails the check, so
//! "no torn frame" is not a matter of unlucky timing here. Each check prints its sizes and how many executions it took:
//!
//! ```text
//! cargo test -p framebus-model -- --nocapture
//! cargo test -p framebus-model -- --ignored heavy_     the larger ones, minutes
//! ```
#![allow(dead_code)] // what slots.rs and words.rs have for others
#![allow(clippy::duplicate_mod)] // each changed copy has its own world and checks

mod attach;
#[path = "../../src/keep.rs"]
mod keep;
mod layout;
#[path = "../../src/ring.rs"]
mod ring;
#[path = "../../src/slots.rs"]
mod slots;
mod sync;
#[path = "../../src/words.rs"]
mod words;

#[cfg(test)]
mod checks;
#[cfg(test)]
mod explore;
#[cfg(test)]
mod kernel;
#[cfg(test)]
mod variants;
#[cfg(test)]
mod world;

/// Each check on the code as it is.
#[cfg(test)]
mod as_it_is {
    use crate::checks::*;

    macro_rules! holds {
        ($($subject:ident: $($check:ident)*;)*) => { $($(
            #[test]
            fn $check() { crate::explore::alone(concat!(module_path!(), "::", stringify!($check)), $subject::$check) }
        )*)* };
    }

    macro_rules! holds_too {
        ($($subject:ident: $($check:ident)*;)*) => { $($(
            #[test]
            #[ignore = "takes its time: cargo test -p framebus-model -- --ignored heavy_"]
            fn $check() { crate::explore::alone(concat!(module_path!(), "::", stringify!($check)), $subject::$check) }
        )*)* };
    }

    holds! {
        reading:
            latest_of_one_reader_is_never_torn
            latest_is_never_torn_however_fast_the_publisher
            next_of_one_reader_is_never_torn
            a_reader_that_holds_two_frames_keeps_both
            two_readers_do_not_disturb_each_other
            three_readers_do_not_disturb_each_other;
        waiting:
            no_wake_up_is_lost
            a_successor_wakes_who_was_left_asleep
            no_release_is_missed;
        lossless:
            a_lossless_reader_misses_nothing
            two_lossless_readers_miss_nothing
            who_is_evicted_knows_before_it_misses_a_frame
            a_lossless_reader_that_comes_late_misses_nothing_from_its_first_frame_on;
        dying:
            a_reader_may_die_at_any_step
            a_reader_may_die_where_slots_are_few
            a_lossless_reader_may_die_at_any_step
            a_death_does_not_touch_the_other_reader
            a_dead_readers_place_is_used_again_safely;
        succeeding:
            a_publisher_may_die_at_any_step
            a_successor_may_die_at_any_step
            a_lossless_reader_misses_nothing_over_a_takeover;
        observing:
            an_observer_sees_whole_frames
            an_observer_sees_whole_frames_over_a_takeover
            a_frame_whose_pin_was_voided_says_so;
        keeping:
            the_attachment_goes_once_behind_its_last_use;
        telling:
            an_event_is_read_whole_or_counted_as_lost;
    }

    holds_too! {
        reading: heavy_one_reader heavy_three_readers;
        lossless: heavy_lossless_readers;
        dying: heavy_death_of_a_reader heavy_death_of_an_heir heavy_death_of_a_lossless_reader;
        succeeding: heavy_death_of_a_publisher heavy_death_of_a_successor heavy_takeover_of_a_lossless_reader;
        observing: heavy_observer;
    }

    #[test]
    #[should_panic(expected = "a slot is always free")]
    fn one_slot_fewer_is_too_few() {
        reading::one_slot_fewer();
    }
}
