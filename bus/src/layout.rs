//! The records in shared memory, byte by byte. docs/layout.md says the same for programs in other languages.
//!
//! ```text
//! frames segment (publisher writes, subscribers map it read-only)
//!   0      FramesHeader    written once, then immutable
//!   1024   Control         latest · futex word · state
//!   1152   PublisherStats  counters of the publisher
//!   1920   PublisherEvents what became of frames that were not published
//!   4096   window          history × u64
//!   ...    blame           max_subscribers × Blame (24 bytes): refused frames by the place that held a slot
//!   ...    records         slots × SlotRecord (128 bytes)
//!   ...    payload         slots × slot_stride_bytes, page aligned
//! places segment (everybody writes)
//!   0      PlacesHeader    256 bytes
//!   256    places          max_subscribers × Place (256 bytes)
//!   ...    accounts        max_subscribers × Account (4096 bytes), page aligned
//! ```
//!
//! Whoever may find memory of a stranger reads only plain integers here: every bit pattern of every field is valid.

use crate::sync::{AtomicU32, AtomicU64, PlainU64};
use std::cell::UnsafeCell;
use std::mem::size_of;

/// First bytes of a frames segment.
pub(crate) const FRAMES_MAGIC: [u8; 8] = *b"FRAMEBUS";
/// First bytes of a places segment.
pub(crate) const PLACES_MAGIC: [u8; 8] = *b"FRAMEPLC";
/// Raised whenever a byte of this file changes its meaning.
pub(crate) const ABI_VERSION: u32 = 2;
/// Reads as another number on a machine of the other byte order.
pub(crate) const BYTE_ORDER: u32 = 0x0102_0304;

/// Page size assumed by the layout; payload slots are aligned to it.
pub(crate) const PAGE_BYTES: usize = 4096;
/// Most places of a stream: the semaphore set has 256 semaphores, one of them the publisher's.
pub const MAX_SUBSCRIBERS: u32 = 255;
/// Most pins of a place.
pub const MAX_HELD: u32 = 28;
/// Most slots of a stream: an index has 16 bits, and the last two of them mean something else.
pub const MAX_SLOTS: u32 = 65_533;
/// Bytes of a frame that are the user's own, in [`FrameInfo`].
pub const USER_BYTES: usize = 48;

/// Values of [`Control::state`].
pub(crate) mod state {
    /// The creator is at work, or died at it: nothing but magic, names and this word means anything.
    pub(crate) const CREATING: u32 = 1;
    /// Everything is in place.
    pub(crate) const READY: u32 = 2;
    /// Another epoch of the stream, with another geometry, took this one's place.
    pub(crate) const SUPERSEDED: u32 = 3;
    /// The publisher closed the stream.
    pub(crate) const CLOSED: u32 = 4;
}

/// What the stream carries, [`FramesHeader::content`].
pub(crate) mod content {
    pub(crate) const IMAGE: u32 = 1;
    pub(crate) const RECORD: u32 = 2;
    pub(crate) const BYTES: u32 = 3;
}

/// Bits of [`FramesHeader::flags`].
pub(crate) mod flags {
    /// The publisher may wait for subscribers (`on_full = "wait"`): they tell it when they let go of a frame.
    pub(crate) const WAITS: u32 = 1;
    /// Subscribers map the warm slots at attach.
    pub(crate) const PREFAULT: u32 = 2;
    /// Huge pages were asked for.
    pub(crate) const HUGE_PAGES: u32 = 4;
    /// Subscribers map all slots at attach.
    pub(crate) const PREFAULT_ALL: u32 = 8;
}

/// Start of the frames segment. Written by the creator while [`Control::state`] is `CREATING`, immutable from `READY`
/// on, so a copy of it never grows stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct FramesHeader {
    pub magic: [u8; 8],
    pub abi_version: u32,
    pub byte_order: u32,
    /// Size of the whole segment, bytes.
    pub total_bytes: u64,
    /// Random, one an epoch; the places segment bears the same.
    pub cookie: [u8; 16],
    /// NUL padded.
    pub bus: [u8; 64],
    /// NUL padded.
    pub stream: [u8; 64],
    /// Number of slots S.
    pub slots: u32,
    /// Newest frames that may be acquired, H.
    pub history: u32,
    /// Number of places N.
    pub max_subscribers: u32,
    /// Pins a place K.
    pub max_held: u32,
    /// Most payload bytes of a frame.
    pub slot_capacity_bytes: u64,
    /// From one payload slot to the next; a multiple of the page.
    pub slot_stride_bytes: u64,
    pub window_offset: u64,
    pub blame_offset: u64,
    pub records_offset: u64,
    pub payload_offset: u64,
    /// System V id of the places segment.
    pub places_id: i32,
    /// System V id of the semaphore set.
    pub leases_id: i32,
    pub places_bytes: u64,
    /// See [`content`].
    pub content: u32,
    /// See [`flags`].
    pub flags: u32,
    /// Nominal rate in frames a second, numerator/denominator; 0/1 where the stream has none.
    pub rate_numerator: u32,
    pub rate_denominator: u32,
    /// Image streams: width and height in pixels, `PixelFormat` code, stride in bytes; else 0.
    pub width: u32,
    pub height: u32,
    pub format: u32,
    pub stride_bytes: u32,
    /// Record streams: the name of the type, NUL padded.
    pub type_name: [u8; 64],
    /// Sequence of the last frame before this epoch.
    pub base_sequence: u64,
    /// When the epoch began, ns since 1970 (CLOCK_REALTIME).
    pub created_unix_ns: u64,
    /// Process that created it, in its own PID namespace.
    pub creator_pid: u32,
    pub reserved: u32,
}

