//! Faults of those who use the protocol, in the model's picture of them.

use super::{File, Variant};

const LOSSLESS: &str = "lossless::a_lossless_reader_misses_nothing";
const NEXT: &str = "slots::pin_next(self.world.words(), &self.words().pins[pin], self.last + 1, 1);";

pub(crate) const FAULTS: &[Variant] = &[
    Variant {
        file: File::World,
        name: "the_cursor_is_moved_before_the_pin",
        changes: &[(
            NEXT,
            "{\n if self.lossless && self.world.latest_sequence() > self.last {\n \
             self.words().cursor.store(self.last + 2, Release);\n self.world.tell_publisher();\n }\n \
             slots::pin_next(self.world.words(), &self.words().pins[pin], self.last + 1, 1)\n };",
        )],
        check: LOSSLESS,
    },
    Variant {
        file: File::World,
        name: "a_moved_cursor_is_not_told",
        changes: &[(
            "                self.world.tell_publisher();\n            }\n        }\n    }\n\n    /// Sleeps",
            "            }\n        }\n    }\n\n    /// Sleeps",
        )],
        check: LOSSLESS,
    },
    Variant {
        file: File::World,
        name: "told_before_it_lets_go",
        changes: &[(
            "slots::release(&self.words().pins[pin]);\n            if self.world.size.waits {\n                self.world.tell_publisher();\n            }",
            "if self.world.size.waits {\n self.world.tell_publisher();\n }\n slots::release(&self.words().pins[pin]);",
        )],
        check: "waiting::no_release_is_missed",
    },
    Variant {
        file: File::World,
        name: "the_publisher_does_not_look_again",
        changes: &[(
            "if let Ok(slot) = self.claim() {\n                    break slot;\n                }\n                self.world.publisher.wait(&self.world.header.release_futex, word);",
            "self.world.publisher.wait(&self.world.header.release_futex, word);\n if let Ok(slot) = self.claim() {\n break slot;\n }",
        )],
        check: "waiting::no_release_is_missed",
    },
    Variant {
        file: File::World,
        name: "a_successor_does_not_ring",
        changes: &[("if publisher.ledger.ring(world.words(), &world.places) {", "if false {")],
        check: "waiting::a_successor_wakes_who_was_left_asleep",
    },
    Variant {
        file: File::World,
        name: "an_heir_does_not_clear_the_pins",
        changes: &[("word.swap(pin::NONE, Release);", "")],
        check: "dying::a_reader_may_die_where_slots_are_few",
    },
    Variant {
        file: File::World,
        name: "an_heir_clears_the_pins_relaxed",
        changes: &[("word.swap(pin::NONE, Release)", "word.swap(pin::NONE, Relaxed)")],
        check: "dying::a_reader_may_die_at_any_step",
    },
];
