//! Faults of slots.rs.

use super::{File, Variant};

const RING: &str = "frames.control.futex.store(self.futex, Release);\n        fence(SeqCst);";
const LATEST_FENCE: &str = "word.store(pin::ANY, Release);\n    fence(SeqCst);";
const NEXT_FENCE: &str = "word.store(pin::of(slot), Release);\n    fence(SeqCst);";
const SLEEP_FENCE: &str = "place.waiting.store(1, Relaxed);\n    fence(SeqCst);";
const HELP: &str = "value = match word.compare_exchange(pin::ANY, pin::of(newest), AcqRel, Acquire) {";
const BUSY: &str = "let busy = self.in_window.0[block] | self.pinned_in(block, frames, places, dead);";
const PUBLISH_LATEST: &str = "frames.control.latest.store(packed, Release);\n\n";
const CLAIM: &str = "match self.find_free(frames, places, None) {";

const LATEST: &str = "reading::latest_of_one_reader_is_never_torn";
const ANY: &str = "reading::latest_is_never_torn_however_fast_the_publisher";
const NEXT: &str = "reading::next_of_one_reader_is_never_torn";
const REUSE: &str = "dying::a_dead_readers_place_is_used_again_safely";
const TAKEOVER: &str = "succeeding::a_publisher_may_die_at_any_step";
const EVICTION: &str = "lossless::who_is_evicted_knows_before_it_misses_a_frame";
const WAKE: &str = "waiting::no_wake_up_is_lost";

const RELEASE: &str = "waiting::no_release_is_missed";
const LOSSLESS: &str = "lossless::a_lossless_reader_misses_nothing";
/// Either the withdrawal or this mark, with a fence behind it, tells an observer that it was outrun.
const NO_MARK: (&str, &str) = ("generation.store(WRITTEN, Relaxed);\n    fence(Release);", "generation.load(Relaxed);");
const VOIDED: &str = "observing::a_frame_whose_pin_was_voided_says_so";
const OBSERVE: &str = "observing::an_observer_sees_whole_frames";

