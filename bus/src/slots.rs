//! The slot protocol: who may touch which slot, decided by atomics alone.
//!
//! Knows no system call and no payload; `bus/model` runs this file under loom.
//!
//! # The protocol
//!
//! A stream has S slots. The newest H frames are its *window*; a subscriber may acquire those. Each subscriber has a
//! *place* with K pins; a pin names the slot that is being read. The publisher writes only slots that are neither in the
//! window nor pinned, so **S = H + 1 + N·K** slots are enough for it to never wait: H in the window, N·K pinned at
//! worst, one to write.
//!
//! ```text
//! publisher, publish()                           subscriber, latest()
//!   generation = 2·sequence          (Release)     l = latest                   (Acquire)
//!   window entry                     (Release)     pin = slot of l              (Release)
//!   latest                           (Release)     fence(SeqCst)                ─── F ───
//!   withdraw what fell out of the window:          generation == 2·sequence of l ? (Acquire) else:
//!     its generation = odd           (Relaxed)     pin = ANY                    (Release)
//!   futex word + 1                   (Release)     fence(SeqCst)                ─── F ───
//!   fence(SeqCst)                    ─ F, W ─      l = latest                   (Acquire)
//!   any waiting flag → wake                        CAS(pin, ANY → slot of l)    won or helped: what stands there holds
//! publisher, claim()                             subscriber, next()
//!   scan pins                        (Acquire)     entry = window[wanted]       (Acquire)
//!     ANY → CAS(pin, ANY → newest)                 pin = slot of entry          (Release)
//!   write a slot that is free                      fence(SeqCst)                ─── F ───
//!                                                  generation == 2·wanted ?     (Acquire) else: gone
//!                                                subscriber, about to sleep
//!                                                  waiting flag = 1, fence(SeqCst) ─── W ───, look at latest again
//! publisher, about to wait (on_full = "wait")
//!   waiting flag = 1                             subscriber, let go of a frame or moved its cursor
//!   fence(SeqCst)                    ─── W ───     fence(SeqCst)                ─── W ───
//!   claim once more                                waiting flag → release futex word + 1, wake
//!
//! observer, observe(): no pin
//!   l = latest (Acquire), generation == 2·sequence of l ?, copy, fence(Acquire), generation as before ? else: again
//! ```
//!
//! **F.** Of two fences one comes first. If the subscriber's does, the scan sees the pin and the slot is left alone. If
//! the publisher's does, the subscriber sees all that was stored before it: `latest` is then the newest frame, which is
//! in the window and not to be written, and a withdrawn slot's generation is odd, so `next` lets go of it, and `latest`
//! names no slot any more but says `ANY`. An `ANY` that the scan finds is replaced by the newest slot, so a subscriber that
//! stalls between its two steps can not hold a slot that it names only later: this is what makes `latest` a constant
//! number of steps, however fast the publisher. That the slot is tried first is for speed alone: it saves a locked
//! instruction where nothing is published in between, which is nearly always.
//!
//! **W.** The same, for sleeping. One fence of the publisher serves both: it stands behind all that `publish` stores, and
//! before the scan of the next `claim`, however much later that is. A publisher that waits for a slot is woken in the same
//! way: it says so, fences and claims once more; a subscriber that lets go of one fences and looks whether it said so.
//!
//! **A lossless subscriber** says in its *cursor* which frame it wants next, and the publisher waits with the one that would push that
//! out. Who is too slow is *evicted*: the publisher puts `EVICTED` there, by compare-and-swap from the number that it waited for, and a
//! subscriber moves its cursor on by compare-and-swap too. So of the two one comes first: it has moved, and is not evicted; or it is,
//! and finds out. Eviction touches no pin: what is held stays as it is.
//!
//! **An observer** may not write the places, so nothing keeps the publisher off the slot that it copies; it finds out
//! afterwards. A slot is withdrawn before it is written again, and the publisher's fence stands between: who has copied
//! a byte of a later frame sees the odd generation, or a later one, behind its own fence. A generation goes back only to
//! a sequence that was in no window and no `latest` so far, so one that is as it was has not moved.
//!
//! # A slot's states
//!
//! | generation | in window | pinned | state |
//! |---|---|---|---|
//! | 0 or odd | no | no | free: may be loaned |
//! | `WRITTEN` (odd) | no | loaned | being written |
//! | even | yes | any | readable |
//! | odd | no | yes | withdrawn, still read by who pinned it in time |
//!
//! # Invariants
//!
//! * **I1** A slot is written only between `claim` and `publish` by the holder of the publisher's lease.
//! * **I2** `claim` returns no slot that is in the window, nor one that a pin protects.
//! * **I3** A subscriber reads a slot only while its pin names it, and the pin was confirmed (CAS, or generation).
//! * **I4** With S ≥ H + 1 + N·K `claim` never fails.
//! * **I5** The publisher never clears a pin, not even a dead one's: the place's next holder may have set it just now.
//! * **I6** All stores to a pin are Release: a later store must not hide the earlier ones' reads from the scan.

