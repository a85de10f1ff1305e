//! A subscriber's accounts: what became of each frame for it, how old the frames were and how long they were held, and whether its
//! contract was kept.
//!
//! The numbers are its own; what it stores in its place and its account in shared memory is for others to read. Counting is exact.
//! Times take a look at the clock, which takes longer than taking a frame: so of frames that were published within 100 µs of the last one
//! measured none is. At the rates of cameras each one is.

use std::sync::atomic::Ordering::{Relaxed, Release};
use std::time::Duration;

use crate::attach::Attachment;
use crate::clock::now_ns;
use crate::contract::{Contract, Second, Violations};
use crate::fate::{Event, Fate};
use crate::layout::{Account, FrameInfo, PlaceCounters};
use crate::place::SubscriberCounters;
use crate::ring::Ring;
use crate::sync::PlainU64;
use crate::wait::PredictionCounters;

const MEASURED_EVERY_NS: u64 = 100_000;

/// Least time between two events that say the same of no frame.
const TOLD_EVERY_NS: u64 = 10_000_000;

/// What a subscriber counts, over all epochs.
pub(crate) struct Accounts {
    pub counters: SubscriberCounters,
    contract: Contract,
    /// What the stream's trace has been told of the counters.
    told: SubscriberCounters,
    /// The last frame that was passed over or gone.
    lost: u64,
    /// Frames published before this, ns, are not measured.
    measure_from_ns: u64,
    /// When the trace was last told that all frames are held.
    told_all_held_ns: u64,
    /// Capture time of the newest frame measured; before the first, when the subscriber was ready.
    newest_ns: u64,
    /// When the subscriber was ready; 0 before.
    attached_ns: u64,
    second: Second,
    /// What stands in the account, where others could write.
    pub violations: Violations,
}

impl Accounts {
    pub(crate) fn new(contract: Contract) -> Self {
        Self {
            counters: SubscriberCounters::default(),
            contract,
            told: SubscriberCounters::default(),
            lost: 0,
            measure_from_ns: 0,
            told_all_held_ns: 0,
            newest_ns: 0,
            attached_ns: 0,
            second: Second::default(),
            violations: Violations::default(),
        }
    }

    /// Says in a new epoch's place what was counted in earlier ones, and that the subscriber is ready.
    pub(crate) fn begin_epoch(&mut self, attachment: &Attachment) {
        let (shared, counters) = (&attachment.place().counters, &self.counters);
        shared.seen.store(counters.seen, Relaxed);
        shared.skipped.store(counters.skipped, Relaxed);
        shared.missed.store(counters.missed, Relaxed);
        shared.refused.store(counters.refused, Relaxed);
        shared.last_sequence.store(counters.last_sequence, Relaxed);
        attachment.account().write_contract(&self.contract);
        self.measure_from_ns = 0;
        let now = now_ns();
        if self.attached_ns == 0 {
            (self.attached_ns, self.newest_ns, self.second) = (now, now, Second::from(now));
        }
        // The same in each epoch: by this it is known again.
        shared.attached_ns.store(self.attached_ns, Release);
    }

    /// Counts a frame that was taken, and the `passed` ones before it that were not: gone, where they were asked for in order.
    #[inline]
    pub(crate) fn took(&mut self, shared: &PlaceCounters, sequence: u64, passed: u64, in_order: bool) {
        let counters = &mut self.counters;
        counters.seen += 1;
        shared.seen.store(counters.seen, Relaxed);
        if passed > 0 {
            let (count, shared) = match in_order {
                true => (&mut counters.missed, &shared.missed),
                false => (&mut counters.skipped, &shared.skipped),
            };
            // Saturating: garbage may have leapt to any number before.
            *count = count.saturating_add(passed);
            shared.store(*count, Relaxed);
            self.lost = sequence - 1;
        }
        counters.last_sequence = sequence;
        shared.last_sequence.store(sequence, Relaxed);
    }

    /// Counts an acquisition that was refused, because all pins were in use.
    pub(crate) fn refused(&mut self, attachment: &Attachment) {
        self.counters.refused += 1;
        attachment.place().counters.refused.store(self.counters.refused, Relaxed);
        let now = now_ns();
        if now >= self.told_all_held_ns.saturating_add(TOLD_EVERY_NS) {
            self.told_all_held_ns = now;
            attachment.account().tell(now, self.counters.last_sequence, Fate::AllHeld);
        }
    }

    /// A frame that was taken before is held again from now on.
    pub(crate) fn took_again(&self, attachment: &Attachment, pin: usize) {
        attachment.account().held_since_ns[pin].store(now_ns(), Relaxed);
    }

    /// Whether a frame that was published then is to be measured.
    #[inline]
    pub(crate) fn is_due(&self, publish_ns: u64) -> bool {
        publish_ns >= self.measure_from_ns
    }

