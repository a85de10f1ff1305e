//! Numbers packed into the words that publisher and subscribers exchange.

/// Values of a pin: `NONE`, `ANY`, or a slot's index + 2. Zeroed memory holds no slot.
pub(crate) mod pin {
    /// Holds nothing.
    pub(crate) const NONE: u32 = 0;
    /// Will hold the newest frame; the publisher may say which that is.
    pub(crate) const ANY: u32 = 1;

    /// The pin that holds `slot`.
    pub(crate) const fn of(slot: u16) -> u32 {
        slot as u32 + 2
    }

    /// The slot that `pin` holds; a value that is no slot of a stream with `slots` slots holds none.
    pub(crate) fn slot(pin: u32, slots: usize) -> Option<u16> {
        let slot = pin.checked_sub(2)?;
        ((slot as usize) < slots).then_some(slot as u16)
    }
}

/// A slot index that is no slot: a stream before its first frame.
pub(crate) const NO_SLOT: u16 = u16::MAX;
/// The last sequence that a packed word can hold: 48 bits, 148,000 years at 60 Hz.
pub(crate) const MAX_SEQUENCE: u64 = (1 << 48) - 1;

/// Generation of a slot that is being written, until it is published; odd, and of no frame.
pub(crate) const WRITTEN: u64 = u64::MAX;

/// Sequence (48 bits) and slot (16 bits) in one word.
pub(crate) const fn pack(sequence: u64, slot: u16) -> u64 {
    sequence << 16 | slot as u64
}

/// Undoes [`pack`].
pub(crate) const fn unpack(word: u64) -> (u64, u16) {
    (word >> 16, word as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packing_keeps_both_parts() {
        for (sequence, slot) in [(0, NO_SLOT), (1, 0), (MAX_SEQUENCE, 17)] {
            assert_eq!(unpack(pack(sequence, slot)), (sequence, slot));
        }
    }

    #[test]
    fn a_pin_that_is_no_slot_holds_none() {
        assert_eq!(pin::slot(pin::NONE, 3), None);
        assert_eq!(pin::slot(pin::ANY, 3), None);
        assert_eq!(pin::slot(pin::of(2), 3), Some(2));
        assert_eq!(pin::slot(pin::of(3), 3), None);
        assert_eq!(pin::slot(u32::MAX, 3), None);
    }
}
