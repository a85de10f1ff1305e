//! From a mapping to its records: the only place where a pointer into shared memory becomes a reference.
//!
//! # Invariants
//!
//! * **R1** A view is built from a geometry that was checked against the mapping's real size, so every offset is inside.
//! * **R2** Whoever owns a view owns the mapping too, and drops it last; the lifetimes below are those of `&self`.
//! * **R3** Shared words are atomics. Plain data is either immutable (headers, once ready), or guarded by the slot
//!   protocol: a `FrameInfo` and a payload are written under a loan and read under a pin.

use std::mem::{MaybeUninit, offset_of, size_of};
use std::ptr::NonNull;

use crate::error::Stranger;
use crate::geometry::Geometry;
use crate::layout::*;
use crate::name::StreamName;
use crate::ring::Ring;
use crate::segment::{Mapping, ReadMapping, WriteMapping};
use crate::slots::FrameWords;
use crate::steps;
use crate::sync::{AtomicU64, Ordering};
use crate::words::MAX_SEQUENCE;

// The ABI, held fast: a change here is a new ABI_VERSION and a new docs/layout.md.
const _: () = {
    assert!(size_of::<FramesHeader>() == 368);
    assert!(size_of::<FramesHeader>() <= CONTROL_OFFSET);
    assert!(size_of::<Control>() == 128);
    assert!(STATS_OFFSET + size_of::<PublisherStats>() <= EVENTS_OFFSET);
    assert!(EVENTS_OFFSET.is_multiple_of(align_of::<PublisherEvents>()));
    assert!(offset_of!(PublisherEvents, events) == 64);
    assert!(EVENTS_OFFSET + size_of::<PublisherEvents>() <= WINDOW_OFFSET);
    assert!(size_of::<Blame>() == 24);
    assert!(size_of::<SlotRecord>() == 128);
    assert!(size_of::<FrameInfo>() == 120);
    assert!(offset_of!(SlotRecord, info) == 8);
    assert!(size_of::<Account>() == PAGE_BYTES);
    assert!(offset_of!(Account, hit) == 224);
    assert!(offset_of!(Account, events_head) == 296);
    assert!(offset_of!(Account, events) == 320);
    assert!(offset_of!(Account, latencies) == 960);
    assert!(size_of::<HistogramWords>() == 1024);
    assert!(size_of::<PlacesHeader>() == 256);
    assert!(size_of::<Place>() == 256);
    assert!(offset_of!(Place, pins) == 16);
    assert!(offset_of!(Place, counters) == 128);
    assert!(offset_of!(FramesHeader, bus) == 40);
    assert!(offset_of!(FramesHeader, slots) == 168);
    assert!(offset_of!(FramesHeader, slot_capacity_bytes) == 184);
    assert!(offset_of!(FramesHeader, places_id) == 232);
    assert!(offset_of!(FramesHeader, width) == 264);
    assert!(offset_of!(FramesHeader, base_sequence) == 344);
};

/// The frames segment of a stream.
#[derive(Clone, Copy)]
pub(crate) struct FramesView {
    base: NonNull<u8>,
    geometry: Geometry,
}

// SAFETY: a view is an address and numbers; what it refers to is shared between processes anyway, and all access goes
// through atomics or under the slot protocol (R3).
unsafe impl Send for FramesView {}
// SAFETY: as above.
unsafe impl Sync for FramesView {}

impl FramesView {
    /// A view of a mapping whose size is that of `geometry` (R1). The caller keeps the mapping (R2).
    pub(crate) fn of(mapping: &Mapping, geometry: Geometry) -> Self {
        assert!(mapping.bytes() >= geometry.frames_bytes, "the geometry was checked against the mapping");
        Self { base: mapping.base(), geometry }
    }

    pub(crate) fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    fn at<T>(&self, offset: usize) -> &T {
        // SAFETY: offsets come from the checked geometry or from layout's constants (R1) and are aligned for T by the
        // assertions on the layout; shmat returns page-aligned addresses. T is made of atomics and UnsafeCells (R3).
        unsafe { &*self.base.as_ptr().add(offset).cast::<T>() }
    }

    fn slice<T>(&self, offset: usize, len: usize) -> &[T] {
        // SAFETY: as in `at`; the geometry lays out `len` records from here.
        unsafe { std::slice::from_raw_parts(self.base.as_ptr().add(offset).cast::<T>(), len) }
    }

