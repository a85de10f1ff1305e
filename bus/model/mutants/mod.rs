//! The list of seeded faults: `build.rs` makes a changed copy of a file for each.
//!
//! A fault is a change that a named check must notice. The texts to change must each stand once in their file, so the
//! list can not fall behind the code.

mod keep;
mod ring;
mod slots;
mod world;

/// The file that a fault is in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum File {
    /// `bus/src/slots.rs`.
    Slots,
    /// `bus/src/keep.rs`.
    Keep,
    /// `bus/src/ring.rs`.
    Ring,
    /// `bus/model/src/world.rs`: what publisher.rs and subscriber.rs make of the protocol, and in which order.
    World,
}

/// A changed copy of a file.
pub(crate) struct Variant {
    pub(crate) file: File,
    pub(crate) name: &'static str,
    /// Texts to replace, and what by.
    pub(crate) changes: &'static [(&'static str, &'static str)],
    /// The check that must fail: its subject, which is its file in `src/checks`, and its name.
    pub(crate) check: &'static str,
}

/// All of them.
pub(crate) fn faults() -> impl Iterator<Item = &'static Variant> {
    [slots::FAULTS, keep::FAULTS, ring::FAULTS, world::FAULTS].into_iter().flatten()
}
