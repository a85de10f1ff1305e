//! Faults of ring.rs.

use super::{File, Variant};

const TOLD: &str = "telling::an_event_is_read_whole_or_counted_as_lost";

pub(crate) const FAULTS: &[Variant] = &[
    Variant {
        file: File::Ring,
        name: "an_event_is_written_without_a_fence",
        changes: &[("        fence(Release);\n", "")],
        check: TOLD,
    },
    Variant {
        file: File::Ring,
        name: "an_event_is_confirmed_without_a_fence",
        changes: &[("            fence(Acquire);\n", "")],
        check: TOLD,
    },
    Variant {
        file: File::Ring,
        name: "an_event_is_counted_before_it_is_there",
        changes: &[(
            "self.head.store(number.wrapping_add(1), Release);",
            "self.head.store(number.wrapping_add(1), Relaxed);",
        )],
        check: TOLD,
    },
    Variant {
        file: File::Ring,
        name: "an_event_that_is_being_overwritten_counts",
        changes: &[(
            "self.head.load(Relaxed).wrapping_sub(number) < len",
            "self.head.load(Relaxed).wrapping_sub(number) <= len",
        )],
        check: TOLD,
    },
    Variant {
        file: File::Ring,
        name: "an_event_is_not_confirmed",
        changes: &[("self.head.load(Relaxed).wrapping_sub(number) < len", "true")],
        check: TOLD,
    },
];