    #[inline]
    pub(crate) fn words(&self) -> FrameWords<'_> {
        FrameWords {
            control: self.at::<Control>(CONTROL_OFFSET),
            window: self.slice(WINDOW_OFFSET, self.geometry.history),
            records: self.slice(self.geometry.records_offset, self.geometry.slots),
        }
    }

    pub(crate) fn stats(&self) -> &PublisherStats {
        self.at(STATS_OFFSET)
    }

    /// What became of frames that were not published.
    pub(crate) fn events(&self) -> Ring<'_> {
        let PublisherEvents { head, events } = self.at(EVENTS_OFFSET);
        Ring { head, events }
    }

    /// Refused frames by the place that held a slot.
    pub(crate) fn blame(&self) -> &[Blame] {
        self.slice(self.geometry.blame_offset, self.geometry.max_subscribers)
    }

    /// Where a slot's payload lies; `slot_capacity` bytes from there are the slot's.
    #[inline]
    pub(crate) fn payload(&self, slot: u16) -> NonNull<u8> {
        assert!((slot as usize) < self.geometry.slots, "a slot of this stream");
        // SAFETY: within the mapping (R1).
        unsafe { self.base.add(self.geometry.payload_of(slot)) }
    }

    /// The payload bytes of a pinned slot.
    ///
    /// # Safety
    /// The slot is pinned by the caller for as long as the slice lives (I3), and `len` is at most the slot's capacity.
    #[inline]
    pub(crate) unsafe fn pinned_bytes(&self, slot: u16, len: usize) -> &[u8] {
        debug_assert!(len <= self.geometry.slot_capacity);
        // SAFETY: the caller's promise: nobody writes the slot while it is pinned.
        unsafe { std::slice::from_raw_parts(self.payload(slot).as_ptr(), len) }
    }

    /// The info of a pinned slot.
    ///
    /// # Safety
    /// The slot is pinned by the caller for as long as the reference lives (I3).
    #[inline]
    pub(crate) unsafe fn pinned_info(&self, slot: u16) -> &FrameInfo {
        // SAFETY: the caller's promise: nobody writes the record while the slot is pinned.
        unsafe { &*self.words().records[slot as usize].info.get() }
    }

    /// When the frame in a slot was published, for who has no pin: a single word, read as an atomic; it may be another
    /// frame's by now.
    pub(crate) fn observe_publish_ns(&self, slot: u16) -> u64 {
        let info = self.words().records[slot as usize].info.get();
        // SAFETY: an aligned u64 inside a live mapping; the publisher's plain store to it may race with this load, which
        // the hardware does whole, and whose value is only shown to people.
        unsafe { (&raw mut (*info).publish_ns).cast::<AtomicU64>().as_ref() }.map_or(0, |ns| ns.load(Ordering::Relaxed))
    }

    /// Copies a slot's info for who has no pin: word by word, because the publisher may be writing it.
    pub(crate) fn observe_info(&self, slot: u16) -> FrameInfo {
        let mut info = MaybeUninit::<FrameInfo>::uninit();
        let words = size_of::<FrameInfo>() / size_of::<u64>();
        let source = self.words().records[slot as usize].info.get().cast::<AtomicU64>();
        for at in 0..words {
            // SAFETY: the record is in the mapping (R1) and 8-aligned; FrameInfo is a whole number of words.
            unsafe { info.as_mut_ptr().cast::<u64>().add(at).write((*source.add(at)).load(Ordering::Relaxed)) };
        }
        // SAFETY: all its words were written above, and it is valid for any bits.
        unsafe { info.assume_init() }
    }

    /// Copies the first `len` payload bytes of a slot for who has no pin, as [`observe_info`](Self::observe_info).
    pub(crate) fn observe_bytes(&self, slot: u16, len: usize, bytes: &mut Vec<u8>) {
        assert!(len <= self.geometry.slot_capacity, "within the slot");
        bytes.clear();
        bytes.reserve(len.next_multiple_of(size_of::<u64>()));
        let source = self.payload(slot).cast::<AtomicU64>();
        for at in 0..len.div_ceil(size_of::<u64>()) {
            // SAFETY: payloads are page aligned and a whole number of pages apart (R1); the vector has the room.
            unsafe {
                let word = source.add(at).as_ref().load(Ordering::Relaxed);
                bytes.as_mut_ptr().add(at * size_of::<u64>()).cast::<u64>().write_unaligned(word);
            }
        }
        // SAFETY: so many bytes were written, and reserved.
        unsafe { bytes.set_len(len) };
    }

    /// The payload bytes of a claimed slot.
    ///
    /// # Safety
    /// The slot is claimed by the caller, and neither published nor given up while the slice lives (I1, I2); the view is
    /// of the publisher's mapping; `len` is at most the slot's capacity.
    #[allow(clippy::mut_from_ref)] // the claim is what makes it exclusive, see Safety
    #[inline]
    pub(crate) unsafe fn claimed_bytes(&self, slot: u16, len: usize) -> &mut [u8] {
        debug_assert!(len <= self.geometry.slot_capacity);
        // SAFETY: the caller's promise: nobody reads or writes the slot but the holder of the claim.
        unsafe { std::slice::from_raw_parts_mut(self.payload(slot).as_ptr(), len) }
    }

    /// The info of a claimed slot.
    ///
    /// # Safety
    /// As for [`claimed_bytes`](Self::claimed_bytes).
    #[allow(clippy::mut_from_ref)] // as there
    #[inline]
    pub(crate) unsafe fn claimed_info(&self, slot: u16) -> &mut FrameInfo {
        // SAFETY: the caller's promise: nobody reads the record of a claimed slot.
        unsafe { &mut *self.words().records[slot as usize].info.get() }
    }
}

