//! A stream on the heap, with payloads that notice a race; and its publisher and subscribers, as publisher.rs,
//! subscriber.rs and attach.rs make them of the protocol.

use loom::cell::UnsafeCell;

use super::slots::{self, Blocked, FrameWords, PlaceSet, SlotLedger};
use crate::explore::Size;
use crate::kernel::{Futex, Leases};
use crate::layout::{Control, Place, PlacesHeader, SlotRecord};
use crate::sync::Ordering::{Acquire, Relaxed, Release};
use crate::sync::{AtomicU32, AtomicU64, step};
use crate::words::{NO_SLOT, pack, pin, unpack};

/// A frame as its reader and its publisher remember it: its sequence, and who published it.
pub(crate) type Stamp = (u64, u64);

pub(crate) struct World {
    control: Control,
    window: Vec<AtomicU64>,
    records: Vec<SlotRecord>,
    header: PlacesHeader,
    pub places: Vec<Place>,
    pub leases: Leases,
    /// Where subscribers sleep, and where the publisher does.
    subscribers: Futex,
    publisher: Futex,
    /// The payload of each slot: the frame's sequence and publisher.
    payloads: Vec<UnsafeCell<Stamp>>,
    /// The same for those who read without a pin: two words, each the frame's sequence.
    racing: Vec<[AtomicU64; 2]>,
    pub size: Size,
}

impl World {
    pub fn new(size: Size) -> Self {
        let slots = size.slots();
        let pins = || (0..size.max_held).map(|_| AtomicU32::new(pin::NONE)).collect();
        // Without subscribers there are only observers.
        let observed = if size.places == 0 { slots } else { 0 };
        Self {
            control: Control { latest: AtomicU64::new(pack(0, NO_SLOT)), futex: AtomicU32::new(0) },
            window: (0..size.history).map(|_| AtomicU64::new(0)).collect(),
            records: (0..slots).map(|_| SlotRecord { generation: AtomicU64::new(0) }).collect(),
            header: PlacesHeader { release_futex: AtomicU32::new(0), publisher_waiting: AtomicU32::new(0) },
            places: (0..size.places)
                .map(|_| Place { waiting: AtomicU32::new(0), cursor: AtomicU64::new(0), pins: pins() })
                .collect(),
            leases: Leases::new(size.places),
            subscribers: Futex::new(),
            publisher: Futex::new(),
            payloads: (0..slots).map(|_| UnsafeCell::new((0, 0))).collect(),
            racing: (0..observed).map(|_| [AtomicU64::new(0), AtomicU64::new(0)]).collect(),
            size,
        }
    }

    pub fn words(&self) -> FrameWords<'_> {
        FrameWords { control: &self.control, window: &self.window, records: &self.records }
    }

    pub fn latest_sequence(&self) -> u64 {
        unpack(self.control.latest.load(Acquire)).0
    }

    /// Reads the payload of a pinned slot: it must be the frame that the slot's generation says.
    fn read(&self, slot: u16) -> Stamp {
        let sequence = slots::sequence_of(self.words(), slot);
        let stamp = self.payloads[slot as usize].with(|payload| {
            // SAFETY: loom reports a panic where this access races with another one.
            unsafe { *payload }
        });
        assert_eq!(stamp.0, sequence, "the slot holds another frame than its generation says");
        stamp
    }

    /// Copies a slot's words out while they may change.
    pub fn glance(&self, slot: u16) -> [u64; 2] {
        let [first, second] = &self.racing[slot as usize];
        [first.load(Relaxed), second.load(Relaxed)]
    }

    /// Wakes the publisher where it waits for what a subscriber just let go of.
    fn tell_publisher(&self) {
        if slots::tell(&self.header) {
            self.publisher.wake_all();
        }
    }

    fn wake_subscribers(&self) {
        // The system call is a step too: a publisher can die before it.
        step(false);
        self.subscribers.wake_all();
    }

    /// What the kernel says, when asked.
    fn dropped(&self) -> PlaceSet {
        let mut dropped = PlaceSet::default();
        self.leases.dropped().into_iter().for_each(|place| dropped.insert(place));
        dropped
    }
}