use crate::layout::{Control, Place, PlacesHeader, SlotRecord};
use crate::sync::{AtomicU32, AtomicU64, Ordering::*, fence};
use crate::words::{NO_SLOT, WRITTEN, pack, pin, unpack};

/// How often `pin_next` chases a window that moves on under it before it takes the newest frame.
const CHASES: usize = 2;
/// How often `observe` copies before it gives up.
const GLANCES: usize = 3;

/// A cursor of who wants no frames in order.
pub(crate) const NOT_LOSSLESS: u64 = 0;
/// A cursor of who was too slow: the publisher put it there, and waits for it no longer.
pub(crate) const EVICTED: u64 = u64::MAX;

/// The words of a frames segment that the protocol uses.
#[derive(Clone, Copy)]
pub(crate) struct FrameWords<'a> {
    pub control: &'a Control,
    pub window: &'a [AtomicU64],
    pub records: &'a [SlotRecord],
}

/// A set of slots: bit `slot % 64` of word `slot / 64`.
struct SlotSet(Box<[u64]>);

impl SlotSet {
    fn new(slots: usize) -> Self {
        Self(vec![0; slots.div_ceil(64)].into())
    }

    fn insert(&mut self, slot: u16) {
        self.0[slot as usize / 64] |= 1 << (slot % 64);
    }

    fn remove(&mut self, slot: u16) {
        self.0[slot as usize / 64] &= !(1 << (slot % 64));
    }

    fn contains(&self, slot: u16) -> bool {
        self.0[slot as usize / 64] & 1 << (slot % 64) != 0
    }
}

/// A set of places, by index from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PlaceSet([u64; 4]);

impl PlaceSet {
    pub(crate) fn insert(&mut self, place: usize) {
        self.0[place / 64] |= 1 << (place % 64);
    }

    pub(crate) fn contains(&self, place: usize) -> bool {
        self.0[place / 64] & 1 << (place % 64) != 0
    }

    /// Those that are in the other set, too.
    pub(crate) fn and(self, other: Self) -> Self {
        Self(std::array::from_fn(|word| self.0[word] & other.0[word]))
    }

    /// As a bit each, in four words.
    pub(crate) fn words(self) -> [u64; 4] {
        self.0
    }

    pub(crate) fn from_words(words: [u64; 4]) -> Self {
        Self(words)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> + use<> {
        let set = *self;
        (0..256).filter(move |&place| set.contains(place))
    }
}

/// Why `claim` has no slot, and which places are the cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blocked {
    /// Every slot outside the window is pinned, by these.
    Held(PlaceSet),
    /// These lossless subscribers have not taken the frame that would fall out of the window.
    Unread(PlaceSet),
}

impl Blocked {
    /// Whether lossless subscribers are in the way of which none was before.
    pub(crate) fn is_by_newcomers(self, before: Self) -> bool {
        let unread = |blocked| if let Blocked::Unread(places) = blocked { places } else { PlaceSet::default() };
        unread(self) != PlaceSet::default() && unread(self).and(unread(before)) == PlaceSet::default()
    }
}

