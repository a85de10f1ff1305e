//! The header of a frames segment: what a stream's options come to.

use crate::format::ImageShape;
use crate::geometry::Geometry;
use crate::layout::{ABI_VERSION, BYTE_ORDER, FRAMES_MAGIC, FramesHeader, WINDOW_OFFSET, flags};
use crate::name::StreamName;
use crate::options::{Content, OnFull, Prefault, StreamOptions};
use crate::region;

/// The header that goes with the options, but for what is one epoch's own.
pub(crate) fn describe(name: &StreamName, options: &StreamOptions, geometry: &Geometry) -> FramesHeader {
    let flag = |set: bool, bit: u32| if set { bit } else { 0 };
    let shape = if let Content::Image(shape) = &options.content { Some(shape) } else { None };
    let type_name = if let Content::Record { type_name, .. } = &options.content { type_name } else { "" };
    FramesHeader {
        magic: FRAMES_MAGIC,
        abi_version: ABI_VERSION,
        byte_order: BYTE_ORDER,
        total_bytes: geometry.frames_bytes as u64,
        cookie: [0; 16],
        bus: region::text(name.bus()),
        stream: region::text(name.stream()),
        slots: geometry.slots as u32,
        history: geometry.history as u32,
        max_subscribers: geometry.max_subscribers as u32,
        max_held: geometry.max_held as u32,
        slot_capacity_bytes: geometry.slot_capacity as u64,
        slot_stride_bytes: geometry.slot_stride as u64,
        window_offset: WINDOW_OFFSET as u64,
        blame_offset: geometry.blame_offset as u64,
        records_offset: geometry.records_offset as u64,
        payload_offset: geometry.payload_offset as u64,
        places_id: 0,
        leases_id: 0,
        places_bytes: geometry.places_bytes as u64,
        content: options.content.code(),
        flags: flag(matches!(options.on_full, OnFull::Wait(_)), flags::WAITS)
            | flag(options.prefault != Prefault::Off, flags::PREFAULT)
            | flag(options.prefault == Prefault::All, flags::PREFAULT_ALL)
            | flag(options.huge_pages, flags::HUGE_PAGES),
        rate_numerator: options.rate.map_or(0, |rate| rate.numerator()),
        rate_denominator: options.rate.map_or(1, |rate| rate.denominator()),
        width: shape.map_or(0, ImageShape::width),
        height: shape.map_or(0, ImageShape::height),
        format: shape.map_or(0, |shape| shape.format().code()),
        stride_bytes: shape.map_or(0, ImageShape::stride_bytes),
        type_name: region::text(type_name),
        base_sequence: 0,
        created_unix_ns: 0,
        creator_pid: 0,
        reserved: 0,
    }
}

impl FramesHeader {
    /// Whether both describe a stream of the same content, geometry and rate.
    pub(crate) fn describes_same(&self, other: &FramesHeader) -> bool {
        let mut own = *self;
        (own.cookie, own.places_id, own.leases_id) = (other.cookie, other.places_id, other.leases_id);
        (own.base_sequence, own.created_unix_ns, own.creator_pid) =
            (other.base_sequence, other.created_unix_ns, other.creator_pid);
        own == *other
    }
}
