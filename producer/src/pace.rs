//! Deadlines at a fixed rate, without drift.
//!
//! Deadline `n` is `start + n periods`, computed from the rate's fraction each time: neither a late frame nor a rounded
//! period moves the ones after it. Sleeping is to an absolute time (clock_nanosleep(2), `TIMER_ABSTIME`).
//!
//! What this process makes itself is made ahead of its deadline, by a [`Lead`], and published at it: a subscriber that
//! predicts the next frame (`Wait::Predict`) then has a clock to go by, and not the time that drawing takes.

use framebus::{Rate, now_ns};
use rustix::thread::{ClockId, clock_nanosleep_absolute};
use rustix::time::Timespec;

use crate::stop::Stop;

/// More periods than this behind, the schedule jumps ahead: a burst of old deadlines helps nobody.
const MOST_BEHIND: u64 = 10;

/// The longest sleep at a time: a stop that comes between the look at it and the sleep is seen then.
const SLICE_NS: u64 = 100_000_000;

/// The deadlines of a run.
#[derive(Debug)]
pub(crate) struct Pace {
    rate: Rate,
    start_ns: u64,
    frame: u64,
}

impl Pace {
    /// Deadlines from `start_ns` on, which is the first one.
    pub(crate) fn new(rate: Rate, start_ns: u64) -> Self {
        Self { rate, start_ns, frame: 0 }
    }

    /// The present deadline, in ns of the bus's clock.
    pub(crate) fn deadline_ns(&self) -> u64 {
        self.start_ns.saturating_add(self.rate.time_of(self.frame).as_nanos() as u64)
    }

    /// Time from a deadline to the next one.
    pub(crate) fn period_ns(&self) -> u64 {
        self.rate.time_of(1).as_nanos() as u64
    }

    /// Whether a frame that is published now is late: by more than half a period.
    pub(crate) fn is_late(&self, now_ns: u64) -> bool {
        now_ns > self.deadline_ns().saturating_add(self.period_ns() / 2)
    }

    /// Goes on to the next deadline; where that is more than ten periods ago, to the first one not yet past. Returns how
    /// many deadlines it left out.
    pub(crate) fn advance(&mut self, now_ns: u64) -> u64 {
        self.frame += 1;
        let elapsed_ns = u128::from(now_ns.saturating_sub(self.start_ns));
        let period_parts = u128::from(self.rate.denominator()) * 1_000_000_000;
        let due = (elapsed_ns * u128::from(self.rate.numerator())).div_ceil(period_parts) as u64;
        let behind = due.saturating_sub(self.frame);
        if behind <= MOST_BEHIND {
            return 0;
        }
        self.frame = due;
        behind
    }

    /// Sleeps until the deadline; false: it is time to stop.
    pub(crate) fn wait(&self, stop: &Stop) -> bool {
        self.wait_until_before(0, stop)
    }

    /// Sleeps until so long before the deadline; false: it is time to stop.
    pub(crate) fn wait_until_before(&self, lead_ns: u64, stop: &Stop) -> bool {
        let deadline_ns = self.deadline_ns().saturating_sub(lead_ns);
        loop {
            if stop.is_due() {
                return false;
            }
            let now = now_ns();
            if now >= deadline_ns {
                return true;
            }
            let until_ns = deadline_ns.min(now + SLICE_NS).min(stop.until_ns());
            let until =
                Timespec { tv_sec: (until_ns / 1_000_000_000) as i64, tv_nsec: (until_ns % 1_000_000_000) as _ };
            // An error is a signal's interruption: whoever it was, the loop looks again.
            let _ = clock_nanosleep_absolute(ClockId::Monotonic, &until);
        }
    }
}

/// How long before its deadline a frame is begun.
///
/// Twice as long as the slowest of the last frames took, and a little: so that it is done by then, and its slot is not
/// held much longer than need be. A slow frame is forgotten bit by bit.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lead {
    slowest_ns: u64,
}

/// For the scheduler: waking up takes its time, too.
const MARGIN_NS: u64 = 1_000_000;

impl Lead {
    /// In ns; a period at most.
    pub(crate) fn ns(&self, pace: &Pace) -> u64 {
        (2 * self.slowest_ns).saturating_add(MARGIN_NS).min(pace.period_ns())
    }

    /// A frame took so long to make.
    pub(crate) fn learn(&mut self, took_ns: u64) {
        self.slowest_ns = took_ns.min(u64::MAX / 4).max(self.slowest_ns - self.slowest_ns.div_ceil(64));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND_NS: u64 = 1_000_000_000;

    #[test]
    fn deadlines_do_not_drift_at_rates_whose_period_is_no_whole_number() {
        let mut pace = Pace::new(Rate::new(30_000, 1001).unwrap(), 7);
        for _ in 0..30_000 * 60 {
            let now_ns = pace.deadline_ns();
            assert_eq!(pace.advance(now_ns), 0);
        }
        assert_eq!(pace.deadline_ns(), 7 + 1001 * 60 * SECOND_NS);
    }

    #[test]
    fn a_little_behind_catches_up_and_far_behind_jumps_ahead() {
        let mut pace = Pace::new(Rate::new(10, 1).unwrap(), 0);
        assert_eq!(pace.advance(SECOND_NS), 0);
        assert_eq!(pace.deadline_ns(), SECOND_NS / 10);
        // Deadlines 2 to 29 are left out, 30 is the first that is not past.
        assert_eq!(pace.advance(3 * SECOND_NS - 1), 28);
        assert_eq!(pace.deadline_ns(), 3 * SECOND_NS);
        assert_eq!(pace.advance(3 * SECOND_NS), 0);
        assert_eq!(pace.deadline_ns(), 3 * SECOND_NS + SECOND_NS / 10);
    }

    #[test]
    fn late_is_more_than_half_a_period() {
        let pace = Pace::new(Rate::new(10, 1).unwrap(), SECOND_NS);
        assert!(!pace.is_late(SECOND_NS + 50_000_000));
        assert!(pace.is_late(SECOND_NS + 50_000_001));
        assert!(!pace.is_late(0));
    }

    #[test]
    fn the_lead_follows_the_slowest_frame_and_forgets_it_and_is_a_period_at_most() {
        let pace = Pace::new(Rate::new(100, 1).unwrap(), 0);
        let mut lead = Lead::default();
        assert_eq!(lead.ns(&pace), MARGIN_NS);
        lead.learn(2_000_000);
        lead.learn(100);
        assert!((4_900_000..5_000_000).contains(&lead.ns(&pace)), "{lead:?}");
        (0..2000).for_each(|_| lead.learn(100));
        assert_eq!(lead.ns(&pace), MARGIN_NS + 200);
        for slow in [8_000_000, u64::MAX] {
            lead.learn(slow);
            assert_eq!(lead.ns(&pace), 10_000_000);
        }
    }

    #[test]
    fn a_deadline_that_is_past_is_not_waited_for_and_a_stop_is_seen_first() {
        let stop = Stop::never();
        let pace = Pace::new(Rate::new(1, 1).unwrap(), now_ns() - SECOND_NS);
        assert!(pace.wait(&stop));
        stop.end_at_ns(now_ns());
        assert!(!pace.wait(&stop));
        assert!(!Pace::new(Rate::new(1, 1000).unwrap(), now_ns() + 1000 * SECOND_NS).wait(&stop));
    }
}