/// The publisher's private knowledge of its slots.
pub(crate) struct SlotLedger {
    slots: usize,
    max_held: usize,
    /// Whether lossless subscribers hold the publisher back.
    waits: bool,
    next_sequence: u64,
    /// Slot of each frame in the window, at `sequence % history`.
    window: Box<[u16]>,
    /// `next_sequence % history`.
    cursor: usize,
    in_window: SlotSet,
    futex: u32,
}

impl SlotLedger {
    /// Rebuilds the ledger from what is in shared memory: of a new stream, or of one whose publisher died anywhere.
    ///
    /// Only the holder of the publisher's lease calls it, and the kernel drops a lease only after the holder's last
    /// store, so nothing moves here but pins.
    pub(crate) fn recover(frames: FrameWords<'_>, max_held: usize, waits: bool) -> Self {
        let (slots, history) = (frames.records.len(), frames.window.len());
        let entry = |sequence: u64| {
            let (found, slot) = unpack(frames.window[(sequence % history as u64) as usize].load(Acquire));
            let record = frames.records.get(slot as usize)?;
            (found == sequence && record.generation.load(Acquire) == 2 * sequence).then_some(slot)
        };
        let (mut latest, _) = unpack(frames.control.latest.load(Acquire));
        // Died between the window entry and `latest`: `next` may have seen the frame, so it is published.
        if let Some(slot) = entry(latest + 1) {
            latest += 1;
            frames.control.latest.store(pack(latest, slot), Release);
        }
        let mut ledger = Self {
            slots,
            max_held,
            waits,
            next_sequence: latest + 1,
            window: vec![NO_SLOT; history].into(),
            cursor: ((latest + 1) % history as u64) as usize,
            in_window: SlotSet::new(slots),
            futex: frames.control.futex.load(Relaxed),
        };
        for sequence in (latest + 1).saturating_sub(history as u64).max(1)..=latest {
            if let Some(slot) = entry(sequence) {
                ledger.window[(sequence % history as u64) as usize] = slot;
                ledger.in_window.insert(slot);
            }
        }
        // Whatever else looks readable fell out of the window, or was never published.
        for (slot, record) in frames.records.iter().enumerate() {
            let generation = record.generation.load(Relaxed);
            if !ledger.in_window.contains(slot as u16) && generation.is_multiple_of(2) && generation != 0 {
                record.generation.store(generation | 1, Relaxed);
            }
        }
        // As in `ring`: between the withdrawals and the first scan. (F)
        fence(SeqCst);
        ledger
    }

    /// The number of the next frame.
    pub(crate) fn next_sequence(&self) -> u64 {
        self.next_sequence
    }

    /// Finds a slot that nobody reads and nobody may begin to read, the lowest one. (I2, I4)
    ///
    /// `dropped` asks the kernel which places have no holder; it is called only where no slot would be free otherwise.
    #[inline]
    pub(crate) fn claim(
        &mut self,
        frames: FrameWords<'_>,
        places: &[Place],
        dropped: impl FnOnce() -> PlaceSet,
    ) -> Result<u16, Blocked> {
        match self.find_free(frames, places, None) {
            Some(slot) => Ok(slot),
            // Asked after the withdrawal: who claims a dead one's place later than this finds the slots withdrawn
            // already, so ignoring the place's pins is safe. Asked before, it would not be.
            None => self.claim_from_the_dead(frames, places, dropped()),
        }
    }

    #[cold]
    fn claim_from_the_dead(&self, frames: FrameWords<'_>, places: &[Place], dead: PlaceSet) -> Result<u16, Blocked> {
        let unread = self.held_back_by(places, Some(dead));
        if unread != PlaceSet::default() {
            return Err(Blocked::Unread(unread));
        }
        let free = self.find_unpinned(frames, places, Some(dead));
        let free = free.or_else(|| self.find_unpinned_at_once(frames, places, dead));
        free.ok_or_else(|| Blocked::Held(self.holders(places, dead)))
    }