/// The places segment of a stream.
#[derive(Clone, Copy)]
pub(crate) struct PlacesView {
    base: NonNull<u8>,
    places: usize,
    accounts_offset: usize,
}

// SAFETY: as for FramesView.
unsafe impl Send for PlacesView {}
// SAFETY: as for FramesView.
unsafe impl Sync for PlacesView {}

impl PlacesView {
    /// A view of a mapping of `geometry.places_bytes` (R1). The caller keeps the mapping (R2).
    pub(crate) fn of(mapping: &Mapping, geometry: &Geometry) -> Self {
        assert!(mapping.bytes() >= geometry.places_bytes, "the geometry was checked against the mapping");
        Self { base: mapping.base(), places: geometry.max_subscribers, accounts_offset: geometry.accounts_offset }
    }

    pub(crate) fn header(&self) -> &PlacesHeader {
        // SAFETY: the header is at offset 0 of a page-aligned mapping that is large enough (R1).
        unsafe { self.base.cast::<PlacesHeader>().as_ref() }
    }

    #[inline]
    pub(crate) fn places(&self) -> &[Place] {
        // SAFETY: PLACES_OFFSET is a multiple of Place's alignment, and the mapping holds `places` of them (R1).
        unsafe { std::slice::from_raw_parts(self.base.as_ptr().add(PLACES_OFFSET).cast::<Place>(), self.places) }
    }

    /// What the subscribers count, by place.
    #[inline]
    pub(crate) fn accounts(&self) -> &[Account] {
        // SAFETY: the offset is a multiple of the page, Account's alignment, and the mapping holds `places` of them (R1).
        unsafe {
            std::slice::from_raw_parts(self.base.as_ptr().add(self.accounts_offset).cast::<Account>(), self.places)
        }
    }
}

/// What a segment under a stream's key turns out to be.
#[derive(Debug)]
pub(crate) enum Found {
    /// All zero: its creator has not begun to write, or died before.
    Blank,
    /// A stream's, but not finished. Which one's may not stand there so far; streams of one key share one lease.
    Unfinished,
    /// This stream's, with a complete header; `state` is `READY` or later.
    Stream(Box<FramesHeader>, Geometry, u32),
    /// Something else.
    Stranger(Stranger),
}

/// Looks at a frames segment without trusting it.
pub(crate) fn examine(mapping: &ReadMapping, name: &StreamName) -> Found {
    let Some(mut header) = read_header(mapping) else { return Found::Stranger(Stranger::Foreign) };
    if header.magic == [0; 8] {
        if is_blank(mapping) {
            return Found::Blank;
        }
        // Its creator may have begun to write since; the magic is what it writes first.
        header = read_header(mapping).unwrap_or(header);
    }
    if header.magic != FRAMES_MAGIC {
        return Found::Stranger(Stranger::Foreign);
    }
    if header.abi_version != 0 && (header.byte_order != BYTE_ORDER || header.abi_version != ABI_VERSION) {
        return Found::Stranger(Stranger::Version { found: header.abi_version, expected: ABI_VERSION });
    }
    let state = state_of(mapping);
    if !(state::READY..=state::CLOSED).contains(&state) {
        return Found::Unfinished;
    }
    // Read once more: what was copied above may be older than the state.
    let header = read_header(mapping).unwrap_or(header);
    let found = (read_text(&header.bus), read_text(&header.stream));
    if (found.0.as_str(), found.1.as_str()) != (name.bus(), name.stream()) {
        return Found::Stranger(Stranger::Collision { other: format!("{}/{}", found.0, found.1) });
    }
    match Geometry::from_header(&header, mapping.bytes() as u64) {
        Ok(geometry) => Found::Stream(header, geometry, state),
        Err((field, found, expected)) => Found::Stranger(Stranger::Damaged { field, found, expected }),
    }
}