/// The holder of the publisher's lease.
pub(crate) struct Publisher<'a> {
    world: &'a World,
    pub ledger: SlotLedger,
    /// Tells one publisher from its successor.
    author: u64,
}

impl<'a> Publisher<'a> {
    pub fn open(world: &'a World, author: u64) -> Self {
        let ledger = SlotLedger::recover(world.words(), world.size.max_held, world.size.waits);
        Self { world, ledger, author }
    }

    /// Opens, and wakes those whom a dead predecessor did not, as publisher.rs does.
    pub fn open_and_ring(world: &'a World, author: u64) -> Self {
        let mut publisher = Self::open(world, author);
        if publisher.ledger.ring(world.words(), &world.places) {
            world.wake_subscribers();
        }
        publisher
    }

    pub fn claim(&mut self) -> Result<u16, Blocked> {
        self.ledger.claim(self.world.words(), &self.world.places, || self.world.dropped())
    }

    /// Publishes a frame in a slot that must be there.
    pub fn publish(&mut self) -> Stamp {
        let slot = self.claim().expect("a slot is always free");
        self.publish_in(slot)
    }

    /// Publishes a frame; waits for a slot, asleep until a subscriber says that it let go of something.
    pub fn publish_when_told(&mut self) -> Stamp {
        let slot = self.claim().unwrap_or_else(|_| {
            let slot = loop {
                let word = slots::announce_wait(&self.world.header);
                if let Ok(slot) = self.claim() {
                    break slot;
                }
                self.world.publisher.wait(&self.world.header.release_futex, word);
            };
            slots::end_wait(&self.world.header);
            slot
        });
        self.publish_in(slot)
    }

    /// Publishes a frame; waits for a slot, and looks again from time to time: the dead tell nobody.
    pub fn publish_when_free(&mut self) -> Stamp {
        loop {
            if let Ok(slot) = self.claim() {
                return self.publish_in(slot);
            }
            loom::thread::yield_now();
        }
    }

    /// Publishes a frame, and does not wait for who has not read: returns what those wanted, by place.
    pub fn publish_or_evict(&mut self) -> Vec<(usize, u64)> {
        let (slot, evicted) = match self.claim() {
            Ok(slot) => (slot, PlaceSet::default()),
            Err(Blocked::Held(_)) => panic!("a slot is always free"),
            Err(Blocked::Unread(stuck)) => {
                let evicted = self.ledger.evict(&self.world.places, stuck);
                (self.claim().expect("nobody is waited for any more"), evicted)
            }
        };
        // What fell out of the window was wanted by them, or they would not have been in the way.
        let wanted = self.ledger.next_sequence().saturating_sub(self.world.size.history as u64);
        self.publish_in(slot);
        evicted.iter().map(|place| (place, wanted)).collect()
    }

    /// Writes and publishes the frame in a claimed slot.
    pub fn publish_in(&mut self, slot: u16) -> Stamp {
        let stamp = self.write(slot);
        if self.ledger.publish(self.world.words(), &self.world.places, slot) {
            self.world.wake_subscribers();
        }
        stamp
    }

    /// Writes the payload of a claimed slot.
    pub fn write(&mut self, slot: u16) -> Stamp {
        let stamp = (self.ledger.next_sequence(), self.author);
        slots::mark_written(self.world.words(), slot);
        self.world.payloads[slot as usize].with_mut(|payload| {
            // SAFETY: loom reports a panic where this access races with another one.
            unsafe { *payload = stamp }
        });
        if let Some(words) = self.world.racing.get(slot as usize) {
            words.iter().for_each(|word| word.store(stamp.0, Relaxed));
        }
        stamp
    }
}

/// A subscriber in a place that it has the lease of.
pub(crate) struct Reader<'a> {
    world: &'a World,
    place: usize,
    pub lossless: bool,
    /// What it wanted when it found that it was evicted.
    pub evicted_at: Option<u64>,
    /// Newest sequence acquired.
    pub last: u64,
    /// What was acquired, in this order.
    pub seen: Vec<Stamp>,
    /// The slot that each pin holds, and the frame in it.
    held: Vec<Option<(u16, Stamp)>>,
}

