//! A stream on the heap: the records of `layout.rs`, and payloads that are plain memory.

use std::cell::UnsafeCell;
use std::sync::Mutex;

use crate::layout::{Control, FrameInfo, Place, SlotRecord};
use crate::slots::{FrameWords, PlaceSet, SlotLedger};
use crate::sync::{AtomicU32, AtomicU64};
use crate::words::{NO_SLOT, pack};

/// Numbers of a payload: half a page.
const PAYLOAD_WORDS: usize = 256;

/// Numbers of a stream.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub places: usize,
    pub history: usize,
    pub max_held: usize,
}

pub(crate) struct Heap {
    pub size: Size,
    control: Control,
    window: Box<[AtomicU64]>,
    records: Box<[SlotRecord]>,
    pub places: Box<[Place]>,
    payloads: Box<[UnsafeCell<[u64; PAYLOAD_WORDS]>]>,
    /// The leases: places that nobody holds. The kernel keeps them in a real stream, and orders as a lock does.
    free_places: Mutex<Vec<usize>>,
}

// SAFETY: `info` and the payloads are written under a claim and read under a pin; that this is enough is what is tested.
unsafe impl Sync for Heap {}

fn words(count: usize) -> Box<[AtomicU64]> {
    (0..count).map(|_| AtomicU64::new(0)).collect()
}

fn zeroed_place() -> Place {
    // SAFETY: a place is made of integers.
    unsafe { std::mem::zeroed() }
}

impl Heap {
    pub fn new(size: Size) -> Self {
        let slots = size.history + 1 + size.places * size.max_held;
        let record = |_| SlotRecord { generation: AtomicU64::new(0), info: UnsafeCell::new(FrameInfo::default()) };
        let control =
            Control { latest: AtomicU64::new(pack(0, NO_SLOT)), futex: AtomicU32::new(0), state: AtomicU32::new(0) };
        Self {
            size,
            control,
            window: words(size.history),
            records: (0..slots).map(record).collect(),
            places: (0..size.places).map(|_| zeroed_place()).collect(),
            payloads: (0..slots).map(|_| UnsafeCell::new([0; PAYLOAD_WORDS])).collect(),
            free_places: Mutex::new((0..size.places).collect()),
        }
    }

    pub fn words(&self) -> FrameWords<'_> {
        FrameWords { control: &self.control, window: &self.window, records: &self.records }
    }

    pub fn ledger(&self) -> SlotLedger {
        SlotLedger::recover(self.words(), self.size.max_held, false)
    }

    pub fn claim_place(&self) -> usize {
        self.free_places.lock().unwrap().pop().expect("a free place")
    }

    pub fn give_back(&self, place: usize) {
        self.free_places.lock().unwrap().push(place);
    }

    /// Claims a slot, writes a frame, publishes it.
    pub fn publish(&self, ledger: &mut SlotLedger) {
        let slot = ledger.claim(self.words(), &self.places, PlaceSet::default).expect("a slot is always free");
        let sequence = ledger.next_sequence();
        // SAFETY: the slot is claimed.
        let (info, payload) =
            unsafe { (&mut *self.records[slot as usize].info.get(), &mut *self.payloads[slot as usize].get()) };
        (info.sequence, info.len) = (sequence, size_of_val(payload) as u64);
        for (at, word) in payload.iter_mut().enumerate() {
            *word = expected(sequence, at);
        }
        ledger.publish(self.words(), &self.places, slot);
    }

    /// Reads all of a pinned slot's frame: it must be this one.
    pub fn verify(&self, slot: u16, sequence: u64) {
        // SAFETY: the slot is pinned.
        let (info, payload) =
            unsafe { (&*self.records[slot as usize].info.get(), &*self.payloads[slot as usize].get()) };
        assert_eq!(info.sequence, sequence, "the info is another frame's");
        for (at, word) in payload.iter().enumerate() {
            assert_eq!(*word, expected(sequence, at), "frame {sequence} is torn at number {at}");
        }
    }
}

/// What stands at a place of a frame: no two frames have a number in common.
fn expected(sequence: u64, at: usize) -> u64 {
    sequence << 16 | at as u64
}