/// A copy of the header, where the segment is large enough to have one.
///
/// It may be half written while the state is `CREATING`; every bit pattern is valid, and nothing but magic, version and
/// names is used then.
pub(crate) fn read_header(mapping: &ReadMapping) -> Option<Box<FramesHeader>> {
    if mapping.bytes() < WINDOW_OFFSET {
        return None;
    }
    let mut header = Box::new(MaybeUninit::<FramesHeader>::uninit());
    let words = size_of::<FramesHeader>() / size_of::<u64>();
    let source = mapping.base().cast::<AtomicU64>();
    for at in 0..words {
        // SAFETY: the mapping holds WINDOW_OFFSET bytes and is page aligned; the words are read as atomics because the
        // creator may be writing them; FramesHeader is 8-aligned, a whole number of words, and valid for any bits.
        unsafe {
            let word = source.add(at).as_ref().load(Ordering::Relaxed);
            header.as_mut_ptr().cast::<u64>().add(at).write(word);
        }
    }
    // SAFETY: all its words were written above.
    Some(unsafe { header.assume_init() })
}

/// The state word of a segment that is large enough to have one.
pub(crate) fn state_of(mapping: &ReadMapping) -> u32 {
    assert!(mapping.bytes() >= WINDOW_OFFSET, "a segment with a header");
    // SAFETY: Control lies before WINDOW_OFFSET, aligned; it is made of atomics.
    let control = unsafe { mapping.base().add(CONTROL_OFFSET).cast::<Control>().as_ref() };
    // Acquire: what was stored before READY is seen by who sees READY.
    control.state.load(Ordering::Acquire)
}

/// Whether there is nothing where a header would be.
pub(crate) fn is_blank(mapping: &ReadMapping) -> bool {
    let words = mapping.bytes().min(WINDOW_OFFSET) / size_of::<u64>();
    let source = mapping.base().cast::<AtomicU64>();
    // SAFETY: so many words are in the mapping, which is page aligned. Acquire: who sees a word sees the magic, too.
    (0..words).all(|at| unsafe { source.add(at).as_ref() }.load(Ordering::Acquire) == 0)
}

/// Writes the header of a segment in creation. Nobody else uses it before the state is `READY`.
pub(crate) fn write_header(mapping: &WriteMapping, header: &FramesHeader) {
    assert!(mapping.bytes() >= WINDOW_OFFSET, "a segment with a header");
    let words = size_of::<FramesHeader>() / size_of::<u64>();
    let target = mapping.base().cast::<AtomicU64>();
    for at in 0..words {
        // SAFETY: as in `read_header`, the other way round.
        unsafe {
            let word = std::ptr::from_ref(header).cast::<u64>().add(at).read();
            // Release: the magic, the first of them, is seen by who sees another one.
            target.add(at).as_ref().store(word, Ordering::Release);
        }
    }
}

/// Sets the state word (Release): what was stored before is seen by who sees it.
pub(crate) fn set_state(mapping: &WriteMapping, state: u32) {
    assert!(mapping.bytes() >= WINDOW_OFFSET, "a segment with a header");
    // SAFETY: as in `state_of`; the mapping may be written.
    let control = unsafe { mapping.base().add(CONTROL_OFFSET).cast::<Control>().as_ref() };
    control.state.store(state, Ordering::Release);
}

/// Writes the header of a places segment in creation.
pub(crate) fn write_places_header(mapping: &WriteMapping, geometry: &Geometry, cookie: [u8; 16], name: &StreamName) {
    assert!(mapping.bytes() >= geometry.places_bytes, "the geometry was checked against the mapping");
    let target = mapping.base().cast::<PlacesHeader>().as_ptr();
    // SAFETY: the segment is new, large enough and page aligned, and nobody uses it before the frames segment that
    // names it is READY.
    unsafe {
        steps::store("places header");
        (*target).abi_version = ABI_VERSION;
        (*target).max_subscribers = geometry.max_subscribers as u32;
        steps::store("places header, cookie");
        (*target).cookie = cookie;
        steps::store("places header, names");
        (*target).bus = text(name.bus());
        (*target).stream = text(name.stream());
        steps::store("places header, magic");
        (*target).magic = PLACES_MAGIC;
    }
}