/// The words that change with every frame: one cache-line pair, so a subscriber that polls fetches one line.
#[repr(C, align(128))]
pub(crate) struct Control {
    /// The newest frame, packed by [`pack`](crate::words::pack); publisher writes (Release), subscribers read (Acquire).
    pub latest: AtomicU64,
    /// Counts publications, for futex(2) and for cheap polling; publisher writes.
    pub futex: AtomicU32,
    /// See [`state`]; the holder of the publisher's lease writes.
    pub state: AtomicU32,
}

/// The publisher's own counters. It writes (Relaxed), everybody may read; a value may be a moment old.
#[repr(C, align(128))]
pub(crate) struct PublisherStats {
    /// Frames refused because no slot was free, or a lossless subscriber had not taken the oldest.
    pub refused: AtomicU64,
    /// Loans dropped without publishing.
    pub abandoned: AtomicU64,
    /// Frames published behind their deadline; counted by whom keeps the rate.
    pub late: AtomicU64,
    /// Times that a publisher waited for a slot, and for how long in all (ns).
    pub waits: AtomicU64,
    pub waited_ns: AtomicU64,
    /// Publishers of this epoch so far; 1 = its creator.
    pub publishers: AtomicU64,
    /// Lossless subscribers that were not waited for any longer.
    pub evicted: AtomicU64,
    /// The present publisher, in its own PID namespace; stays when it dies.
    pub pid: AtomicU32,
    /// 1 where it leaves the stream there when it ends (`persist`): on purpose, so `gc` does too.
    pub persists: AtomicU32,
}

/// What became of frames: an event of [`ring`](crate::ring), whose words [`fate`](crate::fate) explains.
#[repr(C, align(64))]
pub(crate) struct EventWords(pub [PlainU64; EVENT_WORDS]);

/// The publisher's events. Its lease's holder writes.
#[repr(C, align(64))]
pub(crate) struct PublisherEvents {
    pub head: PlainU64,
    pub events: [EventWords; 32],
}

/// What a place costs the publisher. It writes (Relaxed), everybody may read.
#[repr(C)]
pub(crate) struct Blame {
    /// Frames refused because the place's subscriber held a slot, or had not read.
    pub refused: AtomicU64,
    /// Longest that a slot had been held by then, ns.
    pub longest_held_ns: AtomicU64,
    /// Of whom: [`PlaceCounters::attached_ns`]. Another one in that place is not to blame for it.
    pub attached_ns: AtomicU64,
}

/// One slot's record: its generation, and the info of the frame in it.
#[repr(C, align(128))]
pub(crate) struct SlotRecord {
    /// `2 × sequence` while that frame may be read, odd while it may not, 0 before the first use. Publisher writes.
    pub generation: AtomicU64,
    /// Written under the loan, read under a pin; never both.
    pub info: UnsafeCell<FrameInfo>,
}

/// What is known of a frame. Times are `CLOCK_MONOTONIC` in ns ([`now_ns`](crate::now_ns)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
#[non_exhaustive]
pub struct FrameInfo {
    /// Number of the frame in its stream, from 1.
    pub sequence: u64,
    /// When the data was taken; the publish time where the publisher did not say.
    pub capture_ns: u64,
    /// When it was published.
    pub publish_ns: u64,
    /// Payload bytes, at most the stream's capacity.
    pub len: u64,
    /// Image streams: pixels in a row; else 0.
    pub width: u32,
    /// Image streams: rows; else 0.
    pub height: u32,
    /// Image streams: bytes from a row of the first plane to the next; else 0.
    pub stride_bytes: u32,
    /// Image streams: [`PixelFormat::code`](crate::PixelFormat::code); else 0.
    pub format: u32,
    /// Whatever the publisher wants to say besides (exposure, pose, …).
    pub user: UserBytes,
    /// For later versions; 0.
    pub reserved: [u64; 3],
}

impl Default for FrameInfo {
    fn default() -> Self {
        Self {
            sequence: 0,
            capture_ns: 0,
            publish_ns: 0,
            len: 0,
            width: 0,
            height: 0,
            stride_bytes: 0,
            format: 0,
            user: [0; USER_BYTES],
            reserved: [0; 3],
        }
    }
}

/// The user's own bytes of a [`FrameInfo`].
pub type UserBytes = [u8; USER_BYTES];

