//! The list of seeded faults and deaths: `build.rs` makes a copy of slots.rs for each.
//!
//! A fault is a change of slots.rs that some check must notice; a death is a publisher that stops for good at one place,
//! and no check may mind it. The texts must each stand once in slots.rs, so the list can not fall behind the code.

/// A changed copy of slots.rs.
pub(crate) struct Variant {
    pub(crate) name: &'static str,
    /// Texts to replace, and what by.
    pub(crate) changes: &'static [(&'static str, &'static str)],
    /// The check of `checks.rs` that fails with a fault, or holds with a death.
    pub(crate) check: &'static str,
}

const RING: &str = "frames.control.futex.store(self.futex, Release);\n        fence(SeqCst);";
const LATEST_FENCE: &str = "word.store(pin::ANY, Release);\n    fence(SeqCst);";
const NEXT_FENCE: &str = "word.store(pin::of(slot), Release);\n    fence(SeqCst);";
const SLEEP_FENCE: &str = "place.waiting.store(1, Relaxed);\n    fence(SeqCst);";
const HELP: &str = "value = match word.compare_exchange(pin::ANY, pin::of(newest), AcqRel, Acquire) {";
const BUSY: &str = "let busy = self.in_window.0[block] | self.pinned_in(block, frames, places, dead);";
const PUBLISH_LATEST: &str = "frames.control.latest.store(packed, Release);\n\n";
const PUBLISH_FALLEN: &str = "let fallen = std::mem::replace(&mut self.window[self.cursor], slot);";
const CLAIM: &str = "match self.find_free(frames, places, None) {";

const LATEST: &str = "latest_of_one_reader_is_never_torn";
const NEXT: &str = "next_of_one_reader_is_never_torn";
const REUSE: &str = "a_dead_readers_place_is_used_again_safely";
const TAKEOVER: &str = "a_successor_of_a_dead_publisher_goes_on";
const WAKE: &str = "no_wake_up_is_lost";