    /// What takes a look at the clock, for a frame that was just taken.
    #[inline(never)]
    pub(crate) fn measure(
        &mut self,
        attachment: &Attachment,
        pin: usize,
        info: &FrameInfo,
        predictions: Option<&PredictionCounters>,
    ) {
        let now = now_ns();
        self.measure_from_ns = info.publish_ns.saturating_add(MEASURED_EVERY_NS);
        self.newest_ns = info.capture_ns;
        attachment.taken_ns[pin].store(now, Relaxed);
        let account = attachment.account();
        account.held_since_ns[pin].store(now, Relaxed);
        let age_ns = now.saturating_sub(info.capture_ns);
        account.ages.count(age_ns);
        if let Some(predictions) = predictions {
            account.write_predictions(predictions);
        }
        let told = std::mem::replace(&mut self.told, self.counters);
        // Garbage may have leapt to any number before.
        let skipped = self.counters.skipped.saturating_sub(told.skipped);
        if skipped > 0 {
            account.tell(now, self.lost, Fate::Skipped { frames: skipped });
        }
        let missed = self.counters.missed.saturating_sub(told.missed);
        if missed > 0 {
            account.tell(now, self.lost, Fate::Missed { frames: missed });
        }
        // What was there before us is nobody's fault.
        if info.publish_ns >= self.attached_ns {
            account.latencies.count(now.saturating_sub(info.publish_ns));
            if !self.contract.is_empty() {
                self.judge(account, now, age_ns, told);
            }
        }
    }

    /// Whether the contract was kept with the frame that was just taken; `told` was counted before it.
    fn judge(&mut self, account: &Account, now: u64, age_ns: u64, told: SubscriberCounters) {
        let (sequence, limit_ns) = (self.counters.last_sequence, self.contract.max_age_ns());
        if limit_ns != 0 && age_ns > limit_ns {
            count(&mut self.violations.too_old, &account.too_old);
            account.tell(now, sequence, Fate::TooOld { age_ns, limit_ns });
        }
        let Some(limit) = self.contract.max_skipped_per_s else { return };
        let lost = |counters: SubscriberCounters| counters.skipped.saturating_add(counters.missed);
        if let Some(frames) = self.second.violated(now, lost(self.counters), lost(told), limit) {
            count(&mut self.violations.too_many_skipped, &account.too_many_skipped);
            account.tell(now, sequence, Fate::TooManySkipped { frames, limit: limit.into() });
        }
    }

    /// Whether the newest frame measured is older than the contract allows; counts it.
    pub(crate) fn is_stale(&mut self, account: &Account) -> bool {
        let (now, limit_ns) = (now_ns(), self.contract.max_age_ns());
        let age_ns = now.saturating_sub(self.newest_ns);
        let is_stale = limit_ns != 0 && age_ns > limit_ns;
        if is_stale {
            count(&mut self.violations.stale, &account.stale);
            account.tell(now, self.counters.last_sequence, Fate::Stale { age_ns, limit_ns });
        }
        is_stale
    }
}

/// Adds 1 to a number of our own, and shows it.
fn count(own: &mut u64, shared: &PlainU64) {
    *own += 1;
    shared.store(*own, Relaxed);
}

/// Makes an account anew, or one that goes on from an `earlier` epoch's.
pub(crate) fn begin_account(account: &Account, earlier: Option<&Account>) {
    account.held_since_ns.iter().for_each(|since| since.store(0, Relaxed));
    let values = earlier.map(|earlier| earlier.numbers().map(|word| word.load(Relaxed))).unwrap_or_default();
    account.numbers().into_iter().zip(values).for_each(|(word, value)| word.store(value, Relaxed));
    account.latencies.become_copy(earlier.map(|earlier| &earlier.latencies));
    account.ages.become_copy(earlier.map(|earlier| &earlier.ages));
    account.holds.become_copy(earlier.map(|earlier| &earlier.holds));
}

impl Account {
    /// What goes on over epochs, besides the histograms.
    fn numbers(&self) -> [&PlainU64; 9] {
        let Self { hit, early, late, spun_ns, too_old, too_many_skipped, stale, max_age_ns, max_skipped, .. } = self;
        [hit, early, late, spun_ns, too_old, too_many_skipped, stale, max_age_ns, max_skipped]
    }

    /// What became of frames.
    pub(crate) fn ring(&self) -> Ring<'_> {
        Ring { head: &self.events_head, events: &self.events }
    }

    /// Writes to the stream's trace.
    pub(crate) fn tell(&self, at_ns: u64, sequence: u64, fate: Fate) {
        self.ring().write(Event { at_ns, sequence, fate }.encode());
    }

    fn write_contract(&self, contract: &Contract) {
        self.max_age_ns.store(contract.max_age_ns(), Relaxed);
        self.max_skipped.store(contract.max_skipped_per_s.map_or(0, |most| u64::from(most) + 1), Relaxed);
    }

    pub(crate) fn contract(&self) -> Contract {
        let (age, skipped) = (self.max_age_ns.load(Relaxed), self.max_skipped.load(Relaxed));
        Contract {
            max_age: (age != 0).then(|| Duration::from_nanos(age)),
            max_skipped_per_s: skipped.checked_sub(1).and_then(|most| u32::try_from(most).ok()),
        }
    }

    pub(crate) fn violations(&self) -> Violations {
        Violations {
            too_old: self.too_old.load(Relaxed),
            too_many_skipped: self.too_many_skipped.load(Relaxed),
            stale: self.stale.load(Relaxed),
        }
    }

    fn write_predictions(&self, counters: &PredictionCounters) {
        self.hit.store(counters.hit, Relaxed);
        self.early.store(counters.early, Relaxed);
        self.late.store(counters.late, Relaxed);
        self.spun_ns.store(counters.spun_ns, Relaxed);
    }

    pub(crate) fn predictions(&self) -> PredictionCounters {
        PredictionCounters {
            hit: self.hit.load(Relaxed),
            early: self.early.load(Relaxed),
            late: self.late.load(Relaxed),
            spun_ns: self.spun_ns.load(Relaxed),
        }
    }
}
