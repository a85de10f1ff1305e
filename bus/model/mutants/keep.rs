//! Faults of keep.rs.

use super::{File, Variant};

const KEPT: &str = "keeping::the_attachment_goes_once_behind_its_last_use";
const SWAP: &str = "swap(FREE, AcqRel)) == ORPHANED";
const COUNT: &str = "let count = self.0.clone();";
const FORGET: &str = "std::mem::forget(count);";
const CAS: &str = "pin.compare_exchange(held, orphaned, AcqRel, Acquire).is_ok()";

pub(crate) const FAULTS: &[Variant] = &[
    Variant {
        file: File::Keep,
        name: "a_pin_is_freed_relaxed",
        changes: &[(SWAP, "swap(FREE, Relaxed)) == ORPHANED")],
        check: KEPT,
    },
    Variant {
        file: File::Keep,
        name: "the_orphans_count_is_not_counted",
        changes: &[(COUNT, ""), (FORGET, "")],
        check: KEPT,
    },
    Variant {
        file: File::Keep,
        name: "orphaned_with_a_store",
        changes: &[(CAS, "{ pin.store(orphaned, std::sync::atomic::Ordering::Release); true }")],
        check: KEPT,
    },
    Variant {
        file: File::Keep,
        name: "freed_with_a_load_and_a_store",
        changes: &[(
            "if state(self.pin_uses.0[self.pin()].swap(FREE, AcqRel)) == ORPHANED {",
            "let found = self.pin_uses.0[self.pin()].load(Acquire);\n \
             self.pin_uses.0[self.pin()].store(FREE, std::sync::atomic::Ordering::Release);\n if state(found) == ORPHANED {",
        )],
        check: KEPT,
    },
    Variant {
        file: File::Keep,
        name: "an_orphan_does_not_drop_its_count",
        changes: &[(SWAP, "swap(FREE, AcqRel)) == 77")],
        check: KEPT,
    },
    Variant {
        file: File::Keep,
        name: "a_freed_pin_is_found_relaxed",
        changes: &[("let held = pin.load(Acquire);", "let held = pin.load(Relaxed);")],
        check: KEPT,
    },
];