pub(crate) const FAULTS: &[Variant] = &[
    Variant {
        name: "no_fence_in_publish",
        changes: &[(RING, "frames.control.futex.store(self.futex, Release);")],
        check: NEXT,
    },
    Variant {
        name: "no_fence_before_sleepers_are_looked_for",
        changes: &[(RING, "frames.control.futex.store(self.futex, Release);")],
        check: WAKE,
    },
    Variant { name: "no_fence_in_latest", changes: &[(LATEST_FENCE, "word.store(pin::ANY, Release);")], check: LATEST },
    Variant { name: "no_fence_in_next", changes: &[(NEXT_FENCE, "word.store(pin::of(slot), Release);")], check: NEXT },
    Variant {
        name: "no_fence_before_sleep",
        changes: &[(SLEEP_FENCE, "place.waiting.store(1, Relaxed);")],
        check: WAKE,
    },
    Variant {
        name: "no_fence_after_recovery",
        changes: &[("fence(SeqCst);\n        ledger\n", "ledger\n"), (PUBLISH_FALLEN, DIES_BEHIND_LATEST)],
        check: TAKEOVER,
    },
    Variant {
        name: "no_help_for_any",
        changes: &[("if value == pin::ANY && newest != NO_SLOT {", "if false && newest != NO_SLOT {")],
        check: LATEST,
    },
    Variant {
        name: "helped_with_a_store",
        changes: &[(HELP, "word.store(pin::of(newest), Release);\n value = match Ok::<u32, u32>(0) {")],
        check: LATEST,
    },
    Variant {
        name: "no_generation_check",
        changes: &[(
            "if record.generation.load(Acquire) == 2 * sequence {",
            "if record.generation.load(Acquire) > 0 {",
        )],
        check: NEXT,
    },
    Variant {
        name: "nothing_is_withdrawn",
        changes: &[(
            "frames.records[fallen as usize].generation.store(generation | 1, Relaxed);",
            "let _ = generation;",
        )],
        check: NEXT,
    },
    Variant {
        name: "scan_relaxed",
        changes: &[("let mut value = word.load(Acquire);", "let mut value = word.load(Relaxed);")],
        check: LATEST,
    },
    Variant {
        name: "release_relaxed",
        changes: &[("word.store(pin::NONE, Release);", "word.store(pin::NONE, Relaxed);")],
        check: LATEST,
    },
    Variant {
        name: "any_stored_relaxed",
        changes: &[(LATEST_FENCE, "word.store(pin::ANY, Relaxed);\n    fence(SeqCst);")],
        check: LATEST,
    },
    Variant {
        name: "own_choice_not_released",
        changes: &[(
            "newest.map_or(pin::NONE, pin::of), AcqRel, Acquire)",
            "newest.map_or(pin::NONE, pin::of), Relaxed, Relaxed)",
        )],
        check: LATEST,
    },
    Variant {
        name: "latest_stored_relaxed",
        changes: &[(PUBLISH_LATEST, "frames.control.latest.store(packed, Relaxed);\n\n")],
        check: LATEST,
    },
    Variant {
        name: "published_before_it_is_written",
        changes: &[(
            CLAIM,
            "match self.find_free(frames, places, None).inspect(|&slot| {\n \
             frames.control.latest.store(pack(self.next_sequence, slot), Release);\n }) {",
        )],
        check: LATEST,
    },
    Variant {
        name: "the_pinned_are_not_spared",
        changes: &[(
            BUSY,
            "let _ = self.pinned_in(block, frames, places, dead);\n let busy = self.in_window.0[block];",
        )],
        check: LATEST,
    },
    Variant {
        name: "the_window_is_not_spared",
        changes: &[(BUSY, "let busy = self.pinned_in(block, frames, places, dead);")],
        check: LATEST,
    },
    Variant {
        name: "a_dead_places_pin_is_cleared",
        changes: &[(
            "if dead.is_some_and(|dead| dead.contains(index)) {\n                continue;",
            "if dead.is_some_and(|dead| dead.contains(index)) {\n place.pins.iter().for_each(release);\n continue;",
        )],
        check: REUSE,
    },
    Variant {
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
        name: "the_sleeper_does_not_say_so",
        changes: &[(SLEEP_FENCE, "place.waiting.store(0, Relaxed);\n    fence(SeqCst);")],
        check: WAKE,
    },
    Variant {
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
];

const DIES_BEHIND_LATEST: &str = "if sequence == 2 && self.futex == 1 { frames.control.futex.store(2, Relaxed); return false; }\n \
                                  let fallen = std::mem::replace(&mut self.window[self.cursor], slot);";

/// The publisher stops for good in its second publication; it leaves a futex word by which its successor, who runs the
/// same code, does not die there too.
pub(crate) const DEATHS: &[Variant] = &[
    Variant {
        name: "dies_behind_the_generation",
        changes: &[(
            "frames.window[self.cursor].store(packed, Release);",
            "if sequence == 2 && self.futex == 1 { frames.control.futex.store(2, Relaxed); return false; }\n frames.window[self.cursor].store(packed, Release);",
        )],
        check: TAKEOVER,
    },
    Variant {
        name: "dies_behind_the_window_entry",
        changes: &[(
            PUBLISH_LATEST,
            "if sequence == 2 && self.futex == 1 { frames.control.futex.store(2, Relaxed); return false; }\n frames.control.latest.store(packed, Release);\n\n",
        )],
        check: TAKEOVER,
    },
    Variant { name: "dies_behind_latest", changes: &[(PUBLISH_FALLEN, DIES_BEHIND_LATEST)], check: TAKEOVER },
    Variant {
        name: "dies_behind_the_withdrawal",
        changes: &[(
            "        self.ring(frames, places)\n",
            "        if sequence == 2 && self.futex == 1 { frames.control.futex.store(2, Relaxed); return false; }\n        self.ring(frames, places)\n",
        )],
        check: TAKEOVER,
    },
];