    #[inline]
    fn find_free(&self, frames: FrameWords<'_>, places: &[Place], dead: Option<PlaceSet>) -> Option<u16> {
        let held_back = self.held_back_by(places, dead) != PlaceSet::default();
        if held_back { None } else { self.find_unpinned(frames, places, dead) }
    }

    #[inline]
    fn find_unpinned(&self, frames: FrameWords<'_>, places: &[Place], dead: Option<PlaceSet>) -> Option<u16> {
        // 64 slots at a time: low ones are preferred, so there is seldom a second round.
        for block in 0..self.in_window.0.len() {
            let busy = self.in_window.0[block] | self.pinned_in(block, frames, places, dead);
            let slot = block * 64 + busy.trailing_ones() as usize;
            if busy != u64::MAX && slot < self.slots {
                return Some(slot as u16);
            }
        }
        None
    }

    /// Lossless places that the publisher must wait for.
    #[inline]
    fn held_back_by(&self, places: &[Place], dead: Option<PlaceSet>) -> PlaceSet {
        if self.waits { self.unread(places, dead) } else { PlaceSet::default() }
    }

    /// Lossless places that still want the frame which the next publication pushes out of the window.
    fn unread(&self, places: &[Place], dead: Option<PlaceSet>) -> PlaceSet {
        let mut unread = PlaceSet::default();
        for (index, place) in places.iter().enumerate() {
            // Acquire: with the cursor, the pin is seen that its owner set before it moved the cursor on.
            let wanted = place.cursor.load(Acquire);
            if self.is_unread(wanted) && !dead.is_some_and(|dead| dead.contains(index)) {
                unread.insert(index);
            }
        }
        unread
    }

    /// Whether the frame that the next publication pushes out is still wanted; `NOT_LOSSLESS` and `EVICTED` want none.
    #[inline]
    fn is_unread(&self, wanted: u64) -> bool {
        wanted != NOT_LOSSLESS && wanted.saturating_add(self.window.len() as u64) <= self.next_sequence
    }

    /// Waits for these lossless places no longer; returns those that it is so with: the others have read meanwhile. Their
    /// pins protect what they hold as before.
    #[cold]
    pub(crate) fn evict(&self, places: &[Place], which: PlaceSet) -> PlaceSet {
        let mut evicted = PlaceSet::default();
        for place in which.iter() {
            let cursor = &places[place].cursor;
            let wanted = cursor.load(Relaxed);
            // Acquire: as in `unread`, should the next scan of the pins go by this. A cursor that has moved is not stuck.
            if self.is_unread(wanted) && cursor.compare_exchange(wanted, EVICTED, Acquire, Relaxed).is_ok() {
                evicted.insert(place);
            }
        }
        evicted
    }

    /// How many frames a lossless place has not read; 0 where it is none.
    pub(crate) fn behind(&self, place: &Place) -> u64 {
        match place.cursor.load(Relaxed) {
            NOT_LOSSLESS | EVICTED => 0,
            wanted => self.next_sequence.saturating_sub(wanted),
        }
    }

    /// The slots from `64 × block` on that are pinned, a bit each; helps each `ANY` on the way.
    #[inline]
    fn pinned_in(&self, block: usize, frames: FrameWords<'_>, places: &[Place], dead: Option<PlaceSet>) -> u64 {
        let newest = unpack(frames.control.latest.load(Relaxed)).1;
        let mut pinned = 0;
        for (index, place) in places.iter().enumerate() {
            if dead.is_some_and(|dead| dead.contains(index)) {
                continue;
            }
            for word in &place.pins[..self.max_held] {
                match self.pinned_by(word, newest) {
                    Some(slot) if slot as usize / 64 == block => pinned |= 1 << (slot % 64),
                    _ => {}
                }
            }
        }
        pinned
    }

