//! The numbers of a stream: how many slots there are, and where everything lies.

use crate::error::GeometryError;
use crate::layout::{
    Account, Blame, FramesHeader, MAX_HELD, MAX_SLOTS, MAX_SUBSCRIBERS, PAGE_BYTES, PLACES_OFFSET, Place, SlotRecord,
    WINDOW_OFFSET,
};
use crate::options::{Content, Prefault, Slots, StreamOptions};
use crate::words::MAX_SEQUENCE;
use std::mem::size_of;
use std::ops::Range;

/// Checked numbers: every offset lies in a segment of the size that goes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    pub(crate) slots: usize,
    pub(crate) history: usize,
    pub(crate) max_subscribers: usize,
    pub(crate) max_held: usize,
    pub(crate) slot_capacity: usize,
    pub(crate) slot_stride: usize,
    pub(crate) blame_offset: usize,
    pub(crate) records_offset: usize,
    pub(crate) payload_offset: usize,
    pub(crate) frames_bytes: usize,
    pub(crate) accounts_offset: usize,
    pub(crate) places_bytes: usize,
}

/// Most frames of a window.
pub const MAX_HISTORY: u32 = 16_384;

fn range(what: &'static str, found: u32, least: u32, most: u32) -> Result<(), GeometryError> {
    if (least..=most).contains(&found) {
        return Ok(());
    }
    Err(GeometryError::Range { what, found: found.into(), least: least.into(), most: most.into() })
}

/// Fewer slots than this and a single subscriber within its rights stops the publisher for good: the window, one to
/// write, one that is read; and all that a subscriber may hold, besides the one being written.
fn least_slots(history: u32, max_held: u32) -> u32 {
    (history + 2).max(max_held + 1)
}

impl Geometry {
    /// The numbers that follow from a stream's options.
    ///
    /// # Errors
    /// [`GeometryError`] says which number does not fit, and what would.
    pub fn of(options: &StreamOptions) -> Result<Self, GeometryError> {
        let StreamOptions { history, max_subscribers, max_held, .. } = *options;
        range("history", history, 1, MAX_HISTORY)?;
        range("max_subscribers", max_subscribers, 1, MAX_SUBSCRIBERS)?;
        range("max_held", max_held, 1, MAX_HELD)?;
        let slots = match options.slots {
            Slots::Auto => history + 1 + max_subscribers * max_held,
            Slots::Exactly(slots) => {
                range("slots", slots, 1, MAX_SLOTS)?;
                if slots < least_slots(history, max_held) {
                    return Err(GeometryError::TooFewSlots { slots, history, max_held });
                }
                slots
            }
        };
        let capacity = match options.content {
            Content::Image(shape) => shape.frame_bytes().max(options.capacity_bytes as usize),
            Content::Bytes { capacity } => capacity.max(options.capacity_bytes) as usize,
            // A record's size is its type's.
            Content::Record { .. } => options.content.capacity_bytes(),
        };
        Self::new(slots, history, max_subscribers, max_held, capacity as u64)
    }

    /// Lays out the segments; the one place where offsets are computed.
    fn new(slots: u32, history: u32, places: u32, max_held: u32, capacity: u64) -> Result<Self, GeometryError> {
        let too_large = GeometryError::TooLarge { slots, slot_bytes: capacity };
        range("slots", slots, 2, MAX_SLOTS)?;
        range("history", history, 1, MAX_HISTORY)?;
        range("max_subscribers", places, 1, MAX_SUBSCRIBERS)?;
        range("max_held", max_held, 1, MAX_HELD)?;
        if capacity == 0 || capacity > 1 << 31 {
            return Err(GeometryError::Range { what: "bytes of a frame", found: capacity, least: 1, most: 1 << 31 });
        }
        let [slots, history, places, max_held] = [slots, history, places, max_held].map(|number| number as usize);
        let blame_offset = WINDOW_OFFSET + history * size_of::<u64>();
        let records_offset = (blame_offset + places * size_of::<Blame>()).next_multiple_of(128);
        let payload_offset = (records_offset + slots * size_of::<SlotRecord>()).next_multiple_of(PAGE_BYTES);
        let slot_stride = (capacity as usize).next_multiple_of(PAGE_BYTES);
        let accounts_offset = (PLACES_OFFSET + places * size_of::<Place>()).next_multiple_of(PAGE_BYTES);
        let frames_bytes = slot_stride.checked_mul(slots).and_then(|payload| payload.checked_add(payload_offset));
        Ok(Self {
            slots,
            history,
            max_subscribers: places,
            max_held,
            slot_capacity: capacity as usize,
            slot_stride,
            blame_offset,
            records_offset,
            payload_offset,
            frames_bytes: frames_bytes.filter(|bytes| isize::try_from(*bytes).is_ok()).ok_or(too_large)?,
            accounts_offset,
            places_bytes: accounts_offset + places * size_of::<Account>(),
        })
    }