pub(crate) const FAULTS: &[Variant] = &[
    Variant {
        file: File::Slots,
        name: "no_fence_in_publish",
        changes: &[(RING, "frames.control.futex.store(self.futex, Release);")],
        check: NEXT,
    },
    Variant {
        file: File::Slots,
        name: "no_fence_before_sleepers_are_looked_for",
        changes: &[(RING, "frames.control.futex.store(self.futex, Release);")],
        check: WAKE,
    },
    Variant {
        file: File::Slots,
        name: "no_fence_in_latest",
        changes: &[(LATEST_FENCE, "word.store(pin::ANY, Release);")],
        check: ANY,
    },
    Variant {
        file: File::Slots,
        name: "no_fence_in_next",
        changes: &[(NEXT_FENCE, "word.store(pin::of(slot), Release);")],
        check: NEXT,
    },
    Variant {
        file: File::Slots,
        name: "no_fence_before_sleep",
        changes: &[(SLEEP_FENCE, "place.waiting.store(1, Relaxed);")],
        check: WAKE,
    },
    Variant {
        file: File::Slots,
        name: "no_fence_after_recovery",
        changes: &[("fence(SeqCst);\n        ledger\n", "ledger\n")],
        check: TAKEOVER,
    },
    Variant {
        file: File::Slots,
        name: "no_help_for_any",
        changes: &[("if value == pin::ANY && newest != NO_SLOT {", "if false && newest != NO_SLOT {")],
        check: ANY,
    },
    Variant {
        file: File::Slots,
        name: "helped_with_a_store",
        changes: &[(HELP, "word.store(pin::of(newest), Release);\n value = match Ok::<u32, u32>(0) {")],
        check: ANY,
    },
    Variant {
        file: File::Slots,
        name: "no_generation_check",
        changes: &[("record.generation.load(Acquire) == 2 * sequence\n}", "record.generation.load(Acquire) > 0\n}")],
        check: NEXT,
    },
    Variant {
        file: File::Slots,
        name: "no_generation_check_in_latest",
        changes: &[("record.generation.load(Acquire) == 2 * sequence\n}", "record.generation.load(Acquire) > 0\n}")],
        check: LATEST,
    },
    Variant {
        file: File::Slots,
        name: "no_fence_where_latest_tries_a_slot",
        changes: &[(NEXT_FENCE, "word.store(pin::of(slot), Release);")],
        check: LATEST,
    },
    Variant {
        file: File::Slots,
        name: "nothing_is_withdrawn",
        changes: &[(
            "frames.records[fallen as usize].generation.store(generation | 1, Relaxed);",
            "let _ = generation;",
        )],
        check: NEXT,
    },
    Variant {
        file: File::Slots,
        name: "scan_relaxed",
        changes: &[("let mut value = word.load(Acquire);", "let mut value = word.load(Relaxed);")],
        check: LATEST,
    },
    Variant {
        file: File::Slots,
        name: "release_relaxed",
        changes: &[("word.store(pin::NONE, Release);", "word.store(pin::NONE, Relaxed);")],
        check: LATEST,
    },
    Variant {
        file: File::Slots,
        name: "any_stored_relaxed",
        changes: &[(LATEST_FENCE, "word.store(pin::ANY, Relaxed);\n    fence(SeqCst);")],
        check: ANY,
    },
    Variant {
        file: File::Slots,
        name: "own_choice_not_released",
        changes: &[(
            "let held = match word.compare_exchange(pin::ANY, pin::of(newest), AcqRel, Acquire)",
            "let held = match word.compare_exchange(pin::ANY, pin::of(newest), Relaxed, Relaxed)",
        )],
        check: ANY,
    },
    Variant {
        file: File::Slots,
        name: "latest_stored_relaxed",
        changes: &[(PUBLISH_LATEST, "frames.control.latest.store(packed, Relaxed);\n\n")],
        check: LATEST,
    },
    Variant {
        file: File::Slots,
        name: "published_before_it_is_written",
        changes: &[(
            CLAIM,
            "match self.find_free(frames, places, None).inspect(|&slot| {\n \
             frames.control.latest.store(pack(self.next_sequence, slot), Release);\n }) {",
        )],
        check: LATEST,
    },
    Variant {
        file: File::Slots,
        name: "the_pinned_are_not_spared",
        changes: &[(
            BUSY,
            "let _ = self.pinned_in(block, frames, places, dead);\n let busy = self.in_window.0[block];",
        )],
        check: LATEST,
    },
    Variant {
        file: File::Slots,
        name: "the_window_is_not_spared",
        changes: &[(BUSY, "let busy = self.pinned_in(block, frames, places, dead);")],
        check: LATEST,
    },
    Variant {
        file: File::Slots,
        name: "a_dead_places_pin_is_cleared",
        changes: &[(
            "if dead.is_some_and(|dead| dead.contains(index)) {\n                continue;",
            "if dead.is_some_and(|dead| dead.contains(index)) {\n place.pins.iter().for_each(release);\n continue;",
        )],
        check: REUSE,
    },
    Variant {
        file: File::Slots,
        name: "liveness_asked_before_the_withdrawal",
        changes: &[
            (
                CLAIM,
                "let asked = dropped();\n let early = std::mem::replace(&mut self.early, asked);\n match self.find_free(frames, places, None) {",
            ),
            ("self.claim_from_the_dead(frames, places, dropped())", "self.claim_from_the_dead(frames, places, early)"),
            ("in_window: SlotSet,\n    futex: u32,", "in_window: SlotSet,\n    futex: u32,\n    early: PlaceSet,"),
            (
                "futex: frames.control.futex.load(Relaxed),",
                "futex: frames.control.futex.load(Relaxed),\n early: PlaceSet::default(),",
            ),
        ],
        check: REUSE,
    },
    Variant {
        file: File::Slots,
        name: "the_sleeper_does_not_say_so",
        changes: &[(SLEEP_FENCE, "place.waiting.store(0, Relaxed);\n    fence(SeqCst);")],
        check: WAKE,
    },
    Variant {
        file: File::Slots,
        name: "rung_before_it_is_published",
        changes: &[
            (
                "let packed = pack(sequence, slot);",
                "let packed = pack(sequence, slot);\n let rung = self.ring(frames, places);",
            ),
            ("        self.ring(frames, places)\n", "        rung\n"),
        ],
        check: WAKE,
    },
    // The publisher that waits.
    Variant {
        file: File::Slots,
        name: "no_fence_before_the_publisher_waits",
        changes: &[(
            "places.publisher_waiting.store(1, Relaxed);\n    fence(SeqCst);",
            "places.publisher_waiting.store(1, Relaxed);",
        )],
        check: RELEASE,
    },
    Variant {
        file: File::Slots,
        name: "no_fence_before_the_publisher_is_told",
        changes: &[("    fence(SeqCst);\n    if places.publisher_waiting", "    if places.publisher_waiting")],
        check: RELEASE,
    },
    Variant {
        file: File::Slots,
        name: "the_waiting_publisher_does_not_say_so",
        changes: &[("places.publisher_waiting.store(1, Relaxed);", "")],
        check: RELEASE,
    },
    Variant {
        file: File::Slots,
        name: "told_without_moving_the_word_on",
        changes: &[("places.release_futex.fetch_add(1, Release);", "")],
        check: RELEASE,
    },
    // The lossless.
    Variant {
        file: File::Slots,
        name: "the_unread_are_not_spared",
        changes: &[("if self.waits { self.unread(", "if false { self.unread(")],
        check: LOSSLESS,
    },
    Variant {
        file: File::Slots,
        name: "spared_one_frame_too_few",
        changes: &[("<= self.next_sequence\n    }", "< self.next_sequence\n    }")],
        check: LOSSLESS,
    },
    Variant {
        file: File::Slots,
        name: "a_dead_cursor_holds_for_ever",
        changes: &[(
            "if self.is_unread(wanted) && !dead.is_some_and(|dead| dead.contains(index)) {",
            "if self.is_unread(wanted) {",
        )],
        check: "dying::a_lossless_reader_may_die_at_any_step",
    },
    // Eviction.
    Variant {
        file: File::Slots,
        name: "an_eviction_is_overwritten",
        changes: &[(
            "match place.cursor.compare_exchange(from, to, Release, Relaxed) {",
            "match { place.cursor.store(to, Release); Ok::<u64, u64>(from) } {",
        )],
        check: EVICTION,
    },
    Variant {
        file: File::Slots,
        name: "an_eviction_clears_the_pins",
        changes: &[("evicted.insert(place);", "places[place].pins.iter().for_each(release);\n evicted.insert(place);")],
        check: EVICTION,
    },
    Variant {
        file: File::Slots,
        name: "the_evicted_is_waited_for",
        changes: &[("wanted.saturating_add(", "wanted.wrapping_add(")],
        check: EVICTION,
    },
    Variant {
        file: File::Slots,
        name: "who_has_read_is_evicted",
        changes: &[(
            "cursor.compare_exchange(wanted, EVICTED, Acquire, Relaxed).is_ok()",
            "{ cursor.store(EVICTED, Release); true }",
        )],
        check: EVICTION,
    },
    // Recovery.
    Variant {
        file: File::Slots,
        name: "a_frame_without_latest_is_not_recovered",
        changes: &[(
            "if let Some(slot) = entry(latest + 1) {",
            "if let (true, Some(slot)) = (false, entry(latest + 1)) {",
        )],
        check: TAKEOVER,
    },
    Variant {
        file: File::Slots,
        name: "recovery_withdraws_nothing",
        changes: &[("generation.is_multiple_of(2) && generation != 0 {", "generation.is_multiple_of(2) && false {")],
        check: TAKEOVER,
    },
    Variant {
        file: File::Slots,
        name: "recovery_forgets_the_window",
        changes: &[("ledger.in_window.insert(slot);\n            }", "}")],
        check: TAKEOVER,
    },
    // Observers.
    Variant {
        file: File::Slots,
        name: "observed_without_a_fence",
        changes: &[("        fence(Acquire);\n", "")],
        check: OBSERVE,
    },
    Variant {
        file: File::Slots,
        name: "observed_without_a_second_look",
        changes: &[("if record.generation.load(Relaxed) == 2 * sequence {", "if true {")],
        check: OBSERVE,
    },
    Variant {
        file: File::Slots,
        name: "observed_without_acquiring",
        changes: &[
            (
                "let (sequence, slot) = unpack(frames.control.latest.load(Acquire));",
                "let (sequence, slot) = unpack(frames.control.latest.load(Relaxed));",
            ),
            (
                "if record.generation.load(Acquire) != 2 * sequence {",
                "if record.generation.load(Relaxed) != 2 * sequence {",
            ),
        ],
        check: OBSERVE,
    },
    Variant {
        file: File::Slots,
        name: "no_fence_between_withdrawal_and_writing",
        changes: &[(RING, "frames.control.futex.store(self.futex, Release);"), NO_MARK],
        check: OBSERVE,
    },
    Variant {
        file: File::Slots,
        name: "nothing_is_withdrawn_from_observers",
        changes: &[
            ("frames.records[fallen as usize].generation.store(generation | 1, Relaxed);", "let _ = generation;"),
            NO_MARK,
        ],
        check: OBSERVE,
    },
    Variant {
        file: File::Slots,
        name: "no_fence_between_recovery_and_writing",
        changes: &[("fence(SeqCst);\n        ledger\n", "ledger\n"), NO_MARK],
        check: "observing::an_observer_sees_whole_frames_over_a_takeover",
    },
    // Only some of the places, pins, or publishers.
    Variant {
        file: File::Slots,
        name: "a_third_readers_pins_are_not_seen",
        changes: &[(
            "enumerate() {\n            if dead.is_some_and",
            "enumerate().take(2) {\n            if dead.is_some_and",
        )],
        check: "reading::three_readers_do_not_disturb_each_other",
    },
    Variant {
        file: File::Slots,
        name: "a_second_pin_is_not_seen",
        changes: &[(
            "for word in &place.pins[..self.max_held] {\n                match",
            "for word in &place.pins[..1] {\n                match",
        )],
        check: "reading::a_reader_that_holds_two_frames_keeps_both",
    },
    Variant {
        file: File::Slots,
        name: "a_death_voids_everybodys_pins",
        changes: &[(
            "if dead.is_some_and(|dead| dead.contains(index)) {\n                continue;",
            "if dead.is_some_and(|dead| dead != PlaceSet::default()) {\n                continue;",
        )],
        check: "dying::a_death_does_not_touch_the_other_reader",
    },
    Variant {
        file: File::Slots,
        name: "a_second_cursor_is_not_seen",
        changes: &[(
            "enumerate() {\n            // Acquire: with the cursor",
            "enumerate().take(1) {\n            // Acquire: with the cursor",
        )],
        check: "lossless::two_lossless_readers_miss_nothing",
    },
    Variant {
        file: File::Slots,
        name: "a_late_cursor_is_not_seen",
        changes: &[("if self.waits { self.unread(", "if false { self.unread(")],
        check: "lossless::a_lossless_reader_that_comes_late_misses_nothing_from_its_first_frame_on",
    },
    Variant {
        file: File::Slots,
        name: "a_successor_does_not_wait",
        changes: &[(
            "            waits,\n            next_sequence",
            "            waits: waits && latest == 0,\n            next_sequence",
        )],
        check: "succeeding::a_lossless_reader_misses_nothing_over_a_takeover",
    },
    Variant {
        file: File::Slots,
        name: "a_second_successor_forgets_the_window",
        changes: &[("ledger.in_window.insert(slot);\n            }", "}")],
        check: "succeeding::a_successor_may_die_at_any_step",
    },
    Variant {
        file: File::Slots,
        name: "no_mark_before_writing",
        changes: &[("generation.store(WRITTEN, Relaxed);", "generation.load(Relaxed);")],
        check: VOIDED,
    },
    Variant {
        file: File::Slots,
        name: "no_fence_behind_the_mark",
        changes: &[("generation.store(WRITTEN, Relaxed);\n    fence(Release);", "generation.store(WRITTEN, Relaxed);")],
        check: VOIDED,
    },
    Variant {
        file: File::Slots,
        name: "no_fence_before_the_mark_is_looked_for",
        changes: &[(
            "sees the mark, or what came after it.\n    fence(Acquire);",
            "sees the mark, or what came after it.",
        )],
        check: VOIDED,
    },
];