    /// The slot that a pin protects; helps an `ANY`.
    #[inline]
    fn pinned_by(&self, word: &AtomicU32, newest: u16) -> Option<u16> {
        // Acquire: the reads of a slot that its reader let go of happened before our writes to it.
        let mut value = word.load(Acquire);
        if value == pin::NONE {
            return None;
        }
        if value == pin::ANY && newest != NO_SLOT {
            // Only the publisher moves `latest`, and it is here: whoever is helped holds the newest frame.
            value = match word.compare_exchange(pin::ANY, pin::of(newest), AcqRel, Acquire) {
                Ok(_) => pin::of(newest),
                Err(now) => now,
            };
        }
        pin::slot(value, self.slots)
    }

    /// As `find_unpinned`, with a single look at each pin for all slots together.
    ///
    /// A correct pin moves only into the window. One that somebody sets to anything at all could stand in each block just
    /// as that is looked at; here it costs one slot, as I4 has it.
    #[cold]
    fn find_unpinned_at_once(&self, frames: FrameWords<'_>, places: &[Place], dead: PlaceSet) -> Option<u16> {
        let newest = unpack(frames.control.latest.load(Relaxed)).1;
        let mut busy = SlotSet(self.in_window.0.clone());
        for (_, place) in places.iter().enumerate().filter(|(index, _)| !dead.contains(*index)) {
            for word in &place.pins[..self.max_held] {
                if let Some(slot) = self.pinned_by(word, newest) {
                    busy.insert(slot);
                }
            }
        }
        (0..self.slots as u16).find(|&slot| !busy.contains(slot))
    }

    /// Who holds slots outside the window: to say it, not to decide by it, so a moment's difference to the scan is no harm.
    fn holders(&self, places: &[Place], dead: PlaceSet) -> PlaceSet {
        let mut holders = PlaceSet::default();
        for (index, place) in places.iter().enumerate() {
            let mut slots =
                place.pins[..self.max_held].iter().filter_map(|word| pin::slot(word.load(Relaxed), self.slots));
            if slots.any(|slot| !self.in_window.contains(slot)) && !dead.contains(index) {
                holders.insert(index);
            }
        }
        holders
    }

    /// Makes the frame in the claimed `slot` the newest. True: somebody sleeps and must be woken.
    #[inline]
    pub(crate) fn publish(&mut self, frames: FrameWords<'_>, places: &[Place], slot: u16) -> bool {
        let sequence = self.next_sequence;
        let packed = pack(sequence, slot);
        // Release, all four: who sees the word sees the payload, and the words before it.
        frames.records[slot as usize].generation.store(2 * sequence, Release);
        frames.window[self.cursor].store(packed, Release);
        frames.control.latest.store(packed, Release);

        let fallen = std::mem::replace(&mut self.window[self.cursor], slot);
        if fallen != NO_SLOT {
            self.in_window.remove(fallen);
            // Relaxed: the fence in `ring` orders it before the next scan, and so before any write to the slot.
            let generation = 2 * sequence - 2 * self.window.len() as u64;
            frames.records[fallen as usize].generation.store(generation | 1, Relaxed);
        }
        self.in_window.insert(slot);
        self.next_sequence += 1;
        self.cursor = if self.cursor + 1 == self.window.len() { 0 } else { self.cursor + 1 };
        self.ring(frames, places)
    }

    /// Moves the futex word on, and fences. True: somebody sleeps on the word and must be woken. (F, W)
    #[inline]
    pub(crate) fn ring(&mut self, frames: FrameWords<'_>, places: &[Place]) -> bool {
        self.futex = self.futex.wrapping_add(1);
        frames.control.futex.store(self.futex, Release);
        fence(SeqCst);
        // All flags without a branch between them: as a rule none is set.
        places.iter().fold(0, |flags, place| flags | place.waiting.load(Relaxed)) != 0
    }
}

/// The pin holds what its owner did not write: another process wrote to the place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Overwritten;