impl<'a> Reader<'a> {
    /// Claims the place, and clears what an earlier holder left there.
    pub fn attach(world: &'a World, place: usize) -> Self {
        world.leases.set(place, true);
        let words = &world.places[place];
        // A store, in attach.rs. Where the publisher helped the dead one's `ANY`, its compare-and-swap comes before this
        // store in the word's order, because it read the `ANY` that the dead one left; loom forgets that of a store, and
        // lets a later compare-and-swap succeed on what was overwritten long ago. It knows it of a swap.
        for word in &words.pins {
            word.swap(pin::NONE, Release);
        }
        words.cursor.store(0, Release);
        words.waiting.store(0, Relaxed);
        Self::in_new_place(world, place)
    }

    /// In a place that nobody has had before.
    pub fn in_new_place(world: &'a World, place: usize) -> Self {
        let held = vec![None; world.size.max_held];
        Self { world, place, lossless: false, evicted_at: None, last: 0, seen: Vec::new(), held }
    }

    /// From here on the publisher waits for this reader.
    pub fn be_lossless(&mut self) {
        self.lossless = true;
        slots::register(self.words(), self.last + 1);
    }

    /// It wants no more frames in order.
    pub fn end_lossless(&mut self) {
        self.lossless = false;
        self.words().cursor.store(0, Release);
        self.world.tell_publisher();
    }

    fn words(&self) -> &'a Place {
        &self.world.places[self.place]
    }

    /// Lets go of what the pin holds, after a last look at it.
    pub fn release(&mut self, pin: usize) {
        if let Some((slot, stamp)) = self.held[pin].take() {
            assert_eq!(self.world.read(slot), stamp, "a held frame changed");
            slots::release(&self.words().pins[pin]);
            if self.world.size.waits {
                self.world.tell_publisher();
            }
        }
    }

    pub fn release_all(&mut self) {
        (0..self.world.size.max_held).for_each(|pin| self.release(pin));
    }

    /// Acquires the newest frame with a free pin.
    pub fn latest(&mut self, pin: usize) {
        let slot = slots::pin_latest(self.world.words(), &self.words().pins[pin]);
        self.hold(pin, slot.expect("nobody else writes this place"));
    }

    /// Acquires the newest frame without trying its slot first: there is one.
    pub fn any(&mut self, pin: usize) {
        if self.world.latest_sequence() == 0 {
            return;
        }
        let slot = slots::pin_any(self.world.words(), &self.words().pins[pin]);
        self.hold(pin, Some(slot.expect("nobody else writes this place")));
    }

    /// Acquires the next frame in order with a free pin; false: there is none.
    pub fn next(&mut self, pin: usize) -> bool {
        let before = self.last;
        let slot = slots::pin_next(self.world.words(), &self.words().pins[pin], self.last + 1, 1);
        self.hold(pin, slot.expect("nobody else writes this place"));
        assert!(self.held[pin].is_none() || self.last > before, "next goes forward");
        self.held[pin].is_some()
    }

    fn hold(&mut self, pin: usize, slot: Option<u16>) {
        let Some(slot) = slot else { return };
        let stamp = self.world.read(slot);
        assert!(stamp.0 >= self.last, "time ran backwards");
        self.held[pin] = Some((slot, stamp));
        self.seen.push(stamp);
        if stamp.0 > self.last {
            let wanted = std::mem::replace(&mut self.last, stamp.0) + 1;
            if self.lossless {
                if slots::move_on(self.words(), wanted, self.last + 1).is_err() {
                    (self.lossless, self.evicted_at) = (false, Some(wanted));
                }
                self.world.tell_publisher();
            }
        }
    }

    /// Sleeps until there is a frame newer than the last one, or returns earlier.
    pub fn sleep(&mut self) {
        let word = slots::announce_sleep(self.world.words(), self.words());
        if self.world.latest_sequence() <= self.last {
            self.world.subscribers.wait(&self.world.control.futex, word);
        }
        slots::end_sleep(self.words());
    }
}