    /// The numbers in a header, if they are exactly what this version would lay out in segments of these sizes;
    /// otherwise the field that is not, with what it has and what it must be.
    pub(crate) fn from_header(header: &FramesHeader, segment_bytes: u64) -> Result<Self, (&'static str, u64, u64)> {
        let FramesHeader { slots, history, max_subscribers, max_held, slot_capacity_bytes, .. } = *header;
        let geometry =
            Self::new(slots, history, max_subscribers, max_held, slot_capacity_bytes).map_err(|error| match error {
                GeometryError::Range { what, found, most, .. } => (what, found, most),
                _ => ("slots", slots.into(), 0),
            })?;
        // The kernel reports the size that was asked for.
        let fields = [
            ("slots", slots.into(), slots.max(least_slots(history, max_held)).into()),
            ("slot_stride_bytes", header.slot_stride_bytes, geometry.slot_stride as u64),
            ("window_offset", header.window_offset, WINDOW_OFFSET as u64),
            ("blame_offset", header.blame_offset, geometry.blame_offset as u64),
            ("records_offset", header.records_offset, geometry.records_offset as u64),
            ("payload_offset", header.payload_offset, geometry.payload_offset as u64),
            ("total_bytes", header.total_bytes, geometry.frames_bytes as u64),
            ("places_bytes", header.places_bytes, geometry.places_bytes as u64),
            ("base_sequence", header.base_sequence, header.base_sequence.min(MAX_SEQUENCE)),
            ("segment size", segment_bytes, geometry.frames_bytes as u64),
        ];
        match fields.into_iter().find(|(_, found, expected)| found != expected) {
            Some(wrong) => Err(wrong),
            None => Ok(geometry),
        }
    }

    /// Number of slots S.
    pub fn slots(&self) -> usize {
        self.slots
    }

    /// Frames in the window H.
    pub fn history(&self) -> usize {
        self.history
    }

    /// Places N.
    pub fn max_subscribers(&self) -> usize {
        self.max_subscribers
    }

    /// Pins of a place K.
    pub fn max_held(&self) -> usize {
        self.max_held
    }

    /// Most payload bytes of a frame.
    pub fn slot_capacity_bytes(&self) -> usize {
        self.slot_capacity
    }

    /// Bytes of the frames segment; what is never touched takes no memory.
    pub fn frames_bytes(&self) -> usize {
        self.frames_bytes
    }

    /// Bytes of the places segment.
    pub fn places_bytes(&self) -> usize {
        self.places_bytes
    }

    /// True where the publisher finds a free slot whatever subscribers do: S ≥ H + 1 + N·K.
    pub fn never_full(&self) -> bool {
        self.slots > self.history + self.max_subscribers * self.max_held
    }

    /// The beginning of the frames segment that is to be mapped before the first frame: everything but the payload, and the
    /// slots that are asked for. The warm ones are the newest frame's, the one before, the one being written.
    pub(crate) fn prefaulted(&self, prefault: Prefault) -> Range<usize> {
        let slots = match prefault {
            Prefault::Off => 0,
            Prefault::Warm => self.slots.min(3),
            Prefault::All => self.slots,
        };
        0..self.payload_offset + slots * self.slot_stride
    }

    /// Where a place's account lies in the places segment.
    pub(crate) fn account_of(&self, place: usize) -> Range<usize> {
        let begin = self.accounts_offset + place * size_of::<Account>();
        begin..begin + size_of::<Account>()
    }

    /// Where slot `slot`'s payload begins in the frames segment.
    pub(crate) fn payload_of(&self, slot: u16) -> usize {
        self.payload_offset + slot as usize * self.slot_stride
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Content;

    fn options(slots: Slots, history: u32, max_subscribers: u32, max_held: u32) -> StreamOptions {
        let content = Content::Bytes { capacity: 100 };
        StreamOptions { slots, history, max_subscribers, max_held, ..StreamOptions::new(content) }
    }

    #[test]
    fn auto_is_the_number_with_which_none_is_ever_missing() {
        let geometry = Geometry::of(&options(Slots::Auto, 1, 1, 1)).unwrap();
        assert_eq!(geometry.slots(), 3, "the classic triple buffer");
        let geometry = Geometry::of(&options(Slots::Auto, 1, 8, 2)).unwrap();
        assert_eq!(geometry.slots(), 18);
        assert!(geometry.never_full());
        assert!(!Geometry::of(&options(Slots::Exactly(3), 1, 8, 1)).unwrap().never_full());
    }

    #[test]
    fn numbers_that_do_not_go_together_are_refused() {
        assert!(Geometry::of(&options(Slots::Exactly(2), 1, 8, 2)).is_err());
        assert!(Geometry::of(&options(Slots::Exactly(5), 4, 1, 1)).is_err());
        assert!(Geometry::of(&options(Slots::Exactly(3), 1, 1, 4)).is_err());
        assert!(Geometry::of(&options(Slots::Exactly(3), 1, 8, 2)).is_ok());
        assert!(Geometry::of(&options(Slots::Auto, 0, 1, 1)).is_err());
        assert!(Geometry::of(&options(Slots::Auto, 1, 256, 1)).is_err());
        assert!(Geometry::of(&options(Slots::Auto, 1, 1, 29)).is_err());
        assert!(Geometry::of(&options(Slots::Exactly(70_000), 1, 1, 1)).is_err());
    }
}