/// Pins the newest frame, in a constant number of steps; `None` before the first frame. (I3)
pub(crate) fn pin_latest(frames: FrameWords<'_>, word: &AtomicU32) -> Result<Option<u16>, Overwritten> {
    let (sequence, newest) = unpack(frames.control.latest.load(Acquire));
    // NO_SLOT is no slot of any stream.
    let Some(record) = frames.records.get(newest as usize) else { return Ok(None) };
    // Nearly always it stays in the window for these few steps, and one locked instruction does.
    if pin_slot(record, word, newest, sequence) { Ok(Some(newest)) } else { pin_any(frames, word).map(Some) }
}

/// Pins the newest frame, however fast the publisher is. There is one, and there has been one before. (I3)
#[cold]
pub(crate) fn pin_any(frames: FrameWords<'_>, word: &AtomicU32) -> Result<u16, Overwritten> {
    word.store(pin::ANY, Release);
    fence(SeqCst);
    let newest = unpack(frames.control.latest.load(Acquire)).1;
    let held = match word.compare_exchange(pin::ANY, pin::of(newest), AcqRel, Acquire) {
        Ok(_) => pin::of(newest),
        // The publisher has helped: its choice stands, and is protected since its scan.
        Err(helped) => helped,
    };
    let slot = pin::slot(held, frames.records.len());
    if slot.is_none() {
        release(word);
    }
    slot.ok_or(Overwritten)
}

/// Pins a slot, if it still holds the frame with this sequence then. (I3)
#[inline]
fn pin_slot(record: &SlotRecord, word: &AtomicU32, slot: u16, sequence: u64) -> bool {
    word.store(pin::of(slot), Release);
    fence(SeqCst);
    record.generation.load(Acquire) == 2 * sequence
}

/// Pins the frame with this sequence; `None` where it is not in the window. (I3)
fn pin_exact(frames: FrameWords<'_>, word: &AtomicU32, sequence: u64) -> Option<u16> {
    let entry = &frames.window[(sequence % frames.window.len() as u64) as usize];
    let (found, slot) = unpack(entry.load(Acquire));
    let record = frames.records.get(slot as usize)?;
    if found != sequence {
        return None;
    }
    if pin_slot(record, word, slot, sequence) {
        return Some(slot);
    }
    release(word);
    None
}

/// Pins the frame `wanted`, or the oldest one after it; `None` where there is no such frame so far.
///
/// `first` is the first sequence of the epoch. At most [`CHASES`] attempts; a window that moves on faster than that costs
/// the frames up to the newest.
pub(crate) fn pin_next(
    frames: FrameWords<'_>,
    word: &AtomicU32,
    wanted: u64,
    first: u64,
) -> Result<Option<u16>, Overwritten> {
    for _ in 0..CHASES {
        let (latest, slot) = unpack(frames.control.latest.load(Acquire));
        if latest < wanted || slot == NO_SLOT {
            return Ok(None);
        }
        let oldest = (latest + 1).saturating_sub(frames.window.len() as u64).max(first);
        if let Some(slot) = pin_exact(frames, word, wanted.max(oldest)) {
            return Ok(Some(slot));
        }
    }
    pin_latest(frames, word)
}

/// The sequence of the frame in a pinned slot: withdrawing a slot does not change it.
pub(crate) fn sequence_of(frames: FrameWords<'_>, slot: u16) -> u64 {
    frames.records[slot as usize].generation.load(Relaxed) / 2
}

/// Before the first write to a claimed slot: whoever still reads there, because another process has overwritten its pin,
/// finds out behind its reads. No correct pin names the slot, so nothing else depends on it.
#[inline]
pub(crate) fn mark_written(frames: FrameWords<'_>, slot: u16) {
    frames.records[slot as usize].generation.store(WRITTEN, Relaxed);
    fence(Release);
}