fn carried_word(base: NonNull<u8>, bytes: usize) -> Option<NonNull<AtomicU64>> {
    let fits = bytes >= size_of::<PlacesHeader>();
    // SAFETY: within the mapping, as just checked.
    fits.then(|| unsafe { base.add(offset_of!(PlacesHeader, carried_sequence)).cast() })
}

/// Notes in a places segment the last sequence of its epoch.
pub(crate) fn carry_sequence(mapping: &WriteMapping, sequence: u64) {
    if let Some(word) = carried_word(mapping.base(), mapping.bytes()) {
        // SAFETY: an aligned word inside a live mapping, always used as an atomic.
        unsafe { word.as_ref() }.store(sequence, Ordering::Release);
    }
}

/// What [`carry_sequence`] noted, or 0; also where what stands there is no sequence: every subscriber may write it.
pub(crate) fn carried_sequence(mapping: &ReadMapping) -> u64 {
    // SAFETY: as in `carry_sequence`.
    let load = |word: NonNull<AtomicU64>| unsafe { word.as_ref() }.load(Ordering::Acquire);
    carried_word(mapping.base(), mapping.bytes()).map(load).filter(|carried| *carried <= MAX_SEQUENCE).unwrap_or(0)
}

/// Whether a segment is a stream's places segment, or the beginnings of one.
pub(crate) enum FoundPlaces {
    /// With this cookie.
    Ours([u8; 16]),
    Blank,
    Stranger(Stranger),
}

/// Looks at a places segment without trusting it.
pub(crate) fn examine_places(mapping: &ReadMapping, name: &StreamName) -> FoundPlaces {
    if mapping.bytes() < size_of::<PlacesHeader>() {
        return FoundPlaces::Stranger(Stranger::Foreign);
    }
    // SAFETY: large enough and page aligned; only the plain fields at its start are read, and who writes them (the
    // creator) does so before the frames segment leads anybody here.
    let (magic, version, cookie, bus, stream) = unsafe {
        let header = mapping.base().cast::<PlacesHeader>().as_ptr();
        ((*header).magic, (*header).abi_version, (*header).cookie, (*header).bus, (*header).stream)
    };
    if magic == [0; 8] && bus == [0; 64] && version == 0 && cookie == [0; 16] {
        return FoundPlaces::Blank;
    }
    if magic != PLACES_MAGIC && magic != [0; 8] {
        return FoundPlaces::Stranger(Stranger::Foreign);
    }
    if version != ABI_VERSION {
        return FoundPlaces::Stranger(Stranger::Version { found: version, expected: ABI_VERSION });
    }
    let found = (read_text(&bus), read_text(&stream));
    // Without magic its creator died while it wrote the names: they are a beginning of ours.
    if magic != [0; 8] && found != (name.bus().to_owned(), name.stream().to_owned()) {
        return FoundPlaces::Stranger(Stranger::Collision { other: format!("{}/{}", found.0, found.1) });
    }
    FoundPlaces::Ours(cookie)
}

/// The stream whose places a segment says to be.
pub(crate) fn places_name(mapping: &ReadMapping) -> Option<StreamName> {
    if mapping.bytes() < size_of::<PlacesHeader>() {
        return None;
    }
    // SAFETY: as in `examine_places`.
    let (magic, bus, stream) = unsafe {
        let header = mapping.base().cast::<PlacesHeader>().as_ptr();
        ((*header).magic, (*header).bus, (*header).stream)
    };
    (magic == PLACES_MAGIC).then(|| StreamName::new(&read_text(&bus), &read_text(&stream)).ok())?
}

/// Text as it stands in a header: NUL padded.
pub(crate) fn text<const N: usize>(text: &str) -> [u8; N] {
    let mut bytes = [0; N];
    let len = text.len().min(N - 1);
    bytes[..len].copy_from_slice(&text.as_bytes()[..len]);
    bytes
}

/// Undoes [`text`]; what is no UTF-8 is replaced.
pub(crate) fn read_text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}