/// Start of the places segment; immutable but for the last three words.
#[repr(C, align(256))]
pub(crate) struct PlacesHeader {
    pub magic: [u8; 8],
    pub abi_version: u32,
    pub max_subscribers: u32,
    /// That of the frames segment.
    pub cookie: [u8; 16],
    pub bus: [u8; 64],
    pub stream: [u8; 64],
    /// Last sequence of the epoch that this segment belonged to, once that is superseded; else 0. Lifecycle's L4.
    pub carried_sequence: AtomicU64,
    /// Futex word of a publisher that waits for a slot; subscribers add 1 when they let go of one. Only on streams
    /// with `flags::WAITS`.
    pub release_futex: AtomicU32,
    /// 1 while the publisher sleeps on it; publisher writes.
    pub publisher_waiting: AtomicU32,
}

/// A subscriber's record. Whoever holds the place's lease writes it; the publisher reads, and helps an `ANY`.
#[repr(C, align(128))]
pub(crate) struct Place {
    /// 1 while the subscriber sleeps on [`Control::futex`], or is about to.
    pub waiting: AtomicU32,
    pub reserved: AtomicU32,
    /// A lossless subscriber's next wanted sequence; 0 for all others; 2^64 − 1 where the publisher has evicted it. Only on
    /// streams with `flags::WAITS`.
    pub cursor: AtomicU64,
    /// See [`pin`](crate::words::pin). The first `max_held` are used.
    pub pins: [AtomicU32; MAX_HELD as usize],
    pub counters: PlaceCounters,
}

/// What a subscriber tells of itself: it writes (Relaxed), everybody may read; a value may be a moment old.
#[repr(C, align(128))]
pub(crate) struct PlaceCounters {
    /// Different frames acquired.
    pub seen: AtomicU64,
    /// Frames passed over because a newer one was taken.
    pub skipped: AtomicU64,
    /// Frames gone before they were asked for.
    pub missed: AtomicU64,
    /// Acquisitions refused because all pins were in use.
    pub refused: AtomicU64,
    /// Newest sequence acquired.
    pub last_sequence: AtomicU64,
    /// When the subscriber was ready, `CLOCK_MONOTONIC` ns; 0 before.
    pub attached_ns: AtomicU64,
    /// The subscriber's process, in its own PID namespace.
    pub pid: AtomicU32,
    pub reserved: AtomicU32,
    /// Name of the subscriber's program or what it calls itself, NUL padded UTF-8.
    pub label: [AtomicU64; 4],
}

/// What a subscriber counts beyond its place: it alone writes (Relaxed), everybody may read. A page of its own, so that only those in use
/// take memory, and the publisher's scan of the places touches none of it.
#[repr(C, align(4096))]
pub(crate) struct Account {
    /// By pin: when its frame was taken, ns, or earlier; a pin that holds nothing says nothing.
    pub held_since_ns: [PlainU64; MAX_HELD as usize],
    /// As `PredictionCounters` has them.
    pub hit: PlainU64,
    pub early: PlainU64,
    pub late: PlainU64,
    pub spun_ns: PlainU64,
    /// Violations of the contract below: frames too old, seconds in which too many were skipped, no new frame.
    pub too_old: PlainU64,
    pub too_many_skipped: PlainU64,
    pub stale: PlainU64,
    /// The contract: oldest age, ns, 0 none; most frames lost a second, plus 1, 0 none.
    pub max_age_ns: PlainU64,
    pub max_skipped: PlainU64,
    /// What became of frames; number of events so far.
    pub events_head: PlainU64,
    pub events: [EventWords; 8],
    pub reserved: [PlainU64; 16],
    /// From a frame's publication until it was taken, ns.
    pub latencies: HistogramWords,
    /// From its capture until it was taken.
    pub ages: HistogramWords,
    /// From when it was taken until it was let go of.
    pub holds: HistogramWords,
}

/// See [`histogram`](crate::histogram).
#[repr(C)]
pub(crate) struct HistogramWords {
    pub buckets: [PlainU64; BUCKETS],
    pub sum_ns: PlainU64,
    pub longest_ns: PlainU64,
}

/// Words of an event.
pub(crate) const EVENT_WORDS: usize = 8;
/// Buckets of a histogram.
pub(crate) const BUCKETS: usize = 126;

/// Offset of [`Control`] in the frames segment.
pub(crate) const CONTROL_OFFSET: usize = 1024;
/// Offset of [`PublisherStats`] in the frames segment.
pub(crate) const STATS_OFFSET: usize = CONTROL_OFFSET + size_of::<Control>();
/// Offset of [`PublisherEvents`] in the frames segment.
pub(crate) const EVENTS_OFFSET: usize = 1920;
/// Offset of the window in the frames segment.
pub(crate) const WINDOW_OFFSET: usize = PAGE_BYTES;
/// Offset of the first place in the places segment.
pub(crate) const PLACES_OFFSET: usize = size_of::<PlacesHeader>();