/// Behind the reads of a slot that held the frame `sequence`: whether it has been that frame's ever since.
pub(crate) fn is_still(frames: FrameWords<'_>, slot: u16, sequence: u64) -> bool {
    // With the fence in `mark_written`: who has read a byte that was written later sees the mark, or what came after it.
    fence(Acquire);
    frames.records[slot as usize].generation.load(Relaxed) | 1 == (2 * sequence) | 1
}

/// Makes the publisher wait for a place, from the frame `wanted` on.
pub(crate) fn register(place: &Place, wanted: u64) {
    place.cursor.store(wanted, Release);
    fence(SeqCst);
}

/// Behind the pin of the frame before it: the next one wanted, in the place of the one that was. The publisher may have evicted the
/// place meanwhile.
#[inline]
pub(crate) fn move_on(place: &Place, from: u64, to: u64) -> Result<(), Evicted> {
    // Release: who sees it sees the pin that was stored before. A plain store could hide an eviction.
    match place.cursor.compare_exchange(from, to, Release, Relaxed) {
        Ok(_) => Ok(()),
        Err(EVICTED) => Err(Evicted),
        Err(_) => {
            // A stranger's number.
            place.cursor.store(to, Release);
            Ok(())
        }
    }
}

/// The publisher waits for this subscriber no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Evicted;

/// Lets go of a slot. (I6)
pub(crate) fn release(word: &AtomicU32) {
    word.store(pin::NONE, Release);
}

/// Says that the subscriber is about to sleep, and returns the futex word to sleep on. The caller looks once more for
/// what it waits for before it does. (W)
pub(crate) fn announce_sleep(frames: FrameWords<'_>, place: &Place) -> u32 {
    let word = frames.control.futex.load(Acquire);
    place.waiting.store(1, Relaxed);
    fence(SeqCst);
    word
}

/// The subscriber is awake again.
pub(crate) fn end_sleep(place: &Place) {
    place.waiting.store(0, Relaxed);
}

/// Says that the publisher is about to wait for what subscribers hold, and returns the word to sleep on. The caller
/// claims once more before it does. (W)
pub(crate) fn announce_wait(places: &PlacesHeader) -> u32 {
    let word = places.release_futex.load(Acquire);
    places.publisher_waiting.store(1, Relaxed);
    fence(SeqCst);
    word
}

/// The publisher waits no longer.
pub(crate) fn end_wait(places: &PlacesHeader) {
    places.publisher_waiting.store(0, Relaxed);
}

/// Behind a pin that was cleared, or a cursor that was moved on. True: the publisher waits, and must be woken. (W)
pub(crate) fn tell(places: &PlacesHeader) -> bool {
    fence(SeqCst);
    if places.publisher_waiting.load(Relaxed) == 0 {
        return false;
    }
    places.release_futex.fetch_add(1, Release);
    true
}

/// There are frames, but each was written over while it was copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outrun;

/// Copies the newest frame out without a pin; `None` before the first frame. At most [`GLANCES`] attempts.
///
/// `copy` gets the slot and the frame's sequence. What it reads may change under it, so it reads with atomic or volatile
/// loads, and believes nothing of what it reads: only what `observe` returns is a frame.
pub(crate) fn observe<T>(frames: FrameWords<'_>, mut copy: impl FnMut(u16, u64) -> T) -> Result<Option<T>, Outrun> {
    for _ in 0..GLANCES {
        let (sequence, slot) = unpack(frames.control.latest.load(Acquire));
        // NO_SLOT is no slot of any stream.
        let Some(record) = frames.records.get(slot as usize) else { return Ok(None) };
        // Acquire, as of `latest`: this frame's bytes are seen, or later ones, but none of an earlier frame. The look itself
        // only spares a copy that would be in vain.
        if record.generation.load(Acquire) != 2 * sequence {
            continue;
        }
        let copied = copy(slot, sequence);
        // With the publisher's fence between the withdrawal and the next write to the slot.
        fence(Acquire);
        if record.generation.load(Relaxed) == 2 * sequence {
            return Ok(Some(copied));
        }
    }
    Err(Outrun)
}
