//! A stream on the heap, with payloads that notice a race.

use loom::cell::UnsafeCell;

use super::slots::{self, FrameWords, PlaceSet, SlotLedger};
use crate::layout::{Control, Place, SlotRecord};
use crate::sync::Ordering::Acquire;
use crate::sync::{AtomicU32, AtomicU64};
use crate::words::{NO_SLOT, pack, pin, unpack};

/// Numbers of a stream, and how much happens in a model.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub places: usize,
    pub history: usize,
    pub max_held: usize,
    /// Frames that are published.
    pub frames: u64,
    /// Acquisitions of each subscriber.
    pub reads: usize,
    /// Slots fewer than the minimum S = H + 1 + N·K.
    pub missing_slots: usize,
}

pub(crate) struct World {
    control: Control,
    window: Vec<AtomicU64>,
    records: Vec<SlotRecord>,
    pub places: Vec<Place>,
    /// The payload of each slot: the sequence of the frame in it.
    payloads: Vec<UnsafeCell<u64>>,
    pub size: Size,
}

impl World {
    pub fn new(size: Size) -> Self {
        let slots = size.history + 1 + size.places * size.max_held - size.missing_slots;
        let pins = || (0..size.max_held).map(|_| AtomicU32::new(pin::NONE)).collect();
        Self {
            control: Control { latest: AtomicU64::new(pack(0, NO_SLOT)), futex: AtomicU32::new(0) },
            window: (0..size.history).map(|_| AtomicU64::new(0)).collect(),
            records: (0..slots).map(|_| SlotRecord { generation: AtomicU64::new(0) }).collect(),
            places: (0..size.places)
                .map(|_| Place { waiting: AtomicU32::new(0), cursor: AtomicU64::new(0), pins: pins() })
                .collect(),
            payloads: (0..slots).map(|_| UnsafeCell::new(0)).collect(),
            size,
        }
    }

    pub fn words(&self) -> FrameWords<'_> {
        FrameWords { control: &self.control, window: &self.window, records: &self.records }
    }

    pub fn ledger(&self) -> SlotLedger {
        SlotLedger::recover(self.words(), self.size.max_held, false)
    }

    pub fn latest_sequence(&self) -> u64 {
        unpack(self.control.latest.load(Acquire)).0
    }

    pub fn futex_word(&self) -> u32 {
        self.control.futex.load(Acquire)
    }

    /// Claims, writes and publishes a frame; true: somebody must be woken.
    pub fn publish(&self, ledger: &mut SlotLedger, dropped: impl FnOnce() -> PlaceSet) -> bool {
        let slot = ledger.claim(self.words(), &self.places, dropped).expect("a slot is always free");
        self.write(ledger, slot);
        ledger.publish(self.words(), &self.places, slot)
    }

    /// Writes the payload of a claimed slot.
    pub fn write(&self, ledger: &SlotLedger, slot: u16) {
        let sequence = ledger.next_sequence();
        self.payloads[slot as usize].with_mut(|payload| {
            // SAFETY: loom reports a panic where this access races with another one.
            unsafe { *payload = sequence }
        });
    }

    /// Reads the payload of a pinned slot: it must be the frame that the slot's generation says.
    pub fn read(&self, slot: u16) -> u64 {
        let sequence = slots::sequence_of(self.words(), slot);
        let payload = self.payloads[slot as usize].with(|payload| {
            // SAFETY: loom reports a panic where this access races with another one.
            unsafe { *payload }
        });
        assert_eq!(payload, sequence, "the slot holds another frame than its generation says");
        sequence
    }
}

/// A subscriber's side, as `Subscriber` has it.
pub(crate) struct Reader<'a> {
    world: &'a World,
    place: usize,
    pub last: u64,
    /// The slot and sequence that each pin holds.
    held: Vec<Option<(u16, u64)>>,
}

impl<'a> Reader<'a> {
    pub fn new(world: &'a World, place: usize) -> Self {
        Self { world, place, last: 0, held: vec![None; world.size.max_held] }
    }

    fn pin(&self, pin: usize) -> &'a AtomicU32 {
        &self.world.places[self.place].pins[pin]
    }

    /// Lets go of what the pin holds, after a last look at it.
    pub fn release(&mut self, pin: usize) {
        if let Some((slot, sequence)) = self.held[pin].take() {
            assert_eq!(self.world.read(slot), sequence, "a held frame changed");
            slots::release(self.pin(pin));
        }
    }

    /// Acquires the newest frame with a free pin.
    pub fn latest(&mut self, pin: usize) {
        let slot = slots::pin_latest(self.world.words(), self.pin(pin)).expect("nobody else writes this place");
        self.hold(pin, slot);
    }

    /// Acquires the next frame in order with a free pin.
    pub fn next(&mut self, pin: usize) {
        let slot = slots::pin_next(self.world.words(), self.pin(pin), self.last + 1, 1);
        let before = self.last;
        self.hold(pin, slot.expect("nobody else writes this place"));
        assert!(self.held[pin].is_none() || self.last > before, "next goes forward");
    }

    fn hold(&mut self, pin: usize, slot: Option<u16>) {
        if let Some(slot) = slot {
            let sequence = self.world.read(slot);
            assert!(sequence >= self.last, "time ran backwards");
            self.last = sequence;
            self.held[pin] = Some((slot, sequence));
        }
    }
}
